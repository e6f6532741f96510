//! Conversions ("Conversion functions", "`parse_json()`"). What cannot be converted is null.

use super::arithmetic::fitting;
use super::bind::Bound;
use super::error::Error;
use super::functions::wrong_type;
use super::time;
use super::value::{Cell, Kind};
use serde_json::Value as Json;

pub(super) fn to(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let (from, kind) = (
        given[0].kind,
        match name {
            "tostring" => Kind::String,
            "toint" => Kind::Int,
            "tolong" => Kind::Long,
            "todouble" | "toreal" => Kind::Real,
            "tobool" | "toboolean" => Kind::Bool,
            "todatetime" => Kind::DateTime,
            "totimespan" => Kind::TimeSpan,
            _ => Kind::Guid,
        },
    );
    let fits = match kind {
        Kind::DateTime | Kind::TimeSpan | Kind::Guid => {
            from == kind || from.is_text() || from == Kind::Dynamic
        }
        Kind::String => true,
        _ => from != Kind::Guid && (kind != Kind::Bool || from != Kind::DateTime),
    };
    if !fits {
        return Err(wrong_type(name, from));
    }
    Bound::apply(kind, given, move |values| {
        Ok(cell(kind, &values[0]).unwrap_or_else(|| kind.null()))
    })
}

fn cell(kind: Kind, from: &Cell) -> Option<Cell> {
    if from.is_null() {
        return None;
    }
    if kind == Kind::String {
        return Some(Cell::Text(from.to_text()));
    }
    // A dynamic is converted as what it holds.
    if let Cell::Json(json) = from {
        return match &**json {
            Json::Bool(truth) => cell(kind, &Cell::Bool(*truth)),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => cell(kind, &Cell::Number(whole)),
                None => cell(kind, &Cell::Real(number.as_f64()?)),
            },
            Json::String(text) => cell(kind, &Cell::text(text)),
            _ => None,
        };
    }
    let text = match from {
        Cell::Text(text) => Some(text.trim()),
        _ => None,
    };
    match kind {
        Kind::Bool => match (from, text) {
            (Cell::Bool(truth), _) => Some(Cell::Bool(*truth)),
            (Cell::Number(number), _) => Some(Cell::Bool(*number != 0)),
            (Cell::Real(number), _) => Some(Cell::Bool(*number != 0.0)),
            (_, Some(text)) if text.eq_ignore_ascii_case("true") => Some(Cell::Bool(true)),
            (_, Some(text)) if text.eq_ignore_ascii_case("false") => Some(Cell::Bool(false)),
            (_, Some(text)) => text.parse::<i64>().ok().map(|n| Cell::Bool(n != 0)),
            _ => None,
        },
        Kind::Int | Kind::Long => whole(from, text).map(|number| fitting(kind, number)),
        Kind::Real => match (from, text) {
            (Cell::Bool(truth), _) => Some(Cell::Real(f64::from(u8::from(*truth)))),
            (_, Some(text)) => text.parse().ok().map(Cell::Real),
            (other, None) => other.as_f64().map(Cell::Real),
        },
        Kind::DateTime => match (from, text) {
            (Cell::Time(_), _) => Some(from.clone()),
            (_, Some(text)) => time::read(text).map(Cell::Time),
            _ => None,
        },
        Kind::TimeSpan => match (from, text) {
            (Cell::Span(_), _) => Some(from.clone()),
            (_, Some(text)) => time::read_span(text).map(Cell::Span),
            _ => None,
        },
        _ => {
            let guid = uuid::Uuid::parse_str(text?).ok()?;
            Some(Cell::text(&guid.to_string()))
        }
    }
}

/// Takes a number's whole part; a moment or a length of time is its ticks.
fn whole(from: &Cell, text: Option<&str>) -> Option<i64> {
    match (from, text) {
        (Cell::Bool(truth), _) => Some(i64::from(*truth)),
        (Cell::Number(number), _) => Some(*number),
        (Cell::Real(number), _) => (number.abs() < 9.2e18).then_some(number.trunc() as i64),
        (Cell::Span(ticks) | Cell::Time(ticks), _) => Some(*ticks),
        (_, Some(text)) => text.parse().ok(),
        _ => None,
    }
}

/// Reads JSON. What is no JSON stays the text that it is, a dynamic stays as it is, and nothing gives null
/// ("`parse_json()`"): a text in a dynamic is not read again.
pub(super) fn parsed(given: Vec<Bound>) -> Result<Bound, Error> {
    Bound::apply(Kind::Dynamic, given, |values| {
        Ok(match &values[0] {
            Cell::Text(text) if text.trim().is_empty() => Cell::Null,
            Cell::Text(text) => match serde_json::from_str(text) {
                Ok(json) => Cell::json(json),
                Err(_) => Cell::json(Json::String(text.to_string())),
            },
            Cell::Json(_) => values[0].clone(),
            other => Cell::json(other.as_json()),
        })
    })
}
