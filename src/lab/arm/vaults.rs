//! Key vaults as resources: made, deleted so that they can be recovered, and purged (arm.md section 4; "Vaults - Create
//! Or Update", "Vaults - Purge Deleted (REST API)"). What lies in a vault is the data plane's.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::operations::Start;
use super::resources::tags_are_good;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::store::Store;
use crate::lab::vault;

/// The type of vaults.
pub(super) const VAULT: &str = "Microsoft.KeyVault/vaults";
/// The type of vaults that are deleted and not purged, by their address; their bodies leave the place out.
const DELETED: &str = "Microsoft.KeyVault/locations/deletedVaults";
const PROPERTIES: &[&str] = &[
    "accessPolicies",
    "createMode",
    "enablePurgeProtection",
    "enableRbacAuthorization",
    "enableSoftDelete",
    "enabledForDeployment",
    "enabledForDiskEncryption",
    "enabledForTemplateDeployment",
    "networkAcls",
    "provisioningState",
    "publicNetworkAccess",
    "sku",
    "softDeleteRetentionInDays",
    "tenantId",
    "vaultUri",
];

impl Arm<'_> {
    pub(super) fn vaults(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("PUT", "microsoft.keyvault/vaults", Target::Resource(id)) => self.put_vault(&id),
            ("DELETE", "microsoft.keyvault/vaults", Target::Resource(id)) => self.delete_vault(&id),
            ("GET", "microsoft.keyvault/deletedvaults", Target::List { scope, .. }) => {
                self.no_filter()?;
                let all = self.store.of_type(&scope, DELETED).map(buried);
                Ok(self.list(&all.collect::<Vec<_>>()))
            }
            ("GET", "microsoft.keyvault/locations/deletedvaults", Target::Resource(id)) => {
                Ok(Reply::json(200, &buried(&self.deleted_vault(&id)?)))
            }
            ("POST", "microsoft.keyvault/locations/deletedvaults", Target::Action { id, name })
                if name == "purge" =>
            {
                self.purge_vault(&id)
            }
            (_, "microsoft.keyvault/vaults", target) => self.read_only(target, kind),
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    fn put_vault(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "location", "name", "properties", "tags", "type"],
            "VaultCreateOrUpdateParameters",
        )?;
        let given = &body["properties"];
        only_members(given, PROPERTIES, "VaultProperties")?;
        self.vault_is_sound(id, &body)?;
        let before = self.store.get(id.as_str()).cloned();
        if before.is_none() {
            self.vault_name_is_free(id)?;
        }
        let flag = |name: &str, usual: bool| given[name].as_bool().unwrap_or(usual);
        let mut properties = json!({
            "tenantId": given["tenantId"], "sku": given["sku"], "accessPolicies": given["accessPolicies"].as_array().cloned().unwrap_or_default(),
            "enableRbacAuthorization": flag("enableRbacAuthorization", false), "enableSoftDelete": true,
            "softDeleteRetentionInDays": given["softDeleteRetentionInDays"].as_u64().unwrap_or(90),
            "enabledForDeployment": flag("enabledForDeployment", false),
            "publicNetworkAccess": given["publicNetworkAccess"].as_str().unwrap_or("Enabled"),
            "provisioningState": "RegisteringDns",
            "vaultUri": vault::uri(id.name(), self.tenant.port),
        });
        for optional in ["enablePurgeProtection", "networkAcls"] {
            if !given[optional].is_null() {
                properties[optional] = given[optional].clone();
            }
        }
        let mut value = json!({"id": id.as_str(), "name": id.name(), "type": VAULT, "location": body["location"], "tags": {}, "properties": properties});
        if body["tags"].is_object() {
            value["tags"] = body["tags"].clone();
        }
        self.store.put(id.as_str(), value.clone());
        self.begin(Start {
            kind: VAULT,
            resource: Some(id.as_str()),
            ..Start::default()
        });
        Ok(Reply::json(200, &shown(&value)))
    }

    fn vault_is_sound(&self, id: &ArmId, body: &Value) -> Result<(), Reply> {
        let refuse = |code: &str, message: &str| Err(arm_error(400, code, message));
        let given = &body["properties"];
        if body["location"].as_str().is_none_or(str::is_empty) {
            return refuse(
                "LocationRequired",
                "The location property is required for this definition.",
            );
        }
        let name = id.name();
        let good = (3..=24).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && !name.ends_with('-')
            && !name.contains("--");
        if !good {
            let message = format!(
                "The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens."
            );
            return refuse("VaultNameNotValid", &message);
        }
        if given["tenantId"] != self.tenant.scenario.tenant.as_str() {
            return refuse(
                "BadRequest",
                "An invalid value was provided for 'tenantId'.",
            );
        }
        let sku = given["sku"]["name"].as_str().unwrap_or_default();
        if given["sku"]["family"] != "A"
            || !["standard", "premium"].contains(&sku.to_ascii_lowercase().as_str())
        {
            return refuse("BadRequest", "An invalid value was provided for 'sku'.");
        }
        if given["enablePurgeProtection"] == false {
            let message = "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.";
            return refuse("BadRequest", message);
        }
        if !matches!(given["createMode"].as_str(), None | Some("default")) {
            return Err(not_modelled("vaults that are recovered"));
        }
        match body["tags"].as_object() {
            Some(tags) => tags_are_good(tags),
            None => Ok(()),
        }
    }

    /// A vault's name is its host's: it is one in all the cloud, and taken until it is purged.
    fn vault_name_is_free(&self, id: &ArmId) -> Result<(), Reply> {
        let named = |value: &&Value| {
            value["name"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(id.name()))
        };
        if self.store.of_type("", VAULT).any(|one| named(&one)) {
            let message = format!(
                "The vault name '{}' is already in use. Vault names are globally unique so it is possible that the name is already taken.",
                id.name()
            );
            return Err(arm_error(409, "VaultAlreadyExists", &message));
        }
        if self.store.of_type("", DELETED).any(|one| named(&one)) {
            let message = format!(
                "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault '{}'.",
                id.name()
            );
            return Err(arm_error(409, "ConflictError", &message));
        }
        Ok(())
    }

    fn delete_vault(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(value) = self.store.delete(id.as_str()) else {
            return Ok(Reply::empty(204));
        };
        bury(self.store, &value, self.tenant.clock.now());
        Ok(Reply::empty(200))
    }

    fn deleted_vault(&self, id: &ArmId) -> Result<Value, Reply> {
        self.store.get(id.as_str()).cloned().ok_or_else(|| {
            let message = format!(
                "The specified deleted vault '{}' does not exist.",
                id.name()
            );
            arm_error(404, "DeletedVaultNotFound", &message)
        })
    }

    /// Takes a deleted vault away for good, with all that lay in it.
    fn purge_vault(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let value = self.deleted_vault(id)?;
        if value["__protected"] == true {
            let message = format!(
                "Operation \"purge\" is not allowed because purge protection is enabled on vault '{}'.",
                id.name()
            );
            return Err(arm_error(409, "MethodNotAllowed", &message));
        }
        self.store.delete(id.as_str());
        vault::empty(self.store, id.name(), self.now_us);
        Ok(Reply::empty(200))
    }
}

/// Keeps a deleted vault where it can be recovered from.
pub(super) fn bury(store: &mut Store, value: &Value, now: DateTime<Utc>) {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let (own, name, location) = (text("id"), text("name"), text("location"));
    let subscription = own.split('/').nth(2).unwrap_or_default();
    let id = format!(
        "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}"
    );
    let days = value["properties"]["softDeleteRetentionInDays"].as_i64();
    let purged = now + Duration::days(days.unwrap_or(90));
    let deleted = json!({
        "id": id, "name": name, "type": DELETED,
        "properties": {
            "vaultId": own, "location": location, "tags": value["tags"],
            "deletionDate": crate::clock::seconds(now), "scheduledPurgeDate": crate::clock::seconds(purged),
        },
        "__protected": value["properties"]["enablePurgeProtection"] == true,
    });
    store.put(&id, deleted);
}

/// Shows a deleted vault.
fn buried(value: &Value) -> Value {
    let mut value = shown(value);
    value["type"] = json!("Microsoft.KeyVault/deletedVaults");
    value
}
