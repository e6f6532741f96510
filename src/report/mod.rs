//! What a case folder says, without the cloud: from journal and evidence alone.
//!
//! Start reading at [`model`], the JSON of a run; [`run`] makes it from a journal, [`cases`] finds the runs.

pub mod cases;
pub mod model;
pub mod run;
