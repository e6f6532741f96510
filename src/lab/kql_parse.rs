//! Reads the part of the Kusto language that `kql` evaluates.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Number, Value, json};

use super::kql::{Column, Expr, Query, Stage};

impl Query {
    /// Reads a query that is asked at `now`; the error says what cannot be read.
    pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            now,
        };
        let table = parser.word()?;
        let mut stages = Vec::new();
        while parser.skip(&Token::Mark("|")) {
            stages.push(parser.stage()?);
        }
        match parser.peek() {
            None => Ok(Self { table, stages }),
            Some(token) => Err(format!("{token:?} is not expected")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Mark(&'static str),
    /// What stands in `datetime(...)`.
    Moment(String),
    Number(f64),
    /// A timespan, in milliseconds.
    Span(i64),
    Text(String),
    Word(String),
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    now: DateTime<Utc>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn skip_word(&mut self, word: &str) -> bool {
        self.skip(&Token::Word(word.to_owned()))
    }

    fn word(&mut self) -> Result<String, String> {
        match self.peek().cloned() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            other => Err(format!("a name is expected, not {other:?}")),
        }
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), String> {
        if self.skip(&Token::Mark(mark)) {
            Ok(())
        } else {
            Err(format!("{mark} is expected, not {:?}", self.peek()))
        }
    }

    fn stage(&mut self) -> Result<Stage, String> {
        match self.word()?.as_str() {
            "where" => Ok(Stage::Where(self.either()?)),
            "project" => Ok(Stage::Project(self.columns()?)),
            "extend" => Ok(Stage::Extend(self.columns()?)),
            "distinct" => Ok(Stage::Distinct(self.columns()?)),
            "count" => Ok(Stage::Count),
            "take" | "limit" => match self.peek().cloned() {
                Some(Token::Number(count)) if count >= 0.0 => {
                    self.at += 1;
                    Ok(Stage::Take(
                        format!("{count:.0}")
                            .parse()
                            .map_err(|_| format!("{count} is too many"))?,
                    ))
                }
                other => Err(format!("a number is expected, not {other:?}")),
            },
            "order" | "sort" if self.skip_word("by") => Ok(Stage::Order(self.keys()?)),
            other => Err(format!("the lab does not model the operator {other}")),
        }
    }

    fn columns(&mut self) -> Result<Vec<Column>, String> {
        let mut columns = Vec::new();
        loop {
            let named = matches!(
                (self.peek(), self.tokens.get(self.at + 1)),
                (Some(Token::Word(_)), Some(Token::Mark("=")))
            );
            if named {
                let name = self.word()?;
                self.expect("=")?;
                columns.push((name, self.either()?));
            } else {
                let expr = self.either()?;
                let name = match &expr {
                    Expr::Path(path) => path.join("_"),
                    _ => format!("Column{}", columns.len() + 1),
                };
                columns.push((name, expr));
            }
            if !self.skip(&Token::Mark(",")) {
                return Ok(columns);
            }
        }
    }

    fn keys(&mut self) -> Result<Vec<(Expr, bool)>, String> {
        let mut keys = Vec::new();
        loop {
            let expr = self.either()?;
            let ascending = self.skip_word("asc");
            if !ascending {
                // The language's own default, too.
                self.skip_word("desc");
            }
            keys.push((expr, ascending));
            if !self.skip(&Token::Mark(",")) {
                return Ok(keys);
            }
        }
    }

    fn either(&mut self) -> Result<Expr, String> {
        let mut left = self.both()?;
        while self.skip_word("or") {
            left = Expr::Logic(false, Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, String> {
        let mut left = self.comparison()?;
        while self.skip_word("and") {
            left = Expr::Logic(true, Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.term()?;
        for (word, inside) in [("between", true), ("!between", false)] {
            if self.skip_word(word) {
                return self.between(left, inside);
            }
        }
        let operator = match self.peek() {
            Some(Token::Mark(mark @ ("==" | "!=" | "=~" | "!~" | "<" | "<=" | ">" | ">="))) => {
                (*mark).to_owned()
            }
            Some(Token::Word(word)) if OPERATORS.contains(&word.as_str()) => word.clone(),
            _ => return Ok(left),
        };
        self.at += 1;
        if !matches!(operator.as_str(), "in" | "in~" | "!in" | "!in~") {
            return Ok(Expr::Compare(
                operator,
                Box::new(left),
                Box::new(self.term()?),
            ));
        }
        self.expect("(")?;
        let list = self.arguments()?;
        Ok(Expr::Member(Box::new(left), list, operator))
    }

    /// Reads `(from .. to)`, both of which are inside.
    fn between(&mut self, left: Expr, inside: bool) -> Result<Expr, String> {
        self.expect("(")?;
        let from = self.term()?;
        self.expect("..")?;
        let to = self.term()?;
        self.expect(")")?;
        let compare = |operator: &str, bound: Expr| {
            Expr::Compare(operator.to_owned(), Box::new(left.clone()), Box::new(bound))
        };
        let (low, high) = if inside { (">=", "<=") } else { ("<", ">") };
        let (low, high) = (compare(low, from), compare(high, to));
        Ok(Expr::Logic(inside, Box::new(low), Box::new(high)))
    }

    /// Reads what stands in the parentheses of `ago` and `now`.
    fn moment(&mut self, name: &str) -> Result<Expr, String> {
        let back = match (name, self.peek().cloned()) {
            ("ago", Some(Token::Span(milliseconds))) => {
                self.at += 1;
                milliseconds
            }
            ("now", _) => 0,
            (_, other) => return Err(format!("a timespan is expected, not {other:?}")),
        };
        self.expect(")")?;
        Ok(instant(self.now - Duration::milliseconds(back)))
    }

    /// Reads expressions up to a closing parenthesis, and that.
    fn arguments(&mut self) -> Result<Vec<Expr>, String> {
        let mut list = Vec::new();
        if self.skip(&Token::Mark(")")) {
            return Ok(list);
        }
        loop {
            list.push(self.either()?);
            if self.skip(&Token::Mark(")")) {
                return Ok(list);
            }
            self.expect(",")?;
        }
    }

    fn term(&mut self) -> Result<Expr, String> {
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Text(text)) => Ok(Expr::Literal(Value::String(text))),
            Some(Token::Number(number)) => Ok(Expr::Literal(exact(number))),
            Some(Token::Mark("(")) => {
                let inner = self.either()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Word(word)) if word == "true" || word == "false" => {
                Ok(Expr::Literal(json!(word == "true")))
            }
            Some(Token::Moment(text)) => read_moment(&text),
            Some(Token::Word(word)) if self.skip(&Token::Mark("(")) => {
                if word == "ago" || word == "now" {
                    return self.moment(&word);
                }
                Ok(Expr::Call(word, self.arguments()?))
            }
            Some(Token::Word(word)) => self.path(word),
            other => Err(format!("a value is expected, not {other:?}")),
        }
    }

    fn path(&mut self, first: String) -> Result<Expr, String> {
        let mut path = vec![first];
        loop {
            if self.skip(&Token::Mark(".")) {
                path.push(self.word()?);
            } else if self.skip(&Token::Mark("[")) {
                match self.peek().cloned() {
                    Some(Token::Text(name)) => path.push(name),
                    other => return Err(format!("a text is expected in [], not {other:?}")),
                }
                self.at += 1;
                self.expect("]")?;
            } else {
                return Ok(Expr::Path(path));
            }
        }
    }
}

fn instant(at: DateTime<Utc>) -> Expr {
    Expr::Literal(json!(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

fn read_moment(text: &str) -> Result<Expr, String> {
    let local = |text: &str| {
        let forms = [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M:%S",
        ];
        let mut times = forms.iter();
        times.find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    let day = |text: &str| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    let text = text.trim();
    let whole = text.parse::<DateTime<Utc>>().ok();
    let read = whole.or_else(|| local(text).or_else(|| day(text)).map(|time| time.and_utc()));
    read.map(instant)
        .ok_or_else(|| format!("{text:?} is no moment"))
}

/// Whole numbers are compared as such.
fn exact(number: f64) -> Value {
    format!("{number}").parse::<i64>().map_or_else(
        |_| Number::from_f64(number).map_or(Value::Null, Value::Number),
        |whole| json!(whole),
    )
}

/// Units of timespans, in milliseconds; longer names first.
const UNITS: [(&str, f64); 5] = [
    ("ms", 1.0),
    ("d", 86_400_000.0),
    ("h", 3_600_000.0),
    ("m", 60_000.0),
    ("s", 1_000.0),
];
/// Operators that are words.
const OPERATORS: [&str; 14] = [
    "contains",
    "!contains",
    "has",
    "!has",
    "startswith",
    "!startswith",
    "endswith",
    "!endswith",
    "in",
    "in~",
    "!in",
    "!in~",
    "between",
    "!between",
];
/// Marks, longer ones first.
const MARKS: [&str; 18] = [
    "..", "==", "!=", "=~", "!~", "<=", ">=", "|", ",", ".", "(", ")", "[", "]", "=", "<", ">", ";",
];

fn tokens(query: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, after)| after)
                .trim_start();
            continue;
        }
        let (token, after) = if matches!(first, '\'' | '"') {
            quoted(&rest[1..], first)?
        } else if first.is_ascii_digit() {
            number(rest)?
        } else if let Some((text, after)) = rest
            .strip_prefix("datetime(")
            .and_then(|rest| rest.split_once(')'))
        {
            (Token::Moment(text.to_owned()), after)
        } else if let Some(negated) = OPERATORS.iter().find(|word| {
            word.starts_with('!') && rest.starts_with(**word) && word_ends(&rest[word.len()..])
        }) {
            (Token::Word((*negated).to_owned()), &rest[negated.len()..])
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '$'))
                .unwrap_or(rest.len());
            let end = if &rest[..end] == "in" && rest[end..].starts_with('~') {
                end + 1
            } else {
                end
            };
            (Token::Word(rest[..end].to_owned()), &rest[end..])
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            (Token::Mark(mark), &rest[mark.len()..])
        } else {
            return Err(format!("{first:?} is not expected"));
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Reads a number, or a timespan if a unit stands right behind it.
fn number(rest: &str) -> Result<(Token, &str), String> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let end = rest[..end].find("..").unwrap_or(end);
    let number: f64 = rest[..end]
        .parse()
        .map_err(|_| format!("{} is no number", &rest[..end]))?;
    let after = &rest[end..];
    for (unit, milliseconds) in UNITS {
        if let Some(behind) = after.strip_prefix(unit).filter(|rest| word_ends(rest)) {
            let span = format!("{:.0}", number * milliseconds);
            let span = span.parse().map_err(|_| format!("{span} is too long"))?;
            return Ok((Token::Span(span), behind));
        }
    }
    Ok((Token::Number(number), after))
}

fn word_ends(rest: &str) -> bool {
    rest.chars()
        .next()
        .is_none_or(|c| !c.is_alphanumeric() && c != '~')
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            c if c == quote => return Ok((Token::Text(value), &text[at + c.len_utf8()..])),
            c => value.push(c),
        }
    }
    Err("a text is not closed".to_owned())
}
