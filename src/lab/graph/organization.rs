//! The organization, its domains and the recycle bin (sections 1.17 and 3).

use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, missing, route};
use crate::lab::reply::Reply;

const ORGANIZATION: Shape = Shape {
    name: "organization",
    properties: &[
        "id",
        "displayName",
        "tenantType",
        "verifiedDomains",
        "onPremisesSyncEnabled",
        "technicalNotificationMails",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};
const DOMAIN: Shape = Shape {
    name: "domains",
    properties: &[
        "id",
        "authenticationType",
        "isDefault",
        "isInitial",
        "isVerified",
        "isRoot",
        "supportedServices",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};
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
    // Any application may read its own tenant's name.
    route("GET", "organization", &[], organization),
    route(
        "GET",
        "domains",
        &["Domain.Read.All", "Directory.Read.All"],
        domains,
    ),
    route(
        "GET",
        "directory/deletedItems/{}",
        &[
            "Application.Read.All",
            "User.Read.All",
            "Directory.Read.All",
        ],
        deleted,
    ),
    route(
        "POST",
        "directory/deletedItems/{}/restore",
        &[
            "Application.ReadWrite.All",
            "User.DeleteRestore.All",
            "Directory.ReadWrite.All",
        ],
        restore,
    ),
];

fn organization(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let all = visit.listed("organization", |_| true);
    page(visit, &ORGANIZATION, all)
}

fn domains(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let all = visit.listed("domains", |_| true);
    page(visit, &DOMAIN, all)
}

fn page(visit: &Visit<'_>, shape: &Shape, items: Vec<Value>) -> Reply {
    match query::read(visit, shape) {
        Ok(query) => query.page(visit, shape, items),
        Err(refusal) => refusal,
    }
}

/// Kinds by the name of their type in a path.
const KINDS: &[(&str, &str)] = &[
    ("microsoft.graph.user", "users"),
    ("microsoft.graph.group", "groups"),
    ("microsoft.graph.application", "applications"),
    ("microsoft.graph.servicePrincipal", "servicePrincipals"),
];

fn deleted(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match KINDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(held[0]))
    {
        Some((_, kind)) => {
            let all = visit.listed("deletedItems", |item| item["__kind"] == *kind);
            page(visit, &DELETED, all)
        }
        None => missing(held[0]),
    }
}

fn restore(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut item) = visit.remove("deletedItems", held[0]) else {
        return missing(held[0]);
    };
    let kind = item["__kind"].as_str().unwrap_or_default().to_owned();
    item["deletedDateTime"] = json!(null);
    if let Some(members) = item.as_object_mut() {
        members.shift_remove("__kind");
    }
    let shown = super::directory::shown(&item);
    let id = item["id"].as_str().unwrap_or_default().to_owned();
    visit.put(&kind, &id, item);
    Reply::json(200, &shown)
}
