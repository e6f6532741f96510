//! The JSON of a run: stable, versioned, the same for `--output json` and `azir show`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of this shape; grows when a member is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// A run, as its journal tells it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
pub struct RunReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// The run's id.
    pub run: String,
    /// The case.
    pub incident: String,
    /// What was run.
    pub runbook: RunbookRef,
    /// `plan`, `execute`, `drill` or `undo`.
    pub mode: String,
    /// Whether it is an exercise, or the undo of one; absent: it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drill: bool,
    /// How it stands.
    pub status: RunStatus,
    /// When the attack was detected, when that was said.
    pub detected_at: Option<String>,
    /// When the run began.
    pub started_at: Option<String>,
    /// When the last target was contained.
    pub contained_at: Option<String>,
    /// When the run ended.
    pub finished_at: Option<String>,
    /// The deadline, where the runbook has one.
    pub deadline: Option<Deadline>,
    /// Each target.
    pub targets: Vec<TargetReport>,
    /// What was found, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What stays open.
    pub residual: Vec<Residual>,
    /// The latest time until which something stays open, where every such time is known.
    pub residual_until: Option<String>,
    /// What was left undone.
    pub not_done: Vec<NotDone>,
    /// Whom else it touched.
    pub collateral: Vec<String>,
    /// What is missing from evidence or checks.
    pub gaps: Vec<Gap>,
    /// What the run made in the cloud that stays on purpose, as snapshots do.
    #[serde(default)]
    pub made: Vec<Made>,
    /// What was collected.
    pub evidence: Vec<EvidenceRef>,
    /// The record.
    pub journal: JournalRef,
    /// The command that goes on with it; absent where it is closed, is being written, or has nothing left to do.
    #[serde(default)]
    pub resume: Option<String>,
    /// The command that undoes it; absent where nothing can be undone.
    pub undo: Option<String>,
    /// The command that does it again for those targets that failed; absent where there is one target, or none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// The run that this one undoes.
    #[serde(default)]
    pub of: Option<String>,
    /// The profile it ran with.
    #[serde(default)]
    pub profile: String,
    /// What its steps had to say, as the command for what a log does not hold yet.
    #[serde(default)]
    pub said: Vec<Said>,
    /// The exit code of the command that ran it; absent: it has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Who is writing it still; absent: nobody.
    #[serde(default)]
    pub held_by: Option<String>,
}

/// Whether a mark is not there: what is real looks as it always did.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
pub(super) fn is_false(mark: &bool) -> bool {
    !mark
}

/// Which runbook.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
pub struct RunbookRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: String,
}

/// How a run or a target stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Contained and checked, nothing stays open.
    Contained,
    /// Contained and checked; what stays open is listed.
    ContainedResidual,
    /// Done and checked; nothing to contain.
    Done,
    /// Some write took effect, some step or target failed or was left undone.
    Partial,
    /// Nothing took effect.
    Failed,
    /// Done, but a check is false or unknown, or evidence has a gap.
    Unchecked,
    /// Refused by preflight, guard, drift or an ambiguous or unknown target.
    Refused,
    /// Declined by the responder.
    Declined,
    /// It stopped before its end; what is unknown is listed.
    #[default]
    Halted,
    /// Everything that could be put back is back.
    Undone,
}

/// The deadline of a run.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Deadline {
    /// Seconds allowed from the start of the run.
    pub seconds: u64,
    /// Whether it was kept; absent while nobody can tell.
    pub kept: Option<bool>,
    /// Whether containment came within the same time after detection; absent where it was not said when that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since_detection: Option<bool>,
}

/// One target.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct TargetReport {
    /// Its resource id or name.
    pub target: String,
    /// How it stands.
    pub status: RunStatus,
    /// When its last containing step was done.
    pub contained_at: Option<String>,
    /// Why it failed.
    pub error: Option<ErrorReport>,
    /// Its steps in order.
    pub steps: Vec<StepReport>,
}

/// Why something failed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
pub struct ErrorReport {
    /// The cloud's own code, or azir's.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// The next command to type.
    pub hint: String,
}

