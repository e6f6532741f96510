//! What the record of a real run costs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use azir::journal;
use serde_json::json;

use crate::journal_kit::Forge;
use crate::support::Azir;

#[test]
fn an_ordinary_actions_line_is_at_most_1200_bytes_long() {
    let azir = Azir::new();
    let run = azir.run(&[
        "isolate-vm",
        "vm-hard-01",
        "--incident",
        "IR-1",
        "--yes",
        "--choose",
        "cut_roles_which=all",
    ]);
    assert!(matches!(run.code, 0 | 4), "{}{}", run.stdout, run.stderr);
    let run_dir = azir.run_dir("IR-1");
    let text = std::fs::read_to_string(run_dir.join("seg-000001.jsonl")).unwrap();
    let lines = journal::read(&run_dir).unwrap().lines;
    let mut sizes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (line, text) in lines.iter().zip(text.split_inclusive('\n')) {
        sizes.entry(&line.kind).or_default().push(text.len());
    }
    for kind in ["action.intent", "action.result"] {
        let sizes = &sizes[kind];
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        let largest = sizes.iter().max().unwrap();
        println!(
            "{kind}: {} lines, {mean} bytes each, {largest} at most",
            sizes.len()
        );
        // A resource id is up to 260 bytes and stands in an intent three times; few are that long.
        assert!(mean <= 1200, "{kind}: {mean}, {largest}");
    }
    let writes = lines
        .iter()
        .filter(|line| line.kind == "action.intent" && line.data["effect"] != "read")
        .count();
    assert!(writes > 8, "only {writes} writes");
}

#[test]
#[ignore = "needs minutes"]
fn a_million_entries_are_verified_in_less_than_192_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg-000001.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut forge = Forge::started();
    for n in 1..1_000_000 {
        forge.say(
            "note",
            json!({"n": n, "text": "a line as long as others are"}),
        );
        // The lines are on disk, not here: this process is not what is measured.
        file.write_all(&std::mem::take(&mut forge.bytes)).unwrap();
    }
    file.into_inner().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["journal", "verify", "--output", "json"])
        .arg(folder.path())
        .env("AZIR_HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The kernel keeps the highest mark, so the last look before the end is the one that counts.
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let mark = status.unwrap_or_default();
        let mark = mark.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = mark.and_then(|mark| mark.trim().strip_suffix(" kB")?.parse().ok());
        peak = kilobytes.unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &report["entries"]),
        (Some(2), &json!(1_000_000))
    );
    println!("a million entries: {} MB at most", peak / 1024);
    assert!(peak > 0 && peak < 192 * 1024, "{peak} kB");
}
