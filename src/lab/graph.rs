//! Microsoft Graph, as far as machines' identities go: service principals, their groups and application roles.

use serde_json::json;

use super::reply::{Ask, Reply, graph_error};
use super::server::Tenant;

/// Answers a request to `graph.localhost`.
pub(super) fn answer(tenant: &Tenant, ask: &Ask) -> Reply {
    let segments = ask.segments();
    match (ask.method.as_str(), segments.as_slice()) {
        ("GET", ["v1.0", "servicePrincipals", id, "transitiveMemberOf"]) => {
            let groups = tenant
                .scenario
                .memberships
                .get(*id)
                .cloned()
                .unwrap_or_default();
            let value: Vec<_> = groups
                .iter()
                .map(|name| json!({"@odata.type": "#microsoft.graph.group", "id": super::scenario::guid(name), "displayName": name}))
                .collect();
            Reply::json(
                200,
                &json!({"@odata.context": "https://graph/v1.0/$metadata#directoryObjects", "value": value}),
            )
        }
        ("GET", ["v1.0", "servicePrincipals", _, "appRoleAssignments"]) => {
            Reply::json(200, &json!({"value": []}))
        }
        _ => graph_error(
            501,
            "NotModelled",
            &format!("The lab does not model {} {}.", ask.method, ask.path),
        ),
    }
}
