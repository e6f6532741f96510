//! What is meant by what was typed: arguments by the runbook's types, targets, choices, the incident.
//!
//! Nothing is reached or written here, so that a slip of the keyboard costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use clap::ArgMatches;
use indexmap::IndexMap;
use serde_json::Value;

use super::refusal::Refusal;
use crate::azure::Identity;
use crate::clock::{Clock, SystemClock};
use crate::engine::profile::Profile;
use crate::engine::{Bulk, Responder, Selection, Watch, said_before};
use crate::ids::IncidentId;
use crate::random::{Random, SystemRandom};
use crate::report::again::Again;
use crate::report::run::Started;
use crate::runbook::catalogue::Catalogue;
use crate::runbook::model::{Action, Param, ParamKind, Runbook};
use crate::runbook::problem::nearest;

/// What a run was asked for.
pub(super) struct Asked {
    pub(super) arguments: IndexMap<String, Value>,
    pub(super) targets: Vec<String>,
    pub(super) incident: IncidentId,
    pub(super) choices: BTreeMap<String, Selection>,
    pub(super) accept: BTreeSet<String>,
    pub(super) detected_at: Option<DateTime<Utc>>,
    pub(super) bulk: Bulk,
}

/// Understands the words of a runbook's command; what `earlier` was asked for holds where nothing else is said.
pub(super) fn run(
    own: &ArgMatches,
    runbook: &Runbook,
    catalogue: &Catalogue,
    earlier: Option<&Again>,
) -> Result<Asked, Refusal> {
    let mut choices = choices(own)?;
    let mut known = BTreeSet::new();
    steps(runbook, catalogue, "", 0, &mut known);
    let mut accept = accepted(own);
    let mut detected_at = detected_at(own)?;
    if let Some(earlier) = earlier {
        // What was said to that command is said to this one, as far as nothing else is.
        let (chosen, consented) = said_before(&earlier.answers);
        for (step, selection) in chosen {
            choices.entry(step).or_insert(selection);
        }
        accept.extend(consented);
        let said = earlier.detected_at.as_deref();
        detected_at = detected_at.or_else(|| said.and_then(|time| time.parse().ok()));
    }
    for (option, step) in choices
        .keys()
        .map(|step| ("--choose", step))
        .chain(accept.iter().map(|step| ("--accept", step)))
    {
        known_step(option, step, &known, runbook)?;
    }
    let incident = match (own.get_one::<String>("incident"), earlier) {
        (None, Some(earlier)) => incident_id(&earlier.incident)?,
        _ => incident(own)?,
    };
    let (arguments, targets) = arguments(own, runbook, earlier)?;
    Ok(Asked {
        arguments,
        targets,
        incident,
        choices,
        accept,
        detected_at,
        bulk: bulk(own, earlier),
    })
}

/// Returns what was said of the targets as a whole; a runbook without targets takes none of it.
fn bulk(own: &ArgMatches, earlier: Option<&Again>) -> Bulk {
    let most = own.try_get_one::<u64>("max-failures").ok().flatten();
    let filter = own.try_get_one::<String>("filter").ok().flatten();
    Bulk {
        filter: filter.cloned(),
        together: own.try_get_one::<bool>("together").ok().flatten() == Some(&true)
            || earlier.is_some_and(|earlier| earlier.together),
        max_failures: most.map(|most| usize::try_from(*most).unwrap_or(usize::MAX)),
        watch: own
            .try_get_one::<u64>("watch")
            .ok()
            .flatten()
            .map(|span| Watch {
                span: std::time::Duration::from_secs(*span),
                reapply: own.get_flag("reapply"),
            }),
        retries: earlier.map(|earlier| earlier.run.clone()),
    }
}

/// Collects the ids of a runbook's steps and of those that it calls, as the engine names them.
fn steps(
    runbook: &Runbook,
    catalogue: &Catalogue,
    prefix: &str,
    depth: usize,
    known: &mut BTreeSet<String>,
) {
    // Runbooks that call each other are refused by the engine; here it is enough to come to an end.
    if depth > 8 {
        return;
    }
    for step in &runbook.steps {
        let id = format!("{prefix}{}", step.id.value);
        if let Action::Run(other) = &step.action
            && let Ok((called, _)) = catalogue.load(&other.runbook.value)
        {
            steps(&called, catalogue, &format!("{id}."), depth + 1, known);
        }
        known.insert(id);
    }
}

