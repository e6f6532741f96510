//! The judge against responders who do it their own way: by other commands, by hand, past azir, or not at all. Each is
//! given what was earned, and nothing besides.

use azir::drill::verdict::{Line, Verdict};
use serde_json::{Value, json};

use crate::drill_play::{Play, profile};
use crate::lab_support::{COMPUTE, SUB};
use crate::support::bare;

const NORA: &str = "nora.lind@contoso.com";
const APP: &str = "07b20000-0000-4000-8000-000000000031";

/// A drill in the lab that people answer by typing commands.
struct People {
    home: tempfile::TempDir,
}

impl People {
    fn start(scenario: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let people = Self { home };
        let started = people.types(&["drill", "start", scenario, "--lab"]);
        assert_eq!(started.0, 0, "{}", started.1);
        people
    }

    fn types(&self, args: &[&str]) -> (i32, String) {
        let mut all = args.to_vec();
        all.extend(["--incident", "DRILL-x", "--lab-latency", "0"]);
        let done = bare(self.home.path(), &all);
        (done.code, format!("{}{}", done.stdout, done.stderr))
    }

    /// Runs a runbook, which comes to a good end.
    fn run(&self, args: &[&str]) {
        let mut all = args.to_vec();
        all.push("--yes");
        let (code, told) = self.types(&all);
        assert_eq!(code, 0, "{args:?}: {told}");
    }

    fn finish(&self) -> Value {
        let args = ["drill", "finish", "DRILL-x", "--lab-latency", "0"];
        let done = bare(
            self.home.path(),
            &[&args[..], &["--output", "json"]].concat(),
        );
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    }
}

fn line<'a>(verdict: &'a Value, id: &str) -> &'a Value {
    let mut lines = verdict["lines"].as_array().unwrap().iter();
    lines
        .find(|line| line["id"] == id)
        .unwrap_or_else(|| panic!("no line {id}"))
}

/// Returns what does not hold, each with its reason.
fn missed(verdict: &Value) -> Vec<String> {
    let lines = verdict["lines"].as_array().unwrap().iter();
    lines
        .filter(|line| line["holds"] != true)
        .map(|line| format!("{}: {}", line["id"], line["why"]))
        .collect()
}

#[test]
fn who_does_nothing_is_given_what_stayed_as_it_was_and_no_more() {
    for scenario in ["vm-compromise", "token-theft"] {
        let verdict = People::start(scenario).finish();
        let lines = verdict["lines"].as_array().unwrap().iter();
        for line in lines {
            assert_eq!(
                line["holds"] == true,
                line["part"] == "unharmed",
                "{scenario}: {line}"
            );
        }
    }
}

#[test]
fn a_stolen_token_answered_command_by_command_scores_as_the_one_command_does() {
    let people = People::start("token-theft");
    let methods = "gone=b6332ec1-7057-4abe-9331-3d72feddfe41,07b20000-0000-4000-8000-000000000012";
    let rule = "which=07b20000-0000-4000-8000-000000000042";
    people.run(&["revoke-user", NORA]);
    people.run(&["disable-device", "DESKTOP-K3M9P"]);
    people.run(&["revoke-consent", "Mail Archive Sync"]);
    people.run(&["remove-inbox-rule", NORA, "--choose", rule]);
    people.run(&["reset-mfa", NORA, "--choose", methods]);
    people.run(&["reset-password", NORA]);
    people.run(&["strip-roles", NORA]);
    people.run(&["rotate-vault-secrets", "kv-drill-pay", "--mode", "cut"]);
    let verdict = people.finish();
    assert_eq!(missed(&verdict), [] as [String; 0]);
    assert_eq!(
        (&verdict["score"], &verdict["passed"]),
        (&json!(100), &json!(true))
    );
}

#[test]
fn a_machine_answered_in_another_order_with_a_file_attached_scores_full() {
    let people = People::start("vm-compromise");
    let roles = "cut_roles_which=07a10000-0000-4000-8000-000000000011,07a10000-0000-4000-8000-000000000012,07a10000-0000-4000-8000-000000000013";
    let chat = people.home.path().join("chat.txt");
    std::fs::write(&chat, "rita: it calls home\n").unwrap();
    people.run(&["rotate-vault-secrets", "kv-drill-web", "--mode", "cut"]);
    assert_eq!(people.types(&["attach", chat.to_str().unwrap()]).0, 0);
    people.run(&["snapshot-vm", "vm-web-07"]);
    people.run(&["isolate-vm", "vm-web-07", "--choose", roles]);
    let verdict = people.finish();
    assert_eq!(missed(&verdict), [] as [String; 0]);
    assert_eq!(verdict["score"], 100);
}

