//! `azir handover`: an incident goes from one person to another, and both sign for it.

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::home::Home;
use super::refusal::Refusal;
use super::{Output, case, execute, meaning, out};

/// Returns the command line.
pub(super) fn command() -> Command {
    let text = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("TEXT")
            .value_parser(NonEmptyStringValueParser::new())
            .help(help)
    };
    Command::new("handover")
        .about("Hand an incident over to another person")
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("UPN")
                .required(true)
                .value_parser(meaning::person)
                .help("Who takes over"),
        )
        .arg(text("items", "What goes over; absent: the whole incident"))
        .arg(text("purpose", "Why"))
}

/// Hands an incident over.
pub(super) fn hand_over(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let id = case::meant(own, home)?;
    let to = own.get_one::<String>("to").map_or("", String::as_str);
    let (desk, by, _acting) = case::desk(own, home, "handover")?;
    if to.eq_ignore_ascii_case(&by.upn) {
        return Err(Refusal::usage(
            format!("{to} cannot hand over to the same person"),
            "azir handover --to UPN, or --responder UPN for who gives",
        ));
    }
    let whole = format!("incident {id}: its runs, evidence and open tasks");
    let items = own.get_one::<String>("items").unwrap_or(&whole);
    let purpose = own.get_one::<String>("purpose").map(String::as_str);
    let written = execute::runtime()?.block_on(desk.hand_over(&id, &by, to, items, purpose))?;
    let short = crate::report::run::short(&written.run);
    let countersign = format!("azir journal countersign {short}");
    case::say(
        own,
        &id,
        &format!(
            "{} hands {id} over to {to}; pending until both have signed",
            by.upn
        ),
        &written,
        json!({"from": by.upn, "to": to, "pending": true, "next": countersign}),
    );
    if Output::of(own) == Output::Human {
        out::line(&format!("next: {to} types {countersign}"));
    }
    Ok(0)
}
