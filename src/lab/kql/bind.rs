//! Gives an expression its meaning over known columns: every name is found and every type is known before a row is read.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::compare::{self, Loose};
use super::engine::{Budget, Engine, Variable};
use super::error::Error;
use super::syntax::{Expr, Node, Pipeline, Source};
use super::value::{Cell, Column, Key, Kind};
use super::{arithmetic, functions, text};

/// What is computed of the values of its parts.
pub(super) type Function = Box<dyn Fn(&[Cell]) -> Result<Cell, Error>>;

/// An expression that can be evaluated over rows.
pub(super) struct Bound {
    pub(super) kind: Kind,
    node: Meaning,
}

enum Meaning {
    All(Vec<Bound>),
    Any(Vec<Bound>),
    Apply(Function, Vec<Bound>),
    Column(usize),
    Constant(Cell),
    In {
        item: Box<Bound>,
        set: HashSet<Key>,
        others: Vec<Bound>,
        negated: bool,
        fold: bool,
    },
}

impl Bound {
    pub(super) fn constant(kind: Kind, cell: Cell) -> Self {
        Self {
            kind,
            node: Meaning::Constant(cell),
        }
    }

    pub(super) fn column(kind: Kind, at: usize) -> Self {
        Self {
            kind,
            node: Meaning::Column(at),
        }
    }

    /// What depends on no row is computed once.
    pub(super) fn apply(
        kind: Kind,
        parts: Vec<Self>,
        function: impl Fn(&[Cell]) -> Result<Cell, Error> + 'static,
    ) -> Result<Self, Error> {
        let known: Option<Vec<Cell>> = parts.iter().map(|part| part.known().cloned()).collect();
        if let Some(known) = known {
            return Ok(Self::constant(kind, function(&known)?));
        }
        Ok(Self {
            kind,
            node: Meaning::Apply(Box::new(function), parts),
        })
    }

    /// Returns its value, if it has one without a row.
    pub(super) fn known(&self) -> Option<&Cell> {
        match &self.node {
            Meaning::Constant(cell) => Some(cell),
            _ => None,
        }
    }

    /// Computes once what depends on no row.
    fn settled(kind: Kind, node: Meaning, budget: &Budget) -> Result<Self, Error> {
        let is_known = |parts: &[Self]| parts.iter().all(|part| part.known().is_some());
        let settled = match &node {
            Meaning::All(parts) | Meaning::Any(parts) => is_known(parts),
            Meaning::In { item, others, .. } => item.known().is_some() && is_known(others),
            _ => false,
        };
        let bound = Self { kind, node };
        if !settled {
            return Ok(bound);
        }
        let cell = bound.value(&[], budget)?;
        Ok(Self::constant(kind, cell))
    }

    /// Returns its value for a row.
    pub(super) fn value(&self, row: &[Cell], budget: &Budget) -> Result<Cell, Error> {
        Ok(match &self.node {
            Meaning::Constant(cell) => cell.clone(),
            Meaning::Column(at) => row.get(*at).cloned().unwrap_or(Cell::Null),
            Meaning::All(parts) => Self::logic(parts, row, budget, false)?,
            Meaning::Any(parts) => Self::logic(parts, row, budget, true)?,
            Meaning::Apply(function, parts) => {
                let values = parts.iter().map(|part| part.value(row, budget));
                let found = function(&values.collect::<Result<Vec<_>, _>>()?)?;
                budget.spend(1 + found.weight() / 8)?;
                found
            }
            Meaning::In {
                item,
                set,
                others,
                negated,
                fold,
            } => {
                budget.spend(1 + others.len())?;
                let item = item.value(row, budget)?;
                let item = if *fold { lower(&item) } else { item };
                let mut found = set.contains(&item.key()) && !item.is_null();
                for other in others {
                    let other = other.value(row, budget)?;
                    let other = if *fold { lower(&other) } else { other };
                    found |= !item.is_null() && item.key() == other.key();
                }
                Cell::Bool(found != *negated)
            }
        })
    }

    /// `and` is true if every part is, `or` if any is: a null counts as false ("Logical (binary) operators").
    fn logic(parts: &[Self], row: &[Cell], budget: &Budget, any: bool) -> Result<Cell, Error> {
        budget.spend(1)?;
        for part in parts {
            if part.value(row, budget)?.is_true() == any {
                return Ok(Cell::Bool(any));
            }
        }
        Ok(Cell::Bool(!any))
    }
}

fn lower(cell: &Cell) -> Cell {
    Cell::text(&cell.to_text().to_lowercase())
}

/// Binds expressions of one operator.
#[derive(Clone, Copy)]
pub(super) struct Binder<'a> {
    pub(super) engine: &'a Engine<'a>,
    pub(super) columns: &'a [Column],
    /// The operator, for messages.
    pub(super) operator: &'static str,
}

