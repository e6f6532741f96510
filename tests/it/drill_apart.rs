//! What is rehearsed and what is real, kept apart on every way that leads from one to the other.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use azir::digest::Digest;
use azir::drill::record::{self, Record, State, What};
use serde_json::Value;

use crate::drill_kit::{Drill, time};
use crate::support::{Done, bare, done};

const DRILL: &str = "DRILL-a";

/// Returns a command that answers at once, with `AZIR_INCIDENT` as a responder has exported it.
fn command(home: &Path, exported: Option<&str>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azir"));
    command
        .args(args)
        .args(["--lab-latency", "0"])
        .env_clear()
        .env("AZIR_HOME", home)
        .stdin(Stdio::null());
    if let Some(id) = exported {
        command.env("AZIR_INCIDENT", id);
    }
    command
}

fn azir(home: &Path, args: &[&str]) -> Done {
    done(command(home, None, args).output().unwrap())
}

/// Runs it with the drill's id exported.
fn inside(home: &Path, args: &[&str]) -> Done {
    done(command(home, Some(DRILL), args).output().unwrap())
}

fn started(home: &Path, id: &str) {
    let done = azir(
        home,
        &["drill", "start", "vm-compromise", "--lab", "--incident", id],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
}

fn case(home: &Path, id: &str) -> PathBuf {
    record::folder(home, id).join("cases").join(id)
}

/// Isolates the drill's machine inside it; returns the folder of the run.
fn rehearsed(home: &Path) -> PathBuf {
    let ran = inside(home, &["isolate-vm", "vm-web-07", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    runs(&case(home, DRILL)).remove(0)
}

/// Isolates a machine of the usual lab, as for a real incident; returns the folder of the run.
fn real(home: &Path) -> PathBuf {
    let args = ["isolate-vm", "vm-app-01", "--yes", "--lab"];
    let ran = azir(home, &[&args[..], &["--incident", "IR-1"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    runs(&home.join("cases/IR-1")).remove(0)
}

fn runs(case: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(case).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("run-")
        })
        .collect()
}

/// Returns every file below a folder with its digest, but for what a lab keeps of its door and its guests.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, Digest::of(&bytes).to_string()));
        }
    }
    found.sort();
    found
}

fn refused(done: &Done, said: &str) {
    let told = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, 2, "{told}");
    assert!(done.stderr.contains(said), "{said}: {told}");
    assert!(done.stderr.contains("next: "), "{told}");
}

#[test]
fn a_drill_that_this_home_does_not_know_is_no_incident() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    for id in ["DRILL-b", "drill-a", "Drill-20261201-31a0"] {
        for args in [
            vec!["isolate-vm", "vm-app-01", "--yes", "--lab"],
            vec!["run", "isolate-vm", "vm-app-01", "--yes", "--lab"],
            vec!["plan", "isolate-vm", "vm-app-01", "--lab"],
            vec!["note", "seen"],
            vec!["incident", "open"],
            vec!["list"],
            vec!["undo", "last", "--yes"],
        ] {
            let typed = [&args[..], &["--incident", id]].concat();
            refused(&azir(home, &typed), "azir drill list");
            let exported = done(command(home, Some(id), &args).output().unwrap());
            refused(&exported, "azir drill list");
        }
        refused(&azir(home, &["incident", "open", id]), "azir drill list");
        refused(&azir(home, &["status", id]), "azir drill list");
    }
    assert!(files(&home.join("cases")).is_empty());
    // What is not written as one is none of it, and the verifier needs no home.
    assert_eq!(azir(home, &["list", "--incident", "IR-DRILL-1"]).code, 0);
    assert_eq!(inside(home, &["completions", "bash"]).code, 0);
}

#[test]
fn a_drill_is_named_so_that_every_home_takes_it_for_one() {
    let home = tempfile::tempdir().unwrap();
    for id in ["IR-7", "exercise", "drill-a", "DRILL"] {
        let args = ["drill", "start", "vm-compromise", "--lab", "--incident", id];
        refused(&azir(home.path(), &args), "DRILL-");
    }
    assert!(!home.path().join("drills").exists());
}

