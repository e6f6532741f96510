//! `check`: the cloud's state proves a step, not its status code.
//!
//! Reads until the claim holds or its time is over: from half a second by 1.5 to 10 seconds for ARM,
//! by 2 for the directory, whose replicas take longer (DESIGN section 5).

use std::time::Duration;

use serde_json::{Value, json};

use super::calls::{CallPlace, Calls};
use super::event::What;
use super::failure::{Failure, FailureKind};
use super::power::Teller;
use super::recorder::object;
use super::step::{ItemDone, wire, writes};
use super::target::Target;
use crate::runbook::expr::Scope;
use crate::runbook::model::{Check, Otherwise, Plane, Step};

/// A check whose step has ended.
pub(crate) struct Due {
    index: usize,
    scope: Scope,
    key: String,
    /// Whether the next phase waits for it.
    pub(crate) gate: bool,
}

/// What a check means for its target.
pub(crate) struct CheckResult {
    /// Whether it was a gate.
    pub(crate) gate: bool,
    /// The item's name.
    pub(crate) item: String,
    /// Whether it holds, or has nothing to say.
    pub(crate) holds: bool,
    /// What stops the target.
    pub(crate) failure: Option<Failure>,
}

impl Due {
    /// Returns the checks of an item that are due.
    pub(crate) fn of(step: &Step, item: &ItemDone) -> Vec<Self> {
        if !item.acted {
            return Vec::new();
        }
        step.checks
            .iter()
            .enumerate()
            .map(|(index, check)| Self {
                index,
                scope: item.scope.clone(),
                key: item.key.clone(),
                gate: check.gate,
            })
            .collect()
    }
}

impl Due {
    /// Returns what its item is called.
    pub(crate) fn item(&self) -> &str {
        &self.key
    }

    /// Returns a check that an earlier session did not make, or did not find to hold.
    pub(crate) fn again(index: usize, scope: Scope, key: String, gate: bool) -> Self {
        Self {
            index,
            scope,
            key,
            gate,
        }
    }
}

/// Makes a check and says what it means.
pub(crate) async fn make(target: &Target<'_>, node: usize, due: Due) -> CheckResult {
    let (holds, failure) = match answer(target, node, &due).await {
        Ok((holds, failure)) => (holds, failure),
        Err(failure) => (false, Some(failure)),
    };
    CheckResult {
        gate: due.gate,
        item: due.key,
        holds,
        failure,
    }
}

/// What reading has shown so far.
struct Seen {
    holds: Option<bool>,
    observed: Option<String>,
    trouble: Option<Failure>,
}

/// Makes a check; returns whether it holds or has nothing to say, and what stops the target if it does not.
async fn answer(
    target: &Target<'_>,
    node: usize,
    due: &Due,
) -> Result<(bool, Option<Failure>), Failure> {
    let step = target.common.program.step(node);
    let check = &step.checks[due.index];
    let id = target.common.program.nodes[node].id.clone();
    let expressions = &target.common.expressions;
    let mut scope = due.scope.clone();
    // What steps found meanwhile, this one's results included, is known to its checks.
    scope.add_missing(&target.scope(node));
    let failed = |error| Failure::expression(&id, &error);
    if let Some(when) = &check.when
        && !expressions.truth(when, &scope).map_err(failed)?
    {
        return Ok((true, None));
    }
    let claim = expressions.text(&check.claim, &scope).map_err(failed)?;
    let teller = target.teller.of_step(&id);
    let began = teller.clock().mono_us();
    let seen = until(target, node, due, check, &mut scope, &teller).await?;
    let after_us = teller.clock().mono_us().saturating_sub(began);
    target
        .record_check(
            node,
            &due.key,
            &claim,
            seen.holds,
            check.gate,
            seen.observed.as_deref(),
            after_us,
        )
        .await?;
    if seen.holds == Some(true) {
        if check.gate {
            target.note_containing(node);
        }
        return Ok((true, None));
    }
    let reason = seen
        .trouble
        .map(|failure| failure.message)
        .or(seen.observed)
        .unwrap_or_else(|| "it does not hold".to_owned());
    let text = format!(
        "not shown within {} s: {claim} ({reason})",
        check.within.as_secs()
    );
    let stops = match (check.gate, check.otherwise) {
        (_, Otherwise::Continue) => {
            target.tally().went_on += 1;
            target.went_on(node, &text).await?;
            None
        }
        (_, Otherwise::Gap) => {
            target.gap(node, &due.key, &text).await?;
            None
        }
        (_, Otherwise::Say) => {
            target.say(node, &text).await?;
            None
        }
        (true, Otherwise::Stop) => Some(Failure::failed("check", text, "azir show last")),
        // Somebody undid it, or it never took effect: it is to be done again.
        (false, Otherwise::Stop) if seen.holds == Some(false) && writes(step) => {
            target.undone_by_others(node, &due.key, &text).await?;
            None
        }
        (false, Otherwise::Stop) => None,
    };
    Ok((false, stops))
}

