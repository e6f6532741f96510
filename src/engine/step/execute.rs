//! A step from its turn to its end: its items found, each acted on within its limit, its results named.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::consent::consent;
use super::in_plan::{in_plan, late, plan_items};
use super::items::items;
use super::lines::{
    end, keep_outputs, name_results, nothing, nothing_at_all, reason, record_start, say_of, skip,
};
use super::{
    Acted, Item, ItemDone, StepDone, assert, call, collect, decide, edit, fallback, manual,
    note_plan, read, request, rotate, wait, writes,
};
use crate::engine::check::{self, Due};
use crate::engine::event::{StepOutcome, What};
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::power::Teller;
use crate::engine::schedule::Part;
use crate::engine::target::{Target, Uncovered, phase_word, plan_carries_out, results};
use crate::runbook::model::{Action, Otherwise, Step};

/// Executes a node.
pub(crate) async fn execute(target: &Target<'_>, node: usize) -> Result<StepDone, Failure> {
    match target.common.program.nodes[node].part {
        Part::Whole => whole(target, node).await,
        Part::Enter(child) => call::enter(target, node, child).await,
        Part::Exit(child) => call::exit(target, node, child),
    }
}

async fn whole(target: &Target<'_>, node: usize) -> Result<StepDone, Failure> {
    let step = target.common.program.step(node);
    let id = target.common.program.nodes[node].id.clone();
    let scope = target.scope(node);
    let failed = |error| Failure::expression(&id, &error);
    // A condition may name what a skipped runbook was never given.
    if let Some(why) = call::skipped(target, target.common.program.nodes[node].frame) {
        return skip(target, node, why, true).await;
    }
    if step.fallback.is_some() {
        if in_plan(target) {
            // What is only read on the way to it costs nobody anything.
            let note = writes(step).then(|| fallback::in_words(target, step, &scope));
            name_results(target, node, &nothing_at_all(step));
            note_plan(target, node, Vec::new(), note);
            return Ok(StepDone::default());
        }
        if let Some(why) = fallback::needless(target, node) {
            fallback::in_force(target, node).await?;
            return skip(target, node, why, true).await;
        }
    }
    if let Some(when) = &step.when
        && !target
            .common
            .expressions
            .truth(when, &scope)
            .map_err(failed)?
    {
        let why = reason(target, node, &scope)?;
        return skip(target, node, why, false).await;
    }
    if in_plan(target) && late(target, node) {
        let why = Some("known only at run time".to_owned());
        note_plan(target, node, Vec::new(), why);
        name_results(target, node, &nothing(step));
        return Ok(StepDone::default());
    }
    let values = match &step.for_each {
        Some(list) => match target.common.expressions.list(list, &scope) {
            Ok(values) => values,
            Err(_) if in_plan(target) && !plan_carries_out(&step.action) => {
                note_plan(
                    target,
                    node,
                    Vec::new(),
                    Some("known only at run time".to_owned()),
                );
                return Ok(StepDone::default());
            }
            Err(error) => return Err(failed(error)),
        },
        None => vec![Value::Null],
    };
    let items = items(target, node, step, &scope, values);
    if in_plan(target) && !plan_carries_out(&step.action) {
        return plan_items(target, node, step, items);
    }
    act(target, node, step, &id, items).await
}

