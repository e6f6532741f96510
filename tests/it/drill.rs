//! Drills in the lab, as people run them: the clock started, the ordinary commands typed, the tenant judged.

use std::path::Path;

use azir::drill::record;
use serde_json::Value;

use crate::support::{Done, bare};

/// Runs a command that answers at once in the lab.
fn azir(home: &Path, args: &[&str]) -> Done {
    let mut all = args.to_vec();
    all.extend(["--lab-latency", "0"]);
    bare(home, &all)
}

fn json(home: &Path, args: &[&str]) -> (i32, Value) {
    let mut all = args.to_vec();
    all.extend(["--output", "json"]);
    let done = azir(home, &all);
    let value = serde_json::from_str(&done.stdout);
    let value = value.unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    (done.code, value)
}

/// Starts a drill and returns its id.
fn started(home: &Path, more: &[&str]) -> String {
    let mut args = vec!["drill", "start", "vm-compromise", "--lab"];
    args.extend(more);
    let (code, told) = json(home, &args);
    assert_eq!(code, 0, "{told}");
    told["drill"].as_str().unwrap().to_owned()
}

fn line<'a>(verdict: &'a Value, id: &str) -> &'a Value {
    let mut lines = verdict["lines"].as_array().unwrap().iter();
    lines
        .find(|line| line["id"] == id)
        .unwrap_or_else(|| panic!("no line {id}"))
}

#[test]
fn people_answer_with_the_ordinary_commands_and_the_tenant_is_judged() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let more = [
        "--participants",
        "rita@contoso.com,bo@contoso.com",
        "--observer",
        "pia@contoso.com",
    ];
    let id = started(home, &more);
    assert!(id.starts_with("DRILL-"), "{id}");
    let at = ["--incident", &id];
    // Nobody has done anything: nothing is contained, and everybody can see it.
    let (code, status) = json(home, &["drill", "status"]);
    assert_eq!((code, status["state"].as_str().unwrap()), (0, "running"));
    assert_eq!(line(&status, "interfaces_cut")["holds"], false);
    // Without --lab: a drill knows where it takes place.
    let ran = azir(home, &["isolate-vm", "vm-web-07", "--yes", at[0], at[1]]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for text in [&ran.stdout, &ran.stderr] {
        let unmarked = text.lines().find(|line| !line.starts_with("DRILL"));
        assert_eq!(unmarked, None);
    }
    assert_eq!(azir(home, &["note", "rita saw it", at[0], at[1]]).code, 0);
    let (_, status) = json(home, &["drill", "status"]);
    assert_eq!(line(&status, "interfaces_cut")["holds"], true);
    let (code, verdict) = json(home, &["drill", "finish"]);
    assert_eq!(code, 1, "the attacker's role is still there");
    assert_eq!(verdict["by"], "people");
    assert_eq!(verdict["participants"][1], "bo@contoso.com");
    assert_eq!(verdict["observer"], "pia@contoso.com");
    for (name, holds) in [
        ("interfaces_cut", true),
        ("user_identities_off", true),
        ("attacker_role_gone", false),
        ("contained_in_time", false),
        ("captured_first", true),
        ("records_verify", true),
        ("exhibits_stored", true),
        ("says_what_is_so", true),
    ] {
        let line = line(&verdict, name);
        assert_eq!(line["holds"], holds, "{line}");
        assert_eq!(line["points"] == line["of"], holds, "{line}");
        assert_eq!(line["why"] == "", holds, "{line}");
    }
    let cut = line(&verdict, "interfaces_cut");
    assert!(cut["at"].as_str().unwrap() > verdict["emitted_at"].as_str().unwrap());
    let runs = verdict["runs"].as_array().unwrap();
    assert!(
        runs.iter()
            .all(|run| run["mode"] == "drill" && run["verified"] == true),
        "{runs:?}"
    );
    let steps = verdict["steps"].as_array().unwrap();
    assert!(
        steps
            .iter()
            .any(|step| step["step"] == "swap" && step["seconds"].as_f64().unwrap() >= 0.0)
    );
    // It is judged once, and then nothing is done in it.
    assert_eq!(azir(home, &["drill", "finish", &id]).code, 2);
    let late = azir(home, &["undo", "last", "--yes", at[0], at[1]]);
    assert_eq!(late.code, 2);
    assert!(late.stderr.contains("is over"), "{}", late.stderr);
}

