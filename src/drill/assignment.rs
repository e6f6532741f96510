//! Who shall see to a finding, and until when: lines in `$AZIR_HOME/drills/findings.jsonl`, of which the last one of a
//! finding holds.
//!
//! ```json
//! {"time":"2026-11-02T09:00:00Z","finding":"F-vm-compromise-interfaces_cut","owner":"alice@contoso.com","due":"2026-12-01"}
//! ```

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::RecordError;

/// One line.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// When it was assigned.
    #[schemars(with = "String")]
    pub time: DateTime<Utc>,
    /// The finding's id.
    pub finding: String,
    /// Who shall see to it.
    pub owner: String,
    /// The last day on which it may be open.
    #[schemars(with = "String")]
    pub due: NaiveDate,
}

/// Returns the file.
pub fn file(home: &Path) -> PathBuf {
    home.join("drills").join("findings.jsonl")
}

/// Returns the assignments in the order of their lines, and what is wrong with the others. A last line that a crash
/// cut short counts as not written.
pub fn read(home: &Path) -> (Vec<Assignment>, Vec<(PathBuf, String)>) {
    let path = file(home);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Default::default(),
        Err(source) => {
            let error = RecordError::File {
                path: path.clone(),
                source,
            };
            return (Vec::new(), vec![(path, error.to_string())]);
        }
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let whole = text.split_inclusive('\n').enumerate();
    for (number, line) in whole.filter(|(_, line)| line.ends_with('\n')) {
        match serde_json::from_str(line) {
            Ok(assignment) => good.push(assignment),
            Err(error) => {
                let error = RecordError::Line {
                    path: path.clone(),
                    line: number + 1,
                    message: error.to_string(),
                };
                bad.push((path.clone(), error.to_string()));
            }
        }
    }
    (good, bad)
}

/// Adds an assignment; it is on disk when this returns.
///
/// # Errors
/// A file that does not take it, or that another process is writing.
pub fn add(home: &Path, assignment: &Assignment) -> Result<(), RecordError> {
    let path = file(home);
    let file = |source| RecordError::File {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(home.join("drills")).map_err(file)?;
    let mut open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(file)?;
    match open.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(RecordError::Busy { path: path.clone() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(file(source)),
    }
    let mut line = serde_json::to_vec(assignment).map_err(|error| file(error.into()))?;
    line.push(b'\n');
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).map_err(file)?;
    // What a crash cut short was never written; a line behind it would be damaged by it.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |at| at as u64 + 1);
    open.set_len(whole)
        .and_then(|()| open.seek(SeekFrom::Start(whole)))
        .and_then(|_| open.write_all(&line))
        .and_then(|()| open.sync_data())
        .map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_head_paragraph_is_one_and_survives_what_a_crash_cut_short() {
        let example = include_str!("assignment.rs")
            .lines()
            .find_map(|line| line.strip_prefix("//! {"))
            .map(|rest| format!("{{{rest}"))
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path()), (Vec::new(), Vec::new()));
        std::fs::create_dir(home.path().join("drills")).unwrap();
        std::fs::write(file(home.path()), format!("{example}\n{{\"time\":\"20")).unwrap();
        let (good, bad) = read(home.path());
        assert_eq!((good.len(), bad.len()), (1, 0));
        add(home.path(), &good[0]).unwrap();
        let text = std::fs::read_to_string(file(home.path())).unwrap();
        assert_eq!(text, format!("{example}\n{example}\n"));
    }
}
