//! Joins ("join operator"). The rows of a key are found by looking them up, so the work is that of reading both sides
//! and writing the result.

use std::collections::{HashMap, HashSet};

use super::engine::Engine;
use super::error::Error;
use super::operators;
use super::syntax::{Join, JoinKind};
use super::value::{Cell, Column, Key, Table};

pub(super) fn run(engine: &Engine<'_>, join: &Join, mut left: Table) -> Result<Table, Error> {
    let mut right = engine.run(&join.right)?;
    let (a, b) = keys(join, &left, &right)?;
    match join.kind {
        JoinKind::LeftAnti | JoinKind::LeftSemi => {
            let there = all_keys(&right, &b);
            let wanted = join.kind == JoinKind::LeftSemi;
            left.rows
                .retain(|row| there.contains(&key(row, &a)) == wanted);
            Ok(left)
        }
        JoinKind::RightAnti | JoinKind::RightSemi => {
            let there = all_keys(&left, &a);
            let wanted = join.kind == JoinKind::RightSemi;
            right
                .rows
                .retain(|row| there.contains(&key(row, &b)) == wanted);
            Ok(right)
        }
        JoinKind::InnerUnique => {
            // Of several left rows with one key one is matched: the lab takes the first, the service any.
            let mut seen = HashSet::new();
            left.rows.retain(|row| seen.insert(key(row, &a)));
            matched(engine, join.kind, (&left, &a), (&right, &b))
        }
        kind => matched(engine, kind, (&left, &a), (&right, &b)),
    }
}

/// Returns the places of the columns that have to be equal.
fn keys(join: &Join, left: &Table, right: &Table) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let place = |table: &Table, name: &str| {
        let found = table.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| Error::column("join", name))
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (one, other) in &join.on {
        let (one, other) = (place(left, one)?, place(right, other)?);
        let (first, second) = (&left.columns[one], &right.columns[other]);
        operators::no_dynamic("join", first)?;
        operators::no_dynamic("join", second)?;
        let fits = first.kind == second.kind
            || (first.kind.is_number() && second.kind.is_number())
            || (first.kind.is_text() && second.kind.is_text());
        if !fits {
            return Err(Error::incomparable(first.kind, second.kind));
        }
        a.push(one);
        b.push(other);
    }
    Ok((a, b))
}

fn key(row: &[Cell], places: &[usize]) -> Vec<Key> {
    places.iter().map(|at| row[*at].key()).collect()
}

fn all_keys(table: &Table, places: &[usize]) -> HashSet<Vec<Key>> {
    table.rows.iter().map(|row| key(row, places)).collect()
}

/// All columns of both sides: one of the right whose name the left has gets a number behind it.
fn matched(
    engine: &Engine<'_>,
    kind: JoinKind,
    (left, a): (&Table, &[usize]),
    (right, b): (&Table, &[usize]),
) -> Result<Table, Error> {
    operators::few(left.columns.len() + right.columns.len())?;
    let mut columns = left.columns.clone();
    for column in &right.columns {
        let name = operators::free(&columns, column.name.clone());
        columns.push(Column::new(name, column.kind));
    }
    let mut places: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
    for (at, row) in right.rows.iter().enumerate() {
        places.entry(key(row, b)).or_default().push(at);
    }
    let nothing = |table: &Table| -> Vec<Cell> {
        let each = table.columns.iter().map(|column| column.kind.null());
        each.collect()
    };
    let outer_left = matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter);
    let outer_right = matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter);
    let mut used = vec![false; right.rows.len()];
    let mut rows = Vec::new();
    let mut push = |left: &[Cell], right: &[Cell]| {
        engine.budget.spend(1 + columns.len() / 8)?;
        engine.budget.fits(rows.len(), columns.len())?;
        rows.push(left.iter().chain(right).cloned().collect::<Vec<_>>());
        Ok::<(), Error>(())
    };
    for row in &left.rows {
        let found = places.get(&key(row, a));
        for at in found.into_iter().flatten() {
            used[*at] = true;
            push(row, &right.rows[*at])?;
        }
        if found.is_none() && outer_left {
            push(row, &nothing(right))?;
        }
    }
    if outer_right {
        for (row, _) in right.rows.iter().zip(&used).filter(|(_, used)| !**used) {
            push(&nothing(left), row)?;
        }
    }
    Ok(Table { columns, rows })
}
