//! One line: from its parts to its bytes, refusing what the format does not allow before anything is written.

use serde_json::{Map, Value, json};

use super::format::{MAX_DEPTH, MAX_LINE};
use crate::digest::Digest;

/// Who speaks in a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// A person.
    Human {
        /// The principal name.
        upn: String,
        /// The name.
        name: Option<String>,
        /// The object id.
        oid: Option<String>,
    },
    /// azir, in the session that writes the line.
    Azir,
    /// A service.
    Service(String),
}

/// What a line says.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its type, as `action.intent`.
    pub kind: &'static str,
    /// Who speaks.
    pub actor: Actor,
    /// What is said.
    pub data: Map<String, Value>,
}

/// Where a line stands.
pub(crate) struct Place<'a> {
    pub(crate) seq: u64,
    pub(crate) prev: &'a str,
    pub(crate) session: &'a str,
    pub(crate) time: String,
    pub(crate) mono_us: u64,
    pub(crate) nonce: String,
}

/// Why an entry cannot be a line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEntry {
    /// A member's name is not of the form `[a-z][a-z0-9_]*`.
    #[error("a journal line cannot have a member named {0:?}")]
    Key(String),
    /// A number that readers disagree about.
    #[error("{0}")]
    Number(String),
    /// Nested too deeply.
    #[error("a journal line is nested more than {MAX_DEPTH} deep")]
    Depth,
    /// Too long; such values go to evidence.
    #[error("a journal line of {0} bytes is too long")]
    Long(usize),
}

/// Returns the bytes of a line, LF included, and its hash.
pub(crate) fn line(entry: &Entry, place: Place<'_>) -> Result<(Vec<u8>, Digest), BadEntry> {
    let data = Value::Object(entry.data.clone());
    allowed(&data, 1)?;
    let actor = match &entry.actor {
        Actor::Human { upn, name, oid } => {
            let mut person = Map::from_iter([("upn".to_owned(), json!(upn))]);
            person.extend(name.iter().map(|name| ("name".to_owned(), json!(name))));
            person.extend(oid.iter().map(|oid| ("oid".to_owned(), json!(oid))));
            json!({ "human": person })
        }
        Actor::Azir => json!({"azir": place.session}),
        Actor::Service(name) => json!({"service": name}),
    };
    let body = json!({
        "actor": actor,
        "data": data,
        "mono_us": place.mono_us,
        "nonce": place.nonce,
        "prev": place.prev,
        "seq": place.seq,
        "session": place.session,
        "time": place.time,
        "type": entry.kind,
    });
    let body =
        crate::json::canonical(&body).map_err(|error| BadEntry::Number(error.to_string()))?;
    let hash = Digest::of(body.as_bytes());
    let line = format!("{{\"_hash\":\"{hash}\",{}\n", &body[1..]).into_bytes();
    if line.len() > MAX_LINE {
        Err(BadEntry::Long(line.len()))
    } else {
        Ok((line, hash))
    }
}

fn allowed(value: &Value, depth: usize) -> Result<(), BadEntry> {
    match value {
        Value::Object(members) => {
            if depth > MAX_DEPTH {
                return Err(BadEntry::Depth);
            }
            for (name, member) in members {
                if !is_key(name) {
                    return Err(BadEntry::Key(name.chars().take(80).collect()));
                }
                allowed(member, depth + 1)?;
            }
            Ok(())
        }
        Value::Array(_) if depth > MAX_DEPTH => Err(BadEntry::Depth),
        Value::Array(items) => items.iter().try_for_each(|item| allowed(item, depth + 1)),
        _ => Ok(()),
    }
}

fn is_key(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
