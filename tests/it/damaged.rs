//! A record that was changed, and an output that cannot be written: nobody is let believe in either.

use std::path::PathBuf;

use serde_json::Value;

use crate::journal_kit::{ALICE, person};
use crate::support::{Azir, Done, SUB, done};

/// A lab with one short run.
fn collected() -> Azir {
    let azir = Azir::new();
    let group = format!("{SUB}/resourceGroups/rg-workload-prod");
    let run = azir.run(&[
        "collect-activity-log",
        &group,
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    azir
}

/// A lab with one short run, whose record is then changed in its middle.
fn changed() -> (Azir, PathBuf) {
    let azir = collected();
    let run_dir = azir.run_dir("IR-1");
    let segment = run_dir.join("seg-000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    (azir, run_dir)
}

fn with_key(azir: &Azir, args: &[&str]) -> Done {
    let key = azir.home.path().join("key");
    person(1)
        .write_openssh_file(&key, ssh_key::LineEnding::LF)
        .unwrap();
    let mut command = azir.command(args);
    command.env("AZIR_KEY", &key);
    done(command.output().unwrap())
}

#[test]
fn nobody_signs_seals_or_exports_a_changed_record_without_being_told() {
    let (azir, run_dir) = changed();
    let before = std::fs::read_dir(run_dir.join("cp")).unwrap().count();
    for words in [
        &["journal", "countersign", "last", "--responder", ALICE][..],
        &["journal", "seal", "last", "--yes", "--responder", ALICE],
    ] {
        let refused = with_key(&azir, words);
        assert_eq!(refused.code, 6, "{words:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("the record does not verify"),
            "{words:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(
        std::fs::read_dir(run_dir.join("cp")).unwrap().count(),
        before,
        "no signature was left"
    );
    for format in ["jsonl", "timesketch-csv", "html", "bagit"] {
        let told = azir.run(&[
            "journal",
            "export",
            "last",
            "--format",
            format,
            "-o",
            azir.home.path().join(format).to_str().unwrap(),
        ]);
        assert_eq!(told.code, 6, "{format}: {}", told.stderr);
        assert!(
            told.stderr.contains("does not verify"),
            "{format}: {}",
            told.stderr
        );
    }
    let shown = azir.run(&["show", "last"]);
    assert_eq!(shown.code, 6, "{}", shown.stderr);
}

#[test]
fn a_pipe_in_a_run_folder_is_foreign_and_nobody_waits_for_it() {
    let (azir, run_dir) = changed();
    let segment = run_dir.join("seg-000001.jsonl");
    std::fs::remove_file(&segment).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&segment).status();
    assert!(made.unwrap().success());
    let verified = azir.run(&["journal", "verify", run_dir.to_str().unwrap()]);
    assert_eq!(verified.code, 1, "{}", verified.stdout);
    assert_eq!(azir.run(&["list"]).code, 6);
}

#[test]
fn an_output_that_did_not_take_everything_is_said() {
    let azir = collected();
    for words in [
        &["journal", "export", "last"][..],
        &["journal", "prove", "last", "3"],
        &["timeline", "IR-1"],
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = azir.command(words).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("stdout did not take all of it"),
            "{words:?}: {said}"
        );
    }
    let whole: Value =
        serde_json::from_str(&azir.run(&["journal", "prove", "last", "3"]).stdout).unwrap();
    assert_eq!(whole["format"], "azir-proof-v1");
}
