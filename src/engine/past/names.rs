//! The names that a target's templates saw, given back from what its steps left in evidence.
//!
//! Nothing is computed anew but what follows from kept results alone: a value that was made at its time, such as a
//! list of what was found then, stays what it was.

use serde_json::{Value, json};

use super::fold::PastWrite;
use super::record::Past;
use crate::engine::schedule::Part;
use crate::engine::step;
use crate::engine::target::Target;
use crate::runbook::expr::Scope;
use crate::runbook::place::Spanned;

/// Names the results of every node for which `ended` is true, from what `kept` returns of it, in the program's order.
pub(crate) fn restore(
    target: &Target<'_>,
    ended: impl Fn(usize) -> bool,
    kept: impl Fn(usize) -> Option<Value>,
) {
    let program = &target.common.program;
    for (node, place) in program
        .nodes
        .iter()
        .enumerate()
        .filter(|(node, _)| ended(*node))
    {
        match place.part {
            Part::Whole => {
                let step = program.step(node);
                let values = kept(node).unwrap_or_else(|| step::nothing_of(target, step));
                target.names[place.frame].step(&step.id.value, &values);
            }
            Part::Enter(child) => step::enter_as(target, child, &kept(node).unwrap_or(json!({}))),
            // What names something that was never reached stays unnamed, as it was then.
            Part::Exit(child) => drop(step::exit(target, node, child)),
        }
    }
}

/// Names everything that a run came to see, for its undo; what it never came to has no results.
pub(super) fn restore_all(target: &Target<'_>, past: &Past) {
    let program = &target.common.program;
    let known = |node: usize| {
        let outputs = past.outputs(target.index, &program.nodes[node].id);
        let never = matches!(program.nodes[node].part, Part::Enter(_));
        outputs.or_else(|| never.then(|| json!({"skipped": "it was never reached"})))
    };
    let ended = |node: usize| match program.nodes[node].part {
        Part::Whole => past
            .step(target.index, &program.nodes[node].id)
            .is_some_and(|step| step.outputs.is_some()),
        Part::Enter(_) | Part::Exit(_) => true,
    };
    restore(target, ended, known);
    for (frame, names) in program.frames.iter().zip(&target.names) {
        let known = names.scope();
        for step in &frame.runbook.steps {
            if known.get(&step.id.value).is_none() {
                names.step(&step.id.value, &step::nothing_of(target, step));
            }
        }
    }
}

/// Returns the names that one item of a step saw when it had been done: its results, and what was there before and
/// after its write.
pub(crate) fn item_names(
    target: &Target<'_>,
    node: usize,
    item: &Value,
    write: Option<&PastWrite>,
) -> Scope {
    let step = target.common.program.step(node);
    let mut scope = target.scope(node);
    if !item.is_null() {
        scope.set(&step.as_name, item);
        scope.set("item", item);
    }
    let results = target.names[target.common.program.nodes[node].frame]
        .scope()
        .get(&step.id.value)
        .unwrap_or(Value::Null);
    if let Some(write) = write {
        scope.set("before", &write.record["before"]);
        scope.set("after", &write.after);
    }
    let own = match results.get("each").and_then(Value::as_array) {
        Some(each) => each
            .iter()
            .find(|one| one.get("item") == Some(item))
            .cloned(),
        None => Some(results),
    };
    let own = own.and_then(|own| own.as_object().cloned());
    for (name, template) in &step.lets {
        let known = own.as_ref().and_then(|own| own.get(name));
        let value = match (known, write) {
            (Some(value), _) if !value.is_null() => Some(value.clone()),
            // The run was killed before it named its results: they are worked out from what was sent.
            (_, Some(write)) => again(target, write, template, &scope),
            (known, None) => known.cloned(),
        };
        scope.set(name, &value.unwrap_or(Value::Null));
    }
    scope
}

/// Works out a result of a step from the names that the step saw when it wrote.
fn again(
    target: &Target<'_>,
    write: &PastWrite,
    template: &Spanned<Value>,
    scope: &Scope,
) -> Option<Value> {
    let mut scope = scope.clone();
    scope.set("now", &write.record["now"]);
    scope.set("body", &write.after);
    target
        .common
        .expressions
        .value(&template.value, &scope)
        .ok()
}
