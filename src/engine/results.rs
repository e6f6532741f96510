//! What a run hands to a later one: its runbook's results, on its record, and read from there once it verifies.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::EngineError;
use super::failure::FailureKind;
use super::target::Target;
use crate::evidence::Store;
use crate::journal;
use crate::report::cases;
use crate::runbook::expr::Scope;

/// The kind of note that holds a target's results.
const KIND: &str = "results";

impl Target<'_> {
    /// Writes down what the runbook hands on, as far as it is known.
    pub(super) async fn hand_on(&self, scope: &Scope) {
        let runbook = &self.common.program.frames[0].runbook;
        let Some(recorder) = self.common.power.recorder() else {
            return;
        };
        let refused =
            matches!(&self.tally().stopped, Some(failure) if failure.kind == FailureKind::Refused);
        if runbook.result.is_empty() || refused {
            return;
        }
        let mut results = Map::new();
        for (name, template) in &runbook.result {
            // What the run never came to is not handed on.
            if let Ok(value) = self.common.expressions.value(&template.value, scope) {
                results.insert(name.clone(), value);
            }
        }
        let written = match recorder.inline_or_cite(&Value::Object(results)) {
            Ok(results) => {
                let said =
                    json!({"target_index": self.index, "target": self.name, "results": results});
                recorder.note(KIND, said).await.map(|_| ())
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = written {
            self.tally().stopped.get_or_insert(failure);
        }
    }
}

/// Returns what an earlier run handed on: `{id, runbook, incident, started_at, results}`, a result for each target.
///
/// # Errors
/// A run that is not there, whose record does not verify, or that handed nothing on.
pub(super) fn of_run(cases: &Path, id: &str) -> Result<Value, EngineError> {
    let refuse = |message: String| EngineError::Usage {
        message,
        hint: "azir list, then the id of the run".to_owned(),
    };
    let mut found = cases::named(cases, id);
    let folder = match found.len() {
        1 => found.remove(0),
        0 => return Err(refuse(format!("there is no run {id}"))),
        many => return Err(refuse(format!("{id} names {many} runs"))),
    };
    let id = &cases::id_of(&folder).unwrap_or_default();
    let verified = journal::verify::verify(&folder, &journal::verify::Outside::default());
    if matches!(verified.exit_code, 1 | 4) {
        let first = verified.findings.first();
        let first = first.map_or("it cannot be read", |finding| finding.text.as_str());
        return Err(EngineError::Integrity {
            message: first.to_owned(),
            hint: format!("azir journal verify {id}"),
        });
    }
    let unreadable = |message: String| EngineError::Integrity {
        message,
        hint: format!("azir journal verify {id}"),
    };
    let log = journal::read(&folder).map_err(|error| unreadable(error.to_string()))?;
    let store = Store::open_existing(&folder).map_err(|error| unreadable(error.to_string()))?;
    let mut results = Vec::new();
    for line in &log.lines {
        if line.kind != "note" || line.data.get("kind") != Some(&json!(KIND)) {
            continue;
        }
        let given = line.data.get("results").cloned().unwrap_or_default();
        let mut own = whole(&store, given)
            .ok_or_else(|| unreadable("a result is missing from the evidence".to_owned()))?;
        own["target"] = line.data.get("target").cloned().unwrap_or_default();
        results.push(own);
    }
    if results.is_empty() {
        return Err(refuse(format!("run {id} handed nothing on")));
    }
    let first = log.lines.first();
    let start = first.map(|line| line.data.clone()).unwrap_or_default();
    let runbook = crate::json::member(&Value::Object(start.clone()), "runbook.name").cloned();
    Ok(json!({
        "id": id, "runbook": runbook, "incident": start.get("incident"),
        "started_at": first.map(|line| line.time.clone()), "results": results,
    }))
}

/// Returns a value that is either inline or cited from evidence.
fn whole(store: &Store, value: Value) -> Option<Value> {
    if value.get("sha256").is_some() && value.get("size").is_some() {
        let digest = value["sha256"].as_str()?.parse().ok()?;
        return serde_json::from_slice(&store.get(digest).ok()?).ok();
    }
    Some(value)
}
