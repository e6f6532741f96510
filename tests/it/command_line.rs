//! What is typed counts where it is typed, and what does not fit is refused before anything is reached.

use serde_json::Value;

use crate::support::{Azir, Done, bare};

/// A runbook of one's own, as a file: what `azir run FILE` takes.
fn isolate_as_file(azir: &Azir) -> String {
    let path = azir.home.path().join("mine.yaml");
    let shipped = azir.run(&["runbook", "show", "isolate-vm", "--yaml"]);
    let text = if shipped.code == 0 {
        shipped.stdout
    } else {
        include_str!("../../runbooks/contain/isolate-vm.yaml").to_owned()
    };
    std::fs::write(&path, text.replace("name: isolate-vm", "name: mine")).unwrap();
    path.display().to_string()
}

#[test]
fn a_plan_is_only_a_plan_wherever_the_flags_of_run_stand() {
    let azir = Azir::new();
    let file = isolate_as_file(&azir);
    for args in [
        &["run", &file, "vm-app-01", "--plan", "--yes"][..],
        &["run", "--yes", &file, "vm-app-01", "--plan"],
        &["run", "--plan", &file, "vm-app-01", "--yes"],
        &["--plan", "run", &file, "vm-app-01", "--yes"],
        &["--yes", "run", "isolate-vm", "--plan", "vm-app-01"],
        &[
            "--incident",
            "IR-9",
            "run",
            "--output",
            "json",
            &file,
            "--plan",
            "vm-app-01",
        ],
        &["isolate-vm", "--plan", "vm-app-01", "--yes"],
        &["--plan", "isolate-vm", "vm-app-01", "--yes"],
    ] {
        let done = azir.run(args);
        assert!(matches!(done.code, 0 | 5), "{args:?}: {}", done.stderr);
        assert_eq!(azir.writes(), Vec::<String>::new(), "{args:?}");
    }
}

