//! What the writer leaves, and what it costs.

use std::sync::Arc;

use azir::journal::disk::RealDisk;
use azir::journal::verify::{Outside, verify};
use azir::journal::{BadEntry, JournalError, Writer, export, read, reader};
use serde_json::{Map, json};

use crate::journal_kit::{
    ALICE, again, anchor, codes, deps, entry, inside, intent, result, sealed_run, start, wait,
};

fn real() -> Arc<RealDisk> {
    Arc::new(RealDisk)
}

#[test]
fn a_sealed_run_verifies_and_with_what_is_known_outside_it_is_anchored() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let report = inside(&run_dir);
    assert_eq!(
        (report.exit_code, report.entries, report.open_intents),
        (2, 12, 0),
        "{report:?}"
    );
    let outside = anchor(&run_dir, folder.path());
    let report = verify(&run_dir, &outside);
    assert_eq!(
        (report.exit_code, report.anchored_to),
        (0, Some(12)),
        "{report:?}"
    );
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // Each thing that 0 rests on, taken away.
    for without in [
        Outside {
            signers: None,
            ..outside.clone()
        },
        Outside {
            earlier_checkpoints: Vec::new(),
            ..outside.clone()
        },
        Outside {
            origin: None,
            earlier_checkpoints: Vec::new(),
            ..outside.clone()
        },
    ] {
        assert_eq!(verify(&run_dir, &without).exit_code, 2);
    }
    let more = Outside {
        min_size: Some(13),
        ..outside.clone()
    };
    assert_eq!(verify(&run_dir, &more).exit_code, 1);
    let other = Outside {
        origin: Some("azir/IR-1/x".to_owned()),
        ..outside
    };
    assert_eq!(verify(&run_dir, &other).exit_code, 1);
}

#[test]
fn the_export_is_the_lines_as_written_and_unsigned_checkpoints_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let mut out = Vec::new();
    assert_eq!(export::jsonl(&run_dir, &mut out).unwrap(), 12);
    assert_eq!(
        out,
        std::fs::read(run_dir.join("seg-000001.jsonl")).unwrap()
    );
    let before = reader::unsigned(&run_dir, "human.sig").unwrap();
    anchor(&run_dir, folder.path());
    let after = reader::unsigned(&run_dir, "human.sig").unwrap();
    assert_eq!(before.len(), after.len() + 1);
    assert_eq!(
        read(&run_dir).unwrap().head,
        reader::head(&run_dir).unwrap()
    );
}

#[test]
fn a_second_writer_is_told_who_holds_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let writer = Writer::create(&run_dir, start(), deps(real(), 1)).unwrap();
    assert!(reader::is_held(&run_dir));
    let Err(JournalError::Locked { holder }) =
        Writer::open_session(&run_dir, again(), deps(real(), 2))
    else {
        panic!("a second writer was let in");
    };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    wait(writer.close()).unwrap();
    assert!(!reader::is_held(&run_dir));
    let second = Writer::open_session(&run_dir, again(), deps(real(), 2)).unwrap();
    assert!(matches!(
        wait(writer.append(intent(1))),
        Err(JournalError::Closed)
    ));
    wait(second.close()).unwrap();
    assert!(
        Writer::create(&run_dir, start(), deps(real(), 3)).is_err(),
        "a run was begun twice"
    );
}

#[test]
fn a_torn_tail_is_declared_exactly_by_the_next_session_and_then_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    wait(async {
        let writer = Writer::create(&run_dir, start(), deps(real(), 1)).unwrap();
        writer.append_durable(intent(1)).await.unwrap();
        writer.close().await.unwrap();
    });
    let segment = run_dir.join("seg-000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"{\"_hash\":\"torn\nand more");
    std::fs::write(&segment, &bytes).unwrap();
    let report = inside(&run_dir);
    assert_eq!(
        (report.exit_code, report.entries, report.open),
        (3, 2, vec![1])
    );
    let writer = Writer::open_session(&run_dir, again(), deps(real(), 2)).unwrap();
    wait(async {
        writer
            .append(entry(
                "action.reconcile",
                json!({"intent": 1, "found": "yes"}),
            ))
            .await
            .unwrap();
        writer.seal(Map::new()).await.unwrap();
    });
    let report = inside(&run_dir);
    assert_eq!(
        (report.exit_code, report.entries, report.open_intents),
        (2, 5, 0),
        "{report:?}"
    );
    assert!(matches!(
        Writer::open_session(&run_dir, again(), deps(real(), 3)),
        Err(JournalError::Sealed)
    ));
    bytes.push(b'x');
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(inside(&run_dir).exit_code, 1);
}

#[test]
fn a_corrupt_run_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    wait(async {
        let writer = Writer::create(&run_dir, start(), deps(real(), 1)).unwrap();
        for n in 0..4 {
            writer.append_durable(intent(n)).await.unwrap();
        }
        writer.close().await.unwrap();
    });
    let segment = run_dir.join("seg-000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 100;
    bytes[second] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    assert!(matches!(
        Writer::open_session(&run_dir, again(), deps(real(), 2)),
        Err(JournalError::Corrupt { .. })
    ));
    assert_eq!(inside(&run_dir).exit_code, 1);
}

