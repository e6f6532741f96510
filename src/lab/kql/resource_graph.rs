//! What Resource Graph does not take of the language ("Understand the Azure Resource Graph query language"): it has no
//! statements before the query, fewer operators and kinds of join, and at most three joins and unions in all.

use super::error::Error;
use super::syntax::{JoinKind, Pipeline, Query, Source, Stage, Union};

/// The most joins and unions of a query.
const MOST: usize = 3;

impl Query {
    /// Refuses what Resource Graph does not take.
    pub(in crate::lab) fn check_for_resource_graph(&self) -> Result<(), Error> {
        if !self.lets.is_empty() {
            return Err(refused("let"));
        }
        let mut met = 0;
        check(&self.body, &mut met)?;
        if met > MOST {
            return Err(Error::semantic(format!(
                "Resource Graph takes no more than {MOST} joins and unions in a query"
            )));
        }
        Ok(())
    }
}

fn check(pipeline: &Pipeline, met: &mut usize) -> Result<(), Error> {
    match &pipeline.source {
        Source::Datatable(..) => return Err(refused("datatable")),
        Source::Name(_) => {}
        Source::Print(_) => return Err(refused("print")),
        Source::Range(..) => return Err(refused("range")),
        Source::Sub(inner) => check(inner, met)?,
        Source::Union(union) => legs(union, met)?,
    }
    for stage in &pipeline.stages {
        match stage {
            Stage::Join(join) => {
                *met += 1;
                let known = matches!(
                    join.kind,
                    JoinKind::FullOuter
                        | JoinKind::Inner
                        | JoinKind::InnerUnique
                        | JoinKind::LeftOuter
                );
                if !known {
                    return Err(refused("join of this kind"));
                }
                check(&join.right, met)?;
            }
            Stage::ProjectKeep(_) => return Err(refused("project-keep")),
            Stage::Rename(_) => return Err(refused("project-rename")),
            Stage::Union(union) => legs(union, met)?,
            _ => {}
        }
    }
    Ok(())
}

fn legs(union: &Union, met: &mut usize) -> Result<(), Error> {
    *met += 1;
    union.legs.iter().try_for_each(|leg| check(leg, met))
}

fn refused(what: &str) -> Error {
    Error::semantic(format!("Resource Graph does not take '{what}'"))
}
