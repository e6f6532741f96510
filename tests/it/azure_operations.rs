//! Long-running operations in every pattern that ARM uses, to an end that is known or said to be unknown.

use azir::azure::{Error, OutcomeKind, ReadRequest};

use super::azure_server::{Bench, Reply, Server, answer, arm, error};

const VM: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";
const STATUS: (&str, &str) = (
    "azure-asyncoperation",
    "{base}/operations/1?api-version=1&s=signed",
);
const RESULT: (&str, &str) = ("location", "{base}/results/1?api-version=1&s=signed");

fn running() -> Reply {
    answer(200, &[], r#"{"status":"InProgress"}"#)
}

fn succeeded() -> Reply {
    answer(200, &[], r#"{"status":"Succeeded"}"#)
}

fn resource(state: &str) -> Reply {
    let body = format!(r#"{{"name":"v","properties":{{"provisioningState":"{state}"}}}}"#);
    answer(200, &[], &body)
}

#[tokio::test]
async fn a_put_is_followed_by_its_status_and_answered_with_the_resource() {
    for status in [200, 201, 202] {
        let begun = answer(status, &[STATUS, RESULT], "{}");
        let server =
            Server::start(vec![begun, running(), succeeded(), resource("Succeeded")]).await;
        let bench = Bench::of(&server);
        let response = bench.write("PUT", VM, true).await.unwrap();
        assert_eq!(response.json().unwrap()["name"], "v", "{status}");
        assert!(response.read_back);
        let (put, get) = (format!("PUT {VM}"), format!("GET {VM}"));
        let status_line = "GET /operations/1".to_owned();
        let lines = [put, status_line.clone(), status_line, get];
        assert_eq!(server.lines(), lines);
        let operation = bench.told.last().operation.unwrap();
        assert_eq!(
            (operation.polls, operation.state.as_str()),
            (2, "Succeeded")
        );
        assert_eq!(operation.path, "/operations/1");
        assert_eq!(
            bench.told.kinds(),
            [OutcomeKind::Ok],
            "polls are counted, not announced"
        );
        // Half a second, then by 1.5.
        assert_eq!(bench.waited().as_millis(), 1_250);
    }
}

#[tokio::test]
async fn polling_keeps_to_the_services_own_pace() {
    let begun = answer(202, &[STATUS, ("retry-after", "7")], "");
    let slow = answer(200, &[("retry-after", "11")], r#"{"status":"Running"}"#);
    let server = Server::start(vec![begun, slow, succeeded()]).await;
    let bench = Bench::of(&server);
    bench.write("DELETE", VM, true).await.unwrap();
    assert_eq!(bench.waited().as_secs(), 18);
}

#[tokio::test]
async fn a_location_is_polled_until_it_is_no_202_and_a_newer_one_is_followed() {
    let begun = answer(202, &[RESULT], "");
    let newer = answer(202, &[("location", "/results/2?s=x")], "");
    let server = Server::start(vec![begun, newer, answer(200, &[], r#"{"sas":"x"}"#)]).await;
    let bench = Bench::of(&server);
    let response = bench.write("POST", VM, false).await.unwrap();
    assert_eq!(response.json().unwrap()["sas"], "x");
    let lines = server.lines();
    assert_eq!(lines[1..], ["GET /results/1", "GET /results/2"]);
}

#[tokio::test]
async fn a_change_that_is_accepted_with_a_location_is_waited_for_and_read_afterwards() {
    let begun = answer(202, &[RESULT], "");
    let server = Server::start(vec![
        begun,
        answer(202, &[], ""),
        answer(200, &[], ""),
        resource("Succeeded"),
    ])
    .await;
    let bench = Bench::of(&server);
    let response = bench.write("PATCH", VM, true).await.unwrap();
    assert_eq!(response.json().unwrap()["name"], "v");
    assert!(response.read_back);
    let poll = "GET /results/1".to_owned();
    let lines = [
        format!("PATCH {VM}"),
        poll.clone(),
        poll,
        format!("GET {VM}"),
    ];
    assert_eq!(server.lines(), lines);
    assert_eq!(bench.told.kinds(), [OutcomeKind::Ok]);
}

#[tokio::test]
async fn without_any_address_the_resource_is_watched() {
    let replies = vec![
        resource("Updating"),
        resource("Updating"),
        resource("Succeeded"),
    ];
    let server = Server::start(replies).await;
    Bench::of(&server).write("PATCH", VM, true).await.unwrap();
    assert_eq!(server.seen().len(), 3);

    let replies = vec![
        answer(202, &[], ""),
        resource("Deleting"),
        error(404, "NotFound", &[]),
    ];
    let server = Server::start(replies).await;
    Bench::of(&server).write("DELETE", VM, true).await.unwrap();
    assert_eq!(
        server.left(),
        0,
        "a delete is over when the resource is gone"
    );
}

#[tokio::test]
async fn a_post_is_answered_with_its_location_or_the_status_output() {
    let begun = answer(202, &[STATUS, RESULT], "");
    let server = Server::start(vec![
        begun,
        succeeded(),
        answer(200, &[], r#"{"rules":[]}"#),
    ])
    .await;
    let response = Bench::of(&server).write("POST", VM, false).await.unwrap();
    assert_eq!(
        response.json().unwrap()["rules"].as_array().map(Vec::len),
        Some(0)
    );

    let done = r#"{"status":"Succeeded","properties":{"output":{"accessSAS":"u"}}}"#;
    let server = Server::start(vec![answer(202, &[STATUS], ""), answer(200, &[], done)]).await;
    let response = Bench::of(&server).write("POST", VM, false).await.unwrap();
    assert_eq!(response.json().unwrap()["accessSAS"], "u");
    assert!(
        !response.read_back,
        "the result of an action is no resource"
    );
}

#[tokio::test]
async fn a_post_that_reads_is_followed_too() {
    let path = format!("{VM}/effectiveNetworkSecurityGroups");
    let replies = vec![
        answer(202, &[RESULT], ""),
        answer(202, &[], ""),
        answer(200, &[], r#"{"value":[1]}"#),
    ];
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    let request = ReadRequest::new(arm("POST", &path)).unwrap();
    let response = bench.client.read(&request, &bench.told).await.unwrap();
    assert_eq!(response.json().unwrap()["value"][0], 1);
}

#[tokio::test]
async fn failed_and_canceled_inside_200_are_failures() {
    let failed = r#"{"status":"Failed","error":{"code":"Conflict","message":"busy"}}"#;
    for (body, code) in [
        (failed, "Conflict"),
        (r#"{"status":"Canceled"}"#, "Canceled"),
    ] {
        let server = Server::start(vec![answer(202, &[STATUS], ""), answer(200, &[], body)]).await;
        let bench = Bench::of(&server);
        let error = bench.write("PUT", VM, true).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(bench.told.kinds(), [OutcomeKind::Failed]);
        assert_eq!(bench.told.last().operation.unwrap().state, "Failed");
    }
    let server = Server::start(vec![resource("Failed"), resource("Failed")]).await;
    let error = Bench::of(&server).write("PUT", VM, true).await.unwrap_err();
    assert_eq!(error.code(), "Failed");
}

#[tokio::test]
async fn a_group_that_cannot_be_deleted_says_so_by_the_poll() {
    let blocked = r#"{"Error":{"Code":"ResourceGroupDeletionBlocked","Message":"locked"}}"#;
    let server = Server::start(vec![answer(202, &[RESULT], ""), answer(409, &[], blocked)]).await;
    let error = Bench::of(&server)
        .write("DELETE", VM, true)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ResourceGroupDeletionBlocked");
}

#[tokio::test]
async fn when_the_record_is_gone_the_resource_tells() {
    for status in [403, 404, 410] {
        let begun = || answer(202, &[STATUS], "");
        let gone = || error(status, "x", &[]);
        let replies = vec![begun(), gone(), resource("Updating"), resource("Succeeded")];
        let server = Server::start(replies).await;
        let response = Bench::of(&server).write("PUT", VM, true).await.unwrap();
        assert_eq!(response.json().unwrap()["name"], "v", "{status}");

        let replies = vec![
            begun(),
            gone(),
            resource("Deleting"),
            error(404, "NotFound", &[]),
        ];
        let server = Server::start(replies).await;
        Bench::of(&server).write("DELETE", VM, true).await.unwrap();
        assert_eq!(server.left(), 0, "{status}");

        let server = Server::start(vec![begun(), gone()]).await;
        let bench = Bench::of(&server);
        let error = bench.write("POST", VM, false).await.unwrap_err();
        assert!(
            error.is_unknown(),
            "{status}: of an action nothing tells: {error}"
        );
        assert_eq!(bench.told.kinds(), [OutcomeKind::Unknown]);
    }
}

#[tokio::test]
async fn a_write_that_was_accepted_has_not_failed_because_its_result_cannot_be_read() {
    let replies = vec![
        answer(202, &[STATUS], r#"{"name":"v"}"#),
        succeeded(),
        error(403, "AuthorizationFailed", &[]),
    ];
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    let response = bench.write("PUT", VM, true).await.unwrap();
    assert_eq!(response.status, 202);
    assert!(
        !response.read_back,
        "so that whoever checks the write reads for itself"
    );
    let notes = bench.told.notes.lock().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.to_string().contains("AuthorizationFailed"))
    );
}

#[tokio::test]
async fn trouble_on_the_way_does_not_end_the_polling() {
    let replies = vec![
        answer(202, &[STATUS], ""),
        error(503, "x", &[]),
        Reply::Reset,
        error(429, "x", &[("retry-after", "3")]),
        error(401, "ExpiredAuthenticationToken", &[]),
        succeeded(),
    ];
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    bench.write("DELETE", VM, true).await.unwrap();
    assert_eq!((server.left(), bench.tokens.given()), (0, 2));
}

#[tokio::test]
async fn an_operation_that_never_ends_is_unknown_after_half_an_hour() {
    let mut replies = vec![answer(202, &[STATUS], "")];
    replies
        .extend((0..10).map(|_| answer(200, &[("retry-after", "300")], r#"{"status":"Running"}"#)));
    let server = Server::start(replies).await;
    let bench = Bench::of(&server);
    let error = bench.write("PUT", VM, true).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert_eq!(bench.told.last().operation.unwrap().state, "Running");
}

#[tokio::test]
async fn the_signed_parts_of_polling_addresses_are_told_to_nobody() {
    let server = Server::start(vec![answer(202, &[STATUS], ""), error(404, "x", &[])]).await;
    let bench = Bench::of(&server);
    let error = bench.write("POST", VM, false).await.unwrap_err();
    let told = format!("{error} {error:?} {:?}", bench.told.last());
    assert!(!told.contains("signed"), "{told}");
    assert!(
        server.seen()[1].line.contains("s=signed"),
        "and are sent as they came"
    );
    assert!(matches!(error, Error::Unknown { .. }));
}
