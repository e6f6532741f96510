//! A sliding window: so many in any span of so long, as Microsoft Graph and Key Vault count (graph-and-data-planes.md
//! sections 4 and 6).
//!
//! A place is taken before a request is sent, and becomes free one span after its answer was heard: when the service
//! counted it is not known more exactly, so a full window is never exceeded, however long answers take. A place that
//! is about to become free is handed on to who waits for it, so that nobody wakes in vain. A span of nothing limits
//! how many are under way at once.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::KEPT_BACK;

/// After a hold, the room comes back in so many parts over a span.
const PARTS: u32 = 20;

/// A window; times are microseconds of the client's clock.
pub(crate) struct Window {
    most: u32,
    span_us: u64,
    /// Places promised, under way, or answered less than a span ago.
    taken: u32,
    /// When answered ones become free, and how many, the earliest first.
    free_at: VecDeque<(u64, u32)>,
}

impl Window {
    pub(crate) fn new(most: u32, span: Duration) -> Self {
        Self {
            most,
            span_us: micros(span),
            taken: 0,
            free_at: VecDeque::new(),
        }
    }

    /// Widens the window to what a larger tenant may.
    pub(crate) fn widen(&mut self, most: u32) {
        self.most = self.most.max(most);
    }

    /// Asks for `cost` places: how long to wait, and whether they are taken. Where nothing is promised, ask again
    /// after the wait.
    pub(crate) fn take(&mut self, cost: u32, now: u64, collecting: bool) -> (Duration, bool) {
        while let Some((_, count)) = self.free_at.front().copied().filter(|(at, _)| *at <= now) {
            self.free_at.pop_front();
            self.taken = self.taken.saturating_sub(count);
        }
        let cost = cost.min(self.most);
        let kept_back = if collecting {
            (f64::from(self.most) * KEPT_BACK) as u32
        } else {
            0
        };
        if self.taken + cost + kept_back <= self.most {
            self.taken += cost;
            return (Duration::ZERO, true);
        }
        if collecting {
            return (self.again(), false);
        }
        let missing = self.taken + cost - self.most;
        let mut handed = 0;
        let mut parts = 0;
        let mut free = now;
        for (at, count) in &self.free_at {
            if handed >= missing {
                break;
            }
            handed += count;
            parts += 1;
            free = *at;
        }
        if handed < missing {
            return (self.again(), false);
        }
        self.free_at.drain(..parts);
        // What is left of the last one handed on becomes free when it would have.
        if handed > missing {
            self.free_at.push_front((free, handed - missing));
        }
        self.taken = self.most;
        (Duration::from_micros(free - now), true)
    }

    /// Counts places whose request was answered, or never sent.
    pub(crate) fn answered(&mut self, cost: u32, now: u64) {
        let at = now.saturating_add(self.span_us);
        let place = self.free_at.partition_point(|(earlier, _)| *earlier <= at);
        self.free_at.insert(place, (at, cost.min(self.most)));
    }

    /// Gives places back that were promised and not used.
    pub(crate) fn give_back(&mut self, cost: u32) {
        self.taken = self.taken.saturating_sub(cost.min(self.most));
    }

    /// Takes the room that this side believed in: it was wrong, and comes back bit by bit from `until` on.
    pub(crate) fn hold(&mut self, until: u64) {
        let room = self.most.saturating_sub(self.taken);
        self.taken += room;
        for part in 0..PARTS {
            let count = room * (part + 1) / PARTS - room * part / PARTS;
            let at = until + self.span_us * u64::from(part) / u64::from(PARTS);
            self.free_at.push_back((at, count));
        }
        self.free_at.make_contiguous().sort_unstable();
    }

    /// How long to wait where nothing can be promised: all places are with requests that are not answered yet.
    fn again(&self) -> Duration {
        let spans = Duration::from_micros(self.span_us) / PARTS;
        spans.clamp(Duration::from_millis(100), Duration::from_secs(5))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_place_is_free_one_span_after_its_answer_and_is_handed_on_once() {
        let mut window = Window::new(2, Duration::from_secs(10));
        assert_eq!(window.take(1, 0, false), (Duration::ZERO, true));
        assert_eq!(window.take(1, 0, false), (Duration::ZERO, true));
        let (_, promised) = window.take(1, 0, false);
        assert!(!promised, "when the first two will be counted is not known");
        window.answered(1, SECOND);
        window.answered(1, 2 * SECOND);
        assert_eq!(
            window.take(1, 2 * SECOND, false),
            (Duration::from_secs(9), true)
        );
        assert_eq!(
            window.take(1, 2 * SECOND, false),
            (Duration::from_secs(10), true)
        );
        assert!(!window.take(1, 2 * SECOND, false).1);
        // Both were handed on, so that nothing becomes free by itself.
        assert!(!window.take(1, 20 * SECOND, false).1);
    }

    /// Many ask at once; returns what was sent when, and what it cost.
    fn sent(window: &mut Window, costs: &[u32]) -> Vec<(u64, u32)> {
        let mut asking: Vec<(u64, u32)> = costs.iter().map(|cost| (0, *cost)).collect();
        let mut sent = Vec::new();
        while !asking.is_empty() {
            asking.sort_by_key(|(at, _)| *at);
            let (now, cost) = asking.remove(0);
            let (wait, promised) = window.take(cost, now, false);
            let then = now + wait.as_micros() as u64;
            if promised {
                sent.push((then, cost));
                window.answered(cost, then + 30_000);
            } else {
                asking.push((then, cost));
            }
        }
        sent
    }

    #[test]
    fn what_is_counted_never_exceeds_the_window() {
        for costs in [vec![1; 60], [1, 2, 3, 1, 1, 5].repeat(20)] {
            let mut window = Window::new(5, Duration::from_secs(1));
            let sent = sent(&mut window, &costs);
            for (at, _) in &sent {
                let second = *at..at + SECOND;
                let within = sent.iter().filter(|(other, _)| second.contains(other));
                let sum: u32 = within.map(|(_, cost)| cost).sum();
                assert!(sum <= 5, "{sum} in a second from {at}");
            }
            let windows = u64::from(costs.iter().sum::<u32>()).div_ceil(5);
            let last = sent.iter().map(|(at, _)| *at).max().unwrap();
            assert!(
                last <= windows * 13 * SECOND / 10,
                "{last} for {windows} windows"
            );
        }
    }

    #[test]
    fn a_span_of_nothing_limits_what_is_under_way() {
        let mut window = Window::new(1, Duration::ZERO);
        assert!(window.take(1, 5, false).1);
        assert_eq!(
            window.take(1, 5, false),
            (Duration::from_millis(100), false)
        );
        window.answered(1, 6);
        assert_eq!(window.take(1, 6, false), (Duration::ZERO, true));
        window.give_back(1);
        assert_eq!(window.take(1, 6, false), (Duration::ZERO, true));
    }

    #[test]
    fn collecting_leaves_room_and_a_hold_comes_back_in_parts() {
        let mut window = Window::new(100, Duration::from_secs(10));
        let taken = (0..100).filter(|_| window.take(1, 0, true).1).count();
        assert_eq!(taken, 80);
        assert!(window.take(1, 0, false).1);
        window.hold(5 * SECOND);
        let (wait, promised) = window.take(1, 0, false);
        assert!(promised && wait >= Duration::from_secs(5), "{wait:?}");
        let late = 15 * SECOND;
        let free = (0..100).filter(|_| window.take(1, late, false) == (Duration::ZERO, true));
        // One was promised before, 81 are under way.
        assert_eq!(free.count(), 18);
    }
}
