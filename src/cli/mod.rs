//! What the responder types: one file a command; the only part that prints, prompts, reads the
//! environment and the home folder. Start reading at `args`, the command line, and `execute`, a run.

mod args;
mod ask;
mod config;
mod connect;
mod doctor;
mod execute;
mod exit;
mod home;
mod live;
mod out;
mod plan;
mod record;
mod refusal;
mod shelf;
mod summary;
mod tenant;

use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;
use clap::error::ErrorKind;

use crate::runbook::catalogue::Catalogue;
use home::Home;
use refusal::Refusal;

/// What to write to stdout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Output {
    Human,
    Json,
    Ndjson,
}

impl Output {
    fn of(matches: &ArgMatches) -> Self {
        match matches.get_one::<String>("output").map(String::as_str) {
            Some("json") => Self::Json,
            Some("ndjson") => Self::Ndjson,
            _ => Self::Human,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let home = Home::find();
    let catalogue = match catalogue(home.as_ref().ok()) {
        Ok(catalogue) => Arc::new(catalogue),
        Err(refusal) => return ExitCode::from(refusal.show(Output::Human)),
    };
    let completed = Arc::clone(&catalogue);
    clap_complete::CompleteEnv::with_factory(move || args::root(&completed)).complete();
    let matches = match args::root(&catalogue).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return ExitCode::from(misspelt(error)),
    };
    talk(&matches);
    let output = Output::of(&matches);
    let done = home.and_then(|home| dispatch(&matches, &catalogue, &home));
    ExitCode::from(done.unwrap_or_else(|refusal| refusal.show(output)))
}

fn dispatch(matches: &ArgMatches, catalogue: &Arc<Catalogue>, home: &Home) -> Result<u8, Refusal> {
    let Some((name, own)) = matches.subcommand() else {
        return Err(Refusal::usage("no command was given", "azir --help"));
    };
    match (name, own.subcommand()) {
        ("undo", _) => execute::undo(own, own, catalogue, home),
        ("list", _) => record::list(own, home),
        ("show", _) => record::show(own, own, home),
        ("journal", Some(("show", inner))) => record::journal_show(inner, inner, home),
        ("journal", Some(("verify", inner))) => record::journal_verify(inner, inner, home),
        ("journal", Some((_, inner))) => record::journal_export(inner, home),
        ("runbook", Some(("list", inner))) => Ok(shelf::list(inner, inner, catalogue)),
        ("runbook", Some(("show", inner))) => shelf::show(inner, catalogue),
        ("runbook", Some(("lint", inner))) => shelf::check(inner, inner, catalogue),
        ("runbook", Some(("new", inner))) => shelf::new(inner),
        ("runbook", _) => Ok(shelf::print_schema()),
        ("lab", Some((_, inner))) => tenant::serve(inner),
        ("init", _) => doctor::init(home),
        ("doctor", _) => doctor::doctor(own, home),
        ("schema", _) => Ok(doctor::schema(own)),
        ("completions", _) => Ok(doctor::completions(own)),
        ("run", _) => run_named(own, catalogue, home),
        (runbook, _) => {
            let chosen = shelf::find(catalogue, runbook)?;
            execute::run(own, own, &chosen, catalogue, home)
        }
    }
}

/// `azir run NAME|FILE ARGUMENTS`: the arguments are the runbook's own.
fn run_named(own: &ArgMatches, catalogue: &Arc<Catalogue>, home: &Home) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("runbook").map_or("", String::as_str);
    let chosen = shelf::find(catalogue, name)?;
    let rest = own
        .get_many::<String>("rest")
        .into_iter()
        .flatten()
        .cloned();
    let command = args::for_runbook(&chosen.runbook);
    let inner = match command.try_get_matches_from(std::iter::once(name.to_owned()).chain(rest)) {
        Ok(inner) => inner,
        Err(error) => return Ok(misspelt(error)),
    };
    // What stands before the runbook's name counts where it is not said again behind it.
    execute::run(
        if given(own) { own } else { &inner },
        &inner,
        &chosen,
        catalogue,
        home,
    )
}

/// Whether any global option stands before the runbook's name.
fn given(own: &ArgMatches) -> bool {
    [
        "incident",
        "profile",
        "cloud",
        "auth",
        "plan",
        "yes",
        "accept",
        "choose",
        "responder",
        "output",
        "no-input",
        "lab",
    ]
    .iter()
    .any(|name| own.value_source(name) == Some(clap::parser::ValueSource::CommandLine))
}

/// Returns the shipped runbooks and those in the home folder.
fn catalogue(home: Option<&Home>) -> Result<Catalogue, Refusal> {
    let mut catalogue = Catalogue::shipped();
    let Some(folder) = home.map(|home| home.0.join("runbooks")) else {
        return Ok(catalogue);
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
    {
        let shown = path.display().to_string();
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Refusal::usage(format!("{shown}: {error}"), "mend or remove the file")
        })?;
        catalogue
            .add(&name, &shown, &text)
            .map_err(|error| Refusal::usage(error.to_string(), "give your runbook another name"))?;
    }
    Ok(catalogue)
}

/// Shows clap's error; its list of similar commands is cut to what helps.
fn misspelt(error: clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            out::result(&error.render().ansi().to_string());
            0
        }
        _ => {
            out::talk(&error.render().ansi().to_string());
            2
        }
    }
}

/// Lets `-v` speak: azir's own events only, which hold no secret.
fn talk(matches: &ArgMatches) {
    let level = match matches
        .subcommand()
        .map_or(0, |(_, own)| own.get_count("verbose"))
    {
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
