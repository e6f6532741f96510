//! Log Analytics of the lab: the tenant's own logs by query, and an error for whatever it does not read.

use serde_json::{Value, json};

use crate::az_kit;
use crate::lab_support::{Answer, Bench, SUB, at};

const LAW: &str = "abababab-abab-4bab-8bab-abababababab";

/// Asks the workspace, as the responder.
fn ask(bench: &Bench, place: &str, body: &Value) -> Answer {
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let origin = format!("https://api.loganalytics.localhost:{port}");
    let token = bench.token_for(&format!("{origin}/.default"));
    let request = bench.http.post(format!("{origin}/v1/{place}/query"));
    bench.send(request.bearer_auth(token).json(body))
}

fn query(bench: &Bench, text: &str) -> Answer {
    ask(bench, &format!("workspaces/{LAW}"), &json!({"query": text}))
}

fn rows(answer: &Answer) -> Vec<Value> {
    let rows = answer.body["tables"][0]["rows"].as_array();
    rows.unwrap_or_else(|| panic!("{answer:?}")).clone()
}

fn bench() -> Bench {
    Bench::with(az_kit::scenario(), |_| {})
}

#[test]
fn sign_ins_are_rows_with_typed_columns() {
    let bench = bench();
    let asked = "SigninLogs | where UserPrincipalName == 'heidi@contoso.com' | where TimeGenerated > ago(1d) | where IPAddress == '203.0.113.77'";
    let found = query(
        &bench,
        &format!(
            "{asked} | project TimeGenerated, ResultType, IsInteractive, city = LocationDetails.city, DeviceDetail | order by TimeGenerated asc | take 1"
        ),
    );
    let columns = &found.body["tables"][0]["columns"];
    let kinds: Vec<&str> = columns
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["datetime", "string", "bool", "dynamic", "dynamic"]);
    let row = &rows(&found)[0];
    assert_eq!((&row[1], &row[2]), (&json!("0"), &json!(true)));
    assert_eq!(row[3], "Frankfurt am Main");
    assert!(
        row[4].as_str().unwrap().starts_with('{'),
        "dynamic is JSON as text: {row}"
    );
    let counted = query(&bench, &format!("{asked} | count"));
    let quiet = query(
        &bench,
        &format!(
            "{} | count",
            asked.replace("SigninLogs", "AADNonInteractiveUserSignInLogs")
        ),
    );
    assert_eq!(
        (rows(&counted), rows(&quiet)),
        (vec![json!([2])], vec![json!([4])])
    );
}

#[test]
fn the_activity_log_and_the_directorys_are_there_too() {
    let bench = bench();
    let operation = "AzureActivity | where OperationNameValue == 'MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE' | project Caller, ActivityStatusValue";
    assert_eq!(
        rows(&query(&bench, operation)),
        [json!(["mallory@contoso.com", "Success"])]
    );
    let consent = "AuditLogs | where OperationName has 'Consent' | project OperationName, InitiatedBy.user.userPrincipalName";
    assert_eq!(
        rows(&query(&bench, consent)),
        [json!(["Consent to application", "heidi@contoso.com"])]
    );
}

#[test]
fn a_query_by_resource_id_and_a_timespan_are_understood() {
    let bench = bench();
    let id = at("rg-security-prod/Microsoft.OperationalInsights/workspaces/law-security-prod");
    let count = |body: Value| rows(&ask(&bench, id.trim_start_matches('/'), &body))[0][0].clone();
    let text = "SigninLogs | where UserPrincipalName == 'alice@contoso.com' | count";
    assert_eq!(count(json!({"query": text})), 10);
    assert_eq!(count(json!({"query": text, "timespan": "P1D"})), 5);
    let wrong = ask(
        &bench,
        id.trim_start_matches('/'),
        &json!({"query": text, "timespan": "1d"}),
    );
    assert_eq!(wrong.error(), (400, "BadArgumentError"));
}

#[test]
fn what_is_wrong_is_an_error_and_what_is_not_modelled_too() {
    let bench = bench();
    for (text, status, code, inner) in [
        (
            "SigninLogs | where Nope == 1",
            400,
            "BadArgumentError",
            "SEM0100",
        ),
        ("Nope | take 1", 400, "BadArgumentError", "SEM0100"),
        ("SigninLogs | where (", 400, "BadArgumentError", "SYN0002"),
        (
            "SigninLogs | evaluate bag_unpack(Status)",
            400,
            "BadArgumentError",
            "SEM0001",
        ),
        (
            "SigninLogs | extend x = geo_distance(1)",
            400,
            "BadArgumentError",
            "SEM0260",
        ),
        ("", 400, "BadArgumentError", ""),
    ] {
        let answer = query(&bench, text);
        assert_eq!(answer.error(), (status, code), "{text}");
        let found = &answer.body["error"]["innererror"]["innererror"]["code"];
        assert_eq!(found.as_str().unwrap_or_default(), inner, "{text}");
    }
    let nowhere = ask(
        &bench,
        "workspaces/00000000-0000-4000-8000-000000000000",
        &json!({"query": "SigninLogs"}),
    );
    assert_eq!(nowhere.error(), (404, "WorkspaceNotFoundError"));
    let more = ask(
        &bench,
        &format!("workspaces/{LAW}"),
        &json!({"query": "SigninLogs", "workspaces": ["other"]}),
    );
    assert_eq!(more.error(), (501, "NotModelled"));
}

