//! The last word on a run over many targets: how many stand how, and by name those that need somebody.

use super::super::prose::{Reader, brief, count};
use super::{MANY, place, standing};
use crate::ids::ArmId;
use crate::report::model::{RunReport, RunStatus};

/// Counts the targets by how they stand, and names each that failed; those with the same reason together.
pub(super) fn verdicts(report: &RunReport, reader: &Reader) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut failed: Vec<(String, Vec<&str>)> = Vec::new();
    for target in &report.targets {
        let word = standing(report, target);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, number)) => *number += 1,
            None => counts.push((word, 1)),
        }
        let why = match &target.error {
            Some(error) => format!("{word}: {}", brief(&error.message)),
            None if is_good(target.status) => continue,
            None => word.to_owned(),
        };
        let name = ArmId::name_of(&target.target);
        match failed.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => failed.push((why, vec![name])),
        }
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(word, number)| format!("{number} {word}"))
        .collect();
    let mut out = reader.wrapped("  ", &counts.join(", "));
    for (why, names) in failed {
        out.push_str(&reader.wrapped("  - ", &format!("{}: {why}", names.join(", "))));
    }
    out
}

/// How many lines of one kind are told of many targets.
const LINES: usize = 12;

/// Cuts what is told of many targets to what a person can take in; returns the line that says where the rest is.
pub(super) fn cut(report: &RunReport, lines: &mut Vec<String>) -> Option<String> {
    let more = lines.len().saturating_sub(LINES);
    if report.targets.len() <= MANY || more == 0 {
        return None;
    }
    lines.truncate(LINES);
    let run = crate::report::run::short(&report.run);
    Some(format!("and {more} more (azir show {run} --output json)"))
}

fn is_good(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Contained
            | RunStatus::ContainedResidual
            | RunStatus::Done
            | RunStatus::Unchecked
            | RunStatus::Undone
    )
}

/// Tells what was left undone, by reason: the command that does it again is one for all.
pub(super) fn left(report: &RunReport, reader: &Reader) -> String {
    let mut groups: Vec<(&str, Vec<&str>, u64)> = Vec::new();
    for left in &report.not_done {
        let at = groups.iter().position(|(why, ..)| *why == left.why);
        let at = at.unwrap_or_else(|| {
            groups.push((&left.why, Vec::new(), 0));
            groups.len() - 1
        });
        let (_, steps, times) = &mut groups[at];
        *times += 1;
        if !steps.contains(&left.step.as_str()) {
            steps.push(&left.step);
        }
    }
    let mut out = String::new();
    for (why, steps, times) in groups {
        let said = format!("{} ({why}): {}", steps.join(", "), count(times, "step"));
        out.push_str(&reader.wrapped("  - ", &said));
    }
    if let (None, Some(left)) = (&report.retry, report.not_done.first()) {
        out.push_str(&format!("    next: {}{}\n", left.next, place(report)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{ErrorReport, NotDone, TargetReport};

    fn target(number: usize, status: RunStatus, why: Option<&str>) -> TargetReport {
        TargetReport {
            target: format!("vm-{number:03}"),
            status,
            contained_at: (status == RunStatus::Contained).then(String::new),
            error: why.map(|why| ErrorReport {
                message: why.to_owned(),
                ..ErrorReport::default()
            }),
            steps: Vec::new(),
        }
    }

    #[test]
    fn each_failed_target_is_named_with_its_error_and_the_others_are_counted() {
        let mut targets: Vec<TargetReport> = (0..997)
            .map(|number| target(number, RunStatus::Contained, None))
            .collect();
        targets.push(target(997, RunStatus::Partial, Some("it is locked")));
        targets.push(target(998, RunStatus::Failed, Some("not begun")));
        targets.push(target(999, RunStatus::Failed, Some("not begun")));
        let left = |step: &str| NotDone {
            step: step.to_owned(),
            why: "not begun".to_owned(),
            next: "azir x".to_owned(),
        };
        let report = RunReport {
            targets,
            not_done: vec![left("swap"), left("tags"), left("swap"), left("tags")],
            retry: Some("azir x --retry r".to_owned()),
            ..RunReport::default()
        };
        let reader = Reader {
            now: "2026-11-25T02:18:22Z".parse().unwrap(),
            zone: chrono::FixedOffset::east_opt(0).unwrap(),
            width: None,
        };
        assert_eq!(
            verdicts(&report, &reader),
            "  997 contained, 1 partly done, 2 failed\n  - vm-997: partly done: it is locked\n  - vm-998, vm-999: failed: not begun\n"
        );
        let mut lines: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        assert!(
            cut(&report, &mut lines)
                .unwrap()
                .starts_with("and 988 more")
        );
        assert_eq!(lines.len(), 12);
        assert_eq!(cut(&report, &mut lines), None);
        assert_eq!(
            super::left(&report, &reader),
            "  - swap, tags (not begun): 4 steps\n"
        );
    }
}
