//! How a drill stands: a fold over the lines of its record, which refuses a line that cannot follow.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Begun, What};
use super::verdict::Verdict;

/// Where a drill is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What it needs is being made.
    Planting,
    /// The clock runs.
    Running,
    /// It was judged; what was made is not cleared away yet.
    Judged,
    /// Judged and cleared away.
    Closed,
    /// Given up; what was made is not cleared away yet.
    Aborting,
    /// Given up and cleared away.
    Aborted,
}

/// How a drill stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What it was begun with.
    pub begun: Begun,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// Where it is.
    pub state: State,
    /// When the finding was told.
    pub emitted_at: Option<DateTime<Utc>>,
    /// What was announced to be made and is not known to be there, by path.
    pub making: Vec<String>,
    /// What was made, in order.
    pub made: Vec<Built>,
    /// Conditions with the time when they were first seen true.
    pub seen: Vec<(String, DateTime<Utc>)>,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// What was cleared away.
    pub cleared: Vec<String>,
    /// What stays, and why.
    pub left: Vec<(String, String)>,
}

/// Something that the drill made.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// The build's id.
    pub build: String,
    /// What answers to it: a resource id, or an object id of the directory.
    pub id: String,
    /// The call that takes it away, where deleting the resource group does not.
    pub remove: Option<Value>,
}

/// Returns how a drill stands after one more line; refuses what cannot follow.
pub(super) fn after(
    standing: Option<Standing>,
    time: DateTime<Utc>,
    what: What,
) -> Result<Standing, String> {
    match (standing, what) {
        (None, What::Begun(begun)) => Ok(Standing::new(*begun, time)),
        (None, _) => Err("the first line does not begin a drill".to_owned()),
        (Some(mut standing), what) => {
            standing.take(time, what)?;
            Ok(standing)
        }
    }
}

impl Standing {
    pub(super) fn new(begun: Begun, begun_at: DateTime<Utc>) -> Self {
        Self {
            begun,
            begun_at,
            state: State::Planting,
            emitted_at: None,
            making: Vec::new(),
            made: Vec::new(),
            seen: Vec::new(),
            verdict: None,
            cleared: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Takes one more line; refuses what cannot follow.
    pub(super) fn take(&mut self, time: DateTime<Utc>, what: What) -> Result<(), String> {
        let at = self.state;
        let illegal = |what: &str| Err(format!("{what} cannot follow here: the drill is {at:?}"));
        match what {
            What::Begun(_) => return illegal("a second beginning"),
            What::Making { path, .. } => match at {
                State::Planting => self.making.push(path),
                _ => return illegal("making something"),
            },
            What::Made { build, id, remove } => match at {
                State::Planting => {
                    self.making.pop();
                    self.made.push(Built { build, id, remove });
                }
                _ => return illegal("something made"),
            },
            What::Named { tenant, names } => match at {
                State::Planting => {
                    self.begun.tenant = tenant;
                    self.begun.names = names;
                }
                _ => return illegal("names"),
            },
            What::Emitted => match at {
                State::Planting => {
                    self.state = State::Running;
                    self.emitted_at = Some(time);
                }
                _ => return illegal("the finding"),
            },
            What::Seen { condition } => match at {
                State::Running => {
                    if !self.seen.iter().any(|(known, _)| *known == condition) {
                        self.seen.push((condition, time));
                    }
                }
                _ => return illegal("a condition that was seen"),
            },
            What::Judged(verdict) => match at {
                State::Running | State::Judged => {
                    self.state = State::Judged;
                    self.verdict = Some(*verdict);
                }
                _ => return illegal("a verdict"),
            },
            What::Clearing { .. } => match at {
                State::Judged | State::Aborting => {}
                _ => return illegal("clearing away"),
            },
            What::Cleared { id } => match at {
                State::Judged | State::Aborting => self.cleared.push(id),
                _ => return illegal("something cleared away"),
            },
            What::Left { id, why } => match at {
                State::Judged | State::Aborting => self.left.push((id, why)),
                _ => return illegal("something left"),
            },
            What::Closed => {
                self.state = match at {
                    State::Judged => State::Closed,
                    State::Aborting => State::Aborted,
                    _ => return illegal("the end"),
                }
            }
            What::Aborted { .. } => match at {
                State::Planting | State::Running => self.state = State::Aborting,
                _ => return illegal("giving up"),
            },
        }
        Ok(())
    }

    /// Returns whether people may work in it.
    pub fn runs(&self) -> bool {
        self.state == State::Running
    }
}
