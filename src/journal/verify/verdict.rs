//! From a run folder and what is known outside to a verdict.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checkpoint::{self, Checkpoint};
use super::files::Folder;
use super::finding::{Finding, Findings, Level};
use super::meaning::Meaning;
use super::segments::{self, Log};
use super::signatures::{self, Judge, Vouched, Vouching};
use super::{CannotRead, format, signers, stamp};

/// What a verifier is handed from outside. Everything is optional; nothing inside the run stands in for it.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// The origin that the log must have: `azir/<incident>/<run>`.
    pub origin: Option<String>,
    /// A signers file obtained from somebody other than the log.
    pub signers: Option<PathBuf>,
    /// Roots of time-stamp authorities, PEM.
    pub tsa_ca: Option<PathBuf>,
    /// Checkpoints obtained elsewhere, which must be prefixes of this log.
    pub earlier_checkpoints: Vec<PathBuf>,
    /// The fewest entries that the log must have.
    pub min_size: Option<u64>,
}

/// The verdict on a run folder.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// 0 verified and anchored, 1 an error, 2 verified and not anchored, 3 torn at its end, 4 cannot be read.
    pub exit_code: u8,
    /// Entries of the log.
    pub entries: u64,
    /// How many intents are open.
    pub open_intents: u64,
    /// Which: the numbers of their lines.
    pub open: Vec<u64>,
    /// The size up to which a stamp or an outside checkpoint vouches for the log.
    pub anchored_to: Option<u64>,
    /// The largest size with a stamp that verified under outside roots, and when that was made.
    pub unchanged_since: Option<Since>,
    /// The checkpoints that somebody besides their session vouches for.
    pub vouched: Vec<Vouching>,
    /// What was found, in the order in which it was looked for.
    pub findings: Vec<Finding>,
}

/// Up to where, and since when, nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Since {
    /// The entries covered.
    pub size: u64,
    /// The time of the stamp.
    pub time: String,
}

/// Verifies a run folder.
pub fn verify(run_dir: &Path, outside: &Outside) -> Report {
    let mut findings = Findings::default();
    match judge(run_dir, outside, &mut findings) {
        Ok(verdict) => Report {
            findings: findings.into_list(),
            ..verdict
        },
        Err(CannotRead(text)) => {
            findings.error("", None, "cannot-read", text);
            Report {
                exit_code: 4,
                entries: 0,
                open_intents: 0,
                open: Vec::new(),
                anchored_to: None,
                unchanged_since: None,
                vouched: Vec::new(),
                findings: findings.into_list(),
            }
        }
    }
}

fn judge(run_dir: &Path, outside: &Outside, findings: &mut Findings) -> Result<Report, CannotRead> {
    if let Some(roots) = &outside.tsa_ca {
        stamp::check_roots(roots)?;
    }
    let mut earlier = checkpoint::outside(&outside.earlier_checkpoints)?;
    let folder = Folder::list(run_dir, findings)?;
    let mut own = checkpoint::load(run_dir, &folder, findings)?;
    let asked = checkpoint::asked(own.iter().chain(&earlier));
    let mut meaning = Meaning::default();
    let log = segments::read(run_dir, &folder.segments, &asked, &mut meaning, findings)?;
    if let Some(other) = &meaning.foreign_format {
        return Err(CannotRead(format!(
            "its format is {other:?}, and this verifier reads {}",
            format::FORMAT
        )));
    }
    let signers = signers::load(
        run_dir,
        &folder,
        outside.signers.as_deref(),
        &meaning.sessions,
        findings,
    )?;
    checkpoint::compare(&mut own, &log, &meaning, findings);
    checkpoint::compare(&mut earlier, &log, &meaning, findings);
    checkpoint::owed(&own, &meaning, log.entries, findings);
    let judge = Judge {
        run_dir,
        folder: &folder,
        meaning: &meaning,
        signers: &signers,
        roots: outside.tsa_ca.as_deref(),
    };
    let vouched = judge.all(&own, findings)?;
    meaning
        .citations
        .check(run_dir, &folder.evidence, findings)?;
    inputs(outside, &meaning, log.entries, findings);
    Ok(verdict(
        outside, &earlier, &log, &meaning, &vouched, findings,
    ))
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

fn verdict(
    outside: &Outside,
    earlier: &[Checkpoint],
    log: &Log,
    meaning: &Meaning,
    vouched: &Vouched,
    findings: &mut Findings,
) -> Report {
    let last = log
        .segments
        .last()
        .filter(|last| last.tail_bytes > 0 && !last.corrupt);
    if let Some(last) = last {
        let text = format!(
            "{} bytes follow the last whole line: a write that a crash cut off, or a change to the last line",
            last.tail_bytes
        );
        findings.add(
            Level::Torn,
            &last.name,
            Some(last.entries + 1),
            "torn-tail",
            text,
        );
    }
    let held: Vec<u64> = earlier
        .iter()
        .filter(|checkpoint| checkpoint.holds)
        .map(|checkpoint| checkpoint.size)
        .collect();
    let anchored_to = held.iter().chain(&vouched.stamped).copied().max();
    let missing = missing(outside, &held, meaning, vouched, log.entries);
    for (code, text) in &missing {
        findings.gap("", code, *text);
    }
    let exit_code = match (findings.errors() > 0, last.is_some(), missing.is_empty()) {
        (true, ..) => 1,
        (false, true, _) => 3,
        (false, false, false) => 2,
        (false, false, true) => 0,
    };
    let open: Vec<u64> = meaning.open().iter().copied().collect();
    Report {
        exit_code,
        entries: log.entries,
        open_intents: open.len() as u64,
        open,
        anchored_to,
        unchanged_since: vouched.since.map(|(size, time)| Since {
            size,
            time: signatures::shown(time),
        }),
        vouched: vouched.list.clone(),
        findings: Vec::new(),
    }
}

/// Lists what is missing for exit code 0.
fn missing(
    outside: &Outside,
    held: &[u64],
    meaning: &Meaning,
    vouched: &Vouched,
    entries: u64,
) -> Vec<(&'static str, &'static str)> {
    let covered = held.contains(&entries);
    let wanted = [
        (
            outside.signers.is_some(),
            "no-outside-signers",
            "no signers file from outside was given",
        ),
        (
            outside.origin.is_some() || !held.is_empty(),
            "no-outside-origin",
            "neither the origin nor a checkpoint from outside was given",
        ),
        (
            vouched.by_responder.contains(&entries),
            "head-unsigned",
            "no checkpoint over all entries bears the responder's signature",
        ),
        (
            covered || vouched.stamped.contains(&entries),
            "head-not-anchored",
            "neither a stamp that verifies under outside roots nor a checkpoint from outside covers all entries",
        ),
        (
            meaning.sealed() || covered || outside.min_size == Some(entries),
            "not-closed",
            "there is neither a seal nor a number of entries from outside: a cut at the end would not be seen",
        ),
    ];
    wanted
        .into_iter()
        .filter(|(given, ..)| !given)
        .map(|(_, code, text)| (code, text))
        .collect()
}
