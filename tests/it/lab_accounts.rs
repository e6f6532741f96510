//! The lab's storage accounts and containers are made, changed and protected as Resource Manager's and Blob storage's.

use serde_json::json;

use crate::az_kit;
use crate::lab_support::{Answer, Bench, SUB, at, client, with_roles};

const STORAGE: &str = "api-version=2024-01-01";
const NEW: &str = "rg-forensic-prod/Microsoft.Storage/storageAccounts/stnew2606";

fn make(bench: &Bench, properties: &serde_json::Value) -> Answer {
    let body = json!({"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_GRS"}, "properties": properties});
    bench.call("PUT", &format!("{}?{STORAGE}", at(NEW)), &body)
}

/// Asks the data plane of an account of any name.
fn blob(
    bench: &Bench,
    account: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let host = format!("{account}.blob.localhost");
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let http = client(&bench.lab, |builder| builder.resolve(&host, here));
    let token = bench.token_for("https://storage.azure.com/.default");
    let url = format!("https://{host}:{port}/{path}");
    let mut request = http.request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    bench.send(
        request
            .bearer_auth(token)
            .header("x-ms-version", "2023-11-03"),
    )
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-ms-error-code"))
}

#[test]
fn an_account_is_made_by_an_operation_that_has_a_location_alone() {
    let bench = Bench::new();
    let begun = make(&bench, &json!({"publicNetworkAccess": "Disabled"}));
    assert_eq!((begun.status, begun.text.as_str()), (202, ""));
    assert!(begun.header("content-type").starts_with("text/plain"));
    assert!(begun.header("azure-asyncoperation").is_empty());
    let place = begun.header("location").to_owned();
    assert!(place.contains("/Microsoft.Storage/locations/westeurope/asyncoperations/"));
    assert_eq!(bench.get(&place).status, 202);
    bench.pass(5);
    let done = bench.get(&place);
    assert_eq!(done.status, 200);
    let shown = bench.get(&format!("{}?{STORAGE}", at(NEW))).body;
    assert_eq!(shown["properties"], done.body["properties"]);
    assert_eq!(
        shown["sku"],
        json!({"name": "Standard_GRS", "tier": "Standard"})
    );
    assert_eq!(shown["properties"]["publicNetworkAccess"], "Disabled");
    assert_eq!(shown["properties"]["allowBlobPublicAccess"], false);
    let patch = json!({"properties": {"allowBlobPublicAccess": true}});
    let changed = bench.call("PATCH", &format!("{}?{STORAGE}", at(NEW)), &patch);
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["properties"]["allowBlobPublicAccess"], true);
    assert_eq!(
        changed.body["properties"]["publicNetworkAccess"],
        "Disabled"
    );
}

