//! Many targets in one run: how they are found besides by name, and when enough of them have failed.
//!
//! With `--max-failures N` at most N targets are under way at once; once N have failed, no further one is begun. Where
//! all targets are cut in one burst, all are looked at first, and those that failed by then count: what has begun to
//! be cut is cut to its end.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::failure::{Failure, FailureKind};
use super::target::Target;
use super::watch::Watch;
use crate::report::model::RunStatus;

/// What was said of the targets as a whole.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bulk {
    /// A condition in Kusto: every resource that fulfils it is a target too (`filter`).
    pub filter: Option<String>,
    /// After how many failed targets no new one is begun; absent: all are begun.
    pub max_failures: Option<usize>,
    /// Whether no target is cut before every one was read and kept, and then all in one burst.
    pub together: bool,
    /// How long containment is watched, and what is done about it.
    pub watch: Option<Watch>,
    /// The run whose unfinished targets these are.
    pub retries: Option<String>,
}

/// Holds the run when enough targets have failed. What was begun is ended all the same.
pub(crate) struct Brake {
    most: Option<usize>,
    failed: AtomicUsize,
}

impl Brake {
    /// Lets so many targets fail; without a number, all.
    pub(crate) fn after(most: Option<usize>) -> Self {
        Self {
            most,
            failed: AtomicUsize::new(0),
        }
    }

    /// Returns how many targets may be under way at once, of so many: as many as may fail, so that fewer than twice as
    /// many do.
    pub(super) fn at_once(&self, most: usize) -> usize {
        self.most.map_or(most, |own| own.clamp(1, most))
    }

    /// Returns why no further target is begun, if none is.
    fn holds(&self) -> Option<String> {
        let failed = self.failed.load(Ordering::SeqCst);
        let most = self.most.filter(|most| failed >= *most)?;
        let targets = if failed == 1 { "target" } else { "targets" };
        Some(format!(
            "not begun: {failed} {targets} had failed by then, and --max-failures {most} ends there"
        ))
    }

    fn count(&self) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Target<'_> {
    /// Keeps this target from being begun, or from being cut with the others, when enough others have failed.
    pub(super) fn brake(&self) {
        let Some(why) = self.common.brake.holds() else {
            return;
        };
        let mut tally = self.tally();
        if tally.stopped.is_none() && tally.effects == 0 {
            let failure = Failure::failed("max_failures", why, self.command());
            tally.stopped = Some(failure.of_kind(FailureKind::LeftUndone));
        }
    }

    /// Counts a failure that stopped this target; what a guard refused or nobody allowed is no failure of the run.
    pub(super) fn count_stopped(&self, failure: &Failure) {
        if matches!(failure.kind, FailureKind::Failed | FailureKind::Unknown) {
            self.common.brake.count();
        }
    }

    /// Counts a target that went on to its end and failed in part.
    pub(super) fn count_ended(&self, status: RunStatus) {
        let failed = matches!(status, RunStatus::Failed | RunStatus::Partial);
        if failed && self.tally().stopped.is_none() {
            self.common.brake.count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_holds_at_the_number_and_never_without_one() {
        let brake = Brake::after(Some(2));
        brake.count();
        assert_eq!(brake.holds(), None);
        brake.count();
        assert!(brake.holds().unwrap().contains("--max-failures 2"));
        let none = Brake::after(None);
        none.count();
        assert_eq!(none.holds(), None);
        assert_eq!((none.at_once(128), brake.at_once(128)), (128, 2));
        assert_eq!(Brake::after(Some(500)).at_once(128), 128);
    }
}
