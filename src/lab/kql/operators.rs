//! Operators that take one table and change its rows, its columns or their order.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::bind::{Binder, Bound};
use super::engine::Engine;
use super::error::Error;
use super::syntax::{Expr, Named, Pattern, Sort, Stage};
use super::value::{Cell, Column, Key, Kind, Table};

/// Returns an operator's name, for messages.
pub(super) fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Count => "count",
        Stage::Distinct(_) => "distinct",
        Stage::Expand(_) => "mv-expand",
        Stage::Extend(_) => "extend",
        Stage::Join(_) => "join",
        Stage::Order(_) => "sort by",
        Stage::Project(_) => "project",
        Stage::ProjectAway(_) => "project-away",
        Stage::ProjectKeep(_) => "project-keep",
        Stage::Rename(_) => "project-rename",
        Stage::Summarize(..) => "summarize",
        Stage::Take(_) => "take",
        Stage::Top(..) => "top",
        Stage::Union(_) => "union",
        Stage::Where(_) => "where",
    }
}

pub(super) fn run(engine: &Engine<'_>, stage: &Stage, table: Table) -> Result<Table, Error> {
    let operator = name(stage);
    match stage {
        Stage::Count => Ok(Table {
            columns: vec![Column::new("Count", Kind::Long)],
            rows: vec![vec![Cell::Number(table.rows.len() as i64)]],
        }),
        Stage::Distinct(columns) => distinct(engine, columns.as_deref(), table),
        Stage::Extend(columns) => extend(engine, columns, table),
        Stage::Order(keys) => sorted(engine, operator, keys, table),
        Stage::Project(columns) => project(engine, operator, columns, &table),
        Stage::ProjectAway(patterns) => kept(operator, patterns, &table, false),
        Stage::ProjectKeep(patterns) => kept(operator, patterns, &table, true),
        Stage::Rename(pairs) => renamed(operator, pairs, table),
        Stage::Take(count) => taken(engine, operator, count, table),
        Stage::Top(count, key) => {
            let table = sorted(engine, operator, std::slice::from_ref(key), table)?;
            taken(engine, operator, count, table)
        }
        Stage::Where(expr) => filtered(engine, expr, table),
        // These have rooms of their own.
        Stage::Expand(_) | Stage::Join(_) | Stage::Summarize(..) | Stage::Union(_) => Ok(table),
    }
}

/// The most columns that a step has: names are looked for one by one.
const MOST_COLUMNS: usize = 1_000;

/// Refuses a step of too many columns.
pub(super) fn few(columns: usize) -> Result<(), Error> {
    if columns > MOST_COLUMNS {
        return Err(Error::TooLarge("so many columns"));
    }
    Ok(())
}

/// Adds a column, whose name has to be new.
pub(super) fn add(columns: &mut Vec<Column>, operator: &str, column: Column) -> Result<(), Error> {
    few(columns.len() + 1)?;
    if columns.iter().any(|known| known.name == column.name) {
        return Err(Error::semantic(format!(
            "'{operator}' operator: the column '{}' is named twice",
            column.name
        )));
    }
    columns.push(column);
    Ok(())
}

/// Only what is true stays: neither false nor null ("where operator").
fn filtered(engine: &Engine<'_>, expr: &Expr, mut table: Table) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator: "where",
    };
    let bound = binder.condition(expr)?;
    let mut kept = Vec::new();
    for row in std::mem::take(&mut table.rows) {
        if bound.value(&row, &engine.budget)?.is_true() {
            kept.push(row);
        }
    }
    table.rows = kept;
    Ok(table)
}

/// Binds expressions to columns: one without a name of its own is `Column1` and so on.
pub(super) fn bound(
    binder: Binder<'_>,
    named: &[Named],
) -> Result<(Vec<Column>, Vec<Bound>), Error> {
    let (mut columns, mut parts) = (Vec::new(), Vec::new());
    let mut nameless = 0;
    for one in named {
        let part = binder.bind(&one.expr)?;
        let name = one.name.clone().or_else(|| one.expr.own_name());
        let given = one.name.is_some();
        let mut name = name.unwrap_or_else(|| {
            nameless += 1;
            format!("Column{nameless}")
        });
        if !given {
            name = free(&columns, name);
        }
        add(&mut columns, binder.operator, Column::new(name, part.kind))?;
        parts.push(part);
    }
    Ok((columns, parts))
}

/// Returns the name, with a number behind it if there is such a column already ("join operator").
pub(super) fn free(columns: &[Column], name: String) -> String {
    let taken = |name: &str| columns.iter().any(|column| column.name == name);
    if !taken(&name) {
        return name;
    }
    let mut number = 1;
    while taken(&format!("{name}{number}")) {
        number += 1;
    }
    format!("{name}{number}")
}

fn project(
    engine: &Engine<'_>,
    operator: &'static str,
    named: &[Named],
    table: &Table,
) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator,
    };
    let (columns, parts) = bound(binder, named)?;
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let values = parts.iter().map(|part| part.value(row, &engine.budget));
        rows.push(values.collect::<Result<_, _>>()?);
    }
    Ok(Table { columns, rows })
}

