//! The record of the run to undo: what it saw, what it wrote, and with which texts it was run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::EngineError;
use super::schedule::Program;
use super::target::{Common, Target};
use crate::evidence::Store;
use crate::journal;
use crate::runbook::model::Runbook;

/// What the journal of the run to undo says.
pub(crate) struct Old {
    pub(crate) start: Map<String, Value>,
    pub(crate) incident: crate::ids::IncidentId,
    pub(crate) run: String,
    /// When it began, as the journal writes times.
    pub(crate) started_at: String,
    pub(crate) head: journal::Head,
    pub(crate) store: Store,
    /// Results of steps: `(target index, step)` -> results.
    pub(crate) outputs: BTreeMap<(usize, String), Value>,
    /// Writes that took effect or may have, in order.
    pub(crate) writes: Vec<OldWrite>,
}

/// One write of the old run.
#[derive(Clone, Debug)]
pub(crate) struct OldWrite {
    pub(crate) target_index: usize,
    pub(crate) step: String,
    pub(crate) item: String,
    /// The record made before it: kind, item, pre-image, change.
    pub(crate) record: Value,
    /// What the write answered.
    pub(crate) after: Value,
    /// Whether it is known to have taken effect.
    pub(crate) certain: bool,
}

impl Old {
    /// Returns when the run began, as Graph and ARM write times in filters.
    pub(super) fn started_seconds(&self) -> String {
        let time = self.started_at.parse::<chrono::DateTime<chrono::Utc>>();
        time.map_or_else(|_| self.started_at.clone(), crate::clock::seconds)
    }

    /// Whether it was an exercise; its undo is one, too.
    pub(super) fn is_drill(&self) -> bool {
        self.start.get("mode").and_then(Value::as_str) == Some("drill")
    }

    pub(super) fn runbook_name(&self) -> String {
        crate::json::member(&Value::Object(self.start.clone()), "runbook.name")
            .and_then(Value::as_str)
            .unwrap_or("a run")
            .to_owned()
    }

    /// Returns the program as it was, from the texts that the old run kept.
    pub(super) fn program(&self) -> Result<Program, EngineError> {
        let (runbook, text) = self
            .text(self.start.get("runbook"))
            .map_err(|message| integrity(&message))?;
        let called: BTreeMap<String, Value> = self
            .start
            .get("called")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one.get("name")?.as_str()?.to_owned(), one.clone())))
            .collect();
        Program::for_undo(runbook, text, &|name| self.text(called.get(name)))
    }

    fn text(&self, cited: Option<&Value>) -> Result<(Arc<Runbook>, Arc<str>), String> {
        let cited = cited.ok_or("the run's record does not name its runbook")?;
        let name = cited
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("runbook");
        let text = self
            .evidence(cited)
            .ok_or_else(|| format!("the text of {name} is missing from the evidence"))?;
        let text =
            String::from_utf8(text).map_err(|_| format!("the text of {name} is not UTF-8"))?;
        let runbook = crate::runbook::parse::parse(name, &text).map_err(|problems| {
            problems
                .first()
                .map_or_else(String::new, |problem| problem.message.clone())
        })?;
        Ok((Arc::new(runbook), Arc::from(text)))
    }

    /// Returns the names of the targets.
    pub(crate) fn target_names(&self) -> Vec<String> {
        let names = self
            .start
            .get("targets")
            .and_then(|value| self.value(value));
        names
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    /// Returns the bytes that a citation names, if they are there.
    pub(crate) fn evidence(&self, cited: &Value) -> Option<Vec<u8>> {
        let digest = cited.get("sha256")?.as_str()?.parse().ok()?;
        self.store.get(digest).ok()
    }

    /// Returns a value that is either inline or cited from evidence.
    pub(crate) fn value(&self, value: &Value) -> Option<Value> {
        if value.get("sha256").is_some() && value.get("size").is_some() {
            return serde_json::from_slice(&self.evidence(value)?).ok();
        }
        Some(value.clone())
    }

    pub(super) fn carried_over(&self, name: &str, value: &Value) -> Value {
        if name == "runbook" {
            value.clone()
        } else {
            self.value(value)
                .filter(|value| value.to_string().len() < 8_192)
                .unwrap_or_else(|| value.clone())
        }
    }

    /// Copies what the new run's first line cites, so that its folder stands alone.
    pub(super) fn copy_cited(
        &self,
        data: &Map<String, Value>,
        store: &Store,
    ) -> Result<(), EngineError> {
        for name in ["targets", "runbook"] {
            let Some(bytes) = data.get(name).and_then(|value| self.evidence(value)) else {
                continue;
            };
            store.put(&bytes).map_err(|error| EngineError::Record {
                message: super::error::chain(&error),
                hint: "free the disk, or name another folder with AZIR_HOME".into(),
            })?;
        }
        Ok(())
    }

    /// Returns the targets with the names that their templates saw.
    pub(super) fn targets<'a>(&self, common: &'a Common) -> Result<Vec<Target<'a>>, EngineError> {
        let cited = |name: &str| {
            self.start
                .get(name)
                .and_then(|value| self.value(value))
                .ok_or_else(|| {
                    integrity(&format!("{name} is missing from the evidence of the run"))
                })
        };
        let found = cited("found")?;
        let run = cited("run_names")?;
        let profile = cited("profile")?;
        let base = super::scope::base(&run, &profile);
        let mut targets = Vec::new();
        for (index, one) in found.as_array().into_iter().flatten().enumerate() {
            let name = one["target"].as_str().unwrap_or_default().to_owned();
            let arguments = one["arguments"].as_object().cloned().unwrap_or_default();
            let target = Target::new(common, index, name, &base, &arguments);
            self.restore(&target);
            targets.push(target);
        }
        Ok(targets)
    }

    /// Names the results that the old run's steps had; a called runbook's parameters follow from them.
    fn restore(&self, target: &Target<'_>) {
        let program = &target.common.program;
        for node in &program.nodes {
            if let Some(values) = self.outputs.get(&(target.index, node.id.clone())) {
                let step = &program.frames[node.frame].runbook.steps[node.step];
                target.names[node.frame].step(&step.id.value, values);
            }
        }
        super::step::restore_called(target);
        // A run that was killed never came to its later steps; what names them finds nothing there.
        for (frame, names) in program.frames.iter().zip(&target.names) {
            let known = names.scope();
            for step in &frame.runbook.steps {
                if known.get(&step.id.value).is_none() {
                    names.step(&step.id.value, &super::step::nothing_of(target, step));
                }
            }
        }
    }
}

