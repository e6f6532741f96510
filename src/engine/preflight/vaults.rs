//! Rights on the secrets of key vaults: a role on data where the vault asks Azure, its own access policies where not
//! (graph-and-data-planes.md section 6; arm.md section 4).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use serde_json::Value;

use super::asking::{AT_ONCE, Asking, Unread};
use super::finding::Finding;
use super::meant::{Meant, Need};
use crate::engine::plan::{Plan, Verdict};
use crate::ids::ArmId;
use crate::runbook::model::Plane;

const VAULT: &str = "Microsoft.KeyVault/vaults";
const VERSION: &str = "2023-07-01";
const WHAT: &str = "permissions";

/// The vaults that a plan writes to, as Resource Manager shows them.
pub(super) struct Vaults {
    /// By name: the id, and the vault.
    by_name: BTreeMap<String, (String, Result<Value, Unread>)>,
}

impl Vaults {
    /// Reads the vaults among the targets that something is written to.
    pub(super) async fn ask(asking: &Asking, plan: &Plan, meant: &[Meant]) -> Self {
        let names: BTreeSet<String> = meant.iter().filter_map(name).collect();
        let ids = plan.targets.iter().filter_map(|target| {
            let id: ArmId = target.target.parse().ok()?;
            let own = id.name().to_ascii_lowercase();
            let known = id.resource_type().eq_ignore_ascii_case(VAULT) && names.contains(&own);
            known.then(|| (own, id.as_str().to_owned()))
        });
        let by_name = futures_util::stream::iter(ids.collect::<BTreeMap<_, _>>())
            .map(|(name, id)| async move {
                let vault = asking.get(&id, VERSION).await;
                (name, (id, vault))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        Self { by_name }
    }

    /// Returns what a write asks for, where the vault asks Azure.
    pub(super) fn need(&self, meant: &Meant) -> Option<Need> {
        let (id, vault) = self.by_name.get(&name(meant)?)?;
        let by_role = vault.as_ref().ok()?["properties"]["enableRbacAuthorization"] == true;
        let (action, _) = right(&meant.method)?;
        by_role.then(|| Need {
            action: action.to_owned(),
            path: id.clone(),
            data: true,
        })
    }

    /// Judges a write to a vault that has access policies of its own, or that is not known.
    pub(super) fn judge(&self, meant: &Meant, oid: &str) -> Finding {
        let unknown = |text: &str| Finding::new(WHAT, Verdict::Unknown, text);
        let Some((id, vault)) = name(meant).and_then(|name| self.by_name.get(&name)) else {
            return unknown("which vault it is, and whom it lets in, is known only at run time");
        };
        let vault = match vault {
            Ok(vault) => vault,
            Err(unread) => {
                return unknown(&format!("the vault cannot be read ({})", unread.why)).at(id);
            }
        };
        let Some((_, permission)) = right(&meant.method) else {
            return unknown("which right it takes is not known here").at(id);
        };
        let policies = vault["properties"]["accessPolicies"].as_array();
        let mut own = policies.into_iter().flatten().filter(|policy| {
            let whom = policy["objectId"].as_str();
            whom.is_some_and(|whom| whom.eq_ignore_ascii_case(oid))
        });
        let held = own.any(|policy| {
            let rights = policy["permissions"]["secrets"].as_array();
            let mut rights = rights.into_iter().flatten().filter_map(Value::as_str);
            rights.any(|right| {
                right.eq_ignore_ascii_case(permission) || right.eq_ignore_ascii_case("all")
            })
        });
        if held {
            let text = format!("the vault's own access policy lets the caller {permission}");
            return Finding::new(WHAT, Verdict::Pass, text);
        }
        unknown("the vault has access policies of its own, and none names the caller; one may name a group of theirs").at(id)
    }
}

/// Returns the name of the vault that a write goes to: the first part of the host.
fn name(meant: &Meant) -> Option<String> {
    if meant.plane != Plane::Vault {
        return None;
    }
    let url = url::Url::parse(&meant.path).ok()?;
    let host = url.host_str()?.split('.').next()?;
    Some(host.to_ascii_lowercase())
}

/// Returns the right that a write of secrets takes: as a data action, and as an access policy calls it.
fn right(method: &str) -> Option<(&'static str, &'static str)> {
    Some(match method {
        "PUT" => ("Microsoft.KeyVault/vaults/secrets/setSecret/action", "set"),
        "PATCH" => ("Microsoft.KeyVault/vaults/secrets/update/action", "set"),
        "DELETE" => ("Microsoft.KeyVault/vaults/secrets/delete", "delete"),
        _ => return None,
    })
}
