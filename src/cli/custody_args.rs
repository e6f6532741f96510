//! The arguments of the commands that verify, prove and export the custody record.

use clap::{Arg, ArgAction, Command, value_parser};

fn run() -> Arg {
    Arg::new("run")
        .value_name("RUN")
        .help("A run's id, a unique beginning of it, its folder, or last")
        .default_value("last")
}

/// What a verifier is handed from outside.
fn outside() -> [Arg; 4] {
    [
        Arg::new("origin")
            .long("origin")
            .value_name("TEXT")
            .help("The origin line that the log must have"),
        Arg::new("signers")
            .long("signers")
            .value_name("FILE")
            .help("A signers file obtained elsewhere"),
        Arg::new("tsa-ca")
            .long("tsa-ca")
            .value_name("PEM")
            .help("Roots of time-stamp authorities"),
        Arg::new("earlier-checkpoint")
            .long("earlier-checkpoint")
            .value_name("FILE")
            .action(ArgAction::Append)
            .help("A checkpoint obtained elsewhere (can be repeated)"),
    ]
}

/// `azir journal verify`
pub(super) fn verify() -> Command {
    Command::new("verify")
        .about("Verify a run's journal, checkpoints, signatures and evidence")
        .arg(run())
        .args(outside())
        .arg(
            Arg::new("min-size")
                .long("min-size")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("The fewest entries that the log must have"),
        )
}

/// `azir journal prove`
pub(super) fn prove() -> Command {
    Command::new("prove")
        .about("Show one entry to be in a run, without the others")
        .override_usage("azir journal prove [RUN] SEQ [-o FILE] [--only-entry]")
        .arg(
            Arg::new("of")
                .value_names(["RUN", "SEQ"])
                .num_args(1..=2)
                .required(true)
                .help("The run (absent: last), and the entry's number, counted from 0"),
        )
        .arg(
            Arg::new("to")
                .short('o')
                .long("to")
                .value_name("FILE")
                .help("Write the proof to this file; absent: to stdout"),
        )
        .arg(
            Arg::new("only-entry")
                .long("only-entry")
                .action(ArgAction::SetTrue)
                .help(
                    "Leave the session's first line out, which names targets, tenant and responder",
                ),
        )
}

/// `azir journal check-proof`
pub(super) fn check_proof() -> Command {
    Command::new("check-proof")
        .about("Check the proof of one entry")
        .arg(Arg::new("file").value_name("FILE").required(true))
        .args(outside())
}

/// `azir journal export`
pub(super) fn export() -> Command {
    Command::new("export")
        .about("Export a run's journal for other tools and other people")
        .arg(run())
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser([
                    "jsonl",
                    "timesketch-jsonl",
                    "timesketch-csv",
                    "case",
                    "html",
                    "bagit",
                ])
                .default_value("jsonl")
                .help("jsonl: each line as it was written; case: CASE/UCO JSON-LD; bagit: the whole folder, as tar"),
        )
        .arg(
            Arg::new("to")
                .short('o')
                .long("to")
                .value_name("PATH")
                .help("Write to this new file; absent: to stdout"),
        )
        .args(outside().map(|arg| arg.help_heading("What the page's verdict is judged by (html)")))
}
