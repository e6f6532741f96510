//! How a run begins: its journal opened, what it was asked put on record, its witnesses and its vault found.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{CallPlace, Calls};
use super::error::{EngineError, chain};
use super::event::{PlannedStep, What};
use super::failure::Failure;
use super::past::Past;
use super::power::Teller;
use super::recorder::{Recorder, object};
use super::request::RunRequest;
use super::run::Engine;
use super::schedule::{Part, Program};
use super::step;
use super::target::{Common, phase_word};
use super::targets::Found;
use super::vault::VaultPlace;
use super::witness::Attendance;
use crate::azure::Identity;
use crate::evidence::Store;
use crate::journal::{RunStart, Writer, WriterDeps, redact};
use crate::report::incident::Incident;

/// How long containment waits to learn where the vault is.
const VAULT_PATIENCE: Duration = Duration::from_secs(5);

/// The folder of a run of one's own until its journal is there. Without one it is taken away again: it would look as if
/// somebody had taken the journal.
pub(super) struct Unopened(PathBuf);

impl Unopened {
    /// Minds a folder that nobody else knows of: its name is a new id.
    pub(super) fn new(run_dir: &Path) -> Self {
        Self(run_dir.to_path_buf())
    }
}

impl Drop for Unopened {
    fn drop(&mut self) {
        if !self.0.join("seg-000001.jsonl").exists() {
            // What cannot be removed is read later as what it is: no record.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Engine {
    /// Opens the journal of a run: who, what and by whose authority stand in its first line.
    pub(super) fn open(
        &self,
        request: &RunRequest,
        program: &Program,
        found: &Found,
        identity: &Identity,
        run: Uuid,
        said: &Incident,
    ) -> Result<Arc<Recorder>, EngineError> {
        let run_dir = self
            .cases
            .join(request.incident.as_str())
            .join(format!("run-{run}"));
        // The id of an approved plan is known to whoever else carries it out.
        let _unopened = request.approved.is_none().then(|| Unopened::new(&run_dir));
        let store = Store::open(&run_dir).map_err(|error| record(&error, &run_dir))?;
        let seen = super::siblings::seen(&run_dir, &store)?;
        let cite = |text: &str| -> Result<Value, EngineError> {
            let kept = store
                .put(text.as_bytes())
                .map_err(|error| record(&error, &run_dir))?;
            Ok(json!({"sha256": kept.sha256.to_string(), "size": kept.size}))
        };
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        // What a person typed may hold a secret, as what a service answers may.
        let clean = |mut value: Value| {
            redact::redact(&mut value, &salt);
            value
        };
        let mut runbook = object(
            json!({"name": request.runbook.name.value, "version": request.runbook.version, "origin": request.origin}),
        );
        runbook.extend(object(cite(&request.text)?));
        let mut called = Vec::new();
        for frame in program.frames.iter().skip(1) {
            let mut one =
                object(json!({"name": frame.runbook.name.value, "version": frame.runbook.version}));
            one.extend(object(cite(&frame.text)?));
            called.push(Value::Object(one));
        }
        let targets = json!(
            found
                .targets
                .iter()
                .map(|(name, arguments)| json!({"target": name, "arguments": arguments}))
                .collect::<Vec<_>>()
        );
        let targets = cite(&clean(targets).to_string())?;
        let names: Vec<&String> = found.targets.iter().map(|(name, _)| name).collect();
        let names = if names.len() <= 20 {
            json!(names)
        } else {
            cite(&json!(names).to_string())?
        };
        let data = object(json!({
            "purpose": request.runbook.purpose,
            "authority": object(json!({
                "basis": clean(json!(request.authority)),
                "ticket": clean(json!(request.ticket)),
                "granted_by": request.approved.as_ref().map(|approved| &approved.granted_by),
            })),
            "approved_plan": match &request.approved {
                Some(approved) => cite(&approved.file)?,
                None => Value::Null,
            },
            "tool": object(json!({"name": "azir", "version": self.tool.version, "binary_sha256": self.tool.binary_sha256})),
            "runbook": runbook,
            "called": called,
            "parameters": cite(&clean(json!(request.arguments)).to_string())?,
            "targets": names,
            "filter": request.bulk.filter,
            "max_failures": request.bulk.max_failures,
            "together": request.bulk.together.then_some(true),
            "watch": request.bulk.watch.map(|watch| json!({"seconds": watch.span.as_secs(), "reapply": watch.reapply})),
            "retries": request.bulk.retries,
            "once": request.once.as_ref().map(|once| json!({
                "key": clean(json!(once.key)),
                "key_sha256": once.digest(),
                "asks": once.asks,
                "words": clean(json!(once.words)),
            })),
            "found": targets,
            "run_names": cite(&self.run_names(request, identity, run, found).to_string())?,
            "profile": cite(&self.profile_names().to_string())?,
            "profile_name": self.profile_name,
            "answers": super::resume::answers(&request.choices, &request.accept, &request.over_guards, request.yes),
            "detected_at": request.detected_at.map(crate::clock::seconds),
            "deadline_seconds": request.runbook.deadline.map(|deadline| deadline.as_secs()),
            "tenant": identity.tenant,
            "cloud": self.client.cloud_name(),
            "principal": object(json!({"oid": identity.oid, "appid": identity.appid, "credential": self.client.credential_name()})),
            "host": self.tool.host,
            "os": self.tool.os,
            "clock": object(json!({"offset_ms": self.client.clock_offset_ms(), "source": "Date header of the cloud"})),
            "incident_says": incident_says(said),
            "seen": seen,
        }));
        let start = RunStart {
            incident: request.incident.clone(),
            run,
            mode: request.mode.word().to_owned(),
            responder: request.responder.upn.clone(),
            responder_name: request.responder.name.clone(),
            responder_oid: request.responder.oid.clone(),
            data,
        };
        let writer = Writer::create(
            &run_dir,
            start,
            WriterDeps::real(Arc::clone(&self.clock), Arc::clone(&self.random)),
        )
        .map_err(|error| EngineError::record(&error))?;
        let prefix = format!("{}/{run}", request.incident);
        Ok(self.recorder(writer, store, prefix))
    }

    /// Returns the recorder of a session that has just begun, its witnesses beside it.
    pub(crate) fn recorder(&self, writer: Writer, store: Store, prefix: String) -> Arc<Recorder> {
        Arc::new(self.attended(writer, store, prefix))
    }

    /// Returns the recorder of a further session of a run.
    pub(super) fn recorder_after(
        &self,
        writer: Writer,
        store: Store,
        prefix: String,
        past: &Past,
    ) -> Arc<Recorder> {
        let recorder = self.attended(writer, store, prefix);
        Arc::new(recorder.after(past.exhibits, past.standing.clone()))
    }

    fn attended(&self, writer: Writer, store: Store, prefix: String) -> Recorder {
        let attendance = Attendance::begin(&writer, &self.witnesses, &self.clock);
        let random = Arc::clone(&self.random);
        Recorder::new(writer, store, random, prefix, attendance)
    }

    pub(super) fn tell_start(
        &self,
        teller: &Teller,
        request: &RunRequest,
        program: &Program,
        found: &Found,
        recorder: &Recorder,
    ) {
        let steps: Vec<PlannedStep> = program
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.part == Part::Whole)
            .map(|(index, node)| {
                let step = program.step(index);
                PlannedStep {
                    id: node.id.clone(),
                    title: step.title.value.clone(),
                    phase: phase_word(step),
                    kind: step::kind_word(step).to_owned(),
                    undo: step::undo_words(step),
                }
            })
            .collect();
        teller.tell(What::RunStarted {
            runbook: request.runbook.name.value.clone(),
            version: request.runbook.version.clone(),
            mode: request.mode.word().to_owned(),
            incident: request.incident.to_string(),
            deadline_seconds: request.runbook.deadline.map(|deadline| deadline.as_secs()),
            targets: found.targets.iter().map(|(name, _)| name.clone()).collect(),
            journal: recorder.run_dir(),
            steps: steps.len(),
            plan: steps,
        });
    }

    /// Finds the vault; one that cannot be found is a gap of every target that would use it.
    pub(super) async fn vault(&self, common: &Common) -> Option<VaultPlace> {
        let vault = self.profile.vault.as_ref()?;
        let calls = Calls::new(
            common.power.recorder().cloned(),
            common.teller.clone(),
            CallPlace {
                why: "find the vault".into(),
                ..CallPlace::default()
            },
        );
        let found = VaultPlace::find(vault, &self.client, &calls);
        let late = self.clock.sleep(VAULT_PATIENCE);
        let found = match futures_util::future::select(Box::pin(found), late).await {
            futures_util::future::Either::Left((found, _)) => found,
            futures_util::future::Either::Right(_) => Err(Failure::failed(
                "vault",
                format!("it was not found within {} s", VAULT_PATIENCE.as_secs()),
                "azir doctor",
            )),
        };
        match found {
            Ok(place) => Some(place),
            Err(failure) => {
                let text = format!(
                    "the evidence vault cannot be found ({}); evidence stays on this machine",
                    failure.message
                );
                if let Some(recorder) = common.power.recorder() {
                    // A poisoned writer refuses the first intent.
                    let _ = recorder.note("gap", json!({"text": text})).await;
                }
                common.teller.tell(What::Gap { text });
                None
            }
        }
    }
}

/// Returns what people said of the incident before the run, so that what it does differently can be seen.
pub(crate) fn incident_says(said: &Incident) -> Value {
    let says = object(json!({
        "detected_at": said.detected_at,
        "authority": said.authority,
        "ticket": said.ticket,
        "lead": said.lead,
    }));
    if says.is_empty() {
        Value::Null
    } else {
        Value::Object(says)
    }
}

fn record(error: &dyn std::error::Error, run_dir: &Path) -> EngineError {
    EngineError::Record {
        message: format!("{}: {}", run_dir.display(), chain(error)),
        hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
    }
}
