//! What those who acted wrote down: the runs of a drill's case, each with its calls and exhibits, by their verified
//! records.
//!
//! The judge asks the tenant what is true. The record is asked only for what no tenant keeps: what was read before
//! something was deleted, what was stored as evidence, and what a run says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::verdict::{RunRef, StepTime};
use crate::journal::reader;
use crate::journal::verify::Outside;
use crate::report::cases;
use crate::report::model::{RunReport, StepStatus};
use crate::report::run;

/// The runs of a case.
#[derive(Default)]
pub(super) struct Kept {
    /// Those that can be read, oldest first.
    pub(super) runs: Vec<KeptRun>,
    /// Folders whose record cannot be read, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// Every call of every run, in order of time.
    pub(super) calls: Vec<Call>,
}

/// One run.
pub(super) struct KeptRun {
    pub(super) report: RunReport,
    /// Why its record does not verify, if it does not.
    pub(super) unverified: Option<String>,
}

/// One call of a run.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// When it was announced, before it was sent.
    pub(super) time: DateTime<Utc>,
    run: String,
    runbook: String,
    step: String,
    pub(super) method: String,
    pub(super) path: String,
    host: String,
    write: bool,
    /// What it was answered; absent: nobody knows.
    status: Option<u16>,
    pub(super) ok: bool,
}

impl Kept {
    /// Reads the case in a folder. The incident log, in which people write around the runs, is judged as a record and
    /// has no calls.
    pub(super) fn read(case: &Path) -> Self {
        let mut kept = Self::default();
        for folder in cases::of_case(case) {
            match one(&folder) {
                Ok((run, calls)) => {
                    kept.runs.push(run);
                    kept.calls.extend(calls);
                }
                Err(why) => kept.unreadable.push((folder, why)),
            }
        }
        kept.calls.sort_by_key(|call| call.time);
        kept
    }

    /// Returns the runs of runbooks: neither undos nor the incident log.
    pub(super) fn of_runbooks(&self) -> impl Iterator<Item = &KeptRun> {
        self.runs
            .iter()
            .filter(|run| run.report.mode != "undo" && run.report.runbook.name != run::INCIDENT)
    }

    /// Returns what templates see as `record`.
    pub(super) fn names(&self) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|KeptRun { report, .. }| {
                let targets: Vec<&str> = report.targets.iter().map(|one| one.target.as_str()).collect();
                let gaps: Vec<&str> = report.gaps.iter().map(|gap| gap.what.as_str()).collect();
                json!({
                    "run": report.run, "runbook": report.runbook.name, "mode": report.mode, "status": report.status,
                    "targets": targets, "started_at": report.started_at, "finished_at": report.finished_at, "gaps": gaps,
                })
            })
            .collect();
        let exhibits: Vec<Value> = self
            .runs
            .iter()
            .flat_map(|KeptRun { report, .. }| report.evidence.iter().map(move |one| (report, one)))
            .map(|(report, one)| {
                json!({
                    "exhibit": one.exhibit, "name": one.name, "sha256": one.sha256, "size": one.size,
                    "stored": one.stored, "runbook": report.runbook.name,
                })
            })
            .collect();
        let calls: Vec<Value> = self.calls.iter().map(Call::names).collect();
        json!({"runs": runs, "exhibits": exhibits, "calls": calls})
    }

    /// Returns how long each step of the runs took.
    pub(super) fn steps(&self, emitted_at: DateTime<Utc>) -> Vec<StepTime> {
        let mut steps = Vec::new();
        for KeptRun { report, .. } in &self.runs {
            let of_targets = report.targets.iter().flat_map(|target| &target.steps);
            for step in of_targets.filter(|step| step.status != StepStatus::Pending) {
                let (Some(began), Some(ended)) = (
                    time(step.started_at.as_deref()),
                    time(step.ended_at.as_deref()),
                ) else {
                    continue;
                };
                steps.push(StepTime {
                    run: report.run.clone(),
                    runbook: report.runbook.name.clone(),
                    step: step.id.clone(),
                    title: step.title.clone(),
                    status: word(&step.status),
                    began_seconds: seconds(began - emitted_at),
                    seconds: seconds(ended - began),
                });
            }
        }
        steps
    }

    /// Returns the runs as a verdict names them.
    pub(super) fn refs(&self) -> Vec<RunRef> {
        let runs = self
            .runs
            .iter()
            .map(|KeptRun { report, unverified }| RunRef {
                run: report.run.clone(),
                runbook: report.runbook.name.clone(),
                mode: report.mode.clone(),
                status: word(&report.status),
                verified: unverified.is_none(),
                head: report.journal.head.clone(),
            });
        runs.collect()
    }
}

impl Call {
    fn names(&self) -> Value {
        json!({
            "time": crate::clock::micros(self.time), "run": self.run, "runbook": self.runbook, "step": self.step,
            "method": self.method, "path": self.path, "host": self.host, "write": self.write, "status": self.status, "ok": self.ok,
        })
    }
}

fn one(folder: &Path) -> Result<(KeptRun, Vec<Call>), String> {
    let report = run::report(folder, &Outside::default()).map_err(|error| error.to_string())?;
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    let mut runbook = report.runbook.name.clone();
    if report.mode == "undo" {
        runbook = format!("the undo of {runbook}");
    }
    let walked = reader::walk(folder, |line| match line.kind.as_str() {
        "action.intent" => {
            if let Some(call) = call(&line, &report.run, &runbook) {
                calls.insert(line.seq, call);
            }
        }
        "action.result" => {
            let of = line.data.get("intent").and_then(Value::as_u64);
            if let Some(call) = of.and_then(|seq| calls.get_mut(&seq)) {
                let status = line.data.get("status").and_then(Value::as_u64);
                call.status = status.and_then(|status| u16::try_from(status).ok());
                call.ok = line.data.get("outcome").and_then(Value::as_str) == Some("ok");
            }
        }
        _ => {}
    });
    walked.map_err(|error| error.to_string())?;
    let unverified = (!report.journal.verified).then(|| {
        let torn = if report.journal.torn {
            "it is torn at its end"
        } else {
            "it was changed or damaged"
        };
        format!("run {}: {torn}", run::short(&report.run))
    });
    Ok((
        KeptRun { report, unverified },
        calls.into_values().collect(),
    ))
}

fn call(line: &reader::Line, run: &str, runbook: &str) -> Option<Call> {
    let api = line.data.get("api")?;
    let url: url::Url = api["url"].as_str()?.parse().ok()?;
    let text = |name: &str| {
        let word = line.data.get(name).and_then(Value::as_str);
        word.unwrap_or_default().to_owned()
    };
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
    Some(Call {
        time: line.time.parse().ok()?,
        run: run.to_owned(),
        runbook: runbook.to_owned(),
        step: text("step"),
        method: api["method"].as_str()?.to_owned(),
        path: path.into_owned(),
        host: url.host_str().unwrap_or_default().to_owned(),
        write: text("effect") != "read",
        status: None,
        ok: false,
    })
}

fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    text?.parse().ok()
}

/// Returns a span in seconds, to the millisecond.
pub(super) fn seconds(span: chrono::TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1_000.0
}

fn word(status: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(status).ok();
    word.and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}
