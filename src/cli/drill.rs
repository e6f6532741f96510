//! `azir drill`: an attack is planted, the clock runs, people or azir answer it, and the tenant is judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::acting::Acting;
use super::config;
use super::connect::{Connection, Place as Where, Tabletop, connect_by};
use super::entered::{Entered, unreadable};
use super::exit::Exit;
use super::home::Home;
use super::live::Live;
use super::refusal::Refusal;
use super::witnesses::witnesses;
use super::{
    Output, drill_tabletop as tabletop, drill_told, drill_words, execute, globals, meaning, out,
    shown,
};
use crate::clock::{Clock, SystemClock};
use crate::drill::record::{self, Begun, Record, State, What};
use crate::drill::scenario::Scenario;
use crate::drill::shelf::{self, Loaded};
use crate::drill::verdict::{By, Place, ScenarioRef, Verdict};
use crate::drill::{Auto, Judge, NotBegun, Proofs, names, run_under_way};
use crate::engine::EngineError;
use crate::engine::event::{Event, Listener};
use crate::engine::profile::Profile;
use crate::ids::IncidentId;
use crate::lab::ScaledClock;
use crate::random::{Random, SystemRandom};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::expr::Scope;

/// Returns the command line.
pub(super) fn command() -> Command {
    let drill = || {
        Arg::new("drill")
            .value_name("DRILL")
            .help("The drill; absent: --incident, else the only open one")
    };
    let persons = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("UPN")
            .value_parser(meaning::person)
            .help(help)
    };
    Command::new("drill")
        .about("Rehearse an attack: plant it, answer it, and have the tenant judged")
        .subcommand_required(true)
        .subcommand(
            Command::new("start")
                .about("Plant a scenario and start the clock; in the lab, or in a tabletop subscription")
                .arg(
                    Arg::new("scenario")
                        .value_name("SCENARIO|FILE")
                        .required(true)
                        .help("A scenario by name, or a file of your own"),
                )
                .arg(
                    Arg::new("auto")
                        .long("auto")
                        .action(ArgAction::SetTrue)
                        .help("azir answers by itself, is judged, and puts everything back"),
                )
                .arg(
                    Arg::new("blind")
                        .long("blind")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("auto")
                        .help("Hide what was planted until it is judged"),
                )
                .arg(
                    persons("participants", "Who takes part; more than one: separated by commas")
                        .value_delimiter(',')
                        .action(ArgAction::Append)
                        .conflicts_with("auto"),
                )
                .arg(persons("observer", "Who watches and leads it"))
                .arg(
                    Arg::new("runbook")
                        .long("runbook")
                        .value_name("NAME=FILE")
                        .action(ArgAction::Append)
                        .requires("auto")
                        .help("Let this file stand for a shipped runbook, in this drill alone"),
                )
                .arg(
                    Arg::new("clock-scale")
                        .long("clock-scale")
                        .value_name("FACTOR")
                        .value_parser(globals::factor)
                        .requires("auto")
                        .help("Let the drill's clock run this much faster, in the lab"),
                ),
        )
        .subcommand(
            Command::new("status")
                .about("Show how far a drill is, and what the tenant says")
                .arg(drill()),
        )
        .subcommand(
            Command::new("finish")
                .about("Stop the clock, judge the tenant, and clear away what was planted")
                .arg(drill()),
        )
        .subcommand(
            Command::new("abort")
                .about("Give a drill up: it does not count, and what was planted is cleared away")
                .arg(drill())
                .arg(
                    Arg::new("why")
                        .long("why")
                        .value_name("TEXT")
                        .value_parser(clap::builder::NonEmptyStringValueParser::new())
                        .help("Why, as the record should have it"),
                ),
        )
        .subcommands(drill_told::commands())
}

/// Runs a command of a drill.
pub(super) fn dispatch(
    command: &str,
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    out::enter_drill(Output::of(own) == Output::Human);
    let home = home?;
    match command {
        "start" => start(own, catalogue, &home),
        "status" => status(own, &home),
        "finish" => finish(own, &home),
        "abort" => abort(own, &home),
        "list" => drill_told::list(own, &home),
        "due" => drill_told::due(own, &home),
        "history" => drill_told::history(own, &home),
        "assign" => drill_told::assign(own, &home),
        _ => drill_told::report(own, &home),
    }
}

