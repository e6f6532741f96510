//! A run from its request to its last line: targets found, plan shown, journal opened, steps taken.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::watch as channel;
use uuid::Uuid;

use super::ask::Ask;
use super::bulk::Brake;
use super::burst::Stage;
use super::desk;
use super::ending::{End, short};
use super::error::EngineError;
use super::event::{Listener, What};
use super::notify::Channels;
use super::past::{self, Parked, Progress};
use super::plan::{Plan, Preflight, Verdict};
use super::planning::refuse_failed;
use super::power::{Power, Teller};
use super::production::Production;
use super::profile::Profile;
use super::request::{Ended, Mode, RunRequest};
use super::schedule::Program;
use super::target::{Common, Target};
use super::targets::Found;
use super::watch;
use super::witness::Witness;
use crate::azure::{Client, Identity};
use crate::clock::Clock;
use crate::random::Random;
use crate::report::incident::Incident;
use crate::runbook::catalogue::Catalogue;
use crate::runbook::expr::{Expressions, Scope};

/// Targets of one run that are worked on at once; each has its own order, all share one throttle budget.
pub(super) const TARGETS_AT_ONCE: usize = 128;

/// Everything that a run needs, put together by the command line.
pub struct Engine {
    /// The client.
    pub client: Client,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and salts.
    pub random: Arc<dyn Random>,
    /// The runbooks.
    pub catalogue: Arc<Catalogue>,
    /// What is known of the tenant.
    pub profile: Profile,
    /// The profile's name.
    pub profile_name: String,
    /// What of production exercises must not touch.
    pub production: Vec<Production>,
    /// The folder that holds the cases.
    pub cases: PathBuf,
    /// Who hears of events.
    pub listener: Arc<dyn Listener>,
    /// Who answers questions.
    pub ask: Arc<dyn Ask>,
    /// Becomes true when the responder asks to stop.
    pub halt: channel::Receiver<bool>,
    /// Whom to tell how a run ended.
    pub channels: Channels,
    /// The program that acts: name, version and the digest of its binary where known.
    pub tool: Tool,
    /// Who vouches for the record besides the session's key.
    pub(crate) witnesses: Vec<Arc<dyn Witness>>,
}

/// The program that acts.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The SHA-256 of its binary, if it could be read.
    pub binary_sha256: Option<String>,
    /// The machine's name.
    pub host: String,
    /// The operating system.
    pub os: String,
}

impl Engine {
    /// Finds out what a run would do. Sends no write: the plan's client has no way to.
    pub async fn plan(&self, request: &RunRequest) -> Result<Plan, EngineError> {
        self.plan_as(request, self.random.uuid()).await
    }

    /// Finds out what `run` would do. Sends no write.
    pub async fn plan_as(&self, request: &RunRequest, run: Uuid) -> Result<Plan, EngineError> {
        self.keep_out_of_production(request.mode == Mode::Drill)?;
        let (said, _) = self.said(&request.incident);
        let request = &request.clone().with_defaults(&said);
        let found = self.find(request, run).await?;
        let mut plan = self.plan_found(request, &found, run).await?;
        if let Err(closed) = desk::refuse_closed(&request.incident, &said) {
            let text = format!("{closed}; {}", closed.hint());
            plan.preflight
                .push(Preflight::new("incident", Verdict::Fail, text));
        }
        Ok(plan)
    }

