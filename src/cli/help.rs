//! `azir --help`: what a responder needs first, first. Made without parsing a runbook.

use std::fmt::Write as _;

use clap::Command;

use crate::runbook::catalogue::{Catalogue, title};

/// azir's own commands by what they are for; one that is forgotten here fails a test.
const GROUPS: &[(&str, &[&str])] = &[
    ("Two persons", &["plan", "approve"]),
    ("Go on", &["resume"]),
    ("Put back", &["undo"]),
    (
        "Incident",
        &[
            "incident", "status", "note", "attach", "manual", "handover", "timeline",
        ],
    ),
    ("Record", &["list", "show", "wait", "journal"]),
    ("Runbooks", &["run", "runbook"]),
    ("Rehearse", &["drill", "preflight", "lab"]),
    (
        "Set up",
        &["init", "doctor", "key", "schema", "completions"],
    ),
];

/// Returns the template of the root command's help.
pub(super) fn template(catalogue: &Catalogue, own: &[Command]) -> String {
    let mut text = String::from("{about}\n\n{usage-heading} {usage}\n\nRespond:\n");
    for (name, source) in catalogue.sources() {
        row(&mut text, name, title(&source.text));
    }
    for (head, names) in GROUPS {
        let _ = writeln!(text, "\n{head}:");
        for name in *names {
            let about = own
                .iter()
                .find(|command| command.get_name() == *name)
                .and_then(Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            row(&mut text, name, &about);
        }
    }
    text.push_str("\n{options}\n\nBegin with a rehearsal: azir isolate-vm vm-app-01 --lab\n\n");
    text.push_str(&super::exit::help());
    text
}

fn row(text: &mut String, name: &str, about: &str) {
    // Braces would be read as tags of the template.
    let about = about.replace(['{', '}'], "");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {name:<20}  {about}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let root = super::super::args::root(&Arc::new(Catalogue::shipped()));
        for command in root.get_subcommands() {
            let name = command.get_name();
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&name));
            let runbook = Catalogue::shipped().source(name).is_some();
            assert_eq!(groups.count() + usize::from(runbook), 1, "{name}");
        }
    }
}
