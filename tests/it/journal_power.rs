//! Power that fails: at every moment of a recorded trace, what was synced is kept and any prefix of the rest.
//!
//! A killed process cannot show a missing sync, because the kernel still has what was written. Here only what
//! the writer made durable is certain; two writers that are wrong on purpose must not pass.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use azir::journal::Writer;
use azir::journal::disk::{Disk, DiskFile, RealDisk};
use serde_json::{Map, json};

use crate::journal_kit::{again, deps, entry, inside, intent, result, sound, start, wait};

/// One thing that happened, in order.
#[derive(Clone, Debug)]
enum Op {
    Folder(PathBuf),
    Create(PathBuf, usize),
    Write(usize, Vec<u8>),
    Sync(usize),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
    /// The request of the intent with this number was sent.
    Effect(u64),
}

type Trace = Arc<Mutex<Vec<Op>>>;

/// The real disk, with a list of what was asked of it.
struct RecordingDisk {
    trace: Trace,
    /// A writer that never syncs its segment's bytes; everything else is as it should be.
    without_sync: bool,
}

struct RecordingFile {
    file: Box<dyn DiskFile>,
    id: usize,
    trace: Trace,
    without_sync: bool,
}

impl RecordingDisk {
    fn say(&self, op: Op) {
        self.trace.lock().unwrap().push(op);
    }
}

impl Disk for RecordingDisk {
    fn create_folders(&self, path: &Path) -> io::Result<()> {
        self.say(Op::Folder(path.to_owned()));
        RealDisk.create_folders(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.trace.lock().unwrap().len();
        self.say(Op::Create(path.to_owned(), id));
        Ok(Box::new(RecordingFile {
            file: RealDisk.create(path)?,
            id,
            trace: Arc::clone(&self.trace),
            without_sync: self.without_sync,
        }))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.say(Op::Link(from.to_owned(), to.to_owned()));
        RealDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.say(Op::Remove(path.to_owned()));
        RealDisk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.say(Op::SyncFolder(path.to_owned()));
        RealDisk.sync_folder(path)
    }
}

impl DiskFile for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.trace
            .lock()
            .unwrap()
            .push(Op::Write(self.id, bytes.to_vec()));
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.without_sync {
            self.trace.lock().unwrap().push(Op::Sync(self.id));
        }
        self.file.sync()
    }

    fn reserve(&mut self, end: u64, more: u64) -> io::Result<()> {
        self.file.reserve(end, more)
    }
}

/// How a writer may be wrong.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Mutant {
    None,
    WithoutSync,
    ActsFirst,
}

/// A run of two sessions, in a folder below `parent`; returns what happened.
fn recorded(parent: &Path, mutant: Mutant) -> Vec<Op> {
    let trace = Trace::default();
    let disk = || -> Arc<dyn Disk> {
        Arc::new(RecordingDisk {
            trace: Arc::clone(&trace),
            without_sync: mutant == Mutant::WithoutSync,
        })
    };
    let effect = |seq| trace.lock().unwrap().push(Op::Effect(seq));
    let act = async |writer: &Writer, n: u64| {
        if mutant == Mutant::ActsFirst {
            effect(writer.head().entries);
        }
        let seq = writer.append_durable(intent(n)).await.unwrap();
        if mutant != Mutant::ActsFirst {
            effect(seq);
        }
        writer.append(result(seq, "ok")).await.unwrap();
    };
    let run_dir = parent.join("run");
    wait(async {
        let writer = Writer::create(&run_dir, start(), deps(disk(), 1)).unwrap();
        for n in 0..3 {
            act(&writer, n).await;
        }
        writer
            .append_durable(entry("decision", json!({"choice": "all"})))
            .await
            .unwrap();
        act(&writer, 3).await;
        writer.close().await.unwrap();
        let writer = Writer::open_session(&run_dir, again(), deps(disk(), 2)).unwrap();
        act(&writer, 4).await;
        writer.seal(Map::new()).await.unwrap();
    });
    Arc::into_inner(trace).unwrap().into_inner().unwrap()
}

/// Returns whether what `op` did is certain to be there after the ops that follow it.
fn durable(op: &Op, after: &[Op]) -> bool {
    let folder = |path: &Path| {
        after.iter().any(
            |op| matches!(op, Op::SyncFolder(synced) if Some(synced.as_path()) == path.parent()),
        )
    };
    match op {
        Op::Folder(path) | Op::Create(path, _) | Op::Link(_, path) | Op::Remove(path) => {
            folder(path)
        }
        Op::Write(id, _) => after
            .iter()
            .any(|op| matches!(op, Op::Sync(synced) if synced == id)),
        Op::Sync(_) | Op::SyncFolder(_) | Op::Effect(_) => true,
    }
}

/// What a disk holds: names, and the bytes behind them.
#[derive(Default)]
struct State {
    folders: Vec<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    bytes: BTreeMap<usize, Vec<u8>>,
}

