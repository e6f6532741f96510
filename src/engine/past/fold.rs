//! The fold of a run's lines: what each step came to, what was written, what was checked, what people answered.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::record::Past;
use crate::engine::event::StepOutcome;
use crate::engine::vault::STAYS;
use crate::journal::Line;

/// Where something happened: the target's index and the step's id.
pub(super) type Place = (usize, String);

/// What a step came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct PastStep {
    /// How it ended; absent while it had only begun, and where it was left because its target stopped.
    pub(crate) outcome: Option<StepOutcome>,
    /// When it ended, as the journal writes times.
    pub(crate) ended_at: String,
    /// Its results: inline, or cited from evidence.
    pub(crate) outputs: Option<Value>,
    /// The last answer of each check, by item and claim.
    pub(crate) checks: HashMap<(String, String), Option<bool>>,
    /// When its last gate held, as the journal writes times.
    pub(crate) gate_held_at: Option<String>,
    /// Named gaps that it left.
    pub(crate) gaps: usize,
    /// The last answer to its question: what was chosen.
    pub(crate) chosen: Option<Vec<String>>,
    /// What a person found who did its manual task.
    pub(crate) finding: Option<String>,
    /// What upstream answered to a rotation, less its value, by item: cited from evidence.
    pub(crate) answers: HashMap<String, Value>,
    /// Items whose last rotation was asked to be taken back upstream.
    pub(crate) discarded: HashSet<String>,
    /// Exhibits that it made, by digest.
    pub(crate) exhibits: HashSet<String>,
    /// What it said stays open.
    pub(crate) open: Vec<String>,
    /// Whether another way to its end has done all that failed of it, so that it is not taken again.
    pub(crate) settled: bool,
    /// Who paid for it, of a fallback.
    pub(crate) price: Option<String>,
    /// What was asked when its consent was given, inline or cited.
    pub(crate) question: Option<Value>,
}

/// One write of an earlier session.
#[derive(Clone, Debug)]
pub(crate) struct PastWrite {
    pub(crate) target_index: usize,
    pub(crate) step: String,
    pub(crate) item: String,
    /// The record made before it: kind, item, pre-image, change.
    pub(crate) record: Value,
    /// What the write answered.
    pub(crate) after: Value,
    /// The HTTP status of that answer, where there was one.
    pub(crate) status: Option<u64>,
    /// Whether it is known to have taken effect.
    pub(crate) certain: bool,
    /// Intents of it whose outcome nobody knows.
    pub(crate) open: Vec<u64>,
}

/// What became of a write that an earlier session meant to make.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'p> {
    /// It took effect.
    Took(&'p PastWrite),
    /// It was sent, or about to be; only the cloud knows.
    Unknown(&'p PastWrite),
}

impl<'p> Sent<'p> {
    /// Returns the write.
    pub(crate) fn write(self) -> &'p PastWrite {
        match self {
            Self::Took(write) | Self::Unknown(write) => write,
        }
    }
}

/// The state of the fold.
#[derive(Default)]
pub(super) struct Fold {
    /// Writes without an answer, by the lines of their intents.
    meant: BTreeMap<u64, PastWrite>,
    /// Reads without an answer.
    reads: std::collections::BTreeSet<u64>,
    /// Blobs that were being stored, by the lines of their intents.
    stores: BTreeMap<u64, String>,
    by_place: HashMap<(usize, String, String, String), usize>,
}

impl Fold {
    /// Takes a line into what the run is known to be.
    pub(super) fn take(&mut self, past: &mut Past, line: &Line) {
        let data = &line.data;
        match line.kind.as_str() {
            "step" => step(past, line),
            "check" => check(past, line),
            "decision" => {
                if let Some(step) = past.at(data) {
                    step.chosen = data.get("choice").and_then(texts);
                    step.question = data.get("question").cloned();
                }
            }
            "manual" => {
                let finding = data.get("finding").and_then(Value::as_str);
                if let (Some(step), Some(finding)) = (past.at(data), finding) {
                    step.finding = Some(finding.to_owned());
                }
            }
            "evidence" => evidence(past, data),
            "note" => note(past, data),
            "action.intent" => self.intent(past, line),
            "action.result" | "action.reconcile" => self.answer(past, line),
            _ => {}
        }
    }

