//! Reads scalar expressions ("Scalar expressions", "Logical (binary) operators", "String operators").

use super::error::Error;
use super::parse::Parser;
use super::syntax::{Expr, Node};
use super::token::{Literal, What};
use super::value::{Cell, Kind};

/// How deep an expression may nest.
const DEEPEST: usize = 96;

/// Operators between two values, and how tightly they bind.
const BINARY: [(&str, u8); 33] = [
    ("==", 1),
    ("!=", 1),
    ("<>", 1),
    ("=~", 1),
    ("!~", 1),
    ("<", 1),
    ("<=", 1),
    (">", 1),
    (">=", 1),
    ("contains", 1),
    ("!contains", 1),
    ("contains_cs", 1),
    ("!contains_cs", 1),
    ("has", 1),
    ("!has", 1),
    ("has_cs", 1),
    ("!has_cs", 1),
    ("hasprefix", 1),
    ("!hasprefix", 1),
    ("hassuffix", 1),
    ("!hassuffix", 1),
    ("startswith", 1),
    ("!startswith", 1),
    ("startswith_cs", 1),
    ("!startswith_cs", 1),
    ("endswith", 1),
    ("!endswith", 1),
    ("endswith_cs", 1),
    ("!endswith_cs", 1),
    ("+", 2),
    ("-", 2),
    ("*", 3),
    ("/", 3),
];
/// Operators that have a list, a range or a pattern on their right.
const LISTED: [&str; 9] = [
    "!between", "!in", "!in~", "between", "has_all", "has_any", "in", "in~", "matches",
];
const REMAINDER: (&str, u8) = ("%", 3);

