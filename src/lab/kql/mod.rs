//! The Kusto language, as far as incident response asks Log Analytics and Resource Graph in it.
//!
//! Anything else is a syntax error or a semantic one, as the service writes them, and never a wrong answer or an empty
//! one. Knows tables, types and operators; knows nothing of tenants, logs or requests. Start reading at `Query::parse`
//! in `parse` and `Query::run` in `engine`: a query is cut into tokens, read into `syntax`, and run from operator to
//! operator, where `bind` gives names and types to each expression before a row is read. Names are case-sensitive.
//!
//! No library does this. The crates `kqlparser` and `datafusion-kql` (0.0.4 of 2024, Apache-2.0) read and plan a part of
//! the language, say themselves that only very simple queries run, and take the whole of `DataFusion` for the rest;
//! neither knows the columns' types, the service's errors or its nulls. `kql-language-tools` binds the vendor's parser,
//! which is .NET and evaluates nothing. The queries of the tests were compared with the vendor's parser
//! by hand.
//!
//! Every query ends: reading is linear and limited in depth, joins and groups are looked up, and a budget of work, rows
//! and bytes refuses what is larger. That refusal says so and is not one of the service's.
//!
//! Tables: `datatable`, `print`, `range`, `union`, names, `let` (scalars, tables, functions of no parameters),
//! `materialize`. Operators: `count distinct extend join limit mv-expand order project project-away project-keep
//! project-rename render sort summarize take top union where`. Expressions: arithmetic, comparisons, `between`, `in`,
//! `has` and its like, dynamic members, and the functions of `functions` and `aggregates`. Not modelled, and refused:
//! regular expressions (`matches regex`, `extract`), functions with parameters, wildcards for tables, `parse`,
//! `evaluate`, `make-series`, `mv-apply`, `lookup`, `search`, `find`, percentiles, `decimal`.

mod aggregates;
mod arithmetic;
mod bind;
mod compare;
mod convert;
mod dates;
mod engine;
mod error;
mod expand;
mod functions;
#[cfg(test)]
mod fuzz;
mod join;
mod operators;
mod parse;
mod parse_expr;
mod parse_tables;
mod resource_graph;
mod summarize;
mod syntax;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_scalar;
#[cfg(test)]
mod tests_tables;
mod text;
mod time;
mod token;
mod union;
mod value;

pub(in crate::lab) use error::Error;
pub(in crate::lab) use syntax::Query;
pub(in crate::lab) use value::{Cell, Column, Kind, Table};
