//! Keys of the lab's vaults: made, rotated, disabled, deleted and recovered; never used.

use serde_json::{Value, json};

use crate::lab_support::{Answer, with_roles};
use crate::lab_vault::{Vault, inner};

const SUBSCRIPTION: &str = "/subscriptions/22222222-2222-4222-8222-222222222222";

fn vault() -> Vault {
    let roles = [
        ("Contributor", SUBSCRIPTION),
        ("Key Vault Crypto Officer", SUBSCRIPTION),
    ];
    Vault::of(with_roles(&roles, ""), "kv-shop")
}

fn made(vault: &Vault, name: &str, body: &Value) -> Answer {
    vault.call("POST", &format!("/keys/{name}/create"), body)
}

/// Returns the version in a key's address.
fn version(answer: &Answer) -> String {
    let id = answer.body["key"]["kid"].as_str();
    let id = id.unwrap_or_else(|| panic!("{answer:?}"));
    id.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn a_key_has_the_size_that_was_asked_for_and_versions() {
    let vault = vault();
    let first = made(&vault, "app", &json!({"kty": "RSA", "key_size": 3072}));
    let number = first.body["key"]["n"].as_str().unwrap();
    assert_eq!((first.status, number.len()), (200, 512));
    let second = vault.call("POST", "/keys/app/rotate", &json!({}));
    assert_eq!(second.body["key"]["n"].as_str().unwrap().len(), 512);
    assert_ne!(version(&first), version(&second));
    assert_eq!(version(&vault.get("/keys/app")), version(&second));
    let off = json!({"attributes": {"enabled": false}});
    let path = format!("/keys/app/{}", version(&first));
    assert_eq!(
        vault.call("PATCH", &path, &off).body["attributes"]["enabled"],
        false
    );
    let listed = vault.get("/keys/app/versions");
    assert_eq!(listed.each("kid").len(), 2);
    assert!(listed.body["value"][0]["key"].is_null(), "{listed:?}");
    let curve = made(&vault, "sign", &json!({"kty": "EC", "crv": "P-384"}));
    assert_eq!(curve.body["key"]["x"].as_str().unwrap().len(), 64);
    for (wrong, status) in [
        (json!({"kty": "RSA", "key_size": 1024}), 400),
        (json!({"kty": "EC", "crv": "P-1"}), 400),
        (json!({"kty": "oct"}), 501),
        (json!({"kty": "RSA", "purpose": "x"}), 400),
    ] {
        assert_eq!(made(&vault, "wrong", &wrong).status, status, "{wrong}");
    }
    let sign = format!("{path}/sign");
    assert_eq!(
        vault.call("POST", &sign, &json!({"alg": "RS256"})).error(),
        (501, "NotModelled")
    );
}

#[test]
fn a_deleted_key_is_recovered_or_purged_and_takes_no_secret_along() {
    let vault = vault();
    made(&vault, "app", &json!({"kty": "RSA"}));
    let deleted = vault.call("DELETE", "/keys/app", &Value::Null);
    let recovery = deleted.body["recoveryId"].as_str().unwrap();
    assert!(recovery.ends_with("/deletedkeys/app"), "{recovery}");
    assert_eq!(vault.get("/keys/app").error(), (404, "KeyNotFound"));
    let taken = made(&vault, "app", &json!({"kty": "RSA"}));
    assert_eq!(inner(&taken), (409, "ObjectIsDeletedButRecoverable"));
    assert_eq!(vault.get("/deletedkeys").each("kid").len(), 1);
    let back = vault.call("POST", "/deletedkeys/app/recover", &Value::Null);
    assert_eq!(back.status, 200);
    assert_eq!(vault.get("/keys/app").status, 200);
    vault.call("DELETE", "/keys/app", &Value::Null);
    let gone = vault.call("DELETE", "/deletedkeys/app", &Value::Null);
    assert_eq!(gone.status, 204);
    assert_eq!(vault.get("/deletedkeys/app").status, 404);
}

#[test]
fn keys_take_rights_of_their_own() {
    let vault = Vault::new("kv-shop", None);
    assert_eq!(inner(&vault.get("/keys")), (403, "ForbiddenByRbac"));
    assert_eq!(vault.get("/secrets").status, 200);
    let by_policy = Vault::new("kv-policy", None);
    assert_eq!(inner(&by_policy.get("/keys")), (403, "AccessDenied"));
    assert_eq!(by_policy.get("/secrets").status, 200);
}
