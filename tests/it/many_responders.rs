//! Several responders on one incident: their runs stand side by side and are told in one true order.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use azir::clock::{Clock, ManualClock};
use azir::journal::{Actor, Entry, RunStart, SessionOpen, Writer, WriterDeps};
use azir::random::{Random, SeededRandom};
use azir::report::timeline::{Event, Timeline};
use serde_json::{Map, Value, json};

use crate::support::{Azir, bare, done};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn two_responders_at_once_make_two_runs_of_one_case_and_each_sees_the_other() {
    let azir = Azir::new();
    let home = azir.home.path();
    let start = |vm: &str, who: &str| {
        azir.command(&[
            "snapshot-vm",
            vm,
            "--incident",
            "IR-1",
            "--yes",
            "--responder",
            who,
            "--output",
            "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let both = [
        start("vm-app-01", "alice@contoso.com"),
        start("vm-hard-01", "bob@contoso.com"),
    ];
    let reports: Vec<Value> = both
        .into_iter()
        .map(|child| done(child.wait_with_output().unwrap()))
        .map(|done| {
            serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr))
        })
        .collect();
    // A third sees both, whole.
    let (_, third) = azir.json(&["snapshot-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    let events = ndjson(&azir.run(&["timeline", "IR-1", "--output", "ndjson"]).stdout);
    let sessions = events[0]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert!(
        sessions
            .iter()
            .all(|session| session["measured_by"] == "session")
    );
    let place = |run: &Value, kind: &str| {
        let at = |event: &&Value| event["run"] == *run && event["type"] == kind;
        (
            events[1..].iter().position(|event| at(&event)).unwrap(),
            events[1..].iter().rposition(|event| at(&event)).unwrap(),
        )
    };
    for report in &reports {
        assert!(place(&report["run"], "note").1 < place(&third["run"], "run.start").0);
        let dir = report["journal"]["path"].as_str().unwrap();
        assert_eq!(bare(home, &["journal", "verify", dir]).code, 2);
    }
    let seen = bare(
        home,
        &[
            "journal",
            "show",
            third["run"].as_str().unwrap(),
            "--output",
            "json",
        ],
    );
    let first: Value = serde_json::from_str(seen.stdout.lines().next().unwrap()).unwrap();
    let seen: Vec<&Value> = first["data"]["seen"].as_array().unwrap().iter().collect();
    assert_eq!(seen.len(), 2);
    for report in &reports {
        let head = seen
            .iter()
            .find(|head| head["run"] == report["run"])
            .unwrap();
        assert_eq!(head["size"], report["journal"]["entries"]);
        assert_eq!(head["chain"], report["journal"]["head"]);
    }
    // The JSON is one document and what its schema says.
    let (code, whole) = azir.json(&["timeline", "IR-1", "--all"]);
    assert_eq!(code, 0);
    assert!(whole["events"].as_array().unwrap().len() > events.len() - 1);
    let schema: Value = serde_json::from_str(&azir.run(&["schema", "timeline"]).stdout).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&whole));
}

