//! What the writer knows of the intents of its run: which are open, and what may still be said of each.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::entry::BadEntry;

/// The intents of a run.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    states: BTreeMap<u64, State>,
    open: BTreeSet<u64>,
    request_ids: HashSet<String>,
    kinds: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    has_result: bool,
    settled_by_result: bool,
    reconciled: bool,
}

impl Intents {
    /// Refuses a line that could not follow those before it.
    pub(crate) fn allow(&self, kind: &str, data: &Map<String, Value>) -> Result<(), BadEntry> {
        let refuse = |intent, why| Err(BadEntry::Order { intent, why });
        let seq = data
            .get("intent")
            .and_then(Value::as_u64)
            .unwrap_or(u64::MAX);
        let state = self.states.get(&seq);
        match kind {
            "action.intent" => match data.get("client_request_id").and_then(Value::as_str) {
                Some(id) if !is_uuid(id) => {
                    refuse(seq, "its client_request_id is no UUID in lower case")
                }
                Some(id) if self.request_ids.contains(id) => {
                    refuse(seq, "its client_request_id was used before")
                }
                Some(_) => Ok(()),
                None => refuse(seq, "it has no client_request_id"),
            },
            "action.result" | "action.reconcile" => match state {
                None => refuse(seq, "there is no such intent"),
                Some(state)
                    if kind == "action.result" && (state.has_result || state.reconciled) =>
                {
                    refuse(seq, "it has its answer")
                }
                Some(state) if kind == "action.reconcile" && state.settled_by_result => {
                    refuse(seq, "a result settled it")
                }
                Some(_) if settles(kind, data).is_none() => {
                    refuse(seq, "the answer is none of those that there are")
                }
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Takes notice of a line.
    pub(crate) fn take(&mut self, seq: u64, kind: &str, data: &Map<String, Value>) {
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        if kind == "action.intent" {
            self.states.insert(seq, State::default());
            self.open.insert(seq);
            self.request_ids.extend(
                data.get("client_request_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            return;
        }
        let (Some(settled), Some(intent)) = (
            settles(kind, data),
            data.get("intent").and_then(Value::as_u64),
        ) else {
            return;
        };
        let Some(state) = self.states.get_mut(&intent) else {
            return;
        };
        match kind {
            "action.result" => {
                state.has_result = true;
                state.settled_by_result = settled;
            }
            _ => state.reconciled = true,
        }
        if settled {
            self.open.remove(&intent);
        }
    }

    /// Returns the intents that are open, ascending.
    pub(crate) fn open(&self) -> Value {
        self.open.iter().copied().map(Value::from).collect()
    }

    /// Returns how many intents may still get a result.
    pub(crate) fn awaiting(&self) -> u64 {
        self.open.len() as u64
    }

    /// Returns how many lines of each type there are, the seal that is about to be written included.
    pub(crate) fn with_seal(&self) -> Value {
        let mut kinds = self.kinds.clone();
        *kinds.entry("seal".to_owned()).or_default() += 1;
        kinds
            .into_iter()
            .map(|(kind, n)| serde_json::json!({"type": kind, "n": n}))
            .collect()
    }

    /// Returns whether a seal is among the lines.
    pub(crate) fn sealed(&self) -> bool {
        self.kinds.contains_key("seal")
    }
}

fn is_uuid(text: &str) -> bool {
    Uuid::parse_str(text).is_ok_and(|id| id.to_string() == text)
}

/// Returns whether a line settles its intent; `None` where it is no answer at all.
fn settles(kind: &str, data: &Map<String, Value>) -> Option<bool> {
    let word = |name: &str| data.get(name).and_then(Value::as_str);
    match (kind, word("outcome"), word("found")) {
        ("action.result", Some("ok" | "failed"), _)
        | ("action.reconcile", _, Some("yes" | "no")) => Some(true),
        ("action.result", Some("unknown"), _) | ("action.reconcile", _, Some("undecidable")) => {
            Some(false)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn an_intent_is_answered_once_and_reconciled_only_while_nothing_settled_it() {
        let id = "00000000-0000-4000-8000-000000000001";
        let intent = object(json!({"client_request_id": id}));
        let mut intents = Intents::default();
        intents.allow("action.intent", &intent).unwrap();
        intents.take(3, "action.intent", &intent);
        assert!(intents.allow("action.intent", &intent).is_err());
        let result = |outcome: &str| object(json!({"intent": 3, "outcome": outcome}));
        let found = |found: &str| object(json!({"intent": 3, "found": found}));
        assert!(intents.allow("action.result", &result("perhaps")).is_err());
        intents.take(4, "action.result", &result("unknown"));
        assert_eq!(intents.open(), json!([3]));
        assert!(intents.allow("action.result", &result("ok")).is_err());
        intents
            .allow("action.reconcile", &found("undecidable"))
            .unwrap();
        intents.take(5, "action.reconcile", &found("yes"));
        assert_eq!(intents.open(), json!([]));
        assert!(
            intents
                .allow(
                    "action.result",
                    &object(json!({"intent": 9, "outcome": "ok"}))
                )
                .is_err()
        );
        assert_eq!(
            intents.with_seal()[2],
            json!({"type": "action.result", "n": 1})
        );
    }
}
