//! The lab itself: how long it takes to start, to be seeded with a thousand machines, and how many requests it answers a
//! second of its own processor time, so that what is measured against it is azir and not the lab:
//! `cargo bench --bench figures -- --lab`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The lab's clients, each over a connection that is kept alive.
const CONNECTIONS: usize = 8;

/// Measures and prints.
pub(crate) fn lab(seconds: f64) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let many = home.path().join("many.yaml");
    let scenario = include_str!("../src/lab/scenarios/default.yaml");
    std::fs::write(
        &many,
        format!("{scenario}\nmany: {{vms: 1000, group: rg-workload-prod, location: westeurope}}\n"),
    )
    .expect("a scenario");
    let (usual, took) = start(home.path(), &[]);
    end(usual.0);
    let (child, took_many) = start(home.path(), &["--scenario", many.to_str().expect("a path")]);
    println!(
        "lab: ready {:.0} ms after its process was started, with 1,000 more machines {:.0} ms",
        took.as_secs_f64() * 1e3,
        took_many.as_secs_f64() * 1e3,
    );
    let (child, ready) = child;
    let before = processor_seconds(child.id());
    let began = Instant::now();
    let answered = ask(&ready, seconds);
    let (wall, used) = (
        began.elapsed().as_secs_f64(),
        processor_seconds(child.id()) - before,
    );
    end(child);
    println!(
        "lab: {answered} reads of a machine over {CONNECTIONS} kept-alive TLS connections in {wall:.1} s, {:.0} a second of the lab's own processor time",
        answered as f64 / used,
    );
}

/// Starts a lab in a process of its own; returns what it says when it is ready, and after how long.
fn start(home: &Path, more: &[&str]) -> ((Child, Value), Duration) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args([
            "lab",
            "serve",
            "--port",
            "0",
            "--latency",
            "0",
            "--lro",
            "0",
        ])
        .args(more)
        .env("AZIR_HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("azir");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("a line");
    let ready = serde_json::from_str(&line).expect("JSON");
    ((child, ready), began.elapsed())
}

fn end(mut child: Child) {
    child.kill().expect("a lab");
    child.wait().expect("its end");
}

/// Returns the processor time that a process has used, in seconds: all of its threads.
fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may have spaces; what follows it has not.
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = |place: usize| -> f64 {
        let word = after.split(' ').nth(place);
        word.and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
    };
    // utime and stime, in hundredths of a second as Linux tells them everywhere (proc(5)).
    (ticks(11) + ticks(12)) / 100.0
}

/// Asks for so many seconds; returns how many answers came, each of them 200.
fn ask(ready: &Value, seconds: f64) -> u64 {
    let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
    let pem = std::fs::read(text("ca")).expect("a certificate");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // One that is there already says no: it is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime.block_on(async {
        let client = || {
            let certificate = reqwest::Certificate::from_pem(&pem).expect("a certificate");
            reqwest::Client::builder()
                .add_root_certificate(certificate)
                .http1_only()
                .no_proxy()
                .build()
                .expect("a client")
        };
        let arm = text("arm");
        let token: Value = client()
            .post(format!("{arm}/{}/oauth2/v2.0/token", text("tenant_id")))
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &text("client_id")),
                ("client_secret", &text("client_secret")),
                ("scope", &format!("{arm}/.default")),
            ])
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let machine = format!(
            "{arm}/subscriptions/{}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01?api-version=2024-11-01",
            text("subscription_id")
        );
        let answered = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let each = (0..CONNECTIONS).map(|_| {
            let (client, machine, token, answered) =
                (client(), machine.clone(), token.clone(), Arc::clone(&answered));
            async move {
                while Instant::now() < until {
                    let sent = client.get(&machine).bearer_auth(&token).send().await;
                    let answer = sent.expect("an answer");
                    assert_eq!(answer.status().as_u16(), 200);
                    answer.bytes().await.expect("a body");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        futures_util::future::join_all(each).await;
        answered.load(Ordering::Relaxed)
    })
}
