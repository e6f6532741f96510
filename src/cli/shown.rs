//! Text that came from elsewhere, made harmless for a terminal.
//!
//! Names, tags and error messages of a tenant under attack are the attacker's to write: an escape
//! sequence in one could recolour a verdict, a line break could forge one.

/// Returns `text` in one line; what a terminal would obey is shown instead.
pub(super) fn line(text: &str) -> String {
    replaced(text, |c| c == '\t')
}

/// Returns `text` with its line breaks; what a terminal would obey is shown instead.
pub(super) fn block(text: &str) -> String {
    replaced(text, |c| matches!(c, '\n' | '\t'))
}

fn replaced(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' if !keep(c) => out.push(' '),
            c if (c.is_control() && !keep(c)) || reorders(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character changes the order in which others are shown.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(line("vm\u{1b}[2Jx"), "vm\\u{1b}[2Jx");
        assert_eq!(line("a\nok  CONTAINED"), "a ok  CONTAINED");
        assert_eq!(block("a\nb\u{9b}K\u{202e}"), "a\nb\\u{9b}K\\u{202e}");
    }
}
