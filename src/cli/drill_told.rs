//! `azir drill list|due|history|report|assign`: what the records of drills say, without the cloud.
//!
//! Every line for people begins with DRILL, so that none that is cut out can be taken for an incident's.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Arg, ArgMatches, Command};
use schemars::JsonSchema;
use serde::Serialize;

use super::config::Config;
use super::exit::Exit;
use super::home::Home;
use super::prose::{Reader, count};
use super::refusal::Refusal;
use super::{Output, export, meaning, out, shown};
use crate::clock::{Clock as _, SystemClock, seconds};
use crate::digest::Digest;
use crate::drill::assignment::{self, Assignment};
use crate::drill::due::{DueLine, Last, due as due_of};
use crate::drill::findings::{Finding, findings as findings_of};
use crate::drill::history::{Quarter, Series, Tendency, counted, history as history_of};
use crate::drill::page::page;
use crate::drill::plot::{self, Measure};
use crate::drill::record::{self, RecordError, Standing, State};
use crate::drill::report::{DrillReport, report as report_of};
use crate::drill::scenario::Scenario;
use crate::drill::verdict::{By, Place, Verdict};
use crate::drill::{shelf, span};
use crate::runbook::problem::nearest;

/// The version of the shapes below; grows when a member is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// What every export bears; that of one drill says the place, too.
const MARK: &str = "DRILL";
/// Columns of a screen of which nothing is known.
const COLUMNS: usize = 80;

/// The JSON of `azir drill list`.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Listing {
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

/// The JSON of `azir drill due`.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct DueTold {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// The time by which it was judged.
    #[schemars(with = "String")]
    now: DateTime<Utc>,
    /// Every scenario, by name.
    scenarios: Vec<DueLine>,
    /// Records that cannot be read.
    unreadable: Vec<Unreadable>,
}

/// The JSON of `azir drill history`.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct HistoryTold {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// By scenario, who answered, and place.
    series: Vec<Series>,
    /// Records that cannot be read.
    unreadable: Vec<Unreadable>,
}

/// The JSON of `azir drill assign`.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Assigned {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// The line that was written.
    assignment: Assignment,
}

/// A record that cannot be read.
#[derive(Debug, JsonSchema, Serialize)]
struct Unreadable {
    /// Where it is.
    path: String,
    /// Why.
    why: String,
}

/// Returns the command lines.
pub(super) fn commands() -> Vec<Command> {
    vec![
        Command::new("list").about("List what can be rehearsed, open drills and open findings"),
        Command::new("due").about(
            "Say which scenarios are to be exercised again; exit code 1 where one is overdue",
        ),
        Command::new("history")
            .about("Show how long drills took, by quarter, people and azir apart")
            .arg(
                Arg::new("scenario")
                    .value_name("SCENARIO")
                    .help("Only this one"),
            ),
        Command::new("report")
            .about("Tell a judged drill to people (HTML) or programs (JSON)")
            .arg(
                Arg::new("drill")
                    .value_name("DRILL")
                    .default_value("last")
                    .help(
                        "A drill's id, a unique beginning of it, or last: the last that was judged",
                    ),
            )
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_parser(["html", "json"])
                    .help("[default: html; json with --output json and without --to]"),
            )
            .arg(
                Arg::new("to")
                    .short('o')
                    .long("to")
                    .value_name("PATH")
                    .help("Write to this new file; absent: to stdout"),
            ),
        Command::new("assign")
            .about("Say who shall see to a finding, and until when")
            .arg(
                Arg::new("finding")
                    .value_name("FINDING")
                    .required(true)
                    .help("Its id, as azir drill list names it"),
            )
            .arg(
                Arg::new("owner")
                    .long("owner")
                    .value_name("UPN")
                    .required(true)
                    .value_parser(meaning::person)
                    .help("Who"),
            )
            .arg(
                Arg::new("due")
                    .long("due")
                    .value_name("DATE")
                    .value_parser(day)
                    .help("The last day on which it may be open, as 2026-12-01; absent: as it is"),
            ),
    ]
}

fn day(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| "a day is as 2026-12-01".to_owned())
}

/// What the home folder holds of drills.
struct Kept {
    drills: Vec<(PathBuf, Standing)>,
    assignments: Vec<Assignment>,
    unreadable: Vec<(PathBuf, String)>,
    responder: String,
    now: DateTime<Utc>,
}

