//! Whether anything of a plan would take effect for a target, as far as it is certain.

use std::collections::HashMap;

use super::finding::{Finding, Judged};
use crate::engine::absent::stops;
use crate::engine::plan::{Plan, PlanStep, PlanTarget, Preflight, Verdict};
use crate::engine::request::RunRequest;
use crate::engine::schedule::{Part, Program};

/// The name of these answers: a target that has one is not begun.
pub(in crate::engine) const NOTHING: &str = "preflight";

/// Returns an answer for each target of which it is certain that no write would be accepted.
pub(super) fn hopeless(
    plan: &Plan,
    program: &Program,
    request: &RunRequest,
    judged: &[Judged<'_>],
) -> Vec<Preflight> {
    let mut by: HashMap<(&str, &str), Vec<Option<&Finding>>> = HashMap::new();
    for one in judged {
        let key = (one.meant.target.as_str(), one.meant.step.as_str());
        by.entry(key).or_default().push(one.fails());
    }
    let nodes: HashMap<&str, usize> = program
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.part == Part::Whole)
        .map(|(number, node)| (node.id.as_str(), number))
        .collect();
    let look = Look {
        by,
        nodes,
        program,
        request,
    };
    let targets = plan.targets.iter().filter(|target| target.error.is_none());
    targets
        .filter_map(|target| Some(answer(target, look.refused(target)?)))
        .collect()
}

struct Look<'l> {
    /// What refuses each write of a target's step, if anything does for certain.
    by: HashMap<(&'l str, &'l str), Vec<Option<&'l Finding>>>,
    nodes: HashMap<&'l str, usize>,
    program: &'l Program,
    request: &'l RunRequest,
}

impl<'l> Look<'l> {
    /// Whether a step is a fallback that decides nothing here: it contains nothing, or nobody has accepted it.
    fn comes_after(&self, step: &PlanStep) -> bool {
        let node = self.nodes.get(step.id.as_str());
        let fallback = node.and_then(|node| self.program.step(*node).fallback.as_ref());
        let accepted = !step.needs_consent || self.request.accept.contains(&step.id);
        fallback.is_some_and(|fallback| fallback.lessens || !accepted)
    }

    /// Returns the first step that would be refused and why, where no write that comes before the target stops would be
    /// accepted.
    fn refused<'p>(&self, target: &'p PlanTarget) -> Option<(&'p PlanStep, &'l Finding)> {
        let mut refused = None;
        for step in target.steps.iter().filter(|step| writes(step)) {
            if self.comes_after(step) {
                continue;
            }
            if step.needs_consent && self.request.yes && !self.request.accept.contains(&step.id) {
                continue;
            }
            let found = self.by.get(&(target.target.as_str(), step.id.as_str()))?;
            let all = step.note.is_none()
                && found.len() == step.writes.len()
                && found.iter().all(Option::is_some);
            // One that may be accepted is enough to begin.
            let finding = found.iter().flatten().next().filter(|_| all)?;
            refused = refused.or(Some((step, *finding)));
            let node = self.nodes.get(step.id.as_str());
            if node.is_some_and(|node| stops(self.program, *node)) {
                break;
            }
        }
        refused
    }
}

fn answer(target: &PlanTarget, (step, finding): (&PlanStep, &Finding)) -> Preflight {
    let next = finding.next.clone();
    let mut text = format!(
        "nothing that this run writes would be accepted, beginning with step {}: {}",
        step.id, finding.text
    );
    if let Some(next) = &next {
        text.push_str("; ");
        text.push_str(next);
    }
    Preflight {
        missing: finding.missing.clone(),
        role: finding.role.clone(),
        scope: finding.scope.clone(),
        next,
        ..Preflight::new(NOTHING, Verdict::Fail, text).of_target(&target.target)
    }
}

/// Whether a step would write, or may: one that is skipped or has nothing to do does not.
fn writes(step: &PlanStep) -> bool {
    let skipped = step
        .note
        .as_ref()
        .is_some_and(|note| note.starts_with("skipped: "));
    let something = !step.writes.is_empty() || step.note.is_some();
    !step.undo.is_empty() && !skipped && something
}
