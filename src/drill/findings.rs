//! What failed in a drill, until a later drill of the scenario passes it: a fold over verdicts, stored nowhere else.
//!
//! A line that does not hold opens a finding, whoever answered and wherever; one in which it holds closes it. Only who
//! shall see to it, and until when, is written down: see [`assignment`](super::assignment).

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::assignment::Assignment;
use super::verdict::{By, Line, Part, Place, Verdict};

/// Days that a finding has where nobody says otherwise.
pub const DAYS: u64 = 30;

/// A line that did not hold.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Finding {
    /// Its id: `F-<scenario>-<line>`, the same each time it comes back.
    pub id: String,
    /// The scenario.
    pub scenario: String,
    /// The line of the judgement.
    pub line: String,
    /// Which part that belongs to.
    pub part: Part,
    /// What should have been so.
    pub claim: String,
    /// Why it was not, the last time.
    pub why: String,
    /// Whether no later drill passed it.
    pub open: bool,
    /// Who shall see to it.
    pub owner: String,
    /// Whether somebody said so; else it is the first who took part, the observer, or the responder.
    pub assigned: bool,
    /// The last day on which it may be open.
    #[schemars(with = "String")]
    pub due: NaiveDate,
    /// Whether it is open after that day.
    pub overdue: bool,
    /// What became of it, oldest first.
    pub turns: Vec<Turn>,
}

/// What a drill did to a finding.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Turn {
    /// What.
    pub what: Change,
    /// When the judge looked.
    #[schemars(with = "String")]
    pub time: DateTime<Utc>,
    /// The drill.
    pub drill: String,
    /// Who answered.
    pub by: By,
    /// Where.
    pub place: Place,
}

/// How a finding changes.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It did not hold for the first time.
    Opened,
    /// It did not hold again.
    StillOpen,
    /// It held.
    Closed,
    /// It held before, and does no more.
    Reopened,
}

impl Change {
    /// Returns what a person calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::StillOpen => "failed again",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

/// Returns every finding of verdicts that [`counted`](super::history::counted) gave, the open ones first and by due
/// day. `responder` answers for what nobody took part in.
pub fn findings(
    verdicts: &[&Verdict],
    assignments: &[Assignment],
    responder: &str,
    today: NaiveDate,
) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for verdict in verdicts {
        for line in &verdict.lines {
            let id = format!("F-{}-{}", verdict.scenario.name, line.id);
            let holds = line.holds == Some(true);
            match found.get_mut(&id) {
                Some(known) => known.take(verdict, line, responder),
                None if holds => {}
                None => {
                    let opened = Finding::opened(id.clone(), verdict, line, responder);
                    found.insert(id, opened);
                }
            }
        }
    }
    let mut all: Vec<Finding> = found.into_values().collect();
    for finding in &mut all {
        finding.assign(assignments);
        finding.overdue = finding.open && today > finding.due;
    }
    all.sort_by(|one, other| {
        (!one.open, one.due, &one.id).cmp(&(!other.open, other.due, &other.id))
    });
    all
}

impl Finding {
    fn opened(id: String, verdict: &Verdict, line: &Line, responder: &str) -> Self {
        let (owner, due) = at_first(verdict, responder);
        let mut finding = Self {
            id,
            scenario: verdict.scenario.name.clone(),
            line: line.id.clone(),
            part: line.part,
            claim: line.claim.clone(),
            why: line.why.clone(),
            open: true,
            owner,
            assigned: false,
            due,
            overdue: false,
            turns: Vec::new(),
        };
        finding.turn(Change::Opened, verdict);
        finding
    }

    /// Takes the same line of a later drill.
    fn take(&mut self, verdict: &Verdict, line: &Line, responder: &str) {
        if line.holds == Some(true) {
            if self.open {
                self.open = false;
                self.turn(Change::Closed, verdict);
            }
            return;
        }
        self.claim.clone_from(&line.claim);
        self.why.clone_from(&line.why);
        if self.open {
            self.turn(Change::StillOpen, verdict);
        } else {
            self.open = true;
            (self.owner, self.due) = at_first(verdict, responder);
            self.turn(Change::Reopened, verdict);
        }
    }

    fn turn(&mut self, what: Change, verdict: &Verdict) {
        self.turns.push(Turn {
            what,
            time: verdict.judged_at,
            drill: verdict.drill.clone(),
            by: verdict.by,
            place: verdict.place,
        });
    }

    /// Takes the last assignment. One from before it was reopened still says who, and no longer until when.
    fn assign(&mut self, assignments: &[Assignment]) {
        let mine = assignments.iter().rfind(|one| one.finding == self.id);
        let Some(last) = mine else { return };
        self.owner.clone_from(&last.owner);
        self.assigned = true;
        let opened = self
            .turns
            .iter()
            .rfind(|turn| matches!(turn.what, Change::Opened | Change::Reopened));
        if opened.is_none_or(|turn| last.time >= turn.time) {
            self.due = last.due;
        }
    }
}

/// Returns whose a finding of a drill is, and until when, as long as nobody says otherwise.
fn at_first(verdict: &Verdict, responder: &str) -> (String, NaiveDate) {
    let named = verdict.participants.first().or(verdict.observer.as_ref());
    let day = verdict.judged_at.date_naive();
    (
        named.map_or(responder, String::as_str).to_owned(),
        day.checked_add_days(Days::new(DAYS)).unwrap_or(day),
    )
}
