//! Cuts a query into words, marks and literals ("Query statements", "Scalar data types").

use serde_json::Value as Json;

use super::error::Error;
use super::time;
use super::value::{Cell, Kind};

/// The most tokens that the lab reads in one query.
const MOST: usize = 50_000;

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) what: What,
    /// Where it stands in the query, in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    End,
    Literal(Literal),
    Mark(&'static str),
    Word(String),
}

/// A literal's type and value.
#[derive(Clone, Debug)]
pub(super) struct Literal(pub(super) Kind, pub(super) Cell);

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && self.1.key() == other.1.key()
    }
}

/// Marks, longer ones first.
const MARKS: [&str; 27] = [
    "..", "==", "!=", "<>", "=~", "!~", "<=", ">=", "|", ",", ".", "(", ")", "[", "]", "{", "}",
    "=", "<", ">", ";", ":", "+", "-", "*", "/", "%",
];
/// Words with a hyphen, and those that `!` or `~` belong to. Longer ones first.
const ODD_WORDS: [&str; 29] = [
    "!startswith_cs",
    "project-reorder",
    "sample-distinct",
    "project-rename",
    "!contains_cs",
    "!endswith_cs",
    "graph-match",
    "make-series",
    "parse-where",
    "project-away",
    "project-keep",
    "top-hitters",
    "!hasprefix",
    "!hassuffix",
    "!startswith",
    "make-graph",
    "top-nested",
    "!contains",
    "!endswith",
    "mv-expand",
    "!between",
    "mv-apply",
    "parse-kv",
    "!has_cs",
    "!has",
    "!in~",
    "!in",
    "in~",
    "in",
];

/// Cuts a query; the last token is its end.
pub(super) fn tokens(query: &str) -> Result<Vec<Token>, Error> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += blank(&query[at..]);
        let rest = &query[at..];
        let (what, length) = match rest.chars().next() {
            None => (What::End, 0),
            Some(first) => token(rest, first).ok_or_else(|| syntax(query, at, rest))?,
        };
        let ended = what == What::End;
        found.push(Token {
            what,
            from: at,
            to: at + length,
        });
        at += length;
        if ended {
            return Ok(found);
        }
        if found.len() > MOST {
            return Err(Error::TooLarge("so many words"));
        }
    }
}

/// The error that a piece of a query cannot stand where it stands.
pub(super) fn syntax(query: &str, at: usize, rest: &str) -> Error {
    let before = &query[..at];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let shown = rest.chars().take_while(|c| !c.is_whitespace()).take(40);
    Error::Syntax {
        token: shown.collect(),
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
    }
}

/// Returns how many bytes of white space and comments come first.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(comment) = rest.strip_prefix("//") else {
            return text.len() - rest.len();
        };
        rest = comment.find('\n').map_or("", |end| &comment[end..]);
    }
}

