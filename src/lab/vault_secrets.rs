//! Secrets of a vault (graph-and-data-planes.md section 6).
//!
//! The lab keeps of a value only its SHA-256: what is asked for a value is refused with 501, and a test can tell that
//! what lies in a vault is what was made elsewhere.

use serde_json::{Value, json};

use super::reply::Reply;
use super::scenario::Secret;
use super::store::Store;
use super::vault::error;
use super::vault_items::{Collection, Items, members, text};
use crate::digest::Digest;

/// The largest value, in bytes.
const LARGEST: usize = 25 * 1024;

pub(super) const SECRETS: Collection = Collection {
    folder: "secrets",
    kind: "vaultSecrets",
    deleted_kind: "deletedVaultSecrets",
    id: "id",
    what: "Secret",
    not_found: "SecretNotFound",
    changeable: &["attributes", "contentType", "tags"],
};

pub(super) fn get(secrets: &Items<'_, '_>, name: &str, version: Option<&str>) -> Reply {
    let versions = secrets.each(name);
    let found = match version.filter(|version| !version.is_empty()) {
        Some(version) => versions.iter().find(|one| one["version"] == version),
        None => versions.last(),
    };
    match found {
        None => secrets.not_found(name),
        Some(one) if one["attributes"]["enabled"] == false => error(
            403,
            "Forbidden",
            "Operation get is not allowed on a disabled secret.",
            Some("SecretDisabled"),
        ),
        Some(_) => error(
            501,
            "NotModelled",
            "The lab keeps no value of a secret, so it cannot tell one.",
            None,
        ),
    }
}

pub(super) fn set(secrets: &mut Items<'_, '_>, name: &str) -> Reply {
    let (Ok(reply) | Err(reply)) = try_set(secrets, name);
    reply
}

fn try_set(secrets: &mut Items<'_, '_>, name: &str) -> Result<Reply, Reply> {
    let known = ["value", "contentType", "tags", "attributes"];
    let members = members(secrets.visit.ask, &known)?;
    let bad = |message: &str| error(400, "BadParameter", message, None);
    let Some(value) = members.get("value").and_then(Value::as_str) else {
        return Err(bad("Property value is required."));
    };
    if value.len() > LARGEST {
        return Err(bad("The secret value is too large."));
    }
    secrets.takes(name)?;
    let versions = secrets.each(name);
    if versions.last().is_some_and(|one| one["managed"] == true) {
        return Err(error(
            403,
            "Forbidden",
            "The secret is managed by a certificate.",
            Some("AccessDenied"),
        ));
    }
    let version = secrets.visit.random.uuid().simple().to_string();
    let given = members.get("attributes").cloned().unwrap_or_default();
    let one = json!({
        "vault": secrets.vault, "name": versions.last().map_or(name, |one| text(one, "name")), "version": version,
        "number": versions.len(), "attributes": secrets.attributes(&given), "tags": members.get("tags").cloned().unwrap_or(json!({})),
        "contentType": members.get("contentType"), "managed": null,
        "__sha256": Digest::of(value.as_bytes()).to_string(),
    });
    let mut shown = secrets.bundle(&one);
    shown["value"] = json!(value);
    secrets.keep(name, &version, one);
    Ok(Reply::json(200, &shown))
}

/// Puts a secret of the seed into its vault.
pub(super) fn seed(store: &mut Store, vault: &str, secret: &Secret, made: i64) {
    let name = secret.name.as_str();
    for (number, value) in secret.values.iter().enumerate() {
        let version = Digest::of(format!("{vault} {name} {number}").as_bytes()).to_string();
        let version = version.get(..32).unwrap_or_default().to_owned();
        let created = made - 86_400 * (100 - number as i64);
        let one = json!({
            "vault": vault.to_ascii_lowercase(), "name": name, "version": version, "number": number,
            "attributes": {"enabled": true, "created": created, "updated": created, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90},
            "tags": secret.tags, "contentType": secret.content_type, "managed": secret.managed.then_some(true),
            "__sha256": Digest::of(value.as_bytes()).to_string(),
        });
        let key = format!(
            "{}/{}/{version}",
            vault.to_ascii_lowercase(),
            name.to_ascii_lowercase()
        );
        store.directory.seed(SECRETS.kind, &key, one);
    }
}
