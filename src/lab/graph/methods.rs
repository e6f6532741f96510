//! Authentication methods of users: listed together, deleted by their own kind (sections 1.6 and 1.7).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, body, missing, route, users};
use crate::lab::reply::{Reply, graph_error};

/// What a method has; each kind has its own of them.
const METHOD: Shape = Shape {
    name: "users/authentication/methods",
    properties: &[
        "id",
        "createdDateTime",
        "displayName",
        "phoneNumber",
        "phoneType",
        "smsSignInState",
        "deviceTag",
        "phoneAppVersion",
        "aaGuid",
        "model",
        "attestationLevel",
        "attestationCertificates",
        "keyStrength",
        "emailAddress",
        "startDateTime",
        "lifetimeInMinutes",
        "isUsableOnce",
        "isUsable",
        "methodUsabilityReason",
        "password",
        "secretKey",
        "platform",
        "passkeyType",
        "configurationId",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const READ: &[&str] = &[
    "UserAuthenticationMethod.Read.All",
    "UserAuthenticationMethod.ReadWrite.All",
];
const ANY: &str = "UserAuthenticationMethod.ReadWrite.All";

/// Type, collection, audit activity of a deletion; by the table of section 1.6.
const KINDS: &[(&str, &str, &str)] = &[
    ("passwordAuthenticationMethod", "passwordMethods", ""),
    (
        "phoneAuthenticationMethod",
        "phoneMethods",
        "Admin deleted security info",
    ),
    (
        "microsoftAuthenticatorAuthenticationMethod",
        "microsoftAuthenticatorMethods",
        "Admin deleted security info",
    ),
    (
        "fido2AuthenticationMethod",
        "fido2Methods",
        "Delete FIDO2 security key(s)",
    ),
    (
        "softwareOathAuthenticationMethod",
        "softwareOathMethods",
        "Admin deleted security info",
    ),
    (
        "temporaryAccessPassAuthenticationMethod",
        "temporaryAccessPassMethods",
        "Admin deleted security info",
    ),
    (
        "windowsHelloForBusinessAuthenticationMethod",
        "windowsHelloForBusinessMethods",
        "Delete Windows Hello for Business credential",
    ),
    (
        "emailAuthenticationMethod",
        "emailMethods",
        "Admin deleted security info",
    ),
    (
        "platformCredentialAuthenticationMethod",
        "platformCredentialMethods",
        "Admin deleted security info",
    ),
    (
        "externalAuthenticationMethod",
        "externalAuthenticationMethods",
        "Admin deleted security info",
    ),
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "users/{}/authentication/methods", READ, list),
    route("GET", "users/{}/authentication/{}", READ, list_kind),
    route(
        "DELETE",
        "users/{}/authentication/phoneMethods/{}",
        &["UserAuthMethod-Phone.ReadWrite.All", ANY],
        delete_phone,
    ),
    route(
        "DELETE",
        "users/{}/authentication/microsoftAuthenticatorMethods/{}",
        &["UserAuthMethod-MicrosoftAuthApp.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/fido2Methods/{}",
        &["UserAuthMethod-Passkey.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/softwareOathMethods/{}",
        &["UserAuthMethod-SoftwareOATH.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/temporaryAccessPassMethods/{}",
        &["UserAuthMethod-TAP.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/windowsHelloForBusinessMethods/{}",
        &["UserAuthMethod-WindowsHello.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/emailMethods/{}",
        &["UserAuthMethod-Email.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/platformCredentialMethods/{}",
        &["UserAuthMethod-PlatformCred.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "DELETE",
        "users/{}/authentication/externalAuthenticationMethods/{}",
        &["UserAuthMethod-External.ReadWrite.All", ANY],
        delete,
    ),
    route(
        "POST",
        "users/{}/authentication/phoneMethods",
        &["UserAuthMethod-Phone.ReadWrite.All", ANY],
        add_phone,
    ),
    route(
        "POST",
        "users/{}/authentication/temporaryAccessPassMethods",
        &["UserAuthMethod-TAP.ReadWrite.All", ANY],
        issue_pass,
    ),
];

/// Returns the id under which a method is kept.
pub(super) fn key(user: &str, method: &str) -> String {
    format!("{user}/{method}")
}

fn of_user(value: &Value, user: &str) -> bool {
    value["__user"]
        .as_str()
        .is_some_and(|of| of.eq_ignore_ascii_case(user))
}

fn list(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    answer(visit, held[0], |_| true)
}

fn list_kind(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some((kind, ..)) = KINDS
        .iter()
        .find(|(_, collection, _)| collection.eq_ignore_ascii_case(held[1]))
    else {
        let message = format!("Resource not found for the segment '{}'.", held[1]);
        return graph_error(400, "BadRequest", &message);
    };
    let wanted = format!("#microsoft.graph.{kind}");
    answer(visit, held[0], move |method| {
        method["@odata.type"] == wanted.as_str()
    })
}

fn answer(visit: &Visit<'_>, user: &str, pass: impl Fn(&Value) -> bool) -> Reply {
    let Some(user) = users::find(visit, user) else {
        return missing(user);
    };
    let id = user["id"].as_str().unwrap_or_default();
    let methods = visit.listed("methods", |value| of_user(value, id) && pass(value));
    match query::read(visit, &METHOD) {
        Ok(query) => query.page(visit, &METHOD, methods),
        Err(refusal) => refusal,
    }
}

/// An alternate phone goes before the phone that it is an alternate of.
fn delete_phone(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let user = users::primary(visit, held[0]);
    let id = user
        .as_ref()
        .and_then(|user| user["id"].as_str())
        .unwrap_or_default();
    let is = |method: &Value, kind: &str| of_user(method, id) && method["phoneType"] == kind;
    let mobile = visit
        .current("methods", &key(id, held[1]))
        .is_some_and(|method| is(&method, "mobile"));
    let alternate = visit
        .store
        .directory
        .all_now("methods")
        .any(|method| is(method, "alternateMobile"));
    if mobile && alternate {
        return graph_error(
            400,
            "badRequest",
            "A mobile phone cannot be deleted while an alternate mobile phone is registered.",
        );
    }
    delete(visit, held)
}

fn delete(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let gone = || {
        graph_error(
            404,
            "resourceNotFound",
            "The authentication method was not found.",
        )
    };
    let Some(user) = users::primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    let place = key(&id, held[1]);
    let Some(method) = visit.current("methods", &place) else {
        return gone();
    };
    let kind = method["@odata.type"].as_str().unwrap_or_default();
    let collection = visit.ask.segments().get(4).copied().unwrap_or_default();
    let Some((_, _, activity)) = KINDS.iter().find(|(name, of, _)| {
        kind.ends_with(&format!(".{name}")) && of.eq_ignore_ascii_case(collection)
    }) else {
        return gone();
    };
    let others = visit
        .store
        .directory
        .all_now("methods")
        .filter(|other| of_user(other, &id) && other["id"] != method["id"])
        .any(|other| other["__second_factor"] == true);
    if method["__default"] == true && others {
        return graph_error(
            400,
            "badRequest",
            "The user's default authentication method cannot be deleted while other methods are registered.",
        );
    }
    visit.remove("methods", &place);
    let act = Act {
        activity,
        category: "UserManagement",
        kind: "User",
        target: &user,
        modified: &[(
            "AuthenticationMethod",
            json!([method["@odata.type"]]),
            json!([]),
        )],
    };
    audit::write(visit, &act);
    Reply::empty(204)
}

fn issue_pass(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = users::primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let members = match body::read(
        visit,
        &["startDateTime", "lifetimeInMinutes", "isUsableOnce"],
    ) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    let taken = visit.store.directory.all_now("methods").any(|method| {
        of_user(method, &id)
            && method["@odata.type"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("temporaryAccessPassAuthenticationMethod"))
    });
    if taken {
        return graph_error(
            400,
            "badRequest",
            "The user already has a temporary access pass.",
        );
    }
    let mut secret = [0_u8; 12];
    visit.tenant.random.fill(&mut secret);
    let method = visit.new_id();
    let kept = json!({
        "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
        "id": method,
        "createdDateTime": visit.time(),
        "startDateTime": members.get("startDateTime").cloned().unwrap_or_else(|| json!(visit.time())),
        "lifetimeInMinutes": members.get("lifetimeInMinutes").cloned().unwrap_or(json!(60)),
        "isUsableOnce": members.get("isUsableOnce").cloned().unwrap_or(json!(false)),
        "isUsable": true,
        "methodUsabilityReason": "EnabledByPolicy",
        "temporaryAccessPass": null,
        "__user": id,
    });
    let mut shown = super::directory::shown(&kept);
    shown["temporaryAccessPass"] = json!(hex::encode(secret));
    visit.put("methods", &key(&id, &method), kept);
    Reply::json(201, &shown)
}

/// Kinds of phone, and the id that a method of each has with every user (section 1.7).
const PHONES: [(&str, &str); 3] = [
    ("alternateMobile", "b6332ec1-7057-4abe-9331-3d72feddfe41"),
    ("mobile", "3179e48a-750b-4051-897c-87b9720928f7"),
    ("office", "e37fc753-ff3b-4958-9484-eaa9425c82bc"),
];

/// "Create phoneMethod": one of each kind, and an alternate one only beside a mobile one.
fn add_phone(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    let Some(user) = users::primary(visit, held[0]) else {
        return missing(held[0]);
    };
    let asked = body::read(visit, &["phoneNumber", "phoneType"]).and_then(|members| {
        Ok((
            body::text(&members, "phoneNumber")?,
            body::text(&members, "phoneType")?,
        ))
    });
    let (number, wanted) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let refuse = |message: &str| graph_error(400, "badRequest", message);
    let Some((kind, method)) = PHONES.iter().find(|(kind, _)| *kind == wanted) else {
        return refuse("The phone type is not valid.");
    };
    // As +{country code} {number}.
    let digits = number
        .strip_prefix('+')
        .and_then(|rest| rest.split_once(' '));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !digits.is_some_and(|(country, rest)| is_number(country) && is_number(rest)) {
        return refuse("The phone number is not valid.");
    }
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    if visit.current("methods", &key(&id, method)).is_some() {
        return refuse("A phone method of this type is already registered.");
    }
    let mobile = visit.current("methods", &key(&id, PHONES[1].1));
    if *kind == "alternateMobile" && mobile.is_none() {
        return refuse("An alternate mobile phone needs a mobile phone beside it.");
    }
    let kept = json!({
        "@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": method, "createdDateTime": visit.time(),
        "phoneNumber": number, "phoneType": kind, "smsSignInState": "notAllowedByPolicy",
        "__user": id, "__second_factor": true, "__default": false,
    });
    let shown = super::directory::shown(&kept);
    visit.put("methods", &key(&id, method), kept);
    let act = Act {
        activity: "Admin registered security info",
        category: "UserManagement",
        kind: "User",
        target: &user,
        modified: &[],
    };
    audit::write(visit, &act);
    Reply::json(201, &shown)
}
