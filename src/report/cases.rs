//! The runs there are: every case folder's run folders, and how each stands in one line.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::model::RunStatus;
use super::run::report;

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
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Option<String>,
    /// Its targets.
    pub targets: Vec<String>,
    /// Its folder.
    pub path: String,
}

/// Returns every run folder below `cases`, newest first by the time of its first line.
pub fn folders(cases: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(String, PathBuf)> = read(cases)
        .into_iter()
        .flat_map(|case| read(&case))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("run-"))
        })
        .map(|path| (first_time(&path), path))
        .collect();
    found.sort();
    found.reverse();
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

fn first_time(run_dir: &Path) -> String {
    use std::io::BufRead;
    let Ok(file) = std::fs::File::open(run_dir.join("seg-000001.jsonl")) else {
        return String::new();
    };
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(file);
    if reader.read_line(&mut line).is_err() {
        return String::new();
    }
    let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    value["time"].as_str().unwrap_or_default().to_owned()
}

/// Returns a line for each run that can be read.
pub fn lines(cases: &Path) -> Vec<RunLine> {
    folders(cases)
        .iter()
        .filter_map(|path| {
            let report = report(path).ok()?;
            Some(RunLine {
                run: report.run,
                incident: report.incident,
                runbook: report.runbook.name,
                mode: report.mode,
                status: report.status,
                started_at: report.started_at,
                targets: report
                    .targets
                    .into_iter()
                    .map(|target| target.target)
                    .collect(),
                path: path.display().to_string(),
            })
        })
        .collect()
}
