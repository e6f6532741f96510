//! The judge against responders who do it their own way: by other commands, by hand, past azir, or not at all. Each is
//! given what was earned, and nothing besides.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use azir::azure::Client;
use azir::clock::{Clock, ManualClock};
use azir::drill::record::{Begun, Standing, State};
use azir::drill::verdict::{By, Line, Place, ScenarioRef, Verdict};
use azir::drill::{Judge, names, shelf};
use azir::engine::profile::Profile;
use azir::engine::{Engine, RunRequest};
use azir::random::SeededRandom;
use azir::runbook::expr::Scope;
use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench, COMPUTE, DISKS, NETWORK, SUB};
use crate::support::{asked, bare};

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

/// A drill on a clock that stands still until told otherwise, answered by engine and by hand.
struct Play {
    bench: Bench,
    client: Client,
    scenario: azir::drill::scenario::Scenario,
    standing: Standing,
    before: Value,
    cases: tempfile::TempDir,
    case: PathBuf,
}

impl Play {
    fn begin(name: &str) -> Self {
        let scenario = shelf::load(name).unwrap().scenario;
        let bench = Bench::with(scenario.tenant().unwrap(), |options| options.lro = 0.0);
        let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
        let client = bench.run(crate::staged::client(&bench.lab, &clock, None));
        let (begun, now) = (begun(&scenario), clock.now());
        let started_at = azir::clock::seconds(now);
        let scope = names::scope(&begun, &profile(), client.reader().cloud(), &started_at);
        let before = bench.run(Judge::before(client.reader(), &scenario, &scope));
        let standing = Standing {
            begun,
            begun_at: now,
            state: State::Running,
            emitted_at: Some(clock.now()),
            making: Vec::new(),
            made: Vec::new(),
            seen: Vec::new(),
            verdict: None,
            cleared: Vec::new(),
            left: Vec::new(),
        };
        let cases = tempfile::tempdir().unwrap();
        Self {
            bench,
            client,
            scenario,
            standing,
            before: before.unwrap(),
            case: cases.path().join("DRILL-x"),
            cases,
        }
    }

    fn clock(&self) -> ManualClock {
        self.bench.clock.clone()
    }

    /// Lets time pass until so many seconds after the finding.
    fn until(&self, seconds: u64) {
        let begun = self.standing.emitted_at.unwrap();
        let then = begun + Duration::from_secs(seconds);
        let left = then - self.clock().now();
        self.clock().advance(left.to_std().unwrap());
    }

    /// Runs a runbook as the command does, with these roles chosen where it asks for any.
    fn run(&self, runbook: &str, target: &str, roles: &[String]) {
        let clock: Arc<dyn Clock> = Arc::new(self.clock());
        let client = self
            .bench
            .run(crate::staged::client(&self.bench.lab, &clock, None));
        let cases = self.cases.path().to_path_buf();
        let random = Arc::new(SeededRandom::new(11));
        let (engine, _stop) = Engine::alone(client, profile(), cases, clock, random);
        let mut request = RunRequest {
            targets: vec![target.to_owned()],
            yes: true,
            ..asked(runbook)
        };
        request.incident = "DRILL-x".parse().unwrap();
        let chosen = azir::engine::Selection::Ids(roles.to_vec());
        if !roles.is_empty() {
            request.choices.insert("cut_roles_which".to_owned(), chosen);
        }
        // On this clock waiting for anything takes the longest that it may: what was captured is not always seen.
        self.bench.run(engine.run(request)).unwrap();
    }

    fn judge<'a>(&'a self, profile: &'a Profile) -> Judge<'a> {
        Judge {
            reader: self.client.reader(),
            scenario: &self.scenario,
            standing: &self.standing,
            profile,
            case: &self.case,
            before: &self.before,
            proofs: None,
            now: self.clock().now(),
        }
    }

    fn judged(&self) -> Verdict {
        let profile = profile();
        self.bench.run(self.judge(&profile).judge())
    }

    fn name(&self, name: &str) -> String {
        self.standing.begun.names[name].as_str().unwrap().to_owned()
    }

