//! What the record of a real run costs.

use std::collections::BTreeMap;

use azir::journal;

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