fn start(own: &ArgMatches, catalogue: &Arc<Catalogue>, home: &Home) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("scenario").map_or("", String::as_str);
    let loaded = shelf::load(name).map_err(|(why, hint)| Refusal::usage(why, hint))?;
    let catalogue = with_own_runbooks(own, catalogue)?;
    let id = new_id(own, home)?;
    execute::runtime()?.block_on(async {
        let ground = Ground::of(own, home, &loaded.scenario).await?;
        let clock = clock(own, &ground)?;
        ground.confirm(own, &loaded.scenario)?;
        home.prepare()?;
        let folder = record::folder(&home.root, id.as_str());
        let begun = ground.begun(own, &loaded, &id, &*clock)?;
        let mut record =
            Record::begin(&folder, &loaded.text, clock.now(), begun).map_err(unreadable)?;
        let inside = home.inside(id.as_str())?;
        match plant(own, &inside, &mut record, &clock).await {
            Ok(connection) if own.get_flag("auto") => {
                answer(own, &inside, &catalogue, &mut record, &connection).await
            }
            Ok(connection) => {
                drop(record);
                let inside = home.inside(id.as_str())?;
                Ok(tell_start(own, &inside, &connection))
            }
            Err(refusal) => {
                let why = refusal.message.clone();
                drop(record);
                let inside = home.inside(id.as_str())?;
                give_up(own, &inside, &why).await?;
                Err(refusal)
            }
        }
    })
}

/// Where a drill is to take place.
struct Ground {
    place: Place,
    profile_name: String,
    profile: Profile,
    subscriptions: Vec<String>,
    cloud: String,
}

impl Ground {
    /// Refuses any place that is not for exercises, before anything is made.
    async fn of(own: &ArgMatches, home: &Home, scenario: &Scenario) -> Result<Self, Refusal> {
        let named = own.get_one::<String>("profile").map(String::as_str);
        if own.get_flag("lab") || named == Some(config::LAB) {
            return Ok(Self {
                place: Place::Lab,
                profile_name: config::LAB.to_owned(),
                profile: config::lab(),
                subscriptions: config::lab().subscriptions.unwrap_or_default(),
                cloud: config::LAB.to_owned(),
            });
        }
        let found = Tabletop::of(&Where::of(own)?, home, named).await;
        let tabletop = found.map_err(|refusal| Refusal {
            hint: refusal.hint.replace("SCENARIO", &scenario.name),
            ..refusal
        })?;
        if scenario.tabletop.is_none() {
            return Err(Refusal::usage(
                format!(
                    "scenario {} can only be rehearsed in the lab",
                    scenario.name
                ),
                format!("azir drill start {} --lab", scenario.name),
            ));
        }
        Ok(Self {
            place: Place::Tabletop,
            cloud: tabletop.cloud.name.clone(),
            profile_name: tabletop.profile_name,
            profile: tabletop.profile,
            subscriptions: tabletop.subscriptions,
        })
    }

    /// Asks before something is made that costs money.
    fn confirm(&self, own: &ArgMatches, scenario: &Scenario) -> Result<(), Refusal> {
        let (Some(tabletop), false) = (&scenario.tabletop, own.get_flag("yes")) else {
            return Ok(());
        };
        if self.place == Place::Lab {
            return Ok(());
        }
        out::line(&format!(
            "azir: {} is built with profile {} in subscription {}, in a resource group of its own, and cleared away at the end",
            scenario.name, self.profile_name, self.subscriptions[0]
        ));
        out::line(&format!("azir: it costs {}", shown::line(&tabletop.costs)));
        match super::ask::confirmed("azir: build it? yes or no: ", !own.get_flag("no-input")) {
            Some(true) => Ok(()),
            Some(false) => Err(EngineError::Declined.into()),
            None => Err(EngineError::Unattended.into()),
        }
    }

