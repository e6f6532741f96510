//! What a run finds out is an answer and no failure: told in the summary, the JSON and an exhibit, the worst first.

use serde_json::{Value, json};

use crate::support::Azir;

const LOOK: &str = r#"azir: v1
name: look-around
version: 1.0.0
title: Look at the subscriptions
purpose: read
params:
  wanted: {type: string, default: contoso-dev, help: A name}
permissions:
  arm: [Microsoft.Resources/subscriptions/read]
steps:
  - id: subscriptions
    phase: inventory
    title: Collect the subscriptions
    collect: {arm: "GET /subscriptions", api_version: "2022-12-01", pages: value, name: subscriptions.jsonl, description: The subscriptions}
    let: {all: "{{ items }}"}
findings:
  - severity: info
    for_each: "{{ subscriptions.all }}"
    what: "subscription {{ item.displayName }} is there"
    item: "{{ item.subscriptionId }}"
  - severity: "{{ 'high' if item.displayName == wanted else 'low' }}"
    for_each: "{{ subscriptions.all }}"
    when: "{{ item.displayName == wanted }}"
    what: "{{ item.displayName }} is the one looked for"
  - severity: medium
    for_each: "{{ [item_of_nobody] }}"
    what: never
"#;

fn with(text: &str) -> Azir {
    let azir = Azir::new();
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("look-around.yaml"), text).unwrap();
    azir
}

/// The runbook without the finding that cannot be judged.
fn sound() -> String {
    LOOK.split("  - severity: medium")
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn findings_are_told_the_worst_first_and_the_run_ends_well() {
    let azir = with(&sound());
    let (code, report) = azir.json(&["look-around", "--incident", "IR-1", "--yes"]);
    assert_eq!((code, &report["status"]), (0, &json!("done")), "{report}");
    let found = report["findings"].as_array().unwrap();
    assert_eq!(found.len(), 3, "{report}");
    assert_eq!(
        (&found[0]["severity"], &found[0]["what"]),
        (&json!("high"), &json!("contoso-dev is the one looked for"))
    );
    assert_eq!(
        found[1]["item"], "22222222-2222-4222-8222-222222222222",
        "{report}"
    );
    let exhibit = report["evidence"].as_array().unwrap();
    let exhibit = exhibit.iter().find(|it| it["name"] == "findings.json");
    let exhibit = exhibit.unwrap_or_else(|| panic!("{report}"));
    assert!(exhibit["stored"].is_string(), "{exhibit}");
    let kept = azir
        .run_dir("IR-1")
        .join("evidence")
        .join(exhibit["sha256"].as_str().unwrap());
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept["findings"].as_array().unwrap().len(), 3);
    let shown = azir.run(&["show", "last"]);
    let at = |text: &str| {
        shown
            .stdout
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", shown.stdout))
    };
    assert!(at("Found: 1 high, 2 info") < at("high: contoso-dev is the one"));
    assert!(at("high: contoso-dev is the one") < at("info: subscription contoso-prod"));
}

#[test]
fn nothing_found_is_said_with_its_limit() {
    let azir = with(&sound().replace("\"{{ subscriptions.all }}\"", "\"{{ [] }}\""));
    let (code, report) = azir.json(&["look-around", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["findings"], json!([]));
    assert!(
        report["said"].to_string().contains("in what could be read"),
        "{report}"
    );
}

#[test]
fn what_cannot_be_judged_is_a_gap_and_never_clean() {
    let text = LOOK.replace("item_of_nobody", "subscriptions.all[0].tags.x");
    let azir = with(&text);
    let (code, report) = azir.json(&["look-around", "--yes"]);
    assert_eq!(
        (code, &report["status"]),
        (4, &json!("unchecked")),
        "{report}"
    );
    assert!(
        report["gaps"]
            .to_string()
            .contains("not judged, so not clean"),
        "{report}"
    );
    assert_eq!(report["findings"].as_array().unwrap().len(), 3);
}
