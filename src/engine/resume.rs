//! Goes on with a run that broke off: where its record leaves it, in a new session of the same journal.
//!
//! What the earlier sessions read and decided stands, and is taken from their evidence. What they wrote is not written
//! again; what nobody knows of is asked of the cloud first. So the end is that of a run that was never disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::bulk::Bulk;
use super::calls::{CallPlace, Calls};
use super::error::EngineError;
use super::event::What;
use super::past::{Past, read};
use super::power::Power;
use super::recorder::{Recorder, object};
use super::request::{Ended, Mode, Responder, RunRequest, Selection};
use super::run::{Engine, carry_out};
use super::schedule::Program;
use super::siblings;
use super::step::wire;
use super::targets::Found;
use super::watch::{self, Watch};
use crate::evidence::Store;
use crate::journal::{JournalError, SessionOpen, Writer, WriterDeps};

/// A run to go on with.
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// Its folder.
    pub run_dir: PathBuf,
    /// What `--choose` said, by step; counts before what was said when the run began.
    pub choices: BTreeMap<String, Selection>,
    /// What `--accept` said, beside what was said when the run began.
    pub accept: BTreeSet<String>,
    /// Whether questions take their defaults.
    pub yes: bool,
    /// Who answers for the session.
    pub responder: Responder,
}

impl Engine {
    /// Goes on with a run.
    ///
    /// # Errors
    /// A run that is sealed, was written by an undo, or acted in another tenant; a record that does not verify.
    pub async fn resume(&mut self, request: ResumeRequest) -> Result<Ended, EngineError> {
        let past = read(&request.run_dir)?;
        refuse_ended(&past)?;
        self.keep_out_of_production(past.is_drill())?;
        let (said, _) = self.said(&past.incident);
        super::desk::refuse_closed(&past.incident, &said)?;
        self.same_tenant(&past).await?;
        // Templates see the tenant as the run began with it; so must what is not a template.
        if let Some(profile) = past
            .start
            .get("profile")
            .and_then(|cited| past.value(cited))
            && let Ok(profile) = serde_json::from_value(profile)
        {
            self.profile = profile;
        }
        let program = past.program()?;
        let mut run_request = asked(&past, &program, &request);
        run_request.clearances.clone_from(&said.clearances);
        let run = past
            .run
            .parse()
            .map_err(|_| integrity(&format!("{} is no run's id", past.run)))?;
        let (base, targets) = past.found()?;
        let recorder = self.go_on(&request, &past)?;
        for intent in &past.open_reads {
            let how = "it only reads, and was cut off; whoever needs it asks again";
            settled(recorder.reconcile(*intent, false, how).await)?;
        }
        let power = Power::Act {
            client: self.client.clone(),
            recorder: Arc::clone(&recorder),
        };
        let found = Found { targets };
        let teller = self.teller(run);
        self.tell_start(&teller, &run_request, &program, &found, &recorder);
        let text = format!(
            "this run goes on where its record ends, at line {}",
            past.head.entries
        );
        teller.tell(What::Note { text });
        let mut common = self.common(&run_request, program, power, teller, run);
        common.vault = self.vault(&common).await;
        common.channels = self.channels.clone();
        self.settle_stored(&past, &common, &recorder).await?;
        common.past = Some(past);
        let ended = carry_out(&common, &base, found.targets).await;
        watch::to_the_end(common, &base, &recorder, ended).await
    }

    /// Opens the next session of the run's journal.
    fn go_on(&self, request: &ResumeRequest, past: &Past) -> Result<Arc<Recorder>, EngineError> {
        let run_dir = &request.run_dir;
        let store = Store::open(run_dir).map_err(|error| EngineError::Record {
            message: super::error::chain(&error),
            hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
        })?;
        let data = object(json!({
            "reason": "resume",
            "host": self.tool.host,
            "tool": object(json!({"name": "azir", "version": self.tool.version, "binary_sha256": self.tool.binary_sha256})),
            "answers": answers(&request.choices, &request.accept, &BTreeSet::new(), request.yes),
            "seen": siblings::seen(run_dir, &store)?,
        }));
        let open = SessionOpen {
            responder: request.responder.upn.clone(),
            data,
        };
        let deps = WriterDeps::real(Arc::clone(&self.clock), Arc::clone(&self.random));
        let writer = Writer::open_session(run_dir, open, deps).map_err(|error| match error {
            JournalError::Sealed => sealed(past),
            JournalError::Corrupt { .. } => EngineError::Integrity {
                message: error.to_string(),
                hint: format!(
                    "azir journal verify {}; then run the command again, as a new run of the incident",
                    past.run
                ),
            },
            error => EngineError::record(&error),
        })?;
        let prefix = format!("{}/{}", past.incident, past.run);
        Ok(self.recorder_after(writer, store, prefix, past))
    }

