//! Secrets and certificates of applications and service principals, and who may sign in with them (sections 1.15 to
//! 1.17, 5.1).

use base64::Engine as _;
use serde_json::{Value, json};

use super::audit::{self, Act};
use super::{Visit, bad, body, missing};
use crate::digest::Digest;
use crate::lab::reply::Reply;
use crate::lab::store::Store;

/// Answers `addPassword`: the secret is in this answer and nowhere else.
pub(super) fn add_password(
    visit: &mut Visit<'_>,
    kind: &str,
    object: Option<Value>,
    id: &str,
) -> Reply {
    let Some(mut object) = object else {
        return missing(id);
    };
    let members = match body::read(visit, &["passwordCredential"]) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let wanted = members
        .get("passwordCredential")
        .cloned()
        .unwrap_or(json!({}));
    let known = [
        "displayName",
        "startDateTime",
        "endDateTime",
        "customKeyIdentifier",
    ];
    if let Some(wanted) = wanted.as_object()
        && let Err(refusal) = body::check(wanted, &known)
    {
        return refusal;
    }
    let mut bytes = [0_u8; 30];
    visit.tenant.random.fill(&mut bytes);
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let two_years = visit.now + chrono::Duration::days(730);
    let kept = json!({
        "customKeyIdentifier": wanted.get("customKeyIdentifier").cloned().unwrap_or_default(),
        "displayName": wanted.get("displayName").cloned().unwrap_or_default(),
        "endDateTime": wanted.get("endDateTime").cloned().unwrap_or_else(|| json!(crate::clock::seconds(two_years))),
        "hint": secret.get(..3),
        "keyId": visit.new_id(),
        "secretText": null,
        "startDateTime": wanted.get("startDateTime").cloned().unwrap_or_else(|| json!(visit.time())),
        "__sha256": Digest::of(secret.as_bytes()).to_string(),
    });
    let mut shown = super::directory::shown(&kept);
    shown["secretText"] = json!(secret);
    shown["@odata.context"] = json!(visit.context("microsoft.graph.passwordCredential"));
    push(&mut object, "passwordCredentials", kept);
    save(visit, kind, object, "Add");
    Reply::json(200, &shown)
}

