//! After containment: looks again and again whether somebody undid it, and does it again where the responder said so.
//!
//! What is looked at are the checks of every step that wrote; one that no longer holds at two looks is told at once,
//! and on record. The watch never adds to what was agreed: it repeats a step of the run, with the answers that the
//! run has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::burst::Stage;
use super::check;
use super::ending::{End, finish, tell_lost, tell_people};
use super::error::EngineError;
use super::event::What;
use super::outcome;
use super::past::{self, Past, Written};
use super::recorder::Recorder;
use super::request::Ended;
use super::step;
use super::target::{Common, NodeState, Target};
use crate::report::model::RunStatus;
use crate::runbook::expr::Scope;

/// What was said of the time after containment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Watch {
    /// How long.
    pub span: Duration,
    /// Whether what somebody undid is done again.
    pub reapply: bool,
}

/// How long between two rounds.
const EVERY: Duration = Duration::from_secs(30);
/// After how long what does not hold is looked at once more: a replica may be behind.
const ONCE_MORE: Duration = Duration::from_secs(5);
/// Targets that are looked at at once: a watch takes no more of the budget than it must.
const AT_ONCE: usize = 16;

/// A check that no longer holds: the target, the step, the item and the claim.
type Broken = (usize, String, String, String);

/// Watches what is contained and ends the run.
///
/// # Errors
/// A record that cannot be read or kept; people are told of it.
pub(super) async fn to_the_end(
    mut common: Common,
    base: &Scope,
    recorder: &Arc<Recorder>,
    mut ends: Vec<End>,
) -> Result<Ended, EngineError> {
    if let Err(error) = watch(&mut common, base, recorder, &mut ends).await {
        // Nothing can be written any more, and who is not here is to know it.
        tell_lost(&common, &ends, &error.to_string()).await;
        return Err(error);
    }
    finish(&common, recorder, ends).await
}

