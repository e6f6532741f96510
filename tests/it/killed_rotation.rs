//! A rotation may be killed at any of its writes, before or after it took effect: no secret is left on this machine,
//! none stays upstream that nobody knows, and an undo leaves what was there and was not removed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::killed::kill_at;
use crate::rotation::{holds, left_behind};
use crate::support::{Azir, each};

const VAULT: &str = "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-workload-prod/providers/Microsoft.KeyVault/vaults/kv-shop";
/// Characters of a secret that the lab's directory makes, and of one that azir makes at least.
const LENGTHS: [usize; 2] = [40, 32];

/// The secrets of every application, by key id: what each is.
fn passwords(state: &Value) -> BTreeMap<String, String> {
    let applications = state["directory"]["applications"].as_object().unwrap();
    let credentials = applications
        .values()
        .filter_map(|application| application["passwordCredentials"].as_array())
        .flatten();
    credentials
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            (text("keyId"), text("__sha256"))
        })
        .collect()
}

/// The enabled versions in all vaults: what each holds.
fn enabled(state: &Value) -> Vec<String> {
    let versions = each(state, "vaultSecrets").into_iter();
    let mut all: Vec<String> = versions
        .filter(|one| one["attributes"]["enabled"] == true)
        .map(|one| one["__sha256"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

/// The writes of a run to the directory and to vaults, each with which of its kind it is.
fn writes_of(words: &[&str]) -> Vec<(String, String, usize)> {
    let azir = Azir::new();
    let (code, report) = azir.json(words);
    assert_eq!(code, 0, "{report}");
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut writes = Vec::new();
    for request in azir.lab.requests() {
        let meant = request.host.starts_with("graph.") || request.host.contains(".vault.");
        if !request.write || !meant || request.status == 401 {
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
    for (method, path, nth) in &writes {
        let place = format!("{words:?}: {method} {path} {nth}");
        let fault = format!(
            "faults: [{{method: {method}, path: '{path}', nth: {nth}, do: delay-after, millis: 600000}}]"
        );
        let azir = Azir::with(&fault, |_| {});
        let before = azir.lab.state();
        kill_at(&azir, &all, method, path, *nth);
        let killed = azir.json(&["show", "last"]).1;
        assert_eq!(killed["status"], "halted", "{place}");
        assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2, "{place}");
        let unseen = |when: &str| {
            let left = left_behind(&azir);
            let state = azir.lab.state();
            let values = enabled(&state)
                .into_iter()
                .chain(passwords(&state).into_values());
            let known = passwords(&before);
            for sha256 in values.filter(|sha256| !known.values().any(|old| old == sha256)) {
                let found = LENGTHS.iter().any(|length| holds(&left, &sha256, *length));
                assert!(!found, "{place}: a secret lies on this machine {when}");
            }
        };
        unseen("after the kill");
        let run = killed["run"].as_str().unwrap();
        let done = azir.run(&["undo", run, "--yes", "--clearance", "a drill"]);
        assert_eq!(done.code, 0, "{place}: {}{}", done.stdout, done.stderr);
        unseen("after the undo");
        let after = azir.lab.state();
        let new: Vec<String> = passwords(&after)
            .into_keys()
            .filter(|key| !passwords(&before).contains_key(key))
            .collect();
        assert!(
            new.is_empty(),
            "{place}: {new:?} stays upstream and nobody knows it: {}",
            done.stdout
        );
        let (was, is) = (enabled(&before), enabled(&after));
        let added: Vec<&String> = is.iter().filter(|one| !was.contains(one)).collect();
        assert!(
            added.is_empty(),
            "{place}: a version stays that opens nothing: {}",
            done.stdout
        );
    }
}

#[test]
fn an_applications_secret_that_is_added_beside_the_old_ones() {
    let words = [
        "rotate-app-secret",
        "shop-backend",
        "--vault",
        VAULT,
        "--mode",
        "graceful",
    ];
    killed_anywhere(&words, 2);
}

#[test]
fn an_applications_secret_that_takes_the_place_of_the_old_ones() {
    let words = [
        "rotate-app-secret",
        "shop-backend",
        "--vault",
        VAULT,
        "--mode",
        "cut",
    ];
    killed_anywhere(&words, 3);
}

#[test]
fn a_vaults_secrets_with_their_upstream() {
    let words = [
        "rotate-vault-secrets",
        "kv-shop",
        "--only",
        "shop-backend-secret",
    ];
    killed_anywhere(&words, 3);
}

#[test]
fn a_users_password_that_a_vault_takes() {
    let words = ["reset-password", "bob@contoso.com", "--vault", VAULT];
    let azir = Azir::new();
    let mut all = words.to_vec();
    all.extend(["--incident", "IR-1", "--yes"]);
    let (code, report) = azir.json(&all);
    assert_eq!(code, 0, "{report}");
    let (method, path) = ("PUT", "/secrets/");
    let fault =
        format!("faults: [{{method: {method}, path: '{path}', do: delay-after, millis: 600000}}]");
    let azir = Azir::with(&fault, |_| {});
    let before = enabled(&azir.lab.state());
    kill_at(&azir, &all, method, path, 1);
    assert_eq!(azir.json(&["show", "last"]).1["status"], "halted");
    let left = left_behind(&azir);
    assert!(enabled(&azir.lab.state()) != before, "the vault took it");
    for sha256 in enabled(&azir.lab.state())
        .iter()
        .filter(|one| !before.contains(one))
    {
        assert!((20..60).all(|length| !holds(&left, sha256, length)));
    }
}
