//! Filters that put what several logs tell into one order (Graph sheet sections 2.1 and 2.2, arm.md section 2.8).

use serde_json::{Value, json};

use super::filters::list;
use super::language::Row;
use super::order::at;
use super::rating::{author, text};

pub(super) const ROWS: &[Row] = &[(
    "timeline",
    timeline,
    "[{source, kind, rows}] | timeline: events of sign-in, audit and activity logs, the oldest first, each with time, who, what and where",
)];

fn timeline(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut events = Vec::new();
    for log in list(value)? {
        let read = match text(log, "kind") {
            "sign-in" => sign_in,
            "audit" => audit,
            "activity" => activity,
            other => return Err(format!("{other:?} is no kind of log")),
        };
        let source = text(log, "source");
        let rows = log.get("rows").and_then(Value::as_array);
        for row in rows.into_iter().flatten() {
            let mut event = read(row);
            event["source"] = json!(source);
            events.push(event);
        }
    }
    // One event may come through two reads of one log.
    events
        .sort_by_cached_key(|event| (text(event, "time").to_owned(), text(event, "id").to_owned()));
    events.dedup_by(|a, b| !text(a, "id").is_empty() && a["id"] == b["id"]);
    Ok(Value::Array(events))
}

fn sign_in(row: &Value) -> Value {
    let code = crate::json::member(row, "status.errorCode")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let result = match (code, text(row, "status.failureReason")) {
        (0, _) => "let in".to_owned(),
        (code, "") => format!("refused ({code})"),
        (code, why) => format!("refused ({code}: {why})"),
    };
    let who = first(
        row,
        &[
            "userPrincipalName",
            "servicePrincipalName",
            "appDisplayName",
            "servicePrincipalId",
        ],
    );
    let to = first(row, &["resourceDisplayName", "appDisplayName"]);
    json!({"time": moment(row, "createdDateTime"), "id": text(row, "id"), "who": who, "from": text(row, "ipAddress"),
        "what": format!("sign-in to {to}, {result}"), "reached": text(row, "resourceDisplayName")})
}

fn audit(row: &Value) -> Value {
    let targets = row.get("targetResources").and_then(Value::as_array);
    let names: Vec<&str> = targets
        .into_iter()
        .flatten()
        .map(|target| first(target, &["userPrincipalName", "displayName", "id"]))
        .filter(|name| !name.is_empty())
        .collect();
    let of = if names.is_empty() {
        String::new()
    } else {
        format!(" of {}", names.join(", "))
    };
    let result = match text(row, "result") {
        "" | "success" => String::new(),
        other => format!(", {other}"),
    };
    json!({"time": moment(row, "activityDateTime"), "id": text(row, "id"), "who": author(row),
        "from": text(row, "initiatedBy.user.ipAddress"), "what": format!("{}{of}{result}", text(row, "activityDisplayName")), "reached": names.first().copied().unwrap_or_default()})
}

fn activity(row: &Value) -> Value {
    let status = text(row, "status.value");
    let operation = text(row, "operationName.value");
    let at = text(row, "resourceId");
    json!({"time": moment(row, "eventTimestamp"), "id": text(row, "eventDataId"), "who": text(row, "caller"),
        "from": first(row, &["httpRequest.clientIpAddress", "claims.ipaddr"]), "what": format!("{operation} on {at}, {status}"), "reached": text(row, "subscriptionId")})
}

/// A time in one form, so that texts sort as times do.
fn moment(row: &Value, path: &str) -> String {
    at(row, path).map_or_else(String::new, crate::clock::micros)
}

fn first<'a>(row: &'a Value, paths: &[&str]) -> &'a str {
    let found = paths.iter().map(|path| text(row, path));
    found
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_logs_become_one_order_and_no_event_stands_twice() {
        let sign_in = json!({"id": "s", "createdDateTime": "2026-05-01T10:00:00Z", "userPrincipalName": "heidi@contoso.com", "ipAddress": "192.0.2.1", "resourceDisplayName": "Office", "status": {"errorCode": 0}});
        let audit = json!({"id": "a", "activityDateTime": "2026-05-01T09:59:59.5Z", "activityDisplayName": "Add owner to application", "result": "failure",
            "initiatedBy": {"user": {"userPrincipalName": "heidi@contoso.com", "ipAddress": "192.0.2.1"}}, "targetResources": [{"displayName": "shop"}]});
        let activity = json!({"eventDataId": "e", "eventTimestamp": "2026-05-01T10:00:00.25Z", "caller": "heidi@contoso.com", "operationName": {"value": "A/b/write"}, "resourceId": "/x", "status": {"value": "Succeeded"}, "httpRequest": {"clientIpAddress": "192.0.2.1"}});
        let logs = json!([
            {"source": "sign-ins", "kind": "sign-in", "rows": [sign_in, sign_in]},
            {"source": "audits", "kind": "audit", "rows": [audit]},
            {"source": "activity", "kind": "activity", "rows": [activity]},
            {"source": "late", "kind": "audit", "rows": null},
        ]);
        let events = timeline(&logs, &[]).unwrap();
        let told: Vec<&str> = events
            .as_array()
            .unwrap()
            .iter()
            .map(|event| text(event, "what"))
            .collect();
        assert_eq!(
            told,
            [
                "Add owner to application of shop, failure",
                "sign-in to Office, let in",
                "A/b/write on /x, Succeeded"
            ]
        );
        assert!(timeline(&json!([{"kind": "x"}]), &[]).is_err());
    }
}
