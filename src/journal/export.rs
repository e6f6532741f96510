//! The record as it is: every line, as it was written. Other forms are told by the report, from this one.

use std::io::Write;
use std::path::Path;

use super::reader;
use super::writer::JournalError;

/// Why an export was not made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What the export is written to refused it.
    #[error("write the export")]
    Write(#[source] std::io::Error),
}

/// Writes every entry of a run, byte for byte as its segments have it, one a line; returns how many.
///
/// Torn tails are left out: they are evidence of a crash, and no entries.
///
/// # Errors
/// A journal that cannot be read; an output that cannot be written.
pub fn jsonl(run_dir: &Path, to: &mut impl Write) -> Result<u64, ExportError> {
    let mut lines = reader::Lines::open(run_dir)?;
    let mut count = 0;
    while let Some(text) = lines.next_text()? {
        to.write_all(text.as_bytes())
            .and_then(|()| to.write_all(b"\n"))
            .map_err(ExportError::Write)?;
        count += 1;
    }
    to.flush().map_err(ExportError::Write)?;
    Ok(count)
}
