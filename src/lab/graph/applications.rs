//! Applications: the home objects of apps, their credentials and owners (sections 1.15 to 1.17).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, alternate, bad, body, groups, missing, route, secrets, users};
use crate::lab::reply::Reply;

/// What an application has.
const APPLICATION: Shape = Shape {
    name: "applications",
    properties: &[
        "id",
        "appId",
        "appRoles",
        "createdByAppId",
        "createdDateTime",
        "deletedDateTime",
        "description",
        "disabledByMicrosoftStatus",
        "displayName",
        "identifierUris",
        "isDisabled",
        "isFallbackPublicClient",
        "keyCredentials",
        "notes",
        "passwordCredentials",
        "publicClient",
        "publisherDomain",
        "requiredResourceAccess",
        "servicePrincipalLockConfiguration",
        "signInAudience",
        "spa",
        "tags",
        "verifiedPublisher",
        "web",
    ],
    usual: &[],
    expands: &["owners", "federatedIdentityCredentials"],
    pages: (999, 100),
    directory: true,
};
const FEDERATED: Shape = Shape {
    name: "applications/federatedIdentityCredentials",
    properties: &[
        "id",
        "name",
        "issuer",
        "subject",
        "audiences",
        "description",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const READ: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
];
const WRITE: &[&str] = &["Application.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "applications", READ, list),
    route("GET", "applications/{}", READ, get),
    route("PATCH", "applications/{}", WRITE, patch),
    route("DELETE", "applications/{}", WRITE, delete),
    route("POST", "applications/{}/addPassword", WRITE, add_password),
    route(
        "POST",
        "applications/{}/removePassword",
        WRITE,
        remove_password,
    ),
    route("GET", "applications/{}/owners", READ, owners),
    route("POST", "applications/{}/owners/$ref", WRITE, add_owner),
    route(
        "DELETE",
        "applications/{}/owners/{}/$ref",
        WRITE,
        remove_owner,
    ),
    route(
        "GET",
        "applications/{}/federatedIdentityCredentials",
        READ,
        federated,
    ),
    route(
        "POST",
        "applications/{}/federatedIdentityCredentials",
        WRITE,
        add_federated,
    ),
    route(
        "DELETE",
        "applications/{}/federatedIdentityCredentials/{}",
        WRITE,
        remove_federated,
    ),
];

/// Finds an application by object id, or by `appId='x'`.
fn find(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let Some(app) = alternate(key, "appId") else {
        return visit.seen("applications", key).cloned();
    };
    let all = visit.listed("applications", |one| {
        one["appId"]
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(app))
    });
    all.into_iter().next()
}

