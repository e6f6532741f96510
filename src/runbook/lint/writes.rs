//! Writes: each is checked by reading back and says how it is undone or why it stays.

use super::{Found, Subject};
use crate::runbook::model::{Action, Purpose, Step, Undo};

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in &subject.runbook.steps {
        if !matches!(
            step.action,
            Action::Request(_) | Action::Edit(_) | Action::Rotate(_)
        ) {
            no_write(step, found);
            continue;
        }
        if subject.runbook.purpose == Purpose::Read {
            let message = format!(
                "step {} writes, and the runbook's purpose is read",
                step.id.value
            );
            found.add(
                "read-writes",
                step.id.place,
                message,
                "give the runbook its true purpose",
            );
        }
        if step.checks.is_empty() {
            let message = format!("step {} writes and has no check", step.id.value);
            found.add(
                "no-check",
                step.id.place,
                message,
                "check: {claim, get, that}; a status code proves nothing",
            );
        }
        for check in step.checks.iter().filter(|check| check.get.is_none()) {
            let message = format!("the check of step {} reads nothing back", step.id.value);
            found.add(
                "check-reads-nothing",
                check.claim.place,
                message,
                "get: the call that shows the effect",
            );
        }
        undo(step, found);
    }
}

fn no_write(step: &Step, found: &mut Found<'_>) {
    if step.undo.is_some() || step.lasting.is_some() {
        let message = format!(
            "step {} writes nothing and says what becomes of it",
            step.id.value
        );
        found.add(
            "undo-of-read",
            step.id.place,
            message,
            "leave out undo and lasting",
        );
    }
    if step.shared.is_some() || step.consent_explicit {
        let message = format!(
            "step {} writes nothing; only writes are shared or need consent",
            step.id.value
        );
        found.add(
            "undo-of-read",
            step.id.place,
            message,
            "leave out shared and consent",
        );
    }
}

fn undo(step: &Step, found: &mut Found<'_>) {
    let (place, id) = (step.id.place, &step.id.value);
    match (&step.undo, &step.lasting) {
        (None, None) => {
            let help = "undo: restore, {request: ...}, {never: why}, or lasting: why";
            found.add(
                "no-undo",
                place,
                format!("step {id} does not say how it is undone"),
                help,
            );
        }
        (Some(_), Some(_)) => {
            found.add(
                "no-undo",
                place,
                format!("step {id} is both undone and lasting"),
                "leave out one of them",
            );
        }
        (Some(Undo::Restore | Undo::Ask), None) if matches!(step.action, Action::Request(_)) => {
            let message =
                format!("step {id} is a request, and restore only knows members of an edit");
            found.add("restore-request", place, message, "undo: {request: ...}");
        }
        (Some(Undo::Requests(requests)), None) if requests.is_empty() => {
            found.add(
                "no-undo",
                place,
                format!("step {id} is undone by no request"),
                "undo: {request: ...}",
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, codes_of_steps};

    const WRITE: &str = "  - {id: a, phase: isolate, title: A, request: {graph: \"PATCH /v1.0/users/{{ vm }}\", body: {}}";
    const CHECK: &str =
        ", check: {claim: c, get: {graph: GET /v1.0/users}, that: \"{{ got_status == 200 }}\"}";

    #[test]
    fn a_write_is_checked_and_undone_or_lasting() {
        assert_eq!(
            codes_of_steps(&format!("{WRITE}}}\n")),
            ["no-check", "no-undo"]
        );
        assert!(codes_of_steps(&format!("{WRITE}{CHECK}, lasting: why}}\n")).is_empty());
        assert_eq!(
            codes_of_steps(&format!(
                "{WRITE}{CHECK}, lasting: why, undo: {{never: why}}}}\n"
            )),
            ["no-undo"]
        );
        assert_eq!(
            codes_of_steps(&format!("{WRITE}{CHECK}, undo: restore}}\n")),
            ["restore-request"]
        );
        let blind = ", lasting: why, check: {claim: c, that: \"{{ status == 200 }}\"}";
        assert_eq!(
            codes_of_steps(&format!("{WRITE}{blind}}}\n")),
            ["check-reads-nothing"]
        );
    }

    #[test]
    fn what_only_reads_does_not_write_and_has_no_undo() {
        assert_eq!(
            codes(&format!(
                "purpose: read\nparams: {{vm: {{type: string}}}}\nsteps:\n{WRITE}{CHECK}, lasting: why}}\n"
            )),
            ["read-writes"]
        );
        let read =
            "  - {id: a, phase: tag, title: A, undo: restore, read: {graph: GET /v1.0/users}}\n";
        assert_eq!(codes_of_steps(read), ["undo-of-read"]);
    }
}
