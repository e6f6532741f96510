//! Keys of a vault: made, rotated, read, disabled (graph-and-data-planes.md section 6; "Create Key", "Rotate Key",
//! "Key types, algorithms, and operations").
//!
//! Nothing is ever encrypted or signed here, so the public numbers of a key are made up and it has no private ones: a
//! request for an operation with a key is refused with 501.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::reply::Reply;
use super::vault::error;
use super::vault_items::{Collection, Items, members, text};

pub(super) const KEYS: Collection = Collection {
    folder: "keys",
    kind: "vaultKeys",
    deleted_kind: "deletedVaultKeys",
    id: "kid",
    what: "Key",
    not_found: "KeyNotFound",
    changeable: &["attributes", "key_ops", "tags"],
};

pub(super) fn get(keys: &Items<'_, '_>, name: &str, version: Option<&str>) -> Reply {
    let versions = keys.each(name);
    let found = match version.filter(|version| !version.is_empty()) {
        Some(version) => versions.iter().find(|one| one["version"] == version),
        None => versions.last(),
    };
    match found {
        // A disabled key still shows its public part; what it may not do is an operation.
        Some(one) => Reply::json(200, &keys.bundle(one)),
        None => keys.not_found(name),
    }
}

pub(super) fn create(keys: &mut Items<'_, '_>, name: &str) -> Reply {
    let (Ok(reply) | Err(reply)) = try_create(keys, name);
    reply
}

fn try_create(keys: &mut Items<'_, '_>, name: &str) -> Result<Reply, Reply> {
    let known = ["kty", "key_size", "key_ops", "crv", "tags", "attributes"];
    let members = members(keys.visit.ask, &known)?;
    keys.takes(name)?;
    let key = made(keys, &members)?;
    let given = members.get("attributes").cloned().unwrap_or_default();
    let tags = members.get("tags").cloned().unwrap_or(json!({}));
    Ok(add(keys, name, key, (keys.attributes(&given), tags)))
}

/// A new version of the same kind.
pub(super) fn rotate(keys: &mut Items<'_, '_>, name: &str) -> Reply {
    let Some(newest) = keys.each(name).pop() else {
        return keys.not_found(name);
    };
    let old = &newest["key"];
    let size = old["n"]
        .as_str()
        .map(|number| number.len() * 6 / 1_024 * 1_024);
    let asked =
        json!({"kty": old["kty"], "crv": old["crv"], "key_size": size, "key_ops": old["key_ops"]});
    let asked: Map<String, Value> = asked
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match made(keys, &asked) {
        Ok(key) => {
            let attributes = keys.attributes(&json!({}));
            add(keys, name, key, (attributes, newest["tags"].clone()))
        }
        Err(refusal) => refusal,
    }
}

/// Returns the public part of a new key.
fn made(keys: &Items<'_, '_>, asked: &Map<String, Value>) -> Result<Value, Reply> {
    let bad = |message: &str| Err(error(400, "BadParameter", message, None));
    let number = |bytes: usize| {
        let mut number = vec![0; bytes];
        keys.visit.random.fill(&mut number);
        number
    };
    let coded = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    let kind = asked.get("kty").and_then(Value::as_str).unwrap_or_default();
    let (mut key, usual) = match kind {
        "RSA" => {
            let size = asked.get("key_size").map_or(Some(2_048), Value::as_u64);
            let Some(size @ (2_048 | 3_072 | 4_096)) = size else {
                return bad("Invalid key size: 2048, 3072 and 4096 are supported.");
            };
            let mut modulus = number(usize::try_from(size / 8).unwrap_or_default());
            modulus[0] |= 0x80;
            let last = modulus.len() - 1;
            modulus[last] |= 1;
            let all = &[
                "encrypt",
                "decrypt",
                "sign",
                "verify",
                "wrapKey",
                "unwrapKey",
            ][..];
            (json!({"kty": kind, "n": coded(&modulus), "e": "AQAB"}), all)
        }
        "EC" => {
            let curve = asked.get("crv").and_then(Value::as_str).unwrap_or("P-256");
            let bytes = match curve {
                "P-256" | "P-256K" => 32,
                "P-384" => 48,
                "P-521" => 66,
                _ => return bad("The curve is not known."),
            };
            let point = json!({"kty": kind, "crv": curve, "x": coded(&number(bytes)), "y": coded(&number(bytes))});
            (point, &["sign", "verify"][..])
        }
        other => {
            let message = format!("The lab does not model keys of type {other}.");
            return Err(error(501, "NotModelled", &message, None));
        }
    };
    key["key_ops"] = asked.get("key_ops").cloned().unwrap_or(json!(usual));
    Ok(key)
}

fn add(
    keys: &mut Items<'_, '_>,
    name: &str,
    key: Value,
    (attributes, tags): (Value, Value),
) -> Reply {
    let versions = keys.each(name);
    let version = keys.visit.random.uuid().simple().to_string();
    let one = json!({
        "vault": keys.vault, "name": versions.last().map_or(name, |one| text(one, "name")), "version": version,
        "number": versions.len(), "attributes": attributes, "tags": tags, "key": key,
    });
    let shown = keys.bundle(&one);
    keys.keep(name, &version, one);
    Reply::json(200, &shown)
}
