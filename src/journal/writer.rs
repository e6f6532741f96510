//! The writer: one thread, one segment, group commit.
//!
//! A write is acknowledged as durable only after `fdatasync`; what waits meanwhile is flushed together.
//! After a failed write or sync nothing more is written: the disk's state is unknown then, and the
//! lines that were not acknowledged are kept to be shown.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::checkpoint::Checkpoints;
use super::disk::{Disk, DiskFile, RealDisk};
use super::entry::{self, Actor, BadEntry, Entry, Place};
use super::format::{self, CHECKPOINT_EVERY, FORMAT, MAX_LINE, ZERO_CHAIN};
use super::sign::SessionKey;
use super::tree::Tree;
use crate::clock::Clock;
use crate::digest::Digest;
use crate::ids::IncidentId;
use crate::random::Random;

/// Why the journal cannot be kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The entry breaks a rule of the format; nothing was written.
    #[error(transparent)]
    Entry(#[from] BadEntry),
    /// The file system refused.
    #[error("{what} {}: {message}", path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// An earlier write or sync failed, so nothing more is written.
    #[error("the journal cannot be written any more: {0}")]
    Poisoned(String),
    /// Another process writes this run.
    #[error("the run is being written by {holder}")]
    Locked {
        /// Who: process, user, host.
        holder: String,
    },
    /// The responder's name cannot be one (JOURNAL.md, "signers").
    #[error(
        "{0:?} cannot name a responder: no white space, control characters, quotes, commas, * or ?, and it does not begin with # or !"
    )]
    Responder(String),
    /// The run folder holds no journal that can be read.
    #[error("no journal can be read in {}: {message}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// What a writer needs from outside.
#[derive(Clone)]
pub struct WriterDeps {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Nonces and the session's key.
    pub random: Arc<dyn Random>,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

impl WriterDeps {
    /// Uses this machine's file system.
    pub fn real(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            disk: Arc::new(RealDisk),
        }
    }
}

/// What the first line says besides what the writer adds itself.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// The case.
    pub incident: IncidentId,
    /// The run.
    pub run: Uuid,
    /// `execute`, `drill` or `undo`.
    pub mode: String,
    /// Who answers for it.
    pub responder: String,
    /// That person's name.
    pub responder_name: Option<String>,
    /// That person's object id.
    pub responder_oid: Option<String>,
    /// Further members.
    pub data: Map<String, Value>,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// How many entries it has.
    pub entries: u64,
    /// The chain value of the last one.
    pub chain: Digest,
}

enum Job {
    Append {
        entry: Entry,
        durable: bool,
        done: oneshot::Sender<Result<u64, JournalError>>,
    },
    Checkpoint {
        done: oneshot::Sender<Result<u64, JournalError>>,
    },
    Close {
        done: oneshot::Sender<Result<Head, JournalError>>,
    },
}

/// A handle on the writer of one run; clones share it.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<SharedState>,
}

struct SharedState {
    run_dir: PathBuf,
    session: Uuid,
    head: Mutex<Head>,
    flushes: AtomicU64,
    unwritten: Mutex<Vec<String>>,
}

impl Writer {
    /// Makes a run folder with its first segment, whose first line is on disk when this returns.
    ///
    /// # Errors
    /// A folder that cannot be written; a run that exists; a responder that cannot be named.
    pub fn create(run_dir: &Path, start: RunStart, deps: WriterDeps) -> Result<Self, JournalError> {
        if !is_responder(&start.responder) {
            return Err(JournalError::Responder(
                start.responder.chars().take(80).collect(),
            ));
        }
        for folder in [
            run_dir.to_path_buf(),
            run_dir.join("cp"),
            run_dir.join("evidence"),
        ] {
            deps.disk
                .create_folders(&folder)
                .map_err(disk("make", &folder))?;
        }
        let lock = lock(run_dir)?;
        let session = deps.random.uuid();
        let key = SessionKey::new(&*deps.random);
        let origin = format!("azir/{}/{}", start.incident, start.run);
        let entry = first_entry(&start, &origin, &key);
        let mut log = Log::new(run_dir, session, key, origin, deps);
        log.begin(&entry)?;
        let shared = Arc::new(SharedState {
            run_dir: run_dir.to_path_buf(),
            session,
            head: Mutex::new(log.head()),
            flushes: AtomicU64::new(log.flushes),
            unwritten: Mutex::new(Vec::new()),
        });
        let (jobs, queue) = mpsc::channel();
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("azir-journal".to_owned())
            .spawn(move || {
                log.serve(&queue, &for_thread);
                drop(lock);
            })
            .map_err(disk("start the writer of", run_dir))?;
        Ok(Self { jobs, shared })
    }