impl Kept {
    fn of(own: &ArgMatches, home: &Home) -> Self {
        let (drills, mut unreadable) = record::all(&home.root);
        let (assignments, wrong) = assignment::read(&home.root);
        unreadable.extend(wrong);
        // Whose a finding is by default must not hang on a configuration that is sound.
        let named = own.get_one::<String>("profile").map(String::as_str);
        let profile = Config::load(home).and_then(|config| config.choose(named));
        let profile = profile.map(|(_, profile)| profile).unwrap_or_default();
        Self {
            drills,
            assignments,
            unreadable,
            responder: meaning::responder(own, &profile, None).upn,
            now: SystemClock.now(),
        }
    }

    fn counted(&self) -> Vec<&Verdict> {
        counted(&self.drills)
    }

    fn findings(&self) -> Vec<Finding> {
        let today = self.now.date_naive();
        findings_of(&self.counted(), &self.assignments, &self.responder, today)
    }

    fn due(&self) -> Vec<DueLine> {
        let shipped = shipped();
        let names = shipped
            .iter()
            .map(|scenario| (&*scenario.name, &*scenario.title));
        due_of(names, &self.counted(), self.now)
    }

    /// Names what cannot be read: a damaged record must not look like one that never was. Returns the exit code, which
    /// is `code` where all can be.
    fn end(&self, code: u8) -> u8 {
        for (path, why) in &self.unreadable {
            out::line(&format!(
                "azir: DRILL record left out: {}",
                shown::line(why)
            ));
            out::line(&format!(
                "next: put {} back from a copy, or move it out of the home folder",
                path.display()
            ));
        }
        if self.unreadable.is_empty() {
            code
        } else {
            Exit::Integrity.code()
        }
    }

    fn told_unreadable(&self) -> Vec<Unreadable> {
        let each = self.unreadable.iter();
        each.map(|(path, why)| Unreadable {
            path: path.display().to_string(),
            why: why.clone(),
        })
        .collect()
    }
}

fn shipped() -> Vec<Scenario> {
    // That each can be read is tested; one that could not be would be told when it is started.
    shelf::names()
        .filter_map(|name| shelf::load(name).ok())
        .map(|loaded| loaded.scenario)
        .collect()
}

/// Lines for people.
struct Lines {
    text: String,
    reader: Reader,
}

impl Lines {
    fn new() -> Self {
        let mut reader = out::reader();
        reader.width = reader
            .width
            .map(|width| width.saturating_sub(MARK.len() + 1));
        Self {
            text: String::new(),
            reader,
        }
    }

    /// Adds a sentence, wrapped below where it begins.
    fn say(&mut self, first: &str, text: &str) {
        let wrapped = self.reader.wrapped(first, &shown::line(text));
        for line in wrapped.lines() {
            self.line(line);
        }
    }

    /// Adds a line in which nothing is from elsewhere, or what is was made harmless.
    fn line(&mut self, line: &str) {
        self.text.push_str(format!("{MARK} {line}").trim_end());
        self.text.push('\n');
    }

    fn width(&self) -> usize {
        self.reader.width.unwrap_or(COLUMNS - MARK.len() - 1)
    }

    fn end(self) {
        out::result(&self.text);
    }
}

/// Returns a word that must be seen; `NO_COLOR` and pipes lose the colour and keep the word.
fn red(word: &str) -> String {
    let red = anstyle::Style::new()
        .fg_color(Some(anstyle::AnsiColor::Red.into()))
        .bold();
    format!("{red}{word}{red:#}")
}

fn json<T: Serialize>(value: &T) {
    out::result(&serde_json::to_string(value).unwrap_or_default());
}

