//! Many users cut in one burst by a tenant that takes far less than is documented: everybody is cut, nobody is given up.

use std::sync::Arc;
use std::time::Duration;

use azir::azure::{AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Http, SdkCredential};
use azir::clock::{Clock, SystemClock};
use azir::engine::profile::Profile;
use azir::engine::{Engine, RunRequest};
use azir::journal::verify::{Outside, verify};
use azir::lab::scenario::Scenario;
use azir::lab::{Lab, Options, ScaledClock};
use azir::random::SystemRandom;
use azir::secret::Secret;
use serde_json::json;

use crate::lab_support::options;

/// More than are looked at, or collected from, at once.
const USERS: usize = 140;

fn name(number: usize) -> String {
    format!("user{number:03}@contoso.com")
}

fn tenant() -> Scenario {
    let mut users = String::new();
    for number in 0..USERS {
        users += &format!("    - {{userPrincipalName: {}}}\n", name(number));
    }
    let head = "\ndirectory:\n  users:\n";
    let default = include_str!("../../src/lab/scenarios/default.yaml");
    Scenario::load(&default.replacen(head, &format!("{head}{users}"), 1)).unwrap()
}

async fn client(lab: &Lab, clock: &Arc<dyn Clock>) -> Client {
    let ready = lab.ready();
    let http = Http::new(Some(&std::fs::read(&ready.ca).unwrap())).unwrap();
    let cloud = Cloud::find(&ready.arm, &http, &SystemClock).await.unwrap();
    let environment = AuthEnvironment {
        tenant: Some(ready.tenant_id.clone()),
        client_id: Some(ready.client_id.clone()),
        client_secret: Some(Secret::new(ready.client_secret.clone())),
        ..AuthEnvironment::default()
    };
    let credential =
        SdkCredential::choose(Some(AuthKind::Env), &environment, &cloud, &http).unwrap();
    Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock: Arc::clone(clock),
        random: Arc::new(SystemRandom),
        fence: None,
    })
}

fn request() -> RunRequest {
    RunRequest {
        arguments: [("cut-only".to_owned(), json!(true))].into_iter().collect(),
        targets: (0..USERS).map(name).collect(),
        yes: true,
        ..crate::support::asked("revoke-user")
    }
}

#[tokio::test]
async fn nobody_is_given_up_by_a_tenant_that_takes_a_hundredth() {
    let home = tempfile::tempdir().unwrap();
    // Hours of the tenant pass in seconds, on both sides alike.
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(Arc::new(SystemClock), 200.0));
    let lab = Lab::start(Options {
        scenario: tenant(),
        throttle: Some(0.01),
        replication: Duration::from_secs(2),
        clock: Arc::clone(&clock),
        ..options(home.path())
    })
    .unwrap();
    let client = client(&lab, &clock).await;
    let cases = home.path().join("cases");
    let random = Arc::new(SystemRandom);
    let (engine, _stop) = Engine::alone(client, Profile::default(), cases, clock, random);
    let ended = engine.run(request()).await.unwrap();
    assert_eq!(ended.exit_code, 0);
    let verdict = verify(&ended.run_dir, &Outside::default());
    assert_eq!(verdict.exit_code, 2, "{:?}", verdict.findings);
    let requests = lab.requests();
    let refused = requests.iter().filter(|request| request.status == 429);
    assert!(refused.count() > 0, "the tenant did not throttle");
    let state = lab.state();
    let users = state["directory"]["users"].as_object().unwrap().values();
    let cut = users.filter(|user| {
        let own = user["userPrincipalName"].as_str().unwrap_or_default();
        own.starts_with("user") && user["accountEnabled"] == false
    });
    assert_eq!(cut.count(), USERS);
    // So many are read together.
    let batches = requests
        .iter()
        .filter(|request| request.path == "/v1.0/$batch");
    assert!(batches.count() > 0);
}