impl Parser<'_> {
    /// Makes an expression, if it does not nest too deep to be evaluated.
    pub(super) fn make(&mut self, node: Node) -> Result<Expr, Error> {
        let height = node.inner_height() + 1;
        if height > DEEPEST {
            return Err(Error::TooLarge("expressions that nest so deep"));
        }
        self.tallest = self.tallest.max(height);
        Ok(Expr { node, height })
    }

    pub(super) fn expr(&mut self) -> Result<Expr, Error> {
        self.deeper(Self::either)
    }

    fn either(&mut self) -> Result<Expr, Error> {
        let first = self.both()?;
        let mut all = vec![first];
        while self.skip_word("or") {
            all.push(self.both()?);
        }
        self.one_of(all, Node::Any)
    }

    fn both(&mut self) -> Result<Expr, Error> {
        let first = self.binary(1)?;
        let mut all = vec![first];
        while self.skip_word("and") {
            all.push(self.binary(1)?);
        }
        self.one_of(all, Node::All)
    }

    fn one_of(&mut self, mut all: Vec<Expr>, node: fn(Vec<Expr>) -> Node) -> Result<Expr, Error> {
        match all.pop() {
            Some(only) if all.is_empty() => Ok(only),
            Some(last) => {
                all.push(last);
                self.make(node(all))
            }
            None => Err(self.unexpected()),
        }
    }

    /// Reads operators that bind at least so tightly.
    fn binary(&mut self, least: u8) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        loop {
            if let What::Word(word) = self.peek()
                && least <= 1
                && LISTED.contains(&word.as_str())
            {
                let word = word.clone();
                left = self.listed(left, &word)?;
                continue;
            }
            let Some((operator, tight)) = self.operator().filter(|(_, tight)| *tight >= least)
            else {
                return Ok(left);
            };
            self.at += 1;
            let right = self.binary(tight + 1)?;
            left = self.make(Node::Binary(operator, Box::new([left, right])))?;
        }
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let text = match self.peek() {
            What::Mark(mark) => *mark,
            What::Word(word) => word.as_str(),
            _ => return None,
        };
        let mut all = BINARY.iter().chain([&REMAINDER]);
        all.find(|(operator, _)| *operator == text).copied()
    }

    /// Reads an operator that has a list or a range on its right.
    fn listed(&mut self, left: Expr, word: &str) -> Result<Expr, Error> {
        self.at += 1;
        let item = Box::new(left);
        let negated = word.starts_with('!');
        let node = match word {
            "in" | "!in" | "in~" | "!in~" => Node::In {
                item,
                list: self.list()?,
                negated,
                fold: word.ends_with('~'),
            },
            "has_any" | "has_all" => {
                let all = word == "has_all";
                Node::Several(if all { "has_all" } else { "has_any" }, item, self.list()?)
            }
            "between" | "!between" => {
                self.expect("(")?;
                let low = Box::new(self.expr()?);
                self.expect("..")?;
                let high = Box::new(self.expr()?);
                self.expect(")")?;
                Node::Between {
                    item,
                    low,
                    high,
                    negated,
                }
            }
            _ => {
                return Err(Error::semantic(
                    "the operator 'matches regex' is not modelled by the lab",
                ));
            }
        };
        self.make(node)
    }

    /// Reads what stands in the parentheses of `in`: values, or a tabular expression.
    fn list(&mut self) -> Result<Vec<Expr>, Error> {
        self.expect("(")?;
        if self.is_tabular_until(")") {
            let inner = self.pipeline()?;
            self.expect(")")?;
            return Ok(vec![self.make(Node::Sub(Box::new(inner)))?]);
        }
        self.arguments()
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        if self.skip("-") {
            let inner = self.deeper(Self::unary)?;
            return self.make(Node::Minus(Box::new(inner)));
        }
        if self.skip("+") {
            return self.deeper(Self::unary);
        }
        let mut expr = self.primary()?;
        loop {
            if self.skip(".") {
                let name = match self.peek().clone() {
                    What::Word(name) => {
                        self.at += 1;
                        name
                    }
                    What::Mark("[") => self.bracketed()?,
                    _ => return Err(self.unexpected()),
                };
                expr = self.make(Node::Member(Box::new(expr), name))?;
            } else if self.skip("[") {
                let index = self.expr()?;
                self.expect("]")?;
                expr = self.make(Node::Index(Box::new([expr, index])))?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// Reads `['a name']` ("Entity names").
    pub(super) fn bracketed(&mut self) -> Result<String, Error> {
        self.expect("[")?;
        let What::Literal(Literal(Kind::String, Cell::Text(name))) = self.peek().clone() else {
            return Err(self.unexpected());
        };
        if name.chars().any(char::is_control) {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.expect("]")?;
        Ok(name.to_string())
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let node = match self.peek().clone() {
            What::Literal(Literal(kind, cell)) => {
                self.at += 1;
                Node::Literal(kind, cell)
            }
            What::Mark("(") => {
                self.at += 1;
                let inner = self.expr()?;
                self.expect(")")?;
                return Ok(inner);
            }
            What::Mark("[") => Node::Name(self.bracketed()?),
            What::Word(word) if self.operator().is_none() && !RESERVED.contains(&&*word) => {
                self.at += 1;
                if !self.skip("(") {
                    Node::Name(word)
                } else if word == "toscalar" || (word == "materialize" && !self.is_scalar()) {
                    let inner = self.pipeline()?;
                    self.expect(")")?;
                    Node::Call(word, vec![self.make(Node::Sub(Box::new(inner)))?])
                } else {
                    Node::Call(word, self.arguments()?)
                }
            }
            _ => return Err(self.unexpected()),
        };
        self.make(node)
    }

    fn is_scalar(&self) -> bool {
        !self.is_tabular_until(")")
    }

    /// Reads expressions up to a closing parenthesis, and that.
    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>, Error> {
        let mut list = Vec::new();
        if self.skip(")") {
            return Ok(list);
        }
        loop {
            let star =
                *self.peek() == What::Mark("*") && matches!(self.after(1), What::Mark(")" | ","));
            if star {
                self.at += 1;
                list.push(self.make(Node::Star)?);
            } else {
                list.push(self.expr()?);
            }
            if self.skip(")") {
                return Ok(list);
            }
            self.expect(",")?;
        }
    }
}

/// Words that no column is called without brackets.
const RESERVED: [&str; 12] = [
    "and", "between", "!between", "by", "has_all", "has_any", "in", "!in", "in~", "!in~", "on",
    "or",
];
