//! The run as it happens: a view that is redrawn on a terminal, plain lines in a pipe, JSON lines on request.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Output, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::event::{Event, Listener, StepOutcome, What};
use crate::ids::ArmId;

/// Hears events and shows them.
pub(super) struct Live {
    output: Output,
    terminal: bool,
    state: Mutex<View>,
}

/// What is on the screen.
#[derive(Default)]
pub(super) struct View {
    started: Option<DateTime<Utc>>,
    /// When the attack was noticed, where the responder said so: the deadline counts from the run, people from here.
    detected: Option<DateTime<Utc>>,
    header: String,
    deadline: Option<Duration>,
    drill: bool,
    targets: BTreeMap<String, Vec<Row>>,
    /// What must not scroll away: gaps, failed checks, notes worth keeping.
    kept: Vec<String>,
    waiting: Option<String>,
    drawn: usize,
    /// A question stands on the screen; until it is answered nothing is drawn over it.
    asking: bool,
    ended: bool,
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
    Skipped,
}

impl Live {
    /// With `verbose`, lines of the log come between: they and a redrawn picture would destroy each other.
    pub(super) fn new(output: Output, verbose: bool) -> Arc<Self> {
        let terminal = output == Output::Human && !verbose && std::io::stderr().is_terminal();
        Arc::new(Self {
            output,
            terminal,
            state: Mutex::new(View::default()),
        })
    }

    /// Redraws the clock while nothing else happens.
    pub(super) fn tick(&self) {
        if self.terminal {
            self.draw(SystemClock.now());
        }
    }

    /// Says when the attack was noticed.
    pub(super) fn detected(&self, at: Option<DateTime<Utc>>) {
        self.view().detected = at;
    }

    /// Says something between the pictures; the next one is drawn below it.
    pub(super) fn say(&self, text: &str) {
        self.view().drawn = 0;
        out::line(text);
    }

    /// Leaves the screen to a question, until [`Self::answered`].
    pub(super) fn asks(&self) {
        let mut view = self.view();
        view.asking = true;
        view.drawn = 0;
    }

    /// Takes the screen back, below the answer.
    pub(super) fn answered(&self) {
        self.view().asking = false;
    }

    fn draw(&self, now: DateTime<Utc>) {
        let mut view = self.view();
        if view.started.is_none() || view.ended || view.asking {
            return;
        }
        let (width, height) = size();
        let lines = view.lines(now, width, height);
        // Up over what was drawn, then each line over the old one: no flicker, nothing left behind.
        let mut text = if view.drawn > 0 {
            format!("\x1b[{}A", view.drawn)
        } else {
            String::new()
        };
        for line in &lines {
            text.push_str("\r\x1b[2K");
            text.push_str(line);
            text.push('\n');
        }
        if lines.len() < view.drawn {
            text.push_str("\x1b[J");
        }
        view.drawn = lines.len();
        out::talk(&text);
    }

    fn view(&self) -> std::sync::MutexGuard<'_, View> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Live {
    fn hear(&self, event: &Event) {
        if self.output == Output::Ndjson
            && let Ok(line) = serde_json::to_string(event)
        {
            out::result(&line);
            return;
        }
        if self.output == Output::Json {
            return;
        }
        let (plain, ended) = {
            let mut view = self.view();
            let plain = view.plain(event);
            view.take(event);
            (plain, matches!(event.what, What::RunEnded { .. }))
        };
        if self.terminal {
            self.draw(event.time);
            if ended {
                self.view().ended = true;
            }
        } else if let Some(line) = plain {
            out::line(&shown::line(&line));
        }
    }
}

