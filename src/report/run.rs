//! A run as its journal tells it: one fold over the lines, and over the runs beside it that undid it.

use std::io::{BufRead, Read};
use std::path::Path;

use serde_json::Value;

use super::fold::{self, Fold};
use super::model::{JournalRef, MissingWitness, RunReport, RunStatus, SignedBy};
use crate::evidence::Store;
use crate::journal::reader::{open_regular, walk};
use crate::journal::status::{OpenIntent, OpenIntents};
use crate::journal::verify::{Outside, Signed, verify};
use crate::journal::{JournalError, Line};

/// Tells how a run stands, and what the verifier says of its record in the light of what is known outside.
///
/// # Errors
/// A folder without a journal that can be read.
pub fn report(run_dir: &Path, outside: &Outside) -> Result<RunReport, JournalError> {
    let mut report = told(run_dir)?;
    let verified = verify(run_dir, outside);
    let journal = &mut report.journal;
    // A torn end is how a crash leaves it, and all before it is good.
    journal.verified = matches!(verified.exit_code, 0 | 2 | 3);
    journal.torn = verified.exit_code == 3;
    journal.anchored_to = verified.anchored_to;
    journal.anchored = verified
        .anchored_to
        .is_some_and(|size| size == verified.entries);
    journal.transfer_pending = verified
        .findings
        .iter()
        .any(|finding| finding.code == "transfer-pending");
    journal.signers_outside = outside.signers.is_some();
    journal.signed = verified.signed.iter().map(signed_by).collect();
    // What was missing when the last lines were written may have come since.
    let vouched = |witness: &str| match witness {
        "person" => journal
            .signed
            .iter()
            .any(|signed| !signed.second && signed.entries == verified.entries),
        "tsa" => journal.anchored,
        _ => false,
    };
    let missing = std::mem::take(&mut journal.missing);
    let missing = missing.into_iter().filter(|gap| !vouched(&gap.witness));
    report.journal.missing = missing.collect();
    Ok(report)
}

fn signed_by(signed: &Signed) -> SignedBy {
    SignedBy {
        principal: signed.principal.clone(),
        second: signed.second,
        entries: signed.entries,
        touch: signed.presence.map(|presence| presence.touch),
        pin: signed.presence.map(|presence| presence.pin),
    }
}

/// Tells how a run stands by the word of its journal alone: nothing says yet that the record verifies.
///
/// # Errors
/// As [`report`].
pub fn told(run_dir: &Path) -> Result<RunReport, JournalError> {
    let mut begun: Option<Fold> = None;
    let mut open = OpenIntents::default();
    let mut missing = Vec::new();
    let mut sealed = false;
    let head = walk(run_dir, |line| {
        begun
            .get_or_insert_with(|| Fold::new(run_dir, &line))
            .take(&line);
        open.take(&line);
        still_missing(&mut missing, &line);
        sealed = line.kind == "seal";
    })?;
    // There was a first line, or the walk would have failed.
    let mut fold = begun.ok_or_else(|| JournalError::Unreadable {
        path: run_dir.to_path_buf(),
        message: "its first line is missing".to_owned(),
    })?;
    fold.unknown(open.into_open());
    fold.undone(run_dir);
    let receipts = std::mem::take(&mut fold.receipts);
    let mut report = fold.finish();
    report.journal = JournalRef {
        receipts,
        path: run_dir.display().to_string(),
        entries: head.entries,
        head: head.chain.to_string(),
        sealed,
        missing,
        ..JournalRef::default()
    };
    report.resume = goes_on(&report).then(|| {
        let inside = fold::inside(&report);
        format!("azir resume {}{inside}", report.run)
    });
    Ok(report)
}

/// Returns whether a run can be gone on with: it broke off, or failed by what may pass, and is not closed.
fn goes_on(report: &RunReport) -> bool {
    let unfinished = matches!(
        report.status,
        RunStatus::Halted | RunStatus::Failed | RunStatus::Partial
    );
    let of_runbook = report.mode != "undo" && report.runbook.name != INCIDENT;
    unfinished && of_runbook && !report.journal.sealed && report.held_by.is_none()
}

/// Keeps the witnesses that the last session names as missing.
fn still_missing(missing: &mut Vec<MissingWitness>, line: &Line) {
    let text = |name: &str| {
        let word = line.data.get(name).and_then(Value::as_str);
        word.unwrap_or_default().to_owned()
    };
    if line.kind == "session.open" {
        missing.clear();
    } else if line.kind == "note" && text("kind") == "unvouched" {
        missing.push(MissingWitness {
            witness: text("witness"),
            since: text("since"),
            why: text("why"),
        });
    }
}

