//! `request`: any write, with what was there before it.

use serde_json::{Value, json};

use super::again::{self, GoOn};
use super::wire::{self, Answer};
use super::{Acted, Item};
use crate::azure::Effect;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::power::Power;
use crate::runbook::expr::{RenderedCall, Scope};
use crate::runbook::model::{Call, Request, Undo};

/// Reads the pre-image, sends the write, follows it to its end.
pub(super) async fn execute(item: &Item<'_>, request: &Request) -> Result<Acted, Failure> {
    let Power::Act { client, recorder } = &item.target.common.power else {
        return Err(plan_cannot());
    };
    let mut scope = item.scope.clone();
    let mut settles = Vec::new();
    let before = match item.sent().first() {
        Some(sent) => match again::request(item, request, recorder, *sent).await? {
            GoOn::There(acted) => return Ok(acted),
            GoOn::Send(then, open) => {
                scope = then;
                settles = open;
                // What asks what is there is made of what is there now, and what was there first is in the record of
                // the first attempt. Anything else is sent as it was then: only so is twice no more than once.
                match &request.before {
                    Some(call) if request.unless.is_some() => {
                        Some(read_before(item, call, &scope).await?)
                    }
                    _ => scope.get("before"),
                }
            }
        },
        None => match &request.before {
            Some(call) => Some(read_before(item, call, &scope).await?),
            None => None,
        },
    };
    if let Some(before) = &before {
        scope.set("before", before);
    }
    let expressions = &item.target.common.expressions;
    let failed = |error| item.expression(&error);
    if let Some(unless) = &request.unless
        && expressions.truth(unless, &scope).map_err(failed)?
    {
        return Ok(Acted {
            names: vec![
                ("before", before.unwrap_or(Value::Null)),
                ("body", Value::Null),
                ("status", Value::Null),
            ],
            acted: true,
        });
    }
    let rendered = expressions.call(&request.call, &scope).map_err(failed)?;
    item.target.may_write(&rendered.path_or_url)?;
    let record = recorder.keep(&json!({
        "kind": "request",
        "item": item.scope.get("item"),
        "method": rendered.method,
        "target": rendered.path_or_url,
        "body": rendered.body,
        "before": before,
        "now": scope.get("now"),
    }))?;
    let mut calls = item
        .calls(&item.step.title.value)
        .writing(record, super::undo_words(item.step));
    calls.keep_after = true;
    let effect = effect_of(&rendered, item.step.undo.as_ref(), before.as_ref());
    let sent = wire::write(client, &rendered, effect, request.idempotent, &calls).await;
    count(item, &sent);
    let Answer { status, body, .. } = sent?;
    for intent in settles {
        let how = "it was sent again, does no more twice than once, and took effect";
        recorder.reconcile(intent, true, how).await?;
    }
    Ok(Acted::with(vec![
        ("before", before.unwrap_or(Value::Null)),
        ("body", body),
        ("status", json!(status)),
        ("now", scope.get("now").unwrap_or(Value::Null)),
    ]))
}

/// Counts a write that took effect, or may have.
pub(super) fn count(item: &Item<'_>, sent: &Result<Answer, Failure>) {
    let took = match sent {
        // Nothing was there to delete.
        Ok(answer) => answer.status != 404,
        Err(failure) => failure.kind == FailureKind::Unknown,
    };
    if took {
        item.target.tally().effects += 1;
    }
}

/// Returns the refusal that a plan's type makes unreachable.
pub(crate) fn plan_cannot() -> Failure {
    Failure::failed(
        "plan",
        "a plan cannot write",
        "run the command without --plan",
    )
}

/// Says what a plan shows of this write.
pub(super) fn rendered(item: &Item<'_>, request: &Request) -> Result<String, Failure> {
    line(item, &request.call)
}

/// Says what a plan shows of a call.
pub(super) fn line(item: &Item<'_>, call: &Call) -> Result<String, Failure> {
    let expressions = &item.target.common.expressions;
    expressions
        .call_line(call, &item.scope)
        .map_err(|error| item.expression(&error))
}

async fn read_before(item: &Item<'_>, call: &Call, scope: &Scope) -> Result<Value, Failure> {
    let rendered = item
        .target
        .common
        .expressions
        .call(call, scope)
        .map_err(|error| item.expression(&error))?;
    let calls = item.calls("the state before the change");
    wire::read(item.target.common.power.reader(), &rendered, &calls)
        .await
        .map(|answer| answer.body)
}

/// Returns the effect that the journal names, by method and by what the runbook says of its undo.
fn effect_of(rendered: &RenderedCall, undo: Option<&Undo>, before: Option<&Value>) -> Effect {
    match (rendered.method.as_str(), undo) {
        (_, Some(Undo::Never(_))) => Effect::Irreversible,
        ("DELETE", _) => Effect::Delete,
        ("PUT", _) if before.is_none_or(Value::is_null) => Effect::Create,
        _ => Effect::Update,
    }
}
