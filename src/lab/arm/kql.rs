//! The part of the Kusto language that incident response asks Resource Graph in; anything else is a parser error,
//! never a wrong answer.
//!
//! `TABLE | where EXPR | extend NAME = EXPR, ... | project NAME, NAME = EXPR, ... | order by EXPR asc, ... | take N |
//! distinct NAME, ... | count`, with `and or not () == != =~ !~ < <= > >= has contains startswith endswith in in~` and
//! their negations, and a few functions.

use serde_json::{Map, Number, Value, json};

/// A query, read.
pub(super) struct Query {
    /// The table, as written.
    pub(super) table: String,
    stages: Vec<Stage>,
}

enum Stage {
    Count,
    Distinct(Vec<Column>),
    Extend(Vec<Column>),
    Order(Vec<(Expr, bool)>),
    Project(Vec<Column>),
    Take(usize),
    Where(Expr),
}

type Column = (String, Expr);

enum Expr {
    Call(String, Vec<Self>),
    Compare(String, Box<Self>, Box<Self>),
    Literal(Value),
    Logic(bool, Box<Self>, Box<Self>),
    Member(Box<Self>, Vec<Self>, String),
    Path(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Mark(&'static str),
    Number(f64),
    Text(String),
    Word(String),
}

impl Query {
    /// Reads a query; the error says what cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
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

    /// Returns whether the rows have an order that paging can rely on.
    pub(super) fn is_ordered(&self) -> bool {
        self.stages
            .iter()
            .any(|stage| matches!(stage, Stage::Order(_)))
    }

    /// Evaluates it over the rows of its table.
    pub(super) fn evaluate(&self, mut rows: Vec<Value>) -> Result<Vec<Value>, String> {
        for stage in &self.stages {
            rows = match stage {
                Stage::Where(expr) => filtered(rows, expr)?,
                Stage::Project(columns) => rows
                    .iter()
                    .map(|row| projected(row, columns))
                    .collect::<Result<_, _>>()?,
                Stage::Extend(columns) => rows
                    .into_iter()
                    .map(|row| extended(row, columns))
                    .collect::<Result<_, _>>()?,
                Stage::Order(keys) => ordered(rows, keys)?,
                Stage::Take(count) => rows.into_iter().take(*count).collect(),
                Stage::Count => vec![json!({"Count": rows.len()})],
                Stage::Distinct(columns) => {
                    let mut seen = Vec::new();
                    for row in &rows {
                        let row = projected(row, columns)?;
                        if !seen.contains(&row) {
                            seen.push(row);
                        }
                    }
                    seen
                }
            };
        }
        Ok(rows)
    }
}

fn filtered(rows: Vec<Value>, expr: &Expr) -> Result<Vec<Value>, String> {
    let mut kept = Vec::new();
    for row in rows {
        if expr.value(&row)? == json!(true) {
            kept.push(row);
        }
    }
    Ok(kept)
}

fn projected(row: &Value, columns: &[Column]) -> Result<Value, String> {
    let members = columns
        .iter()
        .map(|(name, expr)| Ok((name.clone(), expr.value(row)?)));
    Ok(Value::Object(
        members.collect::<Result<Map<_, _>, String>>()?,
    ))
}

fn extended(mut row: Value, columns: &[Column]) -> Result<Value, String> {
    for (name, expr) in columns {
        row[name.as_str()] = expr.value(&row)?;
    }
    Ok(row)
}

fn ordered(rows: Vec<Value>, keys: &[(Expr, bool)]) -> Result<Vec<Value>, String> {
    let keyed = rows.into_iter().map(|row| {
        let key = keys
            .iter()
            .map(|(expr, _)| expr.value(&row))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((key, row))
    });
    let mut keyed = keyed.collect::<Result<Vec<_>, String>>()?;
    keyed.sort_by(|(a, _), (b, _)| {
        let each = a.iter().zip(b).zip(keys).map(|((a, b), (_, ascending))| {
            if *ascending {
                compare(a, b)
            } else {
                compare(b, a)
            }
        });
        each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => text(a).cmp(&text(b)),
    }
}

impl Expr {
    fn value(&self, row: &Value) -> Result<Value, String> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Path(path) => path
                .iter()
                .try_fold(row, |value, name| value.get(name.as_str()))
                .cloned()
                .unwrap_or_default(),
            Self::Logic(all, left, right) => {
                let left = left.value(row)? == json!(true);
                json!(if left == *all {
                    right.value(row)? == json!(true)
                } else {
                    left
                })
            }
            Self::Compare(operator, left, right) => {
                json!(holds(operator, &left.value(row)?, &right.value(row)?))
            }
            Self::Member(item, list, operator) => {
                let item = item.value(row)?;
                let mut found = false;
                for one in list {
                    found |= holds(
                        if operator.ends_with('~') { "=~" } else { "==" },
                        &item,
                        &one.value(row)?,
                    );
                }
                json!(found != operator.starts_with('!'))
            }
            Self::Call(name, arguments) => {
                let values = arguments
                    .iter()
                    .map(|one| one.value(row))
                    .collect::<Result<Vec<_>, _>>()?;
                call(name, &values)?
            }
        })
    }
}

