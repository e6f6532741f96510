//! The drills by themselves, in the lab at realistic latencies on a clock that runs ten times as fast: how long each
//! takes, and what it scores: `cargo bench --bench figures -- --drills`.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

/// Runs each so many times, prints, and judges nothing.
pub(crate) fn drills(times: usize) {
    for scenario in azir::drill::shelf::names() {
        for _ in 0..times {
            let home = tempfile::tempdir().expect("a temporary folder");
            let began = Instant::now();
            let done = Command::new(env!("CARGO_BIN_EXE_azir"))
                .args(["drill", "start", scenario, "--lab", "--auto"])
                .args(["--clock-scale", "10", "--output", "json"])
                .env_clear()
                .env("AZIR_HOME", home.path())
                .output()
                .expect("azir runs");
            let took = began.elapsed().as_secs_f64();
            let verdict: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
            println!(
                "drill {scenario}: {took:.2} s, score {}, contained {} s and eradicated {} s after the finding",
                verdict["score"], verdict["contained"]["seconds"], verdict["eradicated"]["seconds"],
            );
        }
    }
}
