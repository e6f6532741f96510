//! Which incident is meant, and who speaks: what the commands around the runs have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use serde_json::json;

use super::acting::Acting;
use super::config::{self, Config};
use super::entered::LEAVE;
use super::home::Home;
use super::refusal::Refusal;
use super::seal::whose;
use super::witnesses::at_the_desk;
use super::{Output, execute, meaning, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::drill::record;
use crate::drill::verdict::Place;
use crate::engine::desk::{Desk, Written};
use crate::engine::profile::Profile;
use crate::engine::{Mode, Responder};
use crate::ids::IncidentId;
use crate::random::{Random, SystemRandom};
use crate::report::cases;
use crate::report::incident::{State, incident};
use crate::report::run::started;

/// Returns the argument that names an incident.
pub(super) fn argument() -> Arg {
    Arg::new("case")
        .value_name("ID")
        .help("The incident; absent: --incident, else the only open one")
}

/// Returns the incident that was named, if one was: behind the command or by `--incident`. In a drill no other is.
pub(super) fn named(own: &ArgMatches, home: &Home) -> Result<Option<IncidentId>, Refusal> {
    let behind = own
        .try_get_one::<String>("case")
        .ok()
        .flatten()
        .map(String::as_str);
    let option = own.get_one::<String>("incident").map(String::as_str);
    let typed = own.value_source("incident") == Some(ValueSource::CommandLine);
    match (behind, option) {
        (Some(behind), Some(option)) if typed && behind != option => Err(Refusal::usage(
            format!("{behind} and --incident {option} contradict each other"),
            "leave one of them out",
        )),
        (Some(text), _) | (None, Some(text)) => {
            let id = meaning::incident_id(text)?;
            of_drill(&id, home)?;
            Ok(Some(id))
        }
        (None, None) => Ok(None),
    }
}

/// Refuses an incident that is not the drill's that was entered, and a drill's where none was.
fn of_drill(id: &IncidentId, home: &Home) -> Result<(), Refusal> {
    match &home.drill {
        None if record::is_id(id.as_str()) => Err(home.no_drill(id.as_str())),
        Some(drill) if drill.standing.begun.drill != id.as_str() => {
            let drill = &drill.standing.begun.drill;
            Err(Refusal::usage(
                format!(
                    "{id} is not drill {drill}, in which this command takes place: nothing real is filed there"
                ),
                format!("{LEAVE}, for the real thing"),
            ))
        }
        _ => Ok(()),
    }
}

/// Returns the incident that is meant: the one that was named, else the only one that is open.
///
/// Where none was ever opened, the only one that has runs; a guess between several could put a note into the
/// wrong record.
pub(super) fn meant(own: &ArgMatches, home: &Home) -> Result<IncidentId, Refusal> {
    if let Some(id) = named(own, home)? {
        return Ok(id);
    }
    let (mut open, mut others) = (Vec::new(), Vec::new());
    for case in folders(&home.cases()) {
        let id = case
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let Some(id) = id.filter(|_| !cases::of_case(&case).is_empty()) else {
            continue;
        };
        match incident(&case).map(|said| said.state) {
            Ok(State::Closed) => {}
            Ok(State::Open) => open.push(id),
            Ok(State::NotOpened) | Err(_) => others.push(id),
        }
    }
    let mut found = if open.is_empty() { others } else { open };
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Refusal::usage(
            "no incident was named, and none is open",
            "azir incident open IR-2026-0042",
        )),
        count => {
            let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
            Err(Refusal::usage(
                format!(
                    "no incident was named, and {count} could be meant: {}",
                    ids.join(", ")
                ),
                format!("--incident {}", ids.last().map_or("ID", String::as_str)),
            ))
        }
    }
}

