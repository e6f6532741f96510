//! Processes that end at the wrong moment, or come at the same one.
//!
//! The child is this very test binary, told by its environment what to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use azir::journal::disk::{Disk, RealDisk};
use azir::journal::{JournalError, Writer};
use serde_json::{Map, json};

use crate::journal_kit::{
    FailingDisk, Fault, again, deps, entry, inside, intent, result, sound, start, wait,
};

/// What the child is told: a folder, and a part to play.
const RUN: &str = "AZIR_TEST_CHILD_RUN";
const PART: &str = "AZIR_TEST_CHILD_PART";

fn child(run_dir: &Path, part: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "journal_kill::the_child_plays_its_part",
            "--nocapture",
            "--quiet",
        ])
        .env(RUN, run_dir)
        .env(PART, part)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn say(text: &str) {
    // The harness holds stdout for itself only between tests.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nchild: {text}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// Returns the next thing that a child says.
fn heard(out: &mut impl std::io::BufRead) -> Option<String> {
    out.lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("child: ").map(str::to_owned))
}

/// Does nothing unless it is the child.
#[test]
fn the_child_plays_its_part() {
    let (Some(run_dir), Ok(part)) = (std::env::var_os(RUN), std::env::var(PART)) else {
        return;
    };
    let run_dir = Path::new(&run_dir);
    let (what, at) = part.split_once(' ').unwrap_or((&part, ""));
    let killing =
        || -> Arc<dyn Disk> { Arc::new(FailingDisk::new(at.parse().unwrap(), Fault::Kill)) };
    match what {
        "create" => write(Writer::create(run_dir, start(), deps(killing(), 1)).unwrap()),
        "resume" => write(Writer::open_session(run_dir, again(), deps(killing(), 2)).unwrap()),
        _ => race(run_dir, what),
    }
}

/// Writes, and says what is promised, until the disk kills this process or all is written.
fn write(writer: Writer) {
    say(&format!("promised {}", writer.head().entries));
    wait(async {
        for n in 0..3 {
            let n = 10 * writer.head().entries + n;
            let seq = writer.append_durable(intent(n)).await.unwrap();
            say(&format!("promised {}", seq + 1));
            writer.append(result(seq, "ok")).await.unwrap();
        }
        let seq = writer
            .append_durable(entry("decision", json!({"choice": "all"})))
            .await
            .unwrap();
        say(&format!("promised {}", seq + 1));
        let head = writer.close().await.unwrap();
        say(&format!("promised {}", head.entries));
    });
    say("ended");
}

/// Waits for the word, tries to have the run, says whether it does, and keeps it until the word to end.
fn race(run_dir: &Path, what: &str) {
    let mut words = std::io::stdin().lines();
    say("ready");
    words.next();
    let seed = u64::from(std::process::id());
    let writer = if what == "race-create" {
        Writer::create(run_dir, start(), deps(Arc::new(RealDisk), seed))
    } else {
        Writer::open_session(run_dir, again(), deps(Arc::new(RealDisk), seed))
    };
    match &writer {
        Ok(_) => say(&format!("won {}", std::process::id())),
        Err(JournalError::Locked { holder }) => say(&format!("told {holder}")),
        Err(error) => say(&format!("failed {error}")),
    }
    words.next();
    if let Ok(writer) = writer {
        wait(writer.close()).unwrap();
    }
}

/// Lets a child write until it is killed at call `at`; returns what it promised, and whether it came to its end.
fn killed_at(run_dir: &Path, what: &str, at: usize) -> (u64, bool) {
    let mut child = child(run_dir, &format!("{what} {at}"));
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut promised, mut ended) = (0, false);
    while let Some(said) = heard(&mut out) {
        match said.strip_prefix("promised ") {
            Some(number) => promised = number.parse().unwrap(),
            None => ended = said == "ended",
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.success(), ended, "{what} {at}: {status}");
    (promised, ended)
}

fn continued(run_dir: &Path, when: &str) {
    let open = inside(run_dir).open;
    let writer = Writer::open_session(run_dir, again(), deps(sound(), 3))
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    wait(async {
        for intent in open {
            let data = json!({"intent": intent, "found": "undecidable", "how": "read back"});
            writer
                .append(entry("action.reconcile", data))
                .await
                .unwrap();
        }
        writer.seal(Map::new()).await.unwrap();
    });
    let report = inside(run_dir);
    assert_eq!(report.exit_code, 2, "{when}: {report:?}");
}

#[test]
fn a_process_killed_at_any_call_keeps_what_it_promised() {
    let mut tried = 0;
    for what in ["create", "resume"] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let run_dir = folder.path().join("run");
            if what == "resume" {
                wait(async {
                    let writer = Writer::create(&run_dir, start(), deps(sound(), 1)).unwrap();
                    writer.append_durable(intent(1)).await.unwrap();
                    writer.close().await.unwrap();
                });
            }
            let (promised, ended) = killed_at(&run_dir, what, at);
            let when = format!("{what}, killed at call {at}");
            let report = inside(&run_dir);
            assert!(
                report.entries >= promised,
                "{when}: {promised} promised, {report:?}"
            );
            if run_dir.join("seg-000001.jsonl").exists() {
                assert!(matches!(report.exit_code, 2 | 3), "{when}: {report:?}");
                continued(&run_dir, &when);
            } else {
                assert_eq!((promised, report.exit_code), (0, 4), "{when}");
            }
            if ended {
                break;
            }
            tried += 1;
        }
    }
    assert!(tried > 80, "only {tried} calls");
    println!("processes killed, one at each call: {tried}, nothing that was promised was lost");
}

#[test]
fn of_processes_that_want_a_run_at_once_one_has_it_and_the_others_are_told_who() {
    let mut races = 0;
    for what in ["race-create", "race-resume"] {
        for _ in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let run_dir = folder.path().join("run");
            if what == "race-resume" {
                let writer = Writer::create(&run_dir, start(), deps(Arc::new(RealDisk), 1));
                wait(writer.unwrap().close()).unwrap();
            }
            let mut children: Vec<Child> = (0..3).map(|_| child(&run_dir, what)).collect();
            let mut outs: Vec<_> = children
                .iter_mut()
                .map(|child| BufReader::new(child.stdout.take().unwrap()))
                .collect();
            for out in &mut outs {
                assert_eq!(heard(out).as_deref(), Some("ready"));
            }
            for child in &mut children {
                child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
            }
            let said: Vec<String> = outs.iter_mut().map(|out| heard(out).unwrap()).collect();
            let won: Vec<&str> = said
                .iter()
                .filter_map(|said| said.strip_prefix("won "))
                .collect();
            assert_eq!(won.len(), 1, "{what}: {said:?}");
            for told in said.iter().filter(|said| !said.starts_with("won ")) {
                // Who holds it is written right after the lock is taken, and may not be there yet.
                let named = told.starts_with(&format!("told process {} ", won[0]));
                assert!(named || told == "told another process", "{what}: {said:?}");
            }
            for (mut child, mut out) in children.into_iter().zip(outs) {
                drop(child.stdin.take());
                while heard(&mut out).is_some() {}
                assert!(child.wait().unwrap().success());
            }
            let report = inside(&run_dir);
            let sessions = if what == "race-create" { 1 } else { 2 };
            assert_eq!(
                (report.exit_code, report.entries),
                (2, sessions),
                "{report:?}"
            );
            races += 1;
        }
    }
    println!("races of three processes for one run: {races}, one winner each");
}
