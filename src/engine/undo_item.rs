//! The writes of an old run in the order of its undo: looked at for the plan, or put back one by one.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::ending::End;
use super::error::EngineError;
use super::event::{PlannedStep, What};
use super::failure::{Failure, FailureKind};
use super::last_change;
use super::outcome;
use super::past::{Past, PastWrite};
use super::recorder::Recorder;
use super::step;
use super::target::{Common, Target, phase_word};
use super::undo_standing::{Change, Standing, calls, parts};
use super::undo_write::put_back;
use crate::report::model::RunStatus;
use crate::runbook::model::On;

/// So many targets at most are looked up in the logs where nothing is given back to whom it was taken from.
const FEW: usize = 20;

/// Returns who last changed a thing before the run, and, where it drifted, who since; each thing is asked for once.
async fn who(
    target: &Target<'_>,
    old: &Past,
    node: usize,
    write: &PastWrite,
    change: &Change,
    told: &mut HashMap<(String, bool), String>,
) -> String {
    let drifted = matches!(change.standing, Standing::Drifted(_));
    let thing = write.record["target"].as_str().unwrap_or_default();
    let key = (thing.to_ascii_lowercase(), drifted);
    if let Some(known) = told.get(&key) {
        return known.clone();
    }
    let began = old.started_seconds();
    let calls = calls(target, node, &write.item, "who changed it");
    let mut text = last_change::before(target, write, &began, &calls).await;
    if drifted {
        let own = last_change::Own {
            oid: old.own_oid(),
            until: old.ended_at.clone(),
        };
        let since = last_change::since(target, write, &began, &own, &calls).await;
        text = format!("{text}; {since}");
    }
    told.insert(key, text.clone());
    text
}

/// Looks at every write of a target, in the order of the undo.
/// `shown`: a person reads it, and is told who changed each thing.
pub(crate) async fn look(
    target: &Target<'_>,
    old: &Past,
    shown: bool,
) -> Result<Vec<Change>, EngineError> {
    let mut changes = Vec::new();
    // For hundreds of targets that would be thousands of questions to a log, before the first is put back.
    let few = shown && old.target_names().len() <= FEW;
    let mut told = HashMap::new();
    for (node, write) in order(target, old) {
        match write {
            Some(write) => {
                for mut part in parts(target, node, write) {
                    let standing = part.standing(target, node).await;
                    if let Standing::Unreadable(failure) = &standing
                        && failure.kind == FailureKind::Record
                    {
                        return Err(EngineError::Record {
                            message: failure.message.clone(),
                            hint: failure.hint.clone(),
                        });
                    }
                    let mut change = part.change(target, node, standing);
                    if change.standing.writes() && (change.ask || few) {
                        change.last = Some(who(target, old, node, write, &change, &mut told).await);
                    }
                    changes.push(change);
                }
            }
            None => changes.push(Change {
                step: target.common.program.nodes[node].id.clone(),
                title: target.common.program.step(node).title.value.clone(),
                phase: phase_word(target.common.program.step(node)),
                line: String::new(),
                standing: Standing::AsLeft,
                ask: false,
                last: None,
                meant: None,
            }),
        }
    }
    Ok(changes)
}

/// Puts a target back and records it; returns how it ended.
pub(crate) async fn carry_out(target: &Target<'_>, old: &Past, over_drift: bool) -> End {
    let mut tried = 0_usize;
    let mut failed: Vec<Failure> = Vec::new();
    for (node, write) in order(target, old) {
        if target.teller.halted() {
            failed.push(
                Failure::failed(
                    "halted",
                    "the responder stopped the undo",
                    format!("azir undo {}", old.run),
                )
                .of_kind(FailureKind::Halted),
            );
            break;
        }
        tried += 1;
        let result = match write {
            Some(write) => put_back(target, node, write, over_drift).await,
            None => own_step(target, node).await,
        };
        match result {
            Ok(()) => {}
            Err(failure) if failure.kind == FailureKind::Record => {
                failed.push(failure);
                break;
            }
            Err(failure) => failed.push(failure),
        }
    }
    close(target, tried, failed).await
}

/// Tells listeners that the undo begins.
pub(crate) fn tell_start(common: &Common, old: &Past, recorder: &Recorder) {
    let runbook = &common.program.frames[0].runbook;
    let plan = common
        .program
        .nodes
        .iter()
        .enumerate()
        .rev()
        .filter(|(index, node)| {
            old.writes.iter().any(|write| write.step == node.id)
                || common.program.step(*index).on == On::Undo
        })
        .map(|(index, node)| {
            let step = common.program.step(index);
            PlannedStep {
                id: node.id.clone(),
                title: step.title.value.clone(),
                phase: phase_word(step),
                kind: "undo".to_owned(),
                undo: "run the runbook again".to_owned(),
            }
        })
        .collect::<Vec<_>>();
    common.teller.tell(What::RunStarted {
        runbook: runbook.name.value.clone(),
        version: runbook.version.clone(),
        mode: "undo".to_owned(),
        incident: old.incident.to_string(),
        deadline_seconds: None,
        targets: old.target_names(),
        journal: recorder.run_dir(),
        steps: plan.len(),
        plan,
    });
}

/// Returns the writes in reverse order of the file, with the undo's own steps at their places.
fn order<'o>(target: &Target<'_>, old: &'o Past) -> Vec<(usize, Option<&'o PastWrite>)> {
    let program = &target.common.program;
    let mut order = Vec::new();
    for (node, place) in program.nodes.iter().enumerate().rev() {
        if program.step(node).on == On::Undo {
            order.push((node, None));
            continue;
        }
        let writes = old.writes.iter().rev();
        order.extend(
            writes
                .filter(|write| write.target_index == target.index && write.step == place.id)
                .map(|write| (node, Some(write))),
        );
    }
    order
}

/// Takes a step that belongs to the undo alone.
async fn own_step(target: &Target<'_>, node: usize) -> Result<(), Failure> {
    let done = step::execute(target, node).await?;
    for due in done.checks {
        if let Some(failure) = super::check::make(target, node, due).await.failure {
            return Err(failure);
        }
    }
    Ok(())
}

async fn close(target: &Target<'_>, tried: usize, failed: Vec<Failure>) -> End {
    let effects = target.tally().effects;
    let unchecked = target.tally().unchecked;
    let record_lost = failed
        .iter()
        .any(|failure| failure.kind == FailureKind::Record);
    let status = match (failed.is_empty(), effects) {
        (true, _) if unchecked > 0 => RunStatus::Unchecked,
        (true, _) => RunStatus::Undone,
        (false, 0) if failed.len() == tried => RunStatus::Failed,
        (false, _) => RunStatus::Partial,
    };
    let error = failed.first().map(
        |failure| json!({"code": failure.code, "message": failure.message, "hint": failure.hint}),
    );
    let mut lost = record_lost;
    if let Some(recorder) = target.common.power.recorder() {
        let said: Value = Value::Object(Map::from_iter([
            ("target_index".to_owned(), json!(target.index)),
            ("target".to_owned(), json!(target.name)),
            ("status".to_owned(), json!(outcome::word(status))),
            ("error".to_owned(), error.unwrap_or(Value::Null)),
        ]));
        lost |= recorder.note("target", said).await.is_err();
    }
    target.teller.tell(What::TargetEnded {
        status: outcome::word(status),
        error: failed.first().map(|failure| failure.message.clone()),
    });
    End {
        index: target.index,
        status,
        effects,
        record_lost: lost,
        passing: failed.iter().any(|failure| failure.passing),
        // An undo is told by who asked for it.
        ..End::default()
    }
}
