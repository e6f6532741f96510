//! Privileged Identity Management: who may become what, for how long, and the requests that change it (section 1.13).

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, body, groups, route};
use crate::lab::reply::{Reply, graph_error};

const INSTANCE: Shape = Shape {
    name: "roleManagement/directory/roleEligibilityScheduleInstances",
    properties: &[
        "id",
        "principalId",
        "roleDefinitionId",
        "directoryScopeId",
        "appScopeId",
        "startDateTime",
        "endDateTime",
        "memberType",
        "roleEligibilityScheduleId",
        "roleAssignmentScheduleId",
        "roleAssignmentOriginId",
        "assignmentType",
    ],
    usual: &[],
    expands: &["roleDefinition", "principal"],
    pages: (999, 100),
    directory: false,
};

const ELIGIBLE: &[&str] = &[
    "RoleEligibilitySchedule.Read.Directory",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
];
const ASSIGNED: &[&str] = &[
    "RoleAssignmentSchedule.Read.Directory",
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
];
const CHANGE_ELIGIBLE: &[&str] = &[
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
];
const CHANGE_ASSIGNED: &[&str] = &[
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
];

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "roleManagement/directory/roleEligibilityScheduleInstances",
        ELIGIBLE,
        eligible,
    ),
    route(
        "GET",
        "roleManagement/directory/roleEligibilitySchedules",
        ELIGIBLE,
        eligible,
    ),
    route(
        "POST",
        "roleManagement/directory/roleEligibilityScheduleRequests",
        CHANGE_ELIGIBLE,
        ask_eligible,
    ),
    route(
        "GET",
        "roleManagement/directory/roleAssignmentScheduleInstances",
        ASSIGNED,
        assigned,
    ),
    route(
        "GET",
        "roleManagement/directory/roleAssignmentSchedules",
        ASSIGNED,
        assigned,
    ),
    route(
        "POST",
        "roleManagement/directory/roleAssignmentScheduleRequests",
        CHANGE_ASSIGNED,
        ask_assigned,
    ),
];

fn eligible(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let all = visit.listed("eligibilities", |one| lasts(visit, &one["endDateTime"]));
    answer(visit, all)
}

/// Returns whether what ends then, or never, is there now.
pub(super) fn lasts(visit: &Visit<'_>, end: &Value) -> bool {
    let end = end.as_str().and_then(|end| end.parse().ok());
    end.is_none_or(|end: DateTime<Utc>| visit.now < end)
}

/// Active assignments are shown as instances, too: those of PIM with their end, the others without one.
fn assigned(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let instance = |one: Value| {
        let mut shown = one.clone();
        shown["assignmentType"] = json!("Assigned");
        shown["memberType"] = json!("Direct");
        shown["startDateTime"] = one.get("__start").cloned().unwrap_or_default();
        shown["endDateTime"] = one.get("__end").cloned().unwrap_or_default();
        shown["roleAssignmentOriginId"] = one["id"].clone();
        shown["roleAssignmentScheduleId"] = one["id"].clone();
        shown
    };
    let all = visit.listed("roleAssignments", |one| lasts(visit, &one["__end"]));
    let all = all.into_iter().map(instance).collect();
    answer(visit, all)
}

fn answer(visit: &Visit<'_>, all: Vec<Value>) -> Reply {
    let query = match query::read(visit, &INSTANCE) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    let expand = |mut one: Value| {
        for name in &query.expand {
            let id = |member: &str| one[member].as_str().unwrap_or_default().to_owned();
            one[name] = match name.as_str() {
                "roleDefinition" => visit
                    .seen("roleDefinitions", &id("roleDefinitionId"))
                    .cloned(),
                _ => groups::object(visit, &id("principalId")),
            }
            .unwrap_or_default();
        }
        one
    };
    let all = all.into_iter().map(expand).collect();
    query.page(visit, &INSTANCE, all)
}

fn ask_eligible(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    ask(visit, "eligibilities", "eligible member")
}

fn ask_assigned(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    ask(visit, "roleAssignments", "member")
}

