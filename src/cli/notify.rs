//! Telling people from the command line: what the environment holds for it, and of a run that never began.

use super::execute::Chosen;
use super::exit::Exit;
use super::refusal::Refusal;
use super::{out, shown};
use crate::engine::Engine;
use crate::engine::notify::{Channels, Message};
use crate::ids::IncidentId;
use crate::report::model::RunStatus;
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
        status: RunStatus::Failed,
        drill: false,
        at: engine.clock.now(),
        failed: vec![(chosen.runbook.name.value.clone(), refusal.message.clone())],
        targets,
        residual: Vec::new(),
    };
    for gap in engine.channels.tell(&message, &engine.clock).await {
        out::line(&format!("azir: {}", shown::line(&gap)));
    }
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
