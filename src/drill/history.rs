//! What drills were like, by scenario, by who answered, by place and by calendar quarter: pure functions over verdicts.
//!
//! People and azir alone are never counted together, nor are the lab and a tabletop subscription: a mean over both
//! would be a time that nobody has. A drill counts in the quarter in which its finding was told, with its latest
//! judgement; one that was aborted does not count.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::record::{Standing, State};
use super::verdict::{By, Place, Reached, Verdict};

/// Drills of one scenario by one kind of answer in one place.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Series {
    /// The scenario's name.
    pub scenario: String,
    /// Its title, as it was in the last of the drills.
    pub title: String,
    /// Who answered: `people` or `auto`.
    pub by: By,
    /// Where: `lab` or `tabletop`.
    pub place: Place,
    /// The quarters in which there was one, oldest first.
    pub quarters: Vec<Quarter>,
}

/// The drills of one quarter.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Quarter {
    /// Which, as `2026Q4`, in UTC.
    #[schemars(with = "String")]
    pub quarter: QuarterId,
    /// Each drill, oldest first.
    pub drills: Vec<Point>,
    /// How many of them passed.
    pub passed: u32,
    /// The mean of their scores, in hundredths of what there is.
    pub score_mean: f64,
    /// From the finding until the last containing condition was true.
    pub contained: Times,
    /// From the finding until nothing was left of the attack.
    pub eradicated: Times,
    /// How long each step of their runs took.
    pub steps: Vec<StepTimes>,
    /// How it compares with the quarter before in which there was a drill; absent in the first.
    pub trend: Option<Trend>,
}

/// One drill.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Point {
    /// Its id.
    pub drill: String,
    /// When its finding was told.
    #[schemars(with = "String")]
    pub emitted_at: DateTime<Utc>,
    /// Seconds to contain; absent: never.
    pub contained_seconds: Option<f64>,
    /// Seconds to eradicate; absent: never.
    pub eradicated_seconds: Option<f64>,
    /// Points given in hundredths.
    pub score: u32,
    /// Whether every line held.
    pub passed: bool,
}

/// How long something took in several drills.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Times {
    /// How many drills there were.
    pub of: u32,
    /// In how many it was reached: mean and median are of these alone.
    pub reached: u32,
    /// In how many it was reached in time.
    pub kept: u32,
    /// In how many it was reached no later than told, because nothing knew better than the judge.
    pub at_latest: u32,
    /// The mean, in seconds; absent: reached in none.
    pub mean_seconds: Option<f64>,
    /// The median, in seconds; absent: reached in none.
    pub median_seconds: Option<f64>,
    /// Seconds allowed, as they were in the last of the drills.
    pub deadline_seconds: u64,
}

/// How long a step took in several drills.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct StepTimes {
    /// The runbook.
    pub runbook: String,
    /// `drill`, or `undo`: to put a step back is not the step.
    pub mode: String,
    /// The step.
    pub step: String,
    /// How often it was done.
    pub done: u32,
    /// How often it failed, or nobody knows how it ended.
    pub failed: u32,
    /// The mean of those that were done, in seconds.
    pub mean_seconds: Option<f64>,
    /// The median of those that were done, in seconds.
    pub median_seconds: Option<f64>,
}

/// How a quarter compares with the one before.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Trend {
    /// The quarter that it is compared with.
    #[schemars(with = "String")]
    pub since: QuarterId,
    /// To contain.
    pub contained: Tendency,
    /// Seconds more (or, negative, fewer) to contain, by the means; absent where one of them is.
    pub contained_seconds: Option<f64>,
    /// To eradicate.
    pub eradicated: Tendency,
    /// Seconds more or fewer to eradicate.
    pub eradicated_seconds: Option<f64>,
    /// Hundredths more or fewer in the mean score.
    pub score: f64,
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tendency {
    /// Reached more often; or as often, and faster by more than a twentieth.
    Better,
    /// Neither.
    Same,
    /// Reached less often; or as often, and slower by more than a twentieth.
    Worse,
}

/// A calendar quarter, in UTC.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String")]
pub struct QuarterId {
    year: i32,
    number: u32,
}

impl QuarterId {
    /// Returns the quarter of a time.
    pub fn of(time: DateTime<Utc>) -> Self {
        Self {
            year: time.year(),
            number: time.month0() / 3 + 1,
        }
    }