    fn name_at(&self, name: &str, at: usize) -> String {
        self.standing.begun.names[name][at]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn graph(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let port = self.bench.lab.ready().arm.rsplit(':').next().unwrap();
        let host = format!("https://graph.localhost:{port}");
        let token = self.bench.token_for(&format!("{host}/.default"));
        let url = format!("{host}{path}");
        let request = self.bench.http.request(method.parse().unwrap(), url);
        let request = request.bearer_auth(token);
        self.bench.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// Snapshots of the first disks of the machine, as az makes them.
    fn snapshots(&self, number: usize) {
        for at in 0..number {
            let disk = self.name_at("disks", at);
            let path = format!(
                "{}/providers/Microsoft.Compute/snapshots/az-{at}?{DISKS}",
                self.name("group")
            );
            let body = json!({"location": "westeurope", "properties": {
                "creationData": {"createOption": "Copy", "sourceResourceId": disk},
                "incremental": true, "networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled",
            }});
            let made = self.bench.call("PUT", &path, &body);
            assert!(made.status < 300, "{made:?}");
            // One is copied in the background.
            self.bench.pass(1);
        }
    }

    /// An NSG that denies all.
    fn group_of_rules(&self, name: &str) -> String {
        let group = self.name("group");
        let id = format!("{group}/providers/Microsoft.Network/networkSecurityGroups/{name}");
        let body = json!({"location": "westeurope", "properties": {"securityRules": []}});
        let made = self.bench.call("PUT", &format!("{id}?{NETWORK}"), &body);
        assert!(made.status < 300, "{made:?}");
        self.deny_all(&id);
        id
    }

    /// Denies all in an NSG, and takes away what it allowed.
    fn deny_all(&self, nsg: &str) {
        let old = self
            .bench
            .delete(&format!("{nsg}/securityRules/AllowHttps?{NETWORK}"));
        assert!(old.status < 300 || old.status == 404, "{old:?}");
        self.bench.pass(1);
        self.deny(nsg, "az-in", 101, "Inbound");
        self.deny(nsg, "az-out", 101, "Outbound");
    }

    fn deny(&self, nsg: &str, name: &str, priority: u32, direction: &str) {
        let path = format!("{nsg}/securityRules/{name}?{NETWORK}");
        let rule = json!({"properties": {
            "priority": priority, "direction": direction, "access": "Deny", "protocol": "*",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*",
        }});
        let made = self.bench.call("PUT", &path, &rule);
        assert!(made.status < 300, "{made:?}");
        self.bench.pass(1);
    }

    /// Puts an interface behind an NSG.
    fn put_behind(&self, nic: usize, nsg: &str) {
        let put = self.put_nic(nic, nsg, None);
        assert!(put.status < 300, "{put:?}");
        self.bench.pass(1);
    }

    fn put_nic(&self, nic: usize, nsg: &str, if_match: Option<&str>) -> Answer {
        let path = format!("{}?{NETWORK}", self.name_at("nics", nic));
        let mut body = self.bench.get(&path).body;
        body["properties"]["networkSecurityGroup"] = json!({"id": nsg});
        let mut request = self.bench.request("PUT", &path).json(&body);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        self.bench.send(request)
    }
}

fn profile() -> Profile {
    let profile = json!({
        "bastion": ["10.99.0.0/24"],
        "snapshots": {"resource_group": "rg-forensic-prod"},
        "quarantine": {"resource_group": "rg-security-prod", "name": "nsg-ir-quarantine"},
        "vault": {"account": "stforensicirprodweu", "container": "ir-evidence"},
    });
    serde_json::from_value(profile).unwrap()
}

fn begun(scenario: &azir::drill::scenario::Scenario) -> Begun {
    let mut known = Scope::new();
    let drill = names::drill("DRILL-x", Place::Lab, "2026-11-24T03:00:00Z");
    known.set("drill", &drill);
    known.set("profile", &json!(profile()));
    Begun {
        drill: "DRILL-x".to_owned(),
        scenario: ScenarioRef {
            name: scenario.name.clone(),
            version: scenario.version.clone(),
            digest: String::new(),
            title: scenario.title.clone(),
        },
        place: Place::Lab,
        profile: "lab".to_owned(),
        cloud: "lab".to_owned(),
        tenant: String::new(),
        subscriptions: vec![SUB.rsplit('/').next().unwrap().to_owned()],
        by: By::People,
        participants: Vec::new(),
        observer: None,
        blind: false,
        names: names::of_lab(scenario, &known).unwrap(),
        azir: String::new(),
    }
}
