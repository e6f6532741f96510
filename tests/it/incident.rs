//! The incident around the runs: opened, noted, attached to, handed over, closed; and what each refuses.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Azir, Done, bare, done};

/// Runs a command as a person, with nothing but a home folder.
fn by(home: &Path, who: &str, args: &[&str]) -> Done {
    let mut all = args.to_vec();
    all.extend(["--responder", who]);
    bare(home, &all)
}

fn alice(home: &Path, args: &[&str]) -> Done {
    by(home, "alice@contoso.com", args)
}

fn told(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

fn status(home: &Path, incident: &str) -> Value {
    told(&bare(
        home,
        &["incident", "status", incident, "--output", "json"],
    ))
}

/// The run folders of a case.
fn runs(home: &Path, incident: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(home.join("cases").join(incident))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("run-")
        })
        .collect();
    found.sort();
    found
}

/// The lines of a run, as JSON.
fn lines(run_dir: &Path) -> Vec<Value> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(run_dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    segments.sort();
    segments
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Value>>()
        })
        .collect()
}

fn verified(home: &Path, run_dir: &Path) {
    let done = bare(home, &["journal", "verify", run_dir.to_str().unwrap()]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(!done.stdout.contains("ERROR"), "{}", done.stdout);
}

#[test]
fn what_people_say_of_an_incident_stands_in_one_run_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let opened = alice(
        home,
        &[
            "incident",
            "open",
            "IR-1",
            "--detected-at",
            "2026-05-23T10:00:00Z",
            "--authority",
            "CISO by phone",
            "--ticket",
            "INC-7",
            "--lead",
            "lead@contoso.com",
            "--output",
            "json",
        ],
    );
    assert_eq!(opened.code, 0, "{}", opened.stderr);
    assert_eq!(told(&opened)["opening"], "open");
    let noted = alice(home, &["note", "the helpdesk called", "--output", "json"]);
    assert_eq!(noted.code, 0, "{}", noted.stderr);
    assert_eq!(told(&noted)["incident"], "IR-1");
    assert_eq!(told(&noted)["run"], told(&opened)["run"]);
    let manual = alice(
        home,
        &["manual", "pulled the plug", "--at", "2026-05-23T10:05:00Z"],
    );
    assert_eq!(manual.code, 0, "{}", manual.stderr);
    let file = home.join("screen.png");
    std::fs::write(&file, vec![7; 3_000_000]).unwrap();
    for exhibit in ["E0001", "E0002"] {
        let attached = alice(
            home,
            &[
                "attach",
                file.to_str().unwrap(),
                "--description",
                "the ransom note",
            ],
        );
        assert_eq!(attached.code, 0, "{}", attached.stderr);
        assert!(attached.stdout.contains(exhibit), "{}", attached.stdout);
    }

    let runs = runs(home, "IR-1");
    assert_eq!(runs.len(), 1);
    verified(home, &runs[0]);
    let lines = lines(&runs[0]);
    assert_eq!(lines[0]["data"]["purpose"], "incident");
    assert_eq!(lines[0]["data"]["mode"], "execute");
    assert!(lines[0]["data"].get("runbook").is_none());
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "run.start",
            "decision",
            "session.open",
            "note",
            "session.open",
            "manual",
            "session.open",
            "evidence",
            "session.open",
            "evidence",
        ]
    );
    assert_eq!(
        lines[1]["actor"],
        json!({"human": {"upn": "alice@contoso.com"}})
    );
    assert_eq!(lines[2]["data"]["reason"], "note");
    assert_eq!(lines[5]["data"]["at"], "2026-05-23T10:05:00.000000Z");
    let evidence = &lines[7]["data"];
    // The name and no more: a path of this machine is nobody's business.
    assert_eq!(evidence["source"], "screen.png");
    assert_eq!(evidence["hash_origin"], "local");
    let kept = runs[0]
        .join("evidence")
        .join(evidence["sha256"].as_str().unwrap());
    assert_eq!(std::fs::read(kept).unwrap().len(), 3_000_000);

    let status = status(home, "IR-1");
    assert_eq!(status["state"], "open");
    assert_eq!(status["lead"], "lead@contoso.com");
    assert_eq!(status["opened"]["by"], "alice@contoso.com");
    assert_eq!(status["notes"].as_array().unwrap().len(), 2);
    assert_eq!(status["exhibits"], 2);
    assert_eq!(status["runs"][0]["signed"], false);
    assert_eq!(status["next"], json!(["azir incident close IR-1"]));
    let schema = told(&bare(home, &["schema", "status"]));
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&status), "{status}");
}