fn primary(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let found = find(visit, key)?;
    visit.current("applications", found["id"].as_str()?)
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &APPLICATION) {
        Ok(query) => query.page(visit, &APPLICATION, visit.listed("applications", |_| true)),
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (query::read_one(visit, &APPLICATION), find(visit, held[0])) {
        (Ok(query), Some(found)) => query::one(visit, &APPLICATION, &query, &found),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut application) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let known = [
        "isDisabled",
        "keyCredentials",
        "passwordCredentials",
        "tags",
        "notes",
        "displayName",
        "signInAudience",
        "identifierUris",
        "web",
        "spa",
        "publicClient",
        "requiredResourceAccess",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    for (name, value) in &members {
        let changed = match name.as_str() {
            "keyCredentials" => secrets::replace_keys(&mut application, value),
            "passwordCredentials" => fewer_passwords(&mut application, value),
            _ => {
                application[name] = value.clone();
                Ok(())
            }
        };
        if let Err(refusal) = changed {
            return refusal;
        }
    }
    let keys =
        members.contains_key("keyCredentials") || members.contains_key("passwordCredentials");
    let activity = if keys {
        "Update application - Certificates and secrets management"
    } else {
        "Update application"
    };
    note(visit, activity, &application);
    let id = application["id"].as_str().unwrap_or_default().to_owned();
    visit.put("applications", &id, application);
    Reply::empty(204)
}

/// Secrets cannot be added by PATCH, only taken away.
pub(super) fn fewer_passwords(object: &mut Value, wanted: &Value) -> Result<(), Reply> {
    let old = object["passwordCredentials"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let wanted = wanted.as_array().cloned().unwrap_or_default();
    let kept: Vec<Value> = old
        .into_iter()
        .filter(|one| wanted.iter().any(|known| known["keyId"] == one["keyId"]))
        .collect();
    if kept.len() < wanted.len() {
        return Err(bad(
            "Updates to passwordCredentials can only remove credentials; use addPassword.",
        ));
    }
    object["passwordCredentials"] = Value::Array(kept);
    Ok(())
}

fn note(visit: &mut Visit<'_>, activity: &str, application: &Value) {
    let act = Act {
        activity,
        category: "ApplicationManagement",
        kind: "Application",
        target: application,
        modified: &[],
    };
    audit::write(visit, &act);
}

/// Deleting an application takes its service principal here along.
fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(application) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    users::discard(visit, "applications", &application);
    let principal = visit
        .store
        .directory
        .all_now("servicePrincipals")
        .find(|one| one["appId"] == application["appId"])
        .cloned();
    if let Some(principal) = principal {
        users::discard(visit, "servicePrincipals", &principal);
    }
    note(visit, "Delete application", &application);
    Reply::empty(204)
}

fn add_password(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    secrets::add_password(visit, "applications", found, held[0])
}

fn remove_password(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    secrets::remove_password(visit, "applications", found, held[0])
}

fn owners(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = find(visit, held[0]);
    owners_of(visit, found, held[0])
}

/// Answers with the owners of an application or service principal.
pub(super) fn owners_of(visit: &Visit<'_>, of: Option<Value>, id: &str) -> Reply {
    let Some(of) = of else {
        return missing(id);
    };
    let links = visit.listed("owners", |link| link["object"] == of["id"]);
    let owners: Vec<Value> = links
        .iter()
        .filter_map(|link| groups::object(visit, link["owner"].as_str()?))
        .collect();
    match query::read(visit, &groups::OBJECTS) {
        Ok(query) => query.page(visit, &groups::OBJECTS, owners),
        Err(refusal) => refusal,
    }
}

fn add_owner(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    link_owner(visit, found, held[0], "Add owner to application")
}

/// Adds an owner to an application or service principal.
pub(super) fn link_owner(
    visit: &mut Visit<'_>,
    of: Option<Value>,
    id: &str,
    activity: &str,
) -> Reply {
    let Some(of) = of else {
        return missing(id);
    };
    let owner = match body::read(visit, &[]).and_then(|members| body::reference(&members)) {
        Ok(owner) => owner,
        Err(refusal) => return refusal,
    };
    let Some(owner) = groups::object(visit, &owner) else {
        return missing(&owner);
    };
    let place = format!(
        "{}/{}",
        of["id"].as_str().unwrap_or_default(),
        owner["id"].as_str().unwrap_or_default()
    );
    if visit.current("owners", &place).is_some() {
        return bad(
            "One or more added object references already exist for the following modified properties: 'owners'.",
        );
    }
    visit.put(
        "owners",
        &place,
        json!({"object": of["id"], "owner": owner["id"]}),
    );
    note(visit, activity, &of);
    Reply::empty(204)
}

fn remove_owner(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    unlink_owner(visit, found, held, "Remove owner from application")
}

/// Removes an owner of an application or service principal.
pub(super) fn unlink_owner(
    visit: &mut Visit<'_>,
    of: Option<Value>,
    held: &[&str],
    activity: &str,
) -> Reply {
    let Some(of) = of else {
        return missing(held[0]);
    };
    let place = format!("{}/{}", of["id"].as_str().unwrap_or_default(), held[1]);
    if visit.remove("owners", &place).is_none() {
        return missing(held[1]);
    }
    note(visit, activity, &of);
    Reply::empty(204)
}

fn federated(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(application) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("federatedIdentityCredentials", |one| {
        one["__application"] == application["id"]
    });
    match query::read(visit, &FEDERATED) {
        Ok(query) => query.page(visit, &FEDERATED, all),
        Err(refusal) => refusal,
    }
}

/// The most federated credentials that an application may have.
const MOST_FEDERATED: usize = 20;

fn add_federated(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(application) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let members = match body::read(
        visit,
        &["name", "issuer", "subject", "audiences", "description"],
    ) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    for name in ["name", "issuer", "subject"] {
        if let Err(refusal) = body::text(&members, name) {
            return refusal;
        }
    }
    let mut kept = Value::Object(members);
    let mine = |one: &&Value| one["__application"] == application["id"];
    let all: Vec<Value> = visit
        .store
        .directory
        .all_now("federatedIdentityCredentials")
        .filter(mine)
        .cloned()
        .collect();
    if all.iter().any(|one| {
        one["name"] == kept["name"]
            || (one["issuer"] == kept["issuer"] && one["subject"] == kept["subject"])
    }) {
        return crate::lab::reply::graph_error(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "FederatedIdentityCredential with the same name, or issuer and subject, already exists.",
        );
    }
    if all.len() >= MOST_FEDERATED {
        return bad("The maximum number of federated identity credentials was reached.");
    }
    let id = visit.new_id();
    kept["id"] = json!(id);
    kept["__application"] = application["id"].clone();
    let shown = super::directory::shown(&kept);
    visit.put("federatedIdentityCredentials", &id, kept);
    note(visit, "Add federated identity credential", &application);
    Reply::json(201, &shown)
}

fn remove_federated(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(application) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let found = visit
        .store
        .directory
        .all_now("federatedIdentityCredentials")
        .find(|one| {
            one["__application"] == application["id"]
                && (one["id"] == held[1] || one["name"] == held[1])
        })
        .and_then(|one| one["id"].as_str().map(str::to_owned));
    let Some(id) = found else {
        return missing(held[1]);
    };
    visit.remove("federatedIdentityCredentials", &id);
    note(visit, "Delete federated identity credential", &application);
    Reply::empty(204)
}