#[test]
fn a_run_of_a_drill_is_acted_on_in_that_drill_alone_and_shown_everywhere() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (home, other) = (home.path(), other.path());
    started(home, DRILL);
    started(home, "DRILL-b");
    let run = rehearsed(home);
    let undone = inside(home, &["undo", "last", "--yes"]);
    assert_eq!(undone.code, 0, "{}", undone.stderr);
    let undo = runs(&case(home, DRILL))
        .into_iter()
        .find(|other| *other != run)
        .unwrap();
    let (run, undo) = (run.to_str().unwrap(), undo.to_str().unwrap());
    let before = files(&case(home, DRILL));
    for args in [
        vec!["undo", run, "--yes"],
        vec!["undo", run, "--plan"],
        vec!["journal", "seal", run],
        vec!["journal", "seal", undo],
        vec!["journal", "countersign", run],
        vec!["journal", "countersign", undo],
        vec!["wait", run, "--residual", "--timeout", "1s"],
        vec!["isolate-vm", "--retry", run, "--yes"],
    ] {
        for home in [home, other] {
            refused(&azir(home, &args), "only acted on inside it");
        }
        let elsewhere = done(command(home, Some("DRILL-b"), &args).output().unwrap());
        refused(&elsewhere, "belongs to incident DRILL-a");
    }
    assert_eq!(files(&case(home, DRILL)), before);
    assert!(files(&other.join("cases")).is_empty());
    for path in [run, undo] {
        let shown = azir(other, &["show", path]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(shown.stdout.starts_with("DRILL "), "{}", shown.stdout);
    }
}

#[test]
fn a_real_run_is_not_acted_on_inside_a_drill() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    let run = real(home);
    let run = run.to_str().unwrap();
    let before = files(&home.join("cases"));
    for args in [
        vec!["undo", run, "--yes"],
        vec!["undo", run, "--plan"],
        vec!["resume", run],
        vec!["journal", "seal", run],
        vec!["journal", "countersign", run],
        vec!["wait", run, "--residual", "--timeout", "1s"],
        vec!["isolate-vm", "--retry", run, "--yes"],
    ] {
        let done = inside(home, &args);
        if args[0] != "resume" {
            refused(&done, "IR-1");
            assert!(
                done.stderr.contains("unset AZIR_INCIDENT"),
                "{}",
                done.stderr
            );
        }
    }
    assert_eq!(files(&home.join("cases")), before);
    assert_eq!(runs(&case(home, DRILL)), Vec::<PathBuf>::new());
    // And it is what it was to whoever works on it outside.
    assert_eq!(azir(home, &["undo", run, "--yes"]).code, 0);
}

#[test]
fn a_plan_is_carried_out_where_it_was_made() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    let (of_drill, of_real) = (home.join("drill.json"), home.join("real.json"));
    let (of_drill, of_real) = (of_drill.to_str().unwrap(), of_real.to_str().unwrap());
    let plan = |vm, file| {
        [
            "plan",
            "isolate-vm",
            vm,
            "-o",
            file,
            "--responder",
            "a@x.example",
        ]
    };
    let planned = inside(home, &plan("vm-web-07", of_drill));
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let real = [
        &plan("vm-app-01", of_real)[..],
        &["--lab", "--incident", "IR-1"],
    ]
    .concat();
    let planned = azir(home, &real);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let read =
        |file| -> Value { serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap() };
    assert_eq!(read(of_drill)["plan"]["drill"], true);
    assert_eq!(read(of_real)["plan"]["drill"], Value::Null);
    let approve = |file| ["approve", file, "--yes", "--responder", "b@x.example"];
    let run = |file| ["run", "--approved", file, "--responder", "a@x.example"];
    let lab = |args: &[&str]| azir(home, &[args, &["--lab"]].concat());
    refused(&lab(&approve(of_drill)), "drill DRILL-a");
    refused(&inside(home, &approve(of_real)), "IR-1");
    assert_eq!(lab(&approve(of_real)).code, 0);
    let approved = inside(home, &approve(of_drill));
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    // The plan is read by who approves it, on stderr.
    let unmarked = approved
        .stderr
        .lines()
        .find(|line| !line.starts_with("DRILL"));
    assert_eq!(unmarked, None);
    refused(&lab(&run(of_drill)), "--incident DRILL-a");
    refused(&inside(home, &run(of_real)), "IR-1");
    let elsewhere = tempfile::tempdir().unwrap();
    refused(&azir(elsewhere.path(), &run(of_drill)), "DRILL-a");
    for case in [
        home.join("cases/IR-1"),
        home.join("cases").join(DRILL),
        case(home, DRILL),
    ] {
        assert_eq!(runs(&case), Vec::<PathBuf>::new());
    }
    let ran = inside(home, &run(of_drill));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(lab(&run(of_real)).code, 0);
}

