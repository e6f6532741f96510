//! Sign-ins and the directory's log as they are asked for (sections 2.1 and 2.2).
//!
//! A record is there when the log has taken it in, minutes after it happened, so that nobody takes absence for proof;
//! and as long as it is kept.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, missing, route};
use crate::lab::reply::Reply;
use crate::lab::store::Store;

/// How long a log is behind: typically two to five minutes (section 2.1, unconfirmed there).
const BEHIND: Duration = Duration::seconds(120);

const SIGN_IN: Shape = Shape {
    name: "auditLogs/signIns",
    properties: &[
        "id",
        "createdDateTime",
        "userId",
        "userDisplayName",
        "userPrincipalName",
        "appId",
        "appDisplayName",
        "servicePrincipalId",
        "servicePrincipalName",
        "resourceId",
        "resourceDisplayName",
        "resourceTenantId",
        "homeTenantId",
        "ipAddress",
        "userAgent",
        "clientAppUsed",
        "correlationId",
        "conditionalAccessStatus",
        "appliedConditionalAccessPolicies",
        "isInteractive",
        "deviceDetail",
        "location",
        "status",
        "riskDetail",
        "riskEventTypes",
        "riskEventTypes_v2",
        "riskLevelAggregated",
        "riskLevelDuringSignIn",
        "riskState",
        "authenticationAppDeviceDetails",
    ],
    usual: &[],
    expands: &[],
    pages: (1000, 1000),
    directory: false,
};

/// Of beta, too: which kind of sign-in, and with what.
const SIGN_IN_BETA: Shape = Shape {
    properties: &[
        "id",
        "createdDateTime",
        "userId",
        "userDisplayName",
        "userPrincipalName",
        "appId",
        "appDisplayName",
        "servicePrincipalId",
        "servicePrincipalName",
        "resourceId",
        "resourceDisplayName",
        "resourceTenantId",
        "homeTenantId",
        "ipAddress",
        "userAgent",
        "clientAppUsed",
        "correlationId",
        "conditionalAccessStatus",
        "appliedConditionalAccessPolicies",
        "isInteractive",
        "deviceDetail",
        "location",
        "status",
        "riskDetail",
        "riskEventTypes",
        "riskEventTypes_v2",
        "riskLevelAggregated",
        "riskLevelDuringSignIn",
        "riskState",
        "authenticationAppDeviceDetails",
        "signInEventTypes",
        "incomingTokenType",
        "sessionId",
        "uniqueTokenIdentifier",
        "authenticationProtocol",
        "originalTransferMethod",
        "servicePrincipalCredentialKeyId",
        "authenticationRequirement",
    ],
    ..SIGN_IN
};

const AUDIT: Shape = Shape {
    name: "auditLogs/directoryAudits",
    properties: &[
        "id",
        "activityDateTime",
        "activityDisplayName",
        "additionalDetails",
        "category",
        "correlationId",
        "initiatedBy",
        "loggedByService",
        "operationType",
        "result",
        "resultReason",
        "targetResources",
    ],
    usual: &[],
    expands: &[],
    pages: (1000, 1000),
    directory: false,
};

const READ: &[&str] = &["AuditLog.Read.All"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "auditLogs/directoryAudits", READ, audits),
    route("GET", "auditLogs/directoryAudits/{}", READ, audit),
    route("GET", "auditLogs/signIns", READ, sign_ins),
    route("GET", "auditLogs/signIns/{}", READ, sign_in),
];

/// How long a record is kept with a licence (section 2.1).
const KEPT: Duration = Duration::days(30);

fn taken_in(now: DateTime<Utc>, record: &Value, when: &str) -> bool {
    let time = record[when]
        .as_str()
        .and_then(|time| time.parse::<DateTime<Utc>>().ok());
    time.is_none_or(|time| time + BEHIND <= now && now <= time + KEPT)
}

/// Returns the records of a log, newest first.
fn records(visit: &Visit<'_>, kind: &str, when: &str) -> Vec<Value> {
    let mut records = visit.listed(kind, |record| taken_in(visit.now, record, when));
    records.sort_by(|one, other| other[when].as_str().cmp(&one[when].as_str()));
    records
}

fn audits(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &AUDIT) {
        Ok(query) => query.page(
            visit,
            &AUDIT,
            records(visit, "directoryAudits", "activityDateTime"),
        ),
        Err(refusal) => refusal,
    }
}