#[test]
fn who_takes_every_role_and_leaves_old_versions_enabled_is_told_so_and_loses_nothing_else() {
    let people = People::start("vm-compromise");
    people.run(&["isolate-vm", "vm-web-07", "--choose", "cut_roles_which=all"]);
    people.run(&[
        "rotate-app-secret",
        "web-frontend",
        "--vault",
        "kv-drill-web",
        "--mode",
        "cut",
    ]);
    let verdict = people.finish();
    let missed = missed(&verdict);
    let ids: Vec<&str> = missed
        .iter()
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    let deserved = [
        "secrets_renewed",
        "eradicated_in_time",
        "shared_role_stays",
        "others_roles_stay",
    ];
    assert_eq!(ids, deserved, "{missed:?}");
}

#[test]
fn an_honest_run_on_somebody_else_is_no_liar_and_no_proof_of_anything() {
    let people = People::start("token-theft");
    people.run(&["revoke-user", "otto.berg@contoso.com"]);
    let verdict = people.finish();
    let honest = line(&verdict, "says_what_is_so");
    assert_eq!(honest["holds"], true, "{honest}");
    for id in [
        "account_disabled",
        "consent_recorded_first",
        "rule_recorded_first",
        "roles_recorded_first",
    ] {
        assert_eq!(line(&verdict, id)["holds"], false, "{id}");
    }
}

#[test]
fn what_was_read_of_somebody_else_is_no_record_of_what_was_taken() {
    let play = Play::begin("token-theft");
    play.run("revoke-user", "otto.berg@contoso.com", &[]);
    // And past azir, as az rest does it: the role, the consent.
    let user = play.name("user");
    let held = play.graph(
        "GET",
        &format!(
            "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{user}'"
        ),
        None,
    );
    let granted = play.graph(
        "GET",
        &format!("/v1.0/oauth2PermissionGrants?$filter=clientId%20eq%20'{APP}'"),
        None,
    );
    for (of, taken) in [
        ("roleManagement/directory/roleAssignments", held),
        ("oauth2PermissionGrants", granted),
    ] {
        let id = taken.body["value"][0]["id"].as_str();
        let id = id.unwrap_or_else(|| panic!("{of}: {taken:?}"));
        let gone = play.graph("DELETE", &format!("/v1.0/{of}/{id}"), None);
        assert_eq!(gone.status, 204, "{gone:?}");
    }
    // The log shows it when it shows it.
    play.until(3600);
    let verdict = play.judged();
    for id in ["consent_off", "directory_roles_gone"] {
        let line = found(&verdict, id);
        assert_eq!(line.holds, Some(true), "{line:?}");
    }
    for (id, why) in [
        ("consent_recorded_first", "consent read never happened, and"),
        ("roles_recorded_first", "roles read never happened, and"),
    ] {
        let line = found(&verdict, id);
        assert_eq!(line.holds, Some(false), "{line:?}");
        assert!(line.why.starts_with(why), "{line:?}");
    }
}

#[test]
fn what_an_undo_must_not_give_back_is_looked_at_as_it_is_claimed() {
    let play = Play::begin("token-theft");
    let rules = format!(
        "/v1.0/users/{}/mailFolders/inbox/messageRules",
        play.name("user")
    );
    let gone = play.graph(
        "DELETE",
        &format!("{rules}/{}", play.name("attacker_rule")),
        None,
    );
    assert_eq!(gone.status, 204, "{gone:?}");
    let path = format!("/v1.0/oauth2PermissionGrants?$filter=clientId%20eq%20'{APP}'");
    let granted = play.graph("GET", &path, None);
    let id = granted.body["value"][0]["id"].as_str().unwrap();
    play.graph(
        "DELETE",
        &format!("/v1.0/oauth2PermissionGrants/{id}"),
        None,
    );
    let undone = |ids: &[(&str, bool)]| {
        let mut verdict = play.judged();
        play.bench
            .run(play.judge(&profile()).judge_undone(&mut verdict));
        for (id, holds) in ids {
            let line = found(&verdict, id);
            assert_eq!(line.holds, Some(*holds), "{line:?}");
        }
        verdict
    };
    // Without a consent it can sign in all the same.
    undone(&[
        ("consent_not_back", true),
        ("application_not_back", false),
        ("rule_not_back", true),
    ]);
    let rule = json!({
        "displayName": ".", "sequence": 3, "isEnabled": true, "conditions": {"subjectContains": ["invoice"]},
        "actions": {"redirectTo": [{"emailAddress": {"address": "archive@mailbox.example"}}]},
    });
    let made = play.graph("POST", &rules, Some(&rule));
    assert_eq!(made.status, 201, "{made:?}");
    let verdict = undone(&[("rule_not_back", false), ("account_back", false)]);
    assert!(
        found(&verdict, "rule_not_back")
            .why
            .contains("archive@mailbox.example")
    );
    // And an account that was never disabled is not given back.
    assert!(
        found(&verdict, "account_back")
            .why
            .contains("account_disabled")
    );
    assert_eq!(found(&verdict, "forwarding_off").holds, Some(false));
}

