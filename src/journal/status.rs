//! Where each action of a run stands, read from the journal.
//!
//! A status is the fold of an item's events and is stored nowhere else, so show, undo and report
//! cannot disagree with the evidence. Knows events, never Azure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::reader::Line;

/// How far one action has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Status {
    /// No attempt is on record.
    #[default]
    Pending,
    /// Intent is on record, the result is not: only the cloud knows.
    Unknown,
    /// It took effect.
    Done,
    /// It did not.
    Failed,
}

/// What can happen to an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// An attempt was announced.
    Started,
    /// It took effect.
    Succeeded,
    /// It did not.
    Refused,
    /// Nobody can tell.
    Lost,
}

/// An event that cannot follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{event:?} cannot follow {status:?}")]
pub struct IllegalEvent {
    status: Status,
    event: Event,
}

impl Status {
    /// Returns the status after `event`, refusing one that cannot follow.
    ///
    /// # Errors
    /// A result without an attempt, or a second one.
    pub fn after(self, event: Event) -> Result<Self, IllegalEvent> {
        Ok(match (self, event) {
            (_, Event::Started) | (Self::Unknown, Event::Lost) => Self::Unknown,
            (Self::Unknown, Event::Succeeded) => Self::Done,
            (Self::Unknown, Event::Refused) => Self::Failed,
            (status, event) => return Err(IllegalEvent { status, event }),
        })
    }
}

/// What an action acts on: the place of a status.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Which target of the run, from 0.
    pub target_index: u64,
    /// The step's id.
    pub step: String,
    /// The item of the step, empty where it has one only.
    pub item: String,
}

/// Returns how far each item of each step has come by its last attempt; steps opened with items have them as pending.
///
/// Reads are left out: they change nothing that could stand somewhere.
pub fn statuses<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeMap<Place, Status> {
    let mut statuses: BTreeMap<Place, Status> = BTreeMap::new();
    let mut places: BTreeMap<u64, Place> = BTreeMap::new();
    for line in lines {
        let text = |name: &str| {
            line.data
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let place = |item: &str| Place {
            target_index: line
                .data
                .get("target_index")
                .and_then(Value::as_u64)
                .unwrap_or(0),
            step: text("step").to_owned(),
            item: item.to_owned(),
        };
        if line.kind == "step" && text("state") == "started" {
            let items = line.data.get("items").and_then(Value::as_array);
            for item in items.into_iter().flatten().filter_map(Value::as_str) {
                statuses.entry(place(item)).or_default();
            }
        }
        if line.kind == "action.intent" && text("effect") != "read" {
            let place = place(text("item"));
            let status = statuses.entry(place.clone()).or_default();
            *status = status.after(Event::Started).unwrap_or(*status);
            places.insert(line.seq, place);
        }
        let intent = line.data.get("intent").and_then(Value::as_u64);
        let known = intent
            .and_then(|seq| places.get(&seq))
            .and_then(|place| statuses.get_mut(place));
        if let (Some(event), Some(status)) =
            (answer(&line.kind, text("outcome"), text("found")), known)
        {
            // An illegal event is the verifier's finding; here the earlier status stands.
            *status = status.after(event).unwrap_or(*status);
        }
    }
    statuses
}

/// Returns what a line says came of an attempt, if it is an answer.
fn answer(kind: &str, outcome: &str, found: &str) -> Option<Event> {
    Some(match (kind, outcome, found) {
        ("action.result", "ok", _) | ("action.reconcile", _, "yes") => Event::Succeeded,
        ("action.result", "failed", _) | ("action.reconcile", _, "no") => Event::Refused,
        ("action.result" | "action.reconcile", ..) => Event::Lost,
        _ => return None,
    })
}

/// Returns whether what an intent is about can be put back, by its own words.
pub fn undoable(intent: &Map<String, Value>) -> bool {
    let text = |name: &str| intent.get(name).and_then(Value::as_str).unwrap_or_default();
    let undo = text("undo");
    text("effect") != "read"
        && !undo.is_empty()
        && !undo.starts_with("lasting: ")
        && !undo.starts_with("never")
}

/// An intent whose outcome is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenIntent {
    /// The line of the intent.
    pub seq: u64,
    /// Which target of the run, from 0.
    pub target_index: u64,
    /// The step.
    pub step: String,
    /// The item.
    pub item: String,
    /// `PUT`, `PATCH`, ...
    pub method: String,
    /// The resource.
    pub target: String,
    /// What it does: `read`, `create`, ...
    pub effect: String,
    /// The id under which the provider's log has it.
    pub client_request_id: String,
}

