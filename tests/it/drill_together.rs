//! Several commands in the lab of one drill: a lab that was killed, one that others still use, and a drill that azir
//! answered and did not end.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use azir::drill::record;

use crate::support::bare;

fn spawn(home: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(args)
        .env_clear()
        .env("AZIR_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for something, and for no longer than it can take.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn started(home: &Path, id: &str) -> PathBuf {
    let args = [
        "drill",
        "start",
        "vm-compromise",
        "--lab",
        "--incident",
        id,
        "--lab-latency",
        "0",
    ];
    let done = bare(home, &args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    record::folder(home, id).join("cases").join(id)
}

/// Starts a drill that azir answers, and returns its folder.
fn answered_by_azir(home: &Path) -> (Child, PathBuf) {
    let args = [
        "drill",
        "start",
        "vm-compromise",
        "--lab",
        "--auto",
        "--incident",
        "DRILL-1",
    ];
    (spawn(home, &args), record::folder(home, "DRILL-1"))
}

#[test]
fn after_a_lab_was_killed_all_who_come_at_once_find_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let case = started(home.path(), "DRILL-1");
    let mut owner = spawn(
        home.path(),
        &["isolate-vm", "vm-web-07", "--yes", "--incident", "DRILL-1"],
    );
    let door = case.join("lab/port");
    let run = || {
        std::fs::read_dir(&case)
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("run-"))
    };
    until("the run began", || door.is_file() && run());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(
        door.is_file(),
        "what it left behind is there to be led astray by"
    );
    let all: Vec<Child> = (0..6)
        .map(|_| {
            spawn(
                home.path(),
                &["drill", "status", "DRILL-1", "--lab-latency", "0"],
            )
        })
        .collect();
    for child in all {
        let done = child.wait_with_output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

#[test]
fn whoever_waits_for_guests_of_the_lab_can_be_stopped() {
    let home = tempfile::tempdir().unwrap();
    let case = started(home.path(), "DRILL-1");
    // A guest who does not leave.
    let guests = File::options()
        .write(true)
        .open(case.join("lab/guests"))
        .unwrap();
    guests.lock_shared().unwrap();
    let mut owner = spawn(
        home.path(),
        &["drill", "status", "DRILL-1", "--lab-latency", "0"],
    );
    let mut said = BufReader::new(owner.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the lab waits for other commands")));
    assert!(owner.try_wait().unwrap().is_none());
    // Until it listens a signal may come too early, and then it is simply sent again.
    let pid = owner.id().to_string();
    until("it stopped", || {
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        owner.try_wait().unwrap().is_some()
    });
    drop(guests);
}

#[test]
fn a_drill_that_azir_answers_is_nobody_elses() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (mut child, folder) = answered_by_azir(home);
    until("its clock started", || {
        record::read(&folder).is_ok_and(|standing| standing.runs())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    for args in [
        ["isolate-vm", "vm-web-07", "--yes", "--incident", "DRILL-1"].as_slice(),
        &["drill", "finish", "DRILL-1"],
    ] {
        let refused = bare(home, args);
        assert_eq!(refused.code, 2, "{args:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("azir drill abort DRILL-1"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(bare(home, &["drill", "abort", "DRILL-1"]).code, 0);
    let standing = record::read(&folder).unwrap();
    assert_eq!(
        (standing.state, standing.verdict),
        (record::State::Aborted, None)
    );
}

#[test]
fn stopped_half_way_a_drill_of_azir_does_not_count() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (mut child, folder) = answered_by_azir(home);
    let cases = folder.join("cases/DRILL-1");
    let run = || {
        std::fs::read_dir(&cases).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("run-"))
        })
    };
    until("a run began", run);
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(1));
    let begun = std::fs::read_dir(&cases).unwrap().flatten();
    let runs = begun.filter(|entry| entry.file_name().to_string_lossy().starts_with("run-"));
    assert_eq!(runs.count(), 1, "no other run is begun after that");
    let standing = record::read(&folder).unwrap();
    assert_eq!(
        (standing.state, standing.verdict),
        (record::State::Aborted, None)
    );
}
