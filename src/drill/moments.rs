//! Points in time: first by what the tenant itself wrote down, which nobody who acts can choose. Its logs show a thing
//! only minutes after it was done; until then, and for what no tenant keeps, the verified record of the runs says when.
//!
//! Sources: arm.md, "Activity log" (`eventTimestamp`, `resourceId`, `operationName.value`, `status.value`);
//! graph-and-data-planes.md, "Directory audits" (`activityDateTime`, `targetResources`).

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::kept::{Call, Kept};
use super::scenario::{Moment, Which};
use crate::azure::Reader;
use crate::engine::errand;
use crate::runbook::expr::{Expressions, RenderedCall, Scope};
use crate::runbook::model::Plane;

/// What the tenant wrote down since the finding.
#[derive(Default)]
pub(super) struct Logs {
    /// Writes that succeeded: when, on which resource in lower case, which operation.
    writes: Vec<(DateTime<Utc>, String, String)>,
    /// What was done in the directory: when, which activity, to which objects.
    audits: Vec<(DateTime<Utc>, String, Vec<String>)>,
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

    fn take_events(&mut self, items: &Value) {
        for event in items.as_array().into_iter().flatten() {
            let status = event["status"]["value"].as_str().unwrap_or_default();
            // A write that takes its time says first that it was accepted: that is when it was sent.
            if !matches!(status, "Succeeded" | "Accepted" | "Started") {
                continue;
            }
            if let (Some(time), Some(resource)) = (
                moment(&event["eventTimestamp"]),
                event["resourceId"].as_str(),
            ) {
                let operation = event["operationName"]["value"].as_str().unwrap_or_default();
                self.writes
                    .push((time, resource.to_lowercase(), operation.to_owned()));
            }
        }
    }

    fn take_audits(&mut self, items: &Value) {
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

/// What is known when a moment is looked for.
pub(super) struct Sources<'a> {
    pub(super) reader: &'a Reader,
    pub(super) expressions: &'a Expressions,
    pub(super) logs: &'a Logs,
    pub(super) kept: &'a Kept,
    pub(super) since: DateTime<Utc>,
}

impl Sources<'_> {
    /// Returns when something happened after the finding, if it did.
    ///
    /// # Errors
    /// A template without value; a tenant that does not answer.
    pub(super) async fn when(
        &self,
        moment: &Moment,
        scope: &Scope,
    ) -> Result<Option<DateTime<Utc>>, String> {
        let times = self.times(moment, scope).await?;
        let times = times.into_iter().filter(|time| end_of(*time) >= self.since);
        Ok(match moment.which {
            Which::First => times.min(),
            Which::Last => times.max(),
        })
    }

    async fn times(&self, moment: &Moment, scope: &Scope) -> Result<Vec<DateTime<Utc>>, String> {
        if let Some(of) = &moment.write_of {
            let ids = self.ids(of, scope)?;
            let operation = moment.operation.as_deref();
            let fits =
                |name: &str| operation.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
            let operation = operation.unwrap_or_default();
            let found = self.logs.writes.iter();
            let named = |resource: &str| ids.iter().any(|id| matches(id, resource));
            let found = found.filter(|(_, resource, name)| named(resource) && fits(name));
            let found: Vec<_> = found.map(|(time, _, _)| *time).collect();
            if !found.is_empty() {
                return Ok(found);
            }
            if moment.call.is_none() {
                let calls = self.kept.calls.iter();
                let calls = calls.filter(|call| call.ok && named(&call.path.to_lowercase()));
                let calls = calls.filter(|call| does(&call.method, operation));
                return Ok(calls.map(|call| call.time).collect());
            }
        }
        if let Some(of) = &moment.audit_of {
            let ids = self.ids(of, scope)?;
            let fits = |name: &str| {
                moment.activity.is_empty()
                    || moment
                        .activity
                        .iter()
                        .any(|wanted| name.starts_with(wanted.as_str()))
            };
            let found = self.logs.audits.iter();
            let found = found.filter(|(_, name, targets)| {
                fits(name) && targets.iter().any(|id| ids.contains(id))
            });
            let found: Vec<_> = found.map(|(time, _, _)| *time).collect();
            if !found.is_empty() || moment.call.is_none() {
                return Ok(found);
            }
        }
        if let (Some(read), Some(times)) = (&moment.read, &moment.times) {
            let call = self
                .expressions
                .call(&read.call()?, scope)
                .map_err(|error| error.to_string())?;
            let (got, _) = errand::read(self.reader, &call).await?;
            let mut scope = scope.clone();
            scope.set("got", &got);
            let found = self
                .expressions
                .template(times, &scope)
                .map_err(|error| error.to_string())?;
            return Ok(each(&found).filter_map(self::moment).collect());
        }
        let pattern = moment.call.as_deref().unwrap_or_default();
        let pattern = self
            .expressions
            .text(pattern, scope)
            .map_err(|error| error.to_string())?;
        let found = self
            .kept
            .calls
            .iter()
            .filter(|call| call.ok && fits(&pattern, call));
        Ok(found.map(|call| call.time).collect())
    }

