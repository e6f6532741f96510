//! Secrets are replaced before anything is hashed or stored (JOURNAL.md, "Secrets").
//!
//! By name, where a member is known to hold one, and by shape, wherever a text looks like one, also inside
//! a text that is itself JSON, as the activity log has it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::secret::redact_text;

/// Members that hold secrets, in lower case.
const NAMES: &[&str] = &[
    "accesssas",
    "access_token",
    "accountkey",
    "adminpassword",
    "administratorloginpassword",
    "apikey",
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "clientsecret",
    "cookie",
    "customdata",
    "id_token",
    "key1",
    "key2",
    "masterkey",
    "newpassword",
    "password",
    "privatekey",
    "primarykey",
    "primarymasterkey",
    "primaryreadonlymasterkey",
    "protectedsettings",
    "publishingpassword",
    "refresh_token",
    "secondarykey",
    "secondarymasterkey",
    "secondaryreadonlymasterkey",
    "sastoken",
    "secret",
    "secretkey",
    "secrettext",
    "securitydataaccesssas",
    "securitymetadataaccesssas",
    "set-cookie",
    "sharedaccesskey",
    "temporaryaccesspass",
    "userdata",
];
/// Endings of such names, in lower case.
const ENDINGS: &[&str] = &["accesskey", "connectionstring"];
/// Replaces the secrets in a JSON value by commitments with `salt`; returns how many.
pub fn redact(value: &mut Value, salt: &[u8; 32]) -> u32 {
    match value {
        Value::Object(members) => {
            // keys[] of storage: {keyName, value}; the value of nothing else is known by its name alone.
            let is_key = members.contains_key("keyName");
            let mut count = 0;
            for (name, member) in members.iter_mut() {
                let lower = name.to_ascii_lowercase();
                let secret = NAMES.contains(&lower.as_str())
                    || ENDINGS.iter().any(|ending| lower.ends_with(ending))
                    || (is_key && lower == "value");
                let holds = match member {
                    Value::String(text) => !text.is_empty(),
                    Value::Array(items) => items.iter().any(Value::is_string),
                    Value::Object(inner) => lower == "protectedsettings" && !is_commitment(inner),
                    _ => false,
                };
                if secret && holds {
                    *member = commitment(member, salt);
                    count += 1;
                } else {
                    count += redact(member, salt);
                }
            }
            count
        }
        Value::Array(items) => items.iter_mut().map(|item| redact(item, salt)).sum(),
        Value::String(text) => redact_string(text, salt),
        _ => 0,
    }
}

/// Returns whether an object is all that is left of a secret.
fn is_commitment(members: &serde_json::Map<String, Value>) -> bool {
    members.len() == 1 && members.contains_key("$redacted")
}

fn commitment(value: &Value, salt: &[u8; 32]) -> Value {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let mut hasher = Sha256::new();
    hasher.update(b"azir-redact-v1\0");
    hasher.update(salt);
    hasher.update(text.as_bytes());
    json!({"$redacted": {"alg": "sha256", "c": hex::encode(hasher.finalize())}})
}

fn redact_string(text: &mut String, salt: &[u8; 32]) -> u32 {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(mut inner) = serde_json::from_str::<Value>(text)
    {
        let count = redact(&mut inner, salt);
        if count > 0 {
            *text = inner.to_string();
        }
        return count;
    }
    let clean = redact_text(text);
    let changed = clean != *text;
    *text = clean;
    u32::from(changed)
}

/// Query parameters that are kept: they say what was asked, and hold no capability.
const KEPT: &[&str] = &[
    "api-version",
    "$filter",
    "$top",
    "$expand",
    "$select",
    "$orderby",
    "$count",
    "$search",
];

/// Returns a URL as it may be recorded: host, path, and the query parameters that are no capability.
pub fn clean_url(url: &Url) -> String {
    let mut clean = format!("{}{}", url.origin().ascii_serialization(), url.path());
    let query: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| KEPT.contains(&name.as_ref()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !query.is_empty() {
        clean.push('?');
        clean.push_str(&query.join("&"));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 32] = [7; 32];

    #[test]
    fn secrets_are_replaced_by_name_by_shape_and_inside_json_texts() {
        let token = format!("eyJ{}", "a".repeat(60));
        let mut value = json!({
            "accessSAS": "https://md/x?sig=CANARY1",
            "keys": [{"keyName": "key1", "value": "CANARY2"}],
            "properties": {"requestbody": "{\"adminPassword\":\"CANARY3\",\"x\":1}", "note": format!("Bearer {token} and sig=CANARY4&x=1")},
            "uri": "https://a/b?sv=1&sig=CANARY5",
            "value": [{"id": "/kept"}],
        });
        let count = redact(&mut value, &SALT);
        let text = value.to_string();
        assert!(!text.contains("CANARY") && !text.contains(&token), "{text}");
        assert!(
            text.contains("/kept") && text.contains("&x=1") && text.contains("\\\"x\\\":1"),
            "{text}"
        );
        assert_eq!(count, 5);
    }

    #[test]
    fn polling_urls_lose_their_signatures() {
        let url =
            Url::parse("https://h/p?api-version=1&t=1&c=SECRET&s=x&$filter=a%20eq%20'b'").unwrap();
        assert_eq!(
            clean_url(&url),
            "https://h/p?api-version=1&$filter=a eq 'b'"
        );
    }

    #[test]
    fn names_that_hold_secrets_lose_them_and_no_others() {
        let mut value = json!({
            "properties": {
                "adminPassword": "CANARY", "storageAccountAccessKey": "CANARY", "primaryConnectionString": "CANARY",
                "protectedSettings": {"script": "CANARY"}, "cookie": ["CANARY"], "password": null, "secret": {"id": "/kept"},
                "keyName": "kept", "apiKey": "CANARY", "name": "kept",
            }
        });
        assert_eq!(redact(&mut value, &SALT), 6);
        let text = value.to_string();
        assert!(
            !text.contains("CANARY") && text.matches("kept").count() == 3,
            "{text}"
        );
        let once = value.clone();
        assert_eq!(
            (redact(&mut value, &SALT), value),
            (0, once),
            "what is redacted is left as it is"
        );
    }
}