/// What is asked: by whom it is held, which role, where.
struct Wanted {
    principal: String,
    role: String,
    scope: String,
}

fn ask(visit: &mut Visit<'_>, kind: &str, what: &str) -> Reply {
    let known = [
        "action",
        "principalId",
        "roleDefinitionId",
        "directoryScopeId",
        "appScopeId",
        "justification",
        "scheduleInfo",
        "ticketInfo",
        "targetScheduleId",
        "isValidationOnly",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let text = |name: &str| body::text(&members, name);
    let wanted = match (
        text("principalId"),
        text("roleDefinitionId"),
        text("directoryScopeId"),
    ) {
        (Ok(principal), Ok(role), Ok(scope)) => Wanted {
            principal,
            role,
            scope,
        },
        (Err(refusal), ..) | (_, Err(refusal), _) | (.., Err(refusal)) => return refusal,
    };
    if visit.current("roleDefinitions", &wanted.role).is_none() {
        return graph_error(
            404,
            "RoleDefinitionNotFound",
            "The role definition was not found.",
        );
    }
    if groups::object(visit, &wanted.principal).is_none() {
        return graph_error(404, "SubjectNotFound", "The subject was not found.");
    }
    let found = visit
        .store
        .directory
        .all_now(kind)
        .find(|one| same(one, &wanted))
        .cloned();
    let only_asks = members.get("isValidationOnly") == Some(&json!(true));
    let schedule = members.get("scheduleInfo").cloned().unwrap_or_default();
    let status = match members.get("action").and_then(Value::as_str) {
        Some("adminAssign") if found.is_some() => {
            return graph_error(
                400,
                "RoleAssignmentExists",
                "The Role assignment already exists.",
            );
        }
        Some("adminAssign") => {
            if let Err(refusal) = sound(&schedule) {
                return refusal;
            }
            let status = fate(visit, &wanted.role);
            if !only_asks && status == PROVISIONED {
                assign(visit, kind, &wanted, &schedule);
            }
            status
        }
        Some("adminRemove") => {
            let Some(found) = found else {
                return graph_error(
                    400,
                    "RoleAssignmentDoesNotExist",
                    "The Role assignment does not exist.",
                );
            };
            if !only_asks {
                visit.remove(kind, found["id"].as_str().unwrap_or_default());
            }
            "Revoked".to_owned()
        }
        Some(action) if action.starts_with("self") => {
            return graph_error(
                403,
                "Authorization_RequestDenied",
                "Self actions need a signed-in user.",
            );
        }
        _ => {
            return graph_error(
                400,
                "InvalidRoleAssignmentRequest",
                "The action is not supported.",
            );
        }
    };
    let open = status != PROVISIONED && status != "Revoked";
    if !only_asks && !open {
        note(visit, what, &status, &wanted);
    }
    let id = visit.new_id();
    let time = visit.time();
    Reply::json(
        201,
        &json!({
            "@odata.context": visit.context(&format!("{INSTANCE_REQUESTS}/$entity")), "id": id, "status": status,
            "createdDateTime": time, "completedDateTime": if status == PROVISIONED { json!(time) } else { Value::Null },
            "action": members.get("action"), "principalId": wanted.principal, "roleDefinitionId": wanted.role,
            "directoryScopeId": wanted.scope, "appScopeId": null, "justification": members.get("justification"),
            "isValidationOnly": only_asks, "targetScheduleId": id, "scheduleInfo": schedule,
        }),
    )
}

/// What a request is that was carried out at once.
const PROVISIONED: &str = "Provisioned";

/// Returns what becomes of a request for a role, as the scenario has it.
fn fate(visit: &Visit<'_>, role: &str) -> String {
    let definition = visit.current("roleDefinitions", role);
    let name = definition.map(|definition| definition["displayName"].clone());
    let given = &visit.tenant.scenario.directory.request_status;
    name.and_then(|name| given.get(name.as_str()?).cloned())
        .unwrap_or_else(|| PROVISIONED.to_owned())
}

const INSTANCE_REQUESTS: &str = "roleManagement/directory/roleEligibilityScheduleRequests";

fn same(one: &Value, wanted: &Wanted) -> bool {
    let is = |member: &str, value: &str| {
        one[member]
            .as_str()
            .is_some_and(|own| own.eq_ignore_ascii_case(value))
    };
    is("principalId", &wanted.principal)
        && is("roleDefinitionId", &wanted.role)
        && is("directoryScopeId", &wanted.scope)
}

/// An end is said by its kind, and the kind's own member.
fn sound(schedule: &Value) -> Result<(), Reply> {
    let expiration = &schedule["expiration"];
    let member = match expiration["type"]
        .as_str()
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("noexpiration") => {
            // The policy of these roles takes no assignment without an end.
            return Err(graph_error(
                400,
                "RoleAssignmentRequestPolicyValidationFailed",
                "The following policy rules failed: [\"ExpirationRule\"]",
            ));
        }
        Some("afterdatetime") => "endDateTime",
        Some("afterduration") => "duration",
        _ => {
            return Err(graph_error(
                400,
                "InvalidRoleAssignmentRequest",
                "scheduleInfo.expiration.type is required.",
            ));
        }
    };
    let given = expiration[member].as_str().unwrap_or_default();
    let read = match member {
        "duration" => span(given).is_some(),
        _ => given.parse::<DateTime<Utc>>().is_ok(),
    };
    if !read {
        let message = format!("scheduleInfo.expiration.{member} is required, and must be one.");
        return Err(graph_error(400, "InvalidRoleAssignmentRequest", &message));
    }
    Ok(())
}

