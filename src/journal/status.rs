//! Where each action of a run stands, read from the journal.
//!
//! A status is the fold of an item's events and is stored nowhere else, so show, undo and report
//! cannot disagree with the evidence. Knows events, never Azure.

use std::collections::BTreeMap;

use serde_json::Value;

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

/// An intent whose outcome is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenIntent {
    /// The line of the intent.
    pub seq: u64,
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

/// Returns the intents that no result or reconciliation has closed, in order.
pub fn open_intents<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<OpenIntent> {
    let mut open: BTreeMap<u64, (OpenIntent, Status)> = BTreeMap::new();
    for line in lines {
        let text = |path: &str| {
            let mut value = None;
            for (index, name) in path.split('.').enumerate() {
                value = if index == 0 {
                    line.data.get(name)
                } else {
                    value.and_then(|value: &Value| value.get(name))
                };
            }
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let event = match (
            line.kind.as_str(),
            text("outcome").as_str(),
            text("found").as_str(),
        ) {
            ("action.intent", ..) => {
                let intent = OpenIntent {
                    seq: line.seq,
                    step: text("step"),
                    item: text("item"),
                    method: text("api.method"),
                    target: text("target"),
                    effect: text("effect"),
                    client_request_id: text("client_request_id"),
                };
                open.insert(line.seq, (intent, Status::Unknown));
                continue;
            }
            ("action.result", "ok", _) | ("action.reconcile", _, "yes") => Event::Succeeded,
            ("action.result", "failed", _) | ("action.reconcile", _, "no") => Event::Refused,
            ("action.result" | "action.reconcile", ..) => Event::Lost,
            _ => continue,
        };
        let Some(seq) = line.data.get("intent").and_then(Value::as_u64) else {
            continue;
        };
        if let Some((_, status)) = open.get_mut(&seq) {
            // An illegal event is the verifier's finding; here the earlier status stands.
            *status = status.after(event).unwrap_or(*status);
        }
    }
    open.into_values()
        .filter(|(_, status)| *status == Status::Unknown)
        .map(|(intent, _)| intent)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_goes_from_intent_to_result_and_never_back() {
        let status = Status::default().after(Event::Started).unwrap();
        assert_eq!(status, Status::Unknown);
        assert_eq!(status.after(Event::Lost), Ok(Status::Unknown));
        assert_eq!(status.after(Event::Succeeded), Ok(Status::Done));
        assert!(Status::Done.after(Event::Succeeded).is_err());
        assert!(Status::Pending.after(Event::Refused).is_err());
    }
}
