//! Whatever the disk does, and whenever: what was acknowledged is there, and the journal verifies as clean or torn.

use std::path::Path;
use std::sync::Arc;

use azir::journal::disk::{Disk, RealDisk};
use azir::journal::{JournalError, Writer};
use serde_json::{Map, json};

use crate::journal_kit::{
    FailingDisk, Fault, Outcome, again, deps, entry, inside, intent, result, sound, start,
    torn_run, wait,
};

/// The session that meets the fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Session {
    /// The first of a run, closed at its end.
    First,
    /// The first of a run, sealed at its end.
    Sealed,
    /// The second of a run whose first ended in a torn line.
    Second,
}

/// A session with everything a writer does, against a disk.
fn run(run_dir: &Path, disk: Arc<dyn Disk>, session: Session) -> Outcome {
    let mut durable = if session == Session::Second { 2 } else { 0 };
    let done = wait(async {
        let writer = if session == Session::Second {
            Writer::open_session(run_dir, again(), deps(disk, 2))?
        } else {
            Writer::create(run_dir, start(), deps(disk, 1))?
        };
        durable = writer.head().entries;
        for n in 10..13 {
            let seq = writer.append_durable(intent(n)).await?;
            durable = seq + 1;
            writer.append(result(seq, "ok")).await?;
        }
        durable = writer
            .append_durable(entry("decision", json!({"choice": "all"})))
            .await?
            + 1;
        durable = writer.append_durable(intent(19)).await? + 1;
        let head = if session == Session::Sealed {
            writer.seal(Map::new()).await?
        } else {
            writer.close().await?
        };
        durable = head.entries;
        Ok::<_, JournalError>(())
    });
    Outcome {
        durable,
        error: done.err(),
    }
}

#[test]
fn every_fault_at_every_call_leaves_a_journal_that_verifies_and_can_be_continued() {
    let mut injected = 0;
    for fault in [Fault::Eio, Fault::Enospc, Fault::Short] {
        for session in [Session::First, Session::Sealed, Session::Second] {
            for at in 0.. {
                let when = format!("{fault:?} at {at} of {session:?}");
                let folder = tempfile::tempdir().unwrap();
                let run_dir = folder.path().join("run");
                if session == Session::Second {
                    torn_run(folder.path(), "run");
                }
                let outcome = run(&run_dir, Arc::new(FailingDisk::new(at, fault)), session);
                if !run_dir.join("seg-000001.jsonl").exists() {
                    assert_eq!(
                        (outcome.durable, inside(folder.path()).exit_code),
                        (0, 4),
                        "{when}"
                    );
                    injected += 1;
                    continue;
                }
                let report = inside(&run_dir);
                assert!(matches!(report.exit_code, 2 | 3), "{when}: {report:?}");
                assert!(
                    report.entries >= outcome.durable,
                    "{when}: {} durable, {} there",
                    outcome.durable,
                    report.entries
                );
                let Some(_) = outcome.error else {
                    assert!(at > 40, "only {at} calls were tried");
                    break;
                };
                continued(&run_dir, report.entries, &when);
                injected += 1;
            }
        }
    }
    println!("faults injected, one at each call: {injected}, nothing that was promised was lost");
}

/// Opens the next session on a sound disk, and seals.
fn continued(run_dir: &Path, entries: u64, when: &str) {
    let open = inside(run_dir).open;
    let writer = match Writer::open_session(run_dir, again(), deps(sound(), 3)) {
        Ok(writer) => writer,
        // The fault came after the last line.
        Err(JournalError::Sealed) => return,
        Err(error) => panic!("{when}: {error}"),
    };
    wait(async {
        for intent in open {
            writer
                .append(entry(
                    "action.reconcile",
                    json!({"intent": intent, "found": "no", "how": "read back"}),
                ))
                .await
                .unwrap();
        }
        writer.seal(Map::new()).await.unwrap();
    });
    let report = inside(run_dir);
    assert_eq!(
        (report.exit_code, report.open_intents),
        (2, 0),
        "{when}: {report:?}"
    );
    assert!(report.entries >= entries + 2, "{when}");
}

