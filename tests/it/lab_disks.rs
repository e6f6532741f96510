//! Disks of the lab are made of snapshots and go again; shared access to their bytes is given and taken back.

use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench, DISKS, at, client, with_roles};

const SNAPSHOT: &str = "rg-forensic-prod/Microsoft.Compute/snapshots/snap";
const COPY: &str = "rg-forensic-prod/Microsoft.Compute/disks/copy";
const ATTACHED: &str = "rg-workload-prod/Microsoft.Compute/disks/vm-app-01_data1";

fn path(place: &str) -> String {
    format!("{}?{DISKS}", at(place))
}

fn act(bench: &Bench, place: &str, action: &str, body: &Value) -> Answer {
    bench.call("POST", &format!("{}/{action}?{DISKS}", at(place)), body)
}

fn copied(source: &str) -> Value {
    json!({"location": "westeurope", "sku": {"name": "StandardSSD_LRS"}, "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": at(source)}}})
}

/// A lab in which there is a snapshot.
fn bench() -> Bench {
    let bench = Bench::new();
    let body = json!({"location": "westeurope", "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": at(ATTACHED)}}});
    assert_eq!(bench.call("PUT", &path(SNAPSHOT), &body).status, 202);
    bench.pass(60);
    bench
}

#[test]
fn a_disk_is_a_copy_of_a_snapshot_and_of_no_smaller_size() {
    let bench = bench();
    let begun = bench.call("PUT", &path(COPY), &copied(SNAPSHOT));
    assert_eq!(
        (begun.status, &begun.body["properties"]["provisioningState"]),
        (202, &json!("Updating"))
    );
    let follow = begun.header("azure-asyncoperation").to_owned();
    assert!(follow.contains("/DiskOperations/"));
    bench.pass(60);
    let output = bench.get(&follow).body["properties"]["output"].clone();
    let shown = bench.get(&path(COPY)).body;
    assert_eq!(
        output["properties"]["uniqueId"],
        shown["properties"]["uniqueId"]
    );
    let properties = &shown["properties"];
    assert_eq!(properties["diskState"], "Unattached");
    assert_eq!(properties["diskSizeGB"], 32);
    assert_eq!(shown["sku"]["tier"], "Standard");
    let source = bench.get(&path(SNAPSHOT)).body;
    assert_eq!(
        properties["creationData"]["sourceUniqueId"],
        source["properties"]["uniqueId"]
    );
    let same = bench.call("PUT", &path(COPY), &copied(SNAPSHOT));
    assert_eq!(same.status, 200, "the same again copies nothing anew");
    let mut small = copied(SNAPSHOT);
    small["properties"]["diskSizeGB"] = json!(4);
    let other = "rg-forensic-prod/Microsoft.Compute/disks/other";
    assert_eq!(
        bench.call("PUT", &path(other), &small).error(),
        (400, "InvalidParameter")
    );
    let mut far = copied(SNAPSHOT);
    far["location"] = json!("northeurope");
    assert_eq!(
        bench.call("PUT", &path(other), &far).error(),
        (404, "NotFound")
    );
    let mut import = copied(SNAPSHOT);
    import["properties"]["creationData"]["createOption"] = json!("Import");
    assert_eq!(
        bench.call("PUT", &path(other), &import).error(),
        (501, "NotModelled")
    );
}

#[test]
fn a_disk_is_changed_and_deleted_but_not_from_under_a_machine() {
    let bench = bench();
    bench.call("PUT", &path(COPY), &copied(SNAPSHOT));
    bench.pass(60);
    let patch = json!({"tags": {"evidence": "1"}, "sku": {"name": "Premium_LRS"}});
    assert_eq!(bench.call("PATCH", &path(COPY), &patch).status, 202);
    let shown = bench.get(&path(COPY)).body;
    assert_eq!(shown["tags"], patch["tags"]);
    assert_eq!(
        shown["sku"],
        json!({"name": "Premium_LRS", "tier": "Premium"})
    );
    assert_eq!(
        bench.delete(&path(ATTACHED)).error(),
        (409, "OperationNotAllowed")
    );
    assert_eq!(bench.delete(&path(COPY)).status, 202);
    assert_eq!(bench.delete(&path(COPY)).status, 204);
    assert_eq!(bench.get(&path(COPY)).status, 404);
}