async fn until(
    target: &Target<'_>,
    node: usize,
    due: &Due,
    check: &Check,
    scope: &mut Scope,
    teller: &Teller,
) -> Result<Seen, Failure> {
    let id = &target.common.program.nodes[node].id;
    let calls = calls(target, node, &due.key, "check");
    let end = teller.clock().mono_us() + micros(check.within);
    let growth = if check
        .get
        .as_ref()
        .is_some_and(|call| call.plane == Plane::Graph)
    {
        2.0
    } else {
        1.5
    };
    let mut pause = Duration::from_millis(500);
    loop {
        let seen = look(target, id, check, scope, &calls).await?;
        let now = teller.clock().mono_us();
        if seen.holds == Some(true)
            || check.get.is_none()
            || now + micros(pause) > end
            || permanent(&seen)
        {
            return Ok(seen);
        }
        teller.clock().sleep(pause).await;
        pause = pause.mul_f64(growth).min(Duration::from_secs(10));
    }
}

/// Returns whether what a step's checks speak of is so, read now; nothing where no check can tell.
///
/// # Errors
/// A record that cannot be kept.
pub(crate) async fn now(
    target: &Target<'_>,
    node: usize,
    item: &str,
    scope: &Scope,
    once: bool,
) -> Result<Option<bool>, Failure> {
    let step = target.common.program.step(node);
    let id = &target.common.program.nodes[node].id;
    let calls = calls(target, node, item, "whether it took effect");
    let mut patience = Patience::of_step(&target.teller, step, once);
    loop {
        let mut all = None;
        for check in step.checks.iter().filter(|check| check.get.is_some()) {
            let Some(mut scope) = applies(target, node, check, scope) else {
                continue;
            };
            match look(target, id, check, &mut scope, &calls).await {
                Ok(seen) => match seen.holds {
                    Some(holds) => all = Some(all.unwrap_or(true) && holds),
                    None => return Ok(None),
                },
                Err(failure) if failure.kind == FailureKind::Record => return Err(failure),
                // What cannot be asked without the answer that was lost tells nothing.
                Err(_) => return Ok(None),
            }
        }
        if all != Some(false) || !patience.again().await {
            return Ok(all);
        }
    }
}

/// Returns whether one check holds, read once; nothing where its condition leaves it out, or nobody can tell.
///
/// # Errors
/// A record that cannot be kept.
pub(crate) async fn holds(
    target: &Target<'_>,
    node: usize,
    due: &Due,
) -> Result<Option<bool>, Failure> {
    let check = &target.common.program.step(node).checks[due.index];
    let id = &target.common.program.nodes[node].id;
    let scope = applies(target, node, check, &due.scope).filter(|_| check.get.is_some());
    let Some(mut scope) = scope else {
        return Ok(None);
    };
    let calls = calls(target, node, &due.key, "watch");
    match look(target, id, check, &mut scope, &calls).await {
        Ok(seen) => Ok(seen.holds),
        Err(failure) if failure.kind == FailureKind::Record => Err(failure),
        Err(_) => Ok(None),
    }
}