#[test]
fn a_name_is_free_or_not_and_well_formed_or_not() {
    let bench = Bench::new();
    let ask = |name: &str| {
        let path = format!("{SUB}/providers/Microsoft.Storage/checkNameAvailability?{STORAGE}");
        let body = json!({"name": name, "type": "Microsoft.Storage/storageAccounts"});
        let answer = bench.call("POST", &path, &body).body;
        answer["reason"].as_str().unwrap_or("free").to_owned()
    };
    assert_eq!(ask("stnew2606"), "free");
    assert_eq!(ask("stshopprod"), "AlreadyExists");
    assert_eq!(ask("st-new"), "AccountNameInvalid");
    let put = |id: &str, body| bench.call("PUT", &format!("{}?{STORAGE}", at(id)), &body);
    let good =
        json!({"location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"});
    let long = "rg-forensic-prod/Microsoft.Storage/storageAccounts/sttabletoppubpiiscenario2606";
    assert_eq!(put(long, good.clone()).error(), (400, "AccountNameInvalid"));
    let taken = "rg-forensic-prod/Microsoft.Storage/storageAccounts/stshopprod";
    assert_eq!(
        put(taken, good.clone()).error(),
        (409, "StorageAccountAlreadyTaken")
    );
    let nowhere = "rg-nowhere/Microsoft.Storage/storageAccounts/stnew2606";
    assert_eq!(put(nowhere, good).error(), (404, "ResourceGroupNotFound"));
    for wrong in [
        json!({"location": "westeurope", "sku": {"name": "Gold"}}),
        json!({"location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "Tape"}),
        json!({"location": "westeurope", "sku": {"name": "Standard_LRS"}, "properties": {"publicNetworkAccess": "Maybe"}}),
        json!({"sku": {"name": "Standard_LRS"}}),
        json!({"location": "westeurope", "sku": {"name": "Standard_LRS"}, "properties": {"colour": "red"}}),
    ] {
        assert_eq!(put(NEW, wrong.clone()).status, 400, "{wrong}");
    }
    make(&bench, &json!({}));
    let fixed = json!({"properties": {"isHnsEnabled": true}});
    let refused = bench.call("PATCH", &format!("{}?{STORAGE}", at(NEW)), &fixed);
    assert_eq!(refused.error(), (409, "PropertyImmutable"));
}

#[test]
fn a_container_is_public_only_where_its_account_may_be() {
    let bench = Bench::new();
    make(&bench, &json!({}));
    let container = |method: &str, name: &str, access: &str| {
        let path = format!(
            "{}/blobServices/default/containers/{name}?{STORAGE}",
            at(NEW)
        );
        bench.call(
            method,
            &path,
            &json!({"properties": {"publicAccess": access}}),
        )
    };
    assert_eq!(container("PUT", "plain", "None").status, 201);
    assert_eq!(container("PUT", "plain", "None").status, 200);
    assert_eq!(
        container("PUT", "open", "Blob").error(),
        (409, "PublicAccessNotPermitted")
    );
    let public = [("x-ms-blob-public-access", "blob")];
    let create = |name: &str, headers: &[(&str, &str)]| {
        let path = format!("{name}?restype=container");
        blob(&bench, "stnew2606", "PUT", &path, headers)
    };
    assert_eq!(
        code(&create("open", &public)),
        (409, "PublicAccessNotPermitted")
    );
    let patch = json!({"properties": {"allowBlobPublicAccess": true}});
    bench.call("PATCH", &format!("{}?{STORAGE}", at(NEW)), &patch);
    assert_eq!(create("open", &public).status, 201);
    assert_eq!(
        code(&create("open", &public)),
        (409, "ContainerAlreadyExists")
    );
    assert_eq!(code(&create("Open!", &[])), (400, "InvalidResourceName"));
    let list = format!("{}/blobServices/default/containers?{STORAGE}", at(NEW));
    assert_eq!(bench.get(&list).each("name"), ["open", "plain"]);
}

#[test]
fn what_is_public_is_read_by_anybody_until_the_account_says_no() {
    let bench = Bench::new();
    make(&bench, &json!({"allowBlobPublicAccess": true}));
    for (name, access) in [("blobs", "Blob"), ("all", "Container"), ("none", "None")] {
        let path = format!(
            "{}/blobServices/default/containers/{name}?{STORAGE}",
            at(NEW)
        );
        let body = json!({"properties": {"publicAccess": access}});
        assert_eq!(bench.call("PUT", &path, &body).status, 201);
        let block = [("x-ms-blob-type", "BlockBlob"), ("content-length", "0")];
        let put = blob(&bench, "stnew2606", "PUT", &format!("{name}/a"), &block);
        assert_eq!(put.status, 201);
    }
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap().to_owned();
    let host = "stnew2606.blob.localhost";
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let http = client(&bench.lab, |builder| builder.resolve(host, here));
    let read = |path: &str| {
        let url = format!("https://{host}:{port}/{path}");
        bench.send(http.get(url)).status
    };
    let asked = || {
        [
            "blobs/a",
            "all/a",
            "none/a",
            "blobs?restype=container&comp=list",
            "all?restype=container&comp=list",
        ]
        .map(read)
    };
    assert_eq!(asked(), [200, 200, 401, 401, 200]);
    let closed = json!({"properties": {"allowBlobPublicAccess": false}});
    bench.call("PATCH", &format!("{}?{STORAGE}", at(NEW)), &closed);
    assert_eq!(asked(), [401; 5]);
}

#[test]
fn a_container_that_is_protected_is_not_deleted_and_another_takes_its_blobs_along() {
    let bench = Bench::new();
    let of = |name: &str| {
        let account = at("rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu");
        format!("{account}/blobServices/default/containers/{name}?{STORAGE}")
    };
    for protected in ["ir-evidence", "ir-held"] {
        let refused = bench.delete(&of(protected));
        assert_eq!(refused.error(), (409, "ContainerProtectedFromDeletion"));
    }
    let block = [("x-ms-blob-type", "BlockBlob"), ("content-length", "0")];
    let put = blob(
        &bench,
        "stforensicirprodweu",
        "PUT",
        "ir-unprotected/a",
        &block,
    );
    assert_eq!(put.status, 201);
    assert_eq!(bench.delete(&of("ir-unprotected")).status, 200);
    assert_eq!(bench.delete(&of("ir-unprotected")).status, 204);
    assert_eq!(bench.lab.state()["blobs"], json!({}));
}

#[test]
fn an_account_that_is_closed_to_the_network_answers_nobody() {
    let bench = Bench::new();
    make(&bench, &json!({"publicNetworkAccess": "Disabled"}));
    let refused = blob(&bench, "stnew2606", "PUT", "c?restype=container", &[]);
    assert_eq!(code(&refused), (403, "AuthorizationFailure"));
}

#[test]
fn making_a_container_takes_the_right_of_the_management_plane() {
    let scenario = with_roles(&[("Storage Blob Data Reader", SUB)], "");
    let bench = Bench::with(scenario, |_| {});
    let refused = blob(
        &bench,
        "stforensicirprodweu",
        "PUT",
        "new-one?restype=container",
        &[],
    );
    assert_eq!(code(&refused), (403, "AuthorizationPermissionMismatch"));
}

#[test]
fn versions_are_kept_as_a_setting_and_nothing_is_overwritten_under_them() {
    let bench = Bench::with(az_kit::scenario(), |_| {});
    let account = at("rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu");
    let service = format!("{account}/blobServices/default?{STORAGE}");
    assert!(bench.get(&service).body["properties"]["isVersioningEnabled"].is_null());
    let on = json!({"properties": {"isVersioningEnabled": true}});
    assert_eq!(bench.call("PUT", &service, &on).status, 200);
    assert_eq!(
        bench.get(&service).body["properties"]["isVersioningEnabled"],
        true
    );
    let kept = json!({"properties": {"deleteRetentionPolicy": {"enabled": true, "days": 7}}});
    assert_eq!(
        bench.call("PUT", &service, &kept).error(),
        (501, "NotModelled")
    );
    let block = [("x-ms-blob-type", "BlockBlob"), ("content-length", "0")];
    let put = || {
        blob(
            &bench,
            "stforensicirprodweu",
            "PUT",
            "ir-unprotected/a",
            &block,
        )
    };
    assert_eq!(put().status, 201);
    assert_eq!(code(&put()), (501, "NotModelled"));
    let gone = blob(
        &bench,
        "stforensicirprodweu",
        "DELETE",
        "ir-unprotected/a",
        &[],
    );
    assert_eq!(code(&gone), (501, "NotModelled"));
}

#[test]
fn a_legal_hold_has_tags_and_keeps_its_container_until_all_are_cleared() {
    let bench = Bench::new();
    let container = at(
        "rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu/blobServices/default/containers/ir-unprotected",
    );
    let tell = |action: &str, tags: &[&str]| {
        let path = format!("{container}/{action}?{STORAGE}");
        bench.call("POST", &path, &json!({ "tags": tags }))
    };
    let held = tell("setLegalHold", &["IR2026", "case1"]);
    assert_eq!(
        (held.status, &held.body),
        (
            200,
            &json!({"hasLegalHold": true, "tags": ["case1", "ir2026"]})
        )
    );
    let path = format!("{container}?{STORAGE}");
    assert_eq!(bench.get(&path).body["properties"]["hasLegalHold"], true);
    assert_eq!(
        bench.delete(&path).error(),
        (409, "ContainerProtectedFromDeletion")
    );
    assert_eq!(
        tell("clearLegalHold", &["ir2026"]).body["tags"],
        json!(["case1"])
    );
    let cleared = tell("clearLegalHold", &["case1"]);
    assert_eq!(cleared.body, json!({"hasLegalHold": false, "tags": []}));
    for wrong in [&[][..], &["x"], &["a-b-c"]] {
        assert_eq!(tell("setLegalHold", wrong).status, 400, "{wrong:?}");
    }
    let eleven: Vec<String> = (10..21).map(|number| format!("tag{number}")).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    assert_eq!(tell("setLegalHold", &eleven).status, 409);
    assert_eq!(bench.delete(&path).status, 200);
}

#[test]
fn an_account_goes_with_its_containers_unless_one_is_kept() {
    let bench = Bench::new();
    let kept = at("rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu");
    assert_eq!(bench.delete(&format!("{kept}?{STORAGE}")).status, 409);
    make(&bench, &json!({}));
    bench.pass(60);
    let container = format!("{}/blobServices/default/containers/work?{STORAGE}", at(NEW));
    assert_eq!(bench.call("PUT", &container, &json!({})).status, 201);
    let account = format!("{}?{STORAGE}", at(NEW));
    assert_eq!(bench.delete(&account).status, 200);
    assert_eq!(bench.delete(&account).status, 204);
    assert_eq!(bench.get(&container).status, 404);
    assert!(
        make(&bench, &json!({})).status == 202,
        "the name is free again"
    );
}
