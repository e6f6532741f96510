//! Checkpoints: their exact form, and whether the log is what they say.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::files::Folder;
use super::finding::Findings;
use super::line::is_date_and_time;
use super::meaning::Meaning;
use super::segments::{Asked, Log};
use super::{CannotRead, format, scan};

/// One checkpoint.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Its file, below the run folder, or the path that came from outside.
    pub(super) file: String,
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
    pub(super) size: u64,
    pub(super) time: DateTime<Utc>,
    pub(super) origin: String,
    pub(super) root: [u8; 32],
    pub(super) chain: [u8; 32],
    files: Vec<CitedFile>,
    /// Whether the log is what it says.
    pub(super) holds: bool,
}

/// One `file` line.
#[derive(Debug)]
struct CitedFile {
    name: String,
    bytes: u64,
    sha256: [u8; 32],
}

/// Loads the run folder's checkpoints; one that is malformed is an error.
pub(super) fn load(
    run_dir: &Path,
    folder: &Folder,
    findings: &mut Findings,
) -> Result<Vec<Checkpoint>, CannotRead> {
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for number in &folder.checkpoints {
        let file = format!("cp/{number:06}.cp");
        let bytes = std::fs::read(run_dir.join(&file)).map_err(CannotRead::file(&file))?;
        match parse(bytes, file.clone(), *number) {
            Some(checkpoint) => {
                if checkpoints
                    .last()
                    .is_some_and(|before| before.size >= checkpoint.size)
                {
                    findings.error(
                        &file,
                        Some(2),
                        "size-order",
                        "its size is not larger than that of the checkpoint before",
                    );
                }
                checkpoints.push(checkpoint);
            }
            None => findings.error(
                &file,
                None,
                "bad-checkpoint",
                "it does not have exactly the lines of a checkpoint",
            ),
        }
    }
    Ok(checkpoints)
}

/// Loads checkpoints from outside; one that cannot be read ends the verification.
pub(super) fn outside(paths: &[PathBuf]) -> Result<Vec<Checkpoint>, CannotRead> {
    let load = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(CannotRead::file(&name))?;
        parse(bytes, name.clone(), 0).ok_or_else(|| CannotRead(format!("{name} is no checkpoint")))
    };
    paths.iter().map(load).collect()
}

/// Returns what the log must be asked, to be compared with these.
pub(super) fn asked<'a>(checkpoints: impl Iterator<Item = &'a Checkpoint>) -> Asked {
    let mut asked = Asked::default();
    for checkpoint in checkpoints {
        asked.sizes.insert(checkpoint.size);
        for file in &checkpoint.files {
            asked
                .prefixes
                .entry(file.name.clone())
                .or_default()
                .insert(file.bytes);
        }
    }
    asked
}

