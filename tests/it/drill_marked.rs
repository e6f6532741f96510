//! Whoever reads a line of a drill, on the screen or in a message, is told that it is one; and no file or program gets
//! a mark in the middle of its format.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use azir::drill::record::{self, Begun, Record, What};
use azir::drill::scenario::Scenario;
use azir::drill::shelf;
use azir::drill::verdict::{By, Place, ScenarioRef};
use serde_json::{Value, json};

use crate::support::{Azir, Done, bare, done};

const DRILL: &str = "DRILL-a";

fn inside(home: &Path, args: &[&str]) -> Done {
    bare(
        home,
        &[args, &["--incident", DRILL, "--lab-latency", "0"]].concat(),
    )
}

fn started(home: &Path) {
    let done = inside(home, &["drill", "start", "vm-compromise", "--lab"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

/// Refuses a text with a line that does not say what it is of.
fn marked(text: &str) {
    let unmarked = text.lines().find(|line| !line.starts_with("DRILL"));
    assert_eq!(unmarked, None, "{text}");
}

#[test]
fn stderr_is_for_people_and_says_drill_whatever_stdout_is_for() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home);
    let events = inside(
        home,
        &["isolate-vm", "vm-web-07", "--yes", "--output", "ndjson"],
    );
    assert_eq!(events.code, 0, "{}", events.stderr);
    for line in events.stdout.lines() {
        assert!(line.starts_with('{'), "{line}");
    }
    let out = home.join("run.html");
    let to = ["journal", "export", "last", "--format", "html", "-o"];
    let exported = inside(home, &[&to[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    assert!(exported.stderr.contains("next, to put the export"));
    marked(&exported.stderr);
    let late = inside(
        home,
        &[
            "wait",
            "last",
            "--residual",
            "--timeout",
            "1s",
            "--output",
            "json",
        ],
    );
    assert!(late.stderr.contains("waiting until"), "{}", late.stderr);
    marked(&late.stderr);
    let verified = inside(home, &["journal", "verify", "last"]);
    marked(&verified.stdout);
}

#[test]
fn what_is_of_a_format_is_the_same_inside_a_drill() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home);
    let ran = inside(home, &["isolate-vm", "vm-web-07", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for args in [
        vec!["schema", "run"],
        vec!["runbook", "schema"],
        vec!["completions", "bash"],
        vec!["runbook", "list", "--markdown"],
        vec![
            "runbook",
            "role",
            "isolate-vm",
            "--scope",
            "/subscriptions/x",
        ],
    ] {
        let outside = bare(home, &args);
        assert_eq!(outside.code, 0, "{args:?} {}", outside.stderr);
        assert!(inside(home, &args).stdout == outside.stdout, "{args:?}");
    }
    let proof = inside(home, &["journal", "prove", "last", "0"]);
    assert_eq!(proof.code, 0, "{}", proof.stderr);
    let file = home.join("proof.txt");
    std::fs::write(&file, &proof.stdout).unwrap();
    let checked = bare(home, &["journal", "check-proof", file.to_str().unwrap()]);
    assert_eq!(checked.code, 2, "{}", checked.stdout);
    let lines = inside(home, &["journal", "export", "last"]);
    for line in lines.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert_eq!(inside(home, &["drill", "finish"]).code, 1);
    let report = inside(home, &["drill", "report", "--format", "json"]);
    serde_json::from_str::<Value>(&report.stdout).unwrap();
    let page = inside(home, &["drill", "report"]);
    assert!(
        page.stdout.starts_with("<!doctype html>"),
        "{}",
        page.stdout
    );
}

#[test]
fn the_report_of_an_undo_says_that_it_was_one_of_a_drill() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home);
    let json = |args: &[&str]| -> Value {
        let done = inside(home, &[args, &["--output", "json"]].concat());
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error} {}", done.stderr))
    };
    let ran = json(&["isolate-vm", "vm-web-07", "--yes"]);
    let undone = json(&["undo", "last", "--yes"]);
    assert_eq!(
        (&ran["mode"], &ran["drill"]),
        (&json!("drill"), &json!(true))
    );
    assert_eq!(
        (&undone["mode"], &undone["drill"]),
        (&json!("undo"), &json!(true))
    );
    let schema: Value = serde_json::from_str(&bare(home, &["schema", "run"]).stdout).unwrap();
    assert!(
        jsonschema::validator_for(&schema)
            .unwrap()
            .is_valid(&undone)
    );
    let real = [
        "isolate-vm",
        "vm-app-01",
        "--yes",
        "--lab",
        "--output",
        "json",
    ];
    let real = bare(home, &[&real[..], &["--lab-latency", "0"]].concat());
    let real: Value = serde_json::from_str(&real.stdout).unwrap();
    assert_eq!(real.get("drill"), None);
}

/// Takes messages for people; hands each on.
fn people() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 202 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
            let body = String::from_utf8_lossy(&body).into_owned();
            if sender.send(body).is_err() {
                break;
            }
        }
    });
    (port, receiver)
}

