//! ARM's token buckets per subscription, caller and kind (arm.md section 1.5), scaled.

use std::collections::HashMap;

use super::reply::{Reply, arm_error};

/// The buckets.
#[derive(Default)]
pub(super) struct Throttle {
    buckets: HashMap<(String, String, &'static str), (f64, u64)>,
}

/// What is left, for the header, or the refusal.
pub(super) enum Verdict {
    Left(String, u64),
    Refused(Reply),
}

impl Throttle {
    /// Takes one request; `factor` scales size and refill, `retry_after` overrides what is asked.
    pub(super) fn take(
        &mut self,
        scope: &str,
        caller: &str,
        method: &str,
        now_us: u64,
        factor: f64,
        retry_after: Option<Option<u64>>,
    ) -> Verdict {
        let (kind, size, refill) = match method {
            "GET" | "HEAD" => ("reads", 250.0, 25.0),
            "DELETE" => ("deletes", 200.0, 10.0),
            _ => ("writes", 200.0, 10.0),
        };
        let (size, refill) = (size * factor, refill * factor);
        let key = (scope.to_ascii_lowercase(), caller.to_owned(), kind);
        let (left, counted) = self.buckets.entry(key).or_insert((size, now_us));
        *left = (*left + (now_us - *counted) as f64 / 1e6 * refill).min(size);
        *counted = now_us;
        let what = if scope.is_empty() {
            "tenant"
        } else {
            "subscription"
        };
        if *left >= 1.0 {
            *left -= 1.0;
            return Verdict::Left(
                format!("x-ms-ratelimit-remaining-{what}-{kind}"),
                *left as u64,
            );
        }
        let seconds = ((1.0 - *left) / refill).ceil().max(1.0) as u64;
        let message = format!(
            "Number of '{kind}' requests for subscription '{scope}' actor '{caller}' exceeded. Please try again after '{seconds}' seconds after additional tokens are available."
        );
        let reply = arm_error(429, "SubscriptionRequestsThrottled", &message);
        Verdict::Refused(match retry_after {
            None => reply.with("retry-after", seconds.to_string()),
            Some(Some(fixed)) => reply.with("retry-after", fixed.to_string()),
            Some(None) => reply,
        })
    }
}
