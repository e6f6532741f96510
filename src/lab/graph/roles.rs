//! Directory roles: definitions and active assignments (section 1.12).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, bad, beta, body, groups, missing, pim, privileged, route};
use crate::lab::reply::{Reply, graph_error};

const ASSIGNMENT: Shape = Shape {
    name: "roleManagement/directory/roleAssignments",
    properties: &[
        "id",
        "principalId",
        "roleDefinitionId",
        "directoryScopeId",
        "appScopeId",
        "condition",
        "principalOrganizationId",
    ],
    usual: &[],
    expands: &["roleDefinition", "principal", "directoryScope"],
    pages: (999, 100),
    directory: false,
};
const DEFINITION: Shape = Shape {
    name: "roleManagement/directory/roleDefinitions",
    properties: &[
        "id",
        "description",
        "displayName",
        "isBuiltIn",
        "isEnabled",
        "isPrivileged",
        "rolePermissions",
        "templateId",
        "version",
        "resourceScopes",
    ],
    usual: &[],
    expands: &["inheritsPermissionsFrom"],
    pages: (999, 100),
    directory: false,
};

const READ: &[&str] = &[
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
];
const WRITE: &[&str] = &["RoleManagement.ReadWrite.Directory"];

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "roleManagement/directory/roleDefinitions",
        READ,
        definitions,
    ),
    route(
        "GET",
        "roleManagement/directory/roleDefinitions/{}",
        READ,
        definition,
    ),
    route(
        "GET",
        "roleManagement/directory/roleAssignments",
        READ,
        list,
    ),
    route(
        "GET",
        "roleManagement/directory/roleAssignments/{}",
        READ,
        get,
    ),
    route(
        "POST",
        "roleManagement/directory/roleAssignments",
        WRITE,
        create,
    ),
    route(
        "DELETE",
        "roleManagement/directory/roleAssignments/{}",
        WRITE,
        delete,
    ),
    beta(
        "GET",
        "roleManagement/directory/transitiveRoleAssignments",
        READ,
        transitive,
    ),
];

fn definitions(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &DEFINITION) {
        Ok(query) => query.page(
            visit,
            &DEFINITION,
            visit.listed("roleDefinitions", |_| true),
        ),
        Err(refusal) => refusal,
    }
}

fn definition(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &DEFINITION),
        visit.seen("roleDefinitions", held[0]),
    ) {
        (Ok(query), Some(role)) => query::one(visit, &DEFINITION, &query, role),
        (Ok(_), None) => graph_error(404, "ResourceNotFound", "Requested resource was not found."),
        (Err(refusal), _) => refusal,
    }
}