#[test]
fn a_cut_that_came_too_late_is_late_though_the_log_shows_the_early_part_alone() {
    let play = Play::begin("vm-compromise");
    let quarantine = play.group_of_rules("nsg-az");
    play.until(60);
    play.put_behind(0, &quarantine);
    play.put_behind(1, &quarantine);
    play.until(360);
    let roles = ["attacker_role", "vault_role", "own_role"].map(|name| play.name(name));
    play.run("isolate-vm", &play.name("vm"), &roles);
    // The log is three minutes behind: it shows what was done in the first ones.
    let verdict = play.judged();
    let cut = found(&verdict, "interfaces_cut");
    assert_eq!(cut.holds, Some(true), "{cut:?}");
    let since = cut.at.unwrap() - verdict.emitted_at;
    assert!(since.num_seconds() >= 360, "{since}");
    let in_time = found(&verdict, "contained_in_time");
    assert_eq!(in_time.holds, Some(false), "{in_time:?}");
    // And captured first is what was captured before all of it, which nothing was.
    assert_eq!(found(&verdict, "captured_first").holds, Some(false));
}

#[test]
fn whoever_writes_rules_by_hand_has_cut_the_machine_and_is_judged_by_them() {
    let play = Play::begin("vm-compromise");
    play.snapshots(4);
    play.until(30);
    let quarantine = play.group_of_rules("nsg-az");
    for nic in [1, 2] {
        play.put_behind(nic, &quarantine);
    }
    play.until(60);
    play.deny_all(&play.name_at("own_nsgs", 0));
    play.until(100);
    // Refused: a tag of another version.
    let refused = play.put_nic(0, &quarantine, Some("\"0\""));
    assert_eq!(refused.status, 412, "{refused:?}");
    // And a rule of an NSG that is in force nowhere here.
    play.deny_all(&format!(
        "{SUB}/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-westeurope"
    ));
    play.until(600);
    let verdict = play.judged();
    for id in ["interfaces_cut", "captured_first", "flows_ended"] {
        let line = found(&verdict, id);
        assert_eq!(line.holds, Some(true), "{line:?}");
    }
    let since = found(&verdict, "interfaces_cut").at.unwrap() - verdict.emitted_at;
    assert!((60..100).contains(&since.num_seconds()), "{since}");
}

#[test]
fn a_rule_that_is_in_force_nowhere_here_ends_no_connection() {
    let play = Play::begin("vm-compromise");
    let quarantine = play.group_of_rules("nsg-az");
    let elsewhere = play.group_of_rules("nsg-elsewhere");
    play.until(10);
    for nic in [0, 1, 2] {
        play.put_behind(nic, &quarantine);
    }
    play.until(20);
    play.deny(&elsewhere, "again", 300, "Inbound");
    play.until(600);
    let verdict = play.judged();
    let line = found(&verdict, "flows_ended");
    assert_eq!(line.holds, Some(false), "{line:?}");
}

#[test]
fn three_disks_of_four_are_not_captured() {
    let play = Play::begin("vm-compromise");
    play.snapshots(3);
    play.until(60);
    play.deny_all(&play.name_at("own_nsgs", 0));
    play.until(600);
    let verdict = play.judged();
    let line = found(&verdict, "captured_first");
    assert_eq!(line.holds, Some(false), "{line:?}");
    assert!(
        line.why.starts_with("captured never happened, and cut did"),
        "{line:?}"
    );
}

#[test]
fn a_machine_that_is_stopped_is_cut_off_at_the_price_of_its_memory() {
    let play = Play::begin("vm-compromise");
    play.snapshots(4);
    play.until(60);
    let stopped = play.bench.call(
        "POST",
        &format!("{}/deallocate?{COMPUTE}", play.name("vm")),
        &Value::Null,
    );
    assert_eq!(stopped.status, 202, "{stopped:?}");
    play.until(600);
    let verdict = play.judged();
    for (id, holds) in [
        ("interfaces_cut", true),
        ("captured_first", true),
        ("flows_ended", true),
        ("memory_kept", false),
        ("machine_whole", true),
        ("neighbour_reached", true),
    ] {
        let line = found(&verdict, id);
        assert_eq!(line.holds, Some(holds), "{line:?}");
    }
    let since = found(&verdict, "interfaces_cut").at.unwrap() - verdict.emitted_at;
    assert!((60..100).contains(&since.num_seconds()), "{since}");
}

fn found<'a>(verdict: &'a Verdict, id: &str) -> &'a Line {
    let mut lines = verdict.lines.iter();
    lines
        .find(|line| line.id == id)
        .unwrap_or_else(|| panic!("no line {id}"))
}
