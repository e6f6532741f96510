//! The recycle bin: what is deleted is kept for thirty days, can come back, or goes for good (section 1.17; "Permanently
//! delete item (directory object)").

use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, denied, missing, route};
use crate::lab::reply::Reply;

const DELETED: Shape = Shape {
    name: "directoryObjects",
    properties: &[
        "id",
        "deletedDateTime",
        "displayName",
        "appId",
        "userPrincipalName",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: true,
};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "directory/deletedItems/{}", READ, get),
    route("POST", "directory/deletedItems/{}/restore", CHANGE, restore),
    route("DELETE", "directory/deletedItems/{}", CHANGE, purge),
];

const READ: &[&str] = &[
    "Application.Read.All",
    "User.Read.All",
    "Directory.Read.All",
];
const CHANGE: &[&str] = &[
    "Application.ReadWrite.All",
    "Directory.ReadWrite.All",
    "Group.ReadWrite.All",
    "User.DeleteRestore.All",
    "User.ReadWrite.All",
];

/// Kinds by the name of their type in a path, and the permissions that change one in the bin.
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "microsoft.graph.application",
        "applications",
        &["Application.ReadWrite.All"],
    ),
    (
        "microsoft.graph.group",
        "groups",
        &["Directory.ReadWrite.All", "Group.ReadWrite.All"],
    ),
    (
        "microsoft.graph.servicePrincipal",
        "servicePrincipals",
        &["Application.ReadWrite.All"],
    ),
    (
        "microsoft.graph.user",
        "users",
        &["User.DeleteRestore.All", "User.ReadWrite.All"],
    ),
];

/// What hangs on an object and goes for good with it: kind, and the members of which one names the object.
const HANGING: &[(&str, &[&str])] = &[
    ("appRoleAssignments", &["principalId", "resourceId"]),
    ("federatedIdentityCredentials", &["__application"]),
    ("members", &["group", "member"]),
    ("methods", &["__user"]),
    (
        "oauth2PermissionGrants",
        &["clientId", "principalId", "resourceId"],
    ),
    ("owners", &["object", "owner"]),
    ("roleAssignments", &["principalId"]),
];

/// One item by its id, or all of a type.
fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let of_type = KINDS
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(held[0]));
    if let Some((_, kind, _)) = of_type {
        let all = visit.listed("deletedItems", |item| item["__kind"] == *kind);
        return match query::read(visit, &DELETED) {
            Ok(query) => query.page(visit, &DELETED, all),
            Err(refusal) => refusal,
        };
    }
    match (
        query::read_one(visit, &DELETED),
        visit.seen("deletedItems", held[0]),
    ) {
        (Ok(query), Some(item)) => query::one(visit, &DELETED, &query, &item.clone()),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

/// Returns an item that the caller may change.
fn item(visit: &Visit<'_>, id: &str) -> Result<Value, Reply> {
    let item = visit
        .current("deletedItems", id)
        .ok_or_else(|| missing(id))?;
    let needed = KINDS
        .iter()
        .find(|(_, kind, _)| item["__kind"] == *kind)
        .map_or(CHANGE, |(.., needed)| needed);
    let may = |needed: &&str| visit.claims.roles.iter().any(|role| role == needed);
    if needed.iter().any(may) {
        Ok(item)
    } else {
        Err(denied())
    }
}

fn restore(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let mut item = match item(visit, held[0]) {
        Ok(item) => item,
        Err(refusal) => return refusal,
    };
    visit.remove("deletedItems", held[0]);
    let kind = item["__kind"].as_str().unwrap_or_default().to_owned();
    item["deletedDateTime"] = json!(null);
    if let Some(members) = item.as_object_mut() {
        members.shift_remove("__kind");
    }
    let shown = super::directory::shown(&item);
    let id = item["id"].as_str().unwrap_or_default().to_owned();
    let members = item["__members"].take();
    for member in members.as_array().into_iter().flatten() {
        let place = format!("{id}/{}", member.as_str().unwrap_or_default());
        visit.put("members", &place, json!({"group": id, "member": member}));
    }
    if let Some(members) = item.as_object_mut() {
        members.shift_remove("__members");
    }
    visit.put(&kind, &id, item);
    Reply::json(200, &shown)
}

fn purge(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let item = match item(visit, held[0]) {
        Ok(item) => item,
        Err(refusal) => return refusal,
    };
    visit.remove("deletedItems", held[0]);
    for (kind, members) in HANGING {
        let of_it = |_: &str, one: &Value| members.iter().any(|name| one[*name] == item["id"]);
        for id in visit.store.directory.ids(kind, of_it) {
            visit.remove(kind, &id);
        }
    }
    Reply::empty(204)
}
