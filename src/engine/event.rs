//! What happens in a run, as it happens: one stream for the terminal, for ndjson and for tests.
//!
//! An event is told after the journal has it, never before.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When.
    pub time: DateTime<Utc>,
    /// In which run.
    pub run: Uuid,
    /// For which target: its resource id or name; absent for the run as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// In which step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. In JSON the name is the member `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The run has its journal and is about to act.
    RunStarted {
        /// The runbook's name.
        runbook: String,
        /// The runbook's version.
        version: String,
        /// `execute`, `drill` or `undo`.
        mode: String,
        /// The case.
        incident: String,
        /// Seconds that containment may take.
        #[serde(skip_serializing_if = "Option::is_none")]
        deadline_seconds: Option<u64>,
        /// The targets.
        targets: Vec<String>,
        /// The run folder.
        journal: PathBuf,
        /// How many steps each target has.
        steps: usize,
        /// The steps, in the order of the runbook.
        plan: Vec<PlannedStep>,
    },
    /// A step begins.
    StepStarted {
        /// Its title.
        title: String,
        /// Its phase.
        phase: String,
        /// How many items it has; 1 without `for_each`.
        items: usize,
    },
    /// One item of a step has ended.
    ItemEnded {
        /// The item: a resource id or name.
        item: String,
        /// Whether it did what it should.
        ok: bool,
    },
    /// A step has ended.
    StepEnded {
        /// How.
        outcome: StepOutcome,
        /// Milliseconds since it began.
        elapsed_ms: u64,
        /// Why, where it is not simply done.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A check has its answer.
    Checked {
        /// What it claims.
        claim: String,
        /// Whether it holds; absent: nobody could tell.
        holds: Option<bool>,
        /// Whether the next phase waits for it.
        gate: bool,
        /// What was seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        observed: Option<String>,
        /// Milliseconds it took.
        after_ms: u64,
    },
    /// A check held before its step did anything, in a run that was asked to look.
    AlreadyTrue {
        /// What it claims.
        claim: String,
    },
    /// The client waits: throttled, or an operation runs.
    Waiting {
        /// For what.
        why: String,
        /// How long.
        seconds: f64,
    },
    /// Something that should be in the evidence or the check is not.
    Gap {
        /// What is missing and why.
        text: String,
    },
    /// Something worth saying.
    Note {
        /// The words.
        text: String,
    },
    /// A decision was made.
    Decided {
        /// The question.
        question: String,
        /// The ids chosen.
        chosen: Vec<String>,
        /// `responder`, `--choose`, `--accept` or `default`.
        by: String,
    },
    /// Everything that contains this target is done.
    Contained {
        /// Milliseconds since the run began.
        after_ms: u64,
    },
    /// A target has ended.
    TargetEnded {
        /// Its status, as in the report.
        status: String,
        /// Why, when it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A witness does not vouch for the record's last checkpoint.
    Unvouched {
        /// `person`, `tsa` or `worm`.
        witness: &'static str,
        /// Since when it is missing.
        since: DateTime<Utc>,
        /// Why.
        why: String,
    },
    /// The run has ended; its report is complete.
    RunEnded {
        /// The run's status, as in the report.
        status: String,
        /// The exit code of the command.
        exit_code: u8,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it says.
    Done,
    /// It did not.
    Failed,
    /// Whether it took effect is not known.
    Unknown,
    /// It was not needed or not reached.
    Skipped,
    /// It was left for the responder to allow.
    LeftUndone,
}

/// Who hears events.
pub trait Listener: Send + Sync {
    /// Takes one event; must not block.
    fn hear(&self, event: &Event);
}

/// One step that a run is going to take.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PlannedStep {
    /// Its id.
    pub id: String,
    /// Its title, as the runbook has it.
    pub title: String,
    /// Its phase.
    pub phase: String,
    /// Its kind.
    pub kind: String,
    /// How it is undone; empty where nothing is written.
    pub undo: String,
}
