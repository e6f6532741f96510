//! The role that `azir runbook role` prints runs the runbook, and less than it does not.

use serde_json::{Value, json};

use crate::lab_support::{SUB, with_roles};
use crate::support::Azir;

fn printed(name: &str) -> Value {
    let azir = Azir::new();
    let done = azir.run(&["runbook", "role", name, "--scope", SUB]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// A lab whose responder has this role and no other.
fn with(role: &Value) -> Azir {
    let name = role["Name"].as_str().unwrap();
    let custom =
        json!({"name": name, "actions": role["Actions"], "data_actions": role["DataActions"]});
    let scenario = with_roles(&[(name, SUB)], &custom.to_string());
    Azir::with("faults: []", |options| options.scenario = scenario)
}

/// Returns a role without one of its actions.
fn without(role: &Value, action: &str) -> Value {
    let mut less = role.clone();
    for member in ["Actions", "DataActions"] {
        let all = less[member].as_array_mut().unwrap();
        all.retain(|own| own != action);
    }
    assert_ne!(&less, role, "{action}");
    less
}

#[test]
fn the_role_of_a_runbook_runs_it_and_its_undo() {
    let role = printed("isolate-vm");
    assert_eq!(role["IsCustom"], true);
    assert_eq!(role["AssignableScopes"], json!([SUB]));
    let words = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    // The second has identities that an undo attaches again.
    for machine in ["vm-app-01", "vm-hard-01"] {
        let azir = with(&role);
        let own = words.map(|word| if word == "vm-app-01" { machine } else { word });
        let (code, report) = azir.json(&own);
        assert_eq!(code, 0, "{report}");
        let (code, undone) = azir.json(&["undo", "last", "--yes"]);
        assert_eq!(code, 0, "{undone}");
    }
    for action in [
        "Microsoft.Compute/snapshots/write",
        "Microsoft.Network/networkInterfaces/write",
        "Microsoft.Compute/virtualMachines/read",
    ] {
        let azir = with(&without(&role, action));
        assert_ne!(azir.run(&words).code, 0, "{action} is needed");
    }
}

#[test]
fn the_roles_of_other_runbooks_run_them() {
    for words in [
        &["snapshot-vm", "vm-app-01"][..],
        &[
            "rotate-vault-secrets",
            "kv-shop",
            "--only",
            "shop-backend-secret",
        ],
        &[
            "collect-activity-log",
            &format!("{SUB}/resourceGroups/rg-workload-prod"),
        ],
        &["revoke-user", "alice@contoso.com", "--cut-only"],
    ] {
        let azir = with(&printed(words[0]));
        let words = [words, &["--incident", "IR-1", "--yes"]].concat();
        let (code, report) = azir.json(&words);
        assert_eq!(code, 0, "{words:?}: {report}");
    }
}

#[test]
fn what_no_azure_role_gives_is_said_and_a_role_without_a_place_is_refused() {
    let azir = Azir::new();
    let done = azir.run(&["runbook", "role", "revoke-user", "--scope", SUB]);
    assert!(
        done.stderr.contains("User.RevokeSessions.All"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("User.RevokeSessions.All"));
    let done = azir.run(&["runbook", "role", "isolate-vm"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr
            .contains("azir runbook role isolate-vm --scope /subscriptions/ID"),
        "{}",
        done.stderr
    );
    let group = "/providers/Microsoft.Management/managementGroups/prod";
    for scope in ["prod", "/subscriptions", group] {
        let done = azir.run(&["runbook", "role", "isolate-vm", "--scope", scope]);
        assert_eq!(done.code, 2, "{}", done.stdout);
    }
    azir.configure("subscriptions = [\"22222222-2222-4222-8222-222222222222\"]");
    let done = azir.run(&["runbook", "role", "isolate-vm"]);
    assert!(done.stdout.contains(SUB), "{}{}", done.stdout, done.stderr);
}
