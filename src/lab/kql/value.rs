//! The language's types and values ("Scalar data types").

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Number, Value as Json, json};

use super::time;

/// A scalar type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(in crate::lab) enum Kind {
    Bool,
    DateTime,
    Dynamic,
    Guid,
    Int,
    Long,
    Real,
    String,
    TimeSpan,
}

impl Kind {
    /// Returns the name that results and messages have.
    pub(in crate::lab) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::DateTime => "datetime",
            Self::Dynamic => "dynamic",
            Self::Guid => "guid",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::String => "string",
            Self::TimeSpan => "timespan",
        }
    }

    /// Reads a type's name or its second one ("Scalar data types"); `decimal` is not modelled.
    pub(in crate::lab) fn read(name: &str) -> Option<Self> {
        Some(match name {
            "bool" | "boolean" => Self::Bool,
            "datetime" | "date" => Self::DateTime,
            "dynamic" => Self::Dynamic,
            "guid" | "uuid" | "uniqueid" => Self::Guid,
            "int" => Self::Int,
            "long" => Self::Long,
            "real" | "double" => Self::Real,
            "string" => Self::String,
            "timespan" | "time" => Self::TimeSpan,
            _ => return None,
        })
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Real)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Guid | Self::String)
    }

    /// The value that is not there. A `string` has none: it is empty ("Null values").
    pub(super) fn null(self) -> Cell {
        if self == Self::String {
            Cell::text("")
        } else {
            Cell::Null
        }
    }
}

/// A value. The type that it has stands with its column.
#[derive(Clone, Debug)]
pub(in crate::lab) enum Cell {
    Bool(bool),
    /// What is dynamic, and not null.
    Json(Arc<Json>),
    Null,
    /// An `int` or a `long`.
    Number(i64),
    Real(f64),
    /// In ticks.
    Span(i64),
    /// A `string`, or a `guid` in small letters.
    Text(Arc<str>),
    /// In ticks.
    Time(i64),
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    pub(super) fn json(json: Json) -> Self {
        if json.is_null() {
            Self::Null
        } else {
            Self::Json(Arc::new(json))
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Takes a value of a log or of a dynamic as one of the type; what is not of it is null.
    pub(in crate::lab) fn read(kind: Kind, json: &Json) -> Self {
        let read = match (kind, json) {
            (_, Json::Null) => None,
            (Kind::Dynamic, json) => Some(Self::json(json.clone())),
            (Kind::String, Json::String(text)) => Some(Self::text(text)),
            (Kind::String, json) => Some(Self::text(&json.to_string())),
            (Kind::Guid, Json::String(text)) => Some(Self::text(&text.to_lowercase())),
            (Kind::Bool, Json::Bool(truth)) => Some(Self::Bool(*truth)),
            (Kind::Int | Kind::Long, Json::Number(number)) => number.as_i64().map(Self::Number),
            (Kind::Real, Json::Number(number)) => number.as_f64().map(Self::Real),
            (Kind::DateTime, Json::String(text)) => time::read(text).map(Self::Time),
            (Kind::TimeSpan, Json::String(text)) => time::read_span(text).map(Self::Span),
            _ => None,
        };
        read.unwrap_or_else(|| kind.null())
    }

    /// Writes it as an element of a dynamic ("The dynamic data type"): moments and lengths of time are texts there.
    pub(in crate::lab) fn as_json(&self) -> Json {
        match self {
            Self::Bool(truth) => json!(truth),
            Self::Json(json) => (**json).clone(),
            Self::Null => Json::Null,
            Self::Number(number) => json!(number),
            Self::Real(number) => match Number::from_f64(*number) {
                Some(number) => Json::Number(number),
                None => json!(real(*number)),
            },
            Self::Span(ticks) => json!(time::write_span(*ticks)),
            Self::Text(text) => json!(**text),
            Self::Time(ticks) => json!(time::write(*ticks)),
        }
    }

    /// Writes it as Log Analytics answers it: what is dynamic is JSON as text.
    pub(in crate::lab) fn shown(&self) -> Json {
        match self {
            Self::Json(json) => match &**json {
                Json::String(text) => json!(text),
                json => json!(json.to_string()),
            },
            other => other.as_json(),
        }
    }

    /// Writes it as `tostring` does ("`tostring()`"): what is null is empty.
    pub(super) fn to_text(&self) -> Arc<str> {
        match self {
            Self::Bool(truth) => Arc::from(if *truth { "true" } else { "false" }),
            Self::Json(json) => match &**json {
                Json::String(text) => Arc::from(text.as_str()),
                json => Arc::from(json.to_string()),
            },
            Self::Null => Arc::from(""),
            Self::Number(number) => Arc::from(number.to_string()),
            Self::Real(number) => Arc::from(real(*number)),
            Self::Span(ticks) => Arc::from(time::write_span(*ticks)),
            Self::Text(text) => text.clone(),
            Self::Time(ticks) => Arc::from(time::write_whole(*ticks)),
        }
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Json(json) => json.as_f64(),
            _ => None,
        }
    }

    /// Returns about how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Json(json) => weight(json),
            _ => 0,
        }
    }

    /// Returns the order of two values of one type; null comes before all others.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Span(a), Self::Span(b)) | (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b)),
                _ => self.to_text().cmp(&other.to_text()),
            },
        }
    }

    /// Returns what rows are grouped and matched by.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Bool(truth) => Key::Bool(*truth),
            Self::Json(json) => match &**json {
                Json::String(text) => Key::Text(Arc::from(text.as_str())),
                Json::Number(number) if number.is_i64() => {
                    Key::Number(number.as_i64().unwrap_or_default())
                }
                json => Key::Json(json.to_string()),
            },
            Self::Null => Key::Null,
            Self::Number(number) => Key::Number(*number),
            // One number has one key, whether it is written whole or not.
            Self::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Key::Number(*number as i64)
            }
            Self::Real(number) => Key::Bits(number.to_bits()),
            Self::Span(ticks) => Key::Span(*ticks),
            Self::Text(text) => Key::Text(text.clone()),
            Self::Time(ticks) => Key::Time(*ticks),
        }
    }
}

