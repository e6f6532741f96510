//! A run from its request to its last line: targets found, plan shown, journal opened, steps taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::ask::Ask;
use super::calls::{CallPlace, Calls};
use super::error::{EngineError, chain};
use super::event::{Listener, PlannedStep, What};
use super::failure::{Failure, FailureKind};
use super::outcome;
use super::plan::{Plan, PlanTarget, Preflight, Verdict};
use super::power::{Power, Teller};
use super::production::Production;
use super::profile::Profile;
use super::recorder::{Recorder, object};
use super::request::{Ended, Mode, RunRequest};
use super::resolve::Resolver;
use super::schedule::{Part, Program};
use super::step;
use super::target::{Common, Target, may_write, phase_word};
use super::vault::VaultPlace;
use super::witness::{Attendance, Witness};
use super::worth::vault_worth;
use crate::azure::{Client, Identity};
use crate::clock::Clock;
use crate::evidence::Store;
use crate::journal::{RunStart, Writer, WriterDeps};
use crate::random::Random;
use crate::report::model::{RunStatus, Unvouched};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::expr::Expressions;
use crate::runbook::model::ParamKind;

/// Targets of one run that are worked on at once; each has its own order, all share one throttle budget.
const TARGETS_AT_ONCE: usize = 128;

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
    /// The vaults of production, which exercises must not write to.
    pub production: Vec<Production>,
    /// The folder that holds the cases.
    pub cases: PathBuf,
    /// Who hears of events.
    pub listener: Arc<dyn Listener>,
    /// Who answers questions.
    pub ask: Arc<dyn Ask>,
    /// Becomes true when the responder asks to stop.
    pub halt: watch::Receiver<bool>,
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

/// The targets of a run, found.
pub(crate) struct Found {
    /// `(name, arguments)` of each.
    pub(crate) targets: Vec<(String, Map<String, Value>)>,
}

impl Engine {
    /// Finds out what a run would do. Sends no write: the plan's client has no way to.
    pub async fn plan(&self, request: &RunRequest) -> Result<Plan, EngineError> {
        self.keep_out_of_production(request.mode == Mode::Drill)?;
        let run = self.random.uuid();
        let found = self.find(request, run).await?;
        self.plan_found(request, &found, run).await
    }