/// Reads and verifies the record of the run to undo.
pub(super) fn read(run_dir: &Path) -> Result<Old, EngineError> {
    let verified = journal::verify::verify(run_dir, &journal::verify::Outside::default());
    if matches!(verified.exit_code, 1 | 4) {
        let first = verified.findings.first().map_or_else(
            || "it cannot be read".to_owned(),
            |finding| finding.text.clone(),
        );
        return Err(integrity(&first));
    }
    let log = journal::read(run_dir).map_err(|error| integrity(&error.to_string()))?;
    let store = Store::open_existing(run_dir).map_err(|error| integrity(&error.to_string()))?;
    let head = journal::head(run_dir).map_err(|error| integrity(&error.to_string()))?;
    let mut lines = log.lines.into_iter();
    let first = lines.next();
    let started_at = first.as_ref().map(|line| line.time.clone());
    let start = first.map(|line| line.data).unwrap_or_default();
    if start.get("mode").and_then(Value::as_str) == Some("undo") {
        return Err(EngineError::Usage {
            message: "this run is itself an undo".to_owned(),
            hint: "run the runbook again to isolate again".to_owned(),
        });
    }
    let incident = start
        .get("incident")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| integrity("it names no incident"))?;
    let run = start
        .get("origin")
        .and_then(Value::as_str)
        .and_then(|origin| origin.rsplit('/').next())
        .unwrap_or_default()
        .to_owned();
    let mut old = Old {
        start,
        incident,
        run,
        started_at: started_at.unwrap_or_default(),
        head,
        store,
        outputs: BTreeMap::new(),
        writes: Vec::new(),
    };
    fold(&mut old, lines);
    Ok(old)
}

/// Folds the old run's lines into results and writes.
fn fold(old: &mut Old, lines: impl Iterator<Item = journal::Line>) {
    let mut open: BTreeMap<u64, OldWrite> = BTreeMap::new();
    for line in lines {
        let data = &line.data;
        match line.kind.as_str() {
            "step" => {
                let outputs = data.get("outputs").and_then(|cited| old.value(cited));
                if let (Some(outputs), Some(key)) = (outputs, place(data)) {
                    old.outputs.insert(key, outputs);
                }
            }
            "action.intent"
                if data.get("before").is_some()
                    && data.get("undo").and_then(Value::as_str) != Some(super::vault::STAYS)
                    && data.get("effect").and_then(Value::as_str) != Some("read") =>
            {
                let record = data.get("before").and_then(|cited| old.value(cited));
                if let (Some(record), Some((target_index, step))) = (record, place(data)) {
                    let item = data
                        .get("item")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned();
                    open.insert(
                        line.seq,
                        OldWrite {
                            target_index,
                            step,
                            item,
                            record,
                            after: Value::Null,
                            certain: false,
                        },
                    );
                }
            }
            "action.result" => {
                let Some(mut write) = data
                    .get("intent")
                    .and_then(Value::as_u64)
                    .and_then(|seq| open.remove(&seq))
                else {
                    continue;
                };
                let outcome = data.get("outcome").and_then(Value::as_str);
                if outcome == Some("failed") {
                    continue;
                }
                write.certain = outcome == Some("ok");
                write.after = data
                    .get("after")
                    .and_then(|cited| old.value(cited))
                    .unwrap_or(Value::Null);
                push(&mut old.writes, write);
            }
            _ => {}
        }
    }
    for (_, write) in open {
        push(&mut old.writes, write);
    }
}

/// Adds a write; a later attempt at the same item takes the place of an earlier one but keeps its pre-image.
fn push(writes: &mut Vec<OldWrite>, write: OldWrite) {
    let same = |known: &&mut OldWrite| {
        known.target_index == write.target_index
            && known.step == write.step
            && known.item == write.item
            && known.record["target"] == write.record["target"]
    };
    match writes.iter_mut().find(same) {
        Some(known) => {
            known.certain |= write.certain;
            known.after = write.after;
        }
        None => writes.push(write),
    }
}

fn place(data: &Map<String, Value>) -> Option<(usize, String)> {
    let index = usize::try_from(data.get("target_index")?.as_u64()?).ok()?;
    Some((index, data.get("step")?.as_str()?.to_owned()))
}

fn integrity(message: &str) -> EngineError {
    EngineError::Integrity {
        message: message.to_owned(),
        hint: "azir journal verify RUN, to see every finding".to_owned(),
    }
}
