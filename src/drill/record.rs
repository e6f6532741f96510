//! The record of a drill: a file of JSON lines beside its case, each written before what it announces is done; how the
//! drill stands is a fold over them, and stored nowhere else.
//!
//! `$AZIR_HOME/drills/<id>/{drill.jsonl, scenario.yaml, before.json, cases/<id>/...}`. The runs of a drill have journals as every run
//! has; this file says what was planted, when the clock started, what was judged and what was cleared away.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::standing::after;
pub use super::standing::{Built, Standing, State};
use super::verdict::{By, Place, ScenarioRef, Verdict};

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// When.
    pub time: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. In JSON the name is the member `event`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The drill is begun: nothing was sent yet.
    Begun(Box<Begun>),
    /// Something is about to be made.
    Making {
        /// The build's id.
        build: String,
        /// The path or address it is sent to.
        path: String,
    },
    /// It was made.
    Made {
        /// The build's id.
        build: String,
        /// What answers to it: a resource id, or an object id of the directory.
        id: String,
        /// The call that takes it away, where deleting the resource group does not.
        remove: Option<Value>,
    },
    /// What is there now was found: the tenant, and what templates see from now on.
    Named {
        /// The tenant's id.
        tenant: String,
        /// The names.
        names: Value,
    },
    /// The finding was told: the clock starts.
    Emitted,
    /// A condition was seen to be true while the drill ran.
    Seen {
        /// Its id.
        condition: String,
    },
    /// The judge has looked.
    Judged(Box<Verdict>),
    /// Something is about to be taken away.
    Clearing {
        /// What.
        id: String,
    },
    /// It is gone.
    Cleared {
        /// What.
        id: String,
    },
    /// Something stays.
    Left {
        /// What.
        id: String,
        /// Why.
        why: String,
    },
    /// Nothing is left to do.
    Closed,
    /// The drill was given up: it does not count.
    Aborted {
        /// Why.
        why: String,
    },
}

/// What a drill is begun with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Begun {
    /// Its id, which is that of its case.
    pub drill: String,
    /// Which scenario.
    pub scenario: ScenarioRef,
    /// Where.
    pub place: Place,
    /// The profile.
    pub profile: String,
    /// The cloud's name.
    pub cloud: String,
    /// The tenant's id.
    pub tenant: String,
    /// The subscriptions that may be written to, as they were in the profile; in the lab those of its tenant.
    pub subscriptions: Vec<String>,
    /// Who answers the attack.
    pub by: By,
    /// Who takes part.
    pub participants: Vec<String>,
    /// Who watches.
    pub observer: Option<String>,
    /// Whether what was planted is hidden while it runs.
    pub blind: bool,
    /// What templates see.
    pub names: Value,
    /// azir's version.
    pub azir: String,
}

/// Why a drill's record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is none, or says what cannot be.
    #[error("{path}, line {line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Somebody else is at it.
    #[error("{path} is in use by another azir")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A line that was to be added cannot follow on those that are there; it was not written.
    #[error("drill {drill}: {message}; nothing was written")]
    Illegal {
        /// The drill.
        drill: String,
        /// What cannot follow.
        message: String,
    },
}

/// A drill's record, open for writing by this process alone.
pub struct Record {
    path: PathBuf,
    file: std::fs::File,
    /// How the drill stands by all that is written; nothing yet before the first line.
    standing: Option<Standing>,
}

impl Record {
    /// Begins the record of a new drill.
    ///
    /// # Errors
    /// A folder that cannot be made or is there already.
    pub fn begin(
        folder: &Path,
        scenario: &str,
        time: DateTime<Utc>,
        begun: Begun,
    ) -> Result<Self, RecordError> {
        let file_error = |path: &Path| {
            let path = path.to_path_buf();
            move |source| RecordError::File { path, source }
        };
        let parent = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(file_error(parent))?;
        std::fs::create_dir(folder).map_err(file_error(folder))?;
        let text = folder.join("scenario.yaml");
        std::fs::write(&text, scenario).map_err(file_error(&text))?;
        let path = folder.join("drill.jsonl");
        let made = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(file_error(&path))?;
        let mut record = Self {
            path,
            file: made,
            standing: None,
        };
        record.lock()?;
        record.add(time, What::Begun(Box::new(begun)))?;
        Ok(record)
    }

