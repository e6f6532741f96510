//! Runbooks: YAML text in, typed runbook out.
//!
//! Pure: knows the format, its types, its one expression language and its lint rules; knows no
//! cloud, no journal and no file system. Start reading at [`model`]; [`parse`] makes it from text,
//! [`expr`] evaluates its templates, [`catalogue`] is the shelf, [`lint`] says whether it is sound.

pub(crate) mod actions;
pub(crate) mod built_in;
pub mod catalogue;
pub mod docs;
pub mod expr;
mod fields;
pub(crate) mod graph;
mod keys;
pub mod lint;
pub mod model;
pub mod params;
pub mod parse;
pub mod place;
pub mod problem;
pub mod role;
pub mod schema;
mod tree;
pub mod walk;
