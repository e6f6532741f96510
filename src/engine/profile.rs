//! What a run must know of the tenant it acts in: a profile, as the configuration gives it.

use serde::{Deserialize, Serialize};

/// A profile of `config.toml`, less what only the command line needs. Unknown keys are errors.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// `AzureCloud`, `AzureUSGovernment`, `AzureChinaCloud` or an ARM URL.
    pub cloud: Option<String>,
    /// The tenant's id.
    pub tenant: Option<String>,
    /// Subscriptions that may be written to; absent: the visible ones.
    pub subscriptions: Option<Vec<String>>,
    /// Regions in use.
    pub regions: Vec<String>,
    /// Where snapshots go.
    pub snapshots: Option<Snapshots>,
    /// The quarantine NSG.
    pub quarantine: Option<Quarantine>,
    /// The responders' bastion subnets; empty: no allow rule.
    pub bastion: Vec<String>,
    /// The evidence container.
    pub vault: Option<Vault>,
    /// The Log Analytics workspace's resource id.
    pub workspace: Option<String>,
    /// Break-glass accounts, by principal name or object id.
    pub break_glass: Vec<String>,
    /// Who answers for a run.
    pub responder: Option<String>,
    /// The responder's signing key.
    pub key: Option<String>,
    /// Time-stamp authorities (RFC 3161), one or two: the last checkpoint of a session is stamped by each.
    pub time_stamps: Vec<String>,
    /// A PEM file of roots under which their replies must verify before they are kept.
    pub time_stamp_roots: Option<std::path::PathBuf>,
    /// Whom to tell.
    pub notify: Vec<Notify>,
    /// Whether drills may write here.
    pub tabletop: bool,
}

/// Where snapshots go.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    /// Used where it exists in the disk's subscription, else the disk's own group.
    pub resource_group: String,
}

/// The quarantine NSG; further ones are `<name>-<region>`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Its resource group.
    pub resource_group: String,
    /// Its name.
    pub name: String,
}

/// The evidence container: by account name, or by the account's resource id.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// The storage account's name.
    #[serde(default)]
    pub account: Option<String>,
    /// The storage account's resource id.
    #[serde(default)]
    pub id: Option<String>,
    /// The container.
    #[serde(default = "ir_evidence")]
    pub container: String,
}

impl Vault {
    /// Returns what a person calls it.
    pub fn shown(&self) -> String {
        let id = self.id.as_deref().map(crate::ids::ArmId::name_of);
        let account = id
            .or(self.account.as_deref())
            .unwrap_or("an account without a name");
        format!("container {} of {account}", self.container)
    }
}

fn ir_evidence() -> String {
    "ir-evidence".to_owned()
}

/// One channel to tell people through.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// `teams`, `pagerduty` or `smtp`.
    pub kind: String,
    /// The environment variable that holds the channel's secret address.
    #[serde(default)]
    pub url_env: Option<String>,
}
