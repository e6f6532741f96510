//! What a query says, before anybody knows whether it means something.

use super::value::{Cell, Column, Kind};

/// A query: its variables, and the expression that is answered.
#[derive(Debug)]
pub(in crate::lab) struct Query {
    pub(super) lets: Vec<(String, Let)>,
    pub(super) body: Pipeline,
}

/// What a `let` statement binds ("Let statement").
#[derive(Debug)]
pub(super) enum Let {
    /// A scalar, or the name of a table.
    Scalar(Expr),
    /// A tabular expression, or a function of no parameters that is one.
    Tabular(Pipeline),
}

/// A tabular expression ("Tabular expression statements").
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) source: Source,
    pub(super) stages: Vec<Stage>,
    /// How deep its parts nest.
    pub(super) height: usize,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Datatable(Vec<Column>, Vec<Expr>),
    /// A table or a variable.
    Name(String),
    Print(Vec<Named>),
    /// A name, and from, to and step.
    Range(String, Box<[Expr; 3]>),
    Sub(Box<Pipeline>),
    Union(Union),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Union {
    pub(super) inner: bool,
    pub(super) fuzzy: bool,
    /// The column that says where a row is from.
    pub(super) origin: Option<String>,
    pub(super) legs: Vec<Pipeline>,
}

/// A tabular operator.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Count,
    /// None is `*`.
    Distinct(Option<Vec<Named>>),
    Expand(Expand),
    Extend(Vec<Named>),
    Join(Join),
    Order(Vec<Sort>),
    Project(Vec<Named>),
    ProjectAway(Vec<Pattern>),
    ProjectKeep(Vec<Pattern>),
    /// The new name, and the old one.
    Rename(Vec<(String, String)>),
    Summarize(Vec<Named>, Vec<Named>),
    Take(Expr),
    Top(Expr, Sort),
    Union(Union),
    Where(Expr),
}

/// An expression, and the name that it is given.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Option<String>,
    pub(super) expr: Expr,
}

/// A column's name, or the start of several.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) starts: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Sort {
    pub(super) expr: Expr,
    pub(super) ascending: bool,
    pub(super) nulls_first: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) kind: JoinKind,
    pub(super) right: Box<Pipeline>,
    /// Pairs of columns: the left's and the right's.
    pub(super) on: Vec<(String, String)>,
}

/// Which rows a join leaves ("join operator").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum JoinKind {
    FullOuter,
    Inner,
    /// The default: of several left rows with one key, one is matched.
    InnerUnique,
    LeftAnti,
    LeftOuter,
    LeftSemi,
    RightAnti,
    RightOuter,
    RightSemi,
}

#[derive(Clone, Debug)]
pub(super) struct Expand {
    /// Bags become pairs of key and value instead of bags of one member.
    pub(super) pairs: bool,
    pub(super) index: Option<String>,
    pub(super) columns: Vec<(Named, Option<Kind>)>,
    pub(super) limit: Option<Expr>,
}

/// A scalar expression.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) node: Node,
    /// How deep it nests.
    pub(super) height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Between {
        item: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    Binary(&'static str, Box<[Expr; 2]>),
    Call(String, Vec<Expr>),
    In {
        item: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
        fold: bool,
    },
    Index(Box<[Expr; 2]>),
    Literal(Kind, Cell),
    Member(Box<Expr>, String),
    Minus(Box<Expr>),
    Name(String),
    /// A text operator over a list: `has_any`, `has_all`.
    Several(&'static str, Box<Expr>, Vec<Expr>),
    /// `*`, as an argument of an aggregation.
    Star,
    /// A tabular expression as a value or a list of values.
    Sub(Box<Pipeline>),
}

impl Node {
    /// Returns how deep what it holds nests.
    pub(super) fn inner_height(&self) -> usize {
        let most = |list: &[Expr]| list.iter().map(|one| one.height).max().unwrap_or(0);
        match self {
            Self::All(list) | Self::Any(list) | Self::Call(_, list) => most(list),
            Self::Between {
                item, low, high, ..
            } => item.height.max(low.height).max(high.height),
            Self::Binary(_, pair) | Self::Index(pair) => most(&pair[..]),
            Self::In { item, list, .. } | Self::Several(_, item, list) => {
                item.height.max(most(list))
            }
            Self::Literal(..) | Self::Name(_) | Self::Star => 0,
            Self::Member(inner, _) | Self::Minus(inner) => inner.height,
            Self::Sub(pipeline) => pipeline.height,
        }
    }
}

impl Expr {
    /// Returns the name that a column of it has when none is given: a path is joined, and what converts or rounds keeps
    /// the name of what it takes ("project operator", "summarize operator").
    pub(super) fn own_name(&self) -> Option<String> {
        match &self.node {
            Node::Name(name) => Some(name.clone()),
            Node::Member(base, name) => Some(format!("{}_{name}", base.own_name()?)),
            Node::Index(pair) => match &pair[1].node {
                Node::Literal(_, cell) => {
                    Some(format!("{}_{}", pair[0].own_name()?, cell.to_text()))
                }
                _ => None,
            },
            Node::Call(name, arguments) if name == "strlen" => {
                Some(format!("strlen_{}", arguments.first()?.own_name()?))
            }
            Node::Call(name, arguments) if KEEPS_NAME.contains(&name.as_str()) => {
                arguments.first()?.own_name()
            }
            _ => None,
        }
    }
}

/// Functions whose column has the name of their first argument, as the vendor's own parser names them.
pub(super) const KEEPS_NAME: [&str; 18] = [
    "abs",
    "bin",
    "floor",
    "format_datetime",
    "parse_json",
    "round",
    "split",
    "startofday",
    "tobool",
    "toboolean",
    "todatetime",
    "todouble",
    "todynamic",
    "toguid",
    "toint",
    "tolong",
    "toreal",
    "tostring",
];