    fn intent(&mut self, past: &mut Past, line: &Line) {
        let data = &line.data;
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("effect") == "read" {
            self.reads.insert(line.seq);
            return;
        }
        if text("undo") == STAYS {
            self.stores.insert(line.seq, text("target").to_owned());
            return;
        }
        let record = data.get("before").and_then(|cited| past.value(cited));
        let (Some(record), Some((target_index, step))) = (record, place(data)) else {
            return;
        };
        if record["part"] == "discard"
            && let Some(step) = past.at(data)
        {
            step.discarded.insert(text("item").to_owned());
        }
        if record["part"] == "upstream"
            && let Some(step) = past.at(data)
        {
            // What upstream answered to an attempt before this one is of another secret.
            step.answers.remove(text("item"));
            step.discarded.remove(text("item"));
        }
        let write = PastWrite {
            target_index,
            step,
            item: text("item").to_owned(),
            record,
            after: Value::Null,
            status: None,
            certain: false,
            open: vec![line.seq],
        };
        self.meant.insert(line.seq, write);
    }

    fn answer(&mut self, past: &mut Past, line: &Line) {
        let data = &line.data;
        let Some(seq) = data.get("intent").and_then(Value::as_u64) else {
            return;
        };
        let word = |name: &str| data.get(name).and_then(Value::as_str);
        let took = match (word("outcome"), word("found")) {
            (Some("ok"), _) | (_, Some("yes")) => Some(true),
            (Some("failed"), _) | (_, Some("no")) => Some(false),
            // Nobody could tell: it stays open.
            _ => return,
        };
        self.reads.remove(&seq);
        self.stores.remove(&seq);
        let Some(mut write) = self.meant.remove(&seq) else {
            return;
        };
        if took == Some(false) {
            let operation = data.get("operation").and_then(|all| all["state"].as_str());
            if operation == Some("Failed") {
                // It was begun, and may have changed something all the same: an undo reads how it stands.
                write.open.clear();
                self.push(past, write);
            }
            return;
        }
        write.certain = true;
        write.open.clear();
        write.status = data.get("status").and_then(Value::as_u64);
        write.after = data
            .get("after")
            .and_then(|cited| past.value(cited))
            .unwrap_or(Value::Null);
        self.push(past, write);
    }

    /// Adds what nobody has answered.
    pub(super) fn finish(mut self, past: &mut Past) {
        for (_, write) in std::mem::take(&mut self.meant) {
            self.push(past, write);
        }
        past.open_stores = self.stores.into_iter().collect();
        past.open_reads = self.reads.into_iter().collect();
        for (place, write) in past.writes.iter().enumerate() {
            let key = (write.target_index, write.step.clone(), write.item.clone());
            past.by_item.entry(key).or_default().push(place);
            *past.effects.entry(write.target_index).or_default() += 1;
        }
    }

    /// Adds a write; a later attempt at the same item takes the place of an earlier one but keeps its pre-image.
    fn push(&mut self, past: &mut Past, write: PastWrite) {
        let to = write.record["target"].as_str().unwrap_or_default();
        let part = write.record["part"].as_str().unwrap_or_default();
        let key = (
            write.target_index,
            write.step.clone(),
            write.item.clone(),
            format!("{part} {to}"),
        );
        let Some(at) = self.by_place.get(&key) else {
            self.by_place.insert(key, past.writes.len());
            past.writes.push(write);
            return;
        };
        let known = &mut past.writes[*at];
        known.open.extend(write.open);
        if write.certain {
            known.certain = true;
            known.after = write.after;
            known.status = write.status;
            made_last(&mut known.record, &write.record);
        }
    }
}

