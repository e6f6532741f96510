//! The scenarios there are: those shipped with azir, by name, and anybody's own, by file.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::scenario::Scenario;
use crate::runbook::problem::nearest;

include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// A scenario with its text.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub scenario: Scenario,
    /// Its text.
    pub text: Arc<str>,
}

/// Returns the names of the shipped scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _, _)| *name)
}

/// Returns a shipped scenario by name, or the one in a file.
///
/// # Errors
/// What is not there or wrong with it, and the next command to type.
pub fn load(name: &str) -> Result<Loaded, (String, String)> {
    let list = "azir drill list".to_owned();
    if let Some((_, path, text)) = SCENARIOS.iter().find(|(known, _, _)| *known == name) {
        return parse(path, text, name);
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|end| end == "yaml") || path.components().count() > 1 {
        let text =
            std::fs::read_to_string(path).map_err(|error| (format!("{name}: {error}"), list))?;
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        return parse(name, &text, &stem.unwrap_or_default());
    }
    let hint = nearest(name, names()).map_or(list, |near| format!("azir drill start {near}"));
    Err((format!("there is no scenario {name}"), hint))
}

/// Reads a scenario out of its text.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &str, text: &str, name: &str) -> Result<Loaded, (String, String)> {
    let edit = || format!("edit {path}; `azir drill list` names those that are shipped");
    let scenario = Scenario::parse(text).map_err(|why| (format!("{path}: {why}"), edit()))?;
    if scenario.name != name {
        let why = format!(
            "{path}: the file is named {name} and the scenario {}",
            scenario.name
        );
        return Err((why, edit()));
    }
    Ok(Loaded {
        scenario,
        text: Arc::from(text),
    })
}

