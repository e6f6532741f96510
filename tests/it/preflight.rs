//! What would fail tonight is said today: by step, with what is missing and what to type.

use std::sync::Arc;

use azir::lab::scenario::Scenario;
use serde_json::{Value, json};

use crate::lab_support::with_roles;
use crate::support::{Azir, SUB};

const CUT: [&str; 2] = ["isolate-vm", "vm-app-01"];
const GROUP: &str = "resourceGroups/rg-workload-prod";

/// A lab whose responder has these actions in the subscription and no others.
fn allowed(actions: &[&str]) -> Azir {
    let custom = json!({"name": "Own", "actions": actions});
    let scenario = with_roles(&[("Own", SUB)], &custom.to_string());
    Azir::with("faults: []", |options| options.scenario = scenario)
}

/// A lab with more resources than the usual ones.
fn besides(resource: Value) -> Azir {
    let mut scenario = Scenario::load("default").unwrap();
    let Value::Object(resource) = resource else {
        panic!("{resource} is no resource");
    };
    scenario.resources.push(resource);
    Azir::with("faults: []", |options| options.scenario = scenario)
}

/// Makes a preflight of an isolation; returns the exit code and the whole answer.
fn preflight(azir: &Azir) -> (i32, Value) {
    let (code, told) = azir.json(&["preflight", CUT[0], CUT[1], "--incident", "IR-1"]);
    assert_eq!(azir.all_writes(), Vec::<String>::new());
    let schema: Value =
        serde_json::from_str(&azir.run(&["schema", "preflight"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&told)
        .map(|problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
    (code, told)
}

/// Returns the answers about one thing with a verdict.
fn of<'t>(told: &'t Value, what: &str, verdict: &str) -> Vec<&'t Value> {
    let answers = told["preflight"].as_array().unwrap().iter();
    answers
        .filter(|answer| answer["what"] == what && answer["verdict"] == verdict)
        .collect()
}

/// Returns the only answer about a step with a verdict.
fn only<'t>(told: &'t Value, what: &str, verdict: &str, step: &str) -> &'t Value {
    let all = of(told, what, verdict);
    let mut these = all.into_iter().filter(|answer| answer["step"] == step);
    let found = these.next();
    assert!(these.next().is_none(), "{step} has two: {told}");
    found.unwrap_or_else(|| panic!("no {verdict} {what} of {step}: {told:#}"))
}

#[test]
fn what_is_held_passes_step_by_step() {
    let azir = Azir::new();
    let (code, told) = preflight(&azir);
    assert_eq!((code, &told["verdict"]), (0, &json!("PASS")), "{told:#}");
    for step in ["capture.snapshots", "swap", "flows", "identities", "tags"] {
        only(&told, "permissions", "PASS", step);
    }
    only(&told, "policy", "PASS", "capture.snapshots");
    for what in ["clock", "token", "throttle", "vault"] {
        assert_eq!(of(&told, what, "PASS").len(), 1, "{what}: {told:#}");
    }
    let done = azir.run(&["preflight", CUT[0], CUT[1]]);
    assert_eq!(done.code, 0);
    let first = done.stdout.lines().next().unwrap();
    assert_eq!(first, "PREFLIGHT isolate-vm 1.0.0: PASS");
}

#[test]
fn a_missing_action_is_named_with_the_smallest_role_that_has_it() {
    let azir = allowed(&["*/read", "Microsoft.Compute/*", "Microsoft.Resources/tags/*"]);
    let (code, told) = preflight(&azir);
    assert_eq!((code, &told["verdict"]), (5, &json!("FAIL")));
    let answer = only(&told, "permissions", "FAIL", "swap");
    assert_eq!(answer["role"], "Network Contributor");
    assert_eq!(
        answer["missing"],
        json!([
            "Microsoft.Network/networkInterfaces/write",
            "Microsoft.Network/networkSecurityGroups/join/action"
        ])
    );
    let scope = format!("{SUB}/{GROUP}");
    assert_eq!(answer["scope"], scope);
    let next = answer["next"].as_str().unwrap();
    assert!(next.starts_with("az role assignment create --role \"Network Contributor\" --assignee "));
    assert!(next.ends_with(&format!(" --scope {scope}")), "{next}");
    assert!(answer["text"].as_str().unwrap().ends_with(next));
    only(&told, "permissions", "PASS", "tags");
    // Something of it would take effect, so that it is not refused as a whole.
    assert_eq!(of(&told, "preflight", "FAIL"), Vec::<&Value>::new());
    let done = azir.run(&["isolate-vm", "vm-app-01", "--plan"]);
    assert_eq!(done.code, 5);
    assert!(done.stdout.contains(&format!("next: {next}")), "{}", done.stdout);
}

#[test]
fn a_run_of_which_nothing_would_be_accepted_is_refused_before_any_write() {
    let azir = allowed(&["*/read", "Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action"]);
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    assert_eq!(of(&told, "preflight", "FAIL").len(), 1, "{told:#}");
    let azir = allowed(&["*/read"]);
    let (code, told) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
    assert_eq!((code, &told["error"]["code"]), (5, &json!("preflight")));
    let hint = told["error"]["hint"].as_str().unwrap();
    assert!(hint.starts_with("az role assignment create --role "), "{hint}");
    assert_eq!(azir.all_writes(), Vec::<String>::new());
}
