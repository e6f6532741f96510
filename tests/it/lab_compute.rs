//! Machines, disks and snapshots of the lab.

use azir::lab::scenario::Scenario;
use serde_json::{Value, json};

use crate::lab_support::{
    Bench, COMPUTE, DEV, DISKS, NETWORK, RESOURCES, RIGHTS, SUB, at, with_roles,
};

const HARD: &str = "rg-hard-prod/Microsoft.Compute/virtualMachines/vm-hard-01";

fn vm(name: &str) -> String {
    format!("{}?{COMPUTE}", at(name))
}

fn snapshot(disk: &str, location: &str) -> Value {
    json!({"location": location, "tags": {"a": "1"}, "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": at(disk)}, "incremental": true, "networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled"}})
}

const APP_DISK: &str = "rg-workload-prod/Microsoft.Compute/disks/vm-app-01_data1";

#[test]
fn an_identity_is_removed_as_the_service_removes_it_and_comes_back_as_another() {
    let bench = Bench::new();
    let path = vm(HARD);
    let before = bench.get(&path);
    let principal = before.body["identity"]["principalId"]
        .as_str()
        .unwrap()
        .to_owned();
    let shared = at("rg-hard-prod/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared");

    let one = json!({"identity": {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {shared.to_uppercase(): null}}});
    let after = bench.call("PATCH", &path, &one);
    let left: Vec<&String> = after.body["identity"]["userAssignedIdentities"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert!(
        after.status == 200 && left.len() == 1 && left[0].ends_with("id-hard"),
        "keys not named stay: {left:?}"
    );
    assert!(!after.header("azure-asyncoperation").is_empty());
    assert_eq!(after.body["properties"]["provisioningState"], "Updating");
    assert_ne!(after.header("etag"), before.header("etag"));
    assert_eq!(
        bench.call("PATCH", &path, &one).error(),
        (409, "Conflict"),
        "while it is being updated"
    );
    bench.pass(10);

    let forgotten = json!({"identity": {"type": "None"}});
    assert_eq!(
        bench.call("PATCH", &path, &forgotten).error(),
        (400, "InvalidParameter")
    );
    let none = json!({"identity": {"type": "None", "userAssignedIdentities": null}});
    assert!(
        bench
            .call("PATCH", &path, &none)
            .body
            .get("identity")
            .is_none()
    );
    bench.pass(10);
    let filter = format!(
        "{SUB}/providers/Microsoft.Authorization/roleAssignments?{RIGHTS}&$filter=principalId%20eq%20'{principal}'"
    );
    assert_eq!(
        bench.get(&filter).each("id").len(),
        1,
        "its role assignments stay behind"
    );

    let again = bench.call(
        "PATCH",
        &path,
        &json!({"identity": {"type": "SystemAssigned"}}),
    );
    assert_ne!(again.body["identity"]["principalId"], json!(principal));
    bench.pass(10);
    let unknown = json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {format!("{shared}x"): {}}}});
    assert_eq!(
        bench.call("PATCH", &path, &unknown).error(),
        (400, "FailedIdentityOperation")
    );
}

#[test]
fn if_match_is_kept_to() {
    let bench = Bench::new();
    let path = vm("rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01");
    let etag = bench.get(&path).header("etag").to_owned();
    let patch = json!({"tags": {"a": "1"}});
    let send = |etag: &str| {
        bench.send(
            bench
                .request("PATCH", &path)
                .header("if-match", etag)
                .json(&patch),
        )
    };
    assert_eq!(send("\"99\"").error(), (412, "PreconditionFailed"));
    assert_eq!(send(&etag).status, 200);
}

