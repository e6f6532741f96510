//! One write of an old run: how it stands now, and how it is put back.

use serde_json::{Map, Value, json};

use super::calls::Calls;
use super::error::EngineError;
use super::event::{PlannedStep, StepOutcome, What};
use super::failure::{Failure, FailureKind};
use super::outcome;
use super::power::Power;
use super::recorder::{Recorder, object};
use super::run::End;
use super::step::{self, Item, wire};
use super::target::{Common, Target, phase_word};
use super::undo::{Old, OldWrite};
use crate::azure::Effect;
use crate::json::{member, set_member};
use crate::report::model::RunStatus;
use crate::runbook::expr::{RenderedCall, Scope};
use crate::runbook::model::{On, Plane, Undo, UndoRequest};
use crate::runbook::place::Spanned;

/// What an undo would do about one write.
pub(crate) struct Change {
    pub(crate) step: String,
    pub(crate) title: String,
    pub(crate) phase: String,
    /// The request, as `PUT <resource id>`.
    pub(crate) line: String,
    pub(crate) standing: Standing,
}

/// How one write stands now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// As the run left it: it can be put back.
    AsLeft,
    /// As it was before the run, or gone.
    AlreadyBack,
    /// Somebody changed it since.
    Drifted(String),
    /// It cannot be undone.
    Never(String),
    /// It stays on purpose.
    Lasting(String),
    /// It could not be read.
    Unreadable(Failure),
}

impl Standing {
    /// Returns whether putting it back takes a write.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::AsLeft | Self::Drifted(_))
    }

    /// Returns what a plan says of it.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::AsLeft => None,
            Self::AlreadyBack => Some("already as it was before the run".to_owned()),
            Self::Drifted(what) => Some(format!("drift: {what}")),
            Self::Never(why) => Some(format!("cannot be undone: {why}")),
            Self::Lasting(why) => Some(format!("stays: {why}")),
            Self::Unreadable(failure) => Some(format!("cannot be read: {}", failure.message)),
        }
    }
}

/// Looks at every write of a target, in the order of the undo.
pub(crate) async fn look(target: &Target<'_>, old: &Old) -> Result<Vec<Change>, EngineError> {
    let mut changes = Vec::new();
    for (node, write) in order(target, old) {
        match write {
            Some(write) => {
                for part in parts(target, node, write) {
                    let standing = part.standing(target, node).await;
                    if let Standing::Unreadable(failure) = &standing
                        && failure.kind == FailureKind::Record
                    {
                        return Err(EngineError::Record {
                            message: failure.message.clone(),
                            hint: failure.hint.clone(),
                        });
                    }
                    changes.push(part.change(target, node, standing));
                }
            }
            None => changes.push(Change {
                step: target.common.program.nodes[node].id.clone(),
                title: target.common.program.step(node).title.value.clone(),
                phase: phase_word(target.common.program.step(node)),
                line: String::new(),
                standing: Standing::AsLeft,
            }),
        }
    }
    Ok(changes)
}

/// Puts a target back and records it; returns how it ended.
pub(crate) async fn carry_out(target: &Target<'_>, old: &Old, over_drift: bool) -> End {
    let mut tried = 0_usize;
    let mut failed: Vec<Failure> = Vec::new();
    for (node, write) in order(target, old) {
        if target.teller.halted() {
            failed.push(
                Failure::failed(
                    "halted",
                    "the responder stopped the undo",
                    format!("azir undo {}", old.run),
                )
                .of_kind(FailureKind::Halted),
            );
            break;
        }
        tried += 1;
        let result = match write {
            Some(write) => put_back(target, node, write, over_drift).await,
            None => own_step(target, node).await,
        };
        match result {
            Ok(()) => {}
            Err(failure) if failure.kind == FailureKind::Record => {
                failed.push(failure);
                break;
            }
            Err(failure) => failed.push(failure),
        }
    }
    close(target, tried, failed).await
}