#[test]
fn what_stands_before_and_behind_a_runbook_of_ones_own_counts_together() {
    let azir = Azir::new();
    let file = isolate_as_file(&azir);
    let done = azir.run(&[
        "--incident",
        "IR-7",
        "run",
        "--ticket",
        "T-1",
        &file,
        "--authority",
        "CISO",
        "vm-app-01",
        "--responder",
        "alice@contoso.com",
        "--detected-at",
        "2026-01-02T03:04:05Z",
        "--yes",
    ]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let line = first_line(&azir, "IR-7");
    assert_eq!(line["data"]["authority"]["ticket"], "T-1");
    assert_eq!(line["data"]["authority"]["basis"], "CISO");
    assert_eq!(line["data"]["responder"]["upn"], "alice@contoso.com");
    assert_eq!(line["data"]["detected_at"], "2026-01-02T03:04:05Z");
}

fn first_line(azir: &Azir, incident: &str) -> Value {
    let text = std::fs::read_to_string(azir.run_dir(incident).join("seg-000001.jsonl")).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn a_step_that_is_not_there_is_refused_before_anything_is_reached() {
    let azir = Azir::new();
    let cases = [
        &["--accept", "detach-identity"][..],
        &["--choose", "no-such-step=all"],
        &["--choose", "identities"],
        &["--choose", "role-assignments="],
        &["--detected-at", "yesterday"],
        &["--detected-at", "2199-01-01T00:00:00Z"],
        &["--incident", "../evil"],
        &["--lab", "--cloud", "AzureCloud"],
    ];
    for more in cases {
        let mut args = vec!["isolate-vm", "vm-app-01", "--yes"];
        args.extend(more);
        let done = azir.run(&args);
        assert_eq!(done.code, 2, "{more:?}: {}{}", done.stdout, done.stderr);
        says_what_and_next(&done, more);
    }
    assert_eq!(azir.lab.requests().len(), 0);
    assert!(!azir.home.path().join("cases").exists());
}

fn says_what_and_next(done: &Done, args: &[&str]) {
    assert!(
        done.stderr.contains("azir: ") && done.stderr.contains("next: "),
        "{args:?}: {}",
        done.stderr
    );
}

#[test]
fn a_runbook_that_cannot_be_loaded_costs_its_own_command_and_no_other() {
    let azir = Azir::new();
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("broken.yaml"),
        "azir: v1\nname: broken\nsteps: [",
    )
    .unwrap();
    std::fs::write(folder.join("latin.yaml"), b"azir: v1\nname: \xff\n").unwrap();
    std::fs::write(
        folder.join("isolate-vm.yaml"),
        "azir: v1\nname: isolate-vm\n",
    )
    .unwrap();
    std::fs::create_dir(folder.join("folder.yaml")).unwrap();
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("isolate-vm.yaml") && done.stderr.contains("left out"),
        "{}",
        done.stderr
    );
    let done = azir.run(&["broken", "x", "--yes"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("broken.yaml"), "{}", done.stderr);
}

#[test]
fn a_damaged_run_is_listed_as_damaged_and_never_left_out() {
    let azir = Azir::new();
    for incident in ["IR-1", "IR-2"] {
        let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", incident, "--yes"]);
        assert!(matches!(done.code, 0 | 3 | 4), "{}", done.stderr);
    }
    let damaged = azir.run_dir("IR-1").join("seg-000001.jsonl");
    std::fs::write(&damaged, "no journal\n").unwrap();
    let done = azir.run(&["list"]);
    assert!(
        done.stdout.contains("IR-2") && (done.stdout.clone() + &done.stderr).contains("IR-1"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    assert_eq!(done.code, 6, "{}{}", done.stdout, done.stderr);
    let done = azir.run(&["show", azir.run_dir("IR-1").to_str().unwrap()]);
    assert_eq!(done.code, 6, "{}{}", done.stdout, done.stderr);
}

#[test]
fn the_doctor_touches_no_case_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "isolate-vm",
        "vm-app-01",
        "--lab",
        "--lab-latency",
        "0",
        "--incident",
        "doctor",
        "--yes",
    ];
    assert_eq!(bare(folder.path(), &args).code, 0);
    let before = files(&folder.path().join("cases"));
    assert!(!before.is_empty());
    assert_eq!(bare(folder.path(), &["doctor", "--lab"]).code, 0);
    assert_eq!(files(&folder.path().join("cases")), before);
}

fn files(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn scripts_get_every_refusal_as_json() {
    let azir = Azir::new();
    for args in [
        &["isolate-wm", "--output", "json"][..],
        &["isolate-vm", "--output=json", "--no-such-flag"],
        &["--output", "json", "resum"],
        &["show", "deadbeef", "--output", "json"],
        &["isolate-vm", "vm-app-01", "--output", "json"],
    ] {
        let done = azir.run(args);
        let error: Value = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}{}", done.stdout, done.stderr));
        let error = &error["error"];
        assert_eq!(error["exit_code"], done.code, "{args:?}");
        for name in ["code", "message", "hint"] {
            assert!(
                error[name].as_str().is_some_and(|text| !text.is_empty()),
                "{args:?}: {name}: {error}"
            );
        }
    }
}

#[test]
fn undo_takes_cloud_and_case_from_the_run_and_refuses_others() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "isolate-vm",
        "vm-app-01",
        "--lab",
        "--lab-latency",
        "0",
        "--incident",
        "IR-1",
        "--yes",
    ];
    assert_eq!(bare(folder.path(), &args).code, 0);
    for more in [&["--cloud", "AzureChinaCloud"][..], &["--incident", "IR-2"]] {
        let mut args = vec!["undo", "last", "--yes", "--lab-latency", "0"];
        args.extend(more);
        let done = bare(folder.path(), &args);
        assert_eq!(done.code, 2, "{more:?}: {}", done.stderr);
    }
    // The journal knows that the run acted in the lab: nothing needs to be said again.
    let done = bare(
        folder.path(),
        &["undo", "last", "--yes", "--lab-latency", "0"],
    );
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}

