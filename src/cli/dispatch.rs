//! Which command it is: the words of this process to the function that does what they say.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;

use super::home::Home;
use super::refusal::Refusal;
use super::{
    approve, args, doctor, drill, execute, export, globals, handover, incident, key, note, out,
    preflight, record, resume, role, seal, shelf, tenant, timeline, usage, verify, wait,
};
use crate::runbook::catalogue::Catalogue;

/// Runs the command line of this process; returns its exit code.
pub(super) fn main() -> u8 {
    let home = Home::find();
    let (catalogue, left_out) = catalogue(home.as_ref().ok());
    let catalogue = Arc::new(catalogue);
    let completed = Arc::clone(&catalogue);
    clap_complete::CompleteEnv::with_factory(move || args::root(&completed)).complete();
    for why in left_out {
        out::line(&format!("azir: {why}"));
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    let matches = match args::root(&catalogue).try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => return usage::show(&error, &words),
    };
    let output = usage::output(&words);
    match matches.subcommand() {
        Some(("run", own)) => {
            run_named(own, &catalogue, home).unwrap_or_else(|refusal| refusal.show(output))
        }
        Some(("plan", own)) => {
            plan_named(own, &catalogue, home).unwrap_or_else(|refusal| refusal.show(output))
        }
        Some(("preflight", own)) => {
            preflight_named(own, &catalogue, home).unwrap_or_else(|refusal| refusal.show(output))
        }
        Some((name, own)) => {
            speak(own);
            dispatch(name, own, &catalogue, home).unwrap_or_else(|refusal| refusal.show(output))
        }
        None => Refusal::usage("no command was given", "azir --help").show(output),
    }
}

fn dispatch(
    name: &str,
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    if let ("drill", Some((command, inner))) = (name, own.subcommand()) {
        return drill::dispatch(command, inner, catalogue, home);
    }
    let home = match home {
        Ok(home) => home.entering(innermost(own)),
        none => none,
    };
    match (name, own.subcommand()) {
        ("resume", _) => resume::resume(own, catalogue, &home?),
        ("undo", _) => execute::undo(own, catalogue, &home?),
        ("incident", Some(("open", inner))) => incident::open(inner, &home?),
        ("incident", Some(("close", inner))) => incident::close(inner, &home?),
        ("incident", Some((_, inner))) => incident::status(inner, &home?),
        ("note", _) => note::note(own, &home?),
        ("attach", _) => note::attach(own, &home?),
        ("manual", _) => note::manual(own, &home?),
        ("handover", _) => handover::hand_over(own, &home?),
        ("timeline", _) => timeline::timeline(own, home),
        ("approve", _) => approve::approve(own, &home?),
        ("list", _) => record::list(own, &home?),
        ("show", _) => record::show(own, &home?),
        ("wait", _) => wait::wait(own, &home?),
        ("status", _) => incident::status(own, &home?),
        ("journal", Some(("show", inner))) => record::journal_show(inner, &home?),
        ("journal", Some(("verify", inner))) => verify::journal(inner, home),
        ("journal", Some(("prove", inner))) => verify::prove_entry(inner, &home?),
        ("journal", Some(("check-proof", inner))) => Ok(verify::proof(inner)),
        ("journal", Some(("seal", inner))) => seal::seal_run(inner, &home?),
        ("journal", Some(("countersign", inner))) => seal::countersign_run(inner, &home?),
        ("journal", Some((_, inner))) => export::journal(inner, &home?),
        ("key", Some((_, inner))) => key::set(inner, &home?),
        ("key", None) => key::show(own, &home?),
        ("runbook", Some(("list", inner))) => Ok(shelf::list(inner, inner, catalogue)),
        ("runbook", Some(("show", inner))) => shelf::show(inner, catalogue),
        ("runbook", Some(("lint", inner))) => shelf::check(inner, inner, catalogue),
        ("runbook", Some(("new", inner))) => shelf::new(inner, catalogue),
        ("runbook", Some(("role", inner))) => role::print(inner, catalogue, home),
        ("runbook", _) => Ok(shelf::print_schema()),
        ("lab", Some((_, inner))) => tenant::serve(inner),
        ("init", _) => doctor::init(&home?),
        ("doctor", _) => doctor::doctor(own, &home?),
        ("schema", _) => doctor::schema(own),
        ("completions", _) => Ok(doctor::completions(own)),
        (runbook, _) => {
            let chosen = shelf::find(catalogue, runbook)?;
            execute::run(own, &chosen, catalogue, &home?)
        }
    }
}