/// Tells listeners that the undo begins.
pub(crate) fn tell_start(common: &Common, old: &Old, recorder: &Recorder) {
    let runbook = &common.program.frames[0].runbook;
    let plan = common
        .program
        .nodes
        .iter()
        .enumerate()
        .rev()
        .filter(|(index, node)| {
            old.writes.iter().any(|write| write.step == node.id)
                || common.program.step(*index).on == On::Undo
        })
        .map(|(index, node)| {
            let step = common.program.step(index);
            PlannedStep {
                id: node.id.clone(),
                title: step.title.value.clone(),
                phase: phase_word(step),
                kind: "undo".to_owned(),
                undo: "run the runbook again".to_owned(),
            }
        })
        .collect::<Vec<_>>();
    common.teller.tell(What::RunStarted {
        runbook: runbook.name.value.clone(),
        version: runbook.version.clone(),
        mode: "undo".to_owned(),
        incident: old.incident.to_string(),
        deadline_seconds: None,
        targets: old.target_names(),
        journal: recorder.run_dir(),
        steps: plan.len(),
        plan,
    });
}

/// Returns the writes in reverse order of the file, with the undo's own steps at their places.
fn order<'o>(target: &Target<'_>, old: &'o Old) -> Vec<(usize, Option<&'o OldWrite>)> {
    let program = &target.common.program;
    let mut order = Vec::new();
    for (node, place) in program.nodes.iter().enumerate().rev() {
        if program.step(node).on == On::Undo {
            order.push((node, None));
            continue;
        }
        let writes = old.writes.iter().rev();
        order.extend(
            writes
                .filter(|write| write.target_index == target.index && write.step == place.id)
                .map(|write| (node, Some(write))),
        );
    }
    order
}

/// One request that puts something back.
enum Part<'a> {
    /// Members of an edit.
    Members { write: &'a OldWrite },
    /// A request that the runbook gives.
    Request {
        write: &'a OldWrite,
        request: &'a UndoRequest,
        scope: Scope,
    },
    /// Nothing can or should be put back.
    Nothing(Standing),
}

fn parts<'a>(target: &'a Target<'_>, node: usize, write: &'a OldWrite) -> Vec<Part<'a>> {
    let step = target.common.program.step(node);
    match (&step.undo, &step.lasting) {
        (Some(Undo::Restore | Undo::Ask), _) => vec![Part::Members { write }],
        (Some(Undo::Never(why)), _) => vec![Part::Nothing(Standing::Never(why.clone()))],
        (Some(Undo::Requests(requests)), _) => requests
            .iter()
            .map(|request| Part::Request {
                write,
                request,
                scope: scope(target, node, write),
            })
            .collect(),
        (None, Some(why)) => vec![Part::Nothing(Standing::Lasting(why.clone()))],
        (None, None) => vec![Part::Nothing(Standing::Lasting(
            "the runbook does not say how to undo it".to_owned(),
        ))],
    }
}

/// Returns the names that the step saw, its results, and what was there before and after.
fn scope(target: &Target<'_>, node: usize, write: &OldWrite) -> Scope {
    let step = target.common.program.step(node);
    let mut scope = target.scope(node);
    let item = &write.record["item"];
    if !item.is_null() {
        scope.set(&step.as_name, item);
        scope.set("item", item);
    }
    let results = target.names[target.common.program.nodes[node].frame]
        .scope()
        .get(&step.id.value)
        .unwrap_or(Value::Null);
    scope.set("before", &write.record["before"]);
    scope.set("after", &write.after);
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
        let value = match known {
            Some(value) if !value.is_null() => Some(value.clone()),
            // The run was killed before it named its results: they are worked out from what was sent.
            _ => again(target, write, template, &scope),
        };
        scope.set(name, &value.unwrap_or(Value::Null));
    }
    scope
}

/// Works out a result of a step from the names that the step saw when it wrote.
fn again(
    target: &Target<'_>,
    write: &OldWrite,
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

impl Part<'_> {
    fn line(&self, target: &Target<'_>) -> String {
        match self {
            Self::Members { write } => format!(
                "PUT {} (members as before)",
                write.record["target"].as_str().unwrap_or_default()
            ),
            Self::Request { request, scope, .. } => target
                .common
                .expressions
                .call_line(&request.call, scope)
                .unwrap_or_else(|_| request.call.line.value.clone()),
            Self::Nothing(_) => String::new(),
        }
    }

    fn change(&self, target: &Target<'_>, node: usize, standing: Standing) -> Change {
        let step = target.common.program.step(node);
        Change {
            step: target.common.program.nodes[node].id.clone(),
            title: step.title.value.clone(),
            phase: phase_word(step),
            line: self.line(target),
            standing,
        }
    }

    async fn standing(&self, target: &Target<'_>, node: usize) -> Standing {
        let calls = calls(target, node, self.item(), "how it stands now");
        let looked = match self {
            Self::Nothing(standing) => return standing.clone(),
            Self::Members { write } => members_now(target, write, &calls)
                .await
                .map(|(_, standing)| standing),
            Self::Request { request, scope, .. } => {
                let mut scope = scope.clone();
                request_now(target, node, request, &mut scope, &calls).await
            }
        };
        looked.unwrap_or_else(Standing::Unreadable)
    }

    fn item(&self) -> &str {
        match self {
            Self::Members { write } | Self::Request { write, .. } => &write.item,
            Self::Nothing(_) => "",
        }
    }
}

