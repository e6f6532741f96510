//! The figures of the README's performance section: `cargo bench --bench figures`.
//!
//! Measures, prints, and judges nothing; `--test` does everything once and small, to see that it works. What takes
//! minutes is asked for: `--users COUNT FACTOR` cuts so many users off, and `--vms COUNT FACTOR` isolates so many machines,
//! on a clock that runs so many times faster; with `--poll-after SECONDS`, operations ask for that between polls.
//! `--az COUNT` isolates machines with the Azure CLI instead, and `--install-az FOLDER` installs it there first. `--keep`
//! puts what was measured of machines into `figures.csv` and draws `figures.svg` from all that is there. `--lab` measures
//! the lab, `--drills` the drills.
#![expect(clippy::print_stdout, reason = "figures are printed")]

mod alone;
mod az;
mod drills;
mod lab;
mod record;
mod users;
mod vms;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use azir::clock::SystemClock;
use azir::journal::verify::{Outside, verify};
use azir::journal::{Actor, Entry, RunStart, Writer, WriterDeps};
use azir::lab::scenario::Scenario;
use azir::lab::{Faults, Lab, Options};
use azir::random::{Random, SystemRandom};
use serde_json::{Map, Value, json};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, only, run] = &args[..]
        && only == VERIFY
    {
        return verify_alone(Path::new(run));
    }
    if let [_, only, job] = &args[..]
        && only == alone::ALONE
    {
        return alone::alone(Path::new(job));
    }
    let after = |flag: &str| args.iter().position(|arg| arg == flag);
    let number = |at: usize| args.get(at).and_then(|number| number.parse::<f64>().ok());
    if let Some(at) = after("--users") {
        let (count, factor) = number(at + 1)
            .zip(number(at + 2))
            .expect("--users COUNT FACTOR");
        return users::users(count as usize, factor);
    }
    if after("--drills").is_some() {
        return drills::drills(3);
    }
    if after("--lab").is_some() {
        return lab::lab(5.0);
    }
    let (many, by_hand) = (after("--vms"), after("--az"));
    if many.is_some() || by_hand.is_some() {
        let poll_after =
            after("--poll-after").map(|at| number(at + 1).expect("--poll-after SECONDS") as u64);
        let azir = many.map(|at| {
            let (count, factor) = number(at + 1)
                .zip(number(at + 2))
                .expect("--vms COUNT FACTOR");
            vms::vms(count as usize, factor, poll_after)
        });
        let az = by_hand.map(|at| {
            let count = number(at + 1).expect("--az COUNT");
            let folder = after("--install-az").and_then(|at| args.get(at + 1));
            let itself = folder.map_or_else(az::found, |folder| az::install(Path::new(folder)));
            az::az(&itself, count as usize)
        });
        if args.iter().any(|arg| arg == "--keep") {
            let rows: Vec<_> = azir.into_iter().chain(az).collect();
            record::keep(&rows);
        }
        return;
    }
    let small = args.iter().any(|arg| arg == "--test");
    help(if small { 3 } else { 50 });
    journal(if small { 200 } else { 1_000_000 });
    overhead(if small { 0.02 } else { 1.0 }, if small { 1 } else { 3 });
    if small {
        lab::lab(0.2);
        users::users(2, 10.0);
        vms::vms(2, 10.0, None);
    }
}

/// The median wall time of `azir --help`, process start included.
fn help(times: usize) {
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let began = Instant::now();
            let status = Command::new(env!("CARGO_BIN_EXE_azir"))
                .arg("--help")
                .stdout(Stdio::null())
                .status();
            assert!(status.is_ok_and(|status| status.success()));
            began.elapsed()
        })
        .collect();
    taken.sort();
    println!(
        "azir --help, median of {times}: {:.2} ms",
        taken[times / 2].as_secs_f64() * 1e3
    );
}

/// Appending one at a time with a flush each, and verifying against hashing alone.
fn journal(entries: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (durable, bytes) = runtime.block_on(write(&run, entries));
    println!(
        "journal: {durable:.0} durable intents a second (one flush each), {bytes} bytes an entry"
    );
    let segment = run.join("seg-000001.jsonl");
    // Both read what is in the cache already, one after the other, and the better of three counts for each.
    let (mut verified, mut hashed) = (f64::MAX, f64::MAX);
    let mut entries = String::new();
    let mut peak = None;
    for _ in 0..3 {
        let began = Instant::now();
        let status = Command::new("sha256sum")
            .arg(&segment)
            .stdout(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            hashed = hashed.min(began.elapsed().as_secs_f64());
        }
        let itself = std::env::current_exe().expect("this program");
        let output = Command::new(itself)
            .args([VERIFY.as_ref(), run.as_os_str()])
            .output()
            .expect("a verifier");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = told.split_whitespace();
        let mut word = || words.next().unwrap_or_default();
        let (count, seconds, kilobytes) = (word(), word(), word());
        assert!(output.status.success(), "{told}");
        verified = verified.min(seconds.parse().expect("seconds"));
        peak = peak.max(kilobytes.parse::<u64>().ok());
        entries = count.to_owned();
    }
    let ratio = if hashed < f64::MAX {
        format!("{:.2} of the speed of sha256sum", hashed / verified)
    } else {
        "no sha256sum to compare with".to_owned()
    };
    let peak = peak.map_or("peak memory unknown here".to_owned(), |peak| {
        format!("peak memory {:.1} MB", peak as f64 / 1024.0)
    });
    println!(
        "verify: {entries} entries in {:.0} ms, {ratio}, {peak}",
        verified * 1e3
    );
}

/// Asks this program to verify a run in a process of its own, whose memory is that of the verifier alone.
const VERIFY: &str = "--verify-alone";

