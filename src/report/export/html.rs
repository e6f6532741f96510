//! The report for people: one page that needs nothing else, runs no script, and prints.
//!
//! A strict content policy stands in the page itself, the style is allowed by its hash alone, and every text from
//! the journal is escaped: names in a tenant under attack are the attacker's to write.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use super::ExportError;
use super::header::Header;
use super::markup::{escaped, head};
use super::picture::picture;
use super::tables::Tables;
use crate::ids::ArmId;
use crate::journal::verify::{Level, Outside, Report, verify};
use crate::report::by_hand;
use crate::report::model::RunReport;
use crate::report::run::told;

/// How the pages look.
pub(crate) const STYLE: &str = include_str!("page.css");

/// Writes the page. `made` is when, in words for the foot of the page.
///
/// # Errors
/// A journal that cannot be read; an output that cannot be written.
pub fn page(
    run_dir: &Path,
    outside: &Outside,
    made: &str,
    to: &mut impl Write,
) -> Result<(), ExportError> {
    let header = Header::read(run_dir)?;
    let report = told(run_dir)?;
    let verdict = verify(run_dir, outside);
    let tables = Tables::read(run_dir)?;
    let mut page = Page {
        html: String::new(),
        header: &header,
        report: &report,
        verdict: &verdict,
        tables: &tables,
    };
    page.head();
    page.facts();
    page.verdict();
    page.section("Timeline", &picture(&report));
    page.targets();
    page.lists();
    page.persons();
    page.exhibits();
    page.vouching();
    page.findings();
    page.entries();
    page.by_hand(run_dir, outside);
    page.foot(made);
    to.write_all(page.html.as_bytes())
        .and_then(|()| to.flush())
        .map_err(ExportError::Write)
}

struct Page<'a> {
    html: String,
    header: &'a Header,
    report: &'a RunReport,
    verdict: &'a Report,
    tables: &'a Tables,
}

/// Writes to the page; writing to a String cannot fail.
macro_rules! put {
    ($page:expr, $($arg:tt)*) => { let _ = writeln!($page.html, $($arg)*); };
}

