//! The lab's logs, verdicts and schedules answer as Microsoft Graph's do: what is asked wrongly, what ended, what is over.

use azir::lab::scenario::Scenario;
use serde_json::{Map, Value, json};

use crate::lab_directory::Directory;
use crate::lab_support::Bench;

const ALICE: &str = "88888888-8888-4888-8888-888888888801";
const HEIDI: &str = "88888888-8888-4888-8888-888888888802";
const PDF: &str = "dddddddd-dddd-4ddd-8ddd-dddddddddd01";
const SECURITY_READER: &str = "5d6b6bb7-de71-4623-b4af-96380a352509";

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn a_log_is_asked_by_moments_without_quotes() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let ask = |filter: &str| graph.get(&format!("auditLogs/signIns?$filter={filter}"));
    assert_eq!(
        ask("createdDateTime ge 2026-11-01T00:00:00.123456Z").status,
        200
    );
    for wrong in [
        "createdDateTime ge '2026-11-01T00:00:00Z'",
        "createdDateTime ge yesterday",
        "created ge 2026-11-01T00:00:00Z",
    ] {
        let refused = ask(wrong);
        assert_eq!(
            (refused.status, refused.error().1),
            (400, "BadRequest"),
            "{wrong}"
        );
    }
    let wrong = graph.get("auditLogs/signIns?$top=1001");
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_log_keeps_thirty_days() {
    let mut scenario = Scenario::load("default").unwrap();
    for (hours, name) in [(24 * 31, "old"), (24 * 29, "kept")] {
        scenario.directory.sign_ins.push(members(
            &json!({"user": "alice@contoso.com", "hours_ago": hours, "appDisplayName": name}),
        ));
        scenario.directory.audits.push(members(&json!({"by": "pia@contoso.com", "target": "alice@contoso.com", "hours_ago": hours, "activityDisplayName": name})));
    }
    let bench = Bench::with(scenario, |_| {});
    let graph = Directory::of(&bench);
    let found = |list: &str, name: &str| {
        let answer = graph.get(&format!("auditLogs/{list}?$top=1000"));
        let all = answer.body["value"].as_array().unwrap().clone();
        all.iter()
            .any(|record| record["appDisplayName"] == name || record["activityDisplayName"] == name)
    };
    for list in ["signIns", "directoryAudits"] {
        assert!(found(list, "kept"), "{list}");
        assert!(!found(list, "old"), "{list}");
    }
}

#[test]
fn an_eligibility_ends_a_time_after_its_start_and_is_then_gone() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let ask = |kind: &str, duration: &str| {
        graph.call(
            "POST",
            &format!("roleManagement/directory/role{kind}ScheduleRequests"),
            &json!({"action": "adminAssign", "principalId": ALICE, "roleDefinitionId": SECURITY_READER, "directoryScopeId": "/",
                "scheduleInfo": {"startDateTime": "2026-11-24T03:00:00Z", "expiration": {"type": "afterDuration", "duration": duration}}}),
        )
    };
    for wrong in ["", "8 hours", "PT8", "P1Y"] {
        assert_eq!(
            ask("Eligibility", wrong).error(),
            (400, "InvalidRoleAssignmentRequest"),
            "{wrong}"
        );
    }
    let instances = |kind: &str| {
        let list = format!(
            "roleManagement/directory/role{kind}ScheduleInstances?$filter=principalId eq '{ALICE}'"
        );
        graph.get(&list).body["value"].clone()
    };
    for kind in ["Eligibility", "Assignment"] {
        assert_eq!(ask(kind, "P1DT8H30M").body["status"], "Provisioned");
    }
    bench.pass(60);
    for kind in ["Eligibility", "Assignment"] {
        assert_eq!(
            instances(kind)[0]["endDateTime"],
            "2026-11-25T11:30:00Z",
            "{kind}"
        );
    }
    let log = graph.get("auditLogs/directoryAudits?$filter=loggedByService eq 'PIM'");
    assert_eq!(log.body["value"], json!([]), "the log is behind");
    bench.pass(120);
    let log = graph.get("auditLogs/directoryAudits?$filter=loggedByService eq 'PIM'");
    assert!(
        log.each("activityDisplayName")
            .contains(&"Add eligible member to role in PIM completed (timebound)"),
        "{log:?}"
    );
    bench.pass(33 * 3_600);
    let graph = Directory::of(&bench);
    for kind in ["Eligibility", "Assignment"] {
        let list = format!(
            "roleManagement/directory/role{kind}ScheduleInstances?$filter=principalId eq '{ALICE}'"
        );
        assert_eq!(graph.get(&list).body["value"], json!([]), "{kind}");
    }
}

