//! A run in other forms: nothing of it lost without a word, nothing from the cloud obeyed, the record untouched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use azir::digest::Digest;
use azir::evidence::Store;
use azir::journal::disk::RealDisk;
use azir::journal::verify::Outside;
use azir::journal::{Actor, Entry, RunStart, Writer};
use azir::report::export::{bag, case, html, timesketch};
use serde_json::{Value, json};

use crate::journal_kit::{ALICE, deps, entry, intent, object, result, start, wait};
use crate::support::{Azir, bare};

/// What an attacker would call a machine.
const HOSTILE: &str = "=cmd|'/C calc'!A0<script>alert(1)</script>\"&\u{1b}[2J\u{202e},\r\n";

/// A run with everything in it that an export must cope with.
fn hostile_run(parent: &Path, mode: &str) -> PathBuf {
    let run_dir = parent.join("run-hostile");
    let start = RunStart {
        mode: mode.to_owned(),
        data: object(json!({
            "purpose": "contain", "cloud": "AzureCloud", "tenant": "t",
            "authority": {"basis": HOSTILE, "ticket": "INC-1", "granted_by": "ciso@contoso.example"},
            "runbook": {"name": HOSTILE, "version": "1.0.0"},
            "targets": [HOSTILE], "deadline_seconds": 300,
        })),
        ..start()
    };
    let writer = Writer::create(&run_dir, start, deps(Arc::new(RealDisk), 1)).unwrap();
    let kept = Store::open(&run_dir).unwrap().put(b"an exhibit").unwrap();
    let human = |kind, data| Entry {
        kind,
        actor: Actor::Human {
            upn: ALICE.to_owned(),
            name: None,
            oid: None,
        },
        data: object(data),
    };
    let entries = [
        entry(
            "step",
            json!({"step": "swap", "target_index": 0, "state": "started", "title": HOSTILE}),
        ),
        Entry {
            data: object(
                json!({"client_request_id": "00000000-0000-4000-8000-0000000000ff", "effect": "update", "step": "swap", "target_index": 0, "target": HOSTILE, "item": HOSTILE, "why": HOSTILE, "api": {"method": "PUT"}}),
            ),
            ..intent(1)
        },
        result(2, "ok"),
        entry(
            "check",
            json!({"claim": HOSTILE, "holds": false, "step": "swap", "target_index": 0}),
        ),
        entry(
            "step",
            json!({"step": "swap", "target_index": 0, "state": "ended", "outcome": "done"}),
        ),
        human(
            "decision",
            json!({"question": HOSTILE, "choice": [HOSTILE], "step": "x"}),
        ),
        human(
            "manual",
            json!({"instruction": HOSTILE, "at": "2026-09-21T13:00:00Z"}),
        ),
        human(
            "transfer",
            json!({"from": ALICE, "to": "bob@contoso.example", "purpose": HOSTILE}),
        ),
        entry(
            "evidence",
            json!({"exhibit": "IR-2026-0042/r/E0001", "name": HOSTILE, "description": HOSTILE, "source": HOSTILE, "sha256": kept.sha256.to_string(), "size": kept.size, "completeness": {"gaps": [HOSTILE]}}),
        ),
        entry("note", json!({"kind": "gap", "text": HOSTILE})),
        entry(
            "anchor",
            json!({"checkpoint": 1, "kind": "worm", "receipt": HOSTILE}),
        ),
        intent(7),
    ];
    wait(async {
        for entry in entries {
            writer.append(entry).await.unwrap();
        }
        writer.close().await.unwrap();
    });
    run_dir
}

