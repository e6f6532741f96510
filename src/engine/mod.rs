//! Where runbook, cloud, journal and evidence meet: plan, run, check, undo.
//!
//! Prints nothing and prompts nobody: it speaks in [`event`]s and asks through [`ask::Ask`].

pub mod ask;
pub mod event;
pub mod plan;
pub mod profile;
