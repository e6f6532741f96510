//! One target, from its first read to its last check.
//!
//! Starts each node of the program when what it waits for has ended, many at once where the schedule
//! allows. Checks that are no gate run beside later steps. When a step fails for good, nothing new
//! starts, what is under way ends, and the rest is left undone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Map, Value, json};

use super::ask::Ask;
use super::bulk::Brake;
use super::burst::Stage;
use super::check::{self, CheckResult};
use super::ending::End;
use super::event::{StepOutcome, What};
use super::failure::{Failure, FailureKind};
use super::notify::Channels;
use super::past::{Past, Progress, Sent};
use super::plan::PlanStep;
use super::power::{Power, Teller};
use super::preflight::Meant;
use super::recorder::{Kept, object};
use super::request::RunRequest;
use super::schedule::{Part, Program};
use super::scope::Names;
use super::single::Shared;
use super::step::{self, ItemDone, StepDone};
use super::vault::VaultPlace;
use crate::random::Random;
use crate::runbook::expr::{Expressions, Scope};
use crate::runbook::model::{Action, Otherwise, Step};

/// What all targets of a run share.
pub(crate) struct Common {
    pub(crate) program: Program,
    pub(crate) expressions: Expressions,
    pub(crate) power: Power,
    pub(crate) teller: Teller,
    pub(crate) ask: Arc<dyn Ask>,
    /// The source of secrets that are made here.
    pub(crate) random: Arc<dyn Random>,
    /// One question at a time.
    pub(crate) asking: tokio::sync::Mutex<()>,
    pub(crate) shared: Shared,
    /// What was asked for, with its choices, consents and who answers for it.
    pub(crate) request: RunRequest,
    pub(crate) run_id: String,
    pub(crate) vault: Option<VaultPlace>,
    /// Subscriptions that may be written to; absent: all.
    pub(crate) writable: Option<Vec<String>>,
    pub(crate) started_us: u64,
    /// What earlier sessions of the run did, where it goes on; absent: it begins.
    pub(crate) past: Option<Past>,
    /// Whom to tell how the run ended.
    pub(crate) channels: Channels,
    /// What people were told already: how the run stood when its watch began.
    pub(crate) told: Option<crate::report::model::RunStatus>,
    /// Holds up who is not begun when enough others have failed.
    pub(crate) brake: Brake,
}

/// One target's state.
pub(crate) struct Target<'a> {
    pub(crate) common: &'a Common,
    pub(crate) index: usize,
    /// Its resource id or name.
    pub(crate) name: String,
    pub(crate) names: Vec<Names>,
    pub(crate) teller: Teller,
    pub(crate) tally: Mutex<Tally>,
    /// The results of the nodes that have ended, as evidence has them.
    kept: Mutex<Vec<Option<Kept>>>,
    /// Nodes of which nothing counts that an earlier session did.
    afresh: HashSet<usize>,
    /// Checks that are being made, by node and item: how many, and whether all that have an answer hold.
    checking: Mutex<HashMap<(usize, String), (usize, bool)>>,
}

/// What happened to a target so far.
#[derive(Default)]
pub(crate) struct Tally {
    /// Writes that took effect, or may have.
    pub(crate) effects: usize,
    /// Exhibits that lie in the vault; storing evidence is no effect on the tenant under attack.
    pub(crate) stored: usize,
    /// The first failure that stopped it.
    pub(crate) stopped: Option<Failure>,
    /// The step at which it stopped.
    pub(crate) stopped_at: String,
    /// Checks that failed, no mere gaps, and items of which nobody knows, after which it went on.
    pub(crate) went_on: usize,
    /// Items that failed without stopping it, as long as no fallback has covered them.
    pub(crate) uncovered: Vec<Uncovered>,
    /// Failures of items that did not stop it, and steps left undone.
    pub(crate) left: Vec<(String, Failure)>,
    /// Checks that are false or unknown.
    pub(crate) unchecked: usize,
    /// Named gaps.
    pub(crate) gaps: usize,
    /// Whom else it touches.
    pub(crate) collateral: Vec<String>,
    /// What stays open.
    pub(crate) residual: Vec<(String, Option<String>)>,
    /// When the last containing step was done.
    pub(crate) contained_at: Option<chrono::DateTime<chrono::Utc>>,
    /// The same moment on the monotonic clock.
    pub(crate) contained_us: Option<u64>,
    /// Guards that were set aside, and what each would have refused.
    pub(crate) set_aside: Vec<(String, String)>,
    /// What a plan found.
    pub(crate) plan: Vec<(usize, PlanStep)>,
    /// What a plan means to send.
    pub(crate) meant: Vec<Meant>,
    /// What was asked of a step and cannot be meant, by the step's id.
    pub(crate) unmeant: Vec<(String, Failure)>,
}

