//! `azir drill`: an attack is planted, the clock runs, people or azir answer it, and the tenant is judged.

mod answer;
mod end;
mod start;
mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::entered::{Entered, unreadable};
use super::home::Home;
use super::refusal::Refusal;
use super::{Output, drill_told, globals, meaning, out};
use crate::drill::record::{self, State};
use crate::runbook::catalogue::Catalogue;

/// Returns the command line.
pub(super) fn command() -> Command {
    let drill = || {
        Arg::new("drill")
            .value_name("DRILL")
            .help("The drill; absent: --incident, else the only open one")
    };
    let persons = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("UPN")
            .value_parser(meaning::person)
            .help(help)
    };
    Command::new("drill")
        .about("Rehearse an attack: plant it, answer it, and have the tenant judged")
        .subcommand_required(true)
        .subcommand(
            Command::new("start")
                .about("Plant a scenario and start the clock; in the lab, or in a tabletop subscription")
                .arg(
                    Arg::new("scenario")
                        .value_name("SCENARIO|FILE")
                        .required(true)
                        .help("A scenario by name, or a file of your own"),
                )
                .arg(
                    Arg::new("auto")
                        .long("auto")
                        .action(ArgAction::SetTrue)
                        .help("azir answers by itself, is judged, and puts everything back"),
                )
                .arg(
                    Arg::new("blind")
                        .long("blind")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("auto")
                        .help("Hide what was planted until it is judged"),
                )
                .arg(
                    persons("participants", "Who takes part; more than one: separated by commas")
                        .value_delimiter(',')
                        .action(ArgAction::Append)
                        .conflicts_with("auto"),
                )
                .arg(persons("observer", "Who watches and leads it"))
                .arg(
                    Arg::new("runbook")
                        .long("runbook")
                        .value_name("NAME=FILE")
                        .action(ArgAction::Append)
                        .requires("auto")
                        .help("Let this file stand for a shipped runbook, in this drill alone"),
                )
                .arg(
                    Arg::new("clock-scale")
                        .long("clock-scale")
                        .value_name("FACTOR")
                        .value_parser(globals::factor)
                        .requires("auto")
                        .help("Let the drill's clock run this much faster, in the lab"),
                ),
        )
        .subcommand(
            Command::new("status")
                .about("Show how far a drill is, and what the tenant says")
                .arg(drill()),
        )
        .subcommand(
            Command::new("finish")
                .about("Stop the clock, judge the tenant, and clear away what was planted")
                .arg(drill()),
        )
        .subcommand(
            Command::new("abort")
                .about("Give a drill up: it does not count, and what was planted is cleared away")
                .arg(drill())
                .arg(
                    Arg::new("why")
                        .long("why")
                        .value_name("TEXT")
                        .value_parser(clap::builder::NonEmptyStringValueParser::new())
                        .help("Why, as the record should have it"),
                ),
        )
        .subcommands(drill_told::commands())
}

/// Runs a command of a drill.
pub(super) fn dispatch(
    command: &str,
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    out::enter_drill(Output::of(own) == Output::Human);
    let home = home?;
    match command {
        "start" => start::start(own, catalogue, &home),
        "status" => status::status(own, &home),
        "finish" => end::finish(own, &home),
        "abort" => end::abort(own, &home),
        "list" => drill_told::list(own, &home),
        "due" => drill_told::due(own, &home),
        "history" => drill_told::history(own, &home),
        "assign" => drill_told::assign(own, &home),
        _ => drill_told::report(own, &home),
    }
}

/// Returns the home inside the drill that is meant: the one that was named, else the only one whose clock runs.
fn meant(own: &ArgMatches, home: &Home) -> Result<Home, Refusal> {
    // What is exported for the real thing says nothing of drills; what was typed was meant.
    let typed = own.value_source("incident") == Some(ValueSource::CommandLine);
    let named = own.get_one::<String>("drill").or_else(|| {
        own.get_one::<String>("incident")
            .filter(|id| typed || home.is_drill(id))
    });
    if let Some(id) = named {
        return home.inside(id);
    }
    let (drills, bad) = record::all(&home.root);
    let open: Vec<String> = drills
        .into_iter()
        .filter(|(_, standing)| !matches!(standing.state, State::Closed | State::Aborted))
        .map(|(_, standing)| standing.begun.drill)
        .collect();
    match open.as_slice() {
        [one] => home.inside(one),
        [] => {
            let damaged = bad.iter().map(|(folder, _)| folder.display().to_string());
            let damaged: Vec<String> = damaged.collect();
            let why = if damaged.is_empty() {
                "no drill is open".to_owned()
            } else {
                format!(
                    "no drill is open, and these records cannot be read: {}",
                    damaged.join(", ")
                )
            };
            Err(Refusal::usage(why, "azir drill list"))
        }
        [.., last] => Err(Refusal::usage(
            format!("{} drills are open: {}", open.len(), open.join(", ")),
            format!("name one, as {last}"),
        )),
    }
}

fn entered(home: &Home) -> Result<&Arc<Entered>, Refusal> {
    let none = || Refusal::usage("no drill is meant", "azir drill list");
    home.drill.as_ref().ok_or_else(none)
}

/// Returns the folder of a drill's case.
fn case(home: &Home) -> Result<PathBuf, Refusal> {
    Ok(home.cases().join(&entered(home)?.standing.begun.drill))
}

/// Reads what was there when the clock started.
fn before(folder: &Path) -> Result<Value, Refusal> {
    let path = folder.join("before.json");
    let text = std::fs::read(&path).map_err(|source| {
        unreadable(record::RecordError::File {
            path: path.clone(),
            source,
        })
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Refusal::integrity(&format!("{}: {error}", path.display())))
}

fn write(path: &Path, value: &Value) -> Result<(), Refusal> {
    std::fs::write(path, value.to_string()).map_err(|source| {
        unreadable(record::RecordError::File {
            path: path.to_path_buf(),
            source,
        })
    })
}
