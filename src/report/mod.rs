//! What a case folder says, without the cloud: from journal and evidence alone.
//!
//! Start reading at [`model`], the JSON of a run; [`run`] makes it from a journal, [`cases`] finds the runs.
//! [`export`] tells a run to other tools and to people far from azir, [`by_hand`] how to check it without azir.

pub mod by_hand;
pub mod cases;
pub mod export;
pub mod model;
pub mod run;
pub mod teller;
pub mod words;
