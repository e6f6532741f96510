//! What the journal's tests share: runs to tamper with, lines forged with right hashes, a disk that fails on command.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use azir::clock::ManualClock;
use azir::evidence::Store;
use azir::journal::disk::{Disk, DiskFile, RealDisk};
use azir::journal::verify::{Finding, Outside, Report, verify};
use azir::journal::{Actor, Entry, JournalError, RunStart, SessionOpen, Writer, WriterDeps};
use azir::random::SeededRandom;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// Who answers for the runs here.
pub(crate) const ALICE: &str = "alice@contoso.example";
/// The run's id.
pub(crate) const RUN: &str = "00000000-0000-4000-8000-00000000aaaa";
/// The run's origin.
pub(crate) const ORIGIN: &str = "azir/IR-2026-0042/00000000-0000-4000-8000-00000000aaaa";

/// Runs a future to its end on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A writer's surroundings that are the same every time.
pub(crate) fn deps(disk: Arc<dyn Disk>, seed: u64) -> WriterDeps {
    let clock = ManualClock::at(chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    WriterDeps {
        clock: Arc::new(clock),
        random: Arc::new(SeededRandom::new(seed)),
        disk,
    }
}

pub(crate) fn start() -> RunStart {
    RunStart {
        incident: "IR-2026-0042".parse().unwrap(),
        run: RUN.parse().unwrap(),
        mode: "execute".to_owned(),
        responder: ALICE.to_owned(),
        responder_name: None,
        responder_oid: None,
        data: object(json!({"purpose": "contain"})),
    }
}

pub(crate) fn again() -> SessionOpen {
    SessionOpen {
        responder: ALICE.to_owned(),
        data: object(json!({"reason": "resume"})),
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

pub(crate) fn entry(kind: &'static str, data: Value) -> Entry {
    Entry {
        kind,
        actor: Actor::Azir,
        data: object(data),
    }
}

pub(crate) fn intent(n: u64) -> Entry {
    let id = format!("00000000-0000-4000-8000-{n:012x}");
    entry(
        "action.intent",
        json!({"client_request_id": id, "effect": "update", "target": "/subscriptions/s"}),
    )
}

pub(crate) fn result(intent: u64, outcome: &str) -> Entry {
    entry(
        "action.result",
        json!({"intent": intent, "outcome": outcome, "status": 200}),
    )
}

/// Writes a sealed run of twelve entries with one exhibit; returns its folder.
pub(crate) fn sealed_run(parent: &Path, seed: u64) -> PathBuf {
    let run_dir = parent.join(format!("run-{RUN}"));
    let writer = Writer::create(&run_dir, start(), deps(Arc::new(RealDisk), seed)).unwrap();
    wait(async {
        let kept = Store::open(&run_dir)
            .unwrap()
            .put(b"what was there before")
            .unwrap();
        let before = json!({"sha256": kept.sha256.to_string(), "size": kept.size});
        for n in 0..3 {
            let seq = writer.append_durable(intent(n)).await.unwrap();
            writer.append(result(seq, "ok")).await.unwrap();
        }
        writer
            .append(entry(
                "evidence",
                json!({"exhibit": "E1", "before": before}),
            ))
            .await
            .unwrap();
        let human = Actor::Human {
            upn: ALICE.to_owned(),
            name: Some("Ä \"lice\"".to_owned()),
            oid: None,
        };
        writer
            .append_durable(Entry {
                kind: "decision",
                actor: human,
                data: object(json!({"choice": "all"})),
            })
            .await
            .unwrap();
        writer
            .append(entry(
                "note",
                json!({"text": "tab\t, ünïcode \u{1f600}, \u{1}", "flag": true, "nothing": null}),
            ))
            .await
            .unwrap();
        writer
            .append(Entry {
                kind: "note",
                actor: Actor::Service("monitor".to_owned()),
                data: Map::new(),
            })
            .await
            .unwrap();
        assert_eq!(writer.seal(Map::new()).await.unwrap().entries, 12);
    });
    run_dir
}

/// Writes a run whose writer was cut off in its third line, with one intent open; returns its folder.
pub(crate) fn torn_run(parent: &Path, name: &str) -> PathBuf {
    let run_dir = parent.join(name);
    wait(async {
        let writer = Writer::create(&run_dir, start(), deps(Arc::new(RealDisk), 1)).unwrap();
        writer.append_durable(intent(1)).await.unwrap();
    });
    let segment = run_dir.join("seg-000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"{\"_hash\":\"torn");
    std::fs::write(&segment, &bytes).unwrap();
    run_dir
}

/// Continues such a run to its seal.
pub(crate) fn resumed(run_dir: &Path) {
    let writer = Writer::open_session(run_dir, again(), deps(Arc::new(RealDisk), 2)).unwrap();
    wait(async {
        for (kind, data) in [
            (
                "action.reconcile",
                json!({"intent": 1, "found": "yes", "how": "read back"}),
            ),
            ("note", json!({})),
        ] {
            writer.append(entry(kind, data)).await.unwrap();
        }
        writer.seal(Map::new()).await.unwrap();
    });
}

/// A person's key, the same for the same seed.
pub(crate) fn person(seed: u8) -> PrivateKey {
    PrivateKey::new(
        KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])),
        "",
    )
    .unwrap()
}

/// The armoured signature of a person over a message.
pub(crate) fn signature(key: &PrivateKey, namespace: &str, message: &[u8]) -> String {
    key.sign(namespace, HashAlg::Sha512, message)
        .unwrap()
        .to_pem(LineEnding::LF)
        .unwrap()
}

/// Signs the last checkpoint as Alice, and returns all that is needed for exit code 0.
pub(crate) fn anchor(run_dir: &Path, beside: &Path) -> Outside {
    let cp = last_checkpoint(run_dir);
    let text = std::fs::read(&cp).unwrap();
    let key = person(1);
    std::fs::write(
        cp.with_extension("human.sig"),
        signature(&key, "azir-checkpoint-v1", &text),
    )
    .unwrap();
    let signers = beside.join("signers-outside");
    std::fs::write(&signers, signers_line(ALICE, "", &key)).unwrap();
    let copy = beside.join("outside.cp");
    std::fs::write(&copy, text).unwrap();
    Outside {
        origin: Some(ORIGIN.to_owned()),
        signers: Some(signers),
        earlier_checkpoints: vec![copy],
        ..Outside::default()
    }
}

/// A line of a signers file; `bounds` as `,valid-after="..."`.
pub(crate) fn signers_line(principal: &str, bounds: &str, key: &PrivateKey) -> String {
    let public = key.public_key().to_openssh().unwrap();
    format!(
        "{principal} namespaces=\"azir-checkpoint-v1\"{bounds} {}\n",
        public.trim()
    )
}

pub(crate) fn last_checkpoint(run_dir: &Path) -> PathBuf {
    let names = std::fs::read_dir(run_dir.join("cp"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    names
        .filter(|path| path.extension().is_some_and(|end| end == "cp"))
        .max()
        .unwrap()
}

pub(crate) fn inside(run_dir: &Path) -> Report {
    verify(run_dir, &Outside::default())
}

pub(crate) fn codes(report: &Report) -> Vec<&str> {
    codes_of(&report.findings)
}

pub(crate) fn codes_of(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Lines that anybody who knows the format can make: right hashes, right chain, whatever they say.
pub(crate) struct Forge {
    pub(crate) bytes: Vec<u8>,
    pub(crate) prev: String,
    pub(crate) seq: u64,
    pub(crate) session: String,
}

impl Forge {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            prev: "0".repeat(64),
            seq: 0,
            session: "00000000-0000-4000-8000-000000000001".to_owned(),
        }
    }

    /// A log that begins as it should.
    pub(crate) fn started() -> Self {
        let mut forge = Self::new();
        forge.say("run.start", run_start());
        forge
    }

    /// The nine members of the next line.
    pub(crate) fn members(&self, kind: &str, data: Value) -> Value {
        json!({
            "actor": {"azir": self.session}, "data": data, "mono_us": self.seq, "nonce": "0".repeat(32), "prev": self.prev,
            "seq": self.seq, "session": self.session, "time": "2026-01-02T03:04:05.000000Z", "type": kind,
        })
    }

    pub(crate) fn say(&mut self, kind: &str, data: Value) -> u64 {
        let line = self.members(kind, data);
        self.line(&line)
    }

    pub(crate) fn line(&mut self, members: &Value) -> u64 {
        self.body(azir::json::canonical(members).unwrap().as_bytes())
    }

    /// Adds a line with this body, whatever it is.
    pub(crate) fn body(&mut self, body: &[u8]) -> u64 {
        self.prev = hex::encode(Sha256::digest(body));
        self.bytes
            .extend(format!("{{\"_hash\":\"{}\",", self.prev).as_bytes());
        self.bytes.extend(&body[1..]);
        self.bytes.push(b'\n');
        self.seq += 1;
        self.seq - 1
    }

    /// Writes the log into a run folder as somebody who has every key: sealed, under a checkpoint that the
    /// session's key and the responder's sign. Returns what is known outside, which is what 0 needs.
    pub(crate) fn signed(&self, parent: &Path) -> (PathBuf, Outside) {
        let run_dir = parent.join("run");
        std::fs::create_dir_all(run_dir.join("cp")).unwrap();
        std::fs::write(run_dir.join("seg-000001.jsonl"), &self.bytes).unwrap();
        let leaves: Vec<[u8; 32]> = self
            .bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| Sha256::digest([b"{", &line[76..line.len() - 1]].concat()).into())
            .collect();
        let text = format!(
            "{ORIGIN}\n{}\n{}\nchain {}\nfile seg-000001.jsonl {} {}\ntime 2026-01-02T03:04:05Z\n",
            leaves.len(),
            base64::engine::general_purpose::STANDARD.encode(root(&leaves)),
            self.prev,
            self.bytes.len(),
            hex::encode(Sha256::digest(&self.bytes))
        );
        let cp = run_dir.join("cp/000001.cp");
        std::fs::write(&cp, &text).unwrap();
        std::fs::write(
            cp.with_extension("session.sig"),
            signature(&person(9), "azir-checkpoint-v1", text.as_bytes()),
        )
        .unwrap();
        let outside = anchor(&run_dir, parent);
        (run_dir, outside)
    }

    /// Verifies the log as segment 1 of a run without checkpoints.
    pub(crate) fn verify(&self) -> Report {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seg-000001.jsonl"), &self.bytes).unwrap();
        inside(folder.path())
    }
}

/// The Merkle tree hash of RFC 6962 section 2.1, over leaves that are chain values.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return Sha256::digest([&[0][..], leaf].concat()).into();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    Sha256::digest([&[1][..], &root(left), &root(right)].concat()).into()
}