/// A choice for a step that is not there would be passed over, and its default taken, in silence.
fn known_step(
    option: &str,
    step: &str,
    known: &BTreeSet<String>,
    runbook: &Runbook,
) -> Result<(), Refusal> {
    if known.contains(step) {
        return Ok(());
    }
    let near = nearest(step, known.iter().map(String::as_str))
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    Err(Refusal::usage(
        format!(
            "{option} {step}: {} has no such step{near}",
            runbook.name.value
        ),
        format!("azir runbook show {}", runbook.name.value),
    ))
}

/// Returns what `--choose` says, by step.
pub(super) fn choices(own: &ArgMatches) -> Result<BTreeMap<String, Selection>, Refusal> {
    let mut choices = BTreeMap::new();
    for text in own.get_many::<String>("choose").into_iter().flatten() {
        let refuse = |why: &str| {
            Refusal::usage(
                format!("--choose {text} {why}"),
                "--choose STEP=all, STEP=none or STEP=ID,...",
            )
        };
        let (step, choice) = text
            .split_once('=')
            .ok_or_else(|| refuse("says no choice"))?;
        let selection = match choice {
            "all" => Selection::All,
            "none" => Selection::None,
            ids => {
                let ids: Vec<String> = ids
                    .split(',')
                    .map(|id| id.trim().to_owned())
                    .filter(|id| !id.is_empty())
                    .collect();
                if ids.is_empty() {
                    return Err(refuse("says no choice"));
                }
                Selection::Ids(ids)
            }
        };
        if choices.insert(step.to_owned(), selection).is_some() {
            return Err(refuse("chooses for a step a second time"));
        }
    }
    Ok(choices)
}

/// Returns the steps whose consent `--accept` gives.
pub(super) fn accepted(own: &ArgMatches) -> BTreeSet<String> {
    own.get_many::<String>("accept")
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

/// Returns when the attack was detected, if that was said.
pub(super) fn detected_at(own: &ArgMatches) -> Result<Option<DateTime<Utc>>, Refusal> {
    past(own, "detected-at")
}

/// Returns the time that an option names, which must have come.
pub(super) fn past(own: &ArgMatches, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let Some(text) = own.get_one::<String>(name) else {
        return Ok(None);
    };
    let hint = "write it as 2026-05-23T10:00:00Z";
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| Refusal::usage(format!("--{name} {text} is no time"), hint))?
        .with_timezone(&Utc);
    // Clocks differ; by more than this it is a slip, and would make every duration in the report false.
    if time > SystemClock.now() + TimeDelta::minutes(5) {
        return Err(Refusal::usage(
            format!("--{name} {text} is still to come"),
            hint,
        ));
    }
    Ok(Some(time))
}

