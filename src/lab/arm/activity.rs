//! The activity log: what was done by whom, newest first, 90 days deep, in pages (arm.md section 2.8).

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Value, json};

use super::Arm;
use crate::ids::ArmId;
use crate::lab::entra::Claims;
use crate::lab::reply::{Ask, Reply};
use crate::random::Random;

/// How long an event takes to appear in the log: minutes, as in practice.
const LAG_SECONDS: i64 = 180;

/// Members that a filter may compare, and where an event has them.
const COMPARED: &[(&str, &str)] = &[
    ("caller", "/caller"),
    ("correlationId", "/correlationId"),
    ("resourceGroupName", "/resourceGroupName"),
    ("resourceId", "/resourceId"),
    ("resourceProvider", "/resourceProviderName/value"),
    ("resourceUri", "/resourceId"),
    ("status", "/status/value"),
];

impl Arm<'_> {
    pub(super) fn activity(&mut self) -> Result<Reply, Reply> {
        let refuse =
            |message: &str| Reply::json(400, &json!({"Code": "BadRequest", "Message": message}));
        if self.ask.method != "GET" {
            return Err(crate::lab::reply::not_modelled(&format!(
                "{} on the activity log",
                self.ask.method
            )));
        }
        let filter = self.ask.query("$filter").unwrap_or_default();
        let filter = Filter::parse(filter).map_err(refuse)?;
        let now = self.tenant.clock.now();
        if now - filter.from > chrono::Duration::days(90) {
            return Err(refuse(
                "The start time cannot be more than 90 days in the past.",
            ));
        }
        if filter.from > filter.to {
            return Err(refuse("The start time cannot be later than the end time."));
        }
        let seen = now - chrono::Duration::seconds(LAG_SECONDS);
        let subscription = self.ask.segments().get(1).copied().unwrap_or_default();
        let mut events: Vec<(DateTime<Utc>, &Value)> = self
            .store
            .events
            .iter()
            .filter(|event| {
                event["subscriptionId"]
                    .as_str()
                    .is_some_and(|id| id.eq_ignore_ascii_case(subscription))
            })
            .filter_map(|event| Some((event["eventTimestamp"].as_str()?.parse().ok()?, event)))
            .filter(|(when, event)| *when <= seen && filter.holds(*when, event))
            .collect();
        events.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
        let events: Vec<Value> = events.into_iter().map(|(_, event)| event.clone()).collect();
        Ok(self.list(&events))
    }
}

/// The fixed grammar of the log's filter.
struct Filter {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    equal: Vec<(&'static str, String)>,
}

impl Filter {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut from, mut to, mut equal) = (None, None, Vec::new());
        for part in text
            .split(" and ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let mut words = part.splitn(3, ' ');
            let (Some(member), Some(operator), Some(value)) =
                (words.next(), words.next(), words.next())
            else {
                return Err("The filter is not supported.");
            };
            let value = value.trim().trim_matches('\'');
            let time = || {
                // A time without an offset is UTC; az sends it so.
                value
                    .parse::<DateTime<Utc>>()
                    .or_else(|_| value.parse::<NaiveDateTime>().map(|time| time.and_utc()))
                    .map_err(|_| "A time of the filter is not valid.")
            };
            match (member, operator) {
                ("eventTimestamp", "ge") => from = Some(time()?),
                ("eventTimestamp", "le") => to = Some(time()?),
                // Every event of the lab is administrative and informational.
                ("eventChannels" | "levels", "eq") => {}
                (_, "eq") => match COMPARED.iter().find(|(known, _)| *known == member) {
                    Some((_, place)) => equal.push((*place, value.to_owned())),
                    None => return Err("The filter is not supported."),
                },
                _ => return Err("The filter is not supported."),
            }
        }
        let about = equal
            .iter()
            .filter(|(place, _)| !matches!(*place, "/caller" | "/status/value"));
        if about.count() > 1 {
            return Err(
                "The filter may name at most one of resourceGroupName, resourceUri, resourceProvider and correlationId.",
            );
        }
        match (from, to) {
            (Some(from), Some(to)) => Ok(Self { from, to, equal }),
            _ => Err("The filter must have a start and an end of eventTimestamp."),
        }
    }

    fn holds(&self, when: DateTime<Utc>, event: &Value) -> bool {
        let same = |(place, wanted): &(&str, String)| {
            event
                .pointer(place)
                .and_then(Value::as_str)
                .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        self.from <= when && when <= self.to && self.equal.iter().all(same)
    }
}

