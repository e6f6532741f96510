//! Managed disks: made as a copy of a snapshot or a disk, or empty, changed, and deleted once nobody holds them
//! ("Disks - Create Or Update", "Disks - Delete (REST API)"; operations as in arm.md sections 1.6 and 2.3).

use serde_json::{Value, json};

use super::operations::instant;
use super::snapshots::tier;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

/// The type of disks.
pub(super) const DISK: &str = "Microsoft.Compute/disks";
const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "sku",
    "zones",
    "properties",
];
/// Those that are read-only are ignored when they are echoed.
const PROPERTIES: &[&str] = &[
    "creationData",
    "dataAccessAuthMode",
    "diskSizeBytes",
    "diskSizeGB",
    "diskState",
    "encryption",
    "hyperVGeneration",
    "networkAccessPolicy",
    "osType",
    "provisioningState",
    "publicNetworkAccess",
    "timeCreated",
    "uniqueId",
];
const CREATION: &[&str] = &["createOption", "sourceResourceId", "sourceUniqueId"];
const SKUS: [&str; 7] = [
    "PremiumV2_LRS",
    "Premium_LRS",
    "Premium_ZRS",
    "StandardSSD_LRS",
    "StandardSSD_ZRS",
    "Standard_LRS",
    "UltraSSD_LRS",
];
const GIB: u64 = 1 << 30;

impl Arm<'_> {
    pub(super) fn disks(&mut self, target: Target) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &shown(&self.found(&id)?))),
            ("GET", Target::List { scope, kind }) => self
                .no_filter()
                .map(|()| self.list(&self.visible(&scope, &kind))),
            ("PUT", Target::Resource(id)) => self.put_disk(&id),
            ("PATCH", Target::Resource(id)) => self.patch_copy(&id, DISK),
            ("DELETE", Target::Resource(id)) => self.delete_copy(&id, DISK),
            ("POST", Target::Action { id, name }) => self.access(&id, &name, DISK),
            (method, _) => Err(not_modelled(&format!("{method} on disks"))),
        }
    }

    fn put_disk(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(&body, MEMBERS, "Disk")?;
        let properties = &body["properties"];
        only_members(properties, PROPERTIES, "DiskProperties")?;
        only_members(&properties["creationData"], CREATION, "CreationData")?;
        let Some(location) = body["location"].as_str() else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let source = properties["creationData"]["sourceResourceId"]
            .as_str()
            .unwrap_or_default();
        if let Some(existing) = self.store.get(id.as_str()).cloned() {
            return self.put_again(id, existing, &body, source);
        }
        let sku = body["sku"]["name"].as_str().unwrap_or("Standard_LRS");
        if !SKUS.contains(&sku) {
            return Err(invalid(&format!(
                "The value '{sku}' of parameter 'sku.name' is not allowed."
            )));
        }
        let size = properties["diskSizeGB"].as_u64();
        let from = match properties["creationData"]["createOption"].as_str() {
            Some("Copy") => self.copied(id, source, location)?,
            Some("Empty") if size.is_some() => json!({}),
            Some("Empty") => {
                return Err(invalid(
                    "Required parameter 'diskSizeGB' is missing (null).",
                ));
            }
            other => {
                let how = other.unwrap_or("nothing");
                return Err(not_modelled(&format!("disks made by {how}")));
            }
        };
        let least = from["properties"]["diskSizeGB"].as_u64().unwrap_or(1);
        let size = size.unwrap_or(least);
        if size < least {
            return Err(invalid(&format!(
                "The value of parameter diskSizeGB is invalid: a copy is not smaller than its source, which has {least} GB."
            )));
        }
        let value = self.new_disk(id, &body, &from, (sku, size));
        Ok(self.begin_copy(id, value, DISK))
    }

    /// Returns a disk as it will be, with what it has from its source.
    fn new_disk(&self, id: &ArmId, body: &Value, from: &Value, (sku, size): (&str, u64)) -> Value {
        let mut value = json!({
            "id": id.as_str(), "name": id.name(), "type": DISK, "location": body["location"],
            "sku": {"name": sku, "tier": tier(sku)}, "properties": body["properties"],
        });
        for given in ["tags", "zones"] {
            if !body[given].is_null() {
                value[given] = body[given].clone();
            }
        }
        let of = &from["properties"];
        let made = &mut value["properties"];
        for same in ["osType", "hyperVGeneration"] {
            if made[same].is_null() && !of[same].is_null() {
                made[same] = of[same].clone();
            }
        }
        if !of["uniqueId"].is_null() {
            made["creationData"]["sourceUniqueId"] = of["uniqueId"].clone();
        }
        for (name, usual) in [
            ("networkAccessPolicy", "AllowAll"),
            ("publicNetworkAccess", "Enabled"),
        ] {
            if made[name].is_null() {
                made[name] = json!(usual);
            }
        }
        made["diskSizeGB"] = json!(size);
        made["diskSizeBytes"] = json!(size * GIB);
        made["diskState"] = json!("Unattached");
        made["encryption"] = json!({"type": "EncryptionAtRestWithPlatformKey"});
        made["provisioningState"] = json!("Succeeded");
        made["timeCreated"] = json!(instant(self.tenant.clock.now()));
        made["uniqueId"] = json!(guid(&format!("{id} {}", self.store.version)));
        value
    }

    /// Finds what is copied, which must be where the disk is to be, and the right to read it.
    fn copied(&self, id: &ArmId, source: &str, location: &str) -> Result<Value, Reply> {
        let from = self.source(id, source, location)?;
        let kind = from["type"].as_str().unwrap_or_default();
        gate::linked(
            &self.grants,
            self.claims,
            (&format!("{DISK}/write"), id.as_str()),
            (&format!("{kind}/beginGetAccess/action"), source),
        )?;
        Ok(from)
    }
}

fn invalid(message: &str) -> Reply {
    arm_error(400, "InvalidParameter", message)
}