#[test]
fn what_is_rehearsed_and_what_is_real_never_meet() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let id = started(home, &[]);
    let real = azir(
        home,
        &[
            "isolate-vm",
            "vm-app-01",
            "--yes",
            "--lab",
            "--incident",
            "IR-1",
        ],
    );
    assert_eq!(real.code, 0, "{}", real.stderr);
    let ran = azir(
        home,
        &["isolate-vm", "vm-web-07", "--yes", "--incident", &id],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Each list has its own; the last one of one is never that of the other.
    let (_, listed) = json(home, &["list"]);
    let (_, drilled) = json(home, &["list", "--incident", &id]);
    let books = |listed: &Value| -> Vec<(String, String)> {
        let runs = listed["runs"].as_array().or(listed.as_array()).unwrap();
        let text = |run: &Value, name: &str| run[name].as_str().unwrap().to_owned();
        runs.iter()
            .map(|run| (text(run, "incident"), text(run, "mode")))
            .collect()
    };
    assert_eq!(books(&listed), [("IR-1".to_owned(), "execute".to_owned())]);
    assert_eq!(books(&drilled), [(id.clone(), "drill".to_owned())]);
    let (_, last) = json(home, &["show", "last"]);
    assert_eq!(last["incident"], "IR-1");
    let (_, rehearsed) = json(home, &["show", "last", "--incident", &id]);
    assert_eq!(rehearsed["mode"], "drill");
    let run = rehearsed["run"].as_str().unwrap();
    // A run of a drill is shown and acted on inside it alone, and that is said.
    for args in [vec!["show", run], vec!["undo", run, "--yes", "--lab"]] {
        let refused = azir(home, &args);
        assert_eq!(refused.code, 2, "{args:?}");
        assert!(
            refused.stderr.contains(&format!("--incident {id}")),
            "{}",
            refused.stderr
        );
    }
    let path = rehearsed["journal"]["path"].as_str().unwrap();
    let refused = azir(home, &["undo", path, "--yes", "--lab"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("only acted on inside it"),
        "{}",
        refused.stderr
    );
    // And no flag leads out of a drill.
    for flags in [["--cloud", "AzureCloud"], ["--profile", "prod"]] {
        let mut args = vec!["isolate-vm", "vm-web-07", "--yes", "--incident", &id];
        args.extend(flags);
        let refused = azir(home, &args);
        assert_eq!(refused.code, 2, "{flags:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("takes place in the lab"),
            "{}",
            refused.stderr
        );
    }
    // What is exported of it says so.
    let exported = azir(
        home,
        &[
            "journal",
            "export",
            run,
            "--format",
            "html",
            "--incident",
            &id,
        ],
    );
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    assert!(
        exported.stdout.contains("DRILL LAB "),
        "{}",
        exported.stdout
    );
    assert!(exported.stdout.starts_with("<!doctype html>"));
}

/// Returns the address that the first call of a case's run by this runbook went to.
fn door(home: &Path, id: &str, runbook: &str) -> Option<String> {
    let case = record::folder(home, id).join("cases").join(id);
    let runs = std::fs::read_dir(case).ok()?.flatten();
    let texts =
        runs.filter_map(|run| std::fs::read_to_string(run.path().join("seg-000001.jsonl")).ok());
    let named = format!("\"name\":\"{runbook}\"");
    let mut of_runbook = texts.filter(|text| text.contains(&named));
    let text = of_runbook.next()?;
    let at = text.find("https://127.0.0.1:")?;
    Some(text[at..].chars().take(23).collect())
}

#[test]
fn two_who_act_at_once_meet_in_one_lab() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let id = started(home, &[]);
    let mut first = std::process::Command::new(env!("CARGO_BIN_EXE_azir"))
        .args([
            "isolate-vm",
            "vm-web-07",
            "--yes",
            "--incident",
            &id,
            "--lab-latency",
            "0.3",
        ])
        .env_clear()
        .env("AZIR_HOME", home)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while door(home, &id, "isolate-vm").is_none() {
        assert!(
            first.try_wait().unwrap().is_none(),
            "it ended before anybody could meet it"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let second = azir(
        home,
        &[
            "revoke-user",
            "alice@contoso.com",
            "--yes",
            "--incident",
            &id,
        ],
    );
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(first.wait().unwrap().success());
    // Both went through one door, so each saw what the other did.
    assert_eq!(
        door(home, &id, "revoke-user"),
        door(home, &id, "isolate-vm")
    );
    let (_, status) = json(home, &["drill", "status"]);
    assert_eq!(line(&status, "interfaces_cut")["holds"], true);
}

#[test]
fn a_blind_drill_tells_the_finding_and_no_more() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let told = azir(
        home,
        &["drill", "start", "vm-compromise", "--lab", "--blind"],
    );
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("vm-web-07"), "{}", told.stdout);
    let status = azir(home, &["drill", "status"]);
    for text in [&told.stdout, &status.stdout] {
        for hidden in [
            "07a10000",
            "attacker assigned",
            "id-web-shared",
            "attacker_role_gone",
        ] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    let (_, status) = json(home, &["drill", "status"]);
    assert_eq!(
        (&status["lines"], &status["blind"]),
        (&Value::Null, &Value::Bool(true))
    );
    // What was hidden is judged all the same, and told then.
    let (code, verdict) = json(home, &["drill", "finish"]);
    assert_eq!(code, 1);
    assert_eq!(line(&verdict, "attacker_role_gone")["holds"], false);
    assert_eq!(
        line(&verdict, "records_verify")["holds"],
        false,
        "nobody has done anything"
    );
}

#[test]
fn a_drill_that_was_given_up_does_not_count_and_takes_no_more() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let id = started(home, &[]);
    let (code, told) = json(
        home,
        &["drill", "abort", "--why", "the real thing has begun"],
    );
    assert_eq!((code, told["state"].as_str().unwrap()), (0, "aborted"));
    for args in [
        vec!["isolate-vm", "vm-web-07", "--yes", "--incident", &id],
        vec!["drill", "finish", &id],
        vec!["drill", "abort", &id],
        vec!["drill", "finish"],
    ] {
        let refused = azir(home, &args);
        assert_eq!(refused.code, 2, "{args:?} {}", refused.stderr);
        assert!(refused.stderr.contains("next: "), "{}", refused.stderr);
    }
    let standing = record::read(&record::folder(home, &id)).unwrap();
    assert_eq!(standing.state, record::State::Aborted);
    assert_eq!(standing.verdict, None);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::write(home.join("bad.yaml"), "azir: drill-v1\nname: bad\n").unwrap();
    std::fs::write(home.join("broken.yaml"), "azir: [").unwrap();
    let bad = home.join("bad.yaml");
    let broken = home.join("broken.yaml");
    for (args, code, said) in [
        (
            vec!["vm-compromize", "--lab"],
            2,
            "azir drill start vm-compromise",
        ),
        (vec!["vm-compromise"], 5, "tabletop = true"),
        (
            vec!["vm-compromise", "--profile", "none"],
            2,
            "there is no profile",
        ),
        (
            vec!["vm-compromise", "--lab", "--blind", "--auto"],
            2,
            "cannot be used with",
        ),
        (
            vec!["vm-compromise", "--lab", "--clock-scale", "3"],
            2,
            "--auto",
        ),
        (
            vec!["vm-compromise", "--lab", "--auto", "--clock-scale", "0"],
            2,
            "stands still",
        ),
        (
            vec![
                "vm-compromise",
                "--lab",
                "--auto",
                "--runbook",
                "isolate-vm",
            ],
            2,
            "names no file",
        ),
        // A name that is none would leave the shipped runbook in force, and nobody would know.
        (
            vec![
                "vm-compromise",
                "--lab",
                "--auto",
                "--runbook",
                "isolate-vn=runbooks/contain/isolate-vm.yaml",
            ],
            2,
            "--runbook isolate-vm=runbooks/contain/isolate-vm.yaml",
        ),
        (
            vec![
                "vm-compromise",
                "--lab",
                "--auto",
                "--runbook",
                "isolate-vm=/nowhere.yaml",
            ],
            2,
            "/nowhere.yaml",
        ),
        (
            vec!["vm-compromise", "--lab", "--incident", "../x"],
            2,
            "incident",
        ),
        (vec![bad.to_str().unwrap(), "--lab"], 2, "missing field"),
        (vec![broken.to_str().unwrap(), "--lab"], 2, "broken.yaml"),
        (vec!["/nowhere/at-all.yaml", "--lab"], 2, "at-all.yaml"),
    ] {
        let mut all = vec!["drill", "start"];
        all.extend(&args);
        let refused = azir(home, &all);
        assert_eq!(
            refused.code, code,
            "{args:?}: {}{}",
            refused.stdout, refused.stderr
        );
        assert!(
            refused.stderr.contains(said),
            "{args:?}: {}",
            refused.stderr
        );
    }
    assert!(!home.join("drills").exists());
    for command in ["status", "finish", "abort"] {
        let refused = azir(home, &["drill", command]);
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("no drill is open"),
            "{}",
            refused.stderr
        );
        assert_eq!(azir(home, &["drill", command, "DRILL-1"]).code, 2);
    }
    // Of two the one that is meant is named.
    started(home, &["--incident", "DRILL-a"]);
    started(home, &["--incident", "DRILL-b"]);
    let refused = azir(home, &["drill", "finish"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("DRILL-a, DRILL-b"),
        "{}",
        refused.stderr
    );
    let again = azir(
        home,
        &[
            "drill",
            "start",
            "vm-compromise",
            "--lab",
            "--incident",
            "DRILL-a",
        ],
    );
    assert_eq!(again.code, 2, "a drill has a case of its own");
}

