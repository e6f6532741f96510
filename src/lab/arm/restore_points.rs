//! Restore points: every disk of a machine taken in one instant ("Overview of VM restore points"; routes and
//! members as in the Compute client library's `RestorePointCollectionsOperations` and `RestorePointsOperations`).
//!
//! How long one takes is a guess, the same as a snapshot's.

use serde_json::{Value, json};

use super::compute::MACHINE;
use super::operations::{Start, instant};
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

const COLLECTION: &str = "Microsoft.Compute/restorePointCollections";
const POINT: &str = "Microsoft.Compute/restorePointCollections/restorePoints";

impl Arm<'_> {
    pub(super) fn restore_points(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        let point = kind.eq_ignore_ascii_case(POINT);
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &shown(&self.found(&id)?))),
            ("PUT", Target::Resource(id)) if point => self.put_point(&id),
            ("PUT", Target::Resource(id)) => self.put_collection(&id),
            (method, _) => Err(not_modelled(&format!("{method} on restore points"))),
        }
    }

    fn put_collection(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["location", "tags", "properties"],
            "RestorePointCollection",
        )?;
        only_members(
            &body["properties"],
            &["source", "instantAccess"],
            "RestorePointCollectionProperties",
        )?;
        let source = text(&body["properties"]["source"]["id"]);
        let machine = self
            .store
            .get(source)
            .filter(|found| found["type"] == MACHINE);
        let at_home = machine.is_some_and(|machine| {
            text(&machine["location"]).eq_ignore_ascii_case(text(&body["location"]))
        });
        if !at_home {
            return Err(arm_error(
                404,
                "NotFound",
                &format!("Resource {source} is not found."),
            ));
        }
        let old = self.store.get(id.as_str()).cloned();
        let known = old
            .as_ref()
            .map(|old| text(&old["properties"]["source"]["id"]));
        if known.is_some_and(|known| !known.eq_ignore_ascii_case(source)) {
            return Err(arm_error(
                400,
                "BadRequest",
                &format!(
                    "Changing property 'source' is not allowed for existing restore point collection '{}'.",
                    id.name()
                ),
            ));
        }
        let mut value = body.clone();
        value["id"] = json!(id.as_str());
        value["name"] = json!(id.name());
        value["type"] = json!(COLLECTION);
        value["properties"]["provisioningState"] = json!("Succeeded");
        value["properties"]["restorePointCollectionId"] = json!(guid(id.as_str()));
        value["properties"]["source"]["location"] = body["location"].clone();
        self.store.put(id.as_str(), value.clone());
        let status = if old.is_some() { 200 } else { 201 };
        Ok(Reply::json(status, &shown(&value)))
    }

    fn put_point(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(&body, &["properties"], "RestorePoint")?;
        only_members(
            &body["properties"],
            &["consistencyMode", "excludeDisks"],
            "RestorePointProperties",
        )?;
        if body["properties"]["consistencyMode"] != "CrashConsistent" {
            return Err(not_modelled(
                "restore points of another consistency mode than CrashConsistent",
            ));
        }
        let parent = id.as_str().rsplitn(3, '/').nth(2).unwrap_or_default();
        let Some(collection) = self.store.get(parent).cloned() else {
            return Err(arm_error(
                404,
                "ParentResourceNotFound",
                &format!(
                    "Failed to perform '{}' on resource(s) of type 'restorePointCollections/restorePoints', because the parent resource '{parent}' could not be found.",
                    self.ask.method.to_lowercase()
                ),
            ));
        };
        if self.store.get(id.as_str()).is_some() {
            return Err(arm_error(
                409,
                "OperationNotAllowed",
                &format!(
                    "Restore point '{}' already exists and cannot be updated.",
                    id.name()
                ),
            ));
        }
        let source = text(&collection["properties"]["source"]["id"]).to_owned();
        let machine = self.store.get(&source).cloned().unwrap_or(Value::Null);
        let storage = &machine["properties"]["storageProfile"];
        if storage["osDisk"]["diffDiskSettings"]["option"] == "Local" {
            return Err(arm_error(
                409,
                "OperationNotAllowed",
                &format!(
                    "Restore point '{}' cannot be created: the machine has an ephemeral OS disk.",
                    id.name()
                ),
            ));
        }
        let disks: Vec<&Value> = std::iter::once(&storage["osDisk"])
            .chain(storage["dataDisks"].as_array().into_iter().flatten())
            .collect();
        for disk in &disks {
            let disk = text(&disk["managedDisk"]["id"]);
            gate::linked(
                &self.grants,
                self.claims,
                (&format!("{POINT}/write"), id.as_str()),
                ("Microsoft.Compute/disks/beginGetAccess/action", disk),
            )?;
        }
        let taken = |disk: &Value| {
            let name = format!(
                "{}_{}",
                text(&disk["name"]),
                guid(&format!("{id} {}", disk["name"]))
            );
            json!({"name": disk["name"], "diskRestorePoint": {"id": format!("{id}/diskRestorePoints/{name}")}, "managedDisk": disk["managedDisk"]})
        };
        let value = json!({
            "id": id.as_str(), "name": id.name(), "type": POINT,
            "properties": {
                "consistencyMode": "CrashConsistent",
                "provisioningState": "Succeeded",
                "timeCreated": instant(self.tenant.clock.now()),
                "sourceMetadata": {
                    "location": machine["location"],
                    "vmId": machine["properties"]["vmId"],
                    "storageProfile": {
                        "osDisk": taken(&storage["osDisk"]),
                        "dataDisks": disks.iter().skip(1).map(|disk| taken(disk)).collect::<Vec<_>>(),
                    },
                },
            },
        });
        let mut now = value.clone();
        now["properties"]["provisioningState"] = json!("Creating");
        self.store.put(id.as_str(), now.clone());
        // The store makes the state final when the operation ends.
        let operation = self.begin(Start {
            kind: POINT,
            resource: Some(id.as_str()),
            ..Start::default()
        });
        let address = self.address(&operation, POINT, text(&machine["location"]), false);
        Ok(Reply::json(201, &shown(&now)).with("azure-asyncoperation", address))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
