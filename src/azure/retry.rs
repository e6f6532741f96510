//! When to try again and how long to wait: a pure rule (DESIGN section 5).

use std::time::Duration;

use chrono::{DateTime, Utc};

/// What an attempt came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attempt<'a> {
    /// The connection could not be made: nothing was sent.
    NotSent,
    /// It was sent, or may have been, and no whole answer came.
    NoAnswer,
    /// The service answered with an error.
    Answered {
        /// The status.
        status: u16,
        /// The service's own code.
        code: &'a str,
    },
}

/// Attempts at one request; each is in the journal.
pub(crate) const MAX_ATTEMPTS: u32 = 8;
/// Attempts of which the service says that they came too early: patience, not hope, so there are more of them.
const MAX_THROTTLED: u32 = 40;
/// Attempts while nothing was ever sent: a host that is not there will not be there in a minute.
const MAX_CONNECTS: u32 = 3;
/// The longest wait that a service can ask of azir; a longer one is a failure told to the responder.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// Network resources that are being changed by somebody else (arm.md section 1.4).
const BUSY: [&str; 3] = [
    "AnotherOperationInProgress",
    "RetryableError",
    "ConflictingConcurrentWriteNotAllowed",
];

/// Returns how long to wait before attempt `number + 1`, or nothing if there must be none.
///
/// `jitter` lies in `0.0 .. 1.0`. A throttled request was not carried out, so it may always be sent again;
/// what may have been carried out is sent again only if that does no more than the first time.
pub(crate) fn wait(
    attempt: Attempt<'_>,
    number: u32,
    idempotent: bool,
    asked: Option<Duration>,
    jitter: f64,
) -> Option<Duration> {
    let most = match attempt {
        Attempt::Answered { status: 429, .. } => MAX_THROTTLED,
        _ => MAX_ATTEMPTS,
    };
    if number >= most {
        return None;
    }
    // Services round down: who comes at once, as told, and is refused again, waits a second.
    let least = Duration::from_secs(u64::from(number > 1));
    let asked = asked.map(|asked| asked.max(least));
    let doubling = |first: f64, most: f64| {
        let exponent = i32::try_from(number.saturating_sub(1)).unwrap_or(0);
        Duration::from_secs_f64((first * 2_f64.powi(exponent)).min(most) * (0.8 + 0.4 * jitter))
    };
    let wait = match attempt {
        Attempt::NotSent if number < MAX_CONNECTS => doubling(0.5, 4.0),
        Attempt::NoAnswer if idempotent => doubling(0.5, 10.0),
        Attempt::Answered { code, .. } if is_busy(code) => {
            asked.unwrap_or_else(|| doubling(5.0, 30.0))
        }
        Attempt::Answered { status: 429, .. } => asked.unwrap_or_else(|| doubling(5.0, 300.0)),
        Attempt::Answered { status: 503, .. } if idempotent || asked.is_some() => {
            asked.unwrap_or_else(|| doubling(1.0, 30.0))
        }
        Attempt::Answered {
            status: 408 | 500 | 502 | 504,
            ..
        } if idempotent => asked.unwrap_or_else(|| doubling(1.0, 30.0)),
        _ => return None,
    };
    (wait <= MAX_WAIT).then_some(wait)
}

/// Returns whether a code says that the resource is busy, which is nothing to hold other requests for.
pub(crate) fn is_busy(code: &str) -> bool {
    BUSY.contains(&code)
}

/// Returns whether a write that was answered with `status` may have been carried out all the same. What `asked` to
/// come again later was not taken on.
pub(crate) fn may_have_happened(status: u16, asked: bool) -> bool {
    matches!(status, 408 | 500 | 502 | 504) || (status == 503 && !asked)
}

