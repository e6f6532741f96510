//! `assert`: what must be so. A guard yields to nobody but two persons, who named it in the plan that they approved.

use serde_json::json;

use super::{Acted, Item};
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::recorder::object;
use crate::runbook::model::{Assert, Otherwise};

/// States the condition; a false one refuses the target, or is a gap where the runbook says so.
pub(super) async fn execute(item: &Item<'_>, assert: &Assert) -> Result<Acted, Failure> {
    let expressions = &item.target.common.expressions;
    let failed = |error| item.expression(&error);
    if expressions
        .truth(&assert.that, &item.scope)
        .map_err(failed)?
    {
        return Ok(Acted::with(Vec::new()));
    }
    let message = expressions
        .text(&assert.message, &item.scope)
        .map_err(failed)?;
    let guards = item.step.otherwise == Otherwise::Stop;
    if guards && item.target.common.request.over_guards.contains(item.id()) {
        set_aside(item, message).await?;
        return Ok(Acted::with(Vec::new()));
    }
    let failure = Failure::failed(
        "guard",
        message,
        format!("{} --plan", item.target.command()),
    );
    Err(match item.step.otherwise {
        Otherwise::Stop => failure.of_kind(FailureKind::Refused),
        Otherwise::Continue | Otherwise::Gap | Otherwise::Say => failure,
    })
}

/// Goes past a guard, and says so where it can be found.
async fn set_aside(item: &Item<'_>, message: String) -> Result<(), Failure> {
    let common = item.target.common;
    if let Some(recorder) = common.power.recorder() {
        let data = object(json!({
            "step": item.id(),
            "target_index": item.target.index,
            "question": message,
            "choice": "set aside",
            "by": "the approved plan",
        }));
        recorder
            .person(&common.request.responder.upn, "decision", data)
            .await?;
    }
    let mut tally = item.target.tally();
    tally.set_aside.push((item.id().to_owned(), message));
    Ok(())
}
