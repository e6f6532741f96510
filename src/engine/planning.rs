//! What a run would do: every target looked at by a client that cannot write, and what holds for all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use uuid::Uuid;

use super::error::EngineError;
use super::failure::FailureKind;
use super::plan::{Plan, PlanTarget, Preflight, Verdict};
use super::power::{Power, Teller};
use super::preflight::{Meant, NOTHING};
use super::request::RunRequest;
use super::run::{Engine, TARGETS_AT_ONCE};
use super::target::{Common, Target, may_write};
use super::targets::Found;
use super::worth::vault_worth;
use crate::azure::Identity;

impl Engine {
    /// Finds out what a run over the targets found would do.
    pub(super) async fn plan_found(
        &self,
        request: &RunRequest,
        found: &Found,
        run: Uuid,
    ) -> Result<Plan, EngineError> {
        let identity = self.identity().await?;
        let program = self.program(request)?;
        let absent = self.absent(&program);
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let common = self.common(
            request,
            program,
            Power::Plan(self.client.reader().clone()),
            teller,
            run,
        );
        let names = self.run_names(request, &identity, run, found);
        let base = super::scope::base(&names, &self.profile_names());
        let mut plan = Plan {
            runbook: request.runbook.name.value.clone(),
            version: request.runbook.version.clone(),
            title: request.runbook.title.clone(),
            incident: request.incident.to_string(),
            cloud: self.client.cloud_name().to_owned(),
            tenant: identity.tenant.clone(),
            principal: identity.label(),
            deadline_seconds: request.runbook.deadline.map(|deadline| deadline.as_secs()),
            targets: Vec::new(),
            preflight: Vec::new(),
        };
        let done: Vec<(PlanTarget, Vec<Preflight>, Vec<Meant>)> =
            futures_util::stream::iter(found.targets.iter().enumerate())
                .map(|(index, (name, arguments))| {
                    let common = &common;
                    let base = &base;
                    async move {
                        let mut target = Target::new(common, index, name.clone(), base, arguments);
                        target.look().await;
                        target.say_what_stays().await;
                        plan_target(&target)
                    }
                })
                .buffered(TARGETS_AT_ONCE)
                .collect()
                .await;
        let mut meant = Vec::new();
        for (target, preflight, writes) in done {
            plan.targets.push(target);
            plan.preflight.extend(preflight);
            meant.extend(writes);
        }
        plan.preflight.extend(absent);
        let stops = |node| super::absent::stops(&common.program, node);
        let answers = self
            .preflight(
                &common,
                &identity,
                &plan,
                (&meant, &declared(&common)),
                &stops,
            )
            .await;
        plan.preflight.extend(answers);
        self.general_preflight(&mut plan, &identity).await;
        Ok(plan)
    }

    /// Says what holds for the run as a whole: which subscriptions may be written to, what its evidence is worth, and
    /// whether it can be stored.
    async fn general_preflight(&self, plan: &mut Plan, identity: &Identity) {
        plan.preflight.extend(self.outside(&plan.targets));
        match &self.profile.vault {
            Some(vault) => {
                let (worth, container) = vault_worth(&self.client, &self.clock, vault).await;
                plan.preflight.push(worth);
                if let Some(container) = container {
                    let answers = self.may_store(identity, &container).await;
                    plan.preflight.extend(answers);
                }
            }
            None => plan.preflight.push(Preflight::new(
                "vault",
                Verdict::Unknown,
                "no evidence vault is configured: evidence stays on this machine",
            )),
        }
        if let [only] = &self.profile.time_stamps[..] {
            let text = format!(
                "one authority is configured ({only}): the record's end is stamped once, not twice"
            );
            plan.preflight
                .push(Preflight::new("time stamps", Verdict::Pass, text));
        }
    }

