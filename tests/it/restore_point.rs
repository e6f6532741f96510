//! One instant for every disk: `snapshot-vm --restore-point`, and what the lab makes of restore points.

use serde_json::{Value, json};

use crate::lab_support::{Bench, COMPUTE, at};
use crate::support::Azir;

const COLLECTION: &str = "rg-workload-prod/Microsoft.Compute/restorePointCollections/rp";
const MACHINE: &str = "rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01";

fn path(below: &str) -> String {
    format!("{}{below}?{COMPUTE}", at(COLLECTION))
}

fn collection(machine: &str, location: &str) -> Value {
    json!({"location": location, "properties": {"source": {"id": at(machine)}}})
}

#[test]
fn a_restore_point_holds_every_disk_of_its_machine_and_is_taken_once() {
    let bench = Bench::new();
    let point = json!({"properties": {"consistencyMode": "CrashConsistent"}});
    let orphan = bench.call("PUT", &path("/restorePoints/p"), &point);
    assert_eq!(orphan.error(), (404, "ParentResourceNotFound"));
    for (machine, location) in [
        (MACHINE, "northeurope"),
        (
            "rg-workload-prod/Microsoft.Compute/virtualMachines/nope",
            "westeurope",
        ),
    ] {
        let refused = bench.call("PUT", &path(""), &collection(machine, location));
        assert_eq!(refused.status, 404, "{machine} in {location}");
    }
    let made = bench.call("PUT", &path(""), &collection(MACHINE, "westeurope"));
    assert_eq!(made.status, 201);

    let taken = bench.call("PUT", &path("/restorePoints/p"), &point);
    assert_eq!(taken.status, 201);
    assert_eq!(taken.body["properties"]["provisioningState"], "Creating");
    assert!(!taken.header("azure-asyncoperation").is_empty());
    bench.pass(10);
    let held = bench.get(&path("/restorePoints/p")).body;
    assert_eq!(held["properties"]["provisioningState"], "Succeeded");
    let storage = &held["properties"]["sourceMetadata"]["storageProfile"];
    assert!(storage["osDisk"]["diskRestorePoint"]["id"].is_string());
    assert_eq!(storage["dataDisks"].as_array().unwrap().len(), 1);
    let again = bench.call("PUT", &path("/restorePoints/p"), &point);
    assert_eq!(again.error(), (409, "OperationNotAllowed"));
    let odd = bench.call(
        "PUT",
        &path("/restorePoints/q"),
        &json!({"properties": {"consistencyMode": "ApplicationConsistent"}}),
    );
    assert_eq!(odd.status, 501);
    let unknown = bench.call("PUT", &path("/restorePoints/q"), &json!({"tags": {}}));
    assert_eq!(unknown.status, 400);
}

#[test]
fn one_restore_point_takes_the_place_of_a_snapshot_of_each_disk() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "snapshot-vm",
        "vm-hard-01",
        "--restore-point",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    let writes = azir.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(
        writes[0].contains("/restorePointCollections/rp-"),
        "{writes:?}"
    );
    assert!(writes[1].contains("/restorePoints/rp-"), "{writes:?}");
    let claim = &report["targets"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["id"] == "restore")
        .unwrap()["check"];
    assert_eq!(claim["holds"], json!(true), "{claim}");
    // The machine's disks are four; a restore point that held three would not have passed.
    assert_eq!(
        claim["claim"],
        json!("the restore point of vm-hard-01 holds every disk")
    );
}

#[test]
fn a_machine_that_no_restore_point_takes_is_snapshotted_disk_by_disk() {
    let azir = Azir::new();
    let (code, report) = azir.json(&[
        "snapshot-vm",
        "vm-ephemeral-01",
        "--restore-point",
        "--incident",
        "IR-1",
        "--yes",
    ]);
    assert_eq!(code, 4, "the ephemeral disk is a gap: {report}");
    let writes = azir.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert!(writes[0].contains("/snapshots/"), "{writes:?}");
    assert!(report.to_string().contains("which no restore point takes"));
}