    /// Opens the record of a drill to go on with it.
    ///
    /// # Errors
    /// No such file; another process that has it open; a file that is no record.
    pub fn open(folder: &Path) -> Result<(Self, Standing), RecordError> {
        let path = folder.join("drill.jsonl");
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|source| RecordError::File {
                path: path.clone(),
                source,
            })?;
        let mut record = Self {
            path,
            file,
            standing: None,
        };
        record.lock()?;
        let standing = read(folder)?;
        record.take_off_torn()?;
        record.standing = Some(standing.clone());
        Ok((record, standing))
    }

    fn lock(&self) -> Result<(), RecordError> {
        match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(std::fs::TryLockError::WouldBlock) => Err(RecordError::Busy {
                path: self.path.clone(),
            }),
            Err(std::fs::TryLockError::Error(source)) => Err(RecordError::File {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Takes off what a crash left of a line: the next one would be read as its end.
    fn take_off_torn(&self) -> Result<(), RecordError> {
        let file = |source| RecordError::File {
            path: self.path.clone(),
            source,
        };
        let text = std::fs::read(&self.path).map_err(file)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole < text.len() {
            self.file.set_len(whole as u64).map_err(file)?;
        }
        Ok(())
    }

    /// Adds a line; it is on disk when this returns.
    ///
    /// # Errors
    /// A line that cannot follow, which would make the whole record unreadable; a file that does not take it.
    pub fn add(&mut self, time: DateTime<Utc>, what: What) -> Result<(), RecordError> {
        let standing = after(self.standing.clone(), time, what.clone());
        let standing = standing.map_err(|message| RecordError::Illegal {
            drill: drill_of(&self.path),
            message,
        })?;
        let file = |source| RecordError::File {
            path: self.path.clone(),
            source,
        };
        let mut line =
            serde_json::to_vec(&Entry { time, what }).map_err(|error| file(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(file)?;
        self.file.sync_data().map_err(file)?;
        self.standing = Some(standing);
        Ok(())
    }
}

/// Returns the id of the drill whose record lies there: its folder is named so.
fn drill_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name);
    folder.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Reads how a drill stands. A last line that a crash cut short counts as not written.
///
/// # Errors
/// A file that cannot be read, or is no record.
pub fn read(folder: &Path) -> Result<Standing, RecordError> {
    let path = folder.join("drill.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|source| RecordError::File {
        path: path.clone(),
        source,
    })?;
    let mut standing: Option<Standing> = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let wrong = |message: String| RecordError::Line {
            path: path.clone(),
            line: number + 1,
            message,
        };
        if !line.ends_with('\n') {
            break;
        }
        let entry: Entry = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        standing = Some(after(standing.take(), entry.time, entry.what).map_err(wrong)?);
    }
    standing.ok_or(RecordError::Line {
        path,
        line: 1,
        message: "the drill was never begun".to_owned(),
    })
}

/// What the id of every drill begins with. A home that does not know a drill must not take its id for an incident's.
pub const ID_BEGINS: &str = "DRILL-";

/// Returns whether a text is written as the id of a drill, in whatever case somebody typed it.
pub fn is_id(text: &str) -> bool {
    text.get(..ID_BEGINS.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(ID_BEGINS))
        && !text.contains(['/', '\\'])
}

/// Returns the folder of a drill.
pub fn folder(home: &Path, drill: &str) -> PathBuf {
    home.join("drills").join(drill)
}

/// Returns how every drill below a home folder stands, oldest first, and the folders whose record cannot be read with
/// the reason.
pub fn all(home: &Path) -> (Vec<(PathBuf, Standing)>, Vec<(PathBuf, String)>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let folders = std::fs::read_dir(home.join("drills"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("drill.jsonl").is_file());
    for folder in folders {
        match read(&folder) {
            Ok(standing) => good.push((folder, standing)),
            Err(error) => bad.push((folder, error.to_string())),
        }
    }
    good.sort_by(|(_, one), (_, other)| {
        (one.begun_at, &one.begun.drill).cmp(&(other.begun_at, &other.begun.drill))
    });
    bad.sort();
    (good, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun {
            drill: "DRILL-1".to_owned(),
            scenario: ScenarioRef {
                name: "x".to_owned(),
                version: "1.0.0".to_owned(),
                digest: String::new(),
                title: String::new(),
            },
            place: Place::Lab,
            profile: "lab".to_owned(),
            cloud: "lab".to_owned(),
            tenant: String::new(),
            subscriptions: Vec::new(),
            by: By::People,
            participants: Vec::new(),
            observer: None,
            blind: false,
            names: Value::Null,
            azir: String::new(),
        }
    }

    fn aborted() -> What {
        What::Aborted { why: String::new() }
    }

    fn cleared() -> What {
        What::Cleared { id: "x".to_owned() }
    }

    fn made() -> What {
        What::Made {
            build: "vm".to_owned(),
            id: "/x".to_owned(),
            remove: None,
        }
    }

    /// Returns how a drill stands after these, or the one that cannot follow.
    fn state_after(all: &[What]) -> Result<State, String> {
        let mut standing = Standing::new(begun(), DateTime::UNIX_EPOCH);
        for what in all {
            standing.take(DateTime::UNIX_EPOCH, what.clone())?;
        }
        Ok(standing.state)
    }

    #[test]
    fn what_cannot_follow_is_refused() {
        let seen = || What::Seen {
            condition: "a".to_owned(),
        };
        assert_eq!(
            state_after(&[made(), What::Emitted, seen(), aborted()]),
            Ok(State::Aborting)
        );
        assert_eq!(
            state_after(&[aborted(), cleared(), What::Closed]),
            Ok(State::Aborted)
        );
        for illegal in [
            vec![What::Begun(Box::new(begun()))],
            vec![What::Closed],
            vec![seen()],
            vec![cleared()],
            vec![What::Emitted, What::Emitted],
            vec![What::Emitted, made()],
            vec![aborted(), What::Emitted],
            vec![aborted(), aborted()],
            vec![aborted(), What::Closed, cleared()],
        ] {
            assert!(state_after(&illegal).is_err(), "{illegal:?}");
        }
    }

    #[test]
    fn one_process_at_a_time_goes_on_with_a_drill_and_everybody_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path(), "DRILL-1");
        let mut first = Record::begin(&folder, "text", DateTime::UNIX_EPOCH, begun()).unwrap();
        assert!(matches!(
            Record::open(&folder),
            Err(RecordError::Busy { .. })
        ));
        first.add(DateTime::UNIX_EPOCH, What::Emitted).unwrap();
        assert!(read(&folder).unwrap().runs());
        drop(first);
        assert!(Record::open(&folder).is_ok());
        let again = Record::begin(&folder, "text", DateTime::UNIX_EPOCH, begun());
        assert!(
            matches!(again, Err(RecordError::File { .. })),
            "a drill begins once"
        );
    }

    #[test]
    fn a_line_that_a_crash_cut_short_was_not_written_and_any_other_damage_is_told() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path(), "DRILL-1");
        drop(Record::begin(&folder, "text", DateTime::UNIX_EPOCH, begun()).unwrap());
        let path = folder.join("drill.jsonl");
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{good}{{\"time\":\"19")).unwrap();
        assert_eq!(read(&folder).unwrap().state, State::Planting);
        let (mut record, _) = Record::open(&folder).unwrap();
        record.add(DateTime::UNIX_EPOCH, What::Emitted).unwrap();
        drop(record);
        assert_eq!(
            read(&folder).unwrap().state,
            State::Running,
            "it is gone on with"
        );
        for bad in [
            "",
            "\n",
            "{}\n",
            &good[1..],
            &good.replace("begun", "closed"),
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(
                matches!(read(&folder), Err(RecordError::Line { .. })),
                "{bad}"
            );
        }
        let (drills, bad) = all(home.path());
        assert_eq!(
            (drills.len(), bad.len()),
            (0, 1),
            "a damaged one hides no other and is named"
        );
    }
}
