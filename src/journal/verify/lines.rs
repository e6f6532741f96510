//! The segments, byte by byte: frames, canonical form, chain, tree, and the hash of every prefix that somebody cites.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::checkpoints::Checkpoint;
use super::files::Folder;
use super::semantics::Meaning;
use super::{CannotRead, Findings, format};
use crate::digest::Digest;
use crate::journal::tree::Tree;

/// What the segments hold.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    pub(super) entries: u64,
    pub(super) segments: Vec<Segment>,
    /// Of each size asked for: root and chain value.
    pub(super) at_size: BTreeMap<u64, (Digest, Digest)>,
    /// Of each segment and length asked for, the hash of that many first bytes.
    pub(super) prefixes: BTreeMap<(String, u64), Digest>,
}

/// One segment.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) first_seq: u64,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) valid_bytes: u64,
    pub(super) tail_bytes: u64,
    pub(super) tail_sha256: Option<Digest>,
    pub(super) corrupt: bool,
    /// Bytes at the end of each entry, by its number in the log; kept only where a checkpoint ends.
    pub(super) ends: BTreeMap<u64, u64>,
}

/// A line that passed every rule on form.
pub(super) struct GoodLine {
    pub(super) seq: u64,
    pub(super) session: String,
    pub(super) kind: String,
    pub(super) time: String,
    pub(super) actor: Map<String, Value>,
    pub(super) data: Map<String, Value>,
    pub(super) mono_us: u64,
    pub(super) prev: String,
}

pub(super) fn read(
    run_dir: &Path,
    folder: &Folder,
    checkpoints: &[Checkpoint],
    outside: &[Checkpoint],
    wanted: &[u64],
    meaning: &mut Meaning,
    findings: &mut Findings,
) -> Result<LogFacts, CannotRead> {
    let wanted: BTreeSet<u64> = wanted.iter().copied().collect();
    let mut cites: BTreeSet<(String, u64)> = BTreeSet::new();
    for checkpoint in checkpoints.iter().chain(outside) {
        cites.extend(
            checkpoint
                .files
                .iter()
                .map(|file| (file.name.clone(), file.bytes)),
        );
    }
    let mut facts = LogFacts::default();
    let mut walk = Walk {
        tree: Tree::default(),
        chain: format::ZERO_CHAIN.to_owned(),
        wanted,
        cites,
    };
    for number in &folder.segments {
        let name = format::segment_name(*number);
        walk.segment(run_dir, &name, *number, &mut facts, meaning, findings)?;
    }
    Ok(facts)
}

struct Walk {
    tree: Tree,
    chain: String,
    wanted: BTreeSet<u64>,
    cites: BTreeSet<(String, u64)>,
}

