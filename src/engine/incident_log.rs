//! One session in an incident log: lines by a person, a file into evidence, and the end with everybody who vouches.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::desk::failed;
use super::error::EngineError;
use super::failure::Failure;
use super::recorder::{Recorder, Seal, object};
use super::siblings;
use crate::journal::format::checkpoint_name;
use crate::journal::reader::last_checkpoint;

/// Pieces in which a file is copied into evidence.
const PIECE: usize = 1 << 20;

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The incident log's id.
    pub run: String,
    /// Its folder.
    pub run_dir: PathBuf,
    /// The line.
    pub seq: u64,
    /// What looked like a secret and was replaced.
    pub redacted: u32,
    /// Whether a person's signature lies beside the last checkpoint.
    pub signed: bool,
    /// Who did not vouch, and why.
    pub missing: Vec<String>,
}

/// One session in an incident log.
pub(super) struct Session {
    pub(super) recorder: Recorder,
    pub(super) run: String,
    pub(super) upn: String,
    pub(super) tell: fn(&str),
}

impl Session {
    /// Writes a line by the session's responder; what looks like a secret is replaced before.
    pub(super) async fn say(
        &self,
        kind: &'static str,
        data: Value,
    ) -> Result<Written, EngineError> {
        let mut data = data;
        let redacted = self.recorder.redact(&mut data);
        let mut members = Map::new();
        for (name, value) in object(data) {
            members.insert(name, self.recorder.inline_or_cite(&value).map_err(record)?);
        }
        let seq = self
            .recorder
            .person(&self.upn, kind, members)
            .await
            .map_err(record)?;
        Ok(Written {
            run: self.run.clone(),
            run_dir: self.recorder.run_dir(),
            seq,
            redacted,
            signed: false,
            missing: Vec::new(),
        })
    }

    pub(super) fn keep(
        &self,
        mut file: std::fs::File,
        path: &Path,
    ) -> Result<crate::evidence::Kept, EngineError> {
        let folder = self.recorder.run_dir();
        let mut object = self
            .recorder
            .store
            .begin()
            .map_err(|error| failed(&error, &folder))?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => object
                    .write(&piece[..read])
                    .map_err(|error| failed(&error, &folder))?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(EngineError::Usage {
                        message: format!("cannot read {} to its end: {error}", path.display()),
                        hint: "name a file that can be read".to_owned(),
                    });
                }
            }
        }
        object.finish().map_err(|error| failed(&error, &folder))
    }

    pub(super) async fn close(self, written: Written) -> Result<Written, EngineError> {
        let closed = self.recorder.end(Seal::No, &self.tell).await?;
        Ok(vouched(written, &closed.missing))
    }

    pub(super) async fn seal(self, written: Written) -> Result<Written, EngineError> {
        let seen = siblings::seen(&self.recorder.run_dir(), &self.recorder.store)?;
        let said = self.recorder.standing().seal(seen, false);
        let closed = self.recorder.end(Seal::Yes(said), &self.tell).await?;
        Ok(vouched(written, &closed.missing))
    }

    pub(super) async fn close_quietly(self) {
        // What failed before is what the person must hear.
        let _ = self.recorder.end(Seal::No, &self.tell).await;
    }
}

fn vouched(written: Written, missing: &[super::witness::Missing]) -> Written {
    let missing = missing
        .iter()
        .map(|one| format!("no {} signature, because {}", one.kind.word(), one.why))
        .collect();
    let last = last_checkpoint(&written.run_dir).ok().flatten();
    let signed = last.is_some_and(|last| {
        let name = checkpoint_name(last.number, "human.sig");
        written.run_dir.join("cp").join(name).exists()
    });
    Written {
        signed,
        missing,
        ..written
    }
}

fn record(failure: Failure) -> EngineError {
    EngineError::Record {
        message: failure.message,
        hint: failure.hint,
    }
}