    /// Carries out a run and records it.
    pub async fn run(&self, request: RunRequest) -> Result<Ended, EngineError> {
        self.keep_out_of_production(request.mode == Mode::Drill)?;
        let run = self.random.uuid();
        let identity = self.identity().await?;
        let found = self.find(&request, run).await?;
        if !request.yes {
            let plan = self.plan_found(&request, &found, run).await?;
            refuse_failed(&plan)?;
            match self.ask.confirm(&plan).await {
                Some(true) => {}
                Some(false) => return Err(EngineError::Declined),
                None => return Err(EngineError::Unattended),
            }
        }
        let program = self.program(&request)?;
        let recorder = self.open(&request, &program, &found, &identity, run)?;
        let power = Power::Act {
            client: self.client.clone(),
            recorder: Arc::clone(&recorder),
        };
        let teller = self.teller(run);
        self.tell_start(&teller, &request, &program, &found, &recorder);
        let mut common = self.common(&request, program, power, teller, run);
        common.vault = self.vault(&common).await;
        let ended = self
            .execute(&common, &request, &found, &identity, run)
            .await;
        finish(&common, &recorder, ended).await
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

    async fn find(&self, request: &RunRequest, run: Uuid) -> Result<Found, EngineError> {
        let mut arguments = Map::new();
        for (name, param) in &request.runbook.params {
            let value = request
                .arguments
                .get(name)
                .cloned()
                .or_else(|| param.default.clone());
            arguments.insert(name.clone(), value.unwrap_or(Value::Null));
        }
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let name = &request.runbook.name.value;
        let resolver = Resolver::new(
            &self.client,
            teller,
            self.profile.subscriptions.clone(),
            name,
        );
        let many = request
            .runbook
            .params
            .iter()
            .find(|(_, param)| param.many && param.position.is_some());
        let Some((key, param)) = many else {
            let target = request
                .runbook
                .params
                .iter()
                .find(|(_, param)| param.position == Some(1))
                .and_then(|(name, _)| arguments.get(name))
                .and_then(Value::as_str)
                .unwrap_or(name)
                .to_owned();
            return Ok(Found {
                targets: vec![(target, arguments)],
            });
        };
        if request.targets.is_empty() {
            return Err(EngineError::Usage {
                message: format!("{name} needs at least one {}", key.to_uppercase()),
                hint: format!("azir {name} --help"),
            });
        }
        let values = match &param.kind {
            ParamKind::Resource(kind) => resolver.resources(kind, &request.targets).await?,
            _ => request
                .targets
                .iter()
                .map(|text| Value::String(text.clone()))
                .collect(),
        };
        let targets = values
            .into_iter()
            .map(|value| {
                let label = value["id"]
                    .as_str()
                    .or(value.as_str())
                    .unwrap_or(name)
                    .to_owned();
                let mut own = arguments.clone();
                own.insert(key.clone(), value);
                (label, own)
            })
            .collect();
        Ok(Found { targets })
    }

    fn program(&self, request: &RunRequest) -> Result<Program, EngineError> {
        Program::new(
            Arc::clone(&request.runbook),
            Arc::clone(&request.text),
            &|name| self.catalogue.load(name).map_err(|error| error.to_string()),
        )
    }

    async fn plan_found(
        &self,
        request: &RunRequest,
        found: &Found,
        run: Uuid,
    ) -> Result<Plan, EngineError> {
        let identity = self.identity().await?;
        let program = self.program(request)?;
        let teller = Teller::new(None, Arc::clone(&self.clock), run, self.halt.clone());
        let common = self.common(
            request,
            program,
            Power::Plan(self.client.reader().clone()),
            teller,
            run,
        );
        let names = self.run_names(request, &identity, run);
        let mut plan = Plan {
            runbook: request.runbook.name.value.clone(),
            version: request.runbook.version.clone(),
            title: request.runbook.title.clone(),
            incident: request.incident.to_string(),
            cloud: self.client.cloud_name().to_owned(),
            tenant: identity.tenant.clone(),
            principal: identity.label(),
            deadline_seconds: request.runbook.deadline.map(|deadline| deadline.as_secs()),
            targets: Vec::new(),
            preflight: Vec::new(),
        };
        let done: Vec<(PlanTarget, Vec<Preflight>)> =
            futures_util::stream::iter(found.targets.iter().enumerate())
                .map(|(index, (name, arguments))| {
                    let common = &common;
                    let names = &names;
                    let profile = self.profile_names();
                    async move {
                        let target =
                            Target::new(common, index, name.clone(), names, &profile, arguments);
                        target.execute().await;
                        target.say_what_stays().await;
                        plan_target(&target)
                    }
                })
                .buffered(TARGETS_AT_ONCE)
                .collect()
                .await;
        for (target, preflight) in done {
            plan.targets.push(target);
            plan.preflight.extend(preflight);
        }
        self.general_preflight(&mut plan).await;
        Ok(plan)
    }

    /// Says what holds for the run as a whole: the clock, and which subscriptions may be written to.
    async fn general_preflight(&self, plan: &mut Plan) {
        if let Some(offset) = self.client.clock_offset_ms() {
            let verdict = if offset.abs() > 120_000 {
                Verdict::Unknown
            } else {
                Verdict::Pass
            };
            plan.preflight.push(Preflight {
                what: "clock".to_owned(),
                verdict,
                text: format!("this machine's clock differs from the cloud's by {offset} ms"),
                target: None,
            });
        }
        plan.preflight.extend(self.outside(&plan.targets));
        let worth = match &self.profile.vault {
            Some(vault) => vault_worth(&self.client, &self.clock, vault).await,
            None => Preflight {
                what: "vault".to_owned(),
                verdict: Verdict::Unknown,
                text: "no evidence vault is configured: evidence stays on this machine".to_owned(),
                target: None,
            },
        };
        plan.preflight.push(worth);
        if let [only] = &self.profile.time_stamps[..] {
            plan.preflight.push(Preflight {
                what: "time stamps".to_owned(),
                verdict: Verdict::Pass,
                text: format!("one authority is configured ({only}): the record's end is stamped once, not twice"),
                target: None,
            });
        }
    }

    /// Finds the writes that the profile does not let azir send: tonight they would be refused half way.
    fn outside(&self, targets: &[PlanTarget]) -> Vec<Preflight> {
        let Some(writable) = &self.profile.subscriptions else {
            let text = "the profile names no subscriptions: every visible one may be written to";
            return vec![Preflight {
                what: "subscriptions".to_owned(),
                verdict: Verdict::Unknown,
                text: text.to_owned(),
                target: None,
            }];
        };
        let mut found: Vec<Preflight> = Vec::new();
        for target in targets {
            for write in target.steps.iter().flat_map(|step| &step.writes) {
                let path = write.split(' ').nth(1).unwrap_or_default();
                let Err(failure) = may_write(Some(writable), path) else {
                    continue;
                };
                let answer = Preflight {
                    what: "guard".to_owned(),
                    verdict: Verdict::Fail,
                    text: format!("{}; {}", failure.message, failure.hint),
                    target: Some(target.target.clone()),
                };
                if !found.contains(&answer) {
                    found.push(answer);
                }
            }
        }
        found
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
            asking: tokio::sync::Mutex::new(()),
            shared: super::single::Shared::default(),
            choices: request.choices.clone(),
            accept: request.accept.clone(),
            yes: request.yes,
            responder: request.responder.upn.clone(),
            incident: request.incident.to_string(),
            run_id: run.to_string(),
            vault: None,
            writable: self.profile.subscriptions.clone(),
            started_us: self.clock.mono_us(),
        }
    }

