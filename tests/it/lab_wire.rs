//! The lab as a server: both protocols, faults by script, and a state that outlives it.

use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab};
use serde_json::{Value, json};

use crate::lab_support::{Bench, COMPUTE, DISKS, NETWORK, RESOURCES, SUB, at, client, options};

const VM: &str = "rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01";

fn faulty(script: &str) -> Bench {
    Bench::with(Scenario::load("default").unwrap(), |options| {
        options.faults = Faults::parse(script).unwrap();
    })
}

fn tags(bench: &Bench) -> reqwest::RequestBuilder {
    let path = format!(
        "{}/providers/Microsoft.Resources/tags/default?{RESOURCES}",
        at(VM)
    );
    bench
        .request("PATCH", &path)
        .json(&json!({"operation": "Merge", "properties": {"tags": {"cut": "yes"}}}))
}

fn is_tagged(lab: &Lab) -> bool {
    lab.state()["resources"][at(VM).to_lowercase()]["tags"]["cut"] == "yes"
}

#[test]
fn both_protocols_are_spoken() {
    let bench = Bench::new();
    let version = |http: &reqwest::Client| {
        bench
            .run(
                http.get(format!(
                    "{}/metadata/endpoints?api-version=2022-09-01",
                    bench.lab.ready().arm
                ))
                .send(),
            )
            .unwrap()
            .version()
    };
    assert_eq!(version(&bench.http), reqwest::Version::HTTP_2);
    assert_eq!(
        version(&client(&bench.lab, reqwest::ClientBuilder::http1_only)),
        reqwest::Version::HTTP_11
    );
}

#[test]
fn a_reset_breaks_the_exchange_without_an_answer_before_or_after_the_effect() {
    for (fault, took_effect) in [("reset-before", false), ("reset-after", true)] {
        for only_old in [false, true] {
            let mut bench = faulty(&format!(
                "faults: [{{method: PATCH, path: tags, do: {fault}}}]"
            ));
            if only_old {
                bench.http = client(&bench.lab, reqwest::ClientBuilder::http1_only);
            }
            let broken = bench.run(tags(&bench).send());
            assert!(broken.is_err(), "{fault}: a head was sent: {broken:?}");
            assert_eq!(is_tagged(&bench.lab), took_effect, "{fault}");
            assert_eq!(bench.send(tags(&bench)).status, 200, "once");
        }
    }
}

