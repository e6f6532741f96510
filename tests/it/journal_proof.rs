//! A proof of one entry holds for every entry of every tree, and for nothing else than what it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azir::journal::Writer;
use azir::journal::disk::RealDisk;
use azir::journal::prove::{ProveError, prove};
use azir::journal::verify::{Outside, ProofReport, check_proof};
use serde_json::{Value, json};

use crate::journal_kit::{
    ALICE, ORIGIN, again, anchor, codes_of, deps, entry, last_checkpoint, person, sealed_run,
    signature, signers_line, start, wait,
};
use crate::journal_stamp::Authority;

/// Keeps a proof in a file and checks it.
fn check(folder: &Path, proof: &str, outside: &Outside) -> ProofReport {
    let file = folder.join("proof.json");
    fs::write(&file, proof).unwrap();
    check_proof(&file, outside)
}

/// A run with a checkpoint after each of its 70 entries, in two sessions.
fn run_of_70(folder: &Path) -> PathBuf {
    let run_dir = folder.join("run");
    wait(async {
        let fill = async |writer: Writer, upto: u64| {
            while writer.head().entries < upto {
                let number = writer.head().entries;
                let note = entry("note", json!({"text": format!("note {number}")}));
                writer.append(note).await.unwrap();
                writer.checkpoint().await.unwrap();
            }
            writer.close().await.unwrap();
        };
        let writer = Writer::create(&run_dir, start(), deps(Arc::new(RealDisk), 1)).unwrap();
        fill(writer, 41).await;
        let writer = Writer::open_session(&run_dir, again(), deps(Arc::new(RealDisk), 2)).unwrap();
        fill(writer, 70).await;
    });
    run_dir
}

#[test]
fn every_entry_of_every_tree_up_to_70_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = run_of_70(folder.path());
    let mut proved = 0;
    for size in 1..=70 {
        // The prover takes the checkpoint that most stands beside.
        let cp = run_dir.join(format!("cp/{size:06}.cp"));
        let text = fs::read(&cp).unwrap();
        let beside = cp.with_extension("human.sig");
        fs::write(&beside, signature(&person(1), "azir-checkpoint-v1", &text)).unwrap();
        for index in 0..size {
            let proof = prove(&run_dir, index, true).unwrap();
            let report = check(folder.path(), &proof, &Outside::default());
            assert_eq!(report.exit_code, 2, "{index} of {size}: {report:?}");
            assert_eq!((report.index, report.tree_size), (index, size));
            assert_eq!(report.entry["seq"], index);
            let opening: Value = serde_json::from_str(&proof).unwrap();
            let expected = if size > 41 { 41 } else { 0 };
            assert_eq!(opening["opening"]["index"], expected);
            proved += 1;
        }
        fs::remove_file(beside).unwrap();
    }
    assert_eq!(proved, 70 * 71 / 2);
}

#[test]
fn a_proof_with_all_that_is_needed_from_outside_is_0() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let proof = prove(&run_dir, 8, true).unwrap();
    let report = check(folder.path(), &proof, &outside);
    assert_eq!(report.exit_code, 0, "{report:?}");
    assert_eq!(report.origin, ORIGIN);
    assert!(report.proves.iter().any(|shown| shown.contains("entry 8")));
    assert!(report.proves.iter().any(|shown| shown.contains(ALICE)));
    assert_eq!(report.does_not_prove.len(), 3);
    // Each thing from outside is needed.
    for (without, code) in [
        (
            Outside {
                signers: None,
                ..outside.clone()
            },
            "no-outside-signers",
        ),
        (
            Outside {
                earlier_checkpoints: Vec::new(),
                ..outside.clone()
            },
            "head-not-anchored",
        ),
        (
            Outside {
                earlier_checkpoints: Vec::new(),
                origin: None,
                ..outside.clone()
            },
            "no-outside-origin",
        ),
    ] {
        let report = check(folder.path(), &proof, &without);
        assert_eq!(report.exit_code, 2);
        assert!(codes_of(&report.findings).contains(&code), "{code}");
    }
}

