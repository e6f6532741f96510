//! Groups, who is in them, and objects of any kind by id (sections 1.11 and 3.1).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, bad, body, missing, route};
use crate::lab::reply::Reply;

/// What a group has.
const GROUP: Shape = Shape {
    name: "groups",
    properties: &[
        "id",
        "createdDateTime",
        "deletedDateTime",
        "description",
        "displayName",
        "groupTypes",
        "isAssignableToRole",
        "mail",
        "mailEnabled",
        "mailNickname",
        "membershipRule",
        "onPremisesSyncEnabled",
        "securityEnabled",
        "securityIdentifier",
        "uniqueName",
        "visibility",
    ],
    usual: &[],
    expands: &["members", "owners"],
    pages: (999, 100),
    directory: true,
};

/// What objects of many kinds have between them.
pub(super) const OBJECTS: Shape = Shape {
    name: "directoryObjects",
    properties: &[
        "id",
        "deletedDateTime",
        "displayName",
        "userPrincipalName",
        "mail",
        "accountEnabled",
        "userType",
        "appId",
        "servicePrincipalType",
        "securityEnabled",
        "isAssignableToRole",
        "roleTemplateId",
        "description",
        "groupTypes",
        "passwordCredentials",
        "keyCredentials",
        "deviceId",
        "createdDateTime",
        "appOwnerOrganizationId",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: true,
};

const READ: &[&str] = &[
    "GroupMember.Read.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const MEMBERS: &[&str] = &[
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const OBJECT: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "groups", READ, list),
    route("GET", "groups/{}", READ, get),
    route(
        "DELETE",
        "groups/{}",
        &["Group.ReadWrite.All", "Directory.ReadWrite.All"],
        delete,
    ),
    route("GET", "groups/{}/members", READ, members),
    route(
        "GET",
        "groups/{}/transitiveMembers",
        READ,
        transitive_members,
    ),
    route("POST", "groups/{}/members/$ref", MEMBERS, add),
    route("DELETE", "groups/{}/members/{}/$ref", MEMBERS, remove),
    route("DELETE", "groups/{}/members/{}", MEMBERS, remove_object),
    route("GET", "directoryObjects/{}", OBJECT, object_by_id),
    route("POST", "directoryObjects/getByIds", OBJECT, by_ids),
];

/// Kinds with ids of their own, and their types.
const KINDS: &[(&str, &str)] = &[
    ("users", "#microsoft.graph.user"),
    ("groups", "#microsoft.graph.group"),
    ("servicePrincipals", "#microsoft.graph.servicePrincipal"),
    ("applications", "#microsoft.graph.application"),
    ("devices", "#microsoft.graph.device"),
];

/// Returns an object of any kind, with its type.
pub(super) fn object(visit: &Visit<'_>, id: &str) -> Option<Value> {
    let known = KINDS.iter().find_map(|(kind, name)| {
        let mut value = visit.seen(kind, id)?.clone();
        value["@odata.type"] = json!(name);
        Some(value)
    });
    known.or_else(|| {
        let mut value = super::seed::managed(visit.store, id)?;
        value["@odata.type"] = json!("#microsoft.graph.servicePrincipal");
        Some(value)
    })
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &GROUP) {
        Ok(query) => query.page(visit, &GROUP, visit.listed("groups", |_| true)),
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &GROUP),
        visit.seen("groups", held[0]),
    ) {
        (Ok(query), Some(group)) => query::one(visit, &GROUP, &query, group),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

/// A deleted group has no members; they come back with it.
fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut group) = visit.current("groups", held[0]) else {
        return missing(held[0]);
    };
    let of_it = |_: &str, link: &Value| link["group"] == group["id"];
    let links = visit.store.directory.ids("members", of_it);
    let removed: Vec<Value> = links
        .iter()
        .filter_map(|link| visit.remove("members", link))
        .map(|link| link["member"].clone())
        .collect();
    group["__members"] = json!(removed);
    super::users::discard(visit, "groups", &group);
    let act = Act {
        activity: "Delete group",
        category: "GroupManagement",
        kind: "Group",
        target: &group,
        modified: &[],
    };
    audit::write(visit, &act);
    Reply::empty(204)
}

fn page(visit: &Visit<'_>, objects: Vec<Value>) -> Reply {
    match query::read(visit, &OBJECTS) {
        Ok(query) => query.page(visit, &OBJECTS, objects),
        Err(refusal) => refusal,
    }
}

fn direct(visit: &Visit<'_>, group: &str) -> Vec<Value> {
    let links = visit.listed("members", |link| {
        link["group"]
            .as_str()
            .is_some_and(|of| of.eq_ignore_ascii_case(group))
    });
    links
        .iter()
        .filter_map(|link| object(visit, link["member"].as_str()?))
        .collect()
}

fn members(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    if visit.seen("groups", held[0]).is_none() {
        return missing(held[0]);
    }
    page(visit, direct(visit, held[0]))
}

fn transitive_members(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    if visit.seen("groups", held[0]).is_none() {
        return missing(held[0]);
    }
    let mut found: Vec<Value> = Vec::new();
    let mut to_ask = vec![held[0].to_owned()];
    while let Some(group) = to_ask.pop() {
        for member in direct(visit, &group) {
            if found.iter().all(|known| known["id"] != member["id"]) {
                to_ask.extend(member["id"].as_str().map(str::to_owned));
                found.push(member);
            }
        }
    }
    page(visit, found)
}

