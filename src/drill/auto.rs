//! `--auto`: azir answers the attack by itself, with the scenario's runbooks and the choices that it names, and puts
//! everything back when it was judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::kept::Kept;
use super::scenario::{AutoRun, Scenario};
use crate::engine::{Engine, EngineError, Mode, Responder, RunRequest, Selection, UndoRequest};
use crate::ids::IncidentId;
use crate::report::cases;
use crate::runbook::expr::{Expressions, Scope};
use crate::runbook::model::ParamKind;

/// What is asked of the engine.
pub struct Auto<'a> {
    /// Carries it out; its cases are those of the drill.
    pub engine: &'a Engine,
    /// What is done.
    pub scenario: &'a Scenario,
    /// The drill's case.
    pub incident: &'a IncidentId,
    /// What templates see.
    pub scope: &'a Scope,
    /// When the clock started.
    pub emitted_at: DateTime<Utc>,
    /// Who answers for it.
    pub responder: Responder,
}

/// A run that could not begin: which runbook, and why.
pub struct NotBegun {
    /// The runbook.
    pub runbook: String,
    /// Why.
    pub error: EngineError,
}

impl Auto<'_> {
    /// Does what the scenario says, one run after the other. One that does not begin keeps no other from it.
    pub async fn answer(&self) -> Vec<NotBegun> {
        let mut not_begun = Vec::new();
        for run in &self.scenario.auto {
            // Whoever stops one run wants no other begun.
            if *self.engine.halt.borrow() {
                break;
            }
            let outcome = match self.request(run) {
                Ok(request) => self.engine.run(request).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                not_begun.push(NotBegun {
                    runbook: run.run.clone(),
                    error,
                });
            }
        }
        not_begun
    }

    /// Puts back what every run changed, the last one first.
    pub async fn undo(&self) -> Vec<NotBegun> {
        let case = self.engine.cases.join(self.incident.as_str());
        let mut not_begun = Vec::new();
        let kept = Kept::read(&case);
        for run in kept.of_runbooks().collect::<Vec<_>>().into_iter().rev() {
            if *self.engine.halt.borrow() {
                break;
            }
            let lasting = self.scenario.is_lasting(&run.report.runbook.name);
            if run.report.undo.is_none() || lasting {
                continue;
            }
            let request = UndoRequest {
                run_dir: Path::new(&run.report.journal.path).to_path_buf(),
                choices: BTreeMap::new(),
                accept: BTreeSet::new(),
                yes: true,
                over_drift: false,
                clearance: Some("the drill is over and was judged".to_owned()),
                responder: self.responder.clone(),
                authority: None,
                ticket: None,
            };
            if let Err(error) = self.engine.undo(request).await {
                not_begun.push(NotBegun {
                    runbook: run.report.runbook.name.clone(),
                    error,
                });
            }
        }
        not_begun
    }

    fn request(&self, run: &AutoRun) -> Result<RunRequest, EngineError> {
        let wrong = |message: String| EngineError::Usage {
            message: format!(
                "scenario {}, auto {}: {message}",
                self.scenario.name, run.run
            ),
            hint: "azir drill list".to_owned(),
        };
        let expressions = Expressions::new();
        let text = |template: &str| {
            let text = expressions.text(template, self.scope);
            text.map_err(|error| wrong(error.to_string()))
        };
        let loaded = self.engine.catalogue.load(&run.run);
        let (runbook, source) = loaded.map_err(|error| wrong(error.to_string()))?;
        let mut request = RunRequest::of(
            (runbook, source),
            self.incident.clone(),
            self.responder.clone(),
        );
        for (name, template) in &run.with {
            let typed = text(template)?;
            let param = request.runbook.params.get(name);
            let param = param.ok_or_else(|| wrong(format!("it takes no {name}")))?;
            let value = match &param.kind {
                ParamKind::Bool => Ok(json!(typed == "true")),
                ParamKind::List(of) => typed.split(',').map(|one| of.parse(one.trim())).collect(),
                kind => kind.parse(&typed),
            };
            let value = value.map_err(|why| wrong(format!("{name}: {why}")))?;
            request.arguments.insert(name.clone(), value);
        }
        if let Some(target) = &run.target {
            request.targets = vec![text(target)?];
        }
        for (step, chosen) in &run.choose {
            let chosen = expressions
                .value(chosen, self.scope)
                .map_err(|error| wrong(error.to_string()))?;
            request.choices.insert(step.clone(), selection(&chosen));
        }
        request.accept = run.accept.iter().cloned().collect();
        request.mode = Mode::Drill;
        request.yes = true;
        request.prove_checks = true;
        request.detected_at = Some(self.emitted_at);
        request.authority = Some(format!("drill of scenario {}", self.scenario.name));
        Ok(request)
    }
}

/// Returns a choice as `--choose` would say it.
fn selection(chosen: &Value) -> Selection {
    match chosen {
        Value::String(word) if word == "all" => Selection::All,
        Value::String(word) if word == "none" => Selection::None,
        Value::String(one) => Selection::Ids(vec![one.clone()]),
        Value::Array(ids) => {
            let ids = ids.iter().filter_map(|id| id.as_str().map(str::to_owned));
            Selection::Ids(ids.collect())
        }
        _ => Selection::None,
    }
}

/// Returns whether a case has a run that somebody is writing: a drill is not judged under their hands.
pub fn run_under_way(case: &Path) -> Option<String> {
    let held = cases::of_case(case)
        .into_iter()
        .find(|run| crate::journal::reader::is_held(run));
    held.and_then(|run| cases::id_of(&run))
}
