//! What a storage account's diagnostic setting sends to a workspace: a row of `StorageBlobLogs` for each request that was
//! let in or refused by rights (graph-and-data-planes.md section 9). An account without such a setting leaves none.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::arm::containers;
use super::entra::Claims;
use super::reply::{Ask, Reply};
use super::store::Store;
use crate::random::Random;

/// What rows are kept as.
pub(super) const KIND: &str = "blobEvents";
const SETTINGS: &str = "Microsoft.Insights/diagnosticSettings";

/// Writes down what was asked of an account, if a setting of its blobs says so.
pub(super) fn note(
    store: &mut Store,
    account: &str,
    (ask, claims, reply): (&Ask, Option<&Claims>, &Reply),
    (random, now, now_us): (&dyn Random, DateTime<Utc>, u64),
) {
    let Some((category, operation)) = operation(ask) else {
        return;
    };
    let Some(account) = containers::account(store, account) else {
        return;
    };
    let of = account["id"].as_str().unwrap_or_default();
    if !sent(store, of, category) {
        return;
    }
    let id = random.uuid().to_string();
    let name = account["name"].as_str().unwrap_or_default();
    let row = json!({
        "TimeGenerated": crate::clock::micros(now), "AccountName": name, "Location": account["location"],
        "Protocol": "HTTPS", "ServiceType": "blob", "Category": category, "OperationName": operation,
        // Keys and signatures are not modelled.
        "AuthenticationType": if claims.is_some() { "OAuth" } else { "Anonymous" },
        // A text, though it looks like a number (section 9.2).
        "StatusCode": reply.status.to_string(), "StatusText": word(reply),
        "Uri": format!("{}{}", ask.origin, ask.path), "ObjectKey": format!("/{name}{}", ask.path),
        "CallerIpAddress": "127.0.0.1", "CorrelationId": id, "OperationCount": 0,
        "RequesterObjectId": claims.map(|own| &own.oid), "RequesterAppId": claims.map(|own| &own.appid),
        "RequesterTenantId": claims.map(|own| &own.all["tid"]),
        "UserAgentHeader": ask.header("user-agent"), "ClientRequestId": ask.header("x-ms-client-request-id"),
        "_ResourceId": of.to_ascii_lowercase(),
    });
    store.put_object(KIND, &id, row, now_us);
}

/// Returns what the log calls an answer: the service's own word, where it gave one.
fn word(reply: &Reply) -> &str {
    let code = reply
        .headers
        .iter()
        .find(|(name, _)| name == "x-ms-error-code");
    code.map_or("Success", |(_, code)| code)
}

/// Returns whether a setting of an account's blobs sends a category to a workspace.
fn sent(store: &Store, account: &str, category: &str) -> bool {
    let blobs = format!("{account}/blobServices/default");
    store.of_type(&blobs, SETTINGS).any(|setting| {
        let logs = setting["properties"]["logs"].as_array();
        let named = |log: &Value| {
            log["enabled"] == true
                && (log["category"] == category
                    || log["categoryGroup"] == "audit"
                    || log["categoryGroup"] == "allLogs")
        };
        setting["properties"]["workspaceId"].is_string()
            && logs.is_some_and(|logs| logs.iter().any(named))
    })
}

/// Returns the category and the name that the log gives a request.
fn operation(ask: &Ask) -> Option<(&'static str, &'static str)> {
    let of_blob = ask.path.trim_matches('/').contains('/');
    let what = ask.query("comp").unwrap_or_default();
    Some(match (ask.method.as_str(), of_blob, what) {
        ("GET", true, "") => ("StorageRead", "GetBlob"),
        ("HEAD", true, "") => ("StorageRead", "GetBlobProperties"),
        ("GET", true, "blocklist") => ("StorageRead", "GetBlockList"),
        ("GET", false, "list") => ("StorageRead", "ListBlobs"),
        ("GET" | "HEAD", false, "") => ("StorageRead", "GetContainerProperties"),
        ("PUT", true, "") => ("StorageWrite", "PutBlob"),
        ("PUT", true, "metadata") => ("StorageWrite", "SetBlobMetadata"),
        ("PUT", true, "block") => ("StorageWrite", "PutBlock"),
        ("PUT", true, "blocklist") => ("StorageWrite", "PutBlockList"),
        ("PUT", true, "appendblock") => ("StorageWrite", "AppendBlock"),
        ("PUT", false, "") => ("StorageWrite", "CreateContainer"),
        ("DELETE", true, "") => ("StorageDelete", "DeleteBlob"),
        ("DELETE", false, "") => ("StorageDelete", "DeleteContainer"),
        _ => return None,
    })
}
