//! What `azir drill` says: how it began, how far it is, and what the judge found.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::out;
use super::prose::Reader;
use crate::drill::record::{Standing, State};
use crate::drill::scenario::Scenario;
use crate::drill::span;
use crate::drill::verdict::{By, Line, Place, Reached, ScenarioRef, Verdict};
use crate::runbook::expr::{Expressions, Scope};

/// A drill whose clock has just started, as `azir drill start --output json` tells it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Start {
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    drill: String,
    scenario: ScenarioRef,
    place: Place,
    by: By,
    #[schemars(with = "String")]
    emitted_at: DateTime<Utc>,
    finding: Told,
    /// What was planted; absent in a blind drill.
    planted: Option<Vec<String>>,
    contain_seconds: u64,
    eradicate_seconds: u64,
    folder: String,
    /// What to type.
    next: Vec<String>,
}

/// A finding as it is told.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Told {
    source: String,
    severity: String,
    title: String,
    text: String,
}

impl Start {
    pub(super) fn of(
        standing: &Standing,
        scenario: &Scenario,
        scope: &Scope,
        folder: &Path,
    ) -> Self {
        let begun = &standing.begun;
        let finding = &scenario.finding;
        Self {
            schema_version: 1,
            mark: out::DRILL.trim_ascii_end(),
            drill: begun.drill.clone(),
            scenario: begun.scenario.clone(),
            place: begun.place,
            by: begun.by,
            emitted_at: standing.emitted_at.unwrap_or(standing.begun_at),
            finding: Told {
                source: finding.source.clone(),
                severity: finding.severity.clone(),
                title: filled(&finding.title, scope),
                text: filled(&finding.text, scope),
            },
            planted: (!begun.blind).then(|| {
                let planted = scenario.planted.iter();
                planted.map(|text| filled(text, scope)).collect()
            }),
            contain_seconds: scenario.deadlines.contain.as_secs(),
            eradicate_seconds: scenario.deadlines.eradicate.as_secs(),
            folder: folder.display().to_string(),
            next: vec![
                format!("export AZIR_INCIDENT={}", begun.drill),
                "azir drill status".to_owned(),
                "azir drill finish".to_owned(),
            ],
        }
    }

    pub(super) fn text(&self, reader: &Reader) -> String {
        let named = format!("{} {}: ", self.scenario.name, self.scenario.version);
        let mut text = reader.wrapped(&named, &self.scenario.title);
        let finding = &self.finding;
        let _ = writeln!(
            text,
            "{}  {}, severity {}",
            reader.at(&crate::clock::seconds(self.emitted_at)),
            finding.source,
            finding.severity
        );
        text.push_str(&reader.wrapped("  ", &finding.title));
        text.push_str(&reader.wrapped("  ", finding.text.trim()));
        let _ = writeln!(
            text,
            "the clock runs: contain within {}, eradicate within {}",
            span::brief(self.contain_seconds),
            span::brief(self.eradicate_seconds)
        );
        match &self.planted {
            Some(planted) => {
                text.push_str("planted (hide it with --blind):\n");
                for one in planted {
                    text.push_str(&reader.wrapped("  - ", one));
                }
            }
            None => text.push_str("what was planted is told when it is over\n"),
        }
        let _ = write!(
            text,
            "next: {}\n      then the ordinary commands: they act {} only\n      {}, at the end",
            self.next[0],
            match self.place {
                Place::Lab => "in this drill's lab",
                Place::Tabletop => "in the tabletop subscription",
            },
            self.next[2]
        );
        text
    }
}

/// How far a drill is, as `azir drill status --output json` tells it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Status {
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    drill: String,
    scenario: ScenarioRef,
    place: Place,
    by: By,
    participants: Vec<String>,
    observer: Option<String>,
    state: String,
    #[schemars(with = "Option<String>")]
    emitted_at: Option<DateTime<Utc>>,
    elapsed_seconds: Option<f64>,
    contain_seconds: u64,
    eradicate_seconds: u64,
    /// What the tenant says of each containing and eradicating condition; absent while it is hidden.
    lines: Option<Vec<Line>>,
    /// Whether what was planted is hidden.
    blind: bool,
}

