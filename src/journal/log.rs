//! The log as its thread has it: one segment, group commit, checkpoints when they are due.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, mpsc};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::checkpoint::Checkpoints;
use super::disk::DiskFile;
use super::entry::{self, Actor, Entry, Place};
use super::format::{self, CHECKPOINT_EVERY, MAX_LINE};
use super::intents::Intents;
use super::lock::Lock;
use super::resume::Past;
use super::sign::SessionKey;
use super::tree::Tree;
use super::writer::{Head, JournalError, Shared, WriterDeps, disk};
use crate::clock::Clock;
use crate::digest::Digest;

/// What the thread is asked.
pub(crate) enum Job {
    Append {
        entry: Entry,
        durable: bool,
        done: oneshot::Sender<Result<u64, JournalError>>,
    },
    Checkpoint {
        done: oneshot::Sender<Result<u64, JournalError>>,
    },
    Close {
        seal: Option<Map<String, Value>>,
        done: oneshot::Sender<Result<Head, JournalError>>,
    },
}

/// The log.
pub(crate) struct Log {
    run_dir: PathBuf,
    session: Uuid,
    deps: WriterDeps,
    checkpoints: Checkpoints,
    lock: Option<Lock>,
    file: Box<dyn DiskFile>,
    name: String,
    earlier: Vec<(String, u64, Digest)>,
    /// Bytes of the segment, and how many of them are formed and not written, written and not synced.
    bytes: u64,
    pending: Vec<u8>,
    unsynced: Vec<u8>,
    reserved: u64,
    hasher: Sha256,
    tree: Tree,
    intents: Intents,
    entries: u64,
    chain: String,
    began_us: u64,
    /// By how much the wall clock is ahead of the monotonic one, as of the last line.
    ahead_us: i64,
    last_mono: u64,
    last_checkpoint_us: u64,
    halted: bool,
    flushes: u64,
    failed: Option<String>,
}

/// Answers that wait for the group's write, or its flush.
type Waiting = Vec<(
    oneshot::Sender<Result<u64, JournalError>>,
    Result<u64, JournalError>,
)>;

/// Disk that is kept free beyond what is promised, so that not every intent asks for more.
const AHEAD: u64 = 256 * 1024;
/// How long a log may stand without a checkpoint while it grows.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(10 * 60);
/// Entries after which a checkpoint is made if the log is synced anyway: it saves a flush of its own later.
const CHECKPOINT_EARLY: u64 = CHECKPOINT_EVERY - 20;
/// What the wall clock may drift between two lines before it is said to have been set.
const JUMP_US: i64 = 2_000_000;
/// Jobs that share one flush.
const GROUP: usize = 64;

impl Log {
    /// Writes the first line into a file without a name, makes it durable, names it, signs a checkpoint over it.
    pub(crate) fn begin(
        run_dir: &Path,
        session: Uuid,
        past: Past,
        key: SessionKey,
        first: &Entry,
        lock: Lock,
        deps: WriterDeps,
    ) -> Result<Self, JournalError> {
        let name = format::segment_name(past.files.len() as u64 + 1);
        let named = run_dir.join(&name);
        let unnamed = run_dir.join(format!("tmp-{session}"));
        let file = deps.disk.create(&unnamed).map_err(disk("make", &unnamed))?;
        let began_us = deps.clock.mono_us();
        let (number, size) = past.checkpoint;
        let mut log = Self {
            run_dir: run_dir.to_path_buf(),
            session,
            checkpoints: Checkpoints::after(
                run_dir,
                key,
                past.origin,
                session.to_string(),
                number,
                size,
            ),
            lock: Some(lock),
            file,
            name,
            earlier: past.files,
            bytes: 0,
            pending: Vec::new(),
            unsynced: Vec::new(),
            reserved: 0,
            hasher: Sha256::new(),
            tree: past.tree,
            intents: past.intents,
            entries: past.entries,
            chain: past.chain,
            began_us,
            ahead_us: ahead_us(&*deps.clock),
            last_mono: 0,
            last_checkpoint_us: began_us,
            halted: false,
            flushes: 0,
            failed: None,
            deps,
        };
        log.form(first)?;
        log.write()
            .and_then(|()| log.sync())
            .map_err(|error| disk("write", &unnamed)(error))?;
        log.deps
            .disk
            .link(&unnamed, &named)
            .map_err(disk("name", &named))?;
        log.deps
            .disk
            .sync_folder(run_dir)
            .map_err(disk("sync", run_dir))?;
        log.deps
            .disk
            .remove(&unnamed)
            .map_err(disk("remove", &unnamed))?;
        log.checkpoints.put_aside_lone_signature(&*log.deps.disk)?;
        log.checkpoint()?;
        Ok(log)
    }

    pub(crate) fn head(&self) -> Head {
        // The chain is always 64 hex digits: the writer wrote them itself.
        Head {
            entries: self.entries,
            chain: self.chain.parse().unwrap_or(Digest([0; 32])),
        }
    }