#[test]
fn a_disk_that_failed_once_is_not_written_again_and_the_lines_are_kept_to_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let sound = Arc::new(FailingDisk::new(i64::MAX, Fault::Eio));
    run(
        &folder.path().join("sound"),
        Arc::clone(&sound) as Arc<dyn Disk>,
        Session::First,
    );
    let syncs: Vec<usize> = sound
        .calls
        .lock()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, call)| **call == "sync")
        .map(|(at, _)| at)
        .collect();
    // The first three syncs are those of the first line and of the first checkpoint's two files.
    let disk = Arc::new(FailingDisk::new(
        i64::try_from(syncs[3]).unwrap(),
        Fault::Eio,
    ));
    wait(async {
        let writer = Writer::create(
            &folder.path().join("run"),
            start(),
            deps(Arc::clone(&disk) as Arc<dyn Disk>, 1),
        )
        .unwrap();
        assert!(matches!(
            writer.append_durable(intent(1)).await,
            Err(JournalError::Poisoned(_))
        ));
        let calls = disk.calls.lock().unwrap().len();
        assert!(matches!(
            writer.append(intent(2)).await,
            Err(JournalError::Poisoned(_))
        ));
        assert!(matches!(
            writer.checkpoint().await,
            Err(JournalError::Poisoned(_))
        ));
        assert!(matches!(
            writer.close().await,
            Err(JournalError::Poisoned(_))
        ));
        assert_eq!(
            disk.calls.lock().unwrap().len(),
            calls,
            "the descriptor was used again"
        );
        let lines = writer.unwritten();
        assert!(
            lines.len() == 1 && lines[0].contains("\"type\":\"action.intent\""),
            "{lines:?}"
        );
    });
}

#[test]
fn without_room_for_its_result_an_intent_is_not_written_and_the_halt_is() {
    struct Full(std::sync::atomic::AtomicBool);
    struct FullFile(Box<dyn azir::journal::disk::DiskFile>, Arc<Full>);
    impl azir::journal::disk::DiskFile for FullFile {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            self.0.write(bytes)
        }
        fn sync(&mut self) -> std::io::Result<()> {
            self.0.sync()
        }
        fn reserve(&mut self, end: u64, more: u64) -> std::io::Result<()> {
            if self.1.0.load(std::sync::atomic::Ordering::SeqCst) {
                Err(std::io::ErrorKind::StorageFull.into())
            } else {
                self.0.reserve(end, more)
            }
        }
    }
    struct FullDisk(Arc<Full>);
    impl Disk for FullDisk {
        fn create_folders(&self, path: &Path) -> std::io::Result<()> {
            RealDisk.create_folders(path)
        }
        fn create(&self, path: &Path) -> std::io::Result<Box<dyn azir::journal::disk::DiskFile>> {
            Ok(Box::new(FullFile(
                RealDisk.create(path)?,
                Arc::clone(&self.0),
            )))
        }
        fn link(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            RealDisk.link(from, to)
        }
        fn remove(&self, path: &Path) -> std::io::Result<()> {
            RealDisk.remove(path)
        }
        fn sync_folder(&self, path: &Path) -> std::io::Result<()> {
            RealDisk.sync_folder(path)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let full = Arc::new(Full(false.into()));
    wait(async {
        let writer = Writer::create(
            &run_dir,
            start(),
            deps(Arc::new(FullDisk(Arc::clone(&full))), 1),
        )
        .unwrap();
        let first = writer.append_durable(intent(0)).await.unwrap();
        full.0.store(true, std::sync::atomic::Ordering::SeqCst);
        let mut refused = 0;
        for n in 1..20 {
            match writer.append_durable(intent(n)).await {
                Ok(_) => {}
                Err(JournalError::NoSpace(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused > 0, "the room kept ahead never ran out");
        writer.append_durable(result(first, "ok")).await.unwrap();
        writer.close().await.unwrap();
    });
    let lines = azir::journal::read(&run_dir).unwrap().lines;
    assert_eq!(
        lines.iter().filter(|line| line.kind == "run.halt").count(),
        1
    );
    assert_eq!(inside(&run_dir).exit_code, 2);
}
