//! Logic Apps, automation rules, saved searches and Automation accounts of the lab: kept, checked, never run.

use serde_json::{Value, json};

use crate::az_kit;
use crate::lab_support::{Answer, Bench, SUB, TENANT, at};

const LOGIC: &str = "api-version=2019-05-01";
const LAW: &str = "rg-security-prod/Microsoft.OperationalInsights/workspaces/law-security-prod";

fn bench() -> Bench {
    Bench::with(az_kit::scenario(), |_| {})
}

fn definition() -> Value {
    json!({"$schema": "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#", "contentVersion": "1.0.0.0", "triggers": {}, "actions": {}})
}

fn workflow(bench: &Bench, definition: &Value) -> Answer {
    let id = at("rg-security-prod/Microsoft.Logic/workflows/la-new");
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {"definition": definition}});
    bench.call("PUT", &format!("{id}?{LOGIC}"), &body)
}

#[test]
fn a_workflow_keeps_its_principal_and_is_switched_off_and_on() {
    let bench = bench();
    let made = workflow(&bench, &definition());
    assert_eq!(made.status, 201);
    let principal = made.body["identity"]["principalId"].clone();
    let again = workflow(&bench, &definition());
    assert_eq!(
        (again.status, &again.body["identity"]["principalId"]),
        (200, &principal)
    );
    let id = at("rg-security-prod/Microsoft.Logic/workflows/la-new");
    let state = || bench.get(&format!("{id}?{LOGIC}")).body["properties"]["state"].clone();
    assert_eq!(state(), "Enabled");
    for (action, left) in [
        ("disable", "Disabled"),
        ("disable", "Disabled"),
        ("enable", "Enabled"),
    ] {
        let done = bench.send(bench.request("POST", &format!("{id}/{action}?{LOGIC}")));
        assert_eq!((done.status, state()), (200, json!(left)));
    }
    let list = bench.get(&format!(
        "{SUB}/providers/Microsoft.Logic/workflows?{LOGIC}"
    ));
    assert_eq!(list.each("name"), ["la-new", "la-exfil"]);
    assert_eq!(bench.delete(&format!("{id}?{LOGIC}")).status, 200);
    assert_eq!(bench.delete(&format!("{id}?{LOGIC}")).status, 204);
    let wrong = workflow(&bench, &json!({"triggers": {}}));
    assert_eq!(wrong.error(), (400, "InvalidTemplate"));
    let run = bench.send(bench.request("POST", &format!("{id}/run?{LOGIC}")));
    assert_eq!(run.error(), (501, "NotModelled"));
}

#[test]
fn an_automation_rule_names_a_playbook_its_tenant_and_severities_that_exist() {
    let bench = bench();
    workflow(&bench, &definition());
    let playbook = at("rg-security-prod/Microsoft.Logic/workflows/la-new");
    let put = |severity: &str, action: Value| {
        let path = format!(
            "{}/providers/Microsoft.SecurityInsights/automationRules/r1?api-version=2024-09-01",
            at(LAW)
        );
        let condition = json!({"conditionType": "Property", "conditionProperties": {"propertyName": "IncidentSeverity", "operator": "Equals", "propertyValues": [severity]}});
        let logic = json!({"isEnabled": true, "triggersOn": "Incidents", "triggersWhen": "Created", "conditions": [condition]});
        bench.call("PUT", &path, &json!({"properties": {"displayName": "Isolate", "order": 1, "triggeringLogic": logic, "actions": [{"actionType": "RunPlaybook", "order": 1, "actionConfiguration": action}]}}))
    };
    let good = json!({"logicAppResourceId": playbook, "tenantId": TENANT});
    assert_eq!(put("High", good.clone()).status, 201);
    assert_eq!(put("Low", good.clone()).status, 200);
    assert_eq!(put("Critical", good).error(), (400, "BadRequest"));
    assert_eq!(
        put("High", json!({"logicAppResourceId": playbook})).status,
        400
    );
    let nowhere = json!({"logicAppResourceId": format!("{playbook}x"), "tenantId": TENANT});
    assert_eq!(put("High", nowhere).status, 400);
}

#[test]
fn a_saved_search_is_kept_under_its_etag() {
    let bench = bench();
    let place = |name: &str| format!("{}/savedSearches/{name}?api-version=2020-08-01", at(LAW));
    let search = json!({"category": "Hunting Queries", "displayName": "Odd", "query": "SigninLogs | take 1"});
    let made = bench.call("PUT", &place("s1"), &json!({"properties": search}));
    assert_eq!(made.status, 200);
    let put = |etag: &Value| {
        bench
            .call(
                "PUT",
                &place("s1"),
                &json!({"etag": etag, "properties": search}),
            )
            .status
    };
    assert_eq!(
        (
            put(&made.body["etag"]),
            put(&made.body["etag"]),
            put(&json!("*"))
        ),
        (200, 409, 200)
    );
    let bare = bench.call(
        "PUT",
        &place("s2"),
        &json!({"properties": {"displayName": "x"}}),
    );
    assert_eq!(bare.status, 400);
    let list = bench.get(&format!("{}/savedSearches?api-version=2020-08-01", at(LAW)));
    assert_eq!(list.each("name"), ["s1"]);
    assert_eq!(bench.delete(&place("s1")).status, 200);
    let elsewhere = place("s1").replace("law-security-prod", "law-nowhere");
    assert_eq!(
        bench
            .call("PUT", &elsewhere, &json!({"properties": search}))
            .status,
        404
    );
}

#[test]
fn automation_accounts_and_their_runbooks_are_shown_and_not_changed() {
    let bench = bench();
    let account = at("rg-workload-prod/Microsoft.Automation/automationAccounts/aa-nightly");
    let runbooks = bench.get(&format!("{account}/runbooks?api-version=2023-11-01"));
    assert_eq!(runbooks.each("name"), ["Start-Miner"]);
    let changed = bench.call(
        "PUT",
        &format!("{account}/runbooks/New?api-version=2023-11-01"),
        &json!({}),
    );
    assert_eq!(changed.error(), (501, "NotModelled"));
}
