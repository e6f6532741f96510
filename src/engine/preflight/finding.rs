//! What a look found about one write, and how the findings about many become answers that a person can read.

use super::meant::Meant;
use crate::engine::plan::{Preflight, Verdict};
use crate::runbook::built_in::smallest;

/// What one look found about one write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    /// Why, less who and what next.
    pub(super) text: String,
    pub(super) missing: Vec<String>,
    pub(super) role: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) next: Option<String>,
}

impl Finding {
    pub(super) fn new(what: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            what,
            verdict,
            text: text.into(),
            missing: Vec::new(),
            role: None,
            scope: None,
            next: None,
        }
    }

    pub(super) fn at(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    pub(super) fn then(mut self, next: String) -> Self {
        self.next = Some(next);
        self
    }

    /// Says what is missing at each scope, and the smallest built-in roles that would give it to `oid`.
    pub(super) fn lacking(missing: &[(String, Vec<String>)], oid: &str) -> Self {
        let told: Vec<String> = missing
            .iter()
            .map(|(scope, actions)| format!("{} is missing at {scope}", actions.join(", ")))
            .collect();
        let text = format!(
            "{}: Resource Manager would answer 403 AuthorizationFailed",
            told.join(", and ")
        );
        let next: Vec<String> = missing
            .iter()
            .map(|(scope, actions)| assign(actions, scope, oid))
            .collect();
        let (scope, actions) = missing.first().cloned().unwrap_or_default();
        Self {
            missing: missing.iter().flat_map(|(_, all)| all).cloned().collect(),
            role: smallest(&actions).map(|role| role.name.to_owned()),
            ..Self::new("permissions", Verdict::Fail, text)
                .at(&scope)
                .then(next.join(" && "))
        }
    }
}

/// Returns what is typed to be given actions: the smallest built-in role, or else a look for one.
fn assign(actions: &[String], scope: &str, oid: &str) -> String {
    match smallest(actions) {
        Some(role) => format!(
            "az role assignment create --role \"{}\" --assignee {oid} --scope {scope}",
            role.name
        ),
        None => format!(
            "az role definition list --query \"[?contains(to_string(permissions), '{}')].roleName\"",
            actions.first().map_or("", String::as_str)
        ),
    }
}

/// A write with what was found about it.
pub(super) struct Judged<'m> {
    pub(super) meant: &'m Meant,
    pub(super) findings: Vec<Finding>,
}

impl Judged<'_> {
    /// Whether it would be refused, and that is certain.
    pub(super) fn fails(&self) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.verdict == Verdict::Fail)
    }
}

/// Returns the answers, one for each step and finding: what is the same for many targets is said once.
pub(super) fn answers(
    judged: &[Judged<'_>],
    then: &dyn Fn(usize) -> &'static str,
) -> Vec<Preflight> {
    let mut merged: Vec<(&Meant, &Finding, Vec<&str>)> = Vec::new();
    for one in judged {
        for finding in &one.findings {
            let known = merged
                .iter_mut()
                .find(|(meant, known, _)| meant.step == one.meant.step && *known == finding);
            let target = one.meant.target.as_str();
            match known {
                Some((_, _, targets)) if targets.contains(&target) => {}
                Some((_, _, targets)) => targets.push(target),
                None => merged.push((one.meant, finding, vec![target])),
            }
        }
    }
    merged
        .into_iter()
        .map(|(meant, finding, targets)| answer(meant, finding, &targets, then(meant.node)))
        .collect()
}

fn answer(meant: &Meant, finding: &Finding, targets: &[&str], then: &str) -> Preflight {
    let mut text = format!("step {}: {}", meant.step, finding.text);
    if targets.len() > 1 {
        text.push_str(&format!(" (for {} targets)", targets.len()));
    }
    if finding.verdict == Verdict::Fail {
        text.push_str(then);
    }
    if let Some(next) = &finding.next {
        text.push_str(&format!("; {next}"));
    }
    Preflight {
        target: match targets {
            [only] => Some((*only).to_owned()),
            _ => None,
        },
        step: Some(meant.step.clone()),
        missing: finding.missing.clone(),
        role: finding.role.clone(),
        scope: finding.scope.clone(),
        next: finding.next.clone(),
        ..Preflight::new(finding.what, finding.verdict, text)
    }
}