/// Returns when an assignment ends: at a moment, or a time after its start.
fn end(expiration: &Value, start: &str) -> Value {
    let after = expiration["duration"].as_str().and_then(span);
    match (after, start.parse::<DateTime<Utc>>()) {
        (Some(span), Ok(start)) => json!(crate::clock::seconds(start + span)),
        _ => expiration["endDateTime"].clone(),
    }
}

/// Reads days, hours and minutes of an ISO 8601 duration, as `P1DT8H`.
fn span(text: &str) -> Option<Duration> {
    let mut minutes = 0_i64;
    let mut number = String::new();
    for c in text.strip_prefix('P')?.chars() {
        let unit = match c {
            'D' => 1_440,
            'H' => 60,
            'M' => 1,
            'T' => continue,
            digit if digit.is_ascii_digit() => {
                number.push(digit);
                continue;
            }
            _ => return None,
        };
        minutes = minutes.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then(|| Duration::try_minutes(minutes))?
}

fn assign(visit: &mut Visit<'_>, kind: &str, wanted: &Wanted, schedule: &Value) {
    let id = visit.new_id();
    let start = schedule["startDateTime"]
        .as_str()
        .map_or_else(|| visit.time(), str::to_owned);
    let end = &end(&schedule["expiration"], &start);
    let mut one = json!({
        "id": id, "principalId": wanted.principal, "roleDefinitionId": wanted.role,
        "directoryScopeId": wanted.scope, "appScopeId": null,
    });
    if kind == "eligibilities" {
        one["memberType"] = json!("Direct");
        one["startDateTime"] = json!(start);
        one["endDateTime"] = end.clone();
        one["roleEligibilityScheduleId"] = json!(id);
    } else {
        one["condition"] = Value::Null;
        one["__start"] = json!(start);
        one["__end"] = end.clone();
    }
    visit.put(kind, &id, one);
}

fn note(visit: &mut Visit<'_>, what: &str, status: &str, wanted: &Wanted) {
    let target = groups::object(visit, &wanted.principal).unwrap_or_default();
    let verb = if status == "Revoked" { "Remove" } else { "Add" };
    let way = if status == "Revoked" { "from" } else { "to" };
    let activity = format!("{verb} {what} {way} role in PIM completed (timebound)");
    let act = Act {
        activity: &activity,
        category: "RoleManagement",
        kind: "Role",
        target: &target,
        modified: &[("Role.ObjectID", Value::Null, json!(wanted.role))],
    };
    audit::write(visit, &act);
}
