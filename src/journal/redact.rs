//! Secrets are replaced before anything is hashed or stored (JOURNAL.md, "Secrets").
//!
//! By name, where a member is known to hold one, and by shape, wherever a text looks like one, also inside
//! a text that is itself JSON, as the activity log has it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

/// Members that hold secrets, in lower case.
const NAMES: &[&str] = &[
    "accesssas",
    "access_token",
    "accountkey",
    "adminpassword",
    "administratorloginpassword",
    "assertion",
    "authorization",
    "client_secret",
    "clientsecret",
    "connectionstring",
    "cookie",
    "customdata",
    "id_token",
    "masterkey",
    "password",
    "primaryconnectionstring",
    "primarykey",
    "primarymasterkey",
    "primaryreadonlymasterkey",
    "protectedsettings",
    "publishingpassword",
    "refresh_token",
    "secondaryconnectionstring",
    "secondarykey",
    "secondarymasterkey",
    "secondaryreadonlymasterkey",
    "secrettext",
    "securitydataaccesssas",
    "securitymetadataaccesssas",
    "set-cookie",
    "sharedaccesskey",
    "userdata",
];
/// What precedes a secret inside a text.
const MARKS: &[&str] = &[
    "sig=",
    "AccountKey=",
    "SharedAccessKey=",
    "Password=",
    "Pwd=",
    "Bearer ",
    "client_secret=",
    "refresh_token=",
    "access_token=",
];

/// Replaces the secrets in a JSON value by commitments with `salt`; returns how many.
pub fn redact(value: &mut Value, salt: &[u8; 32]) -> u32 {
    match value {
        Value::Object(members) => {
            // keys[] of storage: {keyName, value}; the value of nothing else is known by its name alone.
            let is_key = members.contains_key("keyName");
            let mut count = 0;
            for (name, member) in members.iter_mut() {
                let lower = name.to_ascii_lowercase();
                let secret = NAMES.contains(&lower.as_str()) || (is_key && lower == "value");
                let holds = matches!(member, Value::String(text) if !text.is_empty())
                    || matches!(member, Value::Object(_) if lower == "protectedsettings");
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
    if text.starts_with(['{', '['])
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

/// Returns a text with what looks like a secret replaced by `***`.
pub fn redact_text(text: &str) -> String {
    let mut out = text.to_owned();
    for mark in MARKS {
        let mut from = 0;
        while let Some(found) = find_ignoring_case(&out[from..], mark) {
            let start = from + found + mark.len();
            let len = out[start..]
                .find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | ','))
                .unwrap_or(out.len() - start);
            if len > 0 {
                out.replace_range(start..start + len, "***");
            }
            from = (start + 3).min(out.len());
            while !out.is_char_boundary(from) {
                from += 1;
            }
        }
    }
    out = without(
        &out,
        "eyJ",
        |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'),
        40,
    );
    if let (Some(start), Some(end)) = (out.find("-----BEGIN "), out.rfind("-----END "))
        && start < end
        && out[start..end].contains("PRIVATE KEY")
    {
        out.replace_range(start..end, "***");
    }
    out
}

fn find_ignoring_case(text: &str, mark: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(&mark.to_ascii_lowercase())
}

/// Replaces runs of `of` that begin with `start` and are at least `least` long: tokens.
fn without(text: &str, start: &str, of: impl Fn(char) -> bool, least: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let len = rest[at..].find(|c| !of(c)).unwrap_or(rest.len() - at);
        out.push_str(&rest[..at]);
        out.push_str(if len >= least {
            "***"
        } else {
            &rest[at..at + len]
        });
        rest = &rest[at + len..];
    }
    out + rest
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
    fn odd_texts_are_left_whole() {
        for text in ["", "sig=", "ä sig=ö", "eyJ", "-----BEGIN x", "Bearer "] {
            let clean = redact_text(text);
            assert!(clean.len() <= text.len() + 3, "{text}");
        }
    }
}
