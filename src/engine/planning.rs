//! What a run would do: every target looked at by a client that cannot write, and what holds for all of them.

use std::sync::Arc;

use futures_util::StreamExt;
use uuid::Uuid;

use super::error::EngineError;
use super::failure::FailureKind;
use super::plan::{Plan, PlanTarget, Preflight, Verdict};
use super::power::{Power, Teller};
use super::request::RunRequest;
use super::run::{Engine, TARGETS_AT_ONCE};
use super::target::{Target, may_write};
use super::targets::Found;
use super::worth::vault_worth;

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
        let done: Vec<(PlanTarget, Vec<Preflight>)> =
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
        for (target, preflight) in done {
            plan.targets.push(target);
            plan.preflight.extend(preflight);
        }
        plan.preflight.extend(absent);
        self.general_preflight(&mut plan).await;
        Ok(plan)
    }

    /// Says what holds for the run as a whole: the clock, and which subscriptions may be written to.
    async fn general_preflight(&self, plan: &mut Plan) {
        if let Some(offset) = self.client.clock_offset_ms() {
            let verdict = if offset.abs() > 120_000 {
                Verdict::Unknown
            } else {
                Verdict::Pass
            };
            plan.preflight.push(Preflight {
                what: "clock".to_owned(),
                verdict,
                text: format!("this machine's clock differs from the cloud's by {offset} ms"),
                target: None,
            });
        }
        plan.preflight.extend(self.outside(&plan.targets));
        let worth = match &self.profile.vault {
            Some(vault) => vault_worth(&self.client, &self.clock, vault).await,
            None => Preflight {
                what: "vault".to_owned(),
                verdict: Verdict::Unknown,
                text: "no evidence vault is configured: evidence stays on this machine".to_owned(),
                target: None,
            },
        };
        plan.preflight.push(worth);
        if let [only] = &self.profile.time_stamps[..] {
            plan.preflight.push(Preflight {
                what: "time stamps".to_owned(),
                verdict: Verdict::Pass,
                text: format!("one authority is configured ({only}): the record's end is stamped once, not twice"),
                target: None,
            });
        }
    }

    /// Finds the writes that the profile does not let azir send: tonight they would be refused half way.
    fn outside(&self, targets: &[PlanTarget]) -> Vec<Preflight> {
        let Some(writable) = &self.profile.subscriptions else {
            let text = "the profile names no subscriptions: every visible one may be written to";
            return vec![Preflight {
                what: "subscriptions".to_owned(),
                verdict: Verdict::Unknown,
                text: text.to_owned(),
                target: None,
            }];
        };
        let mut found: Vec<Preflight> = Vec::new();
        for target in targets {
            for write in target.steps.iter().flat_map(|step| &step.writes) {
                let path = write.split(' ').nth(1).unwrap_or_default();
                let Err(failure) = may_write(Some(writable), path) else {
                    continue;
                };
                let answer = Preflight {
                    what: "guard".to_owned(),
                    verdict: Verdict::Fail,
                    text: format!("{}; {}", failure.message, failure.hint),
                    target: Some(target.target.clone()),
                };
                if !found.contains(&answer) {
                    found.push(answer);
                }
            }
        }
        found
    }
}

/// Refuses a plan that has a FAIL.
pub(super) fn refuse_failed(plan: &Plan, request: &RunRequest) -> Result<(), EngineError> {
    let failed: Vec<&Preflight> = plan
        .preflight
        .iter()
        .filter(|answer| answer.verdict == Verdict::Fail)
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
    Err(EngineError::Refused {
        code: "guard",
        message: failed
            .iter()
            .map(|answer| answer.text.clone())
            .collect::<Vec<_>>()
            .join("; "),
        target: first.target.clone(),
        hint: format!(
            "{} --plan",
            request.command(first.target.as_deref().unwrap_or_default())
        ),
    })
}

fn plan_target(target: &Target<'_>) -> (PlanTarget, Vec<Preflight>) {
    let mut tally = target.tally();
    tally.plan.sort_by_key(|(node, _)| *node);
    let mut preflight: Vec<Preflight> = Vec::new();
    if let Some(failure) = &tally.stopped {
        preflight.push(Preflight {
            what: if failure.kind == FailureKind::Refused {
                "guard".to_owned()
            } else {
                failure.code.clone()
            },
            verdict: Verdict::Fail,
            text: failure.message.clone(),
            target: Some(target.name.clone()),
        });
    }
    for (step, message) in &tally.set_aside {
        preflight.push(Preflight {
            what: "guard".to_owned(),
            verdict: Verdict::Unknown,
            text: format!("{message}; this plan sets {step} aside, and a second person must agree"),
            target: Some(target.name.clone()),
        });
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
    (plan, preflight)
}
