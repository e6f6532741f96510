//! What the responder types: one file a command; the only part that prints, prompts, reads the
//! environment and the home folder. Start reading at `args`, what can be typed, then `dispatch`, which
//! command it is, `meaning`, what is meant, and `execute`, a run.

mod acted;
mod acting;
mod approve;
mod args;
mod ask;
mod case;
mod config;
mod connect;
mod cores;
mod custody_args;
mod dispatch;
mod doctor;
mod drill;
mod drill_tabletop;
mod drill_told;
mod drill_words;
mod entered;
mod execute;
mod exit;
mod export;
mod found;
mod globals;
mod handover;
mod help;
mod home;
mod incident;
mod key;
mod live;
mod meaning;
mod note;
mod notify;
mod once;
mod out;
mod outside;
mod passphrase;
mod plan;
mod preflight;
mod prose;
mod record;
mod refusal;
mod resume;
mod retry;
mod role;
mod seal;
mod shared_lab;
mod shelf;
mod shown;
mod summary;
mod tenant;
mod timeline;
mod usage;
mod verify;
mod view;
mod vouched;
mod wait;
mod witnesses;

use std::process::ExitCode;

use clap::ArgMatches;

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
    cores::refuse();
    ExitCode::from(dispatch::main())
}
