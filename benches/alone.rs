//! An azir of its own: a process that carries one run out on a faster clock, so that the memory told is azir's alone.
//!
//! The bench starts itself again with [`ALONE`] and a file that says what to run and where the lab is. What came of it is
//! read from the journal, which is verified, and printed as JSON.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use azir::azure::{AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Http, SdkCredential};
use azir::clock::{Clock, SystemClock, micros};
use azir::engine::profile::Profile;
use azir::engine::{Engine, Responder, RunRequest};
use azir::journal::verify::{Outside, verify};
use azir::lab::ScaledClock;
use azir::random::SystemRandom;
use azir::runbook::catalogue::Catalogue;
use azir::secret::Secret;
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Asks this program to be the azir that is measured.
pub(crate) const ALONE: &str = "--alone";

/// What is run, and where.
#[derive(Deserialize, Serialize)]
pub(crate) struct Job {
    /// A shipped runbook.
    pub(crate) runbook: String,
    /// Its arguments, without the targets.
    pub(crate) arguments: Map<String, Value>,
    /// The targets as a person types them.
    pub(crate) targets: Vec<String>,
    /// The profile, as the configuration has it.
    pub(crate) profile: Value,
    /// How many times faster the clock runs.
    pub(crate) factor: f64,
    /// What the lab says when it is ready.
    pub(crate) ready: Value,
}

/// What came of it.
pub(crate) struct Told(Value);

impl Told {
    /// Returns a figure.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(f64::NAN)
    }

    /// Returns a time.
    pub(crate) fn time(&self, name: &str) -> DateTime<FixedOffset> {
        let text = self.0[name].as_str().unwrap_or_default();
        DateTime::parse_from_rfc3339(text).expect("a time")
    }

    /// Returns the seconds between two times.
    pub(crate) fn seconds(&self, from: &str, to: &str) -> f64 {
        (self.time(to) - self.time(from)).num_milliseconds() as f64 / 1e3
    }
}

/// Starts an azir of its own in `home` and waits for its end.
pub(crate) fn run(job: &Job, home: &Path) -> Told {
    let file = home.join("job.json");
    let text = serde_json::to_vec(job).expect("JSON");
    std::fs::write(&file, text).expect("a job");
    let itself = std::env::current_exe().expect("this program");
    let output = Command::new(itself)
        .arg(ALONE)
        .arg(&file)
        .stderr(Stdio::inherit())
        .output()
        .expect("azir");
    assert!(output.status.success(), "azir failed");
    Told(serde_json::from_slice(&output.stdout).expect("figures"))
}

/// Is the azir that is measured; prints its figures as JSON.
pub(crate) fn alone(file: &Path) {
    let text = std::fs::read(file).expect("a job");
    let job = serde_json::from_slice(&text).expect("a job");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let home = file.parent().expect("a home");
    println!("{}", runtime.block_on(carry_out(job, home)));
}

async fn carry_out(job: Job, home: &Path) -> Value {
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(Arc::new(SystemClock), job.factor));
    let client = client(&job.ready, &clock).await;
    let profile: Profile = serde_json::from_value(job.profile).expect("a profile");
    let random = Arc::new(SystemRandom);
    let cases = home.join("cases");
    let (engine, _stop) = Engine::alone(client, profile, cases, Arc::clone(&clock), random);
    let loaded = Catalogue::shipped().load(&job.runbook);
    let purely_checked = job.runbook == "isolate-vm";
    let rita = Responder {
        upn: "rita@contoso.com".to_owned(),
        name: None,
        oid: None,
    };
    let incident = "IR-1".parse().expect("an incident id");
    let request = RunRequest {
        arguments: job.arguments.into_iter().collect(),
        targets: job.targets,
        yes: true,
        ..RunRequest::of(loaded.expect("the runbook"), incident, rita)
    };
    let begun_at = micros(clock.now());
    let ended = engine.run(request).await.expect("a run");
    let ended_at = micros(clock.now());
    let kilobytes = peak();
    // Of a user something stays unknown: whether a token that was issued before is still used.
    let good: &[u8] = if purely_checked { &[0] } else { &[0, 4] };
    assert!(good.contains(&ended.exit_code), "exit {}", ended.exit_code);
    let verdict = verify(&ended.run_dir, &Outside::default());
    assert_eq!(verdict.exit_code, 2, "{:?}", verdict.findings);
    let report = azir::report::run::told(&ended.run_dir).expect("a report");
    let results = Results::of(&ended.run_dir);
    json!({
        "begun_at": begun_at, "started_at": report.started_at, "contained_at": report.contained_at, "ended_at": ended_at,
        "requests": results.requests, "throttled": results.throttled, "failed": results.failed,
        "entries": verdict.entries, "kilobytes": kilobytes, "exit_code": ended.exit_code,
    })
}

async fn client(ready: &Value, clock: &Arc<dyn Clock>) -> Client {
    let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
    let pem = std::fs::read(text("ca")).expect("a certificate");
    let http = Http::new(Some(&pem)).expect("a pool");
    let cloud = Cloud::find(&text("arm"), &http, &SystemClock)
        .await
        .expect("a cloud");
    let environment = AuthEnvironment {
        tenant: Some(text("tenant_id")),
        client_id: Some(text("client_id")),
        client_secret: Some(Secret::new(text("client_secret"))),
        ..AuthEnvironment::default()
    };
    let credential = SdkCredential::choose(Some(AuthKind::Env), &environment, &cloud, &http)
        .expect("a credential");
    Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock: Arc::clone(clock),
        random: Arc::new(SystemRandom),
        fence: None,
    })
}

/// What the journal says of the requests; polls are not among them.
#[derive(Default)]
struct Results {
    requests: u64,
    throttled: u64,
    failed: u64,
}

impl Results {
    fn of(run: &Path) -> Self {
        let mut results = Self::default();
        let mut files: Vec<_> = std::fs::read_dir(run)
            .expect("the run's folder")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "jsonl")
            })
            .collect();
        files.sort();
        for file in files {
            let reader = std::io::BufReader::new(std::fs::File::open(file).expect("a segment"));
            for line in reader.lines() {
                let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
                if line["type"] == "action.result" {
                    results.requests += 1;
                    results.throttled += u64::from(line["data"]["status"] == 429);
                    results.failed += u64::from(line["data"]["outcome"] != "ok");
                }
            }
        }
        results
    }
}

/// The peak of resident memory in kB, where the system says it.
pub(crate) fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