/// Groups and activated directory roles of a principal, direct ones or all.
fn belongs(visit: &Visit<'_>, principal: &str, all: bool) -> Vec<Value> {
    let mut groups = visit.store.directory.groups_of(principal);
    if !all {
        groups.retain(|group| {
            visit
                .store
                .directory
                .now("members", &format!("{group}/{principal}"))
                .is_some()
        });
    }
    let mut found: Vec<Value> = groups
        .iter()
        .filter_map(|group| object(visit, group))
        .collect();
    let holders = |value: &Value| {
        let holder = value["principalId"].as_str().unwrap_or_default();
        holder.eq_ignore_ascii_case(principal)
            || (all && groups.iter().any(|group| group == holder))
    };
    for assignment in visit.listed("roleAssignments", holders) {
        let id = assignment["roleDefinitionId"].as_str().unwrap_or_default();
        let Some(role) = visit.seen("roleDefinitions", id) else {
            continue;
        };
        let shown = json!({"@odata.type": "#microsoft.graph.directoryRole", "id": super::activated::id_of(id), "displayName": role["displayName"], "description": role["description"], "roleTemplateId": id, "deletedDateTime": null});
        if !found.contains(&shown) {
            found.push(shown);
        }
    }
    found
}

fn of_principal(visit: &Visit<'_>, key: &str, all: bool, groups_only: bool) -> Reply {
    let user = super::users::find(visit, key).or_else(|| super::principals::find(visit, key));
    let Some(principal) = user else {
        return missing(key);
    };
    let mut found = belongs(visit, principal["id"].as_str().unwrap_or_default(), all);
    if groups_only {
        found.retain(|value| value["@odata.type"] == "#microsoft.graph.group");
    }
    page(visit, found)
}

/// `memberOf`: direct ones.
pub(super) fn member_of(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    of_principal(visit, held[0], false, false)
}

/// `transitiveMemberOf`: all.
pub(super) fn transitive_member_of(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    of_principal(visit, held[0], true, false)
}

/// `transitiveMemberOf/microsoft.graph.group`: a cast, which only an advanced query may use.
pub(super) fn transitive_groups(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let eventual = visit
        .ask
        .header("consistencylevel")
        .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    if !eventual || visit.ask.query("$count") != Some("true") {
        return crate::lab::reply::graph_error(
            400,
            "Request_UnsupportedQuery",
            "The specified cast requires the header ConsistencyLevel: eventual and $count=true.",
        );
    }
    of_principal(visit, held[0], true, true)
}

/// `getMemberObjects`: ids of groups and roles.
pub(super) fn member_objects(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    if let Err(refusal) = body::read(visit, &["securityEnabledOnly"]) {
        return refusal;
    }
    let Some(user) = super::users::find(visit, held[0]) else {
        return missing(held[0]);
    };
    let found = belongs(visit, user["id"].as_str().unwrap_or_default(), true);
    let ids: Vec<&Value> = found.iter().map(|value| &value["id"]).collect();
    let context = visit.context("Collection(Edm.String)");
    Reply::json(200, &json!({"@odata.context": context, "value": ids}))
}

fn add(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(group) = visit.current("groups", held[0]) else {
        return missing(held[0]);
    };
    let member = match body::read(visit, &[]).and_then(|members| body::reference(&members)) {
        Ok(member) => member,
        Err(refusal) => return refusal,
    };
    let Some(member) = object(visit, &member) else {
        return missing(&member);
    };
    let id = format!("{}/{}", held[0], member["id"].as_str().unwrap_or_default());
    if visit.current("members", &id).is_some() {
        return bad(
            "One or more added object references already exist for the following modified properties: 'members'.",
        );
    }
    let link = json!({"group": group["id"], "member": member["id"]});
    visit.put("members", &id, link);
    note(visit, "Add member to group", &member, &group);
    Reply::empty(204)
}

fn remove(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let id = format!("{}/{}", held[0], held[1]);
    if visit.remove("members", &id).is_none() {
        return missing(held[1]);
    }
    let group = visit.current("groups", held[0]).unwrap_or_default();
    let member = object(visit, held[1]).unwrap_or_default();
    note(visit, "Remove member from group", &member, &group);
    Reply::empty(204)
}

fn note(visit: &mut Visit<'_>, activity: &str, member: &Value, group: &Value) {
    let act = Act {
        activity,
        category: "GroupManagement",
        kind: "User",
        target: member,
        modified: &[("Group.ObjectID", Value::Null, group["id"].clone())],
    };
    audit::write(visit, &act);
}

/// Without `/$ref` it is not the membership that is deleted but the member (a known trap, section 3.1).
fn remove_object(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let found = KINDS
        .iter()
        .find_map(|(kind, _)| Some((*kind, visit.current(kind, held[1])?)));
    let Some((kind, member)) = found else {
        return missing(held[1]);
    };
    super::users::discard(visit, kind, &member);
    let act = Act {
        activity: "Delete user",
        category: "UserManagement",
        kind: "User",
        target: &member,
        modified: &[],
    };
    audit::write(visit, &act);
    Reply::empty(204)
}

fn object_by_id(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (query::read_one(visit, &OBJECTS), object(visit, held[0])) {
        (Ok(query), Some(found)) => query::one(visit, &OBJECTS, &query, &found),
        (Ok(_), None) => missing(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn by_ids(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let members = match body::read(visit, &["ids", "types"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let ids: Vec<&str> = members
        .get("ids")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if ids.is_empty() || ids.len() > 1_000 {
        return bad("The number of ids must be between 1 and 1000.");
    }
    let found: Vec<Value> = ids.iter().filter_map(|id| object(visit, id)).collect();
    let shown: Vec<Value> = found.iter().map(super::directory::shown).collect();
    let context = visit.context("directoryObjects");
    Reply::json(200, &json!({"@odata.context": context, "value": shown}))
}
