//! The lab's directory answers as Microsoft Graph does: what it shows, what it refuses, and when a write is seen.

use std::time::Duration;

use azir::lab::scenario::Scenario;
use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench};

const ALICE: &str = "88888888-8888-4888-8888-888888888801";
const HEIDI: &str = "88888888-8888-4888-8888-888888888802";
const GARY: &str = "88888888-8888-4888-8888-888888888803";
const SAM: &str = "88888888-8888-4888-8888-888888888804";
const SHOP: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";

/// One who asks the directory.
pub(crate) struct Directory<'a> {
    bench: &'a Bench,
    token: String,
}

impl<'a> Directory<'a> {
    pub(crate) fn of(bench: &'a Bench) -> Self {
        let ready = bench.lab.ready();
        Self::signed_in(bench, &ready.client_id, &ready.client_secret)
    }

    fn signed_in(bench: &'a Bench, client: &str, secret: &str) -> Self {
        let scope = format!("{}/.default", root(bench));
        Self {
            bench,
            token: bench.token(client, secret, &scope),
        }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", root(self.bench))
        };
        self.bench
            .http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.bench
            .send(self.request("GET", &format!("/v1.0/{path}")))
    }

    fn eventual(&self, path: &str) -> Answer {
        let request = self
            .request("GET", &format!("/v1.0/{path}"))
            .header("ConsistencyLevel", "eventual");
        self.bench.send(request)
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.bench
            .send(self.request(method, &format!("/v1.0/{path}")).json(body))
    }

    pub(crate) fn bare(&self, method: &str, path: &str) -> Answer {
        self.bench
            .send(self.request(method, &format!("/v1.0/{path}")))
    }

    fn disable(&self, user: &str) -> Answer {
        self.call(
            "PATCH",
            &format!("users/{user}"),
            &json!({"accountEnabled": false}),
        )
    }
}

fn root(bench: &Bench) -> String {
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    format!("https://graph.localhost:{port}")
}

#[test]
fn a_user_has_what_was_selected_and_is_found_by_name_whatever_is_in_it() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let user = graph.get("users/alice@contoso.com");
    assert_eq!(user.body["id"], ALICE);
    assert!(user.body.get("accountEnabled").is_none(), "{user:?}");
    let user = graph.get("users/alice@contoso.com?$select=id,accountEnabled");
    assert_eq!(user.body["accountEnabled"], true);
    assert!(user.body.get("displayName").is_none(), "{user:?}");
    let guest = graph.get("users/gary_partner.example%23EXT%23@contoso.onmicrosoft.com");
    assert_eq!(guest.body["id"], GARY);
    assert_eq!(
        graph.get("users/nobody@contoso.com").error(),
        (404, "Request_ResourceNotFound")
    );
    assert_eq!(
        graph.get("users/alice@contoso.com?$select=enabled").error(),
        (400, "BadRequest")
    );
    assert_eq!(
        graph.get("users?$filter=enabled eq true").error(),
        (400, "BadRequest")
    );
    assert_eq!(graph.get("users?$skip=2").error(), (400, "BadRequest"));
}

#[test]
fn advanced_queries_need_their_header_and_count() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let odd = "users?$filter=endsWith(userPrincipalName,'contoso.com')";
    let unsupported = (400, "Request_UnsupportedQuery");
    assert_eq!(graph.get(odd).error(), unsupported);
    assert_eq!(graph.eventual(odd).error(), unsupported);
    assert_eq!(
        graph.get(&format!("{odd}&$count=true")).error(),
        unsupported
    );
    let found = graph.eventual(&format!("{odd}&$count=true"));
    assert!(found.body["@odata.count"].as_u64().unwrap() >= 8);
    let plain = graph.get("users?$filter=displayName eq 'Chris Lee'");
    assert_eq!(plain.body["value"].as_array().unwrap().len(), 2);
}

