//! Idle keys: what is written has an effect, so that a reader is not misled.

use super::{Found, Subject};
use crate::runbook::model::{Action, Purpose, Step};

/// More than this at once asks the service for refusals.
const MOST_PARALLEL: usize = 64;

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let runbook = subject.runbook;
    if runbook.purpose == Purpose::Contain && runbook.steps.is_empty() {
        found.add(
            "no-steps",
            runbook.name.place,
            "a runbook that contains has no steps",
            "",
        );
    }
    if runbook.title.ends_with('.') {
        found.add(
            "title-period",
            runbook.name.place,
            "a title is one line without a period at its end",
            "",
        );
    }
    for step in &runbook.steps {
        idle(step, found);
        if step.parallel > MOST_PARALLEL {
            let message = format!(
                "step {} does {} items at once",
                step.id.value, step.parallel
            );
            found.add(
                "too-parallel",
                step.id.place,
                message,
                format!("at most {MOST_PARALLEL}: the service refuses bursts"),
            );
        }
    }
}

fn idle(step: &Step, found: &mut Found<'_>) {
    let mut say = |what: &str, needs: &str| {
        let message = format!(
            "{what} of step {} does nothing without {needs}",
            step.id.value
        );
        found.add(
            "idle-key",
            step.id.place,
            message,
            format!("leave it out, or give {needs}"),
        );
    };
    if step.for_each.is_none() && step.as_name != "item" {
        say("as", "for_each");
    }
    if step.for_each.is_none() && step.parallel > 1 {
        say("parallel", "for_each");
    }
    if let (Some(_), None) = (&step.skip_reason, &step.when) {
        say("skip_reason", "when");
    }
    if let (Action::Run(_), Some(_)) = (&step.action, &step.for_each) {
        let message = format!("step {} runs another runbook for each item", step.id.value);
        found.add(
            "run-for-each",
            step.id.place,
            message,
            "hand it the list as a parameter",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    #[test]
    fn what_has_no_effect_is_found() {
        let read = |more: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: A, {more}, read: {{graph: GET /v1.0/users}}}}\n"
            ))
        };
        assert_eq!(read("as: x"), ["idle-key"]);
        assert_eq!(read("parallel: 2"), ["idle-key"]);
        assert_eq!(read("skip_reason: x"), ["idle-key"]);
        assert_eq!(
            read("for_each: \"{{ [vm] }}\", parallel: 65"),
            ["too-parallel"]
        );
        assert!(read("for_each: \"{{ [vm] }}\", parallel: 64").is_empty());
    }
}
