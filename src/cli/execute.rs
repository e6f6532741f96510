//! Running a runbook and undoing a run: from what is meant to the engine, and from its end to the last word.

use std::sync::Arc;

use clap::ArgMatches;
use tokio::sync::watch;

use super::acted::{Acted, refuse_incident_log};
use super::ask::Terminal;
use super::connect::{Connection, Place, connect};
use super::exit::Exit;
use super::home::Home;
use super::live::Live;
use super::meaning::{self, Asked};
use super::once::{self, Claim};
use super::refusal::Refusal;
use super::witnesses::witnesses;
use super::{Output, notify, out, outside, plan, retry, summary, wait};
use crate::clock::{Clock, SystemClock};
use crate::engine::notify::Channels;
use crate::engine::{
    Ended, Engine, EngineError, Missing, Mode, Responder, RunRequest, Tool, UndoRequest,
};
use crate::random::{Random, SystemRandom};
use crate::report::model::MissingWitness;
use crate::report::run::{report, started};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::model::Runbook;

/// A runbook that is to be run.
pub(super) struct Chosen {
    pub(super) runbook: Arc<Runbook>,
    pub(super) text: Arc<str>,
    pub(super) origin: String,
}

/// Runs a runbook with the arguments in `own`.
pub(super) fn run(
    own: &ArgMatches,
    chosen: &Chosen,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let output = Output::of(own);
    // Everything that was typed is understood before anything is reached or made.
    let earlier = retry::named(own, &chosen.runbook, home)?;
    let asked = meaning::run(own, &chosen.runbook, catalogue, earlier.as_ref())?;
    let _acting = home.act(&chosen.runbook.name.value)?;
    let place = match &earlier {
        // What is done again is done where it was done.
        Some(earlier) => retry::place(own, earlier, home)?,
        None => Place::of(own)?,
    };
    home.prepare()?;
    // The lock of the key is held to the end of this function, and so of the run.
    let (once, _lock) = match once::claim(own, &chosen.runbook.name.value, &asked, home)? {
        Some(Claim::Theirs(run_dir)) => {
            wait::until_over(&run_dir, None)?;
            return wait::ended(&run_dir, output, home);
        }
        Some(Claim::Ours(once, lock)) => (Some(once), Some(lock)),
        None => (None, None),
    };
    let case = home.cases().join(asked.incident.as_str());
    let command = format!("azir {} ", chosen.runbook.name.value);
    let ended = runtime()?.block_on(async {
        let connection = connect(&place, home, &case).await?;
        place.agrees(connection.client.cloud_name())?;
        let responder = responder(own, &connection).await;
        let (engine, halt, live) = engine(own, &connection, catalogue, home, &responder)?;
        let (said, _) = crate::report::incident::so_far(&case);
        live.detected(asked.detected_at.or_else(|| said.detected()));
        if own.get_one::<String>("incident").is_none() && earlier.is_none() {
            live.unnamed(&asked.incident);
        }
        let request = RunRequest {
            once,
            ..request(own, home, responder, chosen, asked)
        };
        if own.get_flag("plan") {
            let plan = settle(engine.plan(&request), &live, halt).await?;
            return Ok(show_plan(&plan, output));
        }
        let ended = carry_out(&engine, request, &live, halt, chosen).await?;
        finish(&ended, output, home)
    });
    ended.map_err(|refusal| Refusal {
        hint: same_place(&refusal.hint, &command, own.get_flag("lab")),
        ..refusal
    })
}

/// Runs what was asked for; of a run that never began people are told here, because no run tells them.
pub(super) async fn carry_out(
    engine: &Engine,
    request: RunRequest,
    live: &Live,
    halt: watch::Sender<bool>,
    chosen: &Chosen,
) -> Result<Ended, Refusal> {
    let about = (request.incident.clone(), request.targets.clone());
    let drill = request.mode == Mode::Drill;
    let ended = settle(engine.run(request), live, halt).await;
    if let Err(refusal) = &ended
        && !live.began()
    {
        notify::never_began(engine, chosen, about, drill, refusal).await;
    }
    ended
}

/// Returns a hint whose command acts where the refused one did: in the lab, not in the tenant.
fn same_place(hint: &str, command: &str, lab: bool) -> String {
    if !lab || !hint.starts_with(command) || hint.contains("--help") {
        return hint.to_owned();
    }
    match hint.split_once(", ") {
        Some((typed, why)) => format!("{typed} --lab, {why}"),
        None => format!("{hint} --lab"),
    }
}