/// Every file of a folder, and its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(content(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn page(run_dir: &Path) -> String {
    let mut page = Vec::new();
    html::page(run_dir, &Outside::default(), "today", &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn nothing_from_the_cloud_is_markup_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(&hostile_run(folder.path(), "drill"));
    for bad in [
        "<script",
        "\u{1b}",
        "\u{202e}",
        " onload=",
        "http-equiv=refresh",
        "src=",
        "href=",
    ] {
        assert!(!page.contains(bad), "{bad:?}");
    }
    assert!(
        page.matches("&lt;script&gt;alert(1)&lt;/script&gt;")
            .count()
            > 8
    );
    assert!(
        page.contains("Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-")
    );
    // The picture stands in the page, and every section that a report must have.
    for part in [
        "<svg ",
        "@media print",
        "What the record proves, and what not",
        "never <em>true when written</em>",
        "Decisions, work by hand, hand-overs",
        "Exhibits",
        "Gaps in evidence and checks",
        "Signatures and time stamps",
        "Anchors outside",
        "What verifying found",
        "Check it without azir",
        "1 requests without a known outcome",
        "head -c ",
        "ciso@contoso.example",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // The page is whole: what is opened is closed.
    for tag in [
        "table", "tr", "td", "ul", "li", "svg", "g", "dl", "pre", "div", "body", "html",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_style_is_the_one_that_the_policy_allows() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let page = page(&hostile_run(folder.path(), "execute"));
    let style = page
        .split_once("<style>")
        .unwrap()
        .1
        .split_once("</style>")
        .unwrap()
        .0;
    let hash = base64::engine::general_purpose::STANDARD.encode(Digest::of(style.as_bytes()).0);
    assert!(page.contains(&format!("'sha256-{hash}'")));
    assert!(
        !page.contains("style=\""),
        "inline style would be refused by the policy"
    );
    assert!(!style.contains("url("));
}

/// Reads CSV as RFC 4180 has it.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty());
    rows
}

#[test]
fn timelines_have_every_entry_and_no_formula() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = hostile_run(folder.path(), "execute");
    let (mut lines, mut table) = (Vec::new(), Vec::new());
    let entries = azir::journal::head(&run_dir).unwrap().entries;
    // What was done by hand stands twice: when it was told, and when it was done.
    assert_eq!(
        timesketch::jsonl(&run_dir, &mut lines).unwrap(),
        entries + 1
    );
    assert_eq!(timesketch::csv(&run_dir, &mut table).unwrap(), entries + 1);
    let lines = String::from_utf8(lines).unwrap();
    let rows = csv_rows(std::str::from_utf8(&table).unwrap());
    assert_eq!(&rows[0][..3], ["message", "datetime", "timestamp_desc"]);
    assert_eq!(rows.len() as u64, entries + 2);
    for (line, row) in lines.lines().zip(&rows[1..]) {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.len(), rows[0].len());
        for (name, cell) in rows[0].iter().zip(row) {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{name}: {cell}"
            );
            let value = match event.get(name) {
                None => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), value, "{name}");
        }
        for name in ["message", "datetime", "timestamp_desc"] {
            assert!(
                event[name].as_str().is_some_and(|text| !text.is_empty()),
                "{line}"
            );
        }
        let time = event["datetime"].as_str().unwrap();
        let parsed = chrono::DateTime::parse_from_rfc3339(time).unwrap();
        assert!(time.ends_with("+00:00"));
        assert_eq!(event["timestamp"], parsed.timestamp_micros());
    }
    assert!(lines.contains("2026-09-21T13:00:00.000000+00:00"));
    assert!(lines.contains("\"entry_hash\":\""));
}

