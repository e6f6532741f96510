//! How targets and runs end: one rule for statuses, one for exit codes.

use super::failure::FailureKind;
use super::target::Tally;
use crate::report::model::RunStatus;
use crate::runbook::model::Purpose;

/// Returns how a target stands after its last step.
pub(crate) fn target_status(tally: &Tally, purpose: Purpose, halted: bool) -> RunStatus {
    if let Some(failure) = &tally.stopped {
        return match failure.kind {
            FailureKind::Refused if tally.effects == 0 => RunStatus::Refused,
            FailureKind::Record => RunStatus::Halted,
            _ if tally.effects == 0 => RunStatus::Failed,
            _ => RunStatus::Partial,
        };
    }
    if halted {
        return RunStatus::Halted;
    }
    // A failed item whose step is only a gap does not undo the containment; it leaves it unproved.
    let left_undone = tally
        .left
        .iter()
        .any(|(_, failure)| failure.kind == FailureKind::LeftUndone);
    if left_undone || tally.went_on > 0 || !tally.uncovered.is_empty() {
        return if tally.effects == 0 {
            RunStatus::Failed
        } else {
            RunStatus::Partial
        };
    }
    if tally.unchecked > 0 || tally.gaps > 0 {
        return RunStatus::Unchecked;
    }
    match purpose {
        Purpose::Contain | Purpose::Respond if tally.residual.is_empty() => RunStatus::Contained,
        Purpose::Contain | Purpose::Respond => RunStatus::ContainedResidual,
        _ => RunStatus::Done,
    }
}

/// Returns how a run stands, from its targets.
pub(crate) fn run_status(targets: &[RunStatus]) -> RunStatus {
    let all = |status: RunStatus| targets.iter().all(|target| *target == status);
    let any = |status: RunStatus| targets.contains(&status);
    if targets.is_empty() || any(RunStatus::Halted) {
        return RunStatus::Halted;
    }
    if all(RunStatus::Refused) {
        return RunStatus::Refused;
    }
    let bad = |status: &RunStatus| matches!(status, RunStatus::Failed | RunStatus::Refused);
    if targets.iter().all(bad) {
        return RunStatus::Failed;
    }
    if any(RunStatus::Partial) || targets.iter().any(bad) {
        return RunStatus::Partial;
    }
    [
        RunStatus::Unchecked,
        RunStatus::ContainedResidual,
        RunStatus::Contained,
        RunStatus::Undone,
    ]
    .into_iter()
    .find(|status| any(*status))
    .unwrap_or(RunStatus::Done)
}

/// Returns the exit code of a run that ended so (DESIGN section 7); `effects` counts writes that took effect.
pub(crate) fn exit_code(status: RunStatus, effects: usize, record_lost: bool) -> u8 {
    if record_lost {
        return 75;
    }
    match status {
        RunStatus::Contained
        | RunStatus::ContainedResidual
        | RunStatus::Done
        | RunStatus::Undone => 0,
        RunStatus::Failed => 1,
        RunStatus::Partial => 3,
        RunStatus::Halted if effects > 0 => 3,
        RunStatus::Halted => 1,
        RunStatus::Unchecked => 4,
        RunStatus::Refused => 5,
        RunStatus::Declined => 7,
    }
}

/// Returns the word of a status, as the report has it.
pub(crate) fn word(status: RunStatus) -> String {
    serde_json::to_value(status)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Failure;

    #[test]
    fn a_failure_before_any_effect_is_failed_and_after_one_is_partial() {
        let mut tally = Tally {
            stopped: Some(Failure::failed("x", "y", "z")),
            ..Tally::default()
        };
        assert_eq!(
            target_status(&tally, Purpose::Contain, false),
            RunStatus::Failed
        );
        tally.effects = 1;
        assert_eq!(
            target_status(&tally, Purpose::Contain, false),
            RunStatus::Partial
        );
    }

    #[test]
    fn a_gap_or_a_false_check_is_never_reported_as_contained() {
        let tally = Tally {
            gaps: 1,
            effects: 3,
            ..Tally::default()
        };
        assert_eq!(
            target_status(&tally, Purpose::Contain, false),
            RunStatus::Unchecked
        );
        let tally = Tally {
            unchecked: 1,
            effects: 3,
            ..Tally::default()
        };
        assert_eq!(
            exit_code(target_status(&tally, Purpose::Contain, false), 3, false),
            4
        );
    }

    #[test]
    fn one_failed_target_among_contained_ones_makes_the_run_partial() {
        let status = run_status(&[RunStatus::ContainedResidual, RunStatus::Failed]);
        assert_eq!(exit_code(status, 5, false), 3);
        assert_eq!(
            run_status(&[RunStatus::Refused, RunStatus::Refused]),
            RunStatus::Refused
        );
        assert_eq!(exit_code(RunStatus::Contained, 5, true), 75);
    }
}
