//! What people have said of an incident as a whole: opened, by whom, on whose authority, closed.
//!
//! It stands in the incident logs of the case, one a machine, as `decision` lines about the incident:
//! `{"about": "incident", "choice": "open", "detected_at": "2026-05-23T10:00:00Z", "ticket": "INC-7", ...}`; who may
//! have back what was taken, as `{"about": "clearance", "subject": "heidi@contoso.com", "choice": "cleared", "why": ...}`.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::cases;
use super::order::Merge;
use super::run::started;
use crate::journal::{JournalError, Line};

/// What a `decision` line about an incident has as `about`.
pub const ABOUT: &str = "incident";

/// What a `decision` line about a clearance has as `about`.
pub const CLEARANCE: &str = "clearance";

/// Whether an incident is open.
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has said so; runs are possible all the same, because containment waits for no form.
    #[default]
    NotOpened,
    /// It was opened.
    Open,
    /// It was closed: nothing is added until somebody opens it again.
    Closed,
}

/// What people have said of an incident.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Incident {
    /// Whether it is open.
    pub state: State,
    /// When the attack was detected.
    pub detected_at: Option<String>,
    /// On whose authority the response acts.
    pub authority: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// Who leads the response.
    pub lead: Option<String>,
    /// Who opened it first, and when.
    pub opened: Option<Said>,
    /// Who closed it last, and when.
    pub closed: Option<Said>,
    /// Whose clearance was recorded.
    pub clearances: Vec<Clearance>,
}

/// A person's word that somebody or something may have back what was taken.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Clearance {
    /// Who or what was cleared, as a run calls its target.
    pub target: String,
    /// On what grounds.
    pub text: String,
    /// Who says so.
    pub by: String,
    /// When it was said.
    pub at: String,
}

/// Who said something, when, and why.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Said {
    /// Who.
    pub by: String,
    /// When.
    pub at: String,
    /// Why, where a reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Incident {
    /// Returns when the attack was detected, as a time.
    pub fn detected(&self) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(self.detected_at.as_deref()?).ok()?;
        Some(time.with_timezone(&Utc))
    }

    fn clear(&mut self, line: &Line) {
        let text = |name: &str| {
            let value = line.data.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        self.clearances.push(Clearance {
            target: text("subject"),
            text: text("why"),
            by: super::words::who(line).to_owned(),
            at: line.time.clone(),
        });
    }

    fn take(&mut self, line: &Line) {
        let word = |name: &str| line.data.get(name).and_then(Value::as_str);
        if line.kind != "decision" {
            return;
        }
        if word("about") == Some(CLEARANCE) {
            self.clear(line);
        }
        if word("about") != Some(ABOUT) {
            return;
        }
        let said = Said {
            by: super::words::who(line).to_owned(),
            at: line.time.clone(),
            why: word("why").map(str::to_owned),
        };
        match word("choice") {
            Some("open") => {
                self.state = State::Open;
                self.opened.get_or_insert(said);
            }
            Some("reopen") => self.state = State::Open,
            Some("close") => {
                self.state = State::Closed;
                self.closed = Some(said);
            }
            _ => {}
        }
        for (name, place) in [
            ("detected_at", &mut self.detected_at),
            ("authority", &mut self.authority),
            ("ticket", &mut self.ticket),
            ("lead", &mut self.lead),
        ] {
            if let Some(value) = word(name) {
                *place = Some(value.to_owned());
            }
        }
    }
}

/// Reads what can be read of what was said of the incident of a case; returns with it what could not.
///
/// For who is about to contain: a damaged log of notes is no reason to wait.
pub fn so_far(case: &Path) -> (Incident, Option<String>) {
    let mut merge = Merge::open(&logs(case));
    let mut incident = Incident::default();
    loop {
        match merge.next_line() {
            Ok(Some(placed)) => incident.take(&placed.line),
            Ok(None) => return (incident, merge.problems().first().cloned()),
            Err(error) => return (incident, Some(error.to_string())),
        }
    }
}

/// Reads what was said of the incident of a case; a case that is not there yet has nothing.
///
/// # Errors
/// An incident log that cannot be read: it may say that the incident is closed.
pub fn incident(case: &Path) -> Result<Incident, JournalError> {
    let mut merge = Merge::open(&logs(case));
    let mut incident = Incident::default();
    while let Some(placed) = merge.next_line()? {
        incident.take(&placed.line);
    }
    match merge.problems().first() {
        Some(problem) => Err(JournalError::Unreadable {
            path: case.to_path_buf(),
            message: problem.clone(),
        }),
        None => Ok(incident),
    }
}

/// Returns the incident logs of a case, of every machine.
pub fn logs(case: &Path) -> Vec<PathBuf> {
    let mut folders = cases::of_case(case);
    folders.retain(|path| started(path).is_ok_and(|start| start.is_incident_log()));
    folders
}
