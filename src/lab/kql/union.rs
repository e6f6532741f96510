//! Tables under one another ("union operator").

use super::engine::Engine;
use super::error::Error;
use super::operators;
use super::syntax::{Pipeline, Source, Union};
use super::value::{Cell, Column, Kind, Table};

/// The most tables of one union.
const MOST: usize = 100;

pub(super) fn run(
    engine: &Engine<'_>,
    union: &Union,
    first: Option<Table>,
) -> Result<Table, Error> {
    if union.legs.len() > MOST {
        return Err(Error::TooLarge("so many tables in one union"));
    }
    let mut legs: Vec<(String, Table)> = Vec::new();
    legs.extend(first.map(|table| ("union_arg0".to_owned(), table)));
    let mut missing = None;
    for leg in &union.legs {
        let name = match leg {
            Pipeline {
                source: Source::Name(name),
                stages,
                ..
            } if stages.is_empty() => name.clone(),
            _ => format!("union_arg{}", legs.len()),
        };
        match engine.run(leg) {
            Ok(table) => legs.push((name, table)),
            // With `isfuzzy` a table that is not there is left out, if there is another.
            Err(error @ Error::Semantic { .. }) if union.fuzzy && is_name(engine, leg) => {
                missing = Some(error);
            }
            Err(error) => return Err(error),
        }
        let rows = legs.iter().map(|(_, table)| table.rows.len()).sum();
        engine.budget.fits(rows, 1)?;
    }
    if let (true, Some(error)) = (legs.is_empty(), missing) {
        return Err(error);
    }
    let all = columns(union, &legs);
    operators::few(all.len() + 1)?;
    let mut rows = Vec::new();
    for (origin, table) in legs {
        let places: Vec<Option<usize>> = all
            .iter()
            .map(|(name, kind, _)| {
                let mut known = table.columns.iter();
                known.position(|column| column.name == *name && column.kind == *kind)
            })
            .collect();
        engine
            .budget
            .spend(table.rows.len() * (1 + all.len() / 8))?;
        engine
            .budget
            .fits(rows.len() + table.rows.len(), all.len())?;
        for row in table.rows {
            let mut whole = Vec::with_capacity(all.len() + 1);
            whole.extend(union.origin.as_ref().map(|_| Cell::text(&origin)));
            whole.extend(places.iter().zip(&all).map(|(place, (_, kind, _))| {
                place.map_or_else(|| kind.null(), |at| row[at].clone())
            }));
            rows.push(whole);
        }
    }
    let origin = union.origin.iter();
    let origin = origin.map(|name| Column::new(name.clone(), Kind::String));
    let own = all.into_iter();
    let columns = origin.chain(own.map(|(_, kind, shown)| Column::new(shown, kind)));
    Ok(Table {
        columns: columns.collect(),
        rows,
    })
}

fn is_name(engine: &Engine<'_>, leg: &Pipeline) -> bool {
    match &leg.source {
        Source::Name(name) => engine.table("union", name).is_err(),
        _ => false,
    }
}

/// The columns of all tables, or those that all have. Columns of one name and several types are told apart by their
/// type behind the name.
fn columns(union: &Union, legs: &[(String, Table)]) -> Vec<(String, Kind, String)> {
    let mut all: Vec<(String, Kind)> = Vec::new();
    for column in legs.iter().flat_map(|(_, table)| &table.columns) {
        let known = |(name, kind): &(String, Kind)| *name == column.name && *kind == column.kind;
        if !all.iter().any(known) {
            all.push((column.name.clone(), column.kind));
        }
    }
    if union.inner {
        all.retain(|(name, kind)| {
            legs.iter().all(|(_, table)| {
                let mut known = table.columns.iter();
                known.any(|column| column.name == *name && column.kind == *kind)
            })
        });
    }
    let shown = |(name, kind): &(String, Kind)| {
        let several = all.iter().filter(|(other, _)| other == name).count() > 1;
        if several {
            format!("{name}_{}", kind.name())
        } else {
            name.clone()
        }
    };
    all.iter()
        .map(|one| (one.0.clone(), one.1, shown(one)))
        .collect()
}