#[test]
fn a_question_without_its_type_is_answered_with_nothing() {
    let bench = bench();
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let origin = format!("https://api.loganalytics.localhost:{port}");
    let token = bench.token_for(&format!("{origin}/.default"));
    let url = format!("{origin}/v1/workspaces/{LAW}/query");
    let bare = bench
        .http
        .post(&url)
        .bearer_auth(&token)
        .body("{\"query\": \"SigninLogs\"}");
    let answer = bench.send(bare);
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let nobody = bench.send(bench.http.post(&url).json(&json!({"query": "SigninLogs"})));
    assert_eq!(nobody.status, 401);
}

#[test]
fn who_may_not_query_is_told_so() {
    let mut scenario = az_kit::scenario();
    scenario.callers[0].roles.clear();
    let bench = Bench::with(scenario, |_| {});
    assert_eq!(
        query(&bench, "SigninLogs").error(),
        (403, "InsufficientAccessError")
    );
}

#[test]
fn a_vault_that_sends_its_events_is_found_in_them_after_a_while() {
    let bench = bench();
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let token = bench.token_for(&format!("https://vault.localhost:{port}/.default"));
    let list = |vault: &str, what: &str| {
        let url = format!("https://{vault}.vault.localhost:{port}/{what}?api-version=7.4");
        bench.send(bench.http.get(url).bearer_auth(&token)).status
    };
    assert_eq!(
        (list("kv-shop", "secrets"), list("kv-policy", "secrets")),
        (200, 200)
    );
    assert_eq!(list("kv-shop", "keys"), 403);
    let text = "AzureDiagnostics | where OperationName == 'SecretList' | project Resource, httpStatusCode_d, identity_claim_oid_g";
    assert!(rows(&query(&bench, text)).is_empty());
    bench.pass(301);
    assert_eq!(
        rows(&query(&bench, text)),
        [json!([
            "KV-SHOP",
            200.0,
            "55555555-5555-4555-8555-555555555555"
        ])]
    );
    let keys = "AzureDiagnostics | where OperationName == 'KeyList' | project httpStatusCode_d";
    assert_eq!(rows(&query(&bench, keys)), [json!([403])]);
    let seeded = "AzureDiagnostics | where OperationName contains 'SecretGet' | project CallerIPAddress, _SubscriptionId";
    let subscription = SUB.trim_start_matches("/subscriptions/");
    assert_eq!(
        rows(&query(&bench, seeded)),
        [json!(["203.0.113.77", subscription])]
    );
}

#[test]
fn a_batch_answers_each_query_by_its_id() {
    let bench = bench();
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let origin = format!("https://api.loganalytics.localhost:{port}");
    let token = bench.token_for(&format!("{origin}/.default"));
    let post = |body: &Value| {
        let request = bench.http.post(format!("{origin}/v1/$batch"));
        bench.send(request.bearer_auth(&token).json(body))
    };
    let one = |id: &str, workspace: &str, text: &str| json!({"id": id, "workspace": workspace, "method": "POST", "path": "/query", "headers": {}, "body": {"query": text}});
    let none = "00000000-0000-4000-8000-000000000000";
    let asked = [
        one("a", LAW, "SigninLogs | count"),
        one("b", LAW, "SigninLogs | where"),
        one("c", none, "SigninLogs | count"),
    ];
    let answer = post(&json!({ "requests": asked }));
    let found = answer.body["responses"].as_array().unwrap();
    let status = |id: &str| found.iter().find(|one| one["id"] == id).unwrap()["status"].clone();
    assert_eq!(
        (status("a"), status("b"), status("c")),
        (json!(200), json!(400), json!(404))
    );
    let mut wrong = one("a", LAW, "SigninLogs");
    wrong["method"] = json!("GET");
    assert_eq!(post(&json!({ "requests": [wrong] })).status, 400);
}

#[test]
fn a_fault_makes_an_answer_one_in_part_that_says_so() {
    let bench = Bench::with(az_kit::scenario(), |options| {
        options.faults = azir::lab::Faults::parse("faults: [{path: /query, do: partial}]").unwrap();
    });
    let text = "AzureActivity | project TimeGenerated";
    let (part, whole) = (query(&bench, text), query(&bench, text));
    assert_eq!((part.status, whole.status), (200, 200));
    assert_eq!(part.body["error"]["code"], "PartialError");
    let detail = &part.body["error"]["details"][0];
    assert_eq!(detail["innererror"]["code"], "-2133196797");
    assert_eq!(rows(&part).len(), rows(&whole).len().div_ceil(2));
    assert!(whole.body.get("error").is_none());
}
