//! Resource Graph, as far as incident response asks it: filters, projection, order; anything else is a parser error.

use serde_json::{Map, Value, json};

use super::{Arm, shown};
use crate::lab::gate;
use crate::lab::reply::Reply;

impl Arm<'_> {
    pub(super) fn query(&mut self) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        super::only_members(
            &body,
            &[
                "query",
                "subscriptions",
                "managementGroups",
                "options",
                "facets",
            ],
            "QueryRequest",
        )?;
        let query = body["query"].as_str().unwrap_or_default();
        let mut rows: Vec<Value> = self
            .store
            .all()
            .filter(|(id, value)| {
                id.contains("/providers/")
                    && !value["type"].as_str().is_some_and(|kind| {
                        kind.matches('/').count() > 1 || kind.starts_with("Microsoft.Authorization")
                    })
            })
            // Results are what the caller may read, silently (arm.md section 5.6).
            .filter(|(id, value)| {
                gate::may(
                    self.store,
                    self.claims,
                    &format!("{}/read", value["type"].as_str().unwrap_or_default()),
                    id,
                )
            })
            .map(|(_, value)| row(&shown(value)))
            .collect();
        if let Some(subscriptions) = body["subscriptions"].as_array() {
            rows.retain(|row| subscriptions.contains(&row["subscriptionId"]));
        }
        let rows = evaluate(query, rows).map_err(|message| {
            Reply::json(
                400,
                &json!({"error": {"code": "BadRequest", "message": "Please provide below info when asking for support.", "details": [{"code": "InvalidQuery", "message": "Query is invalid."}, {"code": "ParserFailure", "message": message}]}}),
            )
        })?;
        let size = self.tenant.options.page.unwrap_or(1_000).clamp(1, 1_000);
        let from: usize = body["options"]["$skipToken"]
            .as_str()
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let page: Vec<&Value> = rows.iter().skip(from).take(size).collect();
        let more = rows.len() > from + size;
        let mut reply = json!({"totalRecords": rows.len(), "count": page.len(), "resultTruncated": if more { "true" } else { "false" }, "data": page});
        if more {
            reply["$skipToken"] = json!((from + size).to_string());
        }
        Ok(Reply::json(200, &reply)
            .with("x-ms-user-quota-remaining", "14")
            .with("x-ms-user-quota-resets-after", "00:00:05"))
    }
}

fn row(value: &Value) -> Value {
    let mut row = value.clone();
    if let Ok(id) = value["id"]
        .as_str()
        .unwrap_or_default()
        .parse::<crate::ids::ArmId>()
    {
        row["subscriptionId"] = json!(id.subscription());
        row["resourceGroup"] = json!(id.resource_group().map(str::to_lowercase));
        row["type"] = json!(id.resource_type().to_lowercase());
    }
    row
}

fn evaluate(query: &str, mut rows: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut stages = split(query, "|").into_iter();
    let table = stages.next().unwrap_or_default();
    if !table.trim().eq_ignore_ascii_case("Resources") {
        return Err(format!("the lab does not model the table {}", table.trim()));
    }
    for stage in stages {
        let stage = stage.trim();
        let (word, rest) = stage.split_once(' ').unwrap_or((stage, ""));
        match word {
            "where" => {
                let conditions = split(rest, " and ")
                    .iter()
                    .map(|text| condition(text.trim()))
                    .collect::<Result<Vec<_>, _>>()?;
                rows.retain(|row| conditions.iter().all(|condition| condition.holds(row)));
            }
            "project" => {
                let names: Vec<&str> = rest.split(',').map(str::trim).collect();
                rows = rows
                    .iter()
                    .map(|row| {
                        Value::Object(
                            names
                                .iter()
                                .map(|name| {
                                    (
                                        (*name).to_owned(),
                                        crate::json::member(row, name)
                                            .cloned()
                                            .unwrap_or(Value::Null),
                                    )
                                })
                                .collect::<Map<_, _>>(),
                        )
                    })
                    .collect();
            }
            "order" => {
                let name = rest
                    .strip_prefix("by ")
                    .and_then(|rest| rest.split(' ').next())
                    .ok_or("order needs by")?;
                rows.sort_by_key(|a| text(a, name));
                if rest.ends_with(" desc") {
                    rows.reverse();
                }
            }
            "take" | "limit" => rows.truncate(
                rest.trim()
                    .parse()
                    .map_err(|_| format!("{rest} is no number"))?,
            ),
            other => return Err(format!("the lab does not model the operator {other}")),
        }
    }
    Ok(rows)
}

struct Condition {
    field: String,
    operator: String,
    value: String,
}

fn condition(text: &str) -> Result<Condition, String> {
    for operator in [" =~ ", " == ", " has ", " contains "] {
        if let Some((field, value)) = text.split_once(operator) {
            let field = field.trim();
            let field = field
                .strip_prefix("tostring(")
                .and_then(|inner| inner.strip_suffix(')'))
                .unwrap_or(field);
            let value = value.trim();
            let quote = value
                .chars()
                .next()
                .filter(|quote| matches!(quote, '\'' | '"'))
                .ok_or_else(|| format!("{value} is no text"))?;
            let inner = value
                .strip_prefix(quote)
                .and_then(|value| value.strip_suffix(quote))
                .ok_or_else(|| format!("{value} is not closed"))?;
            let inner = inner.replace("\\'", "'").replace("\\\\", "\\");
            return Ok(Condition {
                field: field.to_owned(),
                operator: operator.trim().to_owned(),
                value: inner,
            });
        }
    }
    Err(format!("the lab does not model the condition {text}"))
}

impl Condition {
    fn holds(&self, row: &Value) -> bool {
        let found = text(row, &self.field);
        match self.operator.as_str() {
            "==" => found == self.value,
            "=~" => found.eq_ignore_ascii_case(&self.value),
            _ => found
                .to_ascii_lowercase()
                .contains(&self.value.to_ascii_lowercase()),
        }
    }
}

fn text(row: &Value, path: &str) -> String {
    match crate::json::member(row, path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Splits outside quotes.
fn split<'a>(text: &'a str, by: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, _) if at >= start && text[at..].starts_with(by) => {
                parts.push(&text[start..at]);
                start = at + by.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_of_incident_response_are_answered_and_others_refused() {
        let rows = vec![
            json!({"id": "/b", "type": "microsoft.compute/virtualmachines", "name": "VM | x", "identity": {"u": {"/ID": {}}}}),
            json!({"id": "/a", "type": "t", "name": "y"}),
        ];
        let found = evaluate("Resources | where type =~ 'Microsoft.Compute/virtualMachines' and name == 'VM | x' | project id", rows.clone()).unwrap();
        assert_eq!(found, [json!({"id": "/b"})]);
        let found = evaluate(
            "Resources | where tostring(identity.u) contains '/id'",
            rows.clone(),
        )
        .unwrap();
        assert_eq!(found.len(), 1);
        let found = evaluate("Resources | order by id asc | take 1", rows.clone()).unwrap();
        assert_eq!(found[0]["id"], json!("/a"));
        assert!(evaluate("Resources | summarize count()", rows.clone()).is_err());
        assert!(evaluate("SecurityResources", rows).is_err());
    }
}
