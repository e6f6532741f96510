//! Lists to their end, bodies of any size, headers as each plane wants them, and the discovery of a cloud.

use azir::azure::{Cloud, Error, Http, Plane, ReadRequest, RequestParts};
use azir::clock::{Clock as _, ManualClock};

use super::azure_server::{Bench, Reply, Server, answer, arm};

fn parts(plane: Plane, method: &str, path: &str, body: Option<&str>) -> RequestParts {
    let mut parts = arm(method, path);
    parts.plane = plane;
    parts.api_version = None;
    parts.body = body.map(|body| bytes::Bytes::copy_from_slice(body.as_bytes()));
    parts
}

async fn all(bench: &Bench, parts: RequestParts, member: &str) -> Result<usize, Error> {
    let mut pages = bench.client.pages(ReadRequest::new(parts)?, member);
    let mut items = 0;
    while let Some(page) = pages.next_page(&bench.told).await? {
        items += page.len();
    }
    Ok(items)
}

#[tokio::test]
async fn next_links_are_followed_as_they_came_through_empty_pages() {
    let replies = vec![
        answer(
            200,
            &[],
            r#"{"value":[1,2],"@odata.nextLink":"{base}/v1.0/users?$skiptoken=A%2fb%20c&$top=2"}"#,
        ),
        answer(
            200,
            &[],
            r#"{"value":[],"@odata.nextLink":"{base}/v1.0/users?$skiptoken=2"}"#,
        ),
        answer(200, &[], r#"{"value":[3],"@odata.nextLink":""}"#),
    ];
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    let mut first = parts(Plane::Graph, "GET", "/v1.0/users", None);
    first.headers = vec![("ConsistencyLevel".to_owned(), "eventual".to_owned())];
    assert_eq!(all(&bench, first, "value").await.unwrap(), 3);
    let seen = server.seen();
    assert_eq!(seen[1].line, "GET /v1.0/users?$skiptoken=A%2fb%20c&$top=2");
    assert!(
        seen.iter()
            .all(|seen| seen.header("consistencylevel") == Some("eventual"))
    );
    assert!(
        seen.iter()
            .all(|seen| seen.header("client-request-id").is_some())
    );
}

#[tokio::test]
async fn no_content_is_a_list_of_nothing() {
    let (cost, logs) = (
        "/subscriptions/s/providers/Microsoft.CostManagement/query",
        "/v1/workspaces/w/query",
    );
    let server = Server::start(vec![]).await;
    let logs = format!("{}{logs}", server.base);
    for (plane, path) in [(Plane::Arm, cost), (Plane::Logs, &logs)] {
        server.answer_with(vec![answer(204, &[], "")]);
        let bench = Bench::of(&server);
        let query = parts(plane, "POST", path, Some(r#"{"query":"SigninLogs"}"#));
        let request = ReadRequest::new(query).unwrap();
        let mut pages = bench.client.pages(request, "tables");
        assert_eq!(pages.next_page(&bench.told).await.unwrap(), Some(vec![]));
        assert_eq!(pages.next_page(&bench.told).await.unwrap(), None, "{path}");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_list_that_leads_back_ends_with_an_error() {
    let page = || answer(200, &[], r#"{"value":[1],"nextLink":"{base}/list?page=2"}"#);
    let server = Server::start(vec![page(), page(), page()]).await;
    let bench = Bench::of(&server);
    let error = all(&bench, arm("GET", "/list"), "value").await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn resource_graph_is_paged_by_token_in_the_body() {
    let graph = || {
        let body = Some(r#"{"query":"resources","options":{"$top":2}}"#);
        parts(
            Plane::Arm,
            "POST",
            "/providers/Microsoft.ResourceGraph/resources",
            body,
        )
    };
    let replies = vec![
        answer(
            200,
            &[],
            r#"{"data":[1,2],"$skipToken":"T","resultTruncated":"true"}"#,
        ),
        answer(200, &[], r#"{"data":[3],"resultTruncated":"false"}"#),
    ];
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    assert_eq!(all(&bench, graph(), "data").await.unwrap(), 3);
    let second: serde_json::Value = serde_json::from_str(&server.seen()[1].body).unwrap();
    assert_eq!(second["options"]["$skipToken"], "T");
    assert_eq!(
        (&second["options"]["$top"], &second["query"]),
        (&2.into(), &"resources".into())
    );

    let cut = answer(200, &[], r#"{"data":[1],"resultTruncated":"true"}"#);
    let server = Server::start(vec![cut]).await;
    let bench = Bench::of(&server);
    let error = all(&bench, graph(), "data").await.unwrap_err();
    assert!(
        error.to_string().contains("cut short by the service"),
        "no way to the rest is said, and what was read does not pass for all: {error}"
    );
}

#[tokio::test]
async fn rows_beside_an_error_are_kept_and_are_not_all() {
    let part =
        r#"{"tables":[{"rows":[[1]]}],"error":{"code":"PartialError","message":"too many"}}"#;
    let server = Server::start(vec![answer(200, &[], part)]).await;
    let bench = Bench::of(&server);
    let at = format!("{}/v1/workspaces/w/query", server.base);
    let query = parts(Plane::Logs, "POST", &at, Some(r#"{"query":"SigninLogs"}"#));
    let request = ReadRequest::new(query).unwrap();
    let mut pages = bench.client.pages(request, "tables");
    let first = pages.next_page(&bench.told).await.unwrap().unwrap();
    assert_eq!(first.len(), 1);
    let error = pages.next_page(&bench.told).await.unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
}

#[tokio::test]
async fn a_posted_query_is_not_posted_to_an_address_that_writes() {
    let query = "/subscriptions/s/providers/Microsoft.CostManagement/query";
    let link = |path: &str| {
        let body = r#"{"properties":{"rows":[[1]],"nextLink":"{base}PATH?$skiptoken=1"}}"#;
        answer(200, &[], &body.replace("PATH", path))
    };
    let last = answer(200, &[], r#"{"properties":{"rows":[[2]],"nextLink":null}}"#);
    let server = Server::start(vec![link(query), last]).await;
    let bench = Bench::of(&server);
    let cost = || parts(Plane::Arm, "POST", query, Some(r#"{"type":"Usage"}"#));
    assert_eq!(all(&bench, cost(), "properties.rows").await.unwrap(), 2);
    let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [r#"{"type":"Usage"}"#, r#"{"type":"Usage"}"#]);

    let server = Server::start(vec![link("/vm/deallocate"), answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    assert!(all(&bench, cost(), "properties.rows").await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn evidence_is_streamed_as_it_is_stored() {
    let server = Server::start(vec![]).await;
    let stored = vec![0x1f, 0x8b, 0xff, 0x00, 0x80];
    let gzip = ("content-encoding".to_owned(), "gzip".to_owned());
    let blobs = Server::start(vec![
        Reply::Answer(200, vec![gzip], stored.clone()),
        Reply::Truncate,
    ])
    .await;
    let bench = Bench::of(&server);
    bench.client.allow_from_arm(&blobs.base).unwrap();
    let request = || {
        let mut parts = parts(Plane::Blob, "GET", &format!("{}/c/b", blobs.base), None);
        parts.headers = vec![("x-ms-version".to_owned(), "2022-11-02".to_owned())];
        ReadRequest::new(parts).unwrap()
    };
    let mut download = bench
        .client
        .download(&request(), &bench.told)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, stored);
    let sent = blobs.seen()[0].clone();
    assert_eq!(
        sent.head.matches("x-ms-version").count(),
        1,
        "{}",
        sent.head
    );
    assert_eq!(sent.header("x-ms-version"), Some("2022-11-02"));
    assert_eq!(
        sent.header("x-ms-date"),
        Some("Mon, 21 Sep 2026 14:13:20 GMT")
    );
    assert_eq!(sent.header("accept-encoding"), None);

    let mut cut = bench
        .client
        .download(&request(), &bench.told)
        .await
        .unwrap();
    let mut broke = false;
    while let Some(_piece) = cut.chunk().await.unwrap_or_else(|_| {
        broke = true;
        None
    }) {}
    assert!(broke, "a body that breaks off is no whole body");
}

#[tokio::test]
async fn a_cloud_is_discovered_from_an_object_or_a_list() {
    let one = r#"{"name":"lab","authentication":{"loginEndpoint":"{base}/","audiences":["{base}"]},
        "resourceManager":"{base}","microsoftGraphResourceId":"{base}","suffixes":{"storage":"localhost","keyVaultDns":".vault.localhost"}}"#;
    let other = r#"{"name":"other","resourceManager":"https://elsewhere.example","authentication":{"loginEndpoint":"https://elsewhere.example"}}"#;
    let http = Http::new(None).unwrap();
    let clock = ManualClock::at(chrono::Utc::now());
    for body in [one.to_owned(), format!("[{other},{one}]")] {
        let server = Server::start(vec![answer(200, &[], &body)]).await;
        let cloud = Cloud::find(&server.base, &http, &clock).await.unwrap();
        assert_eq!(
            (cloud.name.as_str(), cloud.vault_suffix.as_str()),
            ("lab", "vault.localhost")
        );
        assert_eq!(cloud.arm_scope, format!("{}/.default", server.base));
        let asked = server.seen()[0].clone();
        assert_eq!(asked.line, "GET /metadata/endpoints?api-version=2022-09-01");
        assert_eq!(asked.header("authorization"), None);
    }
    let two = format!("[{other},{other}]");
    // What passes is waited for; what does not is refused after a few attempts.
    let server = Server::start(vec![
        answer(503, &[("Retry-After", "1")], "{}"),
        answer(200, &[], "<html>"),
        answer(200, &[], one),
    ])
    .await;
    let began = clock.mono_us();
    assert!(Cloud::find(&server.base, &http, &clock).await.is_ok());
    assert_eq!(server.seen().len(), 3);
    assert!(clock.mono_us() - began >= 1_000_000);
    for body in [two.as_str(), "[]", "{}", "<html>"] {
        let server = Server::start((0..5).map(|_| answer(200, &[], body)).collect()).await;
        assert!(
            Cloud::find(&server.base, &http, &clock).await.is_err(),
            "{body}"
        );
    }
    for name in ["http://management.example", "no-cloud", "ftp://localhost"] {
        assert!(Cloud::find(name, &http, &clock).await.is_err(), "{name}");
    }
    assert!(Http::new(Some(b"no certificate")).is_err());
}
