//! `azir resume`: goes on with the run that broke off; without a name, with the one that is open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;

use super::acted::{Acted, refuse_incident_log};
use super::connect::connect;
use super::execute::{engine, finish, responder, runtime, settle};
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, meaning, out};
use crate::engine::{Ended, ResumeRequest};
use crate::report::cases;
use crate::report::run::{started, told};
use crate::runbook::catalogue::Catalogue;

/// Goes on with a run.
pub(super) fn resume(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let output = Output::of(own);
    let Some(run_dir) = named_or_open(own, home)? else {
        match output {
            Output::Human => out::line("azir: no run is open"),
            Output::Json | Output::Ndjson => out::result(r#"{"open":[]}"#),
        }
        return Ok(0);
    };
    let start = started(&run_dir).map_err(|error| Refusal::integrity(&error))?;
    refuse_incident_log(&start, "there is nothing to go on with")?;
    // A run may have been cut off between its last line and its last word.
    if let Some(code) = ended(&run_dir) {
        out::line(&format!(
            "azir: run {} has ended; nothing of it is left to do",
            start.run
        ));
        let ended = Ended {
            run_dir,
            exit_code: code,
            missing: Vec::new(),
        };
        return finish(&ended, output, home);
    }
    if own.get_flag("plan") {
        return Err(Refusal::usage(
            "what is left of a run is in its record, and needs no plan",
            format!("azir show {}", start.run),
        ));
    }
    let acted = Acted::of(own, &run_dir, &start, home, "resume")?;
    let choices = meaning::choices(own)?;
    runtime()?.block_on(async {
        let connection = connect(&acted.place, home, &acted.case).await?;
        acted.place.agrees(connection.client.cloud_name())?;
        let responder = responder(own, &connection).await;
        let (mut engine, halt, live) = engine(own, &connection, catalogue, home, &responder)?;
        // It stays where it lies, also where the case was copied to.
        engine.cases = acted.cases(home);
        let request = ResumeRequest {
            run_dir: run_dir.clone(),
            choices,
            accept: meaning::accepted(own),
            yes: own.get_flag("yes"),
            responder,
        };
        let ended = settle(engine.resume(request), &live, halt).await?;
        finish(&ended, output, home)
    })
}

/// Returns the exit code of a run that is closed for good.
fn ended(run_dir: &Path) -> Option<u8> {
    let report = told(run_dir).ok()?;
    report.exit_code.filter(|_| report.journal.sealed)
}

/// Returns the run that was named, else the only one that is open; nothing where none is.
fn named_or_open(own: &ArgMatches, home: &Home) -> Result<Option<PathBuf>, Refusal> {
    if let Some(name) = own.get_one::<String>("run") {
        return home.run(name).map(Some);
    }
    let mut open: Vec<(PathBuf, String)> = cases::folders(&home.cases())
        .into_iter()
        .filter_map(|path| {
            let report = told(&path).ok()?;
            report.resume.as_ref()?;
            let targets = report.targets.iter().map(|target| target.target.as_str());
            let targets: Vec<&str> = targets.take(3).collect();
            let line = format!(
                "azir resume {} ({} of {}, {})",
                report.run,
                report.runbook.name,
                report.incident,
                targets.join(", ")
            );
            Some((path, line))
        })
        .collect();
    match open.len() {
        0 => Ok(None),
        1 => Ok(Some(open.remove(0).0)),
        count => {
            let lines: Vec<String> = open.into_iter().map(|(_, line)| line).collect();
            Err(Refusal::usage(
                format!("{count} runs are open; say which: {}", lines.join("; ")),
                "azir resume RUN",
            ))
        }
    }
}
