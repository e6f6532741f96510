//! What takes means away from applications and principals may be killed at any of its writes: nothing is lost.
//!
//! The writes are found by a run of its own, so that a new one is tried without a word here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::killed::kill_at;
use crate::support::Azir;

/// Kinds whose objects come back under another id, and what they are apart from it.
const TAKEN: &[(&str, &[&str])] = &[
    (
        "appRoleAssignments",
        &["principalId", "resourceId", "appRoleId"],
    ),
    (
        "eligibilities",
        &["principalId", "roleDefinitionId", "directoryScopeId"],
    ),
    (
        "federatedIdentityCredentials",
        &["name", "issuer", "subject"],
    ),
    (
        "oauth2PermissionGrants",
        &[
            "clientId",
            "consentType",
            "principalId",
            "resourceId",
            "scope",
        ],
    ),
    ("owners", &["object", "owner"]),
    (
        "roleAssignments",
        &["principalId", "roleDefinitionId", "directoryScopeId"],
    ),
];
/// Kinds that stay, and what is changed of them.
const CHANGED: &[(&str, &[&str])] = &[
    (
        "applications",
        &["id", "isDisabled", "keyCredentials", "passwordCredentials"],
    ),
    (
        "servicePrincipals",
        &["id", "accountEnabled", "keyCredentials"],
    ),
    ("users", &["id", "accountEnabled"]),
];

/// Returns what an undo answers for, in an order of its own.
fn answered_for(state: &Value) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (kind, members) in TAKEN.iter().chain(CHANGED) {
        let objects = state["directory"][*kind].as_object();
        for object in objects.into_iter().flat_map(serde_json::Map::values) {
            let own: Vec<Value> = members
                .iter()
                // A member that was never written is as good as its default.
                .map(|name| match &object[*name] {
                    Value::Null | Value::Bool(false) => json!(false),
                    Value::String(text) => json!(text.trim()),
                    // The order of a credential's members is nobody's.
                    Value::Array(credentials) => credentials
                        .iter()
                        .map(|one| json!([one["keyId"], one["key"], one["endDateTime"]]))
                        .collect(),
                    other => other.clone(),
                })
                .collect();
            all.push(format!("{kind} {}", json!(own)));
        }
    }
    let azure = state["resources"].as_object().unwrap().values();
    let azure = azure.filter(|one| one["properties"]["roleDefinitionId"].is_string());
    all.extend(azure.map(|one| {
        let own = &one["properties"];
        json!([own["principalId"], own["roleDefinitionId"], own["scope"]])
            .to_string()
            .to_lowercase()
    }));
    all.sort();
    all
}

/// Returns the writes of a run that go to the directory or to roles, each with which of its kind it is.
fn writes_of(words: &[&str]) -> Vec<(String, String, usize)> {
    let azir = Azir::new();
    let (code, report) = azir.json(words);
    assert_eq!(code, 0, "{report}");
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut writes = Vec::new();
    for request in azir
        .lab
        .requests()
        .into_iter()
        .filter(|request| request.write)
    {
        if !(request.path.starts_with("/v1.0/") || request.path.contains("/roleAssignments/")) {
            continue;
        }
        let nth = seen
            .entry((request.method.clone(), request.path.clone()))
            .or_default();
        *nth += 1;
        writes.push((request.method, request.path, *nth));
    }
    writes
}

fn killed_anywhere(words: &[&str], at_least: usize) {
    let mut all = words.to_vec();
    all.extend(["--incident", "IR-1", "--yes"]);
    let writes = writes_of(&all);
    assert!(writes.len() >= at_least, "{writes:?}");
    for (method, path, nth) in writes {
        let place = format!("{words:?}: {method} {path} {nth}");
        let azir = Azir::with(
            &format!(
                "faults: [{{method: {method}, path: '{path}', nth: {nth}, do: delay-after, millis: 600000}}]"
            ),
            |_| {},
        );
        let before = answered_for(&azir.lab.state());
        kill_at(&azir, &all, &method, &path, nth);
        let killed = azir.json(&["show", "last"]).1;
        assert_eq!(killed["status"], "halted", "{place}");
        let run = killed["run"].as_str().unwrap();
        let done = azir.run(&["undo", run, "--yes", "--clearance", "a drill"]);
        assert_eq!(done.code, 0, "{place}: {}{}", done.stdout, done.stderr);
        let after = answered_for(&azir.lab.state());
        let without = |all: &[String], others: &[String]| {
            let left = all.iter().filter(|one| !others.contains(one));
            left.cloned().collect::<Vec<_>>()
        };
        let (lost, new) = (without(&before, &after), without(&after, &before));
        assert!(
            after == before,
            "{place}: lost {lost:#?}, new {new:#?}: {}",
            done.stdout
        );
    }
}

#[test]
fn a_revoked_application_is_given_back_whole() {
    killed_anywhere(
        &[
            "revoke-app",
            "shop-backend",
            "--choose",
            "secrets_which=cccccccc-cccc-4ccc-8ccc-cccccccccc01",
            "--choose",
            "federated_which=all",
            "--choose",
            "owners_which=all",
        ],
        8,
    );
}

#[test]
fn revoked_consents_are_given_back_whole() {
    killed_anywhere(&["revoke-consent", "PDF Converter"], 2);
    killed_anywhere(&["revoke-consent", "shop-backend"], 5);
}

#[test]
fn stripped_roles_are_given_back_whole() {
    killed_anywhere(&["strip-roles", "heidi@contoso.com"], 4);
}
