//! Many targets on the screen as one: how many are done, failed, under way and left, how fast, and until when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Mark, Row, View, span};
use crate::engine::event::{Event, What};

/// More targets than are shown a line each.
const MANY: usize = 20;

/// How many steps under way are named.
const NAMED: usize = 3;

/// How long a pipe waits for the next line on how far it is, where nothing else is to be said.
const QUIET: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// The targets of a run as a whole.
#[derive(Default)]
pub(super) struct Crowd {
    total: usize,
    begun: HashSet<String>,
    ended: usize,
    /// Of each that has ended, whether it came to a good end.
    ends: HashMap<String, bool>,
    failed: usize,
    /// Those that ended without having begun.
    left_out: usize,
    /// When a pipe was last told how far it is, and the tenth it was at.
    told: Option<(DateTime<Utc>, usize)>,
}

impl Crowd {
    /// Returns whether there are so many that they are shown as one.
    pub(super) fn is_one(&self) -> bool {
        self.total > MANY
    }

    pub(super) fn take(&mut self, event: &Event) {
        match (&event.what, &event.target) {
            (What::RunStarted { targets, .. }, _) => {
                self.total = targets.len();
                self.told = Some((event.time, 0));
            }
            (What::StepStarted { .. }, Some(target)) if !self.begun.contains(target) => {
                self.begun.insert(target.clone());
            }
            (What::TargetEnded { status, .. }, Some(target)) => {
                let good = is_good(status);
                let first = self.ends.insert(target.clone(), good);
                let begun = self.begun.contains(target);
                match first {
                    None => {
                        self.ended += 1;
                        if begun || good {
                            self.failed += usize::from(!good);
                        } else {
                            self.left_out += 1;
                        }
                        if good {
                            // One that an earlier session ended begins no step in this one.
                            self.begun.insert(target.clone());
                        }
                    }
                    // What was contained and was undone since has failed.
                    Some(true) if !good => self.failed += 1,
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }

    fn counts(&self) -> String {
        let done = self.ended.saturating_sub(self.failed + self.left_out);
        let under_way = (self.begun.len() + self.left_out).saturating_sub(self.ended);
        let left = self.total.saturating_sub(self.begun.len() + self.left_out);
        let not_begun = match self.left_out {
            0 => String::new(),
            some => format!(", {some} not begun"),
        };
        format!(
            "{done} done, {} failed{not_begun}, {under_way} under way, {left} left",
            self.failed
        )
    }

    /// Returns the lines that stand for all targets: how far, how fast, and what they do.
    pub(super) fn lines<'a>(
        &self,
        targets: impl Iterator<Item = &'a Vec<Row>>,
        since: Duration,
    ) -> Vec<String> {
        let (mut ended, mut all) = (0_usize, 0_usize);
        let mut doing: BTreeMap<&str, usize> = BTreeMap::new();
        for row in targets.flatten() {
            all += 1;
            match row.mark {
                Mark::Waiting => {}
                Mark::Running => *doing.entry(&row.title).or_default() += 1,
                Mark::Done | Mark::Failed | Mark::Skipped | Mark::Nothing => ended += 1,
            }
        }
        let share = if self.ended == self.total {
            1.0
        } else {
            ended as f64 / all.max(1) as f64
        };
        let mut lines = vec![format!("  {}  {}", bar(share), self.counts())];
        lines.extend(self.rate(share, since).map(|rate| format!("  {rate}")));
        let mut doing: Vec<(&str, usize)> = doing.into_iter().collect();
        doing.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        if !doing.is_empty() {
            let more = match doing.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let named = doing.iter().take(NAMED);
            let named: Vec<String> = named
                .map(|(title, times)| format!("{title} ({times})"))
                .collect();
            lines.push(format!("  > {}{more}", named.join(", ")));
        }
        lines
    }

    /// Says how fast it goes and how long it takes at this pace, which is what throttling leaves of it.
    fn rate(&self, share: f64, since: Duration) -> Option<String> {
        let seconds = since.as_secs_f64();
        if seconds < 1.0 || share <= 0.0 {
            return None;
        }
        let pace = match self.ended - self.left_out {
            0 => format!("{:.0} % of all steps", share * 100.0),
            ended => format!("{:.0} targets a minute", ended as f64 * 60.0 / seconds),
        };
        if share >= 1.0 {
            return Some(pace);
        }
        let to_go = Duration::from_secs_f64((seconds * (1.0 - share) / share).min(1e6));
        Some(format!("{pace}; at this pace {} to go", span(to_go)))
    }
}

impl View {
    /// Returns whether the targets are too many to tell of each.
    pub(in crate::cli) fn is_crowd(&self) -> bool {
        self.crowd.is_one()
    }

    /// Returns how far many targets are, for a pipe, which is told at every tenth of them and after a while.
    pub(in crate::cli) fn progress(&mut self, now: DateTime<Utc>) -> Option<String> {
        let crowd = &mut self.crowd;
        if !crowd.is_one() {
            return None;
        }
        let (at, tenth) = crowd.told?;
        let now_at = crowd.ended * 10 / crowd.total;
        if now_at == tenth && now - at < QUIET {
            return None;
        }
        crowd.told = Some((now, now_at));
        let since = self
            .started
            .and_then(|started| (now - started).to_std().ok());
        let text = format!(
            "{:>7.1}s {}",
            since.unwrap_or_default().as_secs_f64(),
            self.crowd.counts()
        );
        Some(self.prefixed(&text))
    }
}

fn is_good(status: &str) -> bool {
    matches!(
        status,
        "contained" | "contained_residual" | "done" | "unchecked" | "undone"
    )
}

fn bar(share: f64) -> String {
    let full = (share * 30.0) as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(30 - full.min(30)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, event, start, started};
    use super::*;

    fn end(view: &mut View, target: &str, status: &str, error: Option<&str>) {
        let what = What::TargetEnded {
            status: status.to_owned(),
            error: error.map(str::to_owned),
        };
        view.take(&event(60, Some(target), None, what));
    }

    #[test]
    fn a_thousand_targets_are_a_few_lines_with_pace_and_time_to_go() {
        let names: Vec<String> = (0..1_000).map(|number| format!("vm-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut view = started(&names);
        for name in &names[..400] {
            start(&mut view, name, 1);
        }
        for name in &names[..200] {
            for step in ["swap", "tags"] {
                let what = What::StepEnded {
                    outcome: crate::engine::event::StepOutcome::Done,
                    elapsed_ms: 1,
                    why: None,
                };
                view.take(&event(59, Some(name), Some(step), what));
            }
            end(&mut view, name, "contained", None);
        }
        end(&mut view, names[200], "failed", Some("it is locked"));
        end(
            &mut view,
            names[999],
            "failed",
            Some("not begun: enough failed"),
        );
        let lines = view.lines(at(60), 110, 40);
        assert_eq!(
            lines,
            [
                "isolate-vm 1.0.0  1000 targets  IR-1  [1m 00s of 5m 00s]",
                "  [######........................]  200 done, 1 failed, 1 not begun, 199 under way, 599 left",
                "  201 targets a minute; at this pace 4m 00s to go",
                "  > Cut every interface (200)",
                "  ! STOPPED  vm-200: it is locked",
                "  ! STOPPED  vm-999: not begun: enough failed",
            ]
        );
    }

    #[test]
    fn a_pipe_is_told_at_every_tenth_and_after_a_while() {
        let names: Vec<String> = (0..100).map(|number| format!("vm-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut view = started(&names);
        assert_eq!(view.progress(at(1)), None);
        for name in &names[..10] {
            start(&mut view, name, 1);
            end(&mut view, name, "contained", None);
        }
        let told = Some("    2.0s 10 done, 0 failed, 0 under way, 90 left".to_owned());
        assert_eq!(view.progress(at(2)), told);
        assert_eq!(view.progress(at(3)), None);
        assert!(view.progress(at(12)).is_some());
        let mut few = started(&["vm-a", "vm-b"]);
        assert_eq!(few.progress(at(100)), None);
    }
}