impl Walk {
    fn segment(
        &mut self,
        run_dir: &Path,
        name: &str,
        number: u64,
        facts: &mut LogFacts,
        meaning: &mut Meaning,
        findings: &mut Findings,
    ) -> Result<(), CannotRead> {
        let cannot = |error: std::io::Error| CannotRead(format!("{name}: {error}"));
        let file = File::open(run_dir.join(name)).map_err(cannot)?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut segment = Segment {
            name: name.to_owned(),
            first_seq: facts.entries,
            ..Segment::default()
        };
        let mut hasher = Sha256::new();
        let mut line = Vec::new();
        let mut tail: Option<Vec<u8>> = None;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(cannot)? == 0 {
                break;
            }
            self.cite(name, segment.bytes, &line, &hasher, facts);
            hasher.update(&line);
            segment.bytes += line.len() as u64;
            if let Some(tail) = &mut tail {
                tail.extend_from_slice(&line);
                continue;
            }
            match self.line(&line, number, &mut segment, facts, meaning, findings) {
                Taken::Line => {}
                Taken::Tail => tail = Some(line.clone()),
            }
        }
        if self.cites.contains(&(name.to_owned(), segment.bytes)) {
            facts.prefixes.insert(
                (name.to_owned(), segment.bytes),
                Digest(hasher.finalize().into()),
            );
        }
        if let Some(tail) = tail {
            self.tail(&tail, &mut segment, findings);
        }
        if segment.entries == 0 {
            findings.error(
                name,
                Some(1),
                "no-first-line",
                "the segment does not begin with a valid line, and a named segment always does",
            );
            segment.corrupt = true;
        }
        facts.segments.push(segment);
        Ok(())
    }

    /// Keeps the hash of prefixes that end within `line`.
    fn cite(&self, name: &str, before: u64, line: &[u8], hasher: &Sha256, facts: &mut LogFacts) {
        let end = before + line.len() as u64;
        let from = (name.to_owned(), before);
        for (segment, bytes) in self.cites.range(from..(name.to_owned(), end)) {
            let mut prefix = hasher.clone();
            prefix.update(&line[..usize::try_from(bytes - before).unwrap_or(0)]);
            facts
                .prefixes
                .insert((segment.clone(), *bytes), Digest(prefix.finalize().into()));
        }
    }

    fn line(
        &mut self,
        line: &[u8],
        number: u64,
        segment: &mut Segment,
        facts: &mut LogFacts,
        meaning: &mut Meaning,
        findings: &mut Findings,
    ) -> Taken {
        let place = Some(segment.entries + 1);
        let Some((hash, body)) = frame(line) else {
            return Taken::Tail;
        };
        let digest = digest_of_body(body);
        if digest.to_string().as_bytes() != hash {
            return Taken::Tail;
        }
        // A frame with the right hash that breaks another rule is an error, never torn.
        let good = match good_line(line, body) {
            Ok(good) => good,
            Err(why) => {
                findings.error(
                    &segment.name,
                    place,
                    "bad-line",
                    format!("its hash is right and {why}"),
                );
                segment.corrupt = true;
                return Taken::Tail;
            }
        };
        if good.seq != facts.entries {
            findings.error(
                &segment.name,
                place,
                "wrong-seq",
                format!(
                    "it is numbered {} and stands at {}",
                    good.seq, facts.entries
                ),
            );
        }
        if good.prev != self.chain {
            findings.error(&segment.name, place, "wrong-prev", "it does not follow the line before it: something was removed, inserted or reordered");
        }
        self.chain = digest.to_string();
        self.tree.push(digest);
        meaning.take(&good, &segment.name, number, segment.entries, findings);
        facts.entries += 1;
        segment.entries += 1;
        segment.valid_bytes = segment.bytes;
        segment.ends.insert(facts.entries, segment.bytes);
        if segment.ends.len() > 1 {
            // Only ends at which a checkpoint may stand are worth memory.
            let last = facts.entries;
            segment
                .ends
                .retain(|size, _| *size == last || self.wanted.contains(size));
        }
        if self.wanted.contains(&facts.entries) {
            facts
                .at_size
                .insert(facts.entries, (self.tree.root(), digest));
        }
        Taken::Line
    }

    fn tail(&self, tail: &[u8], segment: &mut Segment, findings: &mut Findings) {
        segment.tail_bytes = tail.len() as u64;
        segment.tail_sha256 = Some(Digest::of(tail));
        if !segment.corrupt && holds_frame(tail) {
            segment.corrupt = true;
            let text = "after a broken place there are whole lines with right hashes: the log was changed, not cut off";
            findings.error(&segment.name, Some(segment.entries + 1), "corrupt", text);
        }
    }
}

enum Taken {
    Line,
    Tail,
}

/// Splits a frame into its hash and what stands between the hash and the LF.
fn frame(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(format::FRAME_START)?;
    let body = rest.strip_suffix(b"\n")?.get(64..)?.strip_prefix(b"\",")?;
    let hash = &rest[..64];
    let is_hex = hash
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && !body.contains(&b'\n')).then_some((hash, body))
}

fn digest_of_body(rest: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(b"{");
    hasher.update(rest);
    Digest(hasher.finalize().into())
}

/// Returns whether a frame with a right hash begins anywhere in `bytes`.
fn holds_frame(bytes: &[u8]) -> bool {
    let start = format::FRAME_START;
    let mut from = 0;
    while let Some(found) = bytes[from..]
        .windows(start.len())
        .position(|window| window == start)
    {
        let at = from + found;
        let end = bytes[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|len| at + len + 1);
        if let Some(end) = end
            && let Some((hash, body)) = frame(&bytes[at..end])
            && digest_of_body(body).to_string().as_bytes() == hash
        {
            return true;
        }
        from = at + 1;
    }
    false
}

const KEYS: [&str; 9] = [
    "actor", "data", "mono_us", "nonce", "prev", "seq", "session", "time", "type",
];