/// An item that failed, and that a fallback may cover.
pub(crate) struct Uncovered {
    /// The node of its step.
    pub(crate) node: usize,
    /// What it is called in the record.
    pub(crate) key: String,
    /// What `for_each` gave.
    pub(crate) value: Value,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NodeState {
    /// For what comes before it.
    Waiting,
    /// It is being executed.
    Running,
    /// It has ended, and a gate of it has no answer yet.
    Ended,
    /// Ended, and every gate of it holds or is a named gap.
    Open,
}

enum Finished {
    Node(usize, Result<StepDone, Failure>),
    Check(usize, CheckResult),
}

impl<'a> Target<'a> {
    /// Prepares a target with the names that its templates see.
    pub(crate) fn new(
        common: &'a Common,
        index: usize,
        name: String,
        base: &Scope,
        arguments: &Map<String, Value>,
    ) -> Self {
        let names: Vec<Names> = common
            .program
            .frames
            .iter()
            .map(|_| Names::new(base))
            .collect();
        if let (Some(first), Some(frame)) = (names.first(), common.program.frames.first()) {
            first.parameters(
                frame
                    .runbook
                    .params
                    .keys()
                    .map(|key| (key, arguments.get(key).cloned().unwrap_or(Value::Null))),
            );
        }
        let teller = common.teller.of_target(&name);
        Self {
            common,
            index,
            name,
            names,
            teller,
            tally: Mutex::new(Tally::default()),
            kept: Mutex::default(),
            afresh: HashSet::new(),
            checking: Mutex::default(),
        }
    }

    /// Executes every node up to a stage, from where the target stands; returns where it stands then, with nothing
    /// under way any more.
    pub(crate) async fn execute(&mut self, from: Progress, until: Stage) -> Progress {
        let Progress {
            mut states,
            mut gates_left,
            due,
            kept,
            afresh,
            tally,
        } = from;
        self.afresh = afresh;
        *self.kept() = kept;
        *self.tally() = tally;
        self.brake();
        self.go(&mut states, &mut gates_left, due, until).await;
        let afresh = std::mem::take(&mut self.afresh);
        let kept = std::mem::take(&mut *self.kept());
        let tally = std::mem::take(&mut *self.tally());
        Progress {
            states,
            gates_left,
            due: Vec::new(),
            kept,
            afresh,
            tally,
        }
    }

    /// Looks at every node, as far as a plan can.
    pub(crate) async fn look(&mut self) {
        let begun = Progress::none(self.common.program.nodes.len());
        let looked = self.execute(begun, Stage::Collect).await;
        *self.tally() = looked.tally;
    }

    /// Names the results of the nodes that ended in an earlier stage, as evidence has them.
    pub(crate) fn remember(&self, progress: &Progress) {
        let ended =
            |node: usize| matches!(progress.states[node], NodeState::Ended | NodeState::Open);
        let kept = |node: usize| {
            let cite = progress.kept.get(node)?.as_ref()?;
            self.common.power.recorder()?.kept(cite)
        };
        super::past::restore(self, ended, kept);
    }

