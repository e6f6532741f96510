//! What a step does when its turn has come: a kind a file, and here what all kinds share.
//!
//! Opens with its `step` line, works through its items, names its results, and hands its checks on.

mod assert;
mod call;
mod collect;
mod decide;
mod edit;
mod manual;
mod read;
mod request;
mod wait;
pub(crate) mod wire;

pub(crate) use call::restore_called;
pub(crate) use edit::same_values as same;
pub(crate) use request::plan_cannot;

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use super::calls::{CallPlace, Calls};
use super::check::Due;
use super::event::{StepOutcome, What};
use super::failure::{Failure, FailureKind};
use super::plan::PlanStep;
use super::power::Power;
use super::recorder::object;
use super::schedule::Part;
use super::target::{Target, phase_word, plan_carries_out, results};
use crate::runbook::expr::Scope;
use crate::runbook::model::{Action, Step, Undo};

/// What a node left behind.
#[derive(Default)]
pub(crate) struct StepDone {
    /// Checks that are due now.
    pub(crate) checks: Vec<Due>,
}

/// What one item left behind.
pub(crate) struct ItemDone {
    /// Its named results, and `item`.
    pub(crate) values: Map<String, Value>,
    /// The names that its checks see.
    pub(crate) scope: Scope,
    /// The item's name.
    pub(crate) key: String,
    /// Whether its checks are to be made.
    pub(crate) acted: bool,
}

/// One item on its way through an action.
pub(crate) struct Item<'a> {
    pub(crate) target: &'a Target<'a>,
    pub(crate) node: usize,
    pub(crate) step: &'a Step,
    pub(crate) scope: Scope,
    pub(crate) key: String,
}

impl Item<'_> {
    /// Returns the id of the step in this program.
    pub(crate) fn id(&self) -> &str {
        &self.target.common.program.nodes[self.node].id
    }

    /// Returns an observer for the calls of this item.
    pub(crate) fn calls(&self, why: &str) -> Calls {
        Calls::new(
            self.target.common.power.recorder().cloned(),
            self.target.teller.of_step(self.id()),
            CallPlace {
                step: self.id().to_owned(),
                target_index: self.target.index,
                item: self.key.clone(),
                why: why.to_owned(),
                undo: None,
                before: None,
            },
        )
    }

    /// Wraps a failed expression.
    pub(crate) fn expression(&self, error: &crate::runbook::expr::ExprError) -> Failure {
        Failure::expression(self.id(), error)
    }
}