#[test]
fn a_drill_says_so_on_every_export() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = hostile_run(folder.path(), "drill");
    let (mut lines, mut table, mut graph, mut packed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    timesketch::jsonl(&run_dir, &mut lines).unwrap();
    timesketch::csv(&run_dir, &mut table).unwrap();
    case::json_ld(&run_dir, &mut graph).unwrap();
    bag::bag(&run_dir, &mut packed, "2026-09-21").unwrap();
    for line in String::from_utf8(lines).unwrap().lines() {
        assert!(line.starts_with("{\"message\":\"DRILL "), "{line}");
    }
    for row in &csv_rows(std::str::from_utf8(&table).unwrap())[1..] {
        assert!(row[0].starts_with("DRILL "), "{row:?}");
    }
    let graph: Value = serde_json::from_slice(&graph).unwrap();
    for node in graph["@graph"].as_array().unwrap() {
        let kind = node["@type"].as_str().unwrap();
        if kind.ends_with("InvestigativeAction") || kind.ends_with("Investigation") {
            assert!(
                node["core:name"].as_str().unwrap().starts_with("DRILL "),
                "{node}"
            );
        }
    }
    assert!(packed.starts_with(b"DRILL-run-hostile/data/"));
    assert!(String::from_utf8_lossy(&packed).contains("Warning: DRILL: rehearsed. No incident."));
    assert!(page(&run_dir).contains("<p class=warning>DRILL: rehearsed. No incident.</p>"));
    // Its undo is part of the drill.
    let undo = folder.path().join("run-undo");
    let head = azir::journal::head(&run_dir).unwrap();
    let of = json!({"run": "00000000-0000-4000-8000-00000000aaaa", "size": head.entries, "chain": head.chain.to_string()});
    fs::rename(
        &run_dir,
        folder
            .path()
            .join("run-00000000-0000-4000-8000-00000000aaaa"),
    )
    .unwrap();
    let start = RunStart {
        mode: "undo".to_owned(),
        data: object(json!({ "of": of })),
        ..start()
    };
    let writer = Writer::create(&undo, start, deps(Arc::new(RealDisk), 3)).unwrap();
    wait(writer.close()).unwrap();
    assert!(page(&undo).contains("<p class=warning>DRILL"));
}

/// Finds the names that a node uses.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("@id") => {
            found.extend(members["@id"].as_str());
        }
        Value::Object(members) => members.values().for_each(|value| references(value, found)),
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn a_graph_is_the_same_every_time_and_tells_who_did_what() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = hostile_run(folder.path(), "execute");
    let graph = || {
        let mut graph = Vec::new();
        case::json_ld(&run_dir, &mut graph).unwrap();
        String::from_utf8(graph).unwrap()
    };
    let text = graph();
    assert_eq!(text, graph());
    let value: Value = serde_json::from_str(&text).unwrap();
    let nodes = value["@graph"].as_array().unwrap();
    let of =
        |kind: &str| -> Vec<&Value> { nodes.iter().filter(|node| node["@type"] == kind).collect() };
    // Two requests, a decision, work by hand, a hand-over, a collection.
    assert_eq!(of("investigation:InvestigativeAction").len(), 6);
    assert_eq!(
        of("investigation:ProvenanceRecord")[0]["investigation:exhibitNumber"],
        "IR-2026-0042/r/E0001"
    );
    assert_eq!(
        of("investigation:Authorization")[0]["investigation:authorizationIdentifier"],
        "INC-1"
    );
    let statuses: Vec<&Value> = nodes
        .iter()
        .filter_map(|node| node.get("action:actionStatus"))
        .collect();
    assert_eq!(statuses, ["Success", "Success", "Unknown"]);
    assert!(
        of("identity:Person")
            .iter()
            .any(|person| person["core:name"] == "bob@contoso.example")
    );
    // Every name that is used is one that is there.
    let ids: std::collections::BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["@id"].as_str())
        .collect();
    assert_eq!(ids.len(), nodes.len());
    let mut used = Vec::new();
    for node in nodes {
        references(node, &mut used);
    }
    assert!(used.len() > 20);
    for id in used {
        assert!(ids.contains(id), "{id}");
    }
}