    async fn go(
        &self,
        states: &mut [NodeState],
        gates_left: &mut [usize],
        due: Vec<(usize, check::Due)>,
        until: Stage,
    ) {
        let mut under_way = FuturesUnordered::new();
        for (node, check) in due {
            under_way.push(self.finish_check(node, check));
        }
        loop {
            for node in 0..states.len() {
                if self.may_start(node, states) && self.stage(node) <= until {
                    states[node] = NodeState::Running;
                    under_way.push(self.finish_node(node));
                }
            }
            let Some(finished) = under_way.next().await else {
                break;
            };
            match finished {
                Finished::Node(node, Ok(done)) => {
                    let gates = done.checks.iter().filter(|check| check.gate).count();
                    gates_left[node] = gates;
                    states[node] = if gates == 0 {
                        NodeState::Open
                    } else {
                        NodeState::Ended
                    };
                    for check in done.checks {
                        under_way.push(self.finish_check(node, check));
                    }
                }
                Finished::Node(node, Err(failure)) => {
                    states[node] = NodeState::Open;
                    self.stop(node, failure);
                }
                Finished::Check(node, result) => {
                    if let Err(failure) = self.checked(node, &result).await {
                        self.stop(node, failure);
                    }
                    if result.gate {
                        gates_left[node] = gates_left[node].saturating_sub(1);
                        if gates_left[node] == 0 {
                            states[node] = NodeState::Open;
                        }
                    }
                    if let Some(failure) = result.failure {
                        self.stop(node, failure);
                    }
                }
            }
        }
    }

    /// Returns whether there is anything left to start for a target that stands so.
    pub(crate) fn goes_on(&self, progress: &Progress) -> bool {
        progress.tally.stopped.is_none()
            && (0..progress.states.len()).any(|node| self.may_start(node, &progress.states))
    }

    pub(super) fn may_start(&self, node: usize, states: &[NodeState]) -> bool {
        if states[node] != NodeState::Waiting
            || self.tally().stopped.is_some()
            || (self.teller.halted() && self.common.power.recorder().is_some())
        {
            return false;
        }
        let plan = matches!(self.common.power, Power::Plan(_));
        // Whether another way is needed is known when what was done before it has been checked.
        let checking = |other: usize| {
            let checking = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
            checking.keys().any(|(node, _)| *node == other)
        };
        if step::waits_for(self, node).into_iter().any(checking) {
            return false;
        }
        let node = &self.common.program.nodes[node];
        let ended = |state: NodeState| matches!(state, NodeState::Ended | NodeState::Open);
        node.after.iter().all(|before| ended(states[*before]))
            && (plan
                || node
                    .gates
                    .iter()
                    .all(|gate| states[*gate] == NodeState::Open))
    }

    fn finish_node(&self, node: usize) -> LocalBoxFuture<'_, Finished> {
        Box::pin(async move { Finished::Node(node, step::execute(self, node).await) })
    }

    /// Takes the answer of a check; when the last one of an item has come and all hold, a fallback covers the item.
    async fn checked(&self, node: usize, result: &check::CheckResult) -> Result<(), Failure> {
        let held = {
            let mut checking = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
            let place = (node, result.item.clone());
            let Some((left, held)) = checking.get_mut(&place) else {
                return Ok(());
            };
            *left = left.saturating_sub(1);
            *held &= result.holds;
            if *left > 0 {
                return Ok(());
            }
            checking.remove(&place).is_some_and(|(_, held)| held)
        };
        if held {
            step::cover(self, node, &result.item).await?;
        }
        Ok(())
    }

