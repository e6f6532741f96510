//! The `timespan` of a query: `PT24H`, `start/end`, `start/PT1H` or `PT1H/end` ("Azure Log Analytics REST API,
//! Request format").

use chrono::{DateTime, Duration, Utc};

/// Returns from when to when a query looks; from the beginning of time where it does not say.
pub(super) fn read(
    text: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, DateTime<Utc>), String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok((None, now));
    };
    let wrong = || format!("The timespan {text:?} is not valid");
    let at = |text: &str| text.parse::<DateTime<Utc>>().ok();
    let found = match text.split_once('/') {
        None => duration(text).and_then(|length| Some((now.checked_sub_signed(length)?, now))),
        Some((from, to)) => match (at(from), at(to)) {
            (Some(from), Some(to)) => Some((from, to)),
            (Some(from), None) => {
                duration(to).and_then(|length| Some((from, from.checked_add_signed(length)?)))
            }
            (None, Some(to)) => {
                duration(from).and_then(|length| Some((to.checked_sub_signed(length)?, to)))
            }
            (None, None) => None,
        },
    };
    let (from, to) = found.ok_or_else(wrong)?;
    Ok((Some(from), to))
}

/// Reads days, hours, minutes and seconds, as `P1DT12H`.
fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, times) = rest.split_once('T').unwrap_or((rest, ""));
    let mut total = Duration::zero();
    for (part, units) in [(days, "WD"), (times, "HMS")] {
        let mut rest = part;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let unit = rest[end..]
                .chars()
                .next()
                .filter(|unit| units.contains(*unit))?;
            // Only seconds have parts; of those the lab sees none.
            let whole = match rest[..end].split_once('.') {
                Some((whole, parts))
                    if unit == 'S' && !parts.is_empty() && !parts.contains('.') =>
                {
                    whole
                }
                Some(_) => return None,
                None => &rest[..end],
            };
            let number: i64 = whole.parse().ok()?;
            let seconds = match unit {
                'W' => 604_800,
                'D' => 86_400,
                'H' => 3_600,
                'M' => 60,
                _ => 1,
            };
            total = total.checked_add(&Duration::try_seconds(number.checked_mul(seconds)?)?)?;
            rest = &rest[end + 1..];
        }
    }
    (total > Duration::zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timespan_is_a_length_or_two_ends() {
        let now: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().unwrap();
        let from = |text: &str| {
            let (from, to) = read(Some(text), now).unwrap();
            format!("{} {}", from.unwrap().format("%d %H"), to.format("%d %H"))
        };
        assert_eq!(from("PT24H"), "30 12 01 12");
        assert_eq!(from("P1DT2H"), "30 10 01 12");
        assert_eq!(from("PT86400.0S"), "30 12 01 12");
        assert_eq!(from("2026-11-01T00:00:00Z/P2D"), "01 00 03 00");
        assert_eq!(from("PT1H/2026-11-01T05:00:00Z"), "01 04 01 05");
        assert_eq!(
            from("2026-11-01T00:00:00Z/2026-11-02T00:00:00Z"),
            "01 00 02 00"
        );
        assert_eq!(read(None, now).unwrap(), (None, now));
        for wrong in [
            "1d",
            "P",
            "PT",
            "P1H",
            "PT1D",
            "yesterday/today",
            "PT1",
            "PT1.5H",
            "PT1.S",
            "PT1.2.3S",
            "P999999999W",
            "P15250284452WT9223372036854775S",
            "2026-11-01T00:00:00Z/P999999999W",
            "P999999999W/2026-11-01T00:00:00Z",
        ] {
            assert!(read(Some(wrong), now).is_err(), "{wrong}");
        }
    }
}
