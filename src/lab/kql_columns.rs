//! Which columns a query speaks of and leaves: one that its table does not have is an error before any row is read.

use serde_json::Value;

use super::kql::{Expr, Query, Stage};

/// A column's name and type.
pub(super) type Typed = (String, &'static str);

impl Query {
    /// Returns the columns of the result, of those that its table has.
    ///
    /// # Errors
    /// The operator and the column that its input does not have.
    pub(super) fn columns(&self, table: Vec<Typed>) -> Result<Vec<Typed>, String> {
        let mut known = table;
        for stage in &self.stages {
            match stage {
                Stage::Count => known = vec![("Count".to_owned(), "long")],
                Stage::Take(_) => {}
                Stage::Where(expr) => check("where", expr, &known)?,
                Stage::Order(keys) => {
                    for (key, _) in keys {
                        check("sort by", key, &known)?;
                    }
                }
                Stage::Project(columns) | Stage::Distinct(columns) => {
                    let mut left = Vec::new();
                    for (name, expr) in columns {
                        check("project", expr, &known)?;
                        left.push((name.clone(), kind(expr, &known)));
                    }
                    known = left;
                }
                Stage::Extend(columns) => {
                    for (name, expr) in columns {
                        check("extend", expr, &known)?;
                        let kind = kind(expr, &known);
                        known.retain(|(known, _)| known != name);
                        known.push((name.clone(), kind));
                    }
                }
            }
        }
        Ok(known)
    }
}

fn check(operator: &str, expr: &Expr, known: &[Typed]) -> Result<(), String> {
    let mut parts: Vec<&Expr> = vec![expr];
    while let Some(part) = parts.pop() {
        match part {
            Expr::Literal(_) => {}
            Expr::Path(path) => {
                let column = path.first().map(String::as_str).unwrap_or_default();
                if !known.iter().any(|(name, _)| name == column) {
                    return Err(format!(
                        "'{operator}' operator: Failed to resolve column or scalar expression named '{column}'"
                    ));
                }
            }
            Expr::Call(_, arguments) => parts.extend(arguments),
            Expr::Compare(_, left, right) | Expr::Logic(_, left, right) => {
                parts.extend([left.as_ref(), right.as_ref()]);
            }
            Expr::Member(item, list, _) => {
                parts.push(item);
                parts.extend(list);
            }
        }
    }
    Ok(())
}

fn kind(expr: &Expr, known: &[Typed]) -> &'static str {
    match expr {
        Expr::Path(path) if path.len() == 1 => {
            let found = known.iter().find(|(name, _)| *name == path[0]);
            found.map_or("dynamic", |(_, kind)| kind)
        }
        Expr::Path(_) => "dynamic",
        Expr::Compare(..) | Expr::Logic(..) | Expr::Member(..) => "bool",
        Expr::Call(name, _) => match name.as_str() {
            "array_length" | "strlen" => "long",
            "isempty" | "isnotempty" | "isnotnull" | "isnull" | "not" => "bool",
            "todatetime" => "datetime",
            _ => "string",
        },
        Expr::Literal(Value::Bool(_)) => "bool",
        Expr::Literal(Value::Number(number)) if number.is_f64() => "real",
        Expr::Literal(Value::Number(_)) => "long",
        Expr::Literal(_) => "string",
    }
}
