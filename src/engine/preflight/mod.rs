//! The preflight: what of a plan would fail, found out by reading alone.
//!
//! A plan says what it means to send ([`meant`]); each look asks one thing of it and answers PASS, FAIL or UNKNOWN:
//! the caller's rights (`rights`), deny assignments (`denials`), locks (`locks`), policies (`policy`), permissions on
//! Graph (`graph`), the evidence vault (`stored`), and the session itself (`session`). Start reading at `look`, which
//! puts them together; `early` is the little of it that a confirmed run has time for. What cannot be read is UNKNOWN
//! and stops nothing.

mod asking;
mod denials;
mod early;
mod effect;
mod finding;
mod graph;
mod listed;
mod locks;
mod look;
mod meant;
mod place;
mod policy;
mod rights;
mod session;
mod stored;
mod vaults;

pub(super) use effect::NOTHING;
pub(crate) use meant::Meant;
