//! A template as its pieces: plain text, and the expressions between `{{` and `}}`.
//!
//! Splitting by hand, rather than rendering, tells where in a path or query each value lands. The
//! language has expressions alone: statements could build texts of any size, and hide where a value stands.

/// A part of a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece<'t> {
    /// Text that stays as it is.
    Text(&'t str),
    /// An expression, without its braces.
    Expression(&'t str),
}

/// Splits a template.
///
/// # Errors
/// Says what does not belong: a statement, a comment, an expression that is empty or does not end.
pub(super) fn split(template: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(start) = opening(rest) {
        match rest.as_bytes()[start + 1] {
            b'%' => {
                return Err("{% statements %} are no part of the language; write {{ expression }}");
            }
            b'#' => return Err("{# comments #} are no part of the language; write a YAML comment"),
            _ => {}
        }
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let inside = &rest[start + 2..];
        let end = end_of(inside).ok_or("an expression that begins with {{ does not end with }}")?;
        let expression = inside[..end].trim();
        if expression.is_empty() {
            return Err("an expression is empty");
        }
        pieces.push(Piece::Expression(expression));
        rest = &inside[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Returns the expression that is all of a template, if it is one.
pub(super) fn whole(template: &str) -> Option<&str> {
    match split(template.trim()).ok()?.as_slice() {
        [Piece::Expression(expression)] => Some(expression),
        _ => None,
    }
}

/// Finds the first brace that begins something.
fn opening(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(2)
        .position(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

/// Finds the `}}` that ends an expression: not in a string, and not of a map inside it.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, b'{' | b'(' | b'[') => depth += 1,
            (None, b'}') if depth == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, b'}' | b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns the names in an expression that follow a bar or `is`: filters, and tests.
pub(super) fn filters_and_tests(expression: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut filters, mut tests) = (Vec::new(), Vec::new());
    let tokens = tokens(expression);
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).copied().filter(|next| is_word(next));
        match *token {
            "|" => filters.extend(next),
            // A member named `is` follows a dot.
            "is" if index > 0 && tokens[index - 1] != "." => {
                let after_not = if next == Some("not") {
                    tokens.get(index + 2).copied()
                } else {
                    next
                };
                tests.extend(after_not.filter(|word| is_word(word)));
            }
            _ => {}
        }
    }
    (filters, tests)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Splits an expression into words, strings and single characters.
fn tokens(expression: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '\'' | '"' => string_len(rest, first),
            c if is_part_of_word(c) => rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        found.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    found
}

fn is_part_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_strings_and_maps_do_not_end_an_expression() {
        use Piece::{Expression, Text};
        assert_eq!(
            split("a {{ b }} c"),
            Ok(vec![Text("a "), Expression("b"), Text(" c")])
        );
        assert_eq!(
            split("{{ {'a': {'b': 1}} }}"),
            Ok(vec![Expression("{'a': {'b': 1}}")])
        );
        assert_eq!(split("{{ {'a': {}}}}"), Ok(vec![Expression("{'a': {}}")]));
        assert_eq!(
            split(r"{{ '}}' ~ '\'}}' }}!"),
            Ok(vec![Expression(r"'}}' ~ '\'}}'"), Text("!")])
        );
        assert_eq!(split("{ä} }} {"), Ok(vec![Text("{ä} }} {")]));
        assert_eq!(whole(" {{ -1 }}\n"), Some("-1"));
        assert_eq!(whole("{{ a }}{{ b }}"), None);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in [
            "{{ a",
            "{{ }}",
            "{{ 'a }}",
            "{% set x = 1 %}",
            "a {# b #}",
            "{{ a }} {{",
            "{{{{",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_and_tests_are_found_outside_strings() {
        let found = filters_and_tests(
            "a.is | first if b is not defined and 'x | y is z' ~ (c|get('p|q')) is none",
        );
        assert_eq!(found, (vec!["first", "get"], vec!["defined", "none"]));
    }
}
