//! Microsoft Graph, as far as machines' identities go: service principals, their groups and application roles
//! (graph-and-data-planes.md sections 0.1 and 1.11).

use serde_json::{Value, json};

use super::entra::Claims;
use super::reply::{Ask, Reply, graph_error};
use super::scenario::guid;
use super::store::Store;
use super::tenant::Tenant;

/// Permissions of which one is needed to read service principals.
const APPLICATIONS: [&str; 3] = [
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
];
/// Permissions of which one is needed to read memberships.
const MEMBERSHIPS: [&str; 4] = [
    "Application.Read.All",
    "Directory.Read.All",
    "GroupMember.Read.All",
    "Group.Read.All",
];

/// Answers a request to `graph.localhost`.
pub(super) fn answer(tenant: &Tenant, store: &Store, ask: &Ask, claims: &Claims) -> Reply {
    let segments = ask.segments();
    let may = |any: &[&str]| {
        any.iter()
            .any(|one| claims.roles.iter().any(|role| role == one))
    };
    let denied = || {
        graph_error(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    };
    match (ask.method.as_str(), segments.as_slice()) {
        ("GET", ["v1.0", "me", ..]) => graph_error(
            400,
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        ),
        ("GET", ["v1.0", "organization"]) => {
            let id = &tenant.scenario.tenant;
            page(
                tenant,
                ask,
                "organization",
                &[
                    json!({"id": id, "displayName": "Contoso", "tenantType": "AAD", "verifiedDomains": [{"name": "contoso.onmicrosoft.com", "isDefault": true, "isInitial": true}]}),
                ],
            )
        }
        ("GET", ["v1.0", "servicePrincipals", id]) => match principal(tenant, store, id) {
            _ if !may(&APPLICATIONS) => denied(),
            Some(found) => Reply::json(200, &found),
            None => missing(id),
        },
        (
            "GET",
            [
                "v1.0",
                "servicePrincipals",
                id,
                "transitiveMemberOf" | "memberOf",
            ],
        ) => {
            if !may(&MEMBERSHIPS) {
                return denied();
            }
            if principal(tenant, store, id).is_none() {
                return missing(id);
            }
            let names = tenant
                .scenario
                .memberships
                .get(*id)
                .cloned()
                .unwrap_or_default();
            let groups = names.iter().map(|name| json!({"@odata.type": "#microsoft.graph.group", "id": guid(name), "displayName": name, "securityEnabled": true}));
            page(tenant, ask, "directoryObjects", &groups.collect::<Vec<_>>())
        }
        ("GET", ["v1.0", "servicePrincipals", id, "appRoleAssignments"]) => {
            if !may(&APPLICATIONS) {
                return denied();
            }
            let Some(found) = principal(tenant, store, id) else {
                return missing(id);
            };
            let names = tenant
                .scenario
                .app_roles
                .get(*id)
                .cloned()
                .unwrap_or_default();
            let roles = names.iter().map(|name| {
                json!({"id": guid(&format!("{id} {name}")), "appRoleId": guid(name), "principalId": id, "principalType": "ServicePrincipal", "principalDisplayName": found["displayName"], "resourceDisplayName": "Microsoft Graph", "resourceId": guid("Microsoft Graph")})
            });
            page(
                tenant,
                ask,
                "appRoleAssignments",
                &roles.collect::<Vec<_>>(),
            )
        }
        _ => graph_error(
            501,
            "NotModelled",
            &format!("The lab does not model {} {}.", ask.method, ask.path),
        ),
    }
}

fn missing(id: &str) -> Reply {
    let message = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    graph_error(404, "Request_ResourceNotFound", &message)
}

/// Returns a service principal: a caller's, a managed identity's, or one that the scenario gives groups or roles.
fn principal(tenant: &Tenant, store: &Store, id: &str) -> Option<Value> {
    let shown = |name: &str, kind: &str, app: &str| {
        Some(
            json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals/$entity", "id": id, "appId": app, "displayName": name, "servicePrincipalType": kind, "accountEnabled": true}),
        )
    };
    if let Some(caller) = tenant
        .scenario
        .callers
        .iter()
        .find(|caller| caller.object_id.eq_ignore_ascii_case(id))
    {
        return shown(&caller.name, "Application", &caller.client_id);
    }
    let managed = [
        ("Microsoft.Compute/virtualMachines", "/identity/principalId"),
        (
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            "/properties/principalId",
        ),
    ];
    for (kind, place) in managed {
        let mut all = store.of_type("", kind);
        let found = all.find(|value| {
            value
                .pointer(place)
                .and_then(Value::as_str)
                .is_some_and(|own| own.eq_ignore_ascii_case(id))
        });
        if let Some(found) = found {
            return shown(
                found["name"].as_str().unwrap_or_default(),
                "ManagedIdentity",
                &guid(&format!("client {id}")),
            );
        }
    }
    let scenario = &tenant.scenario;
    let known = scenario.memberships.contains_key(id)
        || scenario.app_roles.contains_key(id)
        || scenario
            .machines
            .iter()
            .any(|machine| machine.system_identity.as_deref() == Some(id));
    known
        .then(|| {
            shown(
                "deleted-machine",
                "ManagedIdentity",
                &guid(&format!("client {id}")),
            )
        })
        .flatten()
}

fn page(tenant: &Tenant, ask: &Ask, what: &str, items: &[Value]) -> Reply {
    let top = ask.query("$top").and_then(|top| top.parse::<usize>().ok());
    let size = tenant.options.page.or(top).unwrap_or(100).max(1);
    let from: usize = ask
        .query("$skiptoken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let mut body = json!({"@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#{what}"), "value": items.iter().skip(from).take(size).collect::<Vec<_>>()});
    if items.len() > from.saturating_add(size) {
        body["@odata.nextLink"] = json!(format!(
            "{}{}?$skiptoken={}",
            ask.origin,
            ask.path,
            from + size
        ));
    }
    Reply::json(200, &body)
}
