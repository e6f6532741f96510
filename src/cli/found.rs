//! What a run found out, in the lines of its summary.

use super::summary::whose;
use crate::report::model::RunReport;

/// Findings that a person can take in at once; the exhibit and the JSON have them all.
const MOST: usize = 40;

/// Returns the head, which counts them, and a line for each finding, the worst first.
pub(super) fn told(report: &RunReport) -> (String, Vec<String>) {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for finding in &report.findings {
        let known = counts
            .iter_mut()
            .find(|(word, _)| *word == finding.severity);
        match known {
            Some((_, number)) => *number += 1,
            None => counts.push((&finding.severity, 1)),
        }
    }
    let lines = report.findings.iter().take(MOST).map(|finding| {
        let whose = whose(report, &finding.targets, &finding.what);
        let item = finding.item.as_ref();
        let item = item.filter(|item| !finding.what.contains(*item));
        let item = item.map(|item| format!(" ({item})")).unwrap_or_default();
        format!("{}: {whose}{}{item}", finding.severity, finding.what)
    });
    let mut lines: Vec<String> = lines.collect();
    let more = report.findings.len().saturating_sub(MOST);
    if more > 0 {
        lines.push(format!("and {more} more, in the exhibit of findings"));
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(word, number)| format!("{number} {word}"))
        .collect();
    (format!("Found: {}", counts.join(", ")), lines)
}
