//! The directory's own log: every write leaves a record under its documented activity name (section 2.2).

use serde_json::{Value, json};

use super::Visit;

/// What a write did, as the log calls it.
pub(super) struct Act<'a> {
    /// `activityDisplayName`.
    pub(super) activity: &'a str,
    /// `category`.
    pub(super) category: &'a str,
    /// The type of what it was done to: `User`, `Application`, `ServicePrincipal`, `Group`, `Role`, `Device`.
    pub(super) kind: &'a str,
    /// The object it was done to.
    pub(super) target: &'a Value,
    /// Property, old value, new value.
    pub(super) modified: &'a [(&'a str, Value, Value)],
}

/// Writes a record of what the caller did.
pub(super) fn write(visit: &mut Visit<'_>, act: &Act<'_>) {
    let id = format!("Directory_{}", visit.new_id());
    let changed: Vec<Value> = act
        .modified
        .iter()
        // Both values are JSON written as text.
        .map(|(name, old, new)| json!({"displayName": name, "oldValue": old.to_string(), "newValue": new.to_string()}))
        .collect();
    let caller = visit
        .store
        .directory
        .now("servicePrincipals", &visit.claims.oid)
        .and_then(|caller| caller["displayName"].as_str())
        .unwrap_or_default()
        .to_owned();
    let operation = match act.activity.split(' ').next() {
        Some("Add" | "Consent") => "Add",
        Some("Delete" | "Remove" | "Hard") => "Delete",
        _ => "Update",
    };
    // A record of Privileged Identity Management says so in its name, too.
    let service = if act.activity.contains(" in PIM ") {
        "PIM"
    } else {
        "Core Directory"
    };
    let record = json!({
        "id": id,
        "category": act.category,
        "correlationId": visit.new_id(),
        "result": "success",
        "resultReason": "",
        "activityDisplayName": act.activity,
        "activityDateTime": visit.time(),
        "loggedByService": service,
        "operationType": operation,
        "initiatedBy": {"user": null, "app": {"appId": visit.claims.appid, "displayName": caller, "servicePrincipalId": visit.claims.oid, "servicePrincipalName": null}},
        "targetResources": [{
            "id": act.target["id"],
            "displayName": act.target["displayName"],
            "type": act.kind,
            "userPrincipalName": act.target["userPrincipalName"],
            "groupType": null,
            "modifiedProperties": changed,
        }],
        "additionalDetails": [],
    });
    visit.put("directoryAudits", &id, record);
}