#[test]
fn what_does_not_fit_from_outside_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let proof = prove(&run_dir, 8, true).unwrap();
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let elsewhere = sealed_run(&other, 2);
    let checkpoint = last_checkpoint(&elsewhere);
    let signers = folder.path().join("other-signers");
    fs::write(&signers, signers_line(ALICE, "", &person(3))).unwrap();
    let expired = folder.path().join("expired");
    let bounds = ",valid-before=\"20200101Z\"";
    fs::write(&expired, signers_line(ALICE, bounds, &person(1))).unwrap();
    let bob = folder.path().join("bob");
    fs::write(&bob, signers_line("bob@contoso.example", "", &person(1))).unwrap();
    for (wrong, code) in [
        (
            Outside {
                origin: Some("azir/IR-1/x".to_owned()),
                ..outside.clone()
            },
            "other-origin",
        ),
        (
            Outside {
                earlier_checkpoints: vec![checkpoint],
                ..outside.clone()
            },
            "wrong-root",
        ),
        (
            Outside {
                signers: Some(signers),
                ..outside.clone()
            },
            "unknown-key",
        ),
        (
            Outside {
                signers: Some(expired),
                ..outside.clone()
            },
            "unknown-key",
        ),
        (
            Outside {
                signers: Some(bob),
                ..outside.clone()
            },
            "other-person",
        ),
    ] {
        let report = check(folder.path(), &proof, &wrong);
        assert_eq!(report.exit_code, 1, "{code}: {report:?}");
        assert!(
            codes_of(&report.findings).contains(&code),
            "{code}: {report:?}"
        );
    }
    // An earlier checkpoint of the same log can say nothing of this one, and takes nothing away.
    let earlier = Outside {
        earlier_checkpoints: vec![run_dir.join("cp/000001.cp")],
        ..outside
    };
    let report = check(folder.path(), &proof, &earlier);
    assert_eq!(report.exit_code, 2);
    assert!(codes_of(&report.findings).contains(&"other-checkpoint"));
}

#[test]
fn every_single_bit_flip_of_a_proof_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let proof = prove(&run_dir, 8, true).unwrap();
    let good = proof.as_bytes();
    let file = folder.path().join("flipped.json");
    let mut found = 0;
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &bad).unwrap();
        let code = check_proof(&file, &outside).exit_code;
        assert!(
            matches!(code, 1 | 4),
            "bit {bit} of {:?}: {code}",
            bad[bit / 8]
        );
        found += 1;
    }
    println!("proof: {found} single-bit flips, 0 undetected");
}

/// Every way to change one member of a JSON value.
fn changed(value: &Value, each: &mut dyn FnMut(Value)) {
    match value {
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            each(json!(number + 1));
            each(json!(number.wrapping_sub(1)));
            each(json!(number.to_string()));
            each(Value::Null);
        }
        Value::String(text) => {
            each(json!(""));
            each(json!(format!("{text}x")));
            each(json!(format!("{text}\n")));
            each(json!([text]));
            each(Value::Null);
        }
        Value::Array(items) => {
            each(Value::Null);
            each(json!([&items[..], &[json!("0".repeat(64))]].concat()));
            each(json!(items.iter().rev().collect::<Vec<_>>()));
            for at in 0..items.len() {
                let mut less = items.clone();
                less.remove(at);
                each(Value::Array(less));
                changed(&items[at], &mut |item| {
                    let mut other = items.clone();
                    other[at] = item;
                    each(Value::Array(other));
                });
            }
        }
        Value::Object(members) => {
            each(Value::Null);
            let mut more = members.clone();
            more.insert("more".to_owned(), json!(1));
            each(Value::Object(more));
            for (name, member) in members {
                let mut less = members.clone();
                less.remove(name);
                each(Value::Object(less));
                changed(member, &mut |value| {
                    let mut other = members.clone();
                    other.insert(name.clone(), value);
                    each(Value::Object(other));
                });
            }
        }
        _ => {}
    }
}

#[test]
fn every_changed_member_of_a_proof_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let text = prove(&run_dir, 3, true).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    let (mut found, mut lesser) = (0, 0);
    changed(&good, &mut |bad| {
        if bad == good {
            return;
        }
        let report = check(folder.path(), &bad.to_string(), &outside);
        let gone = |name: &str| bad.get(name).is_none_or(Value::is_null);
        // What is taken away whole is no lie: it proves less, and says so. No stamps are no stamps either way.
        let less = gone("opening") || gone("human_signature");
        let same = bad.get("stamps").is_none();
        match report.exit_code {
            2 if less => lesser += 1,
            0 if same => {}
            1 | 4 => found += 1,
            code => panic!("{code}: {bad}"),
        }
    });
    println!("proof: {found} changed members found, {lesser} that prove less say so");
    assert!(found > 60 && lesser >= 2, "{found} {lesser}");
}

