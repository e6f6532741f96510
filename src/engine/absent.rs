//! What a runbook asks of a cloud that does not have it: found in its text, before anything is read or written.

use super::error::EngineError;
use super::plan::{Preflight, Verdict};
use super::request::RunRequest;
use super::run::Engine;
use super::schedule::{Part, Program};
use crate::azure::{Cloud, Plane as AzurePlane};
use crate::runbook::model::{Otherwise, Plane, Step};
use crate::runbook::walk;

/// The name of these answers in a plan.
const WHAT: &str = "cloud";

impl Engine {
    /// Says of each step that the cloud cannot answer whether the run can do without it.
    pub(super) fn absent(&self, program: &Program) -> Vec<Preflight> {
        let cloud = self.client.cloud();
        let mut found: Vec<Preflight> = Vec::new();
        let mut answerable = false;
        for (number, node) in program.nodes.iter().enumerate() {
            if matches!(node.part, Part::Exit(_)) {
                continue;
            }
            let step = program.step(number);
            let Some(what) = lacked(cloud, step) else {
                answerable |= asks(step);
                continue;
            };
            let title = step.title.value.to_lowercase();
            let (verdict, then) = if stops(program, number) {
                (Verdict::Fail, "this runbook cannot do without it")
            } else {
                (Verdict::Unknown, "it is left out, and the report says so")
            };
            let text = format!("{} has no {what}: cannot {title}; {then}", cloud.name);
            found.push(Preflight::new(WHAT, verdict, text));
        }
        if !answerable {
            // Of a run that is all gaps nobody learns anything.
            for answer in &mut found {
                answer.verdict = Verdict::Fail;
            }
        }
        found
    }

    /// Refuses a run that the cloud cannot carry out.
    ///
    /// # Errors
    /// Which step, and what the cloud lacks.
    pub(super) fn refuse_absent(
        &self,
        program: &Program,
        request: &RunRequest,
    ) -> Result<(), EngineError> {
        let absent = self.absent(program);
        match absent
            .into_iter()
            .find(|answer| answer.verdict == Verdict::Fail)
        {
            Some(answer) => Err(EngineError::Refused {
                code: "not_in_this_cloud",
                message: answer.text,
                target: None,
                hint: format!(
                    "azir runbook show {}, for what it would have done",
                    request.runbook.name.value
                ),
            }),
            None => Ok(()),
        }
    }
}

/// Returns what a step needs that the cloud lacks.
fn lacked(cloud: &Cloud, step: &Step) -> Option<&'static str> {
    let mut lacked = None;
    walk::calls(step, &mut |call, _| {
        let path = call.line.value.split(' ').nth(1).unwrap_or_default();
        let path = path.split("{{").next().unwrap_or_default();
        if call.plane == Plane::Graph {
            lacked = lacked.or(cloud.lacks(AzurePlane::Graph, path));
        }
    });
    lacked
}

/// Returns whether a step asks the cloud for anything.
fn asks(step: &Step) -> bool {
    let mut asks = false;
    walk::calls(step, &mut |_, _| asks = true);
    asks
}

/// Returns whether the run stops where this step fails: neither it nor a step that called its runbook says otherwise.
pub(super) fn stops(program: &Program, node: usize) -> bool {
    let mut node = node;
    loop {
        if program.step(node).otherwise != Otherwise::Stop {
            return false;
        }
        let frame = program.nodes[node].frame;
        let caller = |other: &super::schedule::Node| other.part == Part::Enter(frame);
        match program.nodes.iter().position(caller) {
            Some(caller) => node = caller,
            None => return true,
        }
    }
}
