//! Directory roles in their older form: one object for each role that was activated in the tenant
//! (graph-and-data-planes.md section 1.14). A role is activated once somebody holds it, or by a request.

use serde_json::{Value, json};

use super::query::{self, Shape};
use super::{Route, Visit, alternate, bad, body, groups, missing, roles, route};
use crate::lab::reply::Reply;
use crate::lab::scenario::guid;

const ROLE: Shape = Shape {
    name: "directoryRoles",
    properties: &[
        "id",
        "deletedDateTime",
        "description",
        "displayName",
        "roleTemplateId",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: true,
};

const READ: &[&str] = &[
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
];
const WRITE: &[&str] = &["RoleManagement.ReadWrite.Directory"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "directoryRoles", READ, list),
    route("GET", "directoryRoles/{}", READ, get),
    route("GET", "directoryRoles/{}/members", READ, members),
    route("POST", "directoryRoles", WRITE, activate),
    route("POST", "directoryRoles/{}/members/$ref", WRITE, add),
    route("DELETE", "directoryRoles/{}/members/{}/$ref", WRITE, remove),
];

/// Returns the id that a role has in its older form; another one than its template's.
pub(super) fn id_of(template: &str) -> String {
    guid(&format!("directoryRole {template}"))
}

fn shown(role: &Value) -> Value {
    let template = role["id"].as_str().unwrap_or_default();
    json!({"id": id_of(template), "deletedDateTime": null, "description": role["description"], "displayName": role["displayName"], "roleTemplateId": template})
}

/// Returns the activated roles as this list sees them.
fn activated(visit: &Visit<'_>) -> Vec<Value> {
    let held = visit.listed("roleAssignments", |one| one["directoryScopeId"] == "/");
    let asked = visit.listed("activatedRoles", |_| true);
    let known = |role: &Value| {
        held.iter().any(|one| one["roleDefinitionId"] == role["id"])
            || asked.iter().any(|one| one["id"] == role["id"])
    };
    let roles = visit.listed("roleDefinitions", |role| {
        role["isBuiltIn"] == true && known(role)
    });
    roles.iter().map(shown).collect()
}

/// Finds an activated role by its id, or by `roleTemplateId='x'`.
fn find(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let template = alternate(key, "roleTemplateId");
    let is = |role: &Value| match template {
        Some(template) => role["roleTemplateId"] == template,
        None => role["id"] == key,
    };
    activated(visit).into_iter().find(is)
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &ROLE) {
        Ok(query) => query.page(visit, &ROLE, activated(visit)),
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (query::read_one(visit, &ROLE), find(visit, held[0])) {
        (Ok(query), Some(role)) => query::one(visit, &ROLE, &query, &role),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn members(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(role) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let holders = visit.listed("roleAssignments", |one| {
        one["roleDefinitionId"] == role["roleTemplateId"] && one["directoryScopeId"] == "/"
    });
    let objects: Vec<Value> = holders
        .iter()
        .filter_map(|one| groups::object(visit, one["principalId"].as_str()?))
        .collect();
    match query::read(visit, &groups::OBJECTS) {
        Ok(query) => query.page(visit, &groups::OBJECTS, objects),
        Err(refusal) => refusal,
    }
}

fn activate(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let template = match body::read(visit, &["roleTemplateId"])
        .and_then(|members| body::text(&members, "roleTemplateId"))
    {
        Ok(template) => template,
        Err(refusal) => return refusal,
    };
    let Some(role) = visit.current("roleDefinitions", &template) else {
        return missing(&template);
    };
    if find(visit, &id_of(&template)).is_some() {
        return bad(
            "A conflicting object with one or more of the specified property values is present in the directory.",
        );
    }
    visit.put("activatedRoles", &template, json!({"id": template}));
    let mut shown = shown(&role);
    shown["@odata.context"] = json!(visit.context("directoryRoles/$entity"));
    Reply::json(201, &shown)
}

fn add(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(role) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let known = body::read(visit, &[]).and_then(|members| body::reference(&members));
    let member = match known {
        Ok(member) => member,
        Err(refusal) => return refusal,
    };
    let Some(object) = groups::object(visit, &member) else {
        return missing(&member);
    };
    let template = role["roleTemplateId"].as_str().unwrap_or_default();
    if holding(visit, template, &member).is_some() {
        return bad(
            "One or more added object references already exist for the following modified properties: 'members'.",
        );
    }
    let id = visit.new_id();
    let assignment = json!({"id": id, "principalId": object["id"], "roleDefinitionId": template, "directoryScopeId": "/", "appScopeId": null, "condition": null});
    visit.put("roleAssignments", &id, assignment);
    roles::note(visit, "Add member to role", &object, template);
    Reply::empty(204)
}

fn remove(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(role) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let template = role["roleTemplateId"].as_str().unwrap_or_default();
    let Some(assignment) = holding(visit, template, held[1]) else {
        return missing(held[1]);
    };
    roles::delete(visit, &[&assignment])
}

/// Returns the id of the assignment by which somebody holds a role.
fn holding(visit: &Visit<'_>, template: &str, holder: &str) -> Option<String> {
    let mut all = visit.store.directory.all_now("roleAssignments");
    let found = all.find(|one| {
        one["roleDefinitionId"] == template
            && one["directoryScopeId"] == "/"
            && one["principalId"]
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(holder))
    })?;
    found["id"].as_str().map(str::to_owned)
}
