//! Risk: users and applications at risk, what was detected, and a responder's verdict (section 1.18).

use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, body, route};
use crate::lab::reply::{Reply, graph_error};

const RISKY: Shape = Shape {
    name: "identityProtection/riskyUsers",
    properties: &[
        "id",
        "isDeleted",
        "isProcessing",
        "riskDetail",
        "riskLastUpdatedDateTime",
        "riskLevel",
        "riskState",
        "userDisplayName",
        "userPrincipalName",
    ],
    usual: &[],
    expands: &["history"],
    pages: (500, 100),
    directory: false,
};
const RISKY_PRINCIPAL: Shape = Shape {
    name: "identityProtection/riskyServicePrincipals",
    properties: &[
        "id",
        "appId",
        "displayName",
        "isEnabled",
        "isProcessing",
        "riskDetail",
        "riskLastUpdatedDateTime",
        "riskLevel",
        "riskState",
        "servicePrincipalType",
    ],
    usual: &[],
    expands: &["history"],
    pages: (500, 100),
    directory: false,
};
const DETECTION: Shape = Shape {
    name: "identityProtection/riskDetections",
    properties: &[
        "id",
        "activity",
        "activityDateTime",
        "additionalInfo",
        "correlationId",
        "detectedDateTime",
        "detectionTimingType",
        "ipAddress",
        "lastUpdatedDateTime",
        "location",
        "requestId",
        "riskDetail",
        "riskEventType",
        "riskLevel",
        "riskState",
        "source",
        "tokenIssuerType",
        "userDisplayName",
        "userId",
        "userPrincipalName",
    ],
    usual: &[],
    expands: &[],
    pages: (500, 100),
    directory: false,
};
const PRINCIPAL_DETECTION: Shape = Shape {
    name: "identityProtection/servicePrincipalRiskDetections",
    properties: &[
        "id",
        "activity",
        "activityDateTime",
        "additionalInfo",
        "appId",
        "correlationId",
        "detectedDateTime",
        "detectionTimingType",
        "ipAddress",
        "keyIds",
        "lastUpdatedDateTime",
        "location",
        "requestId",
        "riskDetail",
        "riskEventType",
        "riskLevel",
        "riskState",
        "servicePrincipalDisplayName",
        "servicePrincipalId",
        "source",
        "tokenIssuerType",
    ],
    usual: &[],
    expands: &[],
    pages: (500, 100),
    directory: false,
};

const USERS: &[&str] = &[
    "IdentityRiskyUser.Read.All",
    "IdentityRiskyUser.ReadWrite.All",
];
const EVENTS: &[&str] = &[
    "IdentityRiskEvent.Read.All",
    "IdentityRiskEvent.ReadWrite.All",
];
const PRINCIPALS: &[&str] = &[
    "IdentityRiskyServicePrincipal.Read.All",
    "IdentityRiskyServicePrincipal.ReadWrite.All",
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "identityProtection/riskyUsers", USERS, users),
    route("GET", "identityProtection/riskyUsers/{}", USERS, user),
    route(
        "POST",
        "identityProtection/riskyUsers/confirmCompromised",
        &["IdentityRiskyUser.ReadWrite.All"],
        confirm,
    ),
    route(
        "POST",
        "identityProtection/riskyUsers/dismiss",
        &["IdentityRiskyUser.ReadWrite.All"],
        dismiss,
    ),
    route(
        "GET",
        "identityProtection/riskDetections",
        EVENTS,
        detections,
    ),
    route(
        "GET",
        "identityProtection/riskyServicePrincipals",
        PRINCIPALS,
        principals,
    ),
    route(
        "GET",
        "identityProtection/servicePrincipalRiskDetections",
        PRINCIPALS,
        principal_detections,
    ),
];

fn list(visit: &mut Visit<'_>, shape: &'static Shape, kind: &str) -> Reply {
    match query::read(visit, shape) {
        Ok(query) => query.page(visit, shape, visit.listed(kind, |_| true)),
        Err(refusal) => refusal,
    }
}

fn users(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    list(visit, &RISKY, "riskyUsers")
}

/// A user that was never at risk is not there.
fn user(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &RISKY),
        visit.seen("riskyUsers", held[0]),
    ) {
        (Ok(query), Some(user)) => query::one(visit, &RISKY, &query, user),
        (Ok(_), None) => graph_error(
            404,
            "ResourceNotFound",
            "The requested risky user was not found.",
        ),
        (Err(refusal), _) => refusal,
    }
}

fn detections(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    list(visit, &DETECTION, "riskDetections")
}

fn principals(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    list(visit, &RISKY_PRINCIPAL, "riskyServicePrincipals")
}

fn principal_detections(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    list(
        visit,
        &PRINCIPAL_DETECTION,
        "servicePrincipalRiskDetections",
    )
}

fn confirm(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(
        visit,
        "confirmedCompromised",
        "high",
        "adminConfirmedUserCompromised",
    )
}

fn dismiss(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(visit, "dismissed", "none", "adminDismissedAllRiskForUser")
}

/// The most users that one verdict may name (section 1.18, unconfirmed there).
const MOST: usize = 60;

fn judge(visit: &mut Visit<'_>, state: &str, level: &str, detail: &str) -> Reply {
    let members = match body::read(visit, &["userIds"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let ids: Vec<String> = members
        .get("userIds")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    if ids.is_empty() || ids.len() > MOST {
        return graph_error(
            400,
            "BadRequest",
            "userIds must name between 1 and 60 users.",
        );
    }
    if let Some(unknown) = ids.iter().find(|id| visit.current("users", id).is_none()) {
        return graph_error(
            404,
            "ResourceNotFound",
            &format!("User '{unknown}' was not found."),
        );
    }
    for id in ids {
        let user = visit.current("users", &id).unwrap_or_default();
        let risky = json!({
            "id": user["id"], "isDeleted": false, "isProcessing": false, "riskDetail": detail,
            "riskLastUpdatedDateTime": visit.time(), "riskLevel": level, "riskState": state,
            "userDisplayName": user["displayName"], "userPrincipalName": user["userPrincipalName"],
        });
        visit.put("riskyUsers", &id, risky);
    }
    Reply::empty(204)
}
