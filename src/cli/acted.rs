//! A run that has acted, and that a command goes on with or puts back: what is asked of it before anything is reached.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::acting::Acting;
use super::connect::Place;
use super::entered::LEAVE;
use super::home::Home;
use super::meaning;
use super::refusal::Refusal;
use crate::drill::record;
use crate::journal::reader::{holder, is_held};
use crate::report::run::Started;

/// A run that nobody is writing, and where it acted.
pub(super) struct Acted {
    pub(super) place: Place,
    /// The folder of its case, wherever that was copied to.
    pub(super) case: PathBuf,
    /// Held until the command is done.
    pub(super) _acting: Acting,
}

impl Acted {
    /// Refuses what `command` cannot be done with: another incident, cloud or drill, a run being written.
    pub(super) fn of(
        own: &ArgMatches,
        run_dir: &Path,
        start: &Started,
        home: &Home,
        command: &str,
    ) -> Result<Self, Refusal> {
        meaning::same_incident(own, start, command)?;
        keep_apart(start, home, command)?;
        let acting = home.act(command)?;
        let place = Place::of_run(own, start, command)?;
        if is_held(run_dir) {
            return Err(Refusal::record(
                format!("the run is still being written by {}", holder(run_dir)),
                "wait for it to end, or stop it with ctrl-C",
            ));
        }
        home.prepare()?;
        let case = run_dir
            .parent()
            .map_or_else(|| home.cases(), Path::to_path_buf);
        Ok(Self {
            place,
            case,
            _acting: acting,
        })
    }

    /// Returns the folder of all cases beside this one: what is written is filed beside the run.
    pub(super) fn cases(&self, home: &Home) -> PathBuf {
        self.case
            .parent()
            .map_or_else(|| home.cases(), Path::to_path_buf)
    }
}

/// Refuses to act on a run from the other side of a drill's border: on what was rehearsed outside of its drill, and on
/// what is real, or of another drill, inside one. Wherever the run lies: a path leads anywhere.
pub(super) fn keep_apart(start: &Started, home: &Home, command: &str) -> Result<(), Refusal> {
    let (run, incident) = (&start.run, &start.incident);
    let rehearsed = start.drill || record::is_id(incident) || home.is_drill(incident);
    let inside = format!("azir {command} {run} --incident {incident}");
    let Some(drill) = &home.drill else {
        if !rehearsed {
            return Ok(());
        }
        return Err(Refusal::usage(
            format!("run {run} belongs to drill {incident}, and is only acted on inside it"),
            if home.is_drill(incident) {
                inside
            } else {
                format!("export AZIR_HOME=FOLDER, the one that holds the drill, then {inside}")
            },
        ));
    };
    let entered = &drill.standing.begun.drill;
    if start.drill && incident == entered {
        return Ok(());
    }
    Err(Refusal::usage(
        format!(
            "run {run} belongs to incident {incident}, and this is drill {entered}: what is of one is not acted on in the other"
        ),
        if rehearsed {
            inside
        } else {
            format!("{LEAVE}, or leave --incident out, then azir {command} {run}")
        },
    ))
}

/// Refuses an incident log, in which nothing was carried out.
pub(super) fn refuse_incident_log(start: &Started, why: &str) -> Result<(), Refusal> {
    if !start.is_incident_log() {
        return Ok(());
    }
    Err(Refusal::usage(
        format!(
            "run {} is the incident log of {}: {why}",
            start.run, start.incident
        ),
        format!("azir incident status {}", start.incident),
    ))
}
