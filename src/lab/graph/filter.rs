//! `$filter`: the part of `OData`'s language that Graph's collections are asked in; anything else is refused.
//!
//! `and or not ( )`, `eq ne gt ge lt le`, `in (...)`, `startsWith endsWith contains`, `path/any(x:x/y eq ...)`.
//! Strings are compared without regard to case, as the directory does.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A filter, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// Path, operator, literal.
    Compare(String, String, Value),
    In(String, Vec<Value>),
    /// Function, path, text.
    Text(String, String, String),
    /// Path of a list, name of its item, condition.
    Lambda(String, String, Box<Self>),
}

/// Reads a filter.
///
/// # Errors
/// What cannot be understood, in the service's words.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0 };
    let filter = parser.or(0)?;
    match parser.peek() {
        None => Ok(filter),
        Some(token) => Err(format!("Syntax error: unexpected token {token:?}.")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' => {
                let mut value = String::new();
                loop {
                    match rest.next() {
                        // An apostrophe in a literal is written twice.
                        Some('\'') if rest.peek() == Some(&'\'') => {
                            rest.next();
                            value.push('\'');
                        }
                        Some('\'') => break,
                        Some(c) => value.push(c),
                        None => return Err("There is an unterminated string literal.".to_owned()),
                    }
                }
                tokens.push(Token::Text(value));
            }
            ':' => tokens.push(Token::Colon),
            c => {
                let mut word = String::from(c);
                // The colons of a time belong to it; that of a lambda follows a plain name.
                while let Some(next) = rest.peek() {
                    let in_time =
                        *next == ':' && word.starts_with(|first: char| first.is_ascii_digit());
                    if next.is_alphanumeric() || "_-./@#+".contains(*next) || in_time {
                        word.push(*next);
                        rest.next();
                    } else {
                        break;
                    }
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// Deep enough for anything a client writes.
const DEEPEST: usize = 32;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(known)) if known.eq_ignore_ascii_case(word))
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), String> {
        match self.next() {
            Some(token) if token == *wanted => Ok(()),
            other => Err(format!(
                "Syntax error: expected {wanted:?}, found {other:?}."
            )),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.and(depth)?];
        while self.word("or") {
            self.at += 1;
            parts.push(self.and(depth)?);
        }
        Ok(single(parts, Filter::Any))
    }

    fn and(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            self.at += 1;
            parts.push(self.one(depth)?);
        }
        Ok(single(parts, Filter::All))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEEPEST {
            return Err("The filter is nested too deeply.".to_owned());
        }
        if self.word("not") {
            self.at += 1;
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or(depth + 1)?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        let Some(Token::Word(name)) = self.next() else {
            return Err("Syntax error: a property or function is missing.".to_owned());
        };
        if self.peek() == Some(&Token::Open) {
            return self.call(&name, depth);
        }
        self.comparison(name)
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<Filter, String> {
        self.expect(&Token::Open)?;
        if let Some(path) = name.strip_suffix("/any") {
            let Some(Token::Word(item)) = self.next() else {
                return Err("Syntax error: the lambda names no variable.".to_owned());
            };
            self.expect(&Token::Colon)?;
            let inner = self.or(depth + 1)?;
            self.expect(&Token::Close)?;
            return Ok(Filter::Lambda(path.to_owned(), item, Box::new(inner)));
        }
        let function = name.to_ascii_lowercase();
        if !matches!(function.as_str(), "startswith" | "endswith" | "contains") {
            return Err(format!("An unknown function with name '{name}' was found."));
        }
        let Some(Token::Word(path)) = self.next() else {
            return Err(format!("The function {name} needs a property."));
        };
        self.expect(&Token::Comma)?;
        let Some(Token::Text(text)) = self.next() else {
            return Err(format!("The function {name} needs a text."));
        };
        self.expect(&Token::Close)?;
        Ok(Filter::Text(function, path, text))
    }

    fn comparison(&mut self, path: String) -> Result<Filter, String> {
        let Some(Token::Word(operator)) = self.next() else {
            return Err(format!(
                "Syntax error: there is no operator after '{path}'."
            ));
        };
        let operator = operator.to_ascii_lowercase();
        if operator == "in" {
            self.expect(&Token::Open)?;
            let mut values = vec![self.literal()?];
            while self.peek() == Some(&Token::Comma) {
                self.at += 1;
                values.push(self.literal()?);
            }
            self.expect(&Token::Close)?;
            return Ok(Filter::In(path, values));
        }
        if !matches!(operator.as_str(), "eq" | "ne" | "gt" | "ge" | "lt" | "le") {
            return Err(format!("Invalid operator '{operator}'."));
        }
        self.typed(&path)?;
        let value = self.literal()?;
        Ok(Filter::Compare(path, operator, value))
    }

    /// A moment is written without quotes, and is one.
    fn typed(&self, path: &str) -> Result<(), String> {
        if !path.ends_with("DateTime") {
            return Ok(());
        }
        match self.peek() {
            Some(Token::Text(_)) => Err("A binary operator with incompatible types was detected. Found operand types 'Edm.DateTimeOffset' and 'Edm.String'.".to_owned()),
            Some(Token::Word(word)) if word != "null" && moment(word).is_none() => {
                Err(format!("The literal '{word}' is no Edm.DateTimeOffset."))
            }
            _ => Ok(()),
        }
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Word(word)) => Ok(match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => word
                    .parse::<i64>()
                    .map_or_else(|_| Value::String(word.clone()), Value::from),
            }),
            other => Err(format!(
                "Syntax error: expected a literal, found {other:?}."
            )),
        }
    }
}

