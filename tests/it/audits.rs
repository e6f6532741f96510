//! Audits tell what is true of the hard cases too, and what they could not see is never clean.

use azir::lab::scenario::Scenario;
use serde_json::{Map, Value, json};

use crate::support::Azir;

const GRAPH_UNLICENSED: &str = r"
faults:
  - {path: /identityProtection/, times: 1000, do: status, status: 403, code: Authentication_RequestFromNonPremiumTenantOrB2CTenant}
  - {path: /auditLogs/signIns, times: 1000, do: status, status: 403, code: Authentication_RequestFromNonPremiumTenantOrB2CTenant}
";

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with(change: impl FnOnce(&mut Scenario)) -> Azir {
    Azir::with("faults: []", |options| change(&mut options.scenario))
}

fn report(azir: &Azir, words: &[&str], code: i32) -> Value {
    let mut all = words.to_vec();
    all.extend(["--incident", "IR-1", "--yes"]);
    let (ended, report) = azir.json(&all);
    assert_eq!(ended, code, "{words:?}: {report}");
    report
}

/// Returns what was found, a line each: severity and words.
fn told(report: &Value) -> Vec<String> {
    let items = report["findings"].as_array().unwrap().iter();
    items
        .map(|item| {
            format!(
                "{}: {}",
                item["severity"].as_str().unwrap(),
                item["what"].as_str().unwrap()
            )
        })
        .collect()
}

fn open(report: &Value) -> String {
    let items = report["residual"].as_array().unwrap().iter();
    let all: Vec<&str> = items.map(|item| item["what"].as_str().unwrap()).collect();
    all.join("\n")
}

fn line<'a>(lines: &'a [String], parts: &[&str]) -> &'a str {
    lines
        .iter()
        .find(|line| parts.iter().all(|part| line.contains(part)))
        .unwrap_or_else(|| panic!("{parts:?}: {lines:#?}"))
}

#[test]
fn what_is_as_ever_is_explained_and_told_once() {
    let lines = told(&report(
        &Azir::new(),
        &["assess-signin", "alice@contoso.com"],
        0,
    ));
    let usual = line(
        &lines,
        &["info: alice@contoso.com: 5 sign-ins", "explained"],
    );
    for reason in [
        "the user's own device, which is compliant",
        "the address was used 5 times before",
        "Against: nothing",
    ] {
        assert!(usual.contains(reason), "{usual}");
    }
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn an_attackers_sign_ins_are_told_apart_from_the_users_own() {
    let lines = told(&report(
        &Azir::new(),
        &["assess-signin", "heidi@contoso.com", "--window", "90000s"],
        0,
    ));
    line(
        &lines,
        &[
            "high: heidi@contoso.com: 3 sign-ins",
            "from 203.0.113.77",
            "probably not the user",
            "axios",
        ],
    );
    let own: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("from 198.51.100.20"))
        .collect();
    assert!(
        !own.is_empty() && own.iter().all(|line| !line.starts_with("high")),
        "{own:#?}"
    );
    // Seen for the first time a day ago, and never to be taken for a habit.
    let lines = told(&report(
        &Azir::new(),
        &["assess-signin", "heidi@contoso.com", "--window", "12h"],
        0,
    ));
    let silent = line(&lines, &["from 203.0.113.77", "python"]);
    assert!(
        silent.contains("the country DE is new to this user") && silent.starts_with("high"),
        "{silent}"
    );
}

#[test]
fn a_trusted_location_speaks_for_the_user() {
    let azir = with(|scenario| {
        let one = json!({"user": "bob@contoso.com", "hours_ago": 1, "ipAddress": "192.0.2.7", "appDisplayName": "Office", "conditionalAccessStatus": "success", "userAgent": "Edge"});
        scenario.directory.sign_ins.push(members(&one));
    });
    let lines = told(&report(&azir, &["assess-signin", "bob@contoso.com"], 0));
    line(
        &lines,
        &[
            "bob@contoso.com",
            "a named location that the tenant trusts",
            "what is usual for the user",
        ],
    );
}

#[test]
fn no_sign_in_is_no_clean_bill() {
    let report = report(&Azir::new(), &["assess-signin", "bob@contoso.com"], 0);
    let lines = told(&report);
    line(
        &lines,
        &["bob@contoso.com: UNKNOWN: no sign-in of the window is in the log"],
    );
    assert!(open(&report).contains("the source gave no row, which proves nothing"));
}

