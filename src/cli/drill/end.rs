//! The end of a drill: the judge, what is cleared away, and what does not count.

use std::sync::Arc;

use clap::ArgMatches;
use serde_json::json;

use super::{before, case, entered, meant};
use crate::cli::acting::Acting;
use crate::cli::connect::{Connection, Place as Where, connect_by};
use crate::cli::entered::unreadable;
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, drill_tabletop as tabletop, drill_words, execute, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::drill::record::{Record, State, What};
use crate::drill::verdict::{Place, Verdict};
use crate::drill::{Judge, run_under_way};

/// Stops the clock and judges.
pub(super) fn finish(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let (_ending, home) = &ending(own, home)?;
    let drill = entered(home)?;
    let case = case(home)?;
    let id = &drill.standing.begun.drill;
    match drill.standing.state {
        State::Running => drill.must_run()?,
        // What was left over then is tried again.
        State::Judged => return clear_again(own, home),
        State::Closed => {
            return Err(Refusal::usage(
                format!("drill {id} was judged already"),
                format!("azir drill report {id}"),
            ));
        }
        _ => drill.must_run()?,
    }
    if let Some(run) = run_under_way(&case) {
        return Err(Refusal::record(
            format!("run {run} is still being written: nobody is judged under their hands"),
            format!("azir wait {run} --incident {id}"),
        ));
    }
    let (mut record, standing) = Record::open(&drill.folder).map_err(unreadable)?;
    let before = before(&drill.folder)?;
    execute::runtime()?.block_on(async {
        let place = Where::of(own)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let connection = connect_by(&place, home, &case, clock).await?;
        let judge = Judge {
            reader: connection.client.reader(),
            scenario: &drill.scenario,
            standing: &standing,
            profile: &connection.profile,
            case: &case,
            before: &before,
            proofs: None,
            now: SystemClock.now(),
        };
        let verdict = judge.judge().await;
        close(own, home, &mut record, &connection, verdict).await
    })
}

/// Clears away what a judged drill left.
fn clear_again(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let drill = entered(home)?;
    let (mut record, _) = Record::open(&drill.folder).map_err(unreadable)?;
    let left = execute::runtime()?.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let connection = connect_by(&Where::of(own)?, home, &case(home)?, clock).await?;
        clear_away(home, &mut record, &connection).await
    })?;
    let id = &drill.standing.begun.drill;
    match Output::of(own) {
        Output::Human => out::result(&format!("drill {id} is judged and cleared away")),
        _ => out::result(
            &json!({"mark": out::DRILL.trim_ascii_end(), "drill": id, "left": left}).to_string(),
        ),
    }
    Ok(tell_left(&left, id, "finish").unwrap_or(Exit::Done.code()))
}

/// Writes the verdict down, clears away, closes the drill and tells.
pub(super) async fn close(
    own: &ArgMatches,
    home: &Home,
    record: &mut Record,
    connection: &Connection,
    verdict: Verdict,
) -> Result<u8, Refusal> {
    let judged = What::Judged(Box::new(verdict.clone()));
    record
        .add(connection.clock.now(), judged)
        .map_err(unreadable)?;
    let left = clear_away(home, record, connection).await?;
    let mut told = json!(verdict);
    told["mark"] = json!(out::DRILL.trim_ascii_end());
    told["left"] = json!(left);
    match Output::of(own) {
        Output::Human => {
            out::result(&shown::block(&drill_words::verdict(
                &verdict,
                &out::reader(),
            )));
        }
        Output::Json => out::result(&told.to_string()),
        Output::Ndjson => {
            told["event"] = json!("judged");
            out::result(&told.to_string());
        }
    }
    Ok(
        tell_left(&left, &verdict.drill, "finish").unwrap_or(if verdict.passed {
            Exit::Done.code()
        } else {
            Exit::Failed.code()
        }),
    )
}

/// Clears away what the drill left in a tabletop subscription; a lab is the drill's own and stays to be looked at.
/// Closes the drill where nothing is left.
pub(super) async fn clear_away(
    home: &Home,
    record: &mut Record,
    connection: &Connection,
) -> Result<Vec<String>, Refusal> {
    let drill = entered(home)?;
    let left = match drill.standing.begun.place {
        Place::Lab => Vec::new(),
        Place::Tabletop => tabletop::clear(drill, record, connection, &case(home)?).await?,
    };
    if left.is_empty() {
        record
            .add(connection.clock.now(), What::Closed)
            .map_err(unreadable)?;
    }
    Ok(left)
}

/// Says what could not be cleared away, and returns the exit code for it.
pub(super) fn tell_left(left: &[String], drill: &str, command: &str) -> Option<u8> {
    for one in left {
        out::line(&format!("azir: not cleared away: {}", shown::line(one)));
    }
    if left.is_empty() {
        return None;
    }
    out::line(&format!("next: azir drill {command} {drill}"));
    Some(Exit::Partly.code())
}

/// Gives a drill up.
pub(super) fn abort(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let (_ending, home) = &ending(own, home)?;
    let drill = entered(home)?;
    let id = &drill.standing.begun.drill;
    let why = own
        .get_one::<String>("why")
        .map_or("no reason was given", String::as_str);
    let left = execute::runtime()?.block_on(give_up(own, home, why))?;
    match Output::of(own) {
        Output::Human => out::result(&format!("drill {id} is given up and does not count")),
        _ => out::result(
            &json!({"mark": out::DRILL.trim_ascii_end(), "drill": id, "state": State::Aborted, "left": left}).to_string(),
        ),
    }
    Ok(tell_left(&left, id, "abort").unwrap_or(Exit::Done.code()))
}

/// Gives a drill up and clears away what it made; returns what is left.
pub(super) async fn give_up(
    own: &ArgMatches,
    home: &Home,
    why: &str,
) -> Result<Vec<String>, Refusal> {
    let drill = entered(home)?;
    let (mut record, standing) = Record::open(&drill.folder).map_err(unreadable)?;
    if !matches!(
        standing.state,
        State::Planting | State::Running | State::Aborting
    ) {
        let id = &standing.begun.drill;
        return Err(Refusal::usage(
            format!("drill {id} is over"),
            format!("azir drill report {id}"),
        ));
    }
    if standing.state != State::Aborting {
        let aborted = What::Aborted {
            why: why.to_owned(),
        };
        record.add(SystemClock.now(), aborted).map_err(unreadable)?;
    }
    if standing.begun.place == Place::Lab {
        record
            .add(SystemClock.now(), What::Closed)
            .map_err(unreadable)?;
        return Ok(Vec::new());
    }
    let home = &home.inside(&standing.begun.drill)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let connection = connect_by(&Where::of(own)?, home, &case(home)?, clock).await?;
    clear_away(home, &mut record, &connection).await
}

/// Returns the home inside the drill that is meant, and what keeps everybody from acting in it while it is ended.
fn ending(own: &ArgMatches, home: &Home) -> Result<(Acting, Home), Refusal> {
    let home = meant(own, home)?;
    let drill = entered(&home)?;
    let ending = drill.end()?;
    // Somebody else may have ended it before: how it stands is read now that nobody changes it.
    let home = home.inside(&drill.standing.begun.drill)?;
    Ok((ending, home))
}
