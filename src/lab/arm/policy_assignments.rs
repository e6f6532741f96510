//! Assignments of policies, and the two built-in definitions that the lab knows (arm.md section 7.1).
//!
//! The service takes minutes until an assignment has effect; here it has at once.

use serde_json::{Value, json};

use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::gate::{below, scope_of};
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type of assignments.
pub(super) const ASSIGNMENT: &str = "Microsoft.Authorization/policyAssignments";
const DEFINITION: &str = "Microsoft.Authorization/policyDefinitions";
/// "Allowed locations".
pub(super) const LOCATIONS: &str = "e56962a6-4747-49cd-b67b-bf8b01975c4c";
/// "Not allowed resource types".
pub(super) const TYPES: &str = "6c112d4e-5bc7-47ae-a041-ea2d9dccd749";
/// The definitions: name, what a person calls it, the one parameter that each needs.
const DEFINITIONS: &[(&str, &str, &str)] = &[
    (LOCATIONS, "Allowed locations", "listOfAllowedLocations"),
    (
        TYPES,
        "Not allowed resource types",
        "listOfResourceTypesNotAllowed",
    ),
];
/// The longest name of an assignment.
const LONGEST: usize = 128;

/// Returns whether a request reads a built-in definition, which stands above every subscription.
pub(super) fn is_everybodys(kind: &str, id: &str, method: &str) -> bool {
    method == "GET"
        && kind.eq_ignore_ascii_case(DEFINITION)
        && !id.to_ascii_lowercase().starts_with("/subscriptions/")
}

impl Arm<'_> {
    /// One assignment, or those at, above and below a scope.
    pub(super) fn policy_assignments(&mut self, target: Target) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => match self.store.get(id.as_str()) {
                Some(found) => Ok(Reply::json(200, found)),
                None => Err(absent(&id)),
            },
            ("GET", Target::List { scope, .. }) => {
                let here = below(&scope);
                let near = |item: &&Value| {
                    let id = item["id"].as_str().unwrap_or_default();
                    let at = below(scope_of(id, ASSIGNMENT));
                    here.starts_with(&at) || at.starts_with(&here)
                };
                let found = self.store.of_type("", ASSIGNMENT).filter(near);
                Ok(self.list(&found.cloned().collect::<Vec<_>>()))
            }
            ("PUT", Target::Resource(id)) => self.put_policy(&id),
            ("DELETE", Target::Resource(id)) => Ok(match self.store.delete(id.as_str()) {
                Some(old) => Reply::json(200, &old),
                None => Reply::empty(204),
            }),
            (method, _) => Err(not_modelled(&format!("{method} on {ASSIGNMENT}"))),
        }
    }

    /// Shows a built-in definition.
    pub(super) fn policy_definitions(&self, target: &Target) -> Result<Reply, Reply> {
        let Target::Resource(id) = target else {
            return Err(not_modelled("lists of policy definitions"));
        };
        let known = DEFINITIONS.iter().find(|(name, ..)| *name == id.name());
        let Some((name, title, parameter)) = known.filter(|_| self.ask.method == "GET") else {
            return Err(not_modelled(&format!("the policy definition {id}")));
        };
        let mut parameters = json!({});
        parameters[*parameter] = json!({"type": "Array", "metadata": {"displayName": title}});
        let definition = json!({"id": format!("/providers/{DEFINITION}/{name}"), "name": name, "type": DEFINITION, "properties": {
            "displayName": title, "policyType": "BuiltIn", "mode": "Indexed", "parameters": parameters, "policyRule": {"then": {"effect": "deny"}}}});
        Ok(Reply::json(200, &definition))
    }

    /// 201, also where one was there before.
    fn put_policy(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        if id.resource_group().is_some() {
            self.group_exists(id)?;
        }
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "location", "identity", "properties"],
            "PolicyAssignment",
        )?;
        let properties = &body["properties"];
        let known = [
            "definitionVersion",
            "description",
            "displayName",
            "enforcementMode",
            "metadata",
            "nonComplianceMessages",
            "notScopes",
            "parameters",
            "policyDefinitionId",
            "scope",
        ];
        only_members(properties, &known, "PolicyAssignmentProperties")?;
        let refuse = |code: &str, message: String| Err(arm_error(400, code, &message));
        if id.name().len() > LONGEST {
            return refuse(
                "InvalidPolicyAssignmentName",
                format!("The name '{}' is longer than {LONGEST}.", id.name()),
            );
        }
        let metadata = &properties["metadata"];
        if !(metadata.is_null() || metadata.is_object()) {
            return refuse(
                "InvalidCreatePolicyAssignmentRequest",
                "The metadata must be an object.".to_owned(),
            );
        }
        let mode = properties["enforcementMode"].as_str().unwrap_or("Default");
        if !matches!(mode, "Default" | "DoNotEnforce") {
            return refuse(
                "InvalidCreatePolicyAssignmentRequest",
                format!("The enforcement mode '{mode}' is not known."),
            );
        }
        let definition = properties["policyDefinitionId"]
            .as_str()
            .unwrap_or_default();
        parameters_fit(definition, &properties["parameters"])?;
        let mut shown = properties.clone();
        shown["enforcementMode"] = json!(mode);
        shown["scope"] = json!(scope_of(id.as_str(), ASSIGNMENT));
        shown["metadata"]["createdBy"] = json!(self.claims.oid);
        if let Some(members) = shown.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        let value =
            json!({"id": id.as_str(), "name": id.name(), "type": ASSIGNMENT, "properties": shown});
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(201, &value))
    }
}

fn absent(id: &ArmId) -> Reply {
    let message = format!("The policy assignment '{}' is not found.", id.name());
    arm_error(404, "PolicyAssignmentNotFound", &message)
}

fn parameters_fit(definition: &str, given: &Value) -> Result<(), Reply> {
    let name = definition.rsplit('/').next().unwrap_or_default();
    let Some((.., needed)) = DEFINITIONS.iter().find(|(known, ..)| *known == name) else {
        return Err(not_modelled(&format!(
            "the policy definition {definition:?}"
        )));
    };
    let given = given.as_object();
    let unknown = given.and_then(|given| given.keys().find(|name| name.as_str() != *needed));
    if let Some(unknown) = unknown {
        let message = format!(
            "The policy assignment has the parameter '{unknown}', which its definition does not have."
        );
        return Err(arm_error(400, "UndefinedPolicyParameter", &message));
    }
    match given.and_then(|given| given.get(*needed)) {
        Some(value) if value["value"].is_array() => Ok(()),
        Some(_) => Err(arm_error(
            400,
            "InvalidPolicyParameterType",
            &format!("The parameter '{needed}' must be an array."),
        )),
        None => Err(arm_error(
            400,
            "MissingPolicyParameter",
            &format!("The policy assignment is missing the parameter '{needed}'."),
        )),
    }
}