#[test]
fn without_a_licence_nothing_is_said_to_be_clean() {
    let azir = Azir::with(GRAPH_UNLICENSED, |_| {});
    let risk = report(&azir, &["audit-risk"], 4);
    let gaps = risk["gaps"].to_string();
    assert!(
        gaps.contains("Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
        "{risk}"
    );
    assert!(
        risk["findings"]
            .as_array()
            .is_none_or(|found| found.iter().all(|one| one["severity"] == "info")),
        "{risk}"
    );
    let words = [
        "assess-signin",
        "alice@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let done = azir.run(&words);
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr
            .contains("no sign-in of alice@contoso.com could be read"),
        "{}",
        done.stderr
    );
}

#[test]
fn roles_that_come_through_a_group_are_told_of_its_members() {
    let azir = with(|scenario| {
        let groups = &mut scenario.directory.groups;
        let helpdesk = groups
            .iter_mut()
            .find(|group| group["displayName"] == "ra-helpdesk")
            .unwrap();
        helpdesk["members"] = json!([
            "heidi@contoso.com",
            "gary_partner.example#EXT#@contoso.onmicrosoft.com"
        ]);
        let owner = json!({
            "id": "/providers/Microsoft.Authorization/roleAssignments/77777777-7777-4777-8777-777777777777",
            "properties": {
                "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
                "principalId": "99999999-9999-4999-8999-999999999902", "principalType": "Group", "scope": "/"},
        });
        scenario.resources.push(members(&owner));
    });
    let report = report(&azir, &["audit-roles"], 0);
    let lines = told(&report);
    line(
        &lines,
        &[
            "heidi@contoso.com holds Helpdesk Administrator",
            "through group ra-helpdesk",
        ],
    );
    line(
        &lines,
        &[
            "high: gary_partner.example#EXT#@contoso.onmicrosoft.com holds Helpdesk Administrator",
            "a guest",
            "through group ra-helpdesk",
        ],
    );
    line(
        &lines,
        &[
            "high: group shop-developers holds Owner on the root scope /",
            "its members have it",
        ],
    );
    line(
        &lines,
        &[
            "high: bob@contoso.com holds Owner on the root scope /",
            "through group shop-developers",
        ],
    );
    assert!(open(&report).contains("who owns the groups that hold roles"));
    assert!(
        azir.writes()
            .iter()
            .all(|write| write.contains("getByIds") || !write.contains("/v1.0/"))
    );
}

#[test]
fn a_trace_tells_what_was_done_to_it_and_how_a_machines_identity_signed_in() {
    let azir = with(|scenario| {
        let one = json!({"application": "vm-hard-01", "kind": "managedIdentity", "hours_ago": 2, "ipAddress": "", "resourceDisplayName": "Azure Key Vault"});
        scenario.directory.sign_ins.push(members(&one));
        let one = json!({"by": "heidi@contoso.com", "from": "203.0.113.77", "target": "alice@contoso.com", "hours_ago": 5, "activityDisplayName": "Reset user password"});
        scenario.directory.audits.push(members(&one));
    });
    let lines = told(&report(&azir, &["trace-identity", "vm-hard-01"], 0));
    line(&lines, &["vm-hard-01 sign-in to Azure Key Vault, let in"]);
    let lines = told(&report(&azir, &["trace-identity", "alice@contoso.com"], 0));
    line(
        &lines,
        &["heidi@contoso.com from 203.0.113.77 Reset user password of alice@contoso.com"],
    );
}

#[test]
fn a_group_has_done_nothing_and_is_not_traced() {
    let words = [
        "trace-identity",
        "shop-developers",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let done = Azir::new().run(&words);
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("a group does nothing, its members do"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_role_for_a_time_is_not_held_all_the_time() {
    let azir = with(|scenario| {
        let grace = scenario
            .directory
            .role_assignments
            .iter_mut()
            .find(|held| held.principal == "grace@contoso.com")
            .unwrap();
        grace.days_left = Some(1);
    });
    let lines = told(&report(&azir, &["audit-roles"], 0));
    line(
        &lines,
        &["low: grace@contoso.com holds Global Administrator: one of the highest roles, until "],
    );
    line(
        &lines,
        &[
            "medium: pia@contoso.com holds Global Administrator: one of the highest roles, held all the time",
        ],
    );
}

#[test]
fn an_application_in_the_recycle_bin_is_told() {
    let lines = told(&report(&Azir::new(), &["audit-apps"], 0));
    line(
        &lines,
        &[
            "low: application backup-sync was deleted",
            "with its credentials",
        ],
    );
    line(&lines, &["low: service principal backup-sync was deleted"]);
}

#[test]
fn a_mailbox_that_is_not_there_is_refused_and_the_others_are_seen() {
    let guest = "gary_partner.example#EXT#@contoso.onmicrosoft.com";
    let report = report(
        &Azir::new(),
        &["audit-mailbox", guest, "heidi@contoso.com"],
        3,
    );
    let lines = told(&report);
    line(&lines, &["heidi@contoso.com", "drop@attacker.example"]);
    assert!(
        lines.iter().all(|line| !line.contains(guest)),
        "nothing of it is SEEN: {lines:#?}"
    );
    assert!(
        report["targets"]
            .to_string()
            .contains("nothing of this mailbox could be read"),
        "{report}"
    );
}

#[test]
fn credentials_that_an_attacker_left_are_told_with_who_and_where() {
    const PDF: &str = "dddddddd-dddd-4ddd-8ddd-dddddddddd01";
    const KEY: &str = "abababab-abab-4bab-8bab-abababababab";
    let azir = with(|scenario| {
        let directory = &mut scenario.directory;
        let pdf = directory
            .service_principals
            .iter_mut()
            .find(|one| one["displayName"] == "PDF Converter")
            .unwrap();
        pdf.insert("passwordCredentials".to_owned(), json!([
            {"keyId": KEY, "displayName": "sync", "hint": "abc", "secretText": null, "customKeyIdentifier": null, "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2299-12-31T00:00:00Z"},
        ]));
        let shop = directory
            .applications
            .iter_mut()
            .find(|one| one["displayName"] == "shop-backend")
            .unwrap();
        shop.insert("federated".to_owned(), json!([{"name": "x", "issuer": "https://idp.attacker.example", "subject": "any", "audiences": ["api://AzureADTokenExchange"], "description": null}]));
        let audit = json!({"by": "heidi@contoso.com", "from": "203.0.113.77", "hours_ago": 20, "category": "ApplicationManagement",
            "activityDisplayName": "Add service principal credentials",
            "targetResources": [{"id": PDF, "displayName": "PDF Converter", "type": "ServicePrincipal",
                "modifiedProperties": [{"displayName": "KeyDescription", "oldValue": "[]", "newValue": format!("[\"[KeyIdentifier={KEY},KeyType=Password,KeyUsage=Verify,DisplayName=sync]\"]")}]}]});
        directory.audits.push(members(&audit));
    });
    let lines = told(&report(&azir, &["audit-apps"], 0));
    line(
        &lines,
        &[
            "high: PDF Converter: secret sync",
            "on the service principal",
            "never expires",
            "was put on an application of another tenant",
            "added by heidi@contoso.com from 203.0.113.77",
        ],
    );
    line(
        &lines,
        &[
            "high: shop-backend: federated credential x",
            "https://idp.attacker.example for any",
        ],
    );
}

#[test]
fn who_may_read_nothing_gets_no_verdict() {
    let azir = Azir::with("faults: []", |options| {
        let junior = &mut options.scenario.callers[1];
        junior.graph = vec!["User.Read.All".to_owned()];
    });
    for (words, why) in [
        (
            &["audit-apps"][..],
            "neither applications nor service principals could be read",
        ),
        (&["audit-consents"][..], "no consent could be read"),
        (
            &["audit-mailbox", "heidi@contoso.com"][..],
            "nothing of this mailbox could be read",
        ),
        (
            &["assess-signin", "heidi@contoso.com"][..],
            "no sign-in of heidi@contoso.com could be read",
        ),
        (
            &["trace-identity", "heidi@contoso.com"][..],
            "no log of heidi@contoso.com could be read",
        ),
    ] {
        let mut all = words.to_vec();
        all.extend(["--incident", "IR-1", "--yes"]);
        let output = azir
            .command(&all)
            .env("AZURE_CLIENT_ID", "44444444-4444-4444-8444-444444444445")
            .env("AZURE_CLIENT_SECRET", "lab-secret-of-the-junior")
            .output()
            .unwrap();
        let done = crate::support::done(output);
        assert_eq!(done.code, 5, "{words:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(why), "{words:?}: {}", done.stderr);
        assert!(
            !done.stdout.contains("nothing was found"),
            "{words:?}: {}",
            done.stdout
        );
    }
}