/// What an action hands to `let`: the names it adds, and whether it did anything.
pub(crate) struct Acted {
    pub(crate) names: Vec<(&'static str, Value)>,
    pub(crate) acted: bool,
}

impl Acted {
    pub(crate) fn with(names: Vec<(&'static str, Value)>) -> Self {
        Self { names, acted: true }
    }
}

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
    if let Some(when) = &step.when
        && !target
            .common
            .expressions
            .truth(when, &scope)
            .map_err(failed)?
    {
        return skip(target, node, &scope).await;
    }
    if frame_skipped(target, node) {
        return skip(target, node, &scope).await;
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
    record_start(target, step, id, &title, &items).await?;
    teller.tell(What::StepStarted {
        title,
        phase: phase_word(step),
        items: items.len(),
    });
    if let Some(left) = consent(target, node, step, &items).await? {
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
    let loops = step.for_each.is_some();
    let mut done: Vec<(usize, Result<ItemDone, (String, Failure)>)> =
        futures_util::stream::iter(items.into_iter().enumerate())
            .map(|(index, item)| {
                let teller = teller.clone();
                async move {
                    let key = item.key.clone();
                    let result = one(item).await;
                    if loops {
                        teller.tell(What::ItemEnded {
                            item: key.clone(),
                            ok: result.is_ok(),
                        });
                    }
                    (index, result.map_err(|failure| (key, failure)))
                }
            })
            .buffer_unordered(step.parallel.max(1))
            .collect()
            .await;
    done.sort_by_key(|(index, _)| *index);
    gather(
        target,
        node,
        step,
        id,
        began,
        done.into_iter().map(|(_, result)| result).collect(),
    )
    .await
}

/// Ends a step: names its results, says what failed, hands on its checks.
async fn gather(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    id: &str,
    began: u64,
    done: Vec<Result<ItemDone, (String, Failure)>>,
) -> Result<StepDone, Failure> {
    let mut good = Vec::new();
    let mut outcome = StepOutcome::Done;
    let mut first: Option<Failure> = None;
    for result in done {
        match result {
            Ok(item) => good.push(item),
            Err((key, failure)) => {
                let unknown = failure.kind == FailureKind::Unknown;
                match target
                    .take_failure(node, &key, step.otherwise, failure.clone())
                    .await
                {
                    Ok(_) => {}
                    Err(stopping) => first = first.or(Some(stopping)),
                }
                if writes(step) {
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
    let outputs = keep_outputs(target, &values)?;
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
        Action::Assert(assert) => assert::execute(item, assert),
        Action::Decide(decide) => decide::execute(item, decide).await,
        Action::Manual(manual) => manual::execute(item, manual).await,
        Action::Wait(wait) => wait::execute(item, wait).await,
        // The schedule makes `run` steps into their own two nodes.
        Action::Run(_) => Ok(Acted::with(Vec::new())),
    }
}

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
    let answer = item
        .target
        .common
        .shared
        .once(&key, async {
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

fn items<'a>(
    target: &'a Target<'_>,
    node: usize,
    step: &'a Step,
    scope: &Scope,
    values: Vec<Value>,
) -> Vec<Item<'a>> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            let mut scope = scope.clone();
            let key = if step.for_each.is_some() {
                scope.set(&step.as_name, &value);
                scope.set("item", &value);
                item_key(&value).unwrap_or_else(|| format!("item {}", index + 1))
            } else {
                target.name.clone()
            };
            Item {
                target,
                node,
                step,
                scope,
                key,
            }
        })
        .collect()
}

/// Returns the name of an item: its text, its id, or its name.
fn item_key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => ["id", "name", "key"]
            .iter()
            .find_map(|name| members.get(*name).and_then(Value::as_str))
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        _ => None,
    }
}

async fn record_start(
    target: &Target<'_>,
    step: &Step,
    id: &str,
    title: &str,
    items: &[Item<'_>],
) -> Result<(), Failure> {
    let Some(recorder) = target.common.power.recorder() else {
        return Ok(());
    };
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
        "state": "started",
        "items": recorder.inline_or_cite(&keys)?,
    }));
    recorder.line("step", data).await.map(|_| ())
}

