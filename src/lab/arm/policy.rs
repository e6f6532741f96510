//! Azure Policy: what assignments of two built-in definitions refuse, and what a check says beforehand
//! (arm.md section 1.4; "Policy Restrictions - Check At Resource Group Scope").

use serde_json::{Value, json};

use super::policy_assignments::{ASSIGNMENT, LOCATIONS, TYPES};
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::gate::{below, scope_of};
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::store::Store;

/// The action that a check takes, though it is a POST.
pub(super) const CHECK: &str = "Microsoft.PolicyInsights/checkPolicyRestrictions/read";

/// What a resource breaks.
struct Broken {
    assignment: Value,
    expression: Value,
}

impl Arm<'_> {
    /// Answers whether policies would refuse a resource that is not there.
    pub(super) fn check_restrictions(&self, scope: &str, version: &str) -> Result<Reply, Reply> {
        if version != "2022-03-01" {
            return Err(not_modelled(&format!(
                "checkPolicyRestrictions of {version}"
            )));
        }
        let body = self.ask.json()?;
        only_members(
            &body,
            &["resourceDetails", "pendingFields"],
            "CheckRestrictionsRequest",
        )?;
        let details = &body["resourceDetails"];
        only_members(
            details,
            &["resourceContent", "apiVersion", "scope"],
            "CheckRestrictionsResourceDetails",
        )?;
        if body["pendingFields"]
            .as_array()
            .is_some_and(|fields| !fields.is_empty())
        {
            return Err(not_modelled("pendingFields of checkPolicyRestrictions"));
        }
        let content = &details["resourceContent"];
        let Some(kind) = content["type"].as_str() else {
            return Err(arm_error(
                400,
                "InvalidRequestContent",
                "The resource content must have a type.",
            ));
        };
        let evaluations: Vec<Value> = broken(self.store, scope, kind, content)?
            .into_iter()
            .map(|one| {
                json!({
                    "policyInfo": {
                        "policyDefinitionId": one.assignment["properties"]["policyDefinitionId"],
                        "policyAssignmentId": one.assignment["id"],
                    },
                    "evaluationResult": "NonCompliant",
                    "evaluationDetails": {"evaluatedExpressions": [one.expression]},
                })
            })
            .collect();
        let answer = json!({"fieldRestrictions": [], "contentEvaluationResult": {"policyEvaluations": evaluations}});
        Ok(Reply::json(200, &answer))
    }

    /// Refuses a resource that a policy denies.
    pub(super) fn policies(&self, id: &ArmId, kind: &str) -> Result<(), Reply> {
        if self.ask.method != "PUT" || id.resource_group().is_none() {
            return Ok(());
        }
        let Ok(body) = self.ask.json() else {
            // What is no JSON is refused in its own words.
            return Ok(());
        };
        let broken = broken(self.store, id.as_str(), kind, &body)?;
        let Some(first) = broken.first() else {
            return Ok(());
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let definition = text(&first.assignment["properties"]["policyDefinitionId"]);
        let identifiers = json!([{
            "policyAssignment": {"name": first.assignment["name"], "id": first.assignment["id"]},
            "policyDefinition": {"name": definition.rsplit('/').next(), "id": definition},
        }]);
        let message = format!(
            "Resource '{}' was disallowed by policy. Policy identifiers: '{identifiers}'.",
            id.name()
        );
        let error = json!({"error": {
            "code": "RequestDisallowedByPolicy", "target": id.name(), "message": message,
            "additionalInfo": [{"type": "PolicyViolation", "info": {
                "policyDefinitionId": definition, "policyAssignmentId": first.assignment["id"], "policyDefinitionEffect": "deny",
                "evaluationDetails": {"evaluatedExpressions": [first.expression]},
            }}],
        }});
        Err(Reply::json(403, &error))
    }
}

/// Returns what a resource at a scope breaks.
fn broken(store: &Store, scope: &str, kind: &str, content: &Value) -> Result<Vec<Broken>, Reply> {
    let here = below(scope);
    let mut broken = Vec::new();
    for assignment in store.of_type("", ASSIGNMENT) {
        let properties = &assignment["properties"];
        let at = scope_of(assignment["id"].as_str().unwrap_or_default(), ASSIGNMENT);
        let spared = properties["notScopes"].as_array().into_iter().flatten();
        let mut spared = spared.filter_map(Value::as_str).map(below);
        if !here.starts_with(&below(at))
            || properties["enforcementMode"] == "DoNotEnforce"
            || spared.any(|spared| here.starts_with(&spared))
        {
            continue;
        }
        if let Some(expression) = judge(properties, kind, content)? {
            broken.push(Broken {
                assignment: assignment.clone(),
                expression,
            });
        }
    }
    Ok(broken)
}

/// Returns the expression by which a definition denies a resource, if it does.
fn judge(properties: &Value, kind: &str, content: &Value) -> Result<Option<Value>, Reply> {
    let definition = properties["policyDefinitionId"]
        .as_str()
        .unwrap_or_default();
    let listed = |parameter: &str| {
        let values = properties["parameters"][parameter]["value"].as_array();
        let values = values.into_iter().flatten().filter_map(Value::as_str);
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let among =
        |list: &[String], value: &str| list.iter().any(|known| known.eq_ignore_ascii_case(value));
    let expression = |field: &str, value: &str, operator: &str, list: Vec<String>| {
        json!({"result": "True", "expressionKind": "Field", "expression": field, "path": field,
            "expressionValue": value, "targetValue": list, "operator": operator})
    };
    match definition.rsplit('/').next().unwrap_or_default() {
        LOCATIONS => {
            let list = listed("listOfAllowedLocations");
            let location = content["location"].as_str().unwrap_or_default();
            // What has no location, or lies everywhere, is not meant.
            let free = location.is_empty() || location.eq_ignore_ascii_case("global");
            Ok((!free && !among(&list, location))
                .then(|| expression("location", location, "NotIn", list)))
        }
        TYPES => {
            let list = listed("listOfResourceTypesNotAllowed");
            Ok(among(&list, kind).then(|| expression("type", kind, "In", list)))
        }
        other => Err(not_modelled(&format!("the policy definition {other:?}"))),
    }
}
