//! What `--yes` does not cover is done only when the responder said so, and the record says who did.

use serde_json::{Value, json};

use crate::support::Azir;

const STOP: &str = r#"
azir: v1
name: stop-vm
version: 1.0.0
title: Stop a machine and give its memory away
about: A runbook of one's own with a step that costs something.
purpose: contain
params:
  vm: {type: resource, of: Microsoft.Compute/virtualMachines, position: 1, many: true, required: true, help: The machine}
permissions:
  arm:
    - Microsoft.Compute/virtualMachines/deallocate/action
    - Microsoft.Compute/virtualMachines/read
    - Microsoft.Resources/tags/read
    - Microsoft.Resources/tags/write
steps:
  - id: mark
    phase: isolate
    title: Mark the machine
    request:
      arm: "PATCH {{ vm.id }}/providers/Microsoft.Resources/tags/default"
      api_version: "2021-04-01"
      body: {operation: Merge, properties: {tags: {marked: "yes"}}}
    check:
      claim: the mark is there
      get: {arm: "GET {{ vm.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}
      that: "{{ (got | get('properties.tags', {})).marked == 'yes' }}"
      within: 30s
    lasting: a mark
  - id: stop
    phase: isolate
    title: Deallocate the machine
    consent: explicit
    request:
      arm: "POST {{ vm.id }}/deallocate"
      api_version: "2024-11-01"
    check:
      claim: the machine does not run
      get: {arm: "GET {{ vm.id }}", api_version: "2024-11-01", query: {$expand: instanceView}}
      that: "{{ 'PowerState/deallocated' in (got | get('properties.instanceView.statuses', []) | pluck('code')) }}"
      within: 30s
    undo: {never: the memory is gone}
"#;

fn with_runbook() -> Azir {
    let azir = Azir::new();
    let folder = azir.home.path().join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("stop-vm.yaml"), STOP.trim_start()).unwrap();
    azir
}

fn decisions(azir: &Azir, incident: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(azir.run_dir(incident).join("seg-000001.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "decision")
        .collect()
}

#[test]
fn a_step_that_needs_consent_is_left_undone_and_said_without_it() {
    let azir = with_runbook();
    let (code, report) = azir.json(&["stop-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    let left = &report["not_done"][0];
    assert_eq!(left["step"], "stop");
    assert!(
        left["next"].as_str().unwrap().contains("--accept stop"),
        "{left}"
    );
    assert!(
        azir.writes()
            .iter()
            .all(|write| !write.contains("deallocate"))
    );
    assert_eq!(decisions(&azir, "IR-1"), Vec::<Value>::new());
    // The plan says it before anybody is surprised.
    let plan = azir.run(&["stop-vm", "vm-app-01", "--plan"]).stdout;
    assert!(
        plan.contains("[needs --accept]") && plan.contains("CANNOT BE UNDONE: the memory is gone"),
        "{plan}"
    );
}

#[test]
fn consent_given_beforehand_is_recorded_with_the_question_and_how_it_was_given() {
    let azir = with_runbook();
    let (code, report) = azir.json(&[
        "stop-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--accept",
        "stop",
    ]);
    assert_eq!(code, 0, "{report}");
    assert!(
        azir.writes()
            .iter()
            .any(|write| write.ends_with("/vm-app-01/deallocate"))
    );
    let made = decisions(&azir, "IR-1");
    assert_eq!(made.len(), 1);
    let data = &made[0]["data"];
    assert_eq!(
        (&data["by"], &data["choice"]),
        (&json!("--accept"), &json!(["stop"]))
    );
    assert!(
        data["question"]
            .as_str()
            .unwrap()
            .contains("the memory is gone"),
        "{data}"
    );
}
