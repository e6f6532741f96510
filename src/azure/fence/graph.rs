//! Microsoft Graph: a write concerns objects that the drill made, and names no others.
//!
//! The directory has no subscription to stay in, so it goes by object. The first object of the path must be known, what
//! lies below it must be a part of it, and what the body points at must be known too. Things that hold for the whole
//! tenant, as policies and consents for everybody, are nobody's objects and are refused.

use serde_json::Value;
use url::Url;

use super::address::{continues, segments};
use super::guard::Fence;
use super::text::{cut, ids};
use crate::azure::request::RequestParts;

/// Collections in which a drill may make something (graph-and-data-planes.md sections 1.4, 1.10, 1.13, 1.14).
const MADE: [&[&str]; 8] = [
    &["applications"],
    &["groups"],
    &["oauth2permissiongrants"],
    &["rolemanagement", "directory", "roleassignments"],
    &[
        "rolemanagement",
        "directory",
        "roleassignmentschedulerequests",
    ],
    &[
        "rolemanagement",
        "directory",
        "roleeligibilityschedulerequests",
    ],
    &["serviceprincipals"],
    &["users"],
];

/// Collections whose objects are reached by their id, besides.
const REACHED: [&[&str]; 3] = [
    &["devices"],
    &["directory", "deleteditems"],
    &["directoryobjects"],
];

/// Actions on an object that concern it alone.
const ACTIONS: [&str; 6] = [
    "addkey",
    "addpassword",
    "removekey",
    "removepassword",
    "restore",
    "revokesigninsessions",
];

/// What lies below an object and is a part of it, with all that lies below that. A membership or an owner is no part:
/// without `$ref` at its end the very same path is the other object.
const PARTS: [&str; 4] = [
    "approleassignments",
    "authentication",
    "federatedidentitycredentials",
    "mailfolders",
];

/// References that an object holds, which are added and taken away by `$ref`.
const REFERENCES: [&str; 2] = ["members", "owners"];

/// Members that point at an object; each must be known, id or not.
const POINTERS: [&str; 5] = ["clientid", "objectid", "principalid", "userid", "userids"];

/// Members whose ids are of no object that the write could change: roles, permissions, credentials.
const FREE: [&str; 8] = [
    "approles",
    "approleid",
    "keyid",
    "oauth2permissionscopes",
    "requiredresourceaccess",
    "roledefinitionid",
    "skuid",
    "tenantid",
];

/// Refuses what concerns, or names, an object that is not of the drill.
pub(super) fn inside(fence: &Fence, parts: &RequestParts, url: &Url) -> Result<(), String> {
    let path = segments(url)?;
    let path = below_version(&path)?;
    let body = match &parts.body {
        Some(bytes) if !bytes.is_empty() => body(bytes)?,
        _ => Value::Null,
    };
    let root = concerned(fence, &parts.method, path, &body)?;
    let grants = root == ["oauth2permissiongrants"];
    if grants && parts.method == "POST" {
        // A consent for everybody has no principal.
        for pointer in ["clientId", "principalId"] {
            if body.get(pointer).and_then(Value::as_str).is_none() {
                return Err(format!(
                    "a consent without a {pointer} holds for the whole tenant"
                ));
            }
        }
    }
    pointed_at(fence, "", &body, grants)
}

/// Returns the segments below `v1.0` or `beta`.
pub(super) fn below_version(path: &[String]) -> Result<&[String], String> {
    match path.split_first() {
        Some((version, below)) if matches!(version.as_str(), "v1.0" | "beta") => Ok(below),
        _ => Err("it lies below no version of Graph".to_owned()),
    }
}

/// Returns the root collection of a path, and what follows it.
pub(super) fn root(path: &[String]) -> Option<(&'static [&'static str], &[String])> {
    let all = MADE.iter().chain(&REACHED);
    let root = all.copied().find(|root| continues(path, 0, root))?;
    Some((root, &path[root.len()..]))
}

