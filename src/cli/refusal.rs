//! Refusals that reach the responder: what, why, and the next command to type.

use serde_json::json;

use super::exit::Exit;
use super::{Output, shown};
use crate::engine::EngineError;

/// A refusal of a command.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) target: Option<String>,
    pub(super) hint: String,
    pub(super) exit_code: u8,
}

impl Refusal {
    /// The words of the command are off.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "usage".into(),
            message: message.into(),
            target: None,
            hint: hint.into(),
            exit_code: Exit::Usage.code(),
        }
    }

    /// The record cannot be kept.
    pub(super) fn record(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "cannot_record".into(),
            message: message.into(),
            target: None,
            hint: hint.into(),
            exit_code: Exit::CannotRecord.code(),
        }
    }

    /// The record of a run cannot be read as one.
    pub(super) fn integrity(error: &dyn std::fmt::Display) -> Self {
        Self {
            code: "integrity".into(),
            message: error.to_string(),
            target: None,
            hint: "azir journal verify RUN".into(),
            exit_code: Exit::Integrity.code(),
        }
    }

    /// Returns the refusal of a result that stdout did not take whole.
    pub(super) fn cut_off(error: &std::io::Error) -> Self {
        Self::failed(
            "output",
            format!("stdout did not take all of it: {error}"),
            "write it elsewhere, and do not use what is there",
        )
    }

    /// Something failed before anything was sent.
    pub(super) fn failed(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            target: None,
            hint: hint.into(),
            exit_code: Exit::Failed.code(),
        }
    }

    /// Shows it, and returns its exit code.
    pub(super) fn show(&self, output: Output) -> u8 {
        if output == Output::Human {
            let red = anstyle::Style::new()
                .fg_color(Some(anstyle::AnsiColor::Red.into()))
                .bold();
            super::out::line(&format!(
                "{red}azir:{red:#} {}",
                shown::block(&self.message)
            ));
            if !self.hint.is_empty() {
                super::out::line(&format!("next: {}", shown::line(&self.hint)));
            }
        } else {
            let error = json!({"error": {"code": self.code, "message": self.message, "target": self.target, "hint": self.hint, "exit_code": self.exit_code}});
            super::out::result(&error.to_string());
        }
        self.exit_code
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.message(),
            target: error.target().map(str::to_owned),
            hint: error.hint(),
            exit_code: error.exit_code(),
        }
    }
}

impl From<crate::azure::Error> for Refusal {
    fn from(error: crate::azure::Error) -> Self {
        Self::failed(error.code(), error.to_string(), "azir doctor")
    }
}