#[test]
fn an_operation_runs_ends_and_says_so_where_compute_says_it() {
    let bench = Bench::new();
    let path = format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    );
    let put = bench.call("PUT", &path, &snapshot(APP_DISK, "westeurope"));
    assert_eq!(
        (
            put.status,
            put.body["properties"]["provisioningState"].as_str()
        ),
        (202, Some("Updating"))
    );
    let (status, location) = (
        put.header("azure-asyncoperation").to_owned(),
        put.header("location").to_owned(),
    );
    assert!(
        status.contains("/providers/Microsoft.Compute/locations/westeurope/DiskOperations/"),
        "{status}"
    );
    assert!(status.len() > 4_096 && location.contains("monitor=true"));
    let running = bench.get(&status);
    assert_eq!(
        (running.status, running.body["status"].as_str()),
        (200, Some("InProgress"))
    );
    assert_eq!(bench.get(&location).status, 202);
    bench.pass(10);
    let done = bench.get(&status).body;
    assert_eq!(done["status"], "Succeeded");
    let output = &done["properties"]["output"];
    assert_eq!(output["properties"]["provisioningState"], "Succeeded");
    assert_eq!(
        bench.get(&location).body,
        *output,
        "the result is at the Location too"
    );
    let made = bench.get(&path).body;
    assert_eq!(
        made["properties"]["creationData"]["sourceUniqueId"],
        bench.get(&format!("{}?{DISKS}", at(APP_DISK))).body["properties"]["uniqueId"]
    );
    for (name, value) in [
        ("networkAccessPolicy", "DenyAll"),
        ("publicNetworkAccess", "Disabled"),
        ("diskState", "Unattached"),
    ] {
        assert_eq!(made["properties"][name], value);
    }
    let gone = status.replace("/DiskOperations/", "/DiskOperations/x");
    assert_eq!(bench.get(&gone).status, 404);
}

#[test]
fn an_operation_asks_for_time_between_polls_where_the_lab_is_told_to() {
    let scenario = Scenario::load("default").unwrap();
    let bench = Bench::with(scenario, |options| options.poll_after = Some(7));
    let path = format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    );
    let put = bench.call("PUT", &path, &snapshot(APP_DISK, "westeurope"));
    let running = bench.get(put.header("azure-asyncoperation"));
    let at_location = bench.get(put.header("location"));
    for answer in [&put, &running, &at_location] {
        assert_eq!(answer.header("retry-after"), "7");
    }
    bench.pass(10);
    let done = bench.get(put.header("azure-asyncoperation"));
    assert_eq!(done.header("retry-after"), "");
    assert_eq!(bench.get(&path).header("retry-after"), "");
}

#[test]
fn a_snapshot_is_made_where_its_disk_is_and_once() {
    let bench = Bench::new();
    let put = |group: &str, body: &Value| {
        bench.call(
            "PUT",
            &format!(
                "{}?{DISKS}",
                at(&format!("{group}/Microsoft.Compute/snapshots/s1"))
            ),
            body,
        )
    };
    assert_eq!(
        put("rg-forensic-prod", &snapshot(APP_DISK, "northeurope")).error(),
        (404, "NotFound"),
        "another region"
    );
    assert_eq!(
        put("rg-nowhere", &snapshot(APP_DISK, "westeurope")).error(),
        (404, "ResourceGroupNotFound")
    );
    assert_eq!(
        put("rg-locked", &snapshot(APP_DISK, "westeurope")).error(),
        (409, "ScopeLocked")
    );
    let ephemeral = "rg-workload-prod/Microsoft.Compute/disks/vm-ephemeral-01_OsDisk";
    assert_eq!(
        put("rg-forensic-prod", &snapshot(ephemeral, "westeurope")).error(),
        (409, "OperationNotAllowed")
    );
    let premium = "rg-hard-data/Microsoft.Compute/disks/hard-data-3";
    let mut full = snapshot(premium, "westeurope");
    full["properties"]["incremental"] = json!(false);
    assert_eq!(
        put("rg-forensic-prod", &full).error(),
        (400, "OperationNotAllowed"),
        "full, of a disk that is copied in the background"
    );
    let mut odd = snapshot(APP_DISK, "westeurope");
    odd["properties"]["hidden"] = json!(true);
    assert_eq!(
        put("rg-forensic-prod", &odd).error(),
        (400, "InvalidRequestContent")
    );
    odd["properties"] = json!("text");
    assert_eq!(
        put("rg-forensic-prod", &odd).error(),
        (400, "InvalidRequestContent")
    );

    assert_eq!(
        put("rg-forensic-prod", &snapshot(APP_DISK, "westeurope")).status,
        202
    );
    bench.pass(10);
    let path = format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    );
    let first = bench.get(&path).body;
    bench.pass(60);
    let mut same = snapshot(APP_DISK, "westeurope");
    same["tags"] = json!({"b": "2"});
    let again = put("rg-forensic-prod", &same);
    assert_eq!(
        (again.status, &again.body["tags"]),
        (200, &json!({"b": "2"}))
    );
    assert_eq!(
        again.body["properties"]["timeCreated"], first["properties"]["timeCreated"],
        "it was not captured again"
    );
    let other = snapshot(
        "rg-workload-prod/Microsoft.Compute/disks/vm-app-01_OsDisk",
        "westeurope",
    );
    let refused = put("rg-forensic-prod", &other);
    assert_eq!(refused.error(), (400, "BadRequest"));
    assert!(
        refused
            .text
            .contains("Changing property 'sourceResourceId' is not allowed")
    );
    assert_eq!(bench.delete(&path).status, 202);
    assert_eq!(bench.delete(&path).status, 204);
}