    /// Reads of every exhibit that was being stored when the run broke off whether the vault has it.
    async fn settle_stored(
        &self,
        past: &Past,
        common: &super::target::Common,
        recorder: &Arc<Recorder>,
    ) -> Result<(), EngineError> {
        let Some(vault) = &common.vault else {
            return Ok(());
        };
        for (intent, path) in &past.open_stores {
            let place = CallPlace {
                why: "whether the vault took it".into(),
                ..CallPlace::default()
            };
            let calls = Calls::new(Some(Arc::clone(recorder)), common.teller.clone(), place);
            let url = format!("{}{path}", vault.endpoint);
            let there = match wire::hash_blob(&self.client, &url, &calls).await {
                Ok(_) => true,
                Err(failure) if failure.code == "BlobNotFound" => false,
                // It stays unknown, which the record says.
                Err(_) => continue,
            };
            let how = "the blob was looked for in the vault";
            settled(recorder.reconcile(*intent, there, how).await)?;
        }
        Ok(())
    }
}

/// Returns what was said beforehand, as the journal has it.
pub(super) fn answers(
    choices: &BTreeMap<String, Selection>,
    accept: &BTreeSet<String>,
    over_guards: &BTreeSet<String>,
    yes: bool,
) -> Value {
    let choices = choices.iter().map(|(step, selection)| {
        let value = match selection {
            Selection::All => json!("all"),
            Selection::None => json!("none"),
            Selection::Ids(ids) => json!(ids),
        };
        json!({"step": step, "choice": value})
    });
    json!({"choices": choices.collect::<Vec<_>>(), "accept": accept, "over_guards": over_guards, "yes": yes})
}

/// Reads what was said beforehand, as the journal has it: choices by step, and the steps whose consent was given.
#[must_use]
pub fn said_before(answers: &Value) -> (BTreeMap<String, Selection>, BTreeSet<String>) {
    let all = answers["choices"].as_array();
    let choices = all.into_iter().flatten().map(|one| {
        let selection = match &one["choice"] {
            Value::String(word) if word == "all" => Selection::All,
            Value::Array(ids) => Selection::Ids(texts(ids)),
            _ => Selection::None,
        };
        let step = one["step"].as_str().unwrap_or_default();
        (step.to_owned(), selection)
    });
    let accept = answers["accept"].as_array();
    let accept = accept.map(|all| texts(all)).unwrap_or_default();
    (choices.collect(), accept.into_iter().collect())
}

/// Returns what was asked for when the run began, with what is said now.
fn asked(past: &Past, program: &Program, request: &ResumeRequest) -> RunRequest {
    let begun = past.start.get("answers").cloned().unwrap_or_default();
    let (mut choices, mut accept) = said_before(&begun);
    choices.extend(request.choices.clone());
    accept.extend(request.accept.clone());
    let list = |name: &str| {
        begun[name]
            .as_array()
            .map(|all| texts(all))
            .unwrap_or_default()
    };
    let authority = |name: &str| {
        let said = past.start.get("authority").and_then(|all| all.get(name));
        said.and_then(Value::as_str).map(str::to_owned)
    };
    let arguments = past
        .start
        .get("parameters")
        .and_then(|cited| past.value(cited));
    let arguments = arguments.and_then(|value| serde_json::from_value(value).ok());
    let detected_at = past.says("detected_at").parse().ok();
    RunRequest {
        runbook: Arc::clone(&program.frames[0].runbook),
        text: Arc::clone(&program.frames[0].text),
        origin: "journal".to_owned(),
        arguments: arguments.unwrap_or_default(),
        targets: past.target_names(),
        bulk: Bulk {
            max_failures: past
                .start
                .get("max_failures")
                .and_then(Value::as_u64)
                .and_then(|most| usize::try_from(most).ok()),
            together: past.start.get("together") == Some(&Value::Bool(true)),
            watch: past.start.get("watch").and_then(|watch| {
                Some(Watch {
                    span: std::time::Duration::from_secs(watch["seconds"].as_u64()?),
                    reapply: watch["reapply"] == true,
                })
            }),
            ..Bulk::default()
        },
        once: None,
        incident: past.incident.clone(),
        mode: if past.is_drill() {
            Mode::Drill
        } else {
            Mode::Execute
        },
        choices,
        accept,
        yes: request.yes || begun["yes"] == true,
        responder: request.responder.clone(),
        authority: authority("basis"),
        ticket: authority("ticket"),
        detected_at,
        over_guards: list("over_guards").into_iter().collect(),
        approved: None,
        clearances: Vec::new(),
        prove_checks: false,
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    let texts = values.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn refuse_ended(past: &Past) -> Result<(), EngineError> {
    if past.says("mode") == "undo" {
        let of = past.start.get("of").and_then(|of| of["run"].as_str());
        return Err(EngineError::Usage {
            message: format!(
                "run {} is an undo: it is not gone on with, but made again",
                past.run
            ),
            hint: format!("azir undo {}", of.unwrap_or("RUN")),
        });
    }
    if past.sealed {
        return Err(sealed(past));
    }
    Ok(())
}

fn sealed(past: &Past) -> EngineError {
    EngineError::Usage {
        message: format!(
            "run {} has ended and is sealed: nothing of it is left to do",
            past.run
        ),
        hint: format!("azir show {}", past.run),
    }
}

fn settled(written: Result<u64, super::failure::Failure>) -> Result<(), EngineError> {
    written.map(|_| ()).map_err(|failure| EngineError::Record {
        message: failure.message,
        hint: failure.hint,
    })
}

fn integrity(message: &str) -> EngineError {
    EngineError::Integrity {
        message: message.to_owned(),
        hint: "azir journal verify RUN, to see every finding".to_owned(),
    }
}