fn calls(target: &Target<'_>, node: usize, item: &str, why: &str) -> Calls {
    let step = target.common.program.step(node);
    let item = Item {
        target,
        node,
        step,
        scope: target.scope(node),
        key: item.to_owned(),
    };
    item.calls(why)
}

/// Reads a resource and compares the members that the run changed.
async fn members_now(
    target: &Target<'_>,
    write: &OldWrite,
    calls: &Calls,
) -> Result<(Value, Standing), Failure> {
    let mut call = resource("GET", write, None);
    call.missing_ok = true;
    let answer = wire::read(target.common.power.reader(), &call, calls).await?;
    if answer.status == 404 {
        return Ok((Value::Null, Standing::AlreadyBack));
    }
    let mut back = true;
    let mut drifted = Vec::new();
    for change in write.record["changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        let now = member(&answer.body, path).cloned().unwrap_or(Value::Null);
        if step::same(&now, &change["before"]) {
            continue;
        }
        back = false;
        if !step::same(&now, &change["after"]) {
            drifted.push(format!(
                "{path} of {} is now {}",
                write.item,
                super::calls::cut(&now.to_string(), 200)
            ));
        }
    }
    let standing = match (back, drifted.is_empty()) {
        (true, _) => Standing::AlreadyBack,
        (false, true) => Standing::AsLeft,
        (false, false) => Standing::Drifted(drifted.join(", ")),
    };
    Ok((answer.body, standing))
}

async fn request_now(
    target: &Target<'_>,
    node: usize,
    request: &UndoRequest,
    scope: &mut Scope,
    calls: &Calls,
) -> Result<Standing, Failure> {
    let expressions = &target.common.expressions;
    let id = &target.common.program.nodes[node].id;
    let failed = |error| Failure::expression(id, &error);
    read_current(target, node, request, scope, calls).await?;
    if let Some(unless) = &request.unless
        && expressions.truth(unless, scope).map_err(failed)?
    {
        return Ok(Standing::AlreadyBack);
    }
    if let Some(drift) = &request.drift
        && expressions.truth(drift, scope).map_err(failed)?
    {
        let title = target.common.program.step(node).title.value.to_lowercase();
        return Ok(Standing::Drifted(format!(
            "what \"{title}\" left on {} was changed",
            target.name
        )));
    }
    Ok(Standing::AsLeft)
}

async fn read_current(
    target: &Target<'_>,
    node: usize,
    request: &UndoRequest,
    scope: &mut Scope,
    calls: &Calls,
) -> Result<(), Failure> {
    let Some(read) = &request.read else {
        return Ok(());
    };
    let id = &target.common.program.nodes[node].id;
    let rendered = target
        .common
        .expressions
        .call(read, scope)
        .map_err(|error| Failure::expression(id, &error))?;
    let answer = wire::read(target.common.power.reader(), &rendered, calls).await?;
    scope.set("current", &answer.body);
    Ok(())
}

