//! The items of a list that a scenario names, and what each is called.

use serde_json::Value;

use crate::runbook::expr::{Expressions, Scope};

/// Returns the items of a list, or the one that is none where no list is meant.
///
/// # Errors
/// A template without value; an empty list.
pub(super) fn items(
    expressions: &Expressions,
    for_each: Option<&str>,
    scope: &Scope,
) -> Result<Vec<Value>, String> {
    match for_each {
        None => Ok(vec![Value::Null]),
        Some(list) => {
            let found = expressions
                .list(list, scope)
                .map_err(|error| error.to_string())?;
            // Of nothing anything is true.
            if found.is_empty() {
                return Err(format!("{list} is empty: there is nothing to look at"));
            }
            Ok(found)
        }
    }
}

/// Returns what an item is called: by its id or itself, without one by the condition.
pub(super) fn called(item: &Value, id: &str) -> String {
    let named = item
        .as_str()
        .or_else(|| item["id"].as_str())
        .or_else(|| item["name"].as_str());
    named.map_or_else(
        || {
            if item.is_null() {
                id.to_owned()
            } else {
                item.to_string()
            }
        },
        str::to_owned,
    )
}
