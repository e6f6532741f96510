//! A clock that runs faster or slower than another, so that hours of a tenant pass in minutes.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;

/// Runs `factor` times as fast as the clock it is made from, beginning at the same time.
pub struct ScaledClock {
    inner: Arc<dyn Clock>,
    factor: f64,
    began: DateTime<Utc>,
    began_us: u64,
}

impl ScaledClock {
    /// Returns a clock that shows now what `inner` shows. A factor that is no positive number counts as 1.
    pub fn new(inner: Arc<dyn Clock>, factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 0.0 {
            factor
        } else {
            1.0
        };
        Self {
            factor,
            began: inner.now(),
            began_us: inner.mono_us(),
            inner,
        }
    }

    fn passed_us(&self) -> u64 {
        (self.inner.mono_us().saturating_sub(self.began_us) as f64 * self.factor) as u64
    }
}

#[async_trait::async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> DateTime<Utc> {
        self.began + TimeDelta::microseconds(i64::try_from(self.passed_us()).unwrap_or(i64::MAX))
    }

    fn mono_us(&self) -> u64 {
        self.began_us.saturating_add(self.passed_us())
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration.div_f64(self.factor)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn an_hour_passes_in_a_minute() {
        let inner = ManualClock::at("2026-11-24T03:00:00Z".parse().unwrap());
        let clock = ScaledClock::new(Arc::new(inner.clone()), 60.0);
        inner.advance(Duration::from_secs(60));
        assert_eq!(
            clock.now(),
            "2026-11-24T04:00:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(clock.mono_us(), 3_600_000_000);
        assert!(ScaledClock::new(Arc::new(inner), f64::NAN).factor > 0.0);
    }
}
