//! Writes what happens into the journal, in the journal's words, before or after it happens as JOURNAL.md asks.
//!
//! Large values go to evidence and are cited; secrets are replaced before anything is hashed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::{EngineError, chain};
use super::failure::Failure;
use super::standing::Standing;
use super::witness::{Attendance, Missing};
use crate::digest::Digest;
use crate::evidence::Store;
use crate::journal::{Actor, Entry, Writer, entry, redact};
use crate::random::Random;
use crate::secret::redact_text;

/// Values above this many bytes are cited from evidence instead of written into the line.
const INLINE_BYTES: usize = 8 * 1024;

/// The journal and evidence of one run.
pub(crate) struct Recorder {
    pub(crate) writer: Writer,
    pub(crate) store: Store,
    random: Arc<dyn Random>,
    exhibit_prefix: String,
    exhibits: AtomicU32,
    /// Taken when the session ends.
    attendance: tokio::sync::Mutex<Attendance>,
    standing: Mutex<Standing>,
    patience: Duration,
}

/// How long the end of a session waits for its witnesses: a touch, or an authority far away, and no longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Whether the end of a session closes the run for good, and what the seal says then.
#[derive(Clone, Debug)]
pub(crate) enum Seal {
    /// It does not: something may still be added.
    No,
    /// It does, unless a witness is missing.
    IfVouched(Map<String, Value>),
    /// It does.
    Yes(Map<String, Value>),
}

/// How a session ended.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// How many entries the run has.
    pub(crate) entries: u64,
    /// Who does not vouch for the last checkpoint.
    pub(crate) missing: Vec<Missing>,
}

/// A citation of an evidence object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Cite {
    /// The object's digest, its name.
    pub(crate) sha256: Digest,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Cite {
    /// Returns the citation as the journal has it.
    pub(crate) fn value(self) -> Value {
        json!({"sha256": self.sha256.to_string(), "size": self.size})
    }
}

/// Results as the record has them.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// In evidence.
    Cited(Cite),
    /// In the line itself, as JSON text: an object a time would cost a flush a time.
    Text(Box<str>),
}

impl Kept {
    /// Returns it as the journal has it.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Cited(cite) => cite.value(),
            Self::Text(text) => Value::String(text.to_string()),
        }
    }
}

impl Recorder {
    /// Takes over a run's journal and evidence.
    pub(crate) fn new(
        writer: Writer,
        store: Store,
        random: Arc<dyn Random>,
        exhibit_prefix: String,
        attendance: Attendance,
    ) -> Self {
        Self {
            writer,
            store,
            random,
            exhibit_prefix,
            exhibits: AtomicU32::new(0),
            attendance: tokio::sync::Mutex::new(attendance),
            standing: Mutex::default(),
            patience: PATIENCE,
        }
    }

    /// Goes on after the exhibits that earlier sessions of the run have numbered.
    pub(crate) fn after_exhibits(self, count: u32) -> Self {
        self.exhibits.store(count, Ordering::SeqCst);
        self
    }

    /// Goes on after what earlier sessions of the run have written.
    pub(crate) fn after(self, exhibits: u32, standing: Standing) -> Self {
        let later = Self {
            standing: Mutex::new(standing),
            ..self
        };
        later.after_exhibits(exhibits)
    }

