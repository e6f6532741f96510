//! The run as it happens: a view that is redrawn on a terminal, plain lines in a pipe, JSON lines on request.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::view::View;
use super::{Output, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::event::{Event, Listener, What};
use crate::ids::IncidentId;

/// Hears events and shows them.
pub(super) struct Live {
    output: Output,
    terminal: bool,
    state: Mutex<View>,
    /// Whether a run has its journal: what fails from then on did not fail to begin.
    began: AtomicBool,
}

impl Live {
    /// With `verbose`, lines of the log come between: they and a redrawn picture would destroy each other.
    pub(super) fn new(output: Output, verbose: bool) -> Arc<Self> {
        let terminal = output == Output::Human && !verbose && std::io::stderr().is_terminal();
        Arc::new(Self {
            output,
            terminal,
            state: Mutex::new(View::default()),
            began: AtomicBool::new(false),
        })
    }

    /// Returns whether a run has begun.
    pub(super) fn began(&self) -> bool {
        self.began.load(Ordering::SeqCst)
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

    /// Says, once the run begins, which incident it got.
    pub(super) fn unnamed(&self, incident: &IncidentId) {
        self.view().unnamed = Some(incident.to_string());
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
        // A drill must not look like the real thing in any line of a screenshot.
        let mark = if out::is_drill() { out::DRILL } else { "" };
        let lines = view.lines(now, width.saturating_sub(mark.len()), height);
        // Up over what was drawn, then each line over the old one: no flicker, nothing left behind.
        let mut text = if view.drawn > 0 {
            format!("\x1b[{}A", view.drawn)
        } else {
            String::new()
        };
        for line in &lines {
            text.push_str("\r\x1b[2K");
            if !line.starts_with(out::DRILL) {
                text.push_str(mark);
            }
            text.push_str(line);
            text.push('\n');
        }
        if lines.len() < view.drawn {
            text.push_str("\x1b[J");
        }
        view.drawn = lines.len();
        out::draw(&text);
    }

    /// Whether the picture is to be drawn anew: one of many targets has thousands of events in a second.
    fn due(&self, now: DateTime<Utc>) -> bool {
        let mut view = self.view();
        let due = !view.is_crowd()
            || view
                .pictured
                .is_none_or(|at| now - at >= chrono::TimeDelta::milliseconds(100));
        if due {
            view.pictured = Some(now);
        }
        due
    }

    /// Whether a line says something else than the one before it, the time aside.
    fn news(&self, line: &str) -> bool {
        let words = line.split_once("s ").map_or(line, |(_, words)| words);
        let mut view = self.view();
        let news = view.last != words;
        words.clone_into(&mut view.last);
        news
    }

    fn view(&self) -> std::sync::MutexGuard<'_, View> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Live {
    fn hear(&self, event: &Event) {
        if matches!(event.what, What::RunStarted { .. }) {
            self.began.store(true, Ordering::SeqCst);
        }
        if self.output == Output::Ndjson
            && let Ok(mut told) = serde_json::to_value(event)
        {
            if out::is_drill() {
                told["drill"] = true.into();
            }
            out::result(&told.to_string());
            return;
        }
        if self.output == Output::Json {
            return;
        }
        let (plain, progress, ended) = {
            let mut view = self.view();
            if let (What::RunStarted { .. }, Some(incident)) = (&event.what, view.unnamed.take()) {
                out::line(&format!(
                    "no incident was named; this is {incident} (name it with --incident)"
                ));
            }
            let plain = view.plain(event);
            view.take(event);
            let progress = view.progress(event.time);
            (plain, progress, matches!(event.what, What::RunEnded { .. }))
        };
        if self.terminal {
            if ended || self.due(event.time) {
                self.draw(event.time);
            }
            if ended {
                self.view().ended = true;
            }
            return;
        }
        for line in plain
            .into_iter()
            .filter(|line| self.news(line))
            .chain(progress)
        {
            out::line(&shown::line(&line));
        }
    }
}

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (100, 40),
    }
}
