//! What runs say of themselves, held against what the judge found: whether they came to their end, whether it is so,
//! and whether their checks could have failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::judge::own;
use super::kept::{Kept, KeptRun};
use super::scenario::{Condition, SaidBy, Scenario};
use super::verdict::{Line, Part};
use crate::engine::event::{Event, Listener, What};
use crate::report::model::RunStatus;
use crate::report::run::short;
use crate::runbook::expr::{Expressions, Scope};

/// What it counts that runs came to their end.
const ENDED: u32 = 5;
/// What it counts that they say what is so, that their checks could fail, and that their undo came to its end.
const POINTS: u32 = 10;

/// Says whether every run came to a good end.
pub(super) fn ended(kept: &Kept) -> Line {
    let none = kept.acted().next().is_none();
    let mut why: Vec<String> = Vec::new();
    if none {
        why.push("no run is on record".to_owned());
    }
    let of_runs: Vec<&KeptRun> = kept.of_runbooks().collect();
    let bad = of_runs
        .iter()
        .enumerate()
        .filter(|(at, run)| is_bad(run.report.status) && !is_done_later(run, &of_runs[at + 1..]));
    why.extend(bad.map(|(_, KeptRun { report, .. })| {
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
    }));
    own(
        Part::Claims,
        "runs_ended",
        "every run came to a good end",
        why,
        ENDED,
    )
}

fn is_bad(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Halted | RunStatus::Partial | RunStatus::Failed | RunStatus::Unchecked
    )
}

fn is_good(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Contained | RunStatus::ContainedResidual | RunStatus::Done
    )
}

/// Whether what a run left undone was done by later ones of its runbook, for each of its targets.
fn is_done_later(run: &KeptRun, later: &[&KeptRun]) -> bool {
    let same = |other: &&&KeptRun| other.report.runbook.name == run.report.runbook.name;
    let later: Vec<&KeptRun> = later.iter().filter(same).copied().collect();
    let targets = &run.report.targets;
    let left: Vec<&str> = targets
        .iter()
        .filter(|target| !is_good(target.status))
        .map(|target| target.target.as_str())
        .collect();
    if left.is_empty() {
        return later.iter().any(|other| is_good(other.report.status));
    }
    left.iter().all(|left| {
        let done = later.iter().flat_map(|other| &other.report.targets);
        let mut done = done.filter(|target| is_good(target.status));
        done.any(|target| target.target.eq_ignore_ascii_case(left))
    })
}

/// Says whether what runs that call themselves contained claim with it is so.
pub(super) fn so(
    kept: &Kept,
    lines: &[Line],
    scenario: &Scenario,
    expressions: &Expressions,
    scope: &Scope,
) -> Line {
    let not_so = |one: &&Condition| {
        let line = lines.iter().find(|line| line.id == one.id);
        line.is_some_and(|line| line.holds != Some(true))
    };
    let not_so: Vec<&Condition> = scenario.conditions().filter(not_so).collect();
    let mut why: Vec<String> = Vec::new();
    if kept.acted().next().is_none() {
        why.push("no run is on record: nothing was said".to_owned());
    }
    for run in kept.of_runbooks() {
        let report = &run.report;
        let mut claimed: BTreeMap<&str, String> = BTreeMap::new();
        for condition in &not_so {
            for by in &condition.said_by {
                match says(run, by, expressions, scope) {
                    Ok(None) => {}
                    Ok(Some(status)) => {
                        claimed.insert(&condition.id, word(status));
                    }
                    Err(error) => why.push(format!("{}: {error}", condition.id)),
                }
            }
        }
        let Some(says) = claimed.values().next() else {
            continue;
        };
        let ids: Vec<&str> = claimed.keys().copied().collect();
        why.push(format!(
            "{} {} says {says}, and the tenant does not: {}",
            report.runbook.name,
            short(&report.run),
            ids.join(", ")
        ));
    }
    own(
        Part::Claims,
        "says_what_is_so",
        "what a run calls done is so",
        why,
        POINTS,
    )
}

