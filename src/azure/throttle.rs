//! A shared budget per limit, so that many targets do not throttle each other.
//!
//! What the limits are and what a request draws on them is in `limits`; how a bucket and a window count, in `bucket`
//! and `window`. What the service says is believed before our own count: a 429 holds everybody who draws on the same
//! limit. What contains may draw ahead; what collects takes what is left over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bucket::Bucket;
use super::limits::{Account, Draw, Limit, Shape, TENANT, Users};
use super::window::Window;
use crate::clock::Clock;

/// Who goes first where the budget is short.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Priority {
    /// Cutting, and what cutting needs to know.
    #[default]
    Contain,
    /// Evidence and inventories: yields to containment.
    Collect,
}

/// When a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Turn {
    /// How long to wait first.
    pub(crate) wait: Duration,
    /// The holds known when a place was taken; absent: no place was taken, ask again after the wait.
    promised: Option<u64>,
}

enum Counter {
    Bucket(Bucket),
    Window(Window),
}

struct Meter {
    counter: Counter,
    held_until_us: u64,
    /// Counts the holds: a turn promised before one is promised no more.
    holds: u64,
}

#[derive(Default)]
struct Meters {
    by: HashMap<Account, Meter>,
    users: Users,
    /// Units of the directory in its window, once more users were met than it began with.
    units: Option<u32>,
}

/// The budgets of one process.
pub(crate) struct Throttle {
    clock: Arc<dyn Clock>,
    meters: Mutex<Meters>,
}

/// Places taken for one request; given up when it was answered, or will not be sent.
pub(crate) struct Places<'a> {
    throttle: &'a Throttle,
    held: Vec<&'a (Account, u32)>,
}