impl Binder<'_> {
    pub(super) fn bind(&self, expr: &Expr) -> Result<Bound, Error> {
        match &expr.node {
            Node::All(parts) => self.settled(Meaning::All(self.logic(parts)?)),
            Node::Any(parts) => self.settled(Meaning::Any(self.logic(parts)?)),
            Node::Between {
                item,
                low,
                high,
                negated,
            } => self.between(item, low, high, *negated),
            Node::Binary(operator, pair) => {
                let (left, right) = (self.bind(&pair[0])?, self.bind(&pair[1])?);
                binary(operator, left, right)
            }
            Node::Call(name, arguments) => self.call(name, arguments),
            Node::In {
                item,
                list,
                negated,
                fold,
            } => self.member(item, list, *negated, *fold),
            Node::Index(pair) => index(self.bind(&pair[0])?, self.bind(&pair[1])?),
            Node::Literal(kind, cell) => Ok(Bound::constant(*kind, cell.clone())),
            Node::Member(base, name) => {
                let name = Bound::constant(Kind::String, Cell::text(name));
                index(self.bind(base)?, name)
            }
            Node::Minus(inner) => arithmetic::negated(self.bind(inner)?),
            Node::Name(name) => self.named(name),
            Node::Several(operator, item, list) => {
                let item = self.bind(item)?;
                text::several(*operator == "has_all", item, self.listed(list)?)
            }
            Node::Star => Err(Error::semantic("'*' can only stand in an aggregation")),
            Node::Sub(_) => Err(Error::semantic(
                "a tabular expression is no scalar; toscalar() makes it one",
            )),
        }
    }

    /// Binds what has to be true or false.
    pub(super) fn condition(&self, expr: &Expr) -> Result<Bound, Error> {
        let bound = self.bind(expr)?;
        match bound.kind {
            Kind::Bool => Ok(bound),
            // A dynamic is asked for the truth that it holds.
            Kind::Dynamic => Bound::apply(Kind::Bool, vec![bound], |values| {
                Ok(match &values[0] {
                    Cell::Json(json) => json.as_bool().map_or(Cell::Null, Cell::Bool),
                    _ => Cell::Null,
                })
            }),
            other => Err(Error::semantic(format!(
                "'{}' operator: the expression is of type {} and has to be of type bool",
                self.operator,
                other.name()
            ))),
        }
    }

    /// Binds what depends on no row.
    pub(super) fn constant(&self, expr: &Expr) -> Result<Cell, Error> {
        let bound = Self {
            columns: &[],
            ..*self
        }
        .bind(expr)?;
        bound.known().cloned().ok_or_else(|| {
            Error::semantic(format!(
                "'{}' operator: the expression has to be a constant",
                self.operator
            ))
        })
    }

    fn settled(&self, node: Meaning) -> Result<Bound, Error> {
        Bound::settled(Kind::Bool, node, &self.engine.budget)
    }

    fn logic(&self, parts: &[Expr]) -> Result<Vec<Bound>, Error> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn named(&self, name: &str) -> Result<Bound, Error> {
        let found = self.columns.iter().position(|column| column.name == name);
        if let Some(at) = found {
            return Ok(Bound::column(self.columns[at].kind, at));
        }
        match self.engine.variable(name) {
            Some(Variable::Scalar(kind, cell)) => Ok(Bound::constant(*kind, cell.clone())),
            _ => Err(Error::column(self.operator, name)),
        }
    }

    fn call(&self, name: &str, arguments: &[Expr]) -> Result<Bound, Error> {
        if let (
            "toscalar",
            [
                Expr {
                    node: Node::Sub(inner),
                    ..
                },
            ],
        ) = (name, arguments)
        {
            // The first column of the first row ("toscalar()").
            let table = self.engine.run(inner)?;
            let column = table
                .columns
                .first()
                .ok_or_else(|| Error::arguments(name, 0))?;
            let first = table.rows.first().and_then(|row| row.first().cloned());
            return Ok(Bound::constant(
                column.kind,
                first.unwrap_or_else(|| column.kind.null()),
            ));
        }
        let bound = arguments.iter().map(|one| self.bind(one));
        functions::call(name, bound.collect::<Result<_, _>>()?, self.engine.now)
    }

    /// Both ends are inside; the second may be a distance from the first ("between operator").
    fn between(&self, item: &Expr, low: &Expr, high: &Expr, negated: bool) -> Result<Bound, Error> {
        let (first, low, mut high) = (self.bind(item)?, self.bind(low)?, self.bind(high)?);
        if first.kind == Kind::DateTime && high.kind == Kind::TimeSpan {
            let again = match low.known() {
                Some(cell) => Bound::constant(low.kind, cell.clone()),
                None => return Err(Error::semantic("between: the start has to be a constant")),
            };
            high = binary("+", again, high)?;
        }
        let second = self.bind(item)?;
        let low = binary(if negated { "<" } else { ">=" }, first, low)?;
        let high = binary(if negated { ">" } else { "<=" }, second, high)?;
        let parts = vec![low, high];
        self.settled(if negated {
            Meaning::Any(parts)
        } else {
            Meaning::All(parts)
        })
    }

    fn member(
        &self,
        item: &Expr,
        list: &[Expr],
        negated: bool,
        fold: bool,
    ) -> Result<Bound, Error> {
        let item = self.bind(item)?;
        if fold && !item.kind.is_text() && item.kind != Kind::Dynamic {
            return Err(Error::incomparable(item.kind, Kind::String));
        }
        let (mut set, mut others) = (HashSet::new(), Vec::new());
        for one in self.listed(list)? {
            let one = if fold {
                one
            } else {
                compare::as_literal_of(one, &item)?
            };
            let loose = Loose::of(item.kind, one.kind)
                .filter(|_| one.kind != Kind::Dynamic || item.kind != Kind::Dynamic);
            let backwards = item.kind.is_number() && one.kind.is_text();
            if loose.is_none() || backwards {
                return Err(Error::incomparable(item.kind, one.kind));
            }
            // A number is compared with texts as it is written.
            let as_text = item.kind.is_text() && !one.kind.is_text();
            match one.known() {
                Some(Cell::Null) => {}
                Some(cell) => {
                    set.insert(if fold || item.kind == Kind::Guid {
                        lower(cell).key()
                    } else if as_text {
                        Key::Text(cell.to_text())
                    } else {
                        cell.key()
                    });
                }
                None => others.push(one),
            }
        }
        self.settled(Meaning::In {
            item: Box::new(item),
            set,
            others,
            negated,
            fold,
        })
    }

    /// Returns the values of a list: those of a table's first column and of dynamic arrays among them ("in operator").
    fn listed(&self, list: &[Expr]) -> Result<Vec<Bound>, Error> {
        if let [only] = list
            && let Some(inner) = self.tabular(only)
        {
            let table = self.engine.run(&inner)?;
            let column = table.columns.first();
            let kind = column.map_or(Kind::Dynamic, |column| column.kind);
            let values = table
                .rows
                .into_iter()
                .filter_map(|row| row.into_iter().next());
            return Ok(values.map(|cell| Bound::constant(kind, cell)).collect());
        }
        let mut found = Vec::new();
        for one in list {
            let bound = self.bind(one)?;
            match bound.known() {
                Some(Cell::Json(json)) if json.is_array() => {
                    let items = json.as_array().into_iter().flatten();
                    found.extend(items.map(element));
                }
                _ => found.push(bound),
            }
        }
        Ok(found)
    }

    fn tabular(&self, expr: &Expr) -> Option<Pipeline> {
        match &expr.node {
            Node::Sub(inner) => Some((**inner).clone()),
            Node::Name(name) => {
                let known = self.columns.iter().any(|column| column.name == *name);
                let table = matches!(self.engine.variable(name), Some(Variable::Table(_)));
                (table && !known).then(|| Pipeline {
                    source: Source::Name(name.clone()),
                    stages: Vec::new(),
                    height: 1,
                })
            }
            _ => None,
        }
    }
}

