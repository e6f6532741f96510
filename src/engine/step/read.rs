//! `read`: one answer, or a list read to its end.

use serde_json::{Value, json};

use super::wire::{self, Answer};
use super::{Acted, Item};
use crate::engine::failure::Failure;
use crate::runbook::model::Call;

/// Reads, and names `body` and `status`, or `items`.
pub(super) async fn execute(item: &Item<'_>, call: &Call) -> Result<Acted, Failure> {
    let rendered = item
        .target
        .common
        .expressions
        .call(call, &item.scope)
        .map_err(|error| item.expression(&error))?;
    let reader = item.target.common.power.reader();
    let calls = item.calls(&item.step.title.value);
    if rendered.pages.is_some() {
        let items = wire::read_list(reader, &rendered, &calls).await?;
        return Ok(Acted::with(vec![("items", Value::Array(items))]));
    }
    let Answer { status, body, .. } = wire::read(reader, &rendered, &calls).await?;
    Ok(Acted::with(vec![("body", body), ("status", json!(status))]))
}