    /// Appends a line; returns its number when it is written, not yet durable.
    ///
    /// # Errors
    /// An entry that breaks the format; a disk that failed, now or before.
    pub async fn append(&self, entry: Entry) -> Result<u64, JournalError> {
        self.ask(|done| Job::Append {
            entry,
            durable: false,
            done,
        })
        .await
    }

    /// Appends a line; returns its number when it and all before it are durable.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_durable(&self, entry: Entry) -> Result<u64, JournalError> {
        self.ask(|done| Job::Append {
            entry,
            durable: true,
            done,
        })
        .await
    }

    /// Makes everything durable and signs a checkpoint over it; returns its size.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn checkpoint(&self) -> Result<u64, JournalError> {
        self.ask(|done| Job::Checkpoint { done }).await
    }

    /// Makes everything durable, signs a last checkpoint, releases the run.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn close(&self) -> Result<Head, JournalError> {
        self.ask(|done| Job::Close { done }).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job,
    ) -> Result<T, JournalError> {
        let closed = || JournalError::Poisoned("its writer has ended".to_owned());
        let (done, answer) = oneshot::channel();
        self.jobs.send(job(done)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Returns where the log ends.
    pub fn head(&self) -> Head {
        *self
            .shared
            .head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session's id.
    pub fn session(&self) -> Uuid {
        self.shared.session
    }

    /// Returns the run folder.
    pub fn run_dir(&self) -> &Path {
        &self.shared.run_dir
    }

    /// Returns how many times the segment was made durable.
    pub fn flushes(&self) -> u64 {
        self.shared.flushes.load(Ordering::SeqCst)
    }

    /// Returns the lines that were not acknowledged when the disk failed, to be shown.
    pub fn unwritten(&self) -> Vec<String> {
        self.shared
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Returns whether a name can stand in a signers file.
fn is_responder(upn: &str) -> bool {
    !upn.is_empty()
        && !upn.starts_with(['#', '!'])
        && !upn
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | '*' | '?'))
}

fn first_entry(start: &RunStart, origin: &str, key: &SessionKey) -> Entry {
    let mut responder = Map::from_iter([("upn".to_owned(), json!(start.responder))]);
    responder.extend(
        start
            .responder_name
            .iter()
            .map(|name| ("name".to_owned(), json!(name))),
    );
    responder.extend(
        start
            .responder_oid
            .iter()
            .map(|oid| ("oid".to_owned(), json!(oid))),
    );
    let mut data = start.data.clone();
    for (name, value) in [
        ("format", json!(FORMAT)),
        ("origin", json!(origin)),
        ("incident", json!(start.incident.as_str())),
        ("mode", json!(start.mode)),
        ("responder", Value::Object(responder)),
        ("session_key", json!(key.public())),
    ] {
        data.insert(name.to_owned(), value);
    }
    Entry {
        kind: "run.start",
        actor: Actor::Azir,
        data,
    }
}

/// Takes the run's lock, and writes into it who has it.
fn lock(run_dir: &Path) -> Result<File, JournalError> {
    let path = run_dir.join("lock");
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(JournalError::Locked {
                holder: super::reader::holder(run_dir),
            });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(disk("lock", &path)(error)),
    }
    file.set_len(0).map_err(disk("write", &path))?;
    write!(file, "process {}", std::process::id()).map_err(disk("write", &path))?;
    Ok(file)
}

pub(super) fn disk<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl Fn(std::io::Error) -> JournalError + 'a {
    move |error| JournalError::Disk {
        what,
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}

/// The log as the thread has it.
struct Log {
    run_dir: PathBuf,
    session: Uuid,
    deps: WriterDeps,
    checkpoints: Checkpoints,
    file: Option<Box<dyn DiskFile>>,
    bytes: u64,
    reserved: u64,
    hasher: sha2::Sha256,
    tree: Tree,
    entries: u64,
    chain: String,
    began_us: u64,
    last_mono: u64,
    last_checkpoint_us: u64,
    owes: bool,
    synced: u64,
    flushes: u64,
    failed: Option<String>,
}

/// What a group of jobs leaves to be told.
type Acks = Vec<(
    oneshot::Sender<Result<u64, JournalError>>,
    Result<u64, JournalError>,
)>;

/// Disk that is kept free ahead of the log: room for an intent and its worst result, many times over.
const RESERVE: u64 = 1024 * 1024;
/// How long a log may stand without a checkpoint while it grows.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(10 * 60);
/// Jobs that share one flush.
const GROUP: usize = 64;

impl Log {
    fn new(
        run_dir: &Path,
        session: Uuid,
        key: SessionKey,
        origin: String,
        deps: WriterDeps,
    ) -> Self {
        let began_us = deps.clock.mono_us();
        Self {
            run_dir: run_dir.to_path_buf(),
            session,
            checkpoints: Checkpoints::new(run_dir, key, origin),
            deps,
            file: None,
            bytes: 0,
            reserved: 0,
            hasher: sha2::Digest::new(),
            tree: Tree::default(),
            entries: 0,
            chain: ZERO_CHAIN.to_owned(),
            began_us,
            last_mono: 0,
            last_checkpoint_us: began_us,
            owes: false,
            synced: 0,
            flushes: 0,
            failed: None,
        }
    }

    /// Writes the first line into a file without a name, makes it durable, names it.
    fn begin(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let name = self.run_dir.join(format::segment_name(1));
        let unnamed = self.run_dir.join(format!("tmp-{}", self.session));
        let mut file = self
            .deps
            .disk
            .create(&unnamed)
            .map_err(disk("make", &unnamed))?;
        let line = self.form(entry)?;
        file.write(&line)
            .and_then(|()| file.sync())
            .map_err(disk("write", &unnamed))?;
        self.deps
            .disk
            .link(&unnamed, &name)
            .map_err(disk("name", &name))?;
        self.deps
            .disk
            .remove(&unnamed)
            .map_err(disk("remove", &unnamed))?;
        self.deps
            .disk
            .sync_folder(&self.run_dir)
            .map_err(disk("sync", &self.run_dir))?;
        self.file = Some(file);
        self.flushes = 1;
        self.synced = self.bytes;
        self.checkpoint().map(|_| ())
    }

    fn head(&self) -> Head {
        Head {
            entries: self.entries,
            chain: self.chain.parse().unwrap_or(Digest([0; 32])),
        }
    }

    /// Forms a line and takes it into the chain, the tree and the prefix hash.
    fn form(&mut self, entry: &Entry) -> Result<Vec<u8>, JournalError> {
        let mono_us = (self.deps.clock.mono_us().saturating_sub(self.began_us)).max(self.last_mono);
        let mut nonce = [0; 16];
        self.deps.random.fill(&mut nonce);
        let place = Place {
            seq: self.entries,
            prev: &self.chain,
            session: &self.session.to_string(),
            time: crate::clock::micros(self.deps.clock.now()),
            mono_us,
            nonce: hex::encode(nonce),
        };
        let (line, hash) = entry::line(entry, place)?;
        self.last_mono = mono_us;
        self.chain = hash.to_string();
        self.tree.push(hash);
        self.entries += 1;
        self.bytes += line.len() as u64;
        sha2::Digest::update(&mut self.hasher, &line);
        Ok(line)
    }

    fn serve(&mut self, queue: &mpsc::Receiver<Job>, shared: &SharedState) {
        loop {
            let first = match queue.recv_timeout(CHECKPOINT_AFTER) {
                Ok(job) => job,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.failed.is_none() && self.entries > self.checkpoints.size() {
                        self.try_checkpoint(shared);
                    }
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    self.end();
                    return;
                }
            };
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            if self.group(group, shared) {
                return;
            }
        }
    }

    /// Nobody holds the writer any more: leave as much on disk as can be.
    fn end(&mut self) {
        if self.failed.is_none() {
            // There is nobody left to tell; a reader sees what is there.
            let _ = self.checkpoint();
        }
    }

    /// Works a group of jobs off with one write and at most one flush; returns whether the log is closed.
    fn group(&mut self, group: Vec<Job>, shared: &SharedState) -> bool {
        let mut pending: Vec<u8> = Vec::new();
        let mut acks: Acks = Vec::new();
        let mut flush = false;
        let mut checkpoints = Vec::new();
        let mut close = None;
        for job in group {
            match job {
                Job::Append { done, .. } if self.failed.is_some() => {
                    acks.push((done, Err(self.poisoned())));
                }
                Job::Append {
                    entry,
                    durable,
                    done,
                } => {
                    self.owes |= matches!(
                        entry.kind,
                        "decision" | "transfer" | "seal" | "session.open"
                    );
                    match self.form(&entry) {
                        Ok(line) => {
                            pending.extend(line);
                            flush |= durable;
                            acks.push((done, Ok(self.entries - 1)));
                        }
                        Err(error) => acks.push((done, Err(error))),
                    }
                }
                Job::Checkpoint { done } => checkpoints.push(done),
                Job::Close { done } => close = Some(done),
            }
        }
        self.write(&pending, flush, shared);
        *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = self.head();
        for (done, answer) in acks {
            let answer = answer.and_then(|seq| {
                if self.failed.is_some() {
                    Err(self.poisoned())
                } else {
                    Ok(seq)
                }
            });
            // Who no longer waits for the answer does not need it.
            let _ = done.send(answer);
        }
        let due = self.owes
            || self.entries >= self.checkpoints.size() + CHECKPOINT_EVERY
            || self.minutes_passed();
        if self.failed.is_none() && (due || !checkpoints.is_empty() || close.is_some()) {
            self.try_checkpoint(shared);
        }
        shared.flushes.store(self.flushes, Ordering::SeqCst);
        for done in checkpoints {
            let _ = done.send(self.state().map(|head| head.entries));
        }
        if let Some(done) = close {
            let _ = done.send(self.state());
            return true;
        }
        false
    }

    fn state(&self) -> Result<Head, JournalError> {
        if self.failed.is_some() {
            Err(self.poisoned())
        } else {
            Ok(self.head())
        }
    }

    fn poisoned(&self) -> JournalError {
        JournalError::Poisoned(self.failed.clone().unwrap_or_default())
    }

    fn minutes_passed(&self) -> bool {
        let passed = Duration::from_micros(
            self.deps
                .clock
                .mono_us()
                .saturating_sub(self.last_checkpoint_us),
        );
        passed >= CHECKPOINT_AFTER && self.entries > self.checkpoints.size()
    }

    fn write(&mut self, pending: &[u8], flush: bool, shared: &SharedState) {
        if pending.is_empty() || self.failed.is_some() {
            return;
        }
        if let Err(message) = self.try_write(pending, flush) {
            let lines = String::from_utf8_lossy(pending);
            shared
                .unwritten
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(lines.lines().map(str::to_owned));
            self.failed = Some(message);
        }
    }

    fn try_write(&mut self, pending: &[u8], flush: bool) -> Result<(), String> {
        let begin = self.bytes - pending.len() as u64;
        let file = self.file.as_mut().ok_or("the segment is not open")?;
        // Room for these lines and for the worst result of each, before anything is promised.
        let needed = self.bytes + 2 * MAX_LINE as u64;
        if needed > self.reserved {
            file.reserve(begin, needed - begin + RESERVE)
                .map_err(|error| format!("no room on the disk: {error}"))?;
            self.reserved = needed + RESERVE;
        }
        file.write(pending)
            .map_err(|error| format!("write: {error}"))?;
        if flush {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        let file = self.file.as_mut().ok_or("the segment is not open")?;
        file.sync().map_err(|error| format!("sync: {error}"))?;
        self.flushes += 1;
        self.synced = self.bytes;
        Ok(())
    }

    fn try_checkpoint(&mut self, shared: &SharedState) {
        if let Err(error) = self.checkpoint() {
            self.failed = Some(error.to_string());
        }
        shared.flushes.store(self.flushes, Ordering::SeqCst);
    }

    /// Makes the segment durable, then signs and names a checkpoint over it.
    fn checkpoint(&mut self) -> Result<u64, JournalError> {
        self.owes = false;
        if self.entries == self.checkpoints.size() {
            return Ok(self.entries);
        }
        if self.synced < self.bytes {
            self.sync().map_err(JournalError::Poisoned)?;
        }
        let prefix = Digest(sha2::Digest::finalize(self.hasher.clone()).into());
        let file = (format::segment_name(1), self.bytes, prefix);
        let now = crate::clock::seconds(self.deps.clock.now());
        self.checkpoints.write(
            &*self.deps.disk,
            self.head(),
            self.tree.root(),
            &[file],
            &now,
        )?;
        self.last_checkpoint_us = self.deps.clock.mono_us();
        Ok(self.entries)
    }
}
