//! How one item of a step failed, in words that reach the responder.

use crate::azure;
use crate::runbook::expr::ExprError;

use super::error::chain;

/// Why an item did not do what its step says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    /// The cloud's own code, or azir's.
    pub(crate) code: String,
    /// One sentence.
    pub(crate) message: String,
    /// The next command to type.
    pub(crate) hint: String,
    /// What it means for the rest.
    pub(crate) kind: FailureKind,
    /// Whether it may pass by itself, or with a person's help, so that going on with the run may succeed.
    pub(crate) passing: bool,
    /// Whether the resource was not as the write expected it: somebody else changed it since it was read.
    pub(crate) stale: bool,
}

/// What a failure means for the rest of the run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FailureKind {
    /// It did not take effect.
    Failed,
    /// Whether it took effect is not known.
    Unknown,
    /// A guard refused: nothing must be written for this target.
    Refused,
    /// The record cannot be kept: nothing further may be sent by anyone.
    Record,
    /// It was left for the responder to allow.
    LeftUndone,
    /// The responder stopped the run.
    Halted,
}

impl Failure {
    /// Returns a failure that did not take effect.
    pub(crate) fn failed(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: hint.into(),
            kind: FailureKind::Failed,
            passing: false,
            stale: false,
        }
    }

    /// Returns the same failure with another meaning.
    pub(crate) fn of_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// Returns the failure of an expression: the runbook asks for something that is not there.
    pub(crate) fn expression(step: &str, error: &ExprError) -> Self {
        if let Some(needed) = &error.needed {
            return Self::failed("missing", needed.clone(), "azir show last");
        }
        Self::failed(
            "expression",
            format!("step {step}: {}", chain(error)),
            "azir runbook lint",
        )
    }

    /// Returns the failure that a disk or lock brings.
    pub(crate) fn record(message: impl Into<String>) -> Self {
        Self::failed(
            "cannot_record",
            message,
            "free the disk or name another folder with AZIR_HOME, then run the command again",
        )
        .of_kind(FailureKind::Record)
    }

    /// Returns what the client said, with the next command.
    pub(crate) fn from_azure(error: &azure::Error) -> Self {
        let kind = if error.is_unknown() {
            FailureKind::Unknown
        } else if error.is_refused_by_observer() {
            FailureKind::Record
        } else if error.is_halted() {
            FailureKind::Halted
        } else if error.is_fenced() {
            FailureKind::Refused
        } else {
            FailureKind::Failed
        };
        Self {
            code: error.code().to_owned(),
            message: chain(error),
            hint: hint(error),
            kind,
            passing: error.may_pass(),
            stale: error.is_precondition(),
        }
    }
}

/// What is typed when an exercise reached for what is not of it.
const OF_THE_DRILL: &str = "azir drill status, to see what belongs to the exercise; what is real is worked on outside of it, with another --profile";

/// Returns the next command for what the cloud said.
fn hint(error: &azure::Error) -> String {
    if error.is_refused_by_observer() {
        return "free the disk or name another folder with AZIR_HOME, then run the command again"
            .into();
    }
    if error.is_fenced() {
        return OF_THE_DRILL.into();
    }
    if error.is_precondition() {
        return "azir show last, to see who changes it; then run the command again".into();
    }
    if error.is_locked() {
        return "az lock list, and az lock delete if the lock may go; then run the command again"
            .into();
    }
    // The directory's own word; Azure Resource Manager says AuthorizationFailed.
    if error.is_permission() && error.code() == "Authorization_RequestDenied" {
        return "azir runbook show NAME, for the Graph permissions that it needs; an administrator above the target needs the directory role too"
            .into();
    }
    if error.is_permission() {
        return "az role assignment create for the action named, or run as somebody who has it"
            .into();
    }
    // A tenant of another national cloud (graph-and-data-planes.md section 5.6).
    if error.code() == "AADSTS90038" {
        return "export AZIR_CLOUD=AzureUSGovernment, or AzureChinaCloud, whichever the tenant is of; then run the command again".into();
    }
    if error.is_auth() {
        return "azir doctor, then sign in again (az login)".into();
    }
    // The directory's words for what is not there; a resource's are others.
    if error.is_not_found() && error.code().starts_with("Request_") {
        return "az ad user list or az ad app list with --display-name NAME, to see what there is"
            .into();
    }
    if error.is_not_found() {
        return "az resource list --name NAME, to see what there is".into();
    }
    if error.is_unknown() {
        return "azir show last, then look at the resource itself before doing it again".into();
    }
    "azir doctor".into()
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)
    }
}
