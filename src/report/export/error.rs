//! Why an export was not made.

use std::path::{Path, PathBuf};

use crate::journal::JournalError;

/// Why an export was not made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file of the run folder cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What the export is written to refused it.
    #[error("write the export")]
    Write(#[source] std::io::Error),
}

impl ExportError {
    /// Says that the system would not let a file be read.
    pub(super) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }
}