#[test]
fn an_incremental_snapshot_stays_in_its_subscription() {
    let everywhere = with_roles(&[("Owner", "/")], "");
    let bench = Bench::with(everywhere, |_| {});
    let path =
        format!("{DEV}/resourceGroups/rg-dev/providers/Microsoft.Compute/snapshots/s1?{DISKS}");
    let mut body = snapshot(APP_DISK, "westeurope");
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (400, "OperationNotAllowed")
    );
    body["properties"]["incremental"] = json!(false);
    assert_eq!(
        bench.call("PUT", &path, &body).status,
        202,
        "a full one may go elsewhere"
    );
}

#[test]
fn a_background_copy_counts_up_to_a_hundred() {
    let bench = Bench::new();
    let path = format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    );
    bench.call(
        "PUT",
        &path,
        &snapshot(
            "rg-hard-data/Microsoft.Compute/disks/hard-data-3",
            "westeurope",
        ),
    );
    let percent = || {
        bench.get(&path).body["properties"]["completionPercent"]
            .as_u64()
            .unwrap()
    };
    bench.pass(4);
    let early = percent();
    assert_eq!(
        bench.get(&path).body["properties"]["provisioningState"],
        "Succeeded",
        "captured before it is copied"
    );
    bench.pass(3);
    assert!(early < percent() && percent() < 100);
    bench.pass(10);
    assert_eq!(percent(), 100);
}

