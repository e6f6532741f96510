//! A bucket of tokens that fills at a steady rate: how Resource Manager limits requests (arm.md section 1.5).

use std::time::Duration;

/// What share of a budget collecting leaves for containment.
pub(crate) const KEPT_BACK: f64 = 0.2;

/// A bucket; times are microseconds of the client's clock.
pub(crate) struct Bucket {
    /// Below zero is what is already promised to those who wait.
    left: f64,
    size: f64,
    refill: f64,
    counted_us: u64,
}

impl Bucket {
    pub(crate) fn new(size: f64, refill: f64, now: u64) -> Self {
        Self {
            left: size,
            size,
            refill,
            counted_us: now,
        }
    }

    /// Asks for a token: how long to wait, and whether it is promised. Collecting gets no promise, only spare room.
    pub(crate) fn take(&mut self, now: u64, collecting: bool) -> (Duration, bool) {
        self.refill_until(now);
        let needed = if collecting {
            (self.size * KEPT_BACK).max(1.0)
        } else {
            1.0
        };
        let owed = ((needed - self.left) / self.refill).max(0.0);
        let wait = Duration::from_secs_f64(owed);
        if collecting && !wait.is_zero() {
            return (wait, false);
        }
        self.left -= 1.0;
        (wait, true)
    }

    /// Believes the service about how much is left, if it is less.
    pub(crate) fn learn(&mut self, left: u32, now: u64) {
        self.refill_until(now);
        self.left = self.left.min(f64::from(left));
    }

    /// Returns how many whole tokens are there now.
    pub(crate) fn left(&mut self, now: u64) -> u32 {
        self.refill_until(now);
        // Never more than the bucket's size, which is small.
        self.left.max(0.0) as u32
    }

    /// Voids all promises; from `until` on it fills from one, so that the end of a hold is no burst.
    pub(crate) fn hold(&mut self, until: u64, now: u64) {
        self.refill_until(now);
        self.left = self.left.clamp(0.0, 1.0);
        self.counted_us = self.counted_us.max(until);
    }

    fn refill_until(&mut self, now: u64) {
        if now <= self.counted_us {
            return;
        }
        let passed = Duration::from_micros(now - self.counted_us).as_secs_f64();
        self.left = (self.left + passed * self.refill).min(self.size);
        self.counted_us = now;
    }
}