#[test]
fn pages_are_followed_to_the_end_and_a_token_of_ones_own_is_refused() {
    let bench = Bench::with(Scenario::load("default").unwrap(), |options| {
        options.page = Some(5);
    });
    let graph = Directory::of(&bench);
    let mut page = graph.get("users?$select=userPrincipalName");
    let mut names: Vec<String> = Vec::new();
    loop {
        names.extend(
            page.each("userPrincipalName")
                .iter()
                .map(|&name| name.to_owned()),
        );
        let Some(next) = page.body["@odata.nextLink"].as_str() else {
            break;
        };
        assert!(next.contains("select="), "{next}");
        page = bench.send(graph.request("GET", next));
    }
    let all = Scenario::load("default").unwrap().directory.users.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert_eq!(
        graph.get("users?$skiptoken=5").error(),
        (400, "Directory_ExpiredPageToken")
    );
}

#[test]
fn a_write_is_seen_by_id_after_two_seconds_and_in_lists_later() {
    let bench = Bench::with(Scenario::load("default").unwrap(), |options| {
        options.replication = Duration::from_secs(2);
    });
    let graph = Directory::of(&bench);
    let by_id = || {
        graph
            .get(&format!("users/{ALICE}?$select=accountEnabled"))
            .body["accountEnabled"]
            .clone()
    };
    let disabled = || {
        let list = graph.get("users?$filter=accountEnabled eq false&$select=id");
        list.each("id").contains(&ALICE)
    };
    assert_eq!(graph.disable(ALICE).status, 204);
    assert_eq!((by_id(), disabled()), (json!(true), false));
    bench.pass(2);
    assert_eq!((by_id(), disabled()), (json!(false), false));
    bench.pass(2);
    assert!(disabled());
}

#[test]
fn an_administrator_is_beyond_the_reach_of_a_lesser_one_also_through_a_group() {
    let bench = Bench::new();
    let junior = Directory::signed_in(
        &bench,
        "44444444-4444-4444-8444-444444444445",
        "lab-secret-of-the-junior",
    );
    let denied = (403, "Authorization_RequestDenied");
    assert_eq!(junior.disable(ALICE).status, 204);
    assert_eq!(junior.disable(HEIDI).error(), denied);
    assert_eq!(junior.disable("pia@contoso.com").error(), denied);
    let responder = Directory::of(&bench);
    assert_eq!(responder.disable(HEIDI).status, 204);
    // What its token has no permission for, it may not do to anybody.
    assert_eq!(
        junior
            .call("PATCH", &format!("devices/{ALICE}"), &json!({}))
            .error(),
        denied
    );
}

#[test]
fn passwords_are_refused_where_another_owns_them_and_never_shown() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let set = |user: &str, password: &str| {
        graph.call(
            "PATCH",
            &format!("users/{user}"),
            &json!({"passwordProfile": {"forceChangePasswordNextSignIn": true, "password": password}}),
        )
    };
    assert_eq!(set(ALICE, "weak").error(), (400, "Request_BadRequest"));
    assert_eq!(
        set(SAM, "Str0ng-canary-7Q").error(),
        (400, "Request_BadRequest")
    );
    assert_eq!(
        set(GARY, "Str0ng-canary-7Q").error(),
        (400, "Request_BadRequest")
    );
    assert_eq!(set(ALICE, "Str0ng-canary-7Q").status, 204);
    let shown = graph.get(&format!(
        "users/{ALICE}?$select=passwordProfile,lastPasswordChangeDateTime"
    ));
    assert_eq!(shown.body["passwordProfile"]["password"], Value::Null);
    assert_eq!(
        shown.body["lastPasswordChangeDateTime"],
        "2026-11-24T03:00:00Z"
    );
    assert!(!bench.lab.state().to_string().contains("canary"));
    let odd = graph.call(
        "PATCH",
        &format!("users/{ALICE}"),
        &json!({"enabled": false}),
    );
    assert_eq!(odd.error(), (400, "Request_BadRequest"));
}

