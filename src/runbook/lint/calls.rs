//! Calls: a runbook that is called exists, takes what it is given, and does not lead back here.

use std::collections::BTreeSet;

use super::{Found, Subject, did_you_mean};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::model::{Action, RunOther, Runbook};

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    for other in called(subject.runbook) {
        let (name, place) = (&other.runbook.value, other.runbook.place);
        if *name == subject.runbook.name.value {
            found.add("calls-itself", place, "a runbook cannot call itself", "");
            continue;
        }
        let Ok((callee, _)) = subject.catalogue.load(name) else {
            let help = did_you_mean(name, subject.catalogue.sources().map(|(name, _)| name));
            found.add(
                "unknown-runbook",
                place,
                format!("there is no runbook {name}"),
                help,
            );
            continue;
        };
        if leads_to(
            &subject.runbook.name.value,
            &callee,
            subject.catalogue,
            &mut BTreeSet::new(),
        ) {
            found.add(
                "calls-itself",
                place,
                format!("{name} calls {} again", subject.runbook.name.value),
                "",
            );
        }
        for (given, value) in other
            .with
            .iter()
            .filter(|(given, _)| !callee.params.contains_key(*given))
        {
            let help = did_you_mean(given, callee.params.keys().map(String::as_str));
            found.add(
                "unknown-name",
                value.place,
                format!("{name} has no parameter {given}"),
                help,
            );
        }
        for (missing, _) in callee
            .params
            .iter()
            .filter(|(param, declared)| declared.required && !other.with.contains_key(*param))
        {
            found.add(
                "missing-parameter",
                place,
                format!("{name} must be given {missing}"),
                format!("with: {{{missing}: ...}}"),
            );
        }
    }
}

fn called(runbook: &Runbook) -> impl Iterator<Item = &RunOther> {
    runbook.steps.iter().filter_map(|step| match &step.action {
        Action::Run(other) => Some(other),
        _ => None,
    })
}

fn leads_to(
    name: &str,
    runbook: &Runbook,
    catalogue: &Catalogue,
    seen: &mut BTreeSet<String>,
) -> bool {
    called(runbook).any(|other| {
        let next = &other.runbook.value;
        next == name
            || (seen.insert(next.clone())
                && catalogue
                    .load(next)
                    .is_ok_and(|(runbook, _)| leads_to(name, &runbook, catalogue, seen)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::lint;
    use super::super::tests::codes_of_steps;
    use crate::runbook::catalogue::Catalogue;
    use crate::runbook::parse::parse;

    #[test]
    fn what_is_called_exists_and_takes_what_it_is_given() {
        let run = |run: &str| {
            codes_of_steps(&format!(
                "  - {{id: a, phase: tag, title: T, run: {{{run}}}}}\n"
            ))
        };
        assert_eq!(run("runbook: isolate-wm"), ["unknown-runbook"]);
        assert_eq!(run("runbook: x"), ["calls-itself"]);
        assert_eq!(run("runbook: snapshot-vm"), ["missing-parameter"]);
        assert_eq!(
            run("runbook: snapshot-vm, with: {vm: \"{{ vm }}\", size: 1}"),
            ["unknown-name"]
        );
    }

    #[test]
    fn a_circle_of_calls_is_found() {
        let text = |name: &str, other: &str| {
            format!(
                "azir: v1\nname: {name}\nversion: 1.0.0\ntitle: X\npurpose: contain\nsteps:\n  - {{id: a, phase: tag, title: T, run: {{runbook: {other}}}}}\n"
            )
        };
        let mut catalogue = Catalogue::shipped();
        catalogue.add("b", "b.yaml", &text("b", "c")).unwrap();
        catalogue.add("c", "c.yaml", &text("c", "a")).unwrap();
        let a = parse("a.yaml", &text("a", "b")).unwrap();
        assert_eq!(lint("a.yaml", &a, &catalogue)[0].code, "calls-itself");
    }
}