/// A value that can be looked up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Key {
    Bits(u64),
    Bool(bool),
    Json(String),
    Null,
    Number(i64),
    Span(i64),
    Text(Arc<str>),
    Time(i64),
}

/// Writes a `real`: those that are no number have names ("The real data type").
fn real(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned()
    } else {
        format!("{number:?}")
            .strip_suffix(".0")
            .map_or_else(|| format!("{number:?}"), str::to_owned)
    }
}

fn weight(json: &Json) -> usize {
    match json {
        Json::Array(items) => items.iter().map(weight).sum::<usize>() + 16,
        Json::Object(members) => {
            let each = members
                .iter()
                .map(|(name, value)| name.len() + weight(value));
            each.sum::<usize>() + 32
        }
        Json::String(text) => text.len() + 16,
        _ => 16,
    }
}

/// A column's name and type.
#[derive(Clone, Debug)]
pub(in crate::lab) struct Column {
    pub(in crate::lab) name: String,
    pub(in crate::lab) kind: Kind,
}

impl Column {
    pub(in crate::lab) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

/// Rows under typed columns.
#[derive(Clone, Debug, Default)]
pub(in crate::lab) struct Table {
    pub(in crate::lab) columns: Vec<Column>,
    pub(in crate::lab) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Takes records as rows: each has every column.
    pub(in crate::lab) fn of<'a>(
        columns: Vec<Column>,
        records: impl Iterator<Item = &'a Json>,
    ) -> Self {
        let row = |record: &Json| {
            let cell = |column: &Column| Cell::read(column.kind, &record[column.name.as_str()]);
            columns.iter().map(cell).collect()
        };
        let rows = records.map(row).collect();
        Self { columns, rows }
    }
}
