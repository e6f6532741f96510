//! Order: phases go forward, so nothing is cut before it is kept and nothing deleted before it is listed.

use std::collections::BTreeSet;

use super::{Found, Subject, did_you_mean};
use crate::runbook::model::Phase;

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut latest = (Phase::Inventory, None);
    let mut earlier: BTreeSet<&str> = BTreeSet::new();
    for step in &subject.runbook.steps {
        if step.phase < latest.0 {
            let help = "a run never goes back: inventory, preserve, isolate, identity, tag, export, delete";
            found.add(
                "phase-back",
                step.id.place,
                format!("step {} goes back to an earlier phase", step.id.value),
                help,
            );
            if let Some(place) = latest.1 {
                found.and_see(place, "a later phase began here");
            }
        } else if step.phase > latest.0 || latest.1.is_none() {
            latest = (step.phase, Some(step.id.place));
        }
        for id in step
            .after
            .iter()
            .filter(|id| !earlier.contains(id.value.as_str()))
        {
            let help = did_you_mean(&id.value, earlier.iter().copied());
            found.add(
                "unknown-name",
                id.place,
                format!("there is no earlier step {}", id.value),
                help,
            );
        }
        earlier.insert(&step.id.value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    fn step(id: &str, phase: &str, more: &str) -> String {
        format!(
            "  - {{id: {id}, phase: {phase}, title: T, {more}read: {{graph: GET /v1.0/users}}}}\n"
        )
    }

    #[test]
    fn phases_go_forward_only() {
        assert_eq!(
            codes_of_steps(&(step("a", "isolate", "") + &step("b", "preserve", ""))),
            ["phase-back"]
        );
        assert_eq!(
            codes_of_steps(&(step("a", "delete", "") + &step("b", "inventory", ""))),
            ["phase-back"]
        );
        assert!(
            codes_of_steps(&(step("a", "inventory", "") + &step("b", "delete", ""))).is_empty()
        );
    }

    #[test]
    fn a_step_waits_for_earlier_ones_only() {
        assert_eq!(
            codes_of_steps(&step("a", "tag", "after: b, ")),
            ["unknown-name"]
        );
        assert_eq!(
            codes_of_steps(&step("a", "tag", "after: a, ")),
            ["unknown-name"]
        );
        assert!(
            codes_of_steps(&(step("a", "tag", "") + &step("b", "tag", "after: [a], "))).is_empty()
        );
    }
}
