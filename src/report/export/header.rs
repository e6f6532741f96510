//! Whose run it is, and whether it was a drill or the lab: what stands at the head of every export.

use std::path::Path;

use serde_json::Value;

use super::ExportError;
use crate::journal::reader::Lines;
use crate::journal::{JournalError, Line};

/// What the first line of a run says about it.
#[derive(Clone, Debug)]
pub struct Header {
    /// The first line.
    pub first: Line,
    /// The run's id.
    pub run: String,
    /// Whether it was a drill, or the undo of one.
    pub drill: bool,
    /// Whether it acted in the lab.
    pub lab: bool,
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// A journal without a first line.
    pub fn read(run_dir: &Path) -> Result<Self, ExportError> {
        let first = Lines::open(run_dir)?.next_line()?;
        let first = first.ok_or_else(|| JournalError::Unreadable {
            path: run_dir.to_path_buf(),
            message: "its first line is missing".to_owned(),
        })?;
        let word = |name: &str| first.data.get(name).and_then(Value::as_str);
        let run = word("origin").and_then(|origin| origin.rsplit('/').next());
        let run = run.unwrap_or_default().to_owned();
        let drill = match word("mode") {
            Some("drill") => true,
            Some("undo") => undoes_drill(run_dir, &first),
            _ => false,
        };
        let lab = word("cloud") == Some("lab");
        Ok(Self {
            first,
            run,
            drill,
            lab,
        })
    }

    /// Returns a text of the first line's data, or nothing.
    pub fn word(&self, path: &str) -> String {
        crate::report::words::text(&self.first, path)
    }

    /// Returns what stands before every message: nothing, or what must not be taken for an incident.
    pub fn mark(&self) -> &'static str {
        mark(self.drill, self.lab)
    }

    /// Returns a sentence for people, where there is something to warn of.
    pub fn warning(&self) -> Option<&'static str> {
        warning(self.drill, self.lab)
    }
}

/// Returns what stands before every message of a drill, or of the lab.
pub fn mark(drill: bool, lab: bool) -> &'static str {
    match (drill, lab) {
        (true, true) => "DRILL LAB ",
        (true, false) => "DRILL ",
        (false, true) => "LAB ",
        (false, false) => "",
    }
}

/// Returns the sentence that warns people of a drill, or of the lab.
pub fn warning(drill: bool, lab: bool) -> Option<&'static str> {
    match (drill, lab) {
        (true, true) => Some(
            "DRILL in the LAB: rehearsed in a simulated tenant. No incident, no real resource.",
        ),
        (true, false) => Some("DRILL: rehearsed. No incident."),
        (false, true) => Some("LAB: a simulated tenant. No real resource was touched."),
        (false, false) => None,
    }
}

/// Whether the run that an undo put back was a drill: it lies beside it in the case.
fn undoes_drill(run_dir: &Path, first: &Line) -> bool {
    let of = crate::report::words::text(first, "of/run");
    let beside = run_dir.parent().map(|case| case.join(format!("run-{of}")));
    let line = beside.and_then(|run| Lines::open(&run).ok()?.next_line().ok()?);
    line.is_some_and(|line| line.data.get("mode").and_then(Value::as_str) == Some("drill"))
}
