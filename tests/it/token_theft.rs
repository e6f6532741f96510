//! Token theft in five steps, from the cut to access given again; and access given again by itself.

use serde_json::{Value, json};

use crate::support::{Azir, SUB, each};

const HEIDI: &str = "88888888-8888-4888-8888-888888888802";
const SHOP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";

fn of_heidi(state: &Value, kind: &str) -> Vec<Value> {
    each(state, kind)
        .into_iter()
        .filter(|one| one["principalId"] == HEIDI)
        .cloned()
        .collect()
}

/// Resources of a kind, or of the lab's Azure, that name Heidi.
fn in_azure(state: &Value, kind: &str) -> Vec<Value> {
    state["resources"]
        .as_object()
        .unwrap()
        .values()
        .filter(|one| one["properties"]["principalId"] == HEIDI)
        .filter(|one| one["id"].as_str().unwrap().to_lowercase().contains(kind))
        .cloned()
        .collect()
}

fn texts(report: &Value, what: &str) -> String {
    let items = report[what].as_array().unwrap().iter();
    let all: Vec<&str> = items.filter_map(|item| item["what"].as_str()).collect();
    all.join("\n")
}

fn run(azir: &Azir, words: &[&str]) -> (i32, Value) {
    let mut words = words.to_vec();
    words.extend(["--incident", "IR-1", "--yes"]);
    azir.json(&words)
}