/// Begins a drill with the profile `test` in the tenant that is served, without planting anything.
fn begun(azir: &Azir) {
    let loaded = shelf::load("vm-compromise").unwrap();
    let begun = Begun {
        drill: DRILL.to_owned(),
        scenario: ScenarioRef {
            name: loaded.scenario.name.clone(),
            version: loaded.scenario.version.clone(),
            digest: Scenario::digest(&loaded.text),
            title: loaded.scenario.title.clone(),
        },
        place: Place::Tabletop,
        profile: "test".to_owned(),
        cloud: "lab".to_owned(),
        tenant: azir.lab.ready().tenant_id.clone(),
        subscriptions: vec![azir.lab.ready().subscription_id.clone()],
        by: By::People,
        participants: Vec::new(),
        observer: None,
        blind: false,
        names: Value::Null,
        azir: String::new(),
    };
    let folder = record::folder(azir.home.path(), DRILL);
    let now = chrono::Utc::now();
    let mut record = Record::begin(&folder, &loaded.text, now, begun).unwrap();
    record.add(now, What::Emitted).unwrap();
}

#[test]
fn people_who_are_told_of_a_drill_are_told_that_it_is_one() {
    let azir = Azir::new();
    let subscription = azir.lab.ready().subscription_id.clone();
    azir.configure(&format!(
        "tabletop = true\nsubscriptions = [\"{subscription}\"]\nnotify = [{{ kind = \"teams\", url_env = \"TEAMS_URL\" }}]"
    ));
    begun(&azir);
    let (teams, told) = people();
    let run = |args: &[&str]| {
        let mut command = azir.command(args);
        command
            .env("TEAMS_URL", format!("http://127.0.0.1:{teams}/"))
            .env("AZIR_INCIDENT", DRILL);
        done(command.output().unwrap())
    };
    let told = |done: &Done| {
        told.recv_timeout(Duration::from_secs(60))
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    };
    let isolate = ["isolate-vm", "vm-app-01", "--yes"];
    // Where its case should be is something else, so the run cannot begin.
    let cases = record::folder(azir.home.path(), DRILL).join("cases");
    std::fs::create_dir_all(&cases).unwrap();
    std::fs::write(cases.join(DRILL), "").unwrap();
    let never = run(&isolate);
    assert_eq!(never.code, 75, "{}{}", never.stdout, never.stderr);
    assert!(told(&never).contains("DRILL NOT BEGUN"));
    std::fs::remove_file(cases.join(DRILL)).unwrap();
    let ran = run(&isolate);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(told(&ran).contains("DRILL CONTAINED"));
}

#[test]
#[ignore = "needs script"]
fn the_plan_and_its_question_say_drill_on_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home);
    let line = format!(
        "{} isolate-vm vm-web-07 --lab-latency 0",
        env!("CARGO_BIN_EXE_azir")
    );
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("AZIR_HOME", home)
        .env("AZIR_INCIDENT", DRILL)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"Type yes: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    keyboard.write_all(b"no\n").unwrap();
    screen.read_to_end(&mut Vec::new()).unwrap();
    child.wait().unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("Carry this out?"), "{shown}");
    marked(&shown);
}
