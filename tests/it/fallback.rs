//! Where an interface cannot be cut there are other ways, each at its price, and somebody is asked who pays.

use serde_json::{Value, json};

use crate::support::{Azir, killed_when};

const NIC: &str = "/networkInterfaces/";
const CUT: [&str; 5] = ["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"];

/// A policy lets nobody change the interface, so many times.
fn refused(times: u32) -> String {
    format!(
        "faults: [{{method: PUT, path: {NIC}, do: status, status: 403, code: RequestDisallowedByPolicy, times: {times}}}]"
    )
}

fn accepting(step: &str) -> Vec<&str> {
    let mut words = CUT.to_vec();
    words.extend(["--accept", step]);
    words
}

fn step<'r>(report: &'r Value, id: &str) -> &'r Value {
    let steps = report["targets"][0]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap()
}

fn said(report: &Value, member: &str) -> String {
    report[member].to_string()
}

/// Whether a resource is an interface of a machine.
fn is_of(resource: &Value, machine: &str) -> bool {
    let owner = resource["properties"]["virtualMachine"]["id"].as_str();
    owner.is_some_and(|id| id.ends_with(machine))
}

/// Returns the subnet of the only machine's only interface, as the tenant has it.
fn subnet(azir: &Azir) -> Value {
    let state = azir.lab.state();
    let all = state["resources"].as_object().unwrap();
    let nic = all.values().find(|one| is_of(one, "vm-app-01")).unwrap();
    let id = &nic["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"];
    let id = id.as_str().unwrap().to_lowercase();
    let found = all.iter().find(|(key, _)| key.to_lowercase() == id);
    found.unwrap().1.clone()
}

#[test]
fn nobody_pays_without_being_asked_and_what_is_free_of_that_is_done() {
    // One interface of three, and once: the policy minds the NSG, not the addresses.
    let script = "faults: [{method: PUT, path: networkInterfaces/hard-nic-1, do: status, status: 403, code: RequestDisallowedByPolicy, times: 1}]";
    let azir = Azir::with(script, |_| {});
    let words = ["isolate-vm", "vm-hard-01", "--incident", "IR-1", "--yes"];
    let (code, report) = azir.json(&words);
    assert_eq!((code, &report["status"]), (3, &json!("partial")));
    assert_eq!(step(&report, "swap")["status"], "failed");
    for step in ["subnet_cut", "deallocate"] {
        let left = report["not_done"].as_array().unwrap().iter();
        let mut left = left.filter(|one| one["step"] == step);
        let next = left.next().unwrap()["next"].as_str().unwrap();
        assert!(next.ends_with(&format!("--accept {step}")), "{next}");
    }
    let writes = azir.writes();
    assert!(
        !writes
            .iter()
            .any(|write| write.contains("deallocate") || write.contains("/subnets/"))
    );
    // Its public address went, which is less than a cut and is said to be.
    assert_eq!(step(&report, "paths_cut")["status"], "done");
    let open = said(&report, "residual");
    assert!(
        open.contains("NOT CUT: interface hard-nic-1 is still reachable from inside"),
        "{open}"
    );
    assert!(said(&report, "collateral").contains("through its public address"));
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    let state = azir.lab.state();
    let all = state["resources"].as_object().unwrap();
    let nic = all
        .values()
        .find(|one| one["name"] == "hard-nic-1")
        .unwrap();
    let address = &nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]["id"];
    assert!(
        address.as_str().unwrap().ends_with("pip-hard"),
        "it is back: {nic}"
    );
}

#[test]
fn the_subnet_is_cut_where_the_responder_says_so_and_the_interface_no_longer_counts_as_failed() {
    let azir = Azir::with(&refused(99), |_| {});
    let (code, report) = azir.json(&accepting("subnet_cut"));
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained_residual")),
        "{report}"
    );
    assert_eq!(report["not_done"], json!([]));
    assert_eq!(
        step(&report, "swap")["status"],
        "failed",
        "which is not forgotten"
    );
    assert_eq!(step(&report, "subnet_cut")["check"]["holds"], true);
    for other in ["paths_cut", "deallocate"] {
        assert_eq!(step(&report, other)["status"], "skipped", "{other}");
    }
    let group = &subnet(&azir)["properties"]["networkSecurityGroup"]["id"];
    assert!(
        group.as_str().unwrap().contains("nsg-ir-quarantine"),
        "{group}"
    );
    let paid = said(&report, "collateral");
    assert!(
        paid.contains("everybody in the subnet default is cut off")
            && paid.contains("IP configurations in all"),
        "{paid}"
    );
    assert!(!said(&report, "residual").contains("NOT CUT: interface"));
    assert_eq!(
        step(&report, "flows")["status"],
        "done",
        "its flows are judged again"
    );
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    assert_eq!(
        subnet(&azir)["properties"].get("networkSecurityGroup"),
        None
    );
}

#[test]
fn the_machine_is_deallocated_where_nothing_else_is_left_and_started_by_the_undo() {
    let azir = Azir::with(&refused(99), |_| {});
    let (code, report) = azir.json(&accepting("deallocate"));
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained_residual")),
        "{report}"
    );
    assert_eq!(
        report["not_done"],
        json!([]),
        "the other ways need not have worked"
    );
    let power = |azir: &Azir| {
        let state = azir.lab.state();
        let all = state["resources"].as_object().unwrap();
        let machine = all.values().find(|one| one["name"] == "vm-app-01");
        machine.unwrap()["__power"].clone()
    };
    assert_eq!(power(&azir), "deallocated");
    let open = said(&report, "residual");
    assert!(
        open.contains("whoever starts it brings it back as it was"),
        "{open}"
    );
    assert!(!open.contains("NOT CUT: interface"), "{open}");
    assert!(said(&report, "collateral").contains("memory is lost"));
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    assert_eq!(power(&azir), "running");
}