fn resource(method: &str, write: &OldWrite, body: Option<Value>) -> RenderedCall {
    RenderedCall {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: write.record["target"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        query: Vec::new(),
        api_version: write.record["api_version"].as_str().map(str::to_owned),
        headers: Vec::new(),
        body,
        pages: None,
        missing_ok: false,
    }
}

/// Puts one write back, with its `step` lines.
async fn put_back(
    target: &Target<'_>,
    node: usize,
    write: &OldWrite,
    over_drift: bool,
) -> Result<(), Failure> {
    let began = begin(target, node, &write.item).await?;
    let mut result = Ok("put back".to_owned());
    for part in parts(target, node, write) {
        result = one(target, node, &part, over_drift).await;
        if result.is_err() {
            break;
        }
    }
    end(target, node, began, result).await
}

async fn one(
    target: &Target<'_>,
    node: usize,
    part: &Part<'_>,
    over_drift: bool,
) -> Result<String, Failure> {
    let standing = part.standing(target, node).await;
    match standing {
        Standing::AlreadyBack => return Ok("already as it was before the run".to_owned()),
        Standing::Lasting(why) => return Ok(format!("stays: {why}")),
        Standing::Never(why) => {
            return Err(Failure::failed(
                "never",
                format!("cannot be undone: {why}"),
                "azir show RUN",
            )
            .of_kind(FailureKind::LeftUndone));
        }
        Standing::Unreadable(failure) => return Err(failure),
        Standing::Drifted(what) if !over_drift => {
            return Err(Failure::failed(
                "drift",
                format!("somebody changed it since: {what}"),
                "azir undo RUN --over-drift",
            )
            .of_kind(FailureKind::LeftUndone));
        }
        Standing::Drifted(_) | Standing::AsLeft => {}
    }
    match part {
        Part::Members { write } => restore_members(target, node, write).await,
        Part::Request {
            write,
            request,
            scope,
        } => send(target, node, write, request, scope.clone()).await,
        Part::Nothing(_) => Ok(String::new()),
    }
}

/// Reads the resource afresh, puts the members back, reads again and compares.
async fn restore_members(
    target: &Target<'_>,
    node: usize,
    write: &OldWrite,
) -> Result<String, Failure> {
    let Power::Act { client, recorder } = &target.common.power else {
        return Err(step::plan_cannot());
    };
    target.may_write(write.record["target"].as_str().unwrap_or_default())?;
    let reads = calls(target, node, &write.item, "the state before the undo");
    let (mut body, _) = members_now(target, write, &reads).await?;
    let record = recorder.keep(&json!({"kind": "undo", "before": body, "changes": write.record["changes"], "target": write.record["target"]}))?;
    for change in write.record["changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        let before = (!change["before"].is_null()).then(|| change["before"].clone());
        if !set_member(&mut body, path, before) {
            return Err(Failure::failed(
                "undo",
                format!("{} has no place for {path} any more", write.item),
                "azir show RUN",
            ));
        }
    }
    let calls = calls(target, node, &write.item, "put back")
        .writing(record, "run the runbook again".to_owned());
    let sent = wire::write(
        client,
        &resource("PUT", write, Some(body)),
        Effect::Update,
        Some(true),
        &calls,
    )
    .await;
    count(target, &sent);
    sent?;
    let (_, standing) = members_now(target, write, &reads).await?;
    let back = standing == Standing::AlreadyBack;
    let claim = format!(
        "{} is as it was before the run",
        crate::ids::ArmId::name_of(&write.item)
    );
    target
        .record_check(
            node,
            &write.item,
            &claim,
            Some(back),
            false,
            standing.note().as_deref(),
            0,
        )
        .await?;
    Ok("put back".to_owned())
}

async fn send(
    target: &Target<'_>,
    node: usize,
    write: &OldWrite,
    request: &UndoRequest,
    mut scope: Scope,
) -> Result<String, Failure> {
    let Power::Act { client, recorder } = &target.common.power else {
        return Err(step::plan_cannot());
    };
    let id = &target.common.program.nodes[node].id;
    let failed = |error| Failure::expression(id, &error);
    let reads = calls(target, node, &write.item, "the state before the undo");
    read_current(target, node, request, &mut scope, &reads).await?;
    let rendered = target
        .common
        .expressions
        .call(&request.call, &scope)
        .map_err(failed)?;
    target.may_write(&rendered.path_or_url)?;
    let record = recorder.keep(&json!({"kind": "undo", "before": scope.get("current"), "target": rendered.path_or_url, "body": rendered.body}))?;
    let calls = calls(target, node, &write.item, "put back")
        .writing(record, "run the runbook again".to_owned());
    let sent = wire::write(client, &rendered, Effect::Update, Some(true), &calls).await;
    count(target, &sent);
    sent?;
    let Some(that) = &request.that else {
        return Ok("put back".to_owned());
    };
    read_current(target, node, request, &mut scope, &reads).await?;
    let holds = target.common.expressions.truth(that, &scope).ok();
    let claim = format!(
        "{} is undone",
        target.common.program.step(node).title.value.to_lowercase()
    );
    target
        .record_check(node, &write.item, &claim, holds, false, None, 0)
        .await?;
    Ok("put back".to_owned())
}

fn count(target: &Target<'_>, sent: &Result<wire::Answer, Failure>) {
    let took = match sent {
        Ok(_) => true,
        Err(failure) => failure.kind == FailureKind::Unknown,
    };
    if took {
        target.tally().effects += 1;
    }
}

/// Takes a step that belongs to the undo alone.
async fn own_step(target: &Target<'_>, node: usize) -> Result<(), Failure> {
    let done = step::execute(target, node).await?;
    for due in done.checks {
        if let Some(failure) = super::check::make(target, node, due).await.failure {
            return Err(failure);
        }
    }
    Ok(())
}

async fn begin(target: &Target<'_>, node: usize, item: &str) -> Result<u64, Failure> {
    let id = &target.common.program.nodes[node].id;
    let step = target.common.program.step(node);
    let teller = target.teller.of_step(id);
    if let Some(recorder) = target.common.power.recorder() {
        let data = object(json!({
            "step": id,
            "title": step.title.value,
            "phase": phase_word(step),
            "kind": "undo",
            "undoes": true,
            "target_index": target.index,
            "state": "started",
            "items": [item],
        }));
        recorder.line("step", data).await?;
    }
    teller.tell(What::StepStarted {
        title: step.title.value.clone(),
        phase: phase_word(step),
        items: 1,
    });
    Ok(teller.clock().mono_us())
}

async fn end(
    target: &Target<'_>,
    node: usize,
    began: u64,
    result: Result<String, Failure>,
) -> Result<(), Failure> {
    let id = &target.common.program.nodes[node].id;
    let teller = target.teller.of_step(id);
    let (outcome, why) = match &result {
        Ok(why) => (StepOutcome::Done, why.clone()),
        Err(failure) if failure.kind == FailureKind::Unknown => {
            (StepOutcome::Unknown, failure.message.clone())
        }
        Err(failure) if failure.kind == FailureKind::LeftUndone => {
            (StepOutcome::LeftUndone, failure.message.clone())
        }
        Err(failure) => (StepOutcome::Failed, failure.message.clone()),
    };
    if let Some(recorder) = target.common.power.recorder() {
        let data = object(json!({
            "step": id,
            "target_index": target.index,
            "undoes": true,
            "state": "ended",
            "outcome": outcome,
            "why": why,
        }));
        recorder.line("step", data).await?;
    }
    let elapsed_ms = teller.clock().mono_us().saturating_sub(began) / 1_000;
    teller.tell(What::StepEnded {
        outcome,
        elapsed_ms,
        why: (outcome != StepOutcome::Done || why != "put back").then_some(why),
    });
    result.map(|_| ())
}

async fn close(target: &Target<'_>, tried: usize, failed: Vec<Failure>) -> End {
    let effects = target.tally().effects;
    let unchecked = target.tally().unchecked;
    let record_lost = failed
        .iter()
        .any(|failure| failure.kind == FailureKind::Record);
    let status = match (failed.is_empty(), effects) {
        (true, _) if unchecked > 0 => RunStatus::Unchecked,
        (true, _) => RunStatus::Undone,
        (false, 0) if failed.len() == tried => RunStatus::Failed,
        (false, _) => RunStatus::Partial,
    };
    let error = failed.first().map(
        |failure| json!({"code": failure.code, "message": failure.message, "hint": failure.hint}),
    );
    let mut lost = record_lost;
    if let Some(recorder) = target.common.power.recorder() {
        let said: Value = Value::Object(Map::from_iter([
            ("target_index".to_owned(), json!(target.index)),
            ("target".to_owned(), json!(target.name)),
            ("status".to_owned(), json!(outcome::word(status))),
            ("error".to_owned(), error.unwrap_or(Value::Null)),
        ]));
        lost |= recorder.note("target", said).await.is_err();
    }
    target.teller.tell(What::TargetEnded {
        status: outcome::word(status),
        error: failed.first().map(|failure| failure.message.clone()),
    });
    End {
        index: target.index,
        status,
        effects,
        record_lost: lost,
    }
}
