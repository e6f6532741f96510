//! What only a person can answer, asked through a trait so that the engine never touches a terminal.

use serde::Serialize;

use super::plan::Plan;

/// One of the things to choose from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Choice {
    /// What `--choose STEP=ID` names.
    pub id: String,
    /// What the responder reads.
    pub label: String,
}

/// The answer to a decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chosen {
    /// The ids chosen.
    pub ids: Vec<String>,
    /// `responder`, `--choose`, `--accept` or `default`.
    pub by: String,
    /// The words typed, when a person typed any.
    pub words: Option<String>,
}

/// The answer to a manual task.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The person did it and found this.
    Found(String),
    /// The person left it, for this reason.
    Left(String),
}

/// Who answers. Calls come from the run one at a time and may take as long as a person takes.
#[async_trait::async_trait]
pub trait Ask: Send + Sync {
    /// Whether the plan may be carried out; `None` if nobody is there to say so.
    async fn confirm(&self, plan: &Plan) -> Option<bool>;
    /// Which of `options` to take; `default` is what `--yes` takes.
    async fn decide(
        &self,
        step: &str,
        question: &str,
        options: &[Choice],
        default: &[String],
    ) -> Chosen;
    /// Whether a step that `--yes` does not cover may be taken.
    async fn consent(&self, step: &str, title: &str, cost: &str) -> Option<Chosen>;
    /// What a person found who did as `instruction` says.
    async fn manual(&self, step: &str, instruction: &str, finding: &str) -> Finding;
}
