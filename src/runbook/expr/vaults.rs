//! What is in key vaults, and what may be done with it (Graph sheet section 6).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::rating::text;
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "old_passwords",
        old_passwords,
        "rotated secrets | old_passwords: of each application once, the keys that were there before",
    ),
    (
        "vault_name",
        vault_name,
        "text | vault_name: what a vault takes as the name of a secret: letters, digits and hyphens, at most 127",
    ),
    (
        "vault_secrets",
        vault_secrets,
        "secrets of a vault | vault_secrets(uri, ['name=application/id'], [names]): each with its fate (rotate, manual or never) and why",
    ),
    (
        "vault_versions",
        vault_versions,
        "versions of a secret | vault_versions: each with vault, name and version",
    ),
    (
        "vaults_meant",
        vaults_meant,
        "names or ids | vaults_meant(vaults): {found, missing}: those that are meant, each once, and what means none or several",
    ),
];

fn vaults_meant(value: &Value, args: &[Value]) -> Result<Value, String> {
    let vaults = list(arg(args, 0)?)?;
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let mut missing = Vec::new();
    for wanted in list(value)?.iter().filter_map(Value::as_str) {
        let fits = |vault: &&Value| {
            let id = text(vault, "id");
            id.eq_ignore_ascii_case(wanted) || ArmId::name_of(id).eq_ignore_ascii_case(wanted)
        };
        let mut all = vaults.iter().filter(fits);
        match (all.next(), all.next()) {
            (Some(vault), None) => {
                let (id, uri) = (text(vault, "id"), text(vault, "properties.vaultUri"));
                let one = json!({"id": id, "name": ArmId::name_of(id), "uri": uri});
                found.insert(id.to_ascii_lowercase(), one);
            }
            _ => missing.push(wanted),
        }
    }
    Ok(json!({"found": found.into_values().collect::<Vec<_>>(), "missing": missing}))
}

/// Returns vault, name and version that an id names, as `https://v.vault.azure.net/secrets/name/version`.
fn parts(id: &str) -> Option<(&str, &str, &str)> {
    let at = id.find("/secrets/")?;
    let rest = &id[at + "/secrets/".len()..];
    let (name, version) = rest.split_once('/').unwrap_or((rest, ""));
    Some((&id[..at], name, version))
}

fn vault_versions(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(list(value)?
        .iter()
        .filter_map(|version| {
            let id = text(version, "id");
            let (uri, name, version) = parts(id)?;
            Some(json!({"id": id, "uri": uri, "name": name, "version": version}))
        })
        .collect())
}

/// Key Vault takes `[0-9a-zA-Z-]{1,127}` (Key Vault REST API, "Set Secret", the parameter secret-name).
fn vault_name(value: &Value, _: &[Value]) -> Result<Value, String> {
    let text = value.as_str().ok_or("it is no text")?;
    let plain = |c: char| c.is_ascii_alphanumeric();
    let parts: Vec<&str> = text
        .split(|c| !plain(c))
        .filter(|part| !part.is_empty())
        .collect();
    let name: String = parts.join("-").to_lowercase().chars().take(127).collect();
    if name.is_empty() {
        return Err(format!("nothing of {text:?} can be the name of a secret"));
    }
    Ok(json!(name))
}

fn vault_secrets(value: &Value, args: &[Value]) -> Result<Value, String> {
    let uri = text_arg(args, 0)?;
    let (upstreams, only) = (list(arg(args, 1)?)?, list(arg(args, 2)?)?);
    let known: BTreeMap<String, &str> = upstreams
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|text| text.split_once('='))
        .map(|(name, from)| (name.trim().to_lowercase(), from.trim()))
        .collect();
    let wanted = |name: &str| {
        only.is_empty()
            || only
                .iter()
                .filter_map(Value::as_str)
                .any(|one| one.eq_ignore_ascii_case(name))
    };
    Ok(list(value)?
        .iter()
        .filter_map(|secret| {
            let id = text(secret, "id");
            let (_, name, _) = parts(id)?;
            wanted(name).then(|| {
                let (fate, why, application) = fate(secret, name, &known);
                json!({
                    "id": id, "uri": uri, "name": name, "fate": fate, "why": why, "application": application,
                    "content_type": text(secret, "contentType"), "tags": secret.get("tags").cloned().unwrap_or(json!({})),
                })
            })
        })
        .collect())
}

/// What becomes of a secret: what encrypts a disk or belongs to a certificate is never touched.
fn fate(
    secret: &Value,
    name: &str,
    known: &BTreeMap<String, &str>,
) -> (&'static str, String, Option<String>) {
    let tags = secret.get("tags").and_then(Value::as_object);
    let tagged =
        |tag: &str| tags.is_some_and(|tags| tags.keys().any(|key| key.eq_ignore_ascii_case(tag)));
    let kind = text(secret, "contentType").to_lowercase();
    // Azure Disk Encryption writes its keys with these marks.
    if tagged("DiskEncryptionKeyFileName")
        || tagged("DiskEncryptionKeyEncryptionAlgorithm")
        || kind.contains("bek")
    {
        return (
            "never",
            "it encrypts a disk; rotating it would lock the disk".to_owned(),
            None,
        );
    }
    if secret.get("managed") == Some(&json!(true))
        || kind.starts_with("application/x-pkcs12")
        || kind.starts_with("application/x-pem-file")
    {
        return (
            "never",
            "it belongs to a certificate; the certificate is renewed, not the secret".to_owned(),
            None,
        );
    }
    let from = known.get(&name.to_lowercase()).copied().or_else(|| {
        tags?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case("azir-upstream"))?
            .1
            .as_str()
    });
    match from
        .and_then(|from| from.strip_prefix("application/"))
        .filter(|id| uuid::Uuid::try_parse(id).is_ok())
    {
        Some(id) => (
            "rotate",
            format!("it comes from application {id}"),
            Some(id.to_owned()),
        ),
        None if from.is_some() => (
            "manual",
            format!("azir cannot rotate at {}", from.unwrap_or_default()),
            None,
        ),
        None => (
            "manual",
            "nobody wrote down where it comes from".to_owned(),
            None,
        ),
    }
}