#[test]
fn every_format_of_a_run_is_written_beside_the_record_and_never_into_it() {
    let azir = Azir::new();
    let done = azir.run(&["snapshot-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let run_dir = azir.run_dir("IR-1");
    let before = content(&run_dir);
    for format in [
        "jsonl",
        "timesketch-jsonl",
        "timesketch-csv",
        "case",
        "html",
        "bagit",
    ] {
        let path = azir.home.path().join(format!("out.{format}"));
        let to = path.to_str().unwrap();
        let args = ["journal", "export", "last", "--format", format, "-o", to];
        let done = azir.run(&args);
        assert_eq!(done.code, 0, "{format}: {}", done.stderr);
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.is_empty());
        // It says what it wrote, by digest, and how to put that on record; the lab says that it is one.
        assert!(
            done.stderr.contains(&Digest::of(&bytes).to_string()),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr.contains(&format!("azir attach {to}")),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains("LAB"), "{}", done.stderr);
        // A second time it would overwrite, and does not.
        let again = azir.run(&args);
        assert_eq!(again.code, 2, "{}", again.stderr);
        assert!(
            again.stderr.contains("nothing is overwritten"),
            "{}",
            again.stderr
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
        // To stdout it is the same, less the time at which a page was made.
        if !matches!(format, "html") {
            let output = azir.command(&args[..5]).output().unwrap();
            assert_eq!(output.stdout, bytes, "{format}");
        }
        // Into the record it is refused.
        let inside = run_dir.join("evidence/out");
        let args = [
            "journal",
            "export",
            "last",
            "--format",
            format,
            "-o",
            inside.to_str().unwrap(),
        ];
        let done = azir.run(&args);
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains("never changed"), "{}", done.stderr);
    }
    // A format that judges nothing says so rather than to take no notice.
    let done = azir.run(&["journal", "export", "--format", "case", "--origin", "x"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("judges nothing"), "{}", done.stderr);
    assert_eq!(content(&run_dir), before);
    let (code, told) = azir.json(&[
        "journal",
        "export",
        "last",
        "--format",
        "case",
        "-o",
        azir.home.path().join("x").to_str().unwrap(),
    ]);
    assert_eq!((code, &told["mark"]), (0, &json!("LAB")));
    assert_eq!(told["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn an_entry_is_proved_and_checked_on_the_command_line() {
    let azir = Azir::new();
    let done = azir.run(&["snapshot-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let run_dir = azir.run_dir("IR-1");
    let before = content(&run_dir);
    let file = azir.home.path().join("proof.json");
    let to = file.to_str().unwrap();
    let by_last = azir.run(&["journal", "prove", "3"]);
    assert_eq!(by_last.code, 0, "{}", by_last.stderr);
    let done = azir.run(&["journal", "prove", "last", "3", "-o", to]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), by_last.stdout);
    // Whoever checks needs no home folder and no run.
    let elsewhere = tempfile::tempdir().unwrap();
    let done = bare(elsewhere.path(), &["journal", "check-proof", to]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    for said in [
        "LAB PROVED by what the file itself holds",
        "It proves:",
        "It does not prove:",
        "entry 3 of azir/IR-1/",
    ] {
        assert!(done.stdout.contains(said), "{}", done.stdout);
    }
    let origin = format!(
        "azir/IR-1/{}",
        run_dir
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .strip_prefix("run-")
            .unwrap()
    );
    let done = bare(
        elsewhere.path(),
        &[
            "journal",
            "check-proof",
            to,
            "--origin",
            &origin,
            "--output",
            "json",
        ],
    );
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &told["exit_code"], &told["index"]),
        (2, &json!(2), &json!(3))
    );
    let done = bare(
        elsewhere.path(),
        &["journal", "check-proof", to, "--origin", "azir/IR-1/other"],
    );
    assert_eq!(done.code, 1);
    let bad = by_last.stdout.replacen("\"index\": 3", "\"index\": 4", 1);
    fs::write(&file, bad).unwrap();
    assert_eq!(
        bare(elsewhere.path(), &["journal", "check-proof", to]).code,
        1
    );
    // What is not there, is no number, or is no command line.
    assert_eq!(
        bare(elsewhere.path(), &["journal", "check-proof", "nowhere"]).code,
        4
    );
    assert_eq!(bare(elsewhere.path(), &["journal", "check-proof"]).code, 4);
    for (args, said) in [
        (
            &["journal", "prove", "99999"][..],
            "there is no entry 99999",
        ),
        (
            &["journal", "prove", "last", "x"],
            "x is no number of an entry",
        ),
        (
            &["journal", "prove", "nobody", "1"],
            "there is no run nobody",
        ),
    ] {
        let done = azir.run(args);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(said), "{}", done.stderr);
        assert!(done.stderr.contains("next: "), "{}", done.stderr);
    }
    assert_eq!(content(&run_dir), before);
}

#[test]
fn the_readmes_commands_work_as_they_stand() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Verifying and exporting").unwrap();
    let block = section.split("```").nth(1).unwrap();
    let azir = Azir::new();
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let lines: Vec<&str> = block
        .lines()
        .filter(|line| line.starts_with("azir "))
        .collect();
    assert_eq!(lines.len(), 7);
    for line in lines {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let mut command = azir.command(&args);
        let done = crate::support::done(command.current_dir(azir.home.path()).output().unwrap());
        let judged = line.contains("verify") || line.contains("check-proof");
        assert_eq!(
            done.code,
            if judged { 2 } else { 0 },
            "{line}: {}",
            done.stderr
        );
    }
}

/// A program from the Python packages that `.ci/python/requirements.txt` names.
fn python(name: &str) -> Command {
    let folder = std::env::var("AZIR_TEST_PYTHON_BIN")
        .expect("AZIR_TEST_PYTHON_BIN names the bin folder of a virtual environment with .ci/python/requirements.txt");
    Command::new(Path::new(&folder).join(name))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().unwrap().status.success()
}

#[test]
#[ignore = "needs case_validate from PyPI"]
fn the_ontologys_own_tool_accepts_the_graph() {
    let azir = Azir::new();
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("graph.jsonld");
    let judged = |graph: &str| {
        fs::write(&file, graph).unwrap();
        let output = python("case_validate").arg(&file).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        (output.status.success(), told)
    };
    let mut graph = String::new();
    for run_dir in [azir.run_dir("IR-1"), hostile_run(folder.path(), "drill")] {
        let mut bytes = Vec::new();
        case::json_ld(&run_dir, &mut bytes).unwrap();
        graph = String::from_utf8(bytes).unwrap();
        let (accepted, told) = judged(&graph);
        assert!(accepted && told.contains("Conforms: True"), "{told}");
    }
    // It is not a tool that accepts everything.
    for (from, to) in [
        ("\"types:hashMethod\":\"SHA256\",", ""),
        (
            "investigation:exhibitNumber\":",
            "investigation:exhibitNumbr\":",
        ),
        (
            "\"action:startTime\":{\"@type\":\"xsd:dateTime\"",
            "\"action:startTime\":{\"@type\":\"xsd:string\"",
        ),
    ] {
        assert!(graph.contains(from), "{from}");
        assert!(!judged(&graph.replace(from, to)).0, "{from}");
    }
}

#[test]
#[ignore = "needs bagit from PyPI"]
fn a_bag_is_accepted_by_bagit_and_sha256sum_and_holds_the_whole_run() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = hostile_run(folder.path(), "drill");
    for noise in ["lock", "tmp-x", "cp/tmp-y", "evidence/tmp-z"] {
        fs::write(run_dir.join(noise), b"noise").unwrap();
    }
    let packed = folder.path().join("bag.tar");
    let bagged = bag::bag(&run_dir, fs::File::create(&packed).unwrap(), "2026-09-21").unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    assert!(succeeds(
        Command::new("tar")
            .arg("-xf")
            .arg(&packed)
            .arg("-C")
            .arg(&out)
    ));
    let top = out.join("DRILL-run-hostile");
    let check = |manifest: &str| {
        succeeds(
            Command::new("sha256sum")
                .args(["-c", "--strict", manifest])
                .current_dir(&top),
        )
    };
    assert!(check("manifest-sha256.txt") && check("tagmanifest-sha256.txt"));
    assert!(succeeds(python("bagit.py").arg("--validate").arg(&top)));
    // The payload is the run folder, less what the format ignores; it verifies as the run does.
    let inside = top.join("data/run-hostile");
    let unpacked = content(&inside);
    assert_eq!(unpacked.len() as u64, bagged.files);
    let strip = |files: BTreeMap<PathBuf, Vec<u8>>, base: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        files
            .into_iter()
            .map(|(path, bytes)| (path.strip_prefix(base).unwrap().to_owned(), bytes))
            .filter(|(path, _)| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name != "lock" && !name.starts_with("tmp-")
            })
            .collect()
    };
    assert_eq!(strip(unpacked, &inside), strip(content(&run_dir), &run_dir));
    assert_eq!(crate::journal_kit::inside(&inside).exit_code, 2);
    // A changed payload is found by both.
    let segment = inside.join("seg-000001.jsonl");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    assert!(!check("manifest-sha256.txt"));
    assert!(!succeeds(python("bagit.py").arg("--validate").arg(&top)));
}