impl View {
    /// Takes an event into the picture.
    pub(super) fn take(&mut self, event: &Event) {
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
            What::Gap { text } => self.kept.push(format!("GAP  {text}")),
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
                self.kept.push(format!(
                    "{}  {claim}{seen}",
                    if holds.is_some() { "FALSE" } else { "UNKNOWN" }
                ));
            }
            What::Waiting { why, seconds } => {
                self.waiting = Some(format!("waiting {seconds:.0} s: {why}"));
            }
            What::TargetEnded {
                error: Some(error), ..
            } => self.kept.push(format!("STOPPED  {target}: {error}")),
            _ => self.take_step(event, &target),
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
        if self.targets.len() == 1 {
            lines.extend(
                self.targets
                    .values()
                    .flatten()
                    .filter(|row| row.mark != Mark::Skipped)
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
        if lines.len() > room {
            let hidden = lines.len() - room;
            lines.truncate(room);
            lines.push(format!("  ... {hidden} more"));
        }
        lines.extend(tail);
        lines
            .iter()
            .map(|line| {
                let line = shown::line(line);
                line.chars().take(width.saturating_sub(1)).collect()
            })
            .collect()
    }

    /// Returns the line that a pipe gets, if the event matters there.
    pub(super) fn plain(&self, event: &Event) -> Option<String> {
        let started = self.started.unwrap_or(event.time);
        let since = (event.time - started).num_milliseconds().max(0);
        let step = event.step.as_deref().unwrap_or_default();
        let target = event
            .target
            .as_deref()
            .filter(|_| self.targets.len() > 1)
            .map(|target| format!("{} ", ArmId::name_of(target)))
            .unwrap_or_default();
        let text = match &event.what {
            What::RunStarted {
                runbook,
                version,
                incident,
                targets,
                deadline_seconds,
                plan,
                ..
            } => {
                let deadline = deadline_seconds
                    .map(|seconds| format!(", deadline {}", span(Duration::from_secs(seconds))))
                    .unwrap_or_default();
                let writes = plan.iter().filter(|step| !step.undo.is_empty()).count();
                format!(
                    "{runbook} {version} on {} target(s), incident {incident}: {} steps, {writes} of them write{deadline}",
                    targets.len(),
                    plan.len()
                )
            }
            What::StepEnded {
                outcome: StepOutcome::Skipped,
                why,
                ..
            } => format!(
                "{target}skipped {step}: {}",
                why.as_deref().unwrap_or_default()
            ),
            What::StepEnded {
                outcome,
                elapsed_ms,
                why,
            } => {
                let title = event
                    .target
                    .as_ref()
                    .and_then(|target| self.targets.get(ArmId::name_of(target)))
                    .and_then(|rows| rows.iter().find(|row| row.id == step))
                    .map_or(step, |row| row.title.as_str());
                let word = format!("{outcome:?}").to_lowercase();
                let why = why
                    .as_ref()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                format!(
                    "{target}{word} {title} ({step}, {:.1} s){why}",
                    *elapsed_ms as f64 / 1_000.0
                )
            }
            What::Checked {
                claim,
                holds,
                observed,
                ..
            } => {
                let word = match holds {
                    Some(true) => "checked",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                let seen = observed
                    .as_ref()
                    .map(|seen| format!(" ({seen})"))
                    .unwrap_or_default();
                format!("{target}{word} {claim}{seen}")
            }
            What::Waiting { why, seconds } => format!("{target}waiting {seconds:.1} s: {why}"),
            What::Gap { text } => format!("{target}GAP {text}"),
            What::Note { text } => format!("{target}note {text}"),
            What::Decided { chosen, by, .. } => format!(
                "{target}decided {step}: {} by {by}",
                if chosen.is_empty() {
                    "none".to_owned()
                } else {
                    chosen.join(", ")
                }
            ),
            What::Contained { after_ms } => format!(
                "{target}contained after {:.1} s",
                *after_ms as f64 / 1_000.0
            ),
            What::TargetEnded {
                status,
                error: Some(error),
            } => format!("{target}{status}: {error}"),
            _ => return None,
        };
        Some(self.prefixed(&format!("{:>7.1}s {text}", since as f64 / 1_000.0)))
    }

    fn prefixed(&self, text: &str) -> String {
        if self.drill {
            format!("DRILL {text}")
        } else {
            text.to_owned()
        }
    }
}

impl Row {
    fn line(&self) -> String {
        let mark = match self.mark {
            Mark::Waiting => "  ",
            Mark::Running => "> ",
            Mark::Done => "ok",
            Mark::Failed => "!!",
            Mark::Skipped => "--",
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

/// One target as one line: how far it is and what it is doing.
fn summary(name: &str, rows: &[Row]) -> String {
    let ended = rows
        .iter()
        .filter(|row| matches!(row.mark, Mark::Done | Mark::Skipped | Mark::Failed))
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

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (100, 40),
    }
}
