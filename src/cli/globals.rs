//! Options that stand before or after any command.

use std::ffi::OsString;

use clap::builder::NonEmptyStringValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

/// Returns them.
pub(super) fn options() -> Vec<Arg> {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .global(true)
            .value_parser(NonEmptyStringValueParser::new())
            .help_heading("Global options")
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .global(true)
            .action(ArgAction::SetTrue)
            .help_heading("Global options")
    };
    vec![
        text(
            "incident",
            "ID",
            "The case, as IR-2026-0042; absent: a new one",
        )
        .env("AZIR_INCIDENT"),
        text("profile", "NAME", "The profile of config.toml").env("AZIR_PROFILE"),
        text(
            "cloud",
            "NAME|URL",
            "AzureCloud, AzureUSGovernment, AzureChinaCloud or an ARM URL",
        )
        .env("AZIR_CLOUD"),
        text("auth", "KIND", "Which sign-in to use").value_parser([
            "env",
            "workload-identity",
            "managed-identity",
            "cli",
        ]),
        flag("plan", "Only look: show what would be done, send no write"),
        flag("yes", "Confirm the plan beforehand").short('y'),
        text(
            "accept",
            "STEP",
            "Consent to a step that --yes does not cover (can be repeated)",
        )
        .action(ArgAction::Append),
        text(
            "choose",
            "STEP=all|none|ID,...",
            "Make a decision beforehand (can be repeated)",
        )
        .action(ArgAction::Append),
        text("responder", "UPN", "Who answers for the run").env("AZIR_RESPONDER"),
        text("authority", "TEXT", "On whose authority"),
        text("ticket", "ID", "The ticket"),
        text(
            "detected-at",
            "TIME",
            "When the attack was detected, as 2026-05-23T10:00:00Z",
        ),
        text("output", "FORMAT", "What to write to stdout")
            .value_parser(["human", "json", "ndjson"])
            .default_value("human"),
        flag(
            "no-input",
            "Ask nothing; what cannot be decided is an error",
        ),
        flag(
            "lab",
            "Run against the built-in lab, a simulated tenant on this machine",
        ),
        Arg::new("lab-latency")
            .long("lab-latency")
            .value_name("FACTOR")
            .hide(true)
            .global(true)
            .value_parser(factor)
            .default_value("1"),
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .help("Say more on stderr")
            .global(true)
            .action(ArgAction::Count)
            .help_heading("Global options"),
    ]
}

/// Reads a factor: a number that time can be scaled by.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 0.0 => Ok(factor),
        _ => Err("a factor is a number, 0 or more".to_owned()),
    }
}

/// Returns what was typed of them, as it would be typed again.
///
/// `azir run --lab FILE --plan` is read twice, first for FILE and then by the runbook's own rules; an
/// option that were lost between the two, as `--plan`, could send a write that nobody asked for.
pub(super) fn typed(matches: &ArgMatches) -> Vec<OsString> {
    let mut words = Vec::new();
    for option in options() {
        let id = option.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        match option.get_action() {
            ArgAction::SetTrue => words.push(format!("--{id}").into()),
            ArgAction::Count => {
                let times = usize::from(matches.get_count(id));
                words.extend(std::iter::repeat_n(
                    OsString::from(format!("--{id}")),
                    times,
                ));
            }
            _ => words.extend(matches.get_raw(id).into_iter().flatten().map(|value| {
                let mut word = OsString::from(format!("--{id}="));
                word.push(value);
                word
            })),
        }
    }
    words
}