#[test]
fn a_sequential_write_costs_one_flush_and_a_run_two_more() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::create(&folder.path().join("run"), start(), deps(real(), 1)).unwrap();
    wait(async {
        for n in 0..200 {
            let seq = writer.append_durable(intent(n)).await.unwrap();
            writer.append(result(seq, "ok")).await.unwrap();
        }
        writer.close().await.unwrap();
    });
    assert!(writer.flushes() <= 202, "{} flushes", writer.flushes());
    let report = inside(&folder.path().join("run"));
    assert!(!codes(&report).contains(&"checkpoint-owed"), "{report:?}");
}

#[test]
fn a_wall_clock_that_was_set_between_two_lines_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let noon = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let clock = azir::clock::ManualClock::at(noon);
    let mut surroundings = deps(real(), 1);
    surroundings.clock = Arc::new(clock.clone());
    let run_dir = folder.path().join("run");
    let writer = Writer::create(&run_dir, start(), surroundings).unwrap();
    wait(async {
        let note = || entry("note", json!({"text": "x"}));
        clock.advance(std::time::Duration::from_secs(3_600));
        writer.append(note()).await.unwrap();
        clock.jump_to(noon);
        writer.append(note()).await.unwrap();
        writer.append(note()).await.unwrap();
        writer.close().await.unwrap();
    });
    let log = read(&run_dir).unwrap();
    let kinds: Vec<&str> = log.lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["run.start", "note", "clock.jump", "note", "note"]);
    assert_eq!(log.lines[2].data["moved_us"], json!(-3_600_000_000_i64));
    let report = inside(&run_dir);
    assert_eq!(report.exit_code, 2, "{report:?}");
}

#[test]
fn parallel_writes_share_flushes_and_every_checkpoint_comes_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let writer = Writer::create(&run_dir, start(), deps(real(), 1)).unwrap();
    wait(async {
        let all = (0..640).map(|n| writer.append_durable(intent(n)));
        for done in futures_util::future::join_all(all).await {
            done.unwrap();
        }
        writer.close().await.unwrap();
    });
    assert!(writer.flushes() < 320, "{} flushes", writer.flushes());
    let report = inside(&run_dir);
    assert_eq!(
        (report.exit_code, report.entries, report.open_intents),
        (2, 641, 640),
        "{:?}",
        codes(&report)
    );
    assert!(
        !codes(&report).contains(&"checkpoint-owed"),
        "{:?}",
        codes(&report)
    );
}

#[test]
fn the_writer_refuses_what_the_verifier_would() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let mut bad = start();
    bad.responder = "alice, bob".to_owned();
    assert!(matches!(
        Writer::create(&run_dir, bad, deps(real(), 1)),
        Err(JournalError::Responder(_))
    ));
    let writer = Writer::create(&run_dir, start(), deps(real(), 1)).unwrap();
    wait(async {
        let seq = writer.append(intent(1)).await.unwrap();
        assert!(matches!(
            writer.append(intent(1)).await,
            Err(JournalError::Entry(BadEntry::Order { .. }))
        ));
        assert!(matches!(
            writer.append(result(77, "ok")).await,
            Err(JournalError::Entry(BadEntry::Order { .. }))
        ));
        writer.append(result(seq, "ok")).await.unwrap();
        assert!(writer.append(result(seq, "ok")).await.is_err());
        assert!(
            writer
                .append(entry("note", json!({"Bad": 1})))
                .await
                .is_err()
        );
        assert!(
            writer
                .append(entry("note", json!({"x": "y".repeat(70_000)})))
                .await
                .is_err()
        );
        writer.seal(Map::new()).await.unwrap();
        assert!(matches!(
            writer.append(intent(2)).await,
            Err(JournalError::Closed)
        ));
    });
    let report = inside(&run_dir);
    assert_eq!((report.exit_code, report.entries), (2, 4), "{report:?}");
}

#[test]
fn what_lies_on_disk_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [
        run_dir.clone(),
        run_dir.join("cp"),
        run_dir.join("evidence"),
    ] {
        assert_eq!(mode(&folder), 0o700);
        for file in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
        {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[test]
#[ignore = "needs ssh-keygen"]
fn a_layman_checks_a_checkpoint_with_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let cp = crate::journal_kit::last_checkpoint(&run_dir);
    for (args, end) in [
        (vec!["verify", "-I", ALICE, "-f"], "human.sig"),
        (vec!["check-novalidate"], "session.sig"),
    ] {
        let mut command = std::process::Command::new("ssh-keygen");
        command.arg("-Y").args(&args);
        if end == "human.sig" {
            command.arg(outside.signers.as_ref().unwrap());
        }
        let status = command
            .args(["-n", "azir-checkpoint-v1", "-s"])
            .arg(cp.with_extension(end))
            .stdin(std::fs::File::open(&cp).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "{end}");
    }
}