impl Status {
    pub(super) fn of(
        standing: &Standing,
        scenario: &Scenario,
        lines: Option<Vec<Line>>,
        now: DateTime<Utc>,
    ) -> Self {
        let begun = &standing.begun;
        let end = standing
            .verdict
            .as_ref()
            .map_or(now, |verdict| verdict.judged_at);
        let of_verdict = || {
            standing
                .verdict
                .as_ref()
                .map(|verdict| verdict.lines.clone())
        };
        Self {
            schema_version: 1,
            mark: out::DRILL.trim_ascii_end(),
            drill: begun.drill.clone(),
            scenario: begun.scenario.clone(),
            place: begun.place,
            by: begun.by,
            participants: begun.participants.clone(),
            observer: begun.observer.clone(),
            state: state(standing.state).to_owned(),
            emitted_at: standing.emitted_at,
            elapsed_seconds: standing
                .emitted_at
                .map(|at| (end - at).num_milliseconds() as f64 / 1_000.0),
            contain_seconds: scenario.deadlines.contain.as_secs(),
            eradicate_seconds: scenario.deadlines.eradicate.as_secs(),
            lines: lines.or_else(of_verdict),
            blind: begun.blind,
        }
    }

    pub(super) fn text(&self, reader: &Reader) -> String {
        let mut text = format!(
            "{} {}, {}: {}\n",
            self.scenario.name, self.scenario.version, self.drill, self.state
        );
        if let Some(elapsed) = self.elapsed_seconds {
            let left = |allowed: u64| {
                let left = allowed as f64 - elapsed;
                if left >= 0.0 {
                    format!("{} left", span::told(left))
                } else {
                    format!("{} over", span::told(-left))
                }
            };
            let _ = writeln!(
                text,
                "{} since the finding; to contain: {}; to eradicate: {}",
                span::told(elapsed),
                left(self.contain_seconds),
                left(self.eradicate_seconds)
            );
        }
        match &self.lines {
            Some(lines) => {
                for line in lines {
                    text.push_str(&of_line(line, reader));
                }
            }
            None if self.blind => {
                text.push_str("what the tenant says is hidden until azir drill finish\n");
            }
            None => {}
        }
        let _ = write!(text, "next: {}", next(&self.state, &self.drill));
        text
    }
}

fn next(state: &str, drill: &str) -> String {
    match state {
        "running" => format!("azir drill finish {drill}"),
        "closed" | "judged" => format!("azir drill report {drill}"),
        "aborted" => "azir drill list".to_owned(),
        _ => format!("azir drill abort {drill}"),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Planting => "planting",
        State::Running => "running",
        State::Judged => "judged",
        State::Closed => "closed",
        State::Aborting => "aborting",
        State::Aborted => "aborted",
    }
}

/// Returns a verdict for people: what counts first, then each line with its points and its reason.
pub(super) fn verdict(verdict: &Verdict, reader: &Reader) -> String {
    let word = if verdict.passed { "PASSED" } else { "FAILED" };
    let by = match verdict.by {
        By::Auto => "azir alone".to_owned(),
        By::People if verdict.participants.is_empty() => "people".to_owned(),
        By::People => verdict.participants.join(", "),
    };
    let mut text = format!(
        "{word}: {} {}, {} of {} points, score {} (by {by})\n",
        verdict.scenario.name, verdict.scenario.version, verdict.points, verdict.of, verdict.score
    );
    for (name, reached) in [
        ("contained", &verdict.contained),
        ("eradicated", &verdict.eradicated),
    ] {
        let _ = writeln!(text, "  {name:<11} {}", of_reached(reached));
    }
    let mut part = None;
    for line in &verdict.lines {
        if part != Some(line.part) {
            part = Some(line.part);
            let _ = writeln!(text, "{}", line.part.word());
        }
        text.push_str(&of_line(line, reader));
    }
    let _ = write!(text, "next: azir drill report {}", verdict.drill);
    text
}

fn of_line(line: &Line, reader: &Reader) -> String {
    let mark = match line.holds {
        Some(true) => "ok",
        Some(false) => "NO",
        None => "??",
    };
    let mut text = reader.wrapped(
        &format!("  {mark} {:>3}/{:<3} ", line.points, line.of),
        &line.claim,
    );
    if !line.why.is_empty() {
        text.push_str(&reader.wrapped("             ", &format!("{}: {}", line.id, line.why)));
    }
    text
}

fn of_reached(reached: &Reached) -> String {
    let allowed = span::brief(reached.deadline_seconds);
    match reached.seconds {
        None => format!("never; allowed are {allowed}"),
        Some(took) => {
            let kept = if reached.kept { "kept" } else { "MISSED" };
            let latest = if reached.at_latest {
                " at the latest"
            } else {
                ""
            };
            {
                let took = span::told(took);
                format!("{took} after the finding{latest}; deadline {allowed}: {kept}")
            }
        }
    }
}

/// Returns a template's text; one without value is shown as it is written.
fn filled(template: &str, scope: &Scope) -> String {
    let text = Expressions::new().text(template, scope);
    let text = text.unwrap_or_else(|_| template.to_owned());
    // Where the file breaks its lines says nothing about where they are broken here.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