/// Returns the index of the shipped scenarios in Markdown, as a section of that of the runbooks.
pub fn index() -> String {
    let mut out = String::from(
        "\n## drills\n\nNo commands of their own: `azir drill start NAME` plants one, and judges how it was answered.\n\n| drill | what happens | rehearses | contained within | eradicated within |\n|---|---|---|---|---|\n",
    );
    for (name, path, text) in SCENARIOS {
        // A test reads every one of them.
        let Ok(Loaded { scenario, .. }) = parse(path, text, name) else {
            continue;
        };
        let rehearsed = scenario.rehearses.iter().map(|one| format!("`{one}`"));
        let within = |span: std::time::Duration| format!("{} min", span.as_secs().div_ceil(60));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| [`{name}`]({path}) | {} | {} | {} | {} |",
            scenario.title,
            rehearsed.collect::<Vec<_>>().join(", "),
            within(scenario.deadlines.contain),
            within(scenario.deadlines.eradicate)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::drill::scenario::{Asked, AutoRun};
    use crate::drill::verdict::Place;
    use crate::lab::scenario::Scenario as Tenant;
    use crate::runbook::catalogue::Catalogue;
    use crate::runbook::expr::{Expressions, Scope};
    use crate::runbook::model::{Action, Param, Runbook};

    fn shipped() -> Vec<Scenario> {
        names().map(|name| load(name).unwrap().scenario).collect()
    }

    /// Steps of a runbook and of those that it calls, by the ids that a choice names: whether one decides, and whether
    /// it waits for consent.
    fn steps(runbook: &Runbook, prefix: &str, found: &mut Vec<(String, bool, bool)>) {
        for step in &runbook.steps {
            let id = format!("{prefix}{}", step.id.value);
            if let Action::Run(other) = &step.action {
                let (called, _) = Catalogue::shipped().load(&other.runbook.value).unwrap();
                steps(&called, &format!("{id}."), found);
            }
            let decides = matches!(step.action, Action::Decide(_));
            found.push((id, decides, step.consent_explicit));
        }
    }

    /// Returns the names of a scenario's place in the lab, evaluated.
    fn place(scenario: &Scenario) -> Scope {
        let (expressions, mut scope) = (Expressions::new(), Scope::new());
        for (name, template) in &scenario.lab.names {
            let value = expressions.value(template, &scope);
            scope.set(
                name,
                &value.unwrap_or_else(|error| panic!("{name}: {error}")),
            );
        }
        scope
    }

    #[test]
    fn every_shipped_scenario_is_read_and_rehearses_runbooks_that_there_are() {
        let catalogue = Catalogue::shipped();
        assert!(shipped().len() >= 2);
        for scenario in shipped() {
            let runs = scenario.auto.iter().map(|run| &run.run);
            for runbook in scenario.rehearses.iter().chain(runs) {
                assert!(
                    catalogue.load(runbook).is_ok(),
                    "{}: {runbook}",
                    scenario.name
                );
            }
            for by in scenario.conditions().flat_map(|one| &one.said_by) {
                assert!(
                    catalogue.load(&by.run).is_ok(),
                    "{}: {}",
                    scenario.name,
                    by.run
                );
            }
            let done: BTreeSet<&String> = scenario.auto.iter().map(|run| &run.run).collect();
            let rehearsed: BTreeSet<&String> = scenario.rehearses.iter().collect();
            assert_eq!(done, rehearsed, "{}", scenario.name);
            assert!(scenario.deadlines.contain <= scenario.deadlines.eradicate);
        }
        let (why, next) = load("vm-compromize").unwrap_err();
        assert!(
            why.contains("no scenario") && next.ends_with("vm-compromise"),
            "{why}: {next}"
        );
    }

    #[test]
    fn what_auto_says_names_steps_and_parameters_of_its_runbook() {
        for scenario in shipped() {
            for auto in &scenario.auto {
                let name = format!("{}: {}", scenario.name, auto.run);
                let (runbook, _) = Catalogue::shipped().load(&auto.run).unwrap();
                let target = runbook.params.values().any(Param::is_target);
                assert_eq!(auto.target.is_some(), target, "{name}");
                for given in auto.with.keys() {
                    assert!(runbook.params.contains_key(given), "{name}: {given}");
                }
                for (param, what) in &runbook.params {
                    let given = auto.with.contains_key(param) || what.is_target();
                    assert!(given || !what.required, "{name} needs {param}");
                }
                its_steps_are_there(auto, &runbook, &name);
            }
        }
    }

    fn its_steps_are_there(auto: &AutoRun, runbook: &Runbook, name: &str) {
        let mut found = Vec::new();
        steps(runbook, "", &mut found);
        let is = |step: &str, fits: fn(&(String, bool, bool)) -> bool| {
            found.iter().any(|one| one.0 == step && fits(one))
        };
        for step in auto.choose.keys() {
            assert!(is(step, |one| one.1), "{name}: {step} decides nothing");
        }
        for step in &auto.accept {
            assert!(is(step, |one| one.2), "{name}: {step} asks for no consent");
        }
        for step in auto.already.keys() {
            assert!(is(step, |_| true), "{name}: there is no step {step}");
        }
    }

    #[test]
    fn what_is_added_to_the_lab_makes_a_sound_tenant() {
        for scenario in shipped() {
            let whole = Tenant::with(&scenario.lab.base, &scenario.lab.add);
            let whole = whole.unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            let base = Tenant::load(&scenario.lab.base).unwrap();
            assert!(whole.groups.len() > base.groups.len(), "{}", scenario.name);
            // What has the id of something else would take its place without a word.
            let ids = whole.resources.iter().filter_map(|one| one["id"].as_str());
            let ids: Vec<String> = ids.map(str::to_lowercase).collect();
            let once: BTreeSet<&String> = ids.iter().collect();
            assert_eq!(once.len(), ids.len(), "{}", scenario.name);
        }
    }

    #[test]
    fn every_template_names_what_is_there() {
        for scenario in shipped() {
            let known: BTreeSet<String> = scenario.lab.names.keys().cloned().collect();
            its_templates_name_what_is_there(&scenario.clone().at(Place::Lab), known);
            let tabletop = scenario.tabletop.as_ref().unwrap();
            let own = ["group", "prefix", "location"].map(str::to_owned);
            let known = tabletop.names.keys().cloned().chain(own).collect();
            its_templates_name_what_is_there(&scenario.clone().at(Place::Tabletop), known);
        }
    }

    fn its_templates_name_what_is_there(scenario: &Scenario, mut known: BTreeSet<String>) {
        let expressions = Expressions::new();
        known.extend(["drill", "profile", "cloud", "subscriptions"].map(str::to_owned));
        let of_reads = ["arguments", "got", "got_status", "record"].map(str::to_owned);
        let told = [&scenario.finding.title, &scenario.finding.text].into_iter();
        let told = told.chain(&scenario.planted).chain(&scenario.leaves);
        let told = told.map(|text| ("told".to_owned(), String::new(), text.clone()));
        for (what, own, text) in templates(scenario).into_iter().chain(told) {
            let unknown = expressions.unknown_words(&text);
            assert_eq!(unknown, Vec::<String>::new(), "{}: {what}", scenario.name);
            for name in expressions.names(&text).unwrap() {
                assert!(
                    known.contains(&name) || of_reads.contains(&name) || own == name,
                    "{}: {what} names {name}: {text}",
                    scenario.name
                );
            }
        }
    }

    #[test]
    fn what_is_told_of_a_scenario_is_text() {
        let expressions = Expressions::new();
        for scenario in shipped() {
            let mut scope = place(&scenario);
            let at = "2026-11-24T03:00:00.123456Z";
            scope.set(
                "drill",
                &serde_json::json!({"id": "DRILL-1", "started_at": at}),
            );
            let told = [&scenario.finding.title, &scenario.finding.text];
            for text in told
                .into_iter()
                .chain(&scenario.planted)
                .chain(&scenario.leaves)
            {
                let said = expressions.text(text, &scope).unwrap();
                assert!(!said.trim().is_empty(), "{text}");
            }
        }
    }

    /// Every template of what is judged and done: what it belongs to, what an item is called there, and its text.
    fn templates(scenario: &Scenario) -> Vec<(String, String, String)> {
        let mut all: Vec<(String, String, String)> = Vec::new();
        let mut add = |what: &str, own: &str, texts: Vec<&String>| {
            let each = texts.into_iter().cloned();
            all.extend(each.map(|text| (what.to_owned(), own.to_owned(), text)));
        };
        for one in scenario.conditions() {
            let texts = [&one.claim, &one.that, &one.otherwise];
            let mut texts: Vec<&String> = texts.into_iter().chain(&one.for_each).collect();
            texts.extend(one.read.iter().flat_map(lines));
            if let Some(instead) = &one.instead {
                texts.extend(lines(&instead.read).chain([&instead.that]));
            }
            for by in &one.said_by {
                texts.extend([&by.target].into_iter().chain(&by.when));
            }
            add(&one.id, &one.as_name, texts);
        }
        for one in &scenario.judge.unharmed {
            let texts = [&one.claim, &one.same].into_iter().chain(&one.for_each);
            add(
                &one.id,
                &one.as_name,
                texts.chain(lines(&one.read)).collect(),
            );
        }
        for one in &scenario.judge.order {
            add(&one.id, "", vec![&one.claim]);
        }
        for (name, one) in &scenario.moments {
            let ways = [&one.write_of, &one.operation, &one.audit_of, &one.times];
            let texts = ways.into_iter().chain([&one.for_each]).flatten();
            let texts = texts.chain(&one.call).chain(&one.naming);
            add(
                name,
                &one.as_name,
                texts.chain(one.read.iter().flat_map(lines)).collect(),
            );
        }
        for run in &scenario.auto {
            add(
                &run.run,
                "",
                run.target.iter().chain(run.with.values()).collect(),
            );
            let chosen = run.choose.values().filter_map(Value::as_array).flatten();
            let chosen: Vec<String> = chosen
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect();
            add(&run.run, "", chosen.iter().collect());
        }
        all
    }

    fn lines(asked: &Asked) -> impl Iterator<Item = &String> {
        let line = [&asked.arm, &asked.graph, &asked.vault, &asked.blob];
        line.into_iter().flatten().chain(asked.query.values())
    }
}
