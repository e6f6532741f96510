//! Reading a log for what it says; whether it is true is the verifier's question.
//!
//! Line by line, so that a million entries need no more memory than one. What follows the last whole line of a
//! segment is left out: a crash cut it off.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::entry::chain_of;
use super::format;
pub use super::lock::{holder, is_held};
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
    /// Its lines in order.
    pub lines: Vec<Line>,
    /// Where it ends.
    pub head: Head,
}

/// Reads a run folder's log whole.
///
/// # Errors
/// No segment, or one that cannot be read.
pub fn read(run_dir: &Path) -> Result<Log, JournalError> {
    let mut lines = Vec::new();
    let head = walk(run_dir, |line| lines.push(line))?;
    Ok(Log { lines, head })
}

/// Calls `visit` with each line, and returns where the log ends; no line is kept.
///
/// # Errors
/// As [`read`].
pub fn walk(run_dir: &Path, mut visit: impl FnMut(Line)) -> Result<Head, JournalError> {
    let mut reader = Lines::open(run_dir)?;
    while let Some(line) = reader.next_line()? {
        visit(line);
    }
    if reader.head.entries == 0 {
        return Err(unreadable(run_dir, "its first line is missing".to_owned()));
    }
    Ok(reader.head)
}

/// Returns where a log ends.
///
/// # Errors
/// As [`read`].
pub fn head(run_dir: &Path) -> Result<Head, JournalError> {
    let mut reader = Lines::open(run_dir)?;
    while reader.next_text()?.is_some() {}
    Ok(reader.head)
}

/// Calls `visit` with each line, its bytes as written without their LF, and its chain value.
///
/// # Errors
/// As [`read`].
pub fn each(run_dir: &Path, mut visit: impl FnMut(Line, &str, Digest)) -> Result<(), JournalError> {
    let mut reader = Lines::open(run_dir)?;
    loop {
        let (line, text) = match reader.next_text()? {
            Some(text) => (parse(text), text.to_owned()),
            None => return Ok(()),
        };
        let line = line.ok_or_else(|| reader.foreign())?;
        visit(line, &text, reader.head.chain);
    }
}

/// The lines of a run, one after the other.
#[derive(Debug)]
pub struct Lines {
    run_dir: PathBuf,
    segment: u64,
    file: BufReader<File>,
    bytes: Vec<u8>,
    head: Head,
}

impl Lines {
    /// Opens a run's log.
    ///
    /// # Errors
    /// No segment, or one that cannot be read.
    pub fn open(run_dir: &Path) -> Result<Self, JournalError> {
        let file = open_regular(&run_dir.join(format::segment_name(1)))
            .map_err(|error| unreadable(run_dir, error.to_string()))?;
        let head = Head {
            entries: 0,
            chain: Digest([0; 32]),
        };
        Ok(Self {
            run_dir: run_dir.to_path_buf(),
            segment: 1,
            file: BufReader::new(file),
            bytes: Vec::new(),
            head,
        })
    }

    /// Returns where the lines read so far end.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Returns the next line as it was written, without its LF.
    ///
    /// # Errors
    /// A segment that cannot be read.
    pub fn next_text(&mut self) -> Result<Option<&str>, JournalError> {
        loop {
            self.bytes.clear();
            let read = self.file.read_until(b'\n', &mut self.bytes);
            read.map_err(|error| unreadable(&self.run_dir, error.to_string()))?;
            if let Some(chain) =
                chain_of(&self.bytes).filter(|_| std::str::from_utf8(&self.bytes).is_ok())
            {
                self.head = Head {
                    entries: self.head.entries + 1,
                    chain,
                };
                break;
            }
            self.segment += 1;
            match open_regular(&self.run_dir.join(format::segment_name(self.segment))) {
                Ok(file) => self.file = BufReader::new(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unreadable(&self.run_dir, error.to_string())),
            }
        }
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        Ok(std::str::from_utf8(line).ok())
    }

    /// Returns the next line.
    ///
    /// # Errors
    /// A segment that cannot be read, or a line that is none although its hash is right.
    pub fn next_line(&mut self) -> Result<Option<Line>, JournalError> {
        let Some(text) = self.next_text()? else {
            return Ok(None);
        };
        match parse(text) {
            Some(line) => Ok(Some(line)),
            None => Err(self.foreign()),
        }
    }

    fn foreign(&self) -> JournalError {
        unreadable(
            &self.run_dir,
            format!(
                "line {} has a right hash and is not of this format",
                self.head.entries
            ),
        )
    }
}

/// Opens a file of a record; what is no regular file, as a pipe that would be waited for, is none of a record.
///
/// # Errors
/// What the system says, or that it is no regular file.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    if std::fs::symlink_metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(std::io::Error::other("it is no regular file"))
    }
}

