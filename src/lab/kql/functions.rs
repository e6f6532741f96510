//! Scalar functions, each under its name ("Scalar functions").

use serde_json::{Map, Value as Json, json};

use super::arithmetic;
use super::bind::Bound;
use super::convert;
use super::dates;
use super::error::Error;
use super::value::{Cell, Kind};

/// The longest text that a function makes ("The string data type" has this limit for values).
const LONGEST: usize = 1 << 20;

/// Binds a call; `now` is when the query is asked.
pub(super) fn call(name: &str, mut given: Vec<Bound>, now: i64) -> Result<Bound, Error> {
    let kinds: Vec<Kind> = given.iter().map(|one| one.kind).collect();
    match (name, kinds.len()) {
        (
            "tostring" | "toint" | "tolong" | "todouble" | "toreal" | "tobool" | "toboolean"
            | "todatetime" | "totimespan" | "toguid",
            1,
        ) => convert::to(name, given),
        ("todynamic" | "parse_json", 1) => convert::parsed(given),
        ("now", 0 | 1) | ("ago", 1) => dates::now(name, given, now),
        ("bin" | "floor", 2) => {
            let size = given.remove(1);
            arithmetic::bin(given.remove(0), size)
        }
        (
            "startofday" | "startofweek" | "startofmonth" | "startofyear" | "endofday"
            | "hourofday" | "dayofweek" | "dayofmonth",
            1,
        ) => dates::part(name, given),
        ("datetime_diff", 3) => dates::difference(given),
        ("format_datetime", 2) => dates::format(given),
        ("isempty" | "isnotempty" | "isnull" | "isnotnull", 1) => is_there(name, given),
        ("not", 1) => negation(given),
        ("iff" | "iif", 3) => case(name, given),
        ("case", count) if count >= 3 && count % 2 == 1 => case(name, given),
        ("coalesce" | "max_of" | "min_of", count) if count >= 2 => one_of(name, given),
        ("round" | "abs", 1) | ("round", 2) => rounded(name, given),
        ("strcat", count) if count >= 1 => {
            Bound::apply(Kind::String, given, |values| joined(values.iter(), ""))
        }
        ("strcat_delim", count) if count >= 3 => Bound::apply(Kind::String, given, |values| {
            joined(values[1..].iter(), &values[0].to_text())
        }),
        ("strcat_array", 2) => Bound::apply(Kind::String, given, |values| {
            let items: Vec<Cell> = array(&values[0]).iter().cloned().map(Cell::json).collect();
            joined(items.iter(), &values[1].to_text())
        }),
        ("tolower" | "toupper", 1) => {
            let up = name == "toupper";
            Bound::apply(Kind::String, given, move |values| {
                let text = values[0].to_text();
                Ok(Cell::text(&if up {
                    text.to_uppercase()
                } else {
                    text.to_lowercase()
                }))
            })
        }
        ("strlen", 1) => {
            texts(name, &kinds)?;
            Bound::apply(Kind::Long, given, |values| {
                Ok(Cell::Number(values[0].to_text().chars().count() as i64))
            })
        }
        ("split", 2 | 3) => {
            texts(name, &kinds[..2])?;
            split(given)
        }
        ("substring", 2 | 3) => {
            texts(name, &kinds[..1])?;
            substring(given)
        }
        ("indexof", 2) => {
            texts(name, &kinds)?;
            Bound::apply(Kind::Long, given, |values| {
                let (text, part) = (values[0].to_text(), values[1].to_text());
                let before = text.find(&*part).map(|at| text[..at].chars().count());
                Ok(Cell::Number(before.map_or(-1, |count| count as i64)))
            })
        }
        ("replace_string", 3) => {
            // A dynamic is not taken as the text that it holds here.
            if let Some(odd) = kinds.iter().find(|kind| !kind.is_text()) {
                return Err(wrong_type(name, *odd));
            }
            Bound::apply(Kind::String, given, |values| {
                let (text, old) = (values[0].to_text(), values[1].to_text());
                let new = values[2].to_text();
                if old.is_empty() {
                    return Ok(Cell::Text(text));
                }
                let times = text.matches(&*old).count();
                limited(text.len() + times.saturating_mul(new.len()))?;
                Ok(Cell::text(&text.replace(&*old, &new)))
            })
        }
        ("array_length" | "bag_keys" | "set_has_element", _) => collection(name, given),
        ("pack_array", count) if count >= 1 => Bound::apply(Kind::Dynamic, given, |values| {
            Ok(Cell::json(values.iter().map(Cell::as_json).collect()))
        }),
        ("bag_pack" | "pack", count) if count >= 2 && count % 2 == 0 => {
            Bound::apply(Kind::Dynamic, given, |values| {
                let pairs = values.chunks_exact(2);
                let pairs = pairs.map(|pair| (pair[0].to_text().to_string(), pair[1].as_json()));
                Ok(Cell::json(Json::Object(pairs.collect::<Map<_, _>>())))
            })
        }
        ("gettype", 1) => {
            let kind = kinds[0];
            Bound::apply(Kind::String, given, move |values| {
                Ok(Cell::text(type_name(kind, &values[0])))
            })
        }
        (name, count) if KNOWN.contains(&name) => Err(Error::arguments(name, count)),
        _ => Err(Error::function(name)),
    }
}

