//! `manual`: a task for a person, with its finding on the record.

use serde_json::{Value, json};

use super::{Acted, Item};
use crate::engine::ask::Finding;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::recorder::object;
use crate::runbook::model::Manual;

/// Asks a person to do the task and writes down what was found.
pub(super) async fn execute(item: &Item<'_>, manual: &Manual) -> Result<Acted, Failure> {
    let common = item.target.common;
    let failed = |error| item.expression(&error);
    let past = item.target.past_step(item.node);
    if let Some(found) = past.and_then(|step| step.finding.clone()) {
        return Ok(Acted::with(vec![("finding", Value::String(found))]));
    }
    let instruction = common
        .expressions
        .text(&manual.instruction, &item.scope)
        .map_err(failed)?;
    let asked = common
        .expressions
        .text(&manual.finding, &item.scope)
        .map_err(failed)?;
    let answer = {
        let _turn = common.asking.lock().await;
        common.ask.manual(item.id(), &instruction, &asked).await
    };
    let (finding, left) = match &answer {
        Finding::Found(text) => (Some(text.clone()), None),
        Finding::Left(why) => (None, Some(why.clone())),
    };
    if let Some(recorder) = common.power.recorder() {
        let data = object(json!({
            "step": item.id(),
            "target_index": item.target.index,
            "instruction": instruction,
            "finding": finding,
            "left": left,
            "by": common.request.responder.upn,
        }));
        recorder
            .person(&common.request.responder.upn, "manual", data)
            .await?;
    }
    match answer {
        Finding::Found(text) => Ok(Acted::with(vec![("finding", Value::String(text))])),
        Finding::Left(why) => Err(Failure::failed(
            "left",
            format!("the manual task was left: {why}"),
            "do it, and write down what you found",
        )
        .of_kind(FailureKind::LeftUndone)),
    }
}
