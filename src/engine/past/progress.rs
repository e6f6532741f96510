//! How far a target has come: which nodes have ended, whose gates still wait, which checks are still to be made.
//!
//! What failed is tried again, and with it whatever made something of its results. What a responder left undone stays
//! so until it is accepted.

use std::collections::HashSet;

use serde_json::Value;

use super::fold::{PastStep, Sent};
use super::names::{item_names, restore};
use super::record::Past;
use crate::engine::check::Due;
use crate::engine::event::StepOutcome;
use crate::engine::failure::{Failure, FailureKind};
use crate::engine::recorder::{Cite, Kept};
use crate::engine::schedule::Part;
use crate::engine::step;
use crate::engine::target::{NodeState, Tally, Target};
use crate::runbook::model::{Otherwise, Phase, Step};
use crate::runbook::walk;

/// How far a target has come, with what it needs to go on; small, because thousands may wait.
#[derive(Default)]
pub(crate) struct Progress {
    /// Where each node stands.
    pub(crate) states: Vec<NodeState>,
    /// How many gates of each node wait for their answer.
    pub(crate) gates_left: Vec<usize>,
    /// Checks that are due at once, with their nodes.
    pub(crate) due: Vec<(usize, Due)>,
    /// The results of the nodes that have ended, as evidence has them.
    pub(crate) kept: Vec<Option<Kept>>,
    /// Nodes that are taken again although they were done: what they were made from has changed.
    pub(crate) afresh: HashSet<usize>,
    /// What happened so far.
    pub(crate) tally: Tally,
}

impl Progress {
    /// Returns where a target stands that has not begun.
    pub(crate) fn none(nodes: usize) -> Self {
        Self {
            states: vec![NodeState::Waiting; nodes],
            gates_left: vec![0; nodes],
            kept: vec![None; nodes],
            ..Self::default()
        }
    }
}

/// How far a target has come that waits for others, with nothing under way: thousands of them take no more room than
/// what each has.
pub(crate) struct Parked {
    states: Box<[NodeState]>,
    /// The results of those nodes that have any.
    kept: Box<[(usize, Kept)]>,
    afresh: HashSet<usize>,
    tally: Tally,
}

impl Parked {
    /// Puts a target aside. Nothing of it is under way, so no check is due and no gate waits.
    pub(crate) fn of(progress: Progress) -> Self {
        let kept = progress.kept.into_iter().enumerate();
        Self {
            states: progress.states.into_boxed_slice(),
            kept: kept
                .filter_map(|(node, kept)| Some((node, kept?)))
                .collect(),
            afresh: progress.afresh,
            tally: progress.tally,
        }
    }

    /// Takes it up again.
    pub(crate) fn taken_up(self) -> Progress {
        let nodes = self.states.len();
        let mut kept = vec![None; nodes];
        for (node, one) in self.kept {
            kept[node] = Some(one);
        }
        Progress {
            states: self.states.into_vec(),
            kept,
            afresh: self.afresh,
            tally: self.tally,
            ..Progress::none(nodes)
        }
    }
}

/// Returns how far an earlier session came with a target.
pub(crate) fn of_target(target: &Target<'_>, past: &Past) -> Progress {
    let program = &target.common.program;
    let mut progress = Progress::none(program.nodes.len());
    let (again, stale) = again(target, past);
    for (node, place) in program.nodes.iter().enumerate() {
        if again.contains(&node) {
            continue;
        }
        let step = past.step(target.index, &place.id);
        let ended = match place.part {
            Part::Whole | Part::Enter(_) => step.is_some_and(|step| step.outcome.is_some()),
            // Costs nothing and changes nothing; done when everything before it is.
            Part::Exit(_) => place
                .after
                .iter()
                .all(|before| progress.states[*before] != NodeState::Waiting),
        };
        if ended {
            progress.states[node] = NodeState::Open;
            progress.kept[node] = step.and_then(|step| Some(kept(step.outputs.as_ref()?)));
        }
    }
    let known = |node: usize| past.outputs(target.index, &program.nodes[node].id);
    restore(
        target,
        |node| progress.states[node] == NodeState::Open,
        known,
    );
    for node in 0..program.nodes.len() {
        if progress.states[node] == NodeState::Open
            && program.nodes[node].part == Part::Whole
            && let Some(step) = past.step(target.index, &program.nodes[node].id)
        {
            take_up(target, past, node, step, &mut progress);
        }
    }
    // A node that names what is taken again does afresh what it did, where that may be done twice.
    // What broke off half way is reconciled first.
    let repeats = |node: &usize| {
        let id = &program.nodes[*node].id;
        step::repeats(program.step(*node)) && !past.is_open(target.index, id)
    };
    progress.afresh = stale.into_iter().filter(repeats).collect();
    progress.tally.effects = past.effects(target.index);
    progress
}