/// Lists the scenarios, the drills that are not over, and the findings that are open.
pub(super) fn list(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
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
                "{} is not over: {} of {} in the {}, begun {begun}",
                drill.drill,
                drill.state,
                drill.scenario,
                place(drill.place)
            ),
        );
        lines.say("  ", &format!("next: {}", drill.next));
    }
    for finding in &listing.findings {
        tell_finding(&mut lines, finding);
    }
    if let Some(finding) = listing.findings.first() {
        let id = &finding.id;
        lines.say(
            "",
            &format!("next: azir drill assign {id} --owner UPN --due DATE"),
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

/// Says when a scenario was exercised.
fn when(due: &DueLine) -> String {
    let last = |last: &Option<Last>| match last {
        None => "never".to_owned(),
        Some(last) if last.days < 1 => "today".to_owned(),
        Some(last) => format!("{} ago", count(last.days.unsigned_abs(), "day")),
    };
    format!(
        "by people {}, by azir alone {}",
        last(&due.last_by_people),
        last(&due.last_by_auto)
    )
}

/// Says which scenarios are to be exercised again; 1 where one is overdue.
pub(super) fn due(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let told = DueTold {
        schema_version: SCHEMA_VERSION,
        mark: MARK,
        now: kept.now,
        scenarios: kept.due(),
        unreadable: kept.told_unreadable(),
    };
    if Output::of(own) == Output::Human {
        tell_due(&told.scenarios);
    } else {
        json(&told);
    }
    let overdue = told.scenarios.iter().any(|line| line.overdue);
    Ok(kept.end(if overdue {
        Exit::Failed.code()
    } else {
        Exit::Done.code()
    }))
}

fn tell_due(scenarios: &[DueLine]) {
    let mut lines = Lines::new();
    let longest = scenarios.iter().map(|line| line.scenario.chars().count());
    let longest = longest.max().unwrap_or_default();
    for line in scenarios {
        let name = shown::line(&line.scenario);
        let word = match (line.overdue, line.people_overdue) {
            (true, _) => red("OVERDUE"),
            (false, true) => red("PEOPLE OVERDUE"),
            (false, false) => "in time".to_owned(),
        };
        lines.line(&format!("{name:<longest$}  {word}"));
        lines.say("  ", &when(line));
    }
    match scenarios.iter().find(|line| line.people_overdue) {
        Some(line) => lines.say("", &format!("next: azir drill start {}", line.scenario)),
        None if scenarios.is_empty() => {
            lines.say("", "there is no scenario yet, and none was exercised");
        }
        None => {}
    }
    lines.end();
}

/// Shows how long drills took.
pub(super) fn history(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let mut series = history_of(&kept.counted());
    if let Some(name) = own.get_one::<String>("scenario") {
        known(name, &series)?;
        series.retain(|series| series.scenario == *name);
    }
    let told = HistoryTold {
        schema_version: SCHEMA_VERSION,
        mark: MARK,
        series,
        unreadable: kept.told_unreadable(),
    };
    if Output::of(own) == Output::Human {
        tell_history(&told.series);
    } else {
        json(&told);
    }
    Ok(kept.end(Exit::Done.code()))
}

/// Refuses a scenario that nobody knows.
fn known(name: &str, series: &[Series]) -> Result<(), Refusal> {
    let exercised = || series.iter().map(|series| &*series.scenario);
    if exercised().any(|known| known == name) || shelf::names().any(|known| known == name) {
        return Ok(());
    }
    let near = nearest(name, shelf::names()).or_else(|| nearest(name, exercised()));
    Err(Refusal::usage(
        format!("there is no scenario {name}, and none of that name was exercised"),
        near.map_or("azir drill list".to_owned(), |near| {
            format!("azir drill history {near}")
        }),
    ))
}

fn tell_history(history: &[Series]) {
    let mut lines = Lines::new();
    for (at, series) in history.iter().enumerate() {
        if at > 0 {
            lines.line("");
        }
        lines.say(
            "",
            &format!(
                "{}: {}; {}",
                series.scenario,
                series.title,
                plot::who(series)
            ),
        );
        for measure in Measure::ALL {
            draw(&mut lines, series, measure);
        }
        if let Some(last) = series.quarters.last() {
            tell_quarter(&mut lines, last);
        }
    }
    if history.is_empty() {
        lines.say("", "no drill was judged yet");
        lines.say("", "next: azir drill list");
    }
    lines.end();
}

fn draw(lines: &mut Lines, series: &Series, measure: Measure) {
    let deadline = series
        .quarters
        .last()
        .map_or(0, |quarter| measure.of(quarter).deadline_seconds);
    lines.say(
        "  ",
        &format!(
            "{}, mean; ┃ deadline {}",
            measure.words(),
            span::brief(deadline)
        ),
    );
    // Beside a bar stand the quarter, the mean and how many were in time.
    let width = lines.width().saturating_sub(40).clamp(10, 60);
    for row in plot::rows(series, measure, width) {
        let words = if row.late { red(&row.words) } else { row.words };
        lines.line(&format!("    {} {} {words}", row.quarter, row.bar));
    }
    let more = series.quarters.len().saturating_sub(plot::DRAWN);
    if more > 0 {
        let more = count(more as u64, "earlier quarter");
        lines.say("    ", &format!("{more}: azir drill history --output json"));
    }
}

fn tell_quarter(lines: &mut Lines, quarter: &Quarter) {
    let trend = quarter.trend.as_ref().map(|trend| {
        format!(
            "; since {} {}, {}, score {:+}",
            trend.since,
            way("to contain", trend.contained, trend.contained_seconds),
            way("to eradicate", trend.eradicated, trend.eradicated_seconds),
            trend.score
        )
    });
    lines.say(
        "  ",
        &format!(
            "{}: {}, {} passed, mean score {}{}",
            quarter.quarter,
            count(quarter.drills.len() as u64, "drill"),
            quarter.passed,
            quarter.score_mean,
            trend.unwrap_or_default()
        ),
    );
    for step in &quarter.steps {
        let undo = if step.mode == "undo" { "undo of " } else { "" };
        let mean = step.mean_seconds.map_or("never done".to_owned(), |mean| {
            format!("mean {}", span::told(mean))
        });
        let median = step.median_seconds.filter(|_| step.done > 1);
        let median = median.map_or(String::new(), |median| {
            format!(", median {}", span::told(median))
        });
        let failed = match step.failed {
            0 => String::new(),
            failed => format!(", FAILED {}", count(u64::from(failed), "time")),
        };
        lines.say(
            "    ",
            &format!(
                "{undo}{} {}: {mean}{median}{failed}",
                step.runbook, step.step
            ),
        );
    }
}

/// Says which way a time goes.
fn way(what: &str, tendency: Tendency, change: Option<f64>) -> String {
    let word = match tendency {
        Tendency::Better => "better",
        Tendency::Same => "the same",
        Tendency::Worse => "WORSE",
    };
    let by = change.filter(|change| *change != 0.0).map(|change| {
        let sign = if change < 0.0 { "-" } else { "+" };
        format!(" ({sign}{})", span::told(change.abs()))
    });
    format!("{what} {word}{}", by.unwrap_or_default())
}

/// Tells a judged drill.
pub(super) fn report(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let name = own
        .get_one::<String>("drill")
        .map_or("last", String::as_str);
    let (folder, standing) = chosen(&kept, name)?;
    let history = history_of(&kept.counted());
    let report =
        report_of(folder, standing, kept.findings(), history).ok_or_else(|| unjudged(standing))?;
    for gap in &report.gaps {
        out::line(&format!("azir: {} {}", report.mark, shown::line(gap)));
    }
    let to = own.get_one::<String>("to").filter(|path| *path != "-");
    let format = match own.get_one::<String>("format") {
        Some(format) => format.as_str(),
        None if to.is_none() && Output::of(own) != Output::Human => "json",
        None => "html",
    };
    let text = match format {
        "json" => serde_json::to_string(&report).unwrap_or_default(),
        _ => page(&report, &seconds(kept.now)),
    };
    match to {
        None => out::result(&text),
        Some(path) => write(own, &report, format, Path::new(path), &text, folder)?,
    }
    Ok(kept.end(Exit::Done.code()))
}

/// Finds a drill by its id, the beginning of it, or as the last that was judged.
fn chosen<'a>(kept: &'a Kept, name: &str) -> Result<&'a (PathBuf, Standing), Refusal> {
    let id = |drill: &&(PathBuf, Standing)| drill.1.begun.drill.clone();
    if name == "last" {
        let judged = kept.drills.iter();
        let judged = judged.filter(|(_, standing)| standing.verdict.is_some());
        let last = judged
            .max_by_key(|(_, standing)| standing.verdict.as_ref().map(|verdict| verdict.judged_at));
        let running = kept.drills.iter().find(|(_, standing)| standing.runs());
        return last.ok_or_else(|| {
            let hint = running
                .as_ref()
                .map_or("azir drill list".to_owned(), |drill| {
                    format!("azir drill finish {}", id(drill))
                });
            Refusal::usage("no drill was judged yet", hint)
        });
    }
    let whole = kept.drills.iter().find(|drill| id(drill) == name);
    let begins = |drill: &&(PathBuf, Standing)| id(drill).starts_with(name);
    let found: Vec<_> = match whole {
        Some(drill) => vec![drill],
        None => kept.drills.iter().filter(begins).collect(),
    };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(not_there(kept, name)),
        many => {
            let ids: Vec<String> = many.iter().map(id).collect();
            Err(Refusal::usage(
                format!("{name} names {} drills: {}", ids.len(), ids.join(", ")),
                format!("azir drill report {}", ids[0]),
            ))
        }
    }
}

