//! Puts back what a run changed: a new run, in reverse order, from the pre-images of the old one's record.
//!
//! What somebody changed since is shown and refused unless `--over-drift`; what is already as it was
//! is left alone. Nothing is computed anew: results of steps come from the old run's evidence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ending::finish;
use super::error::EngineError;
use super::opening::incident_says;
use super::plan::{Plan, PlanStep, PlanTarget, Preflight, Verdict};
use super::power::{Power, Teller};
use super::recorder::{Recorder, object};
use super::request::{Ended, RunRequest, UndoRequest};
use super::run::Engine;
use super::schedule::Program;
use super::siblings;
use super::target::{Common, Target};
use super::undo_item;
use super::undo_standing::{Change, Standing};
use crate::evidence::Store;
use crate::journal::{self, RunStart, Writer, WriterDeps};
use crate::report::incident::Incident;
use crate::runbook::model::Runbook;

/// What the journal of the run to undo says.
pub(crate) struct Old {
    pub(crate) start: Map<String, Value>,
    pub(crate) incident: crate::ids::IncidentId,
    pub(crate) run: String,
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

impl Engine {
    /// Undoes a run.
    pub async fn undo(&self, request: UndoRequest) -> Result<Ended, EngineError> {
        let old = read(&request.run_dir)?;
        self.keep_out_of_production(old.is_drill())?;
        let (said, _) = self.said(&old.incident);
        super::desk::refuse_closed(&old.incident, &said)?;
        self.same_tenant(&old).await?;
        let program = old.program()?;
        let run = self.random.uuid();
        let identity = self.identity().await?;
        let stand_in = self.stand_in(&request, &old, &program);
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let looking = self.common(
            &stand_in,
            old.program()?,
            Power::Plan(self.client.reader().clone()),
            teller,
            run,
        );
        let targets = old.targets(&looking)?;
        let mut changes = Vec::new();
        for target in &targets {
            changes.push(undo_item::look(target, &old).await?);
        }
        let plan = self.undo_plan(&old, &targets, &changes, &identity.label());
        drop(targets);
        let drifted = drift(&changes);
        if !drifted.is_empty() && !request.over_drift {
            return Err(EngineError::Refused {
                code: "drift",
                message: format!("somebody changed it since: {}", drifted.join("; ")),
                target: None,
                hint: format!(
                    "look at what changed, then azir undo {} --over-drift",
                    old.run
                ),
            });
        }
        if !request.yes {
            match self.ask.confirm(&plan).await {
                Some(true) => {}
                Some(false) => return Err(EngineError::Declined),
                None => return Err(EngineError::Unattended),
            }
        }
        let recorder = self.open_undo(&request, &old, &identity, run, &said)?;
        let power = Power::Act {
            client: self.client.clone(),
            recorder: Arc::clone(&recorder),
        };
        let common = self.common(&stand_in, program, power, self.teller(run), run);
        undo_item::tell_start(&common, &old, &recorder);
        let targets = old.targets(&common)?;
        let mut ends = Vec::new();
        for target in &targets {
            ends.push(undo_item::carry_out(target, &old, request.over_drift).await);
        }
        drop(targets);
        finish(&common, &recorder, ends).await
    }

    /// Finds out what an undo would do. Sends no write.
    pub async fn plan_undo(&self, request: &UndoRequest) -> Result<Plan, EngineError> {
        let old = read(&request.run_dir)?;
        self.keep_out_of_production(old.is_drill())?;
        self.same_tenant(&old).await?;
        let identity = self.identity().await?;
        let run = self.random.uuid();
        let program = old.program()?;
        let stand_in = self.stand_in(request, &old, &program);
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let common = self.common(
            &stand_in,
            program,
            Power::Plan(self.client.reader().clone()),
            teller,
            run,
        );
        let targets = old.targets(&common)?;
        let mut changes = Vec::new();
        for target in &targets {
            changes.push(undo_item::look(target, &old).await?);
        }
        Ok(self.undo_plan(&old, &targets, &changes, &identity.label()))
    }

    /// Refuses to undo in another tenant or cloud than the run acted in.
    async fn same_tenant(&self, old: &Old) -> Result<(), EngineError> {
        let identity = self.identity().await?;
        let tenant = old
            .start
            .get("tenant")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if tenant.is_empty() || tenant.eq_ignore_ascii_case(&identity.tenant) {
            return Ok(());
        }
        Err(EngineError::Usage {
            message: format!(
                "the run acted in tenant {tenant}, and azir is signed in to {}",
                identity.tenant
            ),
            hint: format!("az login --tenant {tenant}, or add --lab if it was a lab run"),
        })
    }

    /// Returns the request that the undo's names and choices come from.
    fn stand_in(&self, request: &UndoRequest, old: &Old, program: &Program) -> RunRequest {
        RunRequest {
            runbook: Arc::clone(&program.frames[0].runbook),
            text: Arc::clone(&program.frames[0].text),
            origin: "journal".to_owned(),
            arguments: indexmap::IndexMap::new(),
            targets: Vec::new(),
            incident: old.incident.clone(),
            mode: super::request::Mode::Execute,
            choices: request.choices.clone(),
            accept: request.accept.clone(),
            yes: request.yes,
            responder: request.responder.clone(),
            authority: request.authority.clone(),
            ticket: request.ticket.clone(),
            detected_at: None,
            over_guards: std::collections::BTreeSet::new(),
            approved: None,
        }
    }

