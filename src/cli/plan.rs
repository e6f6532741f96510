//! A plan as a person reads it: each write with its undo, what stays open, what speaks against it.

use std::fmt::Write as _;

use crate::engine::plan::{Plan, PlanStep, Verdict};

/// Returns a plan as text.
pub(super) fn text(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "PLAN {}: {}",
        format!("{} {}", plan.runbook, plan.version).trim_end(),
        plan.title
    );
    let _ = writeln!(
        out,
        "incident {}, cloud {}, tenant {}, as {}",
        plan.incident, plan.cloud, plan.tenant, plan.principal
    );
    if let Some(seconds) = plan.deadline_seconds {
        let _ = writeln!(
            out,
            "deadline {}",
            super::view::span(std::time::Duration::from_secs(seconds))
        );
    }
    for target in &plan.targets {
        let _ = writeln!(out, "\n{}", target.target);
        if let Some(error) = &target.error {
            let _ = writeln!(out, "  STOPS: {error}");
        }
        let mut before: Option<&PlanStep> = None;
        for step in target
            .steps
            .iter()
            .filter(|step| step.kind != "read" || step.note.is_some())
        {
            // An undo plans each write of a step by itself; a person reads the step once.
            let again =
                before.is_some_and(|before| before.id == step.id && before.note == step.note);
            if !again {
                heading(&mut out, step);
            }
            for write in step.writes.iter().filter(|write| !write.is_empty()) {
                let _ = writeln!(out, "            {}", short(write, &target.target));
            }
            if !again && !step.undo.is_empty() {
                let _ = writeln!(out, "            undo: {}", step.undo);
            }
            before = Some(step);
        }
        section(&mut out, "  stays open:", &target.residual);
        section(&mut out, "  touches also:", &target.collateral);
    }
    out.push('\n');
    for answer in &plan.preflight {
        let word = match answer.verdict {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Unknown => "UNKNOWN",
        };
        let target = answer
            .target
            .as_ref()
            .map(|target| format!("{}: ", crate::ids::ArmId::name_of(target)))
            .unwrap_or_default();
        let _ = writeln!(out, "{word:<8}{}: {target}{}", answer.what, answer.text);
    }
    out
}

fn heading(out: &mut String, step: &PlanStep) {
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
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {:<9} {}{note}{consent}", step.phase, step.title);
}

fn section(out: &mut String, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{head}");
    for line in lines {
        let _ = writeln!(out, "    {line}");
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
