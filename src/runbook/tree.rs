//! YAML as a tree that knows where everything stands, within budgets that no file can exceed.
//!
//! The options are measured decisions: no aliases or anchors (a bomb needs them), no tags, no merge keys,
//! no second document, duplicate keys refused at every depth, `on` and `no` are text.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::place::Place;
use super::problem::Problem;

/// A file larger than this is refused before it is parsed.
const MAX_BYTES: usize = 1024 * 1024;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl Node {
    /// Returns what a person calls this kind of value.
    pub(crate) fn kind_word(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Int(_) | Kind::Float(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// Returns the value as JSON.
    pub(crate) fn json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::from(*value),
            Kind::Float(value) => Value::from(*value),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::json).collect(),
            Kind::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Reads a file into a tree.
pub(crate) fn read(file: &str, text: &str) -> Result<Node, Vec<Problem>> {
    let problem = |place, message: String, help: Option<&str>| {
        vec![Problem {
            code: "yaml",
            file: file.to_owned(),
            place,
            message,
            help: help.map(str::to_owned),
            related: Vec::new(),
        }]
    };
    let start = Place {
        line: 1,
        column: 1,
        offset: 0,
        len: 1,
    };
    if text.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; a runbook has at most {MAX_BYTES}",
            text.len()
        );
        return Err(problem(
            start,
            message,
            Some("split it into runbooks that call each other with run"),
        ));
    }
    if let Some(offset) = text.find('\0') {
        return Err(problem(
            Place::at(text, offset),
            "a NUL character".to_owned(),
            None,
        ));
    }
    serde_saphyr::from_str_with_options::<Node>(text, options()).map_err(|error| {
        let place = error
            .location()
            .map_or(start, |location| place_of(&location));
        problem(place, words(&error), None)
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: false,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 0 },
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 32,
            max_nodes: 20_000,
            max_events: 50_000,
            max_documents: 1,
            max_total_scalar_bytes: 512 * 1024,
            flow_nesting_limit: 32
        },
    }
}

/// Returns the parser's message less the place, which is shown apart.
fn words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let cut = text.find(" at line ").unwrap_or(text.len());
    text[..cut].trim_end_matches(',').to_owned()
}

fn place_of(location: &serde_saphyr::Location) -> Place {
    let span = location.span();
    Place {
        line: usize::try_from(location.line()).unwrap_or(0),
        column: usize::try_from(location.column()).unwrap_or(0),
        offset: span
            .byte_offset()
            .and_then(|offset| usize::try_from(offset).ok())
            .unwrap_or(0),
        len: span
            .byte_len()
            .and_then(|len| usize::try_from(len).ok())
            .unwrap_or(1)
            .max(1),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self {
            place: place_of(&spanned.referenced),
            kind: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Kind, E> {
        i64::try_from(value)
            .map(Kind::Int)
            .map_err(|_| E::custom(format!("the number {value} is too large")))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        while let Some(key) = access.next_key::<serde_saphyr::Spanned<String>>()? {
            let place = place_of(&key.referenced);
            if members.iter().any(|(known, _)| known.name == key.value) {
                return Err(A::Error::custom(format!("duplicate key {}", key.value)));
            }
            members.push((
                Key {
                    name: key.value,
                    place,
                },
                access.next_value()?,
            ));
        }
        Ok(Kind::Map(members))
    }
}