/// Several secrets may come from one application: none of its new keys is an old one.
fn old_passwords(value: &Value, _: &[Value]) -> Result<Value, String> {
    let rotated = list(value)?;
    let new: Vec<&str> = rotated.iter().map(|one| text(one, "key")).collect();
    let mut old: BTreeMap<(&str, &str), Value> = BTreeMap::new();
    for one in rotated {
        let application = text(one, "application");
        let name = text(one, "app_name");
        let passwords = one.get("passwords").and_then(Value::as_array);
        for password in passwords.into_iter().flatten() {
            let key = text(password, "keyId");
            if !new.contains(&key) {
                let label = format!("{} of {name} ({key})", text(password, "displayName"));
                old.insert(
                    (application, key),
                    json!({"application": application, "app_name": name, "key": key, "label": label, "vault_name": text(one, "vault_name"), "secret_name": text(one, "secret_name")}),
                );
            }
        }
    }
    Ok(old.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encrypts_a_disk_or_belongs_to_a_certificate_is_never_touched() {
        let application = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
        let secret = |name: &str, more: Value| {
            let mut secret = json!({"id": format!("https://v.vault.azure.net/secrets/{name}")});
            secret
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            secret
        };
        let secrets = json!([
            secret(
                "bek",
                json!({"contentType": "Wrapped BEK", "tags": {"azir-upstream": format!("application/{application}")}})
            ),
            secret("tls", json!({"managed": true})),
            secret(
                "app",
                json!({"tags": {"Azir-Upstream": format!("application/{application}")}})
            ),
            secret("flag", json!({})),
            secret("db", json!({"contentType": "password"})),
            secret(
                "odd",
                json!({"tags": {"azir-upstream": "application/../x"}})
            ),
        ]);
        let upstream = json!([format!("FLAG=application/{application}")]);
        let found = vault_secrets(
            &secrets,
            &[
                json!("https://v.vault.azure.net/"),
                upstream.clone(),
                json!([]),
            ],
        )
        .unwrap();
        let fates: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| text(one, "fate"))
            .collect();
        assert_eq!(
            fates,
            ["never", "never", "rotate", "rotate", "manual", "manual"]
        );
        let only = vault_secrets(&secrets, &[json!("u"), upstream, json!(["APP"])]).unwrap();
        assert_eq!(only.as_array().unwrap().len(), 1);
        assert_eq!(only[0]["application"], application);
    }

    #[test]
    fn a_vault_is_meant_by_name_or_id_and_two_of_one_name_by_neither() {
        let vault = |group: &str, name: &str| json!({"id": format!("/subscriptions/s/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"), "properties": {"vaultUri": "u"}});
        let vaults = json!([vault("g", "kv-a"), vault("g", "kv-b"), vault("h", "kv-b")]);
        let id = text(&vaults[0], "id").to_uppercase();
        let meant = vaults_meant(&json!(["KV-A", id, "kv-b", "kv-c"]), &[vaults]).unwrap();
        assert_eq!(meant["found"].as_array().unwrap().len(), 1);
        assert_eq!(meant["missing"], json!(["kv-b", "kv-c"]));
    }

    #[test]
    fn any_name_becomes_one_that_a_vault_takes() {
        let named = |text: &str| vault_name(&json!(text), &[]);
        assert_eq!(
            named("Shop  Backend (prod)-secret"),
            Ok(json!("shop-backend-prod-secret"))
        );
        assert_eq!(
            named(&"x".repeat(200)).unwrap().as_str().unwrap().len(),
            127
        );
        assert!(named("\u{e4}/\u{f6}").is_err());
    }

    #[test]
    fn of_an_application_with_two_secrets_no_new_key_is_an_old_one() {
        let passwords = json!([{"keyId": "o1", "displayName": "one"}, {"keyId": "n1"}]);
        let rotated = json!([{"application": "a", "key": "n1", "app_name": "A", "vault_name": "v", "secret_name": "s", "passwords": [{"keyId": "o1", "displayName": "one"}]}, {"application": "a", "app_name": "A", "vault_name": "v", "secret_name": "s", "key": "n2", "passwords": passwords}]);
        let old = old_passwords(&rotated, &[]).unwrap();
        let said = json!([{"application": "a", "app_name": "A", "key": "o1", "label": "one of A (o1)", "vault_name": "v", "secret_name": "s"}]);
        assert_eq!(old, said);
        let versions = vault_versions(
            &json!([{"id": "https://v.vault.azure.net/secrets/x/0123"}]),
            &[],
        )
        .unwrap();
        assert_eq!(
            (&versions[0]["uri"], &versions[0]["version"]),
            (&json!("https://v.vault.azure.net"), &json!("0123"))
        );
    }
}