/// A column whose name is there already is replaced in its place, as the vendor's own parser has it; "extend operator" says
/// that it moves to the end. All are computed of what comes in.
fn extend(engine: &Engine<'_>, named: &[Named], table: Table) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator: "extend",
    };
    let (new, parts) = bound(binder, named)?;
    let mut columns = table.columns.clone();
    let mut places = Vec::new();
    for (one, mut column) in named.iter().zip(new) {
        let known = columns.iter().position(|known| known.name == column.name);
        // Only a name that is written takes the place of another.
        if let Some(at) = known.filter(|_| one.name.is_some()) {
            columns[at].kind = column.kind;
            places.push(at);
            continue;
        }
        few(columns.len() + 1)?;
        column.name = free(&columns, column.name);
        places.push(columns.len());
        columns.push(column);
    }
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in table.rows {
        let values = parts.iter().map(|part| part.value(&row, &engine.budget));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let mut whole = row;
        whole.resize(columns.len(), Cell::Null);
        for (at, value) in places.iter().zip(values) {
            whole[*at] = value;
        }
        rows.push(whole);
    }
    Ok(Table { columns, rows })
}

fn distinct(engine: &Engine<'_>, named: Option<&[Named]>, table: Table) -> Result<Table, Error> {
    let mut table = match named {
        None => table,
        Some(named) => project(engine, "distinct", named, &table)?,
    };
    for column in &table.columns {
        no_dynamic("distinct", column)?;
    }
    let mut seen: HashSet<Vec<Key>> = HashSet::new();
    table
        .rows
        .retain(|row| seen.insert(row.iter().map(Cell::key).collect()));
    Ok(table)
}

/// Rows are neither grouped, matched nor ordered by a dynamic: it has to be converted ("summarize operator").
pub(super) fn no_dynamic(operator: &str, column: &Column) -> Result<(), Error> {
    if column.kind != Kind::Dynamic {
        return Ok(());
    }
    Err(Error::semantic(format!(
        "'{operator}' operator: the key '{}' is of a 'dynamic' type. Please use an explicit cast, for example tostring({})",
        column.name, column.name
    )))
}

fn sorted(
    engine: &Engine<'_>,
    operator: &'static str,
    keys: &[Sort],
    table: Table,
) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator,
    };
    let mut bound = Vec::new();
    for key in keys {
        let part = binder.bind(&key.expr)?;
        let name = key
            .expr
            .own_name()
            .unwrap_or_else(|| "expression".to_owned());
        no_dynamic(operator, &Column::new(name, part.kind))?;
        bound.push(part);
    }
    let mut keyed = Vec::with_capacity(table.rows.len());
    for row in table.rows {
        let values = bound.iter().map(|part| part.value(&row, &engine.budget));
        keyed.push((values.collect::<Result<Vec<_>, _>>()?, row));
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let mut each = a.iter().zip(b).zip(keys);
        each.find_map(|((a, b), key)| Some(place(key, a, b)).filter(|order| order.is_ne()))
            .unwrap_or(Ordering::Equal)
    });
    Ok(Table {
        columns: table.columns,
        rows: keyed.into_iter().map(|(_, row)| row).collect(),
    })
}

fn place(key: &Sort, a: &Cell, b: &Cell) -> Ordering {
    let (one, other) = if key.nulls_first {
        (Ordering::Less, Ordering::Greater)
    } else {
        (Ordering::Greater, Ordering::Less)
    };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => one,
        (false, true) => other,
        (false, false) if key.ascending => total(a, b),
        (false, false) => total(b, a),
    }
}

/// Sorting takes an order of all numbers, also of those that are none.
fn total(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Real(a), Cell::Real(b)) => a.total_cmp(b),
        _ => a.order(b),
    }
}

/// The lab takes the first rows; the service takes any ("take operator").
fn taken(
    engine: &Engine<'_>,
    operator: &'static str,
    count: &Expr,
    mut table: Table,
) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &[],
        operator,
    };
    match binder.constant(count)? {
        Cell::Number(count) if count >= 0 => {
            table
                .rows
                .truncate(usize::try_from(count).unwrap_or(usize::MAX));
            Ok(table)
        }
        _ => Err(Error::semantic(format!(
            "'{operator}' operator: the number of rows has to be a whole number"
        ))),
    }
}

fn kept(operator: &str, patterns: &[Pattern], table: &Table, keep: bool) -> Result<Table, Error> {
    let fits = |pattern: &Pattern, column: &Column| {
        column.name == pattern.name
            || (pattern.starts && column.name.starts_with(pattern.name.as_str()))
    };
    for pattern in patterns {
        let found = table.columns.iter().any(|column| fits(pattern, column));
        if !found && !pattern.starts {
            return Err(Error::column(operator, &pattern.name));
        }
    }
    let stays = |column: &Column| patterns.iter().any(|one| fits(one, column)) == keep;
    let places: Vec<usize> = (0..table.columns.len())
        .filter(|at| stays(&table.columns[*at]))
        .collect();
    Ok(Table {
        columns: places.iter().map(|at| table.columns[*at].clone()).collect(),
        rows: table
            .rows
            .iter()
            .map(|row| places.iter().map(|at| row[*at].clone()).collect())
            .collect(),
    })
}

fn renamed(operator: &str, pairs: &[(String, String)], mut table: Table) -> Result<Table, Error> {
    for (_, old) in pairs {
        if !table.columns.iter().any(|column| column.name == *old) {
            return Err(Error::column(operator, old));
        }
    }
    let mut columns = Vec::new();
    for mut column in std::mem::take(&mut table.columns) {
        if let Some((new, _)) = pairs.iter().find(|(_, old)| *old == column.name) {
            column.name.clone_from(new);
        }
        add(&mut columns, operator, column)?;
    }
    table.columns = columns;
    Ok(table)
}
