//! Signing in to the lab: tokens, their errors, discovery, and what each plane makes of a token.

use azir::lab::scenario::Scenario;
use serde_json::json;

use crate::lab_support::{Bench, COMPUTE, SUB, TENANT, at};

#[test]
fn entra_refuses_in_its_own_words() {
    let mut scenario = Scenario::load("default").unwrap();
    scenario.elsewhere.push("tenant-of-a-government".to_owned());
    let bench = Bench::with(scenario, |_| {});
    let ready = bench.lab.ready();
    let ask = |tenant: &str, client: &str, secret: &str, grant: &str| {
        let scope = format!("{}/.default", ready.arm);
        let form = [
            ("grant_type", grant),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", &scope),
        ];
        let answer = bench.send(
            bench
                .http
                .post(format!("{}/{tenant}/oauth2/v2.0/token", ready.arm))
                .form(&form),
        );
        (
            answer.status,
            answer.body["error"].as_str().unwrap_or("").to_owned(),
            answer.body["error_codes"][0].as_u64(),
        )
    };
    let (client, secret, grant) = (
        ready.client_id.as_str(),
        ready.client_secret.as_str(),
        "client_credentials",
    );
    assert_eq!(
        ask(TENANT, client, "guess", grant),
        (401, "invalid_client".into(), Some(7_000_215))
    );
    assert_eq!(
        ask(TENANT, "nobody", secret, grant),
        (400, "unauthorized_client".into(), Some(700_016))
    );
    assert_eq!(
        ask("another-tenant", client, secret, grant),
        (400, "invalid_request".into(), Some(90_002))
    );
    assert_eq!(
        ask("tenant-of-a-government", client, secret, grant),
        (400, "invalid_request".into(), Some(90_038))
    );
    assert_eq!(
        ask(TENANT, client, secret, "password"),
        (400, "unsupported_grant_type".into(), Some(70_003))
    );
    assert_eq!(ask(TENANT, client, secret, grant).0, 200);
}

#[test]
fn a_token_is_good_for_one_plane_and_one_hour() {
    let bench = Bench::new();
    let vm = format!(
        "{}{}?{COMPUTE}",
        bench.lab.ready().arm,
        at("rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01")
    );
    let storage = bench.token_for("https://storage.azure.com/.default");
    let wrong = bench.send(bench.http.get(&vm).bearer_auth(storage));
    assert_eq!(wrong.error(), (401, "InvalidAuthenticationToken"));
    assert!(
        wrong
            .header("www-authenticate")
            .starts_with("Bearer authorization_uri="),
        "{wrong:?}"
    );
    assert_eq!(
        bench.send(bench.http.get(&vm)).error(),
        (401, "AuthenticationFailed")
    );
    assert_eq!(bench.get(&vm).status, 200);
    bench.pass(3_601);
    assert_eq!(bench.get(&vm).error(), (401, "ExpiredAuthenticationToken"));
}

#[test]
fn a_token_that_somebody_else_signed_is_refused() {
    let (bench, other) = (
        Bench::new(),
        Bench::with(
            azir::lab::scenario::Scenario::load("simple").unwrap(),
            |options| {
                options.random = std::sync::Arc::new(azir::random::SeededRandom::new(8));
            },
        ),
    );
    let foreign = other.token_for(&format!("{}/.default", bench.lab.ready().arm));
    let path = format!("{}{SUB}?api-version=2022-12-01", bench.lab.ready().arm);
    assert_eq!(
        bench
            .send(bench.http.get(path).bearer_auth(foreign))
            .error(),
        (401, "InvalidAuthenticationToken")
    );
}

#[test]
fn discovery_leads_from_the_resource_manager_to_the_token_endpoint() {
    let bench = Bench::new();
    let arm = bench.lab.ready().arm.clone();
    let newer = bench
        .send(
            bench
                .http
                .get(format!("{arm}/metadata/endpoints?api-version=2022-09-01")),
        )
        .body;
    let older = bench
        .send(
            bench
                .http
                .get(format!("{arm}/metadata/endpoints?api-version=2019-05-01")),
        )
        .body;
    assert_eq!(older[0], newer);
    assert_eq!(newer["authentication"]["audiences"], json!([arm]));
    let login = newer["authentication"]["loginEndpoint"].as_str().unwrap();
    let openid = bench
        .send(bench.http.get(format!(
            "{login}{TENANT}/v2.0/.well-known/openid-configuration"
        )))
        .body;
    assert_eq!(
        openid["token_endpoint"],
        json!(format!("{arm}/{TENANT}/oauth2/v2.0/token"))
    );
    let instance = bench.send(bench.http.get(format!("{login}common/discovery/instance?api-version=1.1&authorization_endpoint={login}{TENANT}/oauth2/v2.0/authorize"))).body;
    assert_eq!(
        instance["tenant_discovery_endpoint"],
        json!(format!(
            "{login}{TENANT}/v2.0/.well-known/openid-configuration"
        ))
    );
    let bare = bench.send(bench.http.get(format!("{arm}/metadata/endpoints")));
    assert_eq!(bare.error(), (400, "MissingApiVersionParameter"));
}

