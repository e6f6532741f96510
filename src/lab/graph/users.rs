//! Users: read, disable, password, sessions, and what is theirs (graph-and-data-planes.md sections 1.1 to 1.4, 1.11).

use serde_json::{Map, Value, json};

use super::audit::{self, Act};
use super::privileged::{self, Sensitive};
use super::query::{self, Shape};
use super::{Route, Visit, bad, body, denied, groups, missing, route};
use crate::digest::Digest;
use crate::lab::reply::Reply;

/// What a user has.
pub(super) const USER: Shape = Shape {
    name: "users",
    properties: &[
        "id",
        "accountEnabled",
        "assignedLicenses",
        "assignedPlans",
        "businessPhones",
        "city",
        "companyName",
        "country",
        "createdDateTime",
        "creationType",
        "deletedDateTime",
        "department",
        "displayName",
        "employeeId",
        "externalUserState",
        "externalUserStateChangeDateTime",
        "givenName",
        "identities",
        "isResourceAccount",
        "jobTitle",
        "lastPasswordChangeDateTime",
        "mail",
        "mailNickname",
        "mobilePhone",
        "officeLocation",
        "onPremisesDistinguishedName",
        "onPremisesDomainName",
        "onPremisesImmutableId",
        "onPremisesLastSyncDateTime",
        "onPremisesSamAccountName",
        "onPremisesSecurityIdentifier",
        "onPremisesSyncEnabled",
        "onPremisesUserPrincipalName",
        "otherMails",
        "passwordPolicies",
        "passwordProfile",
        "preferredLanguage",
        "proxyAddresses",
        "refreshTokensValidFromDateTime",
        "securityIdentifier",
        "signInActivity",
        "signInSessionsValidFromDateTime",
        "state",
        "surname",
        "usageLocation",
        "userPrincipalName",
        "userType",
    ],
    usual: &[
        "id",
        "businessPhones",
        "displayName",
        "givenName",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ],
    expands: &["manager", "memberOf"],
    pages: (999, 100),
    directory: true,
};

