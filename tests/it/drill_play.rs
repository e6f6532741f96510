//! A drill in this process, on a clock that stands still until told otherwise: answered by the engine and, as az does it,
//! by requests to the lab.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use azir::azure::Client;
use azir::clock::{Clock, ManualClock};
use azir::drill::record::{Begun, Standing, State};
use azir::drill::scenario::Scenario;
use azir::drill::verdict::{By, Place, ScenarioRef, Verdict};
use azir::drill::{Judge, names, shelf};
use azir::engine::profile::Profile;
use azir::engine::{Engine, RunRequest};
use azir::random::SeededRandom;
use azir::runbook::expr::Scope;
use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench, DISKS, NETWORK, SUB};
use crate::support::asked;

/// A drill on a clock that stands still until told otherwise, answered by engine and by hand.
pub(crate) struct Play {
    pub(crate) bench: Bench,
    client: Client,
    scenario: Scenario,
    standing: Standing,
    before: Value,
    cases: tempfile::TempDir,
    case: PathBuf,
}

impl Play {
    pub(crate) fn begin(name: &str) -> Self {
        let scenario = shelf::load(name).unwrap().scenario;
        let bench = Bench::with(scenario.tenant().unwrap(), |options| options.lro = 0.0);
        let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
        let client = bench.run(crate::staged::client(&bench.lab, &clock, None));
        let (begun, now) = (begun(&scenario), clock.now());
        let started_at = azir::clock::seconds(now);
        let scope = names::scope(&begun, &profile(), client.reader().cloud(), &started_at);
        let before = bench.run(Judge::before(client.reader(), &scenario, &scope));
        let standing = Standing {
            begun,
            begun_at: now,
            state: State::Running,
            emitted_at: Some(clock.now()),
            making: Vec::new(),
            made: Vec::new(),
            seen: Vec::new(),
            verdict: None,
            cleared: Vec::new(),
            left: Vec::new(),
        };
        let cases = tempfile::tempdir().unwrap();
        Self {
            bench,
            client,
            scenario,
            standing,
            before: before.unwrap(),
            case: cases.path().join("DRILL-x"),
            cases,
        }
    }

    fn clock(&self) -> ManualClock {
        self.bench.clock.clone()
    }

    /// Lets time pass until so many seconds after the finding.
    pub(crate) fn until(&self, seconds: u64) {
        let begun = self.standing.emitted_at.unwrap();
        let then = begun + Duration::from_secs(seconds);
        let left = then - self.clock().now();
        self.clock().advance(left.to_std().unwrap());
    }

    /// Runs a runbook as the command does, with these roles chosen where it asks for any.
    pub(crate) fn run(&self, runbook: &str, target: &str, roles: &[String]) {
        let clock: Arc<dyn Clock> = Arc::new(self.clock());
        let client = self
            .bench
            .run(crate::staged::client(&self.bench.lab, &clock, None));
        let cases = self.cases.path().to_path_buf();
        let random = Arc::new(SeededRandom::new(11));
        let (engine, _stop) = Engine::alone(client, profile(), cases, clock, random);
        let mut request = RunRequest {
            targets: vec![target.to_owned()],
            yes: true,
            ..asked(runbook)
        };
        request.incident = "DRILL-x".parse().unwrap();
        let chosen = azir::engine::Selection::Ids(roles.to_vec());
        if !roles.is_empty() {
            request.choices.insert("cut_roles_which".to_owned(), chosen);
        }
        // On this clock waiting for anything takes the longest that it may: what was captured is not always seen.
        self.bench.run(engine.run(request)).unwrap();
    }

    pub(crate) fn judge<'a>(&'a self, profile: &'a Profile) -> Judge<'a> {
        Judge {
            reader: self.client.reader(),
            scenario: &self.scenario,
            standing: &self.standing,
            profile,
            case: &self.case,
            before: &self.before,
            proofs: None,
            now: self.clock().now(),
        }
    }

    pub(crate) fn judged(&self) -> Verdict {
        let profile = profile();
        self.bench.run(self.judge(&profile).judge())
    }

    pub(crate) fn name(&self, name: &str) -> String {
        self.standing.begun.names[name].as_str().unwrap().to_owned()
    }

