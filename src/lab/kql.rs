//! The part of the Kusto language that incident response asks Resource Graph and Log Analytics in; anything else is an
//! error, never a wrong answer.
//!
//! `TABLE | where EXPR | extend NAME = EXPR, ... | project NAME, NAME = EXPR, ... | order by EXPR asc, ... | take N |
//! distinct NAME, ... | count`, with `and or not () == != =~ !~ < <= > >= has contains startswith endswith in in~` and
//! their negations, and a few functions. Moments are texts as RFC 3339 writes them; `ago` and `now` are read as such.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// A query, read.
pub(super) struct Query {
    /// The table, as written.
    pub(super) table: String,
    pub(super) stages: Vec<Stage>,
}

/// One operator.
pub(super) enum Stage {
    Count,
    Distinct(Vec<Column>),
    Extend(Vec<Column>),
    Order(Vec<(Expr, bool)>),
    Project(Vec<Column>),
    Take(usize),
    Where(Expr),
}

/// A column's name and where its value comes from.
pub(super) type Column = (String, Expr);

/// What is evaluated for each row.
#[derive(Clone)]
pub(super) enum Expr {
    Call(String, Vec<Self>),
    Compare(String, Box<Self>, Box<Self>),
    Literal(Value),
    Logic(bool, Box<Self>, Box<Self>),
    Member(Box<Self>, Vec<Self>, String),
    Path(Vec<String>),
}

impl Query {
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
    if let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) {
        return a.total_cmp(&b);
    }
    match (moment(a), moment(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => text(a).cmp(&text(b)),
    }
}

/// Moments of one second are not always written with as many digits.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    let looks = text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    looks.then(|| text.parse().ok()).flatten()
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
        ("todatetime", 1) => moment(&first).map_or(Value::Null, |_| first.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Vec<Value>, String> {
        let rows = vec![
            json!({"id": "/b", "type": "microsoft.compute/virtualmachines", "name": "VM | x'", "identity": {"u": {"/ID/One": {}}}, "size": 2, "at": "2026-12-01T11:30:00.5Z"}),
            json!({"id": "/a", "type": "t", "name": "y", "tags": {"env-1": "prod"}, "size": 10, "at": "2026-12-01T09:00:00Z"}),
        ];
        Query::parse(query, "2026-12-01T12:00:00Z".parse().unwrap())?.evaluate(rows)
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
            ("at > ago(1h)", "/b"),
            ("at <= ago(90m) or at == now()", "/a"),
            ("at between (ago(1d) .. ago(2h))", "/a"),
            ("at !between (datetime(2026-12-01T00:00) .. ago(2h))", "/b"),
            ("at >= datetime(2026-12-01)", "/b/a"),
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
            "Resources | where at > ago(yesterday)",
            "Resources | where at > datetime(yesterday)",
            "Resources | where at between (ago(1d), now())",
        ] {
            let answer = ask(bad);
            assert!(answer.is_err(), "{bad}: {answer:?}");
        }
    }
}