fn audit(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &AUDIT),
        visit.seen("directoryAudits", held[0]),
    ) {
        (Ok(query), Some(record)) => query::one(visit, &AUDIT, &query, record),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn shape(visit: &Visit<'_>) -> &'static Shape {
    if visit.ask.segments().first() == Some(&"beta") {
        &SIGN_IN_BETA
    } else {
        &SIGN_IN
    }
}

/// Interactive sign-ins of users; of other kinds only where beta is asked for them by `signInEventTypes`.
fn sign_ins(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let shape = shape(visit);
    let query = match query::read(visit, shape) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    let by_kind = query
        .filter
        .as_ref()
        .is_some_and(|filter| filter.properties().contains(&"signInEventTypes"));
    let mut records = records(visit, "signIns", "createdDateTime");
    records.retain(|record| by_kind || record["signInEventTypes"][0] == "interactiveUser");
    for record in &mut records {
        strip(record, shape);
    }
    query.page(visit, shape, records)
}

/// What only beta has is not told by v1.0.
fn strip(record: &mut Value, shape: &Shape) {
    if let Some(members) = record.as_object_mut() {
        members.retain(|name, _| shape.properties.contains(&name.as_str()));
    }
}

fn sign_in(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let shape = shape(visit);
    match (
        query::read_one(visit, shape),
        visit.seen("signIns", held[0]),
    ) {
        (Ok(query), Some(record)) => {
            let mut record = record.clone();
            strip(&mut record, shape);
            query::one(visit, shape, &query, &record)
        }
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

/// What a sign-in record has, of whatever kind.
pub(super) fn usual() -> Value {
    json!({
        "userId": "", "userDisplayName": "", "userPrincipalName": "", "appId": "", "appDisplayName": "",
        "servicePrincipalId": "", "servicePrincipalName": null, "resourceId": null, "resourceDisplayName": null,
        "resourceTenantId": null, "homeTenantId": null, "ipAddress": "127.0.0.1", "userAgent": null,
        "clientAppUsed": "Browser", "conditionalAccessStatus": "notApplied", "appliedConditionalAccessPolicies": [],
        "isInteractive": false, "deviceDetail": {"deviceId": "", "displayName": "", "operatingSystem": "", "browser": "", "isCompliant": false, "isManaged": false, "trustType": ""},
        "location": {"city": "", "state": "", "countryOrRegion": "", "geoCoordinates": {}},
        "status": {"errorCode": 0, "failureReason": "Other.", "additionalDetails": null},
        "riskDetail": "none", "riskEventTypes": [], "riskEventTypes_v2": [], "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none", "riskState": "none", "authenticationAppDeviceDetails": null,
        "incomingTokenType": "none", "sessionId": null, "uniqueTokenIdentifier": null,
        "authenticationProtocol": "none", "originalTransferMethod": "none", "servicePrincipalCredentialKeyId": null,
    })
}

/// An application's attempt to sign in.
pub(in crate::lab) struct Attempt<'a> {
    /// Its record's id.
    pub(in crate::lab) id: String,
    /// The application's id.
    pub(in crate::lab) app: &'a str,
    /// The credential's id; empty where none fits.
    pub(in crate::lab) key: &'a str,
    /// What the token is for.
    pub(in crate::lab) resource: &'a str,
    /// The error code; 0 where it was let in.
    pub(in crate::lab) error: u64,
    pub(in crate::lab) at: &'a str,
}

/// Writes down that an application of this directory signed in, or was turned away.
pub(in crate::lab) fn note(store: &mut Store, attempt: &Attempt<'_>, now_us: u64) {
    let of_app = |value: &&Value| {
        let app = value["appId"].as_str();
        app.is_some_and(|id| id.eq_ignore_ascii_case(attempt.app))
    };
    let found = store.directory.all_now("servicePrincipals").find(of_app);
    let Some(principal) = found.cloned() else {
        return;
    };
    let reason = if attempt.error == 0 {
        "Other."
    } else {
        "The application was turned away."
    };
    let own = json!({
        "id": attempt.id, "createdDateTime": attempt.at, "appId": principal["appId"],
        "appDisplayName": principal["displayName"], "servicePrincipalId": principal["id"],
        "servicePrincipalName": principal["displayName"], "resourceDisplayName": attempt.resource,
        "correlationId": attempt.id, "signInEventTypes": ["servicePrincipal"],
        "status": {"errorCode": attempt.error, "failureReason": reason, "additionalDetails": null},
        "servicePrincipalCredentialKeyId": attempt.key,
    });
    let mut record = usual();
    for (name, value) in own.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    store.put_object("signIns", &attempt.id, record, now_us);
}