    pub(crate) fn name_at(&self, name: &str, at: usize) -> String {
        self.standing.begun.names[name][at]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn graph(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let port = self.bench.lab.ready().arm.rsplit(':').next().unwrap();
        let host = format!("https://graph.localhost:{port}");
        let token = self.bench.token_for(&format!("{host}/.default"));
        let url = format!("{host}{path}");
        let request = self.bench.http.request(method.parse().unwrap(), url);
        let request = request.bearer_auth(token);
        self.bench.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// Snapshots of the first disks of the machine, as az makes them.
    pub(crate) fn snapshots(&self, number: usize) {
        for at in 0..number {
            let disk = self.name_at("disks", at);
            let path = format!(
                "{}/providers/Microsoft.Compute/snapshots/az-{at}?{DISKS}",
                self.name("group")
            );
            let body = json!({"location": "westeurope", "properties": {
                "creationData": {"createOption": "Copy", "sourceResourceId": disk},
                "incremental": true, "networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled",
            }});
            let made = self.bench.call("PUT", &path, &body);
            assert!(made.status < 300, "{made:?}");
            // One is copied in the background.
            self.bench.pass(1);
        }
    }

    /// An NSG that denies all.
    pub(crate) fn group_of_rules(&self, name: &str) -> String {
        let group = self.name("group");
        let id = format!("{group}/providers/Microsoft.Network/networkSecurityGroups/{name}");
        let body = json!({"location": "westeurope", "properties": {"securityRules": []}});
        let made = self.bench.call("PUT", &format!("{id}?{NETWORK}"), &body);
        assert!(made.status < 300, "{made:?}");
        self.deny_all(&id);
        id
    }

    /// Denies all in an NSG, and takes away what it allowed.
    pub(crate) fn deny_all(&self, nsg: &str) {
        let old = self
            .bench
            .delete(&format!("{nsg}/securityRules/AllowHttps?{NETWORK}"));
        assert!(old.status < 300 || old.status == 404, "{old:?}");
        self.bench.pass(1);
        self.deny(nsg, "az-in", 101, "Inbound");
        self.deny(nsg, "az-out", 101, "Outbound");
    }

    pub(crate) fn deny(&self, nsg: &str, name: &str, priority: u32, direction: &str) {
        let path = format!("{nsg}/securityRules/{name}?{NETWORK}");
        let rule = json!({"properties": {
            "priority": priority, "direction": direction, "access": "Deny", "protocol": "*",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*",
        }});
        let made = self.bench.call("PUT", &path, &rule);
        assert!(made.status < 300, "{made:?}");
        self.bench.pass(1);
    }

    /// Puts an interface behind an NSG.
    pub(crate) fn put_behind(&self, nic: usize, nsg: &str) {
        let put = self.put_nic(nic, nsg, None);
        assert!(put.status < 300, "{put:?}");
        self.bench.pass(1);
    }

    pub(crate) fn put_nic(&self, nic: usize, nsg: &str, if_match: Option<&str>) -> Answer {
        let path = format!("{}?{NETWORK}", self.name_at("nics", nic));
        let mut body = self.bench.get(&path).body;
        body["properties"]["networkSecurityGroup"] = json!({"id": nsg});
        let mut request = self.bench.request("PUT", &path).json(&body);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        self.bench.send(request)
    }
}

pub(crate) fn profile() -> Profile {
    let profile = json!({
        "bastion": ["10.99.0.0/24"],
        "snapshots": {"resource_group": "rg-forensic-prod"},
        "quarantine": {"resource_group": "rg-security-prod", "name": "nsg-ir-quarantine"},
        "vault": {"account": "stforensicirprodweu", "container": "ir-evidence"},
    });
    serde_json::from_value(profile).unwrap()
}

fn begun(scenario: &Scenario) -> Begun {
    let mut known = Scope::new();
    let drill = names::drill("DRILL-x", Place::Lab, "2026-11-24T03:00:00Z");
    known.set("drill", &drill);
    known.set("profile", &json!(profile()));
    Begun {
        drill: "DRILL-x".to_owned(),
        scenario: ScenarioRef {
            name: scenario.name.clone(),
            version: scenario.version.clone(),
            digest: String::new(),
            title: scenario.title.clone(),
        },
        place: Place::Lab,
        profile: "lab".to_owned(),
        cloud: "lab".to_owned(),
        tenant: String::new(),
        subscriptions: vec![SUB.rsplit('/').next().unwrap().to_owned()],
        by: By::People,
        participants: Vec::new(),
        observer: None,
        blind: false,
        names: names::of_lab(scenario, &known).unwrap(),
        azir: String::new(),
    }
}