    fn undo_plan(
        &self,
        old: &Old,
        targets: &[Target<'_>],
        changes: &[Vec<Change>],
        principal: &str,
    ) -> Plan {
        let mut plan = Plan {
            runbook: format!("undo of {}", old.runbook_name()),
            version: String::new(),
            title: format!("Put back what run {} changed", old.run),
            incident: old.incident.to_string(),
            cloud: self.client.cloud_name().to_owned(),
            tenant: old
                .start
                .get("tenant")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            principal: principal.to_owned(),
            deadline_seconds: None,
            targets: Vec::new(),
            preflight: Vec::new(),
        };
        for (target, changes) in targets.iter().zip(changes) {
            plan.targets.push(PlanTarget {
                target: target.name.clone(),
                steps: changes.iter().map(plan_step).collect(),
                residual: Vec::new(),
                collateral: Vec::new(),
                error: None,
            });
            for change in changes {
                if let Standing::Drifted(what) = &change.standing {
                    plan.preflight.push(Preflight {
                        what: "drift".to_owned(),
                        verdict: Verdict::Fail,
                        text: what.clone(),
                        target: Some(target.name.clone()),
                    });
                }
            }
        }
        plan
    }

    fn open_undo(
        &self,
        request: &UndoRequest,
        old: &Old,
        identity: &crate::azure::Identity,
        run: uuid::Uuid,
        said: &Incident,
    ) -> Result<Arc<Recorder>, EngineError> {
        let run_dir = self
            .cases
            .join(old.incident.as_str())
            .join(format!("run-{run}"));
        let mut data = object(json!({
            "of": {"run": old.run, "size": old.head.entries, "chain": old.head.chain.to_string()},
            "purpose": "undo",
            "authority": object(json!({
                "basis": request.authority.as_ref().or(said.authority.as_ref()),
                "ticket": request.ticket.as_ref().or(said.ticket.as_ref()),
            })),
            "incident_says": incident_says(said),
            "clock": object(json!({"offset_ms": self.client.clock_offset_ms(), "source": "Date header of the cloud"})),
            "tool": object(json!({"name": "azir", "version": self.tool.version, "binary_sha256": self.tool.binary_sha256})),
            "tenant": identity.tenant,
            "cloud": self.client.cloud_name(),
            "principal": object(json!({"oid": identity.oid, "appid": identity.appid, "credential": self.client.credential_name()})),
            "host": self.tool.host,
            "os": self.tool.os,
            "over_drift": request.over_drift,
        }));
        for name in ["targets", "runbook"] {
            if let Some(value) = old.start.get(name) {
                data.insert(name.to_owned(), old.carried_over(name, value));
            }
        }
        let store = Store::open(&run_dir).map_err(|error| EngineError::Record {
            message: super::error::chain(&error),
            hint: "free the disk, or name another folder with AZIR_HOME".into(),
        })?;
        data.insert("seen".to_owned(), siblings::seen(&run_dir, &store)?);
        old.copy_cited(&data, &store)?;
        let start = RunStart {
            incident: old.incident.clone(),
            run,
            mode: "undo".to_owned(),
            responder: request.responder.upn.clone(),
            responder_name: request.responder.name.clone(),
            responder_oid: request.responder.oid.clone(),
            data,
        };
        let deps = WriterDeps::real(Arc::clone(&self.clock), Arc::clone(&self.random));
        let writer =
            Writer::create(&run_dir, start, deps).map_err(|error| EngineError::record(&error))?;
        Ok(self.recorder(writer, store, format!("{}/{run}", old.incident)))
    }
}

impl Old {
    /// Whether it was an exercise; its undo is one, too.
    fn is_drill(&self) -> bool {
        self.start.get("mode").and_then(Value::as_str) == Some("drill")
    }

    fn runbook_name(&self) -> String {
        crate::json::member(&Value::Object(self.start.clone()), "runbook.name")
            .and_then(Value::as_str)
            .unwrap_or("a run")
            .to_owned()
    }

    /// Returns the program as it was, from the texts that the old run kept.
    fn program(&self) -> Result<Program, EngineError> {
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

    fn carried_over(&self, name: &str, value: &Value) -> Value {
        if name == "runbook" {
            value.clone()
        } else {
            self.value(value)
                .filter(|value| value.to_string().len() < 8_192)
                .unwrap_or_else(|| value.clone())
        }
    }

    /// Copies what the new run's first line cites, so that its folder stands alone.
    fn copy_cited(&self, data: &Map<String, Value>, store: &Store) -> Result<(), EngineError> {
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
    fn targets<'a>(&self, common: &'a Common) -> Result<Vec<Target<'a>>, EngineError> {
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
        let mut targets = Vec::new();
        for (index, one) in found.as_array().into_iter().flatten().enumerate() {
            let name = one["target"].as_str().unwrap_or_default().to_owned();
            let arguments = one["arguments"].as_object().cloned().unwrap_or_default();
            let target = Target::new(common, index, name, &run, &profile, &arguments);
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
fn read(run_dir: &Path) -> Result<Old, EngineError> {
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
    let start = lines.next().map(|line| line.data).unwrap_or_default();
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

fn drift(changes: &[Vec<Change>]) -> Vec<String> {
    changes
        .iter()
        .flatten()
        .filter_map(|change| match &change.standing {
            Standing::Drifted(what) => Some(what.clone()),
            _ => None,
        })
        .collect()
}

fn plan_step(change: &Change) -> PlanStep {
    PlanStep {
        id: change.step.clone(),
        title: change.title.clone(),
        phase: change.phase.clone(),
        kind: "undo".to_owned(),
        writes: if change.standing.writes() {
            vec![change.line.clone()]
        } else {
            Vec::new()
        },
        undo: String::new(),
        needs_consent: false,
        note: change.standing.note(),
    }
}

fn integrity(message: &str) -> EngineError {
    EngineError::Integrity {
        message: message.to_owned(),
        hint: "azir journal verify RUN, to see every finding".to_owned(),
    }
}
