//! The managed identities of a machine, as a PATCH changes them (arm.md section 2.6).

use serde_json::{Map, Value, json};

use super::compute::MACHINE;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error};
use crate::lab::scenario::guid;

const KINDS: [&str; 4] = [
    "None",
    "SystemAssigned",
    "UserAssigned",
    "SystemAssigned, UserAssigned",
];

impl Arm<'_> {
    /// Returns the identity that a patch leaves; `None`: there is none any more.
    pub(super) fn identity(
        &self,
        id: &ArmId,
        before: Option<&Value>,
        patch: &Value,
    ) -> Result<Option<Value>, Reply> {
        only_members(
            patch,
            &["type", "userAssignedIdentities", "principalId", "tenantId"],
            "VirtualMachineIdentity",
        )?;
        let kind = patch["type"].as_str().unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(arm_error(
                400,
                "InvalidParameter",
                &format!(
                    "The value '{kind}' of parameter 'identity.type' is not allowed. Allowed values are: {}.",
                    KINDS.join("; ")
                ),
            ));
        }
        let users = self.users(id, before, patch)?;
        if kind == "None" {
            // The map must be taken back explicitly: a client that forgets it learns so here, not in production.
            if patch.get("userAssignedIdentities").is_none() && !users.is_empty() {
                return Err(arm_error(
                    400,
                    "InvalidParameter",
                    "The value of parameter 'identity.userAssignedIdentities' must be null when the identity type is None.",
                ));
            }
            return Ok(None);
        }
        let mut identity = json!({"type": kind});
        if kind.contains("SystemAssigned") {
            // Once gone, a system-assigned identity comes back as another principal.
            let principal = before.and_then(|before| before.get("principalId")).cloned();
            identity["principalId"] =
                principal.unwrap_or_else(|| json!(guid(&format!("{id} {}", self.store.version))));
            identity["tenantId"] = json!(self.tenant.scenario.tenant);
        }
        if kind.contains("UserAssigned") {
            if users.is_empty() {
                return Err(arm_error(
                    400,
                    "InvalidParameter",
                    "The value of parameter 'identity.userAssignedIdentities' must not be empty when the identity type includes UserAssigned.",
                ));
            }
            identity["userAssignedIdentities"] = Value::Object(users);
        }
        Ok(Some(identity))
    }

    /// Merges the map of user-assigned identities: null removes a key, or all of them; keys not named stay.
    fn users(
        &self,
        id: &ArmId,
        before: Option<&Value>,
        patch: &Value,
    ) -> Result<Map<String, Value>, Reply> {
        let known = before
            .and_then(|before| before.get("userAssignedIdentities"))
            .and_then(Value::as_object);
        let mut users = known.cloned().unwrap_or_default();
        let changes = match patch.get("userAssignedIdentities") {
            None => return Ok(users),
            Some(Value::Object(changes)) => changes,
            Some(_) => return Ok(Map::new()),
        };
        for (name, change) in changes {
            let had = users
                .keys()
                .find(|known| known.eq_ignore_ascii_case(name))
                .cloned();
            match (had, change.is_null()) {
                (Some(had), true) => {
                    users.shift_remove(&had);
                }
                (None, false) => {
                    users.insert(name.clone(), self.assigned(id, name)?);
                }
                // Removing what is not there, and adding what is, changes nothing.
                (None, true) | (Some(_), false) => {}
            }
        }
        Ok(users)
    }

    fn assigned(&self, machine: &ArmId, name: &str) -> Result<Value, Reply> {
        let Some(identity) = self.store.get(name) else {
            let message = format!(
                "Identity operation for resource '{machine}' failed with error 'Failed to perform resource identity operation. Status: 'BadRequest'. Response: resource '{name}' was not found.'."
            );
            return Err(arm_error(400, "FailedIdentityOperation", &message));
        };
        let on = identity["id"].as_str().unwrap_or(name);
        gate::linked(
            &self.grants,
            self.claims,
            (&format!("{MACHINE}/write"), machine.as_str()),
            (
                "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
                on,
            ),
        )?;
        let properties = &identity["properties"];
        Ok(json!({"principalId": properties["principalId"], "clientId": properties["clientId"]}))
    }
}
