//! How a run ends: what stays open, each target's last lines, the seal, and the exit code.

use serde_json::{Value, json};
use uuid::Uuid;

use super::error::EngineError;
use super::event::What;
use super::failure::{Failure, FailureKind};
use super::notify::{Message, News};
use super::outcome;
use super::recorder::{PATIENCE, Recorder, Seal};
use super::request::{Ended, Mode};
use super::step;
use super::target::{Common, Target};
use crate::report::model::RunStatus;
use crate::runbook::expr::Scope;
use crate::runbook::model::Purpose;

/// How one target ended.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) index: usize,
    pub(crate) status: RunStatus,
    pub(crate) effects: usize,
    pub(crate) record_lost: bool,
    /// Whether going on with the run may bring it further.
    pub(crate) passing: bool,
    /// What the target is called.
    pub(crate) name: String,
    /// Why it did not come to a good end, if it did not.
    pub(crate) why: Option<String>,
    /// What stays open, and until when.
    pub(crate) residual: Vec<(String, Option<String>)>,
}

/// Writes the run's last lines and returns how it ended.
pub(crate) async fn finish(
    common: &Common,
    recorder: &Recorder,
    ends: Vec<End>,
) -> Result<Ended, EngineError> {
    let statuses: Vec<RunStatus> = ends.iter().map(|end| end.status).collect();
    let effects = ends.iter().map(|end| end.effects).sum();
    let mut record_lost = ends.iter().any(|end| end.record_lost);
    let status = outcome::run_status(&statuses);
    let exit_code = outcome::exit_code(status, effects, record_lost);
    let said = json!({"status": outcome::word(status), "exit_code": exit_code});
    record_lost |= recorder.note("result", said).await.is_err();
    if record_lost {
        tell_lost(common, &ends, "it cannot be kept any more").await;
    } else if common.told != Some(status) {
        record_lost |= tell_people(common, recorder, &ends, status).await.is_err();
    }
    let tell = |ask: &str| {
        common.teller.tell(What::Waiting {
            why: ask.to_owned(),
            seconds: PATIENCE.as_secs_f64(),
        });
    };
    let passing = ends.iter().any(|end| end.passing);
    let closed = recorder.end(seal(recorder, status, passing), &tell).await;
    if record_lost && let Err(error) = closed {
        common.teller.tell(What::RunEnded {
            status: outcome::word(status),
            exit_code: 75,
        });
        return Err(error);
    }
    let missing = closed
        .as_ref()
        .map_or_else(|_| Vec::new(), |closed| closed.missing.clone());
    for gap in &missing {
        common.teller.tell(What::Unvouched {
            witness: gap.kind.word(),
            since: gap.since,
            why: gap.why.clone(),
        });
    }
    let exit_code = outcome::exit_code(status, effects, record_lost || closed.is_err());
    common.teller.tell(What::RunEnded {
        status: outcome::word(status),
        exit_code,
    });
    Ok(Ended {
        run_dir: recorder.run_dir(),
        exit_code,
        missing,
    })
}

/// Tells people how the run ended, when every target has; whom it does not reach is a named gap.
pub(super) async fn tell_people(
    common: &Common,
    recorder: &Recorder,
    ends: &[End],
    status: RunStatus,
) -> Result<(), Failure> {
    let request = &common.request;
    if !Message::is_news(status) || request.runbook.purpose == Purpose::Read {
        return Ok(());
    }
    let message = message(common, ends, status);
    let gaps = common.channels.tell(&message, common.teller.clock()).await;
    let somebody = gaps.len() < common.channels.look().count();
    for text in gaps {
        recorder.note("gap", json!({"text": text})).await?;
        common.teller.tell(What::Gap { text });
    }
    if somebody {
        let said = json!({"status": outcome::word(status)});
        recorder.note("told", said).await?;
    }
    Ok(())
}

