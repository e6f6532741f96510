//! Applications and service principals that a request makes (section 1.15; "Create application", "Create
//! servicePrincipal").

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::{Route, Visit, body, graph_error, route};
use crate::lab::reply::Reply;

const WRITE: &[&str] = &["Application.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    route("POST", "applications", WRITE, application),
    route("POST", "servicePrincipals", WRITE, principal),
];

fn application(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let (Ok(reply) | Err(reply)) = make_application(visit);
    reply
}

/// A display name may be another application's, too.
fn make_application(visit: &mut Visit<'_>) -> Result<Reply, Reply> {
    let known = [
        "description",
        "displayName",
        "identifierUris",
        "notes",
        "publicClient",
        "requiredResourceAccess",
        "signInAudience",
        "spa",
        "tags",
        "web",
    ];
    let members = body::read(visit, &known)?;
    let name = body::text(&members, "displayName")?;
    let (id, app) = (visit.new_id(), visit.new_id());
    let mut application = json!({
        "id": id, "appId": app, "displayName": name, "createdDateTime": visit.time(), "isDisabled": null,
        "signInAudience": "AzureADandPersonalMicrosoftAccount", "passwordCredentials": [], "keyCredentials": [],
        "requiredResourceAccess": [], "tags": [],
    });
    for (name, value) in &members {
        if !name.starts_with('@') {
            application[name] = value.clone();
        }
    }
    note(visit, "Add application", "Application", &application);
    visit.put("applications", &id, application.clone());
    Ok(made(visit, "applications", &application))
}

fn principal(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let (Ok(reply) | Err(reply)) = make_principal(visit);
    reply
}

/// The one of an application of this tenant; those of others, which a consent brings in, are not modelled.
fn make_principal(visit: &mut Visit<'_>) -> Result<Reply, Reply> {
    let known = [
        "accountEnabled",
        "appId",
        "appRoleAssignmentRequired",
        "notes",
        "tags",
    ];
    let members = body::read(visit, &known)?;
    let app = body::text(&members, "appId")?;
    let same = |one: &&Value| {
        one["appId"]
            .as_str()
            .is_some_and(|own| own.eq_ignore_ascii_case(&app))
    };
    let directory = &visit.store.directory;
    if directory.all_now("servicePrincipals").any(|one| same(&one)) {
        let message = format!(
            "The service principal cannot be created, updated, or restored because the service principal name {app} is already in use."
        );
        return Err(graph_error(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            &message,
        ));
    }
    let Some(application) = directory.all_now("applications").find(same).cloned() else {
        let message = format!(
            "The appId '{app}' of the service principal does not reference a valid application object."
        );
        return Err(graph_error(400, "NoBackingApplicationObject", &message));
    };
    let id = visit.new_id();
    let mut principal = json!({
        "id": id, "appId": application["appId"], "servicePrincipalNames": [application["appId"]],
        "displayName": application["displayName"], "appDisplayName": application["displayName"],
        "servicePrincipalType": "Application", "accountEnabled": true, "appRoleAssignmentRequired": false,
        "appOwnerOrganizationId": visit.tenant.scenario.tenant, "appRoles": [], "oauth2PermissionScopes": [],
        "passwordCredentials": [], "keyCredentials": [], "replyUrls": [], "tags": [], "verifiedPublisher": null,
    });
    for (name, value) in &members {
        if !name.starts_with('@') && name != "appId" {
            principal[name] = value.clone();
        }
    }
    note(
        visit,
        "Add service principal",
        "ServicePrincipal",
        &principal,
    );
    visit.put("servicePrincipals", &id, principal.clone());
    Ok(made(visit, "servicePrincipals", &principal))
}

fn made(visit: &Visit<'_>, kind: &str, object: &Value) -> Reply {
    let mut shown = super::directory::shown(object);
    shown["@odata.context"] = json!(visit.context(&format!("{kind}/$entity")));
    let id = object["id"].as_str().unwrap_or_default();
    let place = format!("{}/v2/directoryObjects/{id}", visit.ask.origin);
    Reply::json(201, &shown).with("location", place)
}

fn note(visit: &mut Visit<'_>, activity: &str, kind: &str, target: &Value) {
    let act = Act {
        activity,
        category: "ApplicationManagement",
        kind,
        target,
        modified: &[],
    };
    audit::write(visit, &act);
}
