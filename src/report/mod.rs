//! What a case folder says, without the cloud: from journal and evidence alone.
//!
//! Start reading at [`model`], the JSON of a run; [`run`] makes it from a journal, [`cases`] finds the runs.
//! [`export`] tells a run to other tools and to people far from azir, [`by_hand`] how to check it without azir.
//! [`incident`] is what people said of the case, [`status`] how all of it stands, [`timeline`] what happened in
//! which [`order`], told in [`words`]; [`again`] is what is left of a run to do.

pub mod again;
pub mod by_hand;
pub mod cases;
pub mod export;
mod findings;
mod fold;
pub mod incident;
pub mod model;
pub mod order;
pub mod run;
pub mod status;
pub mod teller;
pub mod timeline;
pub mod words;
