//! isolate-vm, from the typed command to the tenant's state, its journal and its undo.

use serde_json::{Value, json};

use crate::support::{Azir, SUB, killed_when, without_etags};

fn resource<'a>(state: &'a Value, path: &str) -> &'a Value {
    &state["resources"][format!("{SUB}{path}").to_lowercase()]
}

fn vm(state: &Value, group: &str, name: &str) -> Value {
    resource(
        state,
        &format!("/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"),
    )
    .clone()
}

fn nic(state: &Value, group: &str, name: &str) -> Value {
    resource(
        state,
        &format!("/resourceGroups/{group}/providers/Microsoft.Network/networkInterfaces/{name}"),
    )
    .clone()
}

fn snapshots(state: &Value) -> Vec<Value> {
    let all = state["resources"].as_object().unwrap().values();
    all.filter(|value| value["type"] == json!("Microsoft.Compute/snapshots"))
        .cloned()
        .collect()
}

const GOOD: &str = "nsg-ir-quarantine-westeurope";

#[test]
fn a_simple_machine_is_contained_checked_and_recorded() {
    let azir = Azir::new();
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["status"], json!("contained_residual"));
    assert_eq!(report["deadline"]["kept"], json!(true));
    assert_eq!(report["journal"]["verified"], json!(true));
    let state = azir.lab.state();
    assert!(nic(&state, "rg-workload-prod", "vm-app-01-nic")["properties"]["networkSecurityGroup"]["id"].as_str().unwrap().ends_with(GOOD));
    let machine = vm(&state, "rg-workload-prod", "vm-app-01");
    assert!(machine.get("identity").is_none());
    assert_eq!(machine["tags"]["ir-status"], json!("isolated"));
    assert_eq!(machine["tags"]["incident_id"], json!("IR-1"));
    // Merged, not replaced.
    assert_eq!(machine["tags"]["owner"], json!("shop"));
    let taken = snapshots(&state);
    assert_eq!(taken.len(), 2);
    for snapshot in taken {
        assert_eq!(
            snapshot["properties"]["networkAccessPolicy"],
            json!("DenyAll")
        );
        assert_eq!(snapshot["tags"]["incident_id"], json!("IR-1"));
        assert!(
            snapshot["id"]
                .as_str()
                .unwrap()
                .contains("rg-forensic-prod")
        );
    }
    // The activity log was paged to its end and lies in the vault.
    let exhibit = &report["evidence"][0];
    assert!(
        exhibit["stored"]
            .as_str()
            .unwrap()
            .contains("stforensicirprodweu")
    );
    let kept = azir
        .run_dir("IR-1")
        .join("evidence")
        .join(exhibit["sha256"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(kept).unwrap().lines().count(), 230);
}

#[test]
fn the_order_of_effects_is_snapshots_network_identity_tags() {
    let azir = Azir::new();
    assert_eq!(
        azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"])
            .code,
        0
    );
    let writes = azir.writes();
    // A method alone, a part of a path alone, or both.
    let holds = |write: &str, part: &str| part.split(' ').all(|word| write.contains(word));
    let first = |part: &str| {
        writes
            .iter()
            .position(|write| holds(write, part))
            .unwrap_or_else(|| panic!("{part}: {writes:#?}"))
    };
    let last = |part: &str| writes.iter().rposition(|write| holds(write, part)).unwrap();
    assert!(last("PUT") > last("PUT /snapshots/"));
    assert!(last("PUT /snapshots/") < first("/networkInterfaces/"));
    assert!(last("/networkInterfaces/") < first("/securityRules/azir-flush"));
    assert!(first("/securityRules/azir-flush") < first("PATCH"));
    let patches: Vec<&String> = writes
        .iter()
        .filter(|write| write.starts_with("PATCH"))
        .collect();
    assert_eq!(patches.len(), 4, "{patches:?}");
    assert!(
        patches[0].ends_with("/virtualMachines/vm-app-01") && patches[1].contains("/tags/default")
    );
    // The snapshots say whose they are when the machine cannot answer any more.
    assert!(
        patches[2..]
            .iter()
            .all(|write| write.contains("/snapshots/"))
    );
    // One nudge for the one NSG.
    assert_eq!(
        writes
            .iter()
            .filter(|write| write.contains("azir-flush"))
            .count(),
        1
    );
}