/// One step.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct StepReport {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How it stands.
    pub status: StepStatus,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Its checks as one: all claims joined, false before unknown before true.
    pub check: Option<CheckReport>,
    /// How many requests it made, polls not counted.
    pub requests: u64,
    /// How many of them could change something.
    #[serde(default)]
    pub writes: u64,
    /// How many things it had to do it to; 0: there was nothing to do.
    #[serde(default)]
    pub items: Option<u64>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Only the cloud knows.
    Unknown,
    /// Not needed, or left undone.
    Skipped,
    /// Put back by a later run.
    Undone,
}

/// What was read back.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct CheckReport {
    /// What it claims.
    pub claim: String,
    /// Whether it holds; null: unknown.
    pub holds: Option<bool>,
    /// What was seen, where it does not hold or nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// Something that stays open.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Residual {
    /// What.
    pub what: String,
    /// Until when: a time, or words; null: until somebody closes it.
    pub until: Option<String>,
    /// For which of the run's targets.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// Something that a run found out.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is: `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// What, in one sentence.
    pub what: String,
    /// In what it was found: an id, where there is one.
    pub item: Option<String>,
    /// For which of the run's targets.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// Something that a step said.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Said {
    /// The words.
    pub what: String,
    /// For which of the run's targets.
    pub targets: Vec<String>,
}

/// Something made that stays.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Made {
    /// Its resource id.
    pub resource: String,
    /// What it was made of or for.
    pub of: String,
    /// Why it stays.
    pub why: String,
}

/// Something left undone.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct NotDone {
    /// Which step.
    pub step: String,
    /// Why.
    pub why: String,
    /// The next command to type.
    pub next: String,
}

/// Something missing.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Gap {
    /// Which step.
    pub step: Option<String>,
    /// What is missing and why.
    pub what: String,
}

/// An exhibit.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct EvidenceRef {
    /// Its number: `<incident>/<run>/E0007`.
    pub exhibit: String,
    /// Its file name.
    pub name: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is stored outside this machine; null: only here.
    pub stored: Option<String>,
}

/// The record of a run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
pub struct JournalRef {
    /// The run folder.
    pub path: String,
    /// How many entries it has.
    pub entries: u64,
    /// The chain value of the last one.
    pub head: String,
    /// Whether the record verified when this report was made.
    pub verified: bool,
    /// Whether it verified up to a torn end, as a crash leaves it, or a change to the last line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub torn: bool,
    /// Whether anything outside this machine vouches for all of it.
    pub anchored: bool,
    /// Receipts on record, by witness: `tsa`, `worm`. They prove nothing by themselves; what they cite does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub receipts: BTreeMap<String, u64>,
    /// The number of entries for which something outside this machine vouches; null: none.
    #[serde(default)]
    pub anchored_to: Option<u64>,
    /// Whether the run is closed for good: nothing can be added.
    #[serde(default)]
    pub sealed: bool,
    /// The persons whose signatures were verified, the responder first; empty: unsigned by a person.
    #[serde(default)]
    pub signed: Vec<SignedBy>,
    /// Whether they were judged by a signers file outside the run folder.
    #[serde(default)]
    pub signers_outside: bool,
    /// Whether a transfer lacks one of its two signatures.
    #[serde(default)]
    pub transfer_pending: bool,
    /// Who should vouch for the record and does not.
    #[serde(default)]
    pub missing: Vec<MissingWitness>,
}

impl JournalRef {
    /// Returns whether the responder's signature covers every entry.
    pub fn signed_whole(&self) -> bool {
        let covers = |signed: &SignedBy| !signed.second && signed.entries == self.entries;
        self.signed.iter().any(covers)
    }
}

/// A person who signed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct SignedBy {
    /// Who, by the signers file.
    pub principal: String,
    /// Whether as second person; else as the responder.
    pub second: bool,
    /// How many entries the largest checkpoint covers that bears the signature.
    pub entries: u64,
    /// Whether the security key was touched; null: the key is not in one.
    pub touch: Option<bool>,
    /// Whether the security key checked a PIN or a finger; null: the key is not in one.
    pub pin: Option<bool>,
}

/// Somebody who should vouch for the record and does not.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct MissingWitness {
    /// `person`, `tsa` or `worm`.
    pub witness: String,
    /// Since when.
    pub since: String,
    /// Why.
    pub why: String,
}
