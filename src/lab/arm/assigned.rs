//! User-assigned identities as resources: each comes with a principal of its own, and takes it along when it goes
//! ("User Assigned Identities - Create Or Update", "User Assigned Identities - Delete (REST API)").

use serde_json::json;

use super::resources::tags_are_good;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error};

/// The type of user-assigned identities.
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

impl Arm<'_> {
    pub(super) fn identities(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("PUT", Target::Resource(id)) => self.put_identity(&id),
            ("DELETE", Target::Resource(id)) => Ok(match self.store.delete(id.as_str()) {
                Some(_) => Reply::empty(200),
                None => Reply::empty(204),
            }),
            (_, target) => self.read_only(target, kind),
        }
    }

    fn put_identity(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "location", "name", "properties", "tags", "type"],
            "Identity",
        )?;
        let Some(location) = body["location"].as_str() else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        if let Some(tags) = body["tags"].as_object() {
            tags_are_good(tags)?;
        }
        let before = self.store.get(id.as_str()).cloned();
        let properties = before.as_ref().map_or_else(
            || {
                let new = || self.tenant.random.uuid().to_string();
                json!({"tenantId": self.tenant.scenario.tenant, "principalId": new(), "clientId": new()})
            },
            |before| before["properties"].clone(),
        );
        let mut value = json!({"id": id.as_str(), "name": id.name(), "type": IDENTITY, "location": location, "tags": {}, "properties": properties});
        if body["tags"].is_object() {
            value["tags"] = body["tags"].clone();
        }
        let status = if before.is_some() { 200 } else { 201 };
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(status, &shown(&value)))
    }
}
