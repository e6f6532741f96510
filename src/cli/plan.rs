//! A plan as a person reads it: each write with its undo, what stays open, what speaks against it.

mod many;

use std::fmt::Write as _;

use super::prose::{Reader, brief};
use crate::engine::plan::{Plan, PlanStep, Preflight, Verdict};
use crate::ids::ArmId;

/// Returns a plan as text.
pub(super) fn text(plan: &Plan, reader: &Reader) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "PLAN {}: {}",
        format!("{} {}", plan.runbook, plan.version).trim_end(),
        plan.title
    );
    let place = format!(
        "incident {}, cloud {}, tenant {}, as {}",
        plan.incident, plan.cloud, plan.tenant, plan.principal
    );
    out.push_str(&reader.wrapped("", &place));
    if let Some(seconds) = plan.deadline_seconds {
        let _ = writeln!(
            out,
            "deadline {}",
            super::view::span(std::time::Duration::from_secs(seconds))
        );
    }
    out.push_str(&many::named(plan, reader));
    for target in plan.targets.iter().take(many::in_full(plan)) {
        let _ = writeln!(out, "\n{}", ArmId::name_of(&target.target));
        if target.target.starts_with('/') {
            let _ = writeln!(out, "  {}", target.target);
        }
        if let Some(error) = &target.error {
            let _ = write!(out, "{}", reader.wrapped("  STOPS: ", &brief(error)));
        }
        let mut before: Option<&PlanStep> = None;
        for step in target.steps.iter().filter(|step| matters(step)) {
            // An undo plans each write of a step by itself; a person reads the step once.
            let again =
                before.is_some_and(|before| before.id == step.id && before.note == step.note);
            if !again {
                heading(&mut out, step, reader);
            }
            for write in step.writes.iter().filter(|write| !write.is_empty()) {
                out.push_str(&reader.wrapped("            ", &short(write, &target.target)));
            }
            if !again && !step.undo.is_empty() {
                out.push_str(&reader.wrapped("            ", &undo(&step.undo)));
            }
            before = Some(step);
        }
        section(&mut out, "  stays open:", &target.residual, reader);
        section(&mut out, "  touches also:", &target.collateral, reader);
    }
    out.push_str(&many::rest(plan, reader));
    out.push('\n');
    answers(&mut out, &plan.preflight, reader);
    out
}

/// Adds the answers of a preflight: what is well in one line for each kind, everything else with what to type.
pub(super) fn answers(out: &mut String, preflight: &[Preflight], reader: &Reader) {
    let mut well: Vec<(&str, Vec<&str>)> = Vec::new();
    for answer in preflight {
        if let (Verdict::Pass, Some(step)) = (answer.verdict, &answer.step) {
            match well.iter_mut().find(|(what, _)| *what == answer.what) {
                Some((_, steps)) if steps.contains(&step.as_str()) => {}
                Some((_, steps)) => steps.push(step),
                None => well.push((&answer.what, vec![step])),
            }
            continue;
        }
        let target = answer
            .target
            .as_ref()
            .map(|target| format!("{}: ", ArmId::name_of(target)))
            .unwrap_or_default();
        let next = answer.next.as_deref().unwrap_or_default();
        let told = answer.text.strip_suffix(next).unwrap_or(&answer.text);
        let told = told.trim_end_matches("; ");
        let said = format!("{}: {target}{}", answer.what, brief(told));
        out.push_str(&reader.wrapped(&format!("{:<8}", word(answer.verdict)), &said));
        if !next.is_empty() {
            // A command is copied whole.
            let _ = writeln!(out, "        next: {next}");
        }
    }
    for (what, steps) in well {
        let said = format!("{what}: {}", steps.join(", "));
        out.push_str(&reader.wrapped(&format!("{:<8}", word(Verdict::Pass)), &said));
    }
}

/// Returns a verdict as it is written everywhere.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Unknown => "UNKNOWN",
    }
}

/// Whether a person needs to hear of a step: not of reads, and not of writes that have nothing to do.
fn matters(step: &PlanStep) -> bool {
    let note = step.note.as_deref();
    let skipped = note.is_some_and(|note| note.starts_with("skipped: "));
    let told = note.is_some() && !skipped;
    match step.kind.as_str() {
        "read" | "assert" => told,
        _ if step.undo.is_empty() => true,
        _ => !step.writes.is_empty() || told || step.needs_consent,
    }
}

