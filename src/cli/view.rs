//! What the screen of a run holds, made from its events: pure, so that a test can look at it.

mod many;
mod plain;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::prose::brief;
use super::shown;
use crate::engine::event::{Event, StepOutcome, What};
use crate::ids::ArmId;

/// What is on the screen.
#[derive(Default)]
pub(super) struct View {
    pub(super) started: Option<DateTime<Utc>>,
    /// When the attack was noticed, where the responder said so: the deadline counts from the run, people from here.
    pub(super) detected: Option<DateTime<Utc>>,
    /// The incident that was made up because none was named.
    pub(super) unnamed: Option<String>,
    /// What the last plain line said.
    pub(super) last: String,
    header: String,
    deadline: Option<Duration>,
    drill: bool,
    targets: BTreeMap<String, Vec<Row>>,
    /// What must not scroll away: gaps, failed checks, notes worth keeping.
    kept: Vec<String>,
    waiting: Option<String>,
    pub(super) drawn: usize,
    /// When the last picture was made, of many targets.
    pub(super) pictured: Option<DateTime<Utc>>,
    /// A question stands on the screen; until it is answered nothing is drawn over it.
    pub(super) asking: bool,
    pub(super) ended: bool,
    /// The run has ended: the last picture may be longer than the screen.
    over: bool,
    /// The targets as a whole, where there are too many to show each.
    crowd: many::Crowd,
}

/// One step of one target.
#[derive(Clone)]
struct Row {
    id: String,
    title: String,
    mark: Mark,
    elapsed: Option<Duration>,
    items: (usize, usize),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mark {
    Waiting,
    Running,
    Done,
    Failed,
    /// Not needed.
    Skipped,
    /// There was nothing to do it to.
    Nothing,
}

impl View {
    /// Takes an event into the picture.
    pub(super) fn take(&mut self, event: &Event) {
        self.crowd.take(event);
        let target = event
            .target
            .as_deref()
            .map(|target| ArmId::name_of(target).to_owned())
            .unwrap_or_default();
        match &event.what {
            What::RunStarted {
                runbook,
                version,
                mode,
                incident,
                deadline_seconds,
                targets,
                plan,
                ..
            } => {
                self.started = Some(event.time);
                self.drill = mode == "drill";
                self.deadline = deadline_seconds.map(Duration::from_secs);
                let names: Vec<&str> = targets
                    .iter()
                    .map(|target| ArmId::name_of(target))
                    .collect();
                let named = if names.len() > 3 {
                    format!("{} targets", names.len())
                } else {
                    names.join(", ")
                };
                self.header = format!(
                    "{}{runbook} {version}  {named}  {incident}",
                    if mode == "undo" { "undo of " } else { "" }
                );
                for name in names {
                    let rows = plan
                        .iter()
                        .map(|step| Row {
                            id: step.id.clone(),
                            title: step.title.clone(),
                            mark: Mark::Waiting,
                            elapsed: None,
                            items: (0, 0),
                        })
                        .collect();
                    self.targets.insert(name.to_owned(), rows);
                }
            }
            What::Gap { text } => self.keep(format!("GAP  {text}")),
            What::RunEnded { .. } => self.over = true,
            What::Checked {
                claim,
                holds,
                observed,
                ..
            } if *holds != Some(true) => {
                let seen = observed
                    .as_ref()
                    .map(|seen| format!(" ({seen})"))
                    .unwrap_or_default();
                self.keep(format!(
                    "{}  {claim}{seen}",
                    if holds.is_some() { "FALSE" } else { "UNKNOWN" }
                ));
            }
            What::Waiting { why, seconds } => {
                self.waiting = Some(format!("waiting {seconds:.0} s: {why}"));
            }
            What::Unvouched {
                witness,
                since,
                why,
            } => self.kept.push(unvouched(witness, *since, why)),
            What::TargetEnded {
                error: Some(error), ..
            } => self.keep(format!("STOPPED  {target}: {error}")),
            _ => self.take_step(event, &target),
        }
    }

