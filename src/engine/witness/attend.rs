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

/// What one witness lacks.
#[derive(Clone, Debug, Default)]
struct State {
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
    /// A witness in the middle of an answer is given `patience` to finish it: its receipt belongs into the log, and
    /// whether a run seals itself must not depend on how soon a refusal came.
    pub(crate) async fn pause(&mut self, patience: Duration) {
        for attendant in &self.attendants {
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
            let answer = show_last(&*attendant.witness, &self.run_dir, number, patience).await;
            attendant.settle(answer, self.clock.now());
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

    fn settle(&self, answer: Result<(), String>, now: DateTime<Utc>) {
        settle(&self.state, answer, now);
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

/// Shows a witness each new checkpoint until it is stopped; the first one also in a session that ends at once.
async fn attend(
    writer: Writer,
    witness: Arc<dyn Witness>,
    state: Arc<Mutex<State>>,
    mut stopped: watch::Receiver<bool>,
    clock: Arc<dyn Clock>,
) {
    let mut made = writer.checkpoints();
    let run_dir = writer.run_dir().to_path_buf();
    loop {
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
        settle(&state, answer.map(|_| ()), clock.now());
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
        if *stopped.borrow() {
            return;
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

fn settle(state: &Mutex<State>, answer: Result<(), String>, now: DateTime<Utc>) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Ok(()) => {
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
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::clock::ManualClock;
    use crate::journal::{RunStart, WriterDeps, reader};
    use crate::random::SeededRandom;

    /// What a fake witness does when it is asked: one after the other, then the last for ever.
    #[derive(Clone)]
    enum Does {
        Hangs,
        Refuses(&'static str),
        Vouches,
    }

    struct Fake {
        kind: WitnessKind,
        does: Mutex<VecDeque<Does>>,
        asked: Mutex<Vec<(u64, bool)>>,
    }

    impl Fake {
        fn new(kind: WitnessKind, does: &[Does]) -> Arc<Self> {
            Arc::new(Self {
                kind,
                does: Mutex::new(does.iter().cloned().collect()),
                asked: Mutex::default(),
            })
        }

        fn asked(&self) -> Vec<(u64, bool)> {
            self.asked.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Witness for Fake {
        fn kind(&self) -> WitnessKind {
            self.kind
        }

        async fn vouch(&self, checkpoint: Checkpoint<'_>) -> Result<Option<Value>, String> {
            self.asked
                .lock()
                .unwrap()
                .push((checkpoint.number, checkpoint.last));
            let does = {
                let mut all = self.does.lock().unwrap();
                let next = all.front().cloned().unwrap_or(Does::Vouches);
                if all.len() > 1 {
                    all.pop_front();
                }
                next
            };
            match does {
                Does::Hangs => std::future::pending().await,
                Does::Refuses(why) => Err(why.to_owned()),
                Does::Vouches if self.kind == WitnessKind::Person => Ok(None),
                Does::Vouches => Ok(Some(json!({"of": checkpoint.number}))),
            }
        }
    }

    /// A clock whose sleeps end when the test says so.
    struct HeldClock {
        time: ManualClock,
        go: Notify,
    }

    impl HeldClock {
        fn new() -> Arc<Self> {
            let start = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
            Arc::new(Self {
                time: ManualClock::at(start),
                go: Notify::new(),
            })
        }
    }

    #[async_trait]
    impl Clock for HeldClock {
        fn now(&self) -> DateTime<Utc> {
            self.time.now()
        }

        fn mono_us(&self) -> u64 {
            self.time.mono_us()
        }

        async fn sleep(&self, duration: Duration) {
            self.go.notified().await;
            self.time.sleep(duration).await;
        }
    }

    struct Session {
        _folder: tempfile::TempDir,
        writer: Writer,
        clock: Arc<HeldClock>,
    }

    fn session() -> Session {
        let folder = tempfile::tempdir().unwrap();
        let clock = HeldClock::new();
        let start = RunStart {
            incident: "IR-1".parse().unwrap(),
            run: uuid::Uuid::nil(),
            mode: "execute".to_owned(),
            responder: "alice@contoso.example".to_owned(),
            responder_name: None,
            responder_oid: None,
            data: serde_json::Map::new(),
        };
        let deps = WriterDeps::real(
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededRandom::new(1)),
        );
        let writer = Writer::create(&folder.path().join("run-x"), start, deps).unwrap();
        Session {
            _folder: folder,
            writer,
            clock,
        }
    }

    impl Session {
        fn begin(&self, fakes: &[&Arc<Fake>]) -> Attendance {
            let witnesses: Vec<Arc<dyn Witness>> = fakes
                .iter()
                .map(|fake| Arc::clone(fake) as Arc<dyn Witness>)
                .collect();
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            Attendance::begin(&self.writer, &witnesses, &clock)
        }

        async fn note(&self) {
            let note = Entry {
                kind: "note",
                actor: Actor::Azir,
                data: serde_json::Map::new(),
            };
            self.writer.append_durable(note).await.unwrap();
        }

        fn kinds(&self) -> Vec<String> {
            let mut kinds = Vec::new();
            reader::each(self.writer.run_dir(), |line, _, _| kinds.push(line.kind)).unwrap();
            kinds
        }
    }

    /// Lets the others work until `done`; one that never is fails the test.
    async fn until(done: impl Fn() -> bool) {
        for _ in 0..100_000 {
            if done() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never was");
    }

    const SOON: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn one_that_never_answers_delays_no_write_and_the_end_only_as_long_as_allowed() {
        let session = session();
        let person = Fake::new(WitnessKind::Person, &[Does::Hangs]);
        let tsa = Fake::new(WitnessKind::Tsa, &[Does::Hangs]);
        let mut attendance = session.begin(&[&person, &tsa]);
        until(|| !person.asked().is_empty() && !tsa.asked().is_empty()).await;
        session.note().await;
        attendance.pause(SOON).await;
        session.writer.close().await.unwrap();
        let missing = attendance.last(2, SOON).await;
        let why: Vec<&str> = missing.iter().map(|gap| gap.why.as_str()).collect();
        assert_eq!(why, ["it did not answer in time"; 2]);
        assert_eq!(person.asked(), [(1, false), (2, true)]);
    }

    #[tokio::test]
    async fn a_person_in_the_middle_of_an_answer_is_waited_for_as_long_as_allowed() {
        let session = session();
        let person = Fake::new(WitnessKind::Person, &[Does::Hangs, Does::Vouches]);
        let mut attendance = session.begin(&[&person]);
        until(|| !person.asked().is_empty()).await;
        attendance.pause(SOON).await;
        session.writer.close().await.unwrap();
        assert_eq!(attendance.last(1, LONG).await, []);
    }

    #[tokio::test]
    async fn a_refusal_is_known_before_the_last_lines_however_short_the_session() {
        let session = session();
        let person = Fake::new(WitnessKind::Person, &[Does::Refuses("no")]);
        // Nothing has been polled yet, as when the run is over before its witnesses had their turn.
        let mut attendance = session.begin(&[&person]);
        attendance.pause(LONG).await;
        assert_eq!(attendance.missing()[0].why, "no");
    }

    #[tokio::test]
    async fn a_receipt_is_cited_while_the_session_is_open_and_the_last_one_is_not() {
        let session = session();
        let worm = Fake::new(WitnessKind::Worm, &[Does::Vouches]);
        let mut attendance = session.begin(&[&worm]);
        until(|| session.writer.head().entries == 2).await;
        attendance.pause(LONG).await;
        session.writer.seal(serde_json::Map::new()).await.unwrap();
        let number = *session.writer.checkpoints().borrow();
        assert_eq!(attendance.last(number, LONG).await, []);
        assert_eq!(session.kinds(), ["run.start", "anchor", "seal"]);
        assert_eq!(worm.asked(), [(1, false), (2, true)]);
        let anchors = reader::read(session.writer.run_dir()).unwrap();
        let cited = Value::Object(anchors.lines[1].data.clone());
        let expected = json!({"checkpoint": 1, "kind": "worm", "receipt": {"of": 1}});
        assert_eq!(cited, expected);
    }

    #[tokio::test]
    async fn one_that_refused_is_asked_again_after_a_while_and_is_missing_since_its_first_refusal()
    {
        let session = session();
        let does = [
            Does::Refuses("first"),
            Does::Refuses("second"),
            Does::Vouches,
        ];
        let tsa = Fake::new(WitnessKind::Tsa, &does);
        let attendance = session.begin(&[&tsa]);
        let why = |why: &str| attendance.missing().iter().any(|gap| gap.why == why);
        until(|| why("first")).await;
        let since = attendance.missing()[0].since;
        session.clock.go.notify_one();
        until(|| why("second")).await;
        assert_eq!(session.clock.now() - since, chrono::Duration::seconds(20));
        assert_eq!(attendance.missing()[0].since, since);
        session.clock.go.notify_one();
        until(|| attendance.missing().is_empty()).await;
        assert_eq!(tsa.asked(), [(1, false); 3]);
    }

    #[tokio::test]
    async fn a_session_that_ends_by_an_error_is_not_held_open_by_its_witnesses() {
        let session = session();
        let person = Fake::new(WitnessKind::Person, &[Does::Hangs]);
        let attendance = session.begin(&[&person]);
        until(|| !person.asked().is_empty()).await;
        let run_dir = session.writer.run_dir().to_path_buf();
        drop(attendance);
        tokio::task::yield_now().await;
        drop(session.writer);
        assert!(!reader::is_held(&run_dir));
    }

    #[tokio::test]
    async fn without_a_session_each_is_shown_the_last_checkpoint_once() {
        let session = session();
        session.writer.close().await.unwrap();
        let good = Fake::new(WitnessKind::Person, &[Does::Vouches]);
        let bad = Fake::new(WitnessKind::Worm, &[Does::Refuses("it is locked")]);
        let witnesses: [Arc<dyn Witness>; 2] = [good.clone(), bad.clone()];
        let clock = Arc::clone(&session.clock) as Arc<dyn Clock>;
        let run_dir = session.writer.run_dir();
        let missing = show_all(run_dir, 1, &witnesses, &clock, LONG).await;
        assert_eq!(missing.len(), 1);
        assert_eq!(
            (missing[0].kind, missing[0].why.as_str()),
            (WitnessKind::Worm, "it is locked")
        );
        assert_eq!(good.asked(), [(1, true)]);
    }
}
