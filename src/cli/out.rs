//! The only place that writes to stdout and stderr. A closed pipe ends the talk, never the work.

use std::io::Write;

/// Writes a result to stdout.
pub(super) fn result(text: &str) {
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

/// Writes to stderr, as it is.
pub(super) fn talk(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Writes a line to stderr.
pub(super) fn line(text: &str) {
    talk(&format!("{text}\n"));
}
