//! One line: from its parts to its bytes, refusing what the format does not allow before anything is written.

use serde_json::{Map, Value, json};

use super::format::{FRAME_START, MAX_DEPTH, MAX_LINE};
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
    /// A name that cannot be a person's (FORMAT.md, "signers").
    #[error(
        "{0:?} cannot name a person: no white space, control characters, quotes, commas, * or ?, and it does not begin with # or !"
    )]
    Person(String),
    /// It cannot follow what the journal has about its intent.
    #[error("a journal line cannot say this of intent {intent}: {why}")]
    Order {
        /// The intent's line.
        intent: u64,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Its type is not of the form `[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*`.
    #[error("a journal line cannot have the type {0:?}")]
    Kind(String),
    /// Too long; such values go to evidence.
    #[error("a journal line of {0} bytes is too long")]
    Long(usize),
}

/// Returns the bytes of a line, LF included, and its hash.
pub(crate) fn line(entry: &Entry, place: Place<'_>) -> Result<(Vec<u8>, Digest), BadEntry> {
    if !entry.kind.split('.').all(is_key) {
        return Err(BadEntry::Kind(entry.kind.to_owned()));
    }
    let data = Value::Object(entry.data.clone());
    allowed(&data, 1)?;
    let actor = match &entry.actor {
        Actor::Human { upn, name, oid } => {
            if !is_person(upn) {
                return Err(BadEntry::Person(upn.chars().take(80).collect()));
            }
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

/// Returns whether a name can stand in a signers file, and so can be a person's.
pub(crate) fn is_person(upn: &str) -> bool {
    !upn.is_empty()
        && !upn.starts_with(['#', '!'])
        && !upn
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | '*' | '?'))
}

/// Returns the chain value of a whole line, LF included, if its hash is right.
pub(crate) fn chain_of(line: &[u8]) -> Option<Digest> {
    let (named, rest) = line.strip_prefix(FRAME_START)?.split_at_checked(64)?;
    let body = [b"{", rest.strip_prefix(b"\",")?.strip_suffix(b"\n")?].concat();
    let named: Digest = std::str::from_utf8(named).ok()?.parse().ok()?;
    (named == Digest::of(&body)).then_some(named)
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

/// Returns whether a value can stand in a line: its names and its depth are a journal's, as the cloud's often are not.
pub(crate) fn takes(value: &Value) -> bool {
    // A value lies below `data`, which lies below the line.
    allowed(value, 3).is_ok()
}

fn is_key(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place<'static> {
        Place {
            seq: 0,
            prev: super::super::format::ZERO_CHAIN,
            session: "00000000-0000-4000-8000-000000000001",
            time: "2026-01-02T03:04:05.000006Z".to_owned(),
            mono_us: 7,
            nonce: "0".repeat(32),
        }
    }

    fn form(data: Value) -> Result<(Vec<u8>, Digest), BadEntry> {
        let Value::Object(data) = data else {
            panic!("an object")
        };
        line(
            &Entry {
                kind: "note",
                actor: Actor::Azir,
                data,
            },
            place(),
        )
    }

    #[test]
    fn a_line_carries_its_own_chain_value() {
        let (line, hash) = form(json!({"b": 1, "a": "x"})).unwrap();
        assert_eq!(chain_of(&line), Some(hash));
        assert_eq!(chain_of(&line[..line.len() - 1]), None);
        assert!(
            String::from_utf8(line)
                .unwrap()
                .contains("\"data\":{\"a\":\"x\",\"b\":1}")
        );
    }

    #[test]
    fn what_the_format_does_not_allow_is_refused() {
        assert!(matches!(
            form(json!({"a": {"B": 1}})),
            Err(BadEntry::Key(_))
        ));
        assert!(matches!(form(json!({"a": 1.5})), Err(BadEntry::Number(_))));
        assert!(matches!(
            form(json!({"a": 1_u64 << 53})),
            Err(BadEntry::Number(_))
        ));
        assert!(matches!(
            form(json!({"a": "x".repeat(MAX_LINE)})),
            Err(BadEntry::Long(_))
        ));
        let deep = (0..31).fold(json!([]), |inner, _| json!([inner]));
        assert_eq!(form(json!({"a": [deep]})).unwrap_err(), BadEntry::Depth);
        let just = (0..30).fold(json!([]), |inner, _| json!([inner]));
        assert!(form(json!({"a": just})).is_ok());
        let human = Actor::Human {
            upn: "a b".to_owned(),
            name: None,
            oid: None,
        };
        let entry = Entry {
            kind: "note",
            actor: human,
            data: Map::new(),
        };
        assert!(matches!(line(&entry, place()), Err(BadEntry::Person(_))));
        assert!(matches!(
            line(
                &Entry {
                    kind: "No.te",
                    actor: Actor::Azir,
                    data: Map::new()
                },
                place()
            ),
            Err(BadEntry::Kind(_))
        ));
    }
}
