//! Whether a runbook is sound: what the parser cannot see because it takes the whole file.
//!
//! A rule a file. Each looks at the whole runbook and says what it finds; none depends on another. Knows the
//! catalogue, because a runbook may call others; evaluates nothing.

mod actions;
mod beta;
mod calls;
mod fallbacks;
mod idle;
mod members;
mod names;
mod order;
mod params;
mod permissions;
mod reads;
mod secrets;
mod templates;
mod writes;

use super::catalogue::Catalogue;
use super::expr::Expressions;
use super::model::Runbook;
use super::place::Place;
use super::problem::{Problem, nearest};

/// What a rule looks at.
struct Subject<'a> {
    file: &'a str,
    runbook: &'a Runbook,
    catalogue: &'a Catalogue,
    expressions: Expressions,
}

/// What a rule has found.
struct Found<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

type Rule = fn(&Subject<'_>, &mut Found<'_>);

/// Every rule, sorted.
const RULES: &[Rule] = &[
    beta::look,
    calls::look,
    fallbacks::look,
    idle::look,
    members::look,
    names::look,
    order::look,
    params::look,
    permissions::look,
    reads::look,
    secrets::look,
    templates::look,
    writes::look,
];

/// Returns what is wrong with a runbook, in the order of the file; nothing if it is sound.
pub fn lint(file: &str, runbook: &Runbook, catalogue: &Catalogue) -> Vec<Problem> {
    let subject = Subject {
        file,
        runbook,
        catalogue,
        expressions: Expressions::new(),
    };
    let mut found = Found {
        file,
        problems: Vec::new(),
    };
    for rule in RULES {
        rule(&subject, &mut found);
    }
    found
        .problems
        .sort_by_key(|problem| (problem.place.line, problem.place.column));
    found.problems
}

impl Found<'_> {
    fn add(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        self.problems.push(Problem {
            code,
            file: self.file.to_owned(),
            place,
            message: message.into(),
            help: (!help.is_empty()).then_some(help),
            related: Vec::new(),
        });
    }

    /// Adds another place to the problem found last.
    fn and_see(&mut self, place: Place, what: &str) {
        if let Some(problem) = self.problems.last_mut() {
            problem.related.push((place, what.to_owned()));
        }
    }
}

/// Returns help that names the nearest known word, or nothing.
fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(typed, known)
        .map(|near| format!("did you mean {near}?"))
        .unwrap_or_default()
}

/// Returns the name under which templates know a parameter.
fn in_templates(parameter: &str) -> String {
    parameter.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse::parse;

    /// Lints a runbook with these lines after its title, and returns the codes found.
    pub(super) fn codes(rest: &str) -> Vec<&'static str> {
        let text = format!("azir: v1\nname: x\nversion: 1.0.0\ntitle: X\n{rest}");
        let runbook = parse("x.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut codes: Vec<_> = lint("x.yaml", &runbook, &Catalogue::shipped())
            .into_iter()
            .map(|problem| problem.code)
            .collect();
        codes.dedup();
        codes
    }

    /// Lints these steps in a runbook that contains, with a parameter `vm`.
    pub(super) fn codes_of_steps(steps: &str) -> Vec<&'static str> {
        codes(&format!(
            "purpose: contain\nparams:\n  vm: {{type: string, position: 1}}\nsteps:\n{steps}"
        ))
    }

    #[test]
    fn every_shipped_runbook_is_clean() {
        let catalogue = Catalogue::shipped();
        for (name, source) in catalogue.sources() {
            let (runbook, _) = catalogue
                .load(name)
                .unwrap_or_else(|error| panic!("{error}"));
            let found = lint(&source.path, &runbook, &catalogue);
            assert!(
                found.is_empty(),
                "{}",
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
    }
}
