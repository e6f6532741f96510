//! What must be as it was when the clock started: read then and now, and compared.

use serde_json::{Value, json};

use super::each::{called, items};
use super::scenario::Same;
use crate::azure::Reader;
use crate::engine::errand;
use crate::runbook::expr::{Expressions, Scope};

/// Reads what must be the same of each item: its name, and the value.
pub(super) async fn values(
    reader: &Reader,
    expressions: &Expressions,
    same: &Same,
    scope: &Scope,
) -> Result<Vec<(String, Value)>, String> {
    let mut all = Vec::new();
    for item in items(expressions, same.for_each.as_deref(), scope)? {
        let mut scope = scope.clone();
        scope.set(&same.as_name, &item);
        let call = same.read.call()?;
        let call = expressions
            .call(&call, &scope)
            .map_err(|error| error.to_string())?;
        let (got, status) = errand::read(reader, &call).await?;
        scope.set("got", &got);
        scope.set("got_status", &json!(status));
        let value = expressions
            .template(&same.same, &scope)
            .map_err(|error| error.to_string())?;
        all.push((called(&item, &same.id), value));
    }
    Ok(all)
}

/// Says which values are not what they were.
pub(super) fn changed(before: &[(String, Value)], now: &[(String, Value)]) -> Vec<String> {
    let was = |name: &str| before.iter().find(|(known, _)| known == name);
    let of_now = now.iter().filter_map(|(name, value)| match was(name) {
        Some((_, old)) if old == value => None,
        Some((_, old)) => Some(format!("{name} was {} and is {}", brief(old), brief(value))),
        None => Some(format!("{name} was not there")),
    });
    let gone = before
        .iter()
        .filter(|(name, _)| !now.iter().any(|(known, _)| known == name))
        .map(|(name, _)| format!("{name} is gone"));
    of_now.chain(gone).collect()
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= 200 {
        return text;
    }
    let cut: String = text.chars().take(200).collect();
    format!("{cut}...")
}
