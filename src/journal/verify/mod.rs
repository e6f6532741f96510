//! The verifier: whether a run folder is what it claims to be. Written from the format alone.
//!
//! Shares nothing with the writer but the format's constants: its own scanner, its own tree, its own reading of
//! signatures. Reads each file once, in pieces, so that memory does not grow with the log, and reports every
//! finding. Knows no cloud, no runbook, and takes no word of the record for granted. Start at [`verify`].

mod answer;
mod checkpoint;
mod der;
mod evidence;
mod files;
mod finding;
mod line;
mod meaning;
#[doc(hidden)]
pub mod parsers;
mod pieces;
mod plain;
mod proof;
mod root;
mod run_start;
mod scan;
mod segments;
mod signatures;
mod signers;
mod sshsig;
mod stamp;
mod verdict;

pub use answer::{BadStamp, Granted, can_read_roots, has_chain, stamp_of};
pub use finding::{Finding, Level};
pub use proof::{PROOF_LIMIT, ProofReport, check_proof};
pub use signatures::{Stamp, Vouching};
pub use verdict::{Outside, Report, Since, verify};

use super::format;

/// Why nothing can be said: exit code 4.
#[derive(Debug)]
struct CannotRead(String);

impl CannotRead {
    /// Says that the system would not let a file be read.
    fn file(name: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self(format!("{name}: {error}"))
    }
}
