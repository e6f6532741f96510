//! The drill that a command takes place in: the one whose id stands behind the command or in `--incident`, with its own
//! cases and its own place. An id that is written as a drill's and is none here is refused, never taken for an incident.
//!
//! Whoever works in a drill types the ordinary commands. Where they act is the drill's to say, not the flags', because a
//! flag that were forgotten would send a rehearsed command into the real tenant.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::connect::Connection;
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, out};
use crate::drill::names;
use crate::drill::record::{self, RecordError, Standing, State};
use crate::drill::scenario::Scenario;
use crate::drill::verdict::{By, Place};
use crate::runbook::expr::Scope;

/// A drill that a command takes place in.
#[derive(Debug)]
pub(super) struct Entered {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// How it stood when the command began.
    pub(super) standing: Standing,
    /// What it rehearses.
    pub(super) scenario: Scenario,
}

impl Home {
    /// Returns this home as a command in `own` sees it: inside the drill that it names, where it names one.
    pub(super) fn entering(self, own: &ArgMatches) -> Result<Self, Refusal> {
        let word = |name: &str| own.try_get_one::<String>(name).ok().flatten();
        let drill = |id: &&String| record::is_id(id) || self.is_drill(id);
        // What stands behind the command was typed for it; what is exported may be of another day.
        let named = word("case").filter(drill);
        let named = named.or_else(|| word("incident").filter(drill));
        let Some(id) = named else {
            return Ok(self);
        };
        let home = self.inside(id)?;
        out::enter_drill(Output::of(own) == Output::Human);
        if let Some(drill) = &home.drill {
            drill.agrees(own)?;
        }
        Ok(home)
    }

    /// Whether there is a drill of this name. A name with a folder in it is none.
    pub(super) fn is_drill(&self, id: &str) -> bool {
        !id.contains(['/', '\\']) && record::folder(&self.root, id).join("drill.jsonl").is_file()
    }

    /// Says that there is no such drill, and which one may be meant.
    pub(super) fn no_drill(&self, id: &str) -> Refusal {
        let (drills, _) = record::all(&self.root);
        let mut ids = drills.into_iter().map(|(_, standing)| standing.begun.drill);
        let near = ids.find(|known| known.eq_ignore_ascii_case(id));
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Refusal::usage(
            format!(
                "there is no drill {id} in {}, and no incident is named so{near}",
                self.root.display()
            ),
            format!("azir drill list, or {LEAVE} for the real thing"),
        )
    }

    /// Returns this home inside a drill.
    pub(super) fn inside(&self, id: &str) -> Result<Self, Refusal> {
        if !self.is_drill(id) {
            return Err(self.no_drill(id));
        }
        let folder = record::folder(&self.root, id);
        let standing = record::read(&folder).map_err(unreadable)?;
        // A disk that does not tell upper from lower case finds the folder all the same.
        if standing.begun.drill != id {
            return Err(self.no_drill(id));
        }
        let path = folder.join("scenario.yaml");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| unreadable(RecordError::File { path, source }))?;
        let scenario = Scenario::parse(&text).map_err(|why| {
            Refusal::integrity(&format!(
                "{}: {why}",
                folder.join("scenario.yaml").display()
            ))
        })?;
        let scenario = scenario.at(standing.begun.place);
        if Scenario::digest(&text) != standing.begun.scenario.digest {
            return Err(Refusal::integrity(&format!(
                "{} is not the scenario that drill {id} was begun with",
                folder.join("scenario.yaml").display()
            )));
        }
        Ok(Self {
            root: self.root.clone(),
            drill: Some(Arc::new(Entered {
                folder,
                standing,
                scenario,
            })),
        })
    }
}

impl Entered {
    /// Refuses flags that name another place than the drill's.
    fn agrees(&self, own: &ArgMatches) -> Result<(), Refusal> {
        let typed = |name: &str| own.value_source(name) == Some(ValueSource::CommandLine);
        let begun = &self.standing.begun;
        let profile = own.get_one::<String>("profile").map(String::as_str);
        let wrong = match begun.place {
            Place::Lab if typed("cloud") => Some("--cloud"),
            Place::Lab | Place::Tabletop
                if typed("profile") && profile != Some(begun.profile.as_str()) =>
            {
                Some("--profile")
            }
            Place::Tabletop if own.get_flag("lab") => Some("--lab"),
            _ => None,
        };
        match wrong {
            Some(flag) => Err(Refusal::usage(
                format!(
                    "drill {} takes place {}, and {flag} names another place",
                    begun.drill,
                    self.place()
                ),
                format!("leave {flag} out, or --incident for the real thing"),
            )),
            None => Ok(()),
        }
    }

    /// Returns what templates of its scenario see.
    pub(super) fn scope(&self, connection: &Connection, started_at: &str) -> Scope {
        let cloud = connection.client.cloud();
        names::scope(&self.standing.begun, &connection.profile, cloud, started_at)
    }

    /// Returns where it takes place, in words.
    pub(super) fn place(&self) -> String {
        let begun = &self.standing.begun;
        match begun.place {
            Place::Lab => "in the lab".to_owned(),
            Place::Tabletop => format!("with profile {}", begun.profile),
        }
    }

    /// Refuses to act in a drill whose clock does not run.
    pub(super) fn must_run(&self) -> Result<(), Refusal> {
        must_run(&self.standing)
    }
}

/// How a responder leaves a drill.
pub(super) const LEAVE: &str = "unset AZIR_INCIDENT";

/// Refuses to act in a drill whose clock does not run.
pub(super) fn must_run(standing: &Standing) -> Result<(), Refusal> {
    let id = &standing.begun.drill;
    let auto = standing.begun.by == By::Auto;
    let (why, hint) = match standing.state {
        // What people did would be judged as azir's.
        State::Running if auto => (
            "is answered by azir alone",
            format!("azir drill abort {id}, if it broke off"),
        ),
        State::Running => return Ok(()),
        State::Planting => ("has not begun", format!("azir drill abort {id}")),
        State::Judged | State::Closed => (
            "is over",
            format!("azir drill report {id}, or {LEAVE} for the real thing"),
        ),
        State::Aborting | State::Aborted => (
            "was given up",
            format!("azir drill list, or {LEAVE} for the real thing"),
        ),
    };
    Err(Refusal::usage(
        format!("drill {id} {why}: nothing is done in it"),
        hint,
    ))
}

/// Says that the record of a drill cannot be used.
pub(super) fn unreadable(error: RecordError) -> Refusal {
    match error {
        RecordError::Line { .. } => Refusal::integrity(&error),
        RecordError::Busy { .. } => Refusal::record(error.to_string(), "wait for it to end"),
        RecordError::Illegal { .. } => Refusal::usage(error.to_string(), "azir drill list"),
        RecordError::File { .. } => Refusal::record(
            error.to_string(),
            "export AZIR_HOME=/path/to/a/writable/folder",
        ),
    }
}
