//! Telling people from the command line: what the environment holds for it, and of a run that never began.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::config::{Config, NO_PROFILE};
use super::connect::http;
use super::execute::{Chosen, runtime};
use super::exit::Exit;
use super::home::Home;
use super::refusal::Refusal;
use super::{out, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::Engine;
use crate::engine::notify::{Channels, Message, News};
use crate::ids::IncidentId;
use crate::report::model::{RunReport, RunStatus};
use crate::report::run::started;
use crate::runbook::model::Purpose;

/// Returns what an environment variable holds.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Tells that a run failed before it had a record, where that is no slip of the keyboard: at night nobody may look.
pub(super) async fn never_began(
    engine: &Engine,
    chosen: &Chosen,
    (incident, targets): (IncidentId, Vec<String>),
    drill: bool,
    refusal: &Refusal,
) {
    let failed = [Exit::Failed.code(), Exit::CannotRecord.code()].contains(&refusal.exit_code);
    if !failed || chosen.runbook.purpose == Purpose::Read {
        return;
    }
    let message = Message {
        incident: incident.to_string(),
        run: None,
        runbook: chosen.runbook.name.value.clone(),
        news: News::Ended(RunStatus::Failed),
        drill,
        at: engine.clock.now(),
        failed: vec![(chosen.runbook.name.value.clone(), refusal.message.clone())],
        targets,
        residual: Vec::new(),
    };
    for gap in engine.channels.tell(&message, &engine.clock).await {
        out::line(&format!("azir: {}", shown::line(&gap)));
    }
}

/// Returns the channels of a run's own profile, or of the one that is named; says which of them nobody can be told by.
pub(super) fn of_run(own: &ArgMatches, home: &Home, run_dir: &Path) -> Result<Channels, Refusal> {
    let typed = own.value_source("profile") == Some(ValueSource::CommandLine);
    let named = own.get_one::<String>("profile").filter(|_| typed).cloned();
    let begun = started(run_dir).map(|start| start.profile);
    let begun = begun
        .ok()
        .filter(|name| ![NO_PROFILE, ""].contains(&name.as_str()));
    let (name, profile) = Config::load(home)?.choose(named.or(begun).as_deref())?;
    let channels = Channels::new(&profile.notify, &http()?, &environment);
    if channels.look().next().is_none() {
        out::line(&format!(
            "azir: profile {} names no channel (notify); it is told here alone",
            shown::line(&name)
        ));
    }
    for (name, ready) in channels.look() {
        if let Err(why) = ready {
            let text = format!("azir: nobody can be told by {name}: {why}; azir doctor");
            out::line(&shown::line(&text));
        }
    }
    Ok(channels)
}

/// Tells that what a run left open has ended.
pub(super) fn residual_ended(channels: &Channels, report: &RunReport) -> Result<(), Refusal> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let failed = report.targets.iter().filter_map(|one| {
        let error = one.error.as_ref()?;
        Some((one.target.clone(), error.message.clone()))
    });
    let message = Message {
        incident: report.incident.clone(),
        run: Some(report.run.clone()),
        runbook: report.runbook.name.clone(),
        news: News::ResidualEnded(report.status),
        drill: report.drill,
        at: clock.now(),
        targets: report
            .targets
            .iter()
            .map(|one| one.target.clone())
            .collect(),
        failed: failed.collect(),
        residual: report
            .residual
            .iter()
            .map(|open| (open.what.clone(), open.until.clone()))
            .collect(),
    };
    for gap in runtime()?.block_on(channels.tell(&message, &clock)) {
        out::line(&format!("azir: {}", shown::line(&gap)));
    }
    out::line(&format!("azir: {}", shown::line(&message.headline())));
    Ok(())
}

/// Returns for each channel what the doctor says of it: whether it is ready, in words, and what to do.
pub(super) fn diagnosis(channels: &Channels) -> Vec<(&'static str, String, String)> {
    let each = channels.look();
    each.map(|(name, ready)| match ready {
        Ok(()) => (
            "ok",
            format!("{name}: what it needs is there"),
            String::new(),
        ),
        Err(why) => (
            "warn",
            format!("{name}: {why}; nobody is told through it"),
            "export it where azir runs, or edit notify in config.toml".to_owned(),
        ),
    })
    .collect()
}
