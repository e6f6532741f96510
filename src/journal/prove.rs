//! Proofs of single entries: one line, its audit path, and the checkpoint with all that vouches for it.
//!
//! An entry can so be disclosed without its neighbours; its nonce keeps them from being guessed. The form is in
//! FORMAT.md, "Proof of a single entry"; [`check_proof`](super::verify::check_proof) judges it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::format::{PROOF_FORMAT, checkpoint_name};
use super::reader::Lines;
use super::tree::Tree;
use super::writer::JournalError;
use crate::digest::Digest;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file beside the log cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such entry.
    #[error("there is no entry {seq}: the journal has {entries}, counted from 0")]
    NoEntry {
        /// The number asked for.
        seq: u64,
        /// How many there are.
        entries: u64,
    },
    /// No checkpoint covers it.
    #[error("no checkpoint covers entry {0} yet")]
    NotCovered(u64),
    /// The log is not what its checkpoint says.
    #[error("the log is not what checkpoint {0} says: a proof of it would prove nothing")]
    Changed(u64),
}

/// Returns the proof of an entry as a JSON text. Without `opening`, the first line of the session that made the
/// checkpoint is left out: it names targets, tenant and responder.
///
/// # Errors
/// No such entry, none that a checkpoint covers, a log that is not what the checkpoint says.
pub fn prove(run_dir: &Path, seq: u64, opening: bool) -> Result<String, ProveError> {
    let checkpoint = best(run_dir, seq)?;
    let mut paths = Paths::new(seq, checkpoint.size);
    let (mut line, mut opens) = (None, (0, String::new()));
    let mut tree = Tree::default();
    let mut lines = Lines::open(run_dir)?;
    for index in 0..checkpoint.size {
        let Some(text) = lines.next_text()?.map(str::to_owned) else {
            return Err(ProveError::Changed(checkpoint.number));
        };
        let chain = lines.head().chain;
        tree.push(chain);
        paths.push(index, chain);
        if text.ends_with("\"type\":\"run.start\"}") || text.ends_with("\"type\":\"session.open\"}")
        {
            opens = (index, text.clone());
        }
        if index == seq {
            line = Some(text);
        }
    }
    let root = base64::engine::general_purpose::STANDARD.encode(tree.root().0);
    let Some(line) = line.filter(|_| checkpoint.text.lines().nth(2) == Some(&root)) else {
        return Err(ProveError::Changed(checkpoint.number));
    };
    let mut proof = Map::from_iter([
        ("format".to_owned(), json!(PROOF_FORMAT)),
        ("line".to_owned(), json!(line)),
        ("index".to_owned(), json!(seq)),
        ("tree_size".to_owned(), json!(checkpoint.size)),
        ("path".to_owned(), paths.into_json()),
        ("checkpoint".to_owned(), json!(checkpoint.text)),
    ]);
    let mut beside = |member: &str, ending: &str| {
        if let Some(bytes) = checkpoint.beside(run_dir, ending)? {
            proof.insert(member.to_owned(), json!(String::from_utf8_lossy(&bytes)));
        }
        Ok::<(), ProveError>(())
    };
    beside("session_signature", "session.sig")?;
    beside("human_signature", "human.sig")?;
    beside("second_signature", "second.sig")?;
    if opening {
        let (index, line) = opens;
        let path = path_of(run_dir, index, checkpoint.size)?;
        let opening = json!({"line": line, "index": index, "path": path});
        proof.insert("opening".to_owned(), opening);
    }
    let mut stamps = Vec::new();
    for ending in ["tsr", "tsr2"] {
        let stamp = checkpoint.beside(run_dir, ending)?;
        stamps.extend(stamp.map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)));
    }
    proof.insert("stamps".to_owned(), json!(stamps));
    // A map of texts and numbers always has a JSON text.
    let text = serde_json::to_string_pretty(&Value::Object(proof)).unwrap_or_default();
    Ok(text + "\n")
}

fn path_of(run_dir: &Path, index: u64, size: u64) -> Result<Value, ProveError> {
    let mut paths = Paths::new(index, size);
    let mut lines = Lines::open(run_dir)?;
    for at in 0..size {
        lines.next_text()?;
        paths.push(at, lines.head().chain);
    }
    Ok(paths.into_json())
}

/// A checkpoint that covers the entry.
struct Covering {
    number: u64,
    size: u64,
    text: String,
}

impl Covering {
    fn beside(&self, run_dir: &Path, ending: &str) -> Result<Option<Vec<u8>>, ProveError> {
        read(
            &run_dir
                .join("cp")
                .join(checkpoint_name(self.number, ending)),
        )
    }
}

/// Finds the checkpoint over an entry that most stands beside; of equal ones the earliest, which dates it best.
fn best(run_dir: &Path, seq: u64) -> Result<Covering, ProveError> {
    let folder = run_dir.join("cp");
    let entries = super::head(run_dir)?.entries;
    let mut found: Option<(usize, Covering)> = None;
    for number in 1.. {
        let Some(bytes) = read(&folder.join(checkpoint_name(number, "cp")))? else {
            break;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let size = text
            .lines()
            .nth(1)
            .and_then(|size| size.parse::<u64>().ok());
        // One that covers more than there is was not made over this log.
        let Some(size) = size.filter(|size| (seq + 1..=entries).contains(size)) else {
            continue;
        };
        let beside = ["human.sig", "second.sig", "tsr", "tsr2"]
            .iter()
            .filter(|ending| folder.join(checkpoint_name(number, ending)).exists())
            .count();
        if found.as_ref().is_none_or(|(most, _)| beside > *most) {
            found = Some((beside, Covering { number, size, text }));
        }
    }
    if let Some((_, checkpoint)) = found {
        return Ok(checkpoint);
    }
    Err(if seq < entries {
        ProveError::NotCovered(seq)
    } else {
        ProveError::NoEntry { seq, entries }
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, ProveError> {
    match super::reader::read_regular(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProveError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

/// The audit path of one leaf, gathered while all leaves pass by: a subtree for each of its nodes.
struct Paths {
    /// From the leaf up: the entries below each node, and the node's tree.
    nodes: Vec<(std::ops::Range<u64>, Tree)>,
}

impl Paths {
    fn new(index: u64, size: u64) -> Self {
        let mut nodes = Vec::new();
        let mut range = 0..size;
        while range.end - range.start > 1 {
            let split = range.start + (range.end - range.start).next_power_of_two() / 2;
            let (left, right) = (range.start..split, split..range.end);
            let (inside, sibling) = if index < split {
                (left, right)
            } else {
                (right, left)
            };
            nodes.push((sibling, Tree::default()));
            range = inside;
        }
        nodes.reverse();
        Self { nodes }
    }

    fn push(&mut self, index: u64, chain: Digest) {
        let node = self
            .nodes
            .iter_mut()
            .find(|(range, _)| range.contains(&index));
        // Only the leaf itself lies below no node of its path.
        if let Some((_, tree)) = node {
            tree.push(chain);
        }
    }

    fn into_json(self) -> Value {
        let roots = self
            .nodes
            .into_iter()
            .map(|(_, tree)| tree.root().to_string());
        roots.collect()
    }
}
