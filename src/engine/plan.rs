//! What a run would do, found out by reading alone.

use serde::{Deserialize, Serialize};

/// A plan, as shown before a confirmation and by `--plan`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Plan {
    /// The runbook's name.
    pub runbook: String,
    /// The runbook's version.
    pub version: String,
    /// The runbook's title.
    pub title: String,
    /// The case.
    pub incident: String,
    /// Cloud and tenant the run would act in.
    pub cloud: String,
    /// The tenant's id.
    pub tenant: String,
    /// Who acts: the token's principal.
    pub principal: String,
    /// Seconds that containment may take.
    pub deadline_seconds: Option<u64>,
    /// Each target in the order given.
    pub targets: Vec<PlanTarget>,
    /// What speaks against it or could not be found out.
    pub preflight: Vec<Preflight>,
}

/// One target of a plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PlanTarget {
    /// Its resource id or name.
    pub target: String,
    /// Steps in order.
    pub steps: Vec<PlanStep>,
    /// What stays open after a complete run.
    pub residual: Vec<String>,
    /// Whom else it touches.
    pub collateral: Vec<String>,
    /// Why the plan could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PlanStep {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its phase.
    pub phase: String,
    /// `read`, `write`, `collect`, `assert`, `decide`, `manual`, `wait`.
    pub kind: String,
    /// The writes it would send, as `PUT <resource id>`; empty for others.
    pub writes: Vec<String>,
    /// How it is undone: `restore`, `ask`, `requests`, `never: why`, `lasting: why`; empty where nothing is written.
    pub undo: String,
    /// Whether `--yes` does not cover it.
    pub needs_consent: bool,
    /// Why it would be skipped, or cannot yet be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One answer of the preflight.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize, schemars::JsonSchema)]
pub struct Preflight {
    /// What was looked at.
    pub what: String,
    /// The answer.
    pub verdict: Verdict,
    /// The reason, and what to do about it.
    pub text: String,
    /// The target it concerns, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The step it concerns, if one: the rest of the target may be done all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The actions or permissions that are missing, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The smallest built-in role that has what is missing, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where it is missing, or what stands in the way: a scope, lock or assignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The next command to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Preflight {
    /// Returns an answer about the run as a whole.
    pub fn new(what: &str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            verdict,
            text: text.into(),
            target: None,
            step: None,
            missing: Vec::new(),
            role: None,
            scope: None,
            next: None,
        }
    }

    /// Returns it as an answer about one target.
    #[must_use]
    pub fn of_target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// Returns it as an answer about one step.
    #[must_use]
    pub fn of_step(mut self, step: &str) -> Self {
        self.step = Some(step.to_owned());
        self
    }

    /// Returns it with the place that it speaks of.
    #[must_use]
    pub fn at(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// Returns it with the next command to type.
    #[must_use]
    pub fn then(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// The answer of a preflight.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Nothing stands in the way.
    Pass,
    /// It would fail or must not be done: no write is sent.
    Fail,
    /// Could not be found out.
    Unknown,
}