#[test]
fn a_plan_shows_the_writes_of_what_is_chosen_and_says_what_is_still_asked() {
    let azir = Azir::new();
    let plan = |more: &[&str]| {
        let words = [&["isolate-vm", "vm-hard-01", "--plan"][..], more].concat();
        let (code, plan) = azir.json(&words);
        assert_eq!(code, 0, "{plan:#}");
        let steps = plan["targets"][0]["steps"].as_array().unwrap().clone();
        let step = |id: &str| {
            let found = steps.iter().find(|step| step["id"] == id);
            found.unwrap_or_else(|| panic!("{id}: {plan:#}")).clone()
        };
        (step("cut_roles_which"), step("cut_roles"))
    };
    let (asked, cut) = plan(&[]);
    let note = asked["note"].as_str().unwrap();
    assert!(
        note.contains("the responder is asked; --choose cut_roles_which="),
        "{note}"
    );
    assert_eq!(cut["writes"], json!([]));
    let (asked, cut) = plan(&["--choose", "cut_roles_which=all"]);
    let writes = cut["writes"].as_array().unwrap();
    assert!(!writes.is_empty());
    for write in writes {
        let write = write.as_str().unwrap();
        assert!(
            write.starts_with("DELETE ") && write.contains("/roleAssignments/"),
            "{write}"
        );
    }
    let note = asked["note"].as_str().unwrap();
    let count = writes.len();
    assert!(
        note.starts_with(&format!("{count} of {count} chosen")),
        "{note}"
    );
    let (asked, cut) = plan(&["--yes"]);
    assert!(
        asked["note"].as_str().unwrap().starts_with("0 of "),
        "{asked}"
    );
    assert_eq!(cut["writes"], json!([]));
}

#[test]
fn until_the_cut_nothing_in_the_tenant_names_the_incident() {
    let script =
        "faults: [{method: PUT, path: networkInterfaces/vm-app-01-nic, do: delay, millis: 600000}]";
    let azir = Azir::with(script, |_| {});
    let cut = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];
    killed_when(&azir, &cut, || azir.lab.kept_back() > 0);
    let state = azir.lab.state();
    assert_eq!(snapshots(&state).len(), 2);
    let told = state["resources"].to_string();
    for word in ["IR-1", "captured_by", "incident_id", "Purpose"] {
        assert!(!told.contains(word), "{word}");
    }
    let cut_at = chrono::Utc::now();
    let resumed = azir.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
    let state = azir.lab.state();
    for snapshot in snapshots(&state) {
        let tags = &snapshot["tags"];
        let disk = tags["source_resource_id"].as_str().unwrap();
        assert_eq!(tags["incident_id"], "IR-1");
        assert!(tags["captured_by"].as_str().unwrap().starts_with("azir:"));
        assert!(disk.contains("/disks/"), "{tags}");
        let taken: chrono::DateTime<chrono::Utc> =
            tags["captured_at"].as_str().unwrap().parse().unwrap();
        assert!(
            taken <= cut_at,
            "when it was captured, and not when it was tagged"
        );
    }
}