impl Page<'_> {
    fn head(&mut self) {
        let title = format!(
            "{}{}: {} {}",
            self.header.mark(),
            self.report.incident,
            self.report.runbook.name,
            self.report.run
        );
        put!(self, "{}", head(&title, STYLE));
        if let Some(warning) = self.header.warning() {
            put!(self, "<p class=mark>{}</p>", self.header.mark());
            put!(self, "<p class=warning>{}</p>", escaped(warning));
        }
        put!(
            self,
            "<h1>{}{}: {}</h1>",
            self.header.mark(),
            escaped(&self.report.incident),
            escaped(&self.report.runbook.name)
        );
    }

    fn facts(&mut self) {
        let header = self.header;
        let report = self.report;
        let or = |text: String, none: &str| {
            if text.is_empty() {
                none.to_owned()
            } else {
                text
            }
        };
        let time =
            |time: &Option<String>| time.clone().unwrap_or_else(|| "not on record".to_owned());
        let deadline = report.deadline.map_or("none".to_owned(), |deadline| {
            let kept = match deadline.kept {
                Some(true) => "kept",
                Some(false) => "not kept",
                None => "nobody can tell yet",
            };
            format!("{} s, {kept}", deadline.seconds)
        });
        let status = serde_json::to_value(report.status).unwrap_or_default();
        let facts = [
            (
                "Status",
                status.as_str().unwrap_or_default().replace('_', " "),
            ),
            ("Run", report.run.clone()),
            ("Mode", report.mode.clone()),
            (
                "Runbook",
                format!(
                    "{} {}, SHA-256 {}",
                    report.runbook.name, report.runbook.version, report.runbook.digest
                ),
            ),
            ("Responder", header.word("responder/upn")),
            (
                "Authority",
                or(header.word("authority/basis"), "none on record"),
            ),
            (
                "Ticket",
                or(header.word("authority/ticket"), "none on record"),
            ),
            (
                "Granted by",
                or(header.word("authority/granted_by"), "nobody on record"),
            ),
            ("Cloud", header.word("cloud")),
            ("Tenant", header.word("tenant")),
            (
                "Acted as",
                or(header.word("principal/oid"), "not on record"),
            ),
            ("Detected", time(&report.detected_at)),
            ("Started", time(&report.started_at)),
            ("Contained", time(&report.contained_at)),
            ("Ended", time(&report.finished_at)),
            ("Deadline", deadline),
        ];
        put!(self, "<dl>");
        for (name, value) in facts {
            put!(self, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
        }
        put!(self, "</dl>");
    }

    fn verdict(&mut self) {
        let verdict = self.verdict;
        let (class, words) = match verdict.exit_code {
            0 => ("good", "The record verifies and is anchored outside."),
            1 => (
                "bad",
                "THE RECORD DOES NOT VERIFY: it was changed, damaged, or not made by azir.",
            ),
            2 => (
                "",
                "The record verifies. It is not anchored: see below for what is missing.",
            ),
            3 => (
                "",
                "The record verifies up to a torn end, as a crash leaves it.",
            ),
            _ => ("bad", "The record cannot be read."),
        };
        let since = match &verdict.unchanged_since {
            _ if matches!(verdict.exit_code, 1 | 4) => {
                "Nothing can be said of what was unchanged since when.".to_owned()
            }
            Some(since) => format!(
                "The first {} of {} entries are unchanged since {}, when a time-stamp authority under the roots given stamped them.",
                since.size, verdict.entries, since.time
            ),
            None => "Unchanged since the checkpoint that you hold; no stamp that was verified says when that was.".to_owned(),
        };
        put!(self, "<h2>What the record proves, and what not</h2>");
        put!(
            self,
            "<div class=\"verdict {class}\"><p><strong>{words}</strong> {} entries, {} requests without a known outcome.</p><p>{}</p></div>",
            verdict.entries,
            verdict.open_intents,
            escaped(&since)
        );
        put!(
            self,
            "<ul><li>The chain proves <em>unchanged since</em>, never <em>true when written</em>.</li><li>It cannot detect somebody who holds every key, nor a record cut back to before its last anchor outside.</li><li>This page is a telling of the record and no part of it: where they differ, the record counts.</li></ul>"
        );
    }

    fn section(&mut self, title: &str, html: &str) {
        if !html.is_empty() {
            put!(self, "<h2>{title}</h2>\n{html}");
        }
    }

    fn table(&mut self, title: &str, heads: &[&str], rows: &str, none: &str) {
        if rows.is_empty() {
            self.section(title, &format!("<p>{none}</p>"));
            return;
        }
        let heads = heads.join("</th><th>");
        self.section(
            title,
            &format!(
                "<table><thead><tr><th>{heads}</th></tr></thead><tbody>\n{rows}</tbody></table>"
            ),
        );
    }

    fn targets(&mut self) {
        let mut rows = String::new();
        for target in &self.report.targets {
            let error = target.error.as_ref().map_or(String::new(), |error| {
                format!("<br><span class=bad>{}</span>", escaped(&error.message))
            });
            if target.steps.is_empty() {
                let name = escaped(ArmId::name_of(&target.target));
                let _ = writeln!(
                    rows,
                    "<tr><td>{name}{error}</td><td colspan=4>no step was taken</td></tr>"
                );
            }
            for (at, step) in target.steps.iter().enumerate() {
                let name = if at == 0 {
                    format!(
                        "<td rowspan={}>{}{error}</td>",
                        target.steps.len(),
                        escaped(ArmId::name_of(&target.target))
                    )
                } else {
                    String::new()
                };
                let status = serde_json::to_value(step.status).unwrap_or_default();
                let check = step.check.as_ref().map_or(String::new(), |check| {
                    let holds = match check.holds {
                        Some(true) => "holds",
                        Some(false) => "<span class=bad>FALSE</span>",
                        None => "<span class=bad>unknown</span>",
                    };
                    format!("{}: {holds}", escaped(&check.claim))
                });
                let _ = writeln!(
                    rows,
                    "<tr>{name}<td>{}</td><td class=s>{}</td><td>{check}</td><td>{}</td></tr>",
                    escaped(&step.title),
                    escaped(status.as_str().unwrap_or_default()),
                    step.requests
                );
            }
        }
        self.table(
            "Targets and steps",
            &["Target", "Step", "Status", "Read back", "Requests"],
            &rows,
            "No step was begun.",
        );
    }

    fn lists(&mut self) {
        let report = self.report;
        let residual = report.residual.iter().map(|residual| {
            let until = residual
                .until
                .as_ref()
                .map(|until| format!(" (until {until})"));
            format!("{}{}", residual.what, until.unwrap_or_default())
        });
        let not_done = report
            .not_done
            .iter()
            .map(|left| format!("{}: {}; next: {}", left.step, left.why, left.next));
        let made = report
            .made
            .iter()
            .map(|made| format!("{}: {}", made.resource, made.why));
        let gaps = report.gaps.iter().map(|gap| gap.what.clone());
        let gaps: Vec<String> = gaps.chain(self.tables.gaps.iter().cloned()).collect();
        let findings = report.findings.iter().map(|finding| {
            let item = finding.item.as_deref();
            let item = item.map(|item| format!(" ({item})")).unwrap_or_default();
            format!("{}: {}{item}", finding.severity, finding.what)
        });
        self.list("Findings", findings.collect(), None);
        self.list("Stays open", residual.collect(), None);
        self.list("Left undone", not_done.collect(), None);
        self.list("Touches also", report.collateral.clone(), None);
        self.list("Made, and stays", made.collect(), None);
        self.list("Gaps in evidence and checks", gaps, Some("None on record."));
    }

    fn list(&mut self, title: &str, items: Vec<String>, none: Option<&str>) {
        if items.is_empty() {
            if let Some(none) = none {
                self.section(title, &format!("<p>{none}</p>"));
            }
            return;
        }
        let items: Vec<String> = items.iter().map(|item| escaped(item)).collect();
        let items = items.join("</li>\n<li>");
        self.section(title, &format!("<ul><li>{items}</li></ul>"));
    }

    fn persons(&mut self) {
        let tables = self.tables;
        self.table(
            "Decisions, work by hand, hand-overs",
            &["Entry", "Time (UTC)", "Who", "Question or task", "Answer"],
            &tables.persons,
            "None on record.",
        );
    }

    fn exhibits(&mut self) {
        let tables = self.tables;
        self.table(
            "Exhibits",
            &["Exhibit", "Name", "Bytes", "SHA-256", "Stored"],
            &tables.exhibits,
            "None were collected.",
        );
    }

    fn vouching(&mut self) {
        let mut rows = String::new();
        for vouching in &self.verdict.vouched {
            let person = |name: &Option<String>| escaped(name.as_deref().unwrap_or("nobody"));
            let stamps: Vec<String> = vouching
                .stamps
                .iter()
                .map(|stamp| {
                    let judged = if stamp.verified {
                        "verified"
                    } else {
                        "not judged"
                    };
                    format!("{} ({judged})", escaped(&stamp.time))
                })
                .collect();
            let _ = writeln!(
                rows,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                vouching.number,
                vouching.size,
                person(&vouching.responder),
                person(&vouching.second),
                stamps.join("<br>")
            );
        }
        self.table(
            "Signatures and time stamps",
            &["Checkpoint", "Entries", "Responder", "Second person", "Stamped"],
            &rows,
            "UNSIGNED BY A PERSON, NOT STAMPED: each checkpoint bears its session's signature alone.",
        );
        let anchors = self.tables.anchors.clone();
        let none = match self.verdict.anchored_to {
            Some(size) => format!("A checkpoint over {size} entries was handed in from outside."),
            None => {
                "UNANCHORED: no entry tells of a copy outside, and none was handed in.".to_owned()
            }
        };
        self.table(
            "Anchors outside, as the entries tell of them",
            &["Time (UTC)", "Kind", "Checkpoint", "Receipt"],
            &anchors,
            &none,
        );
    }

    fn findings(&mut self) {
        let mut rows = String::new();
        for finding in &self.verdict.findings {
            let level = match finding.level {
                Level::Note => "note",
                Level::Gap => "gap",
                Level::Torn => "torn",
                Level::Error => "<span class=bad>ERROR</span>",
            };
            let line = finding
                .line
                .map(|line| format!(":{line}"))
                .unwrap_or_default();
            let _ = writeln!(
                rows,
                "<tr><td>{level}</td><td>{}{line}</td><td>{}<br>{}</td></tr>",
                escaped(&finding.file),
                escaped(&finding.text),
                escaped(finding.meaning)
            );
        }
        self.table(
            "What verifying found",
            &["Level", "Where", "What, and what it means"],
            &rows,
            "Nothing.",
        );
    }

    fn entries(&mut self) {
        let tables = self.tables;
        self.table(
            "Entries",
            &["Entry", "Time (UTC)", "Type", "Who", "What"],
            &tables.entries,
            "None.",
        );
        let counts: Vec<String> = tables
            .counts
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        put!(
            self,
            "<p>All entries: {}. Of the requests {} were reads; they and their good answers are in the journal and not listed here.</p>",
            escaped(&counts.join(", ")),
            tables.reads
        );
        if tables.left_out > 0 {
            put!(
                self,
                "<p class=bad>{} further entries are in the journal and not listed here.</p>",
                tables.left_out
            );
        }
    }

    fn by_hand(&mut self, run_dir: &Path, outside: &Outside) {
        let lines = by_hand::lines(run_dir, outside, self.verdict);
        if lines.is_empty() {
            return;
        }
        put!(
            self,
            "<h2>Check it without azir</h2>\n<p>Each line works in a shell on the machine where this page was made; elsewhere the paths differ.</p>"
        );
        for line in lines {
            put!(
                self,
                "<p>{}</p><pre>{}</pre>",
                escaped(&line.what),
                escaped(&line.line)
            );
        }
    }

    fn foot(&mut self, made: &str) {
        put!(
            self,
            "<footer><p>{}Made {} by azir {} from record {}, head {}.</p></footer>\n</body>\n</html>",
            self.header.mark(),
            escaped(made),
            env!("CARGO_PKG_VERSION"),
            escaped(&self.header.word("origin")),
            escaped(&self.report.journal.head)
        );
    }
}
