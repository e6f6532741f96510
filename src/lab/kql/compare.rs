//! Equality and order ("Scalar equality operators", "Null values").

use super::bind::Bound;
use super::convert;
use super::error::Error;
use super::value::{Cell, Kind};

/// How values of two types are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loose {
    /// By what a dynamic holds.
    Dynamic,
    /// One is a number and the other a text: as they are written. The vendor's own parser accepts `ResultType == 0`.
    Written,
    /// Of one type.
    Same,
}

impl Loose {
    pub(super) fn of(left: Kind, right: Kind) -> Option<Self> {
        if left == right || (left.is_number() && right.is_number()) {
            return Some(Self::Same);
        }
        match (left, right) {
            (Kind::Dynamic, _) | (_, Kind::Dynamic) => Some(Self::Dynamic),
            (a, b) if a.is_text() && b.is_text() => Some(Self::Same),
            (Kind::String, b) if b.is_number() => Some(Self::Written),
            (a, Kind::String) if a.is_number() => Some(Self::Written),
            _ => None,
        }
    }
}

/// Of two nulls neither equality nor inequality is known, as "Null values" has it; "Logical (binary) operators" has
/// false for both, which only `not()` can tell apart.
pub(super) fn bound(operator: &'static str, left: Bound, right: Bound) -> Result<Bound, Error> {
    if !matches!(operator, "==" | "!=" | "<>") {
        let loose = Loose::of(left.kind, right.kind);
        return ordered(operator, loose, left, right);
    }
    let (left, right) = (as_literal_of(left, &right)?, right);
    let right = as_literal_of(right, &left)?;
    let (a, b) = (left.kind, right.kind);
    if a == Kind::Dynamic && b == Kind::Dynamic {
        return Err(Error::dynamic());
    }
    let loose = Loose::of(a, b).ok_or_else(|| Error::incomparable(a, b))?;
    let guid = a == Kind::Guid || b == Kind::Guid;
    // The text of a dynamic that is null is empty.
    let text = a == Kind::String || b == Kind::String;
    let equal = operator == "==";
    Bound::apply(Kind::Bool, vec![left, right], move |values| {
        let (a, b) = (&values[0], &values[1]);
        if text && loose == Loose::Dynamic && (a.is_null() || b.is_null()) {
            return Ok(Cell::Bool((a.to_text() == b.to_text()) == equal));
        }
        Ok(match (a.is_null(), b.is_null()) {
            (true, true) => Cell::Null,
            (true, false) | (false, true) => Cell::Bool(!equal),
            (false, false) => {
                let same = match loose {
                    Loose::Written => a.to_text() == b.to_text(),
                    _ if guid => a.to_text().eq_ignore_ascii_case(&b.to_text()),
                    Loose::Dynamic | Loose::Same => a.key() == b.key(),
                };
                Cell::Bool(same == equal)
            }
        })
    })
}

/// A text that is written down is taken as a value of the other side's type, as the service's emulator does.
pub(super) fn as_literal_of(text: Bound, other: &Bound) -> Result<Bound, Error> {
    let function = match other.kind {
        _ if text.kind != Kind::String || text.known().is_none() => return Ok(text),
        Kind::Bool => "tobool",
        Kind::DateTime => "todatetime",
        Kind::Int | Kind::Long => "tolong",
        Kind::Real => "toreal",
        Kind::TimeSpan => "totimespan",
        Kind::Dynamic | Kind::Guid | Kind::String => return Ok(text),
    };
    convert::to(function, vec![text])
}

/// Texts have no order, nor have truths. With a null there is none either, and the answer is null.
fn ordered(
    operator: &'static str,
    loose: Option<Loose>,
    left: Bound,
    right: Bound,
) -> Result<Bound, Error> {
    let (a, b) = (left.kind, right.kind);
    let has_order =
        |kind: Kind| kind.is_number() || matches!(kind, Kind::DateTime | Kind::TimeSpan);
    let fits = match loose {
        Some(Loose::Same) => has_order(a),
        Some(Loose::Dynamic) => a.is_number() || b.is_number(),
        Some(Loose::Written) | None => false,
    };
    if !fits {
        return Err(Error::incomparable(a, b));
    }
    let loose = loose == Some(Loose::Dynamic);
    Bound::apply(Kind::Bool, vec![left, right], move |values| {
        let (a, b) = (&values[0], &values[1]);
        let unknown = a.is_null() || b.is_null();
        if unknown || (loose && (a.as_f64().is_none() || b.as_f64().is_none())) {
            return Ok(Cell::Null);
        }
        // What is no number is in no order.
        let numbers = (a.as_f64(), b.as_f64());
        if let (Some(a), Some(b)) = numbers
            && (a.is_nan() || b.is_nan())
        {
            return Ok(Cell::Bool(false));
        }
        let order = a.order(b);
        Ok(Cell::Bool(match operator {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }))
    })
}
