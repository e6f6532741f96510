//! Reads queries: statements, and tabular operators between pipes ("Query statements").

use super::error::Error;
use super::syntax::{Let, Named, Pattern, Pipeline, Query, Sort, Source, Stage};
use super::token::{Literal, Token, What, syntax, tokens};
use super::value::Kind;

/// How deep parentheses may nest.
const DEEPEST: usize = 48;
/// How deep the parts of a tabular expression may nest in all.
const TALLEST: usize = 160;

pub(super) struct Parser<'a> {
    query: &'a str,
    tokens: Vec<Token>,
    pub(super) at: usize,
    depth: usize,
    /// The height of the tallest expression of this pipeline so far.
    pub(super) tallest: usize,
}

impl Query {
    /// Reads a query.
    pub(in crate::lab) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser {
            query: text,
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
            tallest: 0,
        };
        let mut lets = Vec::new();
        loop {
            while parser.skip(";") {}
            if !parser.skip_word("let") {
                break;
            }
            lets.push(parser.bound()?);
            if *parser.peek() != What::Mark(";") {
                return Err(parser.unexpected());
            }
        }
        let body = parser.pipeline()?;
        while parser.skip(";") {}
        match parser.peek() {
            What::End => Ok(Self { lets, body }),
            _ => Err(parser.unexpected()),
        }
    }

    /// Returns whether the rows have an order that paging can rely on.
    pub(in crate::lab) fn is_ordered(&self) -> bool {
        let mut stages = self.body.stages.iter();
        stages.any(|stage| matches!(stage, Stage::Order(_) | Stage::Top(..)))
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> &What {
        self.after(0)
    }

    pub(super) fn after(&self, count: usize) -> &What {
        self.tokens
            .get(self.at + count)
            .map_or(&What::End, |token| &token.what)
    }

    pub(super) fn skip(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), What::Mark(found) if *found == mark);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), What::Word(found) if found == word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<(), Error> {
        if self.skip(mark) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), Error> {
        if self.skip_word(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The error that what comes next cannot come here.
    pub(super) fn unexpected(&self) -> Error {
        let end = self.query.len();
        let token = self.tokens.get(self.at);
        let (from, to) = token.map_or((end, end), |token| (token.from, token.to));
        syntax(self.query, from, &self.query[from..to])
    }

    pub(super) fn name(&mut self) -> Result<String, Error> {
        match self.peek().clone() {
            What::Word(word) => {
                self.at += 1;
                Ok(word)
            }
            What::Mark("[") => self.bracketed(),
            _ => Err(self.unexpected()),
        }
    }

    /// Reads one level deeper, if there are not too many.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth >= DEEPEST {
            return Err(Error::TooLarge("parentheses that nest so deep"));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// Returns whether a pipe, or a word that starts a tabular expression, comes before the mark that ends this part.
    pub(super) fn is_tabular_until(&self, end: &str) -> bool {
        let starts = match self.peek() {
            What::Word(word) => {
                matches!(word.as_str(), "datatable" | "print" | "range" | "union")
            }
            _ => false,
        };
        // What stands in parentheses at the very start may be the tabular expression.
        let least = usize::from(*self.peek() == What::Mark("("));
        let mut depth = 0_usize;
        for token in &self.tokens[self.at.min(self.tokens.len())..] {
            match &token.what {
                What::Mark(mark) if depth == 0 && *mark == end => break,
                What::Mark("(" | "[" | "{") => depth += 1,
                What::Mark(")" | "]" | "}") => {
                    let Some(less) = depth.checked_sub(1) else {
                        break;
                    };
                    depth = less;
                }
                What::Mark("|") if depth <= least => return true,
                _ => {}
            }
        }
        starts
    }

    /// Reads `name = ...` of a `let` statement.
    fn bound(&mut self) -> Result<(String, Let), Error> {
        let name = self.name()?;
        self.expect("=")?;
        let lambda = *self.peek() == What::Mark("(")
            && *self.after(1) == What::Mark(")")
            && *self.after(2) == What::Mark("{");
        if lambda {
            self.at += 3;
            let body = self.pipeline()?;
            self.skip(";");
            self.expect("}")?;
            return Ok((name, Let::Tabular(body)));
        }
        let view = matches!(self.peek(), What::Word(word) if word == "view");
        let typed = *self.peek() == What::Mark("(") && *self.after(2) == What::Mark(":");
        if view || typed {
            return Err(Error::semantic(format!(
                "'{name}': functions with parameters and views are not modelled by the lab"
            )));
        }
        let materialized = matches!(self.peek(), What::Word(word) if word == "materialize");
        if materialized || self.is_tabular_until(";") {
            return Ok((name, Let::Tabular(self.pipeline()?)));
        }
        Ok((name, Let::Scalar(self.expr()?)))
    }

    pub(super) fn pipeline(&mut self) -> Result<Pipeline, Error> {
        let outer = std::mem::take(&mut self.tallest);
        let read = self.deeper(|parser| {
            let source = parser.source()?;
            let mut stages = Vec::new();
            while parser.skip("|") {
                stages.extend(parser.stage()?);
            }
            Ok((source, stages))
        });
        let height = self.tallest + 1;
        self.tallest = outer.max(height);
        let (source, stages) = read?;
        if height > TALLEST {
            return Err(Error::TooLarge("parts that nest so deep"));
        }
        Ok(Pipeline {
            source,
            stages,
            height,
        })
    }

    fn source(&mut self) -> Result<Source, Error> {
        if self.skip("(") {
            let inner = self.pipeline()?;
            self.expect(")")?;
            return Ok(Source::Sub(Box::new(inner)));
        }
        let called = *self.after(1) == What::Mark("(");
        match self.peek().clone() {
            What::Word(word) if word == "materialize" && called => {
                self.at += 2;
                let inner = self.pipeline()?;
                self.expect(")")?;
                Ok(Source::Sub(Box::new(inner)))
            }
            What::Word(word) if word == "datatable" => self.datatable(),
            What::Word(word) if word == "union" => {
                self.at += 1;
                Ok(Source::Union(self.union()?))
            }
            What::Word(word) if word == "print" => {
                self.at += 1;
                Ok(Source::Print(self.columns()?))
            }
            What::Word(word) if word == "range" && matches!(self.after(1), What::Word(_)) => {
                self.range()
            }
            What::Word(word) if called => {
                self.at += 2;
                if self.skip(")") {
                    return Ok(Source::Name(word));
                }
                Err(Error::function(&word))
            }
            _ => Ok(Source::Name(self.name()?)),
        }
    }

    /// Reads rows that are written down ("datatable operator").
    fn datatable(&mut self) -> Result<Source, Error> {
        self.at += 1;
        self.expect("(")?;
        let mut columns = Vec::new();
        loop {
            let name = self.name()?;
            self.expect(":")?;
            let kind = self.kind()?;
            columns.push(super::value::Column::new(name, kind));
            if self.skip(")") {
                break;
            }
            self.expect(",")?;
        }
        self.expect("[")?;
        let mut cells = Vec::new();
        while !self.skip("]") {
            cells.push(self.expr()?);
            if !self.skip(",") && *self.peek() != What::Mark("]") {
                return Err(self.unexpected());
            }
        }
        Ok(Source::Datatable(columns, cells))
    }

    pub(super) fn kind(&mut self) -> Result<Kind, Error> {
        let name = self.name()?;
        Kind::read(&name)
            .ok_or_else(|| Error::semantic(format!("the type '{name}' is not modelled by the lab")))
    }

    /// Reads `name from a to b step c` ("range operator").
    fn range(&mut self) -> Result<Source, Error> {
        self.at += 1;
        let name = self.name()?;
        self.expect_word("from")?;
        let from = self.expr()?;
        self.expect_word("to")?;
        let to = self.expr()?;
        self.expect_word("step")?;
        let step = self.expr()?;
        Ok(Source::Range(name, Box::new([from, to, step])))
    }

    /// Reads an operator; `render` only says how to draw the rows ("render operator").
    fn stage(&mut self) -> Result<Option<Stage>, Error> {
        let What::Word(word) = self.peek().clone() else {
            return Err(self.unexpected());
        };
        let start = self.at;
        self.at += 1;
        Ok(Some(match word.as_str() {
            "count" => Stage::Count,
            "distinct" if self.skip("*") => Stage::Distinct(None),
            "distinct" => Stage::Distinct(Some(self.columns()?)),
            "extend" => Stage::Extend(self.columns()?),
            "filter" | "where" => Stage::Where(self.expr()?),
            "join" => Stage::Join(self.join()?),
            "limit" | "take" => Stage::Take(self.expr()?),
            "mv-expand" | "mvexpand" => Stage::Expand(self.expand(word == "mvexpand")?),
            "order" | "sort" => {
                self.expect_word("by")?;
                Stage::Order(self.keys()?)
            }
            "project" => Stage::Project(self.columns()?),
            "project-away" => Stage::ProjectAway(self.patterns()?),
            "project-keep" => Stage::ProjectKeep(self.patterns()?),
            "project-rename" => Stage::Rename(self.renamed()?),
            "render" => return self.render().map(|()| None),
            "summarize" => self.summarize()?,
            "top" => {
                let count = self.expr()?;
                self.expect_word("by")?;
                Stage::Top(count, self.key()?)
            }
            "union" => Stage::Union(self.union()?),
            other if OTHERS.contains(&other) => {
                return Err(Error::semantic(format!(
                    "the operator '{other}' is not modelled by the lab"
                )));
            }
            _ => {
                self.at = start;
                return Err(self.unexpected());
            }
        }))
    }

    fn render(&mut self) -> Result<(), Error> {
        self.name()?;
        match self.peek() {
            What::End | What::Mark(";") => Ok(()),
            _ => Err(Error::semantic(
                "how to draw a result is not modelled by the lab",
            )),
        }
    }

    /// Reads expressions with or without names.
    pub(super) fn columns(&mut self) -> Result<Vec<Named>, Error> {
        let mut columns = Vec::new();
        loop {
            columns.push(self.named()?);
            if !self.skip(",") {
                return Ok(columns);
            }
        }
    }

    pub(super) fn named(&mut self) -> Result<Named, Error> {
        let plain = matches!(self.peek(), What::Word(_)) && *self.after(1) == What::Mark("=");
        let quoted = *self.peek() == What::Mark("[") && *self.after(3) == What::Mark("=");
        let name = if plain || quoted {
            let name = self.name()?;
            self.expect("=")?;
            Some(name)
        } else {
            None
        };
        let expr = self.expr()?;
        Ok(Named { name, expr })
    }

    /// Reads names of columns, each perhaps only a start (`Risk*`).
    fn patterns(&mut self) -> Result<Vec<Pattern>, Error> {
        let mut patterns = Vec::new();
        loop {
            let name = self.name()?;
            let starts = self.skip("*");
            patterns.push(Pattern { name, starts });
            if !self.skip(",") {
                return Ok(patterns);
            }
        }
    }

    fn renamed(&mut self) -> Result<Vec<(String, String)>, Error> {
        let mut pairs = Vec::new();
        loop {
            let new = self.name()?;
            self.expect("=")?;
            pairs.push((new, self.name()?));
            if !self.skip(",") {
                return Ok(pairs);
            }
        }
    }

    fn summarize(&mut self) -> Result<Stage, Error> {
        let grouped = matches!(self.peek(), What::Word(word) if word == "by");
        let what = if grouped { Vec::new() } else { self.columns()? };
        let by = if self.skip_word("by") {
            self.columns()?
        } else {
            Vec::new()
        };
        Ok(Stage::Summarize(what, by))
    }

    fn keys(&mut self) -> Result<Vec<Sort>, Error> {
        let mut keys = Vec::new();
        loop {
            keys.push(self.key()?);
            if !self.skip(",") {
                return Ok(keys);
            }
        }
    }

    /// Reads what to sort by: falling by default, and nulls first only where the order rises ("sort operator").
    fn key(&mut self) -> Result<Sort, Error> {
        let expr = self.expr()?;
        let ascending = self.skip_word("asc");
        if !ascending {
            self.skip_word("desc");
        }
        let nulls_first = if !self.skip_word("nulls") {
            ascending
        } else if self.skip_word("first") {
            true
        } else {
            self.expect_word("last")?;
            false
        };
        Ok(Sort {
            expr,
            ascending,
            nulls_first,
        })
    }

    /// Reads the text of a parameter such as `kind=inner`.
    pub(super) fn parameter(&mut self, name: &str) -> Result<Option<String>, Error> {
        let found = matches!(self.peek(), What::Word(word) if word == name)
            && *self.after(1) == What::Mark("=");
        if !found {
            return Ok(None);
        }
        self.at += 2;
        match self.peek().clone() {
            What::Literal(Literal(Kind::Bool, cell)) => {
                self.at += 1;
                Ok(Some(cell.to_text().to_string()))
            }
            _ => self.name().map(Some),
        }
    }
}

/// Tabular operators of the language that the lab does not model.
const OTHERS: [&str; 26] = [
    "as",
    "consume",
    "evaluate",
    "facet",
    "find",
    "fork",
    "getschema",
    "graph-match",
    "invoke",
    "lookup",
    "make-graph",
    "make-series",
    "mv-apply",
    "parse",
    "parse-kv",
    "parse-where",
    "partition",
    "project-reorder",
    "reduce",
    "sample",
    "sample-distinct",
    "scan",
    "search",
    "serialize",
    "top-hitters",
    "top-nested",
];