/// Reads a file of a record whole, as [`open_regular`] opens it.
///
/// # Errors
/// As [`open_regular`].
pub fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> std::io::Result<String> {
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

fn unreadable(run_dir: &Path, message: String) -> JournalError {
    JournalError::Unreadable {
        path: run_dir.to_path_buf(),
        message,
    }
}

fn parse(text: &str) -> Option<Line> {
    let Value::Object(mut members) = serde_json::from_str(text).ok()? else {
        return None;
    };
    let mut take = |name: &str| members.remove(name);
    let word = |value: Value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    Some(Line {
        seq: take("seq")?.as_u64()?,
        time: word(take("time")?)?,
        mono_us: take("mono_us")?.as_u64()?,
        actor: take("actor")?,
        session: word(take("session")?)?,
        kind: word(take("type")?)?,
        data: match take("data")? {
            Value::Object(data) => data,
            _ => return None,
        },
    })
}

/// Returns the first line of each segment: how each session began. Reads no other line.
///
/// # Errors
/// No segment, or one whose first line is none.
pub fn openings(run_dir: &Path) -> Result<Vec<Line>, JournalError> {
    let mut openings = Vec::new();
    for number in 1.. {
        let file = match open_regular(&run_dir.join(format::segment_name(number))) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && number > 1 => break,
            Err(error) => return Err(unreadable(run_dir, error.to_string())),
        };
        let mut bytes = Vec::new();
        BufReader::new(file.take(format::MAX_LINE as u64))
            .read_until(b'\n', &mut bytes)
            .map_err(|error| unreadable(run_dir, error.to_string()))?;
        let line = chain_of(&bytes).and_then(|_| parse(std::str::from_utf8(&bytes).ok()?));
        openings.push(
            line.ok_or_else(|| unreadable(run_dir, format!("segment {number} has no first line")))?,
        );
    }
    Ok(openings)
}

/// Returns number and size of each checkpoint, in order; whether they are true is the verifier's question.
///
/// # Errors
/// A checkpoint that cannot be read.
pub fn checkpoints(run_dir: &Path) -> Result<Vec<(u64, u64)>, JournalError> {
    let mut found = Vec::new();
    for number in 1.. {
        let path = run_dir
            .join("cp")
            .join(format::checkpoint_name(number, "cp"));
        let text = match read_regular(&path).and_then(text_of) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(unreadable(run_dir, error.to_string())),
        };
        let size = text.split('\n').nth(1).and_then(|size| size.parse().ok());
        let size =
            size.ok_or_else(|| unreadable(run_dir, format!("checkpoint {number} has no size")))?;
        found.push((number, size));
    }
    Ok(found)
}

/// A checkpoint that lacks a signature beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsigned {
    /// Its number.
    pub number: u64,
    /// Its bytes: what is to be signed.
    pub text: Vec<u8>,
}

/// Returns the checkpoints of a run that lack what `ending` names (`human.sig`, `second.sig`, `tsr`, ...), in order.
///
/// # Errors
/// A checkpoint that cannot be read.
pub fn unsigned(run_dir: &Path, ending: &str) -> Result<Vec<Unsigned>, JournalError> {
    let folder = run_dir.join("cp");
    let mut unsigned = Vec::new();
    for number in 1.. {
        let text = match read_regular(&folder.join(format::checkpoint_name(number, "cp"))) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(unreadable(run_dir, error.to_string())),
        };
        if !folder
            .join(format::checkpoint_name(number, ending))
            .exists()
        {
            unsigned.push(Unsigned { number, text });
        }
    }
    Ok(unsigned)
}

/// The last checkpoint of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastCheckpoint {
    /// Its number.
    pub number: u64,
    /// How many entries it covers.
    pub size: u64,
    /// When it was made, by its own words.
    pub time: DateTime<Utc>,
    /// Its bytes: what is to be signed.
    pub text: Vec<u8>,
}

/// Returns when a checkpoint was made, by its own words.
pub fn checkpoint_time(text: &[u8]) -> Option<DateTime<Utc>> {
    let last = std::str::from_utf8(text).ok()?.lines().last()?;
    let time = DateTime::parse_from_rfc3339(last.strip_prefix("time ")?).ok()?;
    Some(time.with_timezone(&Utc))
}

/// Returns the last checkpoint of a run, if it has one.
///
/// # Errors
/// A checkpoint that cannot be read.
pub fn last_checkpoint(run_dir: &Path) -> Result<Option<LastCheckpoint>, JournalError> {
    let mut last = None;
    for number in 1.. {
        let path = run_dir
            .join("cp")
            .join(format::checkpoint_name(number, "cp"));
        if !path.exists() {
            break;
        }
        last = Some((number, path));
    }
    let Some((number, path)) = last else {
        return Ok(None);
    };
    let text = read_regular(&path).map_err(|error| unreadable(run_dir, error.to_string()))?;
    let size = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.split('\n').nth(1)?.parse().ok());
    let (size, time) = size
        .zip(checkpoint_time(&text))
        .ok_or_else(|| unreadable(run_dir, format!("{} is no checkpoint", path.display())))?;
    Ok(Some(LastCheckpoint {
        number,
        size,
        time,
        text,
    }))
}
