//! Who may import whom: calls go one way (DESIGN, "The house").

use std::path::Path;

/// A part, and the parts that it may name besides the basics.
const TABLE: &[(&str, &[&str])] = &[
    ("azure", &[]),
    ("journal", &[]),
    ("evidence", &[]),
    ("runbook", &[]),
    ("lab", &[]),
    ("report", &["journal", "evidence"]),
    (
        "engine",
        &["azure", "journal", "evidence", "runbook", "report"],
    ),
    // The judge knows the lab, and the lab not the judge.
    (
        "drill",
        &[
            "azure", "engine", "evidence", "journal", "lab", "report", "runbook",
        ],
    ),
];
const PARTS: &[&str] = &[
    "azure", "cli", "drill", "engine", "evidence", "journal", "lab", "report", "runbook",
];

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_part_imports_what_the_table_does_not_allow() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (part, allowed) in TABLE {
        let mut found = Vec::new();
        files(&src.join(part), &mut found);
        assert!(!found.is_empty(), "{part}");
        for file in found {
            let text = std::fs::read_to_string(&file).unwrap();
            for other in PARTS
                .iter()
                .filter(|other| *other != part && !allowed.contains(other))
            {
                assert!(
                    !text.contains(&format!("crate::{other}")),
                    "{} imports {other}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_verifier_shares_only_format_and_tree_with_the_writer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal/verify");
    let mut found = Vec::new();
    files(&folder, &mut found);
    for file in found {
        let text = std::fs::read_to_string(&file).unwrap();
        for writer in [
            "journal::writer",
            "journal::entry",
            "journal::checkpoint",
            "journal::sign",
            "journal::reader",
        ] {
            assert!(!text.contains(writer), "{} uses {writer}", file.display());
        }
    }
}

#[test]
fn every_part_says_what_it_is_for() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    for file in found {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} has no head paragraph",
            file.display()
        );
    }
}
