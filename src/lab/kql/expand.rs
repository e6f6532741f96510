//! One row for each item of an array or member of a bag ("mv-expand operator").

use serde_json::{Map, Value as Json, json};

use super::bind::{Binder, Bound};
use super::engine::Engine;
use super::error::Error;
use super::operators;
use super::syntax::Expand;
use super::value::{Cell, Column, Kind, Table};

/// A column that is pulled apart: what of, where it goes, and the type that its items are taken as.
struct Part {
    bound: Bound,
    place: usize,
    kind: Kind,
}

pub(super) fn run(engine: &Engine<'_>, expand: &Expand, table: Table) -> Result<Table, Error> {
    let binder = Binder {
        engine,
        columns: &table.columns,
        operator: "mv-expand",
    };
    let mut columns = table.columns.clone();
    let mut parts = Vec::new();
    for (named, kind) in &expand.columns {
        let bound = binder.bind(&named.expr)?;
        if bound.kind != Kind::Dynamic {
            return Err(Error::semantic(format!(
                "'mv-expand' operator: the expression is of type {} and has to be dynamic",
                bound.kind.name()
            )));
        }
        let own = named.name.clone().or_else(|| named.expr.own_name());
        let name = own.unwrap_or_else(|| operators::free(&columns, "Column1".to_owned()));
        let kind = kind.unwrap_or(Kind::Dynamic);
        let known = columns.iter().position(|column| column.name == name);
        let place = known.unwrap_or(columns.len());
        operators::few(columns.len() + 1)?;
        if known.is_none() {
            columns.push(Column::new(name, kind));
        } else {
            columns[place].kind = kind;
        }
        parts.push(Part { bound, place, kind });
    }
    if let Some(name) = &expand.index {
        operators::add(
            &mut columns,
            "mv-expand",
            Column::new(name.clone(), Kind::Long),
        )?;
    }
    let most = match expand.limit.as_ref().map(|limit| binder.constant(limit)) {
        None => usize::MAX,
        Some(limit) => match limit? {
            Cell::Number(most) => usize::try_from(most).unwrap_or(0),
            _ => {
                return Err(Error::semantic(
                    "'mv-expand' operator: the limit is no number",
                ));
            }
        },
    };
    let mut rows = Vec::new();
    for row in &table.rows {
        let mut lists = Vec::new();
        for part in &parts {
            lists.push(items(&part.bound.value(row, &engine.budget)?, expand.pairs));
        }
        let count = lists.iter().map(Vec::len).max().unwrap_or(0).min(most);
        for at in 0..count {
            let mut whole = row.clone();
            whole.resize(columns.len(), Cell::Null);
            for (part, list) in parts.iter().zip(&lists) {
                let item = list.get(at).unwrap_or(&Json::Null);
                whole[part.place] = taken(part.kind, item);
            }
            if expand.index.is_some() {
                whole[columns.len() - 1] = Cell::Number(at as i64);
            }
            let made: usize = parts.iter().map(|part| whole[part.place].weight()).sum();
            engine.budget.spend(1 + columns.len() / 8 + made / 8)?;
            engine.budget.fits(rows.len(), columns.len())?;
            rows.push(whole);
        }
    }
    Ok(Table { columns, rows })
}

/// Items of an array, members of a bag as bags of one or as pairs. What is neither stays as it is, null too; an empty
/// array leaves no row.
fn items(cell: &Cell, pairs: bool) -> Vec<Json> {
    let Cell::Json(json) = cell else {
        return vec![Json::Null];
    };
    match &**json {
        Json::Array(items) => items.clone(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| {
                if pairs {
                    json!([name, value])
                } else {
                    Json::Object(Map::from_iter([(name.clone(), value.clone())]))
                }
            })
            .collect(),
        other => vec![other.clone()],
    }
}

/// `to typeof` only takes items of the type, and converts none; the others are null.
fn taken(kind: Kind, item: &Json) -> Cell {
    match (kind, item) {
        (Kind::String, Json::String(_)) | (Kind::Dynamic, _) => Cell::read(kind, item),
        (Kind::String, _) => kind.null(),
        (kind, item) => Cell::read(kind, item),
    }
}
