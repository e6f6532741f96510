//! Immutability policies of the lab: what locks, what unlocks, and what the blobs below them put up with.

use serde_json::{Value, json};

use crate::lab_support::{Answer, Bench, at};

const STORAGE: &str = "api-version=2023-05-01";

fn container(name: &str) -> String {
    at(&format!(
        "rg-forensic-prod/Microsoft.Storage/storageAccounts/stforensicirprodweu/blobServices/default/containers/{name}"
    ))
}

fn policy(name: &str) -> String {
    format!("{}/immutabilityPolicies/default?{STORAGE}", container(name))
}

fn action(name: &str, action: &str) -> String {
    format!(
        "{}/immutabilityPolicies/default/{action}?{STORAGE}",
        container(name)
    )
}

fn with_etag(bench: &Bench, method: &str, path: &str, etag: Option<&str>, body: &Value) -> Answer {
    let mut request = bench.request(method, path);
    if let Some(etag) = etag {
        request = request.header("if-match", etag);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    bench.send(request)
}

/// Puts, appends to, overwrites and deletes a blob; returns the statuses.
fn blobs(bench: &Bench, name: &str, append_only: bool) -> Vec<u16> {
    let port = bench.lab.ready().arm.rsplit(':').next().unwrap();
    let url = format!("https://stforensicirprodweu.blob.localhost:{port}/{name}/b-{append_only}");
    let token = bench.token_for("https://storage.azure.com/.default");
    let send = |method: &str, query: &str, kind: &str, body: &'static str| {
        let request = bench
            .http
            .request(method.parse().unwrap(), format!("{url}{query}"))
            .bearer_auth(&token)
            .header("x-ms-version", "2021-12-02")
            .header("x-ms-blob-type", kind)
            .body(body);
        bench.send(request).status
    };
    let mut statuses = vec![
        send("PUT", "", "AppendBlob", ""),
        send("PUT", "?comp=appendblock", "AppendBlob", "abc"),
    ];
    if !append_only {
        statuses.push(send("PUT", "", "BlockBlob", "xyz"));
        statuses.push(send("DELETE", "", "", ""));
    }
    statuses
}