/// Reads a line by every rule on form.
fn good_line(line: &[u8], rest: &[u8]) -> Result<GoodLine, String> {
    if line.len() > format::MAX_LINE {
        return Err(format!(
            "it has {} bytes, more than {}",
            line.len(),
            format::MAX_LINE
        ));
    }
    let mut text = String::from("{");
    text.push_str(std::str::from_utf8(rest).map_err(|_| "it is not UTF-8".to_owned())?);
    let value: Value =
        serde_json::from_str(&text).map_err(|error| format!("it is not JSON ({error})"))?;
    // Duplicate keys, spaces, other escapes, floats and large numbers all change the canonical form.
    let canonical = crate::json::canonical(&value).map_err(|error| error.to_string())?;
    if canonical != text {
        return Err("it is not in canonical form".to_owned());
    }
    if !shallow(&value, 0) {
        return Err("it is nested too deeply".to_owned());
    }
    let Value::Object(mut members) = value else {
        return Err("it is no object".to_owned());
    };
    if !members.keys().map(String::as_str).eq(KEYS) {
        return Err("it does not have exactly the nine keys of a line".to_owned());
    }
    if let Some(key) = bad_key(&Value::Object(members.clone())) {
        return Err(format!("it has a key {key:?}"));
    }
    let mut take = |name: &str| members.remove(name).unwrap_or(Value::Null);
    let word = |value: Value, what: &str, good: fn(&str) -> bool| match value {
        Value::String(text) if good(&text) => Ok(text),
        _ => Err(format!("its {what} is not of the form that a line has")),
    };
    let whole = |value: Value, what: &str| {
        value
            .as_u64()
            .ok_or_else(|| format!("its {what} is no whole number from 0"))
    };
    let object = |value: Value, what: &str| match value {
        Value::Object(members) => Ok(members),
        _ => Err(format!("its {what} is no object")),
    };
    let good = GoodLine {
        actor: object(take("actor"), "actor")?,
        data: object(take("data"), "data")?,
        mono_us: whole(take("mono_us"), "mono_us")?,
        prev: {
            word(take("nonce"), "nonce", |text| is_hex(text, 32))?;
            word(take("prev"), "prev", |text| is_hex(text, 64))?
        },
        seq: whole(take("seq"), "seq")?,
        session: word(take("session"), "session", is_uuid)?,
        time: word(take("time"), "time", is_time)?,
        kind: word(take("type"), "type", is_type)?,
    };
    actor(&good)?;
    Ok(good)
}

fn actor(line: &GoodLine) -> Result<(), String> {
    let refuse = || Err("its actor is not of a known form".to_owned());
    let mut members = line.actor.iter();
    let (Some((kind, who)), None) = (members.next(), members.next()) else {
        return refuse();
    };
    match (kind.as_str(), who) {
        ("azir", Value::String(session)) if *session == line.session => Ok(()),
        ("service", Value::String(_)) => Ok(()),
        ("human", Value::Object(person)) => {
            let known = person.iter().all(|(name, value)| {
                matches!(name.as_str(), "upn" | "name" | "oid") && value.is_string()
            });
            if known && person.contains_key("upn") {
                Ok(())
            } else {
                refuse()
            }
        }
        _ => refuse(),
    }
}

fn shallow(value: &Value, depth: usize) -> bool {
    match value {
        Value::Object(members) => {
            depth <= format::MAX_DEPTH && members.values().all(|member| shallow(member, depth + 1))
        }
        Value::Array(items) => {
            depth <= format::MAX_DEPTH && items.iter().all(|item| shallow(item, depth + 1))
        }
        _ => true,
    }
}

fn bad_key(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if is_key(name) {
                bad_key(member)
            } else {
                Some(name.clone())
            }
        }),
        Value::Array(items) => items.iter().find_map(bad_key),
        _ => None,
    }
}

fn is_key(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_type(text: &str) -> bool {
    text.split('.').all(is_key)
}

pub(super) fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 27
        && bytes[19] == b'.'
        && bytes[26] == b'Z'
        && bytes[20..26].iter().all(u8::is_ascii_digit)
        && is_seconds(&format!("{}Z", &text[..19]))
}

/// Returns whether a text is `YYYY-MM-DDThh:mm:ssZ`, a real date, seconds 00 to 59.
pub(super) fn is_seconds(text: &str) -> bool {
    let shape = text.len() == 20
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    shape
        && &text[17..19] <= "59"
        && chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").is_ok()
}