    /// Returns what templates see as `run`.
    pub(crate) fn run_names(&self, request: &RunRequest, identity: &Identity, run: Uuid) -> Value {
        let id = run.to_string();
        json!({
            "id": id,
            "short": short(run),
            "incident": request.incident.to_string(),
            "mode": request.mode.word(),
            "started_at": crate::clock::seconds(self.clock.now()),
            "responder": request.responder.upn,
            "principal": identity.oid,
            "captured_by": format!("azir:{}", identity.oid),
            "tenant": identity.tenant,
        })
    }

    /// Returns what templates see as `profile`: every name, null or empty where nothing is configured.
    pub(crate) fn profile_names(&self) -> Value {
        let value = serde_json::to_value(&self.profile);
        // A profile is plain data that came from TOML, so it has a JSON form.
        value.unwrap_or_else(|_| json!({}))
    }

    fn open(
        &self,
        request: &RunRequest,
        program: &Program,
        found: &Found,
        identity: &Identity,
        run: Uuid,
    ) -> Result<Arc<Recorder>, EngineError> {
        let run_dir = self
            .cases
            .join(request.incident.as_str())
            .join(format!("run-{run}"));
        let seen = super::siblings::heads(&run_dir, None);
        let store = Store::open(&run_dir).map_err(|error| record(&error, &run_dir))?;
        let cite = |text: &str| -> Result<Value, EngineError> {
            let kept = store
                .put(text.as_bytes())
                .map_err(|error| record(&error, &run_dir))?;
            Ok(json!({"sha256": kept.sha256.to_string(), "size": kept.size}))
        };
        let mut runbook = object(
            json!({"name": request.runbook.name.value, "version": request.runbook.version, "origin": request.origin}),
        );
        runbook.extend(object(cite(&request.text)?));
        let mut called = Vec::new();
        for frame in program.frames.iter().skip(1) {
            let mut one =
                object(json!({"name": frame.runbook.name.value, "version": frame.runbook.version}));
            one.extend(object(cite(&frame.text)?));
            called.push(Value::Object(one));
        }
        let targets = json!(
            found
                .targets
                .iter()
                .map(|(name, arguments)| json!({"target": name, "arguments": arguments}))
                .collect::<Vec<_>>()
        );
        let targets = cite(&targets.to_string())?;
        let names: Vec<&String> = found.targets.iter().map(|(name, _)| name).collect();
        let names = if names.len() <= 20 {
            json!(names)
        } else {
            cite(&json!(names).to_string())?
        };
        let data = object(json!({
            "purpose": request.runbook.purpose,
            "authority": object(json!({"basis": request.authority, "ticket": request.ticket})),
            "tool": object(json!({"name": "azir", "version": self.tool.version, "binary_sha256": self.tool.binary_sha256})),
            "runbook": runbook,
            "called": called,
            "parameters": cite(&json!(request.arguments).to_string())?,
            "targets": names,
            "found": targets,
            "run_names": cite(&self.run_names(request, identity, run).to_string())?,
            "profile": cite(&self.profile_names().to_string())?,
            "profile_name": self.profile_name,
            "detected_at": request.detected_at.map(crate::clock::seconds),
            "deadline_seconds": request.runbook.deadline.map(|deadline| deadline.as_secs()),
            "tenant": identity.tenant,
            "cloud": self.client.cloud_name(),
            "principal": object(json!({"oid": identity.oid, "appid": identity.appid, "credential": self.client.credential_name()})),
            "host": self.tool.host,
            "os": self.tool.os,
            "clock": object(json!({"offset_ms": self.client.clock_offset_ms(), "source": "Date header of the cloud"})),
            "seen": seen,
        }));
        let start = RunStart {
            incident: request.incident.clone(),
            run,
            mode: request.mode.word().to_owned(),
            responder: request.responder.upn.clone(),
            responder_name: request.responder.name.clone(),
            responder_oid: request.responder.oid.clone(),
            data,
        };
        let writer = Writer::create(
            &run_dir,
            start,
            WriterDeps::real(Arc::clone(&self.clock), Arc::clone(&self.random)),
        )
        .map_err(|error| EngineError::record(&error))?;
        let prefix = format!("{}/{run}", request.incident);
        Ok(self.recorder(writer, store, prefix))
    }

