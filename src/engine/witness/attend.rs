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
use crate::engine::recorder::object;
use crate::journal::format::checkpoint_name;
use crate::journal::{Actor, Entry, Writer};

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
pub struct Missing {
    /// Which kind.
    pub kind: WitnessKind,
    /// Since when it is missing.
    pub since: DateTime<Utc>,
    /// Why.
    pub why: String,
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

    /// Returns what the witnesses need of the responder before they can vouch.
    pub(crate) fn asks(&self) -> Vec<String> {
        let asks = |attendant: &Attendant| attendant.witness.asks();
        self.attendants.iter().filter_map(asks).collect()
    }

    /// Ends the attendance before the last lines are written, so that no `anchor` line follows them.
    ///
    /// A witness in the middle of an answer is given `patience` to finish it, if its receipt belongs into the log. A
    /// person's signature does not, and the one over the last checkpoint covers what an earlier one would have.
    pub(crate) async fn pause(&mut self, patience: Duration) {
        for attendant in &mut self.attendants {
            attendant.stop.send_replace(true);
            if attendant.witness.kind() == WitnessKind::Person {
                attendant.task.abort();
            }
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
            let answer = show_last(&*attendant.witness, &self.run_dir, number, patience).await;
            attendant.settle(number, answer, self.clock.now());
        });
        futures_util::future::join_all(asked).await;
        self.missing()
    }
}

impl Drop for Attendance {
    /// A session that ends before its time, by an error, must not be held open by those who watch it.
    fn drop(&mut self) {
        for attendant in &self.attendants {
            attendant.task.abort();
        }
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
        settle(&state, number, answer.map(|_| ()), clock.now());
        let again = async {
            if failed {
                clock.sleep(AGAIN).await;
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

/// Shows a last checkpoint to witnesses without a session, all at once; returns those that do not vouch for it.
pub(crate) async fn show_all(
    run_dir: &Path,
    number: u64,
    witnesses: &[Arc<dyn Witness>],
    clock: &Arc<dyn Clock>,
    patience: Duration,
) -> Vec<Missing> {
    let asked = witnesses.iter().map(|witness| async {
        let answer = show_last(&**witness, run_dir, number, patience).await;
        answer.err().map(|why| Missing {
            kind: witness.kind(),
            since: clock.now(),
            why,
        })
    });
    let answers = futures_util::future::join_all(asked).await;
    answers.into_iter().flatten().collect()
}

async fn show_last(
    witness: &dyn Witness,
    run_dir: &Path,
    number: u64,
    patience: Duration,
) -> Result<(), String> {
    let shown = show(witness, run_dir, number, true);
    let answer = tokio::time::timeout(patience, shown).await;
    answer
        .unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
        .map(|_| ())
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

fn anchor(checkpoint: u64, kind: WitnessKind, receipt: &Value) -> Entry {
    Entry {
        kind: "anchor",
        actor: Actor::Azir,
        data: object(json!({"checkpoint": checkpoint, "kind": kind.word(), "receipt": receipt})),
    }
}
