//! Resource groups: made, shown, and deleted with everything in them (arm.md sections 5.3 and 5.4).

use serde_json::{Value, json};

use super::operations::Start;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type of resource groups, as their bodies say it.
pub(super) const GROUP: &str = "Microsoft.Resources/resourceGroups";

impl Arm<'_> {
    pub(super) fn groups(&mut self, target: Target) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::List { scope, .. }) => {
                self.no_filter()?;
                let all = self
                    .store
                    .of_type(&scope, GROUP)
                    .filter(|value| self.grants.touch(value["id"].as_str().unwrap_or_default()));
                let items: Vec<Value> = all.map(shown).collect();
                Ok(self.list(&items))
            }
            ("HEAD", Target::Resource(id)) => {
                Ok(Reply::empty(if self.store.get(id.as_str()).is_some() {
                    204
                } else {
                    404
                }))
            }
            ("GET", Target::Resource(id)) => self
                .group(&id)
                .map(|value| Reply::json(200, &shown(&value))),
            ("PUT", Target::Resource(id)) => self.put_group(&id),
            ("DELETE", Target::Resource(id)) => self.delete_group(&id),
            (method, _) => Err(not_modelled(&format!("{method} on resource groups"))),
        }
    }

    fn group(&self, id: &ArmId) -> Result<Value, Reply> {
        let found = self.store.get(id.as_str()).cloned();
        found.ok_or_else(|| {
            arm_error(
                404,
                "ResourceGroupNotFound",
                &format!("Resource group '{}' could not be found.", id.name()),
            )
        })
    }

    fn put_group(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(
            &body,
            &[
                "id",
                "name",
                "type",
                "location",
                "tags",
                "properties",
                "managedBy",
            ],
            "ResourceGroup",
        )?;
        let Some(location) = body["location"].as_str() else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let before = self.store.get(id.as_str()).cloned();
        if let Some(at) = before
            .as_ref()
            .and_then(|before| before["location"].as_str())
            .filter(|at| !at.eq_ignore_ascii_case(location))
        {
            let message = format!(
                "Invalid resource group location '{location}'. The Resource group already exists in location '{at}'."
            );
            return Err(arm_error(409, "InvalidResourceGroupLocation", &message));
        }
        self.group_exists(id).or_else(|reply| {
            if reply.status == 404 {
                Ok(())
            } else {
                Err(reply)
            }
        })?;
        let name = before
            .as_ref()
            .and_then(|before| before["name"].as_str())
            .unwrap_or(id.name());
        let shown_id = before
            .as_ref()
            .and_then(|before| before["id"].as_str())
            .unwrap_or(id.as_str());
        let mut value = json!({"id": shown_id, "name": name, "type": GROUP, "location": location, "properties": {"provisioningState": "Succeeded"}});
        if body["tags"].is_object() {
            value["tags"] = body["tags"].clone();
        }
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(
            if before.is_some() { 200 } else { 201 },
            &value,
        ))
    }

    /// Answers 202 with a Location and nothing else; the group is there until the operation ends.
    fn delete_group(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let mut value = self.group(id)?;
        let location = value["location"].as_str().unwrap_or_default().to_owned();
        if value["properties"]["provisioningState"] != "Deleting" {
            value["properties"]["provisioningState"] = json!("Deleting");
            self.store.put(id.as_str(), value);
        }
        let operation = self.begin(Start {
            kind: GROUP,
            removes: Some(id.as_str()),
            ..Start::default()
        });
        Ok(Reply::empty(202).with("location", self.address(&operation, GROUP, &location, true)))
    }
}