    /// Returns the recorder of a session that has just begun, its witnesses beside it.
    pub(crate) fn recorder(&self, writer: Writer, store: Store, prefix: String) -> Arc<Recorder> {
        let attendance = Attendance::begin(&writer, &self.witnesses, &self.clock);
        let random = Arc::clone(&self.random);
        Arc::new(Recorder::new(writer, store, random, prefix, attendance))
    }

    fn tell_start(
        &self,
        teller: &Teller,
        request: &RunRequest,
        program: &Program,
        found: &Found,
        recorder: &Recorder,
    ) {
        let steps: Vec<PlannedStep> = program
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.part == Part::Whole)
            .map(|(index, node)| {
                let step = program.step(index);
                PlannedStep {
                    id: node.id.clone(),
                    title: step.title.value.clone(),
                    phase: phase_word(step),
                    kind: step::kind_word(step).to_owned(),
                    undo: step::undo_words(step),
                }
            })
            .collect();
        teller.tell(What::RunStarted {
            runbook: request.runbook.name.value.clone(),
            version: request.runbook.version.clone(),
            mode: request.mode.word().to_owned(),
            incident: request.incident.to_string(),
            deadline_seconds: request.runbook.deadline.map(|deadline| deadline.as_secs()),
            targets: found.targets.iter().map(|(name, _)| name.clone()).collect(),
            journal: recorder.run_dir(),
            steps: steps.len(),
            plan: steps,
        });
    }

    /// Finds the vault; one that cannot be found is a gap of every target that would use it.
    async fn vault(&self, common: &Common) -> Option<VaultPlace> {
        let vault = self.profile.vault.as_ref()?;
        let calls = Calls::new(
            common.power.recorder().cloned(),
            common.teller.clone(),
            CallPlace {
                why: "find the vault".into(),
                ..CallPlace::default()
            },
        );
        match VaultPlace::find(vault, &self.client, &calls).await {
            Ok(place) => Some(place),
            Err(failure) => {
                let text = format!(
                    "the evidence vault cannot be found ({}); evidence stays on this machine",
                    failure.message
                );
                if let Some(recorder) = common.power.recorder() {
                    // A poisoned writer refuses the first intent.
                    let _ = recorder.note("gap", json!({"text": text})).await;
                }
                common.teller.tell(What::Gap { text });
                None
            }
        }
    }

    async fn execute(
        &self,
        common: &Common,
        request: &RunRequest,
        found: &Found,
        identity: &Identity,
        run: Uuid,
    ) -> Vec<End> {
        let names = self.run_names(request, identity, run);
        let profile = self.profile_names();
        let mut ends: Vec<End> = futures_util::stream::iter(found.targets.iter().enumerate())
            .map(|(index, (name, arguments))| {
                let (names, profile) = (&names, &profile);
                async move {
                    let target =
                        Target::new(common, index, name.clone(), names, profile, arguments);
                    target.execute().await;
                    target.say_what_stays().await;
                    target.close().await
                }
            })
            .buffer_unordered(TARGETS_AT_ONCE)
            .collect()
            .await;
        ends.sort_by_key(|end| end.index);
        ends
    }
}

