//! `azir plan`, `azir approve`, `azir run --approved`: what one person plans, another approves, and is then done as it
//! stands.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::connect::{Connection, Place, connect};
use super::entered::LEAVE;
use super::execute::{self, Chosen, engine, engine_with, finish, settle, show_plan};
use super::exit::Exit;
use super::home::Home;
use super::meaning::{self, Asked};
use super::refusal::Refusal;
use super::{Output, ask, case, key, out, plan, retry, seal, shelf, shown};
use crate::clock::{Clock, SystemClock};
use crate::drill::record;
use crate::engine::approval::{Keys, PlanFile, Role};
use crate::engine::profile::Profile;
use crate::engine::{Bulk, RunRequest};
use crate::journal::person::{PersonKey, signers};
use crate::random::{Random, SystemRandom};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::model::{Action, Runbook};
use crate::runbook::problem::nearest;

/// The longest plan that is read.
const LONGEST: u64 = 64 << 20;

/// Returns the command line of `azir plan`.
pub(super) fn plan_command() -> Command {
    Command::new("plan")
        .about("Show what a runbook would do, or write it down for a second person: -o FILE")
        .arg(Arg::new("runbook").value_name("NAME|FILE").required(true))
        .arg(
            Arg::new("rest")
                .value_name("ARGUMENTS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("As for azir run; and -o FILE, --over-guard STEP"),
        )
}

/// Adds to a runbook's own arguments what only a plan takes.
pub(super) fn plan_options(command: Command) -> Command {
    command
        .arg(
            Arg::new("out")
                .short('o')
                .long("out")
                .value_name("FILE")
                .help("Write the plan to a new file, for azir approve"),
        )
        .arg(
            Arg::new("over-guard")
                .long("over-guard")
                .value_name("STEP")
                .action(ArgAction::Append)
                .help("Set a guard aside, which takes a second person (can be repeated)"),
        )
}

/// Returns the command line of `azir approve`.
pub(super) fn command() -> Command {
    Command::new("approve")
        .about("Approve a plan that another person has written")
        .arg(Arg::new("file").value_name("FILE").required(true))
}

/// Shows a plan, or writes it to a file with the planner's name and signature.
pub(super) fn plan(
    own: &ArgMatches,
    chosen: &Chosen,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    let earlier = retry::named(own, &chosen.runbook, home)?;
    let asked = meaning::run(own, &chosen.runbook, catalogue, earlier.as_ref())?;
    let over_guards = over_guards(own, &chosen.runbook, catalogue)?;
    let path = own.get_one::<String>("out");
    if let Some(path) = path {
        new_file(path)?;
    }
    let place = Place::of(own)?;
    home.prepare()?;
    let folder = home.cases().join(asked.incident.as_str());
    execute::runtime()?.block_on(async {
        let connection = connect(&place, home, &folder).await?;
        let request = RunRequest {
            over_guards,
            ..request(own, home, &connection, chosen, asked).await
        };
        // Looking signs nothing: the key is asked for once, when the plan is there.
        let (engine, halt, live) = engine_with(own, &connection, catalogue, home, Vec::new());
        let run = SystemRandom.uuid();
        let found = settle(engine.plan_as(&request, run), &live, halt).await?;
        let Some(path) = path else {
            return Ok(show_plan(&found, Output::of(own)));
        };
        let mut file = PlanFile::new(&found, &request, run, engine.texts(&request)?)?;
        let by = sign(own, home, &connection.profile, &mut file, Role::Planned)?;
        write_new(path, &file)?;
        let code = show_plan(&found, Output::of(own));
        out::line(&format!("azir: planned by {by}; wrote {path}"));
        let inside = inside(&file);
        out::line(&format!(
            "next: another person types azir approve {path}{inside}, then azir run --approved {path}{inside}"
        ));
        Ok(code)
    })
}

/// Approves a plan.
pub(super) fn approve(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let path = own.get_one::<String>("file").map_or("", String::as_str);
    let mut file = PlanFile::read(&read(path)?, path)?;
    keep_apart(&file, home, &format!("azir approve {path}"))?;
    let profile = case::profile(own, home)?;
    let by = seal::whose(own, &profile, home);
    file.may_approve(&by)?;
    let text = plan::text(&file.plan.shown(file.planner()), &out::reader());
    if Output::of(own) == Output::Human {
        out::talk(&shown::block(&text));
    }
    let answer = if own.get_flag("yes") {
        Some(true)
    } else {
        ask::confirmed("Approve this? Type yes: ", !own.get_flag("no-input"))
    };
    match answer {
        Some(true) => {}
        Some(false) => {
            return Err(Refusal {
                exit_code: Exit::Declined.code(),
                code: "declined".to_owned(),
                ..Refusal::usage(
                    "not approved; the file is as it was",
                    format!("azir approve {path}"),
                )
            });
        }
        None => {
            return Err(Refusal::usage(
                "there is no terminal to approve the plan on",
                format!("azir approve {path} --yes"),
            ));
        }
    }
    let by = sign(own, home, &profile, &mut file, Role::Approved)?;
    replace(path, &file)?;
    let signed = file
        .signatures
        .last()
        .is_some_and(|last| last.signature.is_some());
    let next = format!("azir run --approved {path}{}", inside(&file));
    if Output::of(own) == Output::Human {
        let unsigned = if signed {
            ""
        } else {
            ", unsigned: by name alone"
        };
        out::result(&format!("approved by {by}{unsigned}: plan {}", file.digest));
        out::line(&format!("next: {next}"));
    } else {
        let told = serde_json::json!({
            "plan_digest": file.digest,
            "approved_by": by,
            "signed": signed,
            "next": next,
        });
        out::result(&told.to_string());
    }
    Ok(0)
}

/// Carries out a plan that two persons stand for.
pub(super) fn run(
    own: &ArgMatches,
    path: &str,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
    nothing_else(own)?;
    let text = read(path)?;
    let file = PlanFile::read(&text, path)?;
    let incident = meaning::incident_id(&file.plan.incident)?;
    keep_apart(&file, home, &format!("azir run --approved {path}"))?;
    if let Some(named) = case::named(own, home)?
        && named != incident
        && own.value_source("incident") == Some(clap::parser::ValueSource::CommandLine)
    {
        return Err(Refusal::usage(
            format!("{path} was planned for incident {incident}, not for {named}"),
            format!("azir run --approved {path}"),
        ));
    }
    let profile = case::profile(own, home)?;
    let known = std::fs::read_to_string(home.signers()).unwrap_or_default();
    let keys = Keys {
        signers: &known,
        configured: key::named(&profile).is_some(),
        now: SystemClock.now(),
    };
    let approved = Arc::new(file.approved(path, &text, keys)?);
    let folder = home.cases().join(incident.as_str());
    let run_dir = folder.join(format!("run-{}", approved.run));
    if run_dir.join("seg-000001.jsonl").exists() {
        return Err(Refusal {
            exit_code: Exit::Refused.code(),
            code: "already_run".to_owned(),
            ..Refusal::usage(
                format!("{path} was carried out already"),
                format!("azir show {}", approved.run),
            )
        });
    }
    if !approved.signed {
        out::line("azir: the plan is approved by name alone: no key is in use here");
    }
    let name = if file.plan.origin == "shipped" {
        &file.plan.runbook
    } else {
        &file.plan.origin
    };
    let chosen = shelf::find(catalogue, name)?;
    let place = Place::of(own)?;
    let _acting = home.act("run --approved")?;
    home.prepare()?;
    execute::runtime()?.block_on(async {
        let connection = connect(&place, home, &folder).await?;
        let asked = Asked {
            arguments: indexmap::IndexMap::new(),
            targets: Vec::new(),
            incident,
            choices: std::collections::BTreeMap::new(),
            accept: meaning::accepted(own),
            detected_at: meaning::detected_at(own)?,
            bulk: Bulk::default(),
        };
        let request = request(own, home, &connection, &chosen, asked).await;
        let request = approved.fill(request)?;
        let responder = request.responder.clone();
        let (engine, halt, live) = engine(own, &connection, catalogue, home, &responder)?;
        approved.planned.same_texts(&engine.texts(&request)?)?;
        let ended = execute::carry_out(&engine, request, &live, halt, &chosen).await?;
        finish(&ended, Output::of(own), home)
    })
}

/// Refuses a plan that was made on the other side of a drill's border: what was planned as an exercise must not be
/// carried out in earnest, nor what was meant in earnest in an exercise.
fn keep_apart(file: &PlanFile, home: &Home, command: &str) -> Result<(), Refusal> {
    let incident = &file.plan.incident;
    let rehearsed = file.plan.drill || record::is_id(incident) || home.is_drill(incident);
    match &home.drill {
        None if rehearsed => Err(Refusal::usage(
            format!("the plan was made in drill {incident}, and counts inside it alone"),
            format!("{command} --incident {incident}"),
        )),
        Some(drill) if !file.plan.drill || *incident != drill.standing.begun.drill => {
            Err(Refusal::usage(
                format!(
                    "the plan was made for incident {incident}, and this is drill {}",
                    drill.standing.begun.drill
                ),
                if rehearsed {
                    format!("{command} --incident {incident}")
                } else {
                    format!("{LEAVE}, or leave --incident out, then {command}")
                },
            ))
        }
        _ => Ok(()),
    }
}

/// Returns what a command about a drill's plan is typed with.
fn inside(file: &PlanFile) -> String {
    if file.plan.drill {
        format!(" --incident {}", file.plan.incident)
    } else {
        String::new()
    }
}

/// Refuses what would change a plan after it was approved.
fn nothing_else(own: &ArgMatches) -> Result<(), Refusal> {
    let typed = |name: &str| own.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    let other = ["runbook", "rest", "accept", "choose", "plan"]
        .into_iter()
        .find(|name| typed(name));
    match other {
        None => Ok(()),
        Some("plan") => Err(Refusal::usage(
            "--approved and --plan contradict each other",
            "azir approve FILE shows the plan",
        )),
        Some(name) => Err(Refusal::usage(
            format!("the approved plan says everything; {name} cannot be added to it"),
            "azir run --approved FILE",
        )),
    }
}

async fn request(
    own: &ArgMatches,
    home: &Home,
    connection: &Connection,
    chosen: &Chosen,
    asked: Asked,
) -> RunRequest {
    let responder = execute::responder(own, connection).await;
    execute::request(own, home, responder, chosen, asked)
}

/// Refuses a guard that the runbook does not have: it would be passed over in silence.
fn over_guards(
    own: &ArgMatches,
    runbook: &Runbook,
    catalogue: &Catalogue,
) -> Result<BTreeSet<String>, Refusal> {
    let known = guards(runbook, catalogue, MOST_CALLS);
    let named: BTreeSet<String> = own
        .get_many::<String>("over-guard")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        let near = nearest(unknown, known.iter().map(String::as_str))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        return Err(Refusal::usage(
            format!(
                "--over-guard {unknown}: {} has no such guard{near}",
                runbook.name.value
            ),
            format!("azir runbook show {}", runbook.name.value),
        ));
    }
    if !named.is_empty() && own.get_one::<String>("out").is_none() {
        return Err(Refusal::usage(
            "--over-guard takes a second person, and so a file",
            "add -o FILE",
        ));
    }
    Ok(named)
}