async fn end(
    target: &Target<'_>,
    node: usize,
    id: &str,
    began: u64,
    outcome: StepOutcome,
    why: Option<String>,
    outputs: Option<Value>,
) -> Result<(), Failure> {
    let teller = target.teller.of_step(id);
    if let Some(recorder) = target.common.power.recorder() {
        let data = object(json!({
            "step": id,
            "target_index": target.index,
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
    let elapsed_ms = teller.clock().mono_us().saturating_sub(began) / 1_000;
    teller.tell(What::StepEnded {
        outcome,
        elapsed_ms,
        why,
    });
    Ok(())
}

async fn skip(target: &Target<'_>, node: usize, scope: &Scope) -> Result<StepDone, Failure> {
    let step = target.common.program.step(node);
    let id = target.common.program.nodes[node].id.clone();
    let why = match &step.skip_reason {
        Some(reason) => target
            .common
            .expressions
            .text(reason, scope)
            .map_err(|error| Failure::expression(&id, &error))?,
        None => "its condition does not hold".to_owned(),
    };
    let values = if step.for_each.is_some() {
        json!({"each": []})
    } else {
        nothing(step)
    };
    name_results(target, node, &values);
    if in_plan(target) {
        note_plan(target, node, Vec::new(), Some(format!("skipped: {why}")));
        return Ok(StepDone::default());
    }
    let began = target.teller.clock().mono_us();
    end(
        target,
        node,
        &id,
        began,
        StepOutcome::Skipped,
        Some(why),
        keep_outputs(target, &values)?,
    )
    .await?;
    Ok(StepDone::default())
}

/// Returns the results of a step that was not done: every name, and nothing behind it.
fn nothing(step: &Step) -> Value {
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

/// Returns the results of a step that was never reached.
pub(crate) fn nothing_of(step: &Step) -> Value {
    if step.for_each.is_some() {
        json!({"each": []})
    } else {
        nothing(step)
    }
}

fn name_results(target: &Target<'_>, node: usize, values: &Value) {
    let node = &target.common.program.nodes[node];
    let step = &target.common.program.frames[node.frame].runbook.steps[node.step];
    target.names[node.frame].step(&step.id.value, values);
}

fn keep_outputs(target: &Target<'_>, values: &Value) -> Result<Option<Value>, Failure> {
    match target.common.power.recorder() {
        Some(recorder)
            if values
                .as_object()
                .is_some_and(|members| !members.is_empty()) =>
        {
            recorder.keep(values).map(|cite| Some(cite.value()))
        }
        _ => Ok(None),
    }
}

async fn say_of(
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

/// Asks for consent where `--yes` does not give it; returns why the step is left undone.
async fn consent(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    items: &[Item<'_>],
) -> Result<Option<String>, Failure> {
    let id = &target.common.program.nodes[node].id;
    if !step.consent_explicit || items.is_empty() || target.common.accept.contains(id) {
        return Ok(None);
    }
    let cost = match &step.undo {
        Some(Undo::Never(why)) => format!("cannot be undone: {why}"),
        _ => step.lasting.clone().unwrap_or_default(),
    };
    let answer = {
        let _turn = target.common.asking.lock().await;
        target
            .common
            .ask
            .consent(id, &step.title.value, &cost)
            .await
    };
    if answer.is_some_and(|chosen| !chosen.ids.is_empty()) {
        return Ok(None);
    }
    let why = format!("it needs explicit consent; --accept {id} gives it");
    if let Some(recorder) = target.common.power.recorder() {
        let next = format!(
            "azir {} {} --accept {id}",
            target.common.program.frames[0].runbook.name.value, target.name
        );
        recorder
            .note(
                "not_done",
                json!({"step": id, "target_index": target.index, "why": why, "next": next}),
            )
            .await?;
    }
    let failure = Failure::failed("consent", why.clone(), format!("--accept {id}"))
        .of_kind(FailureKind::LeftUndone);
    target.tally().left.push((id.clone(), failure));
    Ok(Some(why))
}

fn in_plan(target: &Target<'_>) -> bool {
    matches!(target.common.power, Power::Plan(_))
}

fn frame_skipped(target: &Target<'_>, node: usize) -> bool {
    let frame = target.common.program.nodes[node].frame;
    call::skipped(target, frame)
}

/// Says what a step would do, without doing it.
fn plan_items(
    target: &Target<'_>,
    node: usize,
    step: &Step,
    items: Vec<Item<'_>>,
) -> Result<StepDone, Failure> {
    let mut writes = Vec::new();
    let mut note = None;
    let mut done = Vec::new();
    for item in items {
        match &step.action {
            Action::Request(request) => match request::rendered(&item, request) {
                Ok(line) => writes.push(line),
                Err(_) => note = Some("some of it is known only at run time".to_owned()),
            },
            Action::Edit(edit) => match edit::rendered(&item, edit) {
                Ok(line) => writes.push(line),
                Err(_) => note = Some("some of it is known only at run time".to_owned()),
            },
            _ => {}
        }
        if let Some(planned) = plan_values(&item) {
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
    Ok(StepDone::default())
}

/// Evaluates what can be known of an item's results before it is done.
fn plan_values(item: &Item<'_>) -> Option<ItemDone> {
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
    if matches!(item.step.action, Action::Decide(_)) {
        values.insert("chosen".to_owned(), json!([]));
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

/// Returns whether a step writes.
pub(crate) fn writes(step: &Step) -> bool {
    matches!(step.action, Action::Request(_) | Action::Edit(_))
}

/// Returns the step's kind as one word.
pub(crate) fn kind_word(step: &Step) -> &'static str {
    match step.action {
        Action::Read(_) => "read",
        Action::Request(_) => "request",
        Action::Edit(_) => "edit",
        Action::Collect(_) => "collect",
        Action::Assert(_) => "assert",
        Action::Decide(_) => "decide",
        Action::Manual(_) => "manual",
        Action::Run(_) => "run",
        Action::Wait(_) => "wait",
    }
}

/// Returns how a step is undone, in words.
pub(crate) fn undo_words(step: &Step) -> String {
    match (&step.undo, &step.lasting) {
        (Some(Undo::Restore), _) => "restore".to_owned(),
        (Some(Undo::Ask), _) => "ask".to_owned(),
        (Some(Undo::Never(why)), _) => format!("never: {why}"),
        (Some(Undo::Requests(_)), _) => "requests".to_owned(),
        (None, Some(why)) => format!("lasting: {why}"),
        (None, None) => String::new(),
    }
}
