//! Many users cut off at once, under the documented throttles: `cargo bench --bench figures -- --users 10000 4`.
//!
//! The lab runs in a process of its own, azir in another, both on clocks that run as many times faster as the second
//! number says; the memory told is azir's alone. What is run is the shipped `revoke-user --cut-only`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use azir::azure::{AuthEnvironment, AuthKind, Client, ClientOptions, Cloud, Http, SdkCredential};
use azir::clock::{Clock, SystemClock};
use azir::engine::{Bulk, Engine, Mode, Responder, RunRequest};
use azir::journal::verify::{Outside, verify};
use azir::lab::ScaledClock;
use azir::random::SystemRandom;
use azir::runbook::catalogue::Catalogue;
use azir::secret::Secret;
use serde_json::{Value, json};

/// Asks this program to be the azir that is measured.
pub(crate) const ALONE: &str = "--users-alone";

/// Writes that each user takes: sessions revoked, account disabled, sessions revoked once more.
const WRITES: usize = 3;
/// Resource units of what is read of each user before the burst: the user, the groups, the roles with what they are, and
/// the roles of azir's own identity.
const UNITS: usize = 5;
/// The tenant's limit of writes for one application (graph-and-data-planes.md section 4): so many in so many seconds.
const LIMIT: (usize, f64) = (3_000, 150.0);

/// Runs and prints one line.
pub(crate) fn users(count: usize, factor: f64) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let scenario = home.path().join("many.yaml");
    std::fs::write(&scenario, tenant(count)).expect("a scenario");
    let factor = factor.to_string();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["lab", "serve", "--throttle", "1", "--clock-scale", &factor])
        .arg("--scenario")
        .arg(&scenario)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a lab");
    let mut ready = String::new();
    let mut told = std::io::BufReader::new(lab.stdout.take().expect("its output"));
    told.read_line(&mut ready).expect("a line");
    let itself = std::env::current_exe().expect("this program");
    let output = Command::new(itself)
        .args([ALONE, &count.to_string(), &factor, ready.trim()])
        .arg(home.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("azir");
    lab.kill().expect("an end of the lab");
    lab.wait().expect("an end of the lab");
    assert!(output.status.success(), "azir failed");
    let told: Value = serde_json::from_slice(&output.stdout).expect("figures");
    let number = |name: &str| told[name].as_f64().unwrap_or(f64::NAN);
    let (reads, writes) = bound(count);
    let bound = reads + writes;
    let time = |name: &str| {
        let text = told[name].as_str().unwrap_or_default();
        chrono::DateTime::parse_from_rfc3339(text).expect("a time")
    };
    let passed = time("contained_at") - time("started_at");
    let seconds = passed.num_milliseconds() as f64 / 1e3;
    // One window's worth is written at once.
    let ratio = if bound > 0.0 {
        format!("{:.3}", seconds / bound)
    } else {
        "none".to_owned()
    };
    println!(
        "revoke-user --cut-only, {count} users, clock x{factor}: cut and checked after {seconds:.0} s, bound {bound:.0} s ({reads:.0} to read, {writes:.0} to write), ratio {ratio}; {} requests, {} refused by throttles, {} failed; peak memory {:.0} MB; {} journal entries, verified",
        told["requests"],
        told["throttled"],
        told["failed"],
        number("kilobytes") / 1024.0,
        told["entries"],
    );
}

/// The default tenant with more users.
fn tenant(count: usize) -> String {
    use std::fmt::Write as _;
    let mut users = "\ndirectory:\n  users:\n".to_owned();
    for number in 0..count {
        writeln!(users, "    - {{userPrincipalName: {}}}", name(number)).expect("a line");
    }
    include_str!("../src/lab/scenarios/default.yaml").replacen(
        "\ndirectory:\n  users:\n",
        &users,
        1,
    )
}

fn name(number: usize) -> String {
    format!("user{number:05}@contoso.com")
}

/// Seconds that it must take: all users are read before the first is written to, and of reads and of writes a full
/// window is sent at once, the next when it has gone by.
fn bound(count: usize) -> (f64, f64) {
    let windows = |sum: usize, (most, span): (usize, f64)| {
        let full = sum.saturating_sub(1) / most;
        full as f64 * span
    };
    let units = match count {
        0..50 => 3_500,
        50..500 => 5_000,
        _ => 8_000,
    };
    let reads = windows(count * UNITS, (units, 10.0));
    (reads, windows(count * WRITES, LIMIT))
}

/// Is the azir that is measured; prints its figures as JSON.
pub(crate) fn alone(args: &[String]) {
    let [count, factor, ready, home] = args else {
        panic!("{ALONE} COUNT FACTOR READY HOME");
    };
    let ready: Value = serde_json::from_str(ready).expect("what the lab says");
    let count = count.parse().expect("a number");
    let factor = factor.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let figures = runtime.block_on(cut(count, factor, &ready, Path::new(home)));
    println!("{figures}");
}

async fn cut(count: usize, factor: f64, ready: &Value, home: &Path) -> Value {
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
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(Arc::new(SystemClock), factor));
    let random = Arc::new(SystemRandom);
    let client = Client::new(ClientOptions {
        cloud,
        http,
        credential: Arc::new(credential),
        clock: Arc::clone(&clock),
        random: random.clone(),
    });
    let profile = azir::engine::profile::Profile::default();
    let (engine, _stop) = Engine::alone(client, profile, home.join("cases"), clock, random);
    let (runbook, text) = Catalogue::shipped()
        .load("revoke-user")
        .expect("the runbook");
    let request = RunRequest {
        runbook,
        text,
        origin: "shipped".to_owned(),
        arguments: [("cut-only".to_owned(), json!(true))].into_iter().collect(),
        targets: (0..count).map(name).collect(),
        bulk: Bulk::default(),
        once: None,
        incident: "IR-1".parse().expect("an incident id"),
        mode: Mode::Execute,
        choices: BTreeMap::new(),
        accept: BTreeSet::new(),
        yes: true,
        responder: Responder {
            upn: "rita@contoso.com".to_owned(),
            name: None,
            oid: None,
        },
        authority: None,
        ticket: None,
        detected_at: None,
        over_guards: BTreeSet::new(),
        approved: None,
        clearances: Vec::new(),
    };
    let ended = engine.run(request).await.expect("a run");
    let kilobytes = peak();
    let verdict = verify(&ended.run_dir, &Outside::default());
    assert_eq!(verdict.exit_code, 2, "{:?}", verdict.findings);
    figures(&ended.run_dir, ended.exit_code, verdict.entries, kilobytes)
}

/// Reads from the journal what came of it.
fn figures(run: &Path, exit_code: u8, entries: u64, kilobytes: Option<u64>) -> Value {
    let told = azir::report::run::told(run).expect("a report");
    let (mut requests, mut throttled, mut failed) = (0_u64, 0_u64, 0_u64);
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
                requests += 1;
                throttled += u64::from(line["data"]["status"] == 429);
                failed += u64::from(line["data"]["outcome"] != "ok");
            }
        }
    }
    assert!([0, 4].contains(&exit_code), "exit {exit_code}");
    json!({
        "requests": requests, "throttled": throttled, "failed": failed, "entries": entries,
        "started_at": told.started_at, "contained_at": told.contained_at, "kilobytes": kilobytes, "exit_code": exit_code,
    })
}

/// The peak of resident memory in kB, where the system says it.
pub(crate) fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