pub(crate) fn run_start() -> Value {
    let key = person(9).public_key().to_openssh().unwrap();
    json!({
        "format": "azir-journal-v1", "incident": "IR-2026-0042", "mode": "execute", "origin": ORIGIN,
        "responder": {"upn": ALICE}, "session_key": key.trim(),
    })
}

/// A disk that fails at one call, and at every later one.
pub(crate) struct FailingDisk {
    left: Arc<AtomicI64>,
    fault: Fault,
    pub(crate) calls: Arc<Mutex<Vec<&'static str>>>,
}

/// A disk that does not fail, and saves the time that syncs take.
pub(crate) fn sound() -> Arc<dyn Disk> {
    Arc::new(FailingDisk::new(i64::MAX, Fault::Eio))
}

/// How a disk fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// An input/output error; nothing happened.
    Eio,
    /// No space; nothing happened.
    Enospc,
    /// Half of a write, then an error.
    Short,
    /// Half of a write, then the end of the process.
    Kill,
}

impl FailingDisk {
    /// Fails at call `at`, counted from 0.
    pub(crate) fn new(at: i64, fault: Fault) -> Self {
        Self {
            left: Arc::new(AtomicI64::new(at)),
            fault,
            calls: Arc::default(),
        }
    }

    fn gate(&self, call: &'static str) -> io::Result<()> {
        gate(&self.left, &self.calls, self.fault, call)
    }
}

