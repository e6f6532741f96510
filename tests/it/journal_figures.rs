//! What verifying costs: against the machine's own sha256sum, and in memory.

use std::fs;
use std::io::Write as _;
use std::time::Instant;

use serde_json::json;

use crate::journal_kit::{Forge, inside};

#[test]
#[ignore = "needs an optimized build and minutes"]
fn a_million_entries_are_verified_at_half_the_speed_of_sha256sum_and_below_192_mb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg-000001.jsonl");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    let mut forge = Forge::started();
    for n in 0..500_000_u64 {
        let id = format!("00000000-0000-4000-8000-{n:012x}");
        let cited = json!({"sha256": format!("{n:064x}"), "size": n, "stored": {"uri": "u"}});
        let intent = forge.say("action.intent", json!({"client_request_id": id, "before": cited, "target": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-app-01"}));
        forge.say(
            "action.result",
            json!({"intent": intent, "outcome": "ok", "status": 200, "request_id": id}),
        );
        file.write_all(&forge.bytes).unwrap();
        forge.bytes.clear();
    }
    file.flush().unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let began = Instant::now();
    let sum = std::process::Command::new("sha256sum")
        .arg(&path)
        .output()
        .unwrap();
    let theirs = began.elapsed();
    assert!(sum.status.success());
    let began = Instant::now();
    let report = inside(folder.path());
    let ours = began.elapsed();
    assert_eq!(
        (report.exit_code, report.entries),
        (2, 1_000_001),
        "{:?}",
        report.findings
    );
    let peak = fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!(
        "{size} bytes: sha256sum {theirs:?}, verify {ours:?}, peak {} MB",
        peak / 1024
    );
    assert!(ours < theirs * 2);
    assert!(peak < 192 * 1024);
}