/// How many calls deep guards are looked for: a runbook that leads back to itself is refused when it is run.
const MOST_CALLS: usize = 8;

/// Returns the guards of a runbook, and as `step.guard` those of the runbooks that it calls.
fn guards(runbook: &Runbook, catalogue: &Catalogue, calls: usize) -> Vec<String> {
    let mut found = Vec::new();
    for step in &runbook.steps {
        let id = &step.id.value;
        match &step.action {
            Action::Assert(_) => found.push(id.clone()),
            Action::Run(other) if calls > 0 => {
                if let Ok((called, _)) = catalogue.load(&other.runbook.value) {
                    let theirs = guards(&called, catalogue, calls - 1).into_iter();
                    found.extend(theirs.map(|guard| format!("{id}.{guard}")));
                }
            }
            _ => {}
        }
    }
    found
}

/// Lets the responder stand for a plan: by a signature where there is a key, by name where there is none.
fn sign(
    own: &ArgMatches,
    home: &Home,
    profile: &Profile,
    file: &mut PlanFile,
    role: Role,
) -> Result<String, Refusal> {
    let by = seal::whose(own, profile, home);
    meaning::person(&by)
        .map_err(|why| Refusal::usage(format!("{by:?}: {why}"), "--responder alice@contoso.com"))?;
    let at = SystemClock.now();
    let key = key::responder_key(own, profile)?;
    let signature = match &key {
        Some(key) => Some(signature(
            key,
            home,
            role,
            &by,
            at,
            &file.statement(role, &by, at),
        )?),
        None => None,
    };
    file.sign(role, &by, at, signature);
    Ok(by)
}

