//! Reads of the directory that would wait for each other go together, and each has its own answer.

use azir::azure::{Error, Plane, ReadRequest, RequestParts, Response};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::azure_server::{Bench, Reply, Server, answer, error};

/// Reads that are sent alone, however many there are.
const ALONE: usize = 24;

fn user(number: usize) -> ReadRequest {
    ReadRequest::new(RequestParts {
        plane: Plane::Graph,
        method: "GET".to_owned(),
        path_or_url: format!("/v1.0/users/{number}"),
        query: vec![("$select".to_owned(), "id,displayName".to_owned())],
        api_version: None,
        headers: vec![("ConsistencyLevel".to_owned(), "eventual".to_owned())],
        body: None,
    })
    .unwrap()
}

/// Reads so many users at once.
async fn read(bench: &Bench, count: usize) -> Vec<Result<Response, Error>> {
    let requests: Vec<_> = (0..count).map(user).collect();
    let reads = requests
        .iter()
        .map(|request| bench.client.read(request, &bench.told));
    join_all(reads).await
}

fn alone(count: usize) -> Vec<Reply> {
    let one = |_| answer(200, &[], r#"{"id":"alone"}"#);
    (0..count).map(one).collect()
}

fn batch(responses: &Value) -> Reply {
    answer(
        200,
        &[("request-id", "the-batch")],
        &json!({"responses": responses}).to_string(),
    )
}

fn ids(answers: &[Result<Response, Error>]) -> Vec<String> {
    let id = |answer: &Result<Response, Error>| match answer {
        Ok(response) => response.json().unwrap()["id"].as_str().unwrap().to_owned(),
        Err(error) => error.code().to_owned(),
    };
    answers.iter().map(id).collect()
}

fn batches(server: &Server) -> usize {
    let lines = server.lines();
    let batch = lines.iter().filter(|line| *line == "POST /v1.0/$batch");
    batch.count()
}

#[tokio::test]
async fn what_waits_goes_in_one_request_and_each_has_its_own_answer() {
    let mut script = alone(ALONE);
    let own = |id: usize| json!({"id": id.to_string(), "status": 200, "headers": {"Retry-Count": 1}, "body": {"id": format!("own {id}")}});
    // The order of answers says nothing.
    script.push(batch(&(1..=6).rev().map(own).collect()));
    let server = Server::start(script).await;
    let bench = Bench::of(&server);
    let answers = read(&bench, ALONE + 6).await;
    let told = ids(&answers);
    assert!(told[..ALONE].iter().all(|id| id == "alone"));
    assert_eq!(
        told[ALONE..],
        ["own 1", "own 2", "own 3", "own 4", "own 5", "own 6"]
    );
    assert_eq!((batches(&server), server.left()), (1, 0));
    let seen = server.seen();
    let sent: Value = serde_json::from_str(&seen[ALONE].body).unwrap();
    let requests = sent["requests"].as_array().unwrap();
    let calls = bench.told.calls.lock().unwrap();
    assert_eq!(calls.len(), ALONE + 6);
    for (number, request) in requests.iter().enumerate() {
        let call = calls
            .iter()
            .find(|call| call.url.path() == format!("/v1.0/users/{}", ALONE + number))
            .unwrap();
        assert_eq!(call.method, "GET");
        assert_eq!(request["method"], "GET");
        assert_eq!(
            request["url"],
            format!("/users/{}?$select=id%2CdisplayName", ALONE + number)
        );
        assert_eq!(request["headers"]["ConsistencyLevel"], "eventual");
        let id = call.client_request_id.to_string();
        assert_eq!(request["headers"]["client-request-id"], id);
    }
    // What the single answers leave out, the batch's own says.
    let last = answers.last().unwrap().as_ref().unwrap();
    assert_eq!(last.header("request-id"), Some("the-batch"));
    assert_eq!(last.header("retry-count"), Some("1"));
}

#[tokio::test]
async fn what_is_turned_down_in_a_batch_is_sent_again_alone_by_its_own_status() {
    let mut script = alone(ALONE);
    let missing = json!({"error": {"code": "Request_ResourceNotFound", "message": "no"}});
    let busy = json!({"error": {"code": "TooManyRequests", "message": "no"}});
    script.push(batch(&json!([
        {"id": "1", "status": 200, "headers": {}, "body": {"id": "own"}},
        {"id": "2", "status": 404, "headers": {}, "body": missing},
        {"id": "3", "status": 429, "headers": {"Retry-After": "9"}, "body": busy},
    ])));
    // The third once more; of the fourth the batch said nothing.
    script.extend(alone(2));
    let server = Server::start(script).await;
    let bench = Bench::of(&server);
    let answers = read(&bench, ALONE + 4).await;
    assert_eq!(
        ids(&answers)[ALONE..],
        ["own", "Request_ResourceNotFound", "alone", "alone"]
    );
    assert_eq!((batches(&server), server.left()), (1, 0));
    let waited = bench.waited().as_secs_f64();
    assert!((9.0..12.0).contains(&waited), "{waited}");
    let again = &server.lines()[ALONE + 1..];
    assert!(
        again
            .iter()
            .all(|line| line.starts_with("GET /v1.0/users/2"))
    );
}

#[tokio::test]
async fn what_is_said_of_a_batch_is_said_of_each_in_it() {
    let mut script = alone(ALONE);
    script.push(error(503, "serviceUnavailable", &[]));
    script.extend(alone(5));
    let server = Server::start(script).await;
    let bench = Bench::of(&server);
    let answers = read(&bench, ALONE + 5).await;
    assert!(ids(&answers).iter().all(|id| id == "alone"));
    assert_eq!((batches(&server), server.left()), (1, 0));
}

#[tokio::test]
async fn a_service_that_takes_no_batches_is_asked_one_by_one() {
    for refusal in [
        error(400, "BadRequest", &[]),
        error(501, "NotModelled", &[]),
    ] {
        let mut script = alone(ALONE);
        script.push(refusal);
        script.extend(alone(3 + ALONE + 2));
        let server = Server::start(script).await;
        let bench = Bench::of(&server);
        for count in [ALONE + 3, ALONE + 2] {
            let answers = read(&bench, count).await;
            assert!(ids(&answers).iter().all(|id| id == "alone"));
        }
        assert_eq!((batches(&server), server.left()), (1, 0));
    }
}

#[tokio::test]
async fn one_who_stops_waiting_holds_nobody_up() {
    let mut script = alone(ALONE);
    script.push(batch(&json!([
        {"id": "1", "status": 200, "headers": {}, "body": {"id": "own"}},
        {"id": "2", "status": 200, "headers": {}, "body": {"id": "own"}},
    ])));
    let server = Server::start(script).await;
    let bench = Bench::of(&server);
    let requests: Vec<_> = (0..ALONE + 3).map(user).collect();
    let mut reads: Vec<_> = requests
        .iter()
        .map(|request| Box::pin(bench.client.read(request, &bench.told)))
        .collect();
    for read in &mut reads {
        assert!(futures_util::poll!(read).is_pending());
    }
    // The first of those who wait gives up before there is room for it.
    drop(reads.remove(ALONE));
    let answers = join_all(reads).await;
    assert_eq!(ids(&answers)[ALONE..], ["own", "own"]);
    assert_eq!((batches(&server), server.left()), (1, 0));
}