fn ndjson(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_copied_case_opens_on_another_machine_wherever_it_lies() {
    let home = tempfile::tempdir().unwrap();
    let say = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--responder", "alice@contoso.com"]);
        let done = bare(home.path(), &all);
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    say(&["incident", "open", "IR-1", "--ticket", "INC-7"]);
    say(&["note", "first"]);
    say(&["note", "second"]);
    let case = home.path().join("cases/IR-1");
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = elsewhere.path().join("from-alice");
    copy(&case, &copied);
    let empty = tempfile::tempdir().unwrap();
    let folder = copied.to_str().unwrap();
    let look = |args: &[&str]| bare(empty.path(), args);
    let timeline = look(&["timeline", folder]);
    assert_eq!(timeline.code, 0, "{}", timeline.stderr);
    let (first, second) = (
        timeline.stdout.find("first"),
        timeline.stdout.find("second"),
    );
    assert!(first.unwrap() < second.unwrap(), "{}", timeline.stdout);
    assert!(
        timeline.stdout.contains("clock not measured"),
        "{}",
        timeline.stdout
    );
    for (args, said) in [
        (vec!["incident", "status", folder], "ticket INC-7"),
        (vec!["list", folder], "incident"),
        (vec!["show", folder], "incident"),
        (vec!["journal", "show", folder], "first"),
    ] {
        let done = look(&args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        assert!(done.stdout.contains(said), "{args:?}: {}", done.stdout);
    }
    // Under another home it is a case like any other.
    copy(&case, &empty.path().join("cases/IR-1"));
    assert!(look(&["incident", "status"]).stdout.contains("INC-7"));
}

/// A run of a case on a machine whose clock is ahead of the cloud's.
struct Machine {
    clock: Arc<ManualClock>,
    writer: Writer,
    dir: PathBuf,
    run: String,
}

const NOON: &str = "2026-05-23T12:00:00Z";

fn machine(case: &Path, name: &str, ahead_s: i64, measured: bool, seen: &[&Machine]) -> Machine {
    let noon: chrono::DateTime<chrono::Utc> = NOON.parse().unwrap();
    let clock = Arc::new(ManualClock::at(noon + chrono::TimeDelta::seconds(ahead_s)));
    let random = Arc::new(SeededRandom::new(
        name.bytes()
            .fold(0, |seed, byte| seed * 31 + u64::from(byte)),
    ));
    let run = random.uuid();
    let dir = case.join(format!("run-{run}"));
    let mut data =
        json!({"host": name, "seen": seen.iter().map(|other| other.head()).collect::<Vec<_>>()});
    if measured {
        data["clock"] = json!({"offset_ms": ahead_s * 1_000});
    }
    let start = RunStart {
        incident: "IR-1".parse().unwrap(),
        run,
        mode: "execute".to_owned(),
        responder: format!("{name}@contoso.com"),
        responder_name: None,
        responder_oid: None,
        data: object(data),
    };
    let deps = WriterDeps::real(Arc::clone(&clock) as Arc<dyn Clock>, random);
    Machine {
        writer: Writer::create(&dir, start, deps).unwrap(),
        clock,
        dir,
        run: run.to_string(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

impl Machine {
    fn head(&self) -> Value {
        let head = azir::journal::head(&self.dir).unwrap();
        json!({"run": self.run, "size": head.entries, "chain": head.chain.to_string()})
    }

    async fn say(&self, after_s: u64, kind: &'static str, data: Value) {
        self.clock.advance(Duration::from_secs(after_s));
        let entry = Entry {
            kind,
            actor: Actor::Azir,
            data: object(data),
        };
        self.writer.append_durable(entry).await.unwrap();
    }

    async fn note(&self, after_s: u64, text: &str) {
        self.say(after_s, "note", json!({"kind": "said", "text": text}))
            .await;
    }
}

fn told(case: &Path) -> Vec<Event> {
    let mut timeline = Timeline::open(case, true);
    let mut events = Vec::new();
    while let Some(event) = timeline.next_event().unwrap() {
        events.push(event);
    }
    events
}

fn texts(events: &[Event]) -> Vec<&str> {
    let notes = events.iter().filter(|event| event.kind == "note");
    notes
        .map(|event| event.text.trim_start_matches("said "))
        .collect()
}

#[tokio::test]
async fn clocks_are_corrected_by_what_each_session_measured() {
    let case = tempfile::tempdir().unwrap();
    let right = machine(case.path(), "alpha", 0, true, &[]);
    // An hour ahead, and knows it.
    let ahead = machine(case.path(), "beta", 3_600, true, &[]);
    right.note(1, "one").await;
    ahead.note(2, "two").await;
    right.note(2, "three").await;
    ahead.note(2, "four").await;
    let events = told(case.path());
    assert_eq!(texts(&events), ["one", "two", "three", "four"]);
    let two = events
        .iter()
        .find(|event| event.text.ends_with("two"))
        .unwrap();
    assert_eq!(two.time, "2026-05-23T12:00:02.000000Z");
    assert_eq!(two.recorded, "2026-05-23T13:00:02.000000Z");
    assert_eq!(two.offset_ms, Some(3_600_000));
    assert!(events.iter().all(|event| event.notes.is_empty()));
}

#[tokio::test]
async fn a_wall_clock_that_is_set_while_a_session_lasts_changes_no_order() {
    let case = tempfile::tempdir().unwrap();
    let one = machine(case.path(), "alpha", 0, true, &[]);
    let two = machine(case.path(), "beta", 0, true, &[]);
    one.note(1, "first").await;
    one.clock.jump_to("2026-05-23T08:00:00Z".parse().unwrap());
    one.note(2, "third").await;
    two.note(2, "second").await;
    assert_eq!(texts(&told(case.path())), ["first", "second", "third"]);
}

#[tokio::test]
async fn what_was_seen_came_before_whatever_the_clocks_say_and_the_contradiction_is_noted() {
    let case = tempfile::tempdir().unwrap();
    // Ten minutes ahead, and nobody measured it.
    let fast = machine(case.path(), "alpha", 600, false, &[]);
    fast.note(1, "cut the network").await;
    let slow = machine(case.path(), "beta", 0, false, &[&fast]);
    slow.note(5, "took over").await;
    fast.note(1, "went home").await;
    let events = told(case.path());
    assert_eq!(
        texts(&events),
        ["cut the network", "took over", "went home"]
    );
    let start = events
        .iter()
        .find(|event| event.kind == "run.start" && event.host == "beta")
        .unwrap();
    assert_eq!(start.offset_ms, None);
    assert!(
        start
            .notes
            .iter()
            .any(|note| note.contains("601000 ms later") && note.contains("what was seen counts")),
        "{:?}",
        start.notes
    );
}

#[tokio::test]
async fn a_session_that_measured_nothing_takes_its_machines_clock() {
    let case = tempfile::tempdir().unwrap();
    machine(case.path(), "alpha", 60, true, &[]);
    let log = machine(case.path(), "alphb", 60, false, &[]);
    log.writer.close().await.unwrap();
    let open = SessionOpen {
        responder: "carol@contoso.com".to_owned(),
        data: object(json!({"reason": "note", "host": "alpha"})),
    };
    let deps = WriterDeps::real(
        Arc::clone(&log.clock) as Arc<dyn Clock>,
        Arc::new(SeededRandom::new(77)),
    );
    Writer::open_session(&log.dir, open, deps).unwrap();
    let timeline = Timeline::open(case.path(), true);
    let by: Vec<_> = timeline
        .clocks()
        .iter()
        .filter(|clock| clock.run == log.run)
        .map(|clock| (clock.offset_ms, clock.measured_by))
        .collect();
    assert_eq!(by, [(None, "nobody"), (Some(60_000), "machine")]);
}

#[tokio::test]
async fn a_run_that_was_replaced_or_cut_after_another_saw_it_is_noted() {
    let case = tempfile::tempdir().unwrap();
    let first = machine(case.path(), "alpha", 0, true, &[]);
    first.note(1, "x").await;
    let second = machine(case.path(), "beta", 1, true, &[&first]);
    let said = async |seen: Value| {
        second
            .say(
                1,
                "transfer",
                json!({"from": "a", "to": "b", "items": "all", "seen": [seen]}),
            )
            .await;
    };
    let mut forged = first.head();
    forged["chain"] = json!("0".repeat(64));
    forged["size"] = json!(2);
    said(forged).await;
    let mut more = first.head();
    more["size"] = json!(9);
    said(more).await;
    let notes: Vec<String> = told(case.path())
        .into_iter()
        .flat_map(|event| event.notes)
        .collect();
    assert!(
        notes.iter().any(|note| note.contains("was replaced")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains("has seen 9 entries") && note.contains("has 2 now")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn runs_that_claim_each_others_future_are_told_and_noted() {
    let case = tempfile::tempdir().unwrap();
    let one = machine(case.path(), "alpha", 0, true, &[]);
    let two = machine(case.path(), "beta", 0, true, &[]);
    for (from, of) in [(&one, &two), (&two, &one)] {
        let seen = json!([{"run": of.run, "size": 3, "chain": "0".repeat(64)}]);
        from.say(
            1,
            "transfer",
            json!({"from": "a", "to": "b", "items": "all", "seen": seen}),
        )
        .await;
        from.note(1, "after").await;
    }
    let events = told(case.path());
    assert_eq!(events.len(), 6);
    assert!(
        events
            .iter()
            .any(|event| event.notes.iter().any(|note| note.contains("not true")))
    );
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_named_and_the_others_are_told() {
    let case = tempfile::tempdir().unwrap();
    machine(case.path(), "alpha", 0, true, &[])
        .note(1, "still here")
        .await;
    let broken = case.path().join("run-00000000-0000-4000-8000-000000000001");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("seg-000001.jsonl"), "{\"_hash\":\"x\"}\n").unwrap();
    let done = bare(case.path(), &["timeline", case.path().to_str().unwrap()]);
    assert_eq!(done.code, 6, "{}", done.stderr);
    assert!(done.stdout.contains("still here"));
    assert!(
        done.stderr.contains("00000000-0000-4000"),
        "{}",
        done.stderr
    );
}

#[tokio::test]
async fn many_siblings_are_cited_from_evidence_and_understood() {
    let home = tempfile::tempdir().unwrap();
    let case = home.path().join("cases/IR-1");
    for number in 0..80_u8 {
        machine(&case, &format!("m{number}"), 0, true, &[]);
    }
    let noted = bare(
        home.path(),
        &[
            "note",
            "all of them",
            "--incident",
            "IR-1",
            "--responder",
            "a@b",
        ],
    );
    assert_eq!(noted.code, 0, "{}", noted.stderr);
    let log = azir::report::incident::logs(&case).pop().unwrap();
    let first = azir::journal::reader::openings(&log).unwrap().remove(0);
    assert!(
        first.data["seen"]["sha256"].is_string(),
        "{:?}",
        first.data["seen"]
    );
    assert_eq!(
        bare(home.path(), &["journal", "verify", log.to_str().unwrap()]).code,
        2
    );
    assert!(told(&case).last().unwrap().text.contains("all of them"));
}