#[test]
fn faults_take_the_place_of_answers_when_their_turn_comes() {
    let bench = faulty(
        "faults: [{path: 'virtualmachines*instanceview', nth: 2, times: 2, do: status, status: 429, retry_after: 7}]",
    );
    let path = format!("{}/instanceView?{COMPUTE}", at(VM));
    let statuses: Vec<u16> = (0..4).map(|_| bench.get(&path).status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    let answer = |fault: &str| {
        let bench = faulty(&format!("faults: [{{path: virtualMachines, do: {fault}}}]"));
        bench.get(&format!(
            "{SUB}/providers/Microsoft.Compute/virtualMachines?{COMPUTE}"
        ))
    };
    assert!(answer("html").text.starts_with("<html>"));
    assert_eq!(
        answer("expired-token").error(),
        (401, "ExpiredAuthenticationToken")
    );
    assert!(
        answer("claims-challenge")
            .header("www-authenticate")
            .contains("error=\"insufficient_claims\", claims=\"")
    );
    assert_eq!(
        answer("foreign-next-link").body["nextLink"],
        "https://evil.example/next"
    );
    for fault in ["truncate", "malformed"] {
        assert_eq!(
            (answer(fault).status, answer(fault).body),
            (200, Value::Null),
            "{fault}"
        );
    }
    assert!(
        Faults::parse("faults: [{do: explode}]")
            .unwrap_err()
            .contains("explode")
    );
    assert!(
        Faults::parse("faults:\n  - {do: html, wen: 3}\n")
            .unwrap_err()
            .contains("line 2")
    );
}

#[test]
fn operations_fail_and_get_stuck_by_script() {
    let nic = format!(
        "{}?{NETWORK}",
        at("rg-workload-prod/Microsoft.Network/networkInterfaces/vm-app-01-nic")
    );
    let put = |fault: &str| {
        let bench = faulty(&format!(
            "faults: [{{method: PUT, path: networkInterfaces, do: {fault}}}]"
        ));
        let put = bench.call("PUT", &nic, &bench.get(&nic).body);
        bench.pass(3_000);
        (bench, put.header("azure-asyncoperation").to_owned())
    };
    let (bench, operation) = put("lro-failed");
    let ended = bench.get(&operation);
    assert_eq!(
        (ended.status, ended.body["status"].as_str()),
        (200, Some("Failed"))
    );
    assert_eq!(ended.body["error"]["code"], "InternalOperationError");
    assert_eq!(
        bench.get(&nic).body["properties"]["provisioningState"],
        "Failed"
    );
    let (bench, operation) = put("lro-stuck");
    assert_eq!(bench.get(&operation).body["status"], "InProgress");
    let (_, operation) = put("foreign-location");
    assert_eq!(operation, "https://evil.example/operation");
}

#[test]
fn what_a_lab_did_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("lab/state.jsonl");
    let start = || {
        Bench::with(Scenario::load("default").unwrap(), |options| {
            options.state = Some(state.clone());
        })
    };
    let snapshot = format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    );
    let disk = at("rg-hard-data/Microsoft.Compute/disks/hard-data-3");
    let bench = start();
    assert_eq!(bench.send(tags(&bench)).status, 200);
    let put = bench.call("PUT", &snapshot, &json!({"location": "westeurope", "properties": {"incremental": true, "creationData": {"createOption": "Copy", "sourceResourceId": disk}}}));
    assert_eq!(
        bench
            .delete(&format!("{SUB}/resourceGroups/rg-north?{RESOURCES}"))
            .status,
        202
    );
    let path = put
        .header("azure-asyncoperation")
        .split_once("/subscriptions/")
        .unwrap()
        .1
        .to_owned();
    let text = std::fs::read_to_string(&state).unwrap();
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "one change a line"
    );
    drop(bench);
    // As if it had been killed in the middle of a line.
    std::fs::write(&state, format!("{text}{{\"what\": \"put\", \"key")).unwrap();

    let bench = start();
    assert!(is_tagged(&bench.lab));
    let made = bench.get(&snapshot).body;
    assert_eq!(
        (
            made["properties"]["provisioningState"].as_str(),
            made["properties"]["completionPercent"].as_u64()
        ),
        (Some("Succeeded"), Some(100))
    );
    assert_eq!(
        bench.get(&format!("/subscriptions/{path}")).body["status"],
        "Succeeded",
        "what was under way has ended"
    );
    assert_eq!(
        bench
            .get(&format!("{SUB}/resourceGroups/rg-north?{RESOURCES}"))
            .status,
        404
    );
    assert_eq!(bench.delete(&snapshot).status, 202);
    drop(bench);
    assert_eq!(
        start().get(&snapshot).status,
        404,
        "the torn line did not swallow the next one"
    );

    std::fs::write(&state, "{\"what\": \"put\"}\nnonsense\n").unwrap();
    let mut options = options(folder.path());
    options.state = Some(state);
    let error = Lab::start(options).err().unwrap();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("line 2"),
        "{error}"
    );
}

#[test]
fn questions_are_no_writes_in_the_request_log() {
    let bench = Bench::new();
    let nic = at("rg-workload-prod/Microsoft.Network/networkInterfaces/vm-app-01-nic");
    bench.send(bench.request(
        "POST",
        &format!("{nic}/effectiveNetworkSecurityGroups?{NETWORK}"),
    ));
    bench.call(
        "POST",
        "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01",
        &json!({"query": "Resources | count"}),
    );
    assert!(bench.lab.requests().iter().all(|request| !request.write));
    bench.send(tags(&bench));
    bench.call(
        "POST",
        &format!("{}/deallocate?{COMPUTE}", at(VM)),
        &json!({}),
    );
    let writes: Vec<(u64, String)> = bench
        .lab
        .requests()
        .into_iter()
        .filter(|request| request.write)
        .map(|request| (request.seq, request.method))
        .collect();
    assert_eq!(writes, [(4, "PATCH".into()), (5, "POST".into())]);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.port = bench
        .lab
        .ready()
        .arm
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let error = Lab::start(options).err().unwrap();
    assert!(error.to_string().starts_with("listen on port "), "{error}");
}

#[test]
fn an_attacker_changes_things_behind_everybodys_back() {
    let bench = Bench::new();
    bench.lab.tamper(&at(VM).to_uppercase(), |machine| {
        machine["tags"]["cut"] = json!("yes");
    });
    assert!(is_tagged(&bench.lab));
    assert!(bench.lab.requests().iter().all(|request| !request.write));
}
