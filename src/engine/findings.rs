//! Findings: what a run found out, judged when its steps have ended, and kept as an exhibit of its own.
//!
//! A finding that cannot be judged is a named gap: silence would look like a clean answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::failure::{Failure, FailureKind};
use super::recorder::{Recorder, object};
use super::step::Item;
use super::target::Target;
use super::vault;
use crate::runbook::expr::{ExprError, Scope};
use crate::runbook::model::Finding;

/// How bad a finding can be, the worst first.
const SEVERITIES: [&str; 4] = ["high", "medium", "low", "info"];
/// Findings with a line of their own in the journal, of one target; the exhibit has them all.
const MOST_LINES: usize = 1_000;

/// One finding.
struct Found {
    severity: String,
    what: String,
    item: Option<String>,
}

impl Target<'_> {
    /// Judges what the runbook and those that it called look for, each by its own names, records it and keeps it as
    /// an exhibit; in a plan there is nothing to judge.
    pub(super) async fn say_findings(&self, taken: &[(usize, Scope)]) {
        let frames = &self.common.program.frames;
        let Some(recorder) = self.common.power.recorder() else {
            return;
        };
        let declared: Vec<(&Finding, &Scope)> = taken
            .iter()
            .flat_map(|(frame, scope)| {
                let findings = &frames[*frame].runbook.findings;
                findings.iter().map(move |finding| (finding, scope))
            })
            .collect();
        let last = self
            .common
            .program
            .nodes
            .iter()
            .rposition(|node| node.frame == 0);
        let (Some(last), false) = (last, declared.is_empty()) else {
            return;
        };
        // Of what a guard refused nothing was looked at.
        let refused = |failure: &Failure| failure.kind == FailureKind::Refused;
        if self.tally().stopped.as_ref().is_some_and(refused) {
            return;
        }
        let mut found = Vec::new();
        let mut gaps = Vec::new();
        for (finding, scope) in declared {
            if let Err(error) = self.judge(finding, scope, &mut found) {
                gaps.push(format!("not judged, so not clean: {error}"));
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|found: &Found| seen.insert((found.what.clone(), found.item.clone())));
        found.sort_by_key(|found| SEVERITIES.iter().position(|word| *word == found.severity));
        let item = Item {
            target: self,
            node: last,
            step: self.common.program.step(last),
            scope: taken[0].1.clone(),
            key: "findings".to_owned(),
        };
        if let Err(failure) = record(&item, recorder, &found, &gaps).await {
            self.tally().stopped.get_or_insert(failure);
        }
    }

    fn judge(
        &self,
        finding: &Finding,
        scope: &Scope,
        found: &mut Vec<Found>,
    ) -> Result<(), ExprError> {
        let expressions = &self.common.expressions;
        let items = match &finding.for_each {
            Some(list) => expressions.list(list, scope)?,
            None => vec![Value::Null],
        };
        for item in items {
            let mut scope = scope.clone();
            scope.set("item", &item);
            if let Some(when) = &finding.when
                && !expressions.truth(when, &scope)?
            {
                continue;
            }
            let severity = expressions.text(&finding.severity, &scope)?;
            let known = SEVERITIES.contains(&severity.as_str());
            let item = match &finding.item {
                Some(item) => Some(expressions.text(item, &scope)?),
                None => None,
            };
            found.push(Found {
                // What nobody can rate is looked at first.
                severity: if known { severity } else { "high".to_owned() },
                what: expressions.text(&finding.what, &scope)?,
                item,
            });
        }
        Ok(())
    }
}

async fn record(
    item: &Item<'_>,
    recorder: &Recorder,
    found: &[Found],
    gaps: &[String],
) -> Result<(), Failure> {
    let target = item.target;
    for gap in gaps {
        target.gap(item.node, &item.key, gap).await?;
    }
    let all: Vec<Value> = found
        .iter()
        .map(|found| json!({"severity": found.severity, "what": found.what, "item": found.item}))
        .collect();
    for line in all.iter().take(MOST_LINES) {
        let mut line = line.clone();
        line["target_index"] = json!(target.index);
        recorder.note("finding", line).await?;
    }
    if all.is_empty() {
        let text = "nothing was found of what this looks for, in what could be read";
        target.say(item.node, text).await?;
    }
    let kept = recorder.keep(&json!({"target": target.name, "findings": all, "gaps": gaps}))?;
    let stored = vault::upload(item, "findings.json", kept).await?;
    let data = object(json!({
        "step": item.id(),
        "target_index": target.index,
        "exhibit": recorder.next_exhibit(),
        "name": "findings.json",
        "description": "What was found, judged from the exhibits and reads of this run",
        "source": "azir",
        "window": null,
        "completeness": {"pages": 1, "rows": all.len(), "duplicates": 0, "redactions": 0, "gaps": gaps},
        "stored": stored,
        "sha256": kept.sha256.to_string(),
        "size": kept.size,
        "hash_origin": "local",
    }));
    recorder.durable("evidence", data).await?;
    Ok(())
}
