//! A judged drill for people: one page that needs nothing else, runs no script, and prints; it looks as the report of a
//! run does, and says DRILL first and on every sheet.

use std::fmt::Write as _;

use super::findings::{Change, Finding};
use super::picture::{bar, whole};
use super::report::DrillReport;
use super::span;
use super::trend;
use super::verdict::{By, Line, Place, Reached, Verdict};
use crate::clock::seconds;
use crate::report::export::header::warning;
use crate::report::export::html::STYLE;
use crate::report::export::markup::{escaped, head};

/// Returns the page. `made` is when, in words for its foot.
pub fn page(report: &DrillReport, made: &str) -> String {
    let mut page = Page {
        html: String::new(),
        report,
        verdict: &report.verdict,
    };
    page.head();
    page.tiles();
    page.facts();
    page.told();
    page.score();
    page.findings();
    page.steps();
    page.trend();
    page.planted();
    page.runs();
    page.foot(made);
    page.html
}

struct Page<'a> {
    html: String,
    report: &'a DrillReport,
    verdict: &'a Verdict,
}

/// Writes to the page; writing to a String cannot fail.
macro_rules! put {
    ($page:expr, $($arg:tt)*) => { let _ = writeln!($page.html, $($arg)*); };
}

impl Page<'_> {
    fn head(&mut self) {
        let verdict = self.verdict;
        let title = format!(
            "{} {}: {} {}",
            self.report.mark, verdict.drill, verdict.scenario.name, verdict.scenario.title
        );
        let style = format!("{STYLE}{}", include_str!("page.css"));
        let warning = warning(true, verdict.place == Place::Lab).unwrap_or_default();
        put!(self, "{}", head(&title, &style));
        put!(self, "<p class=mark>{}</p>", self.report.mark);
        put!(self, "<p class=warning>{warning}</p>");
        put!(
            self,
            "<h1>{} {}: {}</h1>",
            self.report.mark,
            escaped(&verdict.scenario.name),
            escaped(&verdict.scenario.title)
        );
    }

    fn tiles(&mut self) {
        let verdict = self.verdict;
        let missed = verdict.missed().count();
        let lines = verdict.lines.len();
        let (class, word) = if verdict.passed {
            ("good", "Passed")
        } else {
            ("bad", "Not passed")
        };
        put!(self, "<div class=tiles>");
        self.tile(
            class,
            "Result",
            word,
            &match missed {
                0 => format!("all {lines} lines hold"),
                missed => format!("{missed} of {lines} lines do not hold"),
            },
        );
        self.tile(
            class,
            "Score",
            &format!("{} of 100", verdict.score),
            &format!("{} of {} points", verdict.points, verdict.of),
        );
        self.reached("Time to contain", &verdict.contained);
        self.reached("Time to eradicate", &verdict.eradicated);
        put!(self, "</div>");
    }

    fn reached(&mut self, what: &str, reached: &Reached) {
        let deadline = span::told(reached.deadline_seconds as f64);
        let big = match reached.seconds {
            Some(seconds) if reached.at_latest => format!("≤ {}", span::told(seconds)),
            Some(seconds) => span::told(seconds),
            None => "never".to_owned(),
        };
        let (class, kept) = if reached.kept {
            ("good", "kept")
        } else {
            ("bad", "MISSED")
        };
        self.tile(class, what, &big, &format!("deadline {deadline}, {kept}"));
    }

    fn tile(&mut self, class: &str, what: &str, big: &str, small: &str) {
        put!(
            self,
            "<div class=\"tile {class}\"><p>{what}</p><p class=big>{}</p><p>{}</p></div>",
            escaped(big),
            escaped(small)
        );
    }

    fn facts(&mut self) {
        let (verdict, begun) = (self.verdict, &self.report.begun);
        let by = match verdict.by {
            By::People => "people, with the ordinary commands",
            By::Auto => "azir alone (--auto); nobody was taught by it",
        };
        let place = match verdict.place {
            Place::Lab => "the lab, a simulated tenant",
            Place::Tabletop => "a subscription for exercises",
        };
        let nobody = || "nobody on record".to_owned();
        let participants = match verdict.participants.as_slice() {
            [] => nobody(),
            names => names.join(", "),
        };
        let facts = [
            ("Drill", verdict.drill.clone()),
            (
                "Scenario",
                format!(
                    "{} {}, SHA-256 {}",
                    verdict.scenario.name, verdict.scenario.version, verdict.scenario.digest
                ),
            ),
            ("Place", place.to_owned()),
            ("Answered by", by.to_owned()),
            ("Took part", participants),
            ("Observer", verdict.observer.clone().unwrap_or_else(nobody)),
            ("Begun", seconds(begun.at)),
            ("Finding told", seconds(verdict.emitted_at)),
            ("Judged", seconds(verdict.judged_at)),
            (
                "Blind",
                if begun.blind {
                    "yes: what was planted was hidden while it ran"
                } else {
                    "no"
                }
                .to_owned(),
            ),
            ("Cloud", begun.cloud.clone()),
            ("Tenant", begun.tenant.clone()),
            ("Profile", begun.profile.clone()),
        ];
        put!(self, "<dl>");
        for (name, value) in facts {
            put!(self, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
        }
        put!(self, "</dl>");
    }

    fn told(&mut self) {
        let Some(told) = &self.report.told else {
            return;
        };
        put!(
            self,
            "<h2>What was told when the clock started</h2>\n<div class=finding><p class=small>DRILL: {}, severity {}</p><p><strong>{}</strong></p><pre>{}</pre></div>",
            escaped(&told.source),
            escaped(&told.severity),
            escaped(&told.title),
            escaped(told.text.trim())
        );
    }

    fn score(&mut self) {
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

    fn findings(&mut self) {
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
                    ("", "Owner", owner),
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

    fn steps(&mut self) {
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
                    ("t", "Status", escaped(&step.status)),
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

    fn trend(&mut self) {
        let pictures = trend::pictures(&self.report.history);
        if pictures.is_empty() {
            return;
        }
        put!(
            self,
            "<h2>Trend</h2>\n<p class=small>Means are of the drills in which it was reached. People and azir alone are never counted together, nor the lab and a tabletop subscription.</p>\n<div class=trends>\n{}</div>",
            pictures.concat()
        );
    }

    fn planted(&mut self) {
        let report = self.report;
        let left: Vec<String> = report
            .left
            .iter()
            .map(|left| format!("{}: {}", left.id, left.why))
            .collect();
        self.list("What was planted", &report.planted);
        self.list("What stays after the drill", &left);
        self.list("What could not be told", &report.gaps);
    }

    fn list(&mut self, title: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        let items: Vec<String> = items.iter().map(|item| escaped(item)).collect();
        put!(
            self,
            "<h2>{title}</h2>\n<ul><li>{}</li></ul>",
            items.join("</li>\n<li>")
        );
    }

    fn runs(&mut self) {
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
                    ("t", "Status", escaped(&run.status.replace('_', " "))),
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

    fn foot(&mut self, made: &str) {
        put!(
            self,
            "<footer><p>{} Made {} by azir {}; the drill was judged by azir {}. This page is a telling of the drill's record and no part of it: where they differ, the record counts.</p></footer>\n</body>\n</html>",
            self.report.mark,
            escaped(made),
            env!("CARGO_PKG_VERSION"),
            escaped(&self.report.begun.azir)
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
