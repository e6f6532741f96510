//! Why a query is not answered, in the service's own codes.

use super::value::Kind;

/// Why a query is not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::lab) enum Error {
    /// What is well written and means nothing, or nothing that the lab models.
    #[error("{message}")]
    Semantic { code: &'static str, message: String },
    /// The token that cannot stand where it stands.
    #[error("Query could not be parsed at '{token}' on line [{line},{column}]")]
    Syntax {
        token: String,
        line: usize,
        column: usize,
    },
    /// More than the lab evaluates; the service may well do it.
    #[error("the lab does not model a query with {0}")]
    TooLarge(&'static str),
}

/// A name that is neither a table, a column nor a variable. Seen in published traces of the service.
const UNRESOLVED: &str = "SEM0100";
/// A function that is not there. Seen in published traces of the service.
const UNKNOWN_FUNCTION: &str = "SEM0260";
/// Types that cannot be compared. Seen in published traces of the service.
const INCOMPARABLE: &str = "SEM0064";
/// A wrong number of arguments. Seen in published traces of the service.
const ARGUMENTS: &str = "SEM0219";
/// Everything else. The service has it for operators that do not take the types that they are given; for all others it
/// is a guess, as no code of theirs is published.
const GUESSED: &str = "SEM0001";

impl Error {
    pub(super) fn column(operator: &str, name: &str) -> Self {
        Self::coded(
            UNRESOLVED,
            format!(
                "'{operator}' operator: Failed to resolve column or scalar expression named '{name}'"
            ),
        )
    }

    pub(super) fn table(operator: &str, name: &str) -> Self {
        Self::coded(
            UNRESOLVED,
            format!(
                "'{operator}' operator: Failed to resolve table or column expression named '{name}'"
            ),
        )
    }

    pub(super) fn function(name: &str) -> Self {
        Self::coded(UNKNOWN_FUNCTION, format!("Unknown function: '{name}'."))
    }

    pub(super) fn incomparable(left: Kind, right: Kind) -> Self {
        Self::coded(
            INCOMPARABLE,
            format!(
                "Cannot compare values of types {} and {}. Try adding explicit casts",
                left.name(),
                right.name()
            ),
        )
    }

    /// Two dynamics, of which nobody knows how they are meant.
    pub(super) fn dynamic() -> Self {
        Self::semantic("Cannot compare dynamic values without explicit cast")
    }

    pub(super) fn arguments(name: &str, given: usize) -> Self {
        Self::coded(
            ARGUMENTS,
            format!("{name}(): function does not accept {given} arguments."),
        )
    }

    /// Any other thing that means nothing.
    pub(super) fn semantic(message: impl Into<String>) -> Self {
        Self::coded(GUESSED, message.into())
    }

    fn coded(code: &'static str, message: String) -> Self {
        Self::Semantic { code, message }
    }
}
