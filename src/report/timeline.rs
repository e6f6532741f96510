//! What happened in a case, in true order, as people tell it.

use std::collections::HashSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::order::{Merge, Placed, SessionClock};
use super::{cases, words};
use crate::clock::micros;
use crate::journal::{JournalError, Line};

/// One thing that happened.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Event {
    /// When, by the cloud's clock as far as that is known.
    pub time: String,
    /// When, by the clock of the machine that wrote it.
    pub recorded: String,
    /// How many milliseconds that clock was ahead of the cloud's; absent where nobody measured it.
    pub offset_ms: Option<i64>,
    /// The run's id.
    pub run: String,
    /// The line of its journal.
    pub seq: u64,
    /// The machine.
    pub host: String,
    /// Who speaks: a person, a service, or `azir`.
    pub who: String,
    /// The type of the line.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub text: String,
    /// What contradicts its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A case's events, one after the other.
pub struct Timeline {
    merge: Merge,
    everything: bool,
    /// Reads that were left out, whose results are left out too: `(run, line)`.
    reads: HashSet<(usize, u64)>,
}

impl Timeline {
    /// Opens a case. `everything`: reads too, which change nothing and are most of the lines.
    pub fn open(case: &Path, everything: bool) -> Self {
        Self {
            merge: Merge::open(&cases::of_case(case)),
            everything,
            reads: HashSet::new(),
        }
    }

    /// Returns the sessions with their clocks.
    pub fn clocks(&self) -> &[SessionClock] {
        self.merge.clocks()
    }

    /// Returns how many runs there are.
    pub fn runs(&self) -> usize {
        self.merge.runs().len()
    }

    /// Returns what is wrong with the whole; complete when the last event was returned.
    pub fn problems(&self) -> &[String] {
        self.merge.problems()
    }

    /// Returns the next event.
    ///
    /// # Errors
    /// A journal that cannot be read to its end.
    pub fn next_event(&mut self) -> Result<Option<Event>, JournalError> {
        while let Some(placed) = self.merge.next_line()? {
            if self.told(placed.run, &placed.line) || !placed.notes.is_empty() {
                return Ok(Some(self.event(placed)));
            }
        }
        Ok(None)
    }

    fn told(&mut self, run: usize, line: &Line) -> bool {
        if self.everything {
            return true;
        }
        let word = |name: &str| line.data.get(name).and_then(Value::as_str);
        match line.kind.as_str() {
            "action.intent" if word("effect") == Some("read") => {
                self.reads.insert((run, line.seq));
                false
            }
            "action.result" => {
                let intent = line.data.get("intent").and_then(Value::as_u64);
                !intent.is_some_and(|intent| self.reads.remove(&(run, intent)))
            }
            "anchor" | "heartbeat" => false,
            _ => true,
        }
    }

    fn event(&self, placed: Placed) -> Event {
        let member = &self.merge.runs()[placed.run];
        let session = self
            .merge
            .clocks()
            .iter()
            .find(|clock| clock.session == placed.line.session);
        Event {
            time: micros(placed.at),
            recorded: placed.line.time.clone(),
            offset_ms: placed.offset_ms,
            run: member.run.clone(),
            seq: placed.line.seq,
            host: session.map_or_else(|| member.host.clone(), |session| session.host.clone()),
            who: words::who(&placed.line).to_owned(),
            text: words::what(&placed.line),
            kind: placed.line.kind,
            notes: placed.notes,
        }
    }
}