/// Undoes a run.
pub(super) fn undo(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let output = Output::of(own);
    let run_dir = home.run(own.get_one::<String>("run").map_or("last", String::as_str))?;
    let choices = meaning::choices(own)?;
    let start = started(&run_dir).map_err(|error| Refusal::integrity(&error))?;
    refuse_incident_log(&start, "nothing in it can be undone")?;
    if let Some(of) = &start.of {
        return Err(Refusal::usage(
            format!(
                "run {} is itself an undo, of run {of}; an undo is not undone",
                start.run
            ),
            format!(
                "azir show {of}, to see how it stands; to isolate again, run the runbook again"
            ),
        ));
    }
    let acted = Acted::of(own, &run_dir, &start, home, "undo")?;
    runtime()?.block_on(async {
        let connection = connect(&acted.place, home, &acted.case).await?;
        acted.place.agrees(connection.client.cloud_name())?;
        let responder = responder(own, &connection).await;
        let (mut engine, halt, live) = engine(own, &connection, catalogue, home, &responder)?;
        let request = UndoRequest {
            run_dir: run_dir.clone(),
            choices,
            accept: meaning::accepted(own),
            yes: own.get_flag("yes"),
            over_drift: own.get_flag("over-drift"),
            clearance: own.get_one::<String>("clearance").cloned(),
            responder,
            authority: own.get_one::<String>("authority").cloned(),
            ticket: own.get_one::<String>("ticket").cloned(),
        };
        // The undo is filed beside the run it undoes, wherever that is.
        engine.cases = acted.cases(home);
        if own.get_flag("plan") {
            let plan = settle(engine.plan_undo(&request), &live, halt).await?;
            return Ok(show_plan(&plan, output));
        }
        let ended = settle(engine.undo(request), &live, halt).await?;
        finish(&ended, output, home)
    })
}

/// Returns who answers; what the token says counts where nothing else names a person.
pub(super) async fn responder(own: &ArgMatches, connection: &Connection) -> Responder {
    // A cloud that does not let azir in says so when the run begins.
    let identity = connection.client.identity().await.ok();
    meaning::responder(own, &connection.profile, identity.as_ref())
}

pub(super) fn request(
    own: &ArgMatches,
    home: &Home,
    responder: Responder,
    chosen: &Chosen,
    asked: Asked,
) -> RunRequest {
    let loaded = (Arc::clone(&chosen.runbook), Arc::clone(&chosen.text));
    RunRequest {
        origin: chosen.origin.clone(),
        arguments: asked.arguments,
        targets: asked.targets,
        bulk: asked.bulk,
        choices: asked.choices,
        accept: asked.accept,
        yes: own.get_flag("yes"),
        authority: own.get_one::<String>("authority").cloned(),
        ticket: own.get_one::<String>("ticket").cloned(),
        // In a drill the finding has a time that nobody needs to type.
        detected_at: asked
            .detected_at
            .or_else(|| home.drill.as_ref()?.standing.emitted_at),
        mode: if home.drill.is_some() {
            Mode::Drill
        } else {
            Mode::Execute
        },
        ..RunRequest::of(loaded, asked.incident, responder)
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Refusal::failed(
                "runtime",
                format!("the runtime cannot be started: {error}"),
                "azir doctor",
            )
        })
}

pub(super) fn engine(
    own: &ArgMatches,
    connection: &Connection,
    catalogue: &Arc<Catalogue>,
    home: &Home,
    responder: &Responder,
) -> Result<(Engine, watch::Sender<bool>, Arc<Live>), Refusal> {
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock), Arc::new(SystemRandom));
    // Looking signs nothing, so nobody is asked for a passphrase.
    let witnesses = if own.get_flag("plan") {
        Vec::new()
    } else {
        witnesses(
            own,
            connection,
            home,
            &responder.upn,
            (&clock, &random),
            true,
        )?
    };
    Ok(engine_with(own, connection, catalogue, home, witnesses))
}

/// Returns an engine, with who vouches for what it does.
pub(super) fn engine_with(
    own: &ArgMatches,
    connection: &Connection,
    catalogue: &Arc<Catalogue>,
    home: &Home,
    witnesses: Vec<Arc<dyn crate::engine::witness::Witness>>,
) -> (Engine, watch::Sender<bool>, Arc<Live>) {
    let (halt, halted) = watch::channel(false);
    let live = Live::new(Output::of(own), own.get_count("verbose") > 0);
    let terminal = Terminal {
        allowed: !own.get_flag("no-input"),
        live: Arc::clone(&live),
        halted: halted.clone(),
    };
    let engine = Engine {
        client: connection.client.clone(),
        clock: Arc::clone(&connection.clock),
        random: Arc::new(SystemRandom),
        catalogue: Arc::clone(catalogue),
        profile: connection.profile.clone(),
        profile_name: connection.profile_name.clone(),
        production: connection.production.clone(),
        cases: home.cases(),
        listener: Arc::clone(&live) as Arc<dyn crate::engine::event::Listener>,
        ask: Arc::new(terminal),
        halt: halted,
        channels: Channels::new(
            &connection.profile.notify,
            connection.client.http(),
            &notify::environment,
        ),
        tool: tool(),
        witnesses,
    };
    (engine, halt, live)
}

