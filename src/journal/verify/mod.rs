//! The verifier: whether a run folder is what it claims to be. Written from the format alone.
//!
//! Reads each file once, reports every finding with file, line and what it means, and never trusts the
//! reader's idea of a line: it has its own, strict to the byte. Start at [`verify`].

mod checkpoints;
mod files;
mod lines;
mod semantics;
mod signers;
mod sshsig;
mod stamp;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::format;
use checkpoints::Checkpoint;
use files::Folder;
use lines::Segment;
use semantics::Meaning;

/// What a verifier is handed from outside.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// The origin line that the log must have.
    pub origin: Option<String>,
    /// A signers file obtained elsewhere.
    pub signers: Option<PathBuf>,
    /// Roots of time-stamp authorities, PEM.
    pub tsa_ca: Option<PathBuf>,
    /// Checkpoints obtained elsewhere, which must be prefixes of this log.
    pub earlier_checkpoints: Vec<PathBuf>,
    /// The fewest entries that the log must have.
    pub min_size: Option<u64>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Something that would prove more is not there.
    Gap,
    /// The end is cut off as a crash does.
    Torn,
    /// Tampered, or not made by this format.
    Error,
}

/// One thing found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// In which file, below the run folder.
    pub file: String,
    /// On which line of it, from 1.
    pub line: Option<u64>,
    /// A short name.
    pub code: String,
    /// What it means, in plain words.
    pub text: String,
}

/// The verdict on a run folder.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// 0 verified and anchored, 1 error, 2 not anchored, 3 torn, 4 cannot read.
    pub exit_code: u8,
    /// Entries of the log.
    pub entries: u64,
    /// Intents that are open.
    pub open_intents: u64,
    /// The size up to which something outside vouches for the log.
    pub anchored_to: Option<u64>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Collects findings.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        level: Level,
        file: &str,
        line: Option<u64>,
        code: &str,
        text: impl Into<String>,
    ) {
        self.0.push(Finding {
            level,
            file: file.to_owned(),
            line,
            code: code.to_owned(),
            text: text.into(),
        });
    }

    pub(super) fn error(
        &mut self,
        file: &str,
        line: Option<u64>,
        code: &str,
        text: impl Into<String>,
    ) {
        self.add(Level::Error, file, line, code, text);
    }

    fn has(&self, level: Level) -> bool {
        self.0.iter().any(|finding| finding.level == level)
    }
}

/// Why nothing can be said: exit code 4.
#[derive(Debug)]
pub(super) struct CannotRead(pub(super) String);

/// Verifies a run folder.
pub fn verify(run_dir: &Path, outside: &Outside) -> Report {
    match try_verify(run_dir, outside) {
        Ok(report) => report,
        Err(CannotRead(text)) => Report {
            exit_code: 4,
            entries: 0,
            open_intents: 0,
            anchored_to: None,
            findings: vec![Finding {
                level: Level::Error,
                file: String::new(),
                line: None,
                code: "cannot-read".into(),
                text,
            }],
        },
    }
}

fn try_verify(run_dir: &Path, outside: &Outside) -> Result<Report, CannotRead> {
    let mut findings = Findings::default();
    let folder = Folder::list(run_dir, &mut findings)?;
    let outside_checkpoints = checkpoints::outside(&outside.earlier_checkpoints)?;
    let signers = signers::load(run_dir, &folder, outside, &mut findings)?;
    let mut checkpoints = checkpoints::load(run_dir, &folder, &mut findings)?;
    let wanted: Vec<u64> = checkpoints
        .iter()
        .chain(&outside_checkpoints)
        .map(|checkpoint| checkpoint.size)
        .collect();
    let mut meaning = Meaning::default();
    let log = lines::read(
        run_dir,
        &folder,
        &checkpoints,
        &outside_checkpoints,
        &wanted,
        &mut meaning,
        &mut findings,
    )?;
    if let Some(other) = &meaning.foreign_format {
        return Err(CannotRead(format!(
            "its format is {other}, and this verifier reads {}",
            format::FORMAT
        )));
    }
    checkpoints::compare(&mut checkpoints, &log, &meaning, true, &mut findings);
    let mut outside_ok = outside_checkpoints.clone();
    checkpoints::compare(&mut outside_ok, &log, &meaning, false, &mut findings);
    let signatures = checkpoints::signatures(
        run_dir,
        &folder,
        &checkpoints,
        &meaning,
        &signers,
        outside,
        &mut findings,
    )?;
    meaning.evidence(run_dir, &folder, &mut findings)?;
    meaning.finish(&log.segments, &mut findings);
    owed(&log.segments, &meaning, &checkpoints, &mut findings);
    inputs(outside, &meaning, log.entries, &mut findings);
    let torn = torn(&log.segments, outside, &outside_checkpoints, &mut findings);
    let anchored_to = anchored(&signatures, &outside_ok);
    let missing = missing(outside, &outside_ok, &meaning, &signatures, log.entries);
    for text in &missing {
        findings.add(Level::Gap, "", None, "not-anchored", text.clone());
    }
    let exit_code = if findings.has(Level::Error) {
        1
    } else if torn {
        3
    } else if missing.is_empty() {
        0
    } else {
        2
    };
    Ok(Report {
        exit_code,
        entries: log.entries,
        open_intents: meaning.open(),
        anchored_to,
        findings: findings.0,
    })
}

