//! Delegated permission grants and application role assignments (sections 1.8 and 1.9).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, bad, body, groups, missing, principals, route, users};
use crate::lab::reply::Reply;

const GRANT: Shape = Shape {
    name: "oauth2PermissionGrants",
    properties: &[
        "id",
        "clientId",
        "consentType",
        "principalId",
        "resourceId",
        "scope",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};
const ROLE: Shape = Shape {
    name: "appRoleAssignments",
    properties: &[
        "id",
        "appRoleId",
        "createdDateTime",
        "deletedDateTime",
        "principalDisplayName",
        "principalId",
        "principalType",
        "resourceDisplayName",
        "resourceId",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const READ: &[&str] = &[
    "Directory.Read.All",
    "DelegatedPermissionGrant.Read.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const WRITE: &[&str] = &[
    "DelegatedPermissionGrant.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const ROLES_OF_APP: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "AppRoleAssignment.ReadWrite.All",
];
const ROLES_OF_USER: &[&str] = &["Directory.Read.All", "AppRoleAssignment.ReadWrite.All"];
const ASSIGN: &[&str] = &["AppRoleAssignment.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "oauth2PermissionGrants", READ, list),
    route("GET", "oauth2PermissionGrants/{}", READ, get),
    route("POST", "oauth2PermissionGrants", WRITE, create),
    route("PATCH", "oauth2PermissionGrants/{}", WRITE, patch),
    route("DELETE", "oauth2PermissionGrants/{}", WRITE, delete),
    route("GET", "users/{}/oauth2PermissionGrants", READ, of_user),
    route(
        "GET",
        "servicePrincipals/{}/oauth2PermissionGrants",
        READ,
        of_client,
    ),
    route(
        "GET",
        "users/{}/appRoleAssignments",
        ROLES_OF_USER,
        roles_of_user,
    ),
    route("POST", "users/{}/appRoleAssignments", ASSIGN, assign),
    route("DELETE", "users/{}/appRoleAssignments/{}", ASSIGN, unassign),
    route(
        "GET",
        "servicePrincipals/{}/appRoleAssignments",
        ROLES_OF_APP,
        roles_of_app,
    ),
    route(
        "POST",
        "servicePrincipals/{}/appRoleAssignments",
        ASSIGN,
        assign,
    ),
    route(
        "DELETE",
        "servicePrincipals/{}/appRoleAssignments/{}",
        ASSIGN,
        unassign,
    ),
    route(
        "GET",
        "servicePrincipals/{}/appRoleAssignedTo",
        ROLES_OF_APP,
        assigned_to,
    ),
    route(
        "DELETE",
        "servicePrincipals/{}/appRoleAssignedTo/{}",
        ASSIGN,
        unassign,
    ),
];

fn page(visit: &Visit<'_>, shape: &Shape, items: Vec<Value>) -> Reply {
    match query::read(visit, shape) {
        Ok(query) => query.page(visit, shape, items),
        Err(refusal) => refusal,
    }
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    page(
        visit,
        &GRANT,
        visit.listed("oauth2PermissionGrants", |_| true),
    )
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &GRANT),
        visit.seen("oauth2PermissionGrants", held[0]),
    ) {
        (Ok(query), Some(grant)) => query::one(visit, &GRANT, &query, grant),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn of_user(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = users::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("oauth2PermissionGrants", |one| {
        one["principalId"] == user["id"] && one["consentType"] == "Principal"
    });
    page(visit, &GRANT, all)
}

fn of_client(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(client) = principals::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("oauth2PermissionGrants", |one| {
        one["clientId"] == client["id"]
    });
    page(visit, &GRANT, all)
}

fn create(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let members = match body::read(
        visit,
        &[
            "clientId",
            "consentType",
            "principalId",
            "resourceId",
            "scope",
        ],
    ) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    for name in ["clientId", "consentType", "resourceId"] {
        if let Err(refusal) = body::text(&members, name) {
            return refusal;
        }
    }
    let mut grant = Value::Object(members);
    let same = |one: &Value| {
        ["clientId", "consentType", "resourceId", "principalId"]
            .iter()
            .all(|name| one[*name] == grant[*name])
    };
    if visit
        .store
        .directory
        .all_now("oauth2PermissionGrants")
        .any(same)
    {
        return crate::lab::reply::graph_error(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "Permission entry already exists.",
        );
    }
    let id = visit.new_id();
    grant["id"] = json!(id);
    let client = grant["clientId"].as_str().unwrap_or_default().to_owned();
    note(
        visit,
        "Add delegated permission grant",
        &client,
        &grant["scope"],
    );
    visit.put("oauth2PermissionGrants", &id, grant.clone());
    Reply::json(201, &grant)
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut grant) = visit.current("oauth2PermissionGrants", held[0]) else {
        return missing(held[0]);
    };
    match body::read(visit, &["scope"]) {
        Ok(members) => grant["scope"] = members.get("scope").cloned().unwrap_or_default(),
        Err(refusal) => return refusal,
    }
    visit.put("oauth2PermissionGrants", held[0], grant);
    Reply::empty(204)
}

fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(grant) = visit.remove("oauth2PermissionGrants", held[0]) else {
        return missing(held[0]);
    };
    let client = grant["clientId"].as_str().unwrap_or_default().to_owned();
    note(
        visit,
        "Remove delegated permission grant",
        &client,
        &grant["scope"],
    );
    Reply::empty(204)
}

fn note(visit: &mut Visit<'_>, activity: &str, principal: &str, what: &Value) {
    let target = groups::object(visit, principal).unwrap_or_default();
    let act = Act {
        activity,
        category: "ApplicationManagement",
        kind: "ServicePrincipal",
        target: &target,
        modified: &[("DelegatedPermissionGrant.Scope", Value::Null, what.clone())],
    };
    audit::write(visit, &act);
}

fn roles_of_user(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = users::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("appRoleAssignments", |one| one["principalId"] == user["id"]);
    page(visit, &ROLE, all)
}

fn roles_of_app(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(app) = principals::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("appRoleAssignments", |one| one["principalId"] == app["id"]);
    page(visit, &ROLE, all)
}

fn assigned_to(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(app) = principals::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let all = visit.listed("appRoleAssignments", |one| one["resourceId"] == app["id"]);
    page(visit, &ROLE, all)
}

fn assign(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let members = match body::read(visit, &["principalId", "resourceId", "appRoleId"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let mut role = Value::Object(members);
    let text = |name: &str| role[name].as_str().unwrap_or_default().to_owned();
    let Some(principal) = groups::object(visit, &text("principalId")) else {
        return missing(&text("principalId"));
    };
    let Some(resource) = visit.current("servicePrincipals", &text("resourceId")) else {
        return missing(&text("resourceId"));
    };
    let zero = "00000000-0000-0000-0000-000000000000";
    let wanted = text("appRoleId");
    let offered = resource["appRoles"].as_array().into_iter().flatten();
    if wanted != zero && !offered.into_iter().any(|one| one["id"] == wanted.as_str()) {
        return bad(&format!(
            "Permission being assigned was not found on application '{}'.",
            text("resourceId")
        ));
    }
    let same = |one: &Value| {
        ["principalId", "resourceId", "appRoleId"]
            .iter()
            .all(|name| one[*name] == role[*name])
    };
    if visit
        .store
        .directory
        .all_now("appRoleAssignments")
        .any(same)
    {
        return bad("Permission being assigned already exists on the object");
    }
    let id = visit.new_id();
    let kind = principal["@odata.type"].as_str().unwrap_or_default();
    let kind = match kind {
        "#microsoft.graph.user" => "User",
        "#microsoft.graph.group" => "Group",
        _ => "ServicePrincipal",
    };
    role["id"] = json!(id);
    role["createdDateTime"] = json!(visit.time());
    role["principalType"] = json!(kind);
    role["principalDisplayName"] = principal["displayName"].clone();
    role["resourceDisplayName"] = resource["displayName"].clone();
    visit.put("appRoleAssignments", &id, role.clone());
    let of = principal["id"].as_str().unwrap_or_default().to_owned();
    note(
        visit,
        "Add app role assignment to service principal",
        &of,
        &role["appRoleId"],
    );
    Reply::json(201, &role)
}

fn unassign(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(role) = visit.remove("appRoleAssignments", held[1]) else {
        return missing(held[1]);
    };
    let of = role["principalId"].as_str().unwrap_or_default().to_owned();
    note(
        visit,
        "Remove app role assignment from service principal",
        &of,
        &role["appRoleId"],
    );
    Reply::empty(204)
}
