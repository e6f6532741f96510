//! How far a drill is, and what the tenant says of it, where that is not hidden.

use std::sync::Arc;

use clap::ArgMatches;
use serde_json::json;

use super::{before, case, entered, meant};
use crate::cli::connect::{Place as Where, connect_by};
use crate::cli::entered::unreadable;
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, drill_words, execute, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::drill::Judge;
use crate::drill::record::{Record, What};

/// Shows how far a drill is; of one that is not blind, what the tenant says.
pub(super) fn status(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let home = &meant(own, home)?;
    let drill = entered(home)?;
    let case = case(home)?;
    let looks = drill.standing.runs() && !drill.standing.begun.blind;
    let lines = if looks {
        let before = before(&drill.folder)?;
        execute::runtime()?.block_on(async {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let connection = connect_by(&Where::of(own)?, home, &case, clock).await?;
            let judge = Judge {
                reader: connection.client.reader(),
                scenario: &drill.scenario,
                standing: &drill.standing,
                profile: &connection.profile,
                case: &case,
                before: &before,
                proofs: None,
                now: SystemClock.now(),
            };
            Ok::<_, Refusal>(Some(judge.look().await))
        })?
    } else {
        None
    };
    // Whoever has the record open is judging it: what was seen now no longer counts.
    if let (Some(lines), Ok((mut record, standing))) = (&lines, Record::open(&drill.folder)) {
        for line in lines.iter().filter(|line| line.holds == Some(true)) {
            let known = standing.seen.iter().any(|(id, _)| *id == line.id);
            if standing.runs() && !known {
                let condition = line.id.clone();
                let seen = What::Seen { condition };
                record.add(SystemClock.now(), seen).map_err(unreadable)?;
            }
        }
    }
    let told = drill_words::Status::of(&drill.standing, &drill.scenario, lines, SystemClock.now());
    match Output::of(own) {
        Output::Human => out::result(&shown::block(&told.text(&out::reader()))),
        _ => out::result(&json!(told).to_string()),
    }
    Ok(Exit::Done.code())
}
