//! Virtual machines that a request makes, and that go again: their disks, interfaces and identities (arm.md sections
//! 2.1, 2.3 and 2.6; "Virtual Machines - Create Or Update", "Virtual Machines - Delete (REST API)").
//!
//! Nothing is made before all of it was found good. No secret of the operating system's profile is kept.

use serde_json::{Value, json};

use super::compute::MACHINE;
use super::disks::DISK;
use super::machine_parts::{image, invalid, missing, os_profile, size};
use super::operations::{Start, instant};
use super::resources::tags_are_good;
use super::snapshots::tier;
use super::{Arm, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "zones",
    "identity",
    "properties",
    "etag",
];
const PROPERTIES: &[&str] = &[
    "hardwareProfile",
    "networkProfile",
    "osProfile",
    "provisioningState",
    "securityProfile",
    "storageProfile",
    "timeCreated",
    "vmId",
];
const OS_DISK: &[&str] = &[
    "caching",
    "createOption",
    "deleteOption",
    "diskSizeGB",
    "managedDisk",
    "name",
    "osType",
    "writeAcceleratorEnabled",
];
const DATA_DISK: &[&str] = &[
    "caching",
    "createOption",
    "deleteOption",
    "diskSizeGB",
    "lun",
    "managedDisk",
    "name",
    "toBeDetached",
    "writeAcceleratorEnabled",
];
const GIB: u64 = 1 << 30;

/// Disks of a machine: its profile as it is shown, and the resources that come to be.
struct Storage {
    profile: Value,
    disks: Vec<Value>,
}

