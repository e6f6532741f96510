//! Text in HTML and SVG: nothing that came from elsewhere is ever markup.

/// Escapes a text for an element or a quoted attribute. Control characters, and those that turn the direction of
/// writing around, are shown and not obeyed.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            escaped("<script>'\"&\u{1b}\u{202e}"),
            "&lt;script&gt;&#39;&quot;&amp;\\u{1b}\\u{202e}"
        );
        assert_eq!(escaped("ä\n"), "ä\n");
    }
}
