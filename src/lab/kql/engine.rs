//! Runs a query: variables first, then rows from operator to operator ("Query statements").

use std::cell::Cell as Counter;
use std::collections::HashMap;
use std::rc::Rc;

use super::bind::Binder;
use super::error::Error;
use super::operators;
use super::syntax::{Expr, Let, Named, Node, Pipeline, Query, Source, Stage};
use super::value::{Cell, Column, Kind, Table};
use super::{expand, join, summarize, union};

/// The most rows that a result or a step has; the service's own limit for results ("Query limits").
pub(super) const MOST_ROWS: usize = 500_000;
/// The most values that a step has.
const MOST_CELLS: usize = 8_000_000;
/// How many steps, and eights of bytes made, a query may take.
const MOST_WORK: usize = 20_000_000;

/// What it takes to make a stored table.
const STORED: usize = 10_000;

/// What a query may still take: it ends, however it is written.
pub(super) struct Budget(Counter<usize>);

impl Budget {
    pub(super) fn spend(&self, work: usize) -> Result<(), Error> {
        let left = self.0.get().checked_sub(work);
        self.0
            .set(left.ok_or(Error::TooLarge("so much to compute"))?);
        Ok(())
    }

    /// Refuses a step that leaves too much.
    pub(super) fn fits(&self, rows: usize, columns: usize) -> Result<(), Error> {
        if rows > MOST_ROWS || rows.saturating_mul(columns) > MOST_CELLS {
            return Err(Error::TooLarge("so many rows"));
        }
        Ok(())
    }
}

/// What a name of a `let` statement stands for.
pub(super) enum Variable {
    Scalar(Kind, Cell),
    Table(Rc<Table>),
}

/// Where tables come from.
pub(in crate::lab) type Tables<'a> = &'a dyn Fn(&str) -> Option<Table>;

/// A query that is being run.
pub(super) struct Engine<'a> {
    pub(super) budget: Budget,
    /// When it is asked, in ticks.
    pub(super) now: i64,
    tables: Tables<'a>,
    variables: HashMap<String, Variable>,
}

impl Query {
    /// Answers the query at a moment.
    pub(in crate::lab) fn run(
        &self,
        tables: Tables<'_>,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<Table, Error> {
        let mut engine = Engine {
            budget: Budget(Counter::new(MOST_WORK)),
            now: super::time::ticks(now),
            tables,
            variables: HashMap::new(),
        };
        for (name, bound) in &self.lets {
            let variable = engine.variable_of(bound)?;
            if engine.variables.insert(name.clone(), variable).is_some() {
                return Err(Error::semantic(format!(
                    "the variable '{name}' is declared twice"
                )));
            }
        }
        engine.run(&self.body)
    }
}