/// Takes up what one ended node left: its checks that do not hold yet, its gaps, what was left to the responder.
fn take_up(
    target: &Target<'_>,
    past: &Past,
    node: usize,
    known: &PastStep,
    progress: &mut Progress,
) {
    let step = target.common.program.step(node);
    let id = &target.common.program.nodes[node].id;
    let tally = &mut progress.tally;
    tally.gaps += known.gaps;
    let open = known.open.iter().map(|what| (what.clone(), None));
    tally.residual.extend(open);
    if known.outcome == Some(StepOutcome::Done) {
        tally.collateral.extend(known.price.clone());
    }
    if known.outcome == Some(StepOutcome::LeftUndone) && !known.settled {
        let why = format!("it needs explicit consent; --accept {id} gives it");
        let failure = Failure::failed("consent", why, format!("--accept {id}"));
        let failure = failure.of_kind(FailureKind::LeftUndone);
        tally.left.push((id.clone(), failure));
    }
    if known.outcome != Some(StepOutcome::Done) {
        return;
    }
    if step::writes(step) && step.phase != Phase::Tag {
        note_time(tally, &known.ended_at);
    }
    if let Some(held) = &known.gate_held_at {
        note_time(tally, held);
    }
    let held = |place: &(String, String)| known.checks.get(place) == Some(&Some(true));
    let due = due(target, past, node, held);
    // What was checked besides the step's own claims is not read again.
    let own = |claim: &String| due.iter().any(|(_, other, _)| other == claim);
    let false_before = known
        .checks
        .iter()
        .filter(|((_, claim), holds)| **holds != Some(true) && !own(claim));
    tally.unchecked += false_before.count();
    let gates = due.iter().filter(|(due, ..)| due.gate).count();
    progress.gates_left[node] = gates;
    if gates > 0 {
        progress.states[node] = NodeState::Ended;
    }
    progress
        .due
        .extend(due.into_iter().map(|(due, ..)| (node, due)));
}

/// A check of a step that wrote.
pub(crate) struct Written {
    pub(crate) node: usize,
    pub(crate) due: Due,
    pub(crate) claim: String,
    pub(crate) item: String,
}

/// Returns the checks of every step of a target that wrote and was done, those that held included.
pub(crate) fn written(target: &Target<'_>, past: &Past) -> Vec<Written> {
    let program = &target.common.program;
    let mut all = Vec::new();
    for (node, place) in program.nodes.iter().enumerate() {
        // Of a step that failed in part, what worked is watched all the same.
        let loops = program.step(node).for_each.is_some();
        let done = past
            .step(target.index, &place.id)
            .is_some_and(|step| match step.outcome {
                Some(StepOutcome::Done) => true,
                Some(StepOutcome::Failed) => loops && step.outputs.is_some(),
                _ => false,
            });
        if place.part != Part::Whole || !done || !step::writes(program.step(node)) {
            continue;
        }
        let checks = due(target, past, node, |_| false);
        all.extend(checks.into_iter().map(|(due, claim, item)| Written {
            node,
            due,
            claim,
            item,
        }));
    }
    all
}

