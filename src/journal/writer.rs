//! The writer's handle: one session of one run, shared by everything that acts.
//!
//! A thread of its own writes (`log`); a clone of the handle asks it. A line is durable only after
//! `fdatasync`; lines that wait meanwhile share one. After a failed write or sync nothing more is written: the
//! disk's state is unknown then, and the lines that are not known to be on it are kept to be shown.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use serde_json::{Map, Value, json};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::disk::{Disk, RealDisk};
use super::entry::{Actor, BadEntry, Entry, is_person};
use super::format::FORMAT;
use super::lock::{Lock, lock};
use super::log::{Job, Log};
use super::resume::Past;
use super::sign::SessionKey;
use crate::clock::Clock;
use crate::digest::Digest;
use crate::ids::IncidentId;
use crate::random::Random;

/// Why the journal cannot be kept, or not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The session was closed.
    #[error("the session of the journal is closed")]
    Closed,
    /// The run holds what neither a crash nor the writer leaves; work goes on in a new run.
    #[error("the journal in {} is corrupt and cannot be continued: {why}", path.display())]
    Corrupt {
        /// The run folder.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
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
    /// The entry breaks a rule of the format; nothing was written.
    #[error(transparent)]
    Entry(#[from] BadEntry),
    /// Another process writes this run.
    #[error("the run is being written by {holder}")]
    Locked {
        /// Who: process, user, host.
        holder: String,
    },
    /// There is no room for an intent and its worst result: the intent was not written, the call must not be made.
    #[error("there is no room on the disk for an intent and its result: {0}")]
    NoSpace(String),
    /// An earlier write or sync failed, so nothing more is written.
    #[error("the journal cannot be written any more: {0}")]
    Poisoned(String),
    /// The responder's name cannot be one (FORMAT.md, "signers").
    #[error(
        "{0:?} cannot name a responder: no white space, control characters, quotes, commas, * or ?, and it does not begin with # or !"
    )]
    Responder(String),
    /// The run is sealed: nothing follows a seal.
    #[error("the run is sealed")]
    Sealed,
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

/// What the first line of a run says besides what the writer adds itself.
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

/// What the first line of a later session says besides what the writer adds itself.
#[derive(Clone, Debug)]
pub struct SessionOpen {
    /// Who answers for it.
    pub responder: String,
    /// Further members: `reason`, `host`, `seen`.
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

/// A handle on the writer of one run; clones share it.
#[derive(Clone)]
pub struct Writer {
    // Dropped in this order: the thread ends when nobody can ask it any more.
    jobs: mpsc::Sender<Job>,
    _thread: Arc<Thread>,
    shared: Arc<Shared>,
}

/// The thread that writes. Who drops the last handle waits for it, so that the run is free when the handle is gone.
struct Thread(Option<std::thread::JoinHandle<()>>);

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A thread that panicked has written nothing since; the next session finds what is there.
            let _ = thread.join();
        }
    }
}

/// What the handle and the thread both see.
pub(crate) struct Shared {
    run_dir: PathBuf,
    session: Uuid,
    pub(crate) head: Mutex<Head>,
    pub(crate) flushes: AtomicU64,
    pub(crate) checkpoints: watch::Sender<u64>,
    /// How many intents have no answer that settles them.
    pub(crate) open: AtomicU64,
    pub(crate) unwritten: Mutex<Vec<String>>,
}

impl Writer {
    /// Makes a run folder with its first segment, whose first line is on disk when this returns.
    ///
    /// # Errors
    /// A folder that cannot be written; a run that exists; a responder that cannot be named.
    pub fn create(run_dir: &Path, start: RunStart, deps: WriterDeps) -> Result<Self, JournalError> {
        responder(&start.responder)?;
        for folder in [
            run_dir.to_path_buf(),
            run_dir.join("cp"),
            run_dir.join("evidence"),
        ] {
            deps.disk
                .create_folders(&folder)
                .map_err(disk("make", &folder))?;
        }
        if let Some(case) = run_dir.parent() {
            deps.disk.sync_folder(case).map_err(disk("sync", case))?;
        }
        let lock = lock(run_dir)?;
        let past = Past::none(format!("azir/{}/{}", start.incident, start.run));
        let key = SessionKey::new(&*deps.random);
        let mut person = Map::from_iter([("upn".to_owned(), json!(start.responder))]);
        person.extend(
            start
                .responder_name
                .map(|name| ("name".to_owned(), json!(name))),
        );
        person.extend(
            start
                .responder_oid
                .map(|oid| ("oid".to_owned(), json!(oid))),
        );
        let mut data = start.data;
        data.extend([
            ("format".to_owned(), json!(FORMAT)),
            ("incident".to_owned(), json!(start.incident.as_str())),
            ("mode".to_owned(), json!(start.mode)),
            ("origin".to_owned(), json!(past.origin)),
            ("responder".to_owned(), Value::Object(person)),
            ("session_key".to_owned(), json!(key.public())),
        ]);
        let first = Entry {
            kind: "run.start",
            actor: Actor::Azir,
            data,
        };
        Self::begin(run_dir, past, key, &first, lock, deps)
    }

