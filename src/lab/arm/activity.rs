//! The activity log: what was done by whom, newest first, 90 days deep, in pages (arm.md section 2.8).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Arm;
use crate::lab::reply::{Ask, Reply};

/// How long an event takes to appear in the log: minutes, as in practice.
const LAG_SECONDS: i64 = 180;

impl Arm<'_> {
    pub(super) fn activity(&mut self) -> Result<Reply, Reply> {
        let refuse =
            |message: &str| Reply::json(400, &json!({"Code": "BadRequest", "Message": message}));
        let filter = self.ask.query("$filter").unwrap_or_default();
        let parts: Vec<&str> = filter.split(" and ").collect();
        let text = |part: &str, name: &str| {
            part.strip_prefix(name)
                .map(|value| value.trim().trim_matches('\'').to_owned())
        };
        let time = |name: &str| {
            let found = parts.iter().find_map(|part| text(part, name))?;
            DateTime::parse_from_rfc3339(&found)
                .ok()
                .map(|time| time.with_timezone(&Utc))
        };
        let (Some(from), Some(to)) = (time("eventTimestamp ge "), time("eventTimestamp le "))
        else {
            return Err(refuse(
                "The filter must have a start and an end of eventTimestamp.",
            ));
        };
        let now = self.tenant.clock.now();
        if now - from > chrono::Duration::days(90) {
            return Err(refuse(
                "The start time cannot be more than 90 days in the past.",
            ));
        }
        let group = parts
            .iter()
            .find_map(|part| text(part, "resourceGroupName eq "));
        let resource = parts.iter().find_map(|part| {
            text(part, "resourceUri eq ").or_else(|| text(part, "resourceId eq "))
        });
        if parts.len() > 2 && group.is_none() && resource.is_none() {
            return Err(refuse("The filter is not supported."));
        }
        let same = |value: &Value, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                value
                    .as_str()
                    .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            })
        };
        let seen = now - chrono::Duration::seconds(LAG_SECONDS);
        let mut events: Vec<Value> = self
            .store
            .events
            .iter()
            .filter(|event| {
                let when = event["eventTimestamp"]
                    .as_str()
                    .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
                    .map(|time| time.with_timezone(&Utc));
                when.is_some_and(|when| when >= from && when <= to && when <= seen)
                    && same(&event["resourceGroupName"], &group)
                    && same(&event["resourceId"], &resource)
            })
            .cloned()
            .collect();
        events.reverse();
        Ok(self.list(events))
    }
}

/// Returns the event that a write leaves in the log.
pub(in crate::lab) fn event(
    ask: &Ask,
    caller: &str,
    status: u16,
    now: DateTime<Utc>,
    id: &str,
) -> Value {
    let parsed: Option<crate::ids::ArmId> = ask.path.parse().ok();
    let kind = parsed
        .as_ref()
        .map(crate::ids::ArmId::resource_type)
        .unwrap_or_default();
    let verb = match ask.method.as_str() {
        "DELETE" => "delete",
        "POST" => "action",
        _ => "write",
    };
    let time = now.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string();
    json!({
        "eventDataId": id, "id": format!("{}/events/{id}", ask.path), "eventTimestamp": time, "submissionTimestamp": time, "caller": caller,
        "category": {"value": "Administrative"}, "level": "Informational", "operationName": {"value": format!("{kind}/{verb}")},
        "httpRequest": {"clientRequestId": ask.header("x-ms-client-request-id"), "clientIpAddress": "127.0.0.1", "method": ask.method},
        "resourceGroupName": parsed.as_ref().and_then(crate::ids::ArmId::resource_group), "resourceId": ask.path,
        "subscriptionId": parsed.as_ref().and_then(crate::ids::ArmId::subscription),
        "status": {"value": if status < 400 { "Succeeded" } else { "Failed" }},
    })
}
