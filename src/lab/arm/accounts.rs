//! Storage accounts: made, changed, shown, and whether a name is free (arm.md section 3).

use serde_json::{Value, json};

use super::containers::{CONTAINER, kept};
use super::operations::Start;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

pub(super) const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";
/// Where a client asks whether a name is free, in lower case.
pub(super) const CHECK_NAME: &str = "/providers/microsoft.storage/checknameavailability";

const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "sku",
    "kind",
    "properties",
];
/// Members that a request may set.
const PROPERTIES: &[&str] = &[
    "accessTier",
    "allowBlobPublicAccess",
    "allowCrossTenantReplication",
    "allowSharedKeyAccess",
    "defaultToOAuthAuthentication",
    "encryption",
    "immutableStorageWithVersioning",
    "isHnsEnabled",
    "isLocalUserEnabled",
    "isSftpEnabled",
    "minimumTlsVersion",
    "networkAcls",
    "publicNetworkAccess",
    "supportsHttpsTrafficOnly",
];
/// Members that are fixed once the account is there.
const FIXED: &[&str] = &["immutableStorageWithVersioning", "isHnsEnabled"];
const SKUS: &[&str] = &[
    "Premium_LRS",
    "Premium_ZRS",
    "Standard_GRS",
    "Standard_GZRS",
    "Standard_LRS",
    "Standard_RAGRS",
    "Standard_RAGZRS",
    "Standard_ZRS",
];
const KINDS: &[&str] = &[
    "BlobStorage",
    "BlockBlobStorage",
    "FileStorage",
    "Storage",
    "StorageV2",
];