#[test]
fn opening_twice_joins_and_says_so_and_closing_seals() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    alice(home, &["incident", "open", "IR-1", "--ticket", "INC-7"]);
    let joined = by(home, "bob@contoso.com", &["incident", "open", "IR-1"]);
    assert_eq!(joined.code, 0);
    assert!(
        joined.stdout.contains("bob@contoso.com joins"),
        "{}",
        joined.stdout
    );
    assert_eq!(status(home, "IR-1")["opened"]["by"], "alice@contoso.com");
    assert_eq!(status(home, "IR-1")["ticket"], "INC-7");

    let closed = alice(home, &["incident", "close", "--why", "contained"]);
    assert_eq!(closed.code, 0, "{}", closed.stderr);
    let log = &runs(home, "IR-1")[0];
    assert_eq!(lines(log).last().unwrap()["type"], "seal");
    verified(home, log);
    assert_eq!(status(home, "IR-1")["state"], "closed");
    for refused in [
        vec!["note", "too late", "--incident", "IR-1"],
        vec!["incident", "close", "IR-1"],
        vec!["incident", "open", "IR-1"],
        vec!["handover", "--to", "bob@contoso.com", "--incident", "IR-1"],
    ] {
        let done = alice(home, &refused);
        assert_eq!(done.code, 5, "{refused:?}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stderr
                .contains("next: azir incident open IR-1 --why TEXT"),
            "{refused:?}: {}",
            done.stderr
        );
    }
    // Nothing follows a seal: it goes on in a log that has seen the first.
    let again = alice(home, &["incident", "open", "IR-1", "--why", "it came back"]);
    assert!(
        again.stdout.contains("open again"),
        "{}{}",
        again.stdout,
        again.stderr
    );
    assert_eq!(alice(home, &["note", "second wave"]).code, 0);
    let all = runs(home, "IR-1");
    assert_eq!(all.len(), 2);
    let second = all.iter().find(|path| *path != log).unwrap();
    assert_eq!(
        lines(second)[0]["data"]["seen"][0]["size"],
        lines(log).len()
    );
    verified(home, second);
    assert_eq!(status(home, "IR-1")["state"], "open");
}

#[test]
fn what_cannot_be_meant_is_refused_and_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    alice(home, &["incident", "open", "IR-1"]);
    let before = lines(&runs(home, "IR-1")[0]).len();
    let missing = home.join("nothing").display().to_string();
    let folder = home.display().to_string();
    for (args, said) in [
        (vec!["incident", "open", "../x"], "incident"),
        (vec!["incident", "open", ""], "incident"),
        (vec!["incident", "open", "IR-1", "--lead", "a b"], "name"),
        (
            vec!["incident", "open", "IR-1", "--incident", "IR-2"],
            "contradict",
        ),
        (
            vec!["incident", "status", "IR-9"],
            "there is no incident IR-9",
        ),
        (
            vec!["incident", "close", "IR-9"],
            "there is no incident IR-9",
        ),
        (vec!["note", ""], "empty"),
        (vec!["note", " \n"], "empty"),
        (vec!["note", "-"], "empty"),
        (
            vec!["manual", "x", "--at", "2199-01-01T00:00:00Z"],
            "still to come",
        ),
        (vec!["manual", "x", "--at", "noon"], "no time"),
        (vec!["manual", "x"], "--at"),
        (
            vec![
                "manual",
                "x",
                "--at",
                "2026-05-23T10:05:00Z",
                "--step",
                "cut",
            ],
            "no run of incident IR-1",
        ),
        (vec!["attach", &missing], "cannot attach"),
        (vec!["attach", &folder], "it is a folder"),
        (vec!["handover", "--to", "alice@contoso.com"], "same person"),
        (vec!["handover", "--to", "a,b"], "name"),
        (vec!["handover"], "--to"),
        (vec!["timeline", "IR-9"], "there is no incident IR-9"),
        (vec!["timeline", "/nowhere/at/all"], "no folder of a case"),
        (vec!["undo", "last"], "incident log"),
    ] {
        let done = alice(home, &args);
        assert_eq!(done.code, 2, "{args:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
    }
    let after = lines(&runs(home, "IR-1")[0]);
    assert_eq!(after.len(), before, "{after:#?}");
    // With two open incidents a note needs to be told which.
    alice(home, &["incident", "open", "IR-2"]);
    let torn = alice(home, &["note", "where?"]);
    assert_eq!(torn.code, 2);
    assert!(torn.stderr.contains("IR-1, IR-2"), "{}", torn.stderr);
}

