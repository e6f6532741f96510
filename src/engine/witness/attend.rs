//! Witnesses at work beside a session: each is shown the newest checkpoint, in its own task.
//!
//! A slow one skips checkpoints, never delays a write: a later signature covers what an earlier one would have.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Checkpoint, Witness, WitnessKind};
use crate::clock::Clock;
use crate::engine::calls::cut;
use crate::engine::recorder::object;
use crate::journal::format::checkpoint_name;
use crate::journal::{Actor, Entry, Writer};
use crate::secret::redact_text;

/// How long a witness that failed is left alone before it is asked again.
const AGAIN: Duration = Duration::from_secs(20);

/// The witnesses of one session.
pub(crate) struct Attendance {
    run_dir: PathBuf,
    clock: Arc<dyn Clock>,
    attendants: Vec<Attendant>,
}

struct Attendant {
    witness: Arc<dyn Witness>,
    state: Arc<Mutex<State>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// How far one witness has come.
#[derive(Clone, Debug, Default)]
struct State {
    vouched: u64,
    missing: Option<(DateTime<Utc>, String)>,
}

/// A witness that did not vouch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Missing {
    /// Which kind.
    pub(crate) kind: WitnessKind,
    /// Since when it is missing.
    pub(crate) since: DateTime<Utc>,
    /// Why.
    pub(crate) why: String,
}

impl Attendance {
    /// Puts a witness each beside a session that has just begun.
    pub(crate) fn begin(
        writer: &Writer,
        witnesses: &[Arc<dyn Witness>],
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let attendants = witnesses
            .iter()
            .map(|witness| attendant(writer, Arc::clone(witness), Arc::clone(clock)))
            .collect();
        Self {
            run_dir: writer.run_dir().to_path_buf(),
            clock: Arc::clone(clock),
            attendants,
        }
    }

    /// Returns what is missing now.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        self.attendants
            .iter()
            .filter_map(Attendant::missing)
            .collect()
    }

    /// Ends the attendance before the last lines are written, so that no `anchor` line follows them.
    ///
    /// A witness in the middle of an answer is given `patience` to finish it.
    pub(crate) async fn pause(&mut self, patience: Duration) {
        for attendant in &mut self.attendants {
            attendant.stop.send_replace(true);
        }
        let deadline = tokio::time::Instant::now() + patience;
        for attendant in &mut self.attendants {
            if tokio::time::timeout_at(deadline, &mut attendant.task)
                .await
                .is_err()
            {
                attendant.task.abort();
            }
        }
    }

    /// Shows every witness the last checkpoint, all at once, and waits at most `patience` for them.
    ///
    /// Returns what is missing in the end. Their receipts stand nowhere but where they left them: the log is closed.
    pub(crate) async fn last(&self, number: u64, patience: Duration) -> Vec<Missing> {
        let asked = self.attendants.iter().map(|attendant| async {
            let shown = show(&*attendant.witness, &self.run_dir, number, true);
            let answer = tokio::time::timeout(patience, shown).await;
            let answer = answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
            attendant.settle(number, answer.map(|_| ()), self.clock.now());
        });
        futures_util::future::join_all(asked).await;
        self.missing()
    }
}

impl Attendant {
    fn missing(&self) -> Option<Missing> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = state.missing.clone()?;
        Some(Missing {
            kind: self.witness.kind(),
            since,
            why,
        })
    }

    fn settle(&self, number: u64, answer: Result<(), String>, now: DateTime<Utc>) {
        settle(&self.state, number, answer, now);
    }
}

fn attendant(writer: &Writer, witness: Arc<dyn Witness>, clock: Arc<dyn Clock>) -> Attendant {
    let (stop, stopped) = watch::channel(false);
    let state = Arc::new(Mutex::new(State::default()));
    let task = tokio::spawn(attend(
        writer.clone(),
        Arc::clone(&witness),
        Arc::clone(&state),
        stopped,
        clock,
    ));
    Attendant {
        witness,
        state,
        stop,
        task,
    }
}

