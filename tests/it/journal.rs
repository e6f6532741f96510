//! The record against damage: every bit, every byte, every way to lie that has a name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use azir::clock::ManualClock;
use azir::journal::disk::{Disk, DiskFile, RealDisk};
use azir::journal::verify::{Outside, verify};
use azir::journal::{Actor, Entry, RunStart, Writer, WriterDeps};
use azir::random::{Random, SeededRandom};
use serde_json::{Map, Value, json};

fn data(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn start() -> RunStart {
    RunStart {
        incident: "IR-1".parse().unwrap(),
        run: SeededRandom::new(3).uuid(),
        mode: "execute".into(),
        responder: "alice@contoso.example".into(),
        responder_name: None,
        responder_oid: None,
        data: Map::new(),
    }
}

fn deps(disk: Arc<dyn Disk>) -> WriterDeps {
    WriterDeps {
        clock: Arc::new(ManualClock::at(
            chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        )),
        random: Arc::new(SeededRandom::new(9)),
        disk,
    }
}

fn entry(kind: &'static str, value: Value) -> Entry {
    Entry {
        kind,
        actor: Actor::Azir,
        data: data(value),
    }
}

/// Writes twelve entries; stops where the disk stops. Returns the sequence numbers that were promised to be durable.
async fn write(run_dir: &Path, disk: Arc<dyn Disk>) -> Vec<u64> {
    let mut promised = Vec::new();
    let Ok(writer) = Writer::create(run_dir, start(), deps(disk)) else {
        return promised;
    };
    promised.push(0);
    let random = SeededRandom::new(5);
    for number in 0..5 {
        let intent = entry(
            "action.intent",
            json!({"client_request_id": random.uuid().to_string(), "effect": "update", "target": format!("/x/{number}")}),
        );
        let Ok(seq) = writer.append_durable(intent).await else {
            return promised;
        };
        promised.push(seq);
        if writer
            .append(entry(
                "action.result",
                json!({"intent": seq, "outcome": "ok"}),
            ))
            .await
            .is_err()
        {
            return promised;
        }
    }
    if let Ok(seq) = writer
        .append_durable(entry("decision", json!({"choice": "all"})))
        .await
    {
        promised.push(seq);
    }
    let _ = writer.close().await;
    promised
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn good() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    block(write(&run, Arc::new(RealDisk)));
    (folder, run)
}

fn code(run: &Path) -> u8 {
    verify(run, &Outside::default()).exit_code
}

/// With the size that the journal has, a cut at its end is visible.
fn code_sized(run: &Path) -> u8 {
    verify(
        run,
        &Outside {
            min_size: Some(12),
            ..Outside::default()
        },
    )
    .exit_code
}

#[test]
fn what_is_written_verifies_and_says_that_nothing_anchors_it() {
    let (_folder, run) = good();
    let report = verify(&run, &Outside::default());
    assert_eq!(
        (report.exit_code, report.entries, report.open_intents),
        (2, 12, 0),
        "{:?}",
        report.findings
    );
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let (_folder, run) = good();
    let mut flips = 0;
    let mut files = vec![run.join("seg-000001.jsonl")];
    files.extend(
        std::fs::read_dir(run.join("cp"))
            .unwrap()
            .flatten()
            .map(|entry| entry.path()),
    );
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for index in 0..whole.len() {
            for bit in 0..8 {
                // Every bit of the small files; of the log one bit of each byte, walking through the eight.
                if whole.len() > 2_000 && bit != index % 8 {
                    continue;
                }
                let mut bytes = whole.clone();
                bytes[index] ^= 1 << bit;
                std::fs::write(&file, &bytes).unwrap();
                assert!(
                    !matches!(code(&run), 0 | 2),
                    "{} byte {index} bit {bit}",
                    file.display()
                );
                flips += 1;
            }
        }
        std::fs::write(&file, &whole).unwrap();
    }
    println!("bit flips tried and seen: {flips}");
    assert_eq!(code(&run), 2);
}

