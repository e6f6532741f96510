//! The runs there are: every case folder's run folders, and how each stands in one line.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{RunReport, RunStatus, SignedBy, is_false};
use super::run::{report, started};
use crate::journal::verify::Outside;

/// One line of `azir list`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RunLine {
    /// The run's id.
    pub run: String,
    /// The case.
    pub incident: String,
    /// The runbook.
    pub runbook: String,
    /// `execute`, `drill` or `undo`.
    pub mode: String,
    /// Whether it is an exercise, or the undo of one; absent: it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drill: bool,
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Option<String>,
    /// Its targets.
    pub targets: Vec<String>,
    /// Its folder.
    pub path: String,
    /// Whether its record verified.
    pub verified: bool,
    /// The persons whose signatures were verified; empty: unsigned by a person.
    pub signed: Vec<SignedBy>,
    /// Whether the responder's signature covers all of it.
    pub signed_whole: bool,
    /// Whether anything outside this machine vouches for all of its record.
    pub anchored: bool,
    /// Whether it is closed for good.
    pub sealed: bool,
}

/// Returns every run folder below `cases`, newest first by the time of its first line.
pub fn folders(cases: &Path) -> Vec<PathBuf> {
    let found = read(cases).into_iter().flat_map(|case| runs(&case));
    let mut found = by_time(found);
    found.reverse();
    found
}

/// Returns the runs that `name` means: `last`, an id or the beginning of one.
pub fn named(cases: &Path, name: &str) -> Vec<PathBuf> {
    let folders = folders(cases);
    if name == "last" {
        // What people wrote around the runs is no run that could be shown or undone as the last one.
        let of_runbook = |path: &&PathBuf| !started(path).unwrap_or_default().is_incident_log();
        let last = folders.iter().find(of_runbook).or(folders.first());
        return last.cloned().into_iter().collect();
    }
    let wanted = name.strip_prefix("run-").unwrap_or(name);
    let wanted = wanted.to_ascii_lowercase();
    let fits = |path: &PathBuf| {
        id_of(path).is_some_and(|id| !wanted.is_empty() && id.starts_with(&wanted))
    };
    folders.into_iter().filter(fits).collect()
}

/// Returns the id of the run whose folder this is.
pub fn id_of(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    name.strip_prefix("run-").map(str::to_owned)
}

/// Returns the run folders of one case, oldest first.
pub fn of_case(case: &Path) -> Vec<PathBuf> {
    by_time(runs(case).into_iter())
}

fn runs(case: &Path) -> Vec<PathBuf> {
    let mut found = read(case);
    found.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("run-"))
    });
    found
}

fn by_time(folders: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut found: Vec<(String, PathBuf)> = folders
        .map(|path| (started(&path).unwrap_or_default().time, path))
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn read(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// The runs of every case.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Those that can be read, newest first.
    pub lines: Vec<RunLine>,
    /// Those that cannot, with the reason: a damaged record must not look like one that never was.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Listing {
    /// Returns whether a record is damaged. A folder that holds neither a segment nor a checkpoint is that of a run
    /// that is about to begin, or that ended before it did anything.
    pub fn damaged(&self) -> bool {
        self.unreadable.iter().any(|(path, _)| began(path))
    }
}

fn began(run_dir: &Path) -> bool {
    [run_dir.to_path_buf(), run_dir.join("cp")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(Iterator::flatten)
        .any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.ends_with(".jsonl") || name.ends_with(".cp")
        })
}

/// Lists the runs, each by the word of its journal and of the verifier, which is given what `outside` knows of it.
pub fn list(cases: &Path, outside: impl Fn(&Path) -> Outside) -> Listing {
    listing(folders(cases), outside)
}

/// Lists the runs of one case, newest first.
pub fn list_case(case: &Path, outside: impl Fn(&Path) -> Outside) -> Listing {
    listing(of_case(case).into_iter().rev(), outside)
}

fn listing(
    folders: impl IntoIterator<Item = PathBuf>,
    outside: impl Fn(&Path) -> Outside,
) -> Listing {
    let mut listing = Listing::default();
    for path in folders {
        match report(&path, &outside(&path)) {
            Ok(told) => listing.lines.push(line(told, &path)),
            Err(error) => listing.unreadable.push((path, error.to_string())),
        }
    }
    listing
}

fn line(report: RunReport, path: &Path) -> RunLine {
    RunLine {
        run: report.run,
        incident: report.incident,
        runbook: report.runbook.name,
        mode: report.mode,
        drill: report.drill,
        status: report.status,
        started_at: report.started_at,
        targets: report
            .targets
            .into_iter()
            .map(|target| target.target)
            .collect(),
        path: path.display().to_string(),
        verified: report.journal.verified,
        signed_whole: report.journal.signed_whole(),
        signed: report.journal.signed,
        anchored: report.journal.anchored,
        sealed: report.journal.sealed,
    }
}