/// Functions that are there, whatever they are given.
const KNOWN: [&str; 44] = [
    "abs",
    "ago",
    "array_length",
    "bag_keys",
    "bag_pack",
    "bin",
    "case",
    "coalesce",
    "datetime_diff",
    "dayofmonth",
    "dayofweek",
    "endofday",
    "floor",
    "format_datetime",
    "gettype",
    "hourofday",
    "iff",
    "iif",
    "indexof",
    "isempty",
    "isnotempty",
    "isnotnull",
    "isnull",
    "max_of",
    "min_of",
    "not",
    "now",
    "pack",
    "pack_array",
    "parse_json",
    "replace_string",
    "round",
    "split",
    "startofday",
    "startofmonth",
    "startofweek",
    "startofyear",
    "strcat",
    "strlen",
    "substring",
    "todynamic",
    "tolower",
    "tostring",
    "toupper",
];

fn texts(name: &str, kinds: &[Kind]) -> Result<(), Error> {
    let odd = kinds
        .iter()
        .find(|kind| !kind.is_text() && **kind != Kind::Dynamic);
    odd.map_or(Ok(()), |kind| Err(wrong_type(name, *kind)))
}

pub(super) fn wrong_type(name: &str, kind: Kind) -> Error {
    Error::semantic(format!(
        "{name}(): a value of type {} is not accepted",
        kind.name()
    ))
}

fn limited(length: usize) -> Result<(), Error> {
    if length > LONGEST {
        return Err(Error::TooLarge("texts of more than a mebibyte"));
    }
    Ok(())
}

fn joined<'a>(cells: impl Iterator<Item = &'a Cell>, between: &str) -> Result<Cell, Error> {
    let mut whole = String::new();
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            whole.push_str(between);
        }
        whole.push_str(&cell.to_text());
        limited(whole.len())?;
    }
    Ok(Cell::text(&whole))
}

fn array(cell: &Cell) -> &[Json] {
    match cell {
        Cell::Json(json) => json.as_array().map_or(&[], Vec::as_slice),
        _ => &[],
    }
}

/// A text is never null, and may be empty ("`isnull()`", "`isempty()`").
fn is_there(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let (by_text, negated) = (name.ends_with("empty"), name.contains("not"));
    Bound::apply(Kind::Bool, given, move |values| {
        let missing = match &values[0] {
            Cell::Null => true,
            other => by_text && other.to_text().is_empty(),
        };
        Ok(Cell::Bool(missing != negated))
    })
}

fn negation(given: Vec<Bound>) -> Result<Bound, Error> {
    if !matches!(given[0].kind, Kind::Bool | Kind::Dynamic) {
        return Err(wrong_type("not", given[0].kind));
    }
    Bound::apply(Kind::Bool, given, |values| {
        Ok(match &values[0] {
            Cell::Bool(truth) => Cell::Bool(!truth),
            Cell::Json(json) => json
                .as_bool()
                .map_or(Cell::Null, |truth| Cell::Bool(!truth)),
            _ => Cell::Null,
        })
    })
}

