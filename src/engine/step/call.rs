//! `run`: another runbook in the same run and journal.

use serde_json::{Map, Value};

use super::StepDone;
use super::in_plan::in_plan;
use super::lines::reason;
use crate::engine::event::{StepOutcome, What};
use crate::engine::failure::Failure;
use crate::engine::schedule::Part;
use crate::engine::target::Target;
use crate::runbook::model::{Action, Purpose};

/// The name under which a frame knows why it is not to be run.
const SKIPPED: &str = "__skipped";
/// The name under which a frame knows that it was begun.
const ENTERED: &str = "__entered";

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
    let parent = target.common.program.nodes[node].frame;
    // A condition may name what a skipped runbook was never given.
    if let Some(why) = skipped(target, parent) {
        target.names[child].step(SKIPPED, &Value::String(why));
        return Ok(StepDone::default());
    }
    let wanted = match &step.when {
        Some(when) => target
            .common
            .expressions
            .truth(when, &scope)
            .map_err(failed)?,
        None => true,
    };
    if !wanted {
        let why = reason(target, node, &scope)?;
        target.names[child].step(SKIPPED, &Value::String(why.clone()));
        if !in_plan(target) {
            target.teller.of_step(id).tell(What::StepEnded {
                outcome: StepOutcome::Skipped,
                elapsed_ms: 0,
                why: Some(why),
            });
        }
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
    target.names[child].step(ENTERED, &Value::Bool(true));
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
