//! A judged drill for people: one page that needs nothing else, runs no script, and prints; it looks as the report of a
//! run does, and says DRILL first and on every sheet.

/// Writes to the page; writing to a String cannot fail.
macro_rules! put {
    ($page:expr, $($arg:tt)*) => { let _ = writeln!($page.html, $($arg)*); };
}

mod tables;

use std::fmt::Write as _;

use super::report::DrillReport;
use super::span;
use super::trend;
use super::verdict::{By, Place, Reached, Verdict};
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
