//! What the vault is worth, said before a run; and exercises that would write to the vault of production.

use serde_json::{Value, json};

use crate::support::{Azir, CONFIG, SUB, bare};

/// A profile whose vault is another container, or is named otherwise.
fn profile(azir: &Azir, vault: &str) {
    let usual = "vault = { account = \"stforensicirprodweu\", container = \"ir-evidence\" }";
    assert!(CONFIG.contains(usual));
    let text = CONFIG.replace(usual, &format!("vault = {vault}"));
    std::fs::write(azir.home.path().join("config.toml"), text).unwrap();
}

fn account() -> String {
    format!(
        "{SUB}/resourceGroups/rg-forensic-prod/providers/Microsoft.Storage/storageAccounts/stforensicirprodweu"
    )
}

fn said(azir: &Azir, args: &[&str]) -> (i32, Value) {
    let (code, plan) = azir.json(args);
    let answers = plan["preflight"]
        .as_array()
        .unwrap_or_else(|| panic!("{plan}"));
    let vault = answers.iter().find(|answer| answer["what"] == "vault");
    (code, vault.unwrap_or_else(|| panic!("{plan}")).clone())
}

#[test]
fn the_plan_and_the_doctor_say_what_the_container_is_worth() {
    let azir = Azir::new();
    let by_id =
        |container: &str| format!("{{ id = \"{}\", container = \"{container}\" }}", account());
    let by_name = |container: &str| {
        format!("{{ account = \"stforensicirprodweu\", container = \"{container}\" }}")
    };
    for (vault, verdict, words) in [
        (
            by_name("ir-evidence"),
            "PASS",
            "locked for 365 days, with protected append writes",
        ),
        (
            by_id("ir-evidence"),
            "PASS",
            "locked for 365 days, with protected append writes",
        ),
        (
            by_name("ir-unlocked"),
            "UNKNOWN",
            "protects nothing: it can be deleted",
        ),
        (by_id("ir-unprotected"), "UNKNOWN", "no immutability policy"),
        (
            by_name("ir-no-append"),
            "UNKNOWN",
            "the anchors' appends will be refused",
        ),
        (by_name("ir-held"), "UNKNOWN", "a legal hold lies on it"),
        (by_name("ir-nowhere"), "UNKNOWN", "cannot be read"),
        (
            "{ account = \"stnobody\" }".to_owned(),
            "UNKNOWN",
            "cannot be read",
        ),
    ] {
        profile(&azir, &vault);
        let (code, answer) = said(&azir, &["isolate-vm", "vm-app-01", "--plan"]);
        let text = answer["text"].as_str().unwrap();
        assert_eq!(
            (code, &answer["verdict"]),
            (0, &json!(verdict)),
            "{vault}: {text}"
        );
        assert!(text.contains(words), "{vault}: {text}");
        let doctor = azir.run(&["doctor"]);
        let expected = if verdict == "PASS" {
            "ok    vault"
        } else {
            "warn  vault"
        };
        assert!(
            doctor.stdout.contains(words) && doctor.stdout.contains(expected),
            "{}",
            doctor.stdout
        );
    }
    assert!(azir.all_writes().is_empty());
}

#[test]
fn a_container_of_no_worth_is_used_all_the_same() {
    let azir = Azir::new();
    profile(
        &azir,
        "{ account = \"stforensicirprodweu\", container = \"ir-unprotected\" }",
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["journal"]["unvouched"], Value::Null);
    // One that takes no appends has the evidence, and the record is said to be unanchored.
    let azir = Azir::new();
    profile(
        &azir,
        "{ account = \"stforensicirprodweu\", container = \"ir-no-append\" }",
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--incident", "IR-1"]);
    assert_eq!(code, 0, "{report}");
    let missing = &report["journal"]["unvouched"][0];
    assert_eq!(missing["witness"], "worm", "{report}");
    assert!(
        missing["why"]
            .as_str()
            .unwrap()
            .contains("protected append writes"),
        "{missing}"
    );
    let stored = |exhibit: &Value| exhibit["stored"].is_string();
    assert!(
        report["evidence"].as_array().unwrap().iter().all(stored),
        "{report}"
    );
}

#[test]
fn an_exercise_that_would_write_to_the_vault_of_production_is_refused_before_any_write() {
    let azir = Azir::new();
    let arm = azir.lab.ready().arm.clone();
    let real = format!(
        "[profiles.prod]\ncloud = \"{arm}\"\nvault = {{ account = \"stforensicirprodweu\", container = \"ir-evidence\" }}\n"
    );
    for vault in [
        "{ account = \"stforensicirprodweu\", container = \"ir-evidence\" }".to_owned(),
        "{ account = \"STForensicIRprodWEU\", container = \"IR-Evidence\" }".to_owned(),
        format!("{{ id = \"{}\" }}", account()),
        format!("{{ id = \"{}/\" }}", account().to_uppercase()),
    ] {
        let exercise = format!("[profiles.quarterly]\ntabletop = true\nvault = {vault}\n");
        std::fs::write(
            azir.home.path().join("config.toml"),
            format!("{real}{exercise}"),
        )
        .unwrap();
        for also in ["--yes", "--plan"] {
            let (code, error) =
                azir.json(&["isolate-vm", "vm-app-01", also, "--profile", "quarterly"]);
            assert_eq!(
                (code, &error["error"]["code"]),
                (5, &json!("guard")),
                "{vault}"
            );
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains("profile prod"), "{message}");
        }
    }
    assert!(azir.all_writes().is_empty());
    assert!(!azir.home.path().join("cases").exists() || azir.run(&["list"]).stdout.is_empty());
    // With a container of its own it goes on.
    let exercise = "[profiles.quarterly]\ntabletop = true\nvault = { account = \"stforensicirprodweu\", container = \"ir-unlocked\" }\n";
    std::fs::write(
        azir.home.path().join("config.toml"),
        format!("{real}{exercise}"),
    )
    .unwrap();
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--yes", "--profile", "quarterly"]);
    assert_eq!(code, 0, "{report}");
    assert!(
        azir.all_writes()
            .iter()
            .all(|write| !write.contains("/ir-evidence/"))
    );
}

#[test]
fn the_lab_has_a_profile_that_no_configuration_can_point_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(
        &config,
        "[profiles.lab]\nvault = { account = \"stprod\" }\n",
    )
    .unwrap();
    let done = bare(
        home.path(),
        &["isolate-vm", "vm-app-01", "--yes", "--profile", "lab"],
    );
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("built in"), "{}", done.stderr);
    // A real account that happens to have the name of the lab's is not the lab's, which is on this machine.
    std::fs::write(
        &config,
        "profile = \"prod\"\n[profiles.prod]\nvault = { account = \"stforensicirprodweu\", container = \"ir-evidence\" }\n",
    )
    .unwrap();
    let done = bare(
        home.path(),
        &[
            "isolate-vm",
            "vm-app-01",
            "--lab",
            "--lab-latency",
            "0",
            "--yes",
            "--output",
            "json",
        ],
    );
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let stored = report["evidence"][0]["stored"].as_str().unwrap();
    assert!(
        stored.starts_with("https://stforensicirprodweu.blob.localhost:"),
        "{stored}"
    );
}