fn not_there(kept: &Kept, name: &str) -> Refusal {
    let damaged = kept
        .unreadable
        .iter()
        .find(|(path, _)| path.ends_with(name));
    match damaged {
        Some((path, why)) => Refusal {
            hint: format!(
                "put {} back from a copy, or move it out of the home folder",
                path.display()
            ),
            ..Refusal::integrity(why)
        },
        None => Refusal::usage(format!("there is no drill {name}"), "azir drill list"),
    }
}

fn unjudged(standing: &Standing) -> Refusal {
    let drill = &standing.begun.drill;
    match standing.state {
        State::Aborting | State::Aborted => Refusal::usage(
            format!("drill {drill} was aborted, and so was never judged"),
            format!("azir drill start {}", standing.begun.scenario.name),
        ),
        _ => Refusal::usage(
            format!("drill {drill} is not judged yet"),
            format!("azir drill finish {drill}"),
        ),
    }
}

/// Writes a report to a new file, and says which.
fn write(
    own: &ArgMatches,
    report: &DrillReport,
    format: &str,
    path: &Path,
    text: &str,
    folder: &Path,
) -> Result<(), Refusal> {
    let mut file = export::create(path, folder)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // A part of a report must not be taken for one.
        let _ = std::fs::remove_file(path);
        return Err(export::not_written(path, &error));
    }
    let (mark, size) = (&report.mark, text.len());
    let sha256 = Digest::of(text.as_bytes());
    let shown = path.display();
    if Output::of(own) == Output::Human {
        out::line(&format!(
            "{mark} {format} written to {shown}, {size} bytes, sha256 {sha256}"
        ));
    } else {
        let told = serde_json::json!({"format": format, "path": shown.to_string(), "sha256": sha256, "size": size, "mark": mark});
        out::result(&told.to_string());
    }
    Ok(())
}

