//! A segment in pieces of whole lines: read once, each line judged and every prefix hashed side by side.
//!
//! One thread reads and keeps the order, one hashes prefixes, the rest judge lines. A few pieces are in flight
//! at a time, so that memory does not depend on the segment's length, save that one line is held whole.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest as _, Sha256};

use super::line::{self, Taken};

/// Bytes read at a time.
const PIECE: usize = 512 * 1024;
/// Pieces in flight for each thread that judges.
const AHEAD: usize = 2;

/// Hashes of first bytes, by how many, and the length of the whole.
pub(super) type Prefixes = BTreeMap<u64, [u8; 32]>;

/// Reads all of `file`; hands each line, its LF included where it has one, to `each` in order.
///
/// Returns the hashes of the prefixes in `cuts` (ascending) and of the whole, and the length.
pub(super) fn read(
    file: impl Read,
    cuts: &[u64],
    mut each: impl FnMut(&[u8], Taken),
) -> std::io::Result<(Prefixes, u64)> {
    let judges = std::thread::available_parallelism()
        .map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 4));
    std::thread::scope(|scope| {
        let (to_hasher, pieces) = sync_channel::<Arc<Vec<u8>>>(AHEAD * judges);
        let hasher = scope.spawn(move || prefixes(&pieces, cuts));
        let mut lanes = Vec::new();
        for _ in 0..judges {
            let (to_judge, pieces) = sync_channel::<Arc<Vec<u8>>>(AHEAD);
            let (to_us, judged) = sync_channel(AHEAD);
            scope.spawn(move || judge(&pieces, &to_us));
            lanes.push((to_judge, judged));
        }
        let mut source = Source {
            file,
            rest: Vec::new(),
        };
        let mut waiting: VecDeque<(usize, Arc<Vec<u8>>)> = VecDeque::new();
        let mut lane = 0;
        loop {
            let piece = source.next()?;
            let ended = piece.is_empty();
            if !ended {
                let piece = Arc::new(piece);
                // Threads end only when their sender is dropped, so a send cannot fail before that.
                let _ = to_hasher.send(Arc::clone(&piece));
                let _ = lanes[lane].0.send(Arc::clone(&piece));
                waiting.push_back((lane, piece));
                lane = (lane + 1) % judges;
            }
            while waiting.len() > if ended { 0 } else { judges } {
                let Some((from, piece)) = waiting.pop_front() else {
                    break;
                };
                for (end, start, taken) in lanes[from].1.recv().unwrap_or_default() {
                    each(&piece[start..end], taken);
                }
            }
            if ended {
                break;
            }
        }
        drop(lanes);
        drop(to_hasher);
        hasher
            .join()
            .map_err(|_| std::io::Error::other("the hashing thread ended early"))
    })
}

type Judged = Vec<(usize, usize, Taken)>;

fn judge(pieces: &Receiver<Arc<Vec<u8>>>, to: &SyncSender<Judged>) {
    for piece in pieces {
        let mut start = 0;
        let mut judged = Vec::new();
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            judged.push((end, start, line::read(line)));
            start = end;
        }
        if to.send(judged).is_err() {
            return;
        }
    }
}

fn prefixes(pieces: &Receiver<Arc<Vec<u8>>>, cuts: &[u64]) -> (Prefixes, u64) {
    let mut found = Prefixes::new();
    let mut cuts = cuts.iter().copied().peekable();
    let mut hasher = Sha256::new();
    let mut length = 0_u64;
    for piece in pieces {
        let mut from = 0;
        while let Some(cut) = cuts.next_if(|cut| *cut <= length + piece.len() as u64) {
            let Some(to) = cut
                .checked_sub(length)
                .and_then(|to| usize::try_from(to).ok())
            else {
                continue;
            };
            hasher.update(&piece[from..to]);
            from = to;
            found.insert(cut, hasher.clone().finalize().into());
        }
        hasher.update(&piece[from..]);
        length += piece.len() as u64;
    }
    found.insert(length, hasher.finalize().into());
    (found, length)
}

/// Cuts a file into pieces that end with a line, except perhaps the last.
struct Source<R> {
    file: R,
    rest: Vec<u8>,
}

impl<R: Read> Source<R> {
    /// Returns the next piece; an empty one is the end.
    fn next(&mut self) -> std::io::Result<Vec<u8>> {
        let mut piece = std::mem::take(&mut self.rest);
        loop {
            let before = piece.len();
            let read = self
                .file
                .by_ref()
                .take(PIECE as u64)
                .read_to_end(&mut piece)?;
            if read == 0 {
                return Ok(piece);
            }
            if let Some(last) = piece[before..].iter().rposition(|byte| *byte == b'\n') {
                self.rest = piece.split_off(before + last + 1);
                return Ok(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_in_order_and_prefixes_are_those_of_the_file() {
        let mut bytes = Vec::new();
        for n in 0..40_000_u32 {
            bytes.extend(format!("line {n} {}\n", "x".repeat((n % 97) as usize)).bytes());
        }
        bytes.extend(b"no end");
        let cuts = [
            0,
            1,
            7,
            PIECE as u64,
            PIECE as u64 + 1,
            bytes.len() as u64,
            u64::MAX,
        ];
        let mut seen = Vec::new();
        let (prefixes, length) =
            read(&bytes[..], &cuts, |line, _| seen.extend_from_slice(line)).unwrap();
        assert!(seen == bytes);
        assert_eq!(length, bytes.len() as u64);
        for cut in &cuts[..6] {
            let expected: [u8; 32] =
                Sha256::digest(&bytes[..usize::try_from(*cut).unwrap()]).into();
            assert_eq!(prefixes[cut], expected, "{cut}");
        }
        assert_eq!(read(&b""[..], &[], |_, _| ()).unwrap().1, 0);
    }
}
