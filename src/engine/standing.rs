//! What the end of a run must know of its own lines: gaps, manual tasks that wait, whether anything can be put back.
//!
//! Kept while they are written, so that the end of a run reads nothing again; `azir journal seal` reads them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::journal::status::undoable;

/// What a run's lines come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    gaps: u64,
    /// Manual tasks without a finding: target and step.
    waiting: BTreeSet<(u64, String)>,
    undoable: bool,
    undoes: bool,
    steps: bool,
    ended: bool,
}

impl Standing {
    /// Takes a line.
    pub(crate) fn take(&mut self, kind: &str, data: &Map<String, Value>) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        match kind {
            "action.intent" => self.undoable |= undoable(data),
            "manual" => {
                let index = data.get("target_index").and_then(Value::as_u64);
                let task = (index.unwrap_or(0), text("step").to_owned());
                if data.contains_key("finding") {
                    self.waiting.remove(&task);
                } else {
                    self.waiting.insert(task);
                }
            }
            "note" if text("kind") == "gap" => self.gaps += 1,
            "note" if text("kind") == "result" => self.ended = true,
            "step" => {
                self.steps = true;
                // What an undo wrote is not undone itself: the run that it undid is run again.
                self.undoes |= data.get("undoes") == Some(&Value::Bool(true));
            }
            _ => {}
        }
    }

    /// Returns whether a manual task waits for its finding.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns whether steps were begun and the run did not come to its end.
    pub(crate) fn broke_off(&self) -> bool {
        self.steps && !self.ended
    }

    /// Returns what a seal says of the run.
    pub(crate) fn seal(&self, seen: Value, undone: bool) -> Map<String, Value> {
        let undo_state = match (undone, self.undoable && !self.undoes) {
            (true, _) => "undone",
            (false, true) => "possible",
            (false, false) => "nothing",
        };
        Map::from_iter([
            ("gaps".to_owned(), json!(self.gaps)),
            ("seen".to_owned(), seen),
            ("undo_state".to_owned(), json!(undo_state)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(standing: &mut Standing, kind: &str, data: Value) {
        standing.take(kind, data.as_object().unwrap());
    }

    #[test]
    fn a_manual_task_waits_until_its_finding_is_written_down() {
        let mut standing = Standing::default();
        take(&mut standing, "step", json!({"step": "x"}));
        assert!(standing.broke_off() && !standing.waits());
        take(
            &mut standing,
            "manual",
            json!({"step": "call", "target_index": 1, "left": "nobody"}),
        );
        take(
            &mut standing,
            "manual",
            json!({"step": "call", "target_index": 0, "finding": "done"}),
        );
        assert!(standing.waits());
        take(
            &mut standing,
            "manual",
            json!({"step": "call", "target_index": 1, "finding": "done"}),
        );
        assert!(!standing.waits());
        take(&mut standing, "note", json!({"kind": "result"}));
        assert!(!standing.broke_off());
    }

    #[test]
    fn a_seal_says_what_is_missing_and_what_can_be_put_back() {
        let mut standing = Standing::default();
        let state =
            |standing: &Standing, undone| standing.seal(json!([]), undone)["undo_state"].clone();
        assert_eq!(state(&standing, false), json!("nothing"));
        take(
            &mut standing,
            "action.intent",
            json!({"effect": "update", "undo": "restore"}),
        );
        take(&mut standing, "note", json!({"kind": "gap"}));
        assert_eq!(state(&standing, false), json!("possible"));
        assert_eq!(state(&standing, true), json!("undone"));
        assert_eq!(standing.seal(json!([]), false)["gaps"], json!(1));
        take(&mut standing, "step", json!({"step": "x", "undoes": true}));
        assert_eq!(state(&standing, false), json!("nothing"));
    }
}
