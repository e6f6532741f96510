//! Snapshots: made by Copy from a disk of the same place (arm.md section 2.3).

use serde_json::{Value, json};

use super::access::not_shared;
use super::compute::MACHINE;
use super::operations::{Start, instant};
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::latency;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

const SNAPSHOT: &str = "Microsoft.Compute/snapshots";
const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "sku",
    "properties",
    "extendedLocation",
];
/// Those that are read-only are ignored when they are echoed.
const PROPERTIES: &[&str] = &[
    "completionPercent",
    "creationData",
    "dataAccessAuthMode",
    "diskAccessId",
    "diskSizeBytes",
    "diskSizeGB",
    "diskState",
    "encryption",
    "hyperVGeneration",
    "incremental",
    "incrementalSnapshotFamilyId",
    "networkAccessPolicy",
    "osType",
    "provisioningState",
    "publicNetworkAccess",
    "supportsHibernation",
    "timeCreated",
    "uniqueId",
];
/// Members that a PUT or PATCH of an existing snapshot may change.
const CHANGEABLE: [&str; 4] = [
    "networkAccessPolicy",
    "publicNetworkAccess",
    "diskAccessId",
    "dataAccessAuthMode",
];

impl Arm<'_> {
    pub(super) fn snapshots(&mut self, target: Target) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => {
                Ok(Reply::json(200, &self.with_progress(&self.found(&id)?)))
            }
            ("GET", Target::List { scope, kind }) => {
                self.no_filter()?;
                let readable = self.visible(&scope, &kind);
                let full = readable
                    .iter()
                    .filter_map(|value| self.store.get(value["id"].as_str()?));
                let items: Vec<Value> = full.map(|value| self.with_progress(value)).collect();
                Ok(self.list(&items))
            }
            ("PUT", Target::Resource(id)) => self.put_snapshot(&id),
            ("PATCH", Target::Resource(id)) => self.patch_copy(&id, SNAPSHOT),
            ("DELETE", Target::Resource(id)) => self.delete_copy(&id, SNAPSHOT),
            ("POST", Target::Action { id, name }) => self.access(&id, &name, SNAPSHOT),
            (method, _) => Err(not_modelled(&format!("{method} on snapshots"))),
        }
    }

    fn put_snapshot(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(&body, MEMBERS, "Snapshot")?;
        only_members(&body["properties"], PROPERTIES, "SnapshotProperties")?;
        let name = id.name();
        if name.len() > 80
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        {
            return Err(arm_error(
                400,
                "InvalidParameter",
                &format!(
                    "The value '{name}' of parameter 'name' is invalid: at most 80 letters, digits, '_', '.' and '-'."
                ),
            ));
        }
        let Some(location) = body["location"].as_str() else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let creation = &body["properties"]["creationData"];
        if creation["createOption"] != "Copy" {
            return Err(not_modelled(&format!(
                "snapshots made by {}",
                creation["createOption"]
            )));
        }
        let source = creation["sourceResourceId"].as_str().unwrap_or_default();
        if let Some(existing) = self.store.get(id.as_str()).cloned() {
            return self.put_again(id, existing, &body, source);
        }
        let disk = self.source(id, source, location)?;
        self.fits(id, &body, &disk)?;
        gate::linked(
            &self.grants,
            self.claims,
            (&format!("{SNAPSHOT}/write"), id.as_str()),
            ("Microsoft.Compute/disks/beginGetAccess/action", source),
        )?;
        Ok(self.capture(id, &body, &disk))
    }

    /// Finds the disk, in the place where the snapshot is to be: from anywhere else it does not exist.
    pub(super) fn source(&self, id: &ArmId, source: &str, location: &str) -> Result<Value, Reply> {
        if source.parse::<ArmId>().is_err() {
            return Err(arm_error(
                400,
                "InvalidParameter",
                "Required parameter 'creationData.sourceResourceId' is missing or is no resource id.",
            ));
        }
        if self.is_ephemeral(source) {
            return Err(arm_error(
                409,
                "OperationNotAllowed",
                &format!(
                    "'{}' cannot be created: the ephemeral OS disk '{source}' does not support it.",
                    id.name()
                ),
            ));
        }
        let found = self.store.get(source).filter(|disk| {
            disk["location"]
                .as_str()
                .is_some_and(|at| at.eq_ignore_ascii_case(location))
        });
        found
            .cloned()
            .ok_or_else(|| arm_error(404, "NotFound", &format!("Resource {source} is not found.")))
    }

    fn is_ephemeral(&self, disk: &str) -> bool {
        self.store
            .of_type("", MACHINE)
            .map(|machine| &machine["properties"]["storageProfile"]["osDisk"])
            .any(|os| {
                os["diffDiskSettings"]["option"] == "Local"
                    && os["managedDisk"]["id"]
                        .as_str()
                        .is_some_and(|id| id.eq_ignore_ascii_case(disk))
            })
    }

    fn fits(&self, id: &ArmId, body: &Value, disk: &Value) -> Result<(), Reply> {
        let incremental = body["properties"]["incremental"] == true;
        let at_home = disk["id"]
            .as_str()
            .and_then(|id| id.split('/').nth(2))
            .is_some_and(|home| home.eq_ignore_ascii_case(id.subscription().unwrap_or_default()));
        if incremental && !at_home {
            return Err(arm_error(
                400,
                "OperationNotAllowed",
                "Incremental snapshots cannot be created in a subscription other than that of the source disk.",
            ));
        }
        if !incremental && in_background(disk) {
            return Err(arm_error(
                400,
                "OperationNotAllowed",
                "Only incremental snapshots are supported for disks of this SKU.",
            ));
        }
        let policy = body["properties"]["networkAccessPolicy"]
            .as_str()
            .unwrap_or("AllowAll");
        if !["AllowAll", "AllowPrivate", "DenyAll"].contains(&policy) {
            return Err(arm_error(
                400,
                "InvalidParameter",
                &format!("The value '{policy}' of parameter 'networkAccessPolicy' is not allowed."),
            ));
        }
        if policy != "AllowPrivate" && body["properties"]["diskAccessId"].is_string() {
            return Err(arm_error(
                400,
                "ConflictingUserInput",
                "Disk Access is only supported for disks with NetworkAccessPolicy AllowPrivate.",
            ));
        }
        Ok(())
    }

    fn capture(&mut self, id: &ArmId, body: &Value, disk: &Value) -> Reply {
        let mut value = body.clone();
        value["id"] = json!(id.as_str());
        value["name"] = json!(id.name());
        value["type"] = json!(SNAPSHOT);
        let sku = body["sku"]["name"].as_str().unwrap_or("Standard_LRS");
        value["sku"] = json!({"name": sku, "tier": tier(sku)});
        let of_disk = &disk["properties"];
        let properties = &mut value["properties"];
        properties["creationData"]["sourceUniqueId"] = of_disk["uniqueId"].clone();
        properties["timeCreated"] = json!(instant(self.tenant.clock.now()));
        for same in ["diskSizeBytes", "diskSizeGB", "osType", "hyperVGeneration"] {
            properties[same] = of_disk[same].clone();
        }
        properties["encryption"] = json!({"type": "EncryptionAtRestWithPlatformKey"});
        properties["diskState"] = json!("Unattached");
        properties["uniqueId"] = json!(guid(&format!("{id} {}", self.store.version)));
        properties["provisioningState"] = json!("Succeeded");
        if properties["incremental"] == true {
            properties["incrementalSnapshotFamilyId"] =
                json!(guid(&format!("family {}", of_disk["uniqueId"])));
        }
        for (name, usual) in [
            ("networkAccessPolicy", "AllowAll"),
            ("publicNetworkAccess", "Enabled"),
        ] {
            if properties[name].is_null() {
                properties[name] = json!(usual);
            }
        }
        if in_background(disk) {
            value["__copied_from_us"] = json!(self.now_us);
        }
        self.begin_copy(id, value, SNAPSHOT)
    }

    /// Puts a snapshot or a disk that is being made or changed. `value` is as it will be.
    pub(super) fn begin_copy(&mut self, id: &ArmId, value: Value, kind: &str) -> Reply {
        let location = value["location"].as_str().unwrap_or_default().to_owned();
        let mut now = value.clone();
        now["properties"]["provisioningState"] = json!("Updating");
        let shown_now = self.with_progress(&now);
        self.store.put(id.as_str(), now);
        let operation = self.begin(Start {
            kind,
            resource: Some(id.as_str()),
            output: Some(shown(&value)),
            ..Start::default()
        });
        let reply = Reply::json(202, &shown_now).with(
            "azure-asyncoperation",
            self.address(&operation, kind, &location, false),
        );
        reply.with("location", self.address(&operation, kind, &location, true))
    }

    /// The same body again is an update that does not capture anew; another source is refused.
    pub(super) fn put_again(
        &mut self,
        id: &ArmId,
        mut existing: Value,
        body: &Value,
        source: &str,
    ) -> Result<Reply, Reply> {
        let known = existing["properties"]["creationData"]["sourceResourceId"]
            .as_str()
            .unwrap_or_default();
        if !known.eq_ignore_ascii_case(source) {
            let message = format!(
                "Changing property 'sourceResourceId' is not allowed for existing disk '{}'.",
                id.name()
            );
            return Err(arm_error(400, "BadRequest", &message));
        }
        let same_place = existing["location"]
            .as_str()
            .zip(body["location"].as_str())
            .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
        if !same_place {
            return Err(arm_error(
                409,
                "InvalidResourceLocation",
                &format!(
                    "The resource '{}' already exists in location '{}'.",
                    id.name(),
                    existing["location"].as_str().unwrap_or_default()
                ),
            ));
        }
        change(&mut existing, body);
        self.store.put(id.as_str(), existing.clone());
        Ok(Reply::json(200, &self.with_progress(&existing)))
    }

    /// PATCH of a snapshot or a disk.
    pub(super) fn patch_copy(&mut self, id: &ArmId, kind: &str) -> Result<Reply, Reply> {
        let mut value = self.found(id)?;
        let patch = self.ask.json()?;
        only_members(&patch, &["tags", "sku", "properties"], "Update")?;
        only_members(&patch["properties"], &CHANGEABLE, "UpdateProperties")?;
        change(&mut value, &patch);
        Ok(self.begin_copy(id, value, kind))
    }

    /// DELETE of a snapshot or a disk: not while somebody holds it or may read it.
    pub(super) fn delete_copy(&mut self, id: &ArmId, kind: &str) -> Result<Reply, Reply> {
        let Some(old) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        if let Some(holder) = old["managedBy"].as_str() {
            let message = format!("Disk {} is attached to VM {holder}.", id.name());
            return Err(arm_error(409, "OperationNotAllowed", &message));
        }
        not_shared(&old, id)?;
        self.store.delete(id.as_str());
        let location = old["location"].as_str().unwrap_or_default();
        let operation = self.begin(Start {
            kind,
            ..Start::default()
        });
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, kind, location, false),
        );
        Ok(reply.with("location", self.address(&operation, kind, location, true)))
    }

    /// Shows a snapshot with how far its background copy is: it takes four times as long as the capture itself.
    fn with_progress(&self, value: &Value) -> Value {
        let mut body = shown(value);
        if let Some(from) = value["__copied_from_us"].as_u64() {
            let takes = latency::of_operation(SNAPSHOT)
                .mul_f64(4.0 * self.tenant.options.lro.max(0.0))
                .as_micros()
                .max(1);
            let done = u128::from(self.now_us.saturating_sub(from)) * 100 / takes;
            // Without waiting times it is half way at once, so that a client that does not look again is wrong.
            let done = if self.now_us == from {
                50
            } else {
                done.min(100)
            };
            body["properties"]["completionPercent"] = json!(u64::try_from(done).unwrap_or(100));
        }
        body
    }
}

/// Ultra and Premium v2 disks are copied in the background.
fn in_background(disk: &Value) -> bool {
    matches!(
        disk["sku"]["name"].as_str(),
        Some("UltraSSD_LRS" | "PremiumV2_LRS")
    )
}

fn change(value: &mut Value, body: &Value) {
    if let Some(tags) = body.get("tags") {
        value["tags"] = tags.clone();
    }
    if let Some(sku) = body["sku"]["name"].as_str() {
        value["sku"] = json!({"name": sku, "tier": tier(sku)});
    }
    for name in CHANGEABLE {
        if let Some(to) = body["properties"].get(name) {
            value["properties"][name] = to.clone();
        }
    }
}

/// Returns the tier of a kind of disk: `PremiumV2_LRS` is of `Premium`, `StandardSSD_LRS` of `Standard`.
pub(super) fn tier(sku: &str) -> &str {
    let tier = sku.split('_').next().unwrap_or_default();
    tier.trim_end_matches("SSD").trim_end_matches("V2")
}
