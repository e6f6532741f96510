//! What the client does with addresses that a service names, and with operations that go wrong after a write was taken.

use super::azure_server::{Reply, Server, answer, error};
use super::fault_kit::{self, KINDS, hold, many, page, throttled};

/// Every address that a service can name outside of the cloud.
#[tokio::test]
async fn no_token_goes_where_a_service_points() {
    let evil = Server::start(Vec::new()).await;
    let there = format!("{}/steal", evil.base);
    let begun = |name: &str| answer(202, &[(name, there.as_str())], "");
    let running = || answer(200, &[], r#"{"status":"InProgress"}"#);
    let own = ("azure-asyncoperation", "{base}/operations/1");
    let mut rows = String::new();
    for (fault, script) in [
        (
            "a foreign redirect",
            &(|| vec![answer(302, &[("location", there.as_str())], "")]) as &dyn Fn() -> Vec<Reply>,
        ),
        ("a foreign `Location`", &|| vec![begun("location")]),
        ("a foreign `Azure-AsyncOperation`", &|| {
            vec![begun("azure-asyncoperation")]
        }),
        ("a poll that is redirected to elsewhere", &|| {
            vec![
                answer(202, &[own], ""),
                running(),
                answer(302, &[("location", there.as_str())], ""),
            ]
        }),
    ] {
        rows += &fault_kit::row(fault, &KINDS, script).await;
    }
    assert_eq!(evil.seen().len(), 0, "somebody else got a request");
    hold("addresses", &rows);
}

/// Everything that can happen to an operation after the write was accepted.
#[tokio::test]
async fn an_operation_ends_or_is_said_to_be_unknown() {
    let status = ("azure-asyncoperation", "{base}/operations/1");
    let begun = || answer(202, &[status], "");
    let state = |state: &str| answer(200, &[], &format!(r#"{{"status":"{state}"}}"#));
    let slow = || answer(200, &[("retry-after", "300")], r#"{"status":"Running"}"#);
    let failed = || {
        answer(
            200,
            &[],
            r#"{"status":"Failed","error":{"code":"Conflict","message":"busy"}}"#,
        )
    };
    let mut rows = String::new();
    for (fault, script) in [
        (
            "it fails inside 200",
            &(|| vec![begun(), failed()]) as &dyn Fn() -> Vec<Reply>,
        ),
        ("it never ends", &|| {
            std::iter::once(begun()).chain(many(slow)).collect()
        }),
        ("its polls are throttled for ever", &|| {
            std::iter::once(begun())
                .chain(many(|| throttled("retry-after", "800")))
                .collect()
        }),
        ("it asks to wait for longer than there is time", &|| {
            vec![answer(
                202,
                &[status, ("retry-after", "18446744073709551615")],
                "",
            )]
        }),
        (
            "a poll is answered by a page of something in between",
            &|| vec![begun(), page(200), state("Succeeded")],
        ),
        ("a poll's JSON is cut", &|| {
            vec![
                begun(),
                answer(200, &[], "{\"status\":"),
                state("Succeeded"),
            ]
        }),
        (
            "a `Location` is answered by a page of something in between",
            &|| {
                vec![
                    answer(202, &[("location", "{base}/results/1")], ""),
                    page(200),
                    answer(202, &[], ""),
                    answer(200, &[], "{}"),
                ]
            },
        ),
        ("a poll is redirected", &|| {
            vec![
                begun(),
                answer(307, &[("location", "{base}/elsewhere")], ""),
            ]
        }),
        ("the token expires between polls", &|| {
            vec![
                begun(),
                error(401, "ExpiredAuthenticationToken", &[]),
                state("Succeeded"),
            ]
        }),
        ("its record is gone", &|| {
            vec![begun(), error(404, "NotFound", &[])]
        }),
    ] {
        rows += &fault_kit::row(fault, &KINDS[1..], script).await;
    }
    hold("operations", &rows);
}
