//! Reading a log for what it says; whether it is true is the verifier's question.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use super::format;
use super::writer::{Head, JournalError};
use crate::digest::Digest;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// When it was formed.
    pub time: String,
    /// Microseconds since its session began.
    pub mono_us: u64,
    /// Who speaks: one member, `human`, `azir` or `service`.
    pub actor: Value,
    /// Its session.
    pub session: String,
    /// Its type.
    pub kind: String,
    /// What it says.
    pub data: Map<String, Value>,
}

/// A log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its lines in order; what follows the last whole line of a segment is left out.
    pub lines: Vec<Line>,
    /// Where it ends.
    pub head: Head,
}

/// Reads a run folder's log.
///
/// # Errors
/// No segment, or one that cannot be read.
pub fn read(run_dir: &Path) -> Result<Log, JournalError> {
    let mut lines = Vec::new();
    let mut head = Head {
        entries: 0,
        chain: Digest([0; 32]),
    };
    each(run_dir, |line, _, hash| {
        head = Head {
            entries: head.entries + 1,
            chain: hash,
        };
        lines.push(line);
    })?;
    if lines.is_empty() {
        return Err(JournalError::Unreadable {
            path: run_dir.to_path_buf(),
            message: "its first line is missing".to_owned(),
        });
    }
    Ok(Log { lines, head })
}

/// Returns where a log ends.
///
/// # Errors
/// As [`read`].
pub fn head(run_dir: &Path) -> Result<Head, JournalError> {
    let mut head = Head {
        entries: 0,
        chain: Digest([0; 32]),
    };
    each(run_dir, |_, _, hash| {
        head = Head {
            entries: head.entries + 1,
            chain: hash,
        }
    })?;
    Ok(head)
}

/// Calls `visit` with each line, its bytes as written, and its hash.
///
/// # Errors
/// As [`read`].
pub fn each(run_dir: &Path, mut visit: impl FnMut(Line, &str, Digest)) -> Result<(), JournalError> {
    let unreadable = |message: String| JournalError::Unreadable {
        path: run_dir.to_path_buf(),
        message,
    };
    let mut number = 1;
    loop {
        let path = run_dir.join(format::segment_name(number));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(_) if number > 1 => return Ok(()),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| unreadable(error.to_string()))?;
            let Some((line, text, hash)) = parse(&bytes).filter(|_| read > 0) else {
                break;
            };
            visit(line, text, hash);
        }
        number += 1;
    }
}

/// Reads one line; anything that is not one ends the segment.
fn parse(bytes: &[u8]) -> Option<(Line, &str, Digest)> {
    let text = std::str::from_utf8(bytes.strip_suffix(b"\n")?).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let hash = value.get("_hash")?.as_str()?.parse().ok()?;
    let line = Line {
        seq: value.get("seq")?.as_u64()?,
        time: word("time")?,
        mono_us: value.get("mono_us")?.as_u64()?,
        actor: value.get("actor")?.clone(),
        session: word("session")?,
        kind: word("type")?,
        data: value.get("data")?.as_object()?.clone(),
    };
    Some((line, text, hash))
}

/// Returns who holds a run's lock, as its file says.
pub fn holder(run_dir: &Path) -> String {
    std::fs::read_to_string(run_dir.join("lock"))
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "another process".to_owned())
}

/// Returns whether a writer holds the run.
pub fn is_held(run_dir: &Path) -> bool {
    let Ok(file) = File::open(run_dir.join("lock")) else {
        return false;
    };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}