#[test]
fn a_verdict_is_given_of_users_and_of_applications_that_are_there() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let say =
        |path: &str, body: Value| graph.call("POST", &format!("identityProtection/{path}"), &body);
    assert_eq!(
        say("riskyUsers/confirmSafe", json!({"userIds": [HEIDI]})).status,
        204
    );
    assert_eq!(
        say("riskyUsers/confirmCompromised", json!({"userIds": [PDF]})).status,
        404
    );
    assert_eq!(
        say("riskyUsers/confirmCompromised", json!({"userIds": []})).error(),
        (400, "BadRequest")
    );
    assert_eq!(
        say(
            "riskyUsers/confirmCompromised",
            json!({"servicePrincipalIds": [PDF]})
        )
        .status,
        400
    );
    let risky = graph.get(&format!("identityProtection/riskyUsers/{HEIDI}"));
    assert_eq!(risky.body["riskState"], "confirmedSafe");
    // One permission does not do for the other.
    let refused = say(
        "riskyServicePrincipals/confirmCompromised",
        json!({"servicePrincipalIds": [PDF]}),
    );
    assert_eq!(refused.error(), (403, "Authorization_RequestDenied"));
    let mut scenario = Scenario::load("default").unwrap();
    scenario.callers[0]
        .graph
        .push("IdentityRiskyServicePrincipal.ReadWrite.All".to_owned());
    let bench = Bench::with(scenario, |_| {});
    let graph = Directory::of(&bench);
    let risk = || graph.get(&format!("identityProtection/riskyServicePrincipals/{PDF}"));
    assert_eq!(risk().error(), (404, "ResourceNotFound"));
    for (verb, state, detail) in [
        (
            "confirmCompromised",
            "confirmedCompromised",
            "adminConfirmedServicePrincipalCompromised",
        ),
        (
            "dismiss",
            "dismissed",
            "adminDismissedAllRiskForServicePrincipal",
        ),
    ] {
        let said = graph.call(
            "POST",
            &format!("identityProtection/riskyServicePrincipals/{verb}"),
            &json!({"servicePrincipalIds": [PDF]}),
        );
        assert_eq!(said.status, 204, "{said:?}");
        bench.pass(60);
        let risk = risk();
        assert_eq!(
            (
                risk.body["riskState"].as_str(),
                risk.body["riskDetail"].as_str()
            ),
            (Some(state), Some(detail))
        );
        assert_eq!(risk.body["displayName"], "PDF Converter");
    }
}

#[test]
fn a_read_only_rule_is_neither_changed_nor_deleted() {
    let mut scenario = Scenario::load("default").unwrap();
    scenario.directory.inbox_rules = vec![members(
        &json!({"user": "alice@contoso.com", "displayName": "Fixed", "isReadOnly": true}),
    )];
    let bench = Bench::with(scenario, |_| {});
    let graph = Directory::of(&bench);
    let rules = format!("users/{ALICE}/mailFolders/inbox/messageRules");
    let id = graph.get(&rules).body["value"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rule = format!("{rules}/{id}");
    assert_eq!(
        graph.bare("DELETE", &rule).error(),
        (403, "ErrorAccessDenied")
    );
    assert_eq!(
        graph
            .call("PATCH", &rule, &json!({"isEnabled": false}))
            .error(),
        (403, "ErrorAccessDenied")
    );
    assert_eq!(graph.get(&rule).body["isEnabled"], true);
}

#[test]
fn policies_and_named_locations_are_read() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    assert_eq!(
        graph
            .get("identity/conditionalAccess/namedLocations")
            .each("displayName"),
        ["Head office"]
    );
    assert_eq!(
        graph.get("policies/adminConsentRequestPolicy").body["isEnabled"],
        false
    );
    assert_eq!(
        graph
            .bare("DELETE", "policies/adminConsentRequestPolicy")
            .error(),
        (501, "NotModelled")
    );
}
