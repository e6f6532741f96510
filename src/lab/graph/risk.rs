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
        "POST",
        "identityProtection/riskyUsers/confirmSafe",
        &["IdentityRiskyUser.ReadWrite.All"],
        confirm_safe,
    ),
    route(
        "POST",
        "identityProtection/riskyServicePrincipals/confirmCompromised",
        &["IdentityRiskyServicePrincipal.ReadWrite.All"],
        confirm_principal,
    ),
    route(
        "POST",
        "identityProtection/riskyServicePrincipals/dismiss",
        &["IdentityRiskyServicePrincipal.ReadWrite.All"],
        dismiss_principal,
    ),
    route(
        "GET",
        "identityProtection/riskyServicePrincipals/{}",
        PRINCIPALS,
        principal,
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

fn user(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    one(visit, &RISKY, "riskyUsers", held[0])
}

fn principal(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    one(visit, &RISKY_PRINCIPAL, "riskyServicePrincipals", held[0])
}

/// What was never at risk is not there.
fn one(visit: &Visit<'_>, shape: &'static Shape, kind: &str, id: &str) -> Reply {
    match (query::read_one(visit, shape), visit.seen(kind, id)) {
        (Ok(query), Some(risky)) => query::one(visit, shape, &query, risky),
        (Ok(_), None) => graph_error(
            404,
            "ResourceNotFound",
            &format!("The requested object '{id}' is not among {}.", shape.name),
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
    judge(visit, &USER, &COMPROMISED)
}

fn confirm_principal(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(visit, &PRINCIPAL, &COMPROMISED)
}

fn confirm_safe(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(visit, &USER, &("confirmedSafe", "none", "ConfirmedSafe"))
}

fn dismiss(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(visit, &USER, &DISMISSED)
}

fn dismiss_principal(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    judge(visit, &PRINCIPAL, &DISMISSED)
}

/// The most that one verdict may name (section 1.18, unconfirmed there).
const MOST: usize = 60;

/// Whom a verdict is about.
struct Judged {
    /// The member of the body that names them.
    ids: &'static str,
    /// What they are in the directory.
    of: &'static str,
    /// Where their risk is kept.
    kind: &'static str,
    /// What the detail of the risk calls them.
    word: &'static str,
}

const USER: Judged = Judged {
    ids: "userIds",
    of: "users",
    kind: "riskyUsers",
    word: "User",
};
const PRINCIPAL: Judged = Judged {
    ids: "servicePrincipalIds",
    of: "servicePrincipals",
    kind: "riskyServicePrincipals",
    word: "ServicePrincipal",
};

/// State, level and detail of a verdict; the detail says of whom.
type Verdict = (&'static str, &'static str, &'static str);

const COMPROMISED: Verdict = ("confirmedCompromised", "high", "Compromised");
const DISMISSED: Verdict = ("dismissed", "none", "DismissedAllRiskFor");

fn judge(visit: &mut Visit<'_>, judged: &Judged, verdict: &Verdict) -> Reply {
    let ids = match named(visit, judged) {
        Ok(ids) => ids,
        Err(refusal) => return refusal,
    };
    let (state, level, what) = verdict;
    let detail = match *what {
        "DismissedAllRiskFor" => format!("admin{what}{}", judged.word),
        "Compromised" => format!("adminConfirmed{}{what}", judged.word),
        _ => format!("admin{what}"),
    };
    for id in ids {
        let own = visit.current(judged.of, &id).unwrap_or_default();
        let mut risky = json!({
            "id": own["id"], "isProcessing": false, "riskDetail": detail,
            "riskLastUpdatedDateTime": visit.time(), "riskLevel": level, "riskState": state,
        });
        let more = if judged.of == "users" {
            json!({"isDeleted": false, "userDisplayName": own["displayName"], "userPrincipalName": own["userPrincipalName"]})
        } else {
            json!({"appId": own["appId"], "displayName": own["displayName"], "isEnabled": own["accountEnabled"], "servicePrincipalType": own["servicePrincipalType"]})
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            risky[name] = value.clone();
        }
        visit.put(judged.kind, &id, risky);
    }
    Reply::empty(204)
}

/// Returns the ids that a verdict names, all of which are there.
fn named(visit: &Visit<'_>, judged: &Judged) -> Result<Vec<String>, Reply> {
    let members = body::read(visit, &[judged.ids])?;
    let ids: Vec<String> = members
        .get(judged.ids)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    if ids.is_empty() || ids.len() > MOST {
        let message = format!("{} must name between 1 and {MOST}.", judged.ids);
        return Err(graph_error(400, "BadRequest", &message));
    }
    match ids.iter().find(|id| visit.current(judged.of, id).is_none()) {
        Some(unknown) => {
            let message = format!("'{unknown}' was not found.");
            Err(graph_error(404, "ResourceNotFound", &message))
        }
        None => Ok(ids),
    }
}
