//! What a case folder says, without the cloud: from journal and evidence alone.
//!
//! Start reading at [`model`], the JSON of a run.

pub mod model;
