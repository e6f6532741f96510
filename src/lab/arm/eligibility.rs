//! Privileged Identity Management for Azure roles, and deny assignments (arm.md sections 6.3 and 6.6).

use serde_json::{Value, json};

use super::operations::instant;
use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::denials::{DENY, names, scope_of_denial};
use crate::lab::gate::{below, scope_of};
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::roles;

const INSTANCE: &str = "Microsoft.Authorization/roleEligibilityScheduleInstances";
const REQUEST: &str = "Microsoft.Authorization/roleEligibilityScheduleRequests";

impl Arm<'_> {
    /// Answers for eligible roles, and for deny assignments, which only the service makes.
    pub(super) fn eligibility(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            (
                "GET",
                "microsoft.authorization/roleeligibilityscheduleinstances",
                Target::List { scope, .. },
            ) => self.by_principal(&scope, INSTANCE),
            ("GET", "microsoft.authorization/denyassignments", Target::List { scope, .. }) => {
                self.denials(&scope)
            }
            (
                "PUT",
                "microsoft.authorization/roleeligibilityschedulerequests",
                Target::Resource(id),
            ) => self.ask_eligibility(&id),
            (
                "GET",
                "microsoft.authorization/roleeligibilityschedulerequests",
                Target::Resource(id),
            ) => Ok(Reply::json(200, &self.found(&id)?)),
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Returns deny assignments at and above a scope and, unless `atScope()`, below it.
    fn denials(&self, scope: &str) -> Result<Reply, Reply> {
        let filter = self.ask.query("$filter").unwrap_or_default();
        let quoted = |call: &str, end: &str| {
            let rest = filter.strip_prefix(call)?.strip_suffix(end)?;
            Some(rest.to_owned())
        };
        let principal = quoted("principalId eq '", "'").or_else(|| quoted("assignedTo('", "')"));
        let at_scope = filter == "atScope()";
        if principal.is_none() && !at_scope && !filter.is_empty() {
            return Err(not_modelled(&format!("the filter {filter:?} on {DENY}")));
        }
        let here = below(scope);
        let wanted = |denial: &&Value| {
            let at = below(scope_of_denial(denial));
            let placed = here.starts_with(&at) || (!at_scope && at.starts_with(&here));
            let own = principal.iter().cloned().collect::<Vec<_>>();
            placed && (own.is_empty() || names(denial, "principals", &own))
        };
        let found = self.store.of_type("", DENY).filter(wanted);
        Ok(self.list(&found.cloned().collect::<Vec<_>>()))
    }

    fn by_principal(&self, scope: &str, kind: &str) -> Result<Reply, Reply> {
        let wanted = match self.ask.query("$filter").unwrap_or_default() {
            "" | "atScope()" => None,
            filter => {
                let value = filter
                    .strip_prefix("principalId eq '")
                    .or_else(|| filter.strip_prefix("assignedTo('"))
                    .and_then(|rest| rest.split('\'').next());
                Some(
                    value
                        .ok_or_else(|| not_modelled(&format!("the filter {filter:?} on {kind}")))?,
                )
            }
        };
        let items: Vec<Value> = self
            .store
            .of_type(scope, kind)
            .filter(|value| {
                wanted.is_none_or(|wanted| {
                    value["properties"]["principalId"]
                        .as_str()
                        .is_some_and(|id| id.eq_ignore_ascii_case(wanted))
                })
            })
            .cloned()
            .collect();
        Ok(self.list(&items))
    }

    fn ask_eligibility(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(&body, &["properties"], "RoleEligibilityScheduleRequest")?;
        let known = [
            "principalId",
            "roleDefinitionId",
            "requestType",
            "justification",
            "scheduleInfo",
            "ticketInfo",
            "condition",
            "conditionVersion",
            "targetRoleEligibilityScheduleId",
        ];
        only_members(
            &body["properties"],
            &known,
            "RoleEligibilityScheduleRequestProperties",
        )?;
        let given = &body["properties"];
        let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        let (principal, role) = (text("principalId"), text("roleDefinitionId"));
        if roles::rights(self.store, &role).is_none() {
            return Err(arm_error(
                404,
                "RoleDefinitionDoesNotExist",
                "The specified role definition does not exist.",
            ));
        }
        let scope = scope_of(id.as_str(), REQUEST).to_owned();
        let name = format!(
            "{principal}-{}",
            role.rsplit('/').next().unwrap_or_default()
        );
        let instance = format!("{scope}/providers/{INSTANCE}/{name}");
        let there = self.store.get(&instance).is_some();
        let status = match (text("requestType").as_str(), there) {
            ("AdminAssign", true) => {
                return Err(arm_error(
                    400,
                    "RoleAssignmentExists",
                    "The Role assignment already exists.",
                ));
            }
            ("AdminAssign", false) => {
                let end = ending(&given["scheduleInfo"]["expiration"])?;
                let properties = json!({"principalId": principal, "roleDefinitionId": role, "scope": scope, "memberType": "Direct",
                    "status": "Provisioned", "startDateTime": given["scheduleInfo"]["startDateTime"], "endDateTime": end, "createdOn": instant(self.tenant.clock.now())});
                self.store.put(&instance, json!({"id": instance, "name": name, "type": INSTANCE, "properties": properties}));
                "Provisioned"
            }
            ("AdminRemove", false) => {
                return Err(arm_error(
                    400,
                    "RoleAssignmentDoesNotExist",
                    "The Role assignment does not exist.",
                ));
            }
            ("AdminRemove", true) => {
                self.store.delete(&instance);
                "Revoked"
            }
            _ => {
                return Err(arm_error(
                    400,
                    "InvalidRequestType",
                    "The request type is not supported.",
                ));
            }
        };
        let mut properties = given.clone();
        properties["status"] = json!(status);
        properties["scope"] = json!(scope);
        let value = json!({"id": id.as_str(), "name": id.name(), "type": REQUEST, "properties": properties});
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(201, &value))
    }
}

/// An eligibility has an end: the policy of these scopes takes none without one.
fn ending(expiration: &Value) -> Result<Value, Reply> {
    let kind = expiration["type"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match kind.as_str() {
        "afterdatetime" if expiration["endDateTime"].is_string() => {
            Ok(expiration["endDateTime"].clone())
        }
        "afterduration" if expiration["duration"].is_string() => Ok(Value::Null),
        _ => Err(arm_error(
            400,
            "RoleAssignmentRequestPolicyValidationFailed",
            "The following policy rules failed: [\"ExpirationRule\"]",
        )),
    }
}
