//! The only place that writes to stdout and stderr. A closed pipe ends the talk, never the work.

use std::io::{IsTerminal, Write};

use std::borrow::Cow;
use std::sync::OnceLock;

use super::prose::Reader;
use crate::clock::{Clock, SystemClock};

/// What stands before every line of a drill.
pub(super) const DRILL: &str = "DRILL ";

/// Present in a drill; whether its results are for people to read.
static IN_DRILL: OnceLock<bool> = OnceLock::new();

/// Says that what is written from now on is of a drill. Each line on stderr says so, and each of a result that is for
/// people; a program finds it in the result's own members.
pub(super) fn enter_drill(for_people: bool) {
    let _ = IN_DRILL.set(for_people);
}

/// Returns whether what is written is of a drill.
pub(super) fn is_drill() -> bool {
    IN_DRILL.get().is_some()
}

/// Returns a text with the mark before each line that does not bear it, in a drill.
pub(super) fn marked(text: &str) -> Cow<'_, str> {
    if !is_drill() {
        return Cow::Borrowed(text);
    }
    let mark = DRILL.trim_end();
    let lines = text.split_inclusive('\n').map(|line| {
        if line.trim_end() == mark || line.starts_with(DRILL) {
            line.to_owned()
        } else if line.trim_end().is_empty() {
            format!("{mark}{line}")
        } else {
            format!("{DRILL}{line}")
        }
    });
    Cow::Owned(lines.collect())
}

/// Returns a result as it is read: marked in a drill, where people read it.
fn told(text: &str) -> Cow<'_, str> {
    if IN_DRILL.get() == Some(&true) {
        marked(text)
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes a result to stdout.
pub(super) fn result(text: &str) {
    raw(&told(text));
}

/// Writes to stdout what has a format of its own, in which a mark would be an error.
pub(super) fn raw(text: &str) {
    let mut out = anstream::stdout().lock();
    // Whoever closed the pipe has read enough.
    let _ = out
        .write_all(text.as_bytes())
        .and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        })
        .and_then(|()| out.flush());
}

/// Returns who reads what goes to stdout.
pub(super) fn reader() -> Reader {
    let stdout = std::io::stdout();
    let width = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        // The mark takes its part of each line.
        .map(|columns| columns.saturating_sub(if is_drill() { DRILL.len() } else { 0 }));
    Reader {
        now: SystemClock.now(),
        zone: *chrono::Local::now().offset(),
        width,
    }
}

/// Writes to stderr.
pub(super) fn talk(text: &str) {
    draw(&marked(text));
}

/// Writes to stderr as it is: a picture that bears the mark in each of its lines.
pub(super) fn draw(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Writes a line to stderr.
pub(super) fn line(text: &str) {
    talk(&format!("{text}\n"));
}

/// Many lines to stdout, without a system call for each.
pub(super) struct Stream {
    out: std::io::BufWriter<Box<dyn Write>>,
    /// Why nothing more is written; whoever closed a pipe has read enough.
    broken: Option<std::io::Error>,
}

impl Stream {
    /// Begins.
    pub(super) fn new() -> Self {
        Self {
            out: std::io::BufWriter::new(Box::new(anstream::stdout())),
            broken: None,
        }
    }

    /// Writes a line, as long as somebody reads.
    pub(super) fn line(&mut self, text: &str) {
        self.raw(&told(text));
    }

    /// Writes a line of what has a format of its own.
    pub(super) fn raw(&mut self, text: &str) {
        if self.broken.is_none() {
            self.broken = writeln!(self.out, "{text}").err();
        }
    }

    /// Ends.
    ///
    /// # Errors
    /// What kept a part of it from being written, unless its reader left.
    pub(super) fn end(mut self) -> std::io::Result<()> {
        match self.broken.take().or_else(|| self.out.flush().err()) {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