/// Says what a writer owes and did not leave: checkpoints over what ends a session or is a person's.
fn owed(
    segments: &[Segment],
    meaning: &Meaning,
    checkpoints: &[Checkpoint],
    findings: &mut Findings,
) {
    let entries: u64 = segments.iter().map(|segment| segment.entries).sum();
    let largest = checkpoints
        .iter()
        .map(|checkpoint| checkpoint.size)
        .max()
        .unwrap_or(0);
    if checkpoints.is_empty() {
        findings.add(
            Level::Gap,
            "cp",
            None,
            "no-checkpoint",
            "there is no checkpoint at all: only the chain speaks",
        );
        return;
    }
    let uncovered = meaning.owing.iter().filter(|seq| **seq >= largest).count();
    if uncovered > 0 || entries.saturating_sub(largest) > format::CHECKPOINT_EVERY {
        findings.add(
            Level::Gap,
            "cp",
            None,
            "checkpoint-owed",
            format!("the last checkpoint covers {largest} of {entries} entries, and the writer owed a later one"),
        );
    }
}

fn inputs(outside: &Outside, meaning: &Meaning, entries: u64, findings: &mut Findings) {
    if let Some(origin) = &outside.origin
        && meaning.origin.as_ref() != Some(origin)
    {
        findings.error("", None, "other-origin", format!("the log is not {origin}"));
    }
    if let Some(least) = outside.min_size
        && entries < least
    {
        findings.error(
            "",
            None,
            "too-short",
            format!("the log has {entries} entries, and had {least}"),
        );
    }
}

/// Says whether the last segment ends as a crash ends it.
fn torn(
    segments: &[Segment],
    outside: &Outside,
    outside_checkpoints: &[Checkpoint],
    findings: &mut Findings,
) -> bool {
    let Some(last) = segments.last() else {
        return false;
    };
    if last.tail_bytes == 0 || last.corrupt {
        return false;
    }
    let sized = outside.min_size.is_some() || !outside_checkpoints.is_empty();
    let text = format!(
        "{} bytes after the last whole line: a write that a crash cut off, or a change to the last line",
        last.tail_bytes
    );
    findings.add(
        Level::Torn,
        &last.name,
        Some(last.entries + 1),
        "torn-tail",
        text,
    );
    // With an outside size the number of entries decides, and that is an error of its own.
    let _ = sized;
    true
}

fn anchored(signatures: &checkpoints::Signatures, outside: &[Checkpoint]) -> Option<u64> {
    let vouched = outside
        .iter()
        .filter(|checkpoint| checkpoint.holds)
        .map(|checkpoint| checkpoint.size);
    signatures.stamped.iter().copied().chain(vouched).max()
}

/// Lists what is missing for exit code 0.
fn missing(
    outside: &Outside,
    outside_checkpoints: &[Checkpoint],
    meaning: &Meaning,
    signatures: &checkpoints::Signatures,
    entries: u64,
) -> Vec<String> {
    let mut missing = Vec::new();
    if outside.signers.is_none() {
        missing.push(
            "signers from outside: --signers FILE, obtained from somebody other than the log"
                .to_owned(),
        );
    }
    if outside.origin.is_none() && outside_checkpoints.is_empty() {
        missing.push("the origin from outside: --origin, or an --earlier-checkpoint".to_owned());
    }
    if !signatures.by_responder.contains(&entries) {
        missing.push("a checkpoint over all entries, signed by the responder's own key".to_owned());
    }
    let covered = signatures.stamped.iter().any(|size| *size >= entries)
        || outside_checkpoints
            .iter()
            .any(|checkpoint| checkpoint.holds && checkpoint.size >= entries);
    if !covered {
        missing.push("a time stamp that verifies under --tsa-ca, or an --earlier-checkpoint, over all entries".to_owned());
    }
    let closed = meaning.sealed
        || outside.min_size == Some(entries)
        || outside_checkpoints
            .iter()
            .any(|checkpoint| checkpoint.holds && checkpoint.size == entries);
    if !closed {
        missing.push("a seal, or the number of entries from outside: without one a cut at the end cannot be seen".to_owned());
    }
    missing
}
