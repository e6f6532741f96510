//! What stands in the tables of a workspace: the tenant's own logs, as the connectors write them
//! (graph-and-data-planes.md sections 9 and 9.2). Every workspace of the lab is connected to all of them.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::store::Store;
use super::vault_log;

/// How long a record takes to be found by a query: minutes, as in practice (section 7).
const INGESTION: Duration = Duration::minutes(5);

/// Returns the rows of a table that can be found by now.
pub(super) fn rows(store: &Store, table: &str, now: DateTime<Utc>) -> Vec<Value> {
    let directory = &store.directory;
    let of_kind = |kind: &'static str| {
        let signed_in = directory.all_now("signIns");
        signed_in.filter(move |record| record["signInEventTypes"][0] == kind)
    };
    let all: Vec<Value> = match table {
        "SigninLogs" => of_kind("interactiveUser").map(sign_in).collect(),
        "AADNonInteractiveUserSignInLogs" => of_kind("nonInteractiveUser")
            .map(|record| as_text(sign_in(record)))
            .collect(),
        "AADServicePrincipalSignInLogs" => {
            of_kind("servicePrincipal").map(of_application).collect()
        }
        "AuditLogs" => directory.all_now("directoryAudits").map(audit).collect(),
        "AzureActivity" => store.events.iter().map(activity).collect(),
        _ => directory.all_now(vault_log::KIND).cloned().collect(),
    };
    let mut found: Vec<Value> = all
        .into_iter()
        .filter(|row| {
            let time = row["TimeGenerated"].as_str();
            let time = time.and_then(|time| time.parse::<DateTime<Utc>>().ok());
            time.is_some_and(|time| time + INGESTION <= now)
        })
        .collect();
    for row in &mut found {
        row["Type"] = json!(table);
    }
    found
}

/// A sign-in, as `SigninLogs` has it.
fn sign_in(record: &Value) -> Value {
    let code = record["status"]["errorCode"].as_u64().unwrap_or(0);
    let why = if code == 0 {
        Value::Null
    } else {
        record["status"]["failureReason"].clone()
    };
    let mut row = json!({
        "TimeGenerated": record["createdDateTime"], "CreatedDateTime": record["createdDateTime"],
        "OperationName": "Sign-in activity", "Category": "SignInLogs", "Level": "4",
        "ResultType": code.to_string(), "ResultSignature": if code == 0 { "SUCCESS" } else { "FAILURE" }, "ResultDescription": why,
        "Identity": record["userDisplayName"], "Location": record["location"]["countryOrRegion"],
        "AADTenantId": record["homeTenantId"], "LocationDetails": record["location"],
        "ConditionalAccessPolicies": record["appliedConditionalAccessPolicies"], "SourceSystem": "Azure AD",
    });
    for (column, member) in [
        ("AppDisplayName", "appDisplayName"),
        ("AppId", "appId"),
        ("AuthenticationProtocol", "authenticationProtocol"),
        ("ClientAppUsed", "clientAppUsed"),
        ("ConditionalAccessStatus", "conditionalAccessStatus"),
        ("CorrelationId", "correlationId"),
        ("DeviceDetail", "deviceDetail"),
        ("HomeTenantId", "homeTenantId"),
        ("Id", "id"),
        ("IncomingTokenType", "incomingTokenType"),
        ("IPAddress", "ipAddress"),
        ("IsInteractive", "isInteractive"),
        ("OriginalTransferMethod", "originalTransferMethod"),
        ("ResourceDisplayName", "resourceDisplayName"),
        ("ResourceIdentity", "resourceId"),
        ("RiskDetail", "riskDetail"),
        ("RiskLevelAggregated", "riskLevelAggregated"),
        ("RiskLevelDuringSignIn", "riskLevelDuringSignIn"),
        ("RiskState", "riskState"),
        ("SessionId", "sessionId"),
        ("Status", "status"),
        ("UniqueTokenIdentifier", "uniqueTokenIdentifier"),
        ("UserAgent", "userAgent"),
        ("UserDisplayName", "userDisplayName"),
        ("UserId", "userId"),
        ("UserPrincipalName", "userPrincipalName"),
    ] {
        row[column] = record[member].clone();
    }
    // What is a list in Graph is text here.
    row["RiskEventTypes"] = json!(record["riskEventTypes"].to_string());
    row["RiskEventTypes_V2"] = json!(record["riskEventTypes_v2"].to_string());
    row
}

