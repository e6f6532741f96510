//! Fallbacks: what another step could not do is done another way, at a price that somebody pays.
//!
//! A fallback sees the items that are left of the step it stands in for, when everything that was tried before it has
//! been checked. What it has done and its own checks have shown covers them, so that they no longer count as failed:
//! the record keeps the failure, the cover and the price, and the report tells all three.

use serde_json::{Value, json};

use super::ItemDone;
use super::in_plan::in_plan;
use super::words::writes;
use crate::engine::event::{StepOutcome, What};
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::schedule::Part;
use crate::engine::target::Target;
use crate::runbook::expr::Scope;
use crate::runbook::model::{Fallback, Step};

/// Returns the items that are left to a fallback: those that failed, or, in a plan, all that might. `None`: the node is
/// no fallback.
pub(crate) fn left(target: &Target<'_>, node: usize) -> Option<Vec<Value>> {
    let place = &target.common.program.nodes[node];
    let step = target.common.program.step(node);
    let fallback = step
        .fallback
        .as_ref()
        .filter(|_| place.part == Part::Whole)?;
    if in_plan(target) {
        let scope = target.names[place.frame].scope();
        let planned = scope.get(&fallback.of.value);
        let each = planned.as_ref().and_then(|all| all["each"].as_array());
        let items = each.into_iter().flatten().map(|one| one["item"].clone());
        return Some(items.collect());
    }
    let origin = origin(target, node, fallback);
    let tally = target.tally();
    let items = tally
        .uncovered
        .iter()
        .filter(|one| Some(one.node) == origin);
    Some(items.map(|one| one.value.clone()).collect())
}

/// Says why a fallback is not taken, if it is not.
pub(super) fn needless(target: &Target<'_>, node: usize) -> Option<String> {
    let fallback = target.common.program.step(node).fallback.as_ref()?;
    let left = left(target, node)?;
    left.is_empty()
        .then(|| format!("nothing of {} is left to it", fallback.of.value))
}

/// Says of a fallback that is needless now, and that an earlier session has done, that it is in force all the same.
pub(super) async fn in_force(target: &Target<'_>, node: usize) -> Result<(), Failure> {
    let step = target.common.program.step(node);
    let past = target.past_step(node);
    let Some(past) = past.filter(|past| past.outcome == Some(StepOutcome::Done) && writes(step))
    else {
        return Ok(());
    };
    let price = past.price.as_ref().map(|price| format!(" ({price})"));
    let open = format!(
        "done when {} was refused, and in force although it is not any more: {}{}",
        step.fallback
            .as_ref()
            .map_or("it", |of| of.of.value.as_str()),
        step.title.value.to_lowercase(),
        price.unwrap_or_default()
    );
    target.tally().collateral.extend(past.price.clone());
    target.say_open(node, &open, open.clone()).await
}

/// Returns who pays for a step, if it is a fallback; as the runbook writes it where that cannot be said yet.
pub(super) fn price(target: &Target<'_>, step: &Step, node: usize) -> Option<String> {
    let price = step.fallback.as_ref()?.price.as_ref()?;
    let scope = target.scope(node);
    let known = target.common.expressions.text(price, &scope);
    Some(known.unwrap_or_else(|_| price.value.clone()))
}

/// Says in a plan when a fallback is taken, and who pays then.
pub(super) fn in_words(target: &Target<'_>, step: &Step, scope: &Scope) -> String {
    let Some(fallback) = &step.fallback else {
        return String::new();
    };
    let price = fallback.price.as_ref().map(|price| {
        let known = target.common.expressions.text(price, scope);
        format!(": {}", known.unwrap_or_else(|_| price.value.clone()))
    });
    format!(
        "only where {} is refused{}",
        fallback.of.value,
        price.unwrap_or_default()
    )
}

