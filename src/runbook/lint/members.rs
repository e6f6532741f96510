//! Members: what a template takes from a step, a resource parameter or the run is there to be taken.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Subject, did_you_mean, in_templates};
use crate::runbook::model::{Action, ParamKind, Step};
use crate::runbook::walk;

/// What `run` holds.
const OF_RUN: &[&str] = &[
    "application",
    "captured_by",
    "clearances",
    "graph",
    "id",
    "incident",
    "mode",
    "principal",
    "responder",
    "short",
    "started_at",
    "targets",
    "tenant",
];
/// What an earlier run holds.
const OF_EARLIER: &[&str] = &["id", "incident", "results", "runbook", "started_at"];
/// What a resolved resource parameter holds.
const OF_RESOURCE: &[&str] = &["id", "location", "name", "resource_group", "subscription"];

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let members = all(subject);
    for step in &subject.runbook.steps {
        // Inside a step its own names come first.
        let mut hidden: BTreeSet<&str> = step.lets.keys().map(String::as_str).collect();
        hidden.insert(&step.as_name);
        walk::parts(step, &mut |_, text, place| {
            for (name, message, help) in unknown(subject, text, &members) {
                if !hidden.contains(name.as_str()) {
                    found.add("unknown-member", place, message, help);
                }
            }
        });
    }
    walk::after_steps(subject.runbook, &mut |text, place, _| {
        for (_, message, help) in unknown(subject, text, &members) {
            found.add("unknown-member", place, message, help);
        }
    });
}

type Members = BTreeMap<String, BTreeSet<String>>;

fn all(subject: &Subject<'_>) -> Members {
    let texts = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let mut members = Members::from([("run".to_owned(), texts(OF_RUN))]);
    for (name, param) in &subject.runbook.params {
        match param.kind {
            ParamKind::Resource(_) => {
                members.insert(in_templates(name), texts(OF_RESOURCE));
            }
            ParamKind::Run => {
                members.insert(in_templates(name), texts(OF_EARLIER));
            }
            ParamKind::Object(kind) => {
                members.insert(in_templates(name), texts(kind.members()));
            }
            _ => {}
        }
    }
    for step in &subject.runbook.steps {
        if let Some(own) = of_step(step, subject) {
            members.insert(step.id.value.clone(), own);
        }
    }
    members
}

/// Returns the names of a step's results; `None` if the runbook that it calls cannot be read.
fn of_step(step: &Step, subject: &Subject<'_>) -> Option<BTreeSet<String>> {
    if step.for_each.is_some() {
        return Some(BTreeSet::from(["each".to_owned()]));
    }
    let mut names: BTreeSet<String> = step.lets.keys().cloned().collect();
    match &step.action {
        Action::Decide(_) => names.extend(["chosen".to_owned()]),
        Action::Manual(_) => names.extend(["finding".to_owned()]),
        Action::Run(other) => names.extend(
            subject
                .catalogue
                .load(&other.runbook.value)
                .ok()?
                .0
                .result
                .keys()
                .cloned(),
        ),
        _ => {}
    }
    Some(names)
}

/// Returns of each member that is not there the name before it, what to say and what may have been meant.
fn unknown(subject: &Subject<'_>, text: &str, members: &Members) -> Vec<(String, String, String)> {
    let mut unknown = Vec::new();
    for path in subject.expressions.paths(text).unwrap_or_default() {
        let path = path.strip_prefix("steps.").unwrap_or(&path);
        let mut parts = path.split('.');
        if let (Some(name), Some(member)) = (parts.next(), parts.next())
            && let Some(known) = members.get(name)
            && !known.contains(member)
        {
            let listed = known
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let near = did_you_mean(member, known.iter().map(String::as_str));
            let help = if near.is_empty() && !listed.is_empty() {
                format!("{name} has {listed}")
            } else {
                near
            };
            unknown.push((name.to_owned(), format!("{name} has no {member}"), help));
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes;

    #[test]
    fn members_are_those_that_a_step_names() {
        let of = |second: &str| {
            codes(&format!(
                "purpose: read\nparams:\n  vm: {{type: resource, of: A/b, position: 1}}\nsteps:\n  - {{id: a, phase: tag, title: T, read: {{graph: GET /v1.0/users}}, let: {{x: \"{{{{ body.id }}}}\"}}}}\n  - {{id: b, phase: tag, title: T, for_each: \"{{{{ [a.x] }}}}\", read: {{graph: \"GET /v1.0/users/{second}\"}}, let: {{x: \"{{{{ body.id }}}}\"}}}}\n"
            ))
        };
        assert!(of("{{ a.x }}").is_empty());
        assert_eq!(of("{{ a.y }}"), ["unknown-member"]);
        assert_eq!(of("{{ steps.a.y }}"), ["unknown-member"]);
        assert!(of("{{ steps.a.x }}{{ vm.name }}{{ run.short }}").is_empty());
        assert_eq!(of("{{ vm.nmae }}"), ["unknown-member"]);
        assert_eq!(of("{{ run.incidnt }}"), ["unknown-member"]);
        assert_eq!(
            codes(
                "purpose: read\nsteps:\n  - {id: b, phase: tag, title: T, for_each: \"{{ [1] }}\", read: {graph: GET /v1.0/users}, let: {x: 1}}\ncollateral: \"{{ b.x }}\"\n"
            ),
            ["unknown-member"]
        );
        assert_eq!(
            codes(
                "purpose: read\nsteps:\n  - {id: b, phase: tag, title: T, run: {runbook: snapshot-vm, with: {vm: x}}}\ncollateral: \"{{ b.snapshot }}\"\n"
            ),
            ["unknown-member"]
        );
    }
}
