//! Objects of the directory as targets: exact, resolved once before the run, and refused with what was meant.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Azir;

/// A runbook that only says what its target is.
fn look(kind: &str) -> String {
    format!(
        "azir: v1
name: look-at
version: 1.0.0
title: Look at what is meant
purpose: read
params:
  it: {{type: {kind}, position: 1, many: true, required: true, help: It}}
  other: {{type: user, help: Another}}
permissions:
  graph: [Directory.Read.All]
steps:
  - id: roles
    phase: inventory
    title: Read the directory roles
    read: {{graph: \"GET /v1.0/roleManagement/directory/roleAssignments\", query: {{$filter: \"principalId eq {{{{ it.id }}}}\"}}, pages: value}}
    let: {{found: \"{{{{ items }}}}\"}}
findings:
  - {{severity: info, for_each: \"{{{{ it | entries }}}}\", what: \"{{{{ item.key }}}}={{{{ 'null' if item.value == none else item.value }}}}\"}}
  - {{severity: info, when: \"{{{{ other != none }}}}\", what: \"other={{{{ (other or it).id }}}}\"}}
"
    )
}

fn azir(kind: &str) -> Azir {
    let azir = Azir::new();
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("look-at.yaml"), look(kind)).unwrap();
    azir
}

/// Runs with these targets and returns what each was resolved to, member by member, by the name it is called.
fn resolved(azir: &Azir, targets: &[&str]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut words = vec!["look-at"];
    words.extend(targets);
    words.extend(["--incident", "IR-1", "--yes"]);
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    let mut resolved: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for finding in report["findings"].as_array().unwrap() {
        let (member, value) = finding["what"].as_str().unwrap().split_once('=').unwrap();
        for target in finding["targets"].as_array().unwrap() {
            resolved
                .entry(target.as_str().unwrap().to_owned())
                .or_default()
                .insert(member.to_owned(), value.to_owned());
        }
    }
    resolved
}

fn object(members: &[(&str, &str)]) -> BTreeMap<String, String> {
    members
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Returns the error of a command that is refused before any run.
fn refusal(azir: &Azir, target: &str) -> (i32, Value) {
    let (code, said) = azir.json(&["look-at", target, "--incident", "IR-1", "--yes"]);
    (code, said["error"].clone())
}

#[test]
fn a_user_is_meant_by_name_or_id_and_named_twice_is_one_target() {
    let azir = azir("user");
    let id = "88888888-8888-4888-8888-888888888801";
    let found = resolved(&azir, &["ALICE@contoso.com", id]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found["alice@contoso.com"],
        object(&[
            ("display_name", "Alice Adams"),
            ("enabled", "true"),
            ("id", id),
            ("name", "alice@contoso.com"),
            ("synced", "false"),
            ("upn", "alice@contoso.com"),
            ("user_type", "Member"),
        ])
    );
    let guest = "gary_partner.example#EXT#@contoso.onmicrosoft.com";
    let found = resolved(&azir, &[guest, "sam@contoso.com"]);
    assert_eq!(found[guest]["user_type"], "Guest");
    assert_eq!(found["sam@contoso.com"]["synced"], "true");
}

#[test]
fn a_target_is_called_by_its_name_and_other_parameters_are_resolved_too() {
    let azir = azir("user");
    let words = [
        "look-at",
        "alice@contoso.com",
        "--other",
        "bob@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ];
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["targets"][0]["target"], "alice@contoso.com");
    let other = "other=88888888-8888-4888-8888-888888888809";
    let findings = report["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["what"] == other),
        "{report}"
    );
}

#[test]
fn an_unknown_user_is_refused_with_who_is_near() {
    let azir = azir("user");
    let (code, error) = refusal(&azir, "alicia@contoso.com");
    assert_eq!(
        (code, &error["code"]),
        (5, &json!("unknown_target")),
        "{error}"
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("near: alice@contoso.com"),
        "{error}"
    );
    assert_eq!(error["hint"], "azir look-at alice@contoso.com");
    // A guest is found by the address that people know it by.
    let (_, error) = refusal(&azir, "gary@partner.example");
    assert_eq!(
        error["hint"],
        "azir look-at 'gary_partner.example#EXT#@contoso.onmicrosoft.com'"
    );
    // What looks like an option or a path is a name that nobody has.
    for odd in ["$select@contoso.com", "../groups", "x' or 'a' eq 'a"] {
        let (code, error) = refusal(&azir, odd);
        assert_eq!(
            (code, &error["code"]),
            (5, &json!("unknown_target")),
            "{odd}: {error}"
        );
    }
    assert!(azir.writes().is_empty());
}

#[test]
fn an_application_is_meant_by_any_of_its_ids_or_its_name() {
    let azir = azir("application");
    let app = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01";
    let own = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
    let found = resolved(&azir, &["shop-backend", app, own]);
    assert_eq!(found.len(), 1, "{found:?}");
    let principal = found["shop-backend"]["id"].clone();
    assert_eq!(
        found["shop-backend"],
        object(&[
            ("app_id", app),
            ("application_id", own),
            ("home_tenant", "11111111-1111-4111-8111-111111111111"),
            ("id", &principal),
            ("kind", "Application"),
            ("name", "shop-backend"),
        ])
    );
    assert_eq!(resolved(&azir, &[&principal]), found);
    let foreign = resolved(&azir, &["PDF Converter"]);
    let foreign = &foreign["PDF Converter"];
    assert_eq!(foreign["application_id"], "null");
    assert_eq!(
        foreign["home_tenant"],
        "eeeeeeee-eeee-4eee-8eee-eeeeeeeeee01"
    );
    let (code, error) = refusal(&azir, "heidi-tool");
    assert_eq!(code, 5);
    assert!(
        error["message"].as_str().unwrap().contains("heidi-tool-1"),
        "{error}"
    );
}

#[test]
fn devices_and_principals_are_exact_and_two_of_one_name_are_told_apart_by_id() {
    let device = azir("device");
    let found = resolved(&device, &["DESKTOP-7QK2X"]);
    let laptop = &found["DESKTOP-7QK2X"];
    assert_eq!(laptop["id"], "ffffffff-ffff-4fff-8fff-ffffffffff03");
    assert_eq!(resolved(&device, &[&laptop["device_id"]]), found);

    let principal = azir("principal");
    let found = resolved(
        &principal,
        &["heidi@contoso.com", "ra-helpdesk", "shop-backend"],
    );
    let kinds: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, one)| (name.as_str(), one["kind"].as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("heidi@contoso.com", "user"),
            ("ra-helpdesk", "group"),
            ("shop-backend", "servicePrincipal")
        ]
    );
    let (code, error) = refusal(&principal, "Chris Lee");
    assert_eq!(
        (code, &error["code"]),
        (5, &json!("ambiguous_target")),
        "{error}"
    );
    assert_eq!(
        error["message"]
            .as_str()
            .unwrap()
            .matches(" (user)")
            .count(),
        2,
        "{error}"
    );
}
