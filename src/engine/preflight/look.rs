//! All looks at a plan, put together.

use std::collections::{BTreeMap, BTreeSet};

use super::asking::Asking;
use super::denials::{self, DENY, Denied};
use super::effect::hopeless;
use super::finding::{Finding, Judged, answers};
use super::graph::Speaker;
use super::listed::Listed;
use super::locks::{self, LOCK};
use super::meant::{Meant, Need};
use super::rights::{Held, Rights};
use super::vaults::Vaults;
use super::{place, policy, session};
use crate::azure::{self, Identity};
use crate::engine::Engine;
use crate::engine::error::chain;
use crate::engine::plan::{Plan, Preflight, Verdict};
use crate::engine::target::Common;
use crate::runbook::model::Plane;

/// What was read, to judge each write by.
struct Known<'k> {
    vaults: Vaults,
    rights: Rights,
    denials: Listed,
    locks: Listed,
    policies: BTreeMap<String, policy::Judged>,
    speaker: Speaker<'k>,
    oid: &'k str,
}

impl Engine {
    /// Finds out what of a plan would fail. Reads only, and fails at nothing itself. `reads`: the
    /// permissions on Graph that are declared. `stops`: whether a target stops where a step fails.
    pub(in crate::engine) async fn preflight(
        &self,
        common: &Common,
        identity: &Identity,
        plan: &Plan,
        (meant, reads): (&[Meant], &[String]),
        stops: &dyn Fn(usize) -> bool,
    ) -> Vec<Preflight> {
        let asking = Asking::new(self.client.reader(), &self.clock);
        let vaults = Vaults::ask(&asking, plan, meant).await;
        let on_data = meant.iter().filter_map(|one| vaults.need(one));
        let needs: BTreeSet<Need> = meant.iter().flat_map(Meant::needs).chain(on_data).collect();
        let containers: BTreeSet<String> = needs
            .iter()
            .filter_map(|need| place::container(&need.path))
            .collect();
        let creations: BTreeMap<&str, &Meant> = meant
            .iter()
            .filter(|write| write.creates())
            .map(|write| (write.path.as_str(), write))
            .collect();
        let creations: Vec<&Meant> = creations.into_values().collect();
        let on_graph = !reads.is_empty() || meant.iter().any(|one| one.plane == Plane::Graph);
        let (rights, denials, locks, judged, graph) = futures_util::join!(
            Rights::ask(&asking, &needs),
            Listed::ask(&asking, DENY, &containers),
            Listed::ask(&asking, LOCK, &containers),
            policy::ask(&asking, &creations),
            self.graph(on_graph),
        );
        let paths = creations.iter().map(|one| one.path.clone());
        let known = Known {
            vaults,
            rights,
            denials,
            locks,
            policies: paths.zip(judged).collect(),
            speaker: Speaker {
                identity: graph.as_ref().map_err(String::as_str),
                endpoint: self.client.graph_endpoint(),
            },
            oid: &identity.oid,
        };
        let judged: Vec<Judged<'_>> = meant.iter().map(|one| known.judge(one)).collect();
        let program = &common.program;
        let then = |node: usize| {
            if stops(node) {
                ", and the target would stop there"
            } else {
                ", and the rest would go on"
            }
        };
        let mut all = hopeless(plan, program, &common.request, &judged);
        all.extend(answers(&judged, &then));
        all.extend(unread("deny assignments", &known.denials));
        all.extend(unread("locks", &known.locks));
        if on_graph {
            all.extend(known.speaker.reads(reads));
        }
        all.extend(self.session(identity, plan, meant));
        all
    }

    fn session(&self, identity: &Identity, plan: &Plan, meant: &[Meant]) -> Vec<Preflight> {
        let (reader, deadline) = (self.client.reader(), plan.deadline_seconds);
        let credential = reader.credential_name();
        let mut all = session::budget(reader, meant, deadline);
        all.push(session::token(
            identity,
            credential,
            self.clock.now(),
            deadline,
        ));
        all.push(session::clock(reader.clock_offset_ms()));
        all
    }

    /// Returns what the token for Graph says, where anything is asked of Graph.
    pub(super) async fn graph(&self, wanted: bool) -> Result<Identity, String> {
        if !wanted {
            return Err("nothing is asked of it".to_owned());
        }
        let identity = self.client.identity_on(azure::Plane::Graph).await;
        identity.map_err(|error| chain(&error))
    }
}

