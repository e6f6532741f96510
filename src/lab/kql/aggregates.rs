//! Aggregation functions ("Aggregation function types at a glance"). Nulls are left out ("Null values").
//!
//! `dcount` is exact here; the service estimates it ("`dcount()` (aggregation function)").

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::bind::{Binder, Bound};
use super::engine::Budget;
use super::error::Error;
use super::functions::wrong_type;
use super::syntax::{Expr, KEEPS_NAME, Node};
use super::value::{Cell, Key, Kind};

/// The most items that a list or a set holds by default and at all ("`make_list()` (aggregation function)").
const MOST_ITEMS: usize = 1_048_576;
/// What the old names of those functions hold by default.
const MOST_ITEMS_ONCE: usize = 128;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Any,
    Average,
    Count,
    Distinct,
    List,
    Max,
    Min,
    Set,
    Sum,
}

/// One aggregation: of what, and of which rows.
pub(super) struct Aggregate {
    what: What,
    of: Option<Bound>,
    only: Option<Bound>,
    most: usize,
    pub(super) kind: Kind,
}

/// What an aggregation knows of the rows of one group so far.
pub(super) enum State {
    Cell(Option<Cell>),
    Count(i64),
    Distinct(HashSet<Key>),
    Items(Vec<Json>, HashSet<Key>),
    Sum {
        whole: Option<i64>,
        real: f64,
        count: i64,
    },
}

/// Names, and the prefix of the column of each.
const NAMES: [(&str, &str); 21] = [
    ("any", "any"),
    ("avg", "avg"),
    ("avgif", "avgif"),
    ("count", "count"),
    ("count_distinct", "count_distinct"),
    ("countif", "countif"),
    ("dcount", "dcount"),
    ("dcountif", "dcountif"),
    ("make_list", "list"),
    ("make_list_if", "list"),
    ("make_set", "set"),
    ("make_set_if", "set"),
    ("makelist", "list"),
    ("makeset", "set"),
    ("max", "max"),
    ("maxif", "maxif"),
    ("min", "min"),
    ("minif", "minif"),
    ("sum", "sum"),
    ("sumif", "sumif"),
    ("take_any", ""),
];
/// Aggregations of the language that the lab does not model.
const OTHERS: [&str; 16] = [
    "binary_all_and",
    "binary_all_or",
    "binary_all_xor",
    "buildschema",
    "hll",
    "hll_merge",
    "make_bag",
    "make_bag_if",
    "make_list_with_nulls",
    "percentile",
    "percentiles",
    "stdev",
    "stdevif",
    "take_anyif",
    "tdigest",
    "variance",
];

pub(super) fn is_one(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
        || OTHERS.contains(&name)
        || matches!(name, "arg_max" | "arg_min")
}

/// Returns the name of the column: the function's prefix, and the name of what it is of (`count_`, `dcount_City`); what
/// rounds or converts an aggregation keeps its name.
pub(super) fn column_name(expr: &Expr) -> Option<String> {
    let Node::Call(name, arguments) = &expr.node else {
        return None;
    };
    if KEEPS_NAME.contains(&name.as_str()) {
        return column_name(arguments.first()?);
    }
    let (_, prefix) = NAMES.iter().find(|(known, _)| known == name)?;
    let of = arguments.first().and_then(Expr::own_name);
    match *prefix {
        "" => of,
        prefix => Some(format!("{prefix}_{}", of.unwrap_or_default())),
    }
}

impl Aggregate {
    pub(super) fn bind(binder: Binder<'_>, name: &str, arguments: &[Expr]) -> Result<Self, Error> {
        if OTHERS.contains(&name) {
            return Err(Error::semantic(format!(
                "the aggregation '{name}' is not modelled by the lab"
            )));
        }
        let conditional = name.ends_with("if");
        let what = match name.trim_end_matches("_if").trim_end_matches("if") {
            "any" | "take_any" => What::Any,
            "avg" => What::Average,
            "count" => What::Count,
            "count_distinct" | "dcount" => What::Distinct,
            "make_list" | "makelist" => What::List,
            "make_set" | "makeset" => What::Set,
            "max" => What::Max,
            "min" => What::Min,
            "sum" => What::Sum,
            _ => return Err(Error::semantic(format!("{name}() cannot stand here"))),
        };
        let mut rest = arguments.iter();
        let of = match (what, rest.as_slice()) {
            // `count(*)` is another way to write `count()`.
            (
                What::Count,
                [
                    Expr {
                        node: Node::Star, ..
                    },
                ],
            ) if !conditional => {
                rest.next();
                None
            }
            (What::Count, _) => None,
            _ => {
                let first = rest.next().ok_or_else(|| Error::arguments(name, 0))?;
                Some(binder.bind(first)?)
            }
        };
        let only = if conditional {
            let condition = rest.next();
            let condition = condition.ok_or_else(|| Error::arguments(name, arguments.len()))?;
            Some(binder.condition(condition)?)
        } else {
            None
        };
        let mut most = match name {
            "makelist" | "makeset" => MOST_ITEMS_ONCE,
            _ => MOST_ITEMS,
        };
        if let Some(limit) = rest.next() {
            let sized = matches!(what, What::Distinct | What::List | What::Set);
            match binder.constant(limit)? {
                Cell::Number(limit) if sized && limit > 0 => {
                    // How exact a count is does not matter: it is exact.
                    if what != What::Distinct {
                        most = MOST_ITEMS.min(usize::try_from(limit).unwrap_or(MOST_ITEMS));
                    }
                }
                _ => return Err(Error::arguments(name, arguments.len())),
            }
        }
        if rest.next().is_some() {
            return Err(Error::arguments(name, arguments.len()));
        }
        let kind = kind(name, what, of.as_ref())?;
        Ok(Self {
            what,
            of,
            only,
            most,
            kind,
        })
    }