/// Says who shall see to a finding.
pub(super) fn assign(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let id = own.get_one::<String>("finding").map_or("", String::as_str);
    let findings = kept.findings();
    let finding = still_open(id, &findings)?;
    let given = own.get_one::<NaiveDate>("due").copied();
    let today = kept.now.date_naive();
    if let Some(due) = given.filter(|due| *due < today) {
        return Err(Refusal::usage(
            format!("--due {due} is over: today is {today}"),
            format!("azir drill assign {id} --owner UPN --due {today}"),
        ));
    }
    let assigned = Assignment {
        time: kept.now,
        finding: id.to_owned(),
        owner: own.get_one::<String>("owner").cloned().unwrap_or_default(),
        due: given.unwrap_or(finding.due),
    };
    assignment::add(&home.root, &assigned).map_err(|error| not_kept(&error))?;
    if Output::of(own) == Output::Human {
        let mut lines = Lines::new();
        lines.say(
            "",
            &format!(
                "finding {id} is {}'s until {}",
                assigned.owner, assigned.due
            ),
        );
        lines.end();
    } else {
        json(&Assigned {
            schema_version: SCHEMA_VERSION,
            mark: MARK,
            assignment: assigned,
        });
    }
    Ok(kept.end(Exit::Done.code()))
}

fn still_open<'a>(id: &str, findings: &'a [Finding]) -> Result<&'a Finding, Refusal> {
    match findings.iter().find(|finding| finding.id == id) {
        Some(finding) if finding.open => Ok(finding),
        Some(finding) => {
            let by = finding.turns.last().map_or("a drill", |turn| &turn.drill);
            Err(Refusal::usage(
                format!("finding {id} is closed: {by} passed it"),
                "azir drill list",
            ))
        }
        None => {
            let near = nearest(id, findings.iter().map(|finding| finding.id.as_str()));
            Err(Refusal::usage(
                format!("there is no finding {id}"),
                near.map_or("azir drill list".to_owned(), |near| {
                    format!("azir drill assign {near} --owner UPN")
                }),
            ))
        }
    }
}

fn not_kept(error: &RecordError) -> Refusal {
    let hint = match error {
        RecordError::Busy { .. } => "azir drill assign again, when the other azir is done",
        _ => "export AZIR_HOME=/path/to/a/writable/folder",
    };
    Refusal::record(error.to_string(), hint)
}