/// Carries out every item, with its `step` lines and events.
async fn act(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    id: &str,
    items: Vec<Item<'_>>,
) -> Result<StepDone, Failure> {
    let teller = target.teller.of_step(id);
    let began = teller.clock().mono_us();
    let title = target
        .common
        .expressions
        .text(&step.title, &target.scope(node))
        .unwrap_or_else(|_| step.title.value.clone());
    record_start(target, node, step, &title, &items).await?;
    teller.tell(What::StepStarted {
        title,
        phase: phase_word(step),
        items: items.len(),
    });
    let price = fallback::price(target, step, node);
    if let Some(left) = consent(target, node, step, &items, price.as_deref()).await? {
        name_results(target, node, &nothing_at_all(step));
        end(
            target,
            node,
            id,
            began,
            StepOutcome::LeftUndone,
            Some(left),
            None,
        )
        .await?;
        return Ok(StepDone::default());
    }
    let mut pending: Vec<(usize, Item<'_>)> = items.into_iter().enumerate().collect();
    let mut done: Vec<(usize, Result<ItemDone, Refused>)> = Vec::new();
    loop {
        let tried = pass(step, &pending, &teller).await;
        let refused = |result: &Result<ItemDone, Refused>| matches!(result, Err(one) if one.failure.kind == FailureKind::Failed);
        let further = step.again && tried.iter().any(|(_, result)| result.is_ok());
        let (again, ended): (Vec<_>, Vec<_>) = tried
            .into_iter()
            .partition(|(_, result)| further && refused(result));
        done.extend(ended);
        pending.retain(|(index, _)| again.iter().any(|(other, _)| other == index));
        if pending.is_empty() {
            break;
        }
    }
    done.sort_by_key(|(index, _)| *index);
    gather(
        target,
        node,
        step,
        id,
        began,
        price,
        done.into_iter().map(|(_, result)| result).collect(),
    )
    .await
}

/// An item that failed.
struct Refused {
    key: String,
    value: Value,
    failure: Failure,
}

/// Carries out items, so many at once.
async fn pass(
    step: &Step,
    items: &[(usize, Item<'_>)],
    teller: &Teller,
) -> Vec<(usize, Result<ItemDone, Refused>)> {
    let loops = step.for_each.is_some();
    futures_util::stream::iter(items)
        .map(|(index, item)| async move {
            let result = one(item.clone()).await;
            if loops {
                teller.tell(What::ItemEnded {
                    item: item.key.clone(),
                    ok: result.is_ok(),
                });
            }
            let refused = |failure| Refused {
                key: item.key.clone(),
                value: item.scope.get("item").unwrap_or_default(),
                failure,
            };
            (*index, result.map_err(refused))
        })
        .buffer_unordered(step.parallel.max(1))
        .collect()
        .await
}

/// Ends a step: names its results, says what failed, hands on its checks.
async fn gather(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    id: &str,
    began: u64,
    price: Option<String>,
    done: Vec<Result<ItemDone, Refused>>,
) -> Result<StepDone, Failure> {
    let mut good = Vec::new();
    let mut outcome = StepOutcome::Done;
    let mut first: Option<Failure> = None;
    for result in done {
        match result {
            Ok(item) => good.push(item),
            Err(Refused {
                key,
                value,
                failure,
            }) => {
                let (unknown, passing) = (failure.kind == FailureKind::Unknown, failure.passing);
                match target
                    .take_failure(node, &key, step.otherwise, failure.clone())
                    .await
                {
                    // What may have been done, or may yet be, is not done another way: that could cost somebody for
                    // nothing.
                    Ok(_) if step.otherwise == Otherwise::Continue && (unknown || passing) => {
                        target.tally().went_on += 1;
                    }
                    Ok(_) if step.otherwise == Otherwise::Continue => {
                        let left = Uncovered { node, key, value };
                        target.tally().uncovered.push(left);
                    }
                    Ok(_) => {}
                    Err(stopping) => first = first.or(Some(stopping)),
                }
                if writes(step) || step.otherwise == Otherwise::Continue {
                    target.tally().left.push((id.to_owned(), failure));
                }
                outcome = if unknown {
                    StepOutcome::Unknown
                } else {
                    StepOutcome::Failed
                };
            }
        }
    }
    let acted = good.iter().any(|item| item.acted);
    fallback::paid(target, node, &good, price).await?;
    let mut checks = Vec::new();
    for item in &good {
        checks.extend(Due::of(step, item));
    }
    let values = if good.is_empty() && step.for_each.is_none() {
        nothing(step)
    } else {
        results(step, good)
    };
    name_results(target, node, &values);
    if let (Some(say), None) = (&step.say, &first) {
        say_of(target, node, say, &values).await?;
    }
    let why = first.as_ref().map(|failure| failure.message.clone());
    let outputs = keep_outputs(target, node, &values)?;
    end(target, node, id, began, outcome, why, outputs).await?;
    if let Some(failure) = first {
        return Err(failure);
    }
    if acted && outcome == StepOutcome::Done {
        target.note_containing(node);
    }
    Ok(StepDone { checks })
}

/// Carries out one item: the action within its limit, then its `let`s.
async fn one(item: Item<'_>) -> Result<ItemDone, Failure> {
    let step = item.step;
    let common = item.target.common;
    if common.request.prove_checks && common.power.recorder().is_some() && writes(step) {
        check::tell_true_before(item.target, item.node, &item.key, &item.scope).await?;
    }
    let action = act_on(&item);
    let acted = match step.limit {
        Some(limit) => within(&item, limit, action).await?,
        None => action.await?,
    };
    finish(item, acted)
}

fn finish(item: Item<'_>, acted: Acted) -> Result<ItemDone, Failure> {
    let expressions = &item.target.common.expressions;
    let mut scope = item.scope.clone();
    for (name, value) in &acted.names {
        scope.set(name, value);
    }
    let mut values = Map::new();
    for (name, template) in &item.step.lets {
        let value = expressions
            .value(&template.value, &scope)
            .map_err(|error| item.expression(&error))?;
        scope.set(name, &value);
        values.insert(name.clone(), value);
    }
    for (name, value) in acted.names {
        if name == "chosen" || name == "finding" {
            values.insert(name.to_owned(), value);
        }
    }
    if item.step.for_each.is_some() {
        values.insert(
            "item".to_owned(),
            item.scope.get("item").unwrap_or(Value::Null),
        );
    }
    Ok(ItemDone {
        values,
        scope,
        key: item.key,
        acted: acted.acted,
    })
}

async fn act_on(item: &Item<'_>) -> Result<Acted, Failure> {
    match &item.step.action {
        Action::Read(call) => read::execute(item, call).await,
        Action::Request(request) => shared(item, request::execute(item, request)).await,
        Action::Edit(edit) => shared(item, edit::execute(item, edit)).await,
        Action::Collect(collect) => collect::execute(item, collect).await,
        Action::Assert(assert) => assert::execute(item, assert).await,
        Action::Decide(decide) => decide::execute(item, decide).await,
        Action::Manual(manual) => manual::execute(item, manual).await,
        Action::Rotate(rotate) => rotate::execute(item, rotate).await,
        Action::Wait(wait) => wait::execute(item, wait).await,
        // The schedule makes `run` steps into their own two nodes.
        Action::Run(_) => Ok(Acted::with(Vec::new())),
    }
}

/// How long a change waits for other targets that need it: as long as the shortest pause between two polls, which is what
/// a second change takes at least.
const GATHERING: Duration = Duration::from_millis(500);

/// Makes a change that other targets may need too once for all who asked before it began.
async fn shared<F>(item: &Item<'_>, change: F) -> Result<Acted, Failure>
where
    F: Future<Output = Result<Acted, Failure>>,
{
    let Some(key) = &item.step.shared else {
        return change.await;
    };
    let key = item
        .target
        .common
        .expressions
        .text(key, &item.scope)
        .map_err(|error| item.expression(&error))?;
    let key = format!("{} {key}", item.id());
    let common = item.target.common;
    let alone = common.request.targets.len() == 1 && common.request.bulk.filter.is_none();
    let clock = item.target.teller.clock();
    let others = async {
        if !alone {
            clock.sleep(GATHERING).await;
        }
    };
    let answer = common
        .shared
        .once(&key, others, async {
            let acted = change.await?;
            let names: Map<String, Value> = acted
                .names
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            Ok(Value::Object(names))
        })
        .await?;
    let body = answer.get("body").cloned().unwrap_or(Value::Null);
    let before = answer.get("before").cloned().unwrap_or(Value::Null);
    let status = answer.get("status").cloned().unwrap_or(Value::Null);
    Ok(Acted::with(vec![
        ("body", body),
        ("before", before),
        ("status", status),
    ]))
}

async fn within<F>(item: &Item<'_>, limit: Duration, action: F) -> Result<Acted, Failure>
where
    F: Future<Output = Result<Acted, Failure>>,
{
    let clock = item.target.teller.clock().clone();
    futures_util::future::select(Box::pin(action), Box::pin(clock.sleep(limit)))
        .await
        .factor_first_or(|| {
            Failure::failed(
                "limit",
                format!("{} was not finished within {} s", item.key, limit.as_secs()),
                "azir show last, to see what is unknown",
            )
            .of_kind(FailureKind::Unknown)
        })
}

/// Takes the action's answer if it came first, else says that time is up.
trait FirstOr<T> {
    fn factor_first_or(self, late: impl FnOnce() -> Failure) -> Result<T, Failure>;
}

impl<T, A, B> FirstOr<T> for futures_util::future::Either<(Result<T, Failure>, A), ((), B)> {
    fn factor_first_or(self, late: impl FnOnce() -> Failure) -> Result<T, Failure> {
        match self {
            Self::Left((answer, _)) => answer,
            Self::Right(_) => Err(late()),
        }
    }
}