const READ: &[&str] = &[
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const CHANGE: &[&str] = &[
    "User.EnableDisableAccount.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const REVOKE: &[&str] = &[
    "User.RevokeSessions.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "users", READ, list),
    route("GET", "users/{}", READ, get),
    route("PATCH", "users/{}", CHANGE, patch),
    route(
        "DELETE",
        "users/{}",
        &[
            "User.DeleteRestore.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ],
        delete,
    ),
    route("POST", "users/{}/revokeSignInSessions", REVOKE, revoke),
    route("GET", "users/{}/memberOf", READ, groups::member_of),
    route(
        "GET",
        "users/{}/transitiveMemberOf",
        READ,
        groups::transitive_member_of,
    ),
    route(
        "GET",
        "users/{}/transitiveMemberOf/microsoft.graph.group",
        READ,
        groups::transitive_groups,
    ),
    route(
        "POST",
        "users/{}/getMemberObjects",
        READ,
        groups::member_objects,
    ),
    route("GET", "users/{}/ownedObjects", READ, owned),
];

/// Finds a user by id or principal name, as this read sees it.
pub(super) fn find(visit: &Visit<'_>, key: &str) -> Option<Value> {
    if let Some(user) = visit.seen("users", key) {
        return Some(user.clone());
    }
    let directory = &visit.store.directory;
    let named = |user: &&Value| {
        user["userPrincipalName"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(key))
    };
    let id = directory.all_now("users").find(named)?["id"].as_str()?;
    directory.seen("users", id, visit.now_us).cloned()
}

/// Finds a user as the primary knows it, for a write.
pub(super) fn primary(visit: &Visit<'_>, key: &str) -> Option<Value> {
    let found = find(visit, key)?;
    visit.current("users", found["id"].as_str()?)
}

fn list(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &USER) {
        Ok(query) => {
            let users = visit.listed("users", |_| true);
            query.page(visit, &USER, users)
        }
        Err(refusal) => refusal,
    }
}

fn get(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let query = match query::read_one(visit, &USER) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    match find(visit, held[0]) {
        Some(user) => query::one(visit, &USER, &query, &user),
        None => missing(held[0]),
    }
}

fn patch(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut user) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let known = [
        "accountEnabled",
        "passwordProfile",
        "passwordPolicies",
        "otherMails",
        "mobilePhone",
        "businessPhones",
        "displayName",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    if members.is_empty() {
        return bad("Update request must contain at least one property.");
    }
    for (name, value) in &members {
        let changed = match name.as_str() {
            "accountEnabled" => enable(visit, &mut user, value),
            "passwordProfile" => password(visit, &mut user, value),
            _ => other(visit, &mut user, name, value),
        };
        if let Err(refusal) = changed {
            return refusal;
        }
    }
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    visit.put("users", &id, user);
    Reply::empty(204)
}

fn may(visit: &Visit<'_>, any: &[&str]) -> bool {
    any.iter()
        .any(|one| visit.claims.roles.iter().any(|role| role == one))
}

fn enable(visit: &mut Visit<'_>, user: &mut Value, value: &Value) -> Result<(), Reply> {
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    let permitted = may(
        visit,
        &[
            "User.EnableDisableAccount.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ],
    );
    if !permitted || !privileged::may(visit, &id, Sensitive::Account) {
        return Err(denied());
    }
    let Some(enabled) = value.as_bool() else {
        return Err(bad(
            "Invalid value specified for property 'accountEnabled' of resource 'User'.",
        ));
    };
    let old = user["accountEnabled"].clone();
    user["accountEnabled"] = json!(enabled);
    let activity = if enabled {
        "Enable account"
    } else {
        "Disable account"
    };
    act(
        visit,
        user,
        activity,
        &[("AccountEnabled", json!([old]), json!([enabled]))],
    );
    Ok(())
}

fn password(visit: &mut Visit<'_>, user: &mut Value, value: &Value) -> Result<(), Reply> {
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    let permitted = may(
        visit,
        &[
            "User-PasswordProfile.ReadWrite.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ],
    );
    if !permitted || !privileged::may(visit, &id, Sensitive::Password) {
        return Err(denied());
    }
    let empty = Map::new();
    let profile = value.as_object().unwrap_or(&empty);
    body::check(
        profile,
        &[
            "forceChangePasswordNextSignIn",
            "forceChangePasswordNextSignInWithMfa",
            "password",
        ],
    )?;
    if user["userType"] == "Guest" {
        return Err(bad(
            "The password of an external user is its home tenant's.",
        ));
    }
    if user["onPremisesSyncEnabled"] == true {
        return Err(bad(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
        ));
    }
    if let Some(password) = profile.get("password") {
        let text = password.as_str().unwrap_or_default();
        if !complex(text) {
            return Err(bad(TOO_SIMPLE));
        }
        user["__password_sha256"] = json!(Digest::of(text.as_bytes()).to_string());
        user["lastPasswordChangeDateTime"] = json!(visit.time());
        // Setting a password ends what was signed in with the old one.
        user["signInSessionsValidFromDateTime"] = json!(visit.time());
    }
    user["passwordProfile"] = json!({
        "password": null,
        "forceChangePasswordNextSignIn": profile.get("forceChangePasswordNextSignIn").cloned().unwrap_or(json!(true)),
        "forceChangePasswordNextSignInWithMfa": profile.get("forceChangePasswordNextSignInWithMfa").cloned().unwrap_or(json!(false)),
    });
    act(visit, user, "Reset user password", &[]);
    Ok(())
}

/// What a password is told that is too simple.
pub(super) const TOO_SIMPLE: &str = "The specified password does not comply with password complexity requirements. Please provide a different password.";

/// Eight characters at least, of three of the four kinds.
pub(super) fn complex(password: &str) -> bool {
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| c.is_ascii_punctuation(),
    ];
    let used = kinds.iter().filter(|kind| password.chars().any(**kind));
    (8..=256).contains(&password.chars().count()) && used.count() >= 3
}

fn other(visit: &mut Visit<'_>, user: &mut Value, name: &str, value: &Value) -> Result<(), Reply> {
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    let sensitive = matches!(name, "otherMails" | "mobilePhone" | "businessPhones");
    if !may(visit, &["User.ReadWrite.All", "Directory.ReadWrite.All"])
        || (sensitive && !privileged::may(visit, &id, Sensitive::Account))
    {
        return Err(denied());
    }
    let old = user[name].clone();
    user[name] = value.clone();
    act(
        visit,
        user,
        "Update user",
        &[(name, json!([old]), json!([value]))],
    );
    Ok(())
}

fn act(visit: &mut Visit<'_>, user: &Value, activity: &str, modified: &[(&str, Value, Value)]) {
    let act = Act {
        activity,
        category: "UserManagement",
        kind: "User",
        target: user,
        modified,
    };
    audit::write(visit, &act);
}

fn revoke(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(mut user) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    if let Err(refusal) = body::none(visit) {
        return refusal;
    }
    if user["userType"] == "Guest" {
        return bad("Sessions of an external user are its home tenant's to revoke.");
    }
    let old = user["signInSessionsValidFromDateTime"].clone();
    user["signInSessionsValidFromDateTime"] = json!(visit.time());
    user["refreshTokensValidFromDateTime"] = user["signInSessionsValidFromDateTime"].clone();
    let new = user["signInSessionsValidFromDateTime"].clone();
    act(
        visit,
        &user,
        "Update StsRefreshTokenValidFrom Timestamp",
        &[("StsRefreshTokensValidFrom", json!([old]), json!([new]))],
    );
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    // Some tenants answer without a body; which, follows from the user, so that both are met.
    let silent = Digest::of(id.as_bytes()).0[0].is_multiple_of(4);
    visit.put("users", &id, user);
    if silent {
        return Reply::empty(204);
    }
    let context = visit.context("Edm.Boolean");
    Reply::json(200, &json!({"@odata.context": context, "value": true}))
}

fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    if !privileged::may(visit, &id, Sensitive::Account) {
        return denied();
    }
    discard(visit, "users", &user);
    act(visit, &user, "Delete user", &[]);
    Reply::empty(204)
}

/// Moves an object to the recycle bin.
pub(super) fn discard(visit: &mut Visit<'_>, kind: &str, object: &Value) {
    let id = object["id"].as_str().unwrap_or_default().to_owned();
    visit.remove(kind, &id);
    let mut deleted = object.clone();
    deleted["deletedDateTime"] = json!(visit.time());
    deleted["__kind"] = json!(kind);
    visit.put("deletedItems", &id, deleted);
}

fn owned(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = find(visit, held[0]) else {
        return missing(held[0]);
    };
    let id = user["id"].as_str().unwrap_or_default();
    let links = visit.listed("owners", |link| link["owner"] == id);
    let objects: Vec<Value> = links
        .iter()
        .filter_map(|link| groups::object(visit, link["object"].as_str()?))
        .collect();
    match query::read(visit, &groups::OBJECTS) {
        Ok(query) => query.page(visit, &groups::OBJECTS, objects),
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::complex;

    #[test]
    fn a_password_of_too_few_kinds_is_refused() {
        for good in ["Abcdefg1", "abcdefg1!", "ABCDEFG-1"] {
            assert!(complex(good), "{good}");
        }
        for weak in ["Abc1!", "abcdefgh1", "ABCDEFGH", ""] {
            assert!(!complex(weak), "{weak}");
        }
    }
}