#[test]
fn an_incident_that_is_named_behind_the_command_is_filed_where_it_belongs() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    started(home, "DRILL-b");
    let opened = azir(home, &["incident", "open", DRILL]);
    assert_eq!(opened.code, 0, "{}", opened.stderr);
    assert!(opened.stdout.starts_with("DRILL "), "{}", opened.stdout);
    assert!(!home.join("cases").join(DRILL).exists());
    assert_eq!(runs(&case(home, DRILL)).len(), 1);
    for args in [
        vec!["incident", "open", "IR-REAL-1"],
        vec!["incident", "close", "IR-REAL-1"],
        vec!["incident", "status", "IR-REAL-1"],
        vec!["status", "IR-REAL-1"],
        vec!["timeline", "IR-REAL-1"],
    ] {
        refused(&inside(home, &args), "IR-REAL-1");
    }
    assert!(files(&home.join("cases")).is_empty());
    let cases = record::folder(home, DRILL).join("cases");
    assert!(!cases.join("IR-REAL-1").exists());
    // Another drill that was typed is the one that is meant.
    assert_eq!(inside(home, &["incident", "open", "DRILL-b"]).code, 0);
    assert_eq!(runs(&case(home, "DRILL-b")).len(), 1);
    assert_eq!(azir(home, &["status", DRILL]).code, 0);
}

/// Waits until a command's stderr says something.
fn says(stderr: impl std::io::Read, said: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    for line in BufReader::new(stderr).lines() {
        if line.unwrap().contains(said) {
            return;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
    panic!("it ended without {said}");
}

#[test]
fn nobody_is_judged_while_a_command_is_under_way_that_may_yet_act() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    // It has begun and has written nothing: it waits for its key, as it would for a yes.
    std::fs::create_dir_all(home.join("keys")).unwrap();
    let key = File::create(home.join("keys").join(Digest::of(b"once").to_string())).unwrap();
    key.lock().unwrap();
    let mut waiting = command(
        home,
        Some(DRILL),
        &["isolate-vm", "vm-web-07", "--yes", "--key", "once"],
    )
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    says(waiting.stderr.take().unwrap(), "waiting for its end");
    for end in ["finish", "abort"] {
        let busy = azir(home, &["drill", end]);
        assert_eq!(busy.code, 75, "{}{}", busy.stdout, busy.stderr);
        for said in ["isolate-vm", &waiting.id().to_string(), "next: "] {
            assert!(busy.stderr.contains(said), "{said}: {}", busy.stderr);
        }
    }
    key.unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(azir(home, &["drill", "finish"]).code, 1);
}

#[test]
fn nothing_begins_while_a_drill_is_being_ended() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    let ending = File::create(record::folder(home, DRILL).join("acting")).unwrap();
    ending.lock().unwrap();
    for args in [
        vec!["isolate-vm", "vm-web-07", "--yes"],
        vec!["note", "seen"],
        vec!["drill", "finish"],
    ] {
        let busy = inside(home, &args);
        assert_eq!(busy.code, 75, "{args:?}: {}{}", busy.stdout, busy.stderr);
        assert!(busy.stderr.contains("next: "), "{}", busy.stderr);
    }
    assert_eq!(runs(&case(home, DRILL)), Vec::<PathBuf>::new());
    ending.unlock().unwrap();
    assert_eq!(inside(home, &["note", "seen"]).code, 0);
}