    /// Carries out a run and records it.
    pub async fn run(&self, request: RunRequest) -> Result<Ended, EngineError> {
        self.keep_out_of_production(request.mode == Mode::Drill)?;
        let approved = request.approved.clone();
        // What two persons approved is carried out under the id that it was planned with, and so once.
        let run = approved
            .as_ref()
            .map_or_else(|| self.random.uuid(), |approved| approved.run);
        let (said, unread) = self.said(&request.incident);
        desk::refuse_closed(&request.incident, &said)?;
        let request = request.with_defaults(&said);
        let program = self.program(&request)?;
        self.refuse_absent(&program, &request)?;
        let identity = self.identity().await?;
        let found = self.find_able(&request, &program, run).await?;
        if let Some(approved) = &approved {
            approved.same_targets(found.targets.iter().map(|(name, _)| name.as_str()))?;
            let plan = self.plan_found(&request, &found, run).await?;
            refuse_failed(&plan, &request)?;
            approved.same_plan(&plan)?;
        } else if !request.yes {
            let plan = self.plan_found(&request, &found, run).await?;
            refuse_failed(&plan, &request)?;
            match self.ask.confirm(&plan).await {
                Some(true) => {}
                Some(false) => return Err(EngineError::Declined),
                None => return Err(EngineError::Unattended),
            }
        }
        let recorder = self.open(&request, &program, &found, &identity, run, &said)?;
        if let Some(approved) = &approved {
            let decided = recorder
                .person(&request.responder.upn, "decision", approved.decision())
                .await;
            decided.map_err(|failure| EngineError::Record {
                message: failure.message,
                hint: failure.hint,
            })?;
        }
        let power = Power::Act {
            client: self.client.clone(),
            recorder: Arc::clone(&recorder),
        };
        let teller = self.teller(run);
        self.tell_start(&teller, &request, &program, &found, &recorder);
        let mut common = self.common(&request, program, power, teller, run);
        if let Some(unread) = unread {
            let text = format!("the incident log cannot be read to its end: {unread}");
            // A poisoned writer refuses the first intent.
            let _ = recorder.note("gap", json!({"text": text})).await;
            common.teller.tell(What::Gap { text });
        }
        common.vault = self.vault(&common).await;
        common.channels = self.channels.clone();
        let names = self.run_names(&request, &identity, run, &found);
        let base = super::scope::base(&names, &self.profile_names());
        let ended = carry_out(&common, &base, found.targets).await;
        watch::to_the_end(common, &base, &recorder, ended).await
    }

    /// Returns the SHA-256 of a request's runbook and of each that it calls, by name.
    ///
    /// # Errors
    /// A runbook that cannot be had.
    pub fn texts(
        &self,
        request: &RunRequest,
    ) -> Result<std::collections::BTreeMap<String, String>, EngineError> {
        let program = self.program(request)?;
        let frames = program.frames.iter();
        Ok(frames
            .map(|frame| {
                let digest = crate::digest::Digest::of(frame.text.as_bytes());
                (frame.runbook.name.value.clone(), digest.to_string())
            })
            .collect())
    }

    /// Reads what people have said of an incident, and what of it cannot be read: that holds up nobody who contains.
    pub(crate) fn said(&self, id: &crate::ids::IncidentId) -> (Incident, Option<String>) {
        crate::report::incident::so_far(&self.cases.join(id.as_str()))
    }

    /// Returns who acts, after proving that the cloud lets azir in.
    pub(crate) async fn identity(&self) -> Result<Identity, EngineError> {
        self.client
            .identity()
            .await
            .map_err(|error| EngineError::cloud(&error))
    }

    /// Returns a teller of `run`.
    pub(crate) fn teller(&self, run: Uuid) -> Teller {
        Teller::new(
            Some(Arc::clone(&self.listener)),
            Arc::clone(&self.clock),
            run,
            self.halt.clone(),
        )
    }

    pub(super) fn program(&self, request: &RunRequest) -> Result<Program, EngineError> {
        Program::new(
            Arc::clone(&request.runbook),
            Arc::clone(&request.text),
            &|name| self.catalogue.load(name).map_err(|error| error.to_string()),
        )
    }

    pub(crate) fn common(
        &self,
        request: &RunRequest,
        program: Program,
        power: Power,
        teller: Teller,
        run: Uuid,
    ) -> Common {
        Common {
            program,
            expressions: Expressions::new(),
            power,
            teller,
            ask: Arc::clone(&self.ask),
            random: Arc::clone(&self.random),
            asking: tokio::sync::Mutex::new(()),
            shared: super::single::Shared::default(),
            request: request.clone(),
            run_id: run.to_string(),
            vault: None,
            writable: self.profile.subscriptions.clone(),
            started_us: self.clock.mono_us(),
            past: None,
            channels: Channels::default(),
            told: None,
            brake: Brake::after(request.bulk.max_failures),
        }
    }