    /// Returns what the lines of this session come to.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note_down(&self, kind: &str, data: &Map<String, Value>) {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(kind, data);
    }

    /// Returns the run's folder.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.writer.run_dir().to_path_buf()
    }

    /// Writes a line by azir; it is on disk when a later durable one is.
    pub(crate) async fn line(
        &self,
        kind: &'static str,
        data: Map<String, Value>,
    ) -> Result<u64, Failure> {
        self.note_down(kind, &data);
        self.writer
            .append(Entry {
                kind,
                actor: Actor::Azir,
                data,
            })
            .await
            .map_err(|error| Failure::record(chain(&error)))
    }

    /// Writes a line by azir and returns when it is on disk.
    pub(crate) async fn durable(
        &self,
        kind: &'static str,
        data: Map<String, Value>,
    ) -> Result<u64, Failure> {
        self.note_down(kind, &data);
        self.writer
            .append_durable(Entry {
                kind,
                actor: Actor::Azir,
                data,
            })
            .await
            .map_err(|error| Failure::record(chain(&error)))
    }

    /// Writes a line by a person.
    pub(crate) async fn person(
        &self,
        upn: &str,
        kind: &'static str,
        data: Map<String, Value>,
    ) -> Result<u64, Failure> {
        self.note_down(kind, &data);
        let actor = Actor::Human {
            upn: upn.to_owned(),
            name: None,
            oid: None,
        };
        self.writer
            .append_durable(Entry { kind, actor, data })
            .await
            .map_err(|error| Failure::record(chain(&error)))
    }

    /// Writes down what reading shows of an attempt whose outcome was not known.
    pub(crate) async fn reconcile(
        &self,
        intent: u64,
        found: bool,
        how: &str,
    ) -> Result<u64, Failure> {
        let found = if found { "yes" } else { "no" };
        let data = object(json!({"intent": intent, "found": found, "how": how}));
        self.line("action.reconcile", data).await
    }

    /// Writes a note of `kind` with further members.
    pub(crate) async fn note(&self, kind: &str, members: Value) -> Result<u64, Failure> {
        let mut data = object(members);
        data.insert("kind".into(), kind.into());
        self.line("note", data).await
    }

    /// Stores JSON as evidence, secrets replaced, and returns its citation.
    pub(crate) fn keep(&self, value: &Value) -> Result<Cite, Failure> {
        let mut value = value.clone();
        self.redact(&mut value);
        let bytes =
            serde_json::to_vec(&value).map_err(|error| Failure::record(error.to_string()))?;
        self.keep_bytes(&bytes)
    }

    /// Keeps small JSON as text for a line, and larger JSON as evidence, secrets replaced.
    pub(crate) fn keep_text(&self, value: &Value) -> Result<Kept, Failure> {
        let mut clean = value.clone();
        self.redact(&mut clean);
        let text = clean.to_string();
        if text.len() <= INLINE_BYTES / 2 {
            return Ok(Kept::Text(text.into_boxed_str()));
        }
        self.keep_bytes(text.as_bytes()).map(Kept::Cited)
    }

    /// Returns JSON that was kept, if it is there.
    pub(crate) fn kept(&self, kept: &Kept) -> Option<Value> {
        match kept {
            Kept::Cited(cite) => serde_json::from_slice(&self.store.get(cite.sha256).ok()?).ok(),
            Kept::Text(text) => serde_json::from_str(text).ok(),
        }
    }

    /// Stores bytes as they are and returns their citation.
    pub(crate) fn keep_bytes(&self, bytes: &[u8]) -> Result<Cite, Failure> {
        let kept = self
            .store
            .put(bytes)
            .map_err(|error| Failure::record(chain(&error)))?;
        Ok(Cite {
            sha256: kept.sha256,
            size: kept.size,
        })
    }

    /// Returns `value` itself where it is small and a journal can hold it, else its citation.
    pub(crate) fn inline_or_cite(&self, value: &Value) -> Result<Value, Failure> {
        let mut value = value.clone();
        self.redact(&mut value);
        if value.to_string().len() <= INLINE_BYTES && entry::takes(&value) {
            return Ok(value);
        }
        Ok(self.keep(&value)?.value())
    }

    /// Replaces the secrets in `value`; returns how many there were.
    pub(crate) fn redact(&self, value: &mut Value) -> u32 {
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        redact::redact(value, &salt)
    }

    /// Returns the next exhibit's number: `<incident>/<run>/E0007`.
    pub(crate) fn next_exhibit(&self) -> String {
        let number = self.exhibits.fetch_add(1, Ordering::SeqCst) + 1;
        format!("{}/E{number:04}", self.exhibit_prefix)
    }

    /// Ends the session: everything on disk, a last checkpoint, shown to every witness; and the run, where `seal` says
    /// so. `tell` hears what a witness waits for.
    ///
    /// Who is missing before the last lines is named in them; who is missing afterwards only in what is returned.
    pub(crate) async fn end(
        &self,
        seal: Seal,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Closed, EngineError> {
        let mut attendance = self.attendance.lock().await;
        let began = tokio::time::Instant::now();
        attendance.pause(self.patience / 3).await;
        let missing = attendance.missing();
        for gap in &missing {
            let since = crate::clock::seconds(gap.since);
            let why = redact_text(&super::calls::cut(&gap.why, 1_000));
            let said = json!({"witness": gap.kind.word(), "since": since, "why": why});
            // A writer that is poisoned says so below.
            let _ = self.note("unvouched", said).await;
        }
        let closed = match seal {
            Seal::Yes(said) => self.writer.seal(said).await,
            Seal::IfVouched(said) if missing.is_empty() => self.writer.seal(said).await,
            Seal::No | Seal::IfVouched(_) => self.writer.close().await,
        };
        let head = closed.map_err(|error| EngineError::record(&error))?;
        let number = *self.writer.checkpoints().borrow();
        for ask in attendance.asks() {
            tell(&ask);
        }
        let left = self.patience.saturating_sub(began.elapsed());
        Ok(Closed {
            entries: head.entries,
            missing: attendance.last(number, left).await,
        })
    }
}

/// Returns the members of an object made by `json!`; anything else is no object and has none.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => without_nulls(members),
        _ => Map::new(),
    }
}

/// Leaves out what is not known: a journal line holds no nulls of its own making.
fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect()
}