#[test]
fn a_policy_is_made_changed_locked_extended_and_never_taken_back() {
    let bench = Bench::new();
    let none = bench.get(&policy("ir-unprotected"));
    assert_eq!((none.status, none.header("etag")), (200, ""));
    assert_eq!(
        none.body["properties"],
        json!({"immutabilityPeriodSinceCreationInDays": 0, "state": "Unlocked"})
    );
    let wish = |days: u64| json!({"properties": {"immutabilityPeriodSinceCreationInDays": days, "allowProtectedAppendWrites": true}});
    for bad in [
        json!({"properties": {"immutabilityPeriodSinceCreationInDays": 0}}),
        json!({"properties": {"immutabilityPeriodSinceCreationInDays": 5, "allowProtectedAppendWrites": true, "allowProtectedAppendWritesAll": true}}),
        json!({"properties": {"immutabilityPeriodSinceCreationInDays": 5, "forever": true}}),
    ] {
        assert_eq!(
            bench.call("PUT", &policy("ir-unprotected"), &bad).status,
            400,
            "{bad}"
        );
    }
    let made = bench.call("PUT", &policy("ir-unprotected"), &wish(7));
    assert_eq!(
        (made.status, &made.body["properties"]["state"]),
        (200, &json!("Unlocked"))
    );
    let first = made.header("etag").to_owned();
    assert!(
        first.starts_with('"') && made.body["etag"] == first,
        "{made:?}"
    );
    let changed = with_etag(
        &bench,
        "PUT",
        &policy("ir-unprotected"),
        Some(&first),
        &wish(9),
    );
    let second = changed.header("etag").to_owned();
    assert_ne!(first, second, "each change gives a new etag");
    for wrong in [
        None,
        Some("*"),
        Some(first.as_str()),
        Some(second.trim_matches('"')),
    ] {
        let answer = with_etag(
            &bench,
            "POST",
            &action("ir-unprotected", "lock"),
            wrong,
            &Value::Null,
        );
        assert_eq!(
            answer.error(),
            (412, "ContainerImmutabilityPolicyFailure"),
            "{wrong:?}"
        );
    }
    let early = with_etag(
        &bench,
        "POST",
        &action("ir-unprotected", "extend"),
        Some(&second),
        &json!({"properties": {"immutabilityPeriodSinceCreationInDays": 400}}),
    );
    assert_eq!(early.status, 412);
    let locked = with_etag(
        &bench,
        "POST",
        &action("ir-unprotected", "lock"),
        Some(&second),
        &Value::Null,
    );
    assert_eq!(
        (locked.status, &locked.body["properties"]["state"]),
        (200, &json!("Locked"))
    );
    let third = locked.header("etag").to_owned();
    for (method, body) in [("DELETE", Value::Null), ("PUT", wish(30))] {
        let answer = with_etag(
            &bench,
            method,
            &policy("ir-unprotected"),
            Some(&third),
            &body,
        );
        assert_eq!(
            answer.error(),
            (409, "ContainerImmutabilityPolicyLocked"),
            "{method}"
        );
    }
    let shorter = json!({"properties": {"immutabilityPeriodSinceCreationInDays": 8}});
    let extend = |etag: &str, body: &Value| {
        with_etag(
            &bench,
            "POST",
            &action("ir-unprotected", "extend"),
            Some(etag),
            body,
        )
    };
    assert_eq!(extend(&third, &shorter).status, 412);
    let mut etag = third;
    for days in 100..105 {
        let body = json!({"properties": {"immutabilityPeriodSinceCreationInDays": days}});
        let answer = extend(&etag, &body);
        assert_eq!(
            (
                answer.status,
                answer.body["properties"]["immutabilityPeriodSinceCreationInDays"].as_u64()
            ),
            (200, Some(days))
        );
        etag = answer.header("etag").to_owned();
    }
    let sixth = json!({"properties": {"immutabilityPeriodSinceCreationInDays": 200}});
    assert_eq!(extend(&etag, &sixth).status, 412);
    let shown = bench.get(&format!("{}?{STORAGE}", container("ir-unprotected")));
    let properties = &shown.body["properties"];
    assert_eq!(properties["hasImmutabilityPolicy"], true);
    assert_eq!(properties["immutabilityPolicy"]["etag"], etag);
    assert!(
        properties.get("immutable").is_none() && properties.get("policyChanges").is_none(),
        "{properties}"
    );
}

#[test]
fn an_unlocked_policy_holds_until_anybody_takes_it_away() {
    let bench = Bench::new();
    assert_eq!(blobs(&bench, "ir-unlocked", false), [201, 201, 409, 409]);
    let etag = bench.get(&policy("ir-unlocked")).header("etag").to_owned();
    assert_eq!(
        bench.delete(&policy("ir-unlocked")).status,
        412,
        "without its etag"
    );
    let gone = with_etag(
        &bench,
        "DELETE",
        &policy("ir-unlocked"),
        Some(&etag),
        &Value::Null,
    );
    assert_eq!(
        (gone.status, &gone.body["properties"]["state"]),
        (200, &json!("Deleted"))
    );
    assert_eq!(bench.get(&policy("ir-unlocked")).header("etag"), "");
    assert_eq!(
        blobs(&bench, "ir-unlocked", false),
        [201, 201, 201, 202],
        "what was there could go"
    );
}

#[test]
fn blobs_are_as_safe_as_their_container_says() {
    let bench = Bench::new();
    assert_eq!(blobs(&bench, "ir-evidence", false), [201, 201, 409, 409]);
    assert_eq!(blobs(&bench, "ir-unprotected", false), [201, 201, 201, 202]);
    assert_eq!(blobs(&bench, "ir-no-append", false), [201, 409, 409, 409]);
    assert_eq!(blobs(&bench, "ir-held", false), [201, 409, 409, 409]);
    let held = bench.get(&format!("{}?{STORAGE}", container("ir-held")));
    assert_eq!(held.body["properties"]["hasLegalHold"], true);
    // Only what was allowed before the lock is allowed for good; `All` allows appends, too.
    let wish = json!({"properties": {"immutabilityPeriodSinceCreationInDays": 5, "allowProtectedAppendWritesAll": true}});
    bench.call("PUT", &policy("ir-unprotected"), &wish);
    assert_eq!(blobs(&bench, "ir-unprotected", true), [201, 201]);
}