/// How one target ended.
pub(crate) struct End {
    pub(crate) index: usize,
    pub(crate) status: RunStatus,
    pub(crate) effects: usize,
    pub(crate) record_lost: bool,
}

/// Writes the run's last lines and returns how it ended.
pub(crate) async fn finish(
    common: &Common,
    recorder: &Recorder,
    ends: Vec<End>,
) -> Result<Ended, EngineError> {
    let statuses: Vec<RunStatus> = ends.iter().map(|end| end.status).collect();
    let effects = ends.iter().map(|end| end.effects).sum();
    let mut record_lost = ends.iter().any(|end| end.record_lost);
    let status = outcome::run_status(&statuses);
    let exit_code = outcome::exit_code(status, effects, record_lost);
    let said = json!({"status": outcome::word(status), "exit_code": exit_code});
    record_lost |= recorder.note("result", said).await.is_err();
    let closed = recorder.close().await;
    if record_lost && let Err(error) = closed {
        common.teller.tell(What::RunEnded {
            status: outcome::word(status),
            exit_code: 75,
        });
        return Err(error);
    }
    let exit_code = outcome::exit_code(status, effects, record_lost || closed.is_err());
    let unvouched: Vec<Unvouched> = closed
        .unwrap_or_default()
        .into_iter()
        .map(|missing| Unvouched {
            witness: missing.kind.word().to_owned(),
            since: crate::clock::seconds(missing.since),
            why: missing.why,
        })
        .collect();
    for missing in &unvouched {
        let missing = missing.clone();
        common.teller.tell(What::Unvouched { missing });
    }
    common.teller.tell(What::RunEnded {
        status: outcome::word(status),
        exit_code,
    });
    Ok(Ended {
        run_dir: recorder.run_dir(),
        exit_code,
        unvouched,
    })
}

impl Target<'_> {
    /// Evaluates what stays open and whom else the target touches, and records it.
    pub(crate) async fn say_what_stays(&self) {
        let runbook = &self.common.program.frames[0].runbook;
        let mut scope = self.names[0].scope();
        // A step that was never reached has no results; what stays open is said all the same.
        for step in &runbook.steps {
            if scope.get(&step.id.value).is_none() {
                scope.set(&step.id.value, &step::nothing_of(self, step));
            }
        }
        let expressions = &self.common.expressions;
        for residual in &runbook.residual {
            let items = match &residual.for_each {
                Some(list) => expressions.list(list, &scope).unwrap_or_default(),
                None => vec![Value::Null],
            };
            for item in items {
                let mut scope = scope.clone();
                scope.set("item", &item);
                let wanted = residual
                    .when
                    .as_ref()
                    .is_none_or(|when| expressions.truth(when, &scope).unwrap_or(false));
                if !wanted {
                    continue;
                }
                // What names something that was never read cannot be said; its step has said so itself.
                if let Ok(what) = expressions.text(&residual.what, &scope) {
                    let until = residual
                        .until
                        .as_ref()
                        .and_then(|until| expressions.text(until, &scope).ok());
                    self.stays_open(what, until);
                }
            }
        }
        if let Some(collateral) = &runbook.collateral
            && let Ok(items) = expressions.list(collateral, &scope)
        {
            let texts = items.iter().map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            });
            self.tally().collateral.extend(texts);
        }
    }

    /// Writes a target's last lines and returns how it ended.
    async fn close(&self) -> End {
        let halted = self.teller.halted();
        let (status, effects, record_lost, lines) = {
            let tally = self.tally();
            let purpose = self.common.program.frames[0].runbook.purpose;
            let status = outcome::target_status(&tally, purpose, halted);
            let lost = tally
                .stopped
                .as_ref()
                .is_some_and(|failure| failure.kind == FailureKind::Record);
            (status, tally.effects, lost, self.last_lines(&tally, status))
        };
        let mut record_lost = record_lost;
        if let Some(recorder) = self.common.power.recorder() {
            for (kind, members) in lines {
                record_lost |= recorder.note(kind, members).await.is_err();
            }
        }
        if contained(status) {
            let after_us = self
                .tally()
                .contained_us
                .unwrap_or_default()
                .saturating_sub(self.common.started_us);
            self.teller.tell(What::Contained {
                after_ms: after_us / 1_000,
            });
        }
        let error = self
            .tally()
            .stopped
            .as_ref()
            .map(|failure| failure.message.clone());
        self.teller.tell(What::TargetEnded {
            status: outcome::word(status),
            error,
        });
        End {
            index: self.index,
            status,
            effects,
            record_lost,
        }
    }

    fn last_lines(
        &self,
        tally: &super::target::Tally,
        status: RunStatus,
    ) -> Vec<(&'static str, Value)> {
        let mut lines = Vec::new();
        if status != RunStatus::Refused {
            for (what, until) in &tally.residual {
                lines.push((
                    "residual",
                    json!({"target_index": self.index, "what": what, "until": until}),
                ));
            }
            for text in &tally.collateral {
                lines.push((
                    "collateral",
                    json!({"target_index": self.index, "text": text}),
                ));
            }
        }
        let error: Option<&Failure> = tally
            .stopped
            .as_ref()
            .or_else(|| tally.left.first().map(|(_, failure)| failure));
        let error = error.map(|failure| json!({"code": failure.code, "message": super::calls::cut(&failure.message, 1_000), "hint": failure.hint}));
        let contained_at = tally
            .contained_at
            .filter(|_| contained(status) || status == RunStatus::Unchecked);
        lines.push((
            "target",
            json!({
                "target_index": self.index,
                "target": self.name,
                "status": outcome::word(status),
                "contained_at": contained_at.map(crate::clock::micros),
                "error": error,
            }),
        ));
        lines
    }
}