/// Who answers: the flag, the profile, the person of the token, else the one at this machine.
///
/// The token of an application names nobody; a person countersigns later.
pub(super) fn responder(
    own: &ArgMatches,
    profile: &Profile,
    identity: Option<&Identity>,
) -> Responder {
    let named = own
        .get_one::<String>("responder")
        .cloned()
        .or_else(|| profile.responder.clone());
    let person = identity.filter(|identity| identity.upn.is_some());
    if let (None, Some(person)) = (&named, person) {
        return Responder {
            upn: person.upn.clone().unwrap_or_default(),
            name: None,
            oid: Some(person.oid.clone()),
        };
    }
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

/// Reads the principal name of a person: what can stand in a signers file.
pub(super) fn person(text: &str) -> Result<String, String> {
    if crate::journal::entry::is_person(text) {
        Ok(text.to_owned())
    } else {
        Err("a person's name is as alice@contoso.com: no white space, quotes, commas, * or ?, and no # or ! in front".to_owned())
    }
}

/// Returns the name of this machine.
pub(super) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Returns the incident that was named, or a new one: `IR-<date>-<4 hex>`.
fn incident(own: &ArgMatches) -> Result<IncidentId, Refusal> {
    own.get_one::<String>("incident")
        .map_or_else(new_incident, |text| incident_id(text))
}

/// Returns a new incident: `IR-<date>-<4 hex>`.
pub(super) fn new_incident() -> Result<IncidentId, Refusal> {
    let mut bytes = [0; 2];
    SystemRandom.fill(&mut bytes);
    incident_id(&format!(
        "IR-{}-{}",
        SystemClock.now().format("%Y%m%d"),
        hex::encode(bytes)
    ))
}

/// Reads an incident's id.
pub(super) fn incident_id(text: &str) -> Result<IncidentId, Refusal> {
    text.parse().map_err(|error: crate::ids::NotAnIncidentId| {
        Refusal::usage(error.to_string(), "--incident IR-2026-0042")
    })
}

/// Refuses an `--incident` that is not the one of the run; one from the environment may differ.
pub(super) fn same_incident(
    own: &ArgMatches,
    start: &Started,
    command: &str,
) -> Result<(), Refusal> {
    let typed = own.value_source("incident") == Some(clap::parser::ValueSource::CommandLine);
    match own.get_one::<String>("incident") {
        Some(incident) if typed && *incident != start.incident => Err(Refusal::usage(
            format!(
                "run {} belongs to incident {}, not to {incident}",
                start.run, start.incident
            ),
            format!("azir {command} {}", start.run),
        )),
        _ => Ok(()),
    }
}

/// Types what was typed, by the runbook's parameters; separates the targets.
fn arguments(
    own: &ArgMatches,
    runbook: &Runbook,
    earlier: Option<&Again>,
) -> Result<(IndexMap<String, Value>, Vec<String>), Refusal> {
    let mut arguments = IndexMap::new();
    let mut targets = Vec::new();
    let (files, runs) = sources(own, runbook);
    for (name, param) in &runbook.params {
        let refuse = |why: String| {
            Refusal::usage(
                format!("{name}: {why}"),
                format!("azir {} --help", runbook.name.value),
            )
        };
        let before = earlier.and_then(|earlier| earlier.arguments.get(name));
        if param.kind == ParamKind::Bool {
            if own.get_flag(name) || before == Some(&Value::Bool(true)) {
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
        if param.is_target() {
            for target in given.iter().filter(|target| *target != "-") {
                param.kind.parse(target).map_err(&refuse)?;
            }
            targets = expand(given, &files, &param.kind)?;
            if earlier.is_some() && !targets.is_empty() {
                return Err(refuse(
                    "--retry names the targets, with what was agreed for them; run the command once more for others"
                        .to_owned(),
                ));
            }
            targets.extend(earlier.iter().flat_map(|earlier| earlier.targets.clone()));
        } else if let (Some(before), []) = (before, &given[..])
            // The targets of an earlier run are named already, and more of them are not wanted.
            && param.kind != ParamKind::Run
        {
            // What looked like a secret is not in the record, and its commitment is none of its worth.
            if before.to_string().contains("$redacted") {
                return Err(refuse(
                    "the record of that run does not hold it; give it anew".to_owned(),
                ));
            }
            arguments.insert(name.clone(), before.clone());
        } else if param.kind == ParamKind::Run && name == "from" {
            match &runs[..] {
                [] => {}
                [run] => {
                    arguments.insert(name.clone(), Value::String(run.clone()));
                }
                [..] => return Err(refuse("one run at a time".to_owned())),
            }
        } else if let Some(value) = typed(param, &given).map_err(&refuse)? {
            arguments.insert(name.clone(), value);
        }
    }
    let target = runbook.params.iter().find(|(_, param)| param.is_target());
    let filter = own.try_get_one::<String>("filter").ok().flatten();
    if let (Some((name, _)), [], [], None) = (target, &targets[..], &runs[..], filter) {
        let command = &runbook.name.value;
        return Err(Refusal::usage(
            format!("{command} needs at least one {}", name.to_uppercase()),
            format!("azir {command} --help"),
        ));
    }
    Ok((arguments, targets))
}

/// Types the values of one parameter; nothing if none was given and none must be.
fn typed(param: &Param, given: &[String]) -> Result<Option<Value>, String> {
    match (&param.kind, given) {
        (_, []) if param.required => Err("it must be given".to_owned()),
        (_, []) => Ok(None),
        (ParamKind::List(of), many) => many
            .iter()
            .flat_map(|text| text.split(','))
            .map(|text| of.parse(text.trim()))
            .collect::<Result<_, _>>()
            .map(|items| Some(Value::Array(items))),
        (kind, [text, ..]) => kind.parse(text).map(Some),
    }
}

/// Returns what `--from` names: files of targets, and earlier runs, where the runbook takes one. What is written as a
/// run's id is a run; where there are targets, anything else is a file, also one that is not there.
fn sources(own: &ArgMatches, runbook: &Runbook) -> (Vec<String>, Vec<String>) {
    let named = own.try_get_many::<String>("from").ok().flatten();
    let named = named.into_iter().flatten().cloned();
    let takes_run = |name: &String| {
        let own = runbook.params.get("from");
        let id = |name: &str| {
            let digits = name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            name == "last" || digits
        };
        let of_many = runbook.params.values().any(Param::is_target);
        own.is_some_and(|param| param.kind == ParamKind::Run)
            && (!of_many || id(name) && !Path::new(name).is_file())
    };
    let (runs, files) = named.partition(takes_run);
    (files, runs)
}

/// Reads targets of this kind from stdin for `-`, and from the files of `--from`.
fn expand(given: Vec<String>, files: &[String], kind: &ParamKind) -> Result<Vec<String>, Refusal> {
    let mut targets = Vec::new();
    for text in given {
        if text == "-" {
            targets.extend(lines("stdin", std::io::stdin().lock(), kind)?);
        } else {
            targets.push(text);
        }
    }
    for path in files {
        let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
        targets.extend(lines(path, file, kind)?);
    }
    Ok(targets)
}

/// Reads one target a line. A file that cannot be read to its end gives none: half a list of machines
/// to isolate looks like the whole of it. A line that cannot be a target is refused by its number.
fn lines(name: &str, mut reader: impl Read, kind: &ParamKind) -> Result<Vec<String>, Refusal> {
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .map_err(|error| unreadable(name, &error))?;
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| match kind.parse(line) {
            Ok(_) => Ok(line.to_owned()),
            Err(why) => Err(Refusal::usage(
                format!("{name}, line {}: {why}", index + 1),
                "give one target a line; lines that begin with # are comments",
            )),
        })
        .collect()
}

fn unreadable(name: &str, error: &std::io::Error) -> Refusal {
    Refusal::usage(
        format!("cannot read targets from {name}: {error}"),
        "give UTF-8 text with one target a line",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_who_was_named_else_the_person_of_the_token_else_the_one_here() {
        let own = |words: &[&str]| {
            clap::Command::new("x")
                .args(crate::cli::globals::options())
                .get_matches_from(std::iter::once(&"x").chain(words))
        };
        let upn = |words: &[&str], profile: &Profile, identity: &Identity| {
            responder(&own(words), profile, Some(identity)).upn
        };
        let person = Identity {
            upn: Some("alice@contoso.example".to_owned()),
            oid: "1".to_owned(),
            ..Identity::default()
        };
        let profile = Profile {
            responder: Some("bob@contoso.example".to_owned()),
            ..Profile::default()
        };
        let none = Profile::default();
        let flag = ["--responder", "carol@contoso.example"];
        assert_eq!(upn(&flag, &profile, &person), "carol@contoso.example");
        assert_eq!(upn(&[], &profile, &person), "bob@contoso.example");
        assert_eq!(upn(&[], &none, &person), "alice@contoso.example");
        let application = Identity::default();
        assert!(upn(&[], &none, &application).ends_with(&format!("@{}", hostname())));
    }

    #[test]
    fn what_was_said_to_the_earlier_command_is_said_again_unless_it_is_said_otherwise() {
        let catalogue = Catalogue::shipped();
        let (runbook, _) = catalogue.load("isolate-vm").unwrap();
        let earlier = Again {
            incident: "IR-1".to_owned(),
            arguments: serde_json::Map::new(),
            answers: serde_json::json!({
                "choices": [{"step": "cut_roles_which", "choice": "all"}, {"step": "regrant_which", "choice": ["a"]}],
                "accept": ["capture"], "over_guards": [], "yes": true,
            }),
            detected_at: Some("2026-05-23T10:00:00Z".to_owned()),
            targets: vec!["vm-a".to_owned()],
            ..Again::default()
        };
        let line = crate::cli::args::for_runbook(&runbook);
        let own = line.get_matches_from(["isolate-vm", "--choose", "regrant_which=none"]);
        let asked = run(&own, &runbook, &catalogue, Some(&earlier)).unwrap();
        assert_eq!(asked.choices["cut_roles_which"], Selection::All);
        assert_eq!(asked.choices["regrant_which"], Selection::None);
        assert!(asked.accept.contains("capture"));
        assert_eq!(
            asked.detected_at.map(crate::clock::seconds).as_deref(),
            Some("2026-05-23T10:00:00Z")
        );
    }

    #[test]
    fn half_a_list_of_targets_is_none() {
        assert_eq!(
            lines(
                "x",
                &b"\xef\xbb\xbf# two\r\nvm-a\r\n\n vm-b \n"[..],
                &ParamKind::String
            )
            .unwrap(),
            ["vm-a", "vm-b"]
        );
        assert!(lines("x", &b"vm-a\n\xff\nvm-b\n"[..], &ParamKind::String).is_err());
    }
}
