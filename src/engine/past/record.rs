//! The record of a run as a whole: what it was asked, with which texts it was run, what it saw and wrote.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fold::{Fold, PastStep, PastWrite, Place, Sent, place};
use super::names;
use crate::engine::error::{EngineError, chain};
use crate::engine::schedule::{Load, Program};
use crate::engine::standing::Standing;
use crate::engine::target::{Common, Target};
use crate::evidence::Store;
use crate::journal;
use crate::runbook::expr::Scope;
use crate::runbook::model::Runbook;

/// What the journal of a run says.
pub(crate) struct Past {
    pub(crate) start: Map<String, Value>,
    pub(crate) incident: crate::ids::IncidentId,
    pub(crate) run: String,
    /// When it began, as the journal writes times.
    pub(crate) started_at: String,
    pub(crate) head: journal::Head,
    pub(crate) store: Store,
    /// What each step of each target came to.
    pub(super) steps: HashMap<Place, PastStep>,
    /// Writes that took effect or may have, in order.
    pub(crate) writes: Vec<PastWrite>,
    /// Where those of each item are.
    pub(super) by_item: HashMap<(usize, String, String), Vec<usize>>,
    /// How many there are of each target.
    pub(super) effects: HashMap<usize, usize>,
    /// Reads that were cut off before their answer, by the lines of their intents.
    pub(crate) open_reads: Vec<u64>,
    /// Exhibits that were being stored when it broke off: the lines of their intents, and the paths of their blobs.
    pub(crate) open_stores: Vec<(u64, String)>,
    /// What its lines come to.
    pub(crate) standing: Standing,
    /// Until when containment is watched, as it was last written down.
    pub(crate) watch_until: Option<String>,
    /// The status that people were last told of, as it was written down.
    pub(crate) told: Option<String>,
    /// When its last line was written.
    pub(crate) ended_at: String,
    /// How many exhibits there are.
    pub(crate) exhibits: u32,
    /// Whether nothing may be added.
    pub(crate) sealed: bool,
}

impl Past {
    fn begin(first: &journal::Line, store: Store) -> Option<Self> {
        let start = first.data.clone();
        let text = |name: &str| start.get(name).and_then(Value::as_str);
        let incident = text("incident")?.parse().ok()?;
        let run = text("origin").and_then(|origin| origin.rsplit('/').next());
        Some(Self {
            run: run.unwrap_or_default().to_owned(),
            incident,
            started_at: first.time.clone(),
            start,
            head: journal::Head {
                entries: 0,
                chain: crate::digest::Digest([0; 32]),
            },
            store,
            steps: HashMap::new(),
            writes: Vec::new(),
            by_item: HashMap::new(),
            effects: HashMap::new(),
            open_reads: Vec::new(),
            open_stores: Vec::new(),
            standing: Standing::default(),
            watch_until: None,
            told: None,
            ended_at: first.time.clone(),
            exhibits: 0,
            sealed: false,
        })
    }

    /// Returns what a word of its first line says.
    pub(crate) fn says(&self, name: &str) -> &str {
        let word = self.start.get(name).and_then(Value::as_str);
        word.unwrap_or_default()
    }

    /// Returns when the run began, as Graph and ARM write times in filters.
    pub(crate) fn started_seconds(&self) -> String {
        let time = self.started_at.parse::<chrono::DateTime<chrono::Utc>>();
        time.map_or_else(|_| self.started_at.clone(), crate::clock::seconds)
    }

    /// Returns the object id of whom azir was signed in as.
    pub(crate) fn own_oid(&self) -> String {
        let principal = self.start.get("principal");
        let id = principal.and_then(|principal| principal["oid"].as_str());
        id.unwrap_or_default().to_owned()
    }

    /// Whether it was an exercise; its undo is one, too.
    pub(crate) fn is_drill(&self) -> bool {
        self.start.get("mode").and_then(Value::as_str) == Some("drill")
    }

    pub(crate) fn runbook_name(&self) -> String {
        crate::json::member(&Value::Object(self.start.clone()), "runbook.name")
            .and_then(Value::as_str)
            .unwrap_or("a run")
            .to_owned()
    }

    /// Returns what a step of a target came to, where it was begun.
    pub(crate) fn step(&self, target_index: usize, step: &str) -> Option<&PastStep> {
        self.steps.get(&(target_index, step.to_owned()))
    }