/// The intents that no result or reconciliation has closed so far; holds no others.
#[derive(Clone, Debug, Default)]
pub struct OpenIntents(BTreeMap<u64, OpenIntent>);

impl OpenIntents {
    /// Takes a line.
    pub fn take(&mut self, line: &Line) {
        let word = |value: Option<&Value>| {
            let text = value.and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let text = |name: &str| word(line.data.get(name));
        if line.kind == "action.intent" {
            let api = line.data.get("api");
            let intent = OpenIntent {
                seq: line.seq,
                target_index: line
                    .data
                    .get("target_index")
                    .and_then(Value::as_u64)
                    .unwrap_or(0),
                step: text("step"),
                item: text("item"),
                method: word(api.and_then(|api| api.get("method"))),
                target: text("target"),
                effect: text("effect"),
                client_request_id: text("client_request_id"),
            };
            self.0.insert(line.seq, intent);
            return;
        }
        // What is closed stays closed: an answer after the answer is the verifier's finding.
        if let (Some(Event::Succeeded | Event::Refused), Some(seq)) = (
            answer(&line.kind, &text("outcome"), &text("found")),
            line.data.get("intent").and_then(Value::as_u64),
        ) {
            self.0.remove(&seq);
        }
    }

    /// Returns them in order.
    pub fn into_open(self) -> impl Iterator<Item = OpenIntent> {
        self.0.into_values()
    }
}

/// Returns the intents that no result or reconciliation has closed, in order.
pub fn open_intents<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<OpenIntent> {
    let mut open = OpenIntents::default();
    for line in lines {
        open.take(line);
    }
    open.into_open().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_action_goes_from_intent_to_result_and_never_back() {
        let status = Status::default().after(Event::Started).unwrap();
        assert_eq!(status, Status::Unknown);
        assert_eq!(status.after(Event::Lost), Ok(Status::Unknown));
        assert_eq!(status.after(Event::Succeeded), Ok(Status::Done));
        assert!(Status::Done.after(Event::Succeeded).is_err());
        assert!(Status::Pending.after(Event::Refused).is_err());
    }

    fn line(seq: u64, kind: &str, data: Value) -> Line {
        Line {
            seq,
            time: String::new(),
            mono_us: 0,
            actor: Value::Null,
            session: String::new(),
            kind: kind.to_owned(),
            data: data.as_object().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn each_item_stands_where_its_last_attempt_left_it() {
        let intent = |seq, item: &str| {
            line(
                seq,
                "action.intent",
                json!({"step": "cut", "target_index": 1, "item": item, "effect": "update"}),
            )
        };
        let lines = [
            line(
                1,
                "step",
                json!({"step": "cut", "target_index": 1, "state": "started", "items": ["a", "b", "c", "d"]}),
            ),
            intent(2, "a"),
            line(3, "action.result", json!({"intent": 2, "outcome": "ok"})),
            intent(4, "b"),
            intent(5, "c"),
            line(
                6,
                "action.result",
                json!({"intent": 5, "outcome": "failed"}),
            ),
            line(
                7,
                "action.result",
                json!({"intent": 4, "outcome": "unknown"}),
            ),
            line(
                8,
                "action.intent",
                json!({"step": "look", "effect": "read"}),
            ),
        ];
        let found: Vec<(String, Status)> = statuses(&lines)
            .into_iter()
            .map(|(place, status)| (place.item, status))
            .collect();
        let expected = [
            ("a", Status::Done),
            ("b", Status::Unknown),
            ("c", Status::Failed),
            ("d", Status::Pending),
        ];
        assert_eq!(
            found,
            expected.map(|(item, status)| (item.to_owned(), status))
        );
        assert_eq!(
            open_intents(&lines)
                .iter()
                .map(|intent| intent.seq)
                .collect::<Vec<_>>(),
            [4, 8]
        );
        let settled = line(9, "action.reconcile", json!({"intent": 4, "found": "yes"}));
        let after: Vec<&Line> = lines.iter().chain([&settled]).collect();
        assert_eq!(
            statuses(after.iter().copied()).values().nth(1),
            Some(&Status::Done)
        );
    }
}