/// What an edit made of its members is what its last attempt made of them; what they were before is what the first read.
fn made_last(first: &mut Value, last: &Value) {
    let changes = last["changes"].as_array().into_iter().flatten();
    for change in changes {
        let all = first["changes"].as_array_mut();
        let known = all.and_then(|all| all.iter_mut().find(|one| one["path"] == change["path"]));
        if let Some(known) = known {
            known["after"] = change["after"].clone();
        } else if let Some(all) = first["changes"].as_array_mut() {
            all.push(change.clone());
        }
    }
}

fn step(past: &mut Past, line: &Line) {
    let data = &line.data;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let state = text("state");
    let outcome = data
        .get("outcome")
        .cloned()
        .and_then(|word| serde_json::from_value(word).ok());
    let Some(step) = past.at(data) else {
        return;
    };
    if state == Some("started") {
        // It is taken anew: what it came to before no longer stands.
        step.outcome = None;
        step.gaps = 0;
        step.open.clear();
        step.settled = false;
        return;
    }
    step.outcome = outcome;
    step.ended_at.clone_from(&line.time);
    if let Some(outputs) = data.get("outputs") {
        step.outputs = Some(outputs.clone());
    }
}

fn check(past: &mut Past, line: &Line) {
    let data = &line.data;
    let text = |name: &str| {
        let word = data.get(name).and_then(Value::as_str);
        word.unwrap_or_default().to_owned()
    };
    let (item, claim) = (text("item"), text("claim"));
    let holds = data.get("holds").and_then(Value::as_bool);
    let gate = data.get("gate").and_then(Value::as_bool) == Some(true);
    let time = line.time.clone();
    if let Some(step) = past.at(data) {
        step.checks.insert((item, claim), holds);
        if gate && holds == Some(true) {
            step.gate_held_at = Some(time);
        }
    }
}

fn evidence(past: &mut Past, data: &Map<String, Value>) {
    past.exhibits += 1;
    let sha256 = data.get("sha256").and_then(Value::as_str);
    let sha256 = sha256.map(str::to_owned);
    if let Some(step) = past.at(data) {
        step.exhibits.extend(sha256);
    }
}

fn note(past: &mut Past, data: &Map<String, Value>) {
    match data.get("kind").and_then(Value::as_str) {
        Some("gap") => {
            if let Some(step) = past.at(data) {
                step.gaps += 1;
            }
        }
        Some("say") => {
            let open = data.get("open").and_then(Value::as_str).map(str::to_owned);
            if let Some(step) = past.at(data) {
                step.open.extend(open);
            }
        }
        Some("upstream") => {
            let item = data.get("item").and_then(Value::as_str);
            let (item, answer) = (item.map(str::to_owned), data.get("outputs").cloned());
            if let (Some(step), Some(item), Some(answer)) = (past.at(data), item, answer) {
                step.answers.insert(item, answer);
            }
        }
        Some("paid") => {
            let price = data.get("price").and_then(Value::as_str);
            let price = price.map(str::to_owned);
            if let Some(step) = past.at(data) {
                step.price = price;
            }
        }
        Some("covered") => {
            let settles = data.get("settles").and_then(texts).unwrap_or_default();
            for id in settles {
                let mut of = data.clone();
                of.insert("step".to_owned(), Value::String(id));
                if let Some(step) = past.at(&of) {
                    step.settled = true;
                }
            }
        }
        Some("watch") => {
            let until = data.get("until").and_then(Value::as_str);
            past.watch_until = until.map(str::to_owned);
        }
        Some("told") => {
            let status = data.get("status").and_then(Value::as_str);
            past.told = status.map(str::to_owned);
        }
        Some("entered") => {
            let given = data.get("outputs").cloned().map(|given| match &given {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                _ => given,
            });
            if let Some(step) = past.at(data) {
                step.outcome = Some(StepOutcome::Done);
                step.outputs = given;
            }
        }
        _ => {}
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let all = value.as_array()?.iter();
    Some(
        all.filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
    )
}

/// Returns where a line belongs.
pub(super) fn place(data: &Map<String, Value>) -> Option<Place> {
    let index = usize::try_from(data.get("target_index")?.as_u64()?).ok()?;
    Some((index, data.get("step")?.as_str()?.to_owned()))
}
