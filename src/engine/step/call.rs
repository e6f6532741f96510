//! `run`: another runbook in the same run and journal.

use serde_json::{Map, Value, json};

use super::StepDone;
use super::in_plan::in_plan;
use super::lines::reason;
use crate::engine::event::{StepOutcome, What};
use crate::engine::failure::Failure;
use crate::engine::target::Target;
use crate::runbook::model::{Action, Purpose};

/// The name under which a frame knows why it is not to be run.
const SKIPPED: &str = "__skipped";
/// The name under which a frame knows that it was begun.
const ENTERED: &str = "__entered";

/// Hands the parameters to the called frame, or marks it as skipped; what it was given is kept, because it may hold
/// what was so at that time.
pub(super) async fn enter(
    target: &Target<'_>,
    node: usize,
    child: usize,
) -> Result<StepDone, Failure> {
    let id = &target.common.program.nodes[node].id;
    let (entry, told) = entry(target, node, child)?;
    enter_as(target, child, &entry);
    if let Some(recorder) = target.common.power.recorder() {
        let kept = recorder.keep_text(&entry)?;
        let data = json!({"step": id, "target_index": target.index, "outputs": kept.value()});
        target.keep_results(node, kept);
        recorder.note("entered", data).await?;
    }
    if let (Some(why), false) = (told, in_plan(target)) {
        target.teller.of_step(id).tell(What::StepEnded {
            outcome: StepOutcome::Skipped,
            elapsed_ms: 0,
            why: Some(why),
        });
    }
    Ok(StepDone::default())
}

/// Returns what a called frame is given, `{"given": {...}}`, or why it is not entered, `{"skipped": "..."}`; and
/// what of that is told.
fn entry(
    target: &Target<'_>,
    node: usize,
    child: usize,
) -> Result<(Value, Option<String>), Failure> {
    let step = target.common.program.step(node);
    let id = &target.common.program.nodes[node].id;
    let scope = target.scope(node);
    let failed = |error| Failure::expression(id, &error);
    // A condition may name what a skipped runbook was never given.
    if let Some(why) = skipped(target, target.common.program.nodes[node].frame) {
        return Ok((json!({"skipped": why}), None));
    }
    let expressions = &target.common.expressions;
    let wanted = match &step.when {
        Some(when) => expressions.truth(when, &scope).map_err(failed)?,
        None => true,
    };
    if !wanted {
        let why = reason(target, node, &scope)?;
        return Ok((json!({"skipped": why}), Some(why)));
    }
    let mut given = Map::new();
    if let Action::Run(other) = &step.action {
        for (name, template) in &other.with {
            let value = expressions.value(&template.value, &scope);
            given.insert(name.clone(), value.map_err(failed)?);
        }
    }
    let runbook = &target.common.program.frames[child].runbook;
    let all = runbook.params.iter().map(|(name, param)| {
        let value = given.get(name).cloned().or_else(|| param.default.clone());
        (name.clone(), value.unwrap_or(Value::Null))
    });
    Ok((json!({"given": Value::Object(all.collect())}), None))
}

/// Enters a called frame as it was entered: with what it was given, or not at all. What was never reached has no
/// parameters.
pub(crate) fn enter_as(target: &Target<'_>, child: usize, entry: &Value) {
    let names = &target.names[child];
    if let Some(why) = entry.get("skipped") {
        names.step(SKIPPED, why);
    }
    if let Some(given) = entry.get("given").and_then(Value::as_object) {
        names.step(ENTERED, &Value::Bool(true));
        names.parameters(given.iter().map(|(name, value)| (name, value.clone())));
    }
}

/// Hands the results of the called frame to the step that called it.
pub(crate) fn exit(target: &Target<'_>, node: usize, child: usize) -> Result<StepDone, Failure> {
    let id = &target.common.program.nodes[node].id;
    let runbook = &target.common.program.frames[child].runbook;
    let mut values = Map::new();
    let scope = target.names[child].scope();
    for (name, template) in &runbook.result {
        let value = if skipped(target, child).is_some() {
            Value::Null
        } else {
            match target.common.expressions.value(&template.value, &scope) {
                Ok(value) => value,
                // In a plan some results are known only at run time; a run must have them.
                Err(_) if in_plan(target) => Value::Array(Vec::new()),
                Err(error) => return Err(Failure::expression(id, &error)),
            }
        };
        values.insert(name.clone(), value);
    }
    super::lines::name_results(target, node, &Value::Object(values));
    // Nobody asks one that only reads for more than its results; one that acts has its findings said at the end.
    if runbook.purpose == Purpose::Read {
        target.names[child].keep_only(&[ENTERED, SKIPPED]);
    }
    Ok(StepDone::default())
}

/// Returns whether a called frame was begun: it was neither skipped nor never reached.
pub(crate) fn entered(target: &Target<'_>, frame: usize) -> bool {
    target.names[frame].scope().get(ENTERED).is_some()
}

/// Returns why a frame is not to be run, if it is not.
pub(crate) fn skipped(target: &Target<'_>, frame: usize) -> Option<String> {
    let why = target.names[frame].scope().get(SKIPPED)?;
    why.as_str().map(str::to_owned)
}