pub(super) fn tool() -> Tool {
    let binary = std::env::current_exe()
        .ok()
        .and_then(|path| std::fs::File::open(path).ok());
    let digest = binary.and_then(|file| crate::digest::Digest::of_reader(file).ok());
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        binary_sha256: digest.map(|(digest, _)| digest.to_string()),
        host: meaning::hostname(),
        os: std::env::consts::OS.to_owned(),
    }
}

/// Waits for the end; ctrl-C or SIGTERM asks for a stop first, and ends the process the second time.
pub(super) async fn settle<T>(
    work: impl Future<Output = Result<T, EngineError>>,
    live: &Live,
    halt: watch::Sender<bool>,
) -> Result<T, Refusal> {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    let mut stops = Stops::new();
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(Refusal::from),
            _ = tick.tick() => live.tick(),
            () = stops.next() => {
                if *halt.borrow() {
                    live.say("azir: stopped at once; azir resume goes on, azir show last says what is unknown");
                    #[expect(clippy::exit, reason = "the second ctrl-C means now; the journal is made for it")]
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
                live.say("azir: no new write is sent; waiting for what is under way (ctrl-C again to stop at once)");
                halt.send_replace(true);
            }
        }
    }
}

/// The signals that ask for a stop, heard from the beginning to the end: one that came while nobody listened would be
/// lost, and the run would go on under the hands of who stopped it.
struct Stops {
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
}

impl Stops {
    fn new() -> Self {
        #[cfg(unix)]
        let heard = |kind| tokio::signal::unix::signal(kind).ok();
        Self {
            #[cfg(unix)]
            interrupt: heard(tokio::signal::unix::SignalKind::interrupt()),
            #[cfg(unix)]
            terminate: heard(tokio::signal::unix::SignalKind::terminate()),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        {
            // Without a handler there is nothing to wait for, and the system's own way holds.
            let heard = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            };
            tokio::select! {
                _ = heard(&mut self.interrupt) => {}
                _ = heard(&mut self.terminate) => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn show_plan(plan: &crate::engine::plan::Plan, output: Output) -> u8 {
    if output == Output::Human {
        out::result(&super::shown::block(&plan::text(plan, &out::reader())));
    } else {
        out::result(&serde_json::to_string(plan).unwrap_or_default());
    }
    let failed = plan
        .preflight
        .iter()
        .any(|answer| answer.verdict == crate::engine::plan::Verdict::Fail);
    let end = if failed { Exit::Refused } else { Exit::Done };
    end.code()
}

fn missing(gap: &Missing) -> MissingWitness {
    MissingWitness {
        witness: gap.kind.word().to_owned(),
        since: crate::clock::seconds(gap.since),
        why: gap.why.clone(),
    }
}

pub(super) fn finish(ended: &Ended, output: Output, home: &Home) -> Result<u8, Refusal> {
    let mut report = report(&ended.run_dir, &outside::of(home, &ended.run_dir))
        .map_err(|error| Refusal::record(error.to_string(), "azir show last"))?;
    // The session knows better than its last lines, which could not speak of what came after them.
    report.journal.missing = ended.missing.iter().map(missing).collect();
    match output {
        Output::Human => out::result(&super::shown::block(&summary::text(
            &report,
            &out::reader(),
        ))),
        Output::Json => out::result(&serde_json::to_string(&report).unwrap_or_default()),
        // The last event has said it.
        Output::Ndjson => {}
    }
    Ok(ended.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_after_a_rehearsal_is_a_rehearsal() {
        let at = |hint: &str, lab| same_place(hint, "azir isolate-vm ", lab);
        assert_eq!(
            at("azir isolate-vm vm-a", true),
            "azir isolate-vm vm-a --lab"
        );
        assert_eq!(
            at("azir isolate-vm y, to look it up by name", true),
            "azir isolate-vm y --lab, to look it up by name"
        );
        for (hint, lab) in [
            ("azir isolate-vm vm-a", false),
            ("azir isolate-vm --help", true),
            ("azir doctor", true),
        ] {
            assert_eq!(at(hint, lab), hint);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_stop_that_came_while_nobody_looked_is_not_lost() {
        let mut stops = Stops::new();
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::INT).unwrap();
        let heard = tokio::time::timeout(std::time::Duration::from_secs(60), stops.next());
        assert!(heard.await.is_ok());
    }
}