fn token(rest: &str, first: char) -> Option<(What, usize)> {
    if let Some((text, length)) = quoted(rest) {
        return Some((literal(Kind::String, Cell::text(&text)), length));
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    let odd = ODD_WORDS
        .iter()
        .filter(|word| rest.starts_with(**word))
        .find(|word| !rest[word.len()..].starts_with(is_inside));
    if let Some(word) = odd {
        return Some((What::Word((*word).to_owned()), word.len()));
    }
    if first.is_alphabetic() || matches!(first, '_' | '$') {
        let end = rest
            .find(|c| !is_inside(c) && c != '$')
            .unwrap_or(rest.len());
        let (word, behind) = (&rest[..end], &rest[end..]);
        if matches!(word, "true" | "false") {
            return Some((literal(Kind::Bool, Cell::Bool(word == "true")), end));
        }
        // What starts as a literal is one, or cannot be read.
        return match Kind::read(word).filter(|kind| *kind != Kind::String) {
            Some(kind) if behind.starts_with('(') => {
                written(kind, &behind[1..]).map(|(what, more)| (what, end + more))
            }
            _ => Some((What::Word(word.to_owned()), end)),
        };
    }
    let mark = MARKS.iter().find(|mark| rest.starts_with(**mark))?;
    Some((What::Mark(mark), mark.len()))
}

fn is_inside(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn literal(kind: Kind, cell: Cell) -> What {
    What::Literal(Literal(kind, cell))
}

/// Reads a text in quotes, with escapes, or without any behind `@` ("The string data type"). `h` hides it from traces.
fn quoted(text: &str) -> Option<(String, usize)> {
    let hidden = text.strip_prefix(['h', 'H']).unwrap_or(text);
    let (plain, rest) = match hidden.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, hidden),
    };
    if let Some(block) = rest.strip_prefix("```") {
        let end = block.find("```")?;
        return Some((block[..end].to_owned(), text.len() - block.len() + end + 3));
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let skipped = text.len() - rest.len();
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = letters.next() {
        let doubled = plain && letters.peek().is_some_and(|(_, next)| *next == quote);
        match c {
            '\n' | '\r' => return None,
            '\\' if !plain => value.push(escaped(&mut letters)?),
            c if c == quote && doubled => {
                letters.next();
                value.push(quote);
            }
            c if c == quote => return Some((value, skipped + at + 1)),
            c => value.push(c),
        }
    }
    None
}

fn escaped(letters: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    Some(match letters.next()?.1 {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        c @ ('\\' | '\'' | '"') => c,
        'u' => {
            let digits: String = letters.take(4).map(|(_, c)| c).collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        _ => return None,
    })
}

/// Reads a number, or a length of time if a unit stands right behind it ("The timespan data type").
fn number(rest: &str) -> Option<(What, usize)> {
    let digits = |from: usize| {
        rest[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |end| from + end)
    };
    let mut end = digits(0);
    let mut whole = true;
    let after_dot = rest.as_bytes().get(end + 1);
    if rest[end..].starts_with('.') && after_dot.is_some_and(u8::is_ascii_digit) {
        (end, whole) = (digits(end + 1), false);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            (end, whole) = (exponent, false);
        }
    }
    let unit = rest[end..]
        .find(|c| !is_inside(c))
        .map_or(&rest[end..], |stop| &rest[end..][..stop]);
    let text = &rest[..end];
    let what = if !unit.is_empty() {
        literal(
            Kind::TimeSpan,
            Cell::Span(time::span(text.parse().ok()?, unit)?),
        )
    } else if whole {
        literal(Kind::Long, Cell::Number(text.parse().ok()?))
    } else {
        literal(Kind::Real, Cell::Real(text.parse().ok()?))
    };
    Some((what, end + unit.len()))
}

/// Reads what stands behind `(` in a literal that is written as its type: `datetime(2026-05-01)`, `long(null)`.
fn written(kind: Kind, inside: &str) -> Option<(What, usize)> {
    if kind == Kind::Dynamic {
        let length = balanced(inside)?;
        let text = inside[..length].trim();
        let json = (text == "null").then_some(Json::Null);
        let json = json.or_else(|| dynamic(text))?;
        return Some((literal(kind, Cell::json(json)), length + 2));
    }
    let length = inside.find(')')?;
    let text = inside[..length].trim();
    let cell = match kind {
        _ if text == "null" && kind != Kind::String => Cell::Null,
        Kind::Bool => match text {
            "true" | "1" => Cell::Bool(true),
            "false" | "0" => Cell::Bool(false),
            _ => return None,
        },
        Kind::DateTime => Cell::Time(time::read(text)?),
        Kind::Guid => Cell::text(&uuid::Uuid::parse_str(text).ok()?.to_string()),
        Kind::Int => Cell::Number(i64::from(text.parse::<i32>().ok()?)),
        Kind::Long => Cell::Number(text.parse().ok()?),
        Kind::Real => Cell::Real(match text {
            "nan" => f64::NAN,
            "+inf" => f64::INFINITY,
            "-inf" => f64::NEG_INFINITY,
            text => text.parse().ok().filter(|_| !text.contains(['n', 'N']))?,
        }),
        Kind::TimeSpan => Cell::Span(time::read_span(text)?),
        Kind::Dynamic | Kind::String => return None,
    };
    Some((literal(kind, cell), length + 2))
}

/// Returns where the parenthesis closes that was opened before `text`.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match (c, quote) {
            ('\\', Some(_)) => {
                letters.next();
            }
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) if depth == 0 => return Some(at),
            (')', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Reads JSON whose texts may stand in single quotes ("The dynamic data type").
fn dynamic(text: &str) -> Option<Json> {
    let mut strict = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"']) {
        strict.push_str(&rest[..at]);
        let (value, length) = quoted(&rest[at..])?;
        strict.push_str(&Json::String(value).to_string());
        rest = &rest[at + length..];
    }
    strict.push_str(rest);
    serde_json::from_str(&strict).ok()
}
