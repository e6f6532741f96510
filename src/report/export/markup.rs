//! Text in HTML and SVG: nothing that came from elsewhere is ever markup.

use base64::Engine as _;

use crate::digest::Digest;

/// Returns the begin of a page, up to its body: it runs no script, loads nothing, and its style is allowed by hash.
pub(crate) fn head(title: &str, style: &str) -> String {
    let hash = Digest::of(style.as_bytes()).0;
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n<meta name=referrer content=no-referrer>\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{style}</style>\n</head>\n<body>",
        escaped(title)
    )
}

/// Escapes a text for an element or a quoted attribute. Control characters, and those that turn the direction of
/// writing around, are shown and not obeyed.
pub(crate) fn escaped(text: &str) -> String {
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