/// Returns the nodes whose checks must have been made before a node may start: of a fallback that something is left to,
/// the step and its other fallbacks before it.
pub(crate) fn waits_for(target: &Target<'_>, node: usize) -> Vec<usize> {
    let Some(fallback) = &target.common.program.step(node).fallback else {
        return Vec::new();
    };
    let nothing = left(target, node).is_none_or(|left| left.is_empty());
    match origin(target, node, fallback) {
        Some(origin) if !nothing => family(target, node, origin, fallback)
            .into_iter()
            .filter(|other| *other < node)
            .collect(),
        _ => Vec::new(),
    }
}

/// Writes down who pays for what a fallback has done, and tells it.
pub(super) async fn paid(
    target: &Target<'_>,
    node: usize,
    done: &[ItemDone],
    price: Option<String>,
) -> Result<(), Failure> {
    let step = target.common.program.step(node);
    let Some(fallback) = step.fallback.as_ref().filter(|_| writes(step)) else {
        return Ok(());
    };
    if done.is_empty() {
        return Ok(());
    }
    let id = &target.common.program.nodes[node].id;
    if let Some(recorder) = target.common.power.recorder() {
        let said = json!({"step": id, "target_index": target.index, "price": price});
        recorder.note("paid", said).await?;
    }
    let how = if fallback.lessens {
        "made better"
    } else {
        "done"
    };
    let words = price.as_ref().map(|price| format!(" ({price})"));
    let text = format!(
        "{} was refused and is {how} another way: {}{}",
        fallback.of.value,
        step.title.value,
        words.unwrap_or_default()
    );
    target.tally().collateral.extend(price);
    target.teller.of_step(id).tell(What::Note { text });
    Ok(())
}

/// Takes an item that a fallback has done, as its checks show, off what counts as failed; without `for_each` all of them.
pub(crate) async fn cover(target: &Target<'_>, node: usize, item: &str) -> Result<(), Failure> {
    let step = target.common.program.step(node);
    let fallback = step.fallback.as_ref().filter(|_| writes(step));
    let Some(fallback) = fallback.filter(|fallback| !fallback.lessens) else {
        return Ok(());
    };
    let Some(origin) = origin(target, node, fallback) else {
        return Ok(());
    };
    let nodes = &target.common.program.nodes;
    let mut items: Vec<String> = Vec::new();
    let mut settles: Vec<&str> = Vec::new();
    {
        let mut tally = target.tally();
        tally.uncovered.retain(|one| {
            let covered = one.node == origin && (step.for_each.is_none() || one.key == item);
            if covered {
                items.push(one.key.clone());
            }
            !covered
        });
        if items.is_empty() {
            return Ok(());
        }
        if tally.uncovered.iter().all(|one| one.node != origin) {
            // The other ways to the same end need not have worked.
            let family = family(target, node, origin, fallback);
            settles = family.iter().map(|one| nodes[*one].id.as_str()).collect();
            tally.uncovered.retain(|one| !family.contains(&one.node));
            tally.left.retain(|(id, failure)| {
                !settles.contains(&id.as_str()) || failure.kind == FailureKind::Unknown
            });
        }
    }
    if let Some(recorder) = target.common.power.recorder() {
        let said = json!({
            "step": nodes[node].id, "target_index": target.index, "of": nodes[origin].id,
            "items": items, "settles": settles,
        });
        recorder.note("covered", said).await?;
    }
    Ok(())
}

/// Returns the node of the step that a fallback is one of.
fn origin(target: &Target<'_>, node: usize, fallback: &Fallback) -> Option<usize> {
    let program = &target.common.program;
    let frame = program.nodes[node].frame;
    (0..node).find(|other| {
        let place = &program.nodes[*other];
        place.frame == frame
            && place.part == Part::Whole
            && program.step(*other).id.value == fallback.of.value
    })
}

/// Returns the nodes of a step and of all its fallbacks.
fn family(target: &Target<'_>, node: usize, origin: usize, fallback: &Fallback) -> Vec<usize> {
    let program = &target.common.program;
    let frame = program.nodes[node].frame;
    let of_it = |other: &usize| {
        let other_step = program.step(*other).fallback.as_ref();
        *other == origin
            || program.nodes[*other].frame == frame
                && other_step.is_some_and(|one| one.of.value == fallback.of.value)
    };
    (0..program.nodes.len()).filter(of_it).collect()
}
