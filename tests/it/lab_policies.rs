//! The lab's policies are assigned, have effect, and are taken away; what their definition does not have is refused.

use serde_json::json;

use crate::lab_support::{Bench, NETWORK, SUB, at};

const POLICY: &str = "api-version=2022-06-01";
const LOCATIONS: &str =
    "/providers/Microsoft.Authorization/policyDefinitions/e56962a6-4747-49cd-b67b-bf8b01975c4c";

fn place() -> String {
    format!("{SUB}/providers/Microsoft.Authorization/policyAssignments/only-east?{POLICY}")
}

#[test]
fn an_assigned_policy_denies_until_it_is_taken_away() {
    let bench = Bench::new();
    let body = json!({"properties": {"policyDefinitionId": LOCATIONS, "parameters": {"listOfAllowedLocations": {"value": ["eastus"]}}}});
    let made = bench.call("PUT", &place(), &body);
    assert_eq!(made.status, 201);
    assert_eq!(made.body["properties"]["enforcementMode"], "Default");
    assert_eq!(bench.call("PUT", &place(), &body).status, 201);
    assert_eq!(bench.get(&place()).body["name"], "only-east");
    let put = || {
        let nsg = at("rg-security-prod/Microsoft.Network/networkSecurityGroups/nsg-new");
        let body = json!({"location": "westeurope"});
        bench.call("PUT", &format!("{nsg}?{NETWORK}"), &body)
    };
    assert_eq!(put().error(), (403, "RequestDisallowedByPolicy"));
    assert_eq!(bench.delete(&place()).status, 200);
    assert_eq!(bench.delete(&place()).status, 204);
    assert_eq!(
        bench.get(&place()).error(),
        (404, "PolicyAssignmentNotFound")
    );
    assert_eq!(put().status, 201);
}

#[test]
fn an_assignment_gives_its_definition_what_that_takes() {
    let bench = Bench::new();
    let put = |properties| {
        let body = json!({"properties": properties});
        let answer = bench.call("PUT", &place(), &body);
        answer.error().1.to_owned()
    };
    let of = |parameters| json!({"policyDefinitionId": LOCATIONS, "parameters": parameters});
    assert_eq!(put(of(json!({}))), "MissingPolicyParameter");
    let more = json!({"listOfAllowedLocations": {"value": []}, "colour": {"value": "red"}});
    assert_eq!(put(of(more)), "UndefinedPolicyParameter");
    let text = json!({"listOfAllowedLocations": {"value": "eastus"}});
    assert_eq!(put(of(text)), "InvalidPolicyParameterType");
    let mode = json!({"policyDefinitionId": LOCATIONS, "enforcementMode": "Perhaps"});
    assert_eq!(put(mode), "InvalidCreatePolicyAssignmentRequest");
    assert_eq!(put(json!({"policyDefinitionId": "/x/y"})), "NotModelled");
}

#[test]
fn who_may_not_assign_reads_the_built_in_definition_all_the_same() {
    let mut bench = Bench::new();
    bench.sign_in(
        "44444444-4444-4444-8444-444444444445",
        "lab-secret-of-the-junior",
    );
    let read = bench.get(&format!("{LOCATIONS}?{POLICY}"));
    assert_eq!(read.body["properties"]["displayName"], "Allowed locations");
    let refused = bench.call("PUT", &place(), &json!({"properties": {}}));
    assert_eq!(refused.error(), (403, "AuthorizationFailed"));
}
