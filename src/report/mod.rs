//! What a case folder says, without the cloud: from journal and evidence alone.
//!
//! Start reading at [`model`], the JSON of a run; [`run`] makes it from a journal, [`cases`] finds the runs.
//! [`incident`] is what people said of the case, [`status`] how all of it stands, [`timeline`] what happened in
//! which [`order`], told in [`words`].

pub mod cases;
pub mod incident;
pub mod model;
pub mod order;
pub mod run;
pub mod status;
pub mod timeline;
pub mod words;