#[test]
fn shared_access_is_a_secret_address_until_it_is_taken_back() {
    let bench = bench();
    let asked = json!({"access": "Read", "durationInSeconds": 3600});
    let begun = act(&bench, SNAPSHOT, "beginGetAccess", &asked);
    assert_eq!((begun.status, begun.text.as_str()), (202, ""));
    bench.pass(60);
    let at_location = bench.get(begun.header("location"));
    let address = at_location.body["accessSAS"].as_str().unwrap();
    assert!(address.starts_with("https://md-") && address.contains("&sig="));
    let status = bench.get(begun.header("azure-asyncoperation"));
    assert_eq!(status.body["properties"]["output"]["accessSAS"], address);
    let host = address[8..].split([':', '/']).next().unwrap();
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let anybody = client(&bench.lab, |builder| builder.resolve(host, here));
    let bytes = bench.send(anybody.get(address));
    assert_eq!(bytes.status, 501, "the bytes are not modelled");
    let state = || bench.get(&path(SNAPSHOT)).body["properties"]["diskState"].clone();
    assert_eq!(state(), "ActiveSAS");
    assert_eq!(
        bench.delete(&path(SNAPSHOT)).error(),
        (409, "OperationNotAllowed")
    );
    for _ in 0..2 {
        let end = act(&bench, SNAPSHOT, "endGetAccess", &Value::Null);
        assert_eq!(end.status, 202, "taking back what is not given is no error");
        bench.pass(60);
        assert_eq!(state(), "Unattached");
    }
    assert_eq!(bench.delete(&path(SNAPSHOT)).status, 202);
}

#[test]
fn shared_access_is_refused_where_it_may_not_be_given() {
    let bench = bench();
    let asked = json!({"access": "Read", "durationInSeconds": 3600});
    let running = act(&bench, ATTACHED, "beginGetAccess", &asked);
    assert_eq!(running.error(), (409, "OperationNotAllowed"));
    let closed = json!({"properties": {"networkAccessPolicy": "DenyAll"}});
    bench.call("PATCH", &path(SNAPSHOT), &closed);
    bench.pass(60);
    let denied = act(&bench, SNAPSHOT, "beginGetAccess", &asked);
    assert_eq!(denied.error(), (409, "OperationNotAllowed"));
    let write = json!({"access": "Write", "durationInSeconds": 3600});
    assert_eq!(
        act(&bench, SNAPSHOT, "beginGetAccess", &write).error(),
        (501, "NotModelled")
    );
    let for_ever = act(
        &bench,
        SNAPSHOT,
        "beginGetAccess",
        &json!({"access": "Read"}),
    );
    assert_eq!(for_ever.error(), (400, "InvalidParameter"));
}

#[test]
fn a_copy_takes_the_right_to_read_its_source() {
    let own = "{name: Disks only, actions: [Microsoft.Compute/disks/write, Microsoft.Compute/disks/read]}";
    let scenario = with_roles(
        &[(
            "Disks only",
            "/subscriptions/22222222-2222-4222-8222-222222222222",
        )],
        own,
    );
    let bench = Bench::with(scenario, |_| {});
    let refused = bench.call("PUT", &path(COPY), &copied(ATTACHED));
    assert_eq!(refused.error(), (403, "LinkedAuthorizationFailed"));
    assert!(
        refused
            .text
            .contains("Microsoft.Compute/disks/beginGetAccess/action")
    );
}

#[test]
fn a_provider_is_registered_or_becomes_so() {
    let bench = Bench::new();
    let of = |name: &str, action: &str| {
        format!(
            "{}/providers/{name}{action}?api-version=2025-03-01",
            crate::lab_support::SUB
        )
    };
    let compute = bench.get(&of("Microsoft.Compute", "")).body;
    assert_eq!(compute["registrationState"], "Registered");
    let kinds: Vec<&str> = compute["resourceTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["resourceType"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"virtualmachines"), "{kinds:?}");
    let state = || bench.get(&of("Microsoft.Capacity", "")).body["registrationState"].clone();
    assert_eq!(state(), "NotRegistered");
    let done = bench.call("POST", &of("Microsoft.Capacity", "/register"), &Value::Null);
    assert_eq!((done.status, state()), (200, json!("Registered")));
    assert_eq!(
        bench.get(&of("Microsoft.Nothing", "")).error(),
        (404, "InvalidResourceNamespace")
    );
}
