//! What the lab can be asked about itself: the activity log, Resource Graph, the directory.

use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench, COMPUTE, SUB, at, with_roles};

fn log(bench: &Bench, filter: &str) -> Answer {
    let filter = filter.replace(' ', "%20");
    bench.get(&format!("{SUB}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter={filter}"))
}

const DAY: &str =
    "eventTimestamp ge '2026-11-23T03:00:00Z' and eventTimestamp le '2026-11-24T04:00:00Z'";

#[test]
fn the_log_pages_to_its_end_newest_first() {
    let bench = Bench::new();
    let mut page = log(
        &bench,
        &format!("{DAY} and resourceGroupName eq 'RG-Workload-Prod'"),
    );
    let mut times: Vec<String> = Vec::new();
    let mut pages = 0;
    loop {
        pages += 1;
        times.extend(page.each("eventTimestamp").into_iter().map(str::to_owned));
        let Some(next) = page.body["nextLink"].as_str().map(str::to_owned) else {
            break;
        };
        page = bench.get(&next);
    }
    assert_eq!((times.len(), pages), (230, 3));
    assert!(times.is_sorted_by(|a, b| a >= b));
}

#[test]
fn the_log_takes_times_as_az_sends_them() {
    let answer = log(
        &Bench::new(),
        "eventTimestamp ge 2026-11-23T03:00:00.094541 and eventTimestamp le 2026-11-24T04:00:00.094541",
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body["value"].as_array().unwrap().is_empty());
}

#[test]
fn a_write_is_in_the_log_after_a_while_with_who_and_how_it_ended() {
    let bench = Bench::new();
    let machine = at("rg-north/Microsoft.Compute/virtualMachines/vm-north-01");
    let patch = bench
        .request("PATCH", &format!("{machine}?{COMPUTE}"))
        .header(
            "x-ms-client-request-id",
            "11111111-2222-4333-8444-555555555555",
        );
    assert_eq!(
        bench.send(patch.json(&json!({"tags": {"a": "b"}}))).status,
        200
    );
    bench.get(&format!("{machine}?{COMPUTE}"));
    let about = format!("{DAY} and resourceUri eq '{machine}'");
    assert_eq!(log(&bench, &about).body["value"], json!([]), "it lags");
    bench.pass(240);
    let events = log(&bench, &about).body["value"].clone();
    let states: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["status"]["value"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["Started", "Succeeded"], "and reads are not in it");
    let end = &events[1];
    assert_eq!(
        end["operationName"]["value"],
        "Microsoft.Compute/virtualMachines/write"
    );
    assert_eq!(end["caller"], "55555555-5555-4555-8555-555555555555");
    assert_eq!(
        end["claims"]["appid"],
        "44444444-4444-4444-8444-444444444444"
    );
    let claims = end["claims"].as_object().unwrap();
    assert!(
        claims.values().all(Value::is_string),
        "or az cannot read them"
    );
    assert_eq!(
        end["httpRequest"]["clientRequestId"],
        "11111111-2222-4333-8444-555555555555"
    );
    assert_eq!(events[0]["correlationId"], end["correlationId"]);
    let other = format!("{DAY} and resourceProvider eq 'Microsoft.Network'");
    assert_eq!(log(&bench, &other).body["value"], json!([]));
}

#[test]
fn the_logs_filter_has_a_fixed_grammar_and_its_errors_are_flat() {
    let bench = Bench::new();
    for bad in [
        "eventTimestamp ge '2026-08-01T00:00:00Z' and eventTimestamp le '2026-11-24T04:00:00Z'",
        "eventTimestamp ge '2026-11-23T03:00:00Z'",
        "eventTimestamp ge 'yesterday' and eventTimestamp le '2026-11-24T04:00:00Z'",
        &format!("{DAY} and level eq 'Error'"),
        &format!("{DAY} and resourceGroupName eq 'a' and resourceProvider eq 'b'"),
    ] {
        let refused = log(&bench, bad);
        assert_eq!(
            (refused.status, refused.body["Code"].as_str()),
            (400, Some("BadRequest")),
            "{bad}: {refused:?}"
        );
        assert!(refused.body.get("error").is_none());
    }
}

fn graph_query(bench: &Bench, query: &str, more: Value) -> Answer {
    let mut body = json!({"query": query, "options": more});
    body["options"]["resultFormat"] = json!("objectArray");
    bench.call(
        "POST",
        "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01",
        &body,
    )
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect()
}