/// Shows a witness each new checkpoint until it is stopped.
async fn attend(
    writer: Writer,
    witness: Arc<dyn Witness>,
    state: Arc<Mutex<State>>,
    mut stopped: watch::Receiver<bool>,
    clock: Arc<dyn Clock>,
) {
    let mut made = writer.checkpoints();
    let run_dir = writer.run_dir().to_path_buf();
    while !*stopped.borrow() {
        let number = *made.borrow_and_update();
        let answer = show(&*witness, &run_dir, number, false).await;
        let failed = answer.is_err();
        if let Ok(Some(receipt)) = &answer {
            // A writer that is poisoned says so to whoever acts; a receipt alone is no reason to stop.
            let _ = writer.append(anchor(number, witness.kind(), receipt)).await;
        }
        if let Err(why) = &answer
            && is_new(&state)
        {
            // As above. Said once: what is asked for again every few seconds must not fill the record.
            let _ = writer.append(missing(number, witness.kind(), why)).await;
        }
        settle(&state, number, answer.map(|_| ()), clock.now());
        let again = async {
            if failed {
                tokio::time::sleep(AGAIN).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = made.changed() => if changed.is_err() { return },
            () = again => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

async fn show(
    witness: &dyn Witness,
    run_dir: &Path,
    number: u64,
    last: bool,
) -> Result<Option<Value>, String> {
    let path = run_dir.join("cp").join(checkpoint_name(number, "cp"));
    let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    witness
        .vouch(Checkpoint {
            run_dir,
            number,
            text: &text,
            last,
        })
        .await
}

fn settle(state: &Mutex<State>, number: u64, answer: Result<(), String>, now: DateTime<Utc>) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Ok(()) => {
            state.vouched = state.vouched.max(number);
            state.missing = None;
        }
        Err(why) => {
            // Missing since the first refusal, for the reason of the last.
            let since = state.missing.take().map_or(now, |(since, _)| since);
            state.missing = Some((since, why));
        }
    }
}

fn is_new(state: &Mutex<State>) -> bool {
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.missing.is_none()
}

fn missing(checkpoint: u64, kind: WitnessKind, why: &str) -> Entry {
    let text = redact_text(&cut(why, 600));
    Entry {
        kind: "note",
        actor: Actor::Azir,
        data: object(json!({
            "kind": "witness",
            "witness": kind.word(),
            "checkpoint": checkpoint,
            "state": "missing",
            "text": text,
        })),
    }
}

fn anchor(checkpoint: u64, kind: WitnessKind, receipt: &Value) -> Entry {
    Entry {
        kind: "anchor",
        actor: Actor::Azir,
        data: object(json!({"checkpoint": checkpoint, "kind": kind.word(), "receipt": receipt})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::journal::{RunStart, WriterDeps};
    use crate::random::SeededRandom;

    /// Answers at once, with a receipt or a refusal.
    struct Quick(Result<Option<Value>, String>);

    #[async_trait::async_trait]
    impl Witness for Quick {
        fn kind(&self) -> WitnessKind {
            WitnessKind::Worm
        }

        async fn vouch(&self, _: Checkpoint<'_>) -> Result<Option<Value>, String> {
            self.0.clone()
        }
    }

    /// Writes twenty actions beside these witnesses; returns flushes, lines and what the witnesses left in the log.
    async fn acted(witnesses: &[Arc<dyn Witness>]) -> (u64, u64, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let start = RunStart {
            incident: "IR-1".parse().unwrap(),
            run: uuid::Uuid::nil(),
            mode: "execute".to_owned(),
            responder: "alice@contoso.example".to_owned(),
            responder_name: None,
            responder_oid: None,
            data: serde_json::Map::new(),
        };
        let deps = WriterDeps::real(Arc::clone(&clock), Arc::new(SeededRandom::new(1)));
        let run_dir = folder.path().join("run");
        let writer = Writer::create(&run_dir, start, deps).unwrap();
        let mut attendance = Attendance::begin(&writer, witnesses, &clock);
        for _ in 0..20 {
            let data = object(json!({"text": "x"}));
            let entry = |kind| Entry {
                kind,
                actor: Actor::Azir,
                data: data.clone(),
            };
            writer.append_durable(entry("note")).await.unwrap();
            writer.append(entry("note")).await.unwrap();
        }
        attendance.pause(Duration::from_secs(5)).await;
        let (flushes, lines) = (writer.flushes(), writer.head().entries);
        writer.close().await.unwrap();
        let log = crate::journal::read(&run_dir).unwrap();
        let left = log.lines.into_iter().filter(|line| {
            line.kind == "anchor" || line.data.get("kind") == Some(&json!("witness"))
        });
        (flushes, lines, left.map(|line| line.kind).collect())
    }

    #[tokio::test]
    async fn a_witness_costs_no_flush_whatever_it_answers() {
        let (alone, ..) = acted(&[]).await;
        let receipt: Arc<dyn Witness> = Arc::new(Quick(Ok(Some(json!({"uri": "u"})))));
        let refusal: Arc<dyn Witness> = Arc::new(Quick(Err("offline".to_owned())));
        let (with, lines, left) = acted(&[receipt, refusal]).await;
        assert_eq!(with, alone, "of {lines} lines");
        assert_eq!(left.iter().filter(|kind| *kind == "anchor").count(), 1);
        assert_eq!(left.iter().filter(|kind| *kind == "note").count(), 1);
    }
}