#[test]
fn half_a_list_of_targets_is_refused() {
    let azir = Azir::new();
    let file = azir.home.path().join("targets");
    std::fs::write(&file, b"vm-app-01\n\xff\xfe\nvm-stopped-01\n").unwrap();
    let done = azir.run(&["isolate-vm", "--from", file.to_str().unwrap(), "--yes"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(azir.lab.requests().len(), 0);
}

#[test]
fn a_line_that_is_no_target_is_named_by_file_and_number() {
    let azir = Azir::new();
    let file = azir.home.path().join("targets");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "# who clicked\nalice@contoso.com\n\nbob\tIT\n").unwrap();
    let done = azir.run(&["revoke-user", "--from", path, "--incident", "IR-1", "--yes"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    let said = format!("{path}, line 4: it holds a control character");
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    assert_eq!(azir.lab.requests().len(), 0);
}

#[test]
fn a_profile_that_cannot_be_meant_is_refused_before_tonight() {
    let folder = tempfile::tempdir().unwrap();
    for (line, said) in [
        (
            r#"subscriptions = ["abc"]"#,
            "subscription \"abc\" is no id",
        ),
        (r#"tenant = "abc""#, "tenant \"abc\" is no id"),
        (
            r#"bastion = ["10.0.0.300/24"]"#,
            "bastion \"10.0.0.300/24\" is no range",
        ),
        (
            r#"bastion = ["10.0.0.0/33"]"#,
            "bastion \"10.0.0.0/33\" is no range",
        ),
        (
            r#"vault = { container = "c" }"#,
            "vault names neither an account nor an id",
        ),
    ] {
        let text = format!("profile = \"p\"\n[profiles.p]\n{line}\n");
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        let done = bare(folder.path(), &["isolate-vm", "vm-a", "--yes"]);
        assert_eq!(done.code, 2, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(said), "{line}: {}", done.stderr);
        let doctor = bare(folder.path(), &["doctor"]);
        assert_eq!(doctor.code, 1, "{}", doctor.stdout);
        assert_eq!(doctor.stdout.matches(said).count(), 1, "{}", doctor.stdout);
    }
}

#[test]
fn the_doctor_says_whether_break_glass_accounts_are_kept() {
    let azir = Azir::new();
    let guards = || {
        let report = azir.json(&["doctor"]).1;
        let findings = report["findings"].as_array().unwrap().clone();
        let of: Vec<_> = findings
            .into_iter()
            .filter(|finding| finding["what"] == "guards")
            .collect();
        assert_eq!(of.len(), 1, "{report}");
        of[0].clone()
    };
    let none = guards();
    assert_eq!(none["verdict"], "warn", "{none}");
    assert_eq!(none["next"], "set break_glass in config.toml");
    azir.configure("break_glass = [\"bg01@contoso.onmicrosoft.com\"]");
    let one = guards();
    assert_eq!(one["verdict"], "ok", "{one}");
    assert_eq!(
        one["text"],
        "break-glass accounts: bg01@contoso.onmicrosoft.com"
    );
}

#[test]
fn every_line_of_the_first_configuration_is_one_that_azir_takes() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(bare(folder.path(), &["init"]).code, 0);
    let path = folder.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, profile) = text.split_once("[profiles.prod]").unwrap();
    let set = format!("{head}[profiles.prod]{}", profile.replace("\n# ", "\n"));
    assert!(set.contains("\nbreak_glass = ["), "{set}");
    std::fs::write(&path, set).unwrap();
    let doctor = bare(folder.path(), &["doctor", "--lab"]);
    assert!(
        doctor.stdout.contains("profile prod"),
        "{}{}",
        doctor.stdout,
        doctor.stderr
    );
}

#[test]
fn what_is_there_already_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    bare(folder.path(), &["init"]);
    let done = bare(folder.path(), &["init"]);
    assert!(
        done.stderr
            .contains("config.toml is there already and is not overwritten"),
        "{}",
        done.stderr
    );
    for (name, why) in [
        ("list", "it is a command of azir's own"),
        ("isolate-vm", "a runbook of this name is there already"),
        ("../x", "a name is of small letters"),
    ] {
        let done = bare(folder.path(), &["runbook", "new", name]);
        assert_eq!(done.code, 2, "{name}");
        assert!(done.stderr.contains(why), "{name}: {}", done.stderr);
    }
}

#[test]
fn an_undo_is_not_undone_and_nothing_put_back_is_not_called_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let lab = ["--lab", "--lab-latency", "0", "--incident", "IR-1", "--yes"];
    let with = |args: &[&str]| bare(folder.path(), &[args, &lab].concat());
    let done = with(&["snapshot-vm", "vm-app-01"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let undo = with(&["undo", "last"]);
    assert!(
        undo.stdout.contains("NOTHING TO PUT BACK: vm-app-01"),
        "{}{}",
        undo.stdout,
        undo.stderr
    );
    assert!(
        undo.stderr
            .contains("undo of snapshot-vm 1.0.0 on 1 target"),
        "{}",
        undo.stderr
    );
    let again = with(&["undo", "last"]);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("is itself an undo, of run"),
        "{}",
        again.stderr
    );
}

#[test]
fn the_nearest_name_is_proposed_where_the_command_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "isolate-vm",
        "vm-ap-01",
        "--lab",
        "--yes",
        "--lab-latency",
        "0",
    ];
    let done = bare(folder.path(), &args);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("next: azir isolate-vm vm-app-01 --lab\n"),
        "{}",
        done.stderr
    );
    assert!(
        !done.stderr.contains("no incident was named"),
        "no run began: {}",
        done.stderr
    );
}

#[test]
fn a_plan_outside_the_profiles_subscriptions_fails_before_the_run_does() {
    let azir = Azir::new();
    let config = azir.home.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let only = "subscriptions = [\"33333333-3333-4333-8333-333333333333\"]\n";
    std::fs::write(&config, format!("{text}{only}")).unwrap();
    let target = format!(
        "{}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01",
        crate::support::SUB
    );
    let plan = azir.run(&["isolate-vm", &target, "--plan"]);
    assert_eq!(plan.code, 5, "{}", plan.stdout);
    let said = "FAIL    guard: vm-app-01: subscription 22222222-2222-4222-8222-222222222222 is not among those that the profile lets azir write to";
    assert_eq!(plan.stdout.matches(said).count(), 1, "{}", plan.stdout);
    let run = azir.run(&["isolate-vm", &target, "--incident", "IR-1", "--yes"]);
    assert_eq!(run.code, 5, "{}", run.stdout);
    assert_eq!(azir.writes(), Vec::<String>::new());
}
