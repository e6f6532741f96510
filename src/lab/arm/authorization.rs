//! Microsoft.Authorization: role assignments and definitions, locks, the caller's permissions (arm.md section 6).

use serde_json::{Value, json};

use super::operations::instant;
use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::gate::{ASSIGNMENT, LOCK, below, scope_of};
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::roles;

const ASSIGNED: &[&str] = &[
    "condition",
    "conditionVersion",
    "createdBy",
    "createdOn",
    "delegatedManagedIdentityResourceId",
    "description",
    "principalId",
    "principalType",
    "roleDefinitionId",
    "scope",
    "updatedBy",
    "updatedOn",
];

impl Arm<'_> {
    pub(super) fn authorization(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.authorization/roleassignments", Target::List { scope, .. }) => {
                Ok(self.list(&self.assignments(&scope)?))
            }
            ("GET", "microsoft.authorization/roleassignments", Target::Resource(id)) => {
                match self.store.get(id.as_str()) {
                    Some(value) => Ok(Reply::json(200, value)),
                    None => Err(arm_error(
                        404,
                        "RoleAssignmentNotFound",
                        &format!("The role assignment '{}' is not found.", id.name()),
                    )),
                }
            }
            ("PUT", "microsoft.authorization/roleassignments", Target::Resource(id)) => {
                self.assign(&id)
            }
            ("PUT", "microsoft.authorization/locks", Target::Resource(id)) => self.put_lock(&id),
            (
                "DELETE",
                "microsoft.authorization/roleassignments" | "microsoft.authorization/locks",
                Target::Resource(id),
            ) => Ok(match self.store.delete(id.as_str()) {
                Some(_) if kind == "microsoft.authorization/locks" => Reply::empty(200),
                Some(old) => Reply::json(200, &old),
                None => Reply::empty(204),
            }),
            ("GET", "microsoft.authorization/roledefinitions", Target::List { scope, .. }) => {
                self.definitions(&scope)
            }
            ("GET", "microsoft.authorization/roledefinitions", Target::Resource(id)) => {
                self.definition(&id)
            }
            ("GET", "microsoft.authorization/locks", Target::List { scope, .. }) => {
                Ok(self.list(&self.locks(&scope)?))
            }
            ("GET", "microsoft.authorization/locks", Target::Resource(id)) => {
                Ok(Reply::json(200, &self.found(&id)?))
            }
            ("GET", "microsoft.authorization/permissions", Target::List { scope, .. }) => {
                Ok(self.list(&self.grants.permissions(&scope)))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Returns assignments at, above and, unless `atScope()`, below a scope.
    fn assignments(&self, scope: &str) -> Result<Vec<Value>, Reply> {
        let filter = self.ask.query("$filter").unwrap_or_default();
        let wanted = Wanted::parse(filter)
            .ok_or_else(|| not_modelled(&format!("the filter {filter:?} on role assignments")))?;
        let here = below(scope);
        let groups = wanted
            .principal
            .as_ref()
            .filter(|_| wanted.with_groups)
            .map(|principal| self.store.directory.groups_of(principal))
            .unwrap_or_default();
        let is_wanted = |value: &Value| {
            let at = below(value["properties"]["scope"].as_str().unwrap_or_default());
            let placed = here.starts_with(&at) || (at.starts_with(&here) && !wanted.at_scope);
            let principal = value["properties"]["principalId"]
                .as_str()
                .unwrap_or_default();
            let held = |holder: &String| holder.eq_ignore_ascii_case(principal);
            placed
                && wanted
                    .principal
                    .as_ref()
                    .is_none_or(|one| held(one) || groups.iter().any(held))
        };
        Ok(self
            .store
            .of_type("", ASSIGNMENT)
            .filter(|value| is_wanted(value))
            .cloned()
            .collect())
    }

    /// Returns whether the directory's nearest replica has heard of a principal; who says its type is not asked.
    fn knows_principal(&self, id: &str) -> bool {
        let seen = |kind: &&str| self.store.directory.seen(kind, id, self.now_us).is_some();
        ["users", "groups", "servicePrincipals"].iter().any(seen)
            || crate::lab::graph::seed::managed(self.store, id).is_some()
    }

    fn assign(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(
            &body,
            &["properties", "id", "name", "type"],
            "RoleAssignment",
        )?;
        only_members(&body["properties"], ASSIGNED, "RoleAssignmentProperties")?;
        let given = &body["properties"];
        let (Some(role), Some(principal)) = (
            given["roleDefinitionId"].as_str(),
            given["principalId"].as_str(),
        ) else {
            return Err(arm_error(
                400,
                "InvalidRequestContent",
                "The request content was invalid: roleDefinitionId and principalId are required.",
            ));
        };
        if roles::rights(self.store, role).is_none() {
            let name = role.rsplit('/').next().unwrap_or_default();
            return Err(arm_error(
                404,
                "RoleDefinitionDoesNotExist",
                &format!("The specified role definition with ID '{name}' does not exist."),
            ));
        }
        if given["principalType"].is_null() && !self.knows_principal(principal) {
            let (id, tenant) = (principal.replace('-', ""), &self.tenant.scenario.tenant);
            let message = format!(
                "Principal {id} does not exist in the directory {tenant}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group."
            );
            return Err(arm_error(400, "PrincipalNotFound", &message));
        }
        let scope = scope_of(id.as_str(), ASSIGNMENT);
        let same = |value: &Value, name: &str, wanted: &str| {
            value["properties"][name]
                .as_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        let same_role = |value: &Value| {
            value["properties"]["roleDefinitionId"]
                .as_str()
                .and_then(|id| id.rsplit('/').next())
                == role.rsplit('/').next()
        };
        let twin = self.store.of_type(scope, ASSIGNMENT).find(|value| {
            same(value, "scope", scope) && same(value, "principalId", principal) && same_role(value)
        });
        match twin {
            Some(twin)
                if same(
                    &json!({"properties": {"id": twin["id"]}}),
                    "id",
                    id.as_str(),
                ) =>
            {
                return Ok(Reply::json(200, twin));
            }
            Some(twin) => {
                let known: String = twin["name"].as_str().unwrap_or_default().replace('-', "");
                return Err(arm_error(
                    409,
                    "RoleAssignmentExists",
                    &format!(
                        "The role assignment already exists. The ID of the existing role assignment is {known}."
                    ),
                ));
            }
            None if self.store.get(id.as_str()).is_some() => {
                return Err(arm_error(
                    400,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                ));
            }
            None => {}
        }
        let now = instant(self.tenant.clock.now());
        let mut value =
            json!({"id": id.as_str(), "name": id.name(), "type": ASSIGNMENT, "properties": given});
        let properties = &mut value["properties"];
        properties["scope"] = json!(scope);
        for (name, text) in [
            ("createdOn", &now),
            ("updatedOn", &now),
            ("createdBy", &self.claims.oid),
            ("updatedBy", &self.claims.oid),
        ] {
            properties[name] = json!(text);
        }
        for optional in [
            "condition",
            "conditionVersion",
            "delegatedManagedIdentityResourceId",
            "description",
        ] {
            properties[optional] = given.get(optional).cloned().unwrap_or_default();
        }
        if properties["principalType"].is_null() {
            properties["principalType"] = json!("ServicePrincipal");
        }
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(201, &value))
    }

    fn definitions(&self, scope: &str) -> Result<Reply, Reply> {
        let subscription = scope.split('/').nth(2).unwrap_or_default();
        let mut items = roles::definitions(self.store, subscription);
        match self.ask.query("$filter").unwrap_or_default() {
            "" | "atScopeAndBelow()" | "atScope()" => {}
            filter => {
                let (member, value) = equals(filter).ok_or_else(|| {
                    not_modelled(&format!("the filter {filter:?} on role definitions"))
                })?;
                match member {
                    "roleName" | "type" => {
                        items.retain(|item| item["properties"][member] == json!(value));
                    }
                    _ => {
                        return Err(not_modelled(&format!(
                            "the filter {filter:?} on role definitions"
                        )));
                    }
                }
            }
        }
        Ok(self.list(&items))
    }

    fn definition(&self, id: &ArmId) -> Result<Reply, Reply> {
        let all = roles::definitions(self.store, id.subscription().unwrap_or_default());
        let found = all.iter().find(|item| {
            item["name"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(id.name()))
        });
        match found {
            Some(found) => Ok(Reply::json(200, found)),
            None => Err(arm_error(
                404,
                "RoleDefinitionDoesNotExist",
                &format!(
                    "The specified role definition with ID '{}' does not exist.",
                    id.name()
                ),
            )),
        }
    }

    /// Returns the locks at and below a scope, and above it with `atScope()`.
    fn locks(&self, scope: &str) -> Result<Vec<Value>, Reply> {
        let here = below(scope);
        let above = match self.ask.query("$filter").unwrap_or_default() {
            "" => false,
            "atScope()" => true,
            filter => return Err(not_modelled(&format!("the filter {filter:?} on locks"))),
        };
        let is_wanted = |lock: &Value| {
            let at = below(scope_of(lock["id"].as_str().unwrap_or_default(), LOCK));
            here.starts_with(&at) || (!above && at.starts_with(&here))
        };
        Ok(self
            .store
            .of_type("", LOCK)
            .filter(|lock| is_wanted(lock))
            .cloned()
            .collect())
    }

    fn put_lock(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(
            &body,
            &["properties", "id", "name", "type"],
            "ManagementLock",
        )?;
        only_members(
            &body["properties"],
            &["level", "notes", "owners"],
            "ManagementLockProperties",
        )?;
        let level = body["properties"]["level"].as_str().unwrap_or_default();
        if !["CanNotDelete", "ReadOnly"].contains(&level) {
            return Err(arm_error(
                400,
                "InvalidRequestContent",
                &format!("The lock level '{level}' is not supported."),
            ));
        }
        let status = if self.store.get(id.as_str()).is_some() {
            200
        } else {
            201
        };
        let value = json!({"id": id.as_str(), "name": id.name(), "type": LOCK, "properties": body["properties"]});
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(status, &value))
    }
}

/// What a list of role assignments is filtered by.
#[derive(Default)]
struct Wanted {
    at_scope: bool,
    principal: Option<String>,
    with_groups: bool,
}

impl Wanted {
    /// Reads `atScope()`, `principalId eq '..'`, `assignedTo('..')` and their pairs; anything else is not modelled.
    fn parse(filter: &str) -> Option<Self> {
        let mut wanted = Self::default();
        for part in filter
            .split(" and ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            if part == "atScope()" {
                wanted.at_scope = true;
            } else if let Some(id) = part
                .strip_prefix("assignedTo('")
                .and_then(|rest| rest.strip_suffix("')"))
            {
                wanted.principal = Some(id.to_owned());
                wanted.with_groups = true;
            } else {
                let (member, value) = equals(part)?;
                if member != "principalId" {
                    return None;
                }
                wanted.principal = Some(value.to_owned());
            }
        }
        Some(wanted)
    }
}

/// Reads `member eq 'value'`.
fn equals(filter: &str) -> Option<(&str, &str)> {
    let (member, value) = filter.split_once(" eq ")?;
    Some((
        member.trim(),
        value.trim().strip_prefix('\'')?.strip_suffix('\'')?,
    ))
}