fn contained(status: RunStatus) -> bool {
    matches!(status, RunStatus::Contained | RunStatus::ContainedResidual)
}

/// Returns the first eight hex digits of a run's id: a short name for what the run makes.
pub(crate) fn short(run: Uuid) -> String {
    run.simple().to_string().chars().take(8).collect()
}

/// Refuses a plan that has a FAIL.
fn refuse_failed(plan: &Plan) -> Result<(), EngineError> {
    let failed: Vec<&Preflight> = plan
        .preflight
        .iter()
        .filter(|answer| answer.verdict == Verdict::Fail)
        .collect();
    let Some(first) = failed.first() else {
        return Ok(());
    };
    // With several targets the good ones go on; only when every one is refused is the run.
    let refused = |target: &PlanTarget| {
        failed
            .iter()
            .any(|answer| answer.target.as_deref() == Some(&target.target))
    };
    if !plan.targets.iter().all(refused) {
        return Ok(());
    }
    Err(EngineError::Refused {
        code: "guard",
        message: failed
            .iter()
            .map(|answer| answer.text.clone())
            .collect::<Vec<_>>()
            .join("; "),
        target: first.target.clone(),
        hint: format!(
            "azir {} {} --plan",
            plan.runbook,
            first.target.as_deref().unwrap_or_default()
        ),
    })
}

fn plan_target(target: &Target<'_>) -> (PlanTarget, Vec<Preflight>) {
    let mut tally = target.tally();
    tally.plan.sort_by_key(|(node, _)| *node);
    let mut preflight: Vec<Preflight> = Vec::new();
    if let Some(failure) = &tally.stopped {
        preflight.push(Preflight {
            what: if failure.kind == FailureKind::Refused {
                "guard".to_owned()
            } else {
                failure.code.clone()
            },
            verdict: Verdict::Fail,
            text: failure.message.clone(),
            target: Some(target.name.clone()),
        });
    }
    let plan = PlanTarget {
        target: target.name.clone(),
        steps: tally.plan.iter().map(|(_, line)| line.clone()).collect(),
        residual: tally
            .residual
            .iter()
            .map(|(what, _)| what.clone())
            .collect(),
        collateral: tally.collateral.clone(),
        error: tally
            .stopped
            .as_ref()
            .map(|failure| failure.message.clone()),
    };
    (plan, preflight)
}

fn record(error: &dyn std::error::Error, run_dir: &Path) -> EngineError {
    EngineError::Record {
        message: format!("{}: {}", run_dir.display(), chain(error)),
        hint: "free the disk, or name another folder with AZIR_HOME".to_owned(),
    }
}