#[test]
fn power_is_an_action_with_two_addresses_and_shows_in_the_instance_view() {
    let bench = Bench::new();
    let machine = at("rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01");
    let power = || {
        let view = bench.get(&format!("{machine}/instanceView?{COMPUTE}")).body;
        let expanded = bench
            .get(&format!("{machine}?$expand=instanceView&{COMPUTE}"))
            .body;
        assert_eq!(expanded["properties"]["instanceView"], view);
        view["statuses"][1]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(power(), "PowerState/running");
    let stop = bench.call(
        "POST",
        &format!("{machine}/deallocate?{COMPUTE}"),
        &json!({}),
    );
    assert_eq!((stop.status, stop.text.as_str()), (202, ""));
    assert!(!stop.header("location").is_empty() && !stop.header("azure-asyncoperation").is_empty());
    bench.pass(10);
    assert_eq!(power(), "PowerState/deallocated");
    assert_eq!(
        bench
            .call(
                "POST",
                &format!("{machine}/runCommand?{COMPUTE}"),
                &json!({})
            )
            .error(),
        (501, "NotModelled")
    );
    assert!(
        bench.get(&format!("{machine}?{COMPUTE}")).body["properties"]
            .get("instanceView")
            .is_none()
    );
}

#[test]
fn lists_are_of_their_scope_and_come_in_pages() {
    let bench = Bench::with(
        azir::lab::scenario::Scenario::load("default").unwrap(),
        |options| options.page = Some(3),
    );
    let in_group = bench.get(&format!(
        "{SUB}/resourceGroups/RG-Hard-Prod/providers/Microsoft.Compute/virtualMachines?{COMPUTE}"
    ));
    assert_eq!(in_group.each("name"), ["vm-hard-01", "vm-other-01"]);
    let mut names = Vec::new();
    let mut next = format!("{SUB}/providers/Microsoft.Compute/virtualMachines?{COMPUTE}");
    loop {
        let page = bench.get(&next);
        names.extend(page.each("name").into_iter().map(str::to_owned));
        match page.body["nextLink"].as_str() {
            Some(link) => link.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(names.len(), 8, "{names:?}");
    let found = names.iter().filter(|name| *name == "vm-twin-01").count();
    assert_eq!(found, 1, "the other one is in another subscription");
}

#[test]
fn tags_are_merged_replaced_and_deleted() {
    let bench = Bench::new();
    let path = format!(
        "{}/providers/Microsoft.Resources/tags/default?{RESOURCES}",
        at(HARD)
    );
    let change = |operation: &str, tags: Value| {
        bench.call(
            "PATCH",
            &path,
            &json!({"operation": operation, "properties": {"tags": tags}}),
        )
    };
    let merged = change("Merge", json!({"incident_id": "IR-2", "new": "x"}));
    assert_eq!(
        merged.body["properties"]["tags"],
        json!({"owner": "payments", "Incident_Id": "IR-2", "cost-center": "42", "new": "x"}),
        "the casing of a name stays"
    );
    assert_eq!(
        bench.get(&vm(HARD)).body["tags"]["new"],
        "x",
        "they are the resource's own"
    );
    let deleted = change(
        "Delete",
        json!({"NEW": "x", "owner": "somebody else", "Incident_Id": "IR-2"}),
    );
    assert_eq!(
        deleted.body["properties"]["tags"],
        json!({"owner": "payments", "cost-center": "42"}),
        "only pairs that match"
    );
    assert_eq!(
        change("Replace", json!({"a": "b"})).body["properties"]["tags"],
        json!({"a": "b"})
    );
    assert_eq!(
        change("Upsert", json!({})).error(),
        (400, "InvalidRequestContent")
    );
    assert_eq!(
        change("Merge", json!({"a<b": "c"})).error(),
        (400, "InvalidTagNameCharacters")
    );
    assert_eq!(
        change("Merge", json!({"a": "c".repeat(257)})).error(),
        (400, "InvalidTagValueLength")
    );
    assert_eq!(
        bench.get(&path).body["properties"]["tags"],
        json!({"a": "b"})
    );
}

#[test]
fn a_group_is_deleted_with_everything_in_it_unless_something_is_locked() {
    let bench = Bench::new();
    let group = |name: &str| format!("{SUB}/resourceGroups/{name}?{RESOURCES}");
    let head = |name: &str| bench.send(bench.request("HEAD", &group(name))).status;
    assert_eq!(
        bench.delete(&group("rg-locked")).error(),
        (409, "ScopeLocked")
    );
    let lock = format!(
        "{}/providers/Microsoft.Authorization/locks/keep?api-version=2020-05-01",
        at(HARD)
    );
    assert_eq!(
        bench
            .call(
                "PUT",
                &lock,
                &json!({"properties": {"level": "CanNotDelete"}})
            )
            .status,
        201
    );
    assert_eq!(
        bench.delete(&group("rg-hard-prod")).error(),
        (409, "ScopeLocked"),
        "a lock below is enough"
    );
    assert_eq!((head("rg-north"), head("rg-none")), (204, 404));
    let deleting = bench.delete(&group("rg-north"));
    assert_eq!(
        (deleting.status, deleting.header("azure-asyncoperation")),
        (202, ""),
        "Location only"
    );
    let location = deleting.header("location").to_owned();
    assert_eq!(bench.get(&location).status, 202);
    assert_eq!(
        bench.get(&group("rg-north")).body["properties"]["provisioningState"],
        "Deleting"
    );
    bench.pass(30);
    assert_eq!(bench.get(&location).status, 200);
    assert_eq!(
        bench.get(&group("rg-north")).error(),
        (404, "ResourceGroupNotFound")
    );
    assert_eq!(
        bench
            .get(&vm(
                "rg-north/Microsoft.Compute/virtualMachines/vm-north-01"
            ))
            .error(),
        (404, "ResourceGroupNotFound")
    );
    let made = bench.call("PUT", &group("rg-new"), &json!({"location": "westeurope"}));
    assert_eq!(made.status, 201);
    let again = bench.call("PUT", &group("RG-NEW"), &json!({"location": "westeurope"}));
    assert_eq!(
        (again.status, &again.body["name"], &again.body["id"]),
        (200, &made.body["name"], &made.body["id"]),
        "a name stays as it was first written"
    );
    assert_eq!(
        bench
            .call("PUT", &group("rg-new"), &json!({"location": "northeurope"}))
            .error(),
        (409, "InvalidResourceGroupLocation")
    );
}

#[test]
fn tags_of_an_account_are_an_operation_with_the_map_at_its_end() {
    let bench = Bench::new();
    let account = at("rg-workload-prod/Microsoft.Storage/storageAccounts/stshopprod");
    let path = format!("{account}/providers/Microsoft.Resources/tags/default?{RESOURCES}");
    let body = json!({"operation": "Merge", "properties": {"tags": {"ir": "yes"}}});
    let begun = bench.call("PATCH", &path, &body);
    assert_eq!((begun.status, begun.text.as_str()), (202, ""));
    assert_eq!(begun.header("azure-asyncoperation"), "");
    let place = begun.header("location").to_owned();
    assert_eq!(bench.get(&place).status, 202);
    bench.pass(5);
    let ended = bench.get(&place);
    assert_eq!(ended.status, 200);
    assert_eq!(ended.body["properties"]["tags"]["ir"], "yes");
    assert_eq!(bench.get(&path).body, ended.body);
}

#[test]
fn compute_and_network_write_over_lines_that_end_in_cr_and_lf_and_others_in_one() {
    let bench = Bench::new();
    let nic = at("rg-hard-prod/Microsoft.Network/networkInterfaces/hard-nic-1");
    let put = bench.get(&format!("{nic}?{NETWORK}"));
    let put = bench.call("PUT", &format!("{nic}?{NETWORK}"), &put.body);
    let polled = bench.get(put.header("azure-asyncoperation"));
    for answer in [bench.get(&vm(HARD)), put, polled] {
        let lines: Vec<&str> = answer.text.split("\r\n").collect();
        assert!(lines.len() > 2, "{}", answer.text);
        assert!(lines.iter().all(|line| !line.contains('\n')));
        assert!(lines[1].starts_with("  \""), "{}", answer.text);
        assert!(answer.body.is_object(), "and is JSON all the same");
    }
    let lock = "providers/Microsoft.Authorization/locks?api-version=2016-09-01";
    for path in [
        format!("{SUB}/resourceGroups/rg-hard-prod?{RESOURCES}"),
        format!("{}/{lock}", at(HARD)),
    ] {
        let answer = bench.get(&path);
        assert_eq!(answer.status, 200);
        assert!(!answer.text.contains('\n'), "{}", answer.text);
    }
}