/// Returns the folder of the case that is meant: a folder that was typed, wherever it lies, else the incident's own.
pub(super) fn place(own: &ArgMatches, home: Result<Home, Refusal>) -> Result<PathBuf, Refusal> {
    if let Some(text) = own.get_one::<String>("case")
        && (Path::new(text).components().count() > 1 || text == ".")
    {
        return folder(text);
    }
    let home = home?;
    let id = meant(own, &home)?;
    let case = home.cases().join(id.as_str());
    if cases::of_case(&case).is_empty() {
        return Err(Refusal::usage(
            format!("there is no incident {id} in {}", home.cases().display()),
            format!("azir incident open {id}"),
        ));
    }
    Ok(case)
}

/// Reads the folder of a case, or of a run of one.
pub(super) fn folder(text: &str) -> Result<PathBuf, Refusal> {
    let path = Path::new(text);
    if started(path).is_ok()
        && let Some(case) = std::path::absolute(path)
            .ok()
            .and_then(|path| path.parent().map(Path::to_path_buf))
    {
        return Ok(case);
    }
    if cases::of_case(path).is_empty() {
        return Err(Refusal::usage(
            format!("{text} is no folder of a case: it holds no run"),
            "azir list",
        ));
    }
    Ok(path.to_path_buf())
}

fn folders(cases: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(cases)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// Returns the desk that people write at, who writes, and what keeps a drill from being ended meanwhile.
pub(super) fn desk(
    own: &ArgMatches,
    home: &Home,
    command: &str,
) -> Result<(Desk, Responder, Acting), Refusal> {
    let acting = home.act(command)?;
    let profile = profile(own, home)?;
    home.prepare()?;
    let by = Responder {
        upn: whose(own, &profile, home),
        ..Responder::default()
    };
    meaning::person(&by.upn).map_err(|why| {
        Refusal::usage(
            format!("--responder {:?}: {why}", by.upn),
            "--responder alice@contoso.com",
        )
    })?;
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock), Arc::new(SystemRandom));
    let witnesses = at_the_desk(own, &profile, home, &by.upn, &clock, &random)?;
    let desk = Desk {
        cases: home.cases(),
        clock,
        random,
        tool: execute::tool(),
        mode: if home.drill.is_some() {
            Mode::Drill
        } else {
            Mode::Execute
        },
        witnesses,
        tell: |ask| out::line(&format!("azir: {}", shown::line(ask))),
    };
    Ok((desk, by, acting))
}

/// Returns the profile in force, without reaching anything.
pub(super) fn profile(own: &ArgMatches, home: &Home) -> Result<Profile, Refusal> {
    let drill_in_lab = home
        .drill
        .as_ref()
        .is_some_and(|drill| drill.standing.begun.place == Place::Lab);
    if own.get_flag("lab") || drill_in_lab {
        return Ok(config::lab());
    }
    let of_drill = home
        .drill
        .as_ref()
        .map(|drill| drill.standing.begun.profile.as_str());
    let named = own.get_one::<String>("profile").map(String::as_str);
    let named = of_drill.or(named);
    let (_, profile) = Config::load(home)?.choose(named)?;
    Ok(profile)
}

/// Says what was written, and what the record of it lacks.
pub(super) fn say(
    own: &ArgMatches,
    id: &IncidentId,
    what: &str,
    written: &Written,
    more: serde_json::Value,
) {
    if written.redacted > 0 {
        out::line("azir: what looked like a secret was replaced by ***");
    }
    for missing in &written.missing {
        out::line(&format!("azir: {}", shown::line(missing)));
    }
    if Output::of(own) != Output::Human {
        let mut told = json!({
            "incident": id.to_string(),
            "run": written.run,
            "seq": written.seq,
            "path": written.run_dir.display().to_string(),
            "redacted": written.redacted,
            "signed": written.signed,
            "missing": written.missing,
        });
        if let (Some(told), serde_json::Value::Object(more)) = (told.as_object_mut(), more) {
            told.extend(more);
        }
        out::result(&told.to_string());
        return;
    }
    let signed = if written.signed {
        ""
    } else {
        "; unsigned by a person"
    };
    out::result(&format!(
        "{}\nrecord: line {} of run {}{signed}",
        shown::block(what),
        written.seq,
        crate::report::run::short(&written.run)
    ));
}