    /// Keeps a line on the screen, once, with the names of things for their ids: the words come after them.
    fn keep(&mut self, line: String) {
        let line = brief(&line).into_owned();
        if !self.kept.contains(&line) {
            self.kept.push(line);
        }
    }

    fn take_step(&mut self, event: &Event, target: &str) {
        let Some(id) = event.step.as_ref() else {
            return;
        };
        let Some(row) = self
            .targets
            .get_mut(target)
            .and_then(|rows| rows.iter_mut().find(|row| row.id == *id))
        else {
            return;
        };
        match &event.what {
            What::StepStarted { title, items, .. } => {
                row.mark = Mark::Running;
                row.title.clone_from(title);
                row.items = (0, *items);
            }
            What::ItemEnded { .. } => row.items.0 += 1,
            What::StepEnded {
                outcome,
                elapsed_ms,
                ..
            } => {
                self.waiting = None;
                row.elapsed = Some(Duration::from_millis(*elapsed_ms));
                row.mark = match outcome {
                    StepOutcome::Done if row.mark == Mark::Running && row.items.1 == 0 => {
                        Mark::Nothing
                    }
                    StepOutcome::Done => Mark::Done,
                    StepOutcome::Skipped => Mark::Skipped,
                    StepOutcome::Failed | StepOutcome::Unknown | StepOutcome::LeftUndone => {
                        Mark::Failed
                    }
                };
            }
            _ => {}
        }
    }

    /// Returns the lines of the screen.
    pub(super) fn lines(&self, now: DateTime<Utc>, width: usize, height: usize) -> Vec<String> {
        let since = self
            .started
            .and_then(|started| (now - started).to_std().ok())
            .unwrap_or_default();
        let mut clock = match self.deadline {
            Some(deadline) => format!("{} of {}", span(since), span(deadline)),
            None => span(since),
        };
        if let Some(noticed) = self.detected.and_then(|at| (now - at).to_std().ok()) {
            clock.push_str(&format!(", {} since detection", span(noticed)));
        }
        let mut lines = vec![self.prefixed(&format!("{}  [{clock}]", self.header))];
        if self.crowd.is_one() {
            lines.extend(self.crowd.lines(self.targets.values(), since));
        } else if self.targets.len() == 1 {
            lines.extend(
                self.targets
                    .values()
                    .flatten()
                    .filter(|row| !matches!(row.mark, Mark::Skipped | Mark::Nothing))
                    .map(Row::line),
            );
        } else {
            lines.extend(self.targets.iter().map(|(name, rows)| summary(name, rows)));
        }
        let mut tail: Vec<String> = self
            .kept
            .iter()
            .rev()
            .take(6)
            .rev()
            .map(|line| format!("  ! {line}"))
            .collect();
        tail.extend(self.waiting.iter().map(|text| format!("  . {text}")));
        let room = height.saturating_sub(tail.len() + 2).max(3);
        if lines.len() > room && !self.over {
            lines = fitted(lines, room);
        }
        lines.extend(tail);
        lines
            .iter()
            .map(|line| {
                let line = shown::line(line);
                let room = width.saturating_sub(1);
                if line.chars().count() <= room {
                    return line;
                }
                let cut: String = line.chars().take(room.saturating_sub(3)).collect();
                format!("{cut}...")
            })
            .collect()
    }