impl Arm<'_> {
    pub(super) fn put_machine(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(&body, MEMBERS, "VirtualMachine")?;
        let properties = &body["properties"];
        only_members(properties, PROPERTIES, "VirtualMachineProperties")?;
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
        if let Some(existing) = self.store.get(id.as_str()).cloned() {
            return self.put_machine_again(id, existing, &body);
        }
        let size = size(&properties["hardwareProfile"])?;
        let os = os_profile(&properties["osProfile"])?;
        let nics = self.interfaces_of(id, &properties["networkProfile"], location, size.1)?;
        let storage = self.storage_of(id, &properties["storageProfile"], location, size.2)?;
        let identity = match body.get("identity") {
            Some(wanted) if !wanted.is_null() => self.identity(id, None, wanted)?,
            _ => None,
        };
        let mut value = json!({
            "id": id.as_str(), "name": id.name(), "type": MACHINE, "location": location,
            "properties": {
                "vmId": self.tenant.random.uuid().to_string(), "provisioningState": "Creating",
                "hardwareProfile": {"vmSize": size.0}, "storageProfile": storage.profile, "osProfile": os,
                "networkProfile": {"networkInterfaces": nics}, "timeCreated": instant(self.tenant.clock.now()),
            },
            "etag": "\"1\"", "__power": "running",
        });
        for given in ["tags", "zones"] {
            if !body[given].is_null() {
                value[given] = body[given].clone();
            }
        }
        if !properties["securityProfile"].is_null() {
            value["properties"]["securityProfile"] = properties["securityProfile"].clone();
        }
        if let Some(identity) = identity {
            value["identity"] = identity;
        }
        for disk in storage.disks {
            let id = disk["id"].as_str().unwrap_or_default().to_owned();
            self.store.put(&id, disk);
        }
        self.take_interfaces(id, &nics);
        self.store.put(id.as_str(), value.clone());
        let operation = self.begin(Start {
            kind: MACHINE,
            resource: Some(id.as_str()),
            ..Start::default()
        });
        let address = self.address(&operation, MACHINE, location, false);
        Ok(Reply::json(201, &shown(&value))
            .with("azure-asyncoperation", address)
            .with("azure-asyncnotification", "Enabled")
            .with("etag", "\"1\""))
    }

    /// PUT of a machine that is there: its tags and its identity; what else it asks for must be so already.
    fn put_machine_again(
        &mut self,
        id: &ArmId,
        mut value: Value,
        body: &Value,
    ) -> Result<Reply, Reply> {
        let same_place = value["location"].as_str().is_some_and(|at| {
            let given = body["location"].as_str().unwrap_or_default();
            at.eq_ignore_ascii_case(given)
        });
        if !same_place {
            let message = format!(
                "The resource '{}' already exists in location '{}'.",
                id.name(),
                value["location"].as_str().unwrap_or_default()
            );
            return Err(arm_error(409, "InvalidResourceLocation", &message));
        }
        let (had, given) = (&value["properties"], &body["properties"]);
        let ids = |properties: &Value| -> Vec<String> {
            let nics = properties["networkProfile"]["networkInterfaces"].as_array();
            let ids = nics.into_iter().flatten();
            ids.map(|nic| nic["id"].as_str().unwrap_or_default().to_lowercase())
                .collect()
        };
        let image = |properties: &Value| {
            let image = &properties["storageProfile"]["imageReference"];
            ["publisher", "offer", "sku"].map(|name| image[name].clone())
        };
        let same = had["hardwareProfile"]["vmSize"] == given["hardwareProfile"]["vmSize"]
            && ids(had) == ids(given)
            && image(had) == image(given);
        if !same {
            return Err(not_modelled(
                "a PUT that changes size, image or interfaces of a machine",
            ));
        }
        self.as_expected(&value)?;
        self.machine_is_free(id)?;
        if let Some(wanted) = body.get("identity").filter(|wanted| !wanted.is_null()) {
            match self.identity(id, value.get("identity"), wanted)? {
                Some(next) => value["identity"] = next,
                None => {
                    if let Some(members) = value.as_object_mut() {
                        members.shift_remove("identity");
                    }
                }
            }
        }
        if !body["tags"].is_null() {
            value["tags"] = body["tags"].clone();
        }
        Ok(self.begin_machine(id, value))
    }

    /// Checks the interfaces of a new machine: there, free, the caller's to use, and one of them the primary.
    fn interfaces_of(
        &self,
        id: &ArmId,
        profile: &Value,
        location: &str,
        most: usize,
    ) -> Result<Vec<Value>, Reply> {
        only_members(profile, &["networkInterfaces"], "NetworkProfile")?;
        let given = profile["networkInterfaces"].as_array();
        let given = given.map(Vec::as_slice).unwrap_or_default();
        if given.is_empty() {
            return Err(missing("networkProfile.networkInterfaces"));
        }
        if given.len() > most {
            let message = format!(
                "The number of network interfaces for virtual machine {} exceeds the maximum allowed for the virtual machine size. The number of network interfaces is {} and the maximum allowed is {most}.",
                id.name(),
                given.len()
            );
            return Err(arm_error(400, "NetworkInterfaceCountExceeded", &message));
        }
        let primary = |nic: &&Value| nic["properties"]["primary"] == true;
        if given.len() > 1 && given.iter().filter(primary).count() != 1 {
            let message = format!(
                "Virtual machine {} must have one network interface set as the primary.",
                id.name()
            );
            return Err(arm_error(
                400,
                "VirtualMachineMustHaveOneNetworkInterfaceAsPrimary",
                &message,
            ));
        }
        let each = given.iter().map(|nic| {
            only_members(nic, &["id", "properties"], "NetworkInterfaceReference")?;
            let properties = &nic["properties"];
            only_members(
                properties,
                &["deleteOption", "primary"],
                "NetworkInterfaceReferenceProperties",
            )?;
            let reference = nic["id"].as_str().unwrap_or_default();
            let join = "Microsoft.Network/networkInterfaces/join/action";
            let write = format!("{MACHINE}/write");
            self.may_join(id, &write, location, (join, reference))?;
            let user = self
                .store
                .get(reference)
                .and_then(|nic| nic["properties"]["virtualMachine"]["id"].as_str());
            if let Some(user) = user {
                let message = format!(
                    "Network Interface {} is used by existing VM {user}.",
                    ArmId::name_of(reference)
                );
                return Err(arm_error(400, "NicInUse", &message));
            }
            let option = properties["deleteOption"].as_str().unwrap_or("Detach");
            let primary = given.len() == 1 || properties["primary"] == true;
            Ok(json!({"id": reference, "properties": {"primary": primary, "deleteOption": option}}))
        });
        each.collect()
    }

    fn take_interfaces(&mut self, id: &ArmId, references: &[Value]) {
        for reference in references {
            let nic = reference["id"].as_str().unwrap_or_default();
            let Some(mut value) = self.store.get(nic).cloned() else {
                continue;
            };
            value["properties"]["virtualMachine"] = json!({"id": id.as_str()});
            value["properties"]["primary"] = reference["properties"]["primary"].clone();
            let etag = format!("W/\"{}\"", guid(&format!("{nic} {}", self.store.version)));
            value["etag"] = json!(etag);
            self.store.put(nic, value);
        }
    }

    /// Checks the disks of a new machine, and returns them as they will be.
    fn storage_of(
        &self,
        id: &ArmId,
        profile: &Value,
        location: &str,
        most: usize,
    ) -> Result<Storage, Reply> {
        only_members(
            profile,
            &[
                "dataDisks",
                "diskControllerType",
                "imageReference",
                "osDisk",
            ],
            "StorageProfile",
        )?;
        let (image, size) = image(&profile["imageReference"])?;
        let os = &profile["osDisk"];
        only_members(os, OS_DISK, "OSDisk")?;
        if os["createOption"] != "FromImage" {
            return Err(not_modelled(&format!(
                "machines whose OS disk is made by {}",
                os["createOption"]
            )));
        }
        let unique = guid(&format!("{id} {}", self.store.version)).replace('-', "");
        let name = os["name"]
            .as_str()
            .map_or_else(|| format!("{}_OsDisk_1_{unique}", id.name()), str::to_owned);
        let size = os["diskSizeGB"].as_u64().unwrap_or(size);
        let (os_shown, os_disk) = self.disk_of(id, (&name, os, location), "FromImage", size)?;
        let mut storage = Storage {
            profile: json!({"imageReference": image, "osDisk": os_shown, "dataDisks": []}),
            disks: vec![os_disk],
        };
        storage.profile["osDisk"]["osType"] = json!("Linux");
        storage.disks[0]["properties"]["osType"] = json!("Linux");
        let data = profile["dataDisks"].as_array();
        let data = data.map(Vec::as_slice).unwrap_or_default();
        if data.len() > most {
            let message = format!(
                "The maximum number of data disks allowed to be attached to a VM of this size is {most}."
            );
            return Err(arm_error(409, "OperationNotAllowed", &message));
        }
        let mut shown = Vec::new();
        for disk in data {
            only_members(disk, DATA_DISK, "DataDisk")?;
            let (Some(lun), Some(size)) = (disk["lun"].as_u64(), disk["diskSizeGB"].as_u64())
            else {
                return Err(missing("dataDisk.lun or dataDisk.diskSizeGB"));
            };
            if disk["createOption"] != "Empty" {
                return Err(not_modelled(&format!(
                    "data disks made by {}",
                    disk["createOption"]
                )));
            }
            if shown.iter().any(|other: &Value| other["lun"] == lun) {
                return Err(invalid(&format!(
                    "The value '{lun}' of parameter 'dataDisk.lun' is used twice."
                )));
            }
            let name = disk["name"].as_str().map_or_else(
                || format!("{}_disk{}_{unique}", id.name(), lun + 2),
                str::to_owned,
            );
            let (mut one, resource) = self.disk_of(id, (&name, disk, location), "Empty", size)?;
            one["lun"] = json!(lun);
            one["toBeDetached"] = json!(false);
            shown.push(one);
            storage.disks.push(resource);
        }
        storage.profile["dataDisks"] = json!(shown);
        Ok(storage)
    }

    /// Returns a disk as the machine shows it, and as the resource that it is.
    fn disk_of(
        &self,
        machine: &ArmId,
        (name, given, location): (&str, &Value, &str),
        how: &str,
        size: u64,
    ) -> Result<(Value, Value), Reply> {
        only_members(
            &given["managedDisk"],
            &["storageAccountType"],
            "ManagedDiskParameters",
        )?;
        let sku = given["managedDisk"]["storageAccountType"].as_str();
        let sku = sku.unwrap_or("Standard_LRS");
        let group = machine.as_str().split("/providers/").next();
        let id = format!("{}/providers/{DISK}/{name}", group.unwrap_or_default());
        if self.store.get(&id).is_some() {
            let message = format!(
                "Disk {name} already exists in resource group {}. Only CreateOption.Attach is supported.",
                machine.resource_group().unwrap_or_default()
            );
            return Err(arm_error(409, "ConflictingUserInput", &message));
        }
        gate::linked(
            &self.grants,
            self.claims,
            (&format!("{MACHINE}/write"), machine.as_str()),
            (&format!("{DISK}/write"), &id),
        )?;
        let shown = json!({
            "name": name, "createOption": how, "caching": given["caching"].as_str().unwrap_or("None"),
            "managedDisk": {"id": id, "storageAccountType": sku}, "diskSizeGB": size,
            "deleteOption": given["deleteOption"].as_str().unwrap_or("Detach"),
        });
        let resource = json!({
            "id": id, "name": name, "type": DISK, "location": location, "sku": {"name": sku, "tier": tier(sku)}, "managedBy": machine.as_str(),
            "properties": {
                "provisioningState": "Succeeded", "uniqueId": guid(&format!("{id} {}", self.store.version)), "hyperVGeneration": "V2",
                "diskSizeGB": size, "diskSizeBytes": size * GIB, "diskState": "Attached", "networkAccessPolicy": "AllowAll",
                "publicNetworkAccess": "Enabled", "creationData": {"createOption": how},
                "encryption": {"type": "EncryptionAtRestWithPlatformKey"}, "timeCreated": instant(self.tenant.clock.now()),
            },
        });
        Ok((shown, resource))
    }

    /// DELETE: the machine is there until the operation ends; its parts are then let go, or go along.
    pub(super) fn delete_machine(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(mut value) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        self.machine_is_free(id)?;
        let location = value["location"].as_str().unwrap_or_default().to_owned();
        value["properties"]["provisioningState"] = json!("Deleting");
        self.store.put(id.as_str(), value);
        let operation = self.begin(Start {
            kind: MACHINE,
            resource: Some(id.as_str()),
            removes: Some(id.as_str()),
            ..Start::default()
        });
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, MACHINE, &location, false),
        );
        Ok(reply.with(
            "location",
            self.address(&operation, MACHINE, &location, true),
        ))
    }
}
