//! What happened before the lab began: sign-ins, records of the directory's log, risk, inbox rules, eligibilities.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use super::builtin::ROLES;
use super::directory::Directory;
use super::seed::{Held, Seeder, find, id_of, over, text};
use super::{logs, mailbox};
use crate::clock::seconds;
use crate::lab::scenario::guid;

/// Members of a seed that say what, and are no member of a record.
const OURS: &[&str] = &[
    "user",
    "application",
    "hours_ago",
    "minutes_ago",
    "count",
    "kind",
    "target",
    "by",
    "from",
];

impl Seeder<'_> {
    pub(super) fn happened(&self, directory: &mut Directory) {
        let seed = &self.scenario.directory;
        for (number, sign_in) in seed.sign_ins.iter().enumerate() {
            self.sign_ins(directory, sign_in, number);
        }
        for (number, audit) in seed.audits.iter().enumerate() {
            self.audit(directory, audit, number);
        }
        for risky in &seed.risky_users {
            self.risky(directory, risky);
        }
        for (number, detection) in seed.risk_detections.iter().enumerate() {
            self.detection(directory, detection, number);
        }
        for (number, rule) in seed.inbox_rules.iter().enumerate() {
            let user = find(directory, text(rule, "user"));
            let id = guid(&format!("rule {number} of {user}"));
            let rule = over(mailbox::usual(&user, &id), rule, OURS);
            directory.seed("inboxRules", &mailbox::place(&user, &id_of(&rule)), rule);
        }
        for policy in &seed.access_policies {
            let id = guid(&format!("policy {}", text(policy, "displayName")));
            let usual = json!({"id": id, "createdDateTime": self.ago(policy, 9_000), "modifiedDateTime": null, "sessionControls": null});
            directory.seed("accessPolicies", &id, over(usual, policy, OURS));
        }
        for location in &seed.named_locations {
            let id = guid(&format!("location {}", text(location, "displayName")));
            let usual = json!({"id": id, "createdDateTime": self.ago(location, 9_000), "modifiedDateTime": null});
            directory.seed("namedLocations", &id, over(usual, location, OURS));
        }
        for deleted in &seed.deleted {
            let id = guid(&format!(
                "deleted {} {}",
                text(deleted, "kind"),
                text(deleted, "displayName")
            ));
            let days = deleted.get("days_ago").and_then(Value::as_i64).unwrap_or(1);
            let usual = json!({"id": id, "appId": guid(&format!("deleted app {}", text(deleted, "displayName"))), "deletedDateTime": seconds(before(self.made, Duration::try_days(days))), "__kind": text(deleted, "kind")});
            let object = over(usual, deleted, &["kind", "days_ago"]);
            directory.seed("deletedItems", &id, object);
        }
        for held in &seed.eligibilities {
            self.eligible(directory, held);
        }
    }

    fn ago(&self, written: &Map<String, Value>, more_hours: i64) -> String {
        let number = |name: &str| written.get(name).and_then(Value::as_i64).unwrap_or(0);
        let hours = Duration::try_hours(number("hours_ago").saturating_add(more_hours));
        let minutes = Duration::try_minutes(number("minutes_ago"));
        let ago = hours.zip(minutes);
        seconds(before(
            self.made,
            ago.and_then(|(hours, minutes)| hours.checked_add(&minutes)),
        ))
    }

    /// `count` sign-ins, an hour between them.
    fn sign_ins(&self, directory: &mut Directory, written: &Map<String, Value>, number: usize) {
        let count = written.get("count").and_then(Value::as_i64).unwrap_or(1);
        let kind = written
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or("interactiveUser");
        for nth in 0..count {
            let mut usual = logs::usual();
            let id = guid(&format!("sign-in {number} {nth}"));
            usual["id"] = json!(id);
            usual["correlationId"] = json!(guid(&format!("correlation {number} {nth}")));
            usual["createdDateTime"] = json!(self.ago(written, nth));
            usual["signInEventTypes"] = json!([kind]);
            usual["isInteractive"] = json!(kind == "interactiveUser");
            usual["homeTenantId"] = json!(self.scenario.tenant);
            self.whose(directory, written, &mut usual);
            directory.seed("signIns", &id, over(usual, written, OURS));
        }
    }

    fn whose(&self, directory: &Directory, written: &Map<String, Value>, record: &mut Value) {
        let user = find(directory, text(written, "user"));
        if let Some(user) = directory.now("users", &user) {
            record["userId"] = user["id"].clone();
            record["userDisplayName"] = user["displayName"].clone();
            // Stored in lower case, whatever the directory shows.
            record["userPrincipalName"] =
                json!(user["userPrincipalName"].as_str().map(str::to_lowercase));
        }
        let application = find(directory, text(written, "application"));
        if let Some(principal) = directory.now("servicePrincipals", &application) {
            record["servicePrincipalId"] = principal["id"].clone();
            record["servicePrincipalName"] = principal["displayName"].clone();
            record["appId"] = principal["appId"].clone();
            record["appDisplayName"] = principal["displayName"].clone();
        }
    }

    /// `by` and `target` are names; `from` an address.
    fn audit(&self, directory: &mut Directory, written: &Map<String, Value>, number: usize) {
        let id = format!("Directory_{}", guid(&format!("audit {number}")));
        let (by, target) = (
            find(directory, text(written, "by")),
            find(directory, text(written, "target")),
        );
        let by = directory.now("users", &by).cloned().unwrap_or_default();
        let kinds = [
            ("users", "User"),
            ("servicePrincipals", "ServicePrincipal"),
            ("groups", "Group"),
            ("devices", "Device"),
            ("applications", "Application"),
        ];
        let (target, kind) = kinds
            .iter()
            .find_map(|(kind, word)| Some((directory.now(kind, &target)?.clone(), *word)))
            .unwrap_or_default();
        let usual = json!({
            "id": id, "category": "UserManagement", "correlationId": guid(&format!("audit correlation {number}")),
            "result": "success", "resultReason": "", "activityDisplayName": "Update user",
            "activityDateTime": self.ago(written, 0), "loggedByService": "Core Directory", "operationType": "Update",
            "initiatedBy": {"app": null, "user": {"id": by["id"], "displayName": by["displayName"], "userPrincipalName": by["userPrincipalName"], "ipAddress": written.get("from").cloned().unwrap_or_default()}},
            "targetResources": [{"id": target["id"], "displayName": target["displayName"], "type": kind, "userPrincipalName": target["userPrincipalName"], "groupType": null, "modifiedProperties": []}],
            "additionalDetails": [],
        });
        directory.seed("directoryAudits", &id, over(usual, written, OURS));
    }

    fn risky(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let user = find(directory, text(written, "user"));
        let user = directory.now("users", &user).cloned().unwrap_or_default();
        let usual = json!({
            "id": user["id"], "isDeleted": false, "isProcessing": false, "riskDetail": "none",
            "riskLastUpdatedDateTime": self.ago(written, 0), "riskLevel": "medium", "riskState": "atRisk",
            "userDisplayName": user["displayName"], "userPrincipalName": user["userPrincipalName"],
        });
        let risky = over(usual, written, OURS);
        directory.seed("riskyUsers", &id_of(&risky), risky);
    }

    fn detection(&self, directory: &mut Directory, written: &Map<String, Value>, number: usize) {
        let user = find(directory, text(written, "user"));
        let user = directory.now("users", &user).cloned().unwrap_or_default();
        let at = self.ago(written, 0);
        let usual = json!({
            "id": guid(&format!("detection {number}")), "activity": "signin", "activityDateTime": at, "additionalInfo": "[]",
            "correlationId": guid(&format!("detection correlation {number}")), "detectedDateTime": at, "detectionTimingType": "offline",
            "ipAddress": null, "lastUpdatedDateTime": at, "location": null, "requestId": null, "riskDetail": "none",
            "riskEventType": "unfamiliarFeatures", "riskLevel": "medium", "riskState": "atRisk", "source": "IdentityProtection",
            "tokenIssuerType": "AzureAD", "userId": user["id"], "userDisplayName": user["displayName"], "userPrincipalName": user["userPrincipalName"],
        });
        let detection = over(usual, written, OURS);
        directory.seed("riskDetections", &id_of(&detection), detection);
    }

    fn eligible(&self, directory: &mut Directory, held: &Held) {
        let Some((role, ..)) = ROLES.iter().find(|(_, name, _)| *name == held.role) else {
            return;
        };
        let principal = find(directory, &held.principal);
        let id = guid(&format!("eligibility {principal} {role}"));
        let one = json!({
            "id": id, "principalId": principal, "roleDefinitionId": role, "directoryScopeId": "/", "appScopeId": null,
            "memberType": "Direct", "startDateTime": seconds(self.made - Duration::days(60)),
            "endDateTime": seconds(self.made + Duration::days(held.days_left.unwrap_or(120))), "roleEligibilityScheduleId": id,
        });
        directory.seed("eligibilities", &id, one);
    }
}

/// Returns the moment so long before another; that moment itself, where a scenario asks for one that no calendar has.
fn before(at: DateTime<Utc>, ago: Option<Duration>) -> DateTime<Utc> {
    ago.and_then(|ago| at.checked_sub_signed(ago)).unwrap_or(at)
}