fn signature(
    key: &PersonKey,
    home: &Home,
    role: Role,
    by: &str,
    at: DateTime<Utc>,
    statement: &str,
) -> Result<String, Refusal> {
    let public = key.public().map_err(|error| key::refusal(&error))?;
    let known = std::fs::read_to_string(home.signers()).unwrap_or_default();
    if role == Role::Approved && signers::owner(&known, public) != Some(by) {
        // Else one person could approve under any name, with a key made a moment ago.
        return Err(Refusal::usage(
            format!(
                "{} does not know this key as {by}'s, and an approval counts by a key that was known before",
                home.signers().display()
            ),
            format!("azir key set FILE --responder {by}, once {by} has said that it is theirs"),
        ));
    }
    signers::add(&home.signers(), by, public, at)
        .map_err(|error| Refusal::usage(error.to_string(), "azir key"))?;
    if public.in_security_key() {
        out::line("azir: touch your security key to sign the plan");
    }
    let signature = key
        .sign_plan(statement.as_bytes())
        .map_err(|error| key::refusal(&error))?;
    Ok(signature.armoured)
}

fn read(path: &str) -> Result<String, Refusal> {
    let refuse = |why: String| {
        Refusal::usage(
            format!("cannot read the plan {path}: {why}"),
            format!("azir plan RUNBOOK ARGUMENTS -o {path}"),
        )
    };
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    Ok(text)
}

