//! Who may do what: role assignments, role definitions and locks, as the front door applies them.

use serde_json::{Value, json};

use super::entra::Claims;
use super::reply::{Ask, Reply, arm_error};
use super::store::Store;

/// Built-in roles: id, name, actions, not-actions, data actions (arm.md section 6.1).
pub(super) const ROLES: &[(&str, &str, &[&str], &[&str], &[&str])] = &[
    (
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        &["*"],
        &[],
        &[],
    ),
    (
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        &["*"],
        &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
        &[],
    ),
    (
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        &["*/read"],
        &[],
        &[],
    ),
    (
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        &["*/read", "Microsoft.Authorization/*"],
        &[],
        &[],
    ),
    (
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Network/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
        &[],
    ),
    (
        "4a9ae827-6dc8-4573-8ac7-8239d42aa03f",
        "Tag Contributor",
        &[
            "Microsoft.Resources/tags/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
        &[],
    ),
    (
        "7efff54f-a5b4-42b5-a1c5-5411624893ce",
        "Disk Snapshot Contributor",
        &[
            "Microsoft.Compute/snapshots/*",
            "Microsoft.Compute/disks/beginGetAccess/action",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
        &[],
    ),
    (
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
        &[],
        &["read", "write"],
    ),
    (
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
        &[],
        &["read"],
    ),
];

/// Returns the role ids that a principal has at or above a scope.
fn roles<'a>(
    store: &'a Store,
    principal: &'a str,
    scope: &'a str,
) -> impl Iterator<
    Item = &'static (
        &'static str,
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
    ),
> + 'a {
    let scope = format!("{}/", scope.to_ascii_lowercase());
    store
        .all()
        .filter(|(_, value)| value["type"] == json!("Microsoft.Authorization/roleAssignments"))
        .filter_map(move |(_, value)| {
            let properties = &value["properties"];
            let at = format!(
                "{}/",
                properties["scope"]
                    .as_str()?
                    .to_ascii_lowercase()
                    .trim_end_matches('/')
            );
            if properties["principalId"].as_str() != Some(principal) || !scope.starts_with(&at) {
                return None;
            }
            let id = properties["roleDefinitionId"]
                .as_str()?
                .rsplit('/')
                .next()?;
            ROLES.iter().find(|role| role.0.eq_ignore_ascii_case(id))
        })
}

/// Returns whether a caller may do an action at a scope.
pub(super) fn may(store: &Store, claims: &Claims, action: &str, scope: &str) -> bool {
    roles(store, &claims.oid, scope).any(|(_, _, actions, not, _)| {
        actions.iter().any(|pattern| matches(pattern, action))
            && !not.iter().any(|pattern| matches(pattern, action))
    })
}

/// Returns whether a caller may use blobs: the data roles are looked for anywhere.
pub(super) fn may_use_blobs(store: &Store, claims: &Claims, method: &str) -> bool {
    let wanted = if matches!(method, "GET" | "HEAD") {
        "read"
    } else {
        "write"
    };
    store
        .all()
        .filter(|(_, value)| {
            value["type"] == json!("Microsoft.Authorization/roleAssignments")
                && value["properties"]["principalId"] == json!(claims.oid)
        })
        .filter_map(|(_, value)| {
            value["properties"]["roleDefinitionId"]
                .as_str()?
                .rsplit('/')
                .next()
        })
        .filter_map(|id| ROLES.iter().find(|role| role.0 == id))
        .any(|role| role.4.contains(&wanted))
}

/// Refuses what the caller may not do, in the service's words.
pub(super) fn authorize(
    store: &Store,
    claims: &Claims,
    action: &str,
    scope: &str,
) -> Result<(), Reply> {
    if may(store, claims, action, scope) {
        return Ok(());
    }
    let message = format!(
        "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        claims.appid, claims.oid
    );
    Err(arm_error(403, "AuthorizationFailed", &message))
}

/// Refuses a write that needs a right on another resource, which the caller lacks.
pub(super) fn linked(
    store: &Store,
    claims: &Claims,
    action: &str,
    scope: &str,
    needed: &str,
    on: &str,
) -> Result<(), Reply> {
    if may(store, claims, needed, on) {
        return Ok(());
    }
    let message = format!(
        "The client '{}' with object id '{}' has permission to perform action '{action}' on scope '{scope}'; however, it does not have permission to perform action(s) '{needed}' on the linked scope(s) '{on}' (respectively) or the linked scope(s) are invalid.",
        claims.appid, claims.oid
    );
    Err(arm_error(403, "LinkedAuthorizationFailed", &message))
}

/// Refuses what a lock at or above the resource forbids; `ReadOnly` also forbids actions (arm.md section 6.7).
pub(super) fn unlocked(store: &Store, ask: &Ask, id: &str) -> Result<(), Reply> {
    if matches!(ask.method.as_str(), "GET" | "HEAD") {
        return Ok(());
    }
    let deleting = ask.method == "DELETE";
    let below = format!("{}/", id.to_ascii_lowercase());
    for (lock, value) in store
        .all()
        .filter(|(_, value)| value["type"] == json!("Microsoft.Authorization/locks"))
    {
        let scope = lock
            .split("/providers/microsoft.authorization/locks/")
            .next()
            .unwrap_or_default();
        let applies = below.starts_with(&format!("{scope}/"));
        let forbids = value["properties"]["level"] == json!("ReadOnly") || deleting;
        if applies && forbids {
            let what = if deleting { "delete" } else { "write" };
            let locked = value["id"]
                .as_str()
                .and_then(|id| id.split("/providers/Microsoft.Authorization/locks/").next())
                .unwrap_or(scope);
            let message = format!(
                "The scope '{id}' cannot perform {what} operation because following scope(s) are locked: '{locked}'. Please remove the lock and try again."
            );
            return Err(arm_error(409, "ScopeLocked", &message));
        }
    }
    Ok(())
}

fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    let parts: Vec<&str> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return pattern == action;
    }
    let Some(mut rest) = action.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Returns a role definition as ARM shows it.
pub(super) fn definition(
    subscription: &str,
    role: &(&str, &str, &[&str], &[&str], &[&str]),
) -> Value {
    json!({
        "id": format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", role.0),
        "name": role.0, "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {"roleName": role.1, "type": "BuiltInRole", "assignableScopes": ["/"], "permissions": [{"actions": role.2, "notActions": role.3, "dataActions": [], "notDataActions": []}]},
    })
}
