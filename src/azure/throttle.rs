//! A shared budget per plane, subscription and kind of request, so that many targets do not throttle each other.
//!
//! The figures are the documented buckets (arm.md section 1.5; graph-and-data-planes.md section 4); what the service
//! says of the rest of a bucket is believed before our own count. A Retry-After holds everybody who draws on the same
//! bucket. What contains may draw ahead on a bucket; what collects takes what is left over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::request::Plane;
use crate::clock::Clock;

/// Plane, kind, size of the bucket, refill a second. What is not listed has no limit but the service's own word.
const BUCKETS: [(Plane, Kind, f64, f64); 9] = [
    (Plane::Arm, Kind::Reads, 250.0, 25.0),
    (Plane::Arm, Kind::Writes, 200.0, 10.0),
    (Plane::Arm, Kind::Deletes, 200.0, 10.0),
    // 5,000 units in ten seconds (a tenant of middle size), at two units a read.
    (Plane::Graph, Kind::Reads, 2_500.0, 250.0),
    (Plane::Graph, Kind::Writes, 3_000.0, 20.0),
    (Plane::Graph, Kind::Deletes, 3_000.0, 20.0),
    (Plane::Graph, Kind::Reports, 5.0, 0.5),
    // One a second for all apps of a tenant, and no Retry-After when it is exceeded.
    (Plane::Graph, Kind::Protection, 1.0, 1.0),
    (Plane::Logs, Kind::Writes, 200.0, 200.0 / 30.0),
];

/// What share of a bucket collecting leaves for containment.
const KEPT_BACK: f64 = 0.2;

/// Who goes first where the budget is short.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Priority {
    /// Cutting, and what cutting needs to know.
    #[default]
    Contain,
    /// Evidence and inventories: yields to containment.
    Collect,
}

/// The kind of request, as the limits count them: POST counts as a write, whatever it does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Reads,
    Writes,
    Deletes,
    /// Sign-in and audit logs of Graph.
    Reports,
    /// Identity Protection and conditional access of Graph.
    Protection,
}

impl Kind {
    fn of(plane: Plane, method: &str, path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        if plane == Plane::Graph && (path.contains("/auditlogs/") || path.contains("/reports/")) {
            return Self::Reports;
        }
        if plane == Plane::Graph
            && (path.contains("/identityprotection/")
                || path.contains("/identity/conditionalaccess/"))
        {
            return Self::Protection;
        }
        match method {
            "GET" | "HEAD" => Self::Reads,
            "DELETE" => Self::Deletes,
            _ => Self::Writes,
        }
    }

    /// Returns the word of ARM's headers.
    fn word(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Deletes => "deletes",
            Self::Reads | Self::Reports | Self::Protection => "reads",
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
            kind: Kind::of(plane, method, path),
        }
    }
}

struct Bucket {
    left: f64,
    size: f64,
    refill: f64,
    counted_us: u64,
    held_until_us: u64,
    /// Counts the holds: a turn promised before one is promised no more.
    holds: u64,
}

