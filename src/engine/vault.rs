//! Evidence to the vault: create-only, then read back and hashed, because a status code proves nothing.
//!
//! Without a vault the evidence stays on this machine, which every summary says. A vault that cannot be
//! reached is a named gap; containment never waits for it.

use serde_json::{Value, json};

use super::failure::{Failure, FailureKind};
use super::power::Power;
use super::recorder::Cite;
use super::step::{Item, wire};
use crate::azure::Reader;
use crate::evidence::vault as protocol;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// Where the evidence container is.
#[derive(Clone, Debug)]
pub(crate) struct VaultPlace {
    /// The account's blob endpoint, without a slash at the end.
    pub(crate) endpoint: String,
    /// The container.
    pub(crate) container: String,
}

impl VaultPlace {
    /// Finds the vault that a profile names: by the account's resource id, or by its name and the cloud's suffix.
    pub(crate) async fn find(
        vault: &super::profile::Vault,
        reader: &Reader,
        calls: &super::calls::Calls,
    ) -> Result<Self, Failure> {
        let endpoint = match (&vault.id, &vault.account) {
            (Some(id), _) => {
                let call = RenderedCall {
                    plane: Plane::Arm,
                    method: "GET".into(),
                    path_or_url: id.clone(),
                    query: Vec::new(),
                    api_version: Some("2023-05-01".into()),
                    headers: Vec::new(),
                    body: None,
                    pages: None,
                    missing_ok: false,
                };
                let body = wire::read(reader, &call, calls).await?.body;
                let endpoint = crate::json::member(&body, "properties.primaryEndpoints.blob")
                    .and_then(Value::as_str)
                    .ok_or_else(|| {
                        Failure::failed(
                            "vault",
                            format!("{id} has no blob endpoint"),
                            "azir doctor",
                        )
                    })?
                    .trim_end_matches('/')
                    .to_owned();
                wire::allow_from_arm(reader, &endpoint)?;
                endpoint
            }
            (None, Some(account)) => wire::blob_endpoint(reader, account)?,
            (None, None) => {
                return Err(Failure::failed(
                    "vault",
                    "the profile's vault has neither account nor id",
                    "azir init, and give vault = { account, container }",
                ));
            }
        };
        Ok(Self {
            endpoint,
            container: vault.container.clone(),
        })
    }
}

/// How the record says that what was stored in the vault is not undone.
pub(crate) const STAYS: &str = "never: evidence stays";

/// Uploads an evidence object, reads it back, and returns where it is; `None` where there is no vault or a gap was recorded.
pub(crate) async fn upload(
    item: &Item<'_>,
    name: &str,
    kept: Cite,
) -> Result<Option<Value>, Failure> {
    let Some(place) = &item.target.common.vault else {
        return Ok(None);
    };
    match try_upload(item, place, name, kept).await {
        Ok(stored) => Ok(Some(stored)),
        Err(failure) if failure.kind == FailureKind::Record => Err(failure),
        Err(failure) => {
            let text = format!(
                "{name} is on this machine only: the vault did not take it ({})",
                failure.message
            );
            item.target.gap(item.node, &item.key, &text).await?;
            Ok(None)
        }
    }
}

/// Whether an upload that failed may have left the blob there all the same.
fn is_or_may_be_there(failure: &Failure) -> bool {
    failure.code == "BlobAlreadyExists" || failure.kind == FailureKind::Unknown
}

async fn try_upload(
    item: &Item<'_>,
    place: &VaultPlace,
    name: &str,
    kept: Cite,
) -> Result<Value, Failure> {
    let Power::Act { client, recorder } = &item.target.common.power else {
        return Err(super::step::plan_cannot());
    };
    let common = item.target.common;
    let blob = protocol::blob_name(
        common.request.incident.as_str(),
        &common.run_id,
        kept.sha256,
        name,
    );
    let url = format!("{}/{}/{blob}", place.endpoint, place.container);
    let bytes = recorder
        .store
        .get(kept.sha256)
        .map_err(|error| Failure::record(error.to_string()))?;
    let calls = item
        .calls("evidence to the vault")
        .writing(kept, STAYS.to_owned());
    let sent = wire::put_blob(client, &url, protocol::create_headers(), bytes, &calls).await;
    let (version, etag) = match &sent {
        Ok(answer) => (answer.version.clone(), answer.etag.clone()),
        // Somebody, perhaps an attempt of ours whose answer was lost, stored it: what counts is what is there.
        Err(failure) if is_or_may_be_there(failure) => (None, None),
        Err(failure) => return Err(failure.clone()),
    };
    let read_back = wire::hash_blob(client, &url, &item.calls("read back from the vault")).await;
    let read_back = match (read_back, sent) {
        (Ok(found), _) => found,
        (Err(_), Err(failure)) => return Err(failure),
        (Err(failure), Ok(_)) => return Err(failure),
    };
    if read_back != (kept.sha256, kept.size) {
        return Err(Failure::failed(
            "vault_mismatch",
            format!("what lies at {url} has another digest"),
            "compare the blob with the local evidence file before trusting either",
        ));
    }
    calls
        .reconciled("the blob was read back, and its bytes are those that were sent")
        .await;
    item.target.tally().stored += 1;
    Ok(json!({"uri": url, "version": version, "etag": etag}))
}