/// Returns the checks of a step that do not hold yet, each with its claim and its item; `held` is asked of both.
fn due(
    target: &Target<'_>,
    past: &Past,
    node: usize,
    held: impl Fn(&(String, String)) -> bool,
) -> Vec<(Due, String, String)> {
    let step = target.common.program.step(node);
    let place = &target.common.program.nodes[node];
    if step.checks.is_empty() {
        return Vec::new();
    }
    let results = target.names[place.frame].scope().get(&step.id.value);
    let each = results.as_ref().and_then(|all| all["each"].as_array());
    let items: Vec<Value> = match each {
        Some(each) => each.iter().map(|one| one["item"].clone()).collect(),
        None => vec![Value::Null],
    };
    let mut due = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let key = step::key_of(target, step, item, number);
        let sent = past.sent(target.index, &place.id, &key).next();
        let scope = item_names(target, node, item, sent.map(Sent::write));
        for (index, check) in step.checks.iter().enumerate() {
            let claim = target.common.expressions.text(&check.claim, &scope);
            let claim = claim.unwrap_or_default();
            if !held(&(key.clone(), claim.clone())) {
                let due_now = Due::again(index, scope.clone(), key.clone(), check.gate);
                due.push((due_now, claim, key.clone()));
            }
        }
    }
    due
}

/// Returns the nodes to take again: those that did not end well, and those that name the results of such a one; and
/// the latter by themselves.
fn again(target: &Target<'_>, past: &Past) -> (HashSet<usize>, HashSet<usize>) {
    let program = &target.common.program;
    let mut again: HashSet<usize> = HashSet::new();
    let mut all_stale: HashSet<usize> = HashSet::new();
    for (node, place) in program.nodes.iter().enumerate() {
        let known = past.step(target.index, &place.id);
        let known = known.filter(|_| !matches!(place.part, Part::Exit(_)));
        let outcome = known.and_then(|step| step.outcome);
        let accepted = target.common.request.accept.contains(&place.id);
        let failed = match outcome {
            Some(StepOutcome::Failed) => {
                !passed_over(program.step(node)) && !known.is_some_and(|step| step.settled)
            }
            // Whatever the runbook says of it: what became of it is asked.
            Some(StepOutcome::Unknown) => true,
            Some(StepOutcome::LeftUndone) => accepted,
            _ => false,
        };
        let named = walk::names(program.step(node));
        let stale = again.iter().any(|earlier| {
            let other = &program.nodes[*earlier];
            let inside = matches!(other.part, Part::Enter(child) if child == place.frame);
            let names = other.frame == place.frame
                && !matches!(other.part, Part::Enter(_))
                && named.contains(&program.step(*earlier).id.value);
            inside || names
        });
        // The frame of a call that has results to hand on is as stale as what made them.
        let exit = matches!(place.part, Part::Exit(_))
            && place.after.iter().any(|before| again.contains(before));
        if stale {
            all_stale.insert(node);
        }
        if failed || stale || exit {
            again.insert(node);
        }
    }
    (again, all_stale)
}

/// Whether a failure of a step was named and passed over, as the runbook says: evidence that could not be had before
/// the cut holds up nobody a second time.
fn passed_over(step: &Step) -> bool {
    matches!(step.otherwise, Otherwise::Gap | Otherwise::Say) && step.phase < Phase::Export
}

fn note_time(tally: &mut Tally, time: &str) {
    let Ok(time) = time.parse::<chrono::DateTime<chrono::Utc>>() else {
        return;
    };
    if tally.contained_at.is_none_or(|known| known < time) {
        tally.contained_at = Some(time);
    }
}

fn kept(outputs: &Value) -> Kept {
    let cite = || {
        Some(Cite {
            sha256: outputs["sha256"].as_str()?.parse().ok()?,
            size: outputs["size"].as_u64()?,
        })
    };
    cite().map_or_else(
        || Kept::Text(outputs.to_string().into_boxed_str()),
        Kept::Cited,
    )
}
