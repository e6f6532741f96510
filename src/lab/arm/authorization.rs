//! Microsoft.Authorization: role assignments and definitions, locks, the caller's permissions (arm.md section 6).

use serde_json::{Value, json};

use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};

impl Arm<'_> {
    pub(super) fn authorization(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.authorization/roleassignments", Target::List { scope, .. }) => {
                Ok(self.list(self.assignments(&scope)?))
            }
            ("GET", "microsoft.authorization/roleassignments", Target::Resource(id)) => {
                match self.store.get(id.as_str()) {
                    Some(value) => Ok(Reply::json(200, value)),
                    None => Err(arm_error(
                        404,
                        "RoleAssignmentNotFound",
                        &format!("The role assignment '{}' is not found.", id.name()),
                    )),
                }
            }
            ("PUT", "microsoft.authorization/roleassignments", Target::Resource(id)) => {
                self.assign(&id)
            }
            ("DELETE", "microsoft.authorization/roleassignments", Target::Resource(id)) => {
                Ok(match self.store.delete(id.as_str()) {
                    Some(old) => Reply::json(200, &old),
                    None => Reply::empty(204),
                })
            }
            ("GET", "microsoft.authorization/roledefinitions", Target::List { scope, .. }) => {
                let subscription = scope.split('/').nth(2).unwrap_or_default();
                Ok(self.list(
                    gate::ROLES
                        .iter()
                        .map(|role| gate::definition(subscription, role))
                        .collect(),
                ))
            }
            ("GET", "microsoft.authorization/locks", Target::List { scope, .. }) => Ok(self.list(
                self.store
                    .of_type(&scope, "Microsoft.Authorization/locks")
                    .cloned()
                    .collect(),
            )),
            ("GET", "microsoft.authorization/permissions", Target::List { scope, .. }) => {
                let permissions: Vec<Value> = gate::ROLES
                    .iter()
                    .filter(|role| self.assignments(&scope).is_ok_and(|found| found.iter().any(|one| one["properties"]["principalId"] == json!(self.claims.oid) && one["properties"]["roleDefinitionId"].as_str().is_some_and(|id| id.ends_with(role.0)))))
                    .map(|role| json!({"actions": role.2, "notActions": role.3, "dataActions": [], "notDataActions": []}))
                    .collect();
                Ok(self.list(permissions))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Assignments at, above and, unless `atScope()`, below a scope.
    fn assignments(&self, scope: &str) -> Result<Vec<Value>, Reply> {
        let filter = self.ask.query("$filter").unwrap_or_default();
        let principal = filter
            .strip_prefix("principalId eq '")
            .and_then(|rest| rest.strip_suffix('\''));
        if !matches!(filter, "" | "atScope()") && principal.is_none() {
            return Err(not_modelled(&format!("the filter {filter}")));
        }
        let here = format!("{}/", scope.to_ascii_lowercase().trim_end_matches('/'));
        Ok(self
            .store
            .all()
            .map(|(_, value)| value)
            .filter(|value| value["type"] == json!("Microsoft.Authorization/roleAssignments"))
            .filter(|value| {
                let at = format!(
                    "{}/",
                    value["properties"]["scope"]
                        .as_str()
                        .unwrap_or_default()
                        .to_ascii_lowercase()
                        .trim_end_matches('/')
                );
                let above = here.starts_with(&at);
                let below = at.starts_with(&here);
                (above || (below && filter != "atScope()"))
                    && principal.is_none_or(|principal| {
                        value["properties"]["principalId"] == json!(principal)
                    })
            })
            .cloned()
            .collect())
    }

    fn assign(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(&body, &["properties"], "RoleAssignment")?;
        only_members(
            &body["properties"],
            &[
                "roleDefinitionId",
                "principalId",
                "principalType",
                "description",
                "condition",
                "conditionVersion",
                "delegatedManagedIdentityResourceId",
            ],
            "RoleAssignmentProperties",
        )?;
        let scope = id
            .as_str()
            .split("/providers/Microsoft.Authorization/roleAssignments/")
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut value = json!({"id": id.as_str(), "name": id.name(), "type": "Microsoft.Authorization/roleAssignments", "properties": body["properties"]});
        value["properties"]["scope"] = json!(scope);
        let same = self.assignments_of(&value);
        if same
            .as_ref()
            .is_some_and(|other| !other.eq_ignore_ascii_case(id.as_str()))
        {
            return Err(arm_error(
                409,
                "RoleAssignmentExists",
                "The role assignment already exists.",
            ));
        }
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(if same.is_some() { 200 } else { 201 }, &value))
    }

    /// Returns the id of an assignment of the same role to the same principal at the same scope.
    fn assignments_of(&self, wanted: &Value) -> Option<String> {
        let same =
            |value: &Value, name: &str| value["properties"][name] == wanted["properties"][name];
        self.store
            .all()
            .map(|(_, value)| value)
            .find(|value| {
                value["type"] == wanted["type"]
                    && same(value, "scope")
                    && same(value, "principalId")
                    && same(value, "roleDefinitionId")
            })
            .and_then(|value| value["id"].as_str().map(str::to_owned))
    }
}
