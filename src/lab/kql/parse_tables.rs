//! Reads the operators that bring tables together or pull rows apart ("join operator", "union operator",
//! "mv-expand operator").

use super::error::Error;
use super::parse::Parser;
use super::syntax::{Expand, Expr, Join, JoinKind, Node, Pipeline, Source, Union};
use super::token::What;
use super::value::{Cell, Kind};

impl Parser<'_> {
    pub(super) fn join(&mut self) -> Result<Join, Error> {
        let kind = match self.parameter("kind")?.as_deref() {
            Some("fullouter") => JoinKind::FullOuter,
            Some("inner") => JoinKind::Inner,
            None | Some("innerunique") => JoinKind::InnerUnique,
            Some("anti" | "leftanti" | "leftantisemi") => JoinKind::LeftAnti,
            Some("leftouter") => JoinKind::LeftOuter,
            Some("leftsemi") => JoinKind::LeftSemi,
            Some("rightanti" | "rightantisemi") => JoinKind::RightAnti,
            Some("rightouter") => JoinKind::RightOuter,
            Some("rightsemi") => JoinKind::RightSemi,
            Some(other) => {
                return Err(Error::semantic(format!(
                    "'join' operator: there is no kind '{other}'"
                )));
            }
        };
        let right = self.operand()?;
        self.expect_word("on")?;
        let mut on = Vec::new();
        loop {
            let expr = self.expr()?;
            pairs(&expr, &mut on)?;
            if !self.skip(",") {
                break;
            }
        }
        Ok(Join {
            kind,
            right: Box::new(right),
            on,
        })
    }

    /// Reads a table's name, or a tabular expression in parentheses.
    fn operand(&mut self) -> Result<Pipeline, Error> {
        if self.skip("(") {
            let inner = self.pipeline()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if self.skip("(") {
            self.expect(")")?;
        }
        if self.skip("*") {
            return Err(Error::semantic(
                "tables by the start of their name are not modelled by the lab",
            ));
        }
        Ok(Pipeline {
            source: Source::Name(name),
            stages: Vec::new(),
            height: 1,
        })
    }

    pub(super) fn union(&mut self) -> Result<Union, Error> {
        let mut union = Union::default();
        loop {
            if let Some(kind) = self.parameter("kind")? {
                match kind.as_str() {
                    "inner" => union.inner = true,
                    "outer" => {}
                    _ => {
                        return Err(Error::semantic(format!(
                            "'union' operator: there is no kind '{kind}'"
                        )));
                    }
                }
            } else if let Some(name) = self.parameter("withsource")? {
                union.origin = Some(name);
            } else if let Some(fuzzy) = self.parameter("isfuzzy")? {
                union.fuzzy = fuzzy == "true";
            } else {
                break;
            }
        }
        loop {
            if *self.peek() == What::Mark("*") {
                return Err(Error::semantic(
                    "'union' operator: all tables at once are not modelled by the lab",
                ));
            }
            let leg = self.operand()?;
            union.legs.push(leg);
            if !self.skip(",") {
                return Ok(union);
            }
        }
    }

    /// The old name of the operator has a limit of its own.
    pub(super) fn expand(&mut self, old: bool) -> Result<Expand, Error> {
        let mut expand = Expand {
            pairs: false,
            index: None,
            columns: Vec::new(),
            limit: None,
        };
        loop {
            let bags = self.parameter("kind")?;
            if let Some(kind) =
                bags.map_or_else(|| self.parameter("bagexpansion"), |k| Ok(Some(k)))?
            {
                match kind.as_str() {
                    "array" => expand.pairs = true,
                    "bag" => {}
                    _ => {
                        return Err(Error::semantic(format!(
                            "'mv-expand' operator: there is no kind '{kind}'"
                        )));
                    }
                }
            } else if let Some(name) = self.parameter("with_itemindex")? {
                expand.index = Some(name);
            } else {
                break;
            }
        }
        loop {
            let named = self.named()?;
            let mut kind = None;
            if self.skip_word("to") {
                self.expect_word("typeof")?;
                self.expect("(")?;
                kind = Some(self.kind()?);
                self.expect(")")?;
            }
            expand.columns.push((named, kind));
            if !self.skip(",") {
                break;
            }
        }
        if self.skip_word("limit") {
            expand.limit = Some(self.expr()?);
        } else if old {
            expand.limit = Some(self.make(Node::Literal(Kind::Long, Cell::Number(128)))?);
        }
        Ok(expand)
    }
}

/// Returns what a condition of a join says is equal: a column of both, or `$left.a == $right.b`, also
/// several of them with `and`.
fn pairs(expr: &Expr, on: &mut Vec<(String, String)>) -> Result<(), Error> {
    let side = |expr: &Expr| match &expr.node {
        Node::Member(base, name) => match &base.node {
            Node::Name(side) => Some((side.clone(), name.clone())),
            _ => None,
        },
        _ => None,
    };
    match &expr.node {
        Node::Name(name) => on.push((name.clone(), name.clone())),
        Node::All(all) => {
            for one in all {
                pairs(one, on)?;
            }
        }
        Node::Binary("==", pair) => match (side(&pair[0]), side(&pair[1])) {
            (Some((a, left)), Some((b, right))) if a == "$left" && b == "$right" => {
                on.push((left, right));
            }
            _ => return Err(unequal()),
        },
        _ => return Err(unequal()),
    }
    Ok(())
}

fn unequal() -> Error {
    Error::semantic(
        "'join' operator: only equality of columns is allowed: a column of both sides, or $left.a == $right.b",
    )
}
