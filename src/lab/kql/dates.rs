//! Functions of moments ("Datetime/timespan functions").

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::bind::Bound;
use super::error::Error;
use super::functions::wrong_type;
use super::time::{self, DAY, SECOND};
use super::value::{Cell, Kind};

/// The moment of the query, or that far from it ("`now()`", "`ago()`").
pub(super) fn now(name: &str, given: Vec<Bound>, now: i64) -> Result<Bound, Error> {
    if let Some(odd) = given.iter().find(|one| one.kind != Kind::TimeSpan) {
        return Err(wrong_type(name, odd.kind));
    }
    let back = name == "ago";
    Bound::apply(Kind::DateTime, given, move |values| {
        let far = match values.first() {
            Some(Cell::Span(ticks)) => *ticks,
            None => 0,
            Some(_) => return Ok(Cell::Null),
        };
        let at = if back {
            now.checked_sub(far)
        } else {
            now.checked_add(far)
        };
        Ok(time::within(at).map_or(Cell::Null, Cell::Time))
    })
}

/// A part of a moment, or the start or end of what it lies in. Weeks start on Sundays ("`startofweek()`").
pub(super) fn part(name: &str, given: Vec<Bound>) -> Result<Bound, Error> {
    if given[0].kind != Kind::DateTime {
        return Err(wrong_type(name, given[0].kind));
    }
    let take: fn(i64, NaiveDateTime) -> Option<Cell> = match name {
        "startofday" => |ticks, _| moment(Some(ticks - ticks.rem_euclid(DAY))),
        "endofday" => |ticks, _| moment(Some(ticks - ticks.rem_euclid(DAY) + DAY - 1)),
        "startofweek" => |ticks, at| {
            let days = i64::from(at.weekday().num_days_from_sunday());
            moment(Some(ticks - ticks.rem_euclid(DAY) - days * DAY))
        },
        "startofmonth" => |_, at| moment(time::of_date(at.year(), at.month(), 1)),
        "startofyear" => |_, at| moment(time::of_date(at.year(), 1, 1)),
        "hourofday" => |_, at| Some(Cell::Number(i64::from(at.hour()))),
        "dayofmonth" => |_, at| Some(Cell::Number(i64::from(at.day()))),
        _ => |_, at| {
            let days = i64::from(at.weekday().num_days_from_sunday());
            Some(Cell::Span(days * DAY))
        },
    };
    let kind = match name {
        "hourofday" | "dayofmonth" => Kind::Int,
        "dayofweek" => Kind::TimeSpan,
        _ => Kind::DateTime,
    };
    Bound::apply(kind, given, move |values| {
        Ok(match &values[0] {
            Cell::Time(ticks) => take(*ticks, time::calendar(*ticks)).unwrap_or(Cell::Null),
            _ => Cell::Null,
        })
    })
}

fn moment(ticks: Option<i64>) -> Option<Cell> {
    time::within(ticks).map(Cell::Time)
}

/// How many borders of a period lie between two moments ("`datetime_diff()`").
pub(super) fn difference(given: Vec<Bound>) -> Result<Bound, Error> {
    let period = given[0].known().map(|cell| cell.to_text().to_lowercase());
    let of: fn(i64) -> i64 = match period.as_deref() {
        Some("year") => |ticks| i64::from(time::calendar(ticks).year()),
        Some("quarter") => |ticks| months(ticks).div_euclid(3),
        Some("month") => months,
        // The first of January of the year 1 was a Monday.
        Some("week") => |ticks| (ticks.div_euclid(DAY) + 1).div_euclid(7),
        Some("day") => |ticks| ticks.div_euclid(DAY),
        Some("hour") => |ticks| ticks.div_euclid(3_600 * SECOND),
        Some("minute") => |ticks| ticks.div_euclid(60 * SECOND),
        Some("second") => |ticks| ticks.div_euclid(SECOND),
        Some("millisecond") => |ticks| ticks.div_euclid(SECOND / 1_000),
        Some("microsecond") => |ticks| ticks.div_euclid(SECOND / 1_000_000),
        Some("nanosecond") => |ticks| ticks.saturating_mul(100),
        _ => return Err(Error::semantic("datetime_diff(): there is no such period")),
    };
    if let Some(odd) = given[1..].iter().find(|one| one.kind != Kind::DateTime) {
        return Err(wrong_type("datetime_diff", odd.kind));
    }
    Bound::apply(Kind::Long, given, move |values| {
        Ok(match (&values[1], &values[2]) {
            (Cell::Time(a), Cell::Time(b)) => Cell::Number(of(*a).saturating_sub(of(*b))),
            _ => Cell::Null,
        })
    })
}

fn months(ticks: i64) -> i64 {
    let at = time::calendar(ticks);
    i64::from(at.year()) * 12 + i64::from(at.month0())
}

/// Writes a moment by a pattern ("`format_datetime()`"): letters stand for its parts, and only these marks may stand
/// between them.
pub(super) fn format(given: Vec<Bound>) -> Result<Bound, Error> {
    if given[0].kind != Kind::DateTime {
        return Err(wrong_type("format_datetime", given[0].kind));
    }
    let pattern = given[1].known().map(Cell::to_text);
    let pattern = pattern.filter(|pattern| pattern.len() <= 100);
    let parts = pattern.as_deref().and_then(read_pattern);
    let Some(parts) = parts else {
        return Err(Error::semantic(
            "format_datetime(): the pattern is not modelled by the lab",
        ));
    };
    Bound::apply(Kind::String, given, move |values| {
        let Cell::Time(ticks) = &values[0] else {
            return Ok(Cell::text(""));
        };
        let at = time::calendar(*ticks);
        let whole: String = parts
            .iter()
            .map(|(letter, count)| written(*letter, *count, at, *ticks))
            .collect();
        Ok(Cell::text(&whole))
    })
}

fn read_pattern(pattern: &str) -> Option<Vec<(char, usize)>> {
    let mut parts: Vec<(char, usize)> = Vec::new();
    for letter in pattern.chars() {
        match parts.last_mut() {
            Some((last, count)) if *last == letter && letter.is_ascii_alphabetic() => *count += 1,
            _ => parts.push((letter, 1)),
        }
    }
    let known = |(letter, count): &(char, usize)| match letter {
        'd' | 'H' | 'h' | 'M' | 'm' | 's' => *count <= 2,
        'f' => *count <= 7,
        'y' => matches!(count, 2 | 4),
        't' => *count == 2,
        other => matches!(other, ' ' | '-' | ':' | ',' | '.' | '/' | '_' | '[' | ']'),
    };
    parts.iter().all(known).then_some(parts)
}

fn written(letter: char, count: usize, at: NaiveDateTime, ticks: i64) -> String {
    let number = match letter {
        'd' => at.day(),
        'H' => at.hour(),
        'h' => at.hour12().1,
        'M' => at.month(),
        'm' => at.minute(),
        's' => at.second(),
        'y' if count == 2 => at.year().rem_euclid(100).unsigned_abs(),
        'y' => at.year().unsigned_abs(),
        'f' => {
            let digits = format!("{:07}", ticks.rem_euclid(SECOND));
            return digits.chars().take(count).collect();
        }
        't' => return if at.hour12().0 { "PM" } else { "AM" }.to_owned(),
        other => return other.to_string(),
    };
    format!("{number:0count$}")
}
