//! `wait`: a pause with a reason.

use std::time::Duration;

use serde_json::Value;

use super::{Acted, Item};
use crate::engine::event::What;
use crate::engine::failure::Failure;
use crate::runbook::model::{ParamKind, Wait};

/// Waits.
pub(super) async fn execute(item: &Item<'_>, wait: &Wait) -> Result<Acted, Failure> {
    let value = item
        .target
        .common
        .expressions
        .template(&wait.how_long, &item.scope)
        .map_err(|error| item.expression(&error))?;
    let seconds = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => ParamKind::Duration
            .parse(text)
            .ok()
            .and_then(|value| value.as_f64()),
        _ => None,
    }
    .filter(|seconds| (0.0..=86_400.0).contains(seconds))
    .ok_or_else(|| {
        Failure::failed(
            "wait",
            format!("{value} is not a span of at most a day"),
            "azir runbook lint",
        )
    })?;
    let teller = item.target.teller.of_step(item.id());
    teller.tell(What::Waiting {
        why: wait.why.clone(),
        seconds,
    });
    teller.clock().sleep(Duration::from_secs_f64(seconds)).await;
    Ok(Acted::with(Vec::new()))
}
