//! One tenant: which plane a request is for, who sends it, and the record of what was answered.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::act::Act;
use super::arm::{self, Arm, Fate};
use super::entra::{self, Book, Claims, Entra};
use super::faults::{Fault, Faults, Rule};
use super::gate::Grants;
use super::reply::{Ask, Reply, arm_error, blob_error, graph_error};
use super::scenario::Scenario;
use super::server::{LabError, Logged, Options, Ready};
use super::store::{Kept, Store};
use super::throttle::{Throttle, Verdict};
use super::windows::{Party, Setting, Windows};
use super::{blob, blob_log, graph, vault, workspace};
use crate::clock::{Clock, micros};
use crate::random::Random;

/// What every request sees.
pub(super) struct Tenant {
    pub(super) scenario: Scenario,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) port: u16,
    entra: Entra,
    store: Mutex<Store>,
    throttle: Mutex<Throttle>,
    windows: Mutex<Windows>,
    /// How many users the directory had when the lab was started.
    users: usize,
    faults: Mutex<Faults>,
    log: Mutex<Vec<Logged>>,
    kept_back: std::sync::atomic::AtomicUsize,
}

impl Tenant {
    /// Makes the tenant of a scenario, with whatever an earlier lab left in the state file.
    pub(super) fn new(options: Options, port: u16) -> Result<Self, LabError> {
        let now = options.clock.now();
        let mut store = Store::default();
        let unreadable = |source| LabError::State {
            path: options.state.clone().unwrap_or_default(),
            source,
        };
        let kept = match &options.state {
            Some(path) => Kept::read(path).map_err(unreadable)?,
            None => Kept::default(),
        };
        store
            .directory
            .replicate_in(options.replication.as_micros() as u64);
        options.scenario.seed(&mut store, kept.made.unwrap_or(now));
        if let Some(path) = &options.state {
            store.keep_in(path, &kept, now).map_err(unreadable)?;
        }
        vault::at_port(&mut store, port);
        let users = store.directory.all_now(graph::USERS).count();
        let mut key = [0; 32];
        options.random.fill(&mut key);
        Ok(Self {
            scenario: options.scenario.clone(),
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            port,
            entra: Entra {
                tenant: options.scenario.tenant.clone(),
                elsewhere: options.scenario.elsewhere.clone(),
                key,
            },
            store: Mutex::new(store),
            throttle: Mutex::new(Throttle::default()),
            windows: Mutex::default(),
            users,
            faults: Mutex::new(options.faults.clone()),
            log: Mutex::new(Vec::new()),
            kept_back: std::sync::atomic::AtomicUsize::new(0),
            options,
        })
    }

    /// Returns what a client needs to know.
    pub(super) fn ready(&self, ca: PathBuf) -> Ready {
        // `Scenario::load` refuses a scenario without a caller or a subscription.
        let caller = &self.scenario.callers[0];
        Ready {
            arm: format!("https://127.0.0.1:{}", self.port),
            ca,
            tenant_id: self.scenario.tenant.clone(),
            client_id: caller.client_id.clone(),
            client_secret: caller.client_secret.clone(),
            subscription_id: self.scenario.subscriptions[0].id.clone(),
            pid: std::process::id(),
        }
    }

    /// Lets time pass, on the lab's clock.
    pub(super) async fn wait(&self, duration: Duration) {
        if !duration.is_zero() {
            self.clock.sleep(duration).await;
        }
    }

    /// Returns the fault that a request meets.
    pub(super) fn fault(&self, ask: &Ask) -> Option<Rule> {
        lock(&self.faults).next(&ask.method, &ask.path)
    }

