//! What the writer must know of a run before it opens another session in it.
//!
//! A log that was only cut off is continued; one that holds what neither a crash nor a writer leaves is not.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::entry::chain_of;
use super::format::{self, FRAME_START, ZERO_CHAIN};
use super::intents::Intents;
use super::reader::open_regular;
use super::tree::Tree;
use super::writer::{JournalError, disk};
use crate::digest::Digest;

/// A run up to the end of its last segment.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) tree: Tree,
    pub(crate) entries: u64,
    pub(crate) chain: String,
    pub(crate) intents: Intents,
    /// Name, length and digest of each segment, torn tails included.
    pub(crate) files: Vec<(String, u64, Digest)>,
    pub(crate) origin: String,
    /// Number and size of the last checkpoint; zeros where there is none.
    pub(crate) checkpoint: (u64, u64),
    previous: Value,
}

impl Past {
    /// Returns what a first segment follows: nothing.
    pub(crate) fn none(origin: String) -> Self {
        Self {
            chain: ZERO_CHAIN.to_owned(),
            origin,
            ..Self::default()
        }
    }

    /// Reads a run.
    pub(crate) fn read(run_dir: &Path) -> Result<Self, JournalError> {
        let mut past = Self::none(String::new());
        for number in 1.. {
            let path = run_dir.join(format::segment_name(number));
            match open_regular(&path) {
                Ok(file) => past.segment(number, BufReader::new(file), run_dir)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && number > 1 => break,
                Err(error) => return Err(disk("open", &path)(error)),
            }
        }
        if past.intents.sealed() {
            return Err(JournalError::Sealed);
        }
        past.checkpoint = last_checkpoint(run_dir)?;
        if past.checkpoint.1 > past.entries {
            return Err(corrupt(
                run_dir,
                "its last checkpoint covers more than the log has",
            ));
        }
        Ok(past)
    }

    /// Returns what `session.open` says about the end of the segment before it.
    pub(crate) fn previous(&self) -> Value {
        self.previous.clone()
    }

    fn segment(
        &mut self,
        number: u64,
        mut file: impl BufRead,
        run_dir: &Path,
    ) -> Result<(), JournalError> {
        let name = format::segment_name(number);
        let path = run_dir.join(&name);
        let mut whole = Sha256::new();
        let mut tail = Sha256::new();
        let (mut valid, mut torn, mut lines) = (0_u64, 0_u64, 0_u64);
        let mut line = Vec::new();
        while file
            .read_until(b'\n', &mut line)
            .map_err(disk("read", &path))?
            > 0
        {
            whole.update(&line);
            match chain_of(&line).filter(|_| torn == 0) {
                Some(hash) => {
                    self.line(&line, hash, run_dir)?;
                    valid += line.len() as u64;
                    lines += 1;
                }
                None if holds_frame(&line) => {
                    return Err(corrupt(run_dir, "whole lines stand behind a broken place"));
                }
                None => {
                    tail.update(&line);
                    torn += line.len() as u64;
                }
            }
            line.clear();
        }
        if lines == 0 {
            return Err(corrupt(
                run_dir,
                "a segment does not begin with a valid line",
            ));
        }
        self.previous = json!({
            "file": name,
            "valid_bytes": valid,
            "tail_bytes": torn,
            "tail_sha256": Digest(tail.finalize().into()).to_string(),
            "verdict": if torn == 0 { "clean" } else { "torn" },
        });
        self.files
            .push((name, valid + torn, Digest(whole.finalize().into())));
        Ok(())
    }

    fn line(&mut self, line: &[u8], hash: Digest, run_dir: &Path) -> Result<(), JournalError> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|_| corrupt(run_dir, "a line with a right hash is no JSON"))?;
        let follows = value["prev"].as_str() == Some(&self.chain)
            && value["seq"].as_u64() == Some(self.entries);
        if !follows {
            return Err(corrupt(run_dir, "a line does not follow the one before it"));
        }
        let empty = Map::new();
        let data = value["data"].as_object().unwrap_or(&empty);
        if self.entries == 0 {
            self.origin = data
                .get("origin")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
        }
        self.intents.take(
            self.entries,
            value["type"].as_str().unwrap_or_default(),
            data,
        );
        self.chain = hash.to_string();
        self.tree.push(hash);
        self.entries += 1;
        Ok(())
    }
}

fn corrupt(run_dir: &Path, why: &'static str) -> JournalError {
    JournalError::Corrupt {
        path: run_dir.to_path_buf(),
        why,
    }
}

/// Returns whether a frame with a right hash begins anywhere in a line.
fn holds_frame(line: &[u8]) -> bool {
    let starts = line
        .windows(FRAME_START.len())
        .enumerate()
        .filter(|(_, window)| *window == FRAME_START);
    starts
        .into_iter()
        .any(|(at, _)| chain_of(&line[at..]).is_some())
}

/// Returns number and size of the last checkpoint.
fn last_checkpoint(run_dir: &Path) -> Result<(u64, u64), JournalError> {
    let mut last = (0, 0);
    for number in 1.. {
        let path = run_dir
            .join("cp")
            .join(format::checkpoint_name(number, "cp"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(disk("read", &path)(error)),
        };
        let size = text.split('\n').nth(1).and_then(|size| size.parse().ok());
        last = (
            number,
            size.ok_or_else(|| corrupt(run_dir, "a checkpoint cannot be read"))?,
        );
    }
    Ok(last)
}
