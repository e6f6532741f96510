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
    let schema: Value = serde_json::from_str(&azir.run(&["schema", "preflight"]).stdout).unwrap();
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
    let id = SUB.rsplit('/').next().unwrap();
    azir.configure(&format!("subscriptions = [\"{id}\"]"));
    let (code, told) = preflight(&azir);
    assert_eq!((code, &told["verdict"]), (0, &json!("PASS")), "{told:#}");
    for step in ["capture.snapshots", "swap", "flows", "identities", "tags"] {
        only(&told, "permissions", "PASS", step);
    }
    only(&told, "policy", "PASS", "capture.snapshots");
    for what in ["clock", "token", "throttle", "vault", "vault permissions"] {
        assert_eq!(of(&told, what, "PASS").len(), 1, "{what}: {told:#}");
    }
    let done = azir.run(&["preflight", CUT[0], CUT[1]]);
    assert_eq!(done.code, 0);
    let first = done.stdout.lines().next().unwrap();
    assert_eq!(first, "PREFLIGHT isolate-vm 1.0.0: PASS");
}

#[test]
fn a_missing_action_is_named_with_the_smallest_role_that_has_it() {
    let azir = allowed(&[
        "*/read",
        "Microsoft.Compute/*",
        "Microsoft.Resources/tags/*",
    ]);
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
    assert!(
        next.starts_with("az role assignment create --role \"Network Contributor\" --assignee ")
    );
    assert!(next.contains(&format!(" --scope {scope} && az ")), "{next}");
    assert!(answer["text"].as_str().unwrap().ends_with(next));
    only(&told, "permissions", "PASS", "tags");
    // Something of it would take effect, so that it is not refused as a whole.
    assert_eq!(of(&told, "preflight", "FAIL"), Vec::<&Value>::new());
    let done = azir.run(&["isolate-vm", "vm-app-01", "--plan"]);
    assert_eq!(done.code, 5);
    assert!(
        done.stdout.contains(&format!("next: {next}")),
        "{}",
        done.stdout
    );
}

#[test]
fn a_run_of_which_nothing_would_be_accepted_is_refused_before_any_write() {
    let azir = allowed(&[
        "*/read",
        "Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action",
    ]);
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    assert_eq!(of(&told, "preflight", "FAIL").len(), 1, "{told:#}");
    let azir = allowed(&["*/read"]);
    let (code, told) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
    assert_eq!((code, &told["error"]["code"]), (5, &json!("preflight")));
    let hint = told["error"]["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("az role assignment create --role "),
        "{hint}"
    );
    assert_eq!(azir.all_writes(), Vec::<String>::new());
}

#[test]
fn a_deny_assignment_overrides_every_role() {
    let denial = |principal: &str, kind: &str| {
        json!({
            "id": format!("{SUB}/{GROUP}/providers/Microsoft.Authorization/denyAssignments/d"),
            "name": "d",
            "type": "Microsoft.Authorization/denyAssignments",
            "properties": {
                "denyAssignmentName": "managed application", "scope": format!("{SUB}/{GROUP}"), "doNotApplyToChildScopes": false,
                "permissions": [{"actions": ["Microsoft.Network/*"], "notActions": ["*/read"]}],
                "principals": [{"id": principal, "type": kind}], "excludePrincipals": [], "isSystemProtected": true,
            },
        })
    };
    let azir = besides(denial(
        "00000000-0000-0000-0000-000000000000",
        "SystemDefined",
    ));
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    let answer = only(&told, "deny assignments", "FAIL", "swap");
    assert!(
        answer["text"]
            .as_str()
            .unwrap()
            .contains("managed application")
    );
    only(&told, "permissions", "PASS", "swap");
    // The service does as was said, and the run as well as it can.
    let (code, _) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
    assert_eq!(code, 3);
    // Whether the caller is in a group nobody knows here.
    let group = "99999999-9999-4999-8999-999999999999";
    let (code, told) = preflight(&besides(denial(group, "Group")));
    assert_eq!((code, &told["verdict"]), (0, &json!("UNKNOWN")));
    only(&told, "deny assignments", "UNKNOWN", "swap");
}