    fn finish_check(&self, node: usize, check: check::Due) -> LocalBoxFuture<'_, Finished> {
        let place = (node, check.item().to_owned());
        let mut checking = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        checking.entry(place).or_insert((0, true)).0 += 1;
        drop(checking);
        Box::pin(async move { Finished::Check(node, check::make(self, node, check).await) })
    }

    fn stop(&self, node: usize, failure: Failure) {
        let id = self.common.program.nodes[node].id.clone();
        let mut tally = self.tally();
        if tally.stopped.is_none() {
            self.count_stopped(&failure);
            tally.stopped_at = id;
            tally.stopped = Some(failure);
        }
    }

    /// Notes where the results of a node lie.
    pub(crate) fn keep_results(&self, node: usize, kept: Kept) {
        if let Some(place) = self.kept().get_mut(node) {
            *place = Some(kept);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Option<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what earlier sessions wrote for an item of a node, where that still counts.
    pub(crate) fn sent<'p>(&'p self, node: usize, item: &'p str) -> Vec<Sent<'p>> {
        let id = &self.common.program.nodes[node].id;
        match &self.common.past {
            Some(past) if !self.afresh.contains(&node) => past.sent(self.index, id, item).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns what an earlier session made of a node, where that still counts.
    pub(crate) fn past_step(&self, node: usize) -> Option<&super::past::PastStep> {
        let id = &self.common.program.nodes[node].id;
        let past = self.common.past.as_ref()?;
        past.step(self.index, id)
    }

    /// Says what was left, what stays, and how the target ended.
    pub(crate) async fn end(&mut self, progress: Progress) -> End {
        *self.tally() = progress.tally;
        self.leave_rest(&progress.states).await;
        self.say_what_stays().await;
        self.close().await
    }

    /// Says of every node that never started that it was left undone.
    async fn leave_rest(&self, states: &[NodeState]) {
        let Some(recorder) = self.common.power.recorder() else {
            return;
        };
        let nodes = &self.common.program.nodes;
        let why = {
            let tally = self.tally();
            match &tally.stopped {
                // It was never begun.
                Some(failure) if tally.stopped_at.is_empty() => failure.message.clone(),
                Some(_) => format!("the target stopped at step {}", tally.stopped_at),
                None => "the responder stopped the run".to_owned(),
            }
        };
        for (node, state) in states.iter().enumerate() {
            if *state != NodeState::Waiting || matches!(nodes[node].part, Part::Exit(_)) {
                continue;
            }
            let step = self.common.program.step(node);
            let data = object(json!({
                "step": nodes[node].id,
                "title": step.title.value,
                "phase": phase_word(step),
                "kind": step::kind_word(step),
                "target_index": self.index,
                "order": node,
                "state": "skipped",
                "why": why,
            }));
            // A poisoned writer is reported by the run itself.
            let _ = recorder.line("step", data).await;
            // What was not to be done was not left.
            let skipped = step::skipped(self, nodes[node].frame).is_some();
            if step::writes(step) && !skipped {
                let next = format!(
                    "{} --incident {}",
                    self.command(),
                    self.common.request.incident
                );
                let said = json!({"step": nodes[node].id, "target_index": self.index, "why": why, "next": next});
                let _ = recorder.note("not_done", said).await;
            }
        }
    }

    /// Returns what is typed to do this again.
    pub(crate) fn command(&self) -> String {
        self.common.request.command(&self.name)
    }

    /// Returns the names that templates of `node` see now.
    pub(crate) fn scope(&self, node: usize) -> Scope {
        let mut scope = self.names[self.common.program.nodes[node].frame].scope();
        scope.set(
            "now",
            &Value::String(crate::clock::seconds(self.teller.now())),
        );
        if let Some(left) = step::left(self, node) {
            scope.set("left", &Value::Array(left));
        }
        scope
    }

    /// Records and tells a named gap.
    pub(crate) async fn gap(&self, node: usize, item: &str, text: &str) -> Result<(), Failure> {
        let id = &self.common.program.nodes[node].id;
        self.tally().gaps += 1;
        if let Some(recorder) = self.common.power.recorder() {
            recorder
                .note(
                    "gap",
                    json!({"step": id, "target_index": self.index, "item": item, "text": text}),
                )
                .await?;
        }
        self.teller.of_step(id).tell(What::Gap {
            text: text.to_owned(),
        });
        Ok(())
    }

    /// Records and tells something worth saying.
    pub(crate) async fn say(&self, node: usize, text: &str) -> Result<(), Failure> {
        self.say_with(node, text, None).await
    }

    /// Records and tells something worth saying that leaves something open.
    pub(crate) async fn say_open(
        &self,
        node: usize,
        text: &str,
        open: String,
    ) -> Result<(), Failure> {
        self.stays_open(open.clone(), None);
        self.say_with(node, text, Some(open)).await
    }

    async fn say_with(&self, node: usize, text: &str, open: Option<String>) -> Result<(), Failure> {
        let id = &self.common.program.nodes[node].id;
        if let Some(recorder) = self.common.power.recorder() {
            let said =
                object(json!({"step": id, "target_index": self.index, "text": text, "open": open}));
            recorder.note("say", Value::Object(said)).await?;
        }
        self.teller.of_step(id).tell(What::Note {
            text: text.to_owned(),
        });
        Ok(())
    }

    /// Records and tells a failure after which the target goes on.
    pub(crate) async fn went_on(&self, node: usize, text: &str) -> Result<(), Failure> {
        self.say(node, &format!("FAILED, and the rest goes on: {text}"))
            .await
    }

    /// Adds something that stays open.
    pub(crate) fn stays_open(&self, what: String, until: Option<String>) {
        let mut tally = self.tally();
        if !tally.residual.iter().any(|(known, _)| *known == what) {
            tally.residual.push((what, until));
        }
    }

    /// Refuses a write outside the subscriptions that the profile names.
    pub(crate) fn may_write(&self, path: &str) -> Result<(), Failure> {
        may_write(self.common.writable.as_deref(), path)
    }

    pub(crate) fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a containing step has ended well.
    pub(crate) fn note_containing(&self, node: usize) {
        let step = self.common.program.step(node);
        if step::writes(step) && step.phase != crate::runbook::model::Phase::Tag {
            let mut tally = self.tally();
            tally.contained_at = Some(self.teller.now());
            tally.contained_us = Some(self.teller.clock().mono_us());
        }
    }

    /// Says what a failed item of a step means, by what the runbook says of it.
    pub(crate) async fn take_failure(
        &self,
        node: usize,
        item: &str,
        otherwise: Otherwise,
        failure: Failure,
    ) -> Result<StepOutcome, Failure> {
        match (otherwise, failure.kind) {
            (_, FailureKind::Record | FailureKind::Halted)
            | (Otherwise::Stop, _)
            // What a guard refuses is not a part that failed: nothing more is to be written.
            | (Otherwise::Continue, FailureKind::Refused) => Err(failure),
            (Otherwise::Continue, _) => {
                self.went_on(node, &failure.message).await?;
                Ok(StepOutcome::Failed)
            }
            (Otherwise::Gap, _) => {
                self.gap(node, item, &failure.message).await?;
                Ok(StepOutcome::Failed)
            }
            (Otherwise::Say, _) => {
                let step = self.common.program.step(node);
                let title = step.title.value.to_lowercase();
                let open = format!("not known: {title} ({})", failure.message);
                let text = format!("could not {title}: {}", failure.message);
                self.say_open(node, &text, open).await?;
                Ok(StepOutcome::Failed)
            }
        }
    }
}

/// Returns the word for a step's phase.
pub(crate) fn phase_word(step: &Step) -> String {
    serde_json::to_value(step.phase)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Returns whether `action` is one that only reads, so that a plan can carry it out.
pub(crate) fn plan_carries_out(action: &Action) -> bool {
    matches!(action, Action::Read(_) | Action::Assert(_))
}

/// Makes the results of a step from those of its items.
pub(crate) fn results(step: &Step, items: Vec<ItemDone>) -> Value {
    if step.for_each.is_some() {
        let each: Vec<Value> = items
            .into_iter()
            .map(|item| Value::Object(item.values))
            .collect();
        json!({ "each": each })
    } else {
        items
            .into_iter()
            .next()
            .map_or_else(|| json!({}), |item| Value::Object(item.values))
    }
}

/// Refuses a write outside the subscriptions that may be written to; absent: all may.
pub(crate) fn may_write(writable: Option<&[String]>, path: &str) -> Result<(), Failure> {
    let Some(writable) = writable else {
        return Ok(());
    };
    let subscription = path
        .strip_prefix("/subscriptions/")
        .and_then(|rest| rest.split('/').next());
    match subscription {
        Some(subscription)
            if !writable
                .iter()
                .any(|known| known.eq_ignore_ascii_case(subscription)) =>
        {
            Err(Failure::failed(
                "guard",
                format!("subscription {subscription} is not among those that the profile lets azir write to"),
                "add it to subscriptions in config.toml, or choose another --profile",
            )
            .of_kind(FailureKind::Refused))
        }
        _ => Ok(()),
    }
}
