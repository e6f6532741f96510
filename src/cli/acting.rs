//! Who acts in a drill, and who ends it: each command that acts holds its part of one lock from before it connects until
//! it is done, and whoever ends the drill takes all of it, so that nobody's hands are in the tenant that is judged.
//!
//! A question that waits for its answer is part of a command. Nobody waits for the lock: whoever cannot have it is told
//! who has it. The file names who began since the drill was last ended or looked at so, for that sentence and for
//! nothing else.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::entered::{Entered, must_run, unreadable};
use super::home::Home;
use super::refusal::Refusal;
use super::shown;
use crate::drill::record::{self, RecordError};
use crate::drill::run_under_way;

/// A part of the lock, or all of it; nothing outside of drills. Given up when it is dropped, as when the process dies.
#[must_use]
pub(super) struct Acting {
    _held: Option<File>,
}

impl Home {
    /// Lets a command act: in a drill only as long as its clock runs, and nobody ends it under the command's hands.
    pub(super) fn act(&self, command: &str) -> Result<Acting, Refusal> {
        let Some(drill) = &self.drill else {
            return Ok(Acting { _held: None });
        };
        let id = &drill.standing.begun.drill;
        let mut file = opened(&drill.folder)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Refusal::record(
                    format!("drill {id} is being ended: nothing is done in it meanwhile"),
                    format!("azir drill status {id}, when that is over"),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&drill.folder, error)),
        }
        // How it stood when this command began to read its words may be long ago.
        must_run(&record::read(&drill.folder).map_err(unreadable)?)?;
        let line = format!("{} azir {command}\n", std::process::id());
        file.write_all(line.as_bytes())
            .map_err(|error| unusable(&drill.folder, error))?;
        Ok(Acting { _held: Some(file) })
    }
}

impl Entered {
    /// Lets nobody act in it from now on, for as long as what is returned lives.
    pub(super) fn end(&self) -> Result<Acting, Refusal> {
        let id = &self.standing.begun.drill;
        let mut file = opened(&self.folder)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let run = run_under_way(&self.folder.join("cases").join(id));
                let hint = run.map_or_else(
                    || "wait for it to end, or stop it with ctrl-C".to_owned(),
                    |run| format!("azir wait {run} --incident {id}"),
                );
                let who = alive(&mut file);
                return Err(Refusal::record(
                    format!("{who} is under way in drill {id}: nobody is judged under their hands"),
                    hint,
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&self.folder, error)),
        }
        // Nobody who is named there is at it any more.
        file.set_len(0)
            .map_err(|error| unusable(&self.folder, error))?;
        Ok(Acting { _held: Some(file) })
    }
}

/// Names the commands whose processes are there still.
fn alive(file: &mut File) -> String {
    let mut text = String::new();
    // It is read for a sentence alone, and without it the sentence says less.
    let _ = file.read_to_string(&mut text);
    let known: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let (pid, command) = line.split_once(' ')?;
            let process = rustix::process::Pid::from_raw(pid.parse().ok()?)?;
            // One of another user is there as well.
            let there = rustix::process::test_kill_process(process);
            if !matches!(there, Ok(()) | Err(rustix::io::Errno::PERM)) {
                return None;
            }
            Some(format!("{} (process {pid})", shown::line(command)))
        })
        .collect();
    if known.is_empty() {
        "another azir".to_owned()
    } else {
        known.join(", ")
    }
}

fn opened(folder: &Path) -> Result<File, Refusal> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options
        .open(folder.join("acting"))
        .map_err(|error| unusable(folder, error))
}

fn unusable(folder: &Path, source: std::io::Error) -> Refusal {
    let path = folder.join("acting");
    unreadable(RecordError::File { path, source })
}
