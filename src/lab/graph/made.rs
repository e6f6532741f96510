//! Users and groups that a request makes (graph-and-data-planes.md section 3.1; "Create user", "Create group").

use serde_json::{Map, Value, json};

use super::audit::{self, Act};
use super::{Route, Visit, bad, body, denied, methods, privileged, route, users};
use crate::digest::Digest;
use crate::lab::reply::Reply;

const USERS: &[&str] = &["User.ReadWrite.All", "Directory.ReadWrite.All"];
const GROUPS: &[&str] = &[
    "Group.Create",
    "Group.ReadWrite.All",
    "Directory.ReadWrite.All",
];
/// The id of everybody's password method (section 1.5).
const PASSWORD: &str = "28c10230-6103-485e-b985-444c60001490";
/// What making a group takes that may hold directory roles.
const ASSIGNABLE: &str = "RoleManagement.ReadWrite.Directory";

pub(super) const ROUTES: &[Route] = &[
    route("POST", "groups", GROUPS, group),
    route("POST", "users", USERS, user),
];

fn user(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let (Ok(reply) | Err(reply)) = make_user(visit);
    reply
}

fn make_user(visit: &mut Visit<'_>) -> Result<Reply, Reply> {
    let known = [
        "accountEnabled",
        "displayName",
        "mailNickname",
        "onPremisesImmutableId",
        "passwordProfile",
        "usageLocation",
        "userPrincipalName",
    ];
    let members = body::read(visit, &known)?;
    let upn = body::text(&members, "userPrincipalName")?;
    let name = body::text(&members, "displayName")?;
    let nickname = body::text(&members, "mailNickname")?;
    let Some(enabled) = members.get("accountEnabled").and_then(Value::as_bool) else {
        return Err(bad(
            "A value is required for property 'accountEnabled' of resource 'User'.",
        ));
    };
    let domain = upn.split_once('@').map_or("", |(_, domain)| domain);
    if visit.current("domains", &domain.to_lowercase()).is_none() {
        return Err(bad(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.",
        ));
    }
    if users::find(visit, &upn).is_some() {
        return Err(bad(
            "Another object with the same value for property userPrincipalName already exists.",
        ));
    }
    let password = first_password(&members)?;
    let id = visit.new_id();
    let now = visit.time();
    let user = json!({
        "id": id, "accountEnabled": enabled, "assignedLicenses": [], "businessPhones": [],
        "createdDateTime": now, "displayName": name, "externalUserState": null, "givenName": null,
        "jobTitle": null, "lastPasswordChangeDateTime": now, "mail": null, "mailNickname": nickname,
        "mobilePhone": null, "officeLocation": null, "onPremisesDistinguishedName": null,
        "onPremisesImmutableId": members.get("onPremisesImmutableId"), "onPremisesSyncEnabled": null,
        "otherMails": [], "passwordPolicies": null, "passwordProfile": password.0,
        "preferredLanguage": null, "proxyAddresses": [], "securityIdentifier": null,
        "signInSessionsValidFromDateTime": now, "refreshTokensValidFromDateTime": now, "surname": null,
        "usageLocation": members.get("usageLocation"), "userPrincipalName": upn, "userType": "Member",
        "__password_sha256": password.1,
    });
    note(visit, "Add user", "UserManagement", "User", &user);
    visit.put("users", &id, user.clone());
    visit.put("methods", &methods::key(&id, PASSWORD), json!({
        "@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": PASSWORD, "createdDateTime": now,
        "password": null, "__user": id, "__second_factor": false, "__default": false,
    }));
    Ok(created(visit, "users", &user))
}

/// Returns the profile as it is shown, and the SHA-256 of the password.
fn first_password(members: &Map<String, Value>) -> Result<(Value, String), Reply> {
    let empty = Map::new();
    let profile = members
        .get("passwordProfile")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    body::check(
        profile,
        &[
            "forceChangePasswordNextSignIn",
            "forceChangePasswordNextSignInWithMfa",
            "password",
        ],
    )?;
    let password = body::text(profile, "password")?;
    if !users::complex(&password) {
        return Err(bad(users::TOO_SIMPLE));
    }
    let flag = |name: &str, usual: bool| profile.get(name).cloned().unwrap_or(json!(usual));
    let shown = json!({
        "password": null,
        "forceChangePasswordNextSignIn": flag("forceChangePasswordNextSignIn", true),
        "forceChangePasswordNextSignInWithMfa": flag("forceChangePasswordNextSignInWithMfa", false),
    });
    Ok((shown, Digest::of(password.as_bytes()).to_string()))
}

fn group(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let (Ok(reply) | Err(reply)) = make_group(visit);
    reply
}

/// A display name may be another group's, too.
fn make_group(visit: &mut Visit<'_>) -> Result<Reply, Reply> {
    let known = [
        "description",
        "displayName",
        "groupTypes",
        "isAssignableToRole",
        "mailEnabled",
        "mailNickname",
        "securityEnabled",
    ];
    let members = body::read(visit, &known)?;
    let name = body::text(&members, "displayName")?;
    let nickname = body::text(&members, "mailNickname")?;
    let flag = |name: &str| members.get(name).and_then(Value::as_bool);
    let (Some(mail), Some(security)) = (flag("mailEnabled"), flag("securityEnabled")) else {
        return Err(bad(
            "A value is required for the properties 'mailEnabled' and 'securityEnabled' of resource 'Group'.",
        ));
    };
    let types = members.get("groupTypes").cloned().unwrap_or(json!([]));
    if mail || types != json!([]) || !security {
        return Err(crate::lab::reply::graph_error(
            501,
            "NotModelled",
            "The lab does not model groups but plain security groups.",
        ));
    }
    let assignable = flag("isAssignableToRole").unwrap_or(false);
    let holds = |role: &String| role == PRIVILEGED_ROLES || role == privileged::GLOBAL;
    if assignable
        && (!visit.claims.roles.iter().any(|role| role == ASSIGNABLE)
            || !privileged::roles_of(visit, &visit.claims.oid)
                .iter()
                .any(holds))
    {
        return Err(denied());
    }
    let id = visit.new_id();
    let group = json!({"id": id, "displayName": name, "createdDateTime": visit.time(), "description": members.get("description"), "groupTypes": [],
        "isAssignableToRole": if assignable { json!(true) } else { Value::Null }, "mail": null, "mailEnabled": false, "mailNickname": nickname, "securityEnabled": true});
    note(visit, "Add group", "GroupManagement", "Group", &group);
    visit.put("groups", &id, group.clone());
    Ok(created(visit, "groups", &group))
}

/// Privileged Role Administrator.
const PRIVILEGED_ROLES: &str = "e8611ab8-c189-46e8-94e1-60213ab1f814";

fn created(visit: &Visit<'_>, kind: &str, object: &Value) -> Reply {
    let mut shown = super::directory::shown(object);
    shown["@odata.context"] = json!(visit.context(&format!("{kind}/$entity")));
    let id = object["id"].as_str().unwrap_or_default();
    let place = format!("{}/v2/directoryObjects/{id}", visit.ask.origin);
    Reply::json(201, &shown).with("location", place)
}

fn note(visit: &mut Visit<'_>, activity: &str, category: &str, kind: &str, target: &Value) {
    let act = Act {
        activity,
        category,
        kind,
        target,
        modified: &[],
    };
    audit::write(visit, &act);
}
