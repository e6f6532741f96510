//! Running a runbook and undoing a run: from flags to the engine, and from its end to the last word.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use indexmap::IndexMap;
use serde_json::Value;
use tokio::sync::watch;

use super::ask::Terminal;
use super::connect::{Connection, connect};
use super::home::Home;
use super::live::Live;
use super::refusal::Refusal;
use super::{Output, out, plan, summary};
use crate::clock::{Clock, SystemClock};
use crate::engine::{Ended, Engine, Mode, Responder, RunRequest, Selection, Tool, UndoRequest};
use crate::ids::IncidentId;
use crate::random::{Random, SystemRandom};
use crate::report::run::report;
use crate::runbook::catalogue::Catalogue;
use crate::runbook::model::{ParamKind, Runbook};

/// A runbook that is to be run.
pub(super) struct Chosen {
    pub(super) runbook: Arc<Runbook>,
    pub(super) text: Arc<str>,
    pub(super) origin: String,
}

/// Runs a runbook with the arguments in `own`.
pub(super) fn run(
    matches: &ArgMatches,
    own: &ArgMatches,
    chosen: &Chosen,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let output = Output::of(matches);
    let (arguments, targets) = arguments(own, &chosen.runbook)?;
    let incident = incident(matches)?;
    let only_look = matches.get_flag("plan");
    // Without a terminal a plan cannot be confirmed: say so before anything is read.
    let terminal = Terminal {
        allowed: !matches.get_flag("no-input"),
    };
    home.prepare()?;
    let case = home.cases().join(incident.as_str());
    let runtime = runtime()?;
    runtime.block_on(async {
        let connection = connect(matches, home, &case).await?;
        let request = request(
            matches,
            &connection,
            chosen,
            arguments,
            targets,
            incident.clone(),
        )?;
        let live = Live::new(output);
        let (engine, halt) = engine(&connection, catalogue, home, &live, terminal);
        if only_look {
            let plan = engine.plan(&request).await?;
            return Ok(show_plan(&plan, output));
        }
        if output == Output::Human && matches.get_one::<String>("incident").is_none() {
            out::line(&format!(
                "no incident was named; this is {incident} (name it with --incident)"
            ));
        }
        let ended = settle(engine.run(request), &live, halt).await?;
        finish(&ended, output, matches)
    })
}

