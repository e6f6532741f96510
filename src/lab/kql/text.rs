//! Operators on texts ("String operators"). Those without `_cs` do not tell capitals from small letters, save `==` and `!=`.

use std::sync::Arc;

use super::bind::Bound;
use super::error::Error;
use super::value::{Cell, Kind};

pub(super) fn bound(operator: &'static str, left: Bound, right: Bound) -> Result<Bound, Error> {
    for side in [&left, &right] {
        if !side.kind.is_text() && side.kind != Kind::Dynamic {
            return Err(Error::semantic(format!(
                "the operator '{operator}' takes texts, not a value of type {}",
                side.kind.name()
            )));
        }
    }
    // Terms have to be texts, as the vendor's own parser has it.
    if operator.contains("has") && right.kind == Kind::Dynamic {
        return Err(Error::semantic(format!(
            "'{operator}' operator requires string arguments"
        )));
    }
    let (plain, negated) = match operator.strip_prefix('!') {
        Some("~") => ("=~", true),
        Some(plain) => (plain, true),
        None => (operator, false),
    };
    let (plain, fold) = match plain.strip_suffix("_cs") {
        Some(plain) => (plain, false),
        None => (plain, true),
    };
    let holds: fn(&str, &str) -> bool = match plain {
        "=~" => |text, part| text == part,
        "contains" => |text, part| text.contains(part),
        "endswith" => |text, part| text.ends_with(part),
        "has" => has,
        "hasprefix" => |text, part| has_edge(text, part, true),
        "hassuffix" => |text, part| has_edge(text, part, false),
        "startswith" => |text, part| text.starts_with(part),
        _ => {
            return Err(Error::semantic(format!(
                "the operator '{operator}' is not modelled by the lab"
            )));
        }
    };
    let folded = move |cell: &Cell| -> Arc<str> {
        let text = cell.to_text();
        if fold {
            Arc::from(text.to_lowercase())
        } else {
            text
        }
    };
    Bound::apply(Kind::Bool, vec![left, right], move |values| {
        Ok(Cell::Bool(
            holds(&folded(&values[0]), &folded(&values[1])) != negated,
        ))
    })
}

/// Any of several terms, or all of them ("`has_any` operator", "`has_all` operator").
pub(super) fn several(all: bool, item: Bound, terms: Vec<Bound>) -> Result<Bound, Error> {
    let mut parts = vec![item];
    parts.extend(terms);
    if let Some(odd) = parts
        .iter()
        .find(|part| !part.kind.is_text() && part.kind != Kind::Dynamic)
    {
        return Err(Error::semantic(format!(
            "the operators 'has_any' and 'has_all' take texts, not a value of type {}",
            odd.kind.name()
        )));
    }
    Bound::apply(Kind::Bool, parts, move |values| {
        let text = values[0].to_text().to_lowercase();
        let mut terms = values[1..]
            .iter()
            .map(|term| has(&text, &term.to_text().to_lowercase()));
        Ok(Cell::Bool(if all {
            terms.all(|found| found)
        } else {
            terms.any(|found| found)
        }))
    })
}

/// Returns whether a text holds another as whole terms: between what is neither letter nor digit.
fn has(text: &str, term: &str) -> bool {
    text.match_indices(term)
        .any(|(at, _)| starts_term(text, term, at) && ends_term(text, term, at))
}

fn has_edge(text: &str, term: &str, start: bool) -> bool {
    text.match_indices(term).any(|(at, _)| {
        if start {
            starts_term(text, term, at)
        } else {
            ends_term(text, term, at)
        }
    })
}

fn starts_term(text: &str, term: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !(before.is_some_and(char::is_alphanumeric)
        && term.chars().next().is_some_and(char::is_alphanumeric))
}

fn ends_term(text: &str, term: &str, at: usize) -> bool {
    let after = text[at + term.len()..].chars().next();
    !(after.is_some_and(char::is_alphanumeric)
        && term.chars().next_back().is_some_and(char::is_alphanumeric))
}