    pub(super) fn start(&self) -> State {
        match self.what {
            What::Any | What::Max | What::Min => State::Cell(None),
            What::Average | What::Sum => State::Sum {
                whole: Some(0),
                real: 0.0,
                count: 0,
            },
            What::Count => State::Count(0),
            What::Distinct => State::Distinct(HashSet::new()),
            What::List | What::Set => State::Items(Vec::new(), HashSet::new()),
        }
    }

    /// Takes in a row.
    pub(super) fn add(
        &self,
        state: &mut State,
        row: &[Cell],
        budget: &Budget,
    ) -> Result<(), Error> {
        budget.spend(1)?;
        if let Some(only) = &self.only
            && !only.value(row, budget)?.is_true()
        {
            return Ok(());
        }
        let cell = match &self.of {
            Some(of) => of.value(row, budget)?,
            None => Cell::Bool(true),
        };
        if cell.is_null() {
            return Ok(());
        }
        match state {
            State::Cell(best) => {
                let better = match (&best, self.what) {
                    (None, _) => true,
                    (Some(best), What::Max) => cell.order(best).is_gt(),
                    (Some(best), What::Min) => cell.order(best).is_lt(),
                    (Some(_), _) => false,
                };
                if better {
                    *best = Some(cell);
                }
            }
            State::Count(count) => *count += 1,
            State::Distinct(seen) => {
                seen.insert(cell.key());
            }
            State::Items(items, seen) => {
                budget.spend(2 + cell.weight() / 8)?;
                match &cell {
                    // A set of arrays is that of their items ("make_set() (aggregation function)").
                    Cell::Json(json) if self.what == What::Set && json.is_array() => {
                        for item in json.as_array().into_iter().flatten() {
                            self.take(items, seen, &Cell::json(item.clone()));
                        }
                    }
                    cell => self.take(items, seen, cell),
                }
            }
            State::Sum { whole, real, count } => {
                let ticks = match &cell {
                    Cell::Number(number) | Cell::Span(number) | Cell::Time(number) => Some(*number),
                    _ => None,
                };
                *whole = whole.and_then(|sum| sum.checked_add(ticks?));
                *real += ticks.map_or_else(|| cell.as_f64().unwrap_or(0.0), |ticks| ticks as f64);
                *count += 1;
            }
        }
        Ok(())
    }

    fn take(&self, items: &mut Vec<Json>, seen: &mut HashSet<Key>, cell: &Cell) {
        if items.len() < self.most && (self.what == What::List || seen.insert(cell.key())) {
            items.push(cell.as_json());
        }
    }

    /// Returns the value of the group.
    pub(super) fn end(&self, state: State) -> Cell {
        match state {
            State::Cell(best) => best.unwrap_or_else(|| self.kind.null()),
            State::Count(count) => Cell::Number(count),
            State::Distinct(seen) => Cell::Number(seen.len() as i64),
            State::Items(items, _) => Cell::Json(Arc::new(Json::Array(items))),
            // Of nothing there is no average; its sum is zero.
            State::Sum { real, count, .. } if self.what == What::Average => {
                match (self.kind, count) {
                    (_, 0) => Cell::Null,
                    (Kind::DateTime, count) => Cell::Time((real / count as f64) as i64),
                    (Kind::TimeSpan, count) => Cell::Span((real / count as f64) as i64),
                    (_, count) => Cell::Real(real / count as f64),
                }
            }
            State::Sum { whole, real, .. } => match self.kind {
                Kind::Real => Cell::Real(real),
                Kind::TimeSpan => whole.map_or(Cell::Null, Cell::Span),
                _ => whole.map_or(Cell::Null, Cell::Number),
            },
        }
    }
}

/// The type of a result; what cannot be added up or has no order is refused.
fn kind(name: &str, what: What, of: Option<&Bound>) -> Result<Kind, Error> {
    let own = of.map_or(Kind::Long, |of| of.kind);
    let fits = match what {
        What::Average => own.is_number() || matches!(own, Kind::DateTime | Kind::TimeSpan),
        What::Max | What::Min => own != Kind::Dynamic,
        What::Sum => own.is_number() || own == Kind::TimeSpan,
        _ => true,
    };
    if !fits {
        return Err(wrong_type(name, own));
    }
    Ok(match what {
        What::Any | What::Max | What::Min => own,
        What::Average if own.is_number() => Kind::Real,
        What::Average => own,
        What::Count | What::Distinct => Kind::Long,
        What::List | What::Set => Kind::Dynamic,
        What::Sum if own == Kind::Int => Kind::Long,
        What::Sum => own,
    })
}
