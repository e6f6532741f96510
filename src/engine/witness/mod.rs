//! Who vouches for a checkpoint besides the session's own key: the responder, time-stamp authorities, an
//! immutable container.
//!
//! What makes a record worth something lies outside the machine that wrote it, and none of it may stand in the
//! way of containment: a witness is told of each checkpoint after it is on disk, answers in its own time, and
//! what it does not answer is a named gap that `azir journal seal` closes later. Knows checkpoints and
//! receipts; knows no runbook. Start reading at [`attend`].

mod append;
mod attend;
mod outside;
mod stamp;
mod worm;

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

pub(crate) use attend::{Attendance, Missing};
pub(crate) use outside::outside;
pub use stamp::Authorities;
pub use worm::Worm;

/// A checkpoint that a witness is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint<'a> {
    /// The run that it belongs to.
    pub(crate) run_dir: &'a Path,
    /// Its number in `cp`.
    pub(crate) number: u64,
    /// Its bytes, as they are on disk.
    pub(crate) text: &'a [u8],
    /// Whether it is the last one of its session; a seal's checkpoint always is.
    pub(crate) last: bool,
}

/// What vouched, as `anchor` lines and summaries name it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum WitnessKind {
    /// The responder's own key.
    Person,
    /// A time-stamp authority (RFC 3161).
    Tsa,
    /// An append blob in a container with a locked immutability policy.
    Worm,
}

impl WitnessKind {
    /// Returns the word of `anchor` lines.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Tsa => "tsa",
            Self::Worm => "worm",
        }
    }
}

/// Somebody who can vouch for a checkpoint.
#[async_trait]
pub(crate) trait Witness: Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> WitnessKind;

    /// Vouches for a checkpoint, and for whatever before it was missed, as far as this kind needs that.
    ///
    /// What it leaves stands beside the checkpoint in `cp`, or outside this machine. Returns the receipt that an
    /// `anchor` line cites; a signature has none. Called again for the same checkpoint it does no harm.
    ///
    /// # Errors
    /// Why it did not vouch, as a fragment that fits "no ... because".
    async fn vouch(&self, checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String>;
}
