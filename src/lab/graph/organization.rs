//! The organization and its domains (section 3).

use serde_json::Value;

use super::query::{self, Shape};
use super::{Route, Visit, route};
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
pub(super) const ROUTES: &[Route] = &[
    // Any application may read its own tenant's name.
    route("GET", "organization", &[], organization),
    route(
        "GET",
        "domains",
        &["Domain.Read.All", "Directory.Read.All"],
        domains,
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
