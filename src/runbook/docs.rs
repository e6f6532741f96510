//! Runbooks in words: the index, one runbook to read aloud, the language, and a new runbook to begin with.

use std::fmt::Write as _;

use super::catalogue::{Catalogue, title};
use super::expr::documented;
use super::model::{Action, Finding, On, Otherwise, Param, Residual, Runbook, Step, Undo};

// Writing to a String cannot fail, so the results of `write!` say nothing here.

/// Returns the index of the shipped runbooks in Markdown, a section a folder.
pub fn index(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "# Runbooks\n\nEach file is a command of the same name. This index is generated: `azir runbook list --markdown`.\n",
    );
    let mut shipped: Vec<_> = catalogue
        .sources()
        .filter(|(_, source)| source.shipped)
        .collect();
    shipped.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    let mut last = None;
    for (name, source) in shipped {
        let folder = source.path.split('/').next().unwrap_or_default();
        if last != Some(folder) {
            let _ = write!(
                out,
                "\n## {folder}\n\n| command | what it does |\n|---|---|\n"
            );
            last = Some(folder);
        }
        let _ = writeln!(
            out,
            "| [`{name}`]({}) | {} |",
            source.path,
            title(&source.text)
        );
    }
    out
}

/// Returns every filter of the expression language in Markdown.
pub fn language() -> String {
    let mut out = String::from(
        "A text that is exactly one `{{ expression }}` keeps its type; any other becomes text. Filters:\n\n| filter | what it gives |\n|---|---|\n",
    );
    for (name, help) in documented() {
        let (form, gives) = help.split_once(": ").unwrap_or((name, help));
        let _ = writeln!(out, "| `{}` | {gives} |", form.replace('|', "\\|"));
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
    section(
        &mut out,
        "Parameters",
        runbook
            .params
            .iter()
            .map(|(name, param)| parameter(name, param)),
    );
    out.push_str("\nSteps:\n");
    for (number, step) in runbook.steps.iter().enumerate() {
        out.push_str(&one_step(number + 1, step));
    }
    section(
        &mut out,
        "What stays open",
        runbook.residual.iter().map(residual),
    );
    section(&mut out, "Findings", runbook.findings.iter().map(finding));
    section(
        &mut out,
        "Permissions on ARM",
        runbook.permissions.arm.iter().cloned(),
    );
    section(
        &mut out,
        "Permissions on Microsoft Graph",
        runbook.permissions.graph.iter().cloned(),
    );
    section(
        &mut out,
        "Permissions on Blob storage",
        runbook.permissions.blob.iter().cloned(),
    );
    section(
        &mut out,
        "Permissions on Key Vault",
        runbook.permissions.vault.iter().cloned(),
    );
    let controls = runbook
        .controls
        .iter()
        .map(|(framework, controls)| format!("{framework}: {}", controls.join(", ")));
    section(&mut out, "Controls", controls);
    out
}

fn section(out: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let _ = write!(out, "\n{head}:\n");
        }
        let _ = writeln!(out, "  {line}");
    }
}

fn parameter(name: &str, param: &Param) -> String {
    let typed = if param.position.is_some() {
        name.to_uppercase()
    } else {
        format!("--{name}")
    };
    let more = match &param.default {
        _ if param.required => " (required)".to_owned(),
        Some(default) => format!(" (default {default})"),
        None => String::new(),
    };
    let many = if param.many { ", one or more" } else { "" };
    let help = if param.help.is_empty() {
        String::new()
    } else {
        format!(": {}", param.help)
    };
    format!("{typed}  {}{many}{help}{more}", param.kind.word())
}

fn residual(residual: &Residual) -> String {
    let each = residual
        .for_each
        .as_ref()
        .map(|_| "for each: ")
        .unwrap_or_default();
    let until = residual
        .until
        .as_ref()
        .map(|until| format!(", until {}", until.value))
        .unwrap_or_default();
    let when = residual
        .when
        .as_ref()
        .map(|when| format!(", if {}", when.value))
        .unwrap_or_default();
    format!("{each}{}{until}{when}", residual.what.value)
}

fn finding(finding: &Finding) -> String {
    let each = finding
        .for_each
        .as_ref()
        .map(|list| format!("for each of {}: ", list.value))
        .unwrap_or_default();
    let when = finding
        .when
        .as_ref()
        .map(|when| format!(", if {}", when.value))
        .unwrap_or_default();
    format!(
        "[{}] {each}{}{when}",
        finding.severity.value, finding.what.value
    )
}

fn one_step(number: usize, step: &Step) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{number:>3}. {} [{}] {}",
        step.id.value,
        phase(step),
        step.title.value
    );
    let _ = writeln!(out, "     {}", does(step));
    let mut add = |word: &str, text: &str| {
        let _ = writeln!(out, "     {word}: {text}");
    };
    if let Some(when) = &step.when {
        add("only if", &when.value);
    }
    if let Some(fallback) = &step.fallback {
        add(
            "fallback",
            &format!("only where {} is refused", fallback.of.value),
        );
        if let Some(price) = &fallback.price {
            add("price", &price.value);
        }
    }
    if step.on == On::Undo {
        add("when", "the run is undone");
    }
    if step.consent_explicit {
        add("consent", "asked for each time; --yes does not give it");
    }
    for check in &step.checks {
        let gate = if check.gate {
            ", before the next phase"
        } else {
            ""
        };
        add(
            "check",
            &format!(
                "{} (within {} s{gate})",
                check.claim.value,
                check.within.as_secs()
            ),
        );
    }
    if let Some(undo) = undo(step) {
        add("undo", &undo);
    }
    match step.otherwise {
        Otherwise::Stop => {}
        Otherwise::Continue => add("if it fails", "the rest is done all the same"),
        Otherwise::Gap => add("if it fails", "the run goes on, with a named gap"),
        Otherwise::Say => add(
            "if it fails",
            "the run goes on and says what it could not find out",
        ),
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
        Action::Edit(edit) => {
            let members = edit.set.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("changes {members} of {}{each}", edit.arm.value)
        }
        Action::Collect(collect) => format!("collects {}{each}", collect.call.line.value),
        Action::Assert(assert) => format!("stops unless {}", assert.that.value),
        Action::Decide(decide) => format!("asks: {}", decide.question.value),
        Action::Manual(manual) => format!("asks a person: {}", manual.instruction.value),
        Action::Rotate(rotate) => {
            format!("makes a new secret by {}{each}", rotate.upstream.line.value)
        }
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
        (Some(Undo::Requests(requests)), _) => {
            let lines: Vec<&str> = requests
                .iter()
                .map(|request| request.call.line.value.as_str())
                .collect();
            Some(lines.join(", then "))
        }
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
permissions:
  arm: [Microsoft.Compute/virtualMachines/read]
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
    fn every_shipped_runbook_can_be_read_aloud() {
        let catalogue = Catalogue::shipped();
        let (runbook, _) = catalogue.load("isolate-vm").unwrap();
        let text = show(&runbook);
        for part in [
            "VM  the name or resource id",
            "--cut-dns  true or false",
            "swap [isolate]",
            "undo: restores the members",
            "What stays open:",
            "IR-4(2)",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn the_language_is_a_table_of_all_its_filters() {
        let text = language();
        assert_eq!(
            text.lines().filter(|line| line.starts_with("| `")).count(),
            documented().len()
        );
        assert!(
            text.contains("| `list \\| pluck('a.b')` | the member of each, where it is there |"),
            "{text}"
        );
    }
}