    fn ids(&self, template: &str, scope: &Scope) -> Result<Vec<String>, String> {
        let found = self
            .expressions
            .template(template, scope)
            .map_err(|error| error.to_string())?;
        Ok(each(&found)
            .filter_map(|id| id.as_str().map(str::to_lowercase))
            .collect())
    }
}

/// Returns the last moment that a time can mean: where a tenant keeps whole seconds alone, the second's end.
pub(super) fn end_of(time: DateTime<Utc>) -> DateTime<Utc> {
    if time.timestamp_subsec_nanos() == 0 {
        time + chrono::TimeDelta::milliseconds(999)
    } else {
        time
    }
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

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::Array(items) => (items.as_slice(), None),
        one => (&[][..], Some(one)),
    };
    list.iter().chain(one)
}

fn moment(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

/// Whether a request by this method is an operation of this name, or could be where none is named.
fn does(method: &str, operation: &str) -> bool {
    match operation.rsplit('/').next() {
        Some("write") => matches!(method, "PUT" | "PATCH"),
        Some("delete") => method == "DELETE",
        Some("action") => method == "POST",
        _ => method != "GET",
    }
}

/// Whether a call is one that `METHOD pattern` means.
fn fits(pattern: &str, call: &Call) -> bool {
    let Some((method, path)) = pattern.split_once(' ') else {
        return false;
    };
    method == call.method && matches(&path.to_lowercase(), &call.path.to_lowercase())
}

/// Whether `*` in a pattern can stand for what makes it the text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, text, same) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*", "/a/b/c", true),
            (
                "*/roleassignments",
                "/subscriptions/s/roleassignments",
                true,
            ),
            (
                "*/roleassignments",
                "/subscriptions/s/roleassignments/x",
                false,
            ),
            ("/a*c*e", "/abcde", true),
            ("/a*a", "/a", false),
            ("", "/a", false),
        ] {
            assert_eq!(matches(pattern, text), same, "{pattern} {text}");
        }
    }

    #[test]
    fn only_what_succeeded_counts_and_times_are_read_as_the_service_writes_them() {
        let mut logs = Logs::default();
        logs.take_events(&serde_json::json!([
            {"eventTimestamp": "2026-11-24T03:00:00.1234567Z", "resourceId": "/S/Nic", "operationName": {"value": "x/write"}, "status": {"value": "Succeeded"}},
            {"eventTimestamp": "2026-11-24T03:00:01Z", "resourceId": "/S/Nic", "operationName": {"value": "x/write"}, "status": {"value": "Failed"}},
        ]));
        assert_eq!(logs.writes.len(), 1);
        assert_eq!(logs.writes[0].1, "/s/nic");
        logs.take_audits(&serde_json::json!([
            {"activityDateTime": "2026-11-24T03:00:00Z", "activityDisplayName": "Disable account", "result": "success", "targetResources": [{"id": "A"}]},
            {"activityDateTime": "2026-11-24T03:00:00Z", "activityDisplayName": "Disable account", "result": "failure", "targetResources": [{"id": "A"}]},
        ]));
        assert_eq!(logs.audits.len(), 1);
    }
    #[test]
    fn a_time_of_whole_seconds_may_be_any_in_its_second() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let exact = at("2026-11-24T03:00:00.700Z");
        assert!(exact <= end_of(at("2026-11-24T03:00:00Z")));
        assert!(exact > end_of(at("2026-11-24T02:59:59Z")));
        assert_eq!(end_of(exact), exact);
    }
}
