//! Why the engine refused or could not go on, with the next command to type.

use crate::azure;
use crate::journal::JournalError;

/// A refusal or failure of a whole command. The exit code is DESIGN's, "Command line".
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The words of the command do not fit the runbook.
    #[error("{message}")]
    Usage {
        /// What does not fit.
        message: String,
        /// The next command.
        hint: String,
    },
    /// A target is unknown, ambiguous or guarded, or the plan has a FAIL. No write was sent.
    #[error("{message}")]
    Refused {
        /// A short name: `unknown_target`, `ambiguous_target`, `guard`, `drift`, `preflight`.
        code: &'static str,
        /// What was refused and why.
        message: String,
        /// The target concerned.
        target: Option<String>,
        /// The next command.
        hint: String,
    },
    /// The responder said no.
    #[error("the responder declined the plan; no write was sent")]
    Declined,
    /// Nobody is there to confirm the plan.
    #[error("there is no terminal to confirm the plan on; no write was sent")]
    Unattended,
    /// The cloud cannot be reached or does not let azir in.
    #[error("{message}")]
    Cloud {
        /// azir's or the cloud's own code.
        code: String,
        /// What happened.
        message: String,
        /// The next command.
        hint: String,
    },
    /// The record cannot be kept, so nothing further was sent.
    #[error("cannot keep the record: {message}")]
    Record {
        /// What the disk said, or who holds the run.
        message: String,
        /// The next command.
        hint: String,
    },
    /// The record of the run to work on does not verify.
    #[error("the journal of this run does not verify: {message}")]
    Integrity {
        /// The first finding.
        message: String,
        /// The next command.
        hint: String,
    },
    /// The runbook cannot be run here.
    #[error("{message}")]
    Runbook {
        /// Which one and why.
        message: String,
        /// The next command.
        hint: String,
    },
}

impl EngineError {
    /// Returns a short name that scripts can compare.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Refused { code, .. } => code,
            Self::Declined => "declined",
            Self::Unattended => "unattended",
            Self::Cloud { code, .. } => code,
            Self::Record { .. } => "cannot_record",
            Self::Integrity { .. } => "integrity",
            Self::Runbook { .. } => "runbook",
        }
    }

    /// Returns what was refused or failed and why, one sentence.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// Returns the target concerned, if it is one.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Refused { target, .. } => target.as_deref(),
            _ => None,
        }
    }

    /// Returns the next command to type.
    pub fn hint(&self) -> String {
        match self {
            Self::Usage { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Cloud { hint, .. }
            | Self::Record { hint, .. }
            | Self::Integrity { hint, .. }
            | Self::Runbook { hint, .. } => hint.clone(),
            Self::Declined => "run the same command again and answer yes".to_owned(),
            Self::Unattended => {
                "add --yes to confirm beforehand, or --plan to only look".to_owned()
            }
        }
    }

    /// Returns the exit code (DESIGN section 7).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Unattended | Self::Runbook { .. } => 2,
            Self::Record { .. } => 75,
            Self::Integrity { .. } => 6,
            Self::Declined => 7,
            Self::Refused { .. } => 5,
            Self::Cloud { .. } => 1,
        }
    }

    /// Wraps what the client said before any run began.
    pub(crate) fn cloud(error: &azure::Error) -> Self {
        let failure = super::failure::Failure::from_azure(error);
        if error.is_fenced() {
            return Self::Refused {
                code: "guard",
                message: failure.message,
                target: None,
                hint: failure.hint,
            };
        }
        Self::Cloud {
            code: failure.code,
            message: failure.message,
            hint: failure.hint,
        }
    }

    /// Wraps what the journal said.
    pub(crate) fn record(error: &JournalError) -> Self {
        Self::Record {
            message: chain(error),
            hint: "free the disk or name another folder with AZIR_HOME, then run the command again"
                .to_owned(),
        }
    }
}

/// Returns an error and its causes in one line, each cause once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
