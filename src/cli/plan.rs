//! A plan as a person reads it: each write with its undo, what stays open, what speaks against it.

use std::fmt::Write as _;

use crate::engine::plan::{Plan, Verdict};

/// Returns a plan as text.
pub(super) fn text(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "PLAN {} {}: {}",
        plan.runbook, plan.version, plan.title
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
            super::live::span(std::time::Duration::from_secs(seconds))
        );
    }
    for target in &plan.targets {
        let _ = writeln!(out, "\n{}", target.target);
        if let Some(error) = &target.error {
            let _ = writeln!(out, "  STOPS: {error}");
        }
        for step in target
            .steps
            .iter()
            .filter(|step| step.kind != "read" || step.note.is_some())
        {
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
            let _ = writeln!(out, "  {:<9} {}{note}{consent}", step.phase, step.title);
            for write in &step.writes {
                let _ = writeln!(out, "            {write}");
            }
            if !step.undo.is_empty() {
                let _ = writeln!(out, "            undo: {}", step.undo);
            }
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

fn section(out: &mut String, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{head}");
    for line in lines {
        let _ = writeln!(out, "    {line}");
    }
}