    /// Returns the quarter after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self.number {
            4 => Self {
                year: self.year + 1,
                number: 1,
            },
            number => Self {
                number: number + 1,
                ..self
            },
        }
    }
}

impl std::fmt::Display for QuarterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}Q{}", self.year, self.number)
    }
}

impl From<QuarterId> for String {
    fn from(quarter: QuarterId) -> Self {
        quarter.to_string()
    }
}

/// Returns the verdicts that count, oldest first: of each drill that was judged and not given up the latest one.
///
/// A folder that was copied beside itself is still one drill.
pub fn counted(drills: &[(PathBuf, Standing)]) -> Vec<&Verdict> {
    let mut latest: BTreeMap<&str, &Verdict> = BTreeMap::new();
    let judged = drills
        .iter()
        .filter(|(_, standing)| matches!(standing.state, State::Judged | State::Closed))
        .filter_map(|(_, standing)| standing.verdict.as_ref());
    for verdict in judged {
        let known = latest.entry(&verdict.drill).or_insert(verdict);
        if verdict.judged_at > known.judged_at {
            *known = verdict;
        }
    }
    let mut all: Vec<&Verdict> = latest.into_values().collect();
    all.sort_by(|one, other| (one.emitted_at, &one.drill).cmp(&(other.emitted_at, &other.drill)));
    all
}

/// Returns the history of verdicts that [`counted`] gave.
pub fn history(verdicts: &[&Verdict]) -> Vec<Series> {
    let mut all: BTreeMap<(&str, By, Place), Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        let key = (verdict.scenario.name.as_str(), verdict.by, verdict.place);
        all.entry(key).or_default().push(verdict);
    }
    all.into_iter()
        .map(|((scenario, by, place), verdicts)| Series {
            scenario: scenario.to_owned(),
            title: verdicts
                .last()
                .map(|verdict| verdict.scenario.title.clone())
                .unwrap_or_default(),
            by,
            place,
            quarters: quarters(&verdicts),
        })
        .collect()
}

fn quarters(verdicts: &[&Verdict]) -> Vec<Quarter> {
    let mut by_quarter: BTreeMap<QuarterId, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        let quarter = QuarterId::of(verdict.emitted_at);
        by_quarter.entry(quarter).or_default().push(verdict);
    }
    let mut all: Vec<Quarter> = Vec::new();
    for (quarter, verdicts) in by_quarter {
        let mut one = of_quarter(quarter, &verdicts);
        one.trend = all.last().map(|before| trend(before, &one));
        all.push(one);
    }
    all
}

fn of_quarter(quarter: QuarterId, verdicts: &[&Verdict]) -> Quarter {
    let scores: Vec<f64> = verdicts.iter().map(|one| f64::from(one.score)).collect();
    Quarter {
        quarter,
        drills: verdicts.iter().map(|verdict| point(verdict)).collect(),
        passed: verdicts.iter().map(|one| u32::from(one.passed)).sum(),
        score_mean: mean(&scores).unwrap_or_default(),
        contained: times(verdicts.iter().map(|verdict| &verdict.contained)),
        eradicated: times(verdicts.iter().map(|verdict| &verdict.eradicated)),
        steps: steps(verdicts),
        trend: None,
    }
}

fn point(verdict: &Verdict) -> Point {
    Point {
        drill: verdict.drill.clone(),
        emitted_at: verdict.emitted_at,
        contained_seconds: verdict.contained.seconds,
        eradicated_seconds: verdict.eradicated.seconds,
        score: verdict.score,
        passed: verdict.passed,
    }
}

fn times<'a>(all: impl Iterator<Item = &'a Reached>) -> Times {
    let all: Vec<&Reached> = all.collect();
    let seconds: Vec<f64> = all.iter().filter_map(|reached| reached.seconds).collect();
    let count = |of: fn(&Reached) -> bool| all.iter().map(|reached| u32::from(of(reached))).sum();
    Times {
        of: count(|_| true),
        reached: count(|reached| reached.seconds.is_some()),
        kept: count(|reached| reached.kept),
        at_latest: count(|reached| reached.at_latest),
        mean_seconds: mean(&seconds),
        median_seconds: median(&seconds),
        deadline_seconds: all.last().map_or(0, |reached| reached.deadline_seconds),
    }
}