/// Returns whether this is a collection in which a POST makes something.
pub(super) fn makes(path: &[String]) -> bool {
    MADE.iter()
        .any(|made| made.len() == path.len() && continues(path, 0, made))
}

/// A member that is written twice is kept once here, and the service may keep the other one.
fn body(bytes: &[u8]) -> Result<Value, String> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|_| "its body is no JSON".to_owned())?;
    let again = body.to_string().len();
    if crate::azure::reads::without_space(bytes) == again {
        Ok(body)
    } else {
        Err("its body can be read in two ways".to_owned())
    }
}

/// Refuses a path whose first object is not known, or that leads from it to another; returns the collection.
fn concerned(
    fence: &Fence,
    method: &str,
    path: &[String],
    body: &Value,
) -> Result<&'static [&'static str], String> {
    if method == "POST" && is_verdict(path) {
        // The objects stand in the body, where each is looked at.
        let named = body.get("userIds").and_then(Value::as_array);
        return match named {
            Some(named) if !named.is_empty() => Ok(&[]),
            _ => Err("it names nobody".to_owned()),
        };
    }
    let Some((root, rest)) = root(path) else {
        return Err("it is no object that a drill makes, but the tenant's".to_owned());
    };
    let Some((id, below)) = rest.split_first() else {
        return if method == "POST" && makes(path) {
            Ok(root)
        } else {
            Err("it concerns a whole collection".to_owned())
        };
    };
    if !fence.knows(id) {
        return Err(format!("object {} was not made by the drill", cut(id)));
    }
    let words: Vec<String> = below.iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let stays = match words[..] {
        [] => true,
        [action] if method == "POST" && ACTIONS.contains(&action) => true,
        [part, ..] if PARTS.contains(&part) => true,
        [held, "$ref"] => method == "POST" && REFERENCES.contains(&held),
        [held, _, "$ref"] => method == "DELETE" && REFERENCES.contains(&held),
        _ => false,
    };
    if stays {
        Ok(root)
    } else {
        Err(format!(
            "what {} leads to need not be the drill's",
            cut(&below.join("/"))
        ))
    }
}

/// Whether it tells Identity Protection what a person thinks of users.
fn is_verdict(path: &[String]) -> bool {
    let verdict = |word: &&str| continues(path, 0, &["identityprotection", "riskyusers", word]);
    path.len() == 3 && ["confirmcompromised", "dismiss"].iter().any(verdict)
}

/// Refuses a body that points at an object which is not known. `grants`: whose resource is an API, and no target.
fn pointed_at(fence: &Fence, member: &str, value: &Value, grants: bool) -> Result<(), String> {
    let member = member.to_ascii_lowercase();
    if FREE.contains(&member.as_str()) || (grants && member == "resourceid") {
        return Ok(());
    }
    match value {
        Value::String(text) => {
            if text.eq_ignore_ascii_case("AllPrincipals") {
                return Err("a consent for all holds for the whole tenant".to_owned());
            }
            if member == "@odata.id" || member.ends_with("@odata.bind") {
                let last = text.rsplit('/').next().unwrap_or_default();
                return known(fence, last);
            }
            if POINTERS.contains(&member.as_str()) {
                return known(fence, text);
            }
            ids(text).try_for_each(|id| known(fence, id))
        }
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| pointed_at(fence, &member, item, grants)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            ids(name).try_for_each(|id| known(fence, id))?;
            pointed_at(fence, name, value, grants)
        }),
        _ => Ok(()),
    }
}