/// Returns the events that a request leaves in the log: none of a read, its begin and its end of a write.
pub(in crate::lab) fn events(
    ask: &Ask,
    claims: &Claims,
    status: u16,
    now: DateTime<Utc>,
    random: &dyn Random,
) -> Vec<Value> {
    let asks = [
        "/effectivenetworksecuritygroups",
        "/providers/microsoft.policyinsights/checkpolicyrestrictions",
        "/providers/microsoft.resourcegraph/resources",
        super::accounts::CHECK_NAME,
    ];
    let path = ask.path.to_ascii_lowercase();
    let logged = match ask.method.as_str() {
        "PUT" | "PATCH" | "DELETE" => true,
        "POST" => !asks.iter().any(|end| path.ends_with(end)),
        _ => false,
    };
    if !logged || matches!(status, 404 | 501) {
        return Vec::new();
    }
    let correlation = random.uuid().to_string();
    let outcome = if status < 400 { "Succeeded" } else { "Failed" };
    [
        ("BeginRequest", "Started", ""),
        ("EndRequest", outcome, &status.to_string()),
    ]
    .into_iter()
    .map(|(name, state, sub)| {
        event(
            ask,
            claims,
            (name, state, sub),
            now,
            (&correlation, &random.uuid().to_string()),
        )
    })
    .collect()
}

fn event(
    ask: &Ask,
    claims: &Claims,
    (name, state, sub): (&str, &str, &str),
    now: DateTime<Utc>,
    (correlation, id): (&str, &str),
) -> Value {
    let (path, verb) = match ask.method.as_str() {
        "DELETE" => (ask.path.as_str(), "delete".to_owned()),
        "POST" => ask.path.rsplit_once('/').map_or(
            (ask.path.as_str(), "action".to_owned()),
            |(parent, action)| (parent, format!("{action}/action")),
        ),
        _ => (ask.path.as_str(), "write".to_owned()),
    };
    let parsed: Option<ArmId> = path.parse().ok();
    let kind = parsed
        .as_ref()
        .map(ArmId::resource_type)
        .unwrap_or_default();
    let operation = format!("{kind}/{verb}");
    let time = now.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string();
    let ticks = now.timestamp_micros() * 10 + 621_355_968_000_000_000;
    json!({
        "authorization": {"action": operation, "scope": path},
        "caller": claims.oid,
        "channels": "Operation",
        "claims": texts(&claims.all),
        "correlationId": correlation,
        "description": "",
        "eventDataId": id,
        "eventName": {"value": name, "localizedValue": name},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "httpRequest": {"clientRequestId": ask.header("x-ms-client-request-id"), "clientIpAddress": "127.0.0.1", "method": ask.method},
        "id": format!("{path}/events/{id}/ticks/{ticks}"),
        "level": if state == "Failed" { "Error" } else { "Informational" },
        "resourceGroupName": parsed.as_ref().and_then(ArmId::resource_group),
        "resourceProviderName": {"value": kind.split('/').next()},
        "resourceType": {"value": kind},
        "resourceId": path,
        "operationId": correlation,
        "operationName": {"value": operation, "localizedValue": operation},
        "properties": {"statusCode": sub, "entity": path},
        "status": {"value": state, "localizedValue": state},
        "subStatus": {"value": sub},
        "eventTimestamp": time,
        "submissionTimestamp": (now + chrono::Duration::seconds(LAG_SECONDS)).format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string(),
        "subscriptionId": parsed.as_ref().and_then(ArmId::subscription),
        "tenantId": claims.all["tid"],
    })
}

/// Returns claims as the log shows them: every value is a text, and clients insist on it.
fn texts(claims: &Value) -> Value {
    let members = claims.as_object().into_iter().flatten();
    let texts = members.map(|(name, value)| {
        let text = value.as_str().map(str::to_owned);
        let text = text.unwrap_or_else(|| value.to_string());
        (name.clone(), Value::String(text))
    });
    texts.collect::<serde_json::Map<_, _>>().into()
}