    fn begun(
        &self,
        own: &ArgMatches,
        loaded: &Loaded,
        id: &IncidentId,
        clock: &dyn Clock,
    ) -> Result<Begun, Refusal> {
        let scenario = &loaded.scenario;
        let by = if own.get_flag("auto") {
            By::Auto
        } else {
            By::People
        };
        // In a tabletop subscription both are found when it is planted.
        let (mut names, mut tenant) = (Value::Null, String::new());
        if self.place == Place::Lab {
            let mut known = Scope::new();
            let now = crate::clock::seconds(clock.now());
            known.set("drill", &names::drill(id.as_str(), self.place, &now));
            known.set("profile", &json!(self.profile));
            let unsound = |why| Refusal::usage(why, "azir drill list");
            names = names::of_lab(scenario, &known).map_err(unsound)?;
            tenant = scenario.tenant().map_err(unsound)?.tenant;
        }
        Ok(Begun {
            drill: id.to_string(),
            scenario: ScenarioRef {
                name: scenario.name.clone(),
                version: scenario.version.clone(),
                digest: Scenario::digest(&loaded.text),
                title: scenario.title.clone(),
            },
            place: self.place,
            profile: self.profile_name.clone(),
            cloud: self.cloud.clone(),
            tenant,
            subscriptions: self.subscriptions.clone(),
            by,
            participants: own
                .get_many::<String>("participants")
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            observer: own.get_one::<String>("observer").cloned(),
            blind: own.get_flag("blind"),
            names,
            azir: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// Returns the runbooks, with those that were named in the place of shipped ones.
fn with_own_runbooks(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
) -> Result<Arc<Catalogue>, Refusal> {
    let given: Vec<&String> = own.get_many("runbook").into_iter().flatten().collect();
    if given.is_empty() {
        return Ok(Arc::clone(catalogue));
    }
    let mut changed = Catalogue::clone(catalogue);
    for text in given {
        let example = "--runbook isolate-vm=./isolate-vm.yaml";
        let Some((name, path)) = text.split_once('=') else {
            let why = format!("--runbook {text} names no file");
            return Err(Refusal::usage(why, example));
        };
        let source = std::fs::read_to_string(path)
            .map_err(|error| Refusal::usage(format!("--runbook {path}: {error}"), example))?;
        changed.replace(name, path, &source);
        changed.load(name).map_err(|error| {
            Refusal::usage(error.to_string(), format!("azir runbook lint {path}"))
        })?;
    }
    Ok(Arc::new(changed))
}

/// Returns the id of a new drill: the one that was typed, or a new one that says what it is.
fn new_id(own: &ArgMatches, home: &Home) -> Result<IncidentId, Refusal> {
    let typed = own.value_source("incident") == Some(ValueSource::CommandLine);
    let text = if let Some(text) = own.get_one::<String>("incident").filter(|_| typed) {
        text.clone()
    } else {
        let mut bytes = [0; 2];
        SystemRandom.fill(&mut bytes);
        let day = SystemClock.now().format("%Y%m%d");
        format!("DRILL-{day}-{}", hex::encode(bytes))
    };
    let id = meaning::incident_id(&text)?;
    if !text.starts_with(record::ID_BEGINS) || text.len() == record::ID_BEGINS.len() {
        return Err(Refusal::usage(
            format!(
                "a drill's id begins with {}, so that nobody takes it for an incident's, and {id} does not",
                record::ID_BEGINS
            ),
            format!(
                "--incident {}{id}, or leave --incident out",
                record::ID_BEGINS
            ),
        ));
    }
    let real = home.root.join("cases").join(id.as_str());
    let drill = record::folder(&home.root, id.as_str());
    if real.exists() || drill.exists() {
        return Err(Refusal::usage(
            format!("{id} is there already: a drill has a case of its own"),
            "leave --incident out",
        ));
    }
    Ok(id)
}

/// Returns the clock of a drill: only in the lab can time be made to run faster.
fn clock(own: &ArgMatches, ground: &Ground) -> Result<Arc<dyn Clock>, Refusal> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match own.get_one::<f64>("clock-scale") {
        None => Ok(clock),
        Some(factor) if ground.place == Place::Lab && *factor > 0.0 => {
            Ok(Arc::new(ScaledClock::new(clock, *factor)))
        }
        Some(factor) => Err(Refusal::usage(
            format!(
                "--clock-scale {factor}: only the lab's clock runs faster, and none stands still"
            ),
            "leave --clock-scale out",
        )),
    }
}

/// Plants the scenario, takes down what must stay as it is, and starts the clock.
async fn plant(
    own: &ArgMatches,
    home: &Home,
    record: &mut Record,
    clock: &Arc<dyn Clock>,
) -> Result<Connection, Refusal> {
    let drill = entered(home)?;
    let case = case(home)?;
    let place = Where::of(own)?;
    let connection = connect_by(&place, home, &case, Arc::clone(clock)).await?;
    if drill.standing.begun.place == Place::Tabletop {
        tabletop::build(drill, record, &connection).await?;
    }
    let home = &home.inside(&drill.standing.begun.drill)?;
    let drill = entered(home)?;
    let now = crate::clock::seconds(clock.now());
    let scope = drill.scope(&connection, &now);
    let reader = connection.client.reader();
    let before = Judge::before(reader, &drill.scenario, &scope).await;
    let before = before.map_err(|why| {
        Refusal::failed(
            "drill",
            format!("the tenant is not as the scenario says: {why}"),
            "azir doctor",
        )
    })?;
    write(&drill.folder.join("before.json"), &before)?;
    record.add(clock.now(), What::Emitted).map_err(unreadable)?;
    Ok(connection)
}

/// Lets azir answer the attack, judges, puts everything back, and judges that.
async fn answer(
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
            format!("azir drill start {} --auto", begun.scenario.name),
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

/// Stops the clock and judges.
fn finish(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
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
async fn close(
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
async fn clear_away(
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
fn tell_left(left: &[String], drill: &str, command: &str) -> Option<u8> {
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
fn abort(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
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
async fn give_up(own: &ArgMatches, home: &Home, why: &str) -> Result<Vec<String>, Refusal> {
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

/// Shows how far a drill is; of one that is not blind, what the tenant says.
fn status(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
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

/// Tells those who take part what they are told in the night: the finding, and how to begin.
fn tell_start(own: &ArgMatches, home: &Home, connection: &Connection) -> u8 {
    if let Some(drill) = &home.drill {
        let started_at = drill.standing.emitted_at.unwrap_or(drill.standing.begun_at);
        let scope = drill.scope(connection, &crate::clock::seconds(started_at));
        let told = drill_words::Start::of(&drill.standing, &drill.scenario, &scope, &drill.folder);
        match Output::of(own) {
            Output::Human => out::result(&shown::block(&told.text(&out::reader()))),
            _ => out::result(&json!(told).to_string()),
        }
    }
    Exit::Done.code()
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

/// Returns the home inside the drill that is meant: the one that was named, else the only one whose clock runs.
fn meant(own: &ArgMatches, home: &Home) -> Result<Home, Refusal> {
    // What is exported for the real thing says nothing of drills; what was typed was meant.
    let typed = own.value_source("incident") == Some(ValueSource::CommandLine);
    let named = own.get_one::<String>("drill").or_else(|| {
        own.get_one::<String>("incident")
            .filter(|id| typed || home.is_drill(id))
    });
    if let Some(id) = named {
        return home.inside(id);
    }
    let (drills, bad) = record::all(&home.root);
    let open: Vec<String> = drills
        .into_iter()
        .filter(|(_, standing)| !matches!(standing.state, State::Closed | State::Aborted))
        .map(|(_, standing)| standing.begun.drill)
        .collect();
    match open.as_slice() {
        [one] => home.inside(one),
        [] => {
            let damaged = bad.iter().map(|(folder, _)| folder.display().to_string());
            let damaged: Vec<String> = damaged.collect();
            let why = if damaged.is_empty() {
                "no drill is open".to_owned()
            } else {
                format!(
                    "no drill is open, and these records cannot be read: {}",
                    damaged.join(", ")
                )
            };
            Err(Refusal::usage(why, "azir drill list"))
        }
        [.., last] => Err(Refusal::usage(
            format!("{} drills are open: {}", open.len(), open.join(", ")),
            format!("name one, as {last}"),
        )),
    }
}

fn entered(home: &Home) -> Result<&Arc<Entered>, Refusal> {
    let none = || Refusal::usage("no drill is meant", "azir drill list");
    home.drill.as_ref().ok_or_else(none)
}

/// Returns the folder of a drill's case.
fn case(home: &Home) -> Result<PathBuf, Refusal> {
    Ok(home.cases().join(&entered(home)?.standing.begun.drill))
}

/// Reads what was there when the clock started.
fn before(folder: &Path) -> Result<Value, Refusal> {
    let path = folder.join("before.json");
    let text = std::fs::read(&path).map_err(|source| {
        unreadable(record::RecordError::File {
            path: path.clone(),
            source,
        })
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Refusal::integrity(&format!("{}: {error}", path.display())))
}

fn write(path: &Path, value: &Value) -> Result<(), Refusal> {
    std::fs::write(path, value.to_string()).map_err(|source| {
        unreadable(record::RecordError::File {
            path: path.to_path_buf(),
            source,
        })
    })
}

/// Two who listen.
struct Both(Arc<Live>, Arc<Proofs>);

impl Listener for Both {
    fn hear(&self, event: &Event) {
        self.0.hear(event);
        self.1.hear(event);
    }
}