    /// Opens the next session of a run: a new segment, whose first line says how the one before it ended.
    ///
    /// # Errors
    /// A run that another process writes, that is sealed, or that holds what a crash does not leave.
    pub fn open_session(
        run_dir: &Path,
        open: SessionOpen,
        deps: WriterDeps,
    ) -> Result<Self, JournalError> {
        responder(&open.responder)?;
        let lock = lock(run_dir)?;
        let past = Past::read(run_dir)?;
        let key = SessionKey::new(&*deps.random);
        let mut data = open.data;
        data.extend([
            ("open_intents".to_owned(), past.intents.open()),
            ("previous".to_owned(), past.previous()),
            ("responder".to_owned(), json!({"upn": open.responder})),
            ("session_key".to_owned(), json!(key.public())),
        ]);
        let first = Entry {
            kind: "session.open",
            actor: Actor::Azir,
            data,
        };
        Self::begin(run_dir, past, key, &first, lock, deps)
    }

    fn begin(
        run_dir: &Path,
        past: Past,
        key: SessionKey,
        first: &Entry,
        lock: Lock,
        deps: WriterDeps,
    ) -> Result<Self, JournalError> {
        let session = deps.random.uuid();
        let mut log = Log::begin(run_dir, session, past, key, first, lock, deps)?;
        let shared = Arc::new(Shared {
            run_dir: run_dir.to_path_buf(),
            session,
            head: Mutex::new(log.head()),
            flushes: AtomicU64::new(log.flushes()),
            checkpoints: watch::Sender::new(log.checkpoint_number()),
            open: AtomicU64::new(log.open_intents()),
            unwritten: Mutex::new(Vec::new()),
        });
        let (jobs, queue) = mpsc::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("azir-journal".to_owned())
            .spawn(move || log.serve(&queue, &for_thread))
            .map_err(disk("start the writer of", run_dir))?;
        Ok(Self {
            jobs,
            _thread: Arc::new(Thread(Some(thread))),
            shared,
        })
    }

    /// Appends a line; returns its number when it is written, not yet durable.
    ///
    /// # Errors
    /// An entry that breaks the format; no room for an intent; a disk that failed, now or before.
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
        self.ask(|done| Job::Close { seal: None, done }).await
    }

    /// Writes the run's last line, signs a checkpoint over it, releases the run. `data`: `gaps`, `undo_state`, `seen`.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn seal(&self, data: Map<String, Value>) -> Result<Head, JournalError> {
        self.ask(|done| Job::Close {
            seal: Some(data),
            done,
        })
        .await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job,
    ) -> Result<T, JournalError> {
        let (done, answer) = oneshot::channel();
        self.jobs
            .send(job(done))
            .map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
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

    /// Returns how many intents have no answer that settles them.
    pub fn open_intents(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Returns the number of the last checkpoint, now and whenever there is a new one.
    pub fn checkpoints(&self) -> watch::Receiver<u64> {
        self.shared.checkpoints.subscribe()
    }

    /// Returns the lines that may not be on disk when it failed, to be shown.
    pub fn unwritten(&self) -> Vec<String> {
        self.shared
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn responder(upn: &str) -> Result<(), JournalError> {
    if is_person(upn) {
        Ok(())
    } else {
        Err(JournalError::Responder(upn.chars().take(80).collect()))
    }
}

pub(crate) fn disk<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl Fn(std::io::Error) -> JournalError + 'a {
    move |error| JournalError::Disk {
        what,
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}
