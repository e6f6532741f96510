//! The segments in order: chain, tree, tails, and what checkpoints ask of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::finding::Findings;
use super::line::Taken;
use super::meaning::{Meaning, Place};
use super::pieces::{self, Prefixes};
use super::root::Root;
use super::{CannotRead, format};

/// What the segments hold.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) entries: u64,
    pub(super) segments: Vec<Segment>,
    /// How the log stood at each size that a checkpoint names.
    pub(super) at_size: BTreeMap<u64, Standing>,
}

/// How the log stood at one size.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) root: [u8; 32],
    pub(super) chain: [u8; 32],
    /// Which segment holds the last entry, counted from 0.
    pub(super) segment: usize,
    /// Where in it that entry ends.
    pub(super) bytes: u64,
}

/// One segment.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) entries: u64,
    pub(super) valid_bytes: u64,
    pub(super) tail_bytes: u64,
    pub(super) tail_sha256: [u8; 32],
    /// Whether it holds what neither a crash nor the writer leaves.
    pub(super) corrupt: bool,
    pub(super) bytes: u64,
    pub(super) prefixes: Prefixes,
}

/// What checkpoints, its own and outside ones, ask of the log.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) sizes: BTreeSet<u64>,
    pub(super) prefixes: BTreeMap<String, BTreeSet<u64>>,
}

/// Reads all segments.
pub(super) fn read(
    run_dir: &Path,
    numbers: &BTreeSet<u64>,
    asked: &Asked,
    meaning: &mut Meaning,
    findings: &mut Findings,
) -> Result<Log, CannotRead> {
    let mut walk = Walk {
        asked,
        meaning,
        findings,
        log: Log::default(),
        root: Root::default(),
        chain: [0; 32],
    };
    for number in numbers {
        walk.segment(run_dir, *number)?;
    }
    Ok(walk.log)
}

struct Walk<'a> {
    asked: &'a Asked,
    meaning: &'a mut Meaning,
    findings: &'a mut Findings,
    log: Log,
    root: Root,
    chain: [u8; 32],
}

/// What follows the last valid line of a segment, as far as it was read.
struct Tail {
    hasher: Sha256,
    bytes: u64,
    holds_frame: bool,
}

impl Walk<'_> {
    fn segment(&mut self, run_dir: &Path, number: u64) -> Result<(), CannotRead> {
        let name = format::segment_name(number);
        let file = File::open(run_dir.join(&name)).map_err(CannotRead::file(&name))?;
        let cuts: Vec<u64> = self
            .asked
            .prefixes
            .get(&name)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let mut segment = Segment {
            name: name.clone(),
            ..Segment::default()
        };
        let mut tail: Option<Tail> = None;
        let (prefixes, bytes) = pieces::read(file, &cuts, |line, taken| {
            if tail.is_none()
                && let Taken::Frame { hash, form } = taken
            {
                self.entry(number, &mut segment, line, hash, form);
                return;
            }
            let tail = tail.get_or_insert_with(|| Tail {
                hasher: Sha256::new(),
                bytes: 0,
                holds_frame: false,
            });
            tail.hasher.update(line);
            tail.bytes += line.len() as u64;
            tail.holds_frame |=
                matches!(taken, Taken::Frame { .. } | Taken::Broken { holds: true });
        })
        .map_err(CannotRead::file(&name))?;
        segment.prefixes = prefixes;
        segment.bytes = bytes;
        self.end(segment, tail);
        Ok(())
    }

    fn entry(
        &mut self,
        number: u64,
        segment: &mut Segment,
        line: &[u8],
        hash: [u8; 32],
        form: Result<Box<super::line::Line>, super::scan::Why>,
    ) {
        let place = Place {
            file: &segment.name,
            line: segment.entries + 1,
            segment: number,
            seq: self.log.entries,
            previous: self.log.segments.last(),
        };
        match form {
            Err(why) => {
                self.findings.error(
                    place.file,
                    Some(place.line),
                    "bad-line",
                    format!("its hash is right, and it {why}"),
                );
                self.meaning.unreadable(&place);
            }
            Ok(parsed) => {
                if parsed.seq != self.log.entries {
                    let text = format!(
                        "it is numbered {} and stands at {}",
                        parsed.seq, self.log.entries
                    );
                    self.findings
                        .error(place.file, Some(place.line), "wrong-seq", text);
                }
                if parsed.prev != self.chain {
                    let text = "it does not follow the line before it: something was removed, inserted, changed or reordered";
                    self.findings
                        .error(place.file, Some(place.line), "wrong-prev", text);
                }
                self.meaning
                    .take(&place, &parsed, &line[parsed.data.clone()], self.findings);
            }
        }
        self.chain = hash;
        self.root.push(&hash);
        self.log.entries += 1;
        segment.entries += 1;
        segment.valid_bytes += line.len() as u64;
        if self.asked.sizes.contains(&self.log.entries) {
            let standing = Standing {
                root: self.root.value(),
                chain: hash,
                segment: self.log.segments.len(),
                bytes: segment.valid_bytes,
            };
            self.log.at_size.insert(self.log.entries, standing);
        }
    }

    fn end(&mut self, mut segment: Segment, tail: Option<Tail>) {
        let tail = tail.unwrap_or(Tail {
            hasher: Sha256::new(),
            bytes: 0,
            holds_frame: false,
        });
        segment.tail_bytes = tail.bytes;
        segment.tail_sha256 = tail.hasher.finalize().into();
        segment.corrupt = tail.holds_frame;
        if tail.holds_frame {
            let text = "behind a broken place stand whole lines with right hashes: the log was changed, not cut off";
            self.findings
                .error(&segment.name, Some(segment.entries + 1), "corrupt", text);
        }
        if segment.entries == 0 {
            let text =
                "the segment does not begin with a valid line, and a named segment always does";
            self.findings
                .error(&segment.name, Some(1), "no-first-line", text);
            segment.corrupt = true;
        }
        if segment.tail_bytes > 0 && self.meaning.sealed() {
            self.findings.error(
                &segment.name,
                Some(segment.entries + 1),
                "after-seal",
                "bytes stand after the seal",
            );
        }
        self.log.segments.push(segment);
    }
}