    fn prefixed(&self, text: &str) -> String {
        if self.drill {
            format!("DRILL {text}")
        } else {
            text.to_owned()
        }
    }
}

fn unvouched(witness: &str, since: DateTime<Utc>, why: &str) -> String {
    super::vouched::gap_words(witness, &crate::clock::seconds(since), why)
}

impl Row {
    fn line(&self) -> String {
        let mark = match self.mark {
            Mark::Waiting => "  ",
            Mark::Running => "> ",
            Mark::Done => "ok",
            Mark::Failed => "!!",
            Mark::Skipped | Mark::Nothing => "--",
        };
        let items = if self.mark == Mark::Running && self.items.1 > 1 {
            format!("  {}/{}", self.items.0, self.items.1)
        } else {
            String::new()
        };
        let elapsed = self
            .elapsed
            .map(|elapsed| format!("  {:.1}s", elapsed.as_secs_f64()))
            .unwrap_or_default();
        format!(" {mark} {}{items}{elapsed}", self.title)
    }
}

/// Returns the head and as many lines around what happens now as there is room for, and says how many are not shown.
fn fitted(mut lines: Vec<String>, room: usize) -> Vec<String> {
    let rows = lines.split_off(1);
    let shown = room.saturating_sub(3).max(1);
    let now = rows
        .iter()
        .position(|row| row.starts_with(" > "))
        .or_else(|| rows.iter().rposition(|row| !row.starts_with("    ")))
        .unwrap_or(0);
    // What was just done stays in sight above what is being done.
    let first = now
        .saturating_sub(shown / 2)
        .min(rows.len().saturating_sub(shown));
    let last = (first + shown).min(rows.len());
    if first > 0 {
        let failed = rows[..first]
            .iter()
            .filter(|row| row.starts_with(" !!"))
            .count();
        let failed = match failed {
            0 => String::new(),
            failed => format!(", {failed} of them failed"),
        };
        lines.push(format!("  ... {first} before{failed}"));
    }
    lines.extend_from_slice(&rows[first..last]);
    if last < rows.len() {
        lines.push(format!("  ... {} to come", rows.len() - last));
    }
    lines
}

/// One target as one line: how far it is and what it is doing.
fn summary(name: &str, rows: &[Row]) -> String {
    let ended = rows
        .iter()
        .filter(|row| {
            matches!(
                row.mark,
                Mark::Done | Mark::Skipped | Mark::Nothing | Mark::Failed
            )
        })
        .count();
    let failed = rows.iter().any(|row| row.mark == Mark::Failed);
    let doing = rows
        .iter()
        .find(|row| row.mark == Mark::Running)
        .map_or("", |row| row.title.as_str());
    format!(
        " {} {name:<24} {ended:>3}/{} {doing}",
        if failed {
            "!!"
        } else if ended == rows.len() {
            "ok"
        } else {
            "> "
        },
        rows.len()
    )
}

/// Returns a span as people read it: `47s`, `5m 00s`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::PlannedStep;

    pub(super) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    pub(super) fn event(
        seconds: i64,
        target: Option<&str>,
        step: Option<&str>,
        what: What,
    ) -> Event {
        Event {
            time: at(seconds),
            run: uuid::Uuid::nil(),
            target: target.map(str::to_owned),
            step: step.map(str::to_owned),
            what,
        }
    }

    pub(super) fn started(targets: &[&str]) -> View {
        let step = |id: &str, title: &str| PlannedStep {
            id: id.to_owned(),
            title: title.to_owned(),
            phase: "isolate".to_owned(),
            kind: "edit".to_owned(),
            undo: "restore".to_owned(),
        };
        let mut view = View::default();
        view.take(&event(
            0,
            None,
            None,
            What::RunStarted {
                runbook: "isolate-vm".to_owned(),
                version: "1.0.0".to_owned(),
                mode: "execute".to_owned(),
                incident: "IR-1".to_owned(),
                deadline_seconds: Some(300),
                targets: targets.iter().map(|&target| target.to_owned()).collect(),
                journal: "run".into(),
                steps: 2,
                plan: vec![step("swap", "Cut every interface"), step("tags", "Tag it")],
            },
        ));
        view
    }

    pub(super) fn start(view: &mut View, target: &str, items: usize) {
        let what = What::StepStarted {
            title: "Cut every interface".to_owned(),
            phase: "isolate".to_owned(),
            items,
        };
        view.take(&event(1, Some(target), Some("swap"), what));
    }