/// When a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Turn {
    /// How long to wait first.
    pub(crate) wait: Duration,
    /// The holds known when a place was taken; absent: no place was taken, ask again after the wait.
    promised: Option<u64>,
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

    /// Asks for a turn on `key`'s bucket. Containment takes a place in the queue; collecting waits for spare room.
    pub(crate) fn take(&self, key: &Key, priority: Priority) -> Turn {
        let now = self.clock.mono_us();
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, key, now);
        bucket.refill_until(now);
        let needed = match priority {
            Priority::Contain => 1.0,
            Priority::Collect => (bucket.size * KEPT_BACK).max(1.0),
        };
        let owed = ((needed - bucket.left) / bucket.refill).max(0.0);
        let held = Duration::from_micros(bucket.held_until_us.saturating_sub(now));
        let wait = held + Duration::from_secs_f64(if owed.is_finite() { owed } else { 0.0 });
        if priority == Priority::Collect && !wait.is_zero() {
            return Turn {
                wait,
                promised: None,
            };
        }
        // Below zero is what is already promised to those who wait.
        bucket.left -= 1.0;
        Turn {
            wait,
            promised: Some(bucket.holds),
        }
    }

    /// Returns whether a turn that was waited for still stands: nobody was told to hold in the meantime.
    pub(crate) fn stands(&self, key: &Key, turn: Turn) -> bool {
        let now = self.clock.mono_us();
        let mut buckets = self.lock();
        turn.promised == Some(bucket(&mut buckets, key, now).holds)
    }

    /// Holds everybody on `key`'s bucket for as long as the service asked.
    pub(crate) fn hold(&self, key: &Key, hold: Duration) {
        let now = self.clock.mono_us();
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, key, now);
        bucket.refill_until(now);
        let until = now.saturating_add(u64::try_from(hold.as_micros()).unwrap_or(u64::MAX));
        bucket.held_until_us = bucket.held_until_us.max(until);
        bucket.holds += 1;
        // All places are void and asked for anew, so that the end of the hold is no burst.
        bucket.left = bucket.left.clamp(0.0, 1.0);
        bucket.counted_us = bucket.held_until_us;
    }

    /// Learns from an answer how much is left.
    pub(crate) fn learn(&self, key: &Key, header: impl Fn(&str) -> Option<String>) {
        let scope = if key.scope == "tenant" {
            "tenant"
        } else {
            "subscription"
        };
        let name = format!("x-ms-ratelimit-remaining-{scope}-{}", key.kind.word());
        let left = header(&name).and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(left) = left {
            let now = self.clock.mono_us();
            let mut buckets = self.lock();
            let bucket = bucket(&mut buckets, key, now);
            bucket.refill_until(now);
            bucket.left = bucket.left.min(f64::from(left));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill_until(&mut self, now: u64) {
        if now <= self.counted_us {
            return;
        }
        let passed = Duration::from_micros(now - self.counted_us).as_secs_f64();
        self.left = (self.left + passed * self.refill).min(self.size);
        self.counted_us = now;
    }
}

fn bucket<'a>(buckets: &'a mut HashMap<Key, Bucket>, key: &Key, now: u64) -> &'a mut Bucket {
    buckets.entry(key.clone()).or_insert_with(|| {
        let (size, refill) = BUCKETS
            .iter()
            .find(|(plane, kind, ..)| *plane == key.plane && *kind == key.kind)
            .map_or((f64::MAX, f64::MAX), |(_, _, size, refill)| {
                (*size, *refill)
            });
        Bucket {
            left: size,
            size,
            refill,
            counted_us: now,
            held_until_us: 0,
            holds: 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn throttle() -> (Arc<ManualClock>, Throttle) {
        let clock = Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH));
        (clock.clone(), Throttle::new(clock))
    }

    fn wait(throttle: &Throttle, key: &Key) -> Duration {
        throttle.take(key, Priority::Contain).wait
    }

    #[test]
    fn beyond_the_bucket_requests_are_spaced_at_the_refill() {
        let (clock, throttle) = throttle();
        let key = Key::of(Plane::Arm, "PUT", "/subscriptions/S/x");
        for _ in 0..200 {
            assert_eq!(wait(&throttle, &key), Duration::ZERO);
        }
        assert_eq!(wait(&throttle, &key), Duration::from_millis(100));
        assert_eq!(wait(&throttle, &key), Duration::from_millis(200));
        let other = Key::of(Plane::Arm, "PUT", "/subscriptions/other/x");
        assert_eq!(wait(&throttle, &other), Duration::ZERO);
        clock.advance(Duration::from_secs(1));
        assert_eq!(wait(&throttle, &key), Duration::ZERO);
    }

    #[test]
    fn what_the_service_says_of_the_rest_is_believed() {
        let (_, throttle) = throttle();
        let key = Key::of(Plane::Arm, "GET", "/subscriptions/S/x");
        throttle.learn(&key, |name| {
            (name == "x-ms-ratelimit-remaining-subscription-reads").then(|| "1".to_owned())
        });
        assert_eq!(wait(&throttle, &key), Duration::ZERO);
        assert_eq!(wait(&throttle, &key), Duration::from_millis(40));
    }

    #[test]
    fn a_hold_voids_places_and_its_end_is_no_burst() {
        let (clock, throttle) = throttle();
        let key = Key::of(Plane::Arm, "GET", "/subscriptions/S/x");
        let early = throttle.take(&key, Priority::Contain);
        assert!(throttle.stands(&key, early));
        throttle.hold(&key, Duration::from_secs(9));
        assert!(!throttle.stands(&key, early));
        let same = Key::of(Plane::Arm, "GET", "/SUBSCRIPTIONS/s/y");
        assert_eq!(wait(&throttle, &same), Duration::from_secs(9));
        assert_eq!(wait(&throttle, &same), Duration::from_millis(9_040));
        assert_eq!(wait(&throttle, &same), Duration::from_millis(9_080));
        clock.advance(Duration::from_secs(60));
        assert_eq!(wait(&throttle, &same), Duration::ZERO);
    }

    #[test]
    fn collecting_leaves_room_for_containment() {
        let (clock, throttle) = throttle();
        let key = Key::of(Plane::Arm, "GET", "/subscriptions/S/x");
        let mut taken = 0;
        while throttle.take(&key, Priority::Collect).wait.is_zero() {
            taken += 1;
        }
        assert_eq!(taken, 201);
        for _ in 0..49 {
            assert_eq!(wait(&throttle, &key), Duration::ZERO);
        }
        let turn = throttle.take(&key, Priority::Collect);
        assert!(turn.wait >= Duration::from_secs(1), "{turn:?}");
        clock.advance(turn.wait);
        assert!(
            !throttle.stands(&key, turn),
            "it has no place and must ask again"
        );
        assert!(throttle.take(&key, Priority::Collect).wait.is_zero());
    }

    #[test]
    fn graph_reports_have_a_small_bucket_and_blobs_none() {
        let (_, throttle) = throttle();
        let reports = Key::of(Plane::Graph, "GET", "/v1.0/auditLogs/signIns");
        for _ in 0..5 {
            assert_eq!(wait(&throttle, &reports), Duration::ZERO);
        }
        assert_eq!(wait(&throttle, &reports), Duration::from_secs(2));
        let blobs = Key::of(Plane::Blob, "PUT", "/c/b");
        for _ in 0..10_000 {
            assert_eq!(wait(&throttle, &blobs), Duration::ZERO);
        }
    }
}