    /// Counts a request that is kept from being done for now.
    pub(super) fn keep_back(&self) {
        self.kept_back
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) fn kept_back(&self) -> usize {
        self.kept_back.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Returns every request that was answered.
    pub(super) fn log(&self) -> Vec<Logged> {
        lock(&self.log).clone()
    }

    /// Returns the state, with every operation ended that ever ends.
    pub(super) fn state(&self) -> Value {
        let mut store = lock(&self.store);
        self.settle(&mut store, u64::MAX - 1);
        store.snapshot()
    }

    /// Ends the operations whose time has come, and follows up what they removed.
    fn settle(&self, store: &mut Store, now_us: u64) {
        store.settle(now_us);
        let gone = store.take_gone();
        arm::released(store, &gone, self.clock.now());
    }

    /// Changes a resource outside of any request.
    pub(super) fn tamper(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut store = lock(&self.store);
        if let Some(mut value) = store.get(id).cloned() {
            change(&mut value);
            store.put(id, value);
        }
    }

    /// Changes an object of the directory outside of any request.
    pub(super) fn tamper_directory(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) {
        let mut store = lock(&self.store);
        if let Some(mut value) = store.directory.now(kind, id).cloned() {
            change(&mut value);
            store.directory.seed(kind, id, value);
        }
    }

    /// Lets somebody else change things, by script.
    pub(super) fn act(&self, acts: &[Act]) {
        let mut store = lock(&self.store);
        for act in acts {
            act.carry_out(&mut store);
        }
    }

    /// Counts a request to Graph against its limits; returns headers for its answer, or the refusal.
    pub(super) fn throttle_graph(
        &self,
        ask: &Ask,
        claims: &Claims,
        now_us: u64,
    ) -> Result<Vec<(&'static str, String)>, Reply> {
        let party = Party {
            app: &claims.appid,
            tenant: &self.scenario.tenant,
            users: self.users,
        };
        match self.windows(now_us) {
            Some(setting) => lock(&self.windows).graph(ask, &party, setting),
            None => Ok(Vec::new()),
        }
    }

    fn windows(&self, now_us: u64) -> Option<Setting> {
        self.options.throttle.map(|factor| Setting {
            factor,
            retry_after: self.options.retry_after,
            now_us,
        })
    }

    /// Answers a request, on the plane that host and path name.
    pub(super) fn answer(&self, ask: &Ask, rule: Option<&Rule>) -> Reply {
        let now = self.clock.now();
        if ask.host.starts_with("graph.") {
            let audience = [
                format!("https://graph.localhost:{}", self.port),
                "00000003-0000-0000-c000-000000000000".to_owned(),
            ];
            return match self.entra.check(ask, &audience, now) {
                Ok(claims) => graph::answer(
                    self,
                    &mut lock(&self.store),
                    ask,
                    &claims,
                    self.clock.mono_us(),
                ),
                Err((_, message)) => graph_error(401, "InvalidAuthenticationToken", &message)
                    .with("www-authenticate", self.challenge(ask)),
            };
        }
        if ask.host.starts_with("api.loganalytics.") {
            let audience = [
                format!("https://api.loganalytics.localhost:{}", self.port),
                "https://api.loganalytics.io".to_owned(),
            ];
            return match self.entra.check(ask, &audience, now) {
                Ok(claims) => workspace::answer(&lock(&self.store), ask, &claims, now),
                Err((_, message)) => workspace::error(401, "AuthorizationRequiredError", &message)
                    .with("www-authenticate", self.challenge(ask)),
            };
        }
        if let Some(account) = ask.host.split_once(".blob.").map(|(account, _)| account) {
            if account.starts_with("md-") {
                let message = "The lab does not model the bytes of disks.";
                return blob_error(501, "NotModelled", message);
            }
            let when = (&*self.random, now, self.clock.mono_us());
            if ask.header("authorization").is_none() {
                let mut store = lock(&self.store);
                if let Some(reply) = blob::public(&store, ask, account) {
                    blob_log::note(&mut store, account, (ask, None, &reply), when);
                    return reply;
                }
            }
            let audience = ["https://storage.azure.com".to_owned(), ask.origin.clone()];
            return match self.entra.check(ask, &audience, now) {
                Ok(claims) => {
                    let mut store = lock(&self.store);
                    let reply = blob::answer(&mut store, ask, account, &claims, now);
                    blob_log::note(&mut store, account, (ask, Some(&claims), &reply), when);
                    reply
                }
                Err((_, message)) => blob_error(401, "InvalidAuthenticationInfo", &message).with(
                    "www-authenticate",
                    self.challenge(ask) + " resource_id=https://storage.azure.com",
                ),
            };
        }
        if let Some(vault) = ask.host.split_once(".vault.").map(|(vault, _)| vault) {
            return self.vault(ask, vault, now);
        }
        if ask.path.eq_ignore_ascii_case("/metadata/endpoints") {
            return entra::metadata(ask, &self.scenario.cloud, self.port);
        }
        if let Some(reply) = self.sign_in(ask, now) {
            return reply;
        }
        let audiences = [
            format!("https://127.0.0.1:{}", self.port),
            format!("https://localhost:{}", self.port),
        ];
        match self.entra.check(ask, &audiences, now) {
            Ok(claims) => self.arm(ask, &claims, rule),
            Err((code, message)) => arm_error(401, code, &message).with(
                "www-authenticate",
                self.challenge(ask) + ", error=\"invalid_token\"",
            ),
        }
    }

    /// A vault says itself which token it wants, to who comes without one (section 6).
    fn vault(&self, ask: &Ask, vault: &str, now: chrono::DateTime<chrono::Utc>) -> Reply {
        let resource = format!("https://vault.localhost:{}", self.port);
        match self.entra.check(ask, std::slice::from_ref(&resource), now) {
            Ok(claims) => {
                let now_us = self.clock.mono_us();
                if let Some(setting) = self.windows(now_us)
                    && let Err(refusal) = lock(&self.windows).vault(ask, vault, setting)
                {
                    return refusal;
                }
                let mut visit = vault::Visit {
                    store: &mut lock(&self.store),
                    ask,
                    claims: &claims,
                    now,
                    now_us,
                    random: &*self.random,
                    page: self.options.page,
                };
                vault::answer(&mut visit, vault)
            }
            Err((code, message)) => {
                let code = if code == "AuthenticationFailed" {
                    "AKV10000: Request is missing a Bearer or PoP token."
                } else {
                    message.as_str()
                };
                vault::error(401, "Unauthorized", code, None).with(
                    "www-authenticate",
                    format!(
                        "Bearer authorization=\"https://127.0.0.1:{}/{}\", resource=\"{resource}\"",
                        self.port, self.scenario.tenant
                    ),
                )
            }
        }
    }

    /// Answers what needs no token, if it is that.
    fn sign_in(&self, ask: &Ask, now: chrono::DateTime<chrono::Utc>) -> Option<Reply> {
        let mut book = Book {
            store: &mut lock(&self.store),
            random: &*self.random,
            now_us: self.clock.mono_us(),
        };
        self.entra.answer(ask, now, &mut book)
    }

    fn challenge(&self, ask: &Ask) -> String {
        format!(
            "Bearer authorization_uri=\"{}/{}\"",
            ask.origin, self.scenario.tenant
        )
    }

    fn arm(&self, ask: &Ask, claims: &Claims, rule: Option<&Rule>) -> Reply {
        let now_us = self.clock.mono_us();
        let mut left = None;
        if let Some(factor) = self.options.throttle {
            let subscription = ask
                .path
                .strip_prefix("/subscriptions/")
                .and_then(|rest| rest.split('/').next());
            let verdict = lock(&self.throttle).take(
                subscription.unwrap_or_default(),
                &claims.oid,
                &ask.method,
                now_us,
                factor,
                self.options.retry_after,
            );
            match verdict {
                Verdict::Left(name, count) => left = Some((name, count)),
                Verdict::Refused(reply) => return reply,
            }
        }
        let fate = match rule.map(|rule| rule.fault) {
            Some(Fault::LroFailed) => Fate::Failed,
            Some(Fault::LroStuck) => Fate::Stuck,
            _ => Fate::Good,
        };
        let mut store = lock(&self.store);
        self.settle(&mut store, now_us);
        let grants = Grants::of(&store, claims);
        let behind = rule.is_some_and(|rule| rule.fault == Fault::Stale) && ask.method == "GET";
        if behind {
            store.exchange_earlier(&ask.path);
        }
        let was_there = store.get(&ask.path).is_some();
        let mut reply = arm::answer(Arm {
            tenant: self,
            store: &mut store,
            ask,
            claims,
            grants,
            now_us,
            fate,
        });
        if behind {
            store.exchange_earlier(&ask.path);
        }
        let changed = matches!(ask.method.as_str(), "PUT" | "PATCH") && reply.status < 300;
        if changed && store.get(&ask.path).is_some() {
            let at = self.clock.now().format("%Y-%m-%dT%H:%M:%S%.6f0Z");
            store.note_time(&ask.path, &at.to_string(), was_there);
        }
        for event in arm::events(
            ask,
            claims,
            reply.status,
            self.clock.now(),
            self.random.as_ref(),
        ) {
            store.event(event);
        }
        if let Some((name, count)) = left {
            reply = reply.with(&name, count.to_string());
        }
        reply
    }

    /// Adds to the request log.
    pub(super) fn note(&self, ask: &Ask, reply: &Reply) {
        let time = micros(self.clock.now());
        let mut log = lock(&self.log);
        let seq = log.len() as u64 + 1;
        log.push(Logged {
            seq,
            time,
            method: ask.method.clone(),
            host: ask.host.clone(),
            path: ask.path.clone(),
            query: ask.query.clone(),
            api_version: ask.query("api-version").map(str::to_owned),
            status: reply.status,
            client_request_id: ask
                .header("x-ms-client-request-id")
                .or_else(|| ask.header("client-request-id"))
                .map(str::to_owned),
            write: !reads(ask),
            body: self.options.bodies.then(|| kept(ask)).flatten(),
        });
    }
}

/// Returns what the request log keeps of a body: no value of a vault, and no password.
fn kept(ask: &Ask) -> Option<serde_json::Value> {
    let mut body = ask.json().ok().filter(|_| !ask.host.contains(".vault."))?;
    for secret in [
        "/passwordProfile/password",
        "/properties/osProfile/adminPassword",
        "/properties/osProfile/customData",
    ] {
        if let Some(secret) = body.pointer_mut(secret) {
            *secret = "***".into();
        }
    }
    Some(body)
}

/// Returns whether a request cannot change anything: it gets, or it asks by POST.
fn reads(ask: &Ask) -> bool {
    const QUESTIONS: [&str; 11] = [
        "/$batch",
        "/directoryobjects/getbyids",
        "/getmemberobjects",
        "/providers/microsoft.policyinsights/checkpolicyrestrictions",
        "/providers/microsoft.resourcegraph/resources",
        "/providers/microsoft.storage/checknameavailability",
        "/effectivenetworksecuritygroups",
        "/effectiveroutetable",
        "/oauth2/v2.0/token",
        "/oauth2/token",
        "/query",
    ];
    let path = ask.path.to_ascii_lowercase();
    matches!(ask.method.as_str(), "GET" | "HEAD")
        || (ask.method == "POST" && QUESTIONS.iter().any(|end| path.ends_with(end)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A request that panicked leaves a tenant that is at worst as a service is after a crash.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
