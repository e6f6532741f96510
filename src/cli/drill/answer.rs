//! `--auto`: azir answers the attack by itself, is judged, puts everything back, and is judged for that, too.

use std::sync::Arc;

use clap::ArgMatches;

use super::end::{clear_away, close, tell_left};
use super::{before, case, entered};
use crate::cli::connect::Connection;
use crate::cli::entered::unreadable;
use crate::cli::home::Home;
use crate::cli::live::Live;
use crate::cli::refusal::Refusal;
use crate::cli::witnesses::witnesses;
use crate::cli::{execute, meaning};
use crate::drill::record::{Record, What};
use crate::drill::verdict::Place;
use crate::drill::{Auto, Judge, NotBegun, Proofs};
use crate::engine::event::{Event, Listener};
use crate::random::{Random, SystemRandom};
use crate::runbook::catalogue::Catalogue;

/// Lets azir answer the attack, judges, puts everything back, and judges that.
pub(super) async fn answer(
    own: &ArgMatches,
    home: &Home,
    catalogue: &Arc<Catalogue>,
    record: &mut Record,
    connection: &Connection,
) -> Result<u8, Refusal> {
    // What was written since it was begun is part of how it stands.
    let home = &home.inside(&entered(home)?.standing.begun.drill)?;
    let drill = entered(home)?;
    let case = case(home)?;
    let begun = &drill.standing.begun;
    let incident = meaning::incident_id(&begun.drill)?;
    let responder = execute::responder(own, connection).await;
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let vouching = witnesses(
        own,
        connection,
        home,
        &responder.upn,
        (&connection.clock, &random),
        true,
    )?;
    let (engine, halt, live) = execute::engine_with(own, connection, catalogue, home, vouching);
    let proofs = Arc::new(Proofs::of(&drill.scenario));
    let mut engine = engine.unattended();
    engine.listener = Arc::new(Both(Arc::clone(&live), Arc::clone(&proofs)));
    let emitted_at = drill.standing.emitted_at.unwrap_or(drill.standing.begun_at);
    let scope = drill.scope(connection, &crate::clock::seconds(emitted_at));
    live.detected(Some(emitted_at));
    let auto = Auto {
        engine: &engine,
        scenario: &drill.scenario,
        incident: &incident,
        scope: &scope,
        emitted_at,
        responder,
    };
    let before = before(&drill.folder)?;
    let judge = |now| Judge {
        reader: connection.client.reader(),
        scenario: &drill.scenario,
        standing: &drill.standing,
        profile: &connection.profile,
        case: &case,
        before: &before,
        proofs: Some(&proofs),
        now,
    };
    let halted = engine.halt.clone();
    let answered = execute::settle(
        async {
            let not_begun = auto.answer().await;
            // Whoever stopped it wants no judgement of half an answer.
            if *halted.borrow() {
                return Ok(None);
            }
            let now = connection.clock.now();
            let mut verdict = judge(now).judge().await;
            let not_undone = auto.undo().await;
            if *halted.borrow() {
                return Ok(None);
            }
            judge(now).judge_undone(&mut verdict).await;
            Ok(Some((verdict, not_begun, not_undone)))
        },
        &live,
        halt,
    );
    let Some((mut verdict, not_begun, not_undone)) = answered.await? else {
        record
            .add(
                connection.clock.now(),
                What::Aborted {
                    why: "it was stopped".to_owned(),
                },
            )
            .map_err(unreadable)?;
        let left = clear_away(home, record, connection).await?;
        tell_left(&left, &begun.drill, "abort");
        return Err(Refusal::failed(
            "stopped",
            format!("drill {} was stopped and does not count", begun.drill),
            match begun.place {
                Place::Lab => format!("azir drill start {} --auto --lab", begun.scenario.name),
                Place::Tabletop => format!(
                    "azir drill start {} --auto --profile {}",
                    begun.scenario.name, begun.profile
                ),
            },
        ));
    };
    for (line, all) in [("runs_ended", not_begun), ("undo_ends", not_undone)] {
        for NotBegun { runbook, error } in all {
            let why = format!("{runbook} was refused: {}", error.message());
            verdict.fault(line, &why);
        }
    }
    close(own, home, record, connection, verdict).await
}

/// Two who listen.
struct Both(Arc<Live>, Arc<Proofs>);

impl Listener for Both {
    fn hear(&self, event: &Event) {
        self.0.hear(event);
        self.1.hear(event);
    }
}
