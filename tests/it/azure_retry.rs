//! What the client sends again, after how long, and what it calls unknown.

use std::time::Duration;

use azir::azure::{Error, OutcomeKind, Plane, ReadRequest};

use super::azure_server::{Bench, Reply, Server, answer, arm, error};

const VM: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";

fn seconds(bench: &Bench) -> f64 {
    bench.waited().as_secs_f64()
}

#[tokio::test]
async fn reads_are_sent_again_on_every_passing_error() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = Server::start(vec![error(status, "x", &[]), answer(200, &[], "{}")]).await;
        let bench = Bench::of(&server);
        let response = bench.get(VM).await.unwrap();
        assert_eq!((response.status, server.left()), (200, 0), "{status}");
        assert!(seconds(&bench) > 0.3, "{status}: {}", seconds(&bench));
    }
    for reply in [Reply::Reset, Reply::Truncate] {
        let server = Server::start(vec![reply, answer(200, &[], "{}")]).await;
        assert_eq!(Bench::of(&server).get(VM).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn what_the_service_asks_for_is_waited_exactly() {
    // The manual clock stands at 2026-09-21T14:13:20Z.
    for (name, value, wait) in [
        ("retry-after", "17", 17_000),
        ("retry-after", "Mon, 21 Sep 2026 14:14:00 GMT", 40_000),
        ("retry-after-ms", "250", 250),
        ("x-ms-retry-after-ms", "1500", 1_500),
    ] {
        let refusal = error(429, "SubscriptionRequestsThrottled", &[(name, value)]);
        let server = Server::start(vec![refusal, answer(200, &[], "{}")]).await;
        let bench = Bench::of(&server);
        bench.get(VM).await.unwrap();
        let waited = bench.waited();
        // After a hold the bucket begins with one request, so nothing is added.
        assert_eq!(waited, Duration::from_millis(wait), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_hold_holds_other_requests_of_the_same_bucket_and_no_others() {
    let refusal = error(
        429,
        "SubscriptionRequestsThrottled",
        &[("retry-after", "30")],
    );
    let missing = || error(404, "ResourceNotFound", &[]);
    let server = Server::start(vec![refusal, missing(), missing()]).await;
    let mut bench = Bench::of(&server);
    // The first gives up at once, so that all the waiting is done by those who come after it.
    let patient = bench.client.clone();
    bench.client = patient.giving_up_after(Duration::from_secs(1));
    assert!(bench.get(VM).await.unwrap_err().is_throttled());
    assert_eq!(bench.waited(), Duration::ZERO);
    bench.client = patient;
    bench.get("/subscriptions/another/x").await.unwrap_err();
    assert_eq!(bench.waited(), Duration::ZERO);
    bench.get("/subscriptions/S/other").await.unwrap_err();
    assert_eq!(bench.waited(), Duration::from_secs(30));
}

#[tokio::test]
async fn what_will_not_change_is_not_sent_again() {
    for (status, code) in [
        (400, "BadRequest"),
        (403, "AuthorizationFailed"),
        (404, "ResourceNotFound"),
        (409, "ScopeLocked"),
        (409, "Conflict"),
        (412, "PreconditionFailed"),
    ] {
        let server = Server::start(vec![error(status, code, &[])]).await;
        let bench = Bench::of(&server);
        let failed = bench.write("PUT", VM, true).await.unwrap_err();
        assert_eq!((failed.status(), failed.code()), (Some(status), code));
        assert_eq!(server.seen().len(), 1, "{code}");
        assert_eq!(bench.told.kinds(), [OutcomeKind::Failed], "{code}");
    }
}

#[tokio::test]
async fn a_busy_network_resource_is_waited_for_without_holding_others() {
    let busy = error(429, "RetryableError", &[]);
    let server = Server::start(vec![busy, answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    bench.write("PUT", VM, true).await.unwrap();
    assert!(
        (4.0..=6.0).contains(&seconds(&bench)),
        "{}",
        seconds(&bench)
    );
}

#[tokio::test]
async fn a_post_that_may_have_happened_is_unknown_and_never_sent_twice() {
    for reply in [
        Reply::Reset,
        Reply::Truncate,
        error(500, "InternalServerError", &[]),
        error(502, "BadGateway", &[]),
        error(504, "GatewayTimeout", &[]),
        error(503, "ServiceUnavailable", &[]),
    ] {
        let server = Server::start(vec![reply]).await;
        let bench = Bench::of(&server);
        let failed = bench.write("POST", VM, false).await.unwrap_err();
        assert_eq!(server.seen().len(), 1);
        assert_eq!(bench.told.kinds(), [OutcomeKind::Unknown]);
        assert!(failed.is_unknown(), "{failed}");
    }
}

#[tokio::test]
async fn a_post_that_was_throttled_was_not_carried_out_and_goes_again() {
    let refusal = error(429, "TooManyRequests", &[("retry-after", "1")]);
    let server = Server::start(vec![refusal, answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    bench.write("POST", VM, false).await.unwrap();
    let kinds = bench.told.kinds();
    assert_eq!(kinds, [OutcomeKind::Failed, OutcomeKind::Ok]);
    let calls = bench.told.calls.lock().unwrap();
    assert_ne!(calls[0].client_request_id, calls[1].client_request_id);
    for (seen, call) in server.seen().iter().zip(calls.iter()) {
        let sent = seen.header("x-ms-client-request-id").unwrap();
        assert_eq!(sent, call.client_request_id.to_string());
    }
}

#[tokio::test]
async fn an_idempotent_write_that_got_lost_is_settled_by_the_next_answer() {
    let server = Server::start(vec![Reply::Reset, answer(200, &[], "{}")]).await;
    let bench = Bench::of(&server);
    bench.write("PUT", VM, true).await.unwrap();
    assert_eq!(bench.told.kinds(), [OutcomeKind::Unknown, OutcomeKind::Ok]);
    assert_eq!(*bench.told.settled.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_write_that_got_lost_stays_unknown_whatever_comes_after() {
    // The host goes away: "nothing was sent" is true of the later attempts alone.
    let server = Server::start(vec![Reply::ResetAndLeave]).await;
    let bench = Bench::of(&server);
    let failed = bench.write("PUT", VM, true).await.unwrap_err();
    assert!(failed.is_unknown(), "{failed}");
    assert!(bench.told.kinds().len() > 1);

    // The resource has changed: perhaps by the attempt that got lost.
    let server = Server::start(vec![Reply::Reset, error(412, "PreconditionFailed", &[])]).await;
    let bench = Bench::of(&server);
    let failed = bench.write("PUT", VM, true).await.unwrap_err();
    assert!(failed.is_unknown(), "{failed}");
    assert_eq!(
        bench.told.kinds(),
        [OutcomeKind::Unknown, OutcomeKind::Failed]
    );
}

#[tokio::test]
async fn nothing_sent_is_no_unknown() {
    let server = Server::start(vec![Reply::ResetAndLeave]).await;
    let first = Bench::of(&server);
    // Takes the one reply, after which nobody listens.
    assert!(matches!(
        first.get(VM).await,
        Err(Error::Unreachable { .. })
    ));
    let bench = Bench::of(&server);
    let failed = bench.write("POST", VM, false).await.unwrap_err();
    assert!(matches!(failed, Error::Unreachable { .. }), "{failed}");
    assert!(
        bench
            .told
            .kinds()
            .iter()
            .all(|kind| *kind == OutcomeKind::Failed)
    );
}

#[tokio::test]
async fn what_the_observer_refuses_is_not_sent() {
    let server = Server::start(vec![error(500, "x", &[]), answer(200, &[], "{}")]).await;
    let mut bench = Bench::of(&server);
    bench.told.refuse = Some(2);
    let failed = bench.write("PUT", VM, true).await.unwrap_err();
    assert!(failed.is_halted(), "{failed}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn patience_can_be_limited() {
    let refusal = || error(429, "TooManyRequests", &[("retry-after", "60")]);
    let server = Server::start((0..9).map(|_| refusal()).collect()).await;
    let mut bench = Bench::of(&server);
    bench.client = bench.client.giving_up_after(Duration::from_secs(150));
    let failed = bench.get(VM).await.unwrap_err();
    assert!(failed.is_throttled(), "{failed}");
    assert_eq!(server.seen().len(), 3, "at 0, 60 and 120 seconds");
}

#[tokio::test]
async fn pages_of_a_proxy_and_cut_json_are_errors_and_no_panics() {
    let page = answer(
        403,
        &[("content-type", "text/html")],
        "<html><h1>Blocked</h1></html>",
    );
    let server = Server::start(vec![page]).await;
    let failed = Bench::of(&server).get(VM).await.unwrap_err();
    assert_eq!((failed.status(), failed.code()), (Some(403), "HTTP403"));

    let half = || answer(200, &[], "{\"value\":[");
    let server = Server::start(vec![half(), half(), answer(200, &[], "{}")]).await;
    assert!(
        Bench::of(&server).get(VM).await.is_ok(),
        "half an answer is asked for again"
    );
    assert_eq!(server.seen().len(), 3);
    let server = Server::start((0..8).map(|_| half()).collect()).await;
    let failed = Bench::of(&server).get(VM).await.unwrap_err();
    assert!(matches!(failed, Error::Malformed { .. }), "{failed}");

    let bad = || answer(200, &[("content-encoding", "gzip")], "this is no gzip");
    let server = Server::start((0..8).map(|_| bad()).collect()).await;
    let failed = Bench::of(&server).get(VM).await.unwrap_err();
    assert!(matches!(failed, Error::Malformed { .. }), "{failed}");
}

#[tokio::test]
async fn the_clock_is_compared_with_the_clouds() {
    let date = [("date", "Mon, 21 Sep 2026 14:12:20 GMT")];
    let server = Server::start(vec![answer(200, &date, "{}")]).await;
    let bench = Bench::of(&server);
    assert_eq!(bench.client.clock_offset_ms(), None);
    bench.get(VM).await.unwrap();
    assert_eq!(bench.client.clock_offset_ms(), Some(59_500));
}

#[tokio::test]
async fn a_refusal_is_waited_out_also_where_no_limit_of_ours_is_meant() {
    for (plane, path, limit) in [
        (
            Plane::Graph,
            "/v1.0/auditLogs/signIns",
            "WriteLimitExceeded",
        ),
        (Plane::Blob, "/container/blob", "none"),
    ] {
        let headers = [("retry-after", "17"), ("x-ms-throttle-information", limit)];
        let refusal = error(429, "TooManyRequests", &headers);
        let server = Server::start(vec![refusal, answer(200, &[], "{}")]).await;
        let bench = Bench::of(&server);
        let mut parts = arm("GET", path);
        parts.plane = plane;
        parts.api_version = None;
        if plane == Plane::Blob {
            parts.path_or_url = format!("{}{path}", server.base);
            bench.client.allow_from_arm(&server.base).unwrap();
        }
        let request = ReadRequest::new(parts).unwrap();
        bench.client.read(&request, &bench.told).await.unwrap();
        assert_eq!(bench.waited(), Duration::from_secs(17), "{path}");
    }
}

#[tokio::test]
async fn a_query_of_the_logs_that_waits_in_a_queue_or_runs_out_of_time_is_asked_again() {
    for (status, code, wait) in [
        (429, "ThrottledError", Some("17")),
        (504, "GatewayTimeout", None),
    ] {
        let headers: Vec<_> = wait.iter().map(|wait| ("retry-after", *wait)).collect();
        let server =
            Server::start(vec![error(status, code, &headers), answer(200, &[], "{}")]).await;
        let bench = Bench::of(&server);
        let mut parts = arm("POST", &format!("{}/v1/workspaces/w/query", server.base));
        parts.plane = Plane::Logs;
        parts.api_version = None;
        parts.body = Some(bytes::Bytes::from_static(br#"{"query":"SigninLogs"}"#));
        let request = ReadRequest::new(parts).unwrap();
        let answered = bench.client.read(&request, &bench.told).await.unwrap();
        assert_eq!(answered.status, 200, "{code}");
        let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies, [r#"{"query":"SigninLogs"}"#; 2]);
        if wait.is_some() {
            assert_eq!(bench.waited(), Duration::from_secs(17));
        }
    }
}
