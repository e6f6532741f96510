//! Moments and lengths of time, in ticks of 100 ns ("The datetime data type", "The timespan data type").
//!
//! A moment counts from the first of January of the year 1, as `bin` does ("`bin()`"): seven-day bins start on Mondays.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

/// Ticks in a second.
pub(super) const SECOND: i64 = 10_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
/// Seconds from the year 1 to 1970.
const EPOCH: i64 = 62_135_596_800;
/// The end of the year 9999.
const END: i64 = 3_155_378_976_000_000_000;

/// Returns the ticks of a moment.
pub(super) fn ticks(at: DateTime<Utc>) -> i64 {
    let seconds = at.timestamp().saturating_add(EPOCH);
    seconds
        .saturating_mul(SECOND)
        .saturating_add(i64::from(at.timestamp_subsec_nanos() / 100))
}

/// Returns the moment, if it is one that the language has.
pub(super) fn within(ticks: Option<i64>) -> Option<i64> {
    ticks.filter(|ticks| (0..END).contains(ticks))
}

/// Returns the calendar's view of ticks.
pub(super) fn calendar(ticks: i64) -> NaiveDateTime {
    let nanos = u32::try_from(ticks.rem_euclid(SECOND) * 100).unwrap_or_default();
    DateTime::from_timestamp(ticks.div_euclid(SECOND) - EPOCH, nanos)
        .unwrap_or_default()
        .naive_utc()
}

/// Returns the ticks of the start of a day.
pub(super) fn of_date(year: i32, month: u32, day: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    within(
        i64::from(date.num_days_from_ce())
            .checked_sub(1)?
            .checked_mul(DAY),
    )
}

/// Reads a moment as `datetime(...)` and `todatetime` take it.
pub(super) fn read(text: &str) -> Option<i64> {
    const FORMS: [&str; 6] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%m/%d/%Y %H:%M:%S%.f",
        "%m/%d/%Y %H:%M",
    ];
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Ok(whole) = text.parse::<DateTime<Utc>>() {
        return within(Some(ticks(whole)));
    }
    let bare = text.strip_suffix('Z').unwrap_or(text);
    let time = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(bare, form).ok());
    let day = |form| NaiveDate::parse_from_str(bare, form).ok();
    let time = time.or_else(|| {
        day("%Y-%m-%d")
            .or_else(|| day("%m/%d/%Y"))
            .and_then(|date| date.and_hms_opt(0, 0, 0))
    });
    within(Some(ticks(time?.and_utc())))
}

/// Writes a moment as results hold it: as many digits as it takes.
pub(super) fn write(ticks: i64) -> String {
    let rest = ticks.rem_euclid(SECOND);
    let head = calendar(ticks).format("%Y-%m-%dT%H:%M:%S");
    if rest == 0 {
        return format!("{head}Z");
    }
    format!("{head}.{}Z", format!("{rest:07}").trim_end_matches('0'))
}

/// Writes a moment as `tostring` does: with all seven digits ("`tostring()`").
pub(super) fn write_whole(ticks: i64) -> String {
    let head = calendar(ticks).format("%Y-%m-%dT%H:%M:%S");
    format!("{head}.{:07}Z", ticks.rem_euclid(SECOND))
}

/// Reads a length of time, in the constant form `[-][d.]hh:mm:ss[.fffffff]`, or as a literal (`1d`).
pub(super) fn read_span(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(behind) = text.strip_prefix('-') {
        return (!behind.starts_with('-'))
            .then(|| read_span(behind))
            .flatten()
            .map(|ticks| -ticks);
    }
    if text.len() > 64 {
        return None;
    }
    let Some((head, seconds)) = text.rsplit_once(':') else {
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let unit = if digits == text.len() {
            "d"
        } else {
            &text[digits..]
        };
        return span(text[..digits].parse().ok()?, unit);
    };
    let (head, minutes) = head.rsplit_once(':').unwrap_or(("0", head));
    let (days, hours) = head.split_once('.').unwrap_or(("0", head));
    let whole = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let (seconds, rest) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let rest = whole(&format!("{rest:0<7}").chars().take(7).collect::<String>())?;
    let hours = whole(days)?.checked_mul(24)?.checked_add(whole(hours)?)?;
    let minutes = hours.checked_mul(60)?.checked_add(whole(minutes)?)?;
    let seconds = minutes.checked_mul(60)?.checked_add(whole(seconds)?)?;
    seconds.checked_mul(SECOND)?.checked_add(rest)
}

/// Returns the ticks of so many units.
pub(super) fn span(number: f64, unit: &str) -> Option<i64> {
    let ticks = match unit {
        "tick" | "ticks" => 1.0,
        "microsecond" | "microseconds" => 10.0,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 10_000.0,
        "s" | "sec" | "second" | "seconds" => 1e7,
        "m" | "min" | "minute" | "minutes" => 6e8,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3.6e10,
        "d" | "day" | "days" => 8.64e11,
        _ => return None,
    };
    let ticks = (number * ticks).round();
    (ticks.abs() < 9e18).then_some(ticks as i64)
}

/// Writes a length of time: `[-][d.]hh:mm:ss[.fffffff]`.
pub(super) fn write_span(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let all = ticks.unsigned_abs();
    let (second, day) = (SECOND.unsigned_abs(), DAY.unsigned_abs());
    let seconds = all / second;
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let days = match all / day {
        0 => String::new(),
        days => format!("{days}."),
    };
    let rest = match all % second {
        0 => String::new(),
        rest => format!(".{rest:07}"),
    };
    format!(
        "{sign}{days}{hours:02}:{minutes:02}:{:02}{rest}",
        seconds % 60
    )
}