/// What is dynamic in `SigninLogs` is text in the table of non-interactive ones.
fn as_text(mut row: Value) -> Value {
    row["Category"] = json!("NonInteractiveUserSignInLogs");
    for column in [
        "ConditionalAccessPolicies",
        "DeviceDetail",
        "LocationDetails",
        "Status",
    ] {
        row[column] = json!(row[column].to_string());
    }
    row
}

/// A sign-in of an application, which has no user.
fn of_application(record: &Value) -> Value {
    let mut row = as_text(sign_in(record));
    row["Category"] = json!("ServicePrincipalSignInLogs");
    for (column, member) in [
        ("Identity", "servicePrincipalName"),
        (
            "ServicePrincipalCredentialKeyId",
            "servicePrincipalCredentialKeyId",
        ),
        ("ServicePrincipalId", "servicePrincipalId"),
        ("ServicePrincipalName", "servicePrincipalName"),
    ] {
        row[column] = record[member].clone();
    }
    row
}

fn audit(record: &Value) -> Value {
    let mut row = json!({"SourceSystem": "Azure AD", "Level": "4", "ResultType": ""});
    for (column, member) in [
        ("AADOperationType", "operationType"),
        ("ActivityDateTime", "activityDateTime"),
        ("ActivityDisplayName", "activityDisplayName"),
        ("AdditionalDetails", "additionalDetails"),
        ("Category", "category"),
        ("CorrelationId", "correlationId"),
        ("Id", "id"),
        ("InitiatedBy", "initiatedBy"),
        ("LoggedByService", "loggedByService"),
        ("OperationName", "activityDisplayName"),
        ("Result", "result"),
        ("ResultReason", "resultReason"),
        ("TargetResources", "targetResources"),
        ("TimeGenerated", "activityDateTime"),
    ] {
        row[column] = record[member].clone();
    }
    row
}

/// An event of the activity log; its operation stands in capitals.
fn activity(event: &Value) -> Value {
    let operation = event["operationName"]["value"]
        .as_str()
        .unwrap_or_default()
        .to_uppercase();
    let status = match event["status"]["value"].as_str() {
        Some("Started") => "Start",
        Some("Failed") => "Failure",
        _ => "Success",
    };
    let resource = event["resourceId"].as_str().unwrap_or_default();
    json!({
        "TimeGenerated": event["eventTimestamp"], "EventSubmissionTimestamp": event["submissionTimestamp"],
        "OperationName": event["operationName"]["localizedValue"], "OperationNameValue": operation,
        "ActivityStatusValue": status, "ActivityStatus": status, "ActivitySubstatusValue": event["subStatus"]["value"],
        "Caller": event["caller"], "CallerIpAddress": event["httpRequest"]["clientIpAddress"],
        "Category": event["category"]["value"], "CategoryValue": event["category"]["value"], "Level": event["level"],
        "ResourceGroup": event["resourceGroupName"], "SubscriptionId": event["subscriptionId"], "ResourceId": resource,
        "Resource": resource.rsplit('/').next(), "ResourceProviderValue": event["resourceProviderName"]["value"].as_str().map(str::to_uppercase),
        "CorrelationId": event["correlationId"], "OperationId": event["operationId"], "EventDataId": event["eventDataId"],
        "Authorization": event["authorization"].to_string(), "Authorization_d": event["authorization"],
        "Claims": event["claims"].to_string(), "Claims_d": event["claims"], "HTTPRequest": event["httpRequest"].to_string(),
        "Properties": event["properties"].to_string(), "Properties_d": event["properties"],
        "SourceSystem": "Azure", "_ResourceId": resource.to_lowercase(), "_SubscriptionId": event["subscriptionId"],
    })
}