/// Reads how long the service asks to wait: milliseconds where given, seconds, or an HTTP date. A date is measured by
/// the answer's own `Date`, for the clock of this machine may be wrong.
pub(crate) fn asked(
    header: impl Fn(&str) -> Option<String>,
    now: DateTime<Utc>,
) -> Option<Duration> {
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"]
        .iter()
        .find_map(|name| header(name)?.trim().parse::<u64>().ok())
        .map(Duration::from_millis);
    millis.or_else(|| {
        let text = header("retry-after")?;
        let text = text.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        let theirs = header("date").and_then(|text| DateTime::parse_from_rfc2822(&text).ok());
        let now = theirs.map_or(now, |theirs| theirs.with_timezone(&Utc));
        Some(
            (date.with_timezone(&Utc) - now)
                .to_std()
                .unwrap_or(Duration::ZERO),
        )
    })
}

/// Returns the pause before poll `number` of an operation that says nothing of it: from half a second by 1.5 to 10.
pub(crate) fn poll_pause(number: u32) -> Duration {
    let exponent = i32::try_from(number.min(20)).unwrap_or(20);
    Duration::from_secs_f64((0.5 * 1.5_f64.powi(exponent)).min(10.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Attempt<'static> {
        Attempt::Answered { status, code: "x" }
    }

    #[test]
    fn a_write_that_may_have_happened_is_sent_again_only_if_idempotent() {
        for attempt in [
            answered(500),
            answered(502),
            answered(504),
            answered(408),
            Attempt::NoAnswer,
        ] {
            assert!(wait(attempt, 1, true, None, 0.5).is_some(), "{attempt:?}");
            assert!(wait(attempt, 1, false, None, 0.5).is_none(), "{attempt:?}");
        }
        for attempt in [answered(429), Attempt::NotSent] {
            assert!(wait(attempt, 1, false, None, 0.5).is_some(), "{attempt:?}");
        }
        for status in [400, 401, 403, 404, 409, 412] {
            assert!(
                wait(answered(status), 1, true, None, 0.5).is_none(),
                "{status}"
            );
        }
    }

    #[test]
    fn a_busy_network_resource_is_waited_for_and_a_lock_is_not() {
        let busy = Attempt::Answered {
            status: 409,
            code: "AnotherOperationInProgress",
        };
        assert!(wait(busy, 1, true, None, 0.5).is_some());
        let locked = Attempt::Answered {
            status: 409,
            code: "ScopeLocked",
        };
        assert!(wait(locked, 1, true, None, 0.5).is_none());
    }

    #[test]
    fn throttled_without_advice_waits_five_seconds_doubling_to_three_hundred() {
        assert_eq!(
            wait(answered(429), 1, true, None, 0.5),
            Some(Duration::from_secs(5))
        );
        assert_eq!(
            wait(answered(429), 2, true, None, 0.5),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            wait(answered(429), 7, true, None, 0.5),
            Some(Duration::from_secs(300))
        );
        assert_eq!(
            wait(answered(429), 1, true, Some(Duration::from_secs(17)), 0.5),
            Some(Duration::from_secs(17))
        );
        let at_once = |number| wait(answered(429), number, true, Some(Duration::ZERO), 0.5);
        assert_eq!(at_once(1), Some(Duration::ZERO));
        assert_eq!(at_once(2), Some(Duration::from_secs(1)));
        assert_eq!(
            wait(
                answered(429),
                1,
                true,
                Some(Duration::from_secs(3_600)),
                0.5
            ),
            None
        );
    }

    #[test]
    fn advice_is_read_in_milliseconds_seconds_and_dates() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let of = |name: &'static str, value: String| {
            asked(move |asked| (asked == name).then(|| value.clone()), now)
        };
        assert_eq!(
            of("retry-after-ms", "250".into()),
            Some(Duration::from_millis(250))
        );
        assert_eq!(of("retry-after", "7".into()), Some(Duration::from_secs(7)));
        let date = (now + Duration::from_secs(30)).to_rfc2822();
        assert_eq!(of("retry-after", date), Some(Duration::from_secs(30)));
        assert_eq!(of("retry-after", "soon".into()), None);
        // The service's clock is a day ahead of ours.
        let ahead = |name: &str| match name {
            "date" => Some("Tue, 22 Sep 2026 14:13:20 GMT".to_owned()),
            "retry-after" => Some("Tue, 22 Sep 2026 14:14:00 GMT".to_owned()),
            _ => None,
        };
        assert_eq!(asked(ahead, now), Some(Duration::from_secs(40)));
    }
}