/// Returns the words of the command that was meant, below those that only name a group of commands.
fn innermost(own: &ArgMatches) -> &ArgMatches {
    own.subcommand().map_or(own, |(_, inner)| innermost(inner))
}

/// `azir run NAME|FILE ARGUMENTS`: the arguments are the runbook's own, and what was said before its
/// name counts as if it had been said behind it.
fn run_named(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    if let Some(file) = own.get_one::<String>("approved") {
        speak(own);
        return approve::run(own, file, catalogue, &home?.entering(own)?);
    }
    let (chosen, inner) = match named(own, catalogue, |command, name| {
        command.bin_name(format!("azir run {name}"))
    })? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    execute::run(&inner, &chosen, catalogue, &home?.entering(&inner)?)
}

/// `azir plan NAME|FILE ARGUMENTS [-o FILE]`: as `azir run`, and nothing is sent.
fn plan_named(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    let (chosen, inner) = match named(own, catalogue, |command, name| {
        approve::plan_options(command).bin_name(format!("azir plan {name}"))
    })? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    approve::plan(&inner, &chosen, catalogue, &home?.entering(&inner)?)
}

/// `azir preflight NAME|FILE ARGUMENTS`: as `azir run --plan`, and only what would fail.
fn preflight_named(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    let (chosen, inner) = match named(own, catalogue, |command, name| {
        command.bin_name(format!("azir preflight {name}"))
    })? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    preflight::look(&inner, &chosen, catalogue, &home?.entering(&inner)?)
}

/// Finds the runbook that was named, and reads the words behind it by the runbook's own rules; an exit code where
/// they do not fit.
fn named(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    more: impl FnOnce(clap::Command, &str) -> clap::Command,
) -> Result<Result<(execute::Chosen, ArgMatches), u8>, Refusal> {
    let name = own.get_one::<String>("runbook").map_or("", String::as_str);
    let chosen = shelf::find(catalogue, name)?;
    let mut words = globals::typed(own);
    words.extend(
        own.get_raw("rest")
            .into_iter()
            .flatten()
            .map(ToOwned::to_owned),
    );
    let command = more(
        args::for_runbook(&chosen.runbook).no_binary_name(true),
        name,
    );
    match command.try_get_matches_from(&words) {
        Ok(inner) => {
            speak(&inner);
            Ok(Ok((chosen, inner)))
        }
        Err(error) => Ok(Err(usage::show(&error, &words))),
    }
}

/// Returns the shipped runbooks and those in the home folder, and which of these were left out and why.
///
/// A file that cannot be loaded costs its own command and no other: the rest must work at night.
fn catalogue(home: Option<&Home>) -> (Catalogue, Vec<String>) {
    let mut catalogue = Catalogue::shipped();
    let mut left_out = Vec::new();
    let Some(folder) = home.map(|home| home.root.join("runbooks")) else {
        return (catalogue, left_out);
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml") && path.is_file())
        .collect();
    paths.sort();
    for path in paths {
        if let Err(why) = add(&mut catalogue, &path) {
            left_out.push(why);
        }
    }
    (catalogue, left_out)
}

fn add(catalogue: &mut Catalogue, path: &Path) -> Result<(), String> {
    let shown = path.display().to_string();
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{shown} is left out: {error}"))?;
    catalogue
        .add(&name, &shown, &text)
        .map_err(|error| format!("{error}; it is left out"))
}

/// Lets `-v` speak: azir's own events only, which hold no secret.
fn speak(matches: &ArgMatches) {
    let level = match matches.get_count("verbose") {
        0 => return,
        1 => "azir=info",
        _ => "azir=debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    // A second subscriber cannot be set, and there is none.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
