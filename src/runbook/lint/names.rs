//! Names: none is reserved, taken, used twice or hides another.

use std::collections::BTreeMap;

use super::{Found, Subject, in_templates};
use crate::runbook::catalogue::RESERVED;

/// Names that every template sees.
pub(super) const ALWAYS: &[&str] = &["now", "profile", "run", "steps"];

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let name = &subject.runbook.name;
    if RESERVED.contains(&name.value.as_str()) {
        found.add(
            "reserved-name",
            name.place,
            format!("{} is a command of azir", name.value),
            "choose another name",
        );
    }
    if let Some(source) = subject.catalogue.source(&name.value)
        && source.shipped
        && source.path != subject.file
    {
        found.add(
            "shadows-shipped",
            name.place,
            format!("azir ships a runbook named {}", name.value),
            "choose another name",
        );
    }
    steps(subject, found);
}

fn steps(subject: &Subject<'_>, found: &mut Found<'_>) {
    let params: Vec<String> = subject
        .runbook
        .params
        .keys()
        .map(|name| in_templates(name))
        .collect();
    let hides = |name: &str| params.iter().any(|param| param == name) || ALWAYS.contains(&name);
    let mut first = BTreeMap::new();
    for step in &subject.runbook.steps {
        let id = &step.id;
        if let Some(place) = first.insert(id.value.as_str(), id.place) {
            found.add(
                "same-id",
                id.place,
                format!("step id {} is used twice", id.value),
                "give each step its own",
            );
            found.and_see(place, "first used here");
        }
        if hides(&id.value) || id.value == "item" {
            found.add(
                "hidden-name",
                id.place,
                format!("step {} hides another name", id.value),
                "choose another id",
            );
        }
    }
    for step in subject
        .runbook
        .steps
        .iter()
        .filter(|step| step.for_each.is_some())
    {
        if hides(&step.as_name) || first.contains_key(step.as_name.as_str()) {
            let message = format!(
                "the item {} of step {} hides another name",
                step.as_name, step.id.value
            );
            found.add(
                "hidden-name",
                step.id.place,
                message,
                "choose another name after as",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes_of_steps;

    fn read(id: &str, more: &str) -> String {
        format!("  - {{id: {id}, phase: tag, title: T, {more}read: {{graph: GET /v1.0/users}}}}\n")
    }

    #[test]
    fn names_are_used_once_and_hide_none() {
        assert_eq!(
            codes_of_steps(&(read("a", "") + &read("a", ""))),
            ["same-id"]
        );
        assert_eq!(codes_of_steps(&read("vm", "")), ["hidden-name"]);
        assert_eq!(codes_of_steps(&read("run", "")), ["hidden-name"]);
        assert_eq!(
            codes_of_steps(&(read("a", "") + &read("b", "for_each: \"{{ [vm] }}\", as: a, "))),
            ["hidden-name"]
        );
    }
}