fn known(fence: &Fence, id: &str) -> Result<(), String> {
    if fence.knows(id) {
        Ok(())
    } else {
        Err(format!(
            "its body names object {}, which was not made by the drill",
            cut(id)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::request::{Effect, Plane};

    const OWN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const APP: &str = "aaaaaaaa-0000-4000-8000-000000000002";
    const ALICE: &str = "bbbbbbbb-0000-4000-8000-000000000001";
    const GRAPH: &str = "cccccccc-0000-4000-8000-000000000001";

    fn refused(method: &str, path: &str, body: &str) -> Option<String> {
        let fence = Fence::new([]);
        fence.allow(OWN);
        fence.allow(&APP.to_uppercase());
        let body = (!body.is_empty()).then(|| bytes::Bytes::copy_from_slice(body.as_bytes()));
        let parts = RequestParts {
            plane: Plane::Graph,
            method: method.to_owned(),
            path_or_url: format!("/v1.0/{path}"),
            query: Vec::new(),
            api_version: None,
            headers: Vec::new(),
            body,
        };
        let base = Url::parse("https://graph.microsoft.com").unwrap();
        let url = parts.url(Some(&base)).unwrap();
        let checked = fence.check(&parts, &url, Effect::Update);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn what_the_drill_made_is_changed_and_what_it_needs_is_made() {
        let grant = format!(
            r#"{{"clientId":"{APP}","consentType":"Principal","principalId":"{OWN}","resourceId":"{GRAPH}","scope":"Mail.Read"}}"#
        );
        let role = format!(
            r#"{{"principalId":"{OWN}","roleDefinitionId":"{GRAPH}","directoryScopeId":"/"}}"#
        );
        let application = format!(
            r#"{{"displayName":"x","requiredResourceAccess":[{{"resourceAppId":"{GRAPH}","resourceAccess":[{{"id":"{ALICE}","type":"Scope"}}]}}]}}"#
        );
        let owner =
            format!(r#"{{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/{OWN}"}}"#);
        for (method, path, body) in [
            (
                "POST",
                "users".to_owned(),
                r#"{"userPrincipalName":"drill@contoso.com"}"#,
            ),
            ("POST", "applications".to_owned(), &application),
            (
                "POST",
                "servicePrincipals".to_owned(),
                &format!(r#"{{"appId":"{APP}"}}"#),
            ),
            ("POST", "oauth2PermissionGrants".to_owned(), &grant),
            (
                "POST",
                "roleManagement/directory/roleAssignments".to_owned(),
                &role,
            ),
            (
                "PATCH",
                format!("users/{}", OWN.to_uppercase()),
                r#"{"accountEnabled":false}"#,
            ),
            ("POST", format!("users/{OWN}/revokeSignInSessions"), ""),
            (
                "DELETE",
                format!("users/{OWN}/authentication/phoneMethods/{GRAPH}"),
                "",
            ),
            (
                "POST",
                format!("applications/{APP}/addPassword"),
                r#"{"passwordCredential":{"displayName":"x"}}"#,
            ),
            (
                "POST",
                format!("applications/{APP}/removePassword"),
                &format!(r#"{{"keyId":"{ALICE}"}}"#),
            ),
            (
                "DELETE",
                format!("applications/{APP}/federatedIdentityCredentials/{GRAPH}"),
                "",
            ),
            ("POST", format!("applications/{APP}/owners/$ref"), &owner),
            (
                "DELETE",
                format!("applications/{APP}/owners/{ALICE}/$ref"),
                "",
            ),
            ("DELETE", format!("users/{OWN}"), ""),
            ("DELETE", format!("directory/deletedItems/{OWN}"), ""),
            (
                "POST",
                "identityProtection/riskyUsers/confirmCompromised".to_owned(),
                &format!(r#"{{"userIds":["{OWN}"]}}"#),
            ),
        ] {
            assert_eq!(refused(method, &path, body), None, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_the_drills_is_refused_wherever_it_stands() {
        let pointing = |member: &str, id: &str| format!(r#"{{"{member}":"{id}"}}"#);
        let for_all = format!(
            r#"{{"clientId":"{APP}","consentType":"AllPrincipals","resourceId":"{GRAPH}","scope":"Mail.Read"}}"#
        );
        for (method, path, body) in [
            ("PATCH", format!("users/{ALICE}"), "{}".to_owned()),
            (
                "PATCH",
                "users/alice@contoso.com".to_owned(),
                "{}".to_owned(),
            ),
            ("PATCH", format!("users('{OWN}')"), "{}".to_owned()),
            ("PATCH", "me".to_owned(), "{}".to_owned()),
            ("DELETE", "users".to_owned(), String::new()),
            ("DELETE", format!("users/{OWN}/../{ALICE}"), String::new()),
            (
                "DELETE",
                format!("users/{OWN}%2f..%2f{ALICE}"),
                String::new(),
            ),
            (
                "DELETE",
                format!("groups/{OWN}/members/{ALICE}"),
                String::new(),
            ),
            (
                "DELETE",
                format!("groups/{ALICE}/members/{OWN}/$ref"),
                String::new(),
            ),
            ("PATCH", format!("users/{OWN}/manager"), "{}".to_owned()),
            (
                "DELETE",
                format!("users/{OWN}/ownedObjects/{ALICE}"),
                String::new(),
            ),
            ("POST", format!("users/{OWN}/sendMail"), "{}".to_owned()),
            (
                "DELETE",
                format!("oauth2PermissionGrants/{ALICE}"),
                String::new(),
            ),
            ("DELETE", format!("devices/{ALICE}"), String::new()),
            ("POST", "$batch".to_owned(), r#"{"requests":[]}"#.to_owned()),
            ("POST", "invitations".to_owned(), "{}".to_owned()),
            (
                "POST",
                "identity/conditionalAccess/policies".to_owned(),
                "{}".to_owned(),
            ),
            ("PATCH", "organization/x".to_owned(), "{}".to_owned()),
            ("POST", "oauth2PermissionGrants".to_owned(), for_all),
            (
                "POST",
                "oauth2PermissionGrants".to_owned(),
                pointing("clientId", APP),
            ),
            (
                "POST",
                "servicePrincipals".to_owned(),
                pointing("appId", GRAPH),
            ),
            (
                "POST",
                "roleManagement/directory/roleAssignments".to_owned(),
                pointing("principalId", ALICE),
            ),
            (
                "POST",
                "roleManagement/directory/roleAssignments".to_owned(),
                pointing("PrincipalId", "alice@contoso.com"),
            ),
            (
                "POST",
                format!("servicePrincipals/{APP}/appRoleAssignments"),
                pointing("resourceId", GRAPH),
            ),
            (
                "POST",
                format!("groups/{OWN}/members/$ref"),
                pointing(
                    "@odata.id",
                    &format!("https://graph.microsoft.com/v1.0/users/{ALICE}"),
                ),
            ),
            (
                "POST",
                format!("groups/{OWN}/members/$ref"),
                pointing(
                    "@odata.id",
                    "https://graph.microsoft.com/v1.0/users/alice@contoso.com",
                ),
            ),
            (
                "POST",
                "groups".to_owned(),
                format!(
                    r#"{{"members@odata.bind":["https://graph.microsoft.com/v1.0/users/{ALICE}"]}}"#
                ),
            ),
            (
                "PATCH",
                format!("users/{OWN}"),
                format!(r#"{{"note":"see {ALICE}"}}"#),
            ),
            (
                "POST",
                "identityProtection/riskyUsers/dismiss".to_owned(),
                r#"{"userIds":[]}"#.to_owned(),
            ),
            (
                "POST",
                "identityProtection/riskyUsers/dismiss".to_owned(),
                format!(r#"{{"userIds":["{OWN}","{ALICE}"]}}"#),
            ),
            (
                "POST",
                "identityProtection/riskyUsers/dismiss".to_owned(),
                format!(r#"{{"userIds":["{ALICE}"],"userIds":["{OWN}"]}}"#),
            ),
            (
                "PATCH",
                format!("users/{OWN}"),
                "accountEnabled=false".to_owned(),
            ),
        ] {
            // What walks out of its path is not even an address; see `request`.
            let said = refused(method, &path, &body);
            assert!(said.is_some(), "{method} {path} {body}");
        }
    }
}