/// Reads a checkpoint; `None` if it does not have exactly the lines of one.
pub(super) fn parse(text: Vec<u8>, file: String, number: u64) -> Option<Checkpoint> {
    let words = std::str::from_utf8(&text).ok()?;
    let mut lines = words.strip_suffix('\n')?.split('\n');
    let origin = lines.next()?.to_owned();
    let size = decimal(lines.next()?).filter(|size| *size > 0)?;
    let root = base64::engine::general_purpose::STANDARD
        .decode(lines.next()?)
        .ok()?
        .try_into()
        .ok()?;
    let chain = scan::digest(lines.next()?.strip_prefix("chain ")?.as_bytes())?;
    let mut files = Vec::new();
    let time = loop {
        let line = lines.next()?;
        let Some(cited) = line.strip_prefix("file ") else {
            break line.strip_prefix("time ")?.strip_suffix('Z')?;
        };
        files.push(cited_file(cited, files.len() as u64 + 1)?);
    };
    if lines.next().is_some() || files.is_empty() || !is_date_and_time(time.as_bytes()) {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S")
        .ok()?
        .and_utc();
    Some(Checkpoint {
        file,
        number,
        size,
        time,
        origin,
        root,
        chain,
        files,
        holds: false,
        text,
    })
}

fn cited_file(text: &str, number: u64) -> Option<CitedFile> {
    let mut words = text.split(' ');
    let (name, bytes, sha256) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || name != format::segment_name(number) {
        return None;
    }
    Some(CitedFile {
        name: name.to_owned(),
        bytes: decimal(bytes)?,
        sha256: scan::digest(sha256.as_bytes())?,
    })
}

/// Reads a number without sign, spaces or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Compares each checkpoint with the log.
pub(super) fn compare(
    checkpoints: &mut [Checkpoint],
    log: &Log,
    meaning: &Meaning,
    findings: &mut Findings,
) {
    for checkpoint in checkpoints {
        let before = findings.errors();
        let file = checkpoint.file.as_str();
        if meaning.origin.as_ref() != Some(&checkpoint.origin) {
            findings.error(file, Some(1), "other-origin", "it speaks of another log");
        }
        match log.at_size.get(&checkpoint.size) {
            None => {
                let text = format!(
                    "it covers {} entries, and the log has {}: entries were lost or changed",
                    checkpoint.size, log.entries
                );
                findings.error(file, Some(2), "larger-than-log", text);
            }
            Some(standing) => {
                if standing.root != checkpoint.root {
                    findings.error(
                        file,
                        Some(3),
                        "wrong-root",
                        "the entries are not those that it covers",
                    );
                }
                if standing.chain != checkpoint.chain {
                    findings.error(
                        file,
                        Some(4),
                        "wrong-chain",
                        "the last entry that it covers is another one",
                    );
                }
                cited_files(checkpoint, log, standing.segment, standing.bytes, findings);
            }
        }
        checkpoint.holds = findings.errors() == before;
    }
}

fn cited_files(
    checkpoint: &Checkpoint,
    log: &Log,
    last: usize,
    ends: u64,
    findings: &mut Findings,
) {
    let file = &checkpoint.file;
    let segments = &log.segments[..=last];
    if checkpoint
        .files
        .iter()
        .map(|cited| &cited.name)
        .ne(segments.iter().map(|segment| &segment.name))
    {
        findings.error(
            file,
            Some(5),
            "wrong-files",
            format!(
                "it names {} segments, and {} hold its entries",
                checkpoint.files.len(),
                segments.len()
            ),
        );
        return;
    }
    for ((line, cited), segment) in (5..).zip(&checkpoint.files).zip(segments) {
        // Earlier segments whole, a torn tail included; the last up to the end of the last entry covered.
        let end = if segment.name == segments[last].name {
            ends
        } else {
            segment.bytes
        };
        if cited.bytes != end {
            findings.error(
                file,
                Some(line),
                "wrong-length",
                format!(
                    "it gives {} {} bytes, and its entries end at {end}",
                    cited.name, cited.bytes
                ),
            );
        } else if segment.prefixes.get(&end) != Some(&cited.sha256) {
            findings.error(
                file,
                Some(line),
                "wrong-hash",
                format!("the first {end} bytes of {} have another hash", cited.name),
            );
        }
    }
}

/// Says where the writer owes a checkpoint and left none.
pub(super) fn owed(
    checkpoints: &[Checkpoint],
    meaning: &Meaning,
    entries: u64,
    findings: &mut Findings,
) {
    if checkpoints.is_empty() {
        findings.gap(
            "cp",
            "no-checkpoint",
            "there is no checkpoint at all: only the chain speaks",
        );
        return;
    }
    let largest = checkpoints
        .iter()
        .map(|checkpoint| checkpoint.size)
        .max()
        .unwrap_or(0);
    let mut before = 0;
    for size in checkpoints
        .iter()
        .map(|checkpoint| checkpoint.size)
        .chain([entries])
    {
        if size.saturating_sub(before) > format::CHECKPOINT_EVERY {
            findings.gap(
                "cp",
                "checkpoint-owed",
                format!("there is none between {before} and {size} entries"),
            );
        }
        before = size;
    }
    if meaning
        .answered_for
        .last()
        .is_some_and(|seq| *seq >= largest)
    {
        let text = format!(
            "the last covers {largest} of {entries} entries, and later ones call for one of their own"
        );
        findings.gap("cp", "checkpoint-owed", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let hex = "0".repeat(64);
        let root = base64::engine::general_purpose::STANDARD.encode([7; 32]);
        format!(
            "azir/IR-1/x\n3\n{root}\nchain {hex}\nfile seg-000001.jsonl 10 {hex}\nfile seg-000002.jsonl 20 {hex}\ntime 2026-01-02T03:04:05Z\n"
        )
    }

    fn parses(text: &str) -> bool {
        parse(text.as_bytes().to_vec(), String::new(), 1).is_some()
    }

    #[test]
    fn a_checkpoint_has_exactly_its_lines() {
        let good = text();
        assert!(parses(&good));
        for (from, to) in [
            ("\n3\n", "\n03\n"),
            ("\n3\n", "\n0\n"),
            ("\n3\n", "\n+3\n"),
            ("\n3\n", "\n\n"),
            ("chain ", "chain  "),
            (" 10 ", " 010 "),
            (" 10 ", "  10 "),
            ("time ", "extra x\ntime "),
            ("05Z\n", "05Z"),
            ("05Z\n", "05Z\n\n"),
            ("05Z", "60Z"),
            ("05Z\n", "05Z\r\n"),
            ("01-02", "02-30"),
            ("=\n", "\n"),
            ("=\n", "==\n"),
            ("seg-000002", "seg-000003"),
            ("file", "File"),
            ("20 ", "20  "),
        ] {
            assert!(!parses(&good.replacen(from, to, 1)), "{from:?} {to:?}");
        }
    }
}