#[test]
fn a_user_whose_token_was_stolen_is_cut_what_it_read_is_rotated_and_its_roles_wait_for_a_clearance()
{
    let azir = Azir::new();
    let before = azir.lab.state();
    let clear = || {
        let words = ["note", "--clears", "heidi@contoso.com", "seen in person"];
        let said = azir.run(&[&words[..], &["--incident", "IR-1"]].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
    };
    // Who was cleared before the cut is not cleared of it.
    clear();
    let (code, report) = run(
        &azir,
        &[
            "respond-token-theft",
            "adversary-in-the-middle",
            "--user",
            "heidi@contoso.com",
        ],
    );
    // Three secrets are for a person to rotate, and nobody was there.
    assert_eq!(code, 3, "{report}");
    let state = azir.lab.state();
    let heidi = &state["directory"]["users"][HEIDI];
    assert_eq!(heidi["accountEnabled"], false);
    assert!(
        heidi["__password_sha256"].is_string(),
        "the page in between saw the old one"
    );
    let newest = each(&state, "vaultSecrets")
        .into_iter()
        .filter(|one| one["name"] == "shop-backend-secret")
        .max_by_key(|one| one["number"].as_u64())
        .unwrap()
        .clone();
    let passwords = state["directory"]["applications"][SHOP]["passwordCredentials"]
        .as_array()
        .unwrap();
    assert!(
        passwords
            .iter()
            .any(|one| one["__sha256"] == newest["__sha256"])
    );
    assert!(of_heidi(&state, "roleAssignments").is_empty());
    assert!(of_heidi(&state, "eligibilities").is_empty());
    assert!(in_azure(&state, "/roleassignments/").is_empty());
    // What the runbooks that it called found and left open is said of the whole.
    let (open, found) = (texts(&report, "residual"), texts(&report, "findings"));
    assert!(
        open.contains("access tokens already issued to heidi@contoso.com"),
        "{open}"
    );
    assert!(
        open.contains("shop-db is as the attacker may have read it"),
        "{open}"
    );
    assert!(
        open.contains("azir note --clears heidi@contoso.com"),
        "{open}"
    );
    assert!(
        found.contains("could read the secrets of key vault kv-shop"),
        "{found}"
    );

    let first = report["run"].as_str().unwrap();
    let fifth = [
        "respond-token-theft",
        "adversary-in-the-middle",
        "--user",
        "heidi@contoso.com",
        "--from",
        first,
    ];
    let written = azir.writes().len();
    let (code, refused) = run(&azir, &fifth);
    assert_eq!(code, 5, "{refused}");
    assert!(
        refused.to_string().contains("azir note --clears"),
        "{refused}"
    );
    let in_tenant = |writes: &[String]| {
        let tenants =
            |write: &&String| write.contains(" /v1.0/") || write.contains(" /subscriptions/");
        writes.iter().filter(tenants).count()
    };
    assert_eq!(in_tenant(&azir.writes()[written..]), 0);

    clear();
    let (code, report) = run(&azir, &fifth);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    let was: Vec<Value> = of_heidi(&before, "roleAssignments");
    let eligible = of_heidi(&state, "eligibilities");
    for role in &was {
        assert!(
            eligible
                .iter()
                .any(|one| one["roleDefinitionId"] == role["roleDefinitionId"]
                    && one["endDateTime"].is_string()),
            "{role} comes back, with an end: {eligible:?}"
        );
    }
    assert!(
        of_heidi(&state, "roleAssignments").is_empty(),
        "nothing stands again"
    );
    let azure = in_azure(&state, "/roleeligibilityscheduleinstances/");
    assert_eq!(azure.len(), in_azure(&before, "/roleassignments/").len());
    assert!(
        azure
            .iter()
            .all(|one| one["properties"]["endDateTime"].is_string())
    );
    assert_eq!(
        state["directory"]["users"][HEIDI]["accountEnabled"], false,
        "that is for azir undo"
    );
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(code, 0, "{undone}");
    let state = azir.lab.state();
    assert!(of_heidi(&state, "eligibilities").is_empty());
    assert!(in_azure(&state, "/roleeligibilityscheduleinstances/").is_empty());
}

#[test]
fn each_way_a_token_gets_away_cuts_what_it_must_and_asks_for_what_it_needs() {
    let azir = Azir::new();
    for (words, needs) in [
        (&["lost-laptop"][..], "--user"),
        (
            &["leaked-secret", "--user", "alice@contoso.com"],
            "--application",
        ),
        (
            &[
                "breached-saas",
                "--application",
                "shop-backend",
                "--keep-running",
            ],
            "--vault",
        ),
        (
            &[
                "leaked-secret",
                "--application",
                "shop-backend",
                "--keep-running",
            ],
            "--vault",
        ),
    ] {
        let mut all = vec!["respond-token-theft"];
        all.extend(words);
        let (code, refused) = run(&azir, &all);
        assert_eq!(code, 5, "{words:?}: {refused}");
        assert!(refused.to_string().contains(needs), "{words:?}: {refused}");
    }
    let (code, report) = run(
        &azir,
        &[
            "respond-token-theft",
            "lost-laptop",
            "--user",
            "alice@contoso.com",
            "--device",
            "DESKTOP-7QK2X",
        ],
    );
    assert!(matches!(code, 0 | 3 | 4), "{report}");
    let state = azir.lab.state();
    let named = |kind: &str, member: &str, name: &str| {
        let found = each(&state, kind)
            .into_iter()
            .find(|one| one[member] == name);
        found.unwrap().clone()
    };
    assert_eq!(
        named("users", "userPrincipalName", "alice@contoso.com")["accountEnabled"],
        false
    );
    assert_eq!(
        named("devices", "displayName", "DESKTOP-7QK2X")["accountEnabled"],
        false
    );
    assert!(
        named("users", "userPrincipalName", "alice@contoso.com")["__password_sha256"].is_null()
    );

    let (code, report) = run(
        &azir,
        &[
            "respond-token-theft",
            "leaked-secret",
            "--application",
            "shop-backend",
            "--keep-running",
            "--vault",
            "kv-shop",
            "--mode",
            "cut",
        ],
    );
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    let of = |kind: &str, id: &str| {
        let all = each(&state, kind);
        all.into_iter()
            .find(|one| one["id"] == id || one["displayName"] == id)
            .cloned()
    };
    let application = of("applications", SHOP).unwrap();
    let passwords = application["passwordCredentials"].as_array().map(Vec::len);
    assert_eq!(passwords, Some(1), "the leaked one is gone");
    let principal = of("servicePrincipals", "shop-backend").unwrap();
    assert_eq!(principal["accountEnabled"], true, "it keeps running");
}

#[test]
fn a_leaked_secret_and_a_breached_service_cut_the_application() {
    for entry in ["leaked-secret", "breached-saas"] {
        let azir = Azir::new();
        let words = [
            "respond-token-theft",
            entry,
            "--application",
            "shop-backend",
        ];
        let (code, report) = run(&azir, &words);
        assert!(matches!(code, 0 | 3 | 4), "{entry}: {report}");
        let state = azir.lab.state();
        let principal = each(&state, "servicePrincipals")
            .into_iter()
            .find(|one| one["displayName"] == "shop-backend")
            .unwrap()
            .clone();
        assert_eq!(principal["accountEnabled"], false, "{entry}");
        let id = principal["id"].as_str().unwrap();
        assert!(
            each(&state, "oauth2PermissionGrants")
                .iter()
                .all(|grant| grant["clientId"] != id),
            "{entry}"
        );
    }
}

#[test]
fn access_is_given_again_only_as_what_ends_and_only_to_whom_is_cleared() {
    let azir = Azir::new();
    let scope = format!("{SUB}/resourceGroups/rg-workload-prod");
    let reader = format!("Reader@{scope}");
    let give = |more: &[&str]| {
        let mut words = vec!["reissue-access", "bob@contoso.com"];
        words.extend(more);
        run(&azir, &words)
    };
    let (code, refused) = give(&["--role", "Security Reader"]);
    assert_eq!(code, 5, "{refused}");
    let said = azir.run(&[
        "note",
        "--clears",
        "bob@contoso.com",
        "seen in person",
        "--incident",
        "IR-1",
    ]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for (words, why) in [
        (&["--role", "Security Raeder"][..], "Security Raeder"),
        (&["--azure-role", "Reader"], "ROLE@SCOPE"),
        (
            &["--azure-role", &format!("No Such Role@{scope}")],
            "No Such Role",
        ),
        (&[], "no role is named"),
    ] {
        let (code, refused) = give(words);
        assert_eq!(code, 5, "{words:?}: {refused}");
        assert!(refused.to_string().contains(why), "{words:?}: {refused}");
    }
    let (code, report) = give(&[
        "--role",
        "Security Reader",
        "--azure-role",
        &reader,
        "--for",
        "8h",
    ]);
    assert_eq!(code, 0, "{report}");
    let asked = azir.lab.requests();
    assert!(
        asked
            .iter()
            .any(|one| one.method == "POST"
                && one.path.ends_with("/roleEligibilityScheduleRequests"))
    );
    let put = asked
        .iter()
        .find(|one| one.method == "PUT" && one.path.contains("/roleEligibilityScheduleRequests/"));
    assert!(
        put.is_some_and(|put| put.path.starts_with(&scope)),
        "{put:?}"
    );
    assert_eq!(
        json!(
            asked
                .iter()
                .any(|one| one.method == "POST" && one.path.ends_with("/roleAssignments"))
        ),
        json!(false)
    );
    // Somebody who is not the one that was cleared.
    let (code, refused) = run(
        &azir,
        &[
            "reissue-access",
            "alice@contoso.com",
            "--role",
            "Security Reader",
        ],
    );
    assert_eq!(code, 5, "{refused}");
}

#[test]
fn a_password_is_set_anew_in_the_cut_and_one_that_cannot_be_holds_nothing_up() {
    let azir = Azir::new();
    let words = [
        "revoke-user",
        "bob@contoso.com",
        "--reset-password",
        "--vault",
        "kv-shop",
    ];
    let (code, report) = run(&azir, &words);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    let bob = each(&state, "users")
        .into_iter()
        .find(|one| one["userPrincipalName"] == "bob@contoso.com")
        .unwrap()
        .clone();
    let name = format!("password-{}", bob["id"].as_str().unwrap());
    let kept = each(&state, "vaultSecrets")
        .into_iter()
        .find(|one| one["name"] == name)
        .unwrap();
    assert_eq!(kept["__sha256"], bob["__password_sha256"]);
    assert!(
        !texts(&report, "residual").contains("is as it was"),
        "{report}"
    );

    let azir = Azir::with("faults: []", |options| {
        for caller in &mut options.scenario.callers {
            caller
                .graph
                .retain(|right| right != "User-PasswordProfile.ReadWrite.All");
        }
    });
    let (code, report) = run(
        &azir,
        &["revoke-user", "bob@contoso.com", "--reset-password"],
    );
    assert_eq!(code, 3, "{report}");
    let open = texts(&report, "residual");
    assert!(
        open.contains("NOT RESET: the password of bob@contoso.com"),
        "{open}"
    );
    let state = azir.lab.state();
    let bob = each(&state, "users")
        .into_iter()
        .find(|one| one["userPrincipalName"] == "bob@contoso.com")
        .unwrap();
    assert_eq!(bob["accountEnabled"], false);
    let asked = azir.lab.requests();
    let revoked = asked
        .iter()
        .filter(|one| one.path.ends_with("/revokeSignInSessions"));
    assert!(
        revoked.count() >= 2,
        "sessions are revoked once more all the same"
    );
    assert!(
        asked.iter().any(|one| one.path.ends_with("/ownedObjects")),
        "and the rest is read"
    );
}

#[test]
fn a_vault_and_a_run_that_are_not_there_are_told_with_what_to_type() {
    let azir = Azir::new();
    for (words, says, next) in [
        (
            &["rotate-app-secret", "shop-backend", "--vault", "kv-shup"][..],
            "nearest: kv-shop",
            "azir rotate-app-secret shop-backend --vault kv-shop",
        ),
        (
            &[
                "rotate-app-secret",
                "--from",
                "apps.txt",
                "--vault",
                "kv-shop",
            ],
            "cannot read targets from apps.txt",
            "one target a line",
        ),
        (
            &[
                "rotate-app-secret",
                "--from",
                "0123abcd",
                "--vault",
                "kv-shop",
            ],
            "there is no run 0123abcd",
            "azir list",
        ),
    ] {
        let done = azir.run(&[words, &["--incident", "IR-1", "--yes"]].concat());
        assert!(
            matches!(done.code, 2 | 5),
            "{words:?}: {} {}",
            done.code,
            done.stderr
        );
        assert!(
            done.stderr.contains(says) && done.stderr.contains(next),
            "{words:?}: {}",
            done.stderr
        );
    }
}