fn gate(
    left: &AtomicI64,
    calls: &Mutex<Vec<&'static str>>,
    fault: Fault,
    call: &'static str,
) -> io::Result<()> {
    calls.lock().unwrap().push(call);
    if left.fetch_sub(1, Ordering::SeqCst) > 0 {
        return Ok(());
    }
    if fault == Fault::Kill && call != "write" {
        die();
    }
    let kind = if fault == Fault::Enospc {
        io::ErrorKind::StorageFull
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, format!("{fault:?} at {call}")))
}

/// Ends this process as `kill -9` does: nothing of it runs any more.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("SIGKILL cannot be caught")
}

impl Disk for FailingDisk {
    fn create_folders(&self, path: &Path) -> io::Result<()> {
        self.gate("create_folders")?;
        RealDisk.create_folders(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.gate("create")?;
        let file = RealDisk.create(path)?;
        Ok(Box::new(FailingFile {
            file,
            left: Arc::clone(&self.left),
            fault: self.fault,
            calls: Arc::clone(&self.calls),
        }))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.gate("link")?;
        RealDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.gate("remove")?;
        RealDisk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Nothing here loses its power, and only then a sync would tell.
        let _ = path;
        self.gate("sync_folder")
    }
}

struct FailingFile {
    file: Box<dyn DiskFile>,
    left: Arc<AtomicI64>,
    fault: Fault,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl DiskFile for FailingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let gate = gate(&self.left, &self.calls, self.fault, "write");
        if gate.is_err() && matches!(self.fault, Fault::Short | Fault::Kill) {
            self.file.write(&bytes[..bytes.len() / 2])?;
        }
        if gate.is_err() && self.fault == Fault::Kill {
            die();
        }
        gate?;
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        gate(&self.left, &self.calls, self.fault, "sync")
    }

    fn reserve(&mut self, end: u64, more: u64) -> io::Result<()> {
        gate(&self.left, &self.calls, self.fault, "reserve")?;
        self.file.reserve(end, more)
    }
}

/// What a run that meets a fault came to.
pub(crate) struct Outcome {
    /// Lines that were acknowledged as durable.
    pub(crate) durable: u64,
    /// The error that ended it, if one did.
    pub(crate) error: Option<JournalError>,
}
