//! `revoke-app` in hard cases: half of the cut refused, an identity of a machine, a caller who may not.

use serde_json::Value;

use crate::support::Azir;

const SHOP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
const SHOPS_APP_ID: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01";

fn open(report: &Value) -> String {
    let items = report["residual"].as_array().unwrap().iter();
    let all: Vec<&str> = items.map(|item| item["what"].as_str().unwrap()).collect();
    all.join("\n")
}

fn principal(azir: &Azir, name: &str) -> Value {
    let state = azir.lab.state();
    let all = state["directory"]["servicePrincipals"].as_object().unwrap();
    all.values()
        .find(|one| one["displayName"] == name)
        .unwrap()
        .clone()
}

#[test]
fn one_object_that_cannot_be_disabled_is_named_and_the_rest_is_done() {
    let faults = r"
faults:
  - {method: PATCH, path: /v1.0/applications/, times: 100, do: status, status: 403, code: Authorization_RequestDenied}
";
    let azir = Azir::with(faults, |_| {});
    let (code, report) = azir.json(&["revoke-app", "shop-backend", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 3, "{report}");
    let hint = report["targets"][0]["error"]["hint"].as_str().unwrap();
    assert!(
        hint.contains("for the Graph permissions that it needs"),
        "{hint}"
    );
    let open = open(&report);
    assert!(
        open.contains("NOT CUT: shop-backend can still sign in in other tenants"),
        "{open}"
    );
    assert!(!open.contains("can still sign in here"), "{open}");
    assert_eq!(principal(&azir, "shop-backend")["accountEnabled"], false);
    assert_ne!(
        azir.lab.state()["directory"]["applications"][SHOP]["isDisabled"],
        true
    );
    let asked = azir.lab.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.path.ends_with("/federatedIdentityCredentials")),
        "the inventory is made"
    );
}

#[test]
fn a_machines_identity_is_disabled_and_its_tokens_are_said_to_live_longer() {
    let azir = Azir::new();
    let (code, report) = azir.json(&["revoke-app", "vm-hard-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(principal(&azir, "vm-hard-01")["accountEnabled"], false);
    let open = open(&report);
    assert!(
        open.contains("for up to 24 hours; azir isolate-vm takes the identity from a machine"),
        "{open}"
    );
    assert!(
        !open.contains("60 to 90 minutes") && !open.contains("only that tenant can end it"),
        "{open}"
    );
}

#[test]
fn who_may_not_changes_nothing_and_is_told_that_nothing_is_cut() {
    let azir = Azir::new();
    let words = ["revoke-app", SHOPS_APP_ID, "--incident", "IR-1", "--yes"];
    let before = azir.lab.state()["directory"].clone();
    let output = azir
        .command(&words)
        .env("AZURE_CLIENT_ID", "44444444-4444-4444-8444-444444444445")
        .env("AZURE_CLIENT_SECRET", "lab-secret-of-the-junior")
        .output()
        .unwrap();
    let done = crate::support::done(output);
    assert_ne!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let told = format!("{}{}", done.stdout, done.stderr);
    for what in [
        "NOT CUT: shop-backend can still sign in here",
        "NOT CUT: shop-backend can still sign in in other tenants",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let after = azir.lab.state()["directory"].clone();
    for kind in [
        "applications",
        "servicePrincipals",
        "oauth2PermissionGrants",
        "appRoleAssignments",
        "owners",
    ] {
        assert_eq!(after[kind], before[kind], "{kind}");
    }
}