#[test]
fn the_front_door_knows_versions_types_and_subscriptions() {
    let bench = Bench::new();
    let vm = at("rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01");
    assert_eq!(bench.get(&vm).error(), (400, "MissingApiVersionParameter"));
    assert_eq!(
        bench.get(&format!("{vm}?api-version=latest")).error(),
        (400, "InvalidApiVersionParameter")
    );
    let unknown = bench.get(&format!("{vm}?api-version=1999-01-01"));
    assert_eq!(unknown.error(), (400, "NoRegisteredProviderFound"));
    assert!(
        unknown.text.contains("2024-11-01"),
        "it names the versions there are: {}",
        unknown.text
    );
    assert_eq!(
        bench
            .get(&format!(
                "/subscriptions/other/providers/Microsoft.Compute/virtualMachines?{COMPUTE}"
            ))
            .error(),
        (404, "SubscriptionNotFound")
    );
    assert_eq!(
        bench
            .get(&format!(
                "{}?{COMPUTE}",
                at("rg-none/Microsoft.Compute/virtualMachines/x")
            ))
            .error(),
        (404, "ResourceGroupNotFound")
    );
    for path in [
        "rg-dev/Microsoft.Web/sites/x",
        "rg-dev/Microsoft.Network/azureFirewalls/x",
        "rg-dev/Microsoft.DBforPostgreSQL/flexibleServers/x",
    ] {
        assert_eq!(
            bench.get(&format!("{}?{COMPUTE}", at(path))).error(),
            (501, "NotModelled")
        );
    }
    let filtered = format!(
        "{SUB}/providers/Microsoft.Compute/virtualMachines?{COMPUTE}&$filter=tagName%20eq%20'x'"
    );
    assert_eq!(
        bench.get(&filtered).error(),
        (501, "NotModelled"),
        "a filter that is ignored would be a lie"
    );
    let upper = vm
        .to_uppercase()
        .replace("/SUBSCRIPTIONS", "/subscriptions");
    assert_eq!(
        bench.get(&format!("{upper}?{COMPUTE}")).body["name"],
        "vm-app-01",
        "ids are the same whatever their case"
    );
    assert_eq!(
        bench.get(&format!("/nothing/here?{COMPUTE}")).error(),
        (404, "InvalidResourceType"),
        "what is no route at all is not found"
    );
}

#[test]
fn an_id_has_the_word_for_groups_as_it_was_asked_for_and_a_list_as_it_is_stored() {
    let bench = Bench::new();
    let (compute, vault) = (
        at("rg-workload-prod/Microsoft.Compute/virtualMachines"),
        at("rg-workload-prod/Microsoft.KeyVault/vaults"),
    );
    for (list, name, version) in [
        (&compute, "vm-app-01", COMPUTE),
        (&vault, "kv-shop", "api-version=2023-07-01"),
    ] {
        let id = format!("{list}/{name}");
        for word in ["resourceGroups", "resourcegroups", "RESOURCEGROUPS"] {
            let asked = id.replace("resourceGroups", word);
            let found = bench.get(&format!("{asked}?{version}"));
            assert_eq!(found.body["id"], json!(asked));
            let lower = list.replace("resourceGroups", word);
            let listed = bench.get(&format!("{lower}?{version}"));
            assert!(listed.each("id").contains(&id.as_str()), "{listed:?}");
        }
        // Its other segments are the stored ones, whatever was asked for.
        let upper = id.replace(name, &name.to_uppercase());
        assert_eq!(bench.get(&format!("{upper}?{version}")).body["name"], name);
    }
}

#[test]
fn replies_carry_the_ids_that_a_record_needs() {
    let bench = Bench::new();
    let path = format!("{SUB}?api-version=2022-12-01");
    let plain = bench.send(
        bench
            .request("GET", &path)
            .header("x-ms-client-request-id", "mine"),
    );
    assert_eq!(plain.header("x-ms-client-request-id"), "");
    let echoed = bench.send(
        bench
            .request("GET", &path)
            .header("x-ms-client-request-id", "mine")
            .header("x-ms-return-client-request-id", "true"),
    );
    assert_eq!(echoed.header("x-ms-client-request-id"), "mine");
    for name in [
        "x-ms-request-id",
        "x-ms-correlation-request-id",
        "x-ms-routing-request-id",
        "strict-transport-security",
    ] {
        assert!(!echoed.header(name).is_empty(), "{name}");
    }
    assert_eq!(echoed.header("date"), "Tue, 24 Nov 2026 03:00:00 GMT");
    let last = bench.lab.requests().pop().unwrap();
    assert_eq!(
        (
            last.method.as_str(),
            last.path.as_str(),
            last.status,
            last.write
        ),
        ("GET", SUB, 200, false)
    );
    assert_eq!(
        (
            last.client_request_id.as_deref(),
            last.api_version.as_deref()
        ),
        (Some("mine"), Some("2022-12-01"))
    );
    assert_eq!(last.time, "2026-11-24T03:00:00.000000Z");
}
