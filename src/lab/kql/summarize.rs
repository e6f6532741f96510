//! Groups of rows, and what is known of each ("summarize operator").
//!
//! An aggregation may stand inside an expression (`1.0 * countif(x) / count()`): each becomes a column without a name
//! that anybody could write, and the expression is evaluated over those.

use std::collections::HashMap;

use super::aggregates::{self, Aggregate, State};
use super::bind::{Binder, Bound};
use super::engine::{Budget, Engine};
use super::error::Error;
use super::operators;
use super::syntax::{Expr, Named, Node};
use super::value::{Cell, Column, Key, Table};

/// The row with the largest or smallest value of the first, or any row: what of it is taken.
struct Best {
    /// None is any row.
    by: Option<(Bound, bool)>,
    of: Vec<Bound>,
}

/// What columns of a result come from.
enum Output {
    /// An expression over the aggregations.
    Computed(Bound),
    /// So many columns of the best row.
    Row(usize),
}

/// What is known of one group so far.
struct Group {
    by: Vec<Cell>,
    states: Vec<State>,
    best: Vec<Option<Vec<Cell>>>,
}

#[derive(Default)]
struct Plan {
    aggregates: Vec<Aggregate>,
    best: Vec<Best>,
    outputs: Vec<Output>,
    columns: Vec<Column>,
    /// How many columns have no name of their own so far.
    nameless: usize,
}

pub(super) fn run(
    engine: &Engine<'_>,
    what: &[Named],
    by: &[Named],
    table: Table,
) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator: "summarize",
    };
    let (columns, keys) = operators::bound(binder, by)?;
    for column in &columns {
        operators::no_dynamic("summarize", column)?;
    }
    let mut plan = Plan {
        columns,
        ..Plan::default()
    };
    for one in what {
        plan.output(binder, one, by)?;
    }
    let mut places: HashMap<Vec<Key>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    if by.is_empty() {
        // Without keys there is one group, even of no rows.
        places.insert(Vec::new(), 0);
        groups.push(plan.group(Vec::new()));
    }
    for row in &table.rows {
        let values = keys.iter().map(|key| key.value(row, &engine.budget));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let key = values.iter().map(Cell::key).collect();
        let at = *places.entry(key).or_insert_with(|| {
            groups.push(plan.group(values));
            groups.len() - 1
        });
        plan.add(&mut groups[at], row, &engine.budget)?;
    }
    let rows = groups
        .into_iter()
        .map(|group| plan.end(group, &engine.budget));
    Ok(Table {
        rows: rows.collect::<Result<_, _>>()?,
        columns: plan.columns,
    })
}

impl Plan {
    fn output(&mut self, binder: Binder<'_>, one: &Named, by: &[Named]) -> Result<(), Error> {
        if let Node::Call(name, arguments) = &one.expr.node {
            let star = matches!(
                arguments.as_slice(),
                [
                    ..,
                    Expr {
                        node: Node::Star,
                        ..
                    }
                ]
            );
            let any = matches!(name.as_str(), "any" | "take_any") && (star || arguments.len() > 1);
            if any || matches!(name.as_str(), "arg_max" | "arg_min") {
                return self.row(binder, name, arguments, one.name.clone(), by);
            }
        }
        let mut found = Vec::new();
        let expr = lifted(&one.expr, &mut found);
        let first = self.aggregates.len();
        let mut slots: Vec<Column> = Vec::new();
        for aggregate in &self.aggregates {
            slots.push(Column::new("", aggregate.kind));
        }
        for (number, (name, arguments)) in found.iter().enumerate() {
            let aggregate = Aggregate::bind(binder, name, arguments)?;
            slots.push(Column::new(slot(number), aggregate.kind));
            self.aggregates.push(aggregate);
        }
        debug_assert_eq!(slots.len(), first + found.len());
        let after = Binder {
            columns: &slots,
            ..binder
        };
        let bound = after.bind(&expr)?;
        let own = aggregates::column_name(&one.expr);
        let name = own.unwrap_or_else(|| {
            self.nameless += 1;
            format!("Column{}", self.nameless)
        });
        self.push(one.name.clone(), name, bound.kind)?;
        self.outputs.push(Output::Computed(bound));
        Ok(())
    }

