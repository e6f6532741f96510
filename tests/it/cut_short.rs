//! What is not all that was asked for is kept as far as it goes, and never called complete.

use crate::az_kit;
use crate::support::Azir;

/// A runbook of one's own that reads the logs in one piece; `{logs}` is where they are.
const ASK: &str = r#"
azir: v1
name: ask-logs
version: 1.0.0
title: Ask the logs
about: A runbook of one's own that asks the logs.
purpose: read
permissions:
  arm:
    - Microsoft.OperationalInsights/workspaces/query/read
steps:
  - id: asked
    phase: inventory
    title: Ask for what was done
    read: {logs: "POST {logs}/v1/workspaces/abababab-abab-4bab-8bab-abababababab/query", body: {query: "AzureActivity | project TimeGenerated"}}
    let:
      rows: "{{ (body.tables | first_or({})).rows | length }}"
"#;

#[test]
fn a_page_token_that_died_leaves_what_was_read_and_a_gap() {
    let azir = Azir::with(
        "faults: [{path: /auditLogs/signIns, nth: 2, do: status, status: 400, code: Directory_ExpiredPageToken, times: 99}]",
        |options| options.page = Some(10),
    );
    let (code, report) = azir.json(&[
        "collect-sign-ins",
        "heidi@contoso.com",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 4, "{report}");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("10 rows and is not complete"), "{gaps}");
    assert!(gaps.contains("Directory_ExpiredPageToken"), "{gaps}");
}

#[test]
fn a_query_that_was_answered_in_part_is_no_answer() {
    for (fault, whole) in [("act", true), ("partial", false)] {
        let script = format!("faults: [{{path: /query, times: 99, do: {fault}}}]");
        let azir = Azir::with(&script, |options| options.scenario = az_kit::scenario());
        let port = azir.lab.ready().arm.rsplit(':').next().unwrap();
        let logs = format!("https://api.loganalytics.localhost:{port}");
        let folder = azir.home.path().join("runbooks");
        std::fs::create_dir_all(&folder).unwrap();
        let text = ASK.trim_start().replace("{logs}", &logs);
        std::fs::write(folder.join("ask-logs.yaml"), text).unwrap();
        let (code, report) = azir.json(&["ask-logs", "--incident", "IR-1", "--yes"]);
        assert_eq!(code == 0, whole, "{report}");
        let told = report.to_string();
        assert_eq!(told.contains("a part of what was asked"), !whole, "{told}");
    }
}
