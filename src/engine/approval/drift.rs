//! What has changed since a plan was approved: targets, runbooks, writes; and what the run's record says of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::bulk::Bulk;
use super::super::error::EngineError;
use super::super::plan::{Plan, PlanTarget, Verdict};
use super::super::recorder::object;
use super::super::request::RunRequest;
use super::file::{Planned, refused};

/// A plan that two persons stand for.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The id that the run will have.
    pub run: Uuid,
    /// What is planned.
    pub planned: Planned,
    /// The plan's digest.
    pub digest: String,
    /// The file, as it is kept in evidence.
    pub file: String,
    /// Who planned it.
    pub planned_by: String,
    /// Who approved it.
    pub granted_by: Vec<String>,
    /// Whether the persons have signed with their own keys.
    pub signed: bool,
}

impl Planned {
    /// Refuses a runbook that is not the one that was planned with.
    ///
    /// # Errors
    /// Which one differs.
    pub fn same_texts(&self, texts: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let names: BTreeSet<&String> = self.texts.keys().chain(texts.keys()).collect();
        let other: Vec<&str> = names
            .into_iter()
            .filter(|name| self.texts.get(*name) != texts.get(*name))
            .map(String::as_str)
            .collect();
        if other.is_empty() {
            return Ok(());
        }
        Err(drift(
            &format!("the runbook {} was changed since", other.join(", ")),
            &self.runbook,
        ))
    }

    /// Returns the ids of the targets.
    fn ids(&self) -> Vec<&str> {
        let ids = self.targets.iter().map(|target| target.target.as_str());
        ids.collect()
    }
}

impl Approved {
    /// Refuses targets that are not those of the plan.
    ///
    /// # Errors
    /// Which are new, and which are gone.
    pub fn same_targets<'a>(
        &self,
        found: impl Iterator<Item = &'a str>,
    ) -> Result<(), EngineError> {
        let found: Vec<&str> = found.collect();
        let planned = self.planned.ids();
        let lacks = |these: &[&str], those: &[&str]| -> Vec<String> {
            these
                .iter()
                .filter(|id| !those.iter().any(|other| other.eq_ignore_ascii_case(id)))
                .map(|id| (*id).to_owned())
                .collect()
        };
        let (new, gone) = (lacks(&found, &planned), lacks(&planned, &found));
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let told = |word: &str, ids: Vec<String>| match ids.len() {
            0 => String::new(),
            _ => format!("; {word}: {}", ids.join(", ")),
        };
        Err(drift(
            &format!(
                "the targets are others than those of the plan{}{}",
                told("new", new),
                told("gone", gone)
            ),
            &self.planned.runbook,
        ))
    }

    /// Refuses to send other writes, or touch others, than the plan says.
    ///
    /// # Errors
    /// The first differences.
    pub fn same_plan(&self, now: &Plan) -> Result<(), EngineError> {
        let mut differences = Vec::new();
        if now.tenant != self.planned.tenant || now.cloud != self.planned.cloud {
            differences.push(format!(
                "it was planned for tenant {} in {}, and this is {} in {}",
                self.planned.tenant, self.planned.cloud, now.tenant, now.cloud
            ));
        }
        for target in &now.targets {
            let planned = self
                .planned
                .targets
                .iter()
                .find(|planned| planned.target.eq_ignore_ascii_case(&target.target));
            if let Some(planned) = planned {
                differences.extend(compare(planned, target));
            }
        }
        for answer in now
            .preflight
            .iter()
            // What concerns one step, or no target, holds up nobody else's run either.
            .filter(|answer| answer.verdict == Verdict::Fail)
            .filter(|answer| answer.step.is_none() && answer.what != "clock")
        {
            if !self.planned.preflight.contains(answer) {
                differences.push(answer.text.clone());
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(5);
        differences.truncate(5);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        Err(drift(
            &format!(
                "it would now do something else: {}{more}",
                differences.join("; ")
            ),
            &self.planned.runbook,
        ))
    }

    /// Returns what the run's first decision says.
    pub(crate) fn decision(&self) -> Map<String, Value> {
        object(json!({
            "about": "plan",
            "question": format!("carry out the plan {}", self.digest),
            "choice": "approved",
            "plan_digest": self.digest,
            "planned_by": self.planned_by,
            "approved_by": self.granted_by,
            "signed": self.signed,
            "over_guards": self.planned.over_guards,
            "by": self.granted_by.join(", "),
        }))
    }

    /// Returns the request that carries it out, for a runbook that was found to be the planned one.
    ///
    /// # Errors
    /// A choice that is none.
    pub fn fill(self: &Arc<Self>, request: RunRequest) -> Result<RunRequest, EngineError> {
        let planned = &self.planned;
        Ok(RunRequest {
            arguments: planned.arguments.clone().into_iter().collect(),
            targets: planned.typed.clone(),
            // The targets that a filter found stand in the plan, and no others are taken.
            bulk: Bulk {
                max_failures: planned.max_failures,
                together: planned.together,
                ..Bulk::default()
            },
            choices: planned.selections()?,
            accept: planned.accept.clone(),
            over_guards: planned.over_guards.clone(),
            yes: true,
            approved: Some(Arc::clone(self)),
            ..request
        })
    }
}

/// Tells how a target's plan differs from the one that was approved.
fn compare(planned: &PlanTarget, now: &PlanTarget) -> Vec<String> {
    let mut differences = Vec::new();
    let name = crate::ids::ArmId::name_of(&now.target);
    let steps: BTreeSet<&str> = planned
        .steps
        .iter()
        .chain(&now.steps)
        .map(|step| step.id.as_str())
        .collect();
    for id in steps {
        let of = |target: &PlanTarget| {
            let step = target.steps.iter().find(|step| step.id == id)?;
            Some((step.writes.clone(), step.undo.clone(), step.needs_consent))
        };
        let (before, after) = (of(planned), of(now));
        if before != after {
            let writes = |one: Option<(Vec<String>, String, bool)>| {
                one.map_or_else(
                    || "nothing".to_owned(),
                    |(writes, ..)| {
                        if writes.is_empty() {
                            "no write".to_owned()
                        } else {
                            writes.join(", ")
                        }
                    },
                )
            };
            differences.push(format!(
                "{name}, step {id}: {} instead of {}",
                writes(after),
                writes(before)
            ));
        }
    }
    if planned.collateral != now.collateral {
        differences.push(format!("{name} touches others than before"));
    }
    if planned.error != now.error {
        differences.push(format!(
            "{name}: {}",
            now.error
                .as_deref()
                .unwrap_or("it no longer stops where it did")
        ));
    }
    differences
}

fn drift(message: &str, runbook: &str) -> EngineError {
    refused(
        "drift",
        message.to_owned(),
        format!("azir plan {runbook} ... -o FILE, and have it approved anew"),
    )
}
