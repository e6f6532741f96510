//! Fallbacks: what another step could not do is done another way, at a price that somebody pays.
//!
//! A fallback sees the items that are left of the step it stands in for. What it has done covers them, so that they no
//! longer count as failed: the record keeps the failure, the cover and the price, and the report tells all three. Its
//! own checks decide whether the cover holds.

use serde_json::{Value, json};

use super::ItemDone;
use super::in_plan::in_plan;
use super::words::writes;
use crate::engine::event::What;
use crate::engine::failure::Failure;
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

/// Takes what a fallback has done off what counts as failed, and writes down who paid.
pub(super) async fn cover(
    target: &Target<'_>,
    node: usize,
    done: &[ItemDone],
    price: Option<String>,
) -> Result<(), Failure> {
    let step = target.common.program.step(node);
    let Some(fallback) = step.fallback.as_ref().filter(|_| writes(step)) else {
        return Ok(());
    };
    let Some(origin) = origin(target, node, fallback).filter(|_| !done.is_empty()) else {
        return Ok(());
    };
    let covers = |key: &str| step.for_each.is_none() || done.iter().any(|item| item.key == key);
    let nodes = &target.common.program.nodes;
    let mut items: Vec<String> = Vec::new();
    let mut settles: Vec<&str> = Vec::new();
    if !fallback.lessens {
        let mut tally = target.tally();
        tally.uncovered.retain(|one| {
            let covered = one.node == origin && covers(&one.key);
            if covered {
                items.push(one.key.clone());
            }
            !covered
        });
        if tally.uncovered.iter().all(|one| one.node != origin) {
            // The other ways to the same end need not have worked.
            let family: Vec<usize> = family(target, node, origin, fallback);
            settles = family.iter().map(|one| nodes[*one].id.as_str()).collect();
            tally.uncovered.retain(|one| !family.contains(&one.node));
            tally.left.retain(|(id, _)| !settles.contains(&id.as_str()));
        }
    }
    target.tally().collateral.extend(price.clone());
    if let Some(recorder) = target.common.power.recorder() {
        let said = json!({
            "step": nodes[node].id, "target_index": target.index, "of": nodes[origin].id,
            "items": items, "settles": settles, "price": price,
        });
        recorder.note("covered", said).await?;
    }
    let how = if fallback.lessens {
        "made better"
    } else {
        "done"
    };
    let price = price.map(|price| format!(" ({price})")).unwrap_or_default();
    let text = format!(
        "{} was refused and is {how} another way: {}{price}",
        nodes[origin].id, step.title.value
    );
    let id = &nodes[node].id;
    target.teller.of_step(id).tell(What::Note { text });
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
