//! `azir drill assign`: who shall see to a finding, and until when.

use chrono::NaiveDate;
use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Kept, Lines, MARK, SCHEMA_VERSION, json};
use crate::cli::Output;
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::refusal::Refusal;
use crate::drill::assignment::{self, Assignment};
use crate::drill::findings::Finding;
use crate::drill::record::RecordError;
use crate::runbook::problem::nearest;

/// The JSON of `azir drill assign`.
#[derive(Debug, JsonSchema, Serialize)]
pub(in crate::cli) struct Assigned {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// The line that was written.
    assignment: Assignment,
}

/// Says who shall see to a finding.
pub(in crate::cli) fn assign(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let id = own.get_one::<String>("finding").map_or("", String::as_str);
    let findings = kept.findings();
    let finding = still_open(id, &findings)?;
    let given = own.get_one::<NaiveDate>("due").copied();
    let today = kept.now.date_naive();
    if let Some(due) = given.filter(|due| *due < today) {
        return Err(Refusal::usage(
            format!("--due {due} is over: today is {today}"),
            format!("azir drill assign {id} --owner UPN --due {today}"),
        ));
    }
    let assigned = Assignment {
        time: kept.now,
        finding: id.to_owned(),
        owner: own.get_one::<String>("owner").cloned().unwrap_or_default(),
        due: given.unwrap_or(finding.due),
    };
    assignment::add(&home.root, &assigned).map_err(|error| not_kept(&error))?;
    if Output::of(own) == Output::Human {
        let mut lines = Lines::new();
        lines.say(
            "",
            &format!(
                "finding {id} is {}'s until {}",
                assigned.owner, assigned.due
            ),
        );
        lines.end();
    } else {
        json(&Assigned {
            schema_version: SCHEMA_VERSION,
            mark: MARK,
            assignment: assigned,
        });
    }
    Ok(kept.end(Exit::Done.code()))
}

fn still_open<'a>(id: &str, findings: &'a [Finding]) -> Result<&'a Finding, Refusal> {
    match findings.iter().find(|finding| finding.id == id) {
        Some(finding) if finding.open => Ok(finding),
        Some(finding) => {
            let by = finding.turns.last().map_or("a drill", |turn| &turn.drill);
            Err(Refusal::usage(
                format!("finding {id} is closed: {by} passed it"),
                "azir drill list",
            ))
        }
        None => {
            let near = nearest(id, findings.iter().map(|finding| finding.id.as_str()));
            Err(Refusal::usage(
                format!("there is no finding {id}"),
                near.map_or("azir drill list".to_owned(), |near| {
                    format!("azir drill assign {near} --owner UPN")
                }),
            ))
        }
    }
}

fn not_kept(error: &RecordError) -> Refusal {
    let hint = match error {
        RecordError::Busy { .. } => "azir drill assign again, when the other azir is done",
        _ => "export AZIR_HOME=/path/to/a/writable/folder",
    };
    Refusal::record(error.to_string(), hint)
}
