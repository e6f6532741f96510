//! What people are told: how a run stands when it has ended, whom it failed, what stays open until when; and when that
//! has ended.

use chrono::{DateTime, Utc};

use crate::ids::ArmId;
use crate::report::model::RunStatus;

/// How many names or lines of one kind a message holds; the report has all.
const MOST: usize = 10;

/// The longest line: what the cloud calls things has no end of its own.
const LONGEST: usize = 500;

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// A run ended, and stands so.
    Ended(RunStatus),
    /// What a run that stands so left open has ended, as far as its end was known.
    ResidualEnded(RunStatus),
}

/// A message, for every channel to put into its own form.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The case.
    pub incident: String,
    /// The run; absent: it never began.
    pub run: Option<String>,
    /// The runbook.
    pub runbook: String,
    /// What happened.
    pub news: News,
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
    pub fn headline(&self) -> String {
        let word = match self.news {
            News::ResidualEnded(RunStatus::Undone) => "UNDONE, and what it had left open has ended",
            // Of a run that failed in part more is open than what it says stays open.
            News::ResidualEnded(RunStatus::Contained | RunStatus::ContainedResidual)
                if self.known_of_all() =>
            {
                "NOTHING IS OPEN ANY MORE"
            }
            News::ResidualEnded(_) => "WHAT HAD A KNOWN END HAS ENDED",
            News::Ended(RunStatus::Contained) => "CONTAINED",
            News::Ended(RunStatus::ContainedResidual) => "CONTAINED, with something left open",
            News::Ended(RunStatus::Unchecked) => "DONE, NOT PROVED",
            News::Ended(RunStatus::Partial) => "PARTLY DONE",
            News::Ended(RunStatus::Halted) => "HALTED before its end",
            News::Ended(_) if self.run.is_none() => "NOT BEGUN",
            News::Ended(_) => "FAILED: nothing took effect",
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
        let over = matches!(self.news, News::ResidualEnded(_));
        let open = self.residual.iter().map(|(what, until)| match until {
            Some(until) if over => format!("ended: {what} (by {until})"),
            Some(until) => format!("stays open: {what} (until {until})"),
            None => format!("stays open: {what}"),
        });
        let mut lines = cut(failed.collect());
        lines.extend(cut(open.collect()));
        if let (false, Some(until), Some(run)) = (over, self.last(), &self.run) {
            let what = if self.known_of_all() {
                "all of it"
            } else {
                "what has a known end"
            };
            lines.push(format!(
                "{what} has ended by {until}; azir wait {run} --residual tells it then"
            ));
        }
        lines.push(match &self.run {
            Some(run) => format!("azir show {run}"),
            None => format!("azir incident status {}", self.incident),
        });
        lines
    }

    /// Whether everything that stays open has a known end.
    fn known_of_all(&self) -> bool {
        self.residual.is_empty() || self.until().is_some()
    }

    /// Returns when the last of what stays open ends, where that is known of all of it.
    pub(super) fn until(&self) -> Option<&str> {
        let all = self.ends().count() == self.residual.len();
        self.last().filter(|_| all)
    }

    /// Returns when the last of what stays open ends, of all whose end is known.
    fn last(&self) -> Option<&str> {
        self.ends().max().map(|(_, until)| until)
    }

    fn ends(&self) -> impl Iterator<Item = (DateTime<chrono::FixedOffset>, &str)> {
        self.residual.iter().filter_map(|(_, until)| {
            let until = until.as_deref()?;
            let at = DateTime::parse_from_rfc3339(until).ok()?;
            Some((at, until))
        })
    }
}

fn cut(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    for line in &mut lines {
        if let Some((end, _)) = line.char_indices().nth(LONGEST) {
            line.truncate(end);
            line.push_str(" [...]");
        }
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
            news: News::Ended(status),
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
                "all of it has ended by 2026-11-26T02:18:22Z; azir wait d8f934ad-ed6c-4817-8483-c5fd065dc165 --residual tells it then",
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

    #[test]
    fn when_what_was_open_has_ended_the_message_says_what_has_no_known_end() {
        let mut message = message(RunStatus::ContainedResidual);
        message.news = News::ResidualEnded(RunStatus::ContainedResidual);
        message.failed.clear();
        assert!(message.headline().starts_with("NOTHING IS OPEN ANY MORE: "));
        message.news = News::ResidualEnded(RunStatus::Partial);
        assert!(
            message
                .headline()
                .starts_with("WHAT HAD A KNOWN END HAS ENDED")
        );
        assert_eq!(
            message.lines()[0],
            "ended: a token lives on (by 2026-11-26T02:18:22Z)"
        );
        message.residual.push(("x".repeat(9_000), None));
        assert!(
            message
                .headline()
                .starts_with("WHAT HAD A KNOWN END HAS ENDED")
        );
        assert!(message.lines()[1].starts_with("stays open: xxx"));
        assert!(message.lines().iter().all(|line| line.len() < 600));
    }
}