    /// Returns the writes of one item of a step, in order.
    pub(crate) fn sent(
        &self,
        target_index: usize,
        step: &str,
        item: &str,
    ) -> impl Iterator<Item = Sent<'_>> {
        let key = (target_index, step.to_owned(), item.to_owned());
        let places = self.by_item.get(&key).into_iter().flatten();
        places.map(|place| {
            let write = &self.writes[*place];
            if write.certain {
                Sent::Took(write)
            } else {
                Sent::Unknown(write)
            }
        })
    }

    /// Returns whether nobody knows of a write of a step whether it took effect.
    pub(crate) fn is_open(&self, target_index: usize, step: &str) -> bool {
        let mut own = self.writes.iter();
        own.any(|write| {
            write.target_index == target_index && write.step == step && !write.open.is_empty()
        })
    }

    /// Returns how many writes to a target took effect, or may have.
    pub(crate) fn effects(&self, target_index: usize) -> usize {
        self.effects.get(&target_index).copied().unwrap_or_default()
    }

    /// Returns the step that a line is about; nothing where it is about none.
    pub(super) fn at(&mut self, data: &Map<String, Value>) -> Option<&mut PastStep> {
        Some(self.steps.entry(place(data)?).or_default())
    }

    /// Returns the program of an undo, from the texts that the run kept.
    pub(crate) fn undo_program(&self) -> Result<Program, EngineError> {
        self.with_texts(Program::for_undo)
    }

    /// Returns the program as it was, from the texts that the run kept.
    pub(crate) fn program(&self) -> Result<Program, EngineError> {
        self.with_texts(Program::new)
    }

    fn with_texts(
        &self,
        flatten: fn(Arc<Runbook>, Arc<str>, &Load<'_>) -> Result<Program, EngineError>,
    ) -> Result<Program, EngineError> {
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
        flatten(runbook, text, &|name| self.text(called.get(name)))
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

    pub(crate) fn carried_over(&self, name: &str, value: &Value) -> Value {
        if name == "runbook" {
            value.clone()
        } else {
            self.value(value)
                .filter(|value| value.to_string().len() < 8_192)
                .unwrap_or_else(|| value.clone())
        }
    }

    /// Copies what the new run's first line cites, so that its folder stands alone.
    pub(crate) fn copy_cited(
        &self,
        data: &Map<String, Value>,
        store: &Store,
    ) -> Result<(), EngineError> {
        for name in ["targets", "runbook"] {
            let Some(bytes) = data.get(name).and_then(|value| self.evidence(value)) else {
                continue;
            };
            store.put(&bytes).map_err(|error| EngineError::Record {
                message: chain(&error),
                hint: "free the disk, or name another folder with AZIR_HOME".into(),
            })?;
        }
        Ok(())
    }

    /// Returns what the templates of every target saw, and each target with its arguments.
    pub(crate) fn found(&self) -> Result<(Scope, Vec<(String, Map<String, Value>)>), EngineError> {
        let cited = |name: &str| {
            self.start
                .get(name)
                .and_then(|value| self.value(value))
                .ok_or_else(|| {
                    integrity(&format!("{name} is missing from the evidence of the run"))
                })
        };
        let found = cited("found")?;
        let base = crate::engine::scope::base(&cited("run_names")?, &cited("profile")?);
        let targets = found.as_array().into_iter().flatten().map(|one| {
            let name = one["target"].as_str().unwrap_or_default().to_owned();
            let arguments = one["arguments"].as_object().cloned().unwrap_or_default();
            (name, arguments)
        });
        Ok((base, targets.collect()))
    }

    /// Returns the targets with the names that their templates saw, for an undo.
    pub(crate) fn targets<'a>(&self, common: &'a Common) -> Result<Vec<Target<'a>>, EngineError> {
        let (base, found) = self.found()?;
        let found = found.into_iter().enumerate();
        Ok(found
            .map(|(index, (name, arguments))| {
                let target = Target::new(common, index, name, &base, &arguments);
                names::restore_all(&target, self);
                target
            })
            .collect())
    }

    /// Returns the results of a step, where it has any.
    pub(crate) fn outputs(&self, target_index: usize, step: &str) -> Option<Value> {
        self.value(self.step(target_index, step)?.outputs.as_ref()?)
    }
}

/// Reads and verifies the record of a run.
///
/// # Errors
/// A record that does not verify, or that names no incident.
pub(crate) fn read(run_dir: &Path) -> Result<Past, EngineError> {
    let verified = journal::verify::verify(run_dir, &journal::verify::Outside::default());
    if matches!(verified.exit_code, 1 | 4) {
        let first = verified.findings.first().map_or_else(
            || "it cannot be read".to_owned(),
            |finding| finding.text.clone(),
        );
        return Err(integrity(&first));
    }
    own(run_dir)
}

/// Reads the record of a run that this process itself writes: nobody need verify it to it.
///
/// # Errors
/// A record that cannot be read, or that names no incident.
pub(crate) fn own(run_dir: &Path) -> Result<Past, EngineError> {
    let store = Store::open_existing(run_dir).map_err(|error| integrity(&error.to_string()))?;
    let mut begun: Option<(Past, Fold)> = None;
    let mut nameless = false;
    let mut store = Some(store);
    let head = journal::reader::walk(run_dir, |line| {
        if let Some((past, fold)) = &mut begun {
            past.sealed = line.kind == "seal";
            past.ended_at.clone_from(&line.time);
            past.standing.take(&line.kind, &line.data);
            fold.take(past, &line);
        } else if let Some(store) = store.take() {
            match Past::begin(&line, store) {
                Some(past) => begun = Some((past, Fold::default())),
                None => nameless = true,
            }
        }
    })
    .map_err(|error| integrity(&error.to_string()))?;
    if nameless {
        return Err(integrity("it names no incident"));
    }
    let (mut past, fold) = begun.ok_or_else(|| integrity("its first line is missing"))?;
    fold.finish(&mut past);
    past.head = head;
    Ok(past)
}

fn integrity(message: &str) -> EngineError {
    EngineError::Integrity {
        message: message.to_owned(),
        hint: "azir journal verify RUN, to see every finding".to_owned(),
    }
}
