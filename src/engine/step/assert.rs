//! `assert`: what must be so.

use super::{Acted, Item};
use crate::engine::failure::{Failure, FailureKind};
use crate::runbook::model::{Assert, Otherwise};

/// States the condition; a false one refuses the target, or is a gap where the runbook says so.
pub(super) fn execute(item: &Item<'_>, assert: &Assert) -> Result<Acted, Failure> {
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
