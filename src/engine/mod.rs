//! Where runbook, cloud, journal and evidence meet: plan, run, check, undo.
//!
//! Prints nothing and prompts nobody: it speaks in [`event`]s and asks through [`ask::Ask`]. Start
//! reading at [`run`]: a [`request`] becomes a program of steps (`schedule`), each target takes its own
//! way through it (`target`, `step`), every call is in the journal before it is on the wire (`calls`,
//! `recorder`), and what each step claims is read back (`check`). What people write around the runs goes over
//! the [`desk`].

mod absent;
mod alone;
pub mod approval;
pub mod ask;
mod bulk;
mod burst;
mod calls;
mod check;
mod clearance;
pub mod desk;
mod directory;
mod ending;
pub mod errand;
pub mod error;
pub mod event;
mod failure;
pub mod filter;
mod findings;
mod incident_log;
mod last_change;
pub mod notify;
mod opening;
mod outcome;
mod past;
pub mod plan;
mod planning;
mod power;
mod preflight;
pub mod production;
pub mod profile;
mod recorder;
pub mod request;
mod resolve;
mod results;
mod resume;
pub mod run;
mod schedule;
mod scope;
mod seal;
mod siblings;
mod single;
mod standing;
mod step;
mod target;
mod targets;
mod undo;
mod undo_item;
mod undo_standing;
mod undo_write;
mod vault;
mod watch;
pub(crate) mod witness;
mod worth;

pub use bulk::Bulk;
pub use error::EngineError;
pub use request::{Ended, Mode, Once, Responder, RunRequest, Selection, UndoRequest};
pub use resume::{ResumeRequest, said_before};
pub use run::{Engine, Tool};
pub(crate) use seal::{SealDeps, seal};
pub use seal::{SealRequest, Sealed, last_responder};
pub use watch::Watch;
pub use witness::{Authorities, Missing, WitnessKind, Worm};
pub(crate) use witness::{authorities, outside};
pub use worth::vault_worth;

/// Counts the subscriptions that the caller can see; a first call that proves that the cloud answers.
///
/// # Errors
/// Why it does not, in one sentence.
pub async fn probe(reader: &crate::azure::Reader) -> Result<usize, String> {
    resolve::count_subscriptions(reader)
        .await
        .map_err(|failure| failure.message)
}
