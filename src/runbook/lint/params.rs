//! Parameters: they make a command line that can be typed and read.

use std::collections::BTreeMap;

use super::{Found, Subject};
use crate::runbook::model::ParamKind;

/// Flags that every command has, so no parameter can have them.
const RESERVED_FLAGS: &[&str] = &[
    "accept",
    "auth",
    "authority",
    "choose",
    "cloud",
    "detected-at",
    "filter",
    "from",
    "help",
    "incident",
    "key",
    "lab",
    "lab-latency",
    "max-failures",
    "no-input",
    "output",
    "plan",
    "profile",
    "quiet",
    "reapply",
    "responder",
    "retry",
    "ticket",
    "together",
    "verbose",
    "version",
    "watch",
    "yes",
];

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let place = subject.runbook.name.place;
    let mut positions: BTreeMap<usize, &str> = BTreeMap::new();
    for (name, param) in &subject.runbook.params {
        // Targets come from a file by --from, unless the runbook takes what an earlier run found.
        let takes_run = name == "from" && param.kind == ParamKind::Run;
        if RESERVED_FLAGS.contains(&name.as_str()) && param.position.is_none() && !takes_run {
            found.add(
                "reserved-flag",
                place,
                format!("--{name} is a flag of every command"),
                "choose another name",
            );
        }
        if let Some(position) = param.position
            && let Some(other) = positions.insert(position, name)
        {
            found.add(
                "same-position",
                place,
                format!("{other} and {name} both have position {position}"),
                "",
            );
        }
        if param.required && param.default.is_some() {
            found.add(
                "required-default",
                place,
                format!("{name} is required and has a default"),
                "leave out one of them",
            );
        }
        if let ParamKind::Int {
            min: Some(min),
            max: Some(max),
        } = param.kind
            && min > max
        {
            found.add(
                "empty-range",
                place,
                format!("no number lies between {min} and {max}, as {name} demands"),
                "",
            );
        }
    }
    many(subject, found);
    if positions.keys().copied().ne(1..=positions.len()) {
        found.add("position-gap", place, "positions do not count 1, 2, 3", "");
    }
}

/// Only the first position takes many values, for each is a target.
fn many(subject: &Subject<'_>, found: &mut Found<'_>) {
    for (name, param) in &subject.runbook.params {
        if param.many && param.position.is_some_and(|position| position != 1) {
            let message = format!("{name} takes many values and is not first");
            found.add(
                "many-not-first",
                subject.runbook.name.place,
                message,
                "give it position 1",
            );
        }
        if param.many && matches!(param.kind, ParamKind::Bool) {
            let message = format!("{name} is a switch and cannot be given many times");
            found.add(
                "many-not-first",
                subject.runbook.name.place,
                message,
                "leave out many",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes;

    fn of(params: &str) -> Vec<&'static str> {
        codes(&format!("purpose: read\nparams:\n{params}steps: []\n"))
    }

    #[test]
    fn a_command_line_can_be_made_of_them() {
        assert!(of("  a: {type: string, position: 1, many: true}\n  b: {type: bool}\n").is_empty());
        assert_eq!(
            of("  a: {type: string, position: 1}\n  b: {type: string, position: 1}\n"),
            ["same-position"]
        );
        assert_eq!(of("  a: {type: string, position: 2}\n"), ["position-gap"]);
        assert_eq!(of("  yes: {type: bool}\n"), ["reserved-flag"]);
        assert_eq!(
            of("  a: {type: string, required: true, default: x}\n"),
            ["required-default"]
        );
        assert_eq!(of("  a: {type: int, min: 2, max: 1}\n"), ["empty-range"]);
        assert_eq!(
            of("  a: {type: string, position: 1}\n  b: {type: string, position: 2, many: true}\n"),
            ["many-not-first"]
        );
    }
}
