//! A run of azir against a lab that follows a script, on a clock that runs thirty times as fast on both sides.

use std::sync::Arc;

use azir::azure::{
    AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Fence, Http, SdkCredential,
};
use azir::clock::{Clock, SystemClock};
use azir::engine::{Engine, RunRequest};
use azir::journal::verify::{Outside, verify};
use azir::lab::{Faults, Lab, Options, ScaledClock};
use azir::random::SystemRandom;
use azir::secret::Secret;
use serde_json::{Value, json};

use crate::lab_support::options;
use crate::support::{SUB, bare};

/// A run that has ended.
pub(crate) struct Staged {
    pub(crate) lab: Lab,
    pub(crate) code: u8,
    pub(crate) report: Value,
    /// The journal's lines.
    pub(crate) journal: String,
}

/// Returns the id of what lies in a resource group.
pub(crate) fn id(below: &str) -> String {
    format!("{SUB}/resourceGroups/{below}")
}

/// Returns a client of a lab, behind a fence where one is given.
pub(crate) async fn client(lab: &Lab, clock: &Arc<dyn Clock>, fence: Option<Arc<Fence>>) -> Client {
    let ready = lab.ready();
    let http = Http::new(Some(&std::fs::read(&ready.ca).unwrap())).unwrap();
    let cloud = Cloud::find(&ready.arm, &http, &SystemClock).await.unwrap();
    let environment = AuthEnvironment {
        tenant: Some(ready.tenant_id.clone()),
        client_id: Some(ready.client_id.clone()),
        client_secret: Some(Secret::new(ready.client_secret.clone())),
        ..AuthEnvironment::default()
    };
    let kind = Some(AuthKind::Env);
    let credential = SdkCredential::choose(kind, &environment, &cloud, &http).unwrap();
    Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock: Arc::clone(clock),
        random: Arc::new(SystemRandom),
        fence,
    })
}

fn request(runbook: &str, target: &str) -> RunRequest {
    RunRequest {
        targets: vec![target.to_owned()],
        yes: true,
        ..crate::support::asked(runbook)
    }
}

/// Runs a runbook while one rule of a script of faults holds.
pub(crate) async fn run(runbook: &str, target: &str, script: Value) -> Staged {
    run_with(runbook, target, |options, _| {
        options.faults = Faults::parse(&json!({"faults": [script]}).to_string()).unwrap();
    })
    .await
}

/// Runs a runbook, with what is changed of the usual lab and of what is asked.
pub(crate) async fn run_with(
    runbook: &str,
    target: &str,
    change: impl FnOnce(&mut Options, &mut RunRequest),
) -> Staged {
    let home = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(Arc::new(SystemClock), 30.0));
    let mut options = Options {
        clock: Arc::clone(&clock),
        lro: 0.0,
        ..options(home.path())
    };
    let mut request = request(runbook, target);
    change(&mut options, &mut request);
    let lab = Lab::start(options).unwrap();
    let profile = json!({
        "bastion": ["10.99.0.0/24"],
        "snapshots": {"resource_group": "rg-forensic-prod"},
        "quarantine": {"resource_group": "rg-security-prod", "name": "nsg-ir-quarantine"},
        "vault": {"account": "stforensicirprodweu", "container": "ir-evidence"},
    });
    let profile = serde_json::from_value(profile).unwrap();
    let client = client(&lab, &clock, None).await;
    let cases = home.path().join("cases");
    let (engine, _stop) = Engine::alone(client, profile, cases, clock, Arc::new(SystemRandom));
    let ended = engine.run(request).await.unwrap();
    let verdict = verify(&ended.run_dir, &Outside::default());
    assert_eq!(verdict.exit_code, 2, "{:?}", verdict.findings);
    let shown = bare(home.path(), &["show", "last", "--output", "json"]);
    let journal = bare(home.path(), &["journal", "export", "last"]).stdout;
    Staged {
        lab,
        code: ended.exit_code,
        report: serde_json::from_str(&shown.stdout).unwrap(),
        journal,
    }
}

impl Staged {
    /// Returns a step of the report.
    pub(crate) fn step(&self, id: &str) -> &Value {
        let steps = self.report["targets"][0]["steps"].as_array().unwrap();
        steps.iter().find(|step| step["id"] == id).unwrap()
    }

    /// Returns the statuses with which writes to a path were answered.
    pub(crate) fn answers(&self, method: &str, below: &str) -> Vec<u16> {
        let path = id(below);
        let requests = self.lab.requests().into_iter();
        requests
            .filter(|request| request.method == method && request.path.eq_ignore_ascii_case(&path))
            .map(|request| request.status)
            .collect()
    }
}
