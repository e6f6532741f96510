//! The client's observer: every attempt is in the journal before it is on the wire.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::event::What;
use super::failure::FailureKind;
use super::power::Teller;
use super::recorder::{Cite, Recorder, object};
use crate::azure::{Call, ClientNote, Effect, Observer, Outcome, OutcomeKind, Refused};
use crate::digest::Digest;
use crate::journal::redact;
use crate::secret::redact_text;

/// What the journal says of every call of one item.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallPlace {
    /// The step's id.
    pub(crate) step: String,
    /// Which target.
    pub(crate) target_index: usize,
    /// The item: a resource id or name.
    pub(crate) item: String,
    /// What for.
    pub(crate) why: String,
    /// How a write is undone.
    pub(crate) undo: Option<String>,
    /// The record that an undo works from: pre-image and change.
    pub(crate) before: Option<Cite>,
}

/// Observes the calls of one item. Without a recorder (a plan) it only counts.
pub(crate) struct Calls {
    recorder: Option<Arc<Recorder>>,
    teller: Teller,
    place: CallPlace,
    attempts: AtomicU32,
    /// Attempts whose effect nobody knows yet, by the lines of their intents.
    unsettled: Mutex<Vec<u64>>,
    /// The last answer of a write, for its undo.
    pub(crate) keep_after: bool,
    /// Whether the bodies hold a secret: then not even their digest is written down.
    unseen: bool,
}

impl Calls {
    /// Observes calls at `place`.
    pub(crate) fn new(recorder: Option<Arc<Recorder>>, teller: Teller, place: CallPlace) -> Self {
        Self {
            recorder,
            teller,
            place,
            attempts: AtomicU32::new(0),
            unsettled: Mutex::default(),
            keep_after: false,
            unseen: false,
        }
    }

    /// Says that the calls write, and which record their undo works from.
    pub(crate) fn writing(mut self, before: Cite, undo: String) -> Self {
        self.place.before = Some(before);
        self.place.undo = Some(undo);
        self
    }

    /// Says that the calls carry a secret.
    pub(crate) fn unseen(mut self) -> Self {
        self.unseen = true;
        self
    }

    /// Observes reads at the same place.
    pub(crate) fn reading(&self, why: &str) -> Self {
        let place = CallPlace {
            why: why.to_owned(),
            undo: None,
            before: None,
            ..self.place.clone()
        };
        Self::new(self.recorder.clone(), self.teller.clone(), place)
    }

    /// Takes down what reading back says of every attempt whose effect was not known.
    pub(crate) async fn reconciled(&self, how: &str) {
        let open = std::mem::take(&mut *self.open());
        for ticket in open {
            self.settled(ticket, how).await;
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn record_intent(&self, recorder: &Recorder, call: &Call) -> Result<u64, Refused> {
        let attempt = self.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        let data = object(json!({
            "client_request_id": call.client_request_id.to_string(),
            "step": self.place.step,
            "target_index": self.place.target_index,
            "item": self.place.item,
            "attempt": attempt,
            "effect": call.effect.word(),
            "target": call.url.path(),
            "api": {"method": call.method.as_str(), "url": redact::clean_url(&call.url), "api_version": call.api_version.clone().unwrap_or_default()},
            "body_sha256": call.body.as_ref().filter(|_| !self.unseen).map(|body| Digest::of(body).to_string()),
            "precondition": call.precondition,
            "before": self.place.before.map(Cite::value),
            "undo": self.place.undo,
            "why": self.place.why,
        }));
        let written = if call.effect == Effect::Read {
            recorder.line("action.intent", data).await
        } else {
            recorder.durable("action.intent", data).await
        };
        written.map_err(|failure| {
            debug_assert_eq!(failure.kind, FailureKind::Record);
            Refused::record(failure.message)
        })
    }

    fn result_data(&self, recorder: &Recorder, ticket: u64, outcome: &Outcome) -> Value {
        let after =
            (self.keep_after && outcome.kind == OutcomeKind::Ok && !outcome.body.is_empty())
                .then(|| serde_json::from_slice::<Value>(&outcome.body).ok())
                .flatten()
                .and_then(|body| recorder.keep(&body).ok());
        json!({
            "intent": ticket,
            "outcome": outcome.kind.word(),
            "status": outcome.status,
            "error_code": outcome.error_code,
            "message": outcome.message.as_deref().map(|text| cut(&redact_text(text), 600)),
            "request_id": outcome.request_id,
            "correlation_request_id": outcome.correlation_request_id,
            "server_date": outcome.server_date,
            "duration_us": outcome.duration_us,
            "operation": outcome.operation.as_ref().map(|operation| json!({
                "host": operation.host,
                "path": operation.path,
                "polls": operation.polls,
                "state": operation.state,
            })),
            "etag": outcome.etag,
            "after": after.map(Cite::value),
        })
    }
}

#[async_trait::async_trait]
impl Observer for Calls {
    async fn intent(&self, call: &Call) -> Result<u64, Refused> {
        if call.effect != Effect::Read && self.teller.halted() {
            return Err(Refused::halted());
        }
        match &self.recorder {
            Some(recorder) => self.record_intent(recorder, call).await,
            None => Ok(0),
        }
    }

    async fn result(&self, ticket: u64, outcome: &Outcome) {
        if outcome.kind == OutcomeKind::Unknown {
            self.open().push(ticket);
        }
        if let Some(recorder) = &self.recorder {
            let data = object(self.result_data(recorder, ticket, outcome));
            // If this cannot be written the intent stays open, which is the truth; the writer
            // is poisoned then, and the next intent is refused.
            let _ = recorder.line("action.result", data).await;
        }
    }

    async fn settled(&self, ticket: u64, how: &str) {
        self.open().retain(|open| *open != ticket);
        if let Some(recorder) = &self.recorder {
            let data = object(json!({"intent": ticket, "found": "yes", "how": how}));
            // As above: a poisoned writer refuses the next intent.
            let _ = recorder.line("action.reconcile", data).await;
        }
    }

    async fn note(&self, note: ClientNote) {
        match note {
            ClientNote::Waiting { why, seconds } => {
                self.teller.tell(What::Waiting { why, seconds });
            }
            other => {
                let text = other.to_string();
                if let Some(recorder) = &self.recorder {
                    let said = json!({"text": text, "step": self.place.step, "target_index": self.place.target_index});
                    // As above: a poisoned writer refuses the next intent.
                    let _ = recorder.note("client", said).await;
                }
                self.teller.tell(What::Note { text });
            }
        }
    }
}

/// Cuts `text` to at most `limit` characters.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
