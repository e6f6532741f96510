//! Fallbacks: each is one of a step that goes on when it fails, says its price, and is asked for where others pay.

use super::{Found, Subject};
use crate::runbook::model::{Action, On, Otherwise, Step};

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let steps = &subject.runbook.steps;
    for (place, step) in steps.iter().enumerate() {
        let Some(fallback) = &step.fallback else {
            continue;
        };
        let id = &step.id.value;
        let of = &fallback.of;
        let origin = steps[..place].iter().find(|one| one.id.value == of.value);
        match origin {
            None => found.add(
                "fallback-of-nothing",
                of.place,
                format!(
                    "step {id} is a fallback of {}, and no step before it is called so",
                    of.value
                ),
                "name an earlier step of this runbook",
            ),
            Some(origin) if !may_fail(origin) => found.add(
                "fallback-of-nothing",
                of.place,
                format!(
                    "step {id} is a fallback of {}, which does not go on when it fails",
                    of.value
                ),
                "give that step for_each and otherwise: continue",
            ),
            Some(_) => {}
        }
        let acts = matches!(step.action, Action::Request(_) | Action::Edit(_));
        if acts && step.otherwise != Otherwise::Continue {
            found.add(
                "fallback-that-stops",
                step.id.place,
                format!("where the fallback {id} fails, those after it are not tried"),
                "otherwise: continue",
            );
        }
        if acts && fallback.price.is_none() {
            found.add(
                "no-price",
                step.id.place,
                format!("the fallback {id} does not say who pays for it"),
                "price: one sentence that the responder reads before it is done",
            );
        }
    }
}

/// Whether items of a step can be left to a fallback.
fn may_fail(step: &Step) -> bool {
    let acts = matches!(step.action, Action::Request(_) | Action::Edit(_));
    acts && step.fallback.is_none()
        && step.on == On::Run
        && step.for_each.is_some()
        && step.otherwise == Otherwise::Continue
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    const CUT: &str = "  - {id: cut, phase: isolate, title: A, for_each: \"{{ [vm] }}\", lasting: x, request: {graph: \"PATCH /v1.0/users/{{ item }}\", body: {}}, check: {claim: c, get: {graph: GET /v1.0/users}, that: \"{{ got_status == 200 }}\"}";
    const ELSE: &str = "  - {id: other, phase: isolate, title: A, for_each: \"{{ left }}\", lasting: x, request: {graph: \"DELETE /v1.0/users/{{ item }}\"}, check: {claim: c, get: {graph: GET /v1.0/users}, that: \"{{ got_status == 200 }}\"}, otherwise: continue, fallback:";

    #[test]
    fn a_fallback_names_a_step_that_goes_on_and_its_price() {
        let whole = |end: &str, fallback: &str| {
            codes_of_steps(&format!("{CUT}{end}}}\n{ELSE} {fallback}}}\n"))
        };
        let goes_on = ", otherwise: continue";
        assert_eq!(whole(goes_on, "{of: cut, price: dear}"), Vec::<&str>::new());
        assert_eq!(whole(goes_on, "{of: cut}"), ["no-price"]);
        let stops = ELSE.replace("otherwise: continue, ", "");
        let codes = codes_of_steps(&format!(
            "{CUT}{goes_on}}}\n{stops} {{of: cut, price: dear}}}}\n"
        ));
        assert_eq!(codes, ["fallback-that-stops"]);
        for (end, of) in [("", "cut"), (goes_on, "nothing"), (goes_on, "other")] {
            let codes = whole(end, &format!("{{of: {of}, price: dear}}"));
            assert_eq!(codes, ["fallback-of-nothing"], "{end} {of}");
        }
    }
}