fn call(name: &str, values: &[Value]) -> Result<Value, String> {
    let first = values.first().cloned().unwrap_or_default();
    Ok(match (name, values.len()) {
        ("tostring", 1) => json!(text(&first)),
        ("tolower", 1) => json!(text(&first).to_lowercase()),
        ("toupper", 1) => json!(text(&first).to_uppercase()),
        ("strlen", 1) => json!(text(&first).chars().count()),
        ("isempty" | "isnull", 1) => json!(text(&first).is_empty()),
        ("isnotempty" | "isnotnull", 1) => json!(!text(&first).is_empty()),
        ("not", 1) => json!(first != json!(true)),
        ("array_length", 1) => first
            .as_array()
            .map(|items| json!(items.len()))
            .unwrap_or_default(),
        ("strcat", _) => json!(values.iter().map(text).collect::<String>()),
        _ => {
            return Err(format!(
                "the lab does not model the function {name} with {} arguments",
                values.len()
            ));
        }
    })
}

fn holds(operator: &str, left: &Value, right: &Value) -> bool {
    let (a, b) = (text(left), text(right));
    let (low_a, low_b) = (a.to_lowercase(), b.to_lowercase());
    match operator {
        "==" => left == right || a == b,
        "!=" => left != right && a != b,
        "=~" => low_a == low_b,
        "!~" => low_a != low_b,
        "<" => compare(left, right).is_lt(),
        "<=" => compare(left, right).is_le(),
        ">" => compare(left, right).is_gt(),
        ">=" => compare(left, right).is_ge(),
        "contains" => low_a.contains(&low_b),
        "!contains" => !low_a.contains(&low_b),
        "has" => has(&low_a, &low_b),
        "!has" => !has(&low_a, &low_b),
        "startswith" => low_a.starts_with(&low_b),
        "!startswith" => !low_a.starts_with(&low_b),
        "endswith" => low_a.ends_with(&low_b),
        _ => !low_a.ends_with(&low_b),
    }
}

/// Returns whether a text holds another as whole terms.
fn has(text: &str, term: &str) -> bool {
    text.match_indices(term).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + term.len()..].chars().next();
        let ends = |beside: Option<char>, own: Option<char>| {
            !(beside.is_some_and(char::is_alphanumeric) && own.is_some_and(char::is_alphanumeric))
        };
        ends(before, term.chars().next()) && ends(after, term.chars().next_back())
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
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
            Some(Token::Word(word)) if self.skip(&Token::Mark("(")) => {
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

/// Whole numbers are compared as such.
fn exact(number: f64) -> Value {
    format!("{number}").parse::<i64>().map_or_else(
        |_| Number::from_f64(number).map_or(Value::Null, Value::Number),
        |whole| json!(whole),
    )
}

/// Operators that are words.
const OPERATORS: [&str; 12] = [
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
];
/// Marks, longer ones first.
const MARKS: [&str; 17] = [
    "==", "!=", "=~", "!~", "<=", ">=", "|", ",", ".", "(", ")", "[", "]", "=", "<", ">", ";",
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
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let number = rest[..end]
                .parse()
                .map_err(|_| format!("{} is no number", &rest[..end]))?;
            (Token::Number(number), &rest[end..])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Vec<Value>, String> {
        let rows = vec![
            json!({"id": "/b", "type": "microsoft.compute/virtualmachines", "name": "VM | x'", "identity": {"u": {"/ID/One": {}}}, "size": 2}),
            json!({"id": "/a", "type": "t", "name": "y", "tags": {"env-1": "prod"}, "size": 10}),
        ];
        Query::parse(query)?.evaluate(rows)
    }

    fn ids(query: &str) -> String {
        let rows = ask(query).unwrap();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap_or("?"))
            .collect()
    }

    #[test]
    fn conditions_are_those_of_the_language() {
        for (condition, expected) in [
            (
                "type =~ 'Microsoft.Compute/VirtualMachines' and name == 'VM | x\\''",
                "/b",
            ),
            ("type == 'Microsoft.Compute/VirtualMachines'", ""),
            ("tostring(identity.u) contains '/id/one'", "/b"),
            ("tostring(identity.u) has 'on'", ""),
            ("tostring(identity.u) has 'one'", "/b"),
            ("name in~ ('Y', 'z') or size < 3", "/b/a"),
            ("name !in ('y')", "/b"),
            ("not(name == 'y')", "/b"),
            (
                "tags['env-1'] == \"prod\" and (size >= 10 and size <= 10)",
                "/a",
            ),
            ("isnotempty(tags)", "/a"),
            ("missing.path == 'x'", ""),
        ] {
            assert_eq!(
                ids(&format!("Resources | where {condition}")),
                expected,
                "{condition}"
            );
        }
    }

    #[test]
    fn rows_are_ordered_cut_shaped_and_counted() {
        assert_eq!(ids("Resources | order by id asc"), "/a/b");
        assert_eq!(ids("Resources | order by id"), "/b/a");
        assert_eq!(ids("Resources | sort by size asc | take 1"), "/b");
        assert_eq!(
            ask("Resources | project identity.u, n = tolower(name) | limit 1").unwrap(),
            [json!({"identity_u": {"/ID/One": {}}, "n": "vm | x'"})]
        );
        assert_eq!(
            ask("Resources | extend big = size > 5 | where big | count").unwrap(),
            [json!({"Count": 1})]
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "| where",
            "Resources where",
            "Resources | summarize count()",
            "Resources | where name == 'x",
            "Resources | where name = 'x'",
            "Resources | where (name",
            "Resources | take many",
            "Resources | join kind=inner (x) on id",
            "Resources | where matches(name, 'x')",
            "Resources | where name ==",
            "Resources; drop",
        ] {
            let answer = ask(bad);
            assert!(answer.is_err(), "{bad}: {answer:?}");
        }
    }
}
