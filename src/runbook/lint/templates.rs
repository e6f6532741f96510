//! Templates: each parses, and speaks only of filters and names that are there when it is evaluated.

use std::collections::BTreeSet;

use super::names::ALWAYS;
use super::{Found, Subject, did_you_mean, in_templates};
use crate::runbook::expr::documented;
use crate::runbook::model::{Action, On, Step};
use crate::runbook::place::Place;
use crate::runbook::walk::{self, Part};

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut known: BTreeSet<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    known.extend(subject.runbook.params.keys().map(|name| in_templates(name)));
    let ids: BTreeSet<String> = subject
        .runbook
        .steps
        .iter()
        .map(|step| step.id.value.clone())
        .collect();
    let all: BTreeSet<String> = known.union(&ids).cloned().collect();
    for step in &subject.runbook.steps {
        // What only an undo does sees the whole run.
        let before = if step.on == On::Undo { &all } else { &known };
        walk::parts(step, &mut |part, text, place| {
            let mut names = if part.is_late() {
                all.clone()
            } else {
                before.clone()
            };
            names.extend(added(step, part));
            template(subject, text, place, &names, found);
        });
        known.insert(step.id.value.clone());
    }
    walk::after_steps(subject.runbook, &mut |text, place, each| {
        let mut names = all.clone();
        names.extend(each.then(|| "item".to_owned()));
        template(subject, text, place, &names, found);
    });
}

/// Returns the names that a part of a step sees besides parameters and steps.
fn added(step: &Step, part: Part) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| names.extend(more.iter().map(|name| (*name).to_owned()));
    let results: Vec<&str> = step.lets.keys().map(String::as_str).collect();
    if step.for_each.is_some() && !matches!(part, Part::Head | Part::Say) {
        add(&["item", &step.as_name]);
    }
    if step.fallback.is_some() && matches!(part, Part::Head | Part::Before | Part::Action) {
        add(&["left"]);
    }
    match part {
        Part::Head | Part::Before => {}
        Part::Action => add(match step.action {
            Action::Request(_) => &["before"],
            Action::Rotate(_) => &["secret", "upstream"],
            _ => &[],
        }),
        Part::Let(index) => {
            add(answers(&step.action));
            add(&results[..index.min(results.len())]);
        }
        Part::Say => {
            add(&results);
            add(&["chosen", "each", "finding"]);
        }
        Part::Check => {
            add(answers(&step.action));
            add(&results);
            add(&["got", "got_status"]);
        }
        Part::Undo => {
            add(answers(&step.action));
            add(&results);
            add(&["after", "before", "current"]);
        }
    }
    names
}

/// Returns what an action answers with.
fn answers(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Read(_) => &["body", "items", "status"],
        Action::Request(_) => &["before", "body", "status"],
        Action::Edit(_) => &["before", "body", "changed"],
        Action::Collect(_) => &["items", "rows", "sha256"],
        Action::Decide(_) => &["chosen"],
        Action::Manual(_) => &["finding"],
        Action::Rotate(_) => &["upstream", "version"],
        Action::Assert(_) | Action::Run(_) | Action::Wait(_) => &[],
    }
}

fn template(
    subject: &Subject<'_>,
    text: &str,
    place: Place,
    known: &BTreeSet<String>,
    found: &mut Found<'_>,
) {
    let names = match subject.expressions.names(text) {
        Ok(names) => names,
        Err(error) => {
            return found.add(
                "bad-template",
                place,
                error.message,
                "one expression stands between {{ and }}",
            );
        }
    };
    for name in names.iter().filter(|name| !known.contains(*name)) {
        let help = did_you_mean(name, known.iter().map(String::as_str));
        found.add(
            "unknown-name",
            place,
            format!("{name} is nothing that is known here"),
            help,
        );
    }
    for word in subject.expressions.unknown_words(text) {
        let help = did_you_mean(&word, documented().into_iter().map(|(name, _)| name));
        found.add(
            "unknown-filter",
            place,
            format!("there is no filter or test {word}"),
            help,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, codes_of_steps};

    fn read(id: &str, text: &str, more: &str) -> String {
        format!(
            "  - {{id: {id}, phase: tag, title: T, {more}read: {{graph: \"GET /v1.0/users/{text}\"}}}}\n"
        )
    }

    #[test]
    fn names_and_filters_are_there() {
        assert!(codes_of_steps(&read("a", "{{ vm | short_hash }}", "")).is_empty());
        assert_eq!(
            codes_of_steps(&read("a", "{{ vmm }}", "")),
            ["unknown-name"]
        );
        assert_eq!(
            codes_of_steps(&read("a", "{{ vm | nofilter }}", "")),
            ["unknown-filter"]
        );
        assert_eq!(
            codes_of_steps(&read("a", "{{ vm is odd }}", "")),
            ["unknown-filter"]
        );
        assert_eq!(
            codes_of_steps(&read("a", "{{ vm | }}", "")),
            ["bad-template"]
        );
        assert_eq!(codes_of_steps(&read("a", "{{ vm ", "")), ["bad-template"]);
        assert_eq!(
            codes_of_steps(&read("a", "{{ range(9) }}", "")),
            ["unknown-name"]
        );
    }

    #[test]
    fn a_template_sees_what_is_there_when_it_is_evaluated() {
        assert_eq!(
            codes_of_steps(&read("a", "{{ body.id }}", "")),
            ["unknown-name"]
        );
        assert!(
            codes_of_steps(&read(
                "a",
                "x",
                "let: {b: \"{{ body.id }}\", c: \"{{ b }}\"}, "
            ))
            .is_empty()
        );
        assert_eq!(
            codes_of_steps(&read(
                "a",
                "x",
                "let: {c: \"{{ b }}\", b: \"{{ body.id }}\"}, "
            )),
            ["unknown-name"]
        );
        assert_eq!(
            codes_of_steps(&read("a", "{{ item }}", "")),
            ["unknown-name"]
        );
        assert!(
            codes_of_steps(&read(
                "a",
                "{{ item }}{{ x }}",
                "for_each: \"{{ [vm] }}\", as: x, "
            ))
            .is_empty()
        );
        assert_eq!(
            codes_of_steps(&(read("a", "{{ steps.b }}", "") + &read("b", "x", ""))),
            ["unknown-name"]
        );
    }

    #[test]
    fn what_is_said_after_the_steps_is_looked_at_too() {
        let of = |rest: &str| codes(&format!("purpose: read\nsteps: []\n{rest}"));
        assert_eq!(of("collateral: \"{{ nobody }}\"\n"), ["unknown-name"]);
        assert_eq!(of("result: {a: \"{{ nobody }}\"}\n"), ["unknown-name"]);
        assert_eq!(of("residual: [{what: \"{{ item }}\"}]\n"), ["unknown-name"]);
        assert!(
            of("residual: [{what: \"{{ item }}\", for_each: \"{{ [run.id] }}\"}]\n").is_empty()
        );
        assert_eq!(
            of("findings: [{what: \"{{ item }}\", severity: high}]\n"),
            ["unknown-name"]
        );
        assert!(
            of(
                "findings: [{what: \"{{ item }}\", severity: high, for_each: \"{{ [run.id] }}\"}]\n"
            )
            .is_empty()
        );
    }
}
