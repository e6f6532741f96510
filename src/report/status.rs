//! How an incident stands: its runs, what stays open, what is left to people, what the record lacks.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::cases;
use super::incident::{Incident, State, incident};
use super::model::{RunReport, RunStatus};
use super::run::{INCIDENT, report, told, unknown};
use super::words;
use crate::journal::reader::{checkpoints, is_held};
use crate::journal::verify::Outside;
use crate::journal::{JournalError, Line, format, read};

/// The version of this shape; grows when a member is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// How an incident stands.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Status {
    /// The version of this shape.
    pub schema_version: u32,
    /// The incident.
    pub incident: String,
    /// What people have said of it.
    #[serde(flatten)]
    pub said: Incident,
    /// Each run of a runbook, each undo and each incident log, oldest first.
    pub runs: Vec<Run>,
    /// What stays open now.
    pub residual: Vec<Residual>,
    /// The latest time until which something stays open, where every such time is known.
    pub residual_until: Option<String>,
    /// Writes of which nobody knows whether they took effect.
    pub open_intents: Vec<OpenIntent>,
    /// Tasks for people that were left, and not done since.
    pub manual: Vec<Task>,
    /// What is missing from evidence or checks.
    pub gaps: Vec<Gap>,
    /// Handovers.
    pub transfers: Vec<Transfer>,
    /// What people wrote down: notes, and what they did outside azir.
    pub notes: Vec<Note>,
    /// How many exhibits there are.
    pub exhibits: usize,
    /// Runs that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The commands to type next.
    pub next: Vec<String>,
}

/// One run of the incident.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Run {
    /// Its id.
    pub run: String,
    /// The runbook, or `incident` for an incident log.
    pub runbook: String,
    /// `execute`, `drill` or `undo`.
    pub mode: String,
    /// How it stands.
    pub status: RunStatus,
    /// Who answers for it.
    pub responder: String,
    /// The machine that wrote it.
    pub host: String,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Its targets.
    pub targets: Vec<String>,
    /// Whether a process writes it at this moment.
    pub being_written: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Whether its record verifies; absent while it is being written.
    pub verified: Option<bool>,
    /// Whether its responder has signed all of it.
    pub signed: bool,
    /// Whether something outside this machine vouches for it.
    pub anchored: bool,
    /// Its folder.
    pub path: String,
}

/// Something that stays open.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Residual {
    /// The run that left it.
    pub run: String,
    /// What.
    pub what: String,
    /// Until when, where it ends by itself.
    pub until: Option<String>,
    /// For which targets.
    pub targets: Vec<String>,
}

/// A write whose outcome is not known.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct OpenIntent {
    /// Its run.
    pub run: String,
    /// The line of the intent.
    pub seq: u64,
    /// `PUT`, `PATCH`, ...
    pub method: String,
    /// The resource.
    pub target: String,
    /// The id under which the provider's log has it.
    pub client_request_id: String,
}

/// A task for a person.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Task {
    /// Its run.
    pub run: String,
    /// Its step.
    pub step: String,
    /// What is to be done.
    pub instruction: String,
    /// Why it was left.
    pub why: String,
}

/// Something missing.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Gap {
    /// Its run.
    pub run: String,
    /// What.
    pub what: String,
}

/// A handover from one person to another.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Transfer {
    /// Its run.
    pub run: String,
    /// Its line.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Who gives.
    pub from: String,
    /// Who takes over.
    pub to: String,
    /// What.
    pub items: String,
    /// Whether the giver's signature lies beside a checkpoint that covers it.
    pub given: bool,
    /// Whether the receiver's does, beside the same one.
    pub received: bool,
}

impl Transfer {
    /// Returns whether a signature is missing.
    pub fn pending(&self) -> bool {
        !(self.given && self.received)
    }
}

/// Something that a person wrote down.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Note {
    /// Its run.
    pub run: String,
    /// When it was written down.
    pub at: String,
    /// By whom.
    pub by: String,
    /// What; of an act outside azir with its own time.
    pub text: String,
}

/// A run that cannot be read.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Unreadable {
    /// Its folder.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Tells how the incident of a case stands at `now`, from its folder alone; `outside`: what is known of a run's
