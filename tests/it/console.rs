//! What a person sees and types that is not a run: help, lists, the lab as a server, the README's own words.

use std::io::BufRead;
use std::process::{Command, Stdio};

use crate::support::{Azir, bare};

#[test]
fn help_lists_the_runbooks_and_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let done = bare(folder.path(), &["--help"]);
    assert_eq!(done.code, 0);
    for said in [
        "isolate-vm",
        "Isolate a virtual machine",
        "prepare-quarantine",
        "Exit codes",
        "75",
        "journal",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    let done = bare(folder.path(), &["isolate-vm", "--help"]);
    assert!(
        done.stdout.contains("--cut-dns") && done.stdout.contains("VM"),
        "{}",
        done.stdout
    );
    assert!(
        bare(folder.path(), &["isolate-wm"])
            .stderr
            .contains("isolate-vm")
    );
}

#[test]
fn everything_that_reads_works_in_an_empty_home() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(bare(folder.path(), &["list"]).code, 0);
    assert_eq!(
        bare(folder.path(), &["list", "--output", "json"])
            .stdout
            .trim(),
        "[]"
    );
    assert_eq!(bare(folder.path(), &["runbook", "lint"]).code, 0);
    assert!(
        bare(folder.path(), &["runbook", "show", "isolate-vm"])
            .stdout
            .contains("Put every network interface behind the quarantine NSG")
    );
    for what in ["run", "plan", "preflight", "list", "show", "doctor"] {
        let done = bare(folder.path(), &["schema", what]);
        let schema: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert!(jsonschema::validator_for(&schema).is_ok(), "{what}");
    }
    assert_eq!(bare(folder.path(), &["init"]).code, 0);
    assert_eq!(
        bare(folder.path(), &["init"]).code,
        2,
        "an existing file is not replaced"
    );
    assert!(
        std::fs::read_to_string(folder.path().join("config.toml"))
            .unwrap()
            .contains("[profiles.prod]")
    );
}

#[test]
fn the_report_and_the_plan_are_what_their_schemas_say() {
    let azir = Azir::new();
    let check = |what: &str, value: &serde_json::Value| {
        let schema: serde_json::Value =
            serde_json::from_str(&azir.run(&["schema", what]).stdout).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{what}");
    };
    check("plan", &azir.json(&["isolate-vm", "vm-app-01", "--plan"]).1);
    check(
        "run",
        &azir
            .json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"])
            .1,
    );
    check("list", &azir.json(&["list"]).1);
    check("show", &azir.json(&["show", "last"]).1);
    check("doctor", &azir.json(&["doctor"]).1);
}

#[test]
fn ndjson_is_one_event_a_line_and_begins_with_the_run() {
    let azir = Azir::new();
    let done = azir.run(&[
        "isolate-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--output",
        "ndjson",
    ]);
    let lines: Vec<serde_json::Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "run_started");
    assert!(lines[0]["run"].as_str().unwrap().len() == 36);
    assert_eq!(lines.last().unwrap()["event"], "run_ended");
    assert_eq!(lines.last().unwrap()["exit_code"], 0);
}

#[test]
fn targets_come_from_a_file_too() {
    let azir = Azir::new();
    let file = azir.home.path().join("targets");
    std::fs::write(&file, "# two of them\nvm-app-01\n\nvm-stopped-01\n").unwrap();
    let (code, report) = azir.json(&[
        "isolate-vm",
        "--from",
        file.to_str().unwrap(),
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["targets"].as_array().unwrap().len(), 2);
}

#[test]
fn a_runbook_of_ones_own_is_a_command() {
    let azir = Azir::new();
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["runbook", "new", "my-check"])
        .current_dir(&folder)
        .env("AZIR_HOME", azir.home.path())
        .status()
        .unwrap();
    assert!(written.success());
    let done = azir.run(&["my-check", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("vm-app-01 is Succeeded"),
        "{}",
        done.stderr
    );
    let path = folder.join("my-check.yaml");
    let done = azir.run(&[
        "run",
        path.to_str().unwrap(),
        "vm-app-01",
        "--yes",
        "--incident",
        "IR-2",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn the_lab_serves_until_it_is_told_to_stop() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["lab", "serve", "--latency", "0", "--lro", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    for name in [
        "arm",
        "ca",
        "tenant_id",
        "client_id",
        "client_secret",
        "subscription_id",
        "pid",
    ] {
        assert!(ready.get(name).is_some(), "{name}");
    }
    assert!(
        std::fs::read_to_string(ready["ca"].as_str().unwrap())
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(ready["ca"].as_str().unwrap()).exists());
}

#[test]
fn the_readmes_first_command_works_as_it_stands() {
    let readme = include_str!("../../README.md");
    let line = readme
        .lines()
        .find(|line| line.starts_with("cargo run --release -- "))
        .unwrap();
    let mut args: Vec<&str> = line
        .trim_start_matches("cargo run --release -- ")
        .split(' ')
        .collect();
    args.extend(["--lab-latency", "0"]);
    let folder = tempfile::tempdir().unwrap();
    let done = bare(folder.path(), &args);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    for said in [
        "CONTAINED",
        "Stays open:",
        "Verify: azir journal verify",
        "Undo:",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    for args in [
        &["list"][..],
        &["show", "last"],
        &["journal", "show", "last"],
        &["undo", "last", "--lab", "--yes", "--lab-latency", "0"],
    ] {
        let done = bare(folder.path(), args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.stdout, done.stderr);
    }
    assert_eq!(bare(folder.path(), &["journal", "verify", "last"]).code, 2);
}
