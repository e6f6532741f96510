//! Many targets, one burst: an attacker who sees the first one cut has no time for the others.
//!
//! All targets of a run go through three stages together: no target is cut before every one was read and kept, and none
//! is collected from before every one was cut. Who waits for the others is no more than what is on the disk,
//! and a note of where it lies; so ten thousand take little more room than ten.

use super::target::Target;
use crate::runbook::model::{Phase, Step};

/// A stage of a burst.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    /// Everything that only looks, and what is kept before the cut.
    Look,
    /// Everything that cuts, and what is read because of it.
    Cut,
    /// The rest: what is tagged, exported, deleted.
    Collect,
}

impl Stage {
    /// The stages of a burst, in order.
    pub(crate) const BURST: [Self; 3] = [Self::Look, Self::Cut, Self::Collect];
    /// All of it at once, for targets that need not wait for each other.
    pub(crate) const ALONE: [Self; 1] = [Self::Collect];

    /// Returns the stage that a step belongs to.
    pub(crate) fn of(step: &Step) -> Self {
        if step.phase >= Phase::Tag {
            Self::Collect
        } else if super::step::writes(step) && step.phase > Phase::Preserve {
            Self::Cut
        } else {
            Self::Look
        }
    }
}

impl Target<'_> {
    pub(super) fn stage(&self, node: usize) -> Stage {
        Stage::of(self.common.program.step(node))
    }
}