/// The type that values have in common: numbers widen, and a null without a type has any.
fn common(name: &str, values: &[&Bound]) -> Result<Kind, Error> {
    let mixed = matches!(name, "case" | "iff" | "iif");
    let mut kind: Option<Kind> = None;
    for value in values {
        let loose = value.kind == Kind::Dynamic && value.known().is_some_and(Cell::is_null);
        if loose {
            continue;
        }
        kind = Some(match kind {
            None => value.kind,
            Some(kind) if kind == value.kind => kind,
            // A dynamic is taken as what the others are.
            Some(Kind::Dynamic) if mixed => value.kind,
            Some(kind) if mixed && value.kind == Kind::Dynamic => kind,
            Some(kind) if kind.is_number() && value.kind.is_number() => {
                arithmetic::wider(kind, value.kind)
            }
            Some(kind) => {
                return Err(Error::semantic(format!(
                    "{name}(): values of types {} and {} have none in common",
                    kind.name(),
                    value.kind.name()
                )));
            }
        });
    }
    Ok(kind.unwrap_or(Kind::Dynamic))
}

/// The value behind the first condition that holds, else the last one ("`case()`", "`iff()`").
fn case(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let last = given.len() - 1;
    let is_condition = |at: usize| at < last && at.is_multiple_of(2);
    let odd = given
        .iter()
        .enumerate()
        .find(|(at, one)| is_condition(*at) && one.kind != Kind::Bool);
    if let Some((_, odd)) = odd {
        return Err(wrong_type(name, odd.kind));
    }
    let values = given.iter().enumerate();
    let values = values.filter(|(at, _)| !is_condition(*at));
    let kind = common(name, &values.map(|(_, one)| one).collect::<Vec<_>>())?;
    Bound::apply(kind, given, move |values| {
        let pairs = values[..last].chunks_exact(2);
        let found = pairs
            .clone()
            .find(|pair| pair[0].is_true())
            .map_or(&values[last], |pair| &pair[1]);
        Ok(typed(kind, found))
    })
}

fn typed(kind: Kind, cell: &Cell) -> Cell {
    match (kind, cell) {
        (Kind::Real, Cell::Number(number)) => Cell::Real(*number as f64),
        (kind, Cell::Null) => kind.null(),
        (Kind::Dynamic, other) => other.clone(),
        (kind, Cell::Json(json)) => match &**json {
            Json::String(text) if kind == Kind::String => Cell::text(text),
            json => Cell::read(kind, json),
        },
        (_, other) => other.clone(),
    }
}

/// The first that is not null or empty, or the largest or smallest ("`coalesce()`", "`max_of()`", "`min_of()`").
fn one_of(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let kind = common(name, &given.iter().collect::<Vec<_>>())?;
    if name == "coalesce" {
        return Bound::apply(kind, given, move |values| {
            let found = values
                .iter()
                .find(|one| !one.is_null() && (kind != Kind::String || one.weight() > 0));
            Ok(found.map_or_else(|| kind.null(), |found| typed(kind, found)))
        });
    }
    if kind == Kind::Dynamic {
        return Err(wrong_type(name, kind));
    }
    let largest = name == "max_of";
    Bound::apply(kind, given, move |values| {
        let there = values.iter().filter(|one| !one.is_null());
        let found = if largest {
            there.max_by(|a, b| a.order(b))
        } else {
            there.min_by(|a, b| a.order(b))
        };
        Ok(found.map_or_else(|| kind.null(), |found| typed(kind, found)))
    })
}

fn rounded(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let kind = given[0].kind;
    if !kind.is_number() && (name != "abs" || kind != Kind::TimeSpan) {
        return Err(wrong_type(name, kind));
    }
    if name == "abs" {
        return Bound::apply(kind, given, |values| {
            Ok(match &values[0] {
                Cell::Number(number) => number.checked_abs().map_or(Cell::Null, Cell::Number),
                Cell::Real(number) => Cell::Real(number.abs()),
                Cell::Span(ticks) => ticks.checked_abs().map_or(Cell::Null, Cell::Span),
                _ => Cell::Null,
            })
        });
    }
    Bound::apply(Kind::Real, given, |values| {
        let digits = match values.get(1) {
            Some(Cell::Number(digits)) => i32::try_from((*digits).clamp(-300, 300)).unwrap_or(0),
            _ => 0,
        };
        let scale = 10_f64.powi(digits);
        let number = values[0].as_f64();
        Ok(number.map_or(Cell::Null, |number| {
            Cell::Real((number * scale).round() / scale)
        }))
    })
}