    /// Adds the columns of a whole row: the value that it is best by first ("`arg_max()` (aggregation function)").
    fn row(
        &mut self,
        binder: Binder<'_>,
        function: &str,
        arguments: &[Expr],
        mut given: Option<String>,
        by: &[Named],
    ) -> Result<(), Error> {
        let any = !function.starts_with("arg_");
        if arguments.is_empty() {
            return Err(Error::arguments(function, 0));
        }
        // What is named is not repeated by `*`.
        let grouped = by.iter().map(|key| &key.expr);
        let written: Vec<&str> = grouped
            .chain(arguments)
            .filter_map(|one| match &one.node {
                Node::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let (mut of, start) = (Vec::new(), self.columns.len());
        for (number, argument) in arguments.iter().enumerate() {
            if matches!(argument.node, Node::Star) {
                for (at, column) in binder.columns.iter().enumerate() {
                    if !written.contains(&column.name.as_str()) {
                        self.push(None, column.name.clone(), column.kind)?;
                        of.push(Bound::column(column.kind, at));
                    }
                }
                continue;
            }
            let bound = binder.bind(argument)?;
            let own = argument.own_name();
            let own = own.unwrap_or_else(|| match (function, number) {
                ("any" | "take_any", number) => format!("any_arg{number}"),
                (_, 0) => format!("{}_", &function[4..]),
                (_, number) => {
                    let first = arguments[0].own_name().unwrap_or_default();
                    format!("{}_{first}_arg{number}", &function[4..])
                }
            });
            self.push(given.take(), own, bound.kind)?;
            of.push(bound);
        }
        let by = if any {
            None
        } else {
            let bound = binder.bind(&arguments[0])?;
            operators::no_dynamic("summarize", &Column::new(function, bound.kind))?;
            Some((bound, function == "arg_max"))
        };
        self.best.push(Best { by, of });
        self.outputs.push(Output::Row(self.columns.len() - start));
        Ok(())
    }

    fn push(
        &mut self,
        given: Option<String>,
        own: String,
        kind: super::value::Kind,
    ) -> Result<(), Error> {
        let name = given.unwrap_or_else(|| operators::free(&self.columns, own));
        operators::add(&mut self.columns, "summarize", Column::new(name, kind))
    }

    fn group(&self, by: Vec<Cell>) -> Group {
        Group {
            by,
            states: self.aggregates.iter().map(Aggregate::start).collect(),
            best: self.best.iter().map(|_| None).collect(),
        }
    }

    fn add(&self, group: &mut Group, row: &[Cell], budget: &Budget) -> Result<(), Error> {
        for (aggregate, state) in self.aggregates.iter().zip(&mut group.states) {
            aggregate.add(state, row, budget)?;
        }
        for (best, so_far) in self.best.iter().zip(&mut group.best) {
            budget.spend(1)?;
            let better = match (&best.by, so_far.as_ref()) {
                (None, so_far) => so_far.is_none(),
                (Some((by, _)), None) => !by.value(row, budget)?.is_null(),
                (Some((by, largest)), Some(so_far)) => {
                    let (new, old) = (by.value(row, budget)?, &so_far[0]);
                    let order = new.order(old);
                    !new.is_null()
                        && if *largest {
                            order.is_gt()
                        } else {
                            order.is_lt()
                        }
                }
            };
            if better {
                let values = best.of.iter().map(|part| part.value(row, budget));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                *so_far = Some(values);
            }
        }
        Ok(())
    }

    fn end(&self, group: Group, budget: &Budget) -> Result<Vec<Cell>, Error> {
        let mut whole = group.by;
        let pairs = self.aggregates.iter().zip(group.states);
        let values: Vec<Cell> = pairs.map(|(one, state)| one.end(state)).collect();
        let mut best = group.best.into_iter();
        for output in &self.outputs {
            match output {
                Output::Computed(bound) => whole.push(bound.value(&values, budget)?),
                Output::Row(count) => {
                    let start = whole.len();
                    match best.next().flatten() {
                        Some(row) => whole.extend(row),
                        None => whole.extend(
                            self.columns[start..start + count]
                                .iter()
                                .map(|column| column.kind.null()),
                        ),
                    }
                }
            }
        }
        Ok(whole)
    }
}

/// Puts a column in the place of each aggregation.
fn lifted(expr: &Expr, found: &mut Vec<(String, Vec<Expr>)>) -> Expr {
    let node = match &expr.node {
        Node::Call(name, arguments) if aggregates::is_one(name) => {
            found.push((name.clone(), arguments.clone()));
            Node::Name(slot(found.len() - 1))
        }
        Node::Call(name, arguments) => {
            let arguments = arguments.iter().map(|one| lifted(one, found));
            Node::Call(name.clone(), arguments.collect())
        }
        Node::Binary(operator, pair) => Node::Binary(
            operator,
            Box::new([lifted(&pair[0], found), lifted(&pair[1], found)]),
        ),
        Node::All(parts) => Node::All(parts.iter().map(|one| lifted(one, found)).collect()),
        Node::Any(parts) => Node::Any(parts.iter().map(|one| lifted(one, found)).collect()),
        Node::Minus(inner) => Node::Minus(Box::new(lifted(inner, found))),
        Node::Member(base, name) => Node::Member(Box::new(lifted(base, found)), name.clone()),
        Node::Index(pair) => {
            Node::Index(Box::new([lifted(&pair[0], found), lifted(&pair[1], found)]))
        }
        other => other.clone(),
    };
    Expr {
        node,
        height: expr.height,
    }
}

/// The name of the column of an aggregation; no query can write it.
fn slot(number: usize) -> String {
    format!("\u{0}{number}")
}
