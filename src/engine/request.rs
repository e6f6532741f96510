//! What is asked of the engine: a run, or the undo of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde_json::Value;

use super::approval::Approved;
use super::bulk::Bulk;
use super::directory::quoted;
use super::witness::Missing;
use crate::ids::IncidentId;
use crate::report::incident::{Clearance, Incident};
use crate::runbook::model::{Param, ParamKind, Runbook};

/// One execution of one runbook.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The runbook.
    pub runbook: Arc<Runbook>,
    /// Its text, which goes to evidence.
    pub text: Arc<str>,
    /// Where it came from: `shipped` or a path.
    pub origin: String,
    /// Parameters by their name in the file, typed; those not given are absent.
    pub arguments: IndexMap<String, Value>,
    /// Values of the positional `many` parameter; empty if the runbook has none.
    pub targets: Vec<String>,
    /// What was said of the targets as a whole.
    pub bulk: Bulk,
    /// The key that it is done once for, where one was given.
    pub once: Option<Once>,
    /// The case.
    pub incident: IncidentId,
    /// Whether it counts.
    pub mode: Mode,
    /// What `--choose` said, by step.
    pub choices: BTreeMap<String, Selection>,
    /// What `--accept` said: steps whose explicit consent is given.
    pub accept: BTreeSet<String>,
    /// Whether the plan is confirmed beforehand.
    pub yes: bool,
    /// Who answers for it.
    pub responder: Responder,
    /// On whose authority.
    pub authority: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// When the attack was detected.
    pub detected_at: Option<DateTime<Utc>>,
    /// Guards to set aside, by step: only what two persons have planned and approved may.
    pub over_guards: BTreeSet<String>,
    /// The plan that two persons stand for, if it is that which is carried out.
    pub approved: Option<Arc<Approved>>,
    /// Whose clearance is recorded in the incident; filled when the run begins.
    pub clearances: Vec<Clearance>,
    /// Whether each check is asked once before its step writes: one that holds already could not have failed.
    pub prove_checks: bool,
}

impl RunRequest {
    /// Asks for a runbook as it is written, of nobody in particular and with nothing said beforehand.
    #[must_use]
    pub fn of(
        (runbook, text): (Arc<Runbook>, Arc<str>),
        incident: IncidentId,
        responder: Responder,
    ) -> Self {
        Self {
            runbook,
            text,
            origin: "shipped".to_owned(),
            arguments: IndexMap::new(),
            targets: Vec::new(),
            bulk: Bulk::default(),
            once: None,
            incident,
            mode: Mode::Execute,
            choices: BTreeMap::new(),
            accept: BTreeSet::new(),
            yes: false,
            responder,
            authority: None,
            ticket: None,
            detected_at: None,
            over_guards: BTreeSet::new(),
            approved: None,
            clearances: Vec::new(),
            prove_checks: false,
        }
    }

    /// Returns what is typed to do this again to one target, as a shell takes it.
    pub(crate) fn command(&self, target: &str) -> String {
        let runbook = &self.runbook;
        let mut words = vec!["azir".to_owned(), runbook.name.value.clone()];
        let of_many = runbook.params.values().any(Param::is_target);
        if of_many {
            words.push(quoted(target));
        }
        let mut given: Vec<_> = runbook
            .params
            .iter()
            .filter(|(_, param)| !param.is_target())
            // The target is named; a run that named it may have named others.
            .filter(|(_, param)| !(of_many && param.kind == ParamKind::Run))
            .filter_map(|(name, param)| Some((name, param, self.arguments.get(name)?)))
            .collect();
        given.sort_by_key(|(_, param, _)| param.position.unwrap_or(usize::MAX));
        for (name, param, value) in given {
            let nothing = value.as_array().is_some_and(Vec::is_empty);
            if *value == Value::Bool(false) || nothing {
                continue;
            }
            if param.position.is_none() {
                words.push(format!("--{name}"));
            }
            if param.kind != ParamKind::Bool {
                words.push(quoted(&typed(&param.kind, value)));
            }
        }
        words.join(" ")
    }

    /// Fills what was not said for this run with what was said of its incident.
    #[must_use]
    pub(crate) fn with_defaults(self, said: &Incident) -> Self {
        Self {
            detected_at: self.detected_at.or_else(|| said.detected()),
            authority: self.authority.or_else(|| said.authority.clone()),
            ticket: self.ticket.or_else(|| said.ticket.clone()),
            clearances: said.clearances.clone(),
            ..self
        }
    }
}

/// What makes a command one that is done once, however often it is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Once {
    /// What the caller calls it.
    pub key: String,
    /// The digest of all that was asked for.
    pub asks: String,
    /// The same in words, for people.
    pub words: String,
}

impl Once {
    /// Returns the digest that stands for the key: a name for a file, and the same for every text.
    pub fn digest(&self) -> String {
        crate::digest::Digest::of(self.key.as_bytes()).to_string()
    }
}

/// Whether a run counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// It does.
    #[default]
    Execute,
    /// It is an exercise, and says so everywhere.
    Drill,
}

impl Mode {
    /// Returns the word that the journal uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Drill => "drill",
        }
    }
}

/// What was chosen beforehand for one decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// Every option.
    All,
    /// No option.
    None,
    /// These options, by id or by its last segment.
    Ids(Vec<String>),
}

/// Who answers for a run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Responder {
    /// The person's principal name, or `user@host`.
    pub upn: String,
    /// The person's name.
    pub name: Option<String>,
    /// The person's object id.
    pub oid: Option<String>,
}

/// The undo of a run.
#[derive(Clone, Debug)]
pub struct UndoRequest {
    /// The run to undo.
    pub run_dir: PathBuf,
    /// What `--choose` said, by step.
    pub choices: BTreeMap<String, Selection>,
    /// What `--accept` said.
    pub accept: BTreeSet<String>,
    /// Whether the plan is confirmed beforehand.
    pub yes: bool,
    /// Whether what somebody changed since may be overwritten.
    pub over_drift: bool,
    /// On what grounds every target of the run may have back what was taken.
    pub clearance: Option<String>,
    /// Who answers for it.
    pub responder: Responder,
    /// On whose authority.
    pub authority: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ended {
    /// Its folder.
    pub run_dir: PathBuf,
    /// The exit code of the command.
    pub exit_code: u8,
    /// Who does not vouch for its last checkpoint, of those who should.
    pub missing: Vec<Missing>,
}

/// Returns the word that becomes this value.
fn typed(kind: &ParamKind, value: &Value) -> String {
    match (kind, value) {
        (ParamKind::Duration, value) => format!("{value}s"),
        (ParamKind::List(of), Value::Array(items)) => {
            let words: Vec<String> = items.iter().map(|item| typed(of, item)).collect();
            words.join(",")
        }
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}
