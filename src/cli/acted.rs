//! A run that has acted, and that a command goes on with or puts back: what is asked of it before anything is reached.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::connect::Place;
use super::home::Home;
use super::meaning;
use super::refusal::Refusal;
use crate::journal::reader::{holder, is_held};
use crate::report::run::Started;

/// A run that nobody is writing, and where it acted.
pub(super) struct Acted {
    pub(super) place: Place,
    /// The folder of its case, wherever that was copied to.
    pub(super) case: PathBuf,
}

impl Acted {
    /// Refuses what `command` cannot be done with: an incident log, another incident or cloud, a run being written.
    pub(super) fn of(
        own: &ArgMatches,
        run_dir: &Path,
        start: &Started,
        home: &Home,
        command: &str,
    ) -> Result<Self, Refusal> {
        meaning::same_incident(own, start, command)?;
        home.must_run()?;
        if home.drill.is_none() && home.is_drill(&start.incident) {
            let (run, drill) = (&start.run, &start.incident);
            return Err(Refusal::usage(
                format!("run {run} belongs to drill {drill}, and is only acted on inside it"),
                format!("azir {command} {run} --incident {drill}"),
            ));
        }
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
        Ok(Self { place, case })
    }

    /// Returns the folder of all cases beside this one: what is written is filed beside the run.
    pub(super) fn cases(&self, home: &Home) -> PathBuf {
        self.case
            .parent()
            .map_or_else(|| home.cases(), Path::to_path_buf)
    }
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