impl Throttle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            meters: Mutex::default(),
        }
    }

    /// Begins to take places; learns from the request how large the tenant is.
    pub(crate) fn places(&self, draw: &Draw) -> Places<'_> {
        let mut meters = self.lock();
        if let Some(units) = meters.users.met(&draw.users) {
            meters.units = Some(units);
            for (account, meter) in &mut meters.by {
                if let (Limit::GraphUnits, Counter::Window(window)) =
                    (account.limit, &mut meter.counter)
                {
                    window.widen(units);
                }
            }
        }
        Places {
            throttle: self,
            held: Vec::new(),
        }
    }

    /// Holds everybody who draws on what refused a request; `information` is the service's word for which limit it was.
    /// Returns whether there is such a limit: otherwise the request waits by itself.
    pub(crate) fn hold(&self, draw: &Draw, hold: Duration, information: Option<&str>) -> bool {
        let now = self.clock.mono_us();
        let until = now.saturating_add(u64::try_from(hold.as_micros()).unwrap_or(u64::MAX));
        let mut meters = self.lock();
        let mut held = false;
        for (account, _) in &draw.on {
            if !information.is_none_or(|information| account.limit.is_meant(information)) {
                continue;
            }
            let meter = meters.of(account, now);
            meter.held_until_us = meter.held_until_us.max(until);
            meter.holds += 1;
            match &mut meter.counter {
                Counter::Bucket(bucket) => bucket.hold(meter.held_until_us, now),
                Counter::Window(window) => window.hold(meter.held_until_us),
            }
            held = true;
        }
        held
    }

    /// Learns from an answer how much Resource Manager has left.
    pub(crate) fn learn(&self, draw: &Draw, header: impl Fn(&str) -> Option<String>) {
        let now = self.clock.mono_us();
        for (account, _) in &draw.on {
            let Some(word) = account.limit.arm_word() else {
                continue;
            };
            let scope = if account.of == TENANT {
                "tenant"
            } else {
                "subscription"
            };
            let left = header(&format!("x-ms-ratelimit-remaining-{scope}-{word}"))
                .and_then(|text| text.trim().parse().ok());
            if let (Some(left), Counter::Bucket(bucket)) =
                (left, &mut self.lock().of(account, now).counter)
            {
                bucket.learn(left, now);
            }
        }
    }

    /// Returns how many writes a subscription has left, once any was counted there.
    pub(crate) fn writes_left(&self, subscription: &str) -> Option<u32> {
        let account = Account {
            limit: Limit::ArmWrites,
            of: subscription.to_ascii_lowercase(),
        };
        let now = self.clock.mono_us();
        match &mut self.lock().by.get_mut(&account)?.counter {
            Counter::Bucket(bucket) => Some(bucket.left(now)),
            Counter::Window(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Places<'a> {
    /// Asks for a turn on one limit. What is promised is held from now on.
    pub(crate) fn take(&mut self, drawn: &'a (Account, u32), priority: Priority) -> Turn {
        let (account, cost) = drawn;
        let now = self.throttle.clock.mono_us();
        let mut meters = self.throttle.lock();
        let meter = meters.of(account, now);
        let collecting = priority == Priority::Collect;
        let held = Duration::from_micros(meter.held_until_us.saturating_sub(now));
        if collecting && !held.is_zero() {
            return Turn {
                wait: held,
                promised: None,
            };
        }
        let (wait, promised) = match &mut meter.counter {
            Counter::Bucket(bucket) => {
                let (wait, promised) = bucket.take(now, collecting);
                // A bucket counts on from the end of a hold.
                (wait + held, promised)
            }
            Counter::Window(window) => {
                let (wait, promised) = window.take(*cost, now, collecting);
                (wait.max(held), promised)
            }
        };
        let promised = promised.then_some(meter.holds);
        drop(meters);
        if promised.is_some() {
            self.held.push(drawn);
        }
        Turn { wait, promised }
    }

    /// Returns whether a turn that was waited for still stands: nobody was told to hold in the meantime. The place of
    /// one that does not is given back.
    pub(crate) fn stands(&mut self, drawn: &'a (Account, u32), turn: Turn) -> bool {
        let Some(promised) = turn.promised else {
            return false;
        };
        let now = self.throttle.clock.mono_us();
        let mut meters = self.throttle.lock();
        let meter = meters.of(&drawn.0, now);
        if meter.holds == promised {
            return true;
        }
        if let Counter::Window(window) = &mut meter.counter {
            window.give_back(drawn.1);
        }
        self.held.pop();
        false
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        let now = self.throttle.clock.mono_us();
        let mut meters = self.throttle.lock();
        for (account, cost) in self.held.drain(..) {
            if let Counter::Window(window) = &mut meters.of(account, now).counter {
                window.answered(*cost, now);
            }
        }
    }
}

impl Meters {
    fn of(&mut self, account: &Account, now: u64) -> &mut Meter {
        let units = self.units;
        self.by.entry(account.clone()).or_insert_with(|| {
            let counter = match account.limit.shape() {
                Shape::Bucket(size, refill) => Counter::Bucket(Bucket::new(size, refill, now)),
                Shape::Window(most, span) => {
                    let mut window = Window::new(most, Duration::from_millis(span));
                    if let (Limit::GraphUnits, Some(units)) = (account.limit, units) {
                        window.widen(units);
                    }
                    Counter::Window(window)
                }
            };
            Meter {
                counter,
                held_until_us: 0,
                holds: 0,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Plane;
    use super::*;
    use crate::clock::ManualClock;

    fn throttle() -> (Arc<ManualClock>, Throttle) {
        let clock = Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH));
        (clock.clone(), Throttle::new(clock))
    }

    fn draw(plane: Plane, method: &str, address: &str) -> Draw {
        super::super::limits::tests::draw(plane, method, address, None)
    }

    /// Sends a request that is answered at once; returns how long it had to wait.
    fn wait(throttle: &Throttle, draw: &Draw) -> Duration {
        let mut places = throttle.places(draw);
        let mut longest = Duration::ZERO;
        for drawn in &draw.on {
            longest = longest.max(places.take(drawn, Priority::Contain).wait);
        }
        longest
    }

    #[test]
    fn beyond_the_bucket_requests_are_spaced_at_the_refill() {
        let (clock, throttle) = throttle();
        let put = draw(Plane::Arm, "PUT", "/subscriptions/S/x");
        for _ in 0..200 {
            assert_eq!(wait(&throttle, &put), Duration::ZERO);
        }
        assert_eq!(wait(&throttle, &put), Duration::from_millis(100));
        assert_eq!(wait(&throttle, &put), Duration::from_millis(200));
        let other = draw(Plane::Arm, "PUT", "/subscriptions/other/x");
        assert_eq!(wait(&throttle, &other), Duration::ZERO);
        clock.advance(Duration::from_secs(1));
        assert_eq!(wait(&throttle, &put), Duration::ZERO);
    }

    #[test]
    fn what_the_service_says_of_the_rest_is_believed() {
        let (_, throttle) = throttle();
        let get = draw(Plane::Arm, "GET", "/subscriptions/S/x");
        throttle.learn(&get, |name| {
            (name == "x-ms-ratelimit-remaining-subscription-reads").then(|| "1".to_owned())
        });
        assert_eq!(wait(&throttle, &get), Duration::ZERO);
        assert_eq!(wait(&throttle, &get), Duration::from_millis(40));
    }

    #[test]
    fn a_hold_voids_places_and_its_end_is_no_burst() {
        let (clock, throttle) = throttle();
        let get = draw(Plane::Arm, "GET", "/subscriptions/S/x");
        let mut places = throttle.places(&get);
        let early = places.take(&get.on[0], Priority::Contain);
        assert!(places.stands(&get.on[0], early));
        throttle.hold(&get, Duration::from_secs(9), None);
        assert!(!places.stands(&get.on[0], early));
        let same = draw(Plane::Arm, "GET", "/SUBSCRIPTIONS/s/y");
        assert_eq!(wait(&throttle, &same), Duration::from_secs(9));
        assert_eq!(wait(&throttle, &same), Duration::from_millis(9_040));
        assert_eq!(wait(&throttle, &same), Duration::from_millis(9_080));
        clock.advance(Duration::from_secs(60));
        assert_eq!(wait(&throttle, &same), Duration::ZERO);
    }

    #[test]
    fn collecting_leaves_room_for_containment() {
        let (clock, throttle) = throttle();
        let get = draw(Plane::Arm, "GET", "/subscriptions/S/x");
        let collect = || {
            let mut places = throttle.places(&get);
            let turn = places.take(&get.on[0], Priority::Collect);
            let stands = places.stands(&get.on[0], turn);
            (turn.wait, stands)
        };
        let mut taken = 0;
        while collect().0.is_zero() {
            taken += 1;
        }
        assert_eq!(taken, 201);
        for _ in 0..49 {
            assert_eq!(wait(&throttle, &get), Duration::ZERO);
        }
        let (waits, stands) = collect();
        assert!(waits >= Duration::from_secs(1), "{waits:?}");
        assert!(!stands, "it has no place and must ask again");
        clock.advance(waits);
        assert!(collect().0.is_zero());
    }

    #[test]
    fn reports_have_a_small_window_and_blobs_none() {
        let (_, throttle) = throttle();
        let reports = draw(Plane::Graph, "GET", "/v1.0/auditLogs/signIns");
        for _ in 0..5 {
            assert_eq!(wait(&throttle, &reports), Duration::ZERO);
        }
        assert_eq!(wait(&throttle, &reports), Duration::from_secs(10));
        let blobs = draw(Plane::Blob, "PUT", "/c/b");
        for _ in 0..10_000 {
            assert_eq!(wait(&throttle, &blobs), Duration::ZERO);
        }
    }

    #[test]
    fn a_refusal_for_writing_too_much_lets_reads_go_on() {
        let (_, throttle) = throttle();
        let write = draw(Plane::Graph, "PATCH", "/v1.0/users/a");
        let read = draw(Plane::Graph, "GET", "/v1.0/users/a");
        throttle.hold(&write, Duration::from_secs(7), Some("WriteLimitExceeded"));
        assert_eq!(wait(&throttle, &write), Duration::from_secs(7));
        assert_eq!(wait(&throttle, &read), Duration::ZERO);
        throttle.hold(&read, Duration::from_secs(3), None);
        assert_eq!(wait(&throttle, &read), Duration::from_secs(3));
    }

    #[test]
    fn a_larger_tenant_has_more_units() {
        let (_, throttle) = throttle();
        let unit = |user: usize| {
            draw(
                Plane::Graph,
                "GET",
                &format!("/v1.0/users/{user}?$select=id"),
            )
        };
        let mut sent = 0;
        while wait(&throttle, &unit(sent % 600)).is_zero() {
            sent += 1;
        }
        assert_eq!(sent, 8_000);
    }
}
