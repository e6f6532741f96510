//! The lab's list of every resource tells when each was made, to who may read it, and refuses filters it does not know.

use azir::lab::scenario::Scenario;
use serde_json::{Value, json};

use crate::lab_support::{Bench, DISKS, NETWORK, RESOURCES, SUB, at, with_roles};

const EXPAND: &str = "$expand=createdTime,changedTime,provisioningState";

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list["value"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap()
}

#[test]
fn a_resource_is_listed_with_when_it_was_made_and_changed_and_without_its_properties() {
    let bench = Bench::new();
    let id = at("rg-north/Microsoft.Network/networkSecurityGroups/nsg-new");
    bench.call(
        "PUT",
        &format!("{id}?{NETWORK}"),
        &json!({"location": "northeurope"}),
    );
    bench.pass(90);
    bench.call(
        "PUT",
        &format!("{id}?{NETWORK}"),
        &json!({"location": "northeurope", "tags": {"a": "b"}}),
    );
    let list = bench
        .get(&format!("{SUB}/resources?{RESOURCES}&{EXPAND}"))
        .body;
    let made = named(&list, "nsg-new");
    assert_eq!(made["createdTime"], "2026-11-24T03:00:00.0000000Z");
    assert_eq!(made["changedTime"], "2026-11-24T03:01:30.0000000Z");
    assert_eq!(made["tags"], json!({"a": "b"}));
    assert!(made["properties"].is_null());
    let seeded = named(&list, "vm-app-01");
    assert_eq!(seeded["createdTime"], "2026-01-12T04:06:07.3525011+00:00");
    let plain = bench.get(&format!("{SUB}/resources?{RESOURCES}")).body;
    assert!(named(&plain, "vm-app-01")["createdTime"].is_null());
}

#[test]
fn a_list_is_of_a_group_or_of_what_a_filter_names() {
    let bench = Bench::new();
    let names = |place: &str| {
        let list = bench.get(&format!("{SUB}{place}"));
        list.each("name").join(" ")
    };
    assert_eq!(
        names(&format!("/resourceGroups/rg-north/resources?{RESOURCES}")),
        "vm-north-01_data1 vm-north-01_OsDisk vm-north-01 vm-north-01-nic vnet-northeurope"
    );
    let vaults = "$filter=resourceType eq 'Microsoft.KeyVault/vaults'";
    assert_eq!(
        names(&format!("/resources?api-version=2015-11-01&{vaults}")),
        "kv-hard kv-policy kv-shop"
    );
    assert_eq!(
        names(&format!(
            "/resources?{RESOURCES}&{vaults} and name eq 'kv-shop'"
        )),
        "kv-shop"
    );
    let wrong = bench.get(&format!(
        "{SUB}/resources?{RESOURCES}&$filter=createdTime ge '2026'"
    ));
    assert_eq!(wrong.error(), (501, "NotModelled"));
    let wrong = bench.get(&format!("{SUB}/resources?{RESOURCES}&$expand=everything"));
    assert_eq!(wrong.status, 400);
}

#[test]
fn what_may_not_be_read_is_left_out() {
    let group = format!("{SUB}/resourceGroups/rg-north");
    let bench = Bench::with(with_roles(&[("Reader", &group)], ""), |_| {});
    let list = bench.get(&format!("{SUB}/resources?{RESOURCES}"));
    assert!(list.each("id").iter().all(|id| id.contains("/rg-north/")));
    assert_eq!(list.each("id").len(), 5);
}

#[test]
fn times_outlast_the_lab_that_saw_them() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.jsonl");
    let id = at("rg-forensic-prod/Microsoft.Compute/snapshots/s");
    let disk = at("rg-workload-prod/Microsoft.Compute/disks/vm-app-01_OsDisk");
    let scenario = || Scenario::load("default").unwrap();
    let bench = Bench::with(scenario(), |options| options.state = Some(state.clone()));
    bench.call("PUT", &format!("{id}?{DISKS}"), &json!({"location": "westeurope", "properties": {"incremental": true, "creationData": {"createOption": "Copy", "sourceResourceId": disk}}}));
    drop(bench);
    let bench = Bench::with(scenario(), |options| options.state = Some(state));
    bench.pass(600);
    let list = bench
        .get(&format!("{SUB}/resources?{RESOURCES}&{EXPAND}"))
        .body;
    assert_eq!(
        named(&list, "s")["createdTime"],
        "2026-11-24T03:00:00.0000000Z"
    );
}