/// Tells how a write is undone in words; a plan of an undo says so in its own.
fn undo(words: &str) -> String {
    match words.split_once(": ") {
        _ if words == "restore" => "undo: as it was before".to_owned(),
        _ if words == "requests" => "undo: as recorded before".to_owned(),
        _ if words == "ask" => "undo: only after a recorded clearance".to_owned(),
        Some(("lasting", why)) => format!("stays: {why}"),
        Some(("never", why)) => format!("CANNOT BE UNDONE: {why}"),
        _ => format!("undo: {words}"),
    }
}

fn heading(out: &mut String, step: &PlanStep, reader: &Reader) {
    let note = step
        .note
        .as_ref()
        .map(|note| format!(" ({note})"))
        .unwrap_or_default();
    let consent = if step.needs_consent {
        " [needs --accept]"
    } else {
        ""
    };
    let said = format!("{}{note}{consent}", step.title);
    out.push_str(&reader.wrapped(&format!("  {:<9} ", step.phase), &said));
}

fn section(out: &mut String, head: &str, lines: &[String], reader: &Reader) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{head}");
    for line in lines {
        out.push_str(&reader.wrapped("    - ", &brief(line)));
    }
}

/// Returns a write as a person tells it: `PUT networkInterfaces/vm-app-01-nic in rg-workload-prod`. The subscription
/// is said where it is not the target's own; JSON has the whole id.
fn short(write: &str, target: &str) -> String {
    let subscription = |id: &str| {
        let rest = id.strip_prefix("/subscriptions/")?;
        rest.split('/').next().map(str::to_lowercase)
    };
    let told = || {
        let (method, rest) = write.split_once(' ')?;
        let (id, note) = rest.split_once(' ').unwrap_or((rest, ""));
        let (scope, resource) = id.split_once("/providers/")?;
        let (_, group) = scope.split_once("/resourceGroups/")?;
        // Each part begins with a namespace, which the type makes clear enough.
        let names: Vec<&str> = resource
            .split("/providers/")
            .filter_map(|part| part.split_once('/').map(|(_, names)| names))
            .collect();
        let elsewhere = match subscription(id) {
            own if own == subscription(target) => String::new(),
            other => format!(", subscription {}", other?),
        };
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(" {note}")
        };
        Some(format!(
            "{method} {} in {group}{elsewhere}{note}",
            names.join("/")
        ))
    };
    told().unwrap_or_else(|| write.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_write_is_undone_is_told_in_words() {
        for (word, told) in [
            ("restore", "undo: as it was before"),
            ("requests", "undo: as recorded before"),
            (
                "lasting: snapshots are evidence",
                "stays: snapshots are evidence",
            ),
            ("never: it is gone", "CANNOT BE UNDONE: it is gone"),
        ] {
            assert_eq!(undo(word), told);
        }
    }

    #[test]
    fn a_step_with_nothing_to_do_is_left_out_of_what_is_read_aloud() {
        let step = |kind: &str, writes: &[&str], note: Option<&str>| PlanStep {
            id: "s".to_owned(),
            title: "Make a group".to_owned(),
            phase: "preserve".to_owned(),
            kind: kind.to_owned(),
            writes: writes.iter().map(|&write| write.to_owned()).collect(),
            undo: if kind == "request" {
                "restore".to_owned()
            } else {
                String::new()
            },
            needs_consent: false,
            note: note.map(str::to_owned),
        };
        assert!(matters(&step("request", &["PUT /x"], None)));
        assert!(matters(&step(
            "request",
            &[],
            Some("some of it is known only at run time")
        )));
        assert!(matters(&step("decide", &[], None)));
        assert!(!matters(&step("request", &[], None)));
        assert!(!matters(&step(
            "read",
            &[],
            Some("skipped: the machine runs")
        )));
    }

    #[test]
    fn a_write_is_told_by_its_names_and_by_its_subscription_only_elsewhere() {
        let target =
            "/subscriptions/S/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm";
        for (write, told) in [
            (
                "PATCH /subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm/providers/Microsoft.Resources/tags/default",
                "PATCH virtualMachines/vm/tags/default in g",
            ),
            (
                "PUT /subscriptions/t/resourceGroups/h/providers/Microsoft.Network/networkInterfaces/n (only a.b)",
                "PUT networkInterfaces/n in h, subscription t (only a.b)",
            ),
            ("POST /v1.0/users/x", "POST /v1.0/users/x"),
            ("PUT", "PUT"),
        ] {
            assert_eq!(short(write, target), told);
        }
    }
}
