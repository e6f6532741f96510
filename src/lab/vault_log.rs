//! What a vault's diagnostic setting sends to a workspace: a row of `AzureDiagnostics` for each request
//! (graph-and-data-planes.md section 9; "Azure Key Vault logging"). A vault without such a setting leaves none.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use super::entra::Claims;
use super::reply::Ask;
use super::store::Store;
use crate::ids::ArmId;
use crate::random::Random;

/// What rows are kept as.
pub(super) const KIND: &str = "vaultEvents";
const SETTINGS: &str = "Microsoft.Insights/diagnosticSettings";

/// Writes down what was asked of a vault, if a setting of it says so.
pub(super) fn note(
    store: &mut Store,
    vault: &Value,
    (ask, claims, status): (&Ask, &Claims, u16),
    (random, now, now_us): (&dyn Random, DateTime<Utc>, u64),
) {
    let of = vault["id"].as_str().unwrap_or_default();
    let Some(operation) = operation(ask).filter(|_| sent(store, of)) else {
        return;
    };
    let id = random.uuid().to_string();
    let mut row = row(of, operation, status, now);
    row["CallerIPAddress"] = json!("127.0.0.1");
    row["CorrelationId"] = json!(id);
    row["identity_claim_oid_g"] = json!(claims.oid);
    row["identity_claim_appid_g"] = json!(claims.appid);
    row["requestUri_s"] = json!(format!("{}{}", ask.origin, ask.path));
    row["id_s"] = row["requestUri_s"].clone();
    store.put_object(KIND, &id, row, now_us);
}

/// Puts an event of the scenario: `vault` (an id), `operation`, `hours_ago`, and columns as the table has them.
pub(super) fn seed(
    store: &mut Store,
    written: &Map<String, Value>,
    number: usize,
    made: DateTime<Utc>,
) {
    let text = |name: &str| written.get(name).and_then(Value::as_str);
    let hours = written
        .get("hours_ago")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let mut row = row(
        text("vault").unwrap_or_default(),
        text("operation").unwrap_or_default(),
        200,
        Duration::try_hours(hours)
            .and_then(|ago| made.checked_sub_signed(ago))
            .unwrap_or(made),
    );
    let own = ["vault", "operation", "hours_ago"];
    for (name, value) in written {
        if !own.contains(&name.as_str()) {
            row[name] = value.clone();
        }
    }
    store.directory.seed(KIND, &format!("seeded {number}"), row);
}

/// Returns whether a vault has a setting that sends its audit events to a workspace.
fn sent(store: &Store, vault: &str) -> bool {
    store.of_type(vault, SETTINGS).any(|setting| {
        let logs = setting["properties"]["logs"].as_array();
        let audit = |log: &Value| {
            log["enabled"] == true
                && (log["category"] == "AuditEvent"
                    || log["categoryGroup"] == "audit"
                    || log["categoryGroup"] == "allLogs")
        };
        setting["properties"]["workspaceId"].is_string()
            && logs.is_some_and(|logs| logs.iter().any(audit))
    })
}

/// Returns the name that the log gives a request.
fn operation(ask: &Ask) -> Option<&'static str> {
    let segments = ask.segments();
    Some(match (ask.method.as_str(), segments.as_slice()) {
        ("GET", ["secrets"]) => "SecretList",
        ("GET", ["secrets", _, "versions"]) => "SecretListVersions",
        ("GET", ["secrets", ..]) => "SecretGet",
        ("PUT", ["secrets", _]) => "SecretSet",
        ("PATCH", ["secrets", ..]) => "SecretUpdate",
        ("DELETE", ["secrets", _]) => "SecretDelete",
        ("GET", ["deletedsecrets"]) => "SecretListDeleted",
        ("GET", ["deletedsecrets", _]) => "SecretGetDeleted",
        ("POST", ["deletedsecrets", _, "recover"]) => "SecretRecover",
        ("DELETE", ["deletedsecrets", _]) => "SecretPurge",
        ("GET", ["keys"]) => "KeyList",
        ("GET", ["keys", _, "versions"]) => "KeyListVersions",
        ("GET", ["keys", ..]) => "KeyGet",
        ("POST", ["keys", _, "create"]) => "KeyCreate",
        ("POST", ["keys", _, "rotate"]) => "KeyRotate",
        ("PATCH", ["keys", ..]) => "KeyUpdate",
        ("DELETE", ["keys", _]) => "KeyDelete",
        ("GET", ["deletedkeys"]) => "KeyListDeleted",
        ("GET", ["deletedkeys", _]) => "KeyGetDeleted",
        ("POST", ["deletedkeys", _, "recover"]) => "KeyRecover",
        ("DELETE", ["deletedkeys", _]) => "KeyPurge",
        _ => return None,
    })
}

fn row(vault: &str, operation: &str, status: u16, at: DateTime<Utc>) -> Value {
    let id: Option<ArmId> = vault.parse().ok();
    let part = |value: Option<&str>| value.unwrap_or_default().to_uppercase();
    let group = id.as_ref().and_then(|id| id.resource_group());
    let subscription = id.as_ref().and_then(|id| id.subscription());
    let signature = match status {
        403 => "Forbidden",
        404 => "Not Found",
        _ if status < 300 => "OK",
        _ => "Bad Request",
    };
    json!({
        "TimeGenerated": at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(), "ResourceId": vault.to_uppercase(), "Category": "AuditEvent",
        "ResourceGroup": part(group), "SubscriptionId": subscription, "ResourceProvider": "MICROSOFT.KEYVAULT",
        "Resource": part(id.as_ref().map(ArmId::name)), "ResourceType": "VAULTS", "OperationName": operation,
        // The log says so of what was refused, too: the request was taken in.
        "ResultType": "Success", "ResultSignature": signature, "httpStatusCode_d": status,
        "SourceSystem": "Azure", "_ResourceId": vault.to_lowercase(), "_SubscriptionId": subscription,
    })
}
