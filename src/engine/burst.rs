//! Many targets, one burst: an attacker who sees the first one cut has no time for the others.
//!
//! All targets of a run meet twice: no target is written to before every one was read, and none is collected from
//! before every one was written to. Who stops on the way counts as having come, so that nobody waits for ever.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, watch};

use super::run::TARGETS_AT_ONCE;
use super::target::{NodeState, Target};
use crate::runbook::model::{Phase, Step};

/// Where a step stands to the two meetings.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    /// Before the first.
    Look,
    /// Between them.
    Cut,
    /// After the second.
    Collect,
}

impl Stage {
    /// Returns where a step stands.
    pub(crate) fn of(step: &Step) -> Self {
        if step.phase >= Phase::Export {
            Self::Collect
        } else if super::step::writes(step) {
            Self::Cut
        } else {
            Self::Look
        }
    }
}

/// The meetings of all targets of a run.
pub(crate) struct Burst {
    cut: Meeting,
    collect: Meeting,
    /// Steps of all targets that are under way at once.
    pub(crate) permits: Semaphore,
    /// Targets that are looked at, or collected from, at once: each has many steps then. Who waits for the others, or
    /// is being cut, takes no room.
    pub(crate) room: Semaphore,
}

struct Meeting {
    missing: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Burst {
    /// Expects so many targets.
    pub(crate) fn of(targets: usize) -> Self {
        let meeting = || Meeting {
            missing: AtomicUsize::new(targets),
            open: watch::channel(targets == 0).0,
        };
        Self {
            cut: meeting(),
            collect: meeting(),
            permits: Semaphore::new(TARGETS_AT_ONCE),
            room: Semaphore::new(TARGETS_AT_ONCE),
        }
    }

    fn before(&self, stage: Stage) -> Option<&Meeting> {
        match stage {
            Stage::Look => None,
            Stage::Cut => Some(&self.cut),
            Stage::Collect => Some(&self.collect),
        }
    }

    /// Says that one more target is ready for a stage; each target says so once.
    pub(crate) fn arrive(&self, stage: Stage) {
        if let Some(meeting) = self.before(stage)
            && meeting.missing.fetch_sub(1, Ordering::SeqCst) == 1
        {
            meeting.open.send_replace(true);
        }
    }

    /// Waits until every target is ready for a stage.
    pub(crate) async fn opened(&self, stage: Stage) {
        if let Some(meeting) = self.before(stage) {
            // The sender lives as long as this does.
            let _ = meeting.open.subscribe().wait_for(|open| *open).await;
        }
    }
}

impl Target<'_> {
    pub(super) fn stage(&self, node: usize) -> Stage {
        Stage::of(self.common.program.step(node))
    }

    /// Returns the stage that is all that holds this target up, which has begun what comes before it.
    pub(super) fn ready_for(&self, begun: Stage, states: &[NodeState]) -> Option<Stage> {
        let waits = |node: &usize| states[*node] == NodeState::Waiting;
        let all = || 0..states.len();
        let stage = all()
            .filter(waits)
            .filter(|node| self.may_start(*node, states))
            .map(|node| self.stage(node))
            .filter(|stage| *stage > begun)
            .min()?;
        let before = |node: &usize| match stage {
            Stage::Look => false,
            // A read that follows a write waits for it, and so holds nobody up.
            Stage::Cut => self.stage(*node) == Stage::Look && states[*node] == NodeState::Running,
            Stage::Collect => {
                self.stage(*node) == Stage::Cut
                    && matches!(states[*node], NodeState::Waiting | NodeState::Running)
            }
        };
        (!all().any(|node| before(&node))).then_some(stage)
    }

    /// Says of every stage after `come` up to `stage` that this target is ready for it.
    pub(super) fn arrive(&self, come: Stage, stage: Stage) {
        if let Some(burst) = &self.common.burst {
            for next in [Stage::Cut, Stage::Collect] {
                if next > come && next <= stage {
                    burst.arrive(next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stage_begins_when_the_last_target_has_come() {
        let burst = Burst::of(2);
        burst.opened(Stage::Look).await;
        burst.arrive(Stage::Cut);
        let waits = burst.opened(Stage::Cut);
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        burst.arrive(Stage::Cut);
        waits.await;
        let collect = burst.opened(Stage::Collect);
        tokio::pin!(collect);
        assert!(futures_util::poll!(&mut collect).is_pending());
    }
}
