//! The examples in the format's own text are real: the verifier reads those very bytes.

use std::fs;

use azir::journal::verify::{Outside, verify};

const FORMAT: &str = include_str!("../../src/journal/FORMAT.md");

/// Returns the fenced block that follows `title`.
fn example(title: &str) -> &'static str {
    let after = FORMAT
        .split_once(&format!("`{title}`:\n\n```text\n"))
        .unwrap()
        .1;
    after.split_once("```").unwrap().0
}

#[test]
fn the_example_verifies_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cp")).unwrap();
    for name in ["seg-000001.jsonl", "cp/000001.cp", "cp/000001.session.sig"] {
        fs::write(folder.path().join(name), example(name)).unwrap();
    }
    let origin = example("cp/000001.cp").lines().next().unwrap().to_owned();
    let report = verify(
        folder.path(),
        &Outside {
            origin: Some(origin),
            ..Outside::default()
        },
    );
    assert_eq!((report.exit_code, report.entries), (2, 1), "{report:?}");
    let other = fs::read_to_string(folder.path().join("seg-000001.jsonl"))
        .unwrap()
        .replace("contain", "contaim");
    fs::write(folder.path().join("seg-000001.jsonl"), other).unwrap();
    assert_eq!(verify(folder.path(), &Outside::default()).exit_code, 1);
}
