//! The chain-of-custody record: lines, chain, tree, checkpoints, signatures, and their verifier.
//!
//! [`spec`] is normative. [`writer`] keeps the record, [`reader`] reads it, [`status`] says what is unknown,
//! [`verify`] proves it and shares nothing with the writer but the format's constants. Knows no cloud and no runbook.

pub mod beside;
mod checkpoint;
pub mod disk;
pub mod entry;
pub mod export;
pub mod format;
mod intents;
mod lock;
mod log;
pub mod prove;
pub mod reader;
pub mod redact;
mod resume;
mod sign;
pub mod status;
mod tree;
pub mod verify;
pub mod writer;

#[doc = include_str!("FORMAT.md")]
pub mod spec {}

pub use entry::{Actor, BadEntry, Entry};
pub use reader::{Line, Log, head, read};
pub use writer::{Head, JournalError, RunStart, SessionOpen, Writer, WriterDeps};