impl Arm<'_> {
    pub(super) fn accounts(&mut self, target: Target) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &self.account(&self.found(&id)?))),
            ("GET", Target::List { scope, kind }) => {
                let items: Vec<Value> = self
                    .visible(&scope, &kind)
                    .iter()
                    .map(|value| self.account(value))
                    .collect();
                Ok(self.list(&items))
            }
            ("PUT", Target::Resource(id)) => self.put_account(&id),
            ("PATCH", Target::Resource(id)) => self.patch_account(&id),
            ("DELETE", Target::Resource(id)) => self.delete_account(&id),
            (method, _) => Err(not_modelled(&format!("{method} on {ACCOUNT}"))),
        }
    }

    /// Shows an account with the address of its blobs, which are here.
    fn account(&self, value: &Value) -> Value {
        let mut value = shown(value);
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        let properties = &mut value["properties"];
        properties["primaryEndpoints"] =
            json!({"blob": format!("https://{name}.blob.localhost:{}/", self.tenant.port)});
        if properties["provisioningState"].is_null() {
            properties["provisioningState"] = json!("Succeeded");
        }
        value
    }

    /// A name is one account's in the whole cloud.
    fn owner(&self, name: &str) -> Option<&Value> {
        let mut all = self.store.of_type("", ACCOUNT);
        all.find(|account| account["name"] == name)
    }

    /// Says whether a name is free, and well formed.
    pub(super) fn check_account_name(&self) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(&body, &["name", "type"], "CheckNameAvailability")?;
        let name = body["name"].as_str().unwrap_or_default();
        let answer = if let Err(message) = well_named(name) {
            json!({"nameAvailable": false, "reason": "AccountNameInvalid", "message": message})
        } else if self.owner(name).is_some() {
            json!({"nameAvailable": false, "reason": "AlreadyExists", "message": format!("The storage account named {name} is already taken.")})
        } else {
            json!({"nameAvailable": true})
        };
        Ok(Reply::json(200, &answer))
    }

    /// A new account is told by Location alone; one that is there is changed at once.
    fn put_account(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.read_account()?;
        let location = body["location"].as_str().unwrap_or_default().to_owned();
        if location.is_empty() {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        }
        if let Some(before) = self.store.get(id.as_str()).cloned() {
            return self.changed_account(id, before, &body);
        }
        let name = id.name();
        well_named(name).map_err(|message| arm_error(400, "AccountNameInvalid", &message))?;
        if self.owner(name).is_some() {
            let message = format!("The storage account named {name} is already taken.");
            return Err(arm_error(409, "StorageAccountAlreadyTaken", &message));
        }
        let kind = body["kind"].as_str().unwrap_or("StorageV2").to_owned();
        let sku = sku_of(&body)?;
        if !KINDS.contains(&kind.as_str()) {
            return Err(invalid(&format!("The kind {kind} is not known.")));
        }
        let made = self.tenant.clock.now().format("%Y-%m-%dT%H:%M:%S%.6f0Z");
        let mut properties = json!({
            "accessTier": "Hot", "allowBlobPublicAccess": false, "allowCrossTenantReplication": false,
            "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": true,
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []},
        });
        merge(&mut properties, &body["properties"]);
        properties["creationTime"] = json!(made.to_string());
        properties["primaryLocation"] = json!(location);
        properties["statusOfPrimary"] = json!("available");
        properties["provisioningState"] = json!("Creating");
        let mut value = json!({"id": id.as_str(), "name": name, "type": ACCOUNT, "location": location, "tags": body["tags"].as_object().cloned().unwrap_or_default(), "sku": sku, "kind": kind, "properties": properties});
        self.store.put(id.as_str(), value.clone());
        value["properties"]["provisioningState"] = json!("Succeeded");
        let result = self.account(&value);
        let operation = self.begin(Start {
            kind: ACCOUNT,
            resource: Some(id.as_str()),
            result: Some(result),
            ..Start::default()
        });
        let at = self.address(&operation, ACCOUNT, &location, true);
        Ok(Reply::empty(202)
            .with("content-type", "text/plain; charset=utf-8")
            .with("location", at))
    }

    fn patch_account(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let before = self.found(id)?;
        let body = self.read_account()?;
        self.changed_account(id, before, &body)
    }

    /// A container that a locked policy or a legal hold keeps, keeps its account, too (arm.md section 3).
    fn delete_account(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(account) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        let containers: Vec<Value> = self
            .store
            .of_type(id.as_str(), CONTAINER)
            .cloned()
            .collect();
        if containers.iter().any(kept) {
            let message = format!(
                "The storage account {} cannot be deleted: a container of it is protected by a policy or a hold.",
                id.name()
            );
            // The documents say that it is refused, and not under which code.
            return Err(arm_error(409, "StorageAccountCannotBeDeleted", &message));
        }
        for container in &containers {
            self.drop_container(&account, container);
        }
        self.store.delete(&format!("{id}/blobServices/default"));
        self.store.delete(id.as_str());
        Ok(Reply::empty(200))
    }

    fn read_account(&self) -> Result<Value, Reply> {
        let body = self.ask.json()?;
        only_members(&body, MEMBERS, "StorageAccount")?;
        only_members(&body["properties"], PROPERTIES, "StorageAccountProperties")?;
        let access = &body["properties"]["publicNetworkAccess"];
        if !access.is_null() && !matches!(access.as_str(), Some("Enabled" | "Disabled")) {
            return Err(invalid(&format!(
                "The value {access} of publicNetworkAccess is not allowed."
            )));
        }
        Ok(body)
    }

    fn changed_account(
        &mut self,
        id: &ArmId,
        mut account: Value,
        body: &Value,
    ) -> Result<Reply, Reply> {
        let properties = body["properties"].as_object().into_iter().flatten();
        for (name, value) in properties {
            let before = account["properties"].get(name).cloned().unwrap_or_default();
            if FIXED.contains(&name.as_str())
                && *value != before
                && !(before.is_null() && *value == false)
            {
                let message = format!(
                    "The property '{name}' was specified in the input, but it cannot be updated."
                );
                return Err(arm_error(409, "PropertyImmutable", &message));
            }
        }
        if body["sku"].is_object() {
            account["sku"] = sku_of(body)?;
        }
        if body["tags"].is_object() {
            account["tags"] = body["tags"].clone();
        }
        merge(&mut account["properties"], &body["properties"]);
        self.store.put(id.as_str(), account.clone());
        Ok(Reply::json(200, &self.account(&account)))
    }
}

/// Puts the members that are not null over those that are there.
fn merge(into: &mut Value, given: &Value) {
    for (name, value) in given.as_object().into_iter().flatten() {
        if !value.is_null() {
            into[name] = value.clone();
        }
    }
}

fn sku_of(body: &Value) -> Result<Value, Reply> {
    match body["sku"]["name"].as_str() {
        Some(name) if SKUS.contains(&name) => {
            Ok(json!({"name": name, "tier": name.split('_').next()}))
        }
        other => Err(invalid(&format!(
            "The sku {} is not known.",
            other.unwrap_or("null")
        ))),
    }
}

fn invalid(message: &str) -> Reply {
    arm_error(400, "InvalidRequestPropertyValue", message)
}

fn well_named(name: &str) -> Result<(), String> {
    let good = (3..=24).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if good {
        return Ok(());
    }
    Err(format!(
        "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only."
    ))
}
