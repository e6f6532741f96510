//! What runs say of themselves, held against what the judge found: whether they came to their end, whether it is so,
//! and whether their checks could have failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::judge::own;
use super::kept::{Kept, KeptRun};
use super::scenario::Scenario;
use super::verdict::{Line, Part};
use crate::engine::event::{Event, Listener, What};
use crate::report::model::RunStatus;
use crate::report::run::{INCIDENT, short};

/// What it counts that runs came to their end.
const ENDED: u32 = 5;
/// What it counts that they say what is so, that their checks could fail, and that their undo came to its end.
const POINTS: u32 = 10;

/// Says whether every run came to a good end.
pub(super) fn ended(kept: &Kept) -> Line {
    let bad = |status: &RunStatus| {
        matches!(
            status,
            RunStatus::Halted | RunStatus::Partial | RunStatus::Failed | RunStatus::Unchecked
        )
    };
    // What somebody did again until it was done was done.
    let done_later = |at: usize, run: &KeptRun| {
        kept.runs[at + 1..].iter().any(|later| {
            later.report.runbook.name == run.report.runbook.name
                && later.report.mode == run.report.mode
                && !bad(&later.report.status)
        })
    };
    let of_runs = kept.runs.iter().enumerate();
    let why = of_runs
        .filter(|(_, run)| run.report.runbook.name != INCIDENT && run.report.mode != "undo")
        .filter(|(at, run)| bad(&run.report.status) && !done_later(*at, run))
        .map(|(_, KeptRun { report, .. })| {
            let status = word(report.status);
            let left: Vec<&str> = report.not_done.iter().map(|one| one.why.as_str()).collect();
            let left = if left.is_empty() {
                String::new()
            } else {
                format!(" ({})", left.join("; "))
            };
            format!(
                "{} {} ended {status}{left}",
                report.runbook.name,
                short(&report.run)
            )
        });
    own(
        Part::Claims,
        "runs_ended",
        "every run came to a good end",
        why.collect(),
        ENDED,
    )
}

/// Says whether what runs that call themselves contained claim with it is so.
pub(super) fn so(kept: &Kept, lines: &[Line], scenario: &Scenario) -> Line {
    let says = |status: RunStatus| {
        matches!(
            status,
            RunStatus::Contained | RunStatus::ContainedResidual | RunStatus::Done
        )
    };
    let not_so = |runbook: &str| -> Vec<&str> {
        let claimed = scenario
            .conditions()
            .filter(|one| one.said_by.iter().any(|by| by == runbook));
        claimed
            .filter(|one| {
                lines
                    .iter()
                    .any(|line| line.id == one.id && line.holds != Some(true))
            })
            .map(|one| one.id.as_str())
            .collect()
    };
    let why = kept
        .of_runbooks()
        .filter(|run| says(run.report.status))
        .map(|run| (run, not_so(&run.report.runbook.name)))
        .filter(|(_, not_so)| !not_so.is_empty())
        .map(|(KeptRun { report, .. }, not_so)| {
            format!(
                "{} {} says {}, and the tenant does not: {}",
                report.runbook.name,
                short(&report.run),
                word(report.status),
                not_so.join(", ")
            )
        });
    own(
        Part::Claims,
        "says_what_is_so",
        "what a run calls done is so",
        why.collect(),
        POINTS,
    )
}

/// Says whether every undo came to its end, and there was one for each run that could be undone.
pub(super) fn undone(kept: &Kept, scenario: &Scenario) -> Line {
    let undos: Vec<&KeptRun> = kept
        .runs
        .iter()
        .filter(|run| run.report.mode == "undo")
        .collect();
    let mut why: Vec<String> = undos
        .iter()
        .filter(|run| run.report.status != RunStatus::Undone)
        .map(|KeptRun { report, .. }| {
            let of = report.of.as_deref().unwrap_or_default();
            format!("the undo of {} ended {}", short(of), word(report.status))
        })
        .collect();
    let undone: BTreeSet<&str> = undos
        .iter()
        .filter_map(|run| run.report.of.as_deref())
        .collect();
    let left = kept
        .of_runbooks()
        .filter(|run| run.report.undo.is_some() && !undone.contains(run.report.run.as_str()))
        .filter(|run| !scenario.is_lasting(&run.report.runbook.name));
    why.extend(left.map(|run| {
        format!(
            "{} {} was not undone",
            run.report.runbook.name,
            short(&run.report.run)
        )
    }));
    own(
        Part::Undone,
        "undo_ends",
        "every run could be undone",
        why,
        POINTS,
    )
}

fn word(status: RunStatus) -> String {
    let word = serde_json::to_value(status).ok();
    word.and_then(|word| word.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

/// Which checks of the runs were true before their steps did anything.
#[derive(Default)]
pub struct Proofs {
    /// By runbook and step as the scenario excuses them.
    already: BTreeMap<String, BTreeMap<String, String>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Which runbook the run now under way has.
    runbook: String,
    /// Runbook, step, claim.
    empty: BTreeSet<(String, String, String)>,
    checked: usize,
}

impl Proofs {
    /// Excuses the steps that a scenario names.
    pub fn of(scenario: &Scenario) -> Self {
        let runs = scenario.auto.iter();
        Self {
            already: runs
                .map(|run| (run.run.clone(), run.already.clone()))
                .collect(),
            seen: Mutex::default(),
        }
    }

    /// Says whether every check could have failed.
    pub(super) fn line(&self) -> Line {
        let seen = self.seen();
        let excused = |runbook: &str, step: &str| {
            self.already
                .get(runbook)
                .is_some_and(|steps| steps.contains_key(step))
        };
        let mut why: Vec<String> = seen
            .empty
            .iter()
            .filter(|(runbook, step, _)| !excused(runbook, step))
            .map(|(runbook, step, claim)| {
                format!("{runbook}, step {step}: the check was true before anything was done and proves nothing: {claim}")
            })
            .collect();
        if seen.checked == 0 {
            why.push("nothing was checked".to_owned());
        }
        own(
            Part::Claims,
            "checks_can_fail",
            "every check was false before its step had acted",
            why,
            POINTS,
        )
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Proofs {
    fn hear(&self, event: &Event) {
        let mut seen = self.seen();
        match &event.what {
            What::RunStarted { runbook, .. } => seen.runbook.clone_from(runbook),
            What::Checked { .. } => seen.checked += 1,
            What::AlreadyTrue { claim } => {
                let step = event.step.clone().unwrap_or_default();
                let runbook = seen.runbook.clone();
                seen.empty.insert((runbook, step, claim.clone()));
            }
            _ => {}
        }
    }
}
