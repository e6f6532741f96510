//! What a step would do, said without doing it.

use serde_json::{Map, Value, json};

use super::lines::{name_results, nothing};
use super::{Item, ItemDone, StepDone, decide, edit, kind_word, request, undo_words};
use crate::engine::failure::Failure;
use crate::engine::plan::PlanStep;
use crate::engine::power::Power;
use crate::engine::preflight::Meant;
use crate::engine::target::{Target, phase_word, plan_carries_out, results};
use crate::runbook::model::{Action, Step};
use crate::runbook::walk;

pub(super) fn in_plan(target: &Target<'_>) -> bool {
    matches!(target.common.power, Power::Plan(_))
}

/// Whether a step that a plan carries out speaks of what is collected, which a plan does not collect; and so of what
/// is known only at run time.
pub(super) fn late(target: &Target<'_>, node: usize) -> bool {
    let program = &target.common.program;
    let step = program.step(node);
    if !plan_carries_out(&step.action) {
        return false;
    }
    let named = walk::names(step);
    let frame = program.nodes[node].frame;
    let mut earlier = program.nodes[..node].iter().enumerate();
    earlier.any(|(other, place)| {
        place.frame == frame && named.contains(&program.step(other).id.value) && {
            let action = &program.step(other).action;
            matches!(action, Action::Collect(_)) || late(target, other)
        }
    })
}

/// Says what a step would do, without doing it.
pub(super) fn plan_items(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    items: Vec<Item<'_>>,
) -> Result<StepDone, Failure> {
    let (mut writes, mut meant) = (Vec::new(), Vec::new());
    let mut note = None;
    let mut done = Vec::new();
    for item in items {
        let mut chosen = json!([]);
        match &step.action {
            Action::Request(request) => match request::rendered(&item, request) {
                Ok(line) => {
                    meant.push(Meant::call(&item, &request.call, &line));
                    writes.push(line);
                }
                Err(_) => note = Some("some of it is known only at run time".to_owned()),
            },
            Action::Rotate(rotate) => {
                let calls = std::iter::once(&rotate.upstream).chain(&rotate.vault);
                for call in calls {
                    match request::line(&item, call) {
                        Ok(line) => {
                            meant.push(Meant::call(&item, call, &line));
                            writes.push(line);
                        }
                        Err(_) => note = Some("some of it is known only at run time".to_owned()),
                    }
                }
            }
            Action::Edit(edit) => match edit::rendered(&item, edit) {
                Ok(line) => {
                    meant.push(Meant::edit(&item, edit, &line));
                    writes.push(line);
                }
                Err(_) => note = Some("some of it is known only at run time".to_owned()),
            },
            Action::Decide(decide) => match decide::planned(&item, decide) {
                Ok(Some(planned)) => {
                    note = choice(item.id(), &planned);
                    chosen = json!(planned.chosen);
                }
                Ok(None) => note = Some("some of it is known only at run time".to_owned()),
                Err(failure) => {
                    note = Some(format!("{}; {}", failure.message, failure.hint));
                    target.tally().unmeant.push((item.id().to_owned(), failure));
                }
            },
            _ => {}
        }
        if let Some(planned) = plan_values(&item, &chosen) {
            done.push(planned);
        }
    }
    let values = if done.is_empty() && step.for_each.is_none() {
        nothing(step)
    } else {
        results(step, done)
    };
    name_results(target, node, &values);
    note_plan(target, node, writes, note);
    target.tally().meant.extend(meant);
    Ok(StepDone::default())
}

/// Says of a decision what there is to choose from and what is chosen.
fn choice(id: &str, planned: &decide::Planned) -> Option<String> {
    let (options, chosen) = (planned.options, planned.chosen.len());
    if options == 0 {
        return None;
    }
    let how = if planned.settled {
        format!("{chosen} of {options} chosen; --choose {id}=all|none|ID,... chooses otherwise")
    } else {
        format!(
            "{options} to choose from, and the responder is asked; --choose {id}=all|none|ID,... says it beforehand"
        )
    };
    Some(how)
}

/// Evaluates what can be known of an item's results before it is done.
fn plan_values(item: &Item<'_>, chosen: &Value) -> Option<ItemDone> {
    let mut scope = item.scope.clone();
    let mut values = Map::new();
    for (name, template) in &item.step.lets {
        if let Ok(value) = item
            .target
            .common
            .expressions
            .value(&template.value, &scope)
        {
            scope.set(name, &value);
            values.insert(name.clone(), value);
        }
    }
    if let Some(value) = item
        .scope
        .get("item")
        .filter(|_| item.step.for_each.is_some())
    {
        values.insert("item".to_owned(), value);
    }
    if matches!(item.step.action, Action::Decide(_)) {
        values.insert("chosen".to_owned(), chosen.clone());
    }
    Some(ItemDone {
        values,
        scope,
        key: item.key.clone(),
        acted: false,
    })
}

/// Adds a line to the plan.
pub(crate) fn note_plan(
    target: &Target<'_>,
    node: usize,
    writes: Vec<String>,
    note: Option<String>,
) {
    let step = target.common.program.step(node);
    let line = PlanStep {
        id: target.common.program.nodes[node].id.clone(),
        title: step.title.value.clone(),
        phase: phase_word(step),
        kind: kind_word(step).to_owned(),
        undo: undo_words(step),
        needs_consent: step.consent_explicit,
        writes,
        note,
    };
    target.tally().plan.push((node, line));
}