#[test]
fn methods_go_one_by_one_the_alternate_phone_before_the_phone_and_the_default_last() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let methods = || graph.get(&format!("users/{HEIDI}/authentication/methods"));
    assert_eq!(methods().body["value"].as_array().unwrap().len(), 5);
    let delete = |what: &str| graph.bare("DELETE", &format!("users/{HEIDI}/authentication/{what}"));
    let (mobile, alternate) = (
        "phoneMethods/3179e48a-750b-4051-897c-87b9720928f7",
        "phoneMethods/b6332ec1-7057-4abe-9331-3d72feddfe41",
    );
    let default = "microsoftAuthenticatorMethods/12121212-1212-4212-8212-121212121201";
    let oath = "12121212-1212-4212-8212-121212121202";
    assert_eq!(delete(mobile).status, 400);
    assert_eq!(delete(default).status, 400);
    assert_eq!(delete(alternate).status, 204);
    assert_eq!(delete(mobile).status, 204);
    // By the collection of another kind it is not there.
    assert_eq!(
        delete(&format!("fido2Methods/{oath}")).error(),
        (404, "resourceNotFound")
    );
    assert_eq!(delete(&format!("softwareOathMethods/{oath}")).status, 204);
    assert_eq!(delete(default).status, 204);
    assert_eq!(delete(default).status, 404);
    assert_eq!(
        methods().each("@odata.type"),
        ["#microsoft.graph.passwordAuthenticationMethod"]
    );
}

#[test]
fn a_new_secret_signs_in_a_removed_one_and_a_disabled_application_do_not() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let scope = format!("{}/.default", root(&bench));
    let app = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01";
    let sign_in = |secret: &str| bench.sign_in_as(app, secret, &scope);
    let added = graph.call(
        "POST",
        &format!("applications/{SHOP}/addPassword"),
        &json!({"passwordCredential": {"displayName": "azir"}}),
    );
    let (secret, key) = (
        added.body["secretText"].as_str().unwrap(),
        &added.body["keyId"],
    );
    assert_eq!(sign_in(secret).status, 200);
    assert_eq!(sign_in("lab-secret-of-the-shop-1").status, 200);
    let shown = graph.get(&format!("applications/{SHOP}"));
    assert!(!shown.text.contains(secret));
    let remove = |key: &Value| {
        graph.call(
            "POST",
            &format!("applications/{SHOP}/removePassword"),
            &json!({"keyId": key}),
        )
    };
    let old = &shown.body["passwordCredentials"][0]["keyId"];
    assert_eq!(remove(old).status, 204);
    assert_eq!(remove(old).status, 400);
    assert_eq!(
        sign_in("lab-secret-of-the-shop-1").body["error"],
        "invalid_client"
    );
    assert_eq!(remove(key).status, 204);
    assert_eq!(sign_in(secret).body["error"], "invalid_client");
    assert_eq!(sign_in("lab-secret-of-the-shop-2").status, 200);
    let principal = graph.get(&format!("servicePrincipals(appId='{app}')")).body["id"].clone();
    let id = principal.as_str().unwrap();
    assert_eq!(
        graph
            .call(
                "PATCH",
                &format!("servicePrincipals/{id}"),
                &json!({"accountEnabled": false})
            )
            .status,
        204
    );
    let refused = sign_in("lab-secret-of-the-shop-2");
    assert!(refused.text.contains("AADSTS7000112"), "{refused:?}");
}

#[test]
fn a_batch_answers_each_by_its_id_and_takes_twenty() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let one = |id: usize, url: &str| json!({"id": id.to_string(), "method": "GET", "url": url});
    let batch = |requests: Vec<Value>| graph.call("POST", "$batch", &json!({"requests": requests}));
    let answer = batch(vec![
        one(1, "/users/alice@contoso.com?$select=id"),
        one(2, "/users/nobody@contoso.com"),
    ]);
    let responses = answer.body["responses"].as_array().unwrap();
    let by = |id: &str| responses.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(by("1")["body"]["id"], ALICE);
    assert_eq!(by("2")["status"], 404);
    let many = (0..21).map(|id| one(id, "/users")).collect();
    assert_eq!(batch(many).status, 400);
    let twice = vec![one(1, "/users"), one(1, "/users")];
    assert_eq!(batch(twice).status, 400);
}