#[test]
fn secrets_in_what_people_write_do_not_reach_the_record() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    alice(home, &["incident", "open", "IR-1"]);
    let done = alice(
        home,
        &[
            "note",
            "he used https://x.blob.core.windows.net/c?sv=1&sig=c2VjcmV0Y2FuYXJ5 for it",
        ],
    );
    assert_eq!(done.code, 0);
    assert!(done.stderr.contains("replaced by ***"), "{}", done.stderr);
    let log = &runs(home, "IR-1")[0];
    let text = std::fs::read_to_string(log.join("seg-000002.jsonl")).unwrap();
    assert!(
        text.contains("sig=***") && !text.contains("c2VjcmV0Y2FuYXJ5"),
        "{text}"
    );
}

#[test]
fn a_text_too_long_for_a_line_comes_from_stdin_and_goes_to_evidence() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let home = tempfile::tempdir().unwrap();
    alice(home.path(), &["incident", "open", "IR-1"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_azir"))
        .args(["note", "-", "--responder", "alice@contoso.com"])
        .env_clear()
        .env("AZIR_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("a long story\n".repeat(20_000).as_bytes())
        .unwrap();
    let done = done(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let log = &runs(home.path(), "IR-1")[0];
    let note = lines(log).pop().unwrap();
    assert!(note["data"]["text"]["size"].as_u64().unwrap() > 200_000);
    verified(home.path(), log);
}

#[test]
fn a_run_takes_over_what_was_said_of_its_incident_and_a_flag_overrides_it() {
    let azir = Azir::new();
    let home = azir.home.path();
    alice(
        home,
        &[
            "incident",
            "open",
            "IR-1",
            "--detected-at",
            "2026-05-23T10:00:00Z",
            "--authority",
            "CISO",
            "--ticket",
            "INC-7",
        ],
    );
    let (code, report) = azir.json(&[
        "snapshot-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--ticket",
        "INC-8",
    ]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["detected_at"], "2026-05-23T10:00:00Z");
    assert!(
        report["deadline"]["kept_since_detection"] != json!(true),
        "{report}"
    );
    let run_dir = PathBuf::from(report["journal"]["path"].as_str().unwrap());
    let start = &lines(&run_dir)[0]["data"];
    assert_eq!(
        start["authority"],
        json!({"basis": "CISO", "ticket": "INC-8"})
    );
    assert_eq!(start["incident_says"]["ticket"], "INC-7");
    assert_eq!(start["seen"].as_array().unwrap().len(), 1);
    // `last` is the run and not what people wrote around it.
    alice(home, &["note", "snapshots are there"]);
    assert_eq!(azir.json(&["show", "last"]).1["run"], report["run"]);

    alice(home, &["incident", "close", "IR-1"]);
    for refused in [
        vec!["snapshot-vm", "vm-app-01", "--incident", "IR-1", "--yes"],
        vec!["undo", "last", "--yes"],
    ] {
        let before = azir.writes().len();
        let done = azir.run(&refused);
        assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
        assert!(
            done.stderr
                .contains("next: azir incident open IR-1 --why TEXT"),
            "{}",
            done.stderr
        );
        assert_eq!(azir.writes().len(), before);
    }
    let plan = azir.run(&["snapshot-vm", "vm-app-01", "--incident", "IR-1", "--plan"]);
    assert_eq!(plan.code, 5);
    assert!(
        plan.stdout.contains("was closed by alice@contoso.com"),
        "{}",
        plan.stdout
    );
}

#[test]
fn a_handover_is_pending_until_both_signatures_lie_beside_one_checkpoint() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    alice(home, &["incident", "open", "IR-1"]);
    let done = alice(
        home,
        &[
            "handover",
            "--to",
            "bob@contoso.com",
            "--items",
            "the night",
            "--purpose",
            "shift ends",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("bob@contoso.com types azir journal countersign"),
        "{}",
        done.stderr
    );
    let log = &runs(home, "IR-1")[0];
    let transfer = lines(log).pop().unwrap();
    assert_eq!(transfer["type"], "transfer");
    assert_eq!(transfer["data"]["from"], "alice@contoso.com");
    assert_eq!(transfer["data"]["purpose"], "shift ends");
    assert!(transfer["data"]["seen"].is_array());
    let pending = |home: &Path| {
        let status = status(home, "IR-1");
        let transfer = &status["transfers"][0];
        (transfer["given"].clone(), transfer["received"].clone())
    };
    assert_eq!(pending(home), (json!(false), json!(false)));
    let brief = bare(home, &["incident", "status", "--brief"]);
    assert!(brief.stdout.contains("PENDING"), "{}", brief.stdout);
    let last = azir::journal::reader::checkpoints(log)
        .unwrap()
        .pop()
        .unwrap()
        .0;
    for (ending, expected) in [
        ("human.sig", (json!(true), json!(false))),
        ("second.sig", (json!(true), json!(true))),
    ] {
        std::fs::write(log.join("cp").join(format!("{last:06}.{ending}")), "x").unwrap();
        assert_eq!(pending(home), expected, "{ending}");
    }
}

#[test]
fn two_who_write_at_once_both_get_their_line() {
    let home = tempfile::tempdir().unwrap();
    let start = |who: &str, text: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_azir"))
            .args(["note", text, "--incident", "IR-1", "--responder", who])
            .env_clear()
            .env("AZIR_HOME", home.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut children: Vec<_> = (0..6)
        .map(|number| start(&format!("p{number}@contoso.com"), &format!("note {number}")))
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let runs = runs(home.path(), "IR-1");
    assert_eq!(runs.len(), 1, "one log a machine");
    verified(home.path(), &runs[0]);
    let lines = lines(&runs[0]);
    assert_eq!(
        lines.iter().filter(|line| line["type"] == "note").count(),
        6
    );
}

#[test]
fn a_handover_is_complete_when_the_receiver_has_countersigned_with_a_key_of_their_own() {
    use ssh_key::private::{Ed25519Keypair, KeypairData};
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let key = |name: &str, seed: u8| {
        let pair = Ed25519Keypair::from_seed(&[seed; 32]);
        let key = ssh_key::PrivateKey::new(KeypairData::Ed25519(pair), name).unwrap();
        let path = home.join(name);
        key.write_openssh_file(&path, ssh_key::LineEnding::LF)
            .unwrap();
        path
    };
    let with = |key: &Path, who: &str, args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_azir"))
            .args(args)
            .args(["--responder", who])
            .env_clear()
            .env("AZIR_HOME", home)
            .env("AZIR_KEY", key)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let done = done(output);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.stdout, done.stderr);
        done
    };
    let (alice, bob) = (key("alice", 1), key("bob", 2));
    with(&alice, "alice@contoso.com", &["incident", "open", "IR-1"]);
    let given = with(
        &alice,
        "alice@contoso.com",
        &["handover", "--to", "bob@contoso.com"],
    );
    assert!(!given.stdout.contains("unsigned"), "{}", given.stdout);
    let transfer = status(home, "IR-1")["transfers"][0].clone();
    assert_eq!(
        (&transfer["given"], &transfer["received"]),
        (&json!(true), &json!(false))
    );
    // The words of the hint are those that work.
    let hint = given
        .stderr
        .split("types azir ")
        .nth(1)
        .unwrap()
        .trim()
        .to_owned();
    let words: Vec<&str> = hint.split(' ').collect();
    let signed = with(&bob, "bob@contoso.com", &words);
    assert!(
        signed.stdout.contains("The transfer is complete"),
        "{}",
        signed.stdout
    );
    let status = status(home, "IR-1");
    assert_eq!(status["transfers"][0]["received"], json!(true));
    assert_eq!(status["runs"][0]["signed"], json!(true));
    assert_eq!(status["next"], json!(["azir incident close IR-1"]));
    let closed = with(&alice, "alice@contoso.com", &["incident", "close", "IR-1"]);
    assert!(!closed.stdout.contains("unsigned"), "{}", closed.stdout);
    let log = &runs(home, "IR-1")[0];
    let signers = home.join("signers");
    let verify = bare(
        home,
        &[
            "journal",
            "verify",
            log.to_str().unwrap(),
            "--signers",
            signers.to_str().unwrap(),
        ],
    );
    assert_eq!(verify.code, 2, "{}", verify.stdout);
    assert!(
        !verify.stdout.contains("ERROR") && !verify.stdout.contains("transfer"),
        "{}",
        verify.stdout
    );
}

#[test]
fn a_task_that_was_left_is_done_once_somebody_wrote_down_that_it_was() {
    let azir = Azir::new();
    let home = azir.home.path();
    let runbook = home.join("call.yaml");
    let text = "azir: v1\nname: call\nversion: 1.0.0\ntitle: Have somebody called\npurpose: respond\nsteps:\n  - id: phone\n    phase: inventory\n    title: Call the owner\n    manual: {instruction: Call the owner, finding: What they said}\n";
    std::fs::write(&runbook, text).unwrap();
    azir.run(&[
        "run",
        runbook.to_str().unwrap(),
        "--incident",
        "IR-1",
        "--yes",
        "--no-input",
    ]);
    let before = status(home, "IR-1");
    assert_eq!(before["manual"][0]["step"], "phone", "{before}");
    assert!(
        before["next"][0].as_str().unwrap().contains("--step phone"),
        "{before}"
    );
    let near = alice(
        home,
        &[
            "manual",
            "x",
            "--at",
            "2026-05-23T10:05:00Z",
            "--step",
            "phon",
            "--incident",
            "IR-1",
        ],
    );
    assert!(
        near.stderr.contains("did you mean phone?"),
        "{}",
        near.stderr
    );
    let done = alice(
        home,
        &[
            "manual",
            "she knows",
            "--at",
            "2026-05-23T10:05:00Z",
            "--step",
            "phone",
            "--incident",
            "IR-1",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let after = status(home, "IR-1");
    assert_eq!(after["manual"], json!([]));
    assert!(
        after["notes"][0]["text"]
            .as_str()
            .unwrap()
            .contains("she knows")
    );
}

#[test]
fn a_damaged_incident_log_does_not_hold_up_the_cut_and_is_said() {
    let azir = Azir::new();
    let home = azir.home.path();
    assert_eq!(alice(home, &["incident", "open", "IR-1"]).code, 0);
    assert_eq!(
        alice(home, &["note", "first", "--incident", "IR-1"]).code,
        0
    );
    let log = runs(home, "IR-1").remove(0);
    let segment = log.join("seg-000002.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr
            .contains("the incident log cannot be read to its end"),
        "{}",
        done.stderr
    );
    // Who writes at the desk is told, because the log may say that the incident is closed.
    let refused = alice(home, &["note", "second", "--incident", "IR-1"]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
}