#[test]
fn a_machine_whose_parts_are_named_in_another_casing_is_the_same_machine() {
    let azir = Azir::new();
    let upper = |id: &mut Value| {
        let text = id.as_str().unwrap();
        *id = json!(text.replace("rg-workload-prod", "RG-WORKLOAD-PROD"));
    };
    let machine = format!(
        "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01"
    );
    azir.lab.tamper(&machine, |machine| {
        let storage = &mut machine["properties"]["storageProfile"];
        upper(&mut storage["osDisk"]["managedDisk"]["id"]);
        upper(&mut storage["dataDisks"][0]["managedDisk"]["id"]);
        upper(&mut machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"]);
    });
    let guarded = |state: &Value| {
        let nic = nic(state, "rg-workload-prod", "vm-app-01-nic");
        nic["properties"]["networkSecurityGroup"]["id"].to_string()
    };
    let before = guarded(&azir.lab.state());
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    assert!(guarded(&state).contains(GOOD));
    assert_eq!(snapshots(&state).len(), 2);
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(code, 0, "{undone}");
    assert_eq!(guarded(&azir.lab.state()), before);
}

#[test]
fn a_hard_machine_is_cut_at_every_interface_disk_and_identity_and_put_back() {
    let azir = Azir::new();
    let before = azir.lab.state();
    let (code, report) = azir.json(&["isolate-vm", "vm-hard-01", "--incident", "IR-2", "--yes"]);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    for (group, name) in [
        ("rg-hard-prod", "hard-nic-1"),
        ("rg-hard-prod", "hard-nic-2"),
        ("rg-hard-data", "hard-nic-3"),
    ] {
        let nic = nic(&state, group, name);
        assert!(
            nic["properties"]["networkSecurityGroup"]["id"]
                .as_str()
                .unwrap()
                .ends_with(GOOD),
            "{name}"
        );
    }
    assert_eq!(snapshots(&state).len(), 4);
    assert!(
        vm(&state, "rg-hard-prod", "vm-hard-01")
            .get("identity")
            .is_none()
    );
    let open: Vec<&str> = report["residual"]
        .as_array()
        .unwrap()
        .iter()
        .map(|residual| residual["what"].as_str().unwrap())
        .collect();
    for said in [
        "vm-other-01",
        "kv-hard",
        "pip-hard",
        "168.63.129.16",
        "169.254.169.254",
        "serial console",
    ] {
        assert!(
            open.iter().any(|what| what.contains(said)),
            "{said}: {open:#?}"
        );
    }
    // What the machine's tag is called keeps its own casing; its old value is not lost.
    assert_eq!(
        vm(&state, "rg-hard-prod", "vm-hard-01")["tags"]["Incident_Id"],
        json!("IR-2")
    );

    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    let after = azir.lab.state();
    for (group, name) in [
        ("rg-hard-prod", "hard-nic-1"),
        ("rg-hard-prod", "hard-nic-2"),
        ("rg-hard-data", "hard-nic-3"),
    ] {
        let (before, after) = (nic(&before, group, name), nic(&after, group, name));
        assert_eq!(
            without_etags(&before["properties"]),
            without_etags(&after["properties"]),
            "{name}"
        );
    }
    let (was, is) = (
        vm(&before, "rg-hard-prod", "vm-hard-01"),
        vm(&after, "rg-hard-prod", "vm-hard-01"),
    );
    assert_eq!(was["tags"], is["tags"]);
    assert_eq!(was["identity"]["type"], is["identity"]["type"]);
    assert_eq!(
        was["identity"]["userAssignedIdentities"],
        is["identity"]["userAssignedIdentities"]
    );
    // A system-assigned identity comes back as another principal, and nobody pretends otherwise.
    assert_ne!(
        was["identity"]["principalId"],
        is["identity"]["principalId"]
    );
    assert_eq!(snapshots(&after).len(), 4, "evidence stays");
}

#[test]
fn an_undo_twice_sends_nothing_the_second_time() {
    let azir = Azir::new();
    assert_eq!(
        azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-3", "--yes"])
            .code,
        0
    );
    let run = azir.run_dir("IR-3");
    let run = run.to_str().unwrap();
    assert_eq!(azir.run(&["undo", run, "--yes"]).code, 0);
    let writes = azir.writes().len();
    assert_eq!(azir.run(&["undo", run, "--yes"]).code, 0);
    assert_eq!(azir.writes().len(), writes);
}

#[test]
fn an_undo_refuses_what_somebody_changed_since() {
    let azir = Azir::new();
    assert_eq!(
        azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-4", "--yes"])
            .code,
        0
    );
    let id = format!(
        "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Network/networkInterfaces/vm-app-01-nic"
    );
    azir.lab.tamper(&id, |nic| nic["properties"]["networkSecurityGroup"] = json!({"id": format!("{SUB}/resourceGroups/rg-hard-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-hard")}));
    let writes = azir.writes().len();
    let (code, error) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!(
        (code, &error["error"]["code"]),
        (5, &json!("drift")),
        "{error}"
    );
    assert!(
        error["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("--over-drift")
    );
    assert_eq!(azir.writes().len(), writes);
    assert_eq!(azir.run(&["undo", "last", "--yes", "--over-drift"]).code, 0);
}

#[test]
fn a_plan_sends_no_write() {
    let azir = Azir::new();
    let (code, plan) = azir.json(&["isolate-vm", "vm-hard-01", "--incident", "IR-5", "--plan"]);
    assert_eq!(code, 0, "{plan}");
    assert_eq!(azir.writes(), Vec::<String>::new());
    let steps = plan["targets"][0]["steps"].as_array().unwrap();
    let writes = |id: &str| {
        steps.iter().find(|step| step["id"] == json!(id)).unwrap()["writes"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (
            writes("capture.snapshots"),
            writes("swap"),
            writes("identities"),
            writes("tags")
        ),
        (4, 3, 1, 1),
        "{plan:#}"
    );
    assert!(
        !azir.home.path().join("cases/IR-5").exists(),
        "a plan leaves no run"
    );
}

#[test]
fn a_tampered_quarantine_is_not_used_and_the_run_says_so() {
    let azir = Azir::new();
    let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-6", "--yes"]);
    assert!(done.stderr.contains("AllowBackdoor"), "{}", done.stderr);
    assert!(azir.lab.requests().iter().all(|request| {
        !(request.write
            && request
                .path
                .ends_with("/networkSecurityGroups/nsg-ir-quarantine"))
    }));
}

#[test]
fn where_no_quarantine_passes_one_is_made_in_the_region() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "isolate-vm",
        "vm-north-01",
        "--incident",
        "IR-7",
        "--yes",
        "--cut-dns",
        "--cut-imds",
    ]);
    assert_eq!(code, 0, "{report}");
    let state = azir.lab.state();
    let nsg = resource(
        &state,
        "/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-northeurope-nodns-noimds",
    );
    assert_eq!(nsg["location"], json!("northeurope"));
    let rules = nsg["properties"]["securityRules"].to_string();
    assert!(rules.contains("AzurePlatformDNS") && rules.contains("AzurePlatformIMDS"));
    let open = report["residual"].to_string();
    assert!(!open.contains("168.63.129.16") && !open.contains("169.254.169.254"));
}