    /// Returns what templates see as `run`.
    pub(crate) fn run_names(
        &self,
        request: &RunRequest,
        identity: &Identity,
        run: Uuid,
        found: &Found,
    ) -> Value {
        let id = run.to_string();
        json!({
            "id": id,
            "short": short(run),
            "incident": request.incident.to_string(),
            "mode": request.mode.word(),
            "started_at": crate::clock::seconds(self.clock.now()),
            "responder": request.responder.upn,
            "principal": identity.oid,
            "application": identity.appid,
            "graph": self.client.graph_endpoint(),
            "captured_by": format!("azir:{}", identity.oid),
            "tenant": identity.tenant,
            "clearances": request.clearances,
            "targets": found.ids(&request.runbook),
        })
    }

    /// Returns what templates see as `profile`: every name, null or empty where nothing is configured.
    pub(crate) fn profile_names(&self) -> Value {
        let value = serde_json::to_value(&self.profile);
        // A profile is plain data that came from TOML, so it has a JSON form.
        value.unwrap_or_else(|_| json!({}))
    }
}

/// Takes every target through the program, so many at once; in a burst stage by stage.
pub(super) async fn carry_out(
    common: &Common,
    base: &Scope,
    found: Vec<(String, Map<String, Value>)>,
) -> Vec<End> {
    let together = common.request.runbook.together || common.request.bulk.together;
    let stages: &[Stage] = if together && found.len() > 1 {
        &Stage::BURST
    } else {
        &Stage::ALONE
    };
    let at_once = match stages {
        [_] => common.brake.at_once(TARGETS_AT_ONCE),
        _ => TARGETS_AT_ONCE,
    };
    let mut ends = Vec::new();
    let mut waiting: Vec<Waiting> = found
        .into_iter()
        .enumerate()
        .map(|(index, (name, arguments))| Waiting {
            index,
            name,
            arguments: Value::Object(arguments).to_string(),
            parked: None,
        })
        .collect();
    for stage in stages {
        let mut gone: Vec<Gone> = futures_util::stream::iter(std::mem::take(&mut waiting))
            .map(|waiting| waiting.go_on(common, base, *stage))
            .buffer_unordered(at_once)
            .collect()
            .await;
        for one in gone.drain(..) {
            match one {
                Gone::Ended(end) => ends.push(end),
                Gone::Waits(one) => waiting.push(*one),
            }
        }
        waiting.sort_by_key(|one| one.index);
    }
    ends.sort_by_key(|end| end.index);
    ends
}

/// A target between two stages: what it is called, what it was given, how far it has come.
struct Waiting {
    index: usize,
    name: String,
    /// Its arguments as JSON text: a tree of them takes ten times the room.
    arguments: String,
    /// Absent before the first stage.
    parked: Option<Parked>,
}

/// What a stage made of a target.
enum Gone {
    Ended(End),
    Waits(Box<Waiting>),
}

impl Waiting {
    async fn go_on(self, common: &Common, base: &Scope, stage: Stage) -> Gone {
        let arguments = serde_json::from_str(&self.arguments).unwrap_or_default();
        let mut target = Target::new(common, self.index, self.name.clone(), base, &arguments);
        let progress = match self.parked {
            Some(parked) => {
                let progress = parked.taken_up();
                target.remember(&progress);
                progress
            }
            None => match &common.past {
                Some(past) => past::of_target(&target, past),
                None => Progress::none(common.program.nodes.len()),
            },
        };
        let progress = target.execute(progress, stage).await;
        if stage < Stage::Collect && target.goes_on(&progress) {
            return Gone::Waits(Box::new(Self {
                parked: Some(Parked::of(progress)),
                ..self
            }));
        }
        Gone::Ended(Box::pin(target.end(progress)).await)
    }
}
