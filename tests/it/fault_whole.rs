//! What the whole of azir makes of a fault at the cut itself: a row a fault, kept in `src/azure/FAULTS.md`.

use serde_json::{Value, json};

use super::fault_kit::{hold, line};
use crate::staged::{id, run};

const NIC: &str = "rg-workload-prod/providers/Microsoft.Network/networkInterfaces/vm-app-01-nic";

/// Faults of the write that puts the interface behind the quarantine.
fn faults() -> Vec<(&'static str, Value)> {
    let status = |status: u16| json!({"do": "status", "status": status});
    let always = |fault: &str| json!({"do": fault, "times": 99});
    let asked = json!({"do": "status", "status": 429, "retry_after": 7});
    let never = json!({"do": "status", "status": 500, "times": 99});
    vec![
        ("429 with `Retry-After`", asked),
        ("429 without a word of how long", status(429)),
        ("500 for ever", never),
        ("reset before the effect", json!({"do": "reset-before"})),
        ("reset after the effect", json!({"do": "reset-after"})),
        ("the JSON is cut", json!({"do": "truncate"})),
        (
            "a page of something in between, 200",
            json!({"do": "html", "status": 200}),
        ),
        (
            "a foreign operation address",
            json!({"do": "foreign-location"}),
        ),
        (
            "the operation fails inside 200",
            json!({"do": "lro-failed"}),
        ),
        ("the token has expired", json!({"do": "expired-token"})),
        ("a claims challenge for ever", always("claims-challenge")),
    ]
}

#[tokio::test]
async fn each_fault_of_the_cut_has_its_row() {
    let mut rows = String::new();
    for (fault, mut script) in faults() {
        script["method"] = json!("PUT");
        script["path"] = json!(NIC);
        let ran = run("isolate-vm", "vm-app-01", script).await;
        let state = ran.lab.state();
        let nic = &state["resources"][id(NIC).to_lowercase()]["properties"];
        let behind = nic["networkSecurityGroup"]["id"].to_string();
        let cut = behind.contains("nsg-ir-quarantine");
        // What is not cut is never called so.
        let said = ran.report["residual"].to_string();
        let told = said.contains("NOT CUT: interface");
        assert!(cut || (told && ran.code == 3), "{fault}: exit {}", ran.code);
        let reconciled = ran
            .journal
            .lines()
            .filter(|line| {
                line.contains("\"type\":\"action.reconcile\"") && line.contains("\"found\":\"yes\"")
            })
            .count();
        let cells = [
            ran.code.to_string(),
            format!("`{}`", ran.report["status"].as_str().unwrap_or_default()),
            if cut { "yes" } else { "no" }.to_owned(),
            reconciled.to_string(),
        ];
        rows += &line(fault, &cells);
    }
    hold("whole", &rows);
}