/// Tells people that the record of a run cannot be kept any more, and how the run stood; whom it does not reach stays
/// untold, because nothing can be written.
pub(super) async fn tell_lost(common: &Common, ends: &[End], why: &str) {
    if common.request.runbook.purpose == Purpose::Read {
        return;
    }
    let statuses: Vec<RunStatus> = ends.iter().map(|end| end.status).collect();
    let status = match outcome::run_status(&statuses) {
        RunStatus::Contained | RunStatus::ContainedResidual => RunStatus::Unchecked,
        other => other,
    };
    let mut message = message(common, ends, status);
    let lost = ("the record".to_owned(), why.to_owned());
    message.failed.insert(0, lost);
    for text in common.channels.tell(&message, common.teller.clock()).await {
        common.teller.tell(What::Gap { text });
    }
}

/// Returns what people are told.
fn message(common: &Common, ends: &[End], status: RunStatus) -> Message {
    let request = &common.request;
    let mut residual: Vec<(String, Option<String>)> = Vec::new();
    for open in ends.iter().flat_map(|end| &end.residual) {
        if !residual.contains(open) {
            residual.push(open.clone());
        }
    }
    let failed = ends.iter().filter_map(|end| {
        let why = end.why.clone()?;
        Some((end.name.clone(), why))
    });
    Message {
        incident: request.incident.to_string(),
        run: Some(common.run_id.clone()),
        runbook: request.runbook.name.value.clone(),
        news: News::Ended(status),
        drill: request.mode == Mode::Drill,
        at: common.teller.now(),
        targets: ends.iter().map(|end| end.name.clone()).collect(),
        failed: failed.collect(),
        residual,
    }
}

/// A run is closed for good when every step is final: nothing unknown, nothing halted, nothing that failed and may yet
/// pass, no task that waits for a person.
fn seal(recorder: &Recorder, status: RunStatus, passing: bool) -> Seal {
    let standing = recorder.standing();
    let open = recorder.writer.open_intents();
    if status == RunStatus::Halted || passing || open > 0 || standing.waits() {
        return Seal::No;
    }
    let run_dir = recorder.run_dir();
    // What cannot be kept is not claimed to have been seen.
    let seen = super::siblings::seen(&run_dir, &recorder.store).unwrap_or_else(|_| json!([]));
    Seal::IfVouched(standing.seal(seen, false))
}

