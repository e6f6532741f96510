//! Users and groups that are made in the lab's directory, and directory roles in their older form.

use serde_json::{Value, json};

use crate::az_kit;
use crate::lab_directory::Directory;
use crate::lab_support::Bench;

const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";
/// Security Reader, which nobody holds.
const SECURITY_READER: &str = "5d6b6bb7-de71-4623-b4af-96380a352509";
const ALICE: &str = "88888888-8888-4888-8888-888888888801";

fn user(upn: &str, password: &str) -> Value {
    json!({"accountEnabled": true, "displayName": "New", "mailNickname": "new", "userPrincipalName": upn, "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": false}})
}

#[test]
fn a_user_is_made_once_in_a_domain_of_the_tenant_with_a_password_that_nobody_is_shown() {
    let bench = Bench::with(az_kit::scenario(), |_| {});
    let graph = Directory::of(&bench);
    let make = |body: &Value| graph.call("POST", "users", body);
    let made = make(&user("new@contoso.com", "Abcdefgh-1234"));
    assert_eq!(made.status, 201);
    assert_eq!(made.body["passwordProfile"]["password"], Value::Null);
    assert!(!made.text.contains("__"));
    let shown = graph.get("users/new@contoso.com?$select=id,accountEnabled");
    assert_eq!(
        (&shown.body["id"], &shown.body["accountEnabled"]),
        (&made.body["id"], &json!(true))
    );
    for (wrong, why) in [
        (user("NEW@contoso.com", "Abcdefgh-1234"), "already exists"),
        (user("new@elsewhere.example", "Abcdefgh-1234"), "domain"),
        (user("other@contoso.com", "abc"), "complexity"),
        (
            json!({"displayName": "x", "userPrincipalName": "y@contoso.com", "mailNickname": "y"}),
            "accountEnabled",
        ),
        (json!({"nickname": "x"}), "nickname"),
    ] {
        let refused = make(&wrong);
        assert_eq!(refused.error(), (400, "Request_BadRequest"));
        assert!(refused.text.contains(why), "{why}: {}", refused.text);
    }
}

#[test]
fn a_group_is_made_as_often_as_it_is_asked_for() {
    let bench = Bench::with(az_kit::scenario(), |_| {});
    let graph = Directory::of(&bench);
    let plain = json!({"displayName": "Responders", "mailNickname": "r", "mailEnabled": false, "securityEnabled": true});
    let ids: Vec<Value> = (0..2)
        .map(|_| graph.call("POST", "groups", &plain).body["id"].clone())
        .collect();
    assert!(ids[0].is_string() && ids[0] != ids[1]);
    let mut assignable = plain.clone();
    assignable["isAssignableToRole"] = json!(true);
    let made = graph.call("POST", "groups", &assignable);
    assert_eq!(
        (made.status, &made.body["isAssignableToRole"]),
        (201, &json!(true))
    );
    let mut mail = plain.clone();
    mail["mailEnabled"] = json!(true);
    assert_eq!(
        graph.call("POST", "groups", &mail).error(),
        (501, "NotModelled")
    );
    let bare = json!({"displayName": "x", "mailNickname": "x"});
    assert_eq!(graph.call("POST", "groups", &bare).status, 400);
}

#[test]
fn who_may_only_read_makes_neither() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let refused = graph.call("POST", "users", &user("new@contoso.com", "Abcdefgh-1234"));
    assert_eq!(refused.error(), (403, "Authorization_RequestDenied"));
    let group = json!({"displayName": "x", "mailNickname": "x", "mailEnabled": false, "securityEnabled": true});
    assert_eq!(graph.call("POST", "groups", &group).status, 403);
}

#[test]
fn a_role_takes_members_once_it_is_activated() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let alice =
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{ALICE}")});
    let of = |role: &str| format!("directoryRoles(roleTemplateId='{role}')/members");
    let add = |role: &str| graph.call("POST", &format!("{}/$ref", of(role)), &alice);
    assert_eq!(add(GLOBAL).status, 204);
    assert_eq!(add(GLOBAL).error(), (400, "Request_BadRequest"));
    assert!(graph.get(&of(GLOBAL)).each("id").contains(&ALICE));
    let assigned = graph.get(&format!(
        "roleManagement/directory/roleAssignments?$filter=principalId eq '{ALICE}'"
    ));
    assert_eq!(assigned.each("roleDefinitionId"), [GLOBAL]);
    assert_eq!(add(SECURITY_READER).status, 404);
    let activate = || {
        graph.call(
            "POST",
            "directoryRoles",
            &json!({"roleTemplateId": SECURITY_READER}),
        )
    };
    let made = activate();
    assert_eq!(made.status, 201);
    assert_ne!(made.body["id"], SECURITY_READER);
    assert_eq!(activate().status, 400);
    assert_eq!(add(SECURITY_READER).status, 204);
    let id = made.body["id"].as_str().unwrap();
    let member = format!("directoryRoles/{id}/members/{ALICE}/$ref");
    assert_eq!(graph.call("DELETE", &member, &Value::Null).status, 204);
    assert_eq!(graph.call("DELETE", &member, &Value::Null).status, 404);
}