/// Tells which checks of a step hold before it has done anything: those prove nothing.
///
/// # Errors
/// A record that cannot be kept.
pub(crate) async fn tell_true_before(
    target: &Target<'_>,
    node: usize,
    item: &str,
    scope: &Scope,
) -> Result<(), Failure> {
    let id = &target.common.program.nodes[node].id;
    let expressions = &target.common.expressions;
    let calls = calls(target, node, item, "whether the check can fail");
    for check in &target.common.program.step(node).checks {
        // A condition that nobody can tell yet leaves out what nobody can judge yet.
        let mut scope = scope.clone();
        scope.add_missing(&target.scope(node));
        let when = check.when.as_ref();
        if when.is_some_and(|when| expressions.truth(when, &scope) != Ok(true)) {
            continue;
        }
        match look(target, id, check, &mut scope, &calls).await {
            Ok(seen) if seen.holds == Some(true) => {
                // A claim that names what the step has yet to find is told as it is written.
                let claim = expressions.text(&check.claim, &scope);
                let claim = claim.unwrap_or_else(|_| check.claim.value.clone());
                target.teller.of_step(id).tell(What::AlreadyTrue { claim });
            }
            Err(failure) if failure.kind == FailureKind::Record => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the names that a check sees, unless its condition leaves it out.
fn applies(target: &Target<'_>, node: usize, check: &Check, scope: &Scope) -> Option<Scope> {
    let mut scope = scope.clone();
    scope.add_missing(&target.scope(node));
    let expressions = &target.common.expressions;
    let wanted = check
        .when
        .as_ref()
        .map(|when| expressions.truth(when, &scope));
    (!matches!(wanted, Some(Ok(false)))).then_some(scope)
}

/// How long something is looked for that a replica may not show yet.
pub(crate) struct Patience {
    clock: std::sync::Arc<dyn crate::clock::Clock>,
    until_us: u64,
    pause: Duration,
}

impl Patience {
    /// Looks once, or for as long as the directory's replicas take.
    pub(crate) fn new(teller: &Teller, once: bool) -> Self {
        let most = if once { 0 } else { 20 };
        Self::of(teller, Duration::from_secs(most))
    }

    /// Looks once, or for as long as the checks of a step give what they speak of.
    pub(crate) fn of_step(teller: &Teller, step: &Step, once: bool) -> Self {
        let longest = step.checks.iter().map(|check| check.within).max();
        let least = Duration::from_secs(20);
        let most = if once {
            Duration::ZERO
        } else {
            longest.unwrap_or(least).max(least)
        };
        Self::of(teller, most)
    }

    /// Looks for so long.
    pub(crate) fn of(teller: &Teller, most: Duration) -> Self {
        let clock = std::sync::Arc::clone(teller.clock());
        Self {
            until_us: clock.mono_us() + micros(most),
            clock,
            pause: Duration::from_millis(500),
        }
    }

    /// Waits for the next look; returns whether there is one.
    pub(crate) async fn again(&mut self) -> bool {
        if self.clock.mono_us() + micros(self.pause) > self.until_us {
            return false;
        }
        self.clock.sleep(self.pause).await;
        self.pause = self.pause.mul_f64(2.0).min(Duration::from_secs(10));
        true
    }
}

fn calls(target: &Target<'_>, node: usize, item: &str, why: &str) -> Calls {
    let id = &target.common.program.nodes[node].id;
    Calls::new(
        target.common.power.recorder().cloned(),
        target.teller.of_step(id),
        CallPlace {
            step: id.clone(),
            target_index: target.index,
            item: item.to_owned(),
            why: why.to_owned(),
            undo: None,
            before: None,
        },
    )
}

/// Reads once.
async fn look(
    target: &Target<'_>,
    id: &str,
    check: &Check,
    scope: &mut Scope,
    calls: &Calls,
) -> Result<Seen, Failure> {
    let expressions = &target.common.expressions;
    let failed = |error| Failure::expression(id, &error);
    if let Some(get) = &check.get {
        let rendered = expressions.call(get, scope).map_err(failed)?;
        let reader = target.common.power.reader();
        let read = if rendered.pages.is_some() {
            wire::read_list(reader, &rendered, calls)
                .await
                .map(|items| (Value::Array(items), 200))
        } else {
            wire::read(reader, &rendered, calls)
                .await
                .map(|answer| (answer.body, answer.status))
        };
        match read {
            Ok((body, status)) => {
                scope.set("got", &body);
                scope.set("got_status", &json!(status));
            }
            Err(failure) if failure.kind == FailureKind::Record => return Err(failure),
            Err(failure) => {
                return Ok(Seen {
                    holds: None,
                    observed: None,
                    trouble: Some(failure),
                });
            }
        }
    }
    // An answer that lacks what the claim speaks of is no proof; it is unknown, not an error of the run.
    let holds = expressions.truth(&check.that, scope);
    let observed = check
        .observed
        .as_ref()
        .and_then(|observed| expressions.text(observed, scope).ok());
    Ok(match holds {
        Ok(holds) => Seen {
            holds: Some(holds),
            observed,
            trouble: None,
        },
        Err(error) => Seen {
            holds: None,
            observed,
            trouble: Some(failed(error)),
        },
    })
}

/// Returns whether reading again cannot help: no right to read.
fn permanent(seen: &Seen) -> bool {
    seen.trouble
        .as_ref()
        .is_some_and(|failure| failure.code == "AuthorizationFailed")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Target<'_> {
    /// Records that a step's effect is not there, with what is typed to do it again.
    async fn undone_by_others(&self, node: usize, item: &str, why: &str) -> Result<(), Failure> {
        let Some(recorder) = self.common.power.recorder() else {
            return Ok(());
        };
        let id = &self.common.program.nodes[node].id;
        let incident = &self.common.request.incident;
        let next = format!("{} --incident {incident}", self.command());
        let said =
            json!({"step": id, "target_index": self.index, "item": item, "why": why, "next": next});
        recorder.note("not_done", said).await.map(|_| ())
    }

    /// Records and tells the answer of a check.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the members of one journal line"
    )]
    pub(crate) async fn record_check(
        &self,
        node: usize,
        item: &str,
        claim: &str,
        holds: Option<bool>,
        gate: bool,
        observed: Option<&str>,
        after_us: u64,
    ) -> Result<(), Failure> {
        let id = &self.common.program.nodes[node].id;
        if let Some(recorder) = self.common.power.recorder() {
            let data = object(json!({
                "step": id,
                "target_index": self.index,
                "item": item,
                "claim": claim,
                "holds": holds,
                "gate": gate,
                "observed": observed.map(|text| super::calls::cut(text, 2_000)),
                "after_us": after_us,
            }));
            recorder.line("check", data).await?;
        }
        if holds != Some(true) {
            self.tally().unchecked += 1;
        }
        self.teller.of_step(id).tell(What::Checked {
            claim: claim.to_owned(),
            holds,
            gate,
            observed: observed.map(str::to_owned),
            after_ms: after_us / 1_000,
        });
        Ok(())
    }
}
