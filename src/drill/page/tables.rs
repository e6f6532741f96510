//! The tables of a drill's page: the score line by line, the findings, the steps, the runs.

use std::fmt::Write as _;

use super::Page;
use crate::drill::findings::{Change, Finding};
use crate::drill::picture::{bar, whole};
use crate::drill::span;
use crate::drill::verdict::Line;
use crate::report::export::markup::escaped;

impl Page<'_> {
    pub(super) fn score(&mut self) {
        let mut rows = String::new();
        for line in &self.verdict.lines {
            let (class, word) = holds(line);
            let since = line.at.map(|at| {
                let after = (at - self.verdict.emitted_at).num_milliseconds() as f64 / 1e3;
                if after < 0.0 {
                    "before the finding".to_owned()
                } else {
                    format!("after {}", span::told(after))
                }
            });
            row(
                &mut rows,
                &[
                    ("t", "Part", line.part.word().to_owned()),
                    ("", "Claim", line_cell(line)),
                    ("t", "Holds", format!("<span class={class}>{word}</span>")),
                    ("t", "Since", since.unwrap_or_default()),
                    ("n", "Points", format!("{} of {}", line.points, line.of)),
                ],
            );
        }
        let verdict = self.verdict;
        put!(
            self,
            "<h2>Score, line by line</h2>\n<p>{} of {} points. The judge read the tenant, not the words of those who acted; where it could not tell, no points were given.</p>",
            verdict.points,
            verdict.of
        );
        self.table(
            &["Part", "Claim", "Holds", "Since", "Points"],
            &rows,
            "",
            "Nothing was judged.",
        );
    }

    pub(super) fn findings(&mut self) {
        let drill = &self.verdict.drill;
        let findings = &self.report.findings;
        let (open, closed): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| finding.open);
        put!(self, "<h2>Open findings of the scenario</h2>");
        let mut rows = String::new();
        for finding in &open {
            let due = if finding.overdue {
                format!("<span class=bad>{} OVERDUE</span>", finding.due)
            } else {
                finding.due.to_string()
            };
            let why = match finding.why.as_str() {
                "" => String::new(),
                why => format!("<br><span class=small>{}</span>", escaped(why)),
            };
            let owner = if finding.assigned {
                escaped(&finding.owner)
            } else {
                format!("{}, by default", escaped(&finding.owner))
            };
            row(
                &mut rows,
                &[
                    ("", "Finding", escaped(&finding.id)),
                    (
                        "",
                        "What should be so",
                        format!("{}{why}", escaped(&finding.claim)),
                    ),
                    ("w", "Owner", owner),
                    ("t", "Until", due),
                    ("", "So far", escaped(&turns(finding))),
                ],
            );
        }
        let none = "None: every line that ever failed was passed by a later drill.";
        self.table(
            &["Finding", "What should be so", "Owner", "Until", "So far"],
            &rows,
            "",
            none,
        );
        let by_this = closed.iter().filter(|finding| {
            let last = finding.turns.last();
            last.is_some_and(|turn| turn.what == Change::Closed && turn.drill == *drill)
        });
        let by_this: Vec<String> = by_this
            .map(|finding| {
                format!(
                    "<li>{}: {}</li>",
                    escaped(&finding.id),
                    escaped(&finding.claim)
                )
            })
            .collect();
        if !by_this.is_empty() {
            put!(
                self,
                "<p class=good>Closed by this drill:</p><ul>{}</ul>",
                by_this.join("\n")
            );
        }
    }

    pub(super) fn steps(&mut self) {
        let verdict = self.verdict;
        let whole = whole(verdict);
        let mut rows = String::new();
        for step in &verdict.steps {
            let run = verdict.runs.iter().find(|run| run.run == step.run);
            let undo = run.is_some_and(|run| run.mode == "undo");
            let undo = if undo { "undo of " } else { "" };
            row(
                &mut rows,
                &[
                    (
                        "",
                        "Step",
                        format!(
                            "{}<br><span class=small>{undo}{}: {}</span>",
                            escaped(&step.title),
                            escaped(&step.runbook),
                            escaped(&step.step)
                        ),
                    ),
                    ("", "Status", escaped(&step.status)),
                    ("n", "Began after", span::told(step.began_seconds)),
                    ("n", "Took", span::told(step.seconds)),
                    ("bar", "", bar(step, verdict, whole)),
                ],
            );
        }
        put!(self, "<h2>Steps</h2>");
        if !rows.is_empty() {
            put!(
                self,
                "<p class=small>The bars run from the finding to {} after it. The full line is containment, the dashed one its deadline.</p>",
                span::told(whole)
            );
        }
        self.table(
            &[
                "Step",
                "Status",
                "Began after",
                "Took",
                "From the finding on",
            ],
            &rows,
            " class=steps",
            "No run of azir belongs to this drill.",
        );
    }

    pub(super) fn runs(&mut self) {
        let mut rows = String::new();
        for run in &self.verdict.runs {
            let (class, verified) = if run.verified {
                ("good", "verifies")
            } else {
                ("bad", "DOES NOT VERIFY")
            };
            let undo = if run.mode == "undo" { "undo of " } else { "" };
            row(
                &mut rows,
                &[
                    ("", "Run", escaped(&run.run)),
                    ("", "Runbook", format!("{undo}{}", escaped(&run.runbook))),
                    ("w", "Status", escaped(&run.status.replace('_', " "))),
                    (
                        "t",
                        "Record when judged",
                        format!("<span class={class}>{verified}</span>"),
                    ),
                    ("", "Head", format!("<code>{}</code>", escaped(&run.head))),
                ],
            );
        }
        put!(self, "<h2>Runs</h2>");
        self.table(
            &["Run", "Runbook", "Status", "Record when judged", "Head"],
            &rows,
            "",
            "None: whatever was done, was done without azir.",
        );
    }

    fn table(&mut self, heads: &[&str], rows: &str, class: &str, none: &str) {
        if rows.is_empty() {
            put!(self, "<p>{none}</p>");
            return;
        }
        put!(
            self,
            "<table{class}><thead><tr><th>{}</th></tr></thead><tbody>\n{rows}</tbody></table>",
            heads.join("</th><th>")
        );
    }
}

fn holds(line: &Line) -> (&'static str, &'static str) {
    match line.holds {
        Some(true) => ("good", "yes"),
        Some(false) => ("bad", "NO"),
        None => ("bad", "nobody can tell"),
    }
}

fn line_cell(line: &Line) -> String {
    let claim = escaped(&line.claim);
    match line.why.as_str() {
        "" => claim,
        why => format!("{claim}<br><span class=bad>{}</span>", escaped(why)),
    }
}

fn turns(finding: &Finding) -> String {
    let each = finding.turns.iter().map(|turn| {
        let day = turn.time.format("%Y-%m-%d");
        format!("{} {day} by {}", turn.what.word(), turn.drill)
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Writes a row; each cell names its column too, for a screen that has no room for columns.
fn row(rows: &mut String, cells: &[(&str, &str, String)]) {
    rows.push_str("<tr>");
    for (class, head, html) in cells {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class={class}")
        };
        let head = if head.is_empty() {
            String::new()
        } else {
            format!(" data-head=\"{head}\"")
        };
        let _ = write!(rows, "<td{class}{head}>{html}</td>");
    }
    rows.push_str("</tr>\n");
}