/// An element of a dynamic array as a value of its own type.
fn element(json: &Json) -> Bound {
    let kind = match json {
        Json::Bool(_) => Kind::Bool,
        Json::Number(number) if number.is_i64() => Kind::Long,
        Json::Number(_) => Kind::Real,
        Json::String(_) => Kind::String,
        _ => Kind::Dynamic,
    };
    Bound::constant(kind, Cell::read(kind, json))
}

fn binary(operator: &'static str, left: Bound, right: Bound) -> Result<Bound, Error> {
    match operator {
        "+" | "-" | "*" | "/" | "%" => arithmetic::bound(operator, left, right),
        "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" => compare::bound(operator, left, right),
        _ => text::bound(operator, left, right),
    }
}

/// A member of a bag by its name, or an item of an array by its place, from the end if negative ("Dynamic property
/// accessors"). What is not there is null.
fn index(base: Bound, at: Bound) -> Result<Bound, Error> {
    if base.kind != Kind::Dynamic {
        return Err(Error::semantic(format!(
            "a value of type {} has no members; only a dynamic does",
            base.kind.name()
        )));
    }
    Bound::apply(Kind::Dynamic, vec![base, at], |values| {
        let Cell::Json(json) = &values[0] else {
            return Ok(Cell::Null);
        };
        let found = match (&**json, &values[1]) {
            (Json::Array(items), Cell::Number(at)) => {
                let back = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
                let at = if *at < 0 {
                    items.len().checked_sub(back)
                } else {
                    Some(back)
                };
                at.and_then(|at| items.get(at))
            }
            (Json::Object(members), name) => members.get(&*name.to_text()),
            _ => None,
        };
        Ok(found.map_or(Cell::Null, |found| Cell::json(found.clone())))
    })
}