/// Returns the steps in the order in which they were first begun. One that was skipped, or not come to, took no time
/// that would say anything.
fn steps(verdicts: &[&Verdict]) -> Vec<StepTimes> {
    let mut found: indexmap::IndexMap<(&str, &str, &str), (Vec<f64>, u32)> =
        indexmap::IndexMap::new();
    for verdict in verdicts {
        for step in &verdict.steps {
            let run = verdict.runs.iter().find(|run| run.run == step.run);
            let mode = run.map_or("drill", |run| run.mode.as_str());
            let key = (step.runbook.as_str(), mode, step.step.as_str());
            match step.status.as_str() {
                // A step that was put back later was done.
                "done" | "undone" => found.entry(key).or_default().0.push(step.seconds),
                "failed" | "unknown" => found.entry(key).or_default().1 += 1,
                _ => {}
            }
        }
    }
    found
        .into_iter()
        .map(|((runbook, mode, step), (seconds, failed))| StepTimes {
            runbook: runbook.to_owned(),
            mode: mode.to_owned(),
            step: step.to_owned(),
            done: seconds.len() as u32,
            failed,
            mean_seconds: mean(&seconds),
            median_seconds: median(&seconds),
        })
        .collect()
}

fn trend(before: &Quarter, now: &Quarter) -> Trend {
    Trend {
        since: before.quarter,
        contained: tendency(&before.contained, &now.contained),
        contained_seconds: change(&before.contained, &now.contained),
        eradicated: tendency(&before.eradicated, &now.eradicated),
        eradicated_seconds: change(&before.eradicated, &now.eradicated),
        score: milli(now.score_mean - before.score_mean),
    }
}

fn change(before: &Times, now: &Times) -> Option<f64> {
    Some(milli(now.mean_seconds? - before.mean_seconds?))
}

/// How often comes before how fast: a mean gets better when the slow ones are not reached at all.
fn tendency(before: &Times, now: &Times) -> Tendency {
    let (was, is) = (before.reached * now.of, now.reached * before.of);
    let by_often = is.cmp(&was);
    let by_time = match (before.mean_seconds, now.mean_seconds) {
        (Some(was), Some(is)) if (is - was).abs() * 20.0 > was => was.total_cmp(&is),
        _ => std::cmp::Ordering::Equal,
    };
    match by_often.then(by_time) {
        std::cmp::Ordering::Less => Tendency::Worse,
        std::cmp::Ordering::Equal => Tendency::Same,
        std::cmp::Ordering::Greater => Tendency::Better,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(milli(values.iter().sum::<f64>() / values.len() as f64))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(milli(upper));
    }
    Some(milli(f64::midpoint(sorted[middle - 1], upper)))
}

/// To the millisecond, as the verdicts are.
fn milli(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarter(text: &str) -> String {
        QuarterId::of(text.parse().unwrap()).to_string()
    }

    #[test]
    fn a_quarter_begins_at_midnight_utc() {
        assert_eq!(quarter("2026-09-30T23:59:59.999Z"), "2026Q3");
        assert_eq!(quarter("2026-10-01T00:00:00Z"), "2026Q4");
        assert_eq!(quarter("2026-12-31T23:59:59Z"), "2026Q4");
        let last = QuarterId::of("2026-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(last.next().to_string(), "2027Q1");
        assert_eq!(last.next().next().to_string(), "2027Q2");
    }

    #[test]
    fn the_median_of_two_lies_between_them() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 100.0]), Some(3.0));
        assert_eq!(median(&[1.0, 4.0]), Some(2.5));
        assert_eq!(mean(&[1.0, 4.0, 4.0]), Some(3.0));
    }

    #[test]
    fn what_is_reached_less_often_is_worse_however_fast() {
        let of = |reached, mean_seconds| Times {
            of: 2,
            reached,
            kept: 0,
            at_latest: 0,
            mean_seconds,
            median_seconds: None,
            deadline_seconds: 300,
        };
        let both = of(2, Some(200.0));
        assert_eq!(tendency(&both, &of(1, Some(10.0))), Tendency::Worse);
        assert_eq!(tendency(&both, &of(0, None)), Tendency::Worse);
        assert_eq!(tendency(&both, &of(2, Some(191.0))), Tendency::Same);
        assert_eq!(tendency(&both, &of(2, Some(189.0))), Tendency::Better);
        assert_eq!(tendency(&of(0, None), &of(0, None)), Tendency::Same);
    }
}