#[test]
fn a_lock_in_the_way_is_named_with_the_command_that_removes_it() {
    let mut scenario = Scenario::load("default").unwrap();
    let groups = &mut scenario.groups;
    let group = groups
        .iter_mut()
        .find(|group| group.name == "rg-workload-prod");
    group.unwrap().lock = Some("ReadOnly".to_owned());
    let azir = Azir::with("faults: []", |options| options.scenario = scenario);
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    let answer = only(&told, "locks", "FAIL", "swap");
    let lock = format!("{SUB}/{GROUP}/providers/Microsoft.Authorization/locks/freeze");
    assert_eq!(answer["scope"], lock);
    assert_eq!(answer["next"], format!("az lock delete --ids {lock}"));
}

#[test]
fn a_policy_that_denies_what_the_plan_creates_is_named() {
    let id = format!("{SUB}/providers/Microsoft.Authorization/policyAssignments/no-snapshots");
    let azir = besides(json!({
        "id": id, "name": "no-snapshots", "type": "Microsoft.Authorization/policyAssignments",
        "properties": {
            "policyDefinitionId": "/providers/Microsoft.Authorization/policyDefinitions/6c112d4e-5bc7-47ae-a041-ea2d9dccd749",
            "parameters": {"listOfResourceTypesNotAllowed": {"value": ["Microsoft.Compute/snapshots"]}},
            "enforcementMode": "Default",
        },
    }));
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    let answer = only(&told, "policy", "FAIL", "capture.snapshots");
    assert_eq!(answer["scope"], id);
    // The lab refuses it as was said.
    let done = azir.run(&["snapshot-vm", "vm-app-01", "--yes"]);
    assert_ne!(done.code, 0);
    assert!(
        done.stdout.contains("disallowed by policy"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_permission_that_the_token_for_graph_lacks_is_named() {
    let mut scenario = Scenario::load("default").unwrap();
    let graph = &mut scenario.callers[0].graph;
    graph.clear();
    graph.extend(
        [
            "User.Read.All",
            "Directory.Read.All",
            "User.RevokeSessions.All",
        ]
        .map(str::to_owned),
    );
    scenario.callers[0].directory_roles.clear();
    let azir = Azir::with("faults: []", |options| options.scenario = scenario);
    let words = [
        "preflight",
        "revoke-user",
        "alice@contoso.com",
        "--cut-only",
    ];
    let (code, told) = azir.json(&words);
    assert_eq!(code, 5, "{told:#}");
    let failed = of(&told, "graph permissions", "FAIL");
    let missing: Vec<&Value> = failed.iter().map(|answer| &answer["missing"][0]).collect();
    assert!(
        missing.contains(&&json!("User.EnableDisableAccount.All")),
        "{told:#}"
    );
    for answer in failed {
        let next = answer["next"].as_str().unwrap();
        assert!(next.starts_with("az ad app permission add --id "), "{next}");
    }
    assert!(!of(&told, "graph permissions", "PASS").is_empty());
    assert_eq!(azir.all_writes(), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_far_off_is_refused_in_the_preflight_and_holds_up_no_run() {
    let (away, near) = (chrono::TimeDelta::minutes(6), chrono::TimeDelta::minutes(3));
    for (by, verdict, code) in [(away, "FAIL", 5), (near, "UNKNOWN", 0)] {
        let azir = Azir::with("faults: []", |options| {
            options.clock = Arc::new(Skewed(by));
        });
        let (found, told) = preflight(&azir);
        assert_eq!(of(&told, "clock", verdict).len(), 1, "{told:#}");
        assert_eq!(found, code);
        let (code, _) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
        assert_eq!(code, 0);
    }
}

/// The clock of a cloud that is behind this machine.
struct Skewed(chrono::TimeDelta);

#[async_trait::async_trait]
impl azir::clock::Clock for Skewed {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        azir::clock::SystemClock.now() - self.0
    }

    fn mono_us(&self) -> u64 {
        azir::clock::SystemClock.mono_us()
    }

    async fn sleep(&self, duration: std::time::Duration) {
        azir::clock::SystemClock.sleep(duration).await;
    }
}

#[test]
fn what_cannot_be_read_is_unknown_and_the_run_goes_on() {
    for status in [403, 404, 501] {
        let rules: Vec<String> = [
            "permissions",
            "denyAssignments",
            "locks",
            "checkPolicyRestrictions",
        ]
        .iter()
        .map(|kind| {
            format!("{{path: /{kind}, do: status, status: {status}, code: Refused, times: 1000}}")
        })
        .collect();
        let azir = Azir::with(&format!("faults: [{}]", rules.join(", ")), |_| {});
        let (code, told) = preflight(&azir);
        assert_eq!((code, &told["verdict"]), (0, &json!("UNKNOWN")), "{told:#}");
        only(&told, "permissions", "UNKNOWN", "swap");
        for what in ["locks", "deny assignments"] {
            assert!(!of(&told, what, "UNKNOWN").is_empty(), "{what}");
        }
        assert_eq!(of(&told, "permissions", "PASS"), Vec::<&Value>::new());
        let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
        assert_eq!(code, 0, "{report}");
    }
}

#[test]
fn a_confirmed_run_asks_once_for_each_group_and_no_more() {
    let azir = Azir::new();
    let (code, _) = azir.json(&["isolate-vm", "vm-app-01", "--yes"]);
    assert_eq!(code, 0);
    let requests = azir.lab.requests();
    let asked = |kind: &str| {
        requests
            .iter()
            .filter(|request| request.path.contains(kind))
            .count()
    };
    assert_eq!(asked("Microsoft.Authorization/permissions"), 1);
    assert_eq!(asked("checkPolicyRestrictions"), 0);
}

#[test]
fn a_vault_in_which_the_caller_may_not_store_is_named_and_refuses_no_run() {
    let azir = allowed(&["*"]);
    let (code, told) = preflight(&azir);
    assert_eq!(code, 5);
    let all = of(&told, "vault permissions", "FAIL");
    let [answer] = &all[..] else {
        panic!("{told:#}");
    };
    assert_eq!(answer["role"], "Storage Blob Data Contributor");
    let missing = answer["missing"].to_string();
    assert!(missing.contains("blobs/write") && missing.contains("blobs/add/action"));
    let next = answer["next"].as_str().unwrap();
    assert!(next.starts_with("az role assignment create"), "{next}");
    assert!(next.ends_with("/containers/ir-evidence"), "{next}");
    let run = azir.run(&[CUT[0], CUT[1], "--incident", "IR-1", "--yes"]);
    let report = azir.json(&["show", "last"]).1;
    assert_eq!(
        report["targets"][0]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["id"] == "swap")
            .unwrap()["status"],
        "done",
        "{}",
        run.stderr
    );
}

#[test]
fn an_undo_is_looked_at_before_it_is_made() {
    let lock = format!("{SUB}/{GROUP}/providers/Microsoft.Authorization/locks/no-touch");
    let members = json!({"name": "no-touch", "type": "Microsoft.Authorization/locks", "properties": {"level": "ReadOnly"}});
    let script = json!({"faults": [{
        "method": "PATCH", "path": "/virtualMachines/vm-app-01/providers/Microsoft.Resources/tags",
        "do": "act-after", "act": [{"resource": lock, "set": members}],
    }]});
    let azir = Azir::with(&script.to_string(), |_| {});
    let run = azir.run(&[CUT[0], CUT[1], "--incident", "IR-1", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let before = azir.all_writes();
    let (code, told) = azir.json(&["undo", "last", "--plan"]);
    assert_eq!(code, 5, "{told:#}");
    for step in ["swap", "tags"] {
        let answer = only(&told, "locks", "FAIL", step);
        let text = answer["text"].as_str().unwrap();
        assert!(
            text.contains("no-touch") && text.contains("the rest would go on"),
            "{text}"
        );
        only(&told, "permissions", "PASS", step);
    }
    assert_eq!(azir.all_writes(), before);
}