#[test]
fn an_application_is_registered_signs_in_and_goes_for_good() {
    let bench = Bench::with(az_kit::scenario(), |_| {});
    let graph = Directory::of(&bench);
    let made = graph.call("POST", "applications", &json!({"displayName": "Sync"}));
    assert_eq!(made.status, 201);
    let (id, app) = (
        made.body["id"].as_str().unwrap(),
        made.body["appId"].as_str().unwrap(),
    );
    let principal = graph.call("POST", "servicePrincipals", &json!({"appId": app}));
    assert_eq!(principal.status, 201, "{}", principal.text);
    let of_tenant = &principal.body["appOwnerOrganizationId"];
    assert_eq!(of_tenant, &json!(bench.lab.ready().tenant_id));
    let again = graph.call("POST", "servicePrincipals", &json!({"appId": app}));
    assert_eq!(
        again.error(),
        (409, "Request_MultipleObjectsWithSameKeyValue")
    );
    let unknown = json!({"appId": "0d0d0d0d-0000-4000-8000-000000000009"});
    assert_eq!(
        graph.call("POST", "servicePrincipals", &unknown).error(),
        (400, "NoBackingApplicationObject")
    );
    let consent = json!({"clientId": principal.body["id"], "consentType": "Principal", "principalId": ALICE, "resourceId": principal.body["id"], "scope": "Mail.Read"});
    let consent = graph.call("POST", "oauth2PermissionGrants", &consent);
    assert_eq!(consent.status, 201);
    let gone = graph.call("DELETE", &format!("applications/{id}"), &Value::Null);
    assert_eq!(gone.status, 204);
    let own = principal.body["id"].as_str().unwrap();
    for deleted in [id, own] {
        let place = format!("directory/deletedItems/{deleted}");
        assert_eq!(graph.get(&place).body["id"], deleted);
        assert_eq!(graph.call("DELETE", &place, &Value::Null).status, 204);
        assert_eq!(graph.call("DELETE", &place, &Value::Null).status, 404);
        assert_eq!(graph.get(&place).status, 404);
    }
    let grant = format!(
        "oauth2PermissionGrants/{}",
        consent.body["id"].as_str().unwrap()
    );
    assert_eq!(graph.get(&grant).status, 404, "it went with its client");
}

#[test]
fn a_user_has_one_phone_of_a_kind_and_takes_all_along_for_good() {
    let bench = Bench::with(az_kit::scenario(), |_| {});
    let graph = Directory::of(&bench);
    let made = graph.call("POST", "users", &user("new@contoso.com", "Abcdefgh-1234"));
    let id = made.body["id"].as_str().unwrap();
    let phones = format!("users/{id}/authentication/phoneMethods");
    let phone = |number: &str, kind: &str| {
        let body = json!({"phoneNumber": number, "phoneType": kind});
        graph.call("POST", &phones, &body)
    };
    assert_eq!(phone("+1 2065550100", "alternateMobile").status, 400);
    assert_eq!(phone("2065550100", "mobile").status, 400);
    let added = phone("+1 2065550100", "mobile");
    assert_eq!(
        (added.status, &added.body["id"]),
        (201, &json!("3179e48a-750b-4051-897c-87b9720928f7"))
    );
    assert_eq!(phone("+1 2065550101", "mobile").status, 400);
    assert_eq!(phone("+1 2065550101", "alternateMobile").status, 201);
    let methods = graph.get(&format!("users/{id}/authentication/methods"));
    assert_eq!(methods.each("id").len(), 3, "and a password");
    let group = json!({"displayName": "Drill", "mailNickname": "drill", "mailEnabled": false, "securityEnabled": true});
    let group = graph.call("POST", "groups", &group);
    let group = group.body["id"].as_str().unwrap();
    let member =
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}")});
    let members = format!("groups/{group}/members");
    assert_eq!(
        graph
            .call("POST", &format!("{members}/$ref"), &member)
            .status,
        204
    );
    // A deleted group has no members; one that comes back has.
    let gone = graph.call("DELETE", &format!("groups/{group}"), &Value::Null);
    assert_eq!(gone.status, 204);
    assert!(
        graph
            .get(&format!("users/{id}/memberOf"))
            .each("id")
            .is_empty()
    );
    let restore = format!("directory/deletedItems/{group}/restore");
    assert_eq!(graph.call("POST", &restore, &json!({})).status, 200);
    assert_eq!(graph.get(&members).each("id"), [id]);
    let before = bench.lab.state();
    for kind in ["users", "groups"] {
        let id = if kind == "users" { id } else { group };
        let gone = graph.call("DELETE", &format!("{kind}/{id}"), &Value::Null);
        assert_eq!(gone.status, 204);
        let place = format!("directory/deletedItems/{id}");
        assert_eq!(graph.call("DELETE", &place, &Value::Null).status, 204);
    }
    let left = bench.lab.state()["directory"].to_string();
    assert!(before["directory"]["methods"].to_string().contains(id));
    for kind in ["methods", "members", "users", "groups", "deletedItems"] {
        let kept = bench.lab.state()["directory"][kind].to_string();
        assert!(!kept.contains(id) && !kept.contains(group), "{kind}");
    }
    assert!(left.contains("Add user"), "the log remembers");
}
