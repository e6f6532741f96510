//! Puts back what a run changed: a new run, each target in reverse order and many of them side by side, from the
//! pre-images of the old one's record.
//!
//! What somebody changed since is shown and refused unless `--over-drift`; what is already as it was
//! is left alone. Nothing is computed anew: results of steps come from the old run's evidence.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::clearance;
use super::ending::{End, finish};
use super::error::EngineError;
use super::opening::{Unopened, incident_says};
use super::past::{Past, read};
use super::plan::{Plan, PlanStep, PlanTarget, Preflight, Verdict};
use super::power::{Power, Teller};
use super::preflight::Meant;
use super::recorder::{Recorder, object};
use super::request::{Ended, Mode, RunRequest, UndoRequest};
use super::run::{Engine, TARGETS_AT_ONCE};
use super::schedule::Program;
use super::siblings;
use super::target::{Common, Target};
use super::undo_item;
use super::undo_standing::{Change, Standing};
use crate::azure::Identity;
use crate::evidence::Store;
use crate::journal::{RunStart, Writer, WriterDeps};
use crate::report::incident::Incident;

impl Engine {
    /// Undoes a run.
    pub async fn undo(&self, request: UndoRequest) -> Result<Ended, EngineError> {
        let old = read_to_undo(&request.run_dir)?;
        self.keep_out_of_production(old.is_drill())?;
        let (said, _) = self.said(&old.incident);
        super::desk::refuse_closed(&old.incident, &said)?;
        self.same_tenant(&old).await?;
        let program = old.undo_program()?;
        let run = self.random.uuid();
        let identity = self.identity().await?;
        let stand_in = self.stand_in(&request, &old, &program);
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let looking = self.common(
            &stand_in,
            old.undo_program()?,
            Power::Plan(self.client.reader().clone()),
            teller,
            run,
        );
        let targets = old.targets(&looking)?;
        let changes = look(&targets, &old, !request.yes).await?;
        drop(targets);
        clearance::refuse_uncleared(&request, &old, &said.clearances, &changes)?;
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
            let plan = self
                .undo_plan(&request, &old, &said, &changes, (&identity, &looking))
                .await;
            match self.ask.confirm(&plan).await {
                Some(true) => {}
                Some(false) => return Err(EngineError::Declined),
                None => return Err(EngineError::Unattended),
            }
        }
        let recorder = self.open_undo(&request, &old, &identity, run, &said)?;
        if let Some(text) = &request.clearance {
            let mut decided = Value::Object(clearance::decision(
                &old.target_names(),
                text,
                &request.responder.upn,
            ));
            recorder.redact(&mut decided);
            let written = recorder
                .person(&request.responder.upn, "decision", object(decided))
                .await;
            written.map_err(|failure| EngineError::Record {
                message: failure.message,
                hint: failure.hint,
            })?;
        }
        let power = Power::Act {
            client: self.client.clone(),
            recorder: Arc::clone(&recorder),
        };
        let common = self.common(&stand_in, program, power, self.teller(run), run);
        undo_item::tell_start(&common, &old, &recorder);
        let targets = old.targets(&common)?;
        let mut ends: Vec<End> = futures_util::stream::iter(&targets)
            .map(|target| undo_item::carry_out(target, &old, request.over_drift))
            .buffer_unordered(TARGETS_AT_ONCE)
            .collect()
            .await;
        ends.sort_by_key(|end| end.index);
        drop(targets);
        finish(&common, &recorder, ends).await
    }

    /// Finds out what an undo would do. Sends no write.
    pub async fn plan_undo(&self, request: &UndoRequest) -> Result<Plan, EngineError> {
        let old = read_to_undo(&request.run_dir)?;
        self.keep_out_of_production(old.is_drill())?;
        self.same_tenant(&old).await?;
        let identity = self.identity().await?;
        let run = self.random.uuid();
        let program = old.undo_program()?;
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
        let (said, _) = self.said(&old.incident);
        let changes = look(&targets, &old, true).await?;
        drop(targets);
        Ok(self
            .undo_plan(request, &old, &said, &changes, (&identity, &common))
            .await)
    }

    /// Refuses to undo in another tenant or cloud than the run acted in.
    pub(super) async fn same_tenant(&self, old: &Past) -> Result<(), EngineError> {
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
    fn stand_in(&self, request: &UndoRequest, old: &Past, program: &Program) -> RunRequest {
        let frame = &program.frames[0];
        let own = (Arc::clone(&frame.runbook), Arc::clone(&frame.text));
        RunRequest {
            origin: "journal".to_owned(),
            mode: if old.is_drill() {
                Mode::Drill
            } else {
                Mode::Execute
            },
            choices: request.choices.clone(),
            accept: request.accept.clone(),
            yes: request.yes,
            authority: request.authority.clone(),
            ticket: request.ticket.clone(),
            ..RunRequest::of(own, old.incident.clone(), request.responder.clone())
        }
    }

    async fn undo_plan(
        &self,
        request: &UndoRequest,
        old: &Past,
        said: &Incident,
        changes: &[(String, Vec<Change>)],
        (identity, common): (&Identity, &Common),
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
            principal: identity.label(),
            deadline_seconds: None,
            targets: Vec::new(),
            preflight: Vec::new(),
        };
        let clearances = &said.clearances;
        for (target, change) in clearance::waiting(request, old, clearances, changes) {
            let text = format!(
                "{} gives back what was taken, and no clearance is recorded since",
                change.title.to_lowercase()
            );
            let answer = Preflight::new("clearance", Verdict::Fail, text);
            plan.preflight.push(answer.of_target(&target));
        }
        for (target, changes) in changes {
            plan.targets.push(PlanTarget {
                target: target.clone(),
                steps: changes.iter().map(plan_step).collect(),
                residual: Vec::new(),
                collateral: Vec::new(),
                error: None,
            });
            for change in changes {
                if let Standing::Drifted(what) = &change.standing {
                    let answer = Preflight::new("drift", Verdict::Fail, what);
                    plan.preflight.push(answer.of_target(target));
                }
            }
        }
        let each = changes.iter().flat_map(|(_, changes)| changes);
        let meant: Vec<Meant> = each.filter_map(|change| change.meant.clone()).collect();
        // Whatever cannot be put back, the rest is; and what the run has read there is not read again.
        let answers = self
            .preflight(common, identity, &plan, (&meant, &[]), &|_| false)
            .await;
        plan.preflight.extend(answers);
        plan
    }

    fn open_undo(
        &self,
        request: &UndoRequest,
        old: &Past,
        identity: &Identity,
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
        let _unopened = Unopened::new(&run_dir);
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

/// Reads the record of the run to undo, which is no undo itself.
fn read_to_undo(run_dir: &std::path::Path) -> Result<Past, EngineError> {
    let old = read(run_dir)?;
    if old.says("mode") == "undo" {
        return Err(EngineError::Usage {
            message: "this run is itself an undo".to_owned(),
            hint: "run the runbook again to isolate again".to_owned(),
        });
    }
    Ok(old)
}

/// Looks at every write of every target, with the target's name.
async fn look(
    targets: &[Target<'_>],
    old: &Past,
    shown: bool,
) -> Result<Vec<(String, Vec<Change>)>, EngineError> {
    futures_util::stream::iter(targets)
        .map(|target| async {
            let changes = undo_item::look(target, old, shown).await?;
            Ok((target.name.clone(), changes))
        })
        .buffered(TARGETS_AT_ONCE)
        .try_collect()
        .await
}

fn drift(changes: &[(String, Vec<Change>)]) -> Vec<String> {
    changes
        .iter()
        .flat_map(|(_, changes)| changes)
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
        note: change.note(),
    }
}
