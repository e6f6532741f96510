//! `run`: another runbook in the same run and journal.

use serde_json::{Map, Value};

use super::StepDone;
use crate::engine::failure::Failure;
use crate::engine::schedule::Part;
use crate::engine::target::Target;
use crate::runbook::model::Action;

/// The name under which a frame knows that it is not to be run.
const SKIPPED: &str = "__skipped";

/// Hands the parameters to the called frame, or marks it as skipped.
pub(super) async fn enter(
    target: &Target<'_>,
    node: usize,
    child: usize,
) -> Result<StepDone, Failure> {
    let step = target.common.program.step(node);
    let id = &target.common.program.nodes[node].id;
    let scope = target.scope(node);
    let failed = |error| Failure::expression(id, &error);
    let wanted = match &step.when {
        Some(when) => target
            .common
            .expressions
            .truth(when, &scope)
            .map_err(failed)?,
        None => true,
    };
    let parent = target.common.program.nodes[node].frame;
    if !wanted || skipped(target, parent) {
        target.names[child].step(SKIPPED, &Value::Bool(true));
        return Ok(StepDone::default());
    }
    let Action::Run(other) = &step.action else {
        return Ok(StepDone::default());
    };
    let runbook = &target.common.program.frames[child].runbook;
    let mut given = Map::new();
    for (name, template) in &other.with {
        let value = target
            .common
            .expressions
            .value(&template.value, &scope)
            .map_err(failed)?;
        given.insert(name.clone(), value);
    }
    target.names[child].parameters(runbook.params.iter().map(|(name, param)| {
        let value = given.get(name).cloned().or_else(|| param.default.clone());
        (name, value.unwrap_or(Value::Null))
    }));
    Ok(StepDone::default())
}

/// Names the parameters of every called frame again, from the results that its caller's steps had.
pub(crate) fn restore_called(target: &Target<'_>) {
    for (node, place) in target.common.program.nodes.iter().enumerate() {
        let Part::Enter(child) = place.part else {
            continue;
        };
        let Action::Run(other) = &target.common.program.step(node).action else {
            continue;
        };
        let scope = target.scope(node);
        let runbook = &target.common.program.frames[child].runbook;
        target.names[child].parameters(runbook.params.iter().map(|(name, param)| {
            // What named a step that was never reached is null, as it was then.
            let given = other.with.get(name).and_then(|template| {
                target
                    .common
                    .expressions
                    .value(&template.value, &scope)
                    .ok()
            });
            (
                name,
                given
                    .or_else(|| param.default.clone())
                    .unwrap_or(Value::Null),
            )
        }));
    }
}

/// Hands the results of the called frame to the step that called it.
pub(super) fn exit(target: &Target<'_>, node: usize, child: usize) -> Result<StepDone, Failure> {
    let id = &target.common.program.nodes[node].id;
    let runbook = &target.common.program.frames[child].runbook;
    let mut values = Map::new();
    let scope = target.names[child].scope();
    for (name, template) in &runbook.result {
        let value = if skipped(target, child) {
            Value::Null
        } else {
            match target.common.expressions.value(&template.value, &scope) {
                Ok(value) => value,
                // In a plan some results are known only at run time; a run must have them.
                Err(_) if super::in_plan::in_plan(target) => Value::Array(Vec::new()),
                Err(error) => return Err(Failure::expression(id, &error)),
            }
        };
        values.insert(name.clone(), value);
    }
    super::lines::name_results(target, node, &Value::Object(values));
    Ok(StepDone::default())
}

/// Returns whether a frame is not to be run.
pub(super) fn skipped(target: &Target<'_>, frame: usize) -> bool {
    target.names[frame].scope().get(SKIPPED) == Some(Value::Bool(true))
}
