//! `azir note`, `azir attach`, `azir manual`: what people see and do outside azir, in the same record.

use std::io::Read as _;
use std::path::Path;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::home::Home;
use super::refusal::Refusal;
use super::{case, execute, meaning, out};
use crate::clock::micros;
use crate::ids::IncidentId;
use crate::report::cases;
use crate::report::incident::CLEARANCE;
use crate::runbook::problem::nearest;

/// The longest text that is taken as a note.
const LONGEST: u64 = 1 << 20;

fn words() -> Arg {
    Arg::new("text")
        .value_name("TEXT")
        .required(true)
        .help("What; - reads it from stdin")
}

/// Returns the command line of `azir note`.
pub(super) fn note_command() -> Command {
    Command::new("note")
        .about("Write a note into the record of an incident")
        .arg(words())
        .arg(
            Arg::new("clears")
                .long("clears")
                .value_name("TARGET")
                .value_parser(NonEmptyStringValueParser::new())
                .help(
                    "Record that TARGET may have back what a run took; TEXT says on what grounds",
                ),
        )
}

/// Returns the command line of `azir attach`.
pub(super) fn attach_command() -> Command {
    Command::new("attach")
        .about("Take a file into evidence")
        .arg(Arg::new("file").value_name("FILE").required(true))
        .arg(
            Arg::new("description")
                .long("description")
                .value_name("TEXT")
                .value_parser(NonEmptyStringValueParser::new())
                .help("What it is and where it came from"),
        )
}

/// Returns the command line of `azir manual`.
pub(super) fn manual_command() -> Command {
    Command::new("manual")
        .about("Record what a person did outside azir")
        .arg(words())
        .arg(
            Arg::new("at")
                .long("at")
                .value_name("TIME")
                .required(true)
                .help("When it was done, as 2026-05-23T10:00:00Z"),
        )
        .arg(
            Arg::new("step")
                .long("step")
                .value_name("ID")
                .value_parser(NonEmptyStringValueParser::new())
                .help("The step of a run that it answers"),
        )
}

/// Writes a note.
pub(super) fn note(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let id = case::meant(own, home)?;
    let text = text(own)?;
    let (desk, by, _acting) = case::desk(own, home, "note")?;
    let Some(target) = own.get_one::<String>("clears") else {
        let data = json!({"kind": "said", "text": text, "by": by.upn});
        let written = execute::runtime()?.block_on(desk.say(&id, &by, "note", "note", data))?;
        case::say(own, &id, &format!("noted in {id}"), &written, json!({}));
        return Ok(0);
    };
    let data = json!({
        "about": CLEARANCE,
        "question": "may it have back what was taken?",
        "subject": target,
        "choice": "cleared",
        "why": text,
        "by": by.upn,
    });
    let written = execute::runtime()?.block_on(desk.say(&id, &by, "decision", "note", data))?;
    let said = format!("{target} is cleared in {id}; azir undo RUN gives back what was taken");
    case::say(own, &id, &said, &written, json!({"clears": target}));
    Ok(0)
}

/// Takes a file into evidence.
pub(super) fn attach(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let id = case::meant(own, home)?;
    let file = own.get_one::<String>("file").map_or("", String::as_str);
    let description = own.get_one::<String>("description").map(String::as_str);
    let (desk, by, _acting) = case::desk(own, home, "attach")?;
    let attached =
        execute::runtime()?.block_on(desk.attach(&id, &by, Path::new(file), description))?;
    out::line("azir: the file is kept as it is; secrets in it are not looked for");
    case::say(
        own,
        &id,
        &format!(
            "exhibit {} ({} bytes, sha256 {})",
            attached.exhibit, attached.size, attached.sha256
        ),
        &attached.written,
        json!({"exhibit": attached.exhibit, "sha256": attached.sha256, "size": attached.size}),
    );
    Ok(0)
}

/// Records what a person did.
pub(super) fn manual(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let at = meaning::past(own, "at")?;
    let id = case::meant(own, home)?;
    let step = own.get_one::<String>("step");
    if let Some(step) = step {
        known_step(step, &id, home)?;
    }
    let text = text(own)?;
    let (desk, by, _acting) = case::desk(own, home, "manual")?;
    let data = json!({"finding": text, "at": at.map(micros), "step": step, "by": by.upn});
    let written = execute::runtime()?.block_on(desk.say(&id, &by, "manual", "manual", data))?;
    case::say(own, &id, &format!("recorded in {id}"), &written, json!({}));
    Ok(0)
}

/// Returns the text that was typed, or what stdin has.
fn text(own: &ArgMatches) -> Result<String, Refusal> {
    let typed = own.get_one::<String>("text").map_or("", String::as_str);
    let text = if typed == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                Refusal::usage(format!("cannot read stdin: {error}"), "azir note TEXT")
            })?;
        if bytes.len() as u64 > LONGEST {
            return Err(Refusal::usage(
                format!("the text is longer than {LONGEST} bytes"),
                "put it into a file, then azir attach FILE",
            ));
        }
        String::from_utf8(bytes).map_err(|_| {
            Refusal::usage(
                "stdin is no UTF-8 text",
                "put it into a file, then azir attach FILE",
            )
        })?
    } else {
        typed.to_owned()
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::usage(
            "the text is empty",
            "say what happened, in quotation marks",
        ));
    }
    Ok(text.to_owned())
}

/// Refuses a step that no run of the case has: the task that was meant would stay open.
fn known_step(step: &str, id: &IncidentId, home: &Home) -> Result<(), Refusal> {
    let mut known = std::collections::BTreeSet::new();
    for run_dir in cases::of_case(&home.cases().join(id.as_str())) {
        // A run that cannot be read is the verifier's to tell of.
        let _ = crate::journal::reader::each(&run_dir, |line, _, _| {
            let step = line.data.get("step").and_then(serde_json::Value::as_str);
            known.extend(step.map(str::to_owned));
        });
    }
    if known.contains(step) {
        return Ok(());
    }
    let near = nearest(step, known.iter().map(String::as_str))
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    Err(Refusal::usage(
        format!("--step {step}: no run of incident {id} has such a step{near}"),
        format!("azir incident status {id}"),
    ))
}
