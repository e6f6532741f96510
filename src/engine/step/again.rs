//! A write that an earlier session of the run meant to make: what became of it, and whether it is sent again.
//!
//! What is known to have taken effect is not sent again. What nobody knows is asked of the cloud, by reading; only
//! what does no more when it is sent twice, or what reading shows not to be there, is sent.

use serde_json::{Value, json};

use super::{Acted, Item, wire};
use crate::engine::check;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::past::{PastWrite, Sent};
use crate::engine::recorder::Recorder;
use crate::runbook::expr::Scope;
use crate::runbook::model::Request;

/// How a session goes on with a write of an earlier one.
pub(super) enum GoOn {
    /// It is there.
    There(Acted),
    /// It is to be sent, with the names that it was rendered with; intents that its answer settles.
    Send(Scope, Vec<u64>),
}

/// Says how to go on with a request that an earlier session sent, or was about to send.
pub(super) async fn request(
    item: &Item<'_>,
    request: &Request,
    recorder: &Recorder,
    sent: Sent<'_>,
) -> Result<GoOn, Failure> {
    let write = sent.write();
    let scope = as_then(item, write);
    if let Sent::Took(write) = sent {
        // An attempt before the one that took effect may never have had its answer.
        let how = "the same request was sent again, and took effect";
        settle(recorder, write, true, how).await?;
        return Ok(GoOn::There(done(write, &write.after)));
    }
    let harmless = request.is_idempotent();
    let found = found(item, request, &scope, harmless).await?;
    if let Some(found) = found {
        let how = if found {
            "the state that it was to bring about was read, and is there"
        } else {
            "the state that it was to bring about was read, and is not there"
        };
        settle(recorder, write, found, how).await?;
    }
    match found {
        // Its own condition says that it is not needed: sent on what was there before, it could undo what came since.
        Some(true) if request.unless.is_some() => Ok(GoOn::There(done(write, &Value::Null))),
        // What it answers may be asked for, and sending it does no more than was done.
        _ if harmless => {
            let open = match found {
                None => write.open.clone(),
                Some(_) => Vec::new(),
            };
            Ok(GoOn::Send(scope, open))
        }
        Some(true) => Ok(GoOn::There(done(write, &Value::Null))),
        Some(false) => Ok(GoOn::Send(scope, Vec::new())),
        None => Err(Failure::failed(
            "unknown_outcome",
            format!(
                "whether \"{}\" took effect on {} cannot be read, and it is not sent a second time",
                item.step.title.value, item.key
            ),
            "azir show last, then look at the resource itself before doing it again",
        )
        .of_kind(FailureKind::Unknown)),
    }
}

/// Returns the names of an item as they were when it was written.
pub(super) fn as_then(item: &Item<'_>, write: &PastWrite) -> Scope {
    let mut scope = item.scope.clone();
    if !write.record["before"].is_null() {
        scope.set("before", &write.record["before"]);
    }
    if !write.record["now"].is_null() {
        scope.set("now", &write.record["now"]);
    }
    scope
}

fn done(write: &PastWrite, body: &Value) -> Acted {
    Acted::with(vec![
        ("before", write.record["before"].clone()),
        ("body", body.clone()),
        ("status", json!(write.status)),
        ("now", write.record["now"].clone()),
    ])
}

/// Writes down what reading shows of every attempt whose outcome nobody knew.
pub(super) async fn settle(
    recorder: &Recorder,
    write: &PastWrite,
    found: bool,
    how: &str,
) -> Result<(), Failure> {
    for intent in &write.open {
        recorder.reconcile(*intent, found, how).await?;
    }
    Ok(())
}

/// Reads whether a request took effect: by its own condition, else by the checks of its step. A write that must not
/// be sent twice is looked for as long as a replica may be behind.
async fn found(
    item: &Item<'_>,
    request: &Request,
    scope: &Scope,
    harmless: bool,
) -> Result<Option<bool>, Failure> {
    let expressions = &item.target.common.expressions;
    if let (Some(read), Some(unless)) = (&request.before, &request.unless) {
        let failed = |error| item.expression(&error);
        let rendered = expressions.call(read, scope).map_err(failed)?;
        let calls = item.calls("whether it took effect");
        let mut patience = check::Patience::of_step(&item.target.teller, item.step, harmless);
        loop {
            let reader = item.target.common.power.reader();
            let current = wire::read(reader, &rendered, &calls).await;
            let mut scope = scope.clone();
            match current {
                Ok(answer) => scope.set("before", &answer.body),
                Err(failure) if failure.kind == FailureKind::Record => return Err(failure),
                Err(_) => return Ok(None),
            }
            let there = expressions.truth(unless, &scope).map_err(failed)?;
            if there || !patience.again().await {
                return Ok(Some(there));
            }
        }
    }
    let mut scope = scope.clone();
    for (name, template) in &item.step.lets {
        // What its answer would have told is not known.
        if let Ok(value) = expressions.value(&template.value, &scope) {
            scope.set(name, &value);
        }
    }
    check::now(item.target, item.node, &item.key, &scope, harmless).await
}
