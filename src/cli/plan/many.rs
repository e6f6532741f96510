//! A plan over many targets: who they are, a few of them in full, and of the rest what does not go as planned.

use super::super::prose::{Reader, brief, count};
use crate::engine::plan::{Plan, PlanTarget};
use crate::ids::ArmId;

/// More targets than are told in full.
const MANY: usize = 10;

/// How many of many are told in full, for what is planned for one is much the same as for the next.
const IN_FULL: usize = 3;

/// How many names are told.
const NAMES: usize = 20;

/// How many lines of what stays open or is touched are told for the rest.
const LINES: usize = 20;

/// Returns how many targets are told in full.
pub(super) fn in_full(plan: &Plan) -> usize {
    if plan.targets.len() > MANY {
        IN_FULL
    } else {
        plan.targets.len()
    }
}

/// Names the targets and says how many there are; nothing where each is told in full.
pub(super) fn named(plan: &Plan, reader: &Reader) -> String {
    let targets = &plan.targets;
    if targets.len() <= MANY {
        return String::new();
    }
    let names = targets.iter().take(NAMES);
    let names: Vec<&str> = names.map(|one| ArmId::name_of(&one.target)).collect();
    let more = match targets.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let said = format!(
        "{}: {}{more} (--output json has each in full)",
        count(targets.len() as u64, "target"),
        names.join(", ")
    );
    reader.wrapped("", &said)
}

/// Tells of those that are not told in full how many writes they get, which of them stop, and what stays open.
pub(super) fn rest(plan: &Plan, reader: &Reader) -> String {
    let rest = &plan.targets[in_full(plan)..];
    if rest.is_empty() {
        return String::new();
    }
    let writes: usize = rest
        .iter()
        .flat_map(|target| &target.steps)
        .map(|step| step.writes.len())
        .sum();
    let head = format!(
        "{} more, {} in the same steps",
        count(rest.len() as u64, "target"),
        count(writes as u64, "write")
    );
    let mut out = format!("\n{head}\n");
    for target in rest {
        if let Some(error) = &target.error {
            let said = format!("{}: {}", ArmId::name_of(&target.target), brief(error));
            out.push_str(&reader.wrapped("  STOPS: ", &said));
        }
    }
    section(&mut out, "  stays open:", rest, reader, |one| &one.residual);
    section(&mut out, "  touches also:", rest, reader, |one| {
        &one.collateral
    });
    out
}

fn section(
    out: &mut String,
    head: &str,
    rest: &[PlanTarget],
    reader: &Reader,
    lines: impl Fn(&PlanTarget) -> &Vec<String>,
) {
    let mut all: Vec<&String> = rest.iter().flat_map(lines).collect();
    all.sort();
    all.dedup();
    if all.is_empty() {
        return;
    }
    out.push_str(&format!("{head}\n"));
    for line in all.iter().take(LINES) {
        out.push_str(&reader.wrapped("    - ", &brief(line)));
    }
    if all.len() > LINES {
        out.push_str(&format!("    - and {} more\n", all.len() - LINES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_targets_a_few_are_told_in_full_and_all_that_stop() {
        let target = |number: usize| PlanTarget {
            target: format!("vm-{number:03}"),
            steps: Vec::new(),
            residual: vec!["a token lives on".to_owned()],
            collateral: Vec::new(),
            error: (number == 700).then(|| "it is locked".to_owned()),
        };
        let mut plan = Plan {
            runbook: "isolate-vm".to_owned(),
            version: String::new(),
            title: String::new(),
            incident: String::new(),
            cloud: String::new(),
            tenant: String::new(),
            principal: String::new(),
            deadline_seconds: None,
            targets: (0..1_000).map(target).collect(),
            preflight: Vec::new(),
        };
        let reader = Reader {
            now: "2026-11-25T02:18:22Z".parse().unwrap(),
            zone: chrono::FixedOffset::east_opt(0).unwrap(),
            width: None,
        };
        let head = named(&plan, &reader);
        assert!(
            head.starts_with("1,000 targets: vm-000, vm-001")
                || head.starts_with("1000 targets: vm-000"),
            "{head}"
        );
        assert!(head.contains("vm-019 and 980 more"), "{head}");
        let rest = super::rest(&plan, &reader);
        assert!(rest.contains("STOPS: vm-700: it is locked"), "{rest}");
        assert_eq!(rest.matches("a token lives on").count(), 1, "{rest}");
        assert!(rest.lines().count() < 10, "{rest}");
        plan.targets.truncate(10);
        assert_eq!(in_full(&plan), 10);
        assert!(named(&plan, &reader).is_empty() && super::rest(&plan, &reader).is_empty());
    }
}
