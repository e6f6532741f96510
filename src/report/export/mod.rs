//! A run told to other tools and to people far from azir: one file a format.
//!
//! Every export is made from the run folder alone and never changes it. A drill says DRILL and the lab says LAB on
//! every one of them ([`header`]). [`timesketch`] for timelines, [`case`] for evidence systems, [`html`] for people
//! with its `picture`, [`bag`] for the folder itself, which `tar` packs. Lines as they were written need no
//! export of their own: [`jsonl`](crate::journal::export::jsonl).

pub mod bag;
pub mod case;
mod error;
pub mod header;
pub mod html;
pub(crate) mod markup;
mod picture;
mod tables;
mod tar;
pub mod timesketch;

pub use error::ExportError;