/// Returns how a run that claims something calls itself, if it claims it.
///
/// # Errors
/// A template without value.
fn says(
    run: &KeptRun,
    by: &SaidBy,
    expressions: &Expressions,
    scope: &Scope,
) -> Result<Option<RunStatus>, String> {
    let report = &run.report;
    if report.runbook.name != by.run {
        return Ok(None);
    }
    let names = expressions.template(&by.target, scope);
    let names: Vec<String> = match names.map_err(|error| error.to_string())? {
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_lowercase))
            .collect(),
        Value::String(name) => vec![name.to_lowercase()],
        _ => Vec::new(),
    };
    for target in &report.targets {
        if !is_good(target.status) || !run.is_about(&target.target, &names) {
            continue;
        }
        let Some(when) = &by.when else {
            return Ok(Some(target.status));
        };
        let mut scope = scope.clone();
        let arguments = run.arguments.get(&target.target);
        scope.set("arguments", arguments.unwrap_or(&Value::Null));
        let is = expressions.truth(when, &scope);
        if is.map_err(|error| error.to_string())? {
            return Ok(Some(target.status));
        }
    }
    Ok(None)
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
    if kept.acted().next().is_none() {
        why.push("no run is on record: there was nothing to undo".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::model::{RunReport, RunbookRef, TargetReport};

    fn run(runbook: &str, targets: &[(&str, RunStatus)], arguments: &Value) -> KeptRun {
        let targets = targets.iter().map(|(target, status)| TargetReport {
            target: (*target).to_owned(),
            status: *status,
            contained_at: None,
            error: None,
            steps: Vec::new(),
        });
        let targets: Vec<TargetReport> = targets.collect();
        let worst = targets.iter().find(|target| !is_good(target.status));
        let arguments = targets
            .iter()
            .map(|target| (target.target.clone(), arguments.clone()));
        KeptRun {
            unverified: None,
            arguments: arguments.collect(),
            report: RunReport {
                runbook: RunbookRef {
                    name: runbook.to_owned(),
                    ..RunbookRef::default()
                },
                status: worst.map_or(RunStatus::Contained, |target| target.status),
                targets,
                ..RunReport::default()
            },
        }
    }

    fn claims(run: &KeptRun, runbook: &str, target: &str, when: Option<&str>) -> bool {
        let by = SaidBy {
            run: runbook.to_owned(),
            target: target.to_owned(),
            when: when.map(str::to_owned),
        };
        let mut scope = Scope::new();
        scope.set("user", &json!("ID-1"));
        scope.set("upn", &json!("nora@contoso.com"));
        says(run, &by, &Expressions::new(), &scope)
            .unwrap()
            .is_some()
    }

    #[test]
    fn a_run_claims_what_it_was_about_and_ended_well_and_nothing_else() {
        let (good, bad) = (RunStatus::ContainedResidual, RunStatus::Unchecked);
        let asked = json!({"user": {"id": "id-1"}, "entry": "lost-laptop"});
        let by_name = run("revoke-user", &[("Nora@contoso.com", good)], &Value::Null);
        let by_id = run("revoke-user", &[("Nora Lind", good)], &asked);
        let both = "{{ [user, upn] }}";
        assert!(claims(&by_name, "revoke-user", both, None));
        assert!(claims(&by_id, "revoke-user", "{{ user }}", None));
        assert!(!claims(&by_id, "revoke-app", both, None));
        let other = run("revoke-user", &[("otto@contoso.com", good)], &Value::Null);
        assert!(!claims(&other, "revoke-user", both, None));
        // Of several targets each speaks for itself.
        let mixed = [("otto@contoso.com", good), ("nora@contoso.com", bad)];
        let mixed = run("revoke-user", &mixed, &Value::Null);
        assert!(!claims(&mixed, "revoke-user", both, None));
        let entry = |word: &str| format!("{{{{ arguments.entry == '{word}' }}}}");
        assert!(claims(
            &by_id,
            "revoke-user",
            both,
            Some(&entry("lost-laptop"))
        ));
        assert!(!claims(
            &by_id,
            "revoke-user",
            both,
            Some(&entry("leaked-secret"))
        ));
    }

    #[test]
    fn what_is_done_to_another_makes_up_for_nothing() {
        let (good, bad) = (RunStatus::Contained, RunStatus::Partial);
        let failed = run("revoke-user", &[("nora", bad)], &Value::Null);
        let other = run("revoke-user", &[("otto", good)], &Value::Null);
        let again = run("revoke-user", &[("NORA", good)], &Value::Null);
        assert!(!is_done_later(&failed, &[&other]));
        assert!(is_done_later(&failed, &[&other, &again]));
        let kept = |runs: Vec<KeptRun>| Kept {
            runs,
            ..Kept::default()
        };
        assert_eq!(ended(&kept(Vec::new())).holds, Some(false), "nobody acted");
        let refused = run("revoke-user", &[("nora", RunStatus::Refused)], &Value::Null);
        assert_eq!(ended(&kept(vec![refused])).holds, Some(false));
        assert_eq!(ended(&kept(vec![failed, other])).holds, Some(false));
        assert_eq!(ended(&kept(vec![again])).holds, Some(true));
    }
}
