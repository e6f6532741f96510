//! What a judge found: each line with its points and its reason, so that a score can be explained and argued with.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of this shape; grows when a member is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// A judged drill.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Verdict {
    /// The version of this shape.
    pub schema_version: u32,
    /// The drill's id, which is that of its case.
    pub drill: String,
    /// Which scenario.
    pub scenario: ScenarioRef,
    /// Where: `lab` or `tabletop`.
    pub place: Place,
    /// Who answered the attack: `people` or `auto`.
    pub by: By,
    /// Who took part.
    pub participants: Vec<String>,
    /// Who watched, where somebody did.
    pub observer: Option<String>,
    /// When the finding was told: the clock starts.
    #[schemars(with = "String")]
    pub emitted_at: DateTime<Utc>,
    /// When the judge looked.
    #[schemars(with = "String")]
    pub judged_at: DateTime<Utc>,
    /// From the finding until the last containing condition was true.
    pub contained: Reached,
    /// From the finding until nothing was left of the attack.
    pub eradicated: Reached,
    /// What was judged, in order.
    pub lines: Vec<Line>,
    /// Points given.
    pub points: u32,
    /// Points that there are.
    pub of: u32,
    /// Points given in hundredths of what there is, rounded down.
    pub score: u32,
    /// Whether every line holds.
    pub passed: bool,
    /// How long each step of the runs took.
    pub steps: Vec<StepTime>,
    /// The runs of the drill: id, runbook, status, and the head of the record that was verified.
    pub runs: Vec<RunRef>,
}

/// Which scenario.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct ScenarioRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: String,
    /// Its title.
    pub title: String,
}

/// Where a drill takes place.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In a simulated tenant.
    Lab,
    /// In a subscription for exercises.
    Tabletop,
}

/// Who answers the attack.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// People, with the ordinary commands.
    People,
    /// azir alone, with the scenario's runbooks.
    Auto,
}

/// When something was reached, and whether in time.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Reached {
    /// When; absent: never.
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
    /// Seconds from the finding, to the millisecond; absent: never reached.
    pub seconds: Option<f64>,
    /// Seconds allowed.
    pub deadline_seconds: u64,
    /// Whether it was reached in time.
    pub kept: bool,
    /// Whether the time is when the judge looked, because neither tenant nor record knew better: no later than this.
    pub at_latest: bool,
}

/// Which part of the judgement a line belongs to.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The attack goes no further.
    Contained,
    /// Nothing of it is left.
    Eradicated,
    /// What came before what.
    Order,
    /// What was kept, and whether the record verifies.
    Evidence,
    /// What must be as it was.
    Unharmed,
    /// What the runs say of themselves: whether it is so, and whether their checks could have failed.
    Claims,
    /// What the undo put back.
    Undone,
}

impl Part {
    /// Returns what a person calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Eradicated => "eradicated",
            Self::Order => "order kept",
            Self::Evidence => "evidence",
            Self::Unharmed => "unharmed",
            Self::Claims => "claims",
            Self::Undone => "undone",
        }
    }
}

/// One line of a judgement.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Line {
    /// Its name, the same in every drill of the scenario.
    pub id: String,
    /// Which part it belongs to.
    pub part: Part,
    /// What is claimed.
    pub claim: String,
    /// Whether it is so; absent: the judge could not tell, which counts as not so.
    pub holds: Option<bool>,
    /// Points given.
    pub points: u32,
    /// Points that there are.
    pub of: u32,
    /// Why not all points were given; empty where they were.
    pub why: String,
    /// Since when it is so, where that is known.
    #[schemars(with = "Option<String>")]
    pub at: Option<DateTime<Utc>>,
}

/// How long a step took.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct StepTime {
    /// The run's id.
    pub run: String,
    /// The runbook.
    pub runbook: String,
    /// The step.
    pub step: String,
    /// What it does.
    pub title: String,
    /// How it ended, as in the run's report.
    pub status: String,
    /// When it began, in seconds from the finding.
    pub began_seconds: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A run of the drill.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct RunRef {
    /// Its id.
    pub run: String,
    /// The runbook.
    pub runbook: String,
    /// `drill` or `undo`.
    pub mode: String,
    /// How it stands, as in its report.
    pub status: String,
    /// Whether its record verifies.
    pub verified: bool,
    /// The chain value of its last entry.
    pub head: String,
}

impl Verdict {
    /// Adds up the lines: points, score, and whether all hold.
    pub fn add_up(&mut self) {
        self.points = self.lines.iter().map(|line| line.points).sum();
        self.of = self.lines.iter().map(|line| line.of).sum();
        self.score = (self.points * 100).checked_div(self.of).unwrap_or(0);
        self.passed =
            !self.lines.is_empty() && self.lines.iter().all(|line| line.holds == Some(true));
    }

    /// Takes the points of a line, and says why besides what it says already.
    pub fn fault(&mut self, id: &str, why: &str) {
        for line in self.lines.iter_mut().filter(|line| line.id == id) {
            line.holds = Some(false);
            line.points = 0;
            if !line.why.is_empty() {
                line.why.push_str("; ");
            }
            line.why.push_str(why);
        }
        self.add_up();
    }

    /// Returns the lines that do not hold.
    pub fn missed(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.holds != Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn line(id: &str, holds: Option<bool>, of: u32) -> Line {
        let given = if holds == Some(true) { of } else { 0 };
        Line {
            id: id.to_owned(),
            part: Part::Contained,
            claim: "it is so".to_owned(),
            holds,
            points: given,
            of,
            why: String::new(),
            at: None,
        }
    }

    #[test]
    fn what_nobody_could_tell_is_not_passed() {
        let reached = Reached {
            at: None,
            seconds: None,
            deadline_seconds: 300,
            kept: false,
            at_latest: false,
        };
        let mut verdict = Verdict {
            schema_version: SCHEMA_VERSION,
            drill: "DRILL-1".to_owned(),
            scenario: ScenarioRef {
                name: "x".to_owned(),
                version: "1.0.0".to_owned(),
                digest: String::new(),
                title: String::new(),
            },
            place: Place::Lab,
            by: By::Auto,
            participants: Vec::new(),
            observer: None,
            emitted_at: DateTime::UNIX_EPOCH,
            judged_at: DateTime::UNIX_EPOCH,
            contained: reached.clone(),
            eradicated: reached,
            lines: vec![line("a", Some(true), 2), line("b", None, 1)],
            points: 0,
            of: 0,
            score: 0,
            passed: true,
            steps: Vec::new(),
            runs: Vec::new(),
        };
        verdict.add_up();
        assert_eq!((verdict.points, verdict.of, verdict.score), (2, 3, 66));
        assert!(!verdict.passed);
        assert_eq!(verdict.missed().count(), 1);
        verdict.fault("a", "it was never begun");
        verdict.fault("a", "nor ended");
        assert_eq!((verdict.points, verdict.score), (0, 0));
        assert_eq!(verdict.lines[0].why, "it was never begun; nor ended");
        verdict.lines.clear();
        verdict.add_up();
        assert!(!verdict.passed, "nothing judged is nothing passed");
    }
}
