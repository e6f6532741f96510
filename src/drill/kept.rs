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
use crate::digest::Digest;
use crate::evidence::Store;
use crate::ids::ArmId;
use crate::journal::reader;
use crate::journal::verify::Outside;
use crate::report::cases;
use crate::report::model::{RunReport, RunStatus, StepStatus};
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
    /// What it was asked to do, by target as the report names it.
    pub(super) arguments: BTreeMap<String, Value>,
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
    /// Its parameters, decoded and in the order of their names.
    pub(super) query: String,
    host: String,
    write: bool,
    /// What it was answered; absent: nobody knows.
    status: Option<u16>,
    pub(super) ok: bool,
    /// Where the record has what it was about: the run folder, and the digest of its evidence.
    about: Option<(PathBuf, Digest)>,
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

    /// Returns the runs of runbooks that came as far as doing something: neither refused nor declined.
    pub(super) fn acted(&self) -> impl Iterator<Item = &KeptRun> {
        let idle = |status| matches!(status, RunStatus::Refused | RunStatus::Declined);
        self.of_runbooks()
            .filter(move |run| !idle(run.report.status))
    }

    /// Returns the runs that collect evidence: what people attach to the incident log is theirs to keep.
    pub(super) fn collecting(&self) -> impl Iterator<Item = &KeptRun> {
        let all = self.runs.iter();
        all.filter(|run| run.report.runbook.name != run::INCIDENT)
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
            .collecting()
            .flat_map(|KeptRun { report, .. }| report.evidence.iter().map(move |one| (report, one)))
            .map(|(report, one)| {
                json!({
                    "exhibit": one.exhibit, "name": one.name, "sha256": one.sha256, "size": one.size,
                    "stored": one.stored, "runbook": report.runbook.name,
                })
            })
            .collect();
        let calls: Vec<Value> = self.calls.iter().map(Call::shown).collect();
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
        let runs = self.runs.iter().map(
            |KeptRun {
                 report, unverified, ..
             }| RunRef {
                run: report.run.clone(),
                runbook: report.runbook.name.clone(),
                mode: report.mode.clone(),
                status: word(&report.status),
                verified: unverified.is_none(),
                head: report.journal.head.clone(),
            },
        );
        runs.collect()
    }
}

impl KeptRun {
    /// Returns whether one of these names, in lower case, is a target of the run or stands among what was asked of it
    /// for that target.
    pub(super) fn is_about(&self, target: &str, names: &[String]) -> bool {
        let named = |text: &str| names.iter().any(|name| *name == text.to_lowercase());
        let asked = self.arguments.get(target);
        named(target) || asked.is_some_and(|asked| any_text(asked, &named))
    }
}

fn any_text(value: &Value, fits: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => fits(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, fits)),
        Value::Object(members) => members.values().any(|member| any_text(member, fits)),
        _ => false,
    }
}

impl Call {
    fn shown(&self) -> Value {
        json!({
            "time": crate::clock::micros(self.time), "run": self.run, "runbook": self.runbook, "step": self.step,
            "method": self.method, "path": self.path, "query": self.query, "host": self.host, "write": self.write,
            "status": self.status, "ok": self.ok,
        })
    }

    /// Returns what the activity log would call it: the resource and the operation, in lower case; of a read nothing.
    pub(super) fn operation(&self) -> Option<(String, String)> {
        let (path, verb) = match self.method.as_str() {
            "PUT" | "PATCH" => (self.path.as_str(), "write".to_owned()),
            "DELETE" => (self.path.as_str(), "delete".to_owned()),
            "POST" => {
                let (parent, action) = self.path.rsplit_once('/')?;
                (parent, format!("{action}/action"))
            }
            _ => return None,
        };
        let id: ArmId = path.parse().ok()?;
        let operation = format!("{}/{verb}", id.resource_type());
        Some((path.to_lowercase(), operation.to_lowercase()))
    }

    /// Returns whether its item or body, as the record has them, contains each of these texts.
    pub(super) fn names(&self, texts: &[String]) -> bool {
        if texts.is_empty() {
            return true;
        }
        let about = self.about.as_ref().and_then(|(folder, digest)| {
            let bytes = Store::open_existing(folder).ok()?.get(*digest).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let about = about.unwrap_or_default();
        let about = json!([about["item"], about["body"]]);
        let about = about.to_string().to_lowercase();
        texts
            .iter()
            .all(|text| about.contains(&text.to_lowercase()))
    }

    /// One that was answered well, of a run that is no more.
    #[cfg(test)]
    pub(super) fn answered(time: DateTime<Utc>, method: &str, path: &str, query: &str) -> Self {
        Self {
            time,
            run: String::new(),
            runbook: String::new(),
            step: String::new(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            host: String::new(),
            write: method != "GET",
            status: Some(200),
            ok: true,
            about: None,
        }
    }
}

fn one(folder: &Path) -> Result<(KeptRun, Vec<Call>), String> {
    let report = run::report(folder, &Outside::default()).map_err(|error| error.to_string())?;
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    let mut arguments = BTreeMap::new();
    let mut runbook = report.runbook.name.clone();
    if report.mode == "undo" {
        runbook = format!("the undo of {runbook}");
    }
    let walked = reader::walk(folder, |line| match line.kind.as_str() {
        "run.start" => arguments = asked(folder, &line),
        "action.intent" => {
            if let Some(call) = call(folder, &line, &report.run, &runbook) {
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
    // What was changed says nothing; what a crash tore off was good until there.
    if unverified.is_some() && !report.journal.torn {
        calls.clear();
    }
    Ok((
        KeptRun {
            report,
            unverified,
            arguments,
        },
        calls.into_values().collect(),
    ))
}

/// Returns what a run was asked to do, by target.
fn asked(folder: &Path, line: &reader::Line) -> BTreeMap<String, Value> {
    let found = line.data.get("found").and_then(digest);
    let found = found.and_then(|digest| Store::open_existing(folder).ok()?.get(digest).ok());
    let found: Option<Value> = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let found = found.unwrap_or_default();
    let each = found.as_array().into_iter().flatten();
    each.filter_map(|one| Some((one["target"].as_str()?.to_owned(), one["arguments"].clone())))
        .collect()
}

/// Returns the digest of what a line cites from evidence.
fn digest(cited: &Value) -> Option<Digest> {
    cited["sha256"].as_str()?.parse().ok()
}

/// Returns the parameters of an address, decoded and in the order of their names.
pub(super) fn query(url: &url::Url) -> String {
    let mut pairs: Vec<String> = url
        .query_pairs()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn call(folder: &Path, line: &reader::Line, run: &str, runbook: &str) -> Option<Call> {
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
        query: query(&url),
        host: url.host_str().unwrap_or_default().to_owned(),
        write: text("effect") != "read",
        status: None,
        ok: false,
        about: line
            .data
            .get("before")
            .and_then(digest)
            .map(|digest| (folder.to_path_buf(), digest)),
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