/// Undoes a run.
pub(super) fn undo(
    matches: &ArgMatches,
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let output = Output::of(matches);
    let run_dir = home.run(own.get_one::<String>("run").map_or("last", String::as_str))?;
    home.prepare()?;
    if crate::journal::reader::is_held(&run_dir) {
        let holder = crate::journal::reader::holder(&run_dir);
        return Err(Refusal::record(
            format!("the run is still being written by {holder}"),
            "wait for it to end, or stop it with ctrl-C",
        ));
    }
    let case = run_dir
        .parent()
        .map_or_else(|| home.cases(), Path::to_path_buf);
    let terminal = Terminal {
        allowed: !matches.get_flag("no-input"),
    };
    runtime()?.block_on(async {
        let connection = connect(matches, home, &case).await?;
        let live = Live::new(output);
        let request = UndoRequest {
            run_dir: run_dir.clone(),
            choices: choices(matches)?,
            accept: accepted(matches),
            yes: matches.get_flag("yes"),
            over_drift: own.get_flag("over-drift"),
            responder: responder(matches, &connection),
            authority: matches.get_one::<String>("authority").cloned(),
            ticket: matches.get_one::<String>("ticket").cloned(),
        };
        let (mut engine, halt) = engine(&connection, catalogue, home, &live, terminal);
        // The undo is filed beside the run it undoes, wherever that is.
        engine.cases = case
            .parent()
            .map_or_else(|| home.cases(), Path::to_path_buf);
        if matches.get_flag("plan") {
            let plan = engine.plan_undo(&request).await?;
            return Ok(show_plan(&plan, output));
        }
        let ended = settle(engine.undo(request), &live, halt).await?;
        finish(&ended, output, matches)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Refusal> {
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

fn engine(
    connection: &Connection,
    catalogue: &Arc<Catalogue>,
    home: &Home,
    live: &Arc<Live>,
    terminal: Terminal,
) -> (Engine, watch::Sender<bool>) {
    let (halt, halted) = watch::channel(false);
    let engine = Engine {
        client: connection.client.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        catalogue: Arc::clone(catalogue),
        profile: connection.profile.clone(),
        profile_name: connection.profile_name.clone(),
        cases: home.cases(),
        listener: Arc::clone(live) as Arc<dyn crate::engine::event::Listener>,
        ask: Arc::new(terminal),
        halt: halted,
        tool: tool(),
    };
    (engine, halt)
}

fn tool() -> Tool {
    let binary = std::env::current_exe()
        .ok()
        .and_then(|path| std::fs::File::open(path).ok());
    let digest = binary.and_then(|file| crate::digest::Digest::of_reader(file).ok());
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        binary_sha256: digest.map(|(digest, _)| digest.to_string()),
        host: hostname(),
        os: std::env::consts::OS.to_owned(),
    }
}

fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Waits for the end; ctrl-C asks for a stop first, and ends the process the second time.
async fn settle<T>(
    work: impl Future<Output = Result<T, crate::engine::EngineError>>,
    live: &Live,
    halt: watch::Sender<bool>,
) -> Result<T, Refusal> {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    let mut asked = false;
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(Refusal::from),
            _ = tick.tick() => live.tick(),
            signal = tokio::signal::ctrl_c() => {
                if signal.is_err() {
                    continue;
                }
                if asked {
                    out::line("azir: stopped at once; azir show last says what is unknown");
                    #[expect(clippy::exit, reason = "the second ctrl-C means now; the journal is made for it")]
                    std::process::exit(130);
                }
                asked = true;
                out::line("azir: no new write is sent; waiting for what is under way (ctrl-C again to stop at once)");
                // The engine holds the other end as long as it works.
                let _ = halt.send(true);
            }
        }
    }
}

fn show_plan(plan: &crate::engine::plan::Plan, output: Output) -> u8 {
    if output == Output::Human {
        out::result(&plan::text(plan));
    } else {
        out::result(&serde_json::to_string(plan).unwrap_or_default());
    }
    let failed = plan
        .preflight
        .iter()
        .any(|answer| answer.verdict == crate::engine::plan::Verdict::Fail);
    if failed { 5 } else { 0 }
}

fn finish(ended: &Ended, output: Output, matches: &ArgMatches) -> Result<u8, Refusal> {
    let report = report(&ended.run_dir)
        .map_err(|error| Refusal::record(error.to_string(), "azir show last"))?;
    if output == Output::Human {
        let mut text = summary::text(&report);
        if matches.get_flag("lab") {
            text = text.replace("Undo:   azir undo", "Undo:   azir --lab undo");
        }
        out::result(&text);
    } else if output == Output::Json {
        out::result(&serde_json::to_string(&report).unwrap_or_default());
    }
    Ok(ended.exit_code)
}

fn request(
    matches: &ArgMatches,
    connection: &Connection,
    chosen: &Chosen,
    arguments: IndexMap<String, Value>,
    targets: Vec<String>,
    incident: IncidentId,
) -> Result<RunRequest, Refusal> {
    let detected_at = match matches.get_one::<String>("detected-at") {
        None => None,
        Some(text) => Some(
            chrono::DateTime::parse_from_rfc3339(text)
                .map_err(|_| {
                    Refusal::usage(
                        format!("--detected-at {text} is no time"),
                        "write it as 2026-05-23T10:00:00Z",
                    )
                })?
                .with_timezone(&chrono::Utc),
        ),
    };
    Ok(RunRequest {
        runbook: Arc::clone(&chosen.runbook),
        text: Arc::clone(&chosen.text),
        origin: chosen.origin.clone(),
        arguments,
        targets,
        incident,
        mode: Mode::Execute,
        choices: choices(matches)?,
        accept: accepted(matches),
        yes: matches.get_flag("yes"),
        responder: responder(matches, connection),
        authority: matches.get_one::<String>("authority").cloned(),
        ticket: matches.get_one::<String>("ticket").cloned(),
        detected_at,
    })
}

/// Who answers: the flag, the profile, else the person at this machine.
fn responder(matches: &ArgMatches, connection: &Connection) -> Responder {
    let named = matches
        .get_one::<String>("responder")
        .cloned()
        .or_else(|| connection.profile.responder.clone());
    let upn = named.unwrap_or_else(|| {
        let user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_else(|_| "unknown".to_owned());
        format!("{user}@{}", hostname())
    });
    Responder {
        upn,
        name: None,
        oid: None,
    }
}

fn accepted(matches: &ArgMatches) -> BTreeSet<String> {
    matches
        .get_many::<String>("accept")
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

fn choices(matches: &ArgMatches) -> Result<BTreeMap<String, Selection>, Refusal> {
    matches
        .get_many::<String>("choose")
        .into_iter()
        .flatten()
        .map(|text| {
            let (step, choice) = text.split_once('=').ok_or_else(|| {
                Refusal::usage(
                    format!("--choose {text} says no choice"),
                    "--choose STEP=all, STEP=none or STEP=ID,...",
                )
            })?;
            let selection = match choice {
                "all" => Selection::All,
                "none" => Selection::None,
                ids => Selection::Ids(ids.split(',').map(|id| id.trim().to_owned()).collect()),
            };
            Ok((step.to_owned(), selection))
        })
        .collect()
}

/// Returns the incident that was named, or a new one: `IR-<date>-<4 hex>`.
fn incident(matches: &ArgMatches) -> Result<IncidentId, Refusal> {
    let text = matches
        .get_one::<String>("incident")
        .cloned()
        .unwrap_or_else(|| {
            let mut bytes = [0; 2];
            SystemRandom.fill(&mut bytes);
            format!(
                "IR-{}-{}",
                SystemClock.now().format("%Y%m%d"),
                hex::encode(bytes)
            )
        });
    text.parse().map_err(|error: crate::ids::NotAnIncidentId| {
        Refusal::usage(error.to_string(), "--incident IR-2026-0042")
    })
}

/// Types what was typed, by the runbook's parameters; separates the targets.
fn arguments(
    own: &ArgMatches,
    runbook: &Runbook,
) -> Result<(IndexMap<String, Value>, Vec<String>), Refusal> {
    let mut arguments = IndexMap::new();
    let mut targets = Vec::new();
    for (name, param) in &runbook.params {
        let is_target = param.many && param.position.is_some();
        if param.kind == ParamKind::Bool {
            if own.get_flag(name) {
                arguments.insert(name.clone(), Value::Bool(true));
            }
            continue;
        }
        let given: Vec<String> = own
            .get_many::<String>(name)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        if is_target {
            targets = expand(given, own.try_get_one::<String>("from").ok().flatten())?;
            continue;
        }
        let refuse = |why: String| {
            Refusal::usage(
                format!("{name}: {why}"),
                format!("azir {} --help", runbook.name.value),
            )
        };
        match (&param.kind, given.as_slice()) {
            (_, []) if param.required => return Err(refuse("it must be given".to_owned())),
            (_, []) => {}
            (ParamKind::List(of), many) => {
                let items = many
                    .iter()
                    .flat_map(|text| text.split(','))
                    .map(|text| of.parse(text.trim()).map_err(refuse))
                    .collect::<Result<Vec<_>, _>>()?;
                arguments.insert(name.clone(), Value::Array(items));
            }
            (kind, [text, ..]) => {
                arguments.insert(name.clone(), kind.parse(text).map_err(refuse)?);
            }
        }
    }
    Ok((arguments, targets))
}

/// Reads targets from stdin for `-`, and from the file of `--from`.
fn expand(given: Vec<String>, from: Option<&String>) -> Result<Vec<String>, Refusal> {
    let mut targets = Vec::new();
    for text in given {
        if text == "-" {
            targets.extend(lines(std::io::stdin().lock()));
        } else {
            targets.push(text);
        }
    }
    if let Some(path) = from {
        let mut text = String::new();
        std::fs::File::open(PathBuf::from(path))
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|error| {
                Refusal::usage(
                    format!("--from {path}: {error}"),
                    "give a file with one target a line",
                )
            })?;
        targets.extend(lines(text.as_bytes()));
    }
    Ok(targets)
}

fn lines(reader: impl BufRead) -> Vec<String> {
    reader
        .lines()
        .map_while(Result::ok)
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
