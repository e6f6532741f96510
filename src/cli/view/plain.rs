//! The run as lines for a pipe: one an event, those that matter.

use std::time::Duration;

use super::super::prose::count;
use super::{Mark, View, span};
use crate::engine::event::{Event, StepOutcome, What};
use crate::ids::ArmId;

impl View {
    /// Returns the line that a pipe gets, if the event matters there.
    pub(in crate::cli) fn plain(&self, event: &Event) -> Option<String> {
        let started = self.started.unwrap_or(event.time);
        let since = (event.time - started).num_milliseconds().max(0);
        let step = event.step.as_deref().unwrap_or_default();
        let target = event
            .target
            .as_deref()
            .filter(|_| self.targets.len() > 1)
            .map(|target| format!("{} ", ArmId::name_of(target)))
            .unwrap_or_default();
        // Of many targets a pipe hears of what goes wrong, and from time to time how far it is.
        let smooth = matches!(
            event.what,
            What::StepEnded {
                outcome: StepOutcome::Done | StepOutcome::Skipped,
                ..
            } | What::Checked {
                holds: Some(true),
                ..
            } | What::Waiting { .. }
                | What::Note { .. }
                | What::Decided { .. }
                | What::Contained { .. }
        );
        if smooth && self.is_crowd() {
            return None;
        }
        let text = match &event.what {
            What::RunStarted {
                runbook,
                version,
                incident,
                targets,
                deadline_seconds,
                plan,
                mode,
                ..
            } => {
                let deadline = deadline_seconds
                    .map(|seconds| format!(", deadline {}", span(Duration::from_secs(seconds))))
                    .unwrap_or_default();
                let writes = plan.iter().filter(|step| !step.undo.is_empty()).count();
                let undo = if mode == "undo" { "undo of " } else { "" };
                format!(
                    "{undo}{runbook} {version} on {}, incident {incident}: {}, {writes} of them write{deadline}",
                    count(targets.len() as u64, "target"),
                    count(plan.len() as u64, "step")
                )
            }
            What::StepEnded {
                outcome: StepOutcome::Skipped,
                why,
                ..
            } => format!(
                "{target}skipped {step}: {}",
                why.as_deref().unwrap_or_default()
            ),
            What::StepEnded {
                outcome,
                elapsed_ms,
                why,
            } => {
                let row = event
                    .target
                    .as_ref()
                    .and_then(|target| self.targets.get(ArmId::name_of(target)))
                    .and_then(|rows| rows.iter().find(|row| row.id == step));
                let title = row.map_or(step, |row| row.title.as_str());
                let word = match outcome {
                    StepOutcome::Done
                        if row.is_some_and(|row| row.mark == Mark::Running && row.items.1 == 0) =>
                    {
                        "nothing to do:"
                    }
                    StepOutcome::Done
                        if why.as_deref().is_some_and(|why| why.starts_with("stays")) =>
                    {
                        "left:"
                    }
                    StepOutcome::Done => "done",
                    StepOutcome::Failed => "failed",
                    StepOutcome::Unknown => "unknown",
                    StepOutcome::Skipped => "skipped",
                    StepOutcome::LeftUndone => "left undone",
                };
                let why = why
                    .as_ref()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                format!(
                    "{target}{word} {title} ({step}, {:.1} s){why}",
                    *elapsed_ms as f64 / 1_000.0
                )
            }
            What::Checked {
                claim,
                holds,
                observed,
                ..
            } => {
                let word = match holds {
                    Some(true) => "checked",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                let seen = observed
                    .as_ref()
                    .map(|seen| format!(" ({seen})"))
                    .unwrap_or_default();
                format!("{target}{word} {claim}{seen}")
            }
            What::Waiting { why, seconds } => format!("{target}waiting {seconds:.1} s: {why}"),
            What::Unvouched {
                witness,
                since,
                why,
            } => super::unvouched(witness, *since, why),
            What::Gap { text } => format!("{target}GAP {text}"),
            What::Note { text } => format!("{target}note {text}"),
            What::Decided { chosen, by, .. } => format!(
                "{target}decided {step}: {} by {by}",
                if chosen.is_empty() {
                    "none".to_owned()
                } else {
                    chosen.join(", ")
                }
            ),
            What::Contained { after_ms } => format!(
                "{target}contained after {:.1} s",
                *after_ms as f64 / 1_000.0
            ),
            What::TargetEnded {
                status,
                error: Some(error),
            } => format!("{target}{status}: {error}"),
            _ => return None,
        };
        Some(self.prefixed(&format!("{:>7.1}s {text}", since as f64 / 1_000.0)))
    }
}
