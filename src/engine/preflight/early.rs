//! The little of the preflight that a confirmed run has time for: one question for each resource group, beside the
//! reads that find the targets.
//!
//! Containment is never held up by it: whoever holds any of the actions that the runbook writes with, or whose rights
//! do not answer in time, is let through. Only where none is held anywhere is the whole plan looked at, and only a run
//! of which no write would be accepted is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::asking::Asking;
use super::effect::NOTHING;
use super::place;
use super::rights::Rights;
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::plan::{Plan, Preflight};
use crate::engine::request::RunRequest;
use crate::engine::schedule::Program;
use crate::engine::targets::Found;
use crate::ids::ArmId;

/// How long a confirmed run waits for the answer at most.
const LIMIT: Duration = Duration::from_secs(2);
/// More resource groups than this are not asked: the budget is containment's.
const MOST: usize = 32;

/// How long a run that is confirmed beforehand looks at itself as a whole, where it seems that it could do nothing.
const PLAN_LIMIT: Duration = Duration::from_secs(10);

impl Engine {
    /// Finds the targets of a request; of a run that is confirmed beforehand, refuses one that could do nothing.
    ///
    /// # Errors
    /// As [`Engine::find`]; and what is missing, where no write would be accepted.
    pub(in crate::engine) async fn find_able(
        &self,
        request: &RunRequest,
        program: &Program,
        run: Uuid,
    ) -> Result<Found, EngineError> {
        if !request.yes || request.approved.is_some() {
            // These are planned before anything is sent.
            return self.find(request, run).await;
        }
        let actions = writing(program);
        let typed = containers(request.targets.iter().map(String::as_str));
        let (found, early) =
            futures_util::join!(self.find(request, run), self.may(&actions, &typed));
        let found = found?;
        let groups = containers(ids(&found));
        let able = if groups == typed {
            early
        } else {
            self.may(&actions, &groups).await
        };
        if able && !self.mute(program, &actions).await {
            return Ok(found);
        }
        let plan = Box::pin(self.plan_found(request, &found, run));
        let late = self.clock.sleep(PLAN_LIMIT);
        let looked = match futures_util::future::select(plan, late).await {
            futures_util::future::Either::Left((plan, _)) => plan.ok(),
            futures_util::future::Either::Right(_) => None,
        };
        // What cannot be looked at in time, or at all, holds up nobody.
        if let Some(plan) = looked {
            refuse_hopeless(&plan, request)?;
        }
        Ok(found)
    }

    /// Returns whether any of the actions may be held at these groups; true where nobody knows.
    async fn may(&self, actions: &[String], groups: &BTreeSet<String>) -> bool {
        if actions.is_empty() || groups.is_empty() || groups.len() > MOST {
            return true;
        }
        let asking = Asking::new(self.client.reader(), &self.clock);
        let rights = Rights::at_groups(&asking, groups.clone());
        let (rights, late) = (
            std::pin::pin!(rights),
            std::pin::pin!(self.clock.sleep(LIMIT)),
        );
        match futures_util::future::select(rights, late).await {
            futures_util::future::Either::Left((rights, _)) => rights.may_any(actions),
            futures_util::future::Either::Right(_) => true,
        }
    }

    /// Returns whether the token for Graph says that it can only read, where a runbook writes nowhere else. The token is
    /// needed in any case.
    async fn mute(&self, program: &Program, actions: &[String]) -> bool {
        let frames = program.frames.iter();
        let declared: BTreeSet<&str> = frames
            .flat_map(|frame| &frame.runbook.permissions.graph)
            .map(String::as_str)
            .filter(|name| !name.contains(".Read."))
            .collect();
        if !actions.is_empty() || declared.is_empty() {
            return false;
        }
        let Ok(identity) = self.graph(true).await else {
            return false;
        };
        let mut held = identity.roles.iter().chain(&identity.scopes).peekable();
        let speaks = held.peek().is_some();
        speaks && held.all(|name| name.contains(".Read.") || name.ends_with(".Read"))
    }
}

/// Returns the actions that a program's runbooks declare and that do not only read.
fn writing(program: &Program) -> Vec<String> {
    let frames = program.frames.iter();
    let declared: BTreeSet<&String> = frames
        .flat_map(|frame| &frame.runbook.permissions.arm)
        .filter(|action| !action.ends_with("/read"))
        .collect();
    declared.into_iter().cloned().collect()
}

/// Returns the ids that a run's targets are known by, and those of what else was named.
fn ids(found: &Found) -> impl Iterator<Item = &str> {
    found.targets.iter().flat_map(|(name, arguments)| {
        let named = arguments.values().filter_map(|value| value["id"].as_str());
        std::iter::once(name.as_str()).chain(named)
    })
}

fn containers<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    ids.filter(|text| text.parse::<ArmId>().is_ok())
        .filter_map(place::container)
        .map(|scope| scope.to_ascii_lowercase())
        .collect()
}

/// Refuses a run of whose targets none would accept a write.
fn refuse_hopeless(plan: &Plan, request: &RunRequest) -> Result<(), EngineError> {
    let of = |target: &str| {
        plan.preflight
            .iter()
            .find(|answer| answer.what == NOTHING && answer.target.as_deref() == Some(target))
    };
    let targets = plan.targets.iter().map(|target| target.target.as_str());
    let refused: Option<Vec<&Preflight>> = targets.map(of).collect();
    let Some(first) = refused.as_ref().and_then(|refused| refused.first()) else {
        return Ok(());
    };
    let target = first.target.as_deref().unwrap_or_default();
    Err(EngineError::Refused {
        code: "preflight",
        message: first.text.clone(),
        target: first.target.clone(),
        hint: first
            .next
            .clone()
            .unwrap_or_else(|| format!("{} --plan", request.command(target))),
    })
}
