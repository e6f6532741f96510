//! A shared budget per plane, subscription and kind of request, so that many targets do not throttle each other.
//!
//! The figures are ARM's token buckets (arm.md section 1.5); what the service says of the rest of a bucket is
//! believed before our own count. A Retry-After holds everybody who draws on the same bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::request::Plane;
use crate::clock::Clock;

/// Bucket size and refill a second of ARM: reads, writes, deletes.
const ARM_BUCKETS: [(Kind, f64, f64); 3] = [
    (Kind::Reads, 250.0, 25.0),
    (Kind::Writes, 200.0, 10.0),
    (Kind::Deletes, 200.0, 10.0),
];

/// The kind of request, as the limits count them: POST counts as a write, whatever it does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Reads,
    Writes,
    Deletes,
}

impl Kind {
    pub(crate) fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" => Self::Reads,
            "DELETE" => Self::Deletes,
            _ => Self::Writes,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Deletes => "deletes",
        }
    }
}

/// Which bucket a request draws on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    plane: Plane,
    scope: String,
    kind: Kind,
}

impl Key {
    /// Returns the bucket of a request by its path: of ARM the subscription's, else the tenant's.
    pub(crate) fn of(plane: Plane, method: &str, path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        let subscription = (plane == Plane::Arm
            && segments
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case("subscriptions")))
        .then(|| segments.next().unwrap_or_default().to_ascii_lowercase())
        .filter(|id| !id.is_empty());
        Self {
            plane,
            scope: subscription.unwrap_or_else(|| "tenant".to_owned()),
            kind: Kind::of(method),
        }
    }
}

struct Bucket {
    left: f64,
    size: f64,
    refill: f64,
    counted_us: u64,
    held_until_us: u64,
}

/// The buckets of one process.
pub(crate) struct Throttle {
    clock: Arc<dyn Clock>,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

impl Throttle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one request's worth of `key`'s budget and returns how long to wait before sending it.
    pub(crate) fn take(&self, key: &Key) -> Duration {
        let now = self.clock.mono_us();
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, key, now);
        bucket.refill_until(now);
        // Below zero is what is already promised to those who wait.
        bucket.left -= 1.0;
        let owed = if bucket.left < 0.0 {
            -bucket.left / bucket.refill
        } else {
            0.0
        };
        let held = Duration::from_micros(bucket.held_until_us.saturating_sub(now));
        held.max(Duration::from_secs_f64(owed))
    }

    /// Learns from an answer: what is left, and for how long everybody is told to wait.
    pub(crate) fn learn(
        &self,
        key: &Key,
        header: impl Fn(&str) -> Option<String>,
        hold: Option<Duration>,
    ) {
        let now = self.clock.mono_us();
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, key, now);
        if let Some(hold) = hold {
            let until = now + u64::try_from(hold.as_micros()).unwrap_or(u64::MAX);
            bucket.held_until_us = bucket.held_until_us.max(until);
        }
        let scope = if key.scope == "tenant" {
            "tenant"
        } else {
            "subscription"
        };
        let name = format!("x-ms-ratelimit-remaining-{scope}-{}", key.kind.word());
        if let Some(left) = header(&name).and_then(|text| text.trim().parse::<f64>().ok()) {
            bucket.refill_until(now);
            bucket.left = bucket.left.min(left);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill_until(&mut self, now: u64) {
        let passed = Duration::from_micros(now.saturating_sub(self.counted_us)).as_secs_f64();
        self.left = (self.left + passed * self.refill).min(self.size);
        self.counted_us = now;
    }
}

fn bucket<'a>(buckets: &'a mut HashMap<Key, Bucket>, key: &Key, now: u64) -> &'a mut Bucket {
    buckets.entry(key.clone()).or_insert_with(|| {
        let (size, refill) = ARM_BUCKETS
            .iter()
            .find(|(kind, ..)| *kind == key.kind && key.plane == Plane::Arm)
            // Other planes publish no bucket; only what they answer holds azir back.
            .map_or((f64::INFINITY, 1.0), |(_, size, refill)| (*size, *refill));
        Bucket {
            left: size,
            size,
            refill,
            counted_us: now,
            held_until_us: 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH))
    }

    #[test]
    fn beyond_the_bucket_requests_are_spaced_at_the_refill() {
        let clock = clock();
        let throttle = Throttle::new(clock.clone());
        let key = Key::of(Plane::Arm, "PUT", "/subscriptions/S/x");
        for _ in 0..200 {
            assert_eq!(throttle.take(&key), Duration::ZERO);
        }
        assert_eq!(throttle.take(&key), Duration::from_millis(100));
        assert_eq!(throttle.take(&key), Duration::from_millis(200));
        assert_eq!(
            throttle.take(&Key::of(Plane::Arm, "PUT", "/subscriptions/other/x")),
            Duration::ZERO
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(throttle.take(&key), Duration::ZERO);
    }

    #[test]
    fn what_the_service_says_holds_everybody_on_the_bucket() {
        let clock = clock();
        let throttle = Throttle::new(clock.clone());
        let key = Key::of(Plane::Arm, "GET", "/subscriptions/S/x");
        throttle.learn(
            &key,
            |name| (name == "x-ms-ratelimit-remaining-subscription-reads").then(|| "1".to_owned()),
            None,
        );
        assert_eq!(throttle.take(&key), Duration::ZERO);
        assert_eq!(throttle.take(&key), Duration::from_millis(40));
        throttle.learn(&key, |_| None, Some(Duration::from_secs(9)));
        assert_eq!(
            throttle.take(&Key::of(Plane::Arm, "GET", "/SUBSCRIPTIONS/s/y")),
            Duration::from_secs(9)
        );
    }
}
