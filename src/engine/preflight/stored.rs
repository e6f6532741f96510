//! Whether evidence could be stored in the vault from here: the caller's rights on its blobs, and its network
//! (graph-and-data-planes.md section 8; arm.md section 3).
//!
//! What fails here holds up no containment: evidence stays on this machine then, and the run says so.

use super::asking::Asking;
use super::finding::Finding;
use super::rights::{Held, Rights};
use crate::azure::Identity;
use crate::engine::Engine;
use crate::engine::plan::{Preflight, Verdict};

/// What storing takes: blobs are made and read back, and the anchors' blob is appended to.
const ACTIONS: [&str; 3] = [
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
];
const VERSION: &str = "2023-05-01";

impl Engine {
    /// Finds out whether the caller may store in a container, and whether its account lets in whoever comes from here.
    pub(in crate::engine) async fn may_store(
        &self,
        identity: &Identity,
        container: &str,
    ) -> Vec<Preflight> {
        let asking = Asking::new(self.client.reader(), &self.clock);
        let account = container.split("/blobServices/").next().unwrap_or_default();
        let (rights, account) =
            futures_util::join!(Rights::at(&asking, container), asking.get(account, VERSION));
        let mut all = vec![of_rights(&rights, identity, container)];
        let closed = match account {
            Ok(account) => shut(&account["properties"]).map(str::to_owned),
            Err(unread) => Some(format!(
                "the account cannot be read ({}), so nobody knows whether its network lets azir in",
                unread.why
            )),
        };
        all.extend(
            closed
                .map(|text| Preflight::new("vault network", Verdict::Unknown, text).at(container)),
        );
        all
    }
}

fn of_rights(rights: &Rights, identity: &Identity, container: &str) -> Preflight {
    const WHAT: &str = "vault permissions";
    let mut missing = Vec::new();
    let mut unknown = None;
    for action in ACTIONS {
        match rights.holds_data(container, action) {
            Held::Yes => {}
            Held::No => missing.push(action.to_owned()),
            Held::Unknown(why) => unknown = Some(why),
        }
    }
    if let Some(why) = unknown {
        let text = format!("whether evidence may be stored there is not known: {why}");
        return Preflight::new(WHAT, Verdict::Unknown, text).at(container);
    }
    if missing.is_empty() {
        return Preflight::new(WHAT, Verdict::Pass, "the caller may store evidence there");
    }
    let finding = Finding::lacking(&[(container.to_owned(), missing)], &identity.oid);
    let next = finding.next.unwrap_or_default();
    let text = format!(
        "{} is missing at {container}: the vault would answer 403 AuthorizationPermissionMismatch, and evidence would stay on this machine; {next}",
        finding.missing.join(", ")
    );
    Preflight {
        missing: finding.missing,
        role: finding.role,
        ..Preflight::new(WHAT, Verdict::Fail, text)
            .at(container)
            .then(next)
    }
}

/// Returns why an account may refuse whoever comes from here, by its network alone.
fn shut(account: &serde_json::Value) -> Option<&'static str> {
    if account["publicNetworkAccess"] == "Disabled" {
        return Some(
            "the account is reached through private endpoints alone: from outside of its network it answers 403, and evidence would stay on this machine",
        );
    }
    (account["networkAcls"]["defaultAction"] == "Deny").then_some(
        "the account's firewall lets in only the networks that it names: if this one is not among them it answers 403, and evidence would stay on this machine",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shut;

    #[test]
    fn an_account_that_is_open_says_nothing() {
        assert_eq!(
            shut(
                &json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}})
            ),
            None
        );
        assert!(shut(&json!({"publicNetworkAccess": "Disabled"})).is_some());
        assert!(shut(&json!({"networkAcls": {"defaultAction": "Deny"}})).is_some());
    }
}