impl Engine<'_> {
    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    fn variable_of(&self, bound: &Let) -> Result<Variable, Error> {
        let expr = match bound {
            Let::Tabular(pipeline) => return Ok(Variable::Table(Rc::new(self.run(pipeline)?))),
            Let::Scalar(expr) => expr,
        };
        if let Node::Name(name) = &expr.node {
            match self.variable(name) {
                Some(Variable::Scalar(kind, cell)) => {
                    return Ok(Variable::Scalar(*kind, cell.clone()));
                }
                _ => return Ok(Variable::Table(Rc::new(self.table("let", name)?))),
            }
        }
        let binder = Binder {
            engine: self,
            columns: &[],
            operator: "let",
        };
        let bound = binder.bind(expr)?;
        let cell = bound
            .known()
            .ok_or_else(|| Error::semantic("a variable has to be a constant"))?;
        Ok(Variable::Scalar(bound.kind, cell.clone()))
    }

    /// Runs a tabular expression.
    pub(super) fn run(&self, pipeline: &Pipeline) -> Result<Table, Error> {
        let first = match pipeline.stages.first() {
            None => "query",
            Some(stage) => operators::name(stage),
        };
        let mut table = self.source(&pipeline.source, first)?;
        for stage in &pipeline.stages {
            let size = table.rows.len().saturating_mul(1 + table.columns.len() / 8);
            self.budget.spend(1 + table.columns.len() + size)?;
            table = self.stage(stage, table)?;
            self.budget.fits(table.rows.len(), table.columns.len())?;
        }
        Ok(table)
    }

    fn stage(&self, stage: &Stage, table: Table) -> Result<Table, Error> {
        match stage {
            Stage::Expand(what) => expand::run(self, what, table),
            Stage::Join(what) => join::run(self, what, table),
            Stage::Summarize(what, by) => summarize::run(self, what, by, table),
            Stage::Union(what) => union::run(self, what, Some(table)),
            other => operators::run(self, other, table),
        }
    }

    fn source(&self, source: &Source, operator: &str) -> Result<Table, Error> {
        match source {
            Source::Datatable(columns, cells) => self.datatable(columns, cells),
            Source::Name(name) => self.table(operator, name),
            Source::Print(columns) => self.print(columns),
            Source::Range(name, bounds) => self.range(name, bounds),
            Source::Sub(inner) => self.run(inner),
            Source::Union(what) => union::run(self, what, None),
        }
    }

    /// Returns the table of a name: a variable hides what is stored ("Let statement").
    pub(super) fn table(&self, operator: &str, name: &str) -> Result<Table, Error> {
        let table = match self.variable(name) {
            Some(Variable::Table(table)) => {
                let size = table.rows.len() * (1 + table.columns.len() / 4);
                self.budget.spend(size)?;
                Some((**table).clone())
            }
            Some(Variable::Scalar(..)) => None,
            None => {
                // It is made anew each time, however little is left of it afterwards.
                self.budget.spend(STORED)?;
                (self.tables)(name)
            }
        };
        let table = table.ok_or_else(|| Error::table(operator, name))?;
        self.budget.fits(table.rows.len(), table.columns.len())?;
        Ok(table)
    }

    fn binder(&self, operator: &'static str) -> Binder<'_> {
        Binder {
            engine: self,
            columns: &[],
            operator,
        }
    }

    fn datatable(&self, columns: &[Column], cells: &[Expr]) -> Result<Table, Error> {
        if !cells.len().is_multiple_of(columns.len()) {
            return Err(Error::semantic(
                "'datatable' operator: the number of values is no multiple of the number of columns",
            ));
        }
        let binder = self.binder("datatable");
        let mut rows = Vec::new();
        for row in cells.chunks_exact(columns.len()) {
            let mut whole = Vec::new();
            for (column, expr) in columns.iter().zip(row) {
                let bound = binder.bind(expr)?;
                let cell = binder.constant(expr)?;
                whole.push(match (column.kind, bound.kind, cell) {
                    (_, _, Cell::Null) => column.kind.null(),
                    (wanted, kind, cell) if wanted == kind => cell,
                    (Kind::Int | Kind::Long, Kind::Int | Kind::Long, cell) => cell,
                    (Kind::Real, _, Cell::Number(number)) => Cell::Real(number as f64),
                    (Kind::Guid, Kind::String, cell) => {
                        Cell::text(&cell.to_text().to_lowercase())
                    }
                    (Kind::Dynamic, _, cell) => Cell::json(cell.as_json()),
                    (wanted, kind, _) => {
                        return Err(Error::semantic(format!(
                            "'datatable' operator: the column '{}' is of type {}, and the value of type {}",
                            column.name,
                            wanted.name(),
                            kind.name()
                        )));
                    }
                });
            }
            rows.push(whole);
        }
        let mut distinct = Vec::new();
        for column in columns {
            operators::add(&mut distinct, "datatable", column.clone())?;
        }
        Ok(Table {
            columns: distinct,
            rows,
        })
    }

    /// One row of constants ("print operator"): without a name they are `print_0` and so on.
    fn print(&self, named: &[Named]) -> Result<Table, Error> {
        let binder = self.binder("print");
        let (mut columns, mut row) = (Vec::new(), Vec::new());
        for (number, one) in named.iter().enumerate() {
            let bound = binder.bind(&one.expr)?;
            let name = one
                .name
                .clone()
                .unwrap_or_else(|| format!("print_{number}"));
            operators::add(&mut columns, "print", Column::new(name, bound.kind))?;
            row.push(binder.constant(&one.expr)?);
        }
        let rows = vec![row];
        Ok(Table { columns, rows })
    }

    /// Values at equal steps, with both ends ("range operator").
    fn range(&self, name: &str, bounds: &[Expr; 3]) -> Result<Table, Error> {
        let binder = self.binder("range");
        let first = binder.bind(&bounds[0])?.kind;
        let mut cells = Vec::new();
        for bound in bounds {
            cells.push(binder.constant(bound)?);
        }
        let make: fn(i64) -> Cell = match first {
            Kind::DateTime => Cell::Time,
            Kind::Int | Kind::Long => Cell::Number,
            Kind::TimeSpan => Cell::Span,
            _ => return Err(Error::semantic("'range' operator: there is no such range")),
        };
        let (from, to, step) = match (&cells[0], &cells[1], &cells[2]) {
            (Cell::Number(from), Cell::Number(to), Cell::Number(step))
            | (Cell::Time(from), Cell::Time(to), Cell::Span(step))
            | (Cell::Span(from), Cell::Span(to), Cell::Span(step)) => (*from, *to, *step),
            _ => return Err(Error::semantic("'range' operator: there is no such range")),
        };
        if step == 0 {
            return Err(Error::semantic("'range' operator: the step is nothing"));
        }
        let mut rows = Vec::new();
        let mut at = Some(from);
        while let Some(now) = at.filter(|at| if step > 0 { *at <= to } else { *at >= to }) {
            rows.push(vec![make(now)]);
            self.budget.spend(1)?;
            self.budget.fits(rows.len(), 1)?;
            at = now.checked_add(step);
        }
        Ok(Table {
            columns: vec![Column::new(name, first)],
            rows,
        })
    }
}