#[test]
fn a_cut_at_any_byte_is_torn_or_an_error_and_with_a_size_never_passes() {
    let (_folder, run) = good();
    let file = run.join("seg-000001.jsonl");
    let whole = std::fs::read(&file).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(!matches!(code_sized(&run), 0 | 2), "{length} bytes left");
    }
    println!("cuts tried and seen: {}", whole.len());
}

#[test]
fn every_way_to_lie_that_has_a_name_is_found() {
    let (_folder, run) = good();
    let file = run.join("seg-000001.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let joined = |lines: &[&str]| {
        lines.join(
            "
",
        ) + "
"
    };
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let mut without = lines.clone();
    without.remove(5);
    let mut doubled = lines.clone();
    doubled.insert(5, lines[5]);
    let edited = whole.replacen("/x/2", "/x/7", 1);
    let spaced = whole.replacen("\"outcome\":", "\"outcome\": ", 1);
    let cases = [
        ("reorder", joined(&swapped)),
        ("delete", joined(&without)),
        ("duplicate", joined(&doubled)),
        ("edit", edited),
        ("spaces", spaced),
        ("crlf", whole.replace('\n', "\r\n")),
        ("bom", format!("\u{feff}{whole}")),
    ];
    for (name, text) in cases {
        std::fs::write(&file, text).unwrap();
        assert_eq!(code(&run), 1, "{name}");
    }
    std::fs::write(&file, &whole).unwrap();
    for (name, path, text) in [
        ("foreign file", "notes.txt", "x"),
        ("foreign evidence", "evidence/readme", "x"),
        (
            "second segment that begins with nothing",
            "seg-000002.jsonl",
            "",
        ),
        ("stray signature", "cp/000099.session.sig", "x"),
        ("signature of nobody", "cp/000001.human.sig", "x"),
        ("stamp of nothing", "cp/000001.tsr", "x"),
        ("bad signers", "signers", "alice ssh-ed25519 AAAA"),
    ] {
        std::fs::write(run.join(path), text).unwrap();
        assert_eq!(code(&run), 1, "{name}");
        std::fs::remove_file(run.join(path)).unwrap();
    }
    let signature = std::fs::read(run.join("cp/000001.session.sig")).unwrap();
    std::fs::write(run.join("cp/000002.session.sig"), signature).unwrap();
    assert_eq!(code(&run), 1, "replayed signature");
}

#[test]
fn a_folder_without_a_log_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(folder.path()), 4);
    assert_eq!(code(&folder.path().join("nothing")), 4);
}

/// Fails the `fail_at`-th call, with half of a write done first.
struct Faulty {
    calls: AtomicUsize,
    fail_at: usize,
    kind: std::io::ErrorKind,
}

impl Faulty {
    fn step(&self) -> std::io::Result<()> {
        if self.calls.fetch_add(1, Ordering::SeqCst) >= self.fail_at {
            Err(self.kind.into())
        } else {
            Ok(())
        }
    }
}

struct FaultyDisk(Arc<Faulty>);
struct FaultyFile(Arc<Faulty>, Box<dyn DiskFile>);

impl Disk for FaultyDisk {
    fn create_folders(&self, path: &Path) -> std::io::Result<()> {
        self.0.step().and_then(|()| RealDisk.create_folders(path))
    }
    fn create(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        self.0.step()?;
        Ok(Box::new(FaultyFile(
            Arc::clone(&self.0),
            RealDisk.create(path)?,
        )))
    }
    fn link(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.0.step().and_then(|()| RealDisk.link(from, to))
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.0.step().and_then(|()| RealDisk.remove(path))
    }
    fn sync_folder(&self, path: &Path) -> std::io::Result<()> {
        self.0.step().and_then(|()| RealDisk.sync_folder(path))
    }
}