/// Watches the targets that are contained; those that do not stay so end unchecked.
///
/// # Errors
/// A record that cannot be read or kept.
async fn watch(
    common: &mut Common,
    base: &Scope,
    recorder: &Arc<Recorder>,
    ends: &mut [End],
) -> Result<(), EngineError> {
    let contained = |end: &&mut End| {
        matches!(
            end.status,
            RunStatus::Contained | RunStatus::ContainedResidual
        )
    };
    let Some(watch) = common.request.bulk.watch else {
        return Ok(());
    };
    let watched: BTreeSet<usize> = ends
        .iter_mut()
        .filter(contained)
        .map(|end| end.index)
        .collect();
    if watched.is_empty() || common.teller.halted() {
        return Ok(());
    }
    let own = match past::own(&recorder.run_dir()) {
        Ok(own) => own,
        // Nobody watches then, and a run that says nothing of it would look complete.
        Err(error) => {
            let text = format!("containment is not watched: {error}");
            kept(recorder.note("gap", json!({"text": text})).await)?;
            common.teller.tell(What::Gap { text });
            for end in ends.iter_mut().filter(|end| watched.contains(&end.index)) {
                end.status = RunStatus::Unchecked;
            }
            return Ok(());
        }
    };
    let clock = Arc::clone(common.teller.clock());
    let span = left_of(&watch, &own, &clock.now());
    let until = clock.now() + chrono::TimeDelta::from_std(span).unwrap_or_default();
    let until = crate::clock::seconds(until);
    let targets = own.found()?.1;
    common.past = Some(own);
    kept(
        recorder
            .note(
                "watch",
                json!({"until": until, "every_s": EVERY.as_secs(), "reapply": watch.reapply}),
            )
            .await,
    )?;
    let again = if watch.reapply {
        "and does again what is undone"
    } else {
        "and tells what is undone"
    };
    common.teller.tell(What::Waiting {
        why: format!(
            "everything is contained; azir watches until {until} {again} (ctrl-C ends the watch)"
        ),
        seconds: span.as_secs_f64(),
    });
    let statuses: Vec<RunStatus> = ends.iter().map(|end| end.status).collect();
    let status = outcome::run_status(&statuses);
    // Nobody waits for the end of the watch to hear of containment; and nobody hears of it twice, where a watch is gone on
    // with.
    let heard = common.past.as_ref().and_then(|past| past.told.as_deref());
    if heard != Some(outcome::word(status).as_str()) {
        kept(tell_people(common, recorder, ends, status).await)?;
    }
    common.told = Some(status);
    let common = &*common;
    let end_us = clock.mono_us() + micros(span);
    let mut next_us = clock.mono_us() + micros(EVERY);
    let mut broken: BTreeSet<Broken> = BTreeSet::new();
    loop {
        let left = Duration::from_micros(end_us.saturating_sub(clock.mono_us()));
        if left.is_zero() || common.teller.halted() {
            break;
        }
        // In pieces, so that who ends the watch need not wait for a round.
        clock.sleep(left.min(Duration::from_secs(1))).await;
        if clock.mono_us() < next_us.min(end_us) {
            continue;
        }
        next_us = clock.mono_us() + micros(EVERY);
        let round = futures_util::stream::iter(targets.iter().enumerate())
            .filter(|(index, _)| std::future::ready(watched.contains(index)))
            .map(|(index, (name, arguments))| {
                let target = Target::new(common, index, name.clone(), base, arguments);
                look(target, watch.reapply, &broken)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut now: BTreeSet<Broken> = BTreeSet::new();
        for found in round {
            now.extend(kept(found)?);
        }
        broken = now;
    }
    let said = json!({"undone": broken.len(), "ended_early": common.teller.halted()});
    kept(recorder.note("watch_ended", said).await)?;
    for end in ends.iter_mut() {
        let claims = broken.iter().filter(|(index, ..)| *index == end.index);
        let claims: Vec<&str> = claims.map(|(.., claim)| claim.as_str()).collect();
        if !claims.is_empty() {
            kept(spoil(common, recorder, end, &claims).await)?;
        }
    }
    Ok(())
}

/// Returns how much of the watch is left: one that was broken off ends when it was to end.
fn left_of(watch: &Watch, past: &Past, now: &chrono::DateTime<chrono::Utc>) -> Duration {
    let until = past.watch_until.as_deref();
    let until = until.and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok());
    match until {
        Some(until) => (until - *now).to_std().unwrap_or_default().min(watch.span),
        None => watch.span,
    }
}

/// Looks at one target; returns what of it is undone and stays so.
async fn look(
    mut target: Target<'_>,
    reapply: bool,
    known: &BTreeSet<Broken>,
) -> Result<Vec<Broken>, super::failure::Failure> {
    let Some(past) = &target.common.past else {
        return Ok(Vec::new());
    };
    let mut progress = past::of_target(&target, past);
    let written: Vec<Written> = past::written(&target, past);
    let mut broken = Vec::new();
    let mut nodes = BTreeSet::new();
    for (number, one) in written.iter().enumerate() {
        let mut holds = check::holds(&target, one.node, &one.due).await?;
        if holds == Some(false) {
            target.teller.clock().sleep(ONCE_MORE).await;
            holds = check::holds(&target, one.node, &one.due).await?;
        }
        let step = target.common.program.nodes[one.node].id.clone();
        let place = (target.index, step, one.item.clone(), one.claim.clone());
        match holds {
            Some(true) => continue,
            // What cannot be read proves nothing either way: what was undone stays so.
            None if !known.contains(&place) => continue,
            None => {
                broken.push((place, number));
                continue;
            }
            Some(false) => {}
        }
        if !known.contains(&place) {
            let repeats = step::repeats(target.common.program.step(one.node));
            let again = match (reapply, repeats) {
                (true, true) => "; it is done again",
                (true, false) => "; it is not done again, because that must not be done twice",
                (false, _) => "",
            };
            let text = format!("UNDONE by somebody: no longer so that {}{again}", one.claim);
            target
                .record_check(
                    one.node,
                    &one.item,
                    &one.claim,
                    Some(false),
                    false,
                    Some("seen in the watch"),
                    0,
                )
                .await?;
            target.say(one.node, &text).await?;
        }
        broken.push((place, number));
        nodes.insert(one.node);
    }
    nodes.retain(|node| step::repeats(target.common.program.step(*node)));
    if nodes.is_empty() || !reapply || target.teller.halted() {
        return Ok(broken.into_iter().map(|(place, _)| place).collect());
    }
    for node in &nodes {
        progress.states[*node] = NodeState::Waiting;
        progress.afresh.insert(*node);
    }
    progress.due.clear();
    target.execute(progress, Stage::Collect).await;
    let mut stays = Vec::new();
    for (place, number) in broken {
        let one = &written[number];
        if check::holds(&target, one.node, &one.due).await? != Some(true) {
            stays.push(place);
        }
    }
    Ok(stays)
}

/// Takes back that a target is contained: somebody undid it, and it stays undone.
async fn spoil(
    common: &Common,
    recorder: &Recorder,
    end: &mut End,
    claims: &[&str],
) -> Result<u64, super::failure::Failure> {
    end.status = RunStatus::Unchecked;
    let message = format!("undone by somebody during the watch: {}", claims.join("; "));
    let next = format!(
        "{} --incident {}",
        common.request.command(&end.name),
        common.request.incident
    );
    let error = json!({"code": "undone", "message": message, "hint": next});
    end.why = Some(message.clone());
    common.teller.of_target(&end.name).tell(What::TargetEnded {
        status: outcome::word(end.status),
        error: Some(message),
    });
    let said = json!({"target_index": end.index, "target": end.name, "status": outcome::word(end.status), "error": error});
    recorder.note("target", said).await
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn kept<T>(written: Result<T, super::failure::Failure>) -> Result<T, EngineError> {
    written.map_err(|failure| EngineError::Record {
        message: failure.message,
        hint: failure.hint,
    })
}