    pub(crate) fn flushes(&self) -> u64 {
        self.flushes
    }

    pub(crate) fn open_intents(&self) -> u64 {
        self.intents.awaiting()
    }

    pub(crate) fn checkpoint_number(&self) -> u64 {
        self.checkpoints.number()
    }

    /// Works jobs off until the session is closed or nobody holds the writer any more.
    pub(crate) fn serve(&mut self, queue: &mpsc::Receiver<Job>, shared: &Shared) {
        loop {
            match queue.recv_timeout(CHECKPOINT_AFTER) {
                Ok(first) => {
                    let group: Vec<Job> = std::iter::once(first)
                        .chain(queue.try_iter().take(GROUP - 1))
                        .collect();
                    if self.group(group, shared) {
                        return;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.settle(shared, Self::checkpoint_if_grown);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    // There is nobody left to tell; a reader sees what is there.
                    self.settle(shared, Self::checkpoint_if_grown);
                    return;
                }
            }
        }
    }

    /// Works a group of jobs off with one write and at most one flush; returns whether the session is closed.
    fn group(&mut self, group: Vec<Job>, shared: &Shared) -> bool {
        let mut waiting = Waiting::new();
        let (mut flush, mut checkpoints, mut close) = (false, Vec::new(), None);
        for job in group {
            match job {
                Job::Append { done, .. } if close.is_some() => {
                    waiting.push((done, Err(JournalError::Closed)));
                }
                Job::Append {
                    entry,
                    durable,
                    done,
                } => {
                    let answer = self.append(&entry, shared);
                    flush |= durable && answer.is_ok();
                    waiting.push((done, answer));
                }
                Job::Checkpoint { done } => checkpoints.push(done),
                Job::Close { done, .. } if close.is_some() => {
                    let _ = done.send(Err(JournalError::Closed));
                }
                Job::Close { seal, done } => close = Some((seal, done)),
            }
        }
        self.settle(shared, |log| {
            log.write()
                .map_err(|error| JournalError::Poisoned(format!("write: {error}")))?;
            if flush { log.flush() } else { Ok(()) }
        });
        for (done, answer) in waiting {
            // Who no longer waits for the answer does not need it.
            let _ = done.send(answer.and_then(|seq| self.state().map(|_| seq)));
        }
        if !checkpoints.is_empty() {
            self.settle(shared, Self::checkpoint_if_grown);
        }
        for done in checkpoints {
            let _ = done.send(self.state().map(|head| head.entries));
        }
        let Some((seal, done)) = close else {
            return false;
        };
        let sealed = seal.map_or(Ok(()), |data| self.seal(data, shared));
        self.settle(shared, Self::checkpoint_if_grown);
        // Released first, so that who hears of the end can open the next session.
        self.lock = None;
        let _ = done.send(sealed.and_then(|()| self.state()));
        true
    }

    fn append(&mut self, entry: &Entry, shared: &Shared) -> Result<u64, JournalError> {
        self.state()?;
        if self.intents.sealed() {
            return Err(JournalError::Sealed);
        }
        self.intents.allow(entry.kind, &entry.data)?;
        if entry.kind == "action.intent"
            && let Err(error) = self.reserve()
        {
            self.halt(shared, &error);
            return Err(JournalError::NoSpace(error.to_string()));
        }
        self.note_jump()?;
        self.form(entry)?;
        let seq = self.entries - 1;
        let due = matches!(entry.kind, "decision" | "transfer" | "seal")
            || self.since_checkpoint() >= CHECKPOINT_EVERY;
        if due || self.minutes_passed() {
            self.settle(shared, Self::checkpoint_if_grown);
        }
        Ok(seq)
    }

    /// Says of a wall clock that was set between two lines that it was: their times alone would mislead.
    fn note_jump(&mut self) -> Result<(), JournalError> {
        let ahead = ahead_us(&*self.deps.clock);
        let moved = ahead - std::mem::replace(&mut self.ahead_us, ahead);
        if moved.abs() < JUMP_US {
            return Ok(());
        }
        let data = Map::from_iter([("moved_us".to_owned(), json!(moved))]);
        self.form(&Entry {
            kind: "clock.jump",
            actor: Actor::Azir,
            data,
        })
    }

    fn seal(&mut self, mut data: Map<String, Value>, shared: &Shared) -> Result<(), JournalError> {
        // A line about the clock must not come between the count and the seal.
        self.note_jump()?;
        data.insert("open_intents".to_owned(), self.intents.open());
        data.insert("entries".to_owned(), self.intents.with_seal());
        self.append(
            &Entry {
                kind: "seal",
                actor: Actor::Azir,
                data,
            },
            shared,
        )
        .map(|_| ())
    }

    /// Keeps room for an intent, the worst result of every intent that waits for one, and a line that says why not.
    fn reserve(&mut self) -> std::io::Result<()> {
        let promised = self.bytes + MAX_LINE as u64 * (self.intents.awaiting() + 3);
        if promised <= self.reserved {
            return Ok(());
        }
        let written = self.bytes - self.pending.len() as u64;
        let more = promised - written;
        // More than is needed now where the disk has it, exactly that where it has not.
        if self.file.reserve(written, more + AHEAD).is_ok() {
            self.reserved = promised + AHEAD;
            return Ok(());
        }
        self.file.reserve(written, more)?;
        self.reserved = promised;
        Ok(())
    }

    /// Says, once, that no further intent can be recorded; room for this line was kept by the intents before.
    fn halt(&mut self, shared: &Shared, error: &std::io::Error) {
        if std::mem::replace(&mut self.halted, true) {
            return;
        }
        let data = Map::from_iter([(
            "why".to_owned(),
            json!(format!("no room on the disk for another intent: {error}")),
        )]);
        let halt = Entry {
            kind: "run.halt",
            actor: Actor::Azir,
            data,
        };
        if self.form(&halt).is_ok() {
            self.settle(shared, |log| {
                log.write()
                    .map_err(|error| JournalError::Poisoned(format!("write: {error}")))?;
                log.flush()
            });
        }
    }

    /// Forms a line and takes it into the chain, the tree and the prefix hash.
    fn form(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mono_us = self
            .deps
            .clock
            .mono_us()
            .saturating_sub(self.began_us)
            .max(self.last_mono);
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
        self.intents.take(self.entries, entry.kind, &entry.data);
        self.entries += 1;
        self.bytes += line.len() as u64;
        self.hasher.update(&line);
        self.pending.extend(line);
        Ok(())
    }

    /// Does something with the disk, unless it failed before; if it fails now, it is not touched again.
    fn settle(&mut self, shared: &Shared, act: impl FnOnce(&mut Self) -> Result<(), JournalError>) {
        if self.failed.is_none() {
            match act(self) {
                Ok(()) => *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = self.head(),
                Err(JournalError::Poisoned(message)) => self.failed = Some(message),
                Err(error) => self.failed = Some(error.to_string()),
            }
        }
        if self.failed.is_some() {
            let lost = [
                std::mem::take(&mut self.unsynced),
                std::mem::take(&mut self.pending),
            ]
            .concat();
            let lost = String::from_utf8_lossy(&lost);
            shared
                .unwritten
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(lost.lines().map(str::to_owned));
        }
        shared.flushes.store(self.flushes, Ordering::SeqCst);
        shared.open.store(self.intents.awaiting(), Ordering::SeqCst);
        let number = self.checkpoints.number();
        shared.checkpoints.send_if_modified(|last| {
            let newer = *last != number;
            *last = number;
            newer
        });
    }

    fn state(&self) -> Result<Head, JournalError> {
        match &self.failed {
            Some(message) => Err(JournalError::Poisoned(message.clone())),
            None => Ok(self.head()),
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write(&self.pending)?;
        self.unsynced.append(&mut self.pending);
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        self.file.sync()?;
        self.unsynced.clear();
        self.flushes += 1;
        Ok(())
    }

    /// Makes the segment durable; a checkpoint that is nearly due is made on the same occasion.
    fn flush(&mut self) -> Result<(), JournalError> {
        self.sync()
            .map_err(|error| JournalError::Poisoned(format!("sync: {error}")))?;
        if self.since_checkpoint() >= CHECKPOINT_EARLY {
            self.checkpoint()
        } else {
            Ok(())
        }
    }

    fn since_checkpoint(&self) -> u64 {
        self.entries.saturating_sub(self.checkpoints.size())
    }

    fn minutes_passed(&self) -> bool {
        let passed = self
            .deps
            .clock
            .mono_us()
            .saturating_sub(self.last_checkpoint_us);
        Duration::from_micros(passed) >= CHECKPOINT_AFTER
    }

    fn checkpoint_if_grown(&mut self) -> Result<(), JournalError> {
        if self.since_checkpoint() > 0 {
            self.checkpoint()
        } else {
            Ok(())
        }
    }

    /// Makes the segment durable, then signs and names a checkpoint over it.
    fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.write()
            .and_then(|()| self.sync())
            .map_err(|error| JournalError::Poisoned(format!("sync: {error}")))?;
        let mut files = self.earlier.clone();
        files.push((
            self.name.clone(),
            self.bytes,
            Digest(self.hasher.clone().finalize().into()),
        ));
        let now = crate::clock::seconds(self.deps.clock.now());
        self.checkpoints.write(
            &*self.deps.disk,
            self.head(),
            self.tree.root(),
            &files,
            &now,
        )?;
        self.last_checkpoint_us = self.deps.clock.mono_us();
        Ok(())
    }
}

fn ahead_us(clock: &dyn Clock) -> i64 {
    let mono = i64::try_from(clock.mono_us()).unwrap_or(i64::MAX);
    clock.now().timestamp_micros().saturating_sub(mono)
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("run_dir", &self.run_dir)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