#[test]
fn a_record_or_scenario_that_was_changed_is_found_out() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let id = started(home, &[]);
    let folder = record::folder(home, &id);
    let scenario = folder.join("scenario.yaml");
    let text = std::fs::read_to_string(&scenario).unwrap();
    std::fs::write(&scenario, text.replace("points: 14", "points: 1")).unwrap();
    let refused = azir(home, &["drill", "finish"]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    std::fs::write(&scenario, text).unwrap();
    let file = folder.join("drill.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("\"emitted\"", "\"omitted\"")).unwrap();
    let refused = azir(home, &["drill", "status", &id]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    // A last line that a crash cut short was not written; the drill is where it was.
    std::fs::write(&file, format!("{good}{{\"time\":\"2026")).unwrap();
    assert_eq!(json(home, &["drill", "status", &id]).1["state"], "running");
}

#[test]
fn by_itself_azir_passes_both_drills_and_scores_the_same_twice() {
    let home = tempfile::tempdir().unwrap();
    for scenario in ["vm-compromise", "token-theft"] {
        // Once at the latencies of a tenant, once at none: what is judged hangs on neither.
        let once = |latency: &str| {
            let args = [
                "drill",
                "start",
                scenario,
                "--lab",
                "--auto",
                "--clock-scale",
                "10",
            ];
            let more = ["--output", "json", "--lab-latency", latency];
            let done = bare(home.path(), &[args.as_slice(), &more].concat());
            let verdict: Value = serde_json::from_str(&done.stdout).unwrap();
            let code = done.code;
            let missed: Vec<String> = verdict["lines"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|line| line["holds"] != true)
                .map(ToString::to_string)
                .collect();
            assert_eq!(code, 0, "{scenario}: {}", missed.join("\n"));
            assert_eq!(
                (verdict["score"].as_u64(), verdict["by"].as_str()),
                (Some(100), Some("auto"))
            );
            let lines = verdict["lines"].as_array().unwrap().clone();
            lines
                .iter()
                .map(|line| {
                    (
                        line["id"].clone(),
                        line["points"].clone(),
                        line["of"].clone(),
                    )
                })
                .collect::<Vec<_>>()
        };
        let first = once("1");
        assert_eq!(first, once("0"), "{scenario}");
        assert!(first.iter().any(|(id, _, _)| id == "undo_ends"));
    }
}

#[test]
fn a_slip_of_the_keyboard_is_told_the_command_that_was_meant() {
    let home = tempfile::tempdir().unwrap();
    for (typed, said, next) in [
        (
            ["drill", "strat"],
            "there is no command drill strat",
            "azir drill start --help",
        ),
        (
            ["drill", "hunt"],
            "there is no command drill hunt",
            "azir drill",
        ),
        (
            ["isolate-vn", "x"],
            "there is no command isolate-vn",
            "azir isolate-vm --help",
        ),
    ] {
        let refused = bare(home.path(), &typed);
        assert_eq!(refused.code, 2, "{typed:?}");
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert!(refused.stderr.contains(next), "{}", refused.stderr);
    }
}