#[test]
fn what_was_done_is_in_the_directorys_log_under_its_documented_name() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    assert!(matches!(
        graph
            .bare("POST", &format!("users/{ALICE}/revokeSignInSessions"))
            .status,
        200 | 204
    ));
    graph.disable(ALICE);
    let state = bench.lab.state();
    let mut records: Vec<(&str, &str)> = state["directory"]["directoryAudits"]
        .as_object()
        .unwrap()
        .values()
        .filter(|record| record["targetResources"][0]["id"] == ALICE)
        .filter(|record| !record["initiatedBy"]["app"].is_null())
        .map(|record| {
            (
                record["activityDisplayName"].as_str().unwrap(),
                record["initiatedBy"]["app"]["displayName"]
                    .as_str()
                    .unwrap(),
            )
        })
        .collect();
    records.sort_unstable();
    assert_eq!(
        records,
        [
            ("Disable account", "responder"),
            ("Update StsRefreshTokenValidFrom Timestamp", "responder")
        ]
    );
}

#[test]
fn sign_ins_of_all_kinds_are_told_by_beta_and_only_interactive_ones_by_v1() {
    let bench = Bench::with(Scenario::load("default").unwrap(), |options| {
        options.page = Some(10);
    });
    let graph = Directory::of(&bench);
    let all = |version: &str, filter: &str| {
        let mut page = bench.send(graph.request(
            "GET",
            &format!("/{version}/auditLogs/signIns?$filter={filter}"),
        ));
        let mut found: Vec<Value> = Vec::new();
        loop {
            found.extend(
                page.body["value"]
                    .as_array()
                    .unwrap_or_else(|| panic!("{page:?}"))
                    .clone(),
            );
            let Some(next) = page.body["@odata.nextLink"].as_str() else {
                break found;
            };
            page = bench.send(graph.request("GET", next));
        }
    };
    let of_heidi = format!("userId eq '{HEIDI}'");
    let interactive = all("v1.0", &of_heidi);
    assert_eq!(interactive.len(), 23);
    assert!(interactive[0].get("signInEventTypes").is_none());
    let kinds = "signInEventTypes/any(t: t eq 'nonInteractiveUser')";
    let others = all("beta", &format!("{of_heidi} and {kinds}"));
    assert_eq!(others.len(), 22);
    let refused =
        bench.send(graph.request("GET", &format!("/v1.0/auditLogs/signIns?$filter={kinds}")));
    assert_eq!(refused.status, 400);
    // azir's own sign-in is among those of applications when the log has taken it in, not before.
    let own = || {
        all(
            "beta",
            "signInEventTypes/any(t: t eq 'servicePrincipal') and appDisplayName eq 'responder'",
        )
    };
    assert_eq!(own(), Vec::<Value>::new());
    bench.pass(120);
    assert!(!own().is_empty());
}

