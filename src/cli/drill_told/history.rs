//! `azir drill history`: how long drills took, quarter by quarter.

use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Kept, Lines, MARK, SCHEMA_VERSION, Unreadable, json, red};
use crate::cli::Output;
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::prose::count;
use crate::cli::refusal::Refusal;
use crate::drill::history::{Quarter, Series, StepTimes, Tendency, history as history_of};
use crate::drill::plot::{self, Measure};
use crate::drill::{shelf, span};
use crate::runbook::problem::nearest;

/// The JSON of `azir drill history`.
#[derive(Debug, JsonSchema, Serialize)]
pub(in crate::cli) struct HistoryTold {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// By scenario, who answered, and place.
    series: Vec<Series>,
    /// Records that cannot be read.
    unreadable: Vec<Unreadable>,
}

/// Shows how long drills took.
pub(in crate::cli) fn history(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
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
        lines.next("", "azir drill list");
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
            "; since {} {}, {}{}",
            trend.since,
            way("to contain", trend.contained, trend.contained_seconds),
            way("to eradicate", trend.eradicated, trend.eradicated_seconds),
            match trend.score {
                0.0 => String::new(),
                score => format!(", score {score:+}"),
            }
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
    let (worth, left) = worth_telling(&quarter.steps);
    for step in worth {
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
    if left > 0 {
        let left = count(left as u64, "faster step");
        lines.say("    ", &format!("{left}: azir drill history --output json"));
    }
}

/// Steps that are told on a terminal: all that failed, and the slowest.
const TOLD: usize = 8;

/// Returns the steps that a reader looks for, slowest first, and how many are left out.
fn worth_telling(steps: &[StepTimes]) -> (Vec<&StepTimes>, usize) {
    let mut all: Vec<&StepTimes> = steps.iter().collect();
    let slow = |step: &StepTimes| step.mean_seconds.unwrap_or_default();
    all.sort_by(|one, other| {
        let failed = (other.failed > 0).cmp(&(one.failed > 0));
        failed.then(slow(other).total_cmp(&slow(one)))
    });
    let failed = all.iter().filter(|step| step.failed > 0).count();
    let kept = all.len().min(failed.max(TOLD));
    let left = all.len() - kept;
    all.truncate(kept);
    (all, left)
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
