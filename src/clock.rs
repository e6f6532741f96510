//! Time comes in by argument, so that tests decide what time it is.
//!
//! Knows wall time (UTC), a monotonic time that keeps counting through suspend,
//! and how to sleep. Nothing below `cli` asks the system for the time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Where time comes from.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Returns the wall time, UTC.
    fn now(&self) -> DateTime<Utc>;
    /// Returns microseconds since some fixed point, counting suspended time, never decreasing.
    fn mono_us(&self) -> u64;
    /// Returns when `duration` of this clock has passed.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock: `CLOCK_REALTIME` and, where there is one, `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn mono_us(&self) -> u64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let id = rustix::time::ClockId::Boottime;
        // Elsewhere the monotonic clock may stop while the machine sleeps.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let id = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(id);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
            + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that stands still until it is told to move; a sleep moves it at once.
///
/// For tests: a run with long waits takes no real time and is the same every time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<(DateTime<Utc>, u64)>>,
}

impl ManualClock {
    /// Returns a clock that stands at `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            state: Arc::new(Mutex::new((now, 0))),
        }
    }

    /// Moves both wall and monotonic time on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let mut state = lock(&self.state);
        state.0 += duration;
        state.1 += u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    }

    /// Sets the wall time alone, as an administrator or an attacker might.
    pub fn jump_to(&self, now: DateTime<Utc>) {
        lock(&self.state).0 = now;
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        lock(&self.state).0
    }

    fn mono_us(&self) -> u64 {
        lock(&self.state).1
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
        tokio::task::yield_now().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere cannot leave two plain numbers half written.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns `time` as the journal and the command line write it: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
pub fn micros(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Returns `time` in whole seconds: `YYYY-MM-DDThh:mm:ssZ`.
pub fn seconds(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_fixed_width() {
        let time = DateTime::from_timestamp(1_790_000_000, 5_000).unwrap();
        assert_eq!(micros(time), "2026-09-21T14:13:20.000005Z");
        assert_eq!(seconds(time), "2026-09-21T14:13:20Z");
    }

    #[test]
    fn system_monotonic_time_does_not_go_back() {
        let first = SystemClock.mono_us();
        assert!(SystemClock.mono_us() >= first);
    }
}
