//! What an earlier session of a run left in its record, for whoever goes on with it or puts it back.
//!
//! Knows the journal and the evidence of one run; knows nothing of how it stands in the cloud now, which is asked by
//! those who use this. Start at [`record`], the run as a whole; `fold` makes its lines into steps and writes,
//! `progress` says of a target how far it has come, and `names` gives its templates back what they saw.

mod fold;
mod names;
mod progress;
mod record;

pub(crate) use fold::{PastStep, PastWrite, Sent};
pub(crate) use names::{item_names, restore};
pub(crate) use progress::{Parked, Progress, Written, of_target, written};
pub(crate) use record::{Past, own, read};
