//! `azir drill list`: what can be rehearsed, the drills that are not over, and the findings that are open.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::due::when;
use super::{Kept, Lines, MARK, SCHEMA_VERSION, Unreadable, json, red, shipped};
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::prose::count;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, shown};
use crate::clock::seconds;
use crate::drill::due::DueLine;
use crate::drill::findings::Finding;
use crate::drill::record::{Standing, State};
use crate::drill::scenario::Scenario;
use crate::drill::span;
use crate::drill::verdict::{By, Place};

/// The JSON of `azir drill list`.
#[derive(Debug, JsonSchema, Serialize)]
pub(in crate::cli) struct Listing {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// What can be rehearsed, and what was.
    scenarios: Vec<ScenarioLine>,
    /// The drills that are not over.
    drills: Vec<OpenDrill>,
    /// The findings that are open, by due day.
    findings: Vec<Finding>,
    /// Records that cannot be read.
    unreadable: Vec<Unreadable>,
}

/// A scenario.
#[derive(Debug, JsonSchema, Serialize)]
struct ScenarioLine {
    /// When it was exercised, and whether it is overdue.
    #[serde(flatten)]
    due: DueLine,
    /// The runbooks that it rehearses; empty for one that is not shipped.
    rehearses: Vec<String>,
    /// Seconds allowed to contain; absent for one that is not shipped.
    contain_seconds: Option<u64>,
    /// Seconds allowed to eradicate; absent for one that is not shipped.
    eradicate_seconds: Option<u64>,
    /// Where it can be rehearsed; empty for one that is not shipped.
    places: Vec<Place>,
    /// How many of its findings are open.
    open_findings: usize,
}

/// A drill that is not over.
#[derive(Debug, JsonSchema, Serialize)]
struct OpenDrill {
    /// Its id.
    drill: String,
    /// Its scenario.
    scenario: String,
    /// Where.
    place: Place,
    /// Who answers.
    by: By,
    /// `planting`, `running`, `judged` or `aborting`.
    state: &'static str,
    /// When it was begun.
    #[schemars(with = "String")]
    begun_at: DateTime<Utc>,
    /// The next command.
    next: String,
}

/// Lists the scenarios, the drills that are not over, and the findings that are open.
pub(in crate::cli) fn list(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let findings: Vec<Finding> = kept
        .findings()
        .into_iter()
        .filter(|finding| finding.open)
        .collect();
    let shipped = shipped();
    let scenarios = kept.due().into_iter().map(|due| {
        let known = shipped.iter().find(|known| known.name == due.scenario);
        let of = |finding: &&Finding| finding.scenario == due.scenario;
        ScenarioLine {
            rehearses: known.map_or_else(Vec::new, |known| known.rehearses.clone()),
            contain_seconds: known.map(|known| known.deadlines.contain.as_secs()),
            eradicate_seconds: known.map(|known| known.deadlines.eradicate.as_secs()),
            places: known.map_or_else(Vec::new, places),
            open_findings: findings.iter().filter(of).count(),
            due,
        }
    });
    let listing = Listing {
        schema_version: SCHEMA_VERSION,
        mark: MARK,
        scenarios: scenarios.collect(),
        drills: kept.drills.iter().filter_map(open_drill).collect(),
        findings,
        unreadable: kept.told_unreadable(),
    };
    if Output::of(own) == Output::Human {
        tell_list(&listing);
    } else {
        json(&listing);
    }
    Ok(kept.end(Exit::Done.code()))
}

fn places(scenario: &Scenario) -> Vec<Place> {
    let tabletop = scenario.tabletop.as_ref().map(|_| Place::Tabletop);
    std::iter::once(Place::Lab).chain(tabletop).collect()
}

fn open_drill((_, standing): &(PathBuf, Standing)) -> Option<OpenDrill> {
    let drill = &standing.begun.drill;
    let (state, next) = match standing.state {
        State::Planting => ("planting", format!("azir drill abort {drill}")),
        State::Running => ("running", format!("azir drill status {drill}")),
        State::Judged => ("judged", format!("azir drill finish {drill}")),
        State::Aborting => ("aborting", format!("azir drill abort {drill}")),
        State::Closed | State::Aborted => return None,
    };
    Some(OpenDrill {
        drill: drill.clone(),
        scenario: standing.begun.scenario.name.clone(),
        place: standing.begun.place,
        by: standing.begun.by,
        state,
        begun_at: standing.begun_at,
        next,
    })
}

fn tell_list(listing: &Listing) {
    let mut lines = Lines::new();
    for scenario in &listing.scenarios {
        let due = &scenario.due;
        lines.say("", &format!("{}: {}", due.scenario, due.title));
        if let (Some(contain), Some(eradicate)) =
            (scenario.contain_seconds, scenario.eradicate_seconds)
        {
            let places: Vec<&str> = scenario.places.iter().copied().map(place).collect();
            lines.say(
                "  ",
                &format!(
                    "rehearses {} in the {}; contain within {}, eradicate within {}",
                    scenario.rehearses.join(", "),
                    places.join(" or a "),
                    span::brief(contain),
                    span::brief(eradicate)
                ),
            );
        }
        let open = count(scenario.open_findings as u64, "open finding");
        lines.say("  ", &format!("{}; {open}", when(due)));
    }
    if listing.scenarios.is_empty() {
        lines.say("", "there is no scenario yet, and none was exercised");
    }
    for drill in &listing.drills {
        let begun = lines.reader.at(&seconds(drill.begun_at));
        lines.say(
            "",
            &format!(
                "open: {}, {} in the {}, {}; begun {begun}",
                drill.drill,
                drill.scenario,
                place(drill.place),
                drill.state
            ),
        );
        lines.next("  ", &drill.next);
    }
    for finding in &listing.findings {
        tell_finding(&mut lines, finding);
    }
    if let Some(finding) = listing.findings.first() {
        let id = &finding.id;
        lines.next(
            "",
            &format!("azir drill assign {id} --owner UPN --due DATE"),
        );
    }
    lines.end();
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Lab => "lab",
        Place::Tabletop => "tabletop subscription",
    }
}

fn tell_finding(lines: &mut Lines, finding: &Finding) {
    let id = shown::line(&finding.id);
    let late = if finding.overdue {
        red(" OVERDUE")
    } else {
        String::new()
    };
    lines.line(&format!("finding {id}{late}"));
    let whose = if finding.assigned { "" } else { ", by default" };
    lines.say(
        "  ",
        &format!("{}{whose}, until {}", finding.owner, finding.due),
    );
    let colon = if finding.why.is_empty() { "" } else { ": " };
    lines.say("  ", &format!("{}{colon}{}", finding.claim, finding.why));
}