/// Prints the number of entries, the seconds it took, and the peak of resident memory in kB where the system says it.
fn verify_alone(run: &Path) {
    let began = Instant::now();
    let report = verify(run, &Outside::default());
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(report.exit_code, 2, "{:?}", report.findings);
    let peak = alone::peak().map_or("unknown".to_owned(), |peak| peak.to_string());
    println!("{} {seconds} {peak}", report.entries);
}

async fn write(run: &Path, entries: u64) -> (f64, u64) {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let start = RunStart {
        incident: "IR-1".parse().expect("an incident id"),
        run: random.uuid(),
        mode: "execute".into(),
        responder: "alice@contoso.example".into(),
        responder_name: None,
        responder_oid: None,
        data: Map::new(),
    };
    let writer = Writer::create(
        run,
        start,
        WriterDeps::real(Arc::new(SystemClock), Arc::clone(&random)),
    )
    .expect("a journal");
    let entry = |kind, data: Value| Entry {
        kind,
        actor: Actor::Azir,
        data: data.as_object().cloned().unwrap_or_default(),
    };
    let durable = entries.min(1_000);
    let began = Instant::now();
    for _ in 0..durable {
        let intent = json!({"client_request_id": random.uuid().to_string(), "step": "swap", "target_index": 0, "item": "/subscriptions/2/x", "effect": "update"});
        let seq = writer
            .append_durable(entry("action.intent", intent))
            .await
            .expect("an intent");
        writer
            .append(entry(
                "action.result",
                json!({"intent": seq, "outcome": "ok", "status": 200}),
            ))
            .await
            .expect("a result");
    }
    let per_second = durable as f64 / began.elapsed().as_secs_f64();
    for number in 2 * durable..entries {
        writer.append(entry("note", json!({"kind": "bench", "number": number, "text": "as long as an ordinary line of a run's journal is, more or less"}))).await.expect("a note");
    }
    let head = writer.close().await.expect("an end");
    let bytes = std::fs::metadata(run.join("seg-000001.jsonl"))
        .expect("the segment")
        .len();
    (per_second, bytes / head.entries)
}

/// One machine with 4 disks, 3 interfaces and 3 identities: the time to contained against the critical path.
fn overhead(scale: f64, times: usize) {
    let mut ratios: Vec<(f64, f64)> = (0..times).map(|_| one_machine(scale)).collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, path) = ratios[times / 2];
    println!(
        "isolate-vm, 4 disks, 3 interfaces, 3 identities: contained after {seconds:.2} s, critical path {path:.2} s, ratio {:.3}",
        seconds / path
    );
}

fn one_machine(scale: f64) -> (f64, f64) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let yaml =
        include_str!("../src/lab/scenarios/default.yaml").replace(", sku: PremiumV2_LRS", "");
    let lab = Lab::start(Options {
        scenario: Scenario::load(&yaml).expect("a scenario"),
        port: 0,
        state: None,
        latency: scale,
        lro: scale,
        throttle: Some(1.0),
        retry_after: None,
        poll_after: None,
        bodies: false,
        page: None,
        replication: std::time::Duration::from_secs(2),
        faults: Faults::default(),
        folder: home.path().join("lab"),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    })
    .expect("a lab");
    let ready = lab.ready();
    let config = "profile = \"p\"\n[profiles.p]\nbastion = [\"10.99.0.0/24\"]\nsnapshots = { resource_group = \"rg-forensic-prod\" }\nquarantine = { resource_group = \"rg-security-prod\", name = \"nsg-ir-quarantine\" }\n";
    std::fs::write(home.path().join("config.toml"), config).expect("a configuration");
    let output = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args([
            "isolate-vm",
            "vm-hard-01",
            "--incident",
            "IR-1",
            "--yes",
            "--output",
            "json",
        ])
        .env("AZIR_HOME", home.path())
        .env("AZIR_CLOUD", &ready.arm)
        .env("AZIR_CA_BUNDLE", &ready.ca)
        .env("AZURE_TENANT_ID", &ready.tenant_id)
        .env("AZURE_CLIENT_ID", &ready.client_id)
        .env("AZURE_CLIENT_SECRET", &ready.client_secret)
        .output()
        .expect("a run");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(output.status.code(), Some(0), "{report}");
    let time = |name: &str| {
        chrono::DateTime::parse_from_rfc3339(report[name].as_str().unwrap_or_default())
            .expect("a time")
    };
    let seconds = (time("contained_at") - time("started_at")).num_milliseconds() as f64 / 1e3;
    (seconds, critical_path(scale, None))
}

/// The longest chain of requests that the runbook must make, by the lab's latencies and azir's poll grid, or
/// the seconds that operations ask for between polls.
fn critical_path(scale: f64, poll_after: Option<u64>) -> f64 {
    let (get, write, poll) = (60.0 * scale, 150.0 * scale, 30.0 * scale);
    let operation = |millis: f64| {
        let (mut waited, mut pause) = (0.0, 500.0);
        if let Some(seconds) = poll_after {
            pause = seconds as f64 * 1e3;
        }
        loop {
            waited += pause + poll;
            if waited >= millis * scale {
                return waited + get;
            }
            if poll_after.is_none() {
                pause = f64::min(pause * 1.5, 10_000.0);
            }
        }
    };
    // Machine, disks; snapshots and their gate; interfaces; the rule that flushes; the machine once more;
    // its identities.
    let preserve = get + get + write + operation(2_500.0) + get;
    let isolate = get + write + operation(1_000.0) + get + write + operation(1_000.0);
    let identity = get + write + operation(3_000.0);
    (preserve + isolate + identity) / 1e3
}
