//! What a tenant wrote down since the finding: the activity log of its subscriptions and the directory's audit log. Both
//! are minutes behind.
//!
//! Sources: arm.md, "Activity log" (`eventTimestamp`, `resourceId`, `operationName.value`, `status.value`,
//! `operationId`); graph-and-data-planes.md, "Directory audits" (`activityDateTime`, `targetResources`).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::scenario::Moment;
use crate::azure::Reader;
use crate::engine::errand;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// What the tenant wrote down.
#[derive(Default)]
pub(super) struct Logs {
    /// Writes that were not refused: when, on which resource in lower case, which operation.
    pub(super) writes: Vec<(DateTime<Utc>, String, String)>,
    /// What was done in the directory: when, which activity, to which objects in lower case.
    pub(super) audits: Vec<(DateTime<Utc>, String, Vec<String>)>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

impl Logs {
    /// Reads both logs, as far as any moment of the scenario asks for them.
    pub(super) async fn read<'a>(
        reader: &Reader,
        subscriptions: &[String],
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        moments: impl Iterator<Item = &'a Moment> + Clone,
    ) -> Self {
        let mut logs = Self::default();
        let (from, to) = (
            whole_second(since),
            whole_second(until + chrono::TimeDelta::seconds(1)),
        );
        if moments.clone().any(|moment| moment.write_of.is_some()) {
            for subscription in subscriptions {
                let path = format!(
                    "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"
                );
                let filter = format!("eventTimestamp ge '{from}' and eventTimestamp le '{to}'");
                match errand::read(reader, &list(Plane::Arm, path, Some("2015-04-01"), filter))
                    .await
                {
                    Ok((items, _)) => logs.take_events(&items),
                    Err(why) => logs
                        .unread
                        .push(format!("the activity log of {subscription}: {why}")),
                }
            }
        }
        if moments.clone().any(|moment| moment.audit_of.is_some()) {
            let path = "/v1.0/auditLogs/directoryAudits".to_owned();
            let filter = format!("activityDateTime ge {from} and activityDateTime le {to}");
            match errand::read(reader, &list(Plane::Graph, path, None, filter)).await {
                Ok((items, _)) => logs.take_audits(&items),
                Err(why) => logs
                    .unread
                    .push(format!("the directory's audit log: {why}")),
            }
        }
        logs
    }

    pub(super) fn take_events(&mut self, items: &Value) {
        let events = || items.as_array().into_iter().flatten();
        // A request that is refused was begun, and the log says that first.
        let refused: BTreeSet<(&str, String)> = events()
            .filter(|event| event["status"]["value"] == "Failed")
            .filter_map(request_of)
            .collect();
        for event in events() {
            let status = event["status"]["value"].as_str().unwrap_or_default();
            // A write that takes its time says first that it was accepted: that is when it was sent.
            let good = matches!(status, "Succeeded" | "Accepted" | "Started");
            if !good || request_of(event).is_some_and(|request| refused.contains(&request)) {
                continue;
            }
            if let (Some(time), Some(resource)) =
                (moment(&event["eventTimestamp"]), resource_of(event))
            {
                let operation = event["operationName"]["value"].as_str().unwrap_or_default();
                self.writes.push((time, resource, operation.to_owned()));
            }
        }
    }

    pub(super) fn take_audits(&mut self, items: &Value) {
        for audit in items.as_array().into_iter().flatten() {
            if audit["result"]
                .as_str()
                .is_some_and(|result| result != "success")
            {
                continue;
            }
            let Some(time) = moment(&audit["activityDateTime"]) else {
                continue;
            };
            let activity = audit["activityDisplayName"].as_str().unwrap_or_default();
            let targets = audit["targetResources"].as_array().into_iter().flatten();
            let ids = targets.filter_map(|target| target["id"].as_str().map(str::to_lowercase));
            self.audits.push((time, activity.to_owned(), ids.collect()));
        }
    }
}

/// Returns what the events of one request have in common. One correlation may hold many requests, as a deployment has,
/// so that it stands in only where an event names no operation.
fn request_of(event: &Value) -> Option<(&str, String)> {
    let named = |member: &str| event[member].as_str().filter(|id| !id.is_empty());
    let id = named("operationId").or_else(|| named("correlationId"))?;
    Some((id, resource_of(event)?))
}

fn resource_of(event: &Value) -> Option<String> {
    event["resourceId"].as_str().map(str::to_lowercase)
}

/// Returns the time that a value holds.
pub(super) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

fn list(plane: Plane, path: String, api_version: Option<&str>, filter: String) -> RenderedCall {
    RenderedCall {
        plane,
        method: "GET".to_owned(),
        path_or_url: path,
        query: vec![("$filter".to_owned(), filter)],
        api_version: api_version.map(str::to_owned),
        headers: Vec::new(),
        body: None,
        pages: Some("value".to_owned()),
        missing_ok: false,
    }
}

/// Both logs take whole seconds everywhere.
fn whole_second(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(second: u32, resource: &str, operation: &str, status: &str) -> Value {
        json!({
            "eventTimestamp": format!("2026-11-24T03:00:{second:02}.1234567Z"), "resourceId": resource,
            "operationName": {"value": "x/write"}, "operationId": operation, "correlationId": "c",
            "status": {"value": status},
        })
    }

    #[test]
    fn what_was_refused_is_no_write_though_it_was_begun() {
        let mut logs = Logs::default();
        let mut old = event(9, "/S/Old", "", "Started");
        let mut refused = event(9, "/S/Old", "", "Failed");
        for event in [&mut old, &mut refused] {
            event.as_object_mut().unwrap().remove("operationId");
        }
        logs.take_events(&json!([
            event(3, "/S/Nic", "b", "Succeeded"),
            event(2, "/S/Nic", "b", "Started"),
            event(1, "/S/Nic", "a", "Failed"),
            event(1, "/S/Nic", "a", "Accepted"),
            event(0, "/S/Nic", "a", "Started"),
            // Of the same correlation, and on something else.
            event(4, "/S/Disk", "a", "Started"),
            old,
            refused,
        ]));
        let of = |resource: &str| {
            let writes = logs.writes.iter().filter(|write| write.1 == resource);
            let seconds = writes.map(|(time, ..)| time.timestamp() % 60);
            let mut seconds: Vec<i64> = seconds.collect();
            seconds.sort_unstable();
            seconds
        };
        assert_eq!(of("/s/nic"), [2, 3]);
        assert_eq!(of("/s/disk"), [4]);
        assert_eq!(of("/s/old"), [] as [i64; 0]);
    }

    #[test]
    fn what_failed_in_the_directory_was_not_done() {
        let mut logs = Logs::default();
        logs.take_audits(&json!([
            {"activityDateTime": "2026-11-24T03:00:00Z", "activityDisplayName": "Disable account", "result": "success", "targetResources": [{"id": "A"}]},
            {"activityDateTime": "2026-11-24T03:00:00Z", "activityDisplayName": "Disable account", "result": "failure", "targetResources": [{"id": "A"}]},
        ]));
        assert_eq!(logs.audits.len(), 1);
        assert_eq!(logs.audits[0].2, ["a"]);
    }
}