    /// Finds the writes that the profile does not let azir send: tonight they would be refused half way.
    fn outside(&self, targets: &[PlanTarget]) -> Vec<Preflight> {
        let Some(writable) = &self.profile.subscriptions else {
            let text = "the profile names no subscriptions: every visible one may be written to";
            return vec![Preflight::new("subscriptions", Verdict::Unknown, text)];
        };
        let mut found: Vec<Preflight> = Vec::new();
        for target in targets {
            for write in target.steps.iter().flat_map(|step| &step.writes) {
                let path = write.split(' ').nth(1).unwrap_or_default();
                let Err(failure) = may_write(Some(writable), path) else {
                    continue;
                };
                let text = format!("{}; {}", failure.message, failure.hint);
                let answer = Preflight::new("guard", Verdict::Fail, text).of_target(&target.target);
                if !found.contains(&answer) {
                    found.push(answer);
                }
            }
        }
        found
    }
}

/// Returns the permissions on Graph that the runbooks of a program declare.
fn declared(common: &Common) -> Vec<String> {
    let frames = common.program.frames.iter();
    let all: BTreeSet<&String> = frames
        .flat_map(|frame| &frame.runbook.permissions.graph)
        .collect();
    all.into_iter().cloned().collect()
}

/// Refuses a plan that has a FAIL.
pub(super) fn refuse_failed(plan: &Plan, request: &RunRequest) -> Result<(), EngineError> {
    let failed: Vec<&Preflight> = plan
        .preflight
        .iter()
        // What fails of one step does not refuse the others.
        .filter(|answer| answer.verdict == Verdict::Fail && answer.step.is_none())
        // And what is of no target holds up none: where evidence cannot be stored it stays here.
        .filter(|answer| answer.target.is_some())
        .collect();
    let Some(first) = failed.first() else {
        return Ok(());
    };
    // With several targets the good ones go on; only when every one is refused is the run.
    let refused = |target: &PlanTarget| {
        failed
            .iter()
            .any(|answer| answer.target.as_deref() == Some(&target.target))
    };
    if !plan.targets.iter().all(refused) {
        return Ok(());
    }
    let by_preflight = failed.iter().all(|answer| answer.what == NOTHING);
    Err(EngineError::Refused {
        code: if by_preflight { "preflight" } else { "guard" },
        message: failed
            .iter()
            .map(|answer| answer.text.clone())
            .collect::<Vec<_>>()
            .join("; "),
        target: first.target.clone(),
        hint: first.next.clone().unwrap_or_else(|| {
            let target = first.target.as_deref().unwrap_or_default();
            format!("{} --plan", request.command(target))
        }),
    })
}

fn plan_target(target: &Target<'_>) -> (PlanTarget, Vec<Preflight>, Vec<Meant>) {
    let mut tally = target.tally();
    tally.plan.sort_by_key(|(node, _)| *node);
    let mut preflight: Vec<Preflight> = Vec::new();
    if let Some(failure) = &tally.stopped {
        let what = if failure.kind == FailureKind::Refused {
            "guard"
        } else {
            &failure.code
        };
        let answer = Preflight::new(what, Verdict::Fail, &failure.message);
        preflight.push(answer.of_target(&target.name));
    }
    for (step, failure) in &tally.unmeant {
        let text = format!("step {step}: {}; {}", failure.message, failure.hint);
        preflight.push(Preflight {
            step: Some(step.clone()),
            next: Some(failure.hint.clone()),
            ..Preflight::new("choice", Verdict::Fail, text).of_target(&target.name)
        });
    }
    for (step, message) in &tally.set_aside {
        let text =
            format!("{message}; this plan sets {step} aside, and a second person must agree");
        let answer = Preflight::new("guard", Verdict::Unknown, text);
        preflight.push(answer.of_target(&target.name));
    }
    let plan = PlanTarget {
        target: target.name.clone(),
        steps: tally.plan.iter().map(|(_, line)| line.clone()).collect(),
        residual: tally
            .residual
            .iter()
            .map(|(what, _)| what.clone())
            .collect(),
        collateral: tally.collateral.clone(),
        error: tally
            .stopped
            .as_ref()
            .map(|failure| failure.message.clone()),
    };
    tally.meant.sort_by_key(|meant| meant.node);
    (plan, preflight, std::mem::take(&mut tally.meant))
}