impl Target<'_> {
    /// Evaluates what stays open and whom else the target touches, and records it.
    pub(crate) async fn say_what_stays(&self) {
        // What a called runbook that acts says of its part is said of the whole; one that reads told its caller.
        let frames = &self.common.program.frames;
        let acted = |frame: &usize| {
            frames[*frame].runbook.purpose != Purpose::Read && step::entered(self, *frame)
        };
        let taken: Vec<(usize, Scope)> = (0..frames.len())
            .filter(|frame| *frame == 0 || acted(frame))
            .map(|frame| (frame, self.last_names(frame)))
            .collect();
        self.say_findings(&taken).await;
        self.hand_on(&taken[0].1).await;
        for (frame, scope) in &taken {
            self.say_residual(*frame, scope);
        }
    }

    fn say_residual(&self, frame: usize, scope: &Scope) {
        let runbook = &self.common.program.frames[frame].runbook;
        let expressions = &self.common.expressions;
        for residual in &runbook.residual {
            let items = match &residual.for_each {
                Some(list) => expressions.list(list, scope).unwrap_or_default(),
                None => vec![Value::Null],
            };
            for item in items {
                let mut scope = scope.clone();
                scope.set("item", &item);
                let wanted = residual
                    .when
                    .as_ref()
                    .is_none_or(|when| expressions.truth(when, &scope).unwrap_or(false));
                if !wanted {
                    continue;
                }
                // What names something that was never read cannot be said; its step has said so itself.
                if let Ok(what) = expressions.text(&residual.what, &scope) {
                    let until = residual
                        .until
                        .as_ref()
                        .and_then(|until| expressions.text(until, &scope).ok());
                    self.stays_open(what, until);
                }
            }
        }
        if let Some(collateral) = &runbook.collateral
            && let Ok(items) = expressions.list(collateral, scope)
        {
            let texts = items.iter().map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            });
            self.tally().collateral.extend(texts);
        }
    }

    /// Returns the names of a runbook as they are when the steps have ended.
    ///
    /// A step that was never reached has no results; what can be said is said all the same.
    fn last_names(&self, frame: usize) -> Scope {
        let mut scope = self.names[frame].scope();
        for step in &self.common.program.frames[frame].runbook.steps {
            if scope.get(&step.id.value).is_none() {
                scope.set(&step.id.value, &step::nothing_of(self, step));
            }
        }
        scope
    }

    /// Writes a target's last lines and returns how it ended.
    pub(super) async fn close(&self) -> End {
        let halted = self.teller.halted();
        let (status, effects, record_lost, lines) = {
            let tally = self.tally();
            let purpose = self.common.program.frames[0].runbook.purpose;
            let status = outcome::target_status(&tally, purpose, halted);
            let lost = tally
                .stopped
                .as_ref()
                .is_some_and(|failure| failure.kind == FailureKind::Record);
            (status, tally.effects, lost, self.last_lines(&tally, status))
        };
        self.count_ended(status);
        let mut record_lost = record_lost;
        if let Some(recorder) = self.common.power.recorder() {
            for (kind, members) in lines {
                record_lost |= recorder.note(kind, members).await.is_err();
            }
        }
        if contained(status) {
            let after_ms = self.contained_after_ms();
            self.teller.tell(What::Contained { after_ms });
        }
        let (error, passing) = {
            let tally = self.tally();
            let error = tally.stopped.as_ref();
            let left = tally.left.iter().map(|(_, failure)| failure);
            let passing = error.into_iter().chain(left).any(|failure| failure.passing);
            (error.map(|failure| failure.message.clone()), passing)
        };
        self.teller.tell(What::TargetEnded {
            status: outcome::word(status),
            error,
        });
        let tally = self.tally();
        End {
            index: self.index,
            status,
            effects,
            record_lost,
            passing,
            name: self.name.clone(),
            why: tally
                .stopped
                .as_ref()
                .or_else(|| tally.left.first().map(|(_, failure)| failure))
                .map(|failure| failure.message.clone()),
            residual: tally.residual.clone(),
        }
    }

    /// Returns after how many milliseconds the target was contained: by the monotonic clock, except where the run
    /// began in another session.
    fn contained_after_ms(&self) -> u64 {
        let tally = self.tally();
        let began = self.common.past.as_ref().map(|past| &past.started_at);
        let began = began.and_then(|time| time.parse::<chrono::DateTime<chrono::Utc>>().ok());
        if let (Some(began), Some(at)) = (began, tally.contained_at) {
            return u64::try_from((at - began).num_milliseconds()).unwrap_or_default();
        }
        let contained = tally.contained_us.unwrap_or_default();
        contained.saturating_sub(self.common.started_us) / 1_000
    }

    fn last_lines(
        &self,
        tally: &super::target::Tally,
        status: RunStatus,
    ) -> Vec<(&'static str, Value)> {
        let mut lines = Vec::new();
        if status != RunStatus::Refused {
            for (what, until) in &tally.residual {
                lines.push((
                    "residual",
                    json!({"target_index": self.index, "what": what, "until": until}),
                ));
            }
            for text in &tally.collateral {
                lines.push((
                    "collateral",
                    json!({"target_index": self.index, "text": text}),
                ));
            }
        }
        let error: Option<&Failure> = tally
            .stopped
            .as_ref()
            .or_else(|| tally.left.first().map(|(_, failure)| failure));
        let error = error.map(|failure| json!({"code": failure.code, "message": super::calls::cut(&failure.message, 1_000), "hint": failure.hint}));
        let contained_at = tally
            .contained_at
            .filter(|_| contained(status) || status == RunStatus::Unchecked);
        lines.push((
            "target",
            json!({
                "target_index": self.index,
                "target": self.name,
                "status": outcome::word(status),
                "contained_at": contained_at.map(crate::clock::micros),
                "error": error,
            }),
        ));
        lines
    }
}

fn contained(status: RunStatus) -> bool {
    matches!(status, RunStatus::Contained | RunStatus::ContainedResidual)
}

/// Returns the first eight hex digits of a run's id: a short name for what the run makes.
pub(crate) fn short(run: Uuid) -> String {
    run.simple().to_string().chars().take(8).collect()
}
