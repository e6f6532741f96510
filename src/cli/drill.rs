//! `azir drill`: rehearse an attack, and keep what was learned.

use clap::{ArgMatches, Command};

use super::drill_told;
use super::home::Home;
use super::refusal::Refusal;

/// Returns the command line.
pub(super) fn command() -> Command {
    Command::new("drill")
        .about("Rehearse an attack, be judged, and keep what was learned")
        .subcommand_required(true)
        .subcommands(drill_told::commands())
}

/// Does what was typed.
pub(super) fn drill(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    match own.subcommand() {
        Some(("list", inner)) => drill_told::list(inner, home),
        Some(("due", inner)) => drill_told::due(inner, home),
        Some(("history", inner)) => drill_told::history(inner, home),
        Some(("assign", inner)) => drill_told::assign(inner, home),
        Some((_, inner)) => drill_told::report(inner, home),
        None => Err(Refusal::usage("no command was given", "azir drill --help")),
    }
}
