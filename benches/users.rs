//! Many users cut off at once, under the documented throttles: `cargo bench --bench figures -- --users 10000 4`.
//!
//! The lab runs in a process of its own, azir in another, both on clocks that run as many times faster as the second
//! number says; the memory told is azir's alone. What is run is the shipped `revoke-user --cut-only`.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::alone::{self, Job};

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
    let mut lab = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args([
            "lab",
            "serve",
            "--throttle",
            "1",
            "--clock-scale",
            &factor.to_string(),
        ])
        .arg("--scenario")
        .arg(&scenario)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a lab");
    let mut ready = String::new();
    let mut told = std::io::BufReader::new(lab.stdout.take().expect("its output"));
    told.read_line(&mut ready).expect("a line");
    let job = Job {
        runbook: "revoke-user".to_owned(),
        arguments: [("cut-only".to_owned(), json!(true))].into_iter().collect(),
        targets: (0..count).map(name).collect(),
        profile: json!({}),
        factor,
        ready: serde_json::from_str(&ready).expect("what the lab says"),
    };
    let told = alone::run(&job, home.path());
    lab.kill().expect("an end of the lab");
    lab.wait().expect("an end of the lab");
    let (reads, writes) = bound(count);
    let bound = reads + writes;
    let seconds = told.seconds("started_at", "contained_at");
    // One window's worth is written at once.
    let ratio = if bound > 0.0 {
        format!("{:.3}", seconds / bound)
    } else {
        "none".to_owned()
    };
    println!(
        "revoke-user --cut-only, {count} users, clock x{factor}: cut and checked after {seconds:.0} s, bound {bound:.0} s ({reads:.0} to read, {writes:.0} to write), ratio {ratio}; {} requests, {} refused by throttles, {} failed; peak memory {:.0} MB; {} journal entries, verified",
        told.number("requests"),
        told.number("throttled"),
        told.number("failed"),
        told.number("kilobytes") / 1024.0,
        told.number("entries"),
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
