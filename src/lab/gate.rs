//! Who may do what: role assignments, what denies them, and locks, as the front door applies them.

use serde_json::{Value, json};

use super::denials::{self, Denials};
use super::entra::Claims;
use super::reply::{Ask, Reply, arm_error};
use super::roles::{self, Rights};
use super::store::Store;

/// What a caller may do, and where: read once for a request, asked as often as needed.
pub(super) struct Grants {
    allowed: Vec<(String, Rights)>,
    denied: Denials,
}

impl Grants {
    /// Returns the grants of a caller.
    pub(super) fn of(store: &Store, claims: &Claims) -> Self {
        let mine = store
            .of_type("", ASSIGNMENT)
            .map(|value| &value["properties"])
            .filter(|properties| {
                properties["principalId"]
                    .as_str()
                    .is_some_and(|id| id.eq_ignore_ascii_case(&claims.oid))
            });
        let grants = mine.filter_map(|properties| {
            let scope = below(properties["scope"].as_str()?);
            Some((
                scope,
                roles::rights(store, properties["roleDefinitionId"].as_str()?)?,
            ))
        });
        Self {
            allowed: grants.collect(),
            denied: Denials::of(store, claims),
        }
    }

    fn at<'a>(&'a self, scope: &str) -> impl Iterator<Item = &'a Rights> + use<'a> {
        let scope = below(scope);
        self.allowed
            .iter()
            .filter(move |(at, _)| scope.starts_with(at))
            .map(|(_, rights)| rights)
    }

    /// Returns whether an action is allowed at a scope.
    pub(super) fn allow(&self, action: &str, scope: &str) -> bool {
        self.at(scope).any(|rights| rights.allows(action))
            && self.denied.forbids(action, scope, false).is_none()
    }

    /// Returns whether an action on data is allowed at a scope.
    pub(super) fn allow_data(&self, action: &str, scope: &str) -> bool {
        self.at(scope).any(|rights| rights.allows_data(action))
            && self.denied.forbids(action, scope, true).is_none()
    }

    /// Returns whether there is any grant at or above a scope, which is what following an operation takes.
    pub(super) fn reach(&self, scope: &str) -> bool {
        self.at(scope).next().is_some()
    }

    /// Returns whether there is a grant at, above or below a scope: it is not known to others.
    pub(super) fn touch(&self, scope: &str) -> bool {
        let scope = below(scope);
        self.allowed
            .iter()
            .any(|(at, _)| scope.starts_with(at) || at.starts_with(&scope))
    }

    /// Returns the permissions that hold at a scope, as the permissions API shows them.
    pub(super) fn permissions(&self, scope: &str) -> Vec<Value> {
        self.at(scope).map(Rights::to_json).collect()
    }
}

/// Refuses what the caller may not do, in the service's words.
pub(super) fn authorize(
    grants: &Grants,
    claims: &Claims,
    action: &str,
    scope: &str,
) -> Result<(), Reply> {
    if grants.allow(action, scope) {
        return Ok(());
    }
    if let Some(denial) = grants.denied.forbids(action, scope, false) {
        return Err(denials::refused(claims, action, scope, denial));
    }
    let message = format!(
        "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        claims.appid, claims.oid
    );
    Err(arm_error(403, "AuthorizationFailed", &message))
}

/// Refuses a write that needs a right on another resource, which the caller lacks.
pub(super) fn linked(
    grants: &Grants,
    claims: &Claims,
    (action, scope): (&str, &str),
    (needed, on): (&str, &str),
) -> Result<(), Reply> {
    if grants.allow(needed, on) {
        return Ok(());
    }
    let message = format!(
        "The client '{}' with object id '{}' has permission to perform action '{action}' on scope '{scope}'; however, it does not have permission to perform action(s) '{needed}' on the linked scope(s) '{on}' (respectively) or the linked scope(s) are invalid.",
        claims.appid, claims.oid
    );
    Err(arm_error(403, "LinkedAuthorizationFailed", &message))
}

/// Refuses what a lock at or above the resource forbids; `ReadOnly` also forbids actions, and a lock below a
/// group forbids deleting the group (arm.md section 6.7).
pub(super) fn unlocked(store: &Store, ask: &Ask, id: &str, kind: &str) -> Result<(), Reply> {
    // Whoever may manage locks may remove the one that is in the way.
    if matches!(ask.method.as_str(), "GET" | "HEAD") || kind.eq_ignore_ascii_case(LOCK) {
        return Ok(());
    }
    let deleting = ask.method == "DELETE";
    let here = below(id);
    for lock in store.of_type("", LOCK) {
        let locked = scope_of(lock["id"].as_str().unwrap_or_default(), LOCK);
        let at = below(locked);
        let applies = here.starts_with(&at) || (deleting && at.starts_with(&here));
        let forbids = deleting || lock["properties"]["level"] == json!("ReadOnly");
        if applies && forbids {
            let what = if deleting { "delete" } else { "write" };
            let message = format!(
                "The scope '{id}' cannot perform {what} operation because following scope(s) are locked: '{locked}'. Please remove the lock and try again."
            );
            return Err(arm_error(409, "ScopeLocked", &message));
        }
    }
    Ok(())
}

/// Returns what an extension resource extends: of a lock or an assignment, its scope.
pub(super) fn scope_of<'a>(id: &'a str, kind: &str) -> &'a str {
    let mark = format!("/providers/{kind}/").to_ascii_lowercase();
    id.to_ascii_lowercase()
        .rfind(&mark)
        .map_or("", |at| &id[..at])
}

/// Returns a scope as a prefix of everything in it.
pub(super) fn below(scope: &str) -> String {
    format!("{}/", scope.to_ascii_lowercase().trim_end_matches('/'))
}

/// The type of role assignments.
pub(super) const ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
/// The type of locks.
pub(super) const LOCK: &str = "Microsoft.Authorization/locks";
