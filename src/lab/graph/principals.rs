//! Service principals: apps as this tenant knows them (sections 1.15 to 1.17).

use serde_json::Value;

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, alternate, applications, body, groups, missing, route, secrets, users};
use crate::lab::reply::Reply;

/// The application id of Microsoft Graph, in every tenant.
pub(super) const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// What a service principal has; it has no `createdDateTime` in v1.0.
const PRINCIPAL: Shape = Shape {
    name: "servicePrincipals",
    properties: &[
        "id",
        "accountEnabled",
        "alternativeNames",
        "appDescription",
        "appDisplayName",
        "appId",
        "appOwnerOrganizationId",
        "appRoleAssignmentRequired",
        "appRoles",
        "createdByAppId",
        "deletedDateTime",
        "description",
        "disabledByMicrosoftStatus",
        "displayName",
        "homepage",
        "isDisabled",
        "keyCredentials",
        "loginUrl",
        "notes",
        "oauth2PermissionScopes",
        "passwordCredentials",
        "preferredSingleSignOnMode",
        "replyUrls",
        "servicePrincipalNames",
        "servicePrincipalType",
        "signInAudience",
        "tags",
        "verifiedPublisher",
    ],
    usual: &[],
    expands: &["owners"],
    pages: (999, 100),
    directory: true,
};

const READ: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
];
const WRITE: &[&str] = &["Application.ReadWrite.All", "Directory.ReadWrite.All"];
const MEMBERS: &[&str] = &[
    "Application.Read.All",
    "Directory.Read.All",
    "GroupMember.Read.All",
    "Group.Read.All",
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "servicePrincipals", READ, list),
    route("GET", "servicePrincipals/{}", READ, get),
    route("PATCH", "servicePrincipals/{}", WRITE, patch),
    route("DELETE", "servicePrincipals/{}", WRITE, delete),
    route(
        "POST",
        "servicePrincipals/{}/addPassword",
        WRITE,
        add_password,
    ),
    route(
        "POST",
        "servicePrincipals/{}/removePassword",
        WRITE,
        remove_password,
    ),
    route("GET", "servicePrincipals/{}/owners", READ, owners),
    route("POST", "servicePrincipals/{}/owners/$ref", WRITE, add_owner),
    route(
        "DELETE",
        "servicePrincipals/{}/owners/{}/$ref",
        WRITE,
        remove_owner,
    ),
    route(
        "GET",
        "servicePrincipals/{}/memberOf",
        MEMBERS,
        groups::member_of,
    ),
    route(
        "GET",
        "servicePrincipals/{}/transitiveMemberOf",
        MEMBERS,
        groups::transitive_member_of,
    ),
];

/// Finds a service principal by object id, or by `appId='x'`.
pub(super) fn find(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let Some(app) = alternate(key, "appId") else {
        return visit
            .seen("servicePrincipals", key)
            .cloned()
            .or_else(|| super::seed::managed(visit.store, key));
    };
    let all = visit.listed("servicePrincipals", |one| {
        one["appId"]
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(app))
    });
    all.into_iter().next()
}

fn primary(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let found = find(visit, key)?;
    let id = found["id"].as_str()?.to_owned();
    visit.current("servicePrincipals", &id).or(Some(found))
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &PRINCIPAL) {
        Ok(query) => query.page(
            visit,
            &PRINCIPAL,
            visit.listed("servicePrincipals", |_| true),
        ),
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (query::read_one(visit, &PRINCIPAL), find(visit, held[0])) {
        (Ok(query), Some(found)) => query::one(visit, &PRINCIPAL, &query, &found),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut principal) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let known = [
        "accountEnabled",
        "appRoleAssignmentRequired",
        "keyCredentials",
        "notes",
        "tags",
        "passwordCredentials",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    for (name, value) in &members {
        let changed = match name.as_str() {
            "keyCredentials" => secrets::replace_keys(&mut principal, value),
            "passwordCredentials" => applications::fewer_passwords(&mut principal, value),
            _ => {
                principal[name] = value.clone();
                Ok(())
            }
        };
        if let Err(refusal) = changed {
            return refusal;
        }
    }
    note(visit, "Update service principal", &principal);
    let id = principal["id"].as_str().unwrap_or_default().to_owned();
    visit.put("servicePrincipals", &id, principal);
    Reply::empty(204)
}

fn note(visit: &mut Visit<'_>, activity: &str, principal: &Value) {
    let act = Act {
        activity,
        category: "ApplicationManagement",
        kind: "ServicePrincipal",
        target: principal,
        modified: &[],
    };
    audit::write(visit, &act);
}

/// Its grants and role assignments go with it.
fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(principal) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let of = principal["id"].clone();
    for (kind, member) in [
        ("oauth2PermissionGrants", "clientId"),
        ("appRoleAssignments", "principalId"),
    ] {
        let ids: Vec<String> = visit
            .store
            .directory
            .all_now(kind)
            .filter(|one| one[member] == of)
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect();
        for id in ids {
            visit.remove(kind, &id);
        }
    }
    users::discard(visit, "servicePrincipals", &principal);
    note(visit, "Remove service principal", &principal);
    Reply::empty(204)
}

fn add_password(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    secrets::add_password(visit, "servicePrincipals", found, held[0])
}

fn remove_password(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    secrets::remove_password(visit, "servicePrincipals", found, held[0])
}

fn owners(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = find(visit, held[0]);
    applications::owners_of(visit, found, held[0])
}

fn add_owner(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    applications::link_owner(visit, found, held[0], "Add owner to service principal")
}

fn remove_owner(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = primary(visit, held[0]);
    applications::unlink_owner(visit, found, held, "Remove owner from service principal")
}
