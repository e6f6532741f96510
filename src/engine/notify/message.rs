//! What people are told when a run has ended: how it stands, whom it failed, what stays open until when.

use chrono::{DateTime, Utc};

use crate::ids::ArmId;
use crate::report::model::RunStatus;

/// How many names or lines of one kind a message holds; the report has all.
const MOST: usize = 10;

/// A message, for every channel to put into its own form.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The case.
    pub incident: String,
    /// The run; absent: it never began.
    pub run: Option<String>,
    /// The runbook.
    pub runbook: String,
    /// How it stands.
    pub status: RunStatus,
    /// Whether it is an exercise.
    pub drill: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// The targets.
    pub targets: Vec<String>,
    /// Those that did not come to a good end, and why.
    pub failed: Vec<(String, String)>,
    /// What stays open, and until when, where that is known.
    pub residual: Vec<(String, Option<String>)>,
}

impl Message {
    /// Returns whether anybody is to be told: of containment, of failure, and of what lies between, not of looking.
    pub fn is_news(status: RunStatus) -> bool {
        !matches!(
            status,
            RunStatus::Declined | RunStatus::Done | RunStatus::Refused | RunStatus::Undone
        )
    }

    /// Returns the message in one line.
    pub(super) fn headline(&self) -> String {
        let word = match self.status {
            RunStatus::Contained => "CONTAINED",
            RunStatus::ContainedResidual => "CONTAINED, with something left open",
            RunStatus::Unchecked => "DONE, NOT PROVED",
            RunStatus::Partial => "PARTLY DONE",
            RunStatus::Halted => "HALTED before its end",
            _ if self.run.is_none() => "NOT BEGUN",
            _ => "FAILED: nothing took effect",
        };
        let drill = if self.drill { "DRILL " } else { "" };
        let names: Vec<&str> = self.targets.iter().map(|one| ArmId::name_of(one)).collect();
        let named = match names.len() {
            0 => String::new(),
            1..=3 => format!(" on {}", names.join(", ")),
            many => format!(" on {many} targets"),
        };
        format!("{drill}{word}: {}{named} ({})", self.runbook, self.incident)
    }

    /// Returns the rest of the message, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let failed = self
            .failed
            .iter()
            .map(|(target, why)| format!("failed: {}: {why}", ArmId::name_of(target)));
        let open = self.residual.iter().map(|(what, until)| match until {
            Some(until) => format!("stays open: {what} (until {until})"),
            None => format!("stays open: {what}"),
        });
        let mut lines = cut(failed.collect());
        lines.extend(cut(open.collect()));
        if let Some(until) = self.until() {
            lines.push(format!(
                "all of it has ended by {until}; nobody is told again then"
            ));
        }
        lines.push(match &self.run {
            Some(run) => format!("azir show {run}"),
            None => format!("azir incident status {}", self.incident),
        });
        lines
    }

    /// Returns when the last of what stays open ends, where that is known of all of it.
    pub(super) fn until(&self) -> Option<&str> {
        let times = self.residual.iter().map(|(_, until)| {
            let until = until.as_deref()?;
            DateTime::parse_from_rfc3339(until)
                .ok()
                .map(|at| (at, until))
        });
        let times: Option<Vec<_>> = times.collect();
        times?.into_iter().max().map(|(_, until)| until)
    }
}

fn cut(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn message(status: RunStatus) -> Message {
        Message {
            incident: "IR-1".to_owned(),
            run: Some("d8f934ad-ed6c-4817-8483-c5fd065dc165".to_owned()),
            runbook: "isolate-vm".to_owned(),
            status,
            drill: false,
            at: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
            targets: vec!["vm-a".to_owned(), "vm-b".to_owned()],
            failed: vec![("vm-b".to_owned(), "it is locked".to_owned())],
            residual: vec![(
                "a token lives on".to_owned(),
                Some("2026-11-26T02:18:22Z".to_owned()),
            )],
        }
    }

    #[test]
    fn a_message_says_how_it_stands_whom_it_failed_and_until_when_something_is_open() {
        let message = message(RunStatus::Partial);
        assert_eq!(
            message.headline(),
            "PARTLY DONE: isolate-vm on vm-a, vm-b (IR-1)"
        );
        assert_eq!(
            message.lines(),
            [
                "failed: vm-b: it is locked",
                "stays open: a token lives on (until 2026-11-26T02:18:22Z)",
                "all of it has ended by 2026-11-26T02:18:22Z; nobody is told again then",
                "azir show d8f934ad-ed6c-4817-8483-c5fd065dc165",
            ]
        );
        let mut many = message.clone();
        many.targets = (0..1_000).map(|number| format!("vm-{number}")).collect();
        many.failed = vec![message.failed[0].clone(); 500];
        many.residual.push(("a flow".to_owned(), None));
        assert_eq!(many.until(), None, "one end is not known");
        assert!(many.headline().contains("1000 targets"));
        assert!(many.lines().len() < 20);
    }
}