/// signers elsewhere.
///
/// # Errors
/// An incident log that cannot be read.
pub fn status(
    case: &Path,
    now: DateTime<Utc>,
    outside: impl Fn(&Path) -> Outside,
) -> Result<Status, JournalError> {
    let mut status = Status {
        schema_version: SCHEMA_VERSION,
        incident: String::new(),
        said: incident(case)?,
        runs: Vec::new(),
        residual: Vec::new(),
        residual_until: None,
        open_intents: Vec::new(),
        manual: Vec::new(),
        gaps: Vec::new(),
        transfers: Vec::new(),
        notes: Vec::new(),
        exhibits: 0,
        unreadable: Vec::new(),
        next: Vec::new(),
    };
    let mut acts = Vec::new();
    for path in cases::of_case(case) {
        if let Err(error) = status.take(&path, now, &outside(&path), &mut acts) {
            status.unreadable.push(Unreadable {
                path: path.display().to_string(),
                why: error.to_string(),
            });
        }
    }
    // What was left is done once somebody wrote down that it was.
    status.manual.retain(|task| !acts.contains(&task.step));
    status.notes.sort_by(|a, b| a.at.cmp(&b.at));
    status.transfers.sort_by(|a, b| a.at.cmp(&b.at));
    status.residual_until = status
        .residual
        .iter()
        .filter_map(|residual| residual.until.clone())
        .max();
    status.next = status.next_commands();
    Ok(status)
}

impl Status {
    fn take(
        &mut self,
        path: &Path,
        now: DateTime<Utc>,
        outside: &Outside,
        acts: &mut Vec<String>,
    ) -> Result<(), JournalError> {
        let being_written = is_held(path);
        // A run that is being written has no end yet that could be verified.
        let run = if being_written {
            told(path)?
        } else {
            report(path, outside)?
        };
        let log = read(path)?;
        self.incident.clone_from(&run.incident);
        self.exhibits += run.evidence.len();
        self.open(&run, now);
        // What was put back was read first: the cloud has been asked.
        let asked = run.status == RunStatus::Undone;
        for intent in unknown(path)?.into_iter().filter(|_| !asked) {
            self.open_intents.push(OpenIntent {
                run: run.run.clone(),
                seq: intent.seq,
                method: intent.method,
                target: intent.target,
                client_request_id: intent.client_request_id,
            });
        }
        let first = &log.lines[0];
        let marks = Marks::of(path)?;
        let before = self.transfers.len();
        for line in &log.lines {
            self.line(&run.run, line, &marks, acts);
        }
        let unknown = self.transfers[before..].iter().all(|one| !one.pending());
        if run.journal.transfer_pending && unknown {
            self.gaps.push(Gap {
                run: run.run.clone(),
                what:
                    "a signature of its handover does not count here: its key is in no signers file"
                        .to_owned(),
            });
        }
        let word = |name: &str, member: &str| {
            let value = first.data.get(name)?;
            value.get(member).and_then(Value::as_str)
        };
        self.runs.push(Run {
            responder: word("responder", "upn").unwrap_or_default().to_owned(),
            host: first
                .data
                .get("host")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            sealed: log.lines.last().is_some_and(|line| line.kind == "seal"),
            verified: (!being_written).then_some(run.journal.verified),
            // While nobody can verify it, what lies beside the checkpoint is what there is to say.
            signed: if being_written {
                marks.signed()
            } else {
                run.journal.signed_whole()
            },
            anchored: run.journal.anchored,
            being_written,
            run: run.run,
            runbook: run.runbook.name,
            mode: run.mode,
            status: run.status,
            started_at: run.started_at,
            finished_at: run.finished_at,
            targets: run
                .targets
                .into_iter()
                .map(|target| target.target)
                .collect(),
            path: path.display().to_string(),
        });
        Ok(())
    }

    /// Takes what a run left open; what was put back since, or has ended by itself, is not open.
    fn open(&mut self, run: &RunReport, now: DateTime<Utc>) {
        self.gaps.extend(run.gaps.iter().map(|gap| Gap {
            run: run.run.clone(),
            what: gap.what.clone(),
        }));
        if run.status == RunStatus::Undone {
            return;
        }
        let over = |until: &Option<String>| {
            let until = until.as_deref().map(DateTime::parse_from_rfc3339);
            matches!(until, Some(Ok(until)) if until < now)
        };
        let left = run
            .residual
            .iter()
            .filter(|residual| !over(&residual.until));
        self.residual.extend(left.map(|residual| Residual {
            run: run.run.clone(),
            what: residual.what.clone(),
            until: residual.until.clone(),
            targets: residual.targets.clone(),
        }));
    }

