//! Where the lab's directory surprises whoever takes it at its word: answers that differ, lists replaced, requests that are open.

use azir::lab::scenario::Scenario;
use serde_json::{Value, json};

use crate::lab_directory::Directory;
use crate::lab_support::Bench;

const ALICE: &str = "88888888-8888-4888-8888-888888888801";
const BOB: &str = "88888888-8888-4888-8888-888888888809";
const DEVELOPERS: &str = "99999999-9999-4999-8999-999999999902";
const SHOP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
const SHOP_APP: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01";
const CERTIFICATE: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccc01";
const SECURITY_READER: &str = "5d6b6bb7-de71-4623-b4af-96380a352509";

#[test]
fn revoked_sessions_are_answered_with_a_body_or_without() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let revoke = |user: &str| graph.bare("POST", &format!("users/{user}/revokeSignInSessions"));
    let silent = revoke(ALICE);
    assert_eq!((silent.status, silent.text.as_str()), (204, ""));
    let said = revoke(BOB);
    assert_eq!((said.status, &said.body["value"]), (200, &json!(true)));
}

#[test]
fn a_member_is_added_once_and_its_link_alone_is_taken_away() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let of = format!("{}/v1.0/directoryObjects/{ALICE}", graph_root(&bench));
    let members = format!("groups/{DEVELOPERS}/members");
    let add = || {
        let body = json!({"@odata.id": of});
        graph.call("POST", &format!("{members}/$ref"), &body)
    };
    assert_eq!(add().status, 204);
    let again = add();
    assert_eq!(again.error(), (400, "Request_BadRequest"));
    assert!(again.text.contains("already exist"), "{}", again.text);
    let remove = || graph.bare("DELETE", &format!("{members}/{ALICE}/$ref"));
    assert_eq!((remove().status, remove().status), (204, 404));
    assert_eq!(graph.get(&format!("users/{ALICE}")).status, 200);
}

#[test]
fn a_member_that_is_deleted_without_its_link_is_deleted_as_a_user() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let path = format!("groups/{DEVELOPERS}/members/{BOB}");
    assert_eq!(graph.bare("DELETE", &path).status, 204);
    assert_eq!(graph.get(&format!("users/{BOB}")).status, 404);
    let state = bench.lab.state();
    assert!(state["directory"]["deletedItems"].get(BOB).is_some());
    let mut records = state["directory"]["directoryAudits"]
        .as_object()
        .unwrap()
        .values()
        .filter(|record| record["targetResources"][0]["id"] == BOB);
    assert!(
        records.any(|record| record["activityDisplayName"] == "Delete user"),
        "and the log says so"
    );
}

#[test]
fn certificates_are_replaced_as_a_list_in_which_known_ones_keep_their_keys() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let patch = |all: Value| {
        let body = json!({"keyCredentials": all});
        graph.call("PATCH", &format!("applications/{SHOP}"), &body)
    };
    let kept = || bench.lab.state()["directory"]["applications"][SHOP]["keyCredentials"].clone();
    let key = kept()[0]["key"].clone();
    assert!(key.is_string());
    assert_eq!(patch(json!([{"keyId": CERTIFICATE}])).status, 204);
    assert_eq!(
        (&kept()[0]["key"], kept().as_array().unwrap().len()),
        (&key, 1)
    );
    let new = json!({"keyId": "cccccccc-cccc-4ccc-8ccc-cccccccccc02", "type": "AsymmetricX509Cert", "usage": "Verify"});
    let bare = patch(json!([{"keyId": CERTIFICATE}, new]));
    assert_eq!(bare.error(), (400, "Request_BadRequest"));
    assert_eq!(kept().as_array().unwrap().len(), 1);
    assert_eq!(patch(json!([])).status, 204);
    assert_eq!(kept(), json!([]));
}

#[test]
fn a_secret_that_is_added_twice_is_two_secrets() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let scope = format!("{}/.default", graph_root(&bench));
    let added = [(); 2].map(|()| {
        let body = json!({"passwordCredential": {"displayName": "azir"}});
        graph.call("POST", &format!("applications/{SHOP}/addPassword"), &body)
    });
    assert_ne!(added[0].body["keyId"], added[1].body["keyId"]);
    for one in &added {
        let secret = one.body["secretText"].as_str().unwrap();
        assert_eq!(bench.sign_in_as(SHOP_APP, secret, &scope).status, 200);
    }
    let shown = graph.get(&format!("applications/{SHOP}"));
    let all = shown.body["passwordCredentials"].as_array().unwrap().len();
    assert_eq!(all, 4);
}

#[test]
fn a_secret_whose_time_is_over_signs_nobody_in() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let scope = format!("{}/.default", graph_root(&bench));
    let body = json!({"passwordCredential": {"endDateTime": "2026-11-24T03:00:05Z"}});
    let added = graph.call("POST", &format!("applications/{SHOP}/addPassword"), &body);
    let secret = added.body["secretText"].as_str().unwrap();
    assert_eq!(bench.sign_in_as(SHOP_APP, secret, &scope).status, 200);
    bench.pass(10);
    let refused = bench.sign_in_as(SHOP_APP, secret, &scope);
    assert_eq!(
        (
            refused.status,
            &refused.body["error"],
            &refused.body["error_codes"]
        ),
        (401, &json!("invalid_client"), &json!([7_000_222]))
    );
}

fn ask(graph: &Directory<'_>, more: Value) -> crate::lab_support::Answer {
    let mut body = json!({
        "action": "adminAssign", "principalId": ALICE, "roleDefinitionId": SECURITY_READER, "directoryScopeId": "/",
        "scheduleInfo": {"startDateTime": "2026-11-24T03:00:00Z", "expiration": {"type": "afterDateTime", "endDateTime": "2026-12-01T00:00:00Z"}},
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = "roleManagement/directory/roleEligibilityScheduleRequests";
    graph.call("POST", path, &body)
}

fn eligible(graph: &Directory<'_>) -> usize {
    let path = format!(
        "roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId eq '{ALICE}'"
    );
    graph.get(&path).body["value"].as_array().unwrap().len()
}

#[test]
fn a_request_for_a_role_may_be_open_or_have_failed_and_is_201_all_the_same() {
    for status in ["PendingApproval", "Failed"] {
        let mut scenario = Scenario::load("default").unwrap();
        let given = [("Security Reader".to_owned(), status.to_owned())];
        scenario.directory.request_status = given.into();
        let bench = Bench::with(scenario, |_| {});
        let graph = Directory::of(&bench);
        let answer = ask(&graph, json!({}));
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (201, &json!(status))
        );
        assert_eq!(answer.body["completedDateTime"], Value::Null);
        assert_eq!(eligible(&graph), 0, "{status}");
    }
}

#[test]
fn a_request_that_is_only_to_be_judged_gives_nothing() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let judged = ask(&graph, json!({"isValidationOnly": true}));
    assert_eq!(
        (judged.status, &judged.body["isValidationOnly"]),
        (201, &json!(true))
    );
    assert_eq!(eligible(&graph), 0);
    let endless =
        json!({"isValidationOnly": true, "scheduleInfo": {"expiration": {"type": "noExpiration"}}});
    assert_eq!(
        ask(&graph, endless).error(),
        (400, "RoleAssignmentRequestPolicyValidationFailed")
    );
    assert_eq!(ask(&graph, json!({})).status, 201);
    assert_eq!(eligible(&graph), 1);
}

fn graph_root(bench: &Bench) -> String {
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    format!("https://graph.localhost:{port}")
}
