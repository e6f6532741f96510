//! What is left of a run to do again: its arguments, and the targets that did not come to a good end.

use std::path::Path;

use serde_json::{Map, Value};

use super::model::{RunReport, RunStatus};
use super::run::{cited, told};
use crate::journal::JournalError;
use crate::journal::reader::openings;

/// What a run was asked for, and whom it failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Again {
    /// The run's id.
    pub run: String,
    /// The case.
    pub incident: String,
    /// The runbook's name.
    pub runbook: String,
    /// `execute`, `drill` or `undo`.
    pub mode: String,
    /// The arguments as they were typed, by parameter; what looked like a secret is a commitment.
    pub arguments: Map<String, Value>,
    /// The choices and consents of its command, as the engine writes them; those of its session that began it.
    pub answers: Value,
    /// Whether its targets were cut in one burst.
    pub together: bool,
    /// When the attack was detected, as that command said it.
    pub detected_at: Option<String>,
    /// The targets that failed, were refused, or were not come to.
    pub targets: Vec<String>,
    /// Whether somebody writes the run still.
    pub held_by: Option<String>,
}

/// Reads it from a run's record.
///
/// # Errors
/// A record that cannot be read.
pub fn again(run_dir: &Path) -> Result<Again, JournalError> {
    let report = told(run_dir)?;
    let first = openings(run_dir)?.into_iter().next();
    let said = |name: &str| {
        let first = first.as_ref();
        first.and_then(|line| line.data.get(name).cloned())
    };
    let given = said("parameters");
    let arguments = match cited(run_dir, given.as_ref()) {
        Value::Object(arguments) => arguments,
        _ => Map::new(),
    };
    Ok(Again {
        targets: unfinished(&report).map(str::to_owned).collect(),
        run: report.run,
        incident: report.incident,
        runbook: report.runbook.name,
        mode: report.mode,
        arguments,
        answers: said("answers").unwrap_or_default(),
        together: said("together") == Some(Value::Bool(true)),
        detected_at: said("detected_at").and_then(|time| time.as_str().map(str::to_owned)),
        held_by: report.held_by,
    })
}

/// Returns the targets that did not come to a good end.
pub(super) fn unfinished(report: &RunReport) -> impl Iterator<Item = &str> {
    let bad = |status: RunStatus| {
        matches!(
            status,
            RunStatus::Failed | RunStatus::Halted | RunStatus::Partial | RunStatus::Refused
        )
    };
    let targets = report.targets.iter();
    targets
        .filter(move |target| bad(target.status))
        .map(|target| target.target.as_str())
}