#[test]
fn another_entry_or_run_does_not_pass_for_the_one_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let elsewhere = sealed_run(&other, 2);
    let read = |run_dir: &Path, seq| -> Value {
        serde_json::from_str(&prove(run_dir, seq, true).unwrap()).unwrap()
    };
    let (mine, neighbour) = (read(&run_dir, 3), read(&run_dir, 4));
    let theirs = read(&elsewhere, 3);
    for (what, members, from) in [
        ("the line of a neighbour", &["line"][..], &neighbour),
        (
            "line and path of a neighbour",
            &["line", "path"],
            &neighbour,
        ),
        ("the line of another run", &["line"], &theirs),
        (
            "another run under this checkpoint",
            &["line", "path", "opening"],
            &theirs,
        ),
        ("another run's checkpoint", &["checkpoint"], &theirs),
        (
            "another run with this one's signature",
            &["line", "path", "checkpoint", "opening", "session_signature"],
            &theirs,
        ),
        (
            "another run's session",
            &["opening", "session_signature"],
            &theirs,
        ),
    ] {
        let mut proof = mine.clone();
        for member in members {
            proof[*member] = from[*member].clone();
        }
        let report = check(folder.path(), &proof.to_string(), &outside);
        assert_eq!(report.exit_code, 1, "{what}: {report:?}");
    }
    let duplicate =
        prove(&run_dir, 3, true)
            .unwrap()
            .replacen("\"index\"", "\"index\": 3, \"index\"", 1);
    assert_eq!(check(folder.path(), &duplicate, &outside).exit_code, 1);
}

#[test]
fn an_entry_alone_shows_nothing_of_the_run_but_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let proof = prove(&run_dir, 8, false).unwrap();
    assert!(!proof.contains("session_key"));
    let report = check(folder.path(), &proof, &outside);
    assert_eq!(report.exit_code, 2, "{report:?}");
    assert!(codes_of(&report.findings).contains(&"no-opening"));
}

#[test]
fn what_cannot_be_proved_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    assert!(matches!(
        prove(&run_dir, 12, true),
        Err(ProveError::NoEntry {
            seq: 12,
            entries: 12
        })
    ));
    fs::remove_file(last_checkpoint(&run_dir)).unwrap();
    assert!(matches!(
        prove(&run_dir, 11, true),
        Err(ProveError::NotCovered(11))
    ));
    // A log that was changed is not made a proof of.
    let segment = run_dir.join("seg-000001.jsonl");
    let lines = fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    fs::write(&segment, [&lines[..3], &lines[4..]].concat().concat()).unwrap();
    assert!(matches!(
        prove(&run_dir, 4, true),
        Err(ProveError::Changed(_))
    ));
    // What is no proof, and what is one of another form.
    let outside = Outside::default();
    assert_eq!(check(folder.path(), "{}", &outside).exit_code, 1);
    assert_eq!(check(folder.path(), "not json", &outside).exit_code, 1);
    // Nor is a file that is no text.
    let odd = folder.path().join("odd");
    std::fs::write(&odd, [0xff, 0xfe, b'{']).unwrap();
    assert_eq!(check_proof(&odd, &outside).exit_code, 1);
    assert_eq!(
        check_proof(Path::new("no such file"), &outside).exit_code,
        4
    );
    let proof = prove(&sealed_run(&folder.path().join("b"), 1), 3, true).unwrap();
    let later = proof.replace("azir-proof-v1", "azir-proof-v2");
    assert_eq!(check(folder.path(), &later, &outside).exit_code, 4);
}

#[test]
#[ignore = "needs openssl"]
fn a_stamp_goes_with_a_proof_and_dates_it() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let cp = last_checkpoint(&run_dir);
    fs::write(cp.with_extension("tsr"), authority.stamp(&cp)).unwrap();
    let outside = Outside {
        earlier_checkpoints: Vec::new(),
        tsa_ca: Some(authority.path("ca.pem")),
        ..anchor(&run_dir, folder.path())
    };
    let text = prove(&run_dir, 8, true).unwrap();
    let report = check(folder.path(), &text, &outside);
    assert_eq!(report.exit_code, 0, "{report:?}");
    assert!(
        report
            .proves
            .iter()
            .any(|shown| shown.contains("authority"))
    );
    let good: Value = serde_json::from_str(&text).unwrap();
    let stamp = good["stamps"][0].as_str().unwrap();
    for (bad, expected) in [
        (json!([]), 2),
        (json!([stamp.replacen('A', "B", 1)]), 1),
        (json!([&stamp[..stamp.len() - 4]]), 1),
        (json!([stamp, "AAAA"]), 1),
        (json!([""]), 1),
    ] {
        let mut proof = good.clone();
        proof["stamps"] = bad;
        let report = check(folder.path(), &proof.to_string(), &outside);
        assert_eq!(report.exit_code, expected, "{report:?}");
    }
    let stranger = Authority::new();
    let other = Outside {
        tsa_ca: Some(stranger.path("ca.pem")),
        ..outside
    };
    assert_eq!(check(folder.path(), &text, &other).exit_code, 1);
}