/// Puts what `$expand` asked for into an assignment.
fn expanded(visit: &Visit<'_>, query: &query::Query, mut assignment: Value) -> Value {
    for name in &query.expand {
        assignment[name] = match name.as_str() {
            "roleDefinition" => {
                let id = assignment["roleDefinitionId"].as_str().unwrap_or_default();
                visit
                    .seen("roleDefinitions", id)
                    .cloned()
                    .unwrap_or_default()
            }
            "principal" => {
                let id = assignment["principalId"].as_str().unwrap_or_default();
                groups::object(visit, id).unwrap_or_default()
            }
            _ => Value::Null,
        };
    }
    assignment
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let query = match query::read(visit, &ASSIGNMENT) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    let all = visit.listed("roleAssignments", |one| pim::lasts(visit, &one["__end"]));
    let all = all
        .into_iter()
        .map(|one| expanded(visit, &query, one))
        .collect();
    query.page(visit, &ASSIGNMENT, all)
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &ASSIGNMENT),
        visit.seen("roleAssignments", held[0]),
    ) {
        (Ok(query), Some(one)) => {
            let one = expanded(visit, &query, one.clone());
            query::one(visit, &ASSIGNMENT, &query, &one)
        }
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

/// Also through groups; beta only, and only as an advanced query.
fn transitive(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let eventual = visit
        .ask
        .header("consistencylevel")
        .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    if !eventual || visit.ask.query("$count") != Some("true") {
        return graph_error(
            400,
            "Request_UnsupportedQuery",
            "transitiveRoleAssignments requires the header ConsistencyLevel: eventual and $count=true.",
        );
    }
    let query = match query::read(visit, &ASSIGNMENT) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    let principal = visit
        .ask
        .query("$filter")
        .and_then(|filter| filter.split('\'').nth(1))
        .unwrap_or_default()
        .to_owned();
    let mut holders = visit.store.directory.groups_of(&principal);
    holders.push(principal.clone());
    let mut all = visit.listed("roleAssignments", |one| {
        holders
            .iter()
            .any(|holder| one["principalId"] == holder.as_str())
    });
    let held: Vec<Value> = all
        .drain(..)
        .map(|one| expanded(visit, &query, one))
        .collect();
    // What came through a group is shown as the group's, and passes the filter all the same.
    query.unfiltered().page(visit, &ASSIGNMENT, held)
}

fn create(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let known = [
        "principalId",
        "roleDefinitionId",
        "directoryScopeId",
        "appScopeId",
        "condition",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let (principal, role) = match (
        body::text(&members, "principalId"),
        body::text(&members, "roleDefinitionId"),
    ) {
        (Ok(principal), Ok(role)) => (principal, role),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal,
    };
    if visit.current("roleDefinitions", &role).is_none() {
        return graph_error(
            404,
            "ResourceNotFound",
            &format!("The role definition {role} is not there."),
        );
    }
    let Some(target) = groups::object(visit, &principal) else {
        return missing(&principal);
    };
    let mut assignment = Value::Object(members);
    if let Some(members) = assignment.as_object_mut() {
        members.retain(|name, _| !name.starts_with('@'));
    }
    if assignment["directoryScopeId"].is_null() && assignment["appScopeId"].is_null() {
        return bad("A scope is required: directoryScopeId or appScopeId.");
    }
    let same = |one: &Value| {
        ["principalId", "roleDefinitionId", "directoryScopeId"]
            .iter()
            .all(|name| one[*name] == assignment[*name])
    };
    if visit.store.directory.all_now("roleAssignments").any(same) {
        return bad(
            "A conflicting object with one or more of the specified property values is present in the directory.",
        );
    }
    let id = visit.new_id();
    assignment["id"] = json!(id);
    visit.put("roleAssignments", &id, assignment.clone());
    note(visit, "Add member to role", &target, &role);
    assignment["@odata.context"] =
        json!(visit.context("roleManagement/directory/roleAssignments/$entity"));
    Reply::json(201, &assignment)
}

/// Ends an active assignment.
pub(super) fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(assignment) = visit.current("roleAssignments", held[0]) else {
        return missing(held[0]);
    };
    let principal = assignment["principalId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let role = assignment["roleDefinitionId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if role == privileged::GLOBAL && principal == visit.claims.oid {
        return graph_error(
            400,
            "Request_BadRequest",
            "Removing self from Global Administrator built-in role is not allowed.",
        );
    }
    visit.remove("roleAssignments", held[0]);
    let target = groups::object(visit, &principal).unwrap_or_default();
    note(visit, "Remove member from role", &target, &role);
    Reply::empty(204)
}

/// Notes in the directory's log what was done to a role's holders.
pub(super) fn note(visit: &mut Visit<'_>, activity: &str, target: &Value, role: &str) {
    let name = visit
        .current("roleDefinitions", role)
        .map_or(Value::Null, |role| role["displayName"].clone());
    let act = Act {
        activity,
        category: "RoleManagement",
        kind: "User",
        target,
        modified: &[
            ("Role.DisplayName", Value::Null, name),
            ("Role.TemplateId", Value::Null, json!(role)),
        ],
    };
    audit::write(visit, &act);
}