    fn line(&mut self, run: &str, line: &Line, marks: &Marks, acts: &mut Vec<String>) {
        let word = |name: &str| {
            let value = line.data.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        match line.kind.as_str() {
            "manual" if !word("at").is_empty() => {
                acts.push(word("step"));
                self.note(run, line, words::what(line));
            }
            "manual" if !word("left").is_empty() => self.manual.push(Task {
                run: run.to_owned(),
                step: word("step"),
                instruction: word("instruction"),
                why: word("left"),
            }),
            "note" if word("kind") == "said" => {
                let text = line.data.get("text").map(said_text).unwrap_or_default();
                self.note(run, line, text);
            }
            "transfer" => {
                let (given, received) = marks.beside(line.seq);
                self.transfers.push(Transfer {
                    run: run.to_owned(),
                    seq: line.seq,
                    at: line.time.clone(),
                    from: word("from"),
                    to: word("to"),
                    items: word("items"),
                    given,
                    received,
                });
            }
            _ => {}
        }
    }

    fn note(&mut self, run: &str, line: &Line, text: String) {
        self.notes.push(Note {
            run: run.to_owned(),
            at: line.time.clone(),
            by: words::who(line).to_owned(),
            text,
        });
    }

    fn next_commands(&self) -> Vec<String> {
        let mut next = Vec::new();
        let incident = &self.incident;
        for damaged in &self.unreadable {
            next.push(format!("azir journal verify {}", damaged.path));
        }
        for run in &self.runs {
            let halted = run.status == RunStatus::Halted;
            let unsettled = halted || self.open_intents.iter().any(|open| open.run == run.run);
            let short = short(&run.run);
            if run.verified == Some(false) {
                next.push(format!("azir journal verify {short}"));
            } else if halted && run.mode != "undo" && !run.sealed && !run.being_written {
                next.push(format!("azir resume {short}"));
            } else if unsettled && !run.being_written {
                next.push(format!("azir show {short}"));
            }
        }
        for task in &self.manual {
            next.push(format!(
                "azir manual TEXT --at TIME --step {} --incident {incident}",
                task.step
            ));
        }
        for transfer in self.transfers.iter().filter(|transfer| transfer.pending()) {
            next.push(countersign(transfer));
        }
        if self.said.state == State::Closed {
            next.push(format!("azir incident open {incident} --why TEXT"));
        } else if next.is_empty() && !self.runs.iter().any(|run| run.being_written) {
            next.push(format!("azir incident close {incident}"));
        }
        next.dedup();
        next
    }
}

/// Returns the command by which the person who takes over says so.
pub fn countersign(transfer: &Transfer) -> String {
    format!("azir journal countersign {}", short(&transfer.run))
}

/// Returns a text, or what stands in its place where it was too long for a line.
fn said_text(value: &Value) -> String {
    match (value.as_str(), value.get("size").and_then(Value::as_u64)) {
        (Some(text), _) => text.to_owned(),
        (None, Some(size)) => format!("({size} bytes, in the evidence folder)"),
        _ => String::new(),
    }
}

/// The persons' signatures beside the checkpoints of a run.
struct Marks(Vec<Mark>);

struct Mark {
    size: u64,
    human: bool,
    second: bool,
}

impl Marks {
    fn of(run_dir: &Path) -> Result<Self, JournalError> {
        let beside = |number: u64, ending: &str| -> bool {
            let name = format::checkpoint_name(number, ending);
            PathBuf::from(run_dir).join("cp").join(name).exists()
        };
        let marks = checkpoints(run_dir)?
            .into_iter()
            .map(|(number, size)| Mark {
                size,
                human: beside(number, "human.sig"),
                second: beside(number, "second.sig"),
            });
        Ok(Self(marks.collect()))
    }

    fn signed(&self) -> bool {
        self.0.last().is_some_and(|mark| mark.human)
    }

    /// Returns who signed for a line: both, beside one checkpoint, where there is such a one.
    fn beside(&self, seq: u64) -> (bool, bool) {
        let covering = || self.0.iter().filter(|mark| mark.size > seq);
        if covering().any(|mark| mark.human && mark.second) {
            return (true, true);
        }
        let given = covering().any(|mark| mark.human);
        (given, !given && covering().any(|mark| mark.second))
    }
}

fn short(run: &str) -> &str {
    super::run::short(run)
}

/// Returns whether a run is one of a runbook: what people wrote around the runs is none.
pub fn is_of_runbook(run: &Run) -> bool {
    run.runbook != INCIDENT
}
