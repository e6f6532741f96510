//! A call with a key is done once, however often it comes; and who waits for a run gets what it came to.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::{Azir, done};

fn call<'a>(vm: &'a str, key: &'a str) -> Vec<&'a str> {
    vec!["snapshot-vm", vm, "--key", key, "--yes"]
}

fn start(azir: &Azir, args: &[&str]) -> Child {
    azir.command(args)
        .args(["--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(child: Child) -> (i32, Value) {
    let done = done(child.wait_with_output().unwrap());
    let report = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    (done.code, report)
}

/// Waits until the journal holds a write that is about to be sent: the run is under way.
fn under_way(azir: &Azir) {
    let cases = azir.home.path().join("cases");
    let begun = || {
        let case = std::fs::read_dir(&cases).ok()?.flatten().next()?.path();
        let run = std::fs::read_dir(case)
            .ok()?
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("run-"))?;
        let text = std::fs::read_to_string(run.path().join("seg-000001.jsonl")).ok()?;
        text.contains(r#""effect":"create""#).then_some(())
    };
    while begun().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Every snapshot takes seconds, so that a run can be met on its way.
const SLOW: &str =
    "faults: [{method: PUT, path: snapshots, do: delay-after, millis: 3000, times: 99}]";

/// Returns the folders of the case, and how long each journal is.
fn record(azir: &Azir) -> Vec<(std::path::PathBuf, u64)> {
    let case = std::fs::read_dir(azir.home.path().join("cases")).unwrap();
    let runs = case
        .flatten()
        .flat_map(|case| std::fs::read_dir(case.path()).unwrap().flatten());
    let mut all: Vec<_> = runs
        .map(|run| run.path())
        .filter(|run| run.join("seg-000001.jsonl").is_file())
        .map(|run| {
            (
                run.clone(),
                std::fs::metadata(run.join("seg-000001.jsonl"))
                    .unwrap()
                    .len(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn two_calls_at_once_and_one_after_them_are_one_run() {
    let azir = Azir::new();
    let both = [
        start(&azir, &call("vm-app-01", "alert-1")),
        start(&azir, &call("vm-app-01", "alert-1")),
    ];
    let both = both.map(report);
    let (code, third) = azir.json(&call("vm-app-01", "alert-1"));
    let runs = [&both[0].1["run"], &both[1].1["run"], &third["run"]];
    assert!(
        runs[0].is_string() && runs.iter().all(|run| *run == runs[0]),
        "{runs:?}"
    );
    assert_eq!([both[0].0, both[1].0, code], [0, 0, 0]);
    let snapshots = azir
        .writes()
        .into_iter()
        .filter(|write| write.contains("/snapshots/"));
    assert_eq!(snapshots.count(), 2, "two disks, once");
    assert_eq!(third["exit_code"], 0);
    // Another key is another run, and without one nothing is joined.
    let (_, other) = azir.json(&call("vm-app-01", "alert-2"));
    assert_ne!(other["run"], third["run"]);
    // Events begin with the run that was joined.
    let mut words = call("vm-app-01", "alert-1");
    words.extend(["--output", "ndjson"]);
    let events = azir.run(&words).stdout;
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "joined");
    assert_eq!(events[0]["run"], third["run"]);
    assert_eq!(events.last().unwrap()["exit_code"], 0);
}

#[test]
fn a_key_for_something_else_is_refused_with_both_named() {
    let azir = Azir::new();
    assert_eq!(azir.run(&call("vm-app-01", "alert-1")).code, 0);
    let before = azir.lab.requests().len();
    let other = azir.run(&call("vm-hard-01", "alert-1"));
    assert_eq!(other.code, 2, "{}", other.stderr);
    for said in ["snapshot-vm vm-app-01", "snapshot-vm vm-hard-01", "next: "] {
        assert!(other.stderr.contains(said), "{said}: {}", other.stderr);
    }
    let mut look = call("vm-app-01", "alert-1");
    look.push("--plan");
    assert_eq!(azir.run(&look).code, 2);
    assert_eq!(azir.lab.requests().len(), before);
}

#[test]
fn a_call_that_came_to_no_run_leaves_its_key_free() {
    let azir = Azir::new();
    assert_eq!(azir.run(&call("vm-nobody", "alert-1")).code, 5);
    let (code, report) = azir.json(&call("vm-app-01", "alert-1"));
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained")),
        "{report}"
    );
}

#[test]
fn a_run_that_was_killed_is_joined_and_said_to_be_resumed() {
    let azir = Azir::with(SLOW, |_| {});
    let mut first = start(&azir, &call("vm-app-01", "alert-1"));
    under_way(&azir);
    first.kill().unwrap();
    first.wait().unwrap();
    // What was on its way when it was killed may still arrive, so it is the record that tells.
    let before = record(&azir);
    let joined = azir.run(&call("vm-app-01", "alert-1"));
    assert_eq!(joined.code, 3, "{}{}", joined.stdout, joined.stderr);
    assert!(
        joined.stderr.contains("next: azir resume "),
        "{}",
        joined.stderr
    );
    let waited = azir.run(&["wait"]);
    assert_eq!(waited.code, 3, "{}{}", waited.stdout, waited.stderr);
    assert!(
        waited.stderr.contains("next: azir resume "),
        "{}",
        waited.stderr
    );
    let after = record(&azir);
    assert_eq!(
        before, after,
        "nothing is done by who looks: no other run, no further line"
    );
    // A line of which half was written is how a kill leaves it, and no damage.
    let segment = after[0].0.join("seg-000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"{\"_hash\":\"torn");
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 3);
    let (code, shown) = azir.json(&["show", "last"]);
    assert_eq!((code, &shown["journal"]["verified"]), (0, &json!(true)));
    let shown = azir.run(&["show", "last"]).stdout;
    assert!(shown.contains("verifies up to a torn end"), "{shown}");
    assert_eq!(azir.run(&["wait", "last"]).code, 3);
}

#[test]
fn who_waits_gets_the_report_and_the_exit_code_or_is_told_that_it_is_not_over() {
    let azir = Azir::with(SLOW, |_| {});
    let first = start(&azir, &call("vm-app-01", "alert-1"));
    under_way(&azir);
    let (code, early) = azir.json(&["wait", "last", "--timeout", "0s"]);
    assert_eq!(
        (code, &early["error"]["code"]),
        (1, &json!("timeout")),
        "{early}"
    );
    assert!(
        early["error"]["hint"]
            .as_str()
            .unwrap()
            .starts_with("azir wait ")
    );
    let waited = report(start(&azir, &["wait", "last"]));
    let own = report(first);
    assert_eq!((own.0, waited.0), (0, 0));
    assert_eq!(own.1["run"], waited.1["run"]);
    assert_eq!(waited.1["status"], "contained");
    assert!(
        waited.1.get("held_by").is_none_or(Value::is_null),
        "{}",
        waited.1
    );
    assert_eq!(azir.run(&["wait", "last", "--timeout", "soon"]).code, 2);
    assert_eq!(azir.run(&["wait", "no-run"]).code, 2);
    let status = azir.run(&["status", "--brief"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
}