#[test]
fn a_machine_that_does_not_run_is_judged_by_computed_rules() {
    let azir = Azir::new();
    let done = azir.run(&["isolate-vm", "vm-stopped-01", "--incident", "IR-8", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("computed, because the machine does not run")
    );
    // The subnet's NSG was read for a reason: it says whether the bastion can still get in.
    assert!(
        done.stderr.contains("; subnet default has no NSG"),
        "{}",
        done.stderr
    );
    assert!(
        azir.lab
            .requests()
            .iter()
            .all(|request| !request.path.ends_with("effectiveNetworkSecurityGroups"))
    );
}

#[test]
fn a_disk_that_cannot_be_captured_is_a_named_gap_and_no_veto() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "isolate-vm",
        "vm-ephemeral-01",
        "--incident",
        "IR-9",
        "--yes",
    ]);
    assert_eq!(
        (code, &report["status"]),
        (4, &json!("unchecked")),
        "{report}"
    );
    assert!(
        report["gaps"][0]["what"]
            .as_str()
            .unwrap()
            .contains("ephemeral")
    );
    let state = azir.lab.state();
    assert!(nic(&state, "rg-workload-prod", "vm-ephemeral-01-nic")["properties"]["networkSecurityGroup"].is_object());
}

#[test]
fn a_snapshot_that_fails_does_not_hold_up_the_cut() {
    let azir = Azir::with(
        "faults: [{method: PUT, path: /snapshots/, do: lro-failed}]",
        |_| {},
    );
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-10", "--yes"]);
    assert_eq!(code, 4, "{report}");
    let state = azir.lab.state();
    assert!(
        nic(&state, "rg-workload-prod", "vm-app-01-nic")["properties"]["networkSecurityGroup"]
            .is_object()
    );
}

#[test]
fn an_undo_of_an_undo_is_refused_as_such() {
    let azir = Azir::new();
    let isolate = ["isolate-vm", "vm-app-01", "--incident", "IR-13", "--yes"];
    assert_eq!(azir.run(&isolate).code, 0);
    assert_eq!(azir.run(&["undo", "last", "--yes"]).code, 0);
    let again = azir.run(&["undo", "last", "--yes"]);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("is itself an undo"),
        "{}",
        again.stderr
    );
}

#[test]
fn many_machines_are_cut_side_by_side_and_their_nsg_is_nudged_for_all() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "isolate-vm",
        "vm-app-01",
        "vm-hard-01",
        "vm-locked-01",
        "--incident",
        "IR-11",
        "--yes",
    ]);
    assert_eq!(
        (code, &report["status"]),
        (3, &json!("partial")),
        "{report}"
    );
    let status = |index: usize| report["targets"][index]["status"].as_str().unwrap();
    assert_eq!(
        (status(0), status(1), status(2)),
        ("contained_residual", "contained_residual", "partial")
    );
    assert!(
        report["targets"][2]["error"]["code"] == json!("ScopeLocked"),
        "{report}"
    );
    assert!(report["residual"].to_string().contains("NOT CUT"));
    let nudges = azir
        .writes()
        .iter()
        .filter(|write| write.contains("azir-flush"))
        .count();
    assert!((1..=2).contains(&nudges), "{nudges}");
}