#[test]
fn eligibility_is_asked_for_with_an_end_and_taken_away_by_request() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let role = "5d6b6bb7-de71-4623-b4af-96380a352509";
    let ask = |action: &str, expiration: Value| {
        graph.call(
            "POST",
            "roleManagement/directory/roleEligibilityScheduleRequests",
            &json!({"action": action, "principalId": ALICE, "roleDefinitionId": role, "directoryScopeId": "/",
                "justification": "IR", "scheduleInfo": {"startDateTime": "2026-11-24T03:00:00Z", "expiration": expiration}}),
        )
    };
    let end = json!({"type": "afterDateTime", "endDateTime": "2026-12-01T00:00:00Z"});
    assert_eq!(
        ask("adminAssign", json!({"type": "noExpiration"}))
            .error()
            .1,
        "RoleAssignmentRequestPolicyValidationFailed"
    );
    assert_eq!(
        ask("adminRemove", end.clone()).error().1,
        "RoleAssignmentDoesNotExist"
    );
    assert_eq!(
        ask("adminAssign", end.clone()).body["status"],
        "Provisioned"
    );
    assert_eq!(
        ask("adminAssign", end.clone()).error().1,
        "RoleAssignmentExists"
    );
    let list = format!(
        "roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId eq '{ALICE}'&$expand=roleDefinition"
    );
    let found = graph.get(&list);
    assert_eq!(
        found.body["value"][0]["roleDefinition"]["displayName"],
        "Security Reader"
    );
    assert_eq!(ask("adminRemove", end).body["status"], "Revoked");
    assert_eq!(graph.get(&list).body["value"], json!([]));
    // A role of Azure is no role of the directory.
    let azure = graph.call(
        "POST",
        "roleManagement/directory/roleEligibilityScheduleRequests",
        &json!({"action": "adminAssign", "principalId": ALICE, "roleDefinitionId": "4d97b98b-1d4f-4787-a291-c67834d212e7", "directoryScopeId": "/"}),
    );
    assert_eq!(azure.status, 404);
}

#[test]
fn risk_and_inbox_rules_are_read_judged_and_taken_away() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    assert_eq!(
        graph
            .get(&format!("identityProtection/riskyUsers/{ALICE}"))
            .status,
        404
    );
    let confirmed = graph.call(
        "POST",
        "identityProtection/riskyUsers/confirmCompromised",
        &json!({"userIds": [ALICE]}),
    );
    assert_eq!(confirmed.status, 204);
    let risky = graph.get(&format!("identityProtection/riskyUsers/{ALICE}"));
    assert_eq!(
        (&risky.body["riskState"], &risky.body["riskLevel"]),
        (&json!("confirmedCompromised"), &json!("high"))
    );
    let rules = format!("users/{HEIDI}/mailFolders/inbox/messageRules");
    let found = graph.get(&rules);
    assert_eq!(found.each("displayName"), ["Newsletters", ".."]);
    let bad = found.body["value"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(graph.bare("DELETE", &format!("{rules}/{bad}")).status, 204);
    assert_eq!(
        graph.bare("DELETE", &format!("{rules}/{bad}")).error(),
        (404, "ErrorItemNotFound")
    );
    let guest = graph.get(&format!("users/{GARY}/mailFolders/inbox/messageRules"));
    assert_eq!(guest.error(), (404, "MailboxNotEnabledForRESTAPI"));
}

#[test]
fn an_error_says_when_it_was_and_of_which_request_also_in_a_batch() {
    let bench = Bench::new();
    let graph = Directory::of(&bench);
    let missing = graph.get("users/nobody@contoso.com");
    let inner = &missing.body["error"]["innerError"];
    assert_eq!(inner["request-id"], missing.header("request-id"));
    assert_eq!(inner["date"], "2026-11-24T03:00:00");
    assert!(inner["client-request-id"].is_string());
    let batch =
        json!({"requests": [{"id": "1", "method": "GET", "url": "/users/nobody@contoso.com"}]});
    let answers = graph.call("POST", "$batch", &batch);
    let inner = &answers.body["responses"][0]["body"]["error"]["innerError"];
    assert!(inner["request-id"].is_string(), "{answers:?}");
}

#[test]
fn a_page_is_no_longer_than_asked_for_whatever_the_lab_is_told() {
    let scenario = azir::lab::scenario::Scenario::load("default").unwrap();
    let bench = Bench::with(scenario, |options| options.page = Some(10));
    let graph = Directory::of(&bench);
    assert_eq!(graph.get("users?$top=3").each("id").len(), 3);
    assert_eq!(graph.get("users?$top=50").each("id").len(), 10);
    let resources = |top: usize| {
        let place = crate::lab_support::SUB;
        let path = format!("{place}/resources?api-version=2021-04-01&$top={top}");
        bench.get(&path).each("id").len()
    };
    assert_eq!((resources(3), resources(50)), (3, 10));
}
