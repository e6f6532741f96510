//! `azir timeline`: the runs of a case in one true order, from its folder alone.

use clap::{Arg, ArgAction, ArgMatches, Command};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::home::Home;
use super::refusal::Refusal;
use super::{Output, case, out, shown};
use crate::report::order::SessionClock;
use crate::report::timeline::{Event, Timeline};

/// The JSON of a timeline; it is written as it is read.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Shape {
    /// The version of this shape.
    schema_version: u32,
    /// The sessions, and how far the clock of each was ahead of the cloud's.
    sessions: Vec<SessionClock>,
    /// What happened, in order.
    events: Vec<Event>,
    /// What is wrong with the whole: runs that cannot be read.
    problems: Vec<String>,
}

/// Returns the command line.
pub(super) fn command() -> Command {
    Command::new("timeline")
        .about("Show what happened in an incident, all runs in true order")
        .arg(
            Arg::new("case").value_name("ID|FOLDER").help(
                "The incident, or a case's folder; absent: --incident, else the only open one",
            ),
        )
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("Reads too, which change nothing and are most of the lines"),
        )
}

/// Shows a timeline.
pub(super) fn timeline(own: &ArgMatches, home: Result<Home, Refusal>) -> Result<u8, Refusal> {
    let folder = case::place(own, home)?;
    let mut timeline = Timeline::open(&folder, own.get_flag("all"));
    let mut stream = out::Stream::new();
    let output = Output::of(own);
    match output {
        Output::Human => {
            for clock in timeline.clocks() {
                stream.line(&shown::line(&about(clock)));
            }
            stream.line("");
        }
        Output::Json => {
            let sessions = serde_json::to_string(timeline.clocks()).unwrap_or_default();
            stream.line(&format!(
                "{{\"schema_version\":1,\"sessions\":{sessions},\"events\":["
            ));
        }
        Output::Ndjson => {
            stream.line(&json!({"event": "timeline", "sessions": timeline.clocks()}).to_string());
        }
    }
    let mut first = true;
    while let Some(event) = timeline
        .next_event()
        .map_err(|error| Refusal::integrity(&error))?
    {
        match output {
            Output::Human => told(&event).iter().for_each(|line| stream.line(line)),
            Output::Ndjson => stream.line(&serde_json::to_string(&event).unwrap_or_default()),
            Output::Json => {
                let comma = if first { "" } else { "," };
                let text = serde_json::to_string(&event).unwrap_or_default();
                stream.line(&format!("{comma}{text}"));
            }
        }
        first = false;
    }
    if output == Output::Json {
        let problems = serde_json::to_string(timeline.problems()).unwrap_or_default();
        stream.line(&format!("],\"problems\":{problems}}}"));
    }
    stream.end().map_err(|error| Refusal::cut_off(&error))?;
    for problem in timeline.problems() {
        out::line(&format!("azir: {}", shown::line(problem)));
    }
    Ok(if timeline.problems().is_empty() {
        0
    } else {
        super::exit::Exit::Integrity.code()
    })
}

fn about(clock: &SessionClock) -> String {
    let run = crate::report::run::short(&clock.run);
    let offset = match clock.offset_ms {
        Some(offset) => format!(
            "clock {offset:+} ms against the cloud's (measured by this {})",
            clock.measured_by
        ),
        None => "clock not measured".to_owned(),
    };
    format!(
        "{run} {} {} on {}: {offset}",
        clock.began.chars().take(19).collect::<String>(),
        clock.responder,
        clock.host
    )
}

fn told(event: &Event) -> Vec<String> {
    let run = crate::report::run::short(&event.run);
    let time = event.time.get(..23).unwrap_or(&event.time);
    let who = if event.who == "azir" {
        format!("azir@{}", event.host)
    } else {
        event.who.clone()
    };
    let mut lines = vec![shown::line(&format!(
        "{time}Z {run}:{:<4} {who:<20} {:<16} {}",
        event.seq, event.kind, event.text
    ))];
    let notes = event.notes.iter();
    lines.extend(notes.map(|note| shown::line(&format!("    NOTE {note}"))));
    lines
}