/// Answers `removePassword`.
pub(super) fn remove_password(
    visit: &mut Visit<'_>,
    kind: &str,
    object: Option<Value>,
    id: &str,
) -> Reply {
    let Some(mut object) = object else {
        return missing(id);
    };
    let key = match body::read(visit, &["keyId"]).and_then(|members| body::text(&members, "keyId"))
    {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let Some(all) = object["passwordCredentials"].as_array_mut() else {
        return bad("No credentials found to be removed.");
    };
    let before = all.len();
    all.retain(|one| {
        !one["keyId"]
            .as_str()
            .is_some_and(|known| known.eq_ignore_ascii_case(&key))
    });
    if all.len() == before {
        return bad(&format!("No password credential found with keyId '{key}'."));
    }
    save(visit, kind, object, "Remove");
    Reply::empty(204)
}

/// Replaces the whole list of certificates: entries that are sent as they were read keep their keys.
pub(super) fn replace_keys(object: &mut Value, wanted: &Value) -> Result<(), Reply> {
    let Some(wanted) = wanted.as_array() else {
        return Err(bad(
            "Invalid value specified for property 'keyCredentials'.",
        ));
    };
    let old = object["keyCredentials"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut kept = Vec::new();
    for one in wanted {
        let known = old.iter().find(|known| known["keyId"] == one["keyId"]);
        match known {
            Some(known) => kept.push(known.clone()),
            None if one["key"].is_string() => kept.push(one.clone()),
            None => return Err(bad("New key credentials must have a key.")),
        }
    }
    object["keyCredentials"] = Value::Array(kept);
    Ok(())
}

fn push(object: &mut Value, list: &str, item: Value) {
    match object[list].as_array_mut() {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

fn save(visit: &mut Visit<'_>, kind: &str, object: Value, what: &str) {
    let (activity, type_name) = if kind == "applications" {
        (
            "Update application - Certificates and secrets management".to_owned(),
            "Application",
        )
    } else {
        (
            format!("{what} service principal credentials"),
            "ServicePrincipal",
        )
    };
    let ids: Vec<&Value> = object["passwordCredentials"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["keyId"])
        .collect();
    let act = Act {
        activity: &activity,
        category: "ApplicationManagement",
        kind: type_name,
        target: &object,
        modified: &[("KeyDescription", json!([]), json!(ids))],
    };
    audit::write(visit, &act);
    let id = object["id"].as_str().unwrap_or_default().to_owned();
    visit.put(kind, &id, object);
}

/// Why an application may not sign in.
#[derive(Debug, PartialEq)]
pub(in crate::lab) enum Refusal {
    /// There is none of this id in the tenant.
    Unknown,
    /// Its service principal or the application itself is disabled.
    Disabled,
    /// None of its secrets is this one.
    WrongSecret,
    /// The secret was right once.
    Expired,
}

/// Who signed in.
pub(in crate::lab) struct SignedIn {
    /// The service principal's object id.
    pub(in crate::lab) object_id: String,
    /// Its name.
    pub(in crate::lab) name: String,
    /// Its application permissions on Microsoft Graph.
    pub(in crate::lab) roles: Vec<String>,
    /// The directory roles it holds, by template id, and the one word that stands in every application's token.
    pub(in crate::lab) wids: Vec<String>,
    /// The credential's id.
    pub(in crate::lab) key_id: String,
}

/// Lets an application sign in with a secret, or says why not.
pub(in crate::lab) fn sign_in(
    store: &Store,
    app: &str,
    secret: &str,
    now: &str,
) -> Result<SignedIn, Refusal> {
    let directory = &store.directory;
    let of_app = |value: &&Value| {
        value["appId"]
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(app))
    };
    let principal = directory
        .all_now("servicePrincipals")
        .find(of_app)
        .ok_or(Refusal::Unknown)?;
    let application = directory.all_now("applications").find(of_app);
    let disabled = principal["accountEnabled"] == false
        || application.is_some_and(|application| application["isDisabled"] == true);
    let digest = Digest::of(secret.as_bytes()).to_string();
    let credential = [Some(principal), application]
        .into_iter()
        .flatten()
        .flat_map(|object| {
            object["passwordCredentials"]
                .as_array()
                .into_iter()
                .flatten()
        })
        .find(|one| one["__sha256"] == digest.as_str())
        .ok_or(Refusal::WrongSecret)?;
    if credential["endDateTime"]
        .as_str()
        .is_some_and(|end| end < now)
    {
        return Err(Refusal::Expired);
    }
    if disabled {
        return Err(Refusal::Disabled);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = text(&principal["id"]);
    Ok(SignedIn {
        roles: permissions(store, &id),
        wids: held_roles(store, &id),
        object_id: id,
        name: text(&principal["displayName"]),
        key_id: text(&credential["keyId"]),
    })
}

/// Returns what `wids` of an application's token names: the roles it was given over the whole directory, and a template
/// that is no role (seen in tokens that people have shown; no document says so).
fn held_roles(store: &Store, principal: &str) -> Vec<String> {
    let assigned = store.directory.all_now("roleAssignments");
    let held = assigned
        .filter(|value| value["principalId"] == principal && value["directoryScopeId"] == "/")
        .filter_map(|value| value["roleDefinitionId"].as_str().map(str::to_owned));
    std::iter::once("0997a1d0-0d1d-4acb-b408-d5ca73121e90".to_owned())
        .chain(held)
        .collect()
}

/// Returns the application permissions on Microsoft Graph that a service principal was granted.
fn permissions(store: &Store, principal: &str) -> Vec<String> {
    let directory = &store.directory;
    let Some(graph) = directory
        .all_now("servicePrincipals")
        .find(|value| value["appId"] == super::principals::GRAPH)
    else {
        return Vec::new();
    };
    let name = |role: &Value| {
        let all = graph["appRoles"].as_array()?;
        let found = all.iter().find(|known| known["id"] == *role)?;
        found["value"].as_str().map(str::to_owned)
    };
    directory
        .all_now("appRoleAssignments")
        .filter(|value| value["principalId"] == principal && value["resourceId"] == graph["id"])
        .filter_map(|value| name(&value["appRoleId"]))
        .collect()
}
