//! The beginning of a drill: where it may be, what is planted there, and the finding that starts the clock.

use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Value, json};

use super::answer::answer;
use super::end::give_up;
use super::{case, entered, write};
use crate::cli::config;
use crate::cli::connect::{Connection, Place as Where, Tabletop, connect_by};
use crate::cli::entered::unreadable;
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, drill_tabletop as tabletop, drill_words, execute, meaning, out, shown};
use crate::clock::{Clock, SystemClock};
use crate::drill::record::{self, Begun, Record, What};
use crate::drill::scenario::Scenario;
use crate::drill::shelf::{self, Loaded};
use crate::drill::verdict::{By, Place, ScenarioRef};
use crate::drill::{Judge, names};
use crate::engine::EngineError;
use crate::engine::profile::Profile;
use crate::ids::IncidentId;
use crate::lab::ScaledClock;
use crate::random::{Random, SystemRandom};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::expr::Scope;
use crate::runbook::problem::nearest;

pub(super) fn start(
    own: &ArgMatches,
    catalogue: &Arc<Catalogue>,
    home: &Home,
) -> Result<u8, Refusal> {
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
        match crate::cli::ask::confirmed("azir: build it? yes or no: ", !own.get_flag("no-input")) {
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
        // A name that is none would leave the shipped one in force, and nobody would know.
        if catalogue.source(name).is_none() {
            let names = catalogue.sources().map(|(known, _)| known);
            let hint = nearest(name, names).map_or_else(
                || "azir runbook list".to_owned(),
                |near| format!("--runbook {near}={path}"),
            );
            let why = format!("--runbook {name}: there is no runbook of that name to stand for");
            return Err(Refusal::usage(why, hint));
        }
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