impl DiskFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Err(error) = self.0.step() {
            self.1.write(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.1.write(bytes)
    }
    fn sync(&mut self) -> std::io::Result<()> {
        self.0.step().and_then(|()| self.1.sync())
    }
    fn reserve(&mut self, end: u64, more: u64) -> std::io::Result<()> {
        self.0.step().and_then(|()| self.1.reserve(end, more))
    }
}

#[test]
fn a_disk_that_fails_at_any_call_loses_nothing_that_was_promised() {
    let mut tried = 0;
    for kind in [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull] {
        for fail_at in 0.. {
            let faulty = Arc::new(Faulty {
                calls: AtomicUsize::new(0),
                fail_at,
                kind,
            });
            let folder = tempfile::tempdir().unwrap();
            let run = folder.path().join("run");
            let promised = block(write(&run, Arc::new(FaultyDisk(Arc::clone(&faulty)))));
            let report = verify(&run, &Outside::default());
            let needed = promised.last().map_or(0, |last| last + 1);
            assert!(
                report.entries >= needed,
                "call {fail_at}: {} entries, {needed} promised",
                report.entries
            );
            if !promised.is_empty() {
                assert!(
                    matches!(report.exit_code, 2 | 3),
                    "call {fail_at}: {:?}",
                    report.findings
                );
            }
            tried += 1;
            if faulty.calls.load(Ordering::SeqCst) <= fail_at {
                break;
            }
        }
    }
    println!("injected disk faults: {tried}");
}

#[test]
fn one_flush_for_each_write_action_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    block(async {
        let writer = Writer::create(&run, start(), deps(Arc::new(RealDisk))).unwrap();
        let before = writer.flushes();
        let random = SeededRandom::new(5);
        for _ in 0..20 {
            let seq = writer
                .append_durable(entry(
                    "action.intent",
                    json!({"client_request_id": random.uuid().to_string()}),
                ))
                .await
                .unwrap();
            writer
                .append(entry(
                    "action.result",
                    json!({"intent": seq, "outcome": "ok"}),
                ))
                .await
                .unwrap();
        }
        assert_eq!(writer.flushes() - before, 20);
        writer.close().await.unwrap();
    });
}

#[test]
fn what_the_format_does_not_allow_is_refused_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    block(async {
        let writer = Writer::create(&run, start(), deps(Arc::new(RealDisk))).unwrap();
        for bad in [
            json!({"Bad": 1}),
            json!({"a": 1.5}),
            json!({"a": 9_007_199_254_740_992_u64}),
            json!({"a": "x".repeat(70_000)}),
        ] {
            assert!(writer.append(entry("note", bad)).await.is_err());
        }
        writer
            .append(entry("note", json!({"kind": "fine"})))
            .await
            .unwrap();
        writer.close().await.unwrap();
    });
    assert_eq!(code(&run), 2);
    assert!(
        Writer::create(&run, start(), deps(Arc::new(RealDisk))).is_err(),
        "a run is never begun twice"
    );
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_keygen_accepts_the_sessions_signature() {
    let (_folder, run) = good();
    let line = std::fs::read_to_string(run.join("seg-000001.jsonl")).unwrap();
    let first: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let key = first["data"]["session_key"].as_str().unwrap();
    let signers = run.with_file_name("allowed");
    std::fs::write(
        &signers,
        format!("session namespaces=\"azir-checkpoint-v1\" {key}\n"),
    )
    .unwrap();
    let checkpoint = std::fs::File::open(run.join("cp/000001.cp")).unwrap();
    let status = std::process::Command::new("ssh-keygen")
        .args([
            "-Y",
            "verify",
            "-n",
            "azir-checkpoint-v1",
            "-I",
            "session",
            "-f",
        ])
        .arg(&signers)
        .arg("-s")
        .arg(run.join("cp/000001.session.sig"))
        .stdin(checkpoint)
        .status()
        .unwrap();
    assert!(status.success());
}
