//! Runbooks in words: the index, one runbook to read aloud, and a new one to begin with.

use std::fmt::Write as _;

use super::catalogue::{Catalogue, title};
use super::model::{Action, Runbook, Step, Undo};

/// Returns the index of the shipped runbooks in Markdown.
pub fn index(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "# Runbooks\n\nEach file is a command of the same name. This index is generated: `azir runbook list --markdown`.\n\n| command | what it does | file |\n|---|---|---|\n",
    );
    for (name, source) in catalogue.sources().filter(|(_, source)| source.shipped) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `{name}` | {} | [{}]({}) |",
            title(&source.text),
            source.path,
            source.path
        );
    }
    out
}

/// Returns a runbook as a person reads it aloud.
pub fn show(runbook: &Runbook) -> String {
    let mut out = format!(
        "{} {}: {}\n",
        runbook.name.value, runbook.version, runbook.title
    );
    if let Some(about) = &runbook.about {
        let _ = write!(out, "\n{}\n", about.trim());
    }
    if let Some(deadline) = runbook.deadline {
        let _ = write!(
            out,
            "\nDeadline: {} s from the start of the run.\n",
            deadline.as_secs()
        );
    }
    out.push_str("\nSteps:\n");
    for (number, step) in runbook.steps.iter().enumerate() {
        let _ = writeln!(
            out,
            "{:>3}. {} [{}] {}",
            number + 1,
            step.id.value,
            phase(step),
            step.title.value
        );
        let _ = writeln!(out, "     {}", does(step));
        for check in &step.checks {
            let gate = if check.gate { "gate: " } else { "" };
            let _ = writeln!(out, "     check: {gate}{}", check.claim.value);
        }
        if let Some(undo) = undo(step) {
            let _ = writeln!(out, "     undo: {undo}");
        }
    }
    if !runbook.permissions.arm.is_empty() {
        out.push_str("\nPermissions on ARM:\n");
        for action in &runbook.permissions.arm {
            let _ = writeln!(out, "  {action}");
        }
    }
    if !runbook.permissions.graph.is_empty() {
        let _ = write!(
            out,
            "\nPermissions on Microsoft Graph: {}\n",
            runbook.permissions.graph.join(", ")
        );
    }
    out
}

fn phase(step: &Step) -> String {
    format!("{:?}", step.phase).to_lowercase()
}

fn does(step: &Step) -> String {
    let each = if step.for_each.is_some() {
        " for each item"
    } else {
        ""
    };
    match &step.action {
        Action::Read(call) => format!("reads {}{each}", call.line.value),
        Action::Request(request) => format!("sends {}{each}", request.call.line.value),
        Action::Edit(edit) => format!(
            "changes {} of {}{each}",
            edit.set.keys().cloned().collect::<Vec<_>>().join(", "),
            edit.arm.value
        ),
        Action::Collect(collect) => format!("collects {}{each}", collect.call.line.value),
        Action::Assert(_) => "states what must be so".to_owned(),
        Action::Decide(decide) => format!("asks: {}", decide.question.value),
        Action::Manual(manual) => format!("asks a person: {}", manual.instruction.value),
        Action::Run(other) => format!("runs {}", other.runbook.value),
        Action::Wait(wait) => format!("waits {}: {}", wait.how_long.value, wait.why),
    }
}

fn undo(step: &Step) -> Option<String> {
    match (&step.undo, &step.lasting) {
        (Some(Undo::Restore), _) => Some("restores the members as they were".to_owned()),
        (Some(Undo::Ask), _) => {
            Some("restores the members as they were, after a recorded clearance".to_owned())
        }
        (Some(Undo::Never(why)), _) => Some(format!("never: {why}")),
        (Some(Undo::Requests(requests)), _) => Some(
            requests
                .iter()
                .map(|request| request.call.line.value.clone())
                .collect::<Vec<_>>()
                .join(", then "),
        ),
        (None, Some(why)) => Some(format!("lasting: {why}")),
        (None, None) => None,
    }
}

/// Returns a new runbook that lints clean and does one harmless thing.
pub fn new(name: &str) -> String {
    format!(
        r#"azir: v1
name: {name}
version: 0.1.0
title: Say in one line what {name} does
purpose: read
params:
  vm: {{type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, required: true, help: Name or resource id}}
steps:
  - id: machine
    phase: inventory
    title: Read the virtual machine
    read: {{arm: "GET {{{{ vm.id }}}}", api_version: "2024-11-01"}}
    let:
      state: "{{{{ body | get('properties.provisioningState', 'unknown') }}}}"
    say: "{{{{ vm.name }}}} is {{{{ state }}}}"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::lint::lint;
    use crate::runbook::parse::parse;

    #[test]
    fn a_new_runbook_lints_clean() {
        let runbook = parse("my-check.yaml", &new("my-check")).unwrap();
        assert_eq!(lint("my-check.yaml", &runbook, &Catalogue::shipped()), []);
    }

    #[test]
    fn the_index_in_the_repository_is_true() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/README.md");
        let kept = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            kept,
            index(&Catalogue::shipped()),
            "regenerate it: azir runbook list --markdown"
        );
    }
}
