//! `azir incident`: the case around the runs, opened, closed, and how it stands.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::home::Home;
use super::refusal::Refusal;
use super::{Output, case, execute, meaning, out, outside, shown};
use crate::clock::{Clock, SystemClock};
use crate::engine::desk::{AboutIncident, Opening};
use crate::ids::ArmId;
use crate::report::incident::State;
use crate::report::status::{self, Status, is_of_runbook};

/// Returns the command line.
pub(super) fn command() -> Command {
    let why = || {
        Arg::new("why")
            .long("why")
            .value_name("TEXT")
            .value_parser(clap::builder::NonEmptyStringValueParser::new())
    };
    Command::new("incident")
        .about("Open, close and look at an incident")
        .subcommand_required(true)
        .subcommand(
            Command::new("open")
                .about("Open an incident; what is said here holds for its later runs")
                .arg(
                    Arg::new("case")
                        .value_name("ID")
                        .help("The incident, as IR-2026-0042; absent: a new one"),
                )
                .arg(
                    Arg::new("lead")
                        .long("lead")
                        .value_name("UPN")
                        .value_parser(meaning::person)
                        .help("Who leads the response"),
                )
                .arg(why().help("Why an incident that was closed is opened again")),
        )
        .subcommand(
            Command::new("close")
                .about(
                    "Close an incident and seal its log; nothing is added until it is opened again",
                )
                .arg(case::argument())
                .arg(why().help("Why, as the record should have it")),
        )
        .subcommand(status_arguments(
            Command::new("status").about("Show how an incident stands, from its folder alone"),
        ))
}

/// Returns the command line of `azir status`: the same without the word before it.
pub(super) fn status_command() -> Command {
    status_arguments(
        Command::new("status").about("Show how the incident stands, and what waits for whom"),
    )
}

fn status_arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("case").value_name("ID|FOLDER").help(
                "The incident, or a case's folder; absent: --incident, else the only open one",
            ),
        )
        .arg(
            Arg::new("brief")
                .long("brief")
                .action(ArgAction::SetTrue)
                .help("Only what needs somebody"),
        )
}

fn about(own: &ArgMatches) -> Result<AboutIncident, Refusal> {
    let word = |name: &str| own.try_get_one::<String>(name).ok().flatten().cloned();
    Ok(AboutIncident {
        detected_at: meaning::detected_at(own)?,
        authority: word("authority"),
        ticket: word("ticket"),
        lead: word("lead"),
        why: word("why"),
    })
}

/// Opens an incident.
pub(super) fn open(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let id = match case::named(own, home)? {
        Some(id) => id,
        None => meaning::new_incident()?,
    };
    let about = about(own)?;
    let (desk, by, _acting) = case::desk(own, home, "incident open")?;
    let (opening, written) = execute::runtime()?.block_on(desk.open_incident(&id, &by, &about))?;
    let what = match opening {
        Opening::Opened => format!("incident {id} is open"),
        Opening::Joined => format!("incident {id} was open already; {} joins it", by.upn),
        Opening::Reopened => format!("incident {id} is open again"),
    };
    case::say(
        own,
        &id,
        &what,
        &written,
        json!({"opening": opening.word()}),
    );
    if Output::of(own) == Output::Human {
        out::line(&format!("next: azir incident status {id}"));
    }
    Ok(0)
}

/// Closes an incident.
pub(super) fn close(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let id = case::meant(own, home)?;
    let folder = home.cases().join(id.as_str());
    if crate::report::cases::of_case(&folder).is_empty() {
        return Err(Refusal::usage(
            format!("there is no incident {id} in {}", home.cases().display()),
            format!("azir incident open {id}"),
        ));
    }
    let about = AboutIncident {
        why: own.get_one::<String>("why").cloned(),
        ..AboutIncident::default()
    };
    let (desk, by, _acting) = case::desk(own, home, "incident close")?;
    let written = execute::runtime()?.block_on(desk.close_incident(&id, &by, &about))?;
    let status = look(&folder, home)?;
    case::say(
        own,
        &id,
        &format!("incident {id} is closed and its log is sealed"),
        &written,
        json!({"left_open": left_open(&status)}),
    );
    for left in left_open(&status) {
        out::line(&format!("azir: closed with {left}"));
    }
    Ok(0)
}

fn look(case: &Path, home: &Home) -> Result<Status, Refusal> {
    status::status(case, SystemClock.now(), |run_dir| {
        outside::of(home, run_dir)
    })
    .map_err(|error| Refusal::integrity(&error))
}