    #[test]
    fn one_target_is_shown_step_by_step_with_its_clocks() {
        let mut view = started(&["/subscriptions/s/vm-a"]);
        view.detected = Some(at(-600));
        start(&mut view, "/subscriptions/s/vm-a", 3);
        let item = What::ItemEnded {
            item: "nic".to_owned(),
            ok: true,
        };
        view.take(&event(2, Some("/subscriptions/s/vm-a"), Some("swap"), item));
        assert_eq!(
            view.lines(at(2), 100, 40),
            [
                "isolate-vm 1.0.0  vm-a  IR-1  [2s of 5m 00s, 10m 02s since detection]",
                " >  Cut every interface  1/3",
                "    Tag it",
            ]
        );
    }

    #[test]
    fn what_matters_stays_on_a_small_screen_and_nothing_runs_over_its_edge() {
        let mut view = started(&["vm-a"]);
        start(&mut view, "vm-a", 1);
        for text in ["disk 1 is lost", "disk\u{1b}[2J 2\nis lost"] {
            let gap = What::Gap {
                text: text.to_owned(),
            };
            view.take(&event(2, Some("vm-a"), Some("swap"), gap));
        }
        let lines = view.lines(at(2), 24, 5);
        assert!(lines.len() <= 6, "{lines:?}");
        assert!(
            lines.iter().all(|line| line.chars().count() < 24),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("GAP  disk 1")),
            "{lines:?}"
        );
        assert!(
            !lines.concat().contains(['\u{1b}', '\n']),
            "a name of the tenant must not speak to the terminal: {lines:?}"
        );
    }

    #[test]
    fn a_step_that_had_nothing_to_do_is_not_said_to_be_done() {
        let mut view = started(&["vm-a"]);
        start(&mut view, "vm-a", 0);
        let ended = event(
            2,
            Some("vm-a"),
            Some("swap"),
            What::StepEnded {
                outcome: StepOutcome::Done,
                elapsed_ms: 100,
                why: None,
            },
        );
        assert_eq!(
            view.plain(&ended).as_deref(),
            Some("    2.0s nothing to do: Cut every interface (swap, 0.1 s)")
        );
        view.take(&ended);
        assert_eq!(view.lines(at(2), 100, 40)[1..], ["    Tag it"]);
    }

    #[test]
    fn a_small_screen_shows_what_happens_now_and_the_last_picture_shows_all() {
        let mut view = started(&["vm-a"]);
        let rows = view.targets.get_mut("vm-a").unwrap();
        let many: Vec<Row> = (0..20)
            .map(|number| Row {
                id: format!("s{number}"),
                title: format!("Step {number}"),
                mark: if number < 10 {
                    Mark::Done
                } else {
                    Mark::Waiting
                },
                elapsed: None,
                items: (0, 1),
            })
            .collect();
        *rows = many;
        rows[10].mark = Mark::Running;
        rows[3].mark = Mark::Failed;
        let lines = view.lines(at(2), 100, 9);
        assert_eq!(
            lines[1..],
            [
                "  ... 8 before, 1 of them failed",
                " ok Step 8",
                " ok Step 9",
                " >  Step 10",
                "    Step 11",
                "  ... 8 to come"
            ]
        );
        view.take(&event(
            3,
            None,
            None,
            What::RunEnded {
                status: "contained".to_owned(),
                exit_code: 0,
            },
        ));
        assert_eq!(view.lines(at(3), 100, 9).len(), 21);
    }

    #[test]
    fn what_stays_on_the_screen_names_things_and_says_it_once() {
        let mut view = started(&["vm-a"]);
        for _ in 0..2 {
            let error = "The scope '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n' is locked";
            let what = What::TargetEnded {
                status: "failed".to_owned(),
                error: Some(error.to_owned()),
            };
            view.take(&event(2, Some("vm-a"), None, what));
        }
        assert_eq!(
            view.kept,
            ["STOPPED  vm-a: The scope 'networkInterfaces/n' is locked"]
        );
    }

    #[test]
    fn many_targets_are_a_line_each_with_what_they_do() {
        let mut view = started(&["vm-a", "vm-b"]);
        start(&mut view, "vm-b", 1);
        let lines = view.lines(at(1), 100, 40);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(
            lines[2].contains("vm-b") && lines[2].ends_with("0/2 Cut every interface"),
            "{lines:?}"
        );
    }
}