#[test]
fn a_drill_that_is_over_takes_no_records() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    let run = rehearsed(home);
    let run = run.to_str().unwrap();
    assert_eq!(inside(home, &["note", "seen"]).code, 0);
    assert_eq!(azir(home, &["drill", "finish"]).code, 1);
    let before = files(&case(home, DRILL));
    let file = home.join("file.txt");
    std::fs::write(&file, "x").unwrap();
    for args in [
        vec!["note", "too late"],
        vec!["attach", file.to_str().unwrap()],
        vec!["manual", "done", "--at", "2026-01-01T00:00:00Z"],
        vec!["handover", "--to", "bo@contoso.com"],
        vec!["incident", "open", "--why", "again"],
        vec!["incident", "close"],
        vec!["journal", "seal", run],
        vec!["undo", run, "--yes"],
        vec!["isolate-vm", "vm-web-07", "--yes"],
    ] {
        let late = inside(home, &args);
        refused(&late, "is over");
        assert!(
            late.stderr.contains("unset AZIR_INCIDENT"),
            "{}",
            late.stderr
        );
    }
    assert_eq!(files(&case(home, DRILL)), before);
    assert_eq!(inside(home, &["show", "last"]).code, 0);
}

#[test]
fn a_line_that_cannot_follow_is_not_written_and_the_record_stays_readable() {
    let home = tempfile::tempdir().unwrap();
    let at = time("2026-05-01T10:00:00Z");
    let drill = Drill::of("door-left-open", "DRILL-1", at);
    drill.write(home.path());
    let folder = record::folder(home.path(), "DRILL-1");
    let before = std::fs::read(folder.join("drill.jsonl")).unwrap();
    // A test beside this one that is just starting a process holds the file a moment longer.
    let mut record = loop {
        match Record::open(&folder) {
            Ok((record, _)) => break record,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let why = || "the real thing".to_owned();
    for late in [
        What::Judged(Box::new(drill.verdict.clone())),
        What::Aborted { why: why() },
        What::Closed,
    ] {
        let refused = record.add(at, late).unwrap_err();
        assert!(refused.to_string().contains("Closed"), "{refused}");
    }
    drop(record);
    assert_eq!(std::fs::read(folder.join("drill.jsonl")).unwrap(), before);
    assert_eq!(record::read(&folder).unwrap().state, State::Closed);
}

#[test]
fn a_drill_that_was_typed_and_is_none_ends_no_other() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    for end in ["abort", "finish", "status"] {
        let typed = azir(home, &["drill", end, "--incident", "DRILL-y"]);
        refused(&typed, "there is no drill DRILL-y");
    }
    // What is exported for the real thing says nothing of drills.
    let exported = command(home, Some("IR-2026-0042"), &["drill", "status"]).output();
    assert_eq!(done(exported.unwrap()).code, 0);
    assert!(record::read(&record::folder(home, DRILL)).unwrap().runs());
}

#[test]
fn a_run_of_the_drill_is_done_again_inside_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    started(home, DRILL);
    let mut first = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["isolate-vm", "vm-web-07", "--yes", "--incident", DRILL])
        .env_clear()
        .env("AZIR_HOME", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = || {
        let mut runs = runs(&case(home, DRILL)).into_iter();
        runs.find(|run| run.join("seg-000001.jsonl").is_file())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while begun().is_none() {
        assert!(Instant::now() < deadline && first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let run = begun().unwrap();
    let again = inside(
        home,
        &["isolate-vm", "--retry", run.to_str().unwrap(), "--yes"],
    );
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(runs(&case(home, DRILL)).len(), 2);
    assert_eq!(bare(home, &["list"]).code, 0);
}