#[test]
fn where_nothing_is_refused_no_other_way_is_taken_and_the_plan_says_what_each_would_cost() {
    let azir = Azir::new();
    let (code, plan) = azir.json(&["isolate-vm", "vm-app-01", "--plan"]);
    assert_eq!(code, 0, "{plan}");
    let steps = plan["targets"][0]["steps"].as_array().unwrap();
    let note = |id: &str| {
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        assert_eq!(step["writes"], json!([]), "{id}");
        step["note"].as_str().unwrap().to_owned()
    };
    let subnet_cut = note("subnet_cut");
    assert!(
        subnet_cut.starts_with("only where swap is refused: everybody in the subnet default "),
        "{subnet_cut}"
    );
    assert!(note("deallocate").contains("memory is lost"));
    let mut words = CUT.to_vec();
    words.extend(["--accept", "subnet_cut", "--accept", "deallocate"]);
    let (code, report) = azir.json(&words);
    assert_eq!(code, 0, "{report}");
    for other in ["neighbours", "subnet_cut", "paths_cut", "deallocate"] {
        assert_eq!(step(&report, other)["status"], "skipped", "{other}");
    }
    let writes = azir.writes();
    assert!(
        !writes
            .iter()
            .any(|write| write.contains("deallocate") || write.contains("/subnets/"))
    );
}

#[test]
fn a_run_killed_while_it_takes_another_way_is_gone_on_with() {
    let mut script = refused(99);
    script.truncate(script.len() - 1);
    let script = format!(
        "{script}, {{method: PUT, path: /subnets/, do: delay-after, millis: 600000, times: 1}}]"
    );
    let azir = Azir::with(&script, |_| {});
    let words = accepting("subnet_cut");
    let cut = || {
        let writes = azir.writes();
        writes.iter().any(|write| write.contains("/subnets/"))
    };
    killed_when(&azir, &words, cut);
    let (code, report) = azir.json(&["resume"]);
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained_residual")),
        "{report}"
    );
    assert_eq!(report["not_done"], json!([]));
    let cuts = azir
        .writes()
        .into_iter()
        .filter(|write| write.contains("/subnets/"));
    assert_eq!(cuts.count(), 1, "what took effect is not sent again");
    assert!(said(&report, "collateral").contains("everybody in the subnet"));
    let verified = azir.run(&["journal", "verify", "last"]);
    assert!(
        verified.stdout.contains(" 0 open intents"),
        "{}",
        verified.stdout
    );
}

#[test]
fn of_two_ways_that_are_accepted_the_second_is_taken_only_where_the_first_does_not_hold() {
    let words = |azir: &Azir| {
        let mut words = accepting("subnet_cut");
        words.extend(["--accept", "deallocate"]);
        let (code, report) = azir.json(&words);
        let stopped = azir.writes();
        let stopped = stopped.iter().any(|write| write.contains("/deallocate"));
        (code, report, stopped)
    };
    let (code, report, stopped) = words(&Azir::with(&refused(99), |_| {}));
    assert_eq!((code, stopped), (0, false), "{report}");
    // The platform does not say that anything is in force.
    let mut script = refused(99);
    script.truncate(script.len() - 1);
    let script = format!(
        "{script}, {{method: POST, path: /effectiveNetworkSecurityGroups, do: status, status: 403, code: AuthorizationFailed, times: 99}}]"
    );
    let (code, report, stopped) = words(&Azir::with(&script, |_| {}));
    assert!(stopped, "{report}");
    assert_eq!(code, 4, "the check of the subnet does not hold: {report}");
}

#[test]
fn what_was_done_another_way_stands_when_the_run_is_gone_on_with() {
    // Refused once: when the run is gone on with, nothing is in the way any more.
    let mut script = refused(1);
    script.truncate(script.len() - 1);
    let script = format!(
        "{script}, {{method: PATCH, path: virtualMachines/vm-app-01, do: delay, millis: 600000, times: 1}}]"
    );
    let azir = Azir::with(&script, |_| {});
    killed_when(&azir, &accepting("subnet_cut"), || azir.lab.kept_back() > 0);
    let (code, report) = azir.json(&["resume"]);
    assert_eq!(
        (code, &report["status"]),
        (0, &json!("contained_residual")),
        "{report}"
    );
    let paid = said(&report, "collateral");
    assert!(paid.contains("everybody in the subnet"), "{paid}");
    let cuts = azir.writes().into_iter();
    let cuts = cuts.filter(|write| write.contains("/subnets/") || write.contains(NIC));
    assert_eq!(cuts.count(), 2, "one refused, one in its place, none again");
    let (code, undone) = azir.json(&["undo", "last", "--yes"]);
    assert_eq!((code, &undone["status"]), (0, &json!("undone")), "{undone}");
    assert_eq!(
        subnet(&azir)["properties"].get("networkSecurityGroup"),
        None
    );
}