/// Names what is not settled: closing is the responder's decision, and is made knowingly.
fn left_open(status: &Status) -> Vec<String> {
    let pending = status.transfers.iter().filter(|one| one.pending()).count();
    [
        (status.residual.len(), "things that stay open"),
        (
            status.open_intents.len(),
            "writes whose effect nobody knows",
        ),
        (status.manual.len(), "tasks for people that were left"),
        (pending, "handovers that not both have signed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect()
}

/// Shows how an incident stands.
pub(super) fn status(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let folder = case::place(own, Ok(home.clone()))?;
    let status = look(&folder, home)?;
    if Output::of(own) == Output::Human {
        out::result(&shown::block(&text(&status, own.get_flag("brief"))));
    } else {
        out::result(&serde_json::to_string(&status).unwrap_or_default());
    }
    let damaged =
        !status.unreadable.is_empty() || status.runs.iter().any(|run| run.verified == Some(false));
    Ok(if damaged {
        super::exit::Exit::Integrity.code()
    } else {
        0
    })
}

fn text(status: &Status, brief: bool) -> String {
    let mut out = heading(status);
    // Writing to a String cannot fail.
    for damaged in &status.unreadable {
        let _ = writeln!(out, "CANNOT READ {}: {}", damaged.path, damaged.why);
    }
    if !brief {
        runs(&mut out, status);
    }
    let lines = status.open_intents.iter().map(|open| {
        format!(
            "{} {} (run {}, line {})",
            open.method,
            open.target,
            short(&open.run),
            open.seq
        )
    });
    list(&mut out, "Unknown, only the cloud knows:", lines);
    let shown = status
        .residual
        .iter()
        .filter(|left| !brief || left.until.is_some());
    let lines = shown.map(|left| {
        let until = left.until.as_deref();
        let until = until.map(|until| format!(" (until {until})"));
        format!(
            "{}{} (run {})",
            left.what,
            until.unwrap_or_default(),
            short(&left.run)
        )
    });
    let unbounded = status
        .residual
        .iter()
        .filter(|left| brief && left.until.is_none());
    let more = match unbounded.count() {
        0 => None,
        count => Some(format!(
            "{count} things without an end of their own; azir incident status {}",
            status.incident
        )),
    };
    let lines = lines.chain(more);
    list(&mut out, "Stays open:", lines);
    let lines = status
        .manual
        .iter()
        .map(|task| format!("{}: {} ({})", task.step, task.instruction, task.why));
    list(&mut out, "Left to people:", lines);
    let lines = status
        .transfers
        .iter()
        .filter(|one| !brief || one.pending())
        .map(|one| {
            let state = match (one.given, one.received) {
                (true, true) => "both have signed".to_owned(),
                (true, false) => format!(
                    "PENDING: {} has not signed; {} types: {}",
                    one.to,
                    one.to,
                    status::countersign(one)
                ),
                (false, true) => format!("PENDING: {} has not signed", one.from),
                (false, false) => format!(
                    "PENDING: neither has signed; {} types: {}",
                    one.to,
                    status::countersign(one)
                ),
            };
            format!("{} to {}: {} ({state})", one.from, one.to, one.items)
        });
    list(&mut out, "Handovers:", lines);
    if !brief {
        let lines = status
            .gaps
            .iter()
            .map(|gap| format!("{} (run {})", gap.what, short(&gap.run)));
        list(&mut out, "Gaps in evidence or checks:", lines);
        let lines = status.notes.iter().map(|note| {
            let at: String = note.at.chars().take(19).collect();
            format!("{at}Z {}: {}", note.by, shown::line(&note.text))
        });
        list(&mut out, "Notes:", lines);
    }
    let unsigned = status.runs.iter().filter(|run| !run.signed).count();
    let unanchored = status.runs.iter().filter(|run| !run.anchored).count();
    let _ = writeln!(
        out,
        "Record: {} runs, {} exhibits, {} notes; {unsigned} unsigned by a person, {unanchored} not anchored outside",
        status.runs.len(),
        status.exhibits,
        status.notes.len()
    );
    for next in &status.next {
        let _ = writeln!(out, "next: {next}");
    }
    out
}

fn heading(status: &Status) -> String {
    let said = &status.said;
    let state = match said.state {
        State::NotOpened => "not opened by anybody",
        State::Open => "OPEN",
        State::Closed => "CLOSED",
    };
    let mut out = format!("incident {}: {state}", status.incident);
    let times = [
        ("detected", said.detected_at.as_ref()),
        ("opened", said.opened.as_ref().map(|said| &said.at)),
        (
            "closed",
            said.closed
                .as_ref()
                .filter(|_| said.state == State::Closed)
                .map(|said| &said.at),
        ),
    ];
    let words = [
        ("led by", &said.lead),
        ("authority", &said.authority),
        ("ticket", &said.ticket),
    ];
    let all = times
        .into_iter()
        .chain(words.map(|(word, value)| (word, value.as_ref())));
    for (word, value) in all {
        if let Some(value) = value {
            let value = whole_seconds(value);
            // Writing to a String cannot fail.
            let _ = write!(out, ", {word} {value}");
        }
    }
    out.push('\n');
    out
}

/// Cuts a time to the second; leaves everything else as it is.
fn whole_seconds(value: &str) -> std::borrow::Cow<'_, str> {
    match chrono::DateTime::parse_from_rfc3339(value) {
        Ok(time) => crate::clock::seconds(time.with_timezone(&chrono::Utc)).into(),
        Err(_) => value.into(),
    }
}

fn runs(out: &mut String, status: &Status) {
    let lines = status
        .runs
        .iter()
        .filter(|run| is_of_runbook(run))
        .map(|run| {
            let word = serde_json::to_value(run.status).unwrap_or_default();
            let names: Vec<&str> = run
                .targets
                .iter()
                .take(4)
                .map(|id| ArmId::name_of(id))
                .collect();
            let more = match run.targets.len().saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let undo = if run.mode == "undo" { "undo " } else { "" };
            let record = match (run.being_written, run.verified) {
                (true, _) => ", being written now",
                (_, Some(false)) => ", DOES NOT VERIFY",
                _ => "",
            };
            format!(
                "{} {undo}{} {}{more}: {} (by {} on {}{record})",
                short(&run.run),
                run.runbook,
                names.join(", "),
                word.as_str().unwrap_or_default(),
                run.responder,
                run.host
            )
        });
    list(out, "Runs:", lines);
}

fn list(out: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{head}");
    }
    for line in lines {
        let _ = writeln!(out, "  - {line}");
    }
}

fn short(run: &str) -> &str {
    crate::report::run::short(run)
}
