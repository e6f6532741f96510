//! Containers and the blob service of an account, as Resource Manager makes and changes them (arm.md section 3).

use serde_json::{Value, json};

use super::accounts::ACCOUNT;
use super::immutability::container;
use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::store::Store;

/// The type of containers.
pub(super) const CONTAINER: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";
const SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices";
/// What a blob service may be told. Retention of what is deleted is not among them: the lab deletes for good.
const SERVICE_MEMBERS: &[&str] = &[
    "cors",
    "deleteRetentionPolicy",
    "defaultServiceVersion",
    "isVersioningEnabled",
];

impl Arm<'_> {
    /// The one blob service of an account; a PUT leaves alone what it does not name.
    pub(super) fn blob_service(&mut self, target: Target) -> Result<Reply, Reply> {
        let id = match target {
            Target::Resource(id) if id.name().eq_ignore_ascii_case("default") => id,
            _ => return Err(not_modelled("other blob services than the default one")),
        };
        let account = id.parent().ok_or_else(|| self.not_found())?;
        let account = self.found(&account)?;
        let mut service = match self.store.get(id.as_str()) {
            Some(known) => known.clone(),
            None => {
                json!({"id": id.as_str(), "name": "default", "type": SERVICE, "sku": account["sku"], "properties": {
                "cors": {"corsRules": []}, "deleteRetentionPolicy": {"allowPermanentDelete": false, "enabled": false}}})
            }
        };
        match self.ask.method.as_str() {
            "GET" => return Ok(Reply::json(200, &service)),
            "PUT" => {}
            method => return Err(not_modelled(&format!("{method} on {SERVICE}"))),
        }
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "sku", "properties"],
            "BlobServiceProperties",
        )?;
        for (name, value) in body["properties"].as_object().into_iter().flatten() {
            if value.is_null() {
                continue;
            }
            if !SERVICE_MEMBERS.contains(&name.as_str()) || value["enabled"] == true {
                return Err(not_modelled(&format!("{name} of a blob service")));
            }
            service["properties"][name] = value.clone();
        }
        self.store.put(id.as_str(), service.clone());
        Ok(Reply::json(200, &service))
    }

    pub(super) fn put_container(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let account = self.account_of(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "properties"],
            "BlobContainer",
        )?;
        only_members(
            &body["properties"],
            &["metadata", "publicAccess"],
            "ContainerProperties",
        )?;
        let access = body["properties"]["publicAccess"]
            .as_str()
            .unwrap_or("None");
        if !["None", "Blob", "Container"].contains(&access) {
            return Err(arm_error(
                400,
                "InvalidRequestPropertyValue",
                &format!("The value {access} of publicAccess is not allowed."),
            ));
        }
        if access != "None" && !public(&account) {
            return Err(arm_error(409, "PublicAccessNotPermitted", NOT_PUBLIC));
        }
        let before = self.store.get(id.as_str()).cloned();
        let mut value = before
            .clone()
            .unwrap_or_else(|| new_container(id.as_str(), access));
        value["properties"]["publicAccess"] = json!(access);
        if body["properties"]["metadata"].is_object() {
            value["properties"]["metadata"] = body["properties"]["metadata"].clone();
        }
        self.store.put(id.as_str(), value.clone());
        let status = if before.is_some() { 200 } else { 201 };
        Ok(Reply::json(status, &container(&value)))
    }

    /// What is kept by a policy or a hold keeps its container.
    pub(super) fn delete_container(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let account = self.account_of(id)?;
        let Some(value) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        if kept(&value) {
            let message =
                "The storage account container cannot be deleted: a policy or a hold protects it.";
            return Err(arm_error(409, "ContainerProtectedFromDeletion", message));
        }
        self.drop_container(&account, &value);
        Ok(Reply::empty(200))
    }

    /// Takes a container away with its blobs.
    pub(super) fn drop_container(&mut self, account: &Value, value: &Value) {
        let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
        let below = format!("{}/{}/", name(account), name(value));
        let blobs: Vec<String> = self
            .store
            .blobs
            .keys()
            .filter(|key| key.starts_with(&below))
            .cloned()
            .collect();
        for blob in blobs {
            self.store.delete_blob(&blob);
        }
        self.store.delete(value["id"].as_str().unwrap_or_default());
    }

    fn account_of(&self, id: &ArmId) -> Result<Value, Reply> {
        let account = id.parent().and_then(|service| service.parent());
        self.found(&account.ok_or_else(|| self.not_found())?)
    }
}

/// Returns whether a locked policy or a hold keeps a container.
pub(super) fn kept(value: &Value) -> bool {
    value["properties"]["immutable"] == "Locked"
        || container(value)["properties"]["hasLegalHold"] == true
}

/// What a container refuses whose account is not to be public.
pub(in crate::lab) const NOT_PUBLIC: &str =
    "Public access is not permitted on this storage account.";

/// Returns whether containers of an account may be public.
pub(in crate::lab) fn public(account: &Value) -> bool {
    account["properties"]["allowBlobPublicAccess"] == true
}

/// Returns a container as it is when it is made.
pub(in crate::lab) fn new_container(id: &str, access: &str) -> Value {
    let name = id.rsplit('/').next().unwrap_or_default();
    json!({"id": id, "name": name, "type": CONTAINER, "properties": {"publicAccess": access}})
}

/// Returns an account by its name.
pub(in crate::lab) fn account<'a>(store: &'a Store, name: &str) -> Option<&'a Value> {
    let mut all = store.of_type("", ACCOUNT);
    all.find(|account| {
        account["name"]
            .as_str()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
    })
}

/// Returns whether blobs of an account have versions.
pub(in crate::lab) fn versioned(store: &Store, account: &Value) -> bool {
    let id = account["id"].as_str().unwrap_or_default();
    store
        .get(&format!("{id}/blobServices/default"))
        .is_some_and(|service| service["properties"]["isVersioningEnabled"] == true)
}
