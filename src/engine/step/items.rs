//! The items of a step: what `for_each` gave, each with the names it sees and a name of its own.

use serde_json::Value;

use super::Item;
use crate::engine::target::Target;
use crate::runbook::expr::Scope;
use crate::runbook::model::Step;

pub(super) fn items<'a>(
    target: &'a Target<'_>,
    node: usize,
    step: &'a Step,
    scope: &Scope,
    values: Vec<Value>,
) -> Vec<Item<'a>> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            let mut scope = scope.clone();
            if step.for_each.is_some() {
                scope.set(&step.as_name, &value);
                scope.set("item", &value);
            }
            let key = key_of(target, step, &value, index);
            Item {
                target,
                node,
                step,
                scope,
                key,
            }
        })
        .collect()
}

/// Returns what an item of a step is called in the record; `number` counts from 0.
pub(crate) fn key_of(target: &Target<'_>, step: &Step, value: &Value, number: usize) -> String {
    if step.for_each.is_some() {
        item_key(value).unwrap_or_else(|| format!("item {}", number + 1))
    } else {
        target.name.clone()
    }
}

/// Returns the name of an item: its text, its id, or its name.
fn item_key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => ["id", "name", "key"]
            .iter()
            .find_map(|name| members.get(*name).and_then(Value::as_str))
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        _ => None,
    }
}
