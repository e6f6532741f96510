//! What a run found out, folded from the notes of its journal.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::model::Finding;

/// How bad a finding can be, the worst first.
const SEVERITIES: [&str; 4] = ["high", "medium", "low", "info"];

/// Severity, text and item: what makes two findings the same.
pub(super) type Words = (String, String, Option<String>);

/// Adds a finding; what is found for several targets in the same words is one finding. `at` knows where each stands.
pub(super) fn add(
    findings: &mut Vec<Finding>,
    at: &mut HashMap<Words, usize>,
    data: &Map<String, Value>,
    target: Option<String>,
) {
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    let words = (
        text("severity").unwrap_or_default(),
        text("what").unwrap_or_default(),
        text("item"),
    );
    let place = *at
        .entry(words)
        .or_insert_with_key(|(severity, what, item)| {
            findings.push(Finding {
                severity: severity.clone(),
                what: what.clone(),
                item: item.clone(),
                targets: Vec::new(),
            });
            findings.len() - 1
        });
    findings[place].targets.extend(target);
}

/// Sorts the worst to the front; those that are equally bad stay as they were told.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let rank = SEVERITIES.iter().position(|word| *word == finding.severity);
        rank.unwrap_or(0)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_stands_first_and_the_same_words_for_two_targets_stand_once() {
        let mut findings = Vec::new();
        let mut at = HashMap::new();
        for (severity, what, target) in [
            ("info", "b", "one"),
            ("high", "a", "one"),
            ("high", "a", "two"),
        ] {
            let data = json!({"severity": severity, "what": what, "item": null});
            add(
                &mut findings,
                &mut at,
                data.as_object().unwrap(),
                Some(target.to_owned()),
            );
        }
        sort(&mut findings);
        let told: Vec<(&str, &[String])> = findings
            .iter()
            .map(|finding| (finding.what.as_str(), finding.targets.as_slice()))
            .collect();
        let (one, two) = ("one".to_owned(), "two".to_owned());
        assert_eq!(told, [("a", &[one.clone(), two][..]), ("b", &[one][..])]);
    }
}