impl Known<'_> {
    fn judge<'m>(&self, meant: &'m Meant) -> Judged<'m> {
        let findings = match meant.plane {
            Plane::Arm => self.on_arm(meant),
            Plane::Graph => vec![self.speaker.judge(meant)],
            Plane::Vault => match self.vaults.need(meant) {
                Some(need) => {
                    let needs = [need];
                    let denied = needs.iter().filter_map(|need| self.denied(need));
                    std::iter::once(self.permitted(&needs))
                        .chain(denied)
                        .collect()
                }
                None => vec![self.vaults.judge(meant, self.oid)],
            },
            Plane::Logs | Plane::Blob => vec![Finding::new(
                "permissions",
                Verdict::Unknown,
                "what the data plane lets the caller do is known to it alone",
            )],
        };
        Judged { meant, findings }
    }

    fn on_arm(&self, meant: &Meant) -> Vec<Finding> {
        let needs = meant.needs();
        let mut found = vec![self.permitted(&needs)];
        for need in &needs {
            found.extend(self.denied(need));
        }
        if let Some(lock) = locks::of(&self.locks, &meant.method, &meant.path) {
            let text = format!(
                "the {} lock {} at {} refuses it with ScopeLocked, whoever asks; remove the lock only if whoever set it agrees, and set it again afterwards",
                lock.level, lock.name, lock.scope
            );
            let next = format!("az lock delete --ids {}", lock.id);
            found.push(
                Finding::new("locks", Verdict::Fail, text)
                    .at(&lock.id)
                    .then(next),
            );
        }
        found.extend(self.policies.get(&meant.path).map(of_policy));
        found
    }

    /// Judges whether the caller holds what a write asks for.
    fn permitted(&self, needs: &[Need]) -> Finding {
        if needs.is_empty() {
            return Finding::new(
                "permissions",
                Verdict::Unknown,
                "which action it is cannot be told",
            );
        }
        // By scope, in the order of what is asked: the write itself comes first.
        let mut missing: Vec<(String, Vec<String>)> = Vec::new();
        let mut unknown = None;
        for need in needs {
            let scope = place::container(&need.path).unwrap_or_else(|| need.path.clone());
            match self.rights.held(need) {
                Held::Yes => {}
                Held::No => {
                    let known = missing
                        .iter_mut()
                        .find(|(known, _)| known.eq_ignore_ascii_case(&scope));
                    match known {
                        Some((_, actions)) => actions.push(need.action.clone()),
                        None => missing.push((scope, vec![need.action.clone()])),
                    }
                }
                Held::Unknown(why) => {
                    unknown = unknown.or(Some(format!("{} at {scope}: {why}", need.action)));
                }
            }
        }
        if !missing.is_empty() {
            return Finding::lacking(&missing, self.oid);
        }
        if let Some(why) = unknown {
            return Finding::new("permissions", Verdict::Unknown, why);
        }
        let actions: Vec<&str> = needs.iter().map(|need| need.action.as_str()).collect();
        let text = format!("holds {}", actions.join(", "));
        Finding::new("permissions", Verdict::Pass, text)
    }

    fn denied(&self, need: &Need) -> Option<Finding> {
        let what = "deny assignments";
        Some(match denials::of(&self.denials, need, self.oid)? {
            Denied::Yes { name, id } => {
                let text = format!(
                    "the deny assignment {name} forbids {}, whatever role is held; only who made it (a managed application, a deployment stack) can leave the caller out",
                    need.action
                );
                let mut finding = Finding::new(what, Verdict::Fail, text);
                finding.missing = vec![need.action.clone()];
                finding.at(&id).then(format!(
                    "az rest --method get --url \"{id}?api-version=2022-04-01\""
                ))
            }
            Denied::Perhaps { name, id } => {
                let text = format!(
                    "the deny assignment {name} forbids {} to a group or spares one, and whether the caller is in it is not known",
                    need.action
                );
                Finding::new(what, Verdict::Unknown, text).at(&id)
            }
        })
    }
}

fn of_policy(judged: &policy::Judged) -> Finding {
    let what = "policy";
    match judged {
        policy::Judged::Allowed => Finding::new(what, Verdict::Pass, "no policy denies it"),
        policy::Judged::Unknown(why) => Finding::new(what, Verdict::Unknown, why),
        policy::Judged::Refused(ids) => {
            let first = ids.first().cloned().unwrap_or_default();
            let text = format!(
                "policy denies it: {}; Resource Manager would answer 403 RequestDisallowedByPolicy",
                ids.join(", ")
            );
            let next = format!(
                "az policy exemption create --name azir --exemption-category Waiver --policy-assignment {first}"
            );
            Finding::new(what, Verdict::Fail, text)
                .at(&first)
                .then(next)
        }
    }
}

/// Says where locks or deny assignments could not be read.
fn unread(what: &str, listed: &Listed) -> Vec<Preflight> {
    let unread = listed.unread().map(|(subscription, why)| {
        let text = format!("those of {subscription} cannot be read ({why}), so nobody knows whether one stands in the way");
        Preflight::new(what, Verdict::Unknown, text).at(subscription)
    });
    unread.collect()
}
