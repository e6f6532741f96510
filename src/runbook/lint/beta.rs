//! Beta: a call to Graph's beta version says why, and only such a call does.

use super::{Found, Subject};
use crate::runbook::model::{Call, Plane};
use crate::runbook::walk;

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in &subject.runbook.steps {
        walk::calls(step, &mut |call, _| match (is_beta(call), &call.beta) {
            (true, None) => found.add(
                "beta",
                call.line.place,
                "this is asked of Graph's beta version, which may change from one day to the next",
                "ask v1.0, or say with beta: why it must be",
            ),
            (false, Some(_)) => found.add(
                "beta",
                call.line.place,
                "this says why it is asked of Graph's beta version, and is not",
                "leave beta out",
            ),
            _ => {}
        });
    }
}

fn is_beta(call: &Call) -> bool {
    let path = call.line.value.split_once(' ').map_or("", |(_, path)| path);
    call.plane == Plane::Graph && path.trim_start().to_ascii_lowercase().starts_with("/beta/")
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    #[test]
    fn a_call_of_beta_says_why_and_no_other_does() {
        let step = |call: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: T, read: {{{call}}}}}\n"
            ))
        };
        assert!(step("graph: GET /v1.0/users").is_empty());
        assert!(step("graph: GET /beta/users, beta: v1.0 does not tell it").is_empty());
        assert_eq!(step("graph: GET /beta/users"), ["beta"]);
        assert_eq!(step("graph: GET /v1.0/users, beta: because"), ["beta"]);
    }
}
