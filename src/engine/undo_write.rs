//! Putting one write back: the request, what is read back afterwards, and the `step` lines around both.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::Patience;
use super::event::{StepOutcome, What};
use super::failure::{Failure, FailureKind};
use super::past::PastWrite;
use super::power::Power;
use super::recorder::object;
use super::step::{self, overtaken, wire};
use super::target::{Target, phase_word};
use super::undo_standing::{
    Part, Standing, calls, members_now, parts, read_current, request_now, resource,
};
use crate::azure::Effect;
use crate::json::set_member;
use crate::runbook::expr::Scope;
use crate::runbook::model::UndoRequest;

/// Puts one write back, with its `step` lines.
pub(crate) async fn put_back(
    target: &Target<'_>,
    node: usize,
    write: &PastWrite,
    over_drift: bool,
) -> Result<(), Failure> {
    let began = begin(target, node, &write.item).await?;
    let mut result = Ok("put back".to_owned());
    for mut part in parts(target, node, write) {
        result = one(target, node, &mut part, over_drift).await;
        if result.is_err() {
            break;
        }
    }
    end(target, node, began, result).await
}

/// Puts one part of a write back; returns what came of it.
pub(crate) async fn one(
    target: &Target<'_>,
    node: usize,
    part: &mut Part<'_>,
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
            return Err(drifted(&what));
        }
        Standing::Drifted(_) | Standing::AsLeft => {}
    }
    match part {
        Part::Members { write } => restore_members(target, node, write, over_drift).await,
        Part::Request {
            write,
            request,
            scope,
        } => send(target, node, write, request, scope.clone(), over_drift).await,
        Part::Nothing(_) => Ok(String::new()),
    }
}

fn drifted(what: &str) -> Failure {
    Failure::failed(
        "drift",
        format!("somebody changed it since: {what}"),
        "azir undo RUN --over-drift",
    )
    .of_kind(FailureKind::LeftUndone)
}

/// Reads the resource afresh, puts the members back, reads again and compares.
async fn restore_members(
    target: &Target<'_>,
    node: usize,
    write: &PastWrite,
    over_drift: bool,
) -> Result<String, Failure> {
    target.may_write(write.record["target"].as_str().unwrap_or_default())?;
    let reads = calls(target, node, &write.item, "the state before the undo");
    let mut again = 0;
    loop {
        let (body, standing) = members_now(target, write, &reads).await?;
        match standing {
            Standing::AlreadyBack => return Ok("already as it was before the run".to_owned()),
            Standing::Drifted(what) if !over_drift => return Err(drifted(&what)),
            _ => {}
        }
        match put_members(target, node, write, body).await {
            Ok(()) => break,
            // Somebody else was faster: how it stands now is looked at afresh.
            Err(failure) if overtaken(&failure, &mut again) => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut patience = Patience::of(&target.teller, PATIENCE);
    let standing = loop {
        let (_, standing) = members_now(target, write, &reads).await?;
        if standing == Standing::AlreadyBack || !patience.again().await {
            break standing;
        }
    };
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

/// Sends a resource as it was just read, with the members as they were before the run; under its etag, where the run
/// changed them so.
async fn put_members(
    target: &Target<'_>,
    node: usize,
    write: &PastWrite,
    mut body: Value,
) -> Result<(), Failure> {
    let Power::Act { client, recorder } = &target.common.power else {
        return Err(step::plan_cannot());
    };
    let record = recorder.keep(&json!({"kind": "undo", "before": body, "changes": write.record["changes"], "target": write.record["target"]}))?;
    let etag = body["etag"].as_str().map(str::to_owned);
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
    let mut call = resource("PUT", write, Some(body));
    if let Some(etag) = etag.filter(|_| write.record["if_match"] == true) {
        call.headers.push(("If-Match".to_owned(), etag));
    }
    let calls = calls(target, node, &write.item, "put back")
        .writing(record, "run the runbook again".to_owned());
    let sent = wire::write(client, &call, Effect::Update, Some(true), &calls).await;
    count(target, &sent);
    match sent {
        Err(failure) if failure.kind == FailureKind::Unknown => {
            // An answer that was lost may have been a good one; sent again, it meets the etag that it made itself.
            let reading = calls.reading("the end of the write was not seen");
            let (_, standing) = members_now(target, write, &reading).await?;
            if standing != Standing::AlreadyBack {
                return Err(failure);
            }
            calls
                .reconciled("the resource was read back and is as it was before the run")
                .await;
            Ok(())
        }
        sent => sent.map(|_| ()),
    }
}

async fn send(
    target: &Target<'_>,
    node: usize,
    write: &PastWrite,
    request: &UndoRequest,
    mut scope: Scope,
    over_drift: bool,
) -> Result<String, Failure> {
    let Power::Act { client, recorder } = &target.common.power else {
        return Err(step::plan_cannot());
    };
    let id = &target.common.program.nodes[node].id;
    let failed = |error| Failure::expression(id, &error);
    let reads = calls(target, node, &write.item, "the state before the undo");
    match request_now(target, node, request, &mut scope, &reads).await? {
        Standing::AlreadyBack => return Ok("already as it was before the run".to_owned()),
        Standing::Drifted(what) if !over_drift => return Err(drifted(&what)),
        _ => {}
    }
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
    let mut patience = Patience::of(&target.teller, PATIENCE);
    let holds = loop {
        read_current(target, node, request, &mut scope, &reads).await?;
        let holds = target.common.expressions.truth(that, &scope).ok();
        if holds == Some(true) || !patience.again().await {
            break holds;
        }
    };
    let claim = format!(
        "{} is undone",
        target.common.program.step(node).title.value.to_lowercase()
    );
    target
        .record_check(node, &write.item, &claim, holds, false, None, 0)
        .await?;
    Ok("put back".to_owned())
}

/// How long what was put back may take to show: reads may come from a replica that is behind.
const PATIENCE: Duration = Duration::from_secs(30);

fn count(target: &Target<'_>, sent: &Result<wire::Answer, Failure>) {
    let took = match sent {
        Ok(_) => true,
        Err(failure) => failure.kind == FailureKind::Unknown,
    };
    if took {
        target.tally().effects += 1;
    }
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
