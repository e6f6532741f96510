//! The session itself: the clock, the token's life, and what is left of the request budget.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::meant::Meant;
use super::place;
use crate::azure::{Identity, Reader};
use crate::engine::plan::{Preflight, Verdict};
use crate::runbook::model::Plane;

/// Beyond this a token may be refused for its times, as every service allows a few minutes of skew and no more.
const REFUSED_MS: i64 = 300_000;
/// Beyond this the times of the record and those of the cloud's logs are hard to lay side by side.
const LOOSE_MS: i64 = 120_000;
/// What a subscription's bucket of writes holds, and what comes back in a second (arm.md section 1.5).
const BUCKET: (u32, u32) = (200, 10);

/// Judges the clock: FAIL where tokens may be refused for it, UNKNOWN where only the record suffers.
pub(super) fn clock(offset_ms: Option<i64>) -> Preflight {
    let Some(offset) = offset_ms else {
        let text = "no answer of the cloud had a date: this machine's clock cannot be compared";
        return Preflight::new("clock", Verdict::Unknown, text);
    };
    let off = format!("this machine's clock differs from the cloud's by {offset} ms");
    let next = "timedatectl set-ntp true";
    match offset.abs() {
        ms if ms > REFUSED_MS => Preflight::new(
            "clock",
            Verdict::Fail,
            format!("{off}: beyond five minutes tokens are refused, and no time in the record can be laid beside the cloud's logs; {next}"),
        )
        .then(next),
        ms if ms > LOOSE_MS => Preflight::new(
            "clock",
            Verdict::Unknown,
            format!("{off}: tokens are still taken, and the record's times are off by that"),
        ),
        _ => Preflight::new("clock", Verdict::Pass, off),
    }
}

/// Judges the token's life against the run's: the client asks for a new one by itself before it ends.
pub(super) fn token(
    identity: &Identity,
    credential: &str,
    now: DateTime<Utc>,
    deadline_seconds: Option<u64>,
) -> Preflight {
    let Some(expires) = identity.expires else {
        let text = "the token does not say when it ends";
        return Preflight::new("token", Verdict::Unknown, text);
    };
    let left = (expires - now).num_seconds();
    let outlives = deadline_seconds.is_some_and(|deadline| left >= deadline.cast_signed());
    let (verdict, then) = match (outlives, credential) {
        (true, _) => (
            Verdict::Pass,
            "longer than the deadline, and azir renews it by itself",
        ),
        (false, "azure-cli") => (
            Verdict::Unknown,
            "and is renewed only as long as az stays signed in",
        ),
        (false, _) => (Verdict::Pass, "and azir renews it by itself"),
    };
    let until = crate::clock::seconds(expires);
    Preflight::new(
        "token",
        verdict,
        format!("the token ({credential}) lives until {until}, {then}"),
    )
}

/// Judges the writes meant in each subscription against what is left of its bucket; azir waits where it is empty.
pub(super) fn budget(
    reader: &Reader,
    meant: &[Meant],
    deadline_seconds: Option<u64>,
) -> Vec<Preflight> {
    let mut by: BTreeMap<String, u32> = BTreeMap::new();
    for write in meant.iter().filter(|write| write.plane == Plane::Arm) {
        if let Some(subscription) = place::subscription(&write.path) {
            *by.entry(subscription.to_ascii_lowercase()).or_default() += 1;
        }
    }
    by.into_iter()
        .map(|(subscription, count)| {
            let id = subscription.rsplit('/').next().unwrap_or_default();
            let (verdict, text) = judge(count, reader.writes_left(id), deadline_seconds);
            Preflight::new("throttle", verdict, format!("{text} in {subscription}"))
                .at(&subscription)
        })
        .collect()
}

fn judge(count: u32, left: Option<u32>, deadline: Option<u64>) -> (Verdict, String) {
    let (size, refill) = BUCKET;
    let Some(left) = left else {
        let text = format!(
            "{count} writes are meant, and nobody has said how many are left of the documented {size}"
        );
        return (Verdict::Unknown, text);
    };
    let waits = u64::from(count.saturating_sub(left).div_ceil(refill));
    let text = format!("{count} writes are meant and {left} are left");
    match (waits, deadline) {
        (0, _) => (Verdict::Pass, text),
        (waits, Some(deadline)) if waits > deadline => (
            Verdict::Unknown,
            format!("{text}; the last waits about {waits} s, beyond the deadline of {deadline} s,"),
        ),
        (waits, _) => (
            Verdict::Pass,
            format!("{text}; the last waits about {waits} s"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_refused_beyond_five_minutes() {
        for (offset, verdict) in [
            (None, Verdict::Unknown),
            (Some(-800), Verdict::Pass),
            (Some(120_001), Verdict::Unknown),
            (Some(-300_001), Verdict::Fail),
        ] {
            assert_eq!(clock(offset).verdict, verdict, "{offset:?}");
        }
    }

    #[test]
    fn a_budget_is_enough_where_the_wait_ends_before_the_deadline() {
        let verdict = |count, left, deadline| judge(count, left, deadline).0;
        assert_eq!(verdict(7, Some(199), Some(300)), Verdict::Pass);
        assert_eq!(verdict(1_000, Some(199), Some(300)), Verdict::Pass);
        assert_eq!(verdict(10_000, Some(199), Some(300)), Verdict::Unknown);
        assert_eq!(verdict(7, None, None), Verdict::Unknown);
    }
}
