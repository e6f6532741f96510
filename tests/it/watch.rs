//! After containment azir looks again: what somebody undoes is told, and done again where the responder said so.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Azir, SUB};

/// Starts an isolation that is watched, waits until it is contained, and lets an attacker open the interface again.
fn attacked(azir: &Azir, more: &[&str]) -> Value {
    let mut args = vec![
        "isolate-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--watch",
        "4s",
    ];
    args.extend(more);
    args.extend(["--output", "json"]);
    let mut command: Command = azir.command(&args);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !watched(azir) {
        assert!(Instant::now() < deadline, "the watch never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    let nic = interface(azir);
    azir.lab.tamper(&nic, |nic| {
        nic["properties"]["networkSecurityGroup"] = Value::Null;
    });
    let done = crate::support::done(child.wait_with_output().unwrap());
    let mut report: Value = serde_json::from_str(&done.stdout).unwrap();
    report["code"] = done.code.into();
    report
}

fn watched(azir: &Azir) -> bool {
    let case = azir.home.path().join("cases/IR-1");
    let runs = std::fs::read_dir(case).into_iter().flatten().flatten();
    let logs =
        runs.filter_map(|run| std::fs::read_to_string(run.path().join("seg-000001.jsonl")).ok());
    let mut logs = logs.filter(|log| log.contains("\"kind\":\"watch\""));
    logs.next().is_some()
}

fn interface(azir: &Azir) -> String {
    let state = azir.lab.state();
    let all = state["resources"].as_object().unwrap();
    let machine = all
        .iter()
        .find(|(id, _)| id.ends_with("/virtualmachines/vm-app-01"))
        .unwrap()
        .1;
    machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
        .as_str()
        .unwrap()
        .to_ascii_lowercase()
}

fn quarantined(azir: &Azir) -> bool {
    let state = azir.lab.state();
    let nsg = &state["resources"][&interface(azir)]["properties"]["networkSecurityGroup"]["id"];
    assert!(interface(azir).starts_with(SUB));
    nsg.as_str().is_some_and(|id| id.contains("quarantine"))
}

#[test]
fn what_somebody_undoes_is_told_and_not_called_contained() {
    let azir = Azir::new();
    let report = attacked(&azir, &[]);
    assert_eq!(report["code"], 4, "{}", report["targets"][0]["error"]);
    assert_eq!(report["targets"][0]["error"]["code"], "undone");
    assert!(!quarantined(&azir));
    let shown = azir.run(&["timeline", "--incident", "IR-1"]).stdout;
    assert!(shown.contains("UNDONE by somebody"), "{shown}");
    assert_eq!(azir.run(&["journal", "verify", "last"]).code, 2);
}

#[test]
fn what_somebody_undoes_is_done_again_where_the_responder_said_so_and_undo_puts_back_what_was_first()
 {
    let azir = Azir::new();
    let before = azir.lab.state()["resources"][&interface(&azir)]["properties"].clone();
    let report = attacked(&azir, &["--reapply"]);
    assert_eq!(report["code"], 0, "{}", report["targets"][0]["error"]);
    assert!(quarantined(&azir));
    let done = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let after = &azir.lab.state()["resources"][&interface(&azir)]["properties"];
    assert_eq!(
        after["networkSecurityGroup"],
        before["networkSecurityGroup"]
    );
}

#[test]
fn what_was_undone_and_cannot_be_read_any_more_is_not_called_contained() {
    // The check asks for the effective rules: once when it is made, then in the watch.
    let script = "faults: [{method: POST, path: /effectiveNetworkSecurityGroups, nth: 4, times: 1000, \
                  do: status, status: 403, code: AuthorizationFailed}]";
    let azir = Azir::with(script, |_| {});
    let report = attacked(&azir, &[]);
    assert_eq!(report["code"], 4, "{}", report["targets"][0]["error"]);
}

#[test]
fn nothing_undone_nothing_said_and_reapply_needs_a_watch() {
    let azir = Azir::new();
    let args = [
        "isolate-vm",
        "vm-app-01",
        "--incident",
        "IR-1",
        "--yes",
        "--watch",
        "1s",
    ];
    let (code, report) = azir.json(&args);
    assert_eq!(code, 0, "{}", report["targets"][0]["error"]);
    assert_eq!(report["journal"]["sealed"], true);
    let log = std::path::Path::new(report["journal"]["path"].as_str().unwrap());
    let log = std::fs::read_to_string(log.join("seg-000001.jsonl")).unwrap();
    assert!(log.contains("\"why\":\"watch\"") && log.contains("watch_ended"));
    let refused = azir.run(&["isolate-vm", "vm-app-01", "--reapply"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--watch"), "{}", refused.stderr);
    let refused = azir.run(&["isolate-vm", "vm-app-01", "--watch", "2d"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
}