impl State {
    fn of<'a>(ops: impl Iterator<Item = &'a Op>, all: &[Op]) -> Self {
        // A name that was made is of a file, whether or not the name it had before was kept.
        let mut known = BTreeMap::new();
        for op in all {
            match op {
                Op::Create(path, id) => {
                    known.insert(path, *id);
                }
                Op::Link(from, to) => {
                    let id = known[from];
                    known.insert(to, id);
                }
                _ => {}
            }
        }
        let mut state = Self::default();
        for op in ops {
            match op {
                Op::Folder(path) => state.folders.push(path.clone()),
                Op::Create(path, _) | Op::Link(_, path) => {
                    state.names.insert(path.clone(), known[path]);
                }
                Op::Remove(path) => {
                    state.names.remove(path);
                }
                Op::Write(id, bytes) => state.bytes.entry(*id).or_default().extend(bytes),
                Op::Sync(_) | Op::SyncFolder(_) | Op::Effect(_) => {}
            }
        }
        state
    }

    /// Puts it on a real disk below `to` instead of `from`.
    fn lay(&self, from: &Path, to: &Path) {
        let moved = |path: &Path| to.join(path.strip_prefix(from).unwrap());
        for folder in &self.folders {
            std::fs::create_dir_all(moved(folder)).unwrap();
        }
        for (path, id) in &self.names {
            let path = moved(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.bytes.get(id).map_or(&[][..], Vec::as_slice)).unwrap();
        }
    }
}

/// Replays every loss of power; returns how many there were, and what each that broke a promise broke.
fn replay(mutant: Mutant) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let ops = recorded(folder.path(), mutant);
    let (mut tried, mut broken) = (0, Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for now in 0..=ops.len() {
        let happened = &ops[..now];
        let rest: Vec<usize> = (0..now)
            .filter(|at| !durable(&happened[*at], &happened[at + 1..]))
            .collect();
        for kept in 0..=rest.len() {
            // The next write may have reached the disk in part.
            let cuts = match rest.get(kept).map(|at| &happened[*at]) {
                Some(Op::Write(_, bytes)) => vec![0, 1, bytes.len() / 2, bytes.len() - 1],
                _ => vec![0],
            };
            for cut in cuts {
                let partly = rest.get(kept).filter(|_| cut > 0).map(|at| {
                    let Op::Write(id, bytes) = &happened[*at] else {
                        unreachable!("only a write is cut");
                    };
                    (*at, Op::Write(*id, bytes[..cut].to_vec()))
                });
                let lost = &rest[kept..];
                let mut left: Vec<(usize, &Op)> = (0..now)
                    .filter(|at| !lost.contains(at))
                    .map(|at| (at, &happened[at]))
                    .collect();
                left.extend(partly.as_ref().map(|(at, op)| (*at, op)));
                left.sort_by_key(|(at, _)| *at);
                let state = State::of(left.iter().map(|(_, op)| *op), happened);
                tried += 1;
                let effects = happened.iter().filter_map(|op| match op {
                    Op::Effect(seq) => Some(*seq),
                    _ => None,
                });
                let sent = effects.max();
                // Most moments look alike on disk; each look is judged once for each promise.
                if seen.insert((sent, format!("{:?}{:?}", state.names, state.bytes))) {
                    let to = tempfile::tempdir().unwrap();
                    state.lay(folder.path(), to.path());
                    broken.extend(
                        judge(&to.path().join("run"), sent)
                            .map(|why| format!("after {now} calls, {kept} kept, {cut}: {why}")),
                    );
                }
            }
        }
    }
    (tried, broken)
}

/// Returns what is wrong with a run after a loss of power, where `sent` is the last intent whose request left.
fn judge(run_dir: &Path, sent: Option<u64>) -> Option<String> {
    let report = inside(run_dir);
    if report.exit_code == 4 && sent.is_none() {
        // The run did not begin.
        return None;
    }
    if !matches!(report.exit_code, 2 | 3) {
        return Some(format!("{report:?}"));
    }
    if sent.is_some_and(|seq| report.entries <= seq) {
        return Some(format!(
            "{} entries are left, and the request of line {} was sent",
            report.entries,
            sent.unwrap_or_default()
        ));
    }
    match Writer::open_session(run_dir, again(), deps(sound(), 7)) {
        Ok(writer) => {
            wait(writer.close()).unwrap();
            let report = inside(run_dir);
            (report.exit_code != 2).then(|| format!("continued: {report:?}"))
        }
        Err(azir::journal::JournalError::Sealed) => None,
        Err(error) => Some(format!("not continued: {error}")),
    }
}

#[test]
fn no_request_outlives_its_intent_when_the_power_fails() {
    let (tried, broken) = replay(Mutant::None);
    assert!(broken.is_empty(), "{broken:#?}");
    println!("losses of power: {tried}, no request without its intent, every run continued");
}

#[test]
fn a_writer_that_does_not_sync_is_caught_by_the_replay() {
    let (tried, broken) = replay(Mutant::WithoutSync);
    println!(
        "a writer without the sync: caught {} times in {tried}",
        broken.len()
    );
    assert!(broken.iter().any(|why| why.contains("was sent")));
}

#[test]
fn a_writer_that_acts_before_the_intent_is_caught_by_the_replay() {
    let (tried, broken) = replay(Mutant::ActsFirst);
    println!(
        "a writer that acts first: caught {} times in {tried}",
        broken.len()
    );
    assert!(broken.iter().any(|why| why.contains("was sent")));
}
