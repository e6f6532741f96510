//! JSON members by dotted path, comparison, and canonical bytes.
//!
//! A path is the names of the members from the top, joined by dots, as
//! `properties.networkSecurityGroup`; a name with a dot in it cannot be written.

use serde_json::{Map, Value};

/// Returns the member at `path`, if it is there.
pub fn member<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// Sets the member at `path`, making the objects on the way; `None` removes it.
///
/// Refuses, by `false`, to go through something that is there and is no object.
#[must_use]
pub fn set_member(value: &mut Value, path: &str, to: Option<Value>) -> bool {
    let (parents, last) = match path.rsplit_once('.') {
        Some((parents, last)) => (Some(parents), last),
        None => (None, path),
    };
    let mut at = value;
    for name in parents.into_iter().flat_map(|parents| parents.split('.')) {
        let Some(object) = at.as_object_mut() else {
            return false;
        };
        if to.is_none() && !object.contains_key(name) {
            return true;
        }
        at = object
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    let Some(object) = at.as_object_mut() else {
        return false;
    };
    match to {
        Some(to) => {
            object.insert(last.to_owned(), to);
        }
        None => {
            object.shift_remove(last);
        }
    }
    true
}

/// Returns the RFC 8785 form of `value`, which must hold no floats and no numbers beyond 2^53-1.
///
/// # Errors
/// Names the number that cannot be written exactly.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut out = String::new();
    write_canonical(value, &mut out)?;
    Ok(out)
}

/// A number that JSON readers disagree about.
#[derive(Debug, thiserror::Error)]
#[error("the number {0} has no exact canonical form (integers up to 2^53-1 only)")]
pub struct NotCanonical(pub String);

const MAX_EXACT: i64 = (1 << 53) - 1;

fn write_canonical(value: &Value, out: &mut String) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => match number.as_i64() {
            Some(n) if (-MAX_EXACT..=MAX_EXACT).contains(&n) => out.push_str(&n.to_string()),
            _ => return Err(NotCanonical(number.to_string())),
        },
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            // RFC 8785 section 3.2.3: by UTF-16 code units, which differs from UTF-8 order above U+FFFF.
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_canonical(&members[name], out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_read_set_and_removed_by_path() {
        let mut nic = json!({"properties": {"a": 1}});
        assert!(set_member(&mut nic, "properties.nsg.id", Some(json!("x"))));
        assert_eq!(member(&nic, "properties.nsg.id"), Some(&json!("x")));
        assert!(set_member(&mut nic, "properties.nsg", None));
        assert_eq!(nic, json!({"properties": {"a": 1}}));
        assert!(!set_member(&mut nic, "properties.a.b", Some(json!(1))));
        assert!(set_member(&mut nic, "tags.x", None));
    }

    #[test]
    fn canonical_form_sorts_and_escapes_as_rfc_8785() {
        let value = json!({"b": "\u{1}\n\"", "a": [1, null, true], "\u{10000}": 0, "\u{ffff}": 1});
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"a\":[1,null,true],\"b\":\"\\u0001\\n\\\"\",\"\u{10000}\":0,\"\u{ffff}\":1}"
        );
        assert!(canonical(&json!(1.5)).is_err());
        assert!(canonical(&json!(9_007_199_254_740_992_i64)).is_err());
    }
}