/// Refuses a file that is there: a plan that somebody has approved must not be lost to a slip.
fn new_file(path: &str) -> Result<(), Refusal> {
    if Path::new(path).exists() {
        return Err(Refusal::usage(
            format!("{path} is there already"),
            "name a new file with -o",
        ));
    }
    Ok(())
}

fn write_new(path: &str, file: &PlanFile) -> Result<(), Refusal> {
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut to| to.write_all(text(file).as_bytes()))
        .map_err(|error| Refusal::usage(format!("{path}: {error}"), "name a new file with -o"))
}

/// Writes a file anew, whole or not at all.
fn replace(path: &str, file: &PlanFile) -> Result<(), Refusal> {
    let unnamed = format!("{path}.tmp-{}", SystemRandom.uuid());
    write_new(&unnamed, file)?;
    std::fs::rename(&unnamed, path).map_err(|error| {
        // The error that is told is the first one.
        let _ = std::fs::remove_file(&unnamed);
        Refusal::usage(
            format!("{path} cannot be written: {error}"),
            "copy it to where it can be written",
        )
    })
}

fn text(file: &PlanFile) -> String {
    // A plan is plain data and has a JSON form: its digest was made from it.
    let mut text = serde_json::to_string_pretty(file).unwrap_or_default();
    text.push('\n');
    text
}
