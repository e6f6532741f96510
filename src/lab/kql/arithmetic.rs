//! Arithmetic ("Numerical operators", "Datetime / timespan arithmetic"). With a null the answer is null ("Null values").

use super::bind::Bound;
use super::error::Error;
use super::time;
use super::value::{Cell, Kind};

pub(super) fn bound(operator: &'static str, left: Bound, right: Bound) -> Result<Bound, Error> {
    let (a, b) = (left.kind, right.kind);
    let kind = match (a, operator, b) {
        // Also of two values of type int the result is a long.
        (a, _, b) if a.is_number() && b.is_number() => wider(wider(a, b), Kind::Long),
        (a, _, Kind::Dynamic) if a.is_number() => wider(a, Kind::Long),
        (Kind::Dynamic, _, b) if b.is_number() => wider(b, Kind::Long),
        (Kind::DateTime, "-", Kind::DateTime) => Kind::TimeSpan,
        (Kind::DateTime, "+" | "-", Kind::TimeSpan) | (Kind::TimeSpan, "+", Kind::DateTime) => {
            Kind::DateTime
        }
        (Kind::TimeSpan, "+" | "-" | "%", Kind::TimeSpan) => Kind::TimeSpan,
        (Kind::TimeSpan, "/", Kind::TimeSpan) => Kind::Real,
        (Kind::TimeSpan, "*" | "/", b) if b.is_number() => Kind::TimeSpan,
        (a, "*", Kind::TimeSpan) if a.is_number() => Kind::TimeSpan,
        _ => {
            return Err(Error::semantic(format!(
                "Arithmetic expression cannot be carried-out between {} and {}",
                a.name(),
                b.name()
            )));
        }
    };
    Bound::apply(kind, vec![left, right], move |values| {
        let (a, b) = (held(kind, &values[0]), held(kind, &values[1]));
        let result = match (&a, &b) {
            (Cell::Number(a), Cell::Number(b)) => whole(operator, *a, *b).map(Cell::Number),
            (Cell::Time(a), Cell::Time(b)) => a.checked_sub(*b).map(Cell::Span),
            (Cell::Time(a), Cell::Span(b)) => time::within(whole(operator, *a, *b)).map(Cell::Time),
            (Cell::Span(a), Cell::Time(b)) => time::within(a.checked_add(*b)).map(Cell::Time),
            (Cell::Span(a), Cell::Span(b)) if operator == "/" => {
                Some(Cell::Real(*a as f64 / *b as f64))
            }
            (Cell::Span(a), Cell::Span(b)) => whole(operator, *a, *b).map(Cell::Span),
            (Cell::Span(a), b) => b.as_f64().and_then(|b| scaled(operator, *a, b)),
            (a, Cell::Span(b)) => a.as_f64().and_then(|a| scaled(operator, *b, a)),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => Some(Cell::Real(real(operator, a, b))),
                _ => None,
            },
        };
        Ok(result.unwrap_or(Cell::Null))
    })
}

/// Takes a number out of a dynamic, if it holds one of the type that the result has.
fn held(kind: Kind, cell: &Cell) -> Cell {
    match cell {
        Cell::Json(json) => Cell::read(kind, json),
        other => other.clone(),
    }
}

/// Returns a number that may be too large for an `int`, which is null then.
pub(super) fn fitting(kind: Kind, number: i64) -> Cell {
    if kind == Kind::Int && i32::try_from(number).is_err() {
        return Cell::Null;
    }
    Cell::Number(number)
}

/// Of two types the one that holds more.
pub(super) fn wider(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Real, _) | (_, Kind::Real) => Kind::Real,
        (Kind::Long, _) | (_, Kind::Long) => Kind::Long,
        _ => Kind::Int,
    }
}

pub(super) fn negated(inner: Bound) -> Result<Bound, Error> {
    // The vendor's own parser takes what is no constant as a long.
    let kind = match inner.kind {
        Kind::Int if inner.known().is_none() => Kind::Long,
        kind => kind,
    };
    if !kind.is_number() && kind != Kind::TimeSpan {
        return Err(Error::semantic(format!(
            "a value of type {} has no negative",
            kind.name()
        )));
    }
    Bound::apply(kind, vec![inner], move |values| {
        Ok(match &values[0] {
            Cell::Number(number) => number
                .checked_neg()
                .map_or(Cell::Null, |number| fitting(kind, number)),
            Cell::Real(number) => Cell::Real(-number),
            Cell::Span(ticks) => ticks.checked_neg().map_or(Cell::Null, Cell::Span),
            _ => Cell::Null,
        })
    })
}

/// Whole numbers stay whole when divided; what is too large, or divided by nothing, is null.
fn whole(operator: &str, a: i64, b: i64) -> Option<i64> {
    match operator {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => a.checked_div(b),
        // A remainder is never negative ("Numerical operators").
        _ => a.checked_rem_euclid(b),
    }
}

fn real(operator: &str, a: f64, b: f64) -> f64 {
    match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        _ => a.rem_euclid(b),
    }
}

fn scaled(operator: &str, ticks: i64, by: f64) -> Option<Cell> {
    let ticks = real(operator, ticks as f64, by);
    (ticks.abs() < 9e18).then_some(Cell::Span(ticks as i64))
}

/// Rounds down to a multiple ("`bin()`"); a size that is not positive gives null.
pub(super) fn bin(value: Bound, size: Bound) -> Result<Bound, Error> {
    let kind = match (value.kind, size.kind) {
        (a, b) if a.is_number() && b.is_number() => wider(a, b),
        (Kind::DateTime | Kind::TimeSpan, Kind::TimeSpan) => value.kind,
        (a, b) => {
            return Err(Error::semantic(format!(
                "bin(): a value of type {} has no bins of type {}",
                a.name(),
                b.name()
            )));
        }
    };
    Bound::apply(kind, vec![value, size], |values| {
        let down = |a: i64, b: i64| (b > 0).then(|| a.checked_sub(a.rem_euclid(b))).flatten();
        Ok(match (&values[0], &values[1]) {
            (Cell::Number(a), Cell::Number(b)) => down(*a, *b).map(Cell::Number),
            (Cell::Time(a), Cell::Span(b)) => down(*a, *b).map(Cell::Time),
            (Cell::Span(a), Cell::Span(b)) => down(*a, *b).map(Cell::Span),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) if b > 0.0 => Some(Cell::Real((a / b).floor() * b)),
                _ => None,
            },
        }
        .unwrap_or(Cell::Null))
    })
}