#[test]
fn chosen_role_assignments_go_and_come_back() {
    let azir = Azir::new();
    let grant = format!(
        "{SUB}/resourceGroups/rg-hard-prod/providers/Microsoft.Authorization/roleAssignments/77777777-7777-4777-8777-777777777701"
    );
    let args = [
        "isolate-vm",
        "vm-hard-01",
        "--incident",
        "IR-12",
        "--yes",
        "--choose",
        "cut_roles_which=77777777-7777-4777-8777-777777777701",
    ];
    assert_eq!(azir.run(&args).code, 0);
    assert!(
        azir.lab.state()["resources"]
            .get(grant.to_lowercase())
            .is_none()
    );
    let done = azir.run(&["undo", "last", "--yes", "--choose", "regrant_which=all"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let state = azir.lab.state();
    let principal = vm(&state, "rg-hard-prod", "vm-hard-01")["identity"]["principalId"].clone();
    let all = state["resources"].as_object().unwrap().values();
    assert!(
        all.into_iter()
            .any(|value| value["properties"]["principalId"] == principal
                && value["type"] == json!("Microsoft.Authorization/roleAssignments"))
    );
}

#[test]
fn a_killed_run_leaves_a_journal_that_verifies_and_says_what_is_unknown() {
    let azir = Azir::with(
        "faults: [{method: PUT, path: /networkInterfaces/, do: delay, millis: 60000}]",
        |_| {},
    );
    let mut child = azir
        .command(&["isolate-vm", "vm-app-01", "--incident", "IR-13", "--yes"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The intent of the cut is on disk before the cut is sent, so wait for that line and then kill.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let case = azir.home.path().join("cases/IR-13");
        let text = std::fs::read_dir(&case)
            .into_iter()
            .flatten()
            .flatten()
            .find_map(|entry| std::fs::read_to_string(entry.path().join("seg-000001.jsonl")).ok())
            .unwrap_or_default();
        if text
            .lines()
            .any(|line| line.contains("\"method\":\"PUT\"") && line.contains("/networkInterfaces/"))
        {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the cut was never announced"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = azir.run_dir("IR-13");
    let verified = azir.run(&["journal", "verify", run.to_str().unwrap()]);
    assert!(matches!(verified.code, 2 | 3), "{}", verified.stdout);
    let shown = azir.run(&["show", "last"]);
    assert!(
        shown.stdout.contains("Unknown:")
            && shown.stdout.contains("networkInterfaces")
            && shown.stdout.contains("HALTED"),
        "{}",
        shown.stdout
    );
    let (_, report) = azir.json(&["show", "last"]);
    assert_eq!(report["status"], json!("halted"));
}

#[test]
fn what_stays_open_is_said_of_the_machines_it_concerns() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "isolate-vm",
        "vm-app-01",
        "vm-hard-01",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    let residual = report["residual"].as_array().unwrap();
    let of = |words: &str| {
        let found = residual
            .iter()
            .find(|one| one["what"].as_str().unwrap().contains(words));
        found.unwrap_or_else(|| panic!("{words}: {residual:?}"))["targets"].clone()
    };
    assert_eq!(of("168.63.129.16").as_array().unwrap().len(), 2);
    let address = of("public address pip-hard");
    assert_eq!(address.as_array().unwrap().len(), 1);
    assert!(address[0].as_str().unwrap().ends_with("/vm-hard-01"));
    // A role is told by its name and its holder, not by ids.
    assert!(of("role Contributor on").as_array().is_some());
    let shown = azir.run(&["show", "last"]).stdout;
    let made = report["made"].as_array().unwrap();
    let snapshots = made
        .iter()
        .filter(|made| made["resource"].as_str().unwrap().contains("/snapshots/"));
    assert_eq!(snapshots.count(), 6, "{made:?}");
    assert!(
        shown.contains("of vm-app-01_OsDisk") && shown.contains("(snapshots are evidence"),
        "{shown}"
    );
    // Reads overlap; the steps are told where the runbook has them all the same.
    for machine in report["targets"].as_array().unwrap() {
        let ids: Vec<&str> = machine["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["id"].as_str().unwrap())
            .collect();
        let place = |id: &str| ids.iter().position(|known| *known == id).unwrap();
        let told = [
            "machine",
            "nics",
            "capture.machine",
            "swap",
            "flows",
            "tags",
            "activity",
        ];
        assert!(told.map(place).is_sorted(), "{ids:?}");
    }
    assert!(
        shown.contains("- vm-hard-01: public address pip-hard")
            && shown.contains("- vm-app-01: role Reader on"),
        "{shown}"
    );
}

#[test]
fn what_an_undo_put_back_is_looked_for_again_while_a_replica_is_behind() {
    let tags = "{method: GET, path: '/vm-app-01/providers/Microsoft.Resources/tags', nth: NTH, times: 2, do: stale}";
    // The reads of a run without faults tell which of them are the last ones of the undo.
    let reads = |faults: &str| {
        let azir = Azir::with(faults, |_| {});
        let done = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let undone = azir.run(&["undo", "last", "--yes"]);
        let count = azir
            .lab
            .requests()
            .iter()
            .filter(|request| {
                request.method == "GET"
                    && request
                        .path
                        .ends_with("/vm-app-01/providers/Microsoft.Resources/tags/default")
            })
            .count();
        (count, undone)
    };
    let (count, undone) = reads("faults: []");
    assert_eq!(undone.code, 0, "{}", undone.stderr);
    let (more, undone) = reads(&format!(
        "faults: [{}]",
        tags.replace("NTH", &count.to_string())
    ));
    assert_eq!(undone.code, 0, "{}{}", undone.stdout, undone.stderr);
    assert_eq!(more, count + 2, "both late answers were asked again");
}

#[test]
fn a_quarantine_that_an_earlier_run_had_to_make_is_used_again() {
    let azir = Azir::new();
    let place = format!("{}/westeurope", SUB.trim_start_matches("/subscriptions/"));
    let run = |incident: &str| {
        let (code, report) = azir.json(&[
            "prepare-quarantine",
            &place,
            "--cut-dns",
            "--incident",
            incident,
            "--yes",
        ]);
        assert_eq!(code, 0, "{report}");
        azir.writes()
            .iter()
            .filter(|write| write.contains("PUT") && write.contains("/networkSecurityGroups/"))
            .count()
    };
    assert_eq!(run("IR-1"), 1, "none there denies the resolver");
    // Somebody opens it; the next run makes another, and the one after that uses it.
    let made = format!(
        "{SUB}/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-westeurope-nodns"
    );
    azir.lab.tamper(&made, |nsg| {
        let rule = json!({"name": "AllowBackdoor", "properties": {"priority": 110, "direction": "Inbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}});
        nsg["properties"]["securityRules"].as_array_mut().unwrap().push(rule);
    });
    let spoiled = run("IR-2");
    assert_eq!(spoiled, 2, "a new NSG");
    assert_eq!(run("IR-3"), spoiled, "nothing is made again");
}

#[test]
fn an_undo_shows_who_changed_each_thing_before_and_since_and_what_it_was_all_three_times() {
    let azir = Azir::new();
    let (code, report) = azir.json(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    let (code, plan) = azir.json(&["undo", "last", "--plan"]);
    assert_eq!(code, 0, "{plan}");
    let note = |plan: &Value, id: &str| {
        let steps = plan["targets"][0]["steps"].as_array().unwrap().clone();
        let step = steps.into_iter().find(|step| step["id"] == id).unwrap();
        step["note"].as_str().unwrap_or_default().to_owned()
    };
    assert!(
        note(&plan, "swap").contains("the log holds no change of it before azir's"),
        "{plan}"
    );
    // Somebody else puts the interface behind another group.
    let id = format!(
        "{SUB}/resourceGroups/rg-workload-prod/providers/Microsoft.Network/networkInterfaces/vm-app-01-nic"
    );
    azir.lab.tamper(&id, |nic| nic["properties"]["networkSecurityGroup"] = json!({"id": format!("{SUB}/resourceGroups/rg-hard-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-hard")}));
    let (_, plan) = azir.json(&["undo", "last", "--plan"]);
    let told = note(&plan, "swap");
    for part in [
        "was null before, azir made it",
        "nsg-ir-quarantine",
        "and it is now",
        "nsg-hard",
        "the log does not yet hold who changed it since",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
