//! Runbooks: YAML text in, typed runbook out.
//!
//! Pure: knows the format, its types, its one expression language and its lint rules; knows no
//! cloud, no journal and no file system. Start reading at [`model`].

pub mod model;
pub mod place;
