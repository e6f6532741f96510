//! What the vault's container is worth: whether what is put there can be taken away again.
//!
//! Asked of ARM before a run and by the doctor (arm.md section 3). Nothing depends on the answer: evidence and anchors
//! are stored in a container of any worth, and it is said what that is.

use std::sync::Arc;

use serde_json::Value;

use super::calls::{CallPlace, Calls};
use super::plan::{Preflight, Verdict};
use super::power::Teller;
use super::profile::Vault;
use super::resolve::Resolver;
use super::step::wire;
use crate::azure::Reader;
use crate::clock::Clock;
use crate::ids::ArmId;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

const ACCOUNTS: &str = "Microsoft.Storage/storageAccounts";
const VERSION: &str = "2023-05-01";

/// Finds out what the container of a vault is worth; reads only. With its resource id, where that is known.
pub async fn vault_worth(
    reader: &Reader,
    clock: &Arc<dyn Clock>,
    vault: &Vault,
) -> (Preflight, Option<String>) {
    let name = vault.shown();
    let id = container(reader, clock, vault).await;
    let looked = match &id {
        Ok(id) => look(reader, clock, id).await,
        Err(why) => Err(why.clone()),
    };
    let (verdict, text) = match looked {
        Ok((container, policy)) => judge(&container, &policy),
        Err(why) => (
            Verdict::Unknown,
            format!(
                "its immutability policy cannot be read ({why}), so nobody knows whether what lies there can be taken away"
            ),
        ),
    };
    let worth = Preflight::new("vault", verdict, format!("{name}: {text}"));
    (worth, id.ok())
}

fn teller(clock: &Arc<dyn Clock>) -> Teller {
    let halt = tokio::sync::watch::channel(false).1;
    Teller::new(None, Arc::clone(clock), uuid::Uuid::nil(), halt)
}

/// Returns the container's resource id.
async fn container(
    reader: &Reader,
    clock: &Arc<dyn Clock>,
    vault: &Vault,
) -> Result<String, String> {
    let id = match (&vault.id, &vault.account) {
        (Some(id), _) => id.clone(),
        (None, Some(account)) => {
            // It need not lie in a subscription that may be written to.
            let resolver = Resolver::new(reader, teller(clock), None, "doctor");
            let found = resolver
                .resources(ACCOUNTS, std::slice::from_ref(account))
                .await;
            let found = found.map_err(|error| error.message())?;
            let id = found.first().and_then(|account| account["id"].as_str());
            id.ok_or("the account cannot be found")?.to_owned()
        }
        (None, None) => return Err("the profile's vault has neither account nor id".to_owned()),
    };
    let id: ArmId = id.parse().map_err(|error| format!("{error}"))?;
    Ok(format!(
        "{id}/blobServices/default/containers/{}",
        vault.container
    ))
}

/// Reads the container and its policy.
async fn look(
    reader: &Reader,
    clock: &Arc<dyn Clock>,
    container: &str,
) -> Result<(Value, Value), String> {
    let calls = Calls::new(None, teller(clock), CallPlace::default());
    let get = |path: String| async {
        let call = RenderedCall {
            plane: Plane::Arm,
            method: "GET".into(),
            path_or_url: path,
            query: Vec::new(),
            api_version: Some(VERSION.into()),
            headers: Vec::new(),
            body: None,
            pages: None,
            missing_ok: false,
        };
        let answer = wire::read(reader, &call, &calls).await;
        answer
            .map(|answer| answer.body)
            .map_err(|failure| failure.message)
    };
    let policy = format!("{container}/immutabilityPolicies/default");
    futures_util::future::try_join(get(container.to_owned()), get(policy)).await
}

/// Says what a container with this policy is worth. One without a policy has a policy of no days (arm.md section 3).
fn judge(container: &Value, policy: &Value) -> (Verdict, String) {
    let (of, policy) = (&container["properties"], &policy["properties"]);
    let days = policy["immutabilityPeriodSinceCreationInDays"]
        .as_u64()
        .unwrap_or(0);
    let appends = [
        "allowProtectedAppendWrites",
        "allowProtectedAppendWritesAll",
    ]
    .iter()
    .any(|name| policy[*name] == true);
    let locked = policy["state"] == "Locked";
    let (verdict, mut text) = match (days, locked, appends) {
        (0, ..) => (
            Verdict::Unknown,
            "no immutability policy: whoever may write there may delete and replace what azir stores".to_owned(),
        ),
        (_, false, _) => (
            Verdict::Unknown,
            format!("its policy of {days} days is not locked and protects nothing: it can be deleted, and then what lies there; az storage container immutability-policy lock"),
        ),
        (_, true, false) => (
            Verdict::Unknown,
            format!("locked for {days} days without protected append writes, for good: evidence is safe there, and the anchors' appends will be refused; name another container"),
        ),
        (_, true, true) => (
            Verdict::Pass,
            format!("locked for {days} days, with protected append writes: what is stored or anchored there stays as it is"),
        ),
    };
    if of["hasLegalHold"] == true {
        text.push_str("; a legal hold lies on it, which keeps what is there as long as it lasts and may refuse appends");
    }
    if of["immutableStorageWithVersioning"]["enabled"] == true {
        text.push_str("; it has version-level immutability, which azir sets on no blob");
    }
    (verdict, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_locked_policy_that_allows_appends_is_worth_something() {
        let judged = |state: &str, days: u64, append: &str| {
            let mut policy = json!({"properties": {"state": state, "immutabilityPeriodSinceCreationInDays": days}});
            policy["properties"][append] = json!(true);
            judge(&json!({"properties": {"hasLegalHold": days == 7}}), &policy)
        };
        for append in [
            "allowProtectedAppendWrites",
            "allowProtectedAppendWritesAll",
        ] {
            assert_eq!(judged("Locked", 9, append).0, Verdict::Pass);
        }
        for (state, days, append, says) in [
            ("Locked", 9, "other", "appends will be refused"),
            (
                "Unlocked",
                9,
                "allowProtectedAppendWrites",
                "protects nothing: it can be deleted",
            ),
            (
                "Unlocked",
                0,
                "allowProtectedAppendWrites",
                "no immutability policy",
            ),
            ("Unlocked", 7, "other", "a legal hold lies on it"),
        ] {
            let (verdict, text) = judged(state, days, append);
            assert!(verdict == Verdict::Unknown && text.contains(says), "{text}");
        }
        // A form that nobody knows is not taken for a good one.
        assert_eq!(judge(&Value::Null, &Value::Null).0, Verdict::Unknown);
    }
}
