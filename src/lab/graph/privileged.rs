//! Who may act on whom: the table of sensitive actions (graph-and-data-planes.md section 0.1).
//!
//! An application must itself hold the directory role: its permission alone does not reach an administrator.

use serde_json::Value;

use super::Visit;

/// Global Administrator.
pub(super) const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";
/// Privileged Authentication Administrator.
const PRIVILEGED_AUTHENTICATION: &str = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13";
/// Authentication Administrator.
const AUTHENTICATION: &str = "c4e39bd9-1100-46d3-8c65-fb160da0071f";
/// User Administrator.
const USER: &str = "fe930be7-5e62-47db-91af-98c3a49a38b1";
/// Helpdesk Administrator.
const HELPDESK: &str = "729827e3-9c14-49f7-bb1b-9608f156bbb8";
/// Password Administrator.
const PASSWORD: &str = "966707d0-3269-4727-9be2-8c3a10f19b9d";
/// Directory Readers.
const READERS: &str = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b";
/// Guest Inviter.
const INVITER: &str = "95e79109-95c0-4d8e-aee3-d01accf2d47b";
/// Groups Administrator.
const GROUPS: &str = "fdd7a751-b60b-444a-984c-02652fe8fa1c";
/// Reports Reader.
const REPORTS: &str = "4a5d8f65-41da-4de4-8968-e035b65339cf";

/// What is to be done to a user.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sensitive {
    Password,
    Account,
}

/// Returns the roles of which a caller needs one, for a target that holds `role`.
fn needed(role: &str, what: Sensitive) -> &'static [&'static str] {
    let password = what == Sensitive::Password;
    match role {
        READERS | INVITER | PASSWORD if password => &[
            PASSWORD,
            HELPDESK,
            AUTHENTICATION,
            USER,
            PRIVILEGED_AUTHENTICATION,
            GLOBAL,
        ],
        READERS | INVITER | PASSWORD => &[AUTHENTICATION, USER, PRIVILEGED_AUTHENTICATION, GLOBAL],
        HELPDESK if password => &[HELPDESK, USER, PRIVILEGED_AUTHENTICATION, GLOBAL],
        HELPDESK | USER | GROUPS => &[USER, PRIVILEGED_AUTHENTICATION, GLOBAL],
        AUTHENTICATION => &[AUTHENTICATION, PRIVILEGED_AUTHENTICATION, GLOBAL],
        REPORTS if password => &[
            HELPDESK,
            AUTHENTICATION,
            USER,
            PRIVILEGED_AUTHENTICATION,
            GLOBAL,
        ],
        REPORTS => &[AUTHENTICATION, USER, PRIVILEGED_AUTHENTICATION, GLOBAL],
        _ => &[PRIVILEGED_AUTHENTICATION, GLOBAL],
    }
}

/// Returns whether the caller may do this to a user.
pub(super) fn may(visit: &Visit<'_>, user: &str, what: Sensitive) -> bool {
    let own = roles_of(visit, &visit.claims.oid);
    let held = roles_of(visit, user);
    let has = |any: &[&str]| own.iter().any(|role| any.contains(&role.as_str()));
    if held.is_empty() && !role_assignable(visit, user) {
        // Resetting a password takes a role even where the target has none; disabling only the permission.
        return what == Sensitive::Account || has(needed(READERS, what));
    }
    let group = role_assignable(visit, user).then(|| needed(GLOBAL, what));
    held.iter()
        .map(|role| needed(role, what))
        .chain(group)
        .all(has)
}

/// Returns the ids of the roles that a principal holds, directly and through its groups.
pub(super) fn roles_of(visit: &Visit<'_>, principal: &str) -> Vec<String> {
    let directory = &visit.store.directory;
    let groups = directory.groups_of(principal);
    let holds = |value: &&Value| {
        let holder = value["principalId"].as_str().unwrap_or_default();
        holder.eq_ignore_ascii_case(principal)
            || groups
                .iter()
                .any(|group| group.eq_ignore_ascii_case(holder))
    };
    let mut roles: Vec<String> = directory
        .all_now("roleAssignments")
        .filter(holds)
        .filter_map(|value| value["roleDefinitionId"].as_str().map(str::to_owned))
        .collect();
    roles.sort();
    roles.dedup();
    roles
}

fn role_assignable(visit: &Visit<'_>, principal: &str) -> bool {
    let assignable = |group: &String| {
        visit
            .store
            .directory
            .now("groups", group)
            .is_some_and(|group| group["isAssignableToRole"] == true)
    };
    visit
        .store
        .directory
        .groups_of(principal)
        .iter()
        .any(assignable)
}