#[test]
fn resource_graph_finds_what_the_caller_may_read_in_pages() {
    let bench = Bench::new();
    let twins = "Resources | where type =~ 'Microsoft.Compute/virtualMachines' | where name =~ 'VM-TWIN-01' | project id, name, subscriptionId | order by id asc";
    assert_eq!(names(&graph_query(&bench, twins, json!({}))).len(), 2);
    let narrow = Bench::with(with_roles(&[("Reader", SUB)], ""), |_| {});
    assert_eq!(
        names(&graph_query(&narrow, twins, json!({}))).len(),
        1,
        "silently"
    );
    let first = graph_query(&bench, twins, json!({"$top": 1}));
    assert_eq!(
        (
            first.body["resultTruncated"].as_str(),
            first.body["totalRecords"].as_u64()
        ),
        (Some("true"), Some(2))
    );
    let second = graph_query(
        &bench,
        twins,
        json!({"$top": 1, "$skipToken": first.body["$skipToken"]}),
    );
    assert_eq!(
        (
            second.body["resultTruncated"].as_str(),
            second.body.get("$skipToken")
        ),
        (Some("false"), None)
    );
    assert_ne!(second.body["data"], first.body["data"]);
    let unordered = graph_query(&bench, "Resources | project id, name", json!({"$top": 1}));
    assert!(
        unordered.body["resultTruncated"] == "true" && unordered.body.get("$skipToken").is_none(),
        "without an order there is no next page"
    );
    let groups = graph_query(
        &bench,
        "ResourceContainers | where type == 'microsoft.resources/subscriptions/resourcegroups' and name startswith 'rg-h' | order by name asc",
        json!({}),
    );
    assert_eq!(names(&groups), ["rg-hard-data", "rg-hard-prod"]);
    let bad = graph_query(&bench, "Resources | evaluate bag_unpack(tags)", json!({}));
    assert_eq!(
        (bad.status, bad.body["error"]["details"][1]["code"].as_str()),
        (400, Some("ParserFailure"))
    );
}

#[test]
fn the_directory_knows_machines_identities_and_nothing_for_an_application_to_be() {
    let bench = Bench::new();
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let token = bench.token_for(&format!("https://graph.localhost:{port}/.default"));
    let get = |path: &str| {
        bench.send(
            bench
                .http
                .get(format!("https://graph.localhost:{port}/v1.0/{path}"))
                .bearer_auth(&token),
        )
    };
    let id = "66666666-6666-4666-8666-666666666602";
    assert_eq!(
        get(&format!("servicePrincipals/{id}")).body["displayName"],
        "vm-hard-01"
    );
    assert_eq!(
        get(&format!("servicePrincipals/{id}/transitiveMemberOf")).each("displayName"),
        ["payments-deployers"]
    );
    assert_eq!(
        get(&format!("servicePrincipals/{id}/appRoleAssignments")).body["value"],
        json!([])
    );
    assert_eq!(
        get("servicePrincipals/nobody").error(),
        (404, "Request_ResourceNotFound")
    );
    assert_eq!(get("me").error(), (400, "BadRequest"));
    assert_eq!(get("organization").each("displayName"), ["Contoso"]);
    for path in ["sites", "security/auditLog/queries", "security/incidents"] {
        assert_eq!(get(path).error(), (501, "NotModelled"), "{path}");
    }
    let arm = bench.token_for(&format!("{}/.default", bench.lab.ready().arm));
    let wrong = bench.send(
        bench
            .http
            .get(format!("https://graph.localhost:{port}/v1.0/organization"))
            .bearer_auth(arm),
    );
    assert_eq!(wrong.error(), (401, "InvalidAuthenticationToken"));

    let mut scenario = azir::lab::scenario::Scenario::load("default").unwrap();
    scenario.callers[0].graph.clear();
    let bench = Bench::with(scenario, |_| {});
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let token = bench.token_for(&format!("https://graph.localhost:{port}/.default"));
    let refused = bench.send(
        bench
            .http
            .get(format!(
                "https://graph.localhost:{port}/v1.0/servicePrincipals/{id}"
            ))
            .bearer_auth(token),
    );
    assert_eq!(refused.error(), (403, "Authorization_RequestDenied"));
}

#[test]
fn what_a_responder_looks_up_is_there() {
    let bench = Bench::new();
    let get = |path: &str, version: &str| {
        bench
            .get(&format!("{}?api-version={version}", at(path)))
            .body
    };
    let vault = get(
        "rg-hard-prod/Microsoft.KeyVault/vaults/kv-hard",
        "2023-07-01",
    );
    assert_eq!(
        vault["properties"]["accessPolicies"][0]["objectId"],
        "66666666-6666-4666-8666-666666666602"
    );
    let identity = get(
        "rg-hard-prod/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared",
        "2023-01-31",
    );
    let machine = get(
        "rg-hard-prod/Microsoft.Compute/virtualMachines/vm-other-01",
        "2024-11-01",
    );
    let assigned = machine["identity"]["userAssignedIdentities"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(
        assigned["principalId"],
        identity["properties"]["principalId"]
    );
    let account = get(
        "rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu",
        "2023-05-01",
    );
    let endpoint = account["properties"]["primaryEndpoints"]["blob"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(endpoint.starts_with("https://stforensicirprodweu.blob.localhost:"));
    let container = "rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu/blobServices/default/containers/ir-evidence";
    assert_eq!(
        get(container, "2023-05-01")["properties"]["hasImmutabilityPolicy"],
        true
    );
    assert_eq!(
        get(
            &format!("{container}/immutabilityPolicies/default"),
            "2023-05-01"
        )["properties"]["state"],
        "Locked"
    );
    let tenants = bench.get("/tenants?api-version=2022-12-01");
    assert_eq!(
        tenants.each("tenantId"),
        ["11111111-1111-4111-8111-111111111111"]
    );
}