/// The parts of a text between a delimiter, or one of them as an array ("`split()`").
fn split(given: Vec<Bound>) -> Result<Bound, Error> {
    Bound::apply(Kind::Dynamic, given, |values| {
        let (text, by) = (values[0].to_text(), values[1].to_text());
        let parts: Vec<&str> = if by.is_empty() {
            vec![&text]
        } else {
            text.split(&*by).collect()
        };
        Ok(match values.get(2) {
            None => Cell::json(json!(parts)),
            Some(Cell::Number(at)) => {
                let part = usize::try_from(*at).ok().and_then(|at| parts.get(at));
                part.map_or(Cell::Null, |part| Cell::json(json!([part])))
            }
            Some(_) => Cell::Null,
        })
    })
}

/// From a place, counted from zero or from the end if negative, so many letters ("`substring()`").
fn substring(given: Vec<Bound>) -> Result<Bound, Error> {
    Bound::apply(Kind::String, given, |values| {
        let text = values[0].to_text();
        let from = match &values[1] {
            Cell::Number(from) if *from < 0 => {
                let back = usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX);
                text.chars().count().saturating_sub(back)
            }
            Cell::Number(from) => usize::try_from(*from).unwrap_or(usize::MAX),
            _ => 0,
        };
        let count = match values.get(2) {
            Some(Cell::Number(count)) => usize::try_from(*count).unwrap_or(0),
            _ => usize::MAX,
        };
        let part: String = text.chars().skip(from).take(count).collect();
        Ok(Cell::text(&part))
    })
}

/// What is asked of arrays and bags ("`array_length()`", "`bag_keys()`", "`set_has_element()`").
fn collection(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    let kinds: Vec<Kind> = given.iter().map(|one| one.kind).collect();
    match (name, kinds.as_slice()) {
        ("array_length", [Kind::Dynamic]) => Bound::apply(Kind::Long, given, |values| {
            Ok(match &values[0] {
                Cell::Json(json) => json
                    .as_array()
                    .map_or(Cell::Null, |items| Cell::Number(items.len() as i64)),
                _ => Cell::Null,
            })
        }),
        ("bag_keys", [Kind::Dynamic]) => Bound::apply(Kind::Dynamic, given, |values| {
            Ok(match &values[0] {
                Cell::Json(json) => json.as_object().map_or(Cell::Null, |members| {
                    Cell::json(members.keys().map(|name| json!(name)).collect())
                }),
                _ => Cell::Null,
            })
        }),
        ("set_has_element", [Kind::Dynamic, _]) => Bound::apply(Kind::Bool, given, |values| {
            let (items, wanted) = (array(&values[0]), values[1].key());
            let mut items = items.iter().cloned().map(Cell::json);
            Ok(Cell::Bool(items.any(|item| item.key() == wanted)))
        }),
        (name, [kind, ..]) if *kind != Kind::Dynamic => Err(wrong_type(name, *kind)),
        (name, kinds) => Err(Error::arguments(name, kinds.len())),
    }
}

/// The name of a type; a dynamic is asked for what it holds ("`gettype()`").
fn type_name(kind: Kind, cell: &Cell) -> &'static str {
    match (kind, cell) {
        (_, Cell::Null) => "null",
        (Kind::Dynamic, Cell::Json(json)) => match &**json {
            Json::Array(_) => "array",
            Json::Bool(_) => "bool",
            Json::Null => "null",
            Json::Number(number) if number.is_i64() => "long",
            Json::Number(_) => "double",
            Json::Object(_) => "dictionary",
            Json::String(_) => "string",
        },
        (kind, _) => kind.name(),
    }
}