fn single(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

impl Filter {
    /// Returns whether an object passes.
    pub(super) fn holds(&self, object: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(object)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(object)),
            Self::Not(inner) => !inner.holds(object),
            Self::Compare(path, operator, wanted) => compare(at(object, path), operator, wanted),
            Self::In(path, wanted) => wanted
                .iter()
                .any(|value| compare(at(object, path), "eq", value)),
            Self::Text(function, path, text) => {
                let found = at(object, path).as_str().unwrap_or_default().to_lowercase();
                let text = text.to_lowercase();
                match function.as_str() {
                    "startswith" => found.starts_with(&text),
                    "endswith" => found.ends_with(&text),
                    _ => found.contains(&text),
                }
            }
            Self::Lambda(path, item, inner) => at(object, path)
                .as_array()
                .into_iter()
                .flatten()
                .any(|value| {
                    let scope: Value = [(item.clone(), value.clone())].into_iter().collect();
                    inner.holds(&scope)
                }),
        }
    }

    /// Returns the properties that it speaks of, the first segment of each path.
    pub(super) fn properties(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(Self::properties).collect()
            }
            Self::Not(inner) => inner.properties(),
            Self::Compare(path, ..)
            | Self::In(path, _)
            | Self::Text(_, path, _)
            | Self::Lambda(path, ..) => vec![path.split('/').next().unwrap_or_default()],
        }
    }

    /// Returns whether only an advanced query may ask so (section 0.1): `ne`, `not`, `endsWith`, `contains`.
    pub(super) fn advanced(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::advanced),
            Self::Not(_) => true,
            Self::Compare(_, operator, _) => operator == "ne",
            Self::In(..) => false,
            Self::Text(function, ..) => function != "startswith",
            Self::Lambda(_, _, inner) => inner.advanced(),
        }
    }
}

/// Returns the moment that a text is, which has fractions of a second or none.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let begins = text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('T');
    begins.then(|| text.parse().ok()).flatten()
}

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(object, |value, segment| {
        value.get(segment).unwrap_or(&Value::Null)
    })
}

fn compare(found: &Value, operator: &str, wanted: &Value) -> bool {
    let order = match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => {
            match moment(wanted).and_then(|wanted| Some(moment(found)?.cmp(&wanted))) {
                Some(order) => order,
                None => found.to_lowercase().cmp(&wanted.to_lowercase()),
            }
        }
        (Value::Number(found), Value::Number(wanted)) => found
            .as_f64()
            .partial_cmp(&wanted.as_f64())
            .unwrap_or(Ordering::Less),
        (found, wanted) => {
            return match operator {
                "eq" => found == wanted,
                "ne" => found != wanted,
                _ => false,
            };
        }
    };
    match operator {
        "eq" => order == Ordering::Equal,
        "ne" => order != Ordering::Equal,
        "gt" => order == Ordering::Greater,
        "ge" => order != Ordering::Less,
        "lt" => order == Ordering::Less,
        _ => order != Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &str, object: &Value) -> bool {
        parse(filter).unwrap().holds(object)
    }

    #[test]
    fn filters_of_the_calls_hold_where_they_should() {
        let object = json!({"id": "A1", "name": "O'Brien", "n": 5, "on": true, "at": "2026-05-01T10:00:00Z", "startDateTime": "2026-05-01T10:00:00Z",
            "types": ["nonInteractiveUser"], "targets": [{"id": "x"}, {"id": "y"}], "by": {"user": {"id": "u"}}});
        for good in [
            "id eq 'a1'",
            "name eq 'O''Brien'",
            "n ge 5 and n lt 6",
            "on eq true",
            "at ge 2026-05-01T00:00:00Z and at le 2026-05-02T00:00:00Z",
            "types/any(t: t eq 'nonInteractiveUser')",
            "targets/any(t:t/id eq 'Y')",
            "by/user/id eq 'u'",
            "not (n eq 6) and (id ne 'b' or n eq 9)",
            "id in ('b','A1')",
            "startsWith(name,'o''')",
            "missing eq null",
            "startDateTime lt 2026-05-01T10:00:00.5Z and startDateTime ge 2026-05-01T10:00:00.000Z",
        ] {
            assert!(holds(good, &object), "{good}");
        }
        for bad in [
            "id eq 'b'",
            "n gt 5",
            "types/any(t:t eq 'x')",
            "id in ('b')",
            "on eq false",
        ] {
            assert!(!holds(bad, &object), "{bad}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for wrong in [
            "",
            "id",
            "id eq",
            "id eq 'x",
            "id like 'x'",
            "(id eq 'x'",
            "id eq 'x' )",
            "foo(id,'x')",
            "t/any(x eq 1)",
            "startsWith(id)",
            "startDateTime ge '2026-05-01T10:00:00Z'",
            "startDateTime ge yesterday",
            "and",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"not ".repeat(100_000)).is_err());
        assert!(parse(&format!("{}id eq 1", "not ".repeat(10))).is_ok());
    }

    #[test]
    fn advanced_queries_are_known() {
        for (filter, advanced) in [
            ("id eq 'x'", false),
            ("startsWith(id,'x')", false),
            ("endsWith(id,'x')", true),
            ("id ne 'x'", true),
            ("not(id eq 'x')", true),
        ] {
            assert_eq!(parse(filter).unwrap().advanced(), advanced, "{filter}");
        }
    }
}
