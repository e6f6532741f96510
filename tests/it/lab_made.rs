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