/// The purpose of an incident log: the run that holds what people say and do around the runs of their case.
pub const INCIDENT: &str = "incident";

impl Started {
    /// Returns whether this run is an incident log.
    pub fn is_incident_log(&self) -> bool {
        self.purpose == INCIDENT
    }
}

/// Returns the beginning of a run's id, as people type it; an id that is none is shown as it is.
pub fn short(run: &str) -> &str {
    run.get(..8).unwrap_or(run)
}

/// Where and as what a run began, from its first line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Started {
    /// The run's id.
    pub run: String,
    /// The case.
    pub incident: String,
    /// The profile's name.
    pub profile: String,
    /// The cloud's name.
    pub cloud: String,
    /// When, as the journal writes times.
    pub time: String,
    /// What for: the runbook's purpose, `undo`, or [`INCIDENT`].
    pub purpose: String,
    /// The machine that wrote it.
    pub host: String,
    /// The run that this one undoes.
    pub of: Option<String>,
    /// Whether it is an exercise, or the undo of one.
    pub drill: bool,
    /// The key that it was started with, if it was.
    pub once: Option<StartedOnce>,
}

/// The key that a run was started with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StartedOnce {
    /// The SHA-256 of the key.
    pub key: String,
    /// The digest of what was asked for.
    pub asks: String,
    /// What was asked for, in words.
    pub words: String,
}

/// Reads the first line of a run and no other.
///
/// # Errors
/// A folder whose journal has no first line.
pub fn started(run_dir: &Path) -> Result<Started, JournalError> {
    let line = first_line(run_dir)?;
    let word = |path: &str| {
        line.pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let of = Some(word("/data/of/run")).filter(|of| !of.is_empty());
    let drill = match (word("/data/mode").as_str(), &of) {
        ("drill", _) => true,
        ("undo", Some(of)) => undoes_drill(run_dir, of),
        _ => false,
    };
    Ok(Started {
        run: word("/data/origin")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        incident: word("/data/incident"),
        profile: word("/data/profile_name"),
        cloud: word("/data/cloud"),
        time: word("/time"),
        purpose: word("/data/purpose"),
        host: word("/data/host"),
        of,
        drill,
        once: line.pointer("/data/once").map(|_| StartedOnce {
            key: word("/data/once/key_sha256"),
            asks: word("/data/once/asks"),
            words: word("/data/once/words"),
        }),
    })
}

/// Returns whether the run that an undo puts back, which lies beside it in the case, is an exercise.
fn undoes_drill(run_dir: &Path, of: &str) -> bool {
    let beside = run_dir.parent().map(|case| case.join(format!("run-{of}")));
    let line = beside.and_then(|run| first_line(&run).ok());
    line.is_some_and(|line| line.pointer("/data/mode") == Some(&Value::from("drill")))
}

fn first_line(run_dir: &Path) -> Result<Value, JournalError> {
    let unreadable = |message: String| JournalError::Unreadable {
        path: run_dir.to_path_buf(),
        message,
    };
    let file = open_regular(&run_dir.join("seg-000001.jsonl"))
        .map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    // No line is longer (JOURNAL.md, "Line").
    std::io::BufReader::new(file.take(65_536))
        .read_line(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|_| unreadable("its first line is no line of a journal".to_owned()))
}

/// Returns the writes of a run whose effect nobody knows.
///
/// # Errors
/// As [`report`].
pub fn unknown(run_dir: &Path) -> Result<Vec<OpenIntent>, JournalError> {
    let mut open = OpenIntents::default();
    walk(run_dir, |line| open.take(&line))?;
    Ok(open
        .into_open()
        .filter(|intent| intent.effect != "read")
        .collect())
}

/// Returns a value that is inline or cited from evidence.
pub(super) fn cited(run_dir: &Path, value: Option<&Value>) -> Value {
    let Some(value) = value else {
        return Value::Null;
    };
    let digest = value
        .get("sha256")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok());
    match digest.and_then(|digest| Store::open_existing(run_dir).ok()?.get(digest).ok()) {
        Some(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        None => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_none_is_shown_as_it_is() {
        assert_eq!(short("926f996b-8a9f"), "926f996b");
        assert_eq!(short("läufe-äö"), "läufe-äö");
        assert_eq!(short(""), "");
    }
}
