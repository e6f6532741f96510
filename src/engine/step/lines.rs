//! What a step leaves in the journal and tells the responder: that it began, ended or was skipped, and with what.

use serde_json::{Map, Value, json};

use super::in_plan::in_plan;
use super::{Item, StepDone, kind_word, note_plan};
use crate::engine::event::{StepOutcome, What};
use crate::engine::failure::Failure;
use crate::engine::recorder::{Kept, object};
use crate::engine::target::{Target, phase_word};
use crate::runbook::expr::Scope;
use crate::runbook::model::{Action, Step};

pub(super) async fn record_start(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    title: &str,
    items: &[Item<'_>],
) -> Result<(), Failure> {
    let Some(recorder) = target.common.power.recorder() else {
        return Ok(());
    };
    let id = &target.common.program.nodes[node].id;
    let keys: Value = items
        .iter()
        .map(|item| Value::String(item.key.clone()))
        .collect();
    let data = object(json!({
        "step": id,
        "title": title,
        "phase": phase_word(step),
        "kind": kind_word(step),
        "target_index": target.index,
        "order": node,
        "state": "started",
        "items": recorder.inline_or_cite(&keys)?,
    }));
    recorder.line("step", data).await.map(|_| ())
}

pub(super) async fn end(
    target: &Target<'_>,
    node: usize,
    id: &str,
    began: u64,
    outcome: StepOutcome,
    why: Option<String>,
    outputs: Option<Value>,
) -> Result<(), Failure> {
    record_end(target, node, id, outcome, why.as_deref(), outputs).await?;
    let teller = target.teller.of_step(id);
    let elapsed_ms = teller.clock().mono_us().saturating_sub(began) / 1_000;
    teller.tell(What::StepEnded {
        outcome,
        elapsed_ms,
        why,
    });
    Ok(())
}

async fn record_end(
    target: &Target<'_>,
    node: usize,
    id: &str,
    outcome: StepOutcome,
    why: Option<&str>,
    outputs: Option<Value>,
) -> Result<(), Failure> {
    if let Some(recorder) = target.common.power.recorder() {
        let data = object(json!({
            "step": id,
            "target_index": target.index,
            "order": node,
            "state": if outcome == StepOutcome::Skipped { "skipped" } else { "ended" },
            "outcome": outcome,
            "title": target.common.program.step(node).title.value,
            "phase": phase_word(target.common.program.step(node)),
            "kind": kind_word(target.common.program.step(node)),
            "why": why,
            "outputs": outputs,
        }));
        recorder.line("step", data).await?;
    }
    Ok(())
}

/// Returns why a step whose condition does not hold is skipped, in its own words.
pub(super) fn reason(target: &Target<'_>, node: usize, scope: &Scope) -> Result<String, Failure> {
    let id = &target.common.program.nodes[node].id;
    match &target.common.program.step(node).skip_reason {
        Some(reason) => target
            .common
            .expressions
            .text(reason, scope)
            .map_err(|error| Failure::expression(id, &error)),
        None => Ok("its condition does not hold".to_owned()),
    }
}

/// Skips a step; quietly, where the responder was told of the whole runbook that it is a part of.
pub(super) async fn skip(
    target: &Target<'_>,
    node: usize,
    why: String,
    quietly: bool,
) -> Result<StepDone, Failure> {
    let step = target.common.program.step(node);
    let id = target.common.program.nodes[node].id.clone();
    let values = nothing_at_all(step);
    name_results(target, node, &values);
    if in_plan(target) {
        note_plan(target, node, Vec::new(), Some(format!("skipped: {why}")));
        return Ok(StepDone::default());
    }
    let outputs = keep_outputs(target, node, &values)?;
    if quietly {
        record_end(target, node, &id, StepOutcome::Skipped, Some(&why), outputs).await?;
    } else {
        let began = target.teller.clock().mono_us();
        let why = Some(why);
        end(target, node, &id, began, StepOutcome::Skipped, why, outputs).await?;
    }
    Ok(StepDone::default())
}

/// Returns the results of a step that was not done: every name, and nothing behind it.
pub(super) fn nothing(step: &Step) -> Value {
    let mut values: Map<String, Value> = step
        .lets
        .keys()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    if matches!(step.action, Action::Decide(_)) {
        values.insert("chosen".to_owned(), json!([]));
    }
    Value::Object(values)
}

/// Returns the results of a step that was skipped.
pub(super) fn nothing_at_all(step: &Step) -> Value {
    if step.for_each.is_some() {
        json!({"each": []})
    } else {
        nothing(step)
    }
}

/// Returns the results of a step that was never reached: of a `run` step every result of the runbook it calls, null.
pub(crate) fn nothing_of(target: &Target<'_>, step: &Step) -> Value {
    if let Action::Run(other) = &step.action {
        let frames = &target.common.program.frames;
        let called = frames
            .iter()
            .find(|frame| frame.runbook.name.value == other.runbook.value);
        let names = called
            .into_iter()
            .flat_map(|frame| frame.runbook.result.keys());
        return Value::Object(names.map(|name| (name.clone(), Value::Null)).collect());
    }
    nothing_at_all(step)
}

pub(super) fn name_results(target: &Target<'_>, node: usize, values: &Value) {
    let node = &target.common.program.nodes[node];
    let step = &target.common.program.frames[node.frame].runbook.steps[node.step];
    target.names[node.frame].step(&step.id.value, values);
}

/// Keeps the results of a node in evidence, where it has any; returns how the journal cites them.
pub(super) fn keep_outputs(
    target: &Target<'_>,
    node: usize,
    values: &Value,
) -> Result<Option<Value>, Failure> {
    match target.common.power.recorder() {
        Some(recorder)
            if values
                .as_object()
                .is_some_and(|members| !members.is_empty()) =>
        {
            let cite = recorder.keep(values)?;
            target.keep_results(node, Kept::Cited(cite));
            Ok(Some(cite.value()))
        }
        _ => Ok(None),
    }
}

pub(super) async fn say_of(
    target: &Target<'_>,
    node: usize,
    say: &str,
    values: &Value,
) -> Result<(), Failure> {
    let mut scope = target.scope(node);
    for (name, value) in values.as_object().into_iter().flatten() {
        scope.set(name, value);
    }
    let id = &target.common.program.nodes[node].id;
    let text = target
        .common
        .expressions
        .text(say, &scope)
        .map_err(|error| Failure::expression(id, &error))?;
    if text.is_empty() {
        Ok(())
    } else {
        target.say(node, &text).await
    }
}
