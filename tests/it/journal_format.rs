//! The examples in the format's own text are real: the verifier reads those very bytes.

use std::fs;
use std::path::Path;

use azir::digest::Digest;
use azir::journal::prove::prove;
use azir::journal::verify::{Outside, check_proof, verify};

use crate::journal_kit::codes;

const FORMAT: &str = include_str!("../../src/journal/FORMAT.md");

/// Returns the titles of the example's blocks, and what they hold.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let (_, example) = FORMAT.split_once("\n## Example\n").unwrap();
    let mut blocks = Vec::new();
    for part in example.split("`:\n\n```text\n").skip(1).enumerate() {
        let (number, part) = part;
        let before = example.split("`:\n\n```text\n").nth(number).unwrap();
        let title = before.rsplit('`').next().unwrap();
        blocks.push((title, part.split("```").next().unwrap()));
    }
    blocks
}

/// Lays the example out: the run in `run`, what comes from outside beside it.
fn lay_out(folder: &Path) -> Outside {
    let run_dir = folder.join("run");
    fs::create_dir_all(run_dir.join("cp")).unwrap();
    fs::create_dir_all(run_dir.join("evidence")).unwrap();
    for (title, text) in blocks() {
        let (path, text) = match title {
            "signers" | "proof.json" => (folder.join(title), text),
            // The text says so: a crash cut it off.
            "seg-000001.jsonl" => (run_dir.join(title), text.strip_suffix('\n').unwrap()),
            _ => (run_dir.join(title), text),
        };
        fs::write(path, text).unwrap();
    }
    let checkpoint = run_dir.join("cp/000004.cp");
    let origin = fs::read_to_string(&checkpoint).unwrap();
    Outside {
        origin: origin.lines().next().map(str::to_owned),
        signers: Some(folder.join("signers")),
        earlier_checkpoints: vec![checkpoint],
        ..Outside::default()
    }
}

#[test]
fn the_example_verifies_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let outside = lay_out(folder.path());
    let run_dir = folder.path().join("run");
    let report = verify(&run_dir, &outside);
    assert_eq!(
        (report.exit_code, report.entries, report.open_intents),
        (0, 5, 0),
        "{report:?}"
    );
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!(verify(&run_dir, &Outside::default()).exit_code, 2);
    for (file, from, to) in [
        ("seg-000001.jsonl", "contain", "contaim"),
        ("seg-000001.jsonl", "5f1c2d8a", "5f1c2d8b"),
        ("seg-000002.jsonl", "\"no\"", "\"yes\""),
        ("cp/000003.cp", "seg-000001.jsonl 14", "seg-000001.jsonl 13"),
    ] {
        let path = run_dir.join(file);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        assert_eq!(verify(&run_dir, &Outside::default()).exit_code, 1, "{to}");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn the_example_of_a_proof_checks_and_is_what_azir_writes() {
    let folder = tempfile::tempdir().unwrap();
    let outside = lay_out(folder.path());
    let proof = folder.path().join("proof.json");
    let report = check_proof(&proof, &outside);
    assert_eq!((report.exit_code, report.index), (0, 3), "{report:?}");
    let written = prove(&folder.path().join("run"), 3, true).unwrap();
    assert_eq!(fs::read_to_string(proof).unwrap(), written);
}

#[test]
fn the_figures_that_the_text_gives_are_those_of_the_example() {
    let cited = |title: &str, line: usize| {
        let (_, text) = blocks()
            .into_iter()
            .find(|(name, _)| *name == title)
            .unwrap();
        let cited = text.lines().filter(|line| line.starts_with("file "));
        cited.clone().nth(line).unwrap().split(' ').nth(2).unwrap()
    };
    let (before, after) = (cited("cp/000002.cp", 0), cited("cp/000003.cp", 0));
    assert!(FORMAT.contains(&format!(
        "grows from {before} to {after} bytes, and the 18 between are the tail"
    )));
    let end = cited("cp/000004.cp", 1);
    assert!(FORMAT.contains(&format!("head -c {end} seg-000002.jsonl | sha256sum")));
}

#[test]
fn the_body_that_the_text_shows_has_the_hash_of_its_line() {
    let (_, shown) = FORMAT
        .split_once("(a test computes it):\n\n```text\n")
        .unwrap();
    let body = shown.lines().next().unwrap();
    let hash = Digest::of(body.as_bytes()).to_string();
    let (_, segment) = blocks()[0];
    let line = segment.lines().nth(1).unwrap();
    assert_eq!(line, format!("{{\"_hash\":\"{hash}\",{}", &body[1..]));
}
