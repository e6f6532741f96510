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

/// One channel to tell people through. Secrets stand in the environment; a profile names the variables.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Notify {
    /// A workflow of Microsoft Teams.
    Teams(TeamsChannel),
    /// The Events API v2 of `PagerDuty`.
    Pagerduty(PagerDutyChannel),
    /// Mail.
    Smtp(MailChannel),
}

impl Notify {
    /// Returns what a person calls it.
    pub fn name(&self) -> String {
        match self {
            Self::Teams(teams) => format!("teams ({})", teams.url_env),
            Self::Pagerduty(pager) => format!("pagerduty ({})", pager.routing_key_env),
            Self::Smtp(mail) => format!("smtp ({})", mail.host),
        }
    }

    /// Returns the names of the environment variables that it reads.
    pub(crate) fn variables(&self) -> Vec<&str> {
        match self {
            Self::Teams(teams) => vec![&teams.url_env],
            Self::Pagerduty(pager) => vec![&pager.routing_key_env],
            Self::Smtp(mail) => mail
                .username_env
                .iter()
                .chain(&mail.password_env)
                .map(String::as_str)
                .collect(),
        }
    }
}

/// A workflow of Microsoft Teams that takes a webhook request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsChannel {
    /// The environment variable that holds its address.
    pub url_env: String,
}

/// A service of `PagerDuty`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyChannel {
    /// The environment variable that holds the routing key.
    pub routing_key_env: String,
    /// Where events go, as `https://events.eu.pagerduty.com`; absent: the region of the United States.
    #[serde(default)]
    pub url: Option<String>,
}

/// A mail server, and who is written to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailChannel {
    /// The server.
    pub host: String,
    /// Its port; absent: 465 with implicit TLS, 587 with STARTTLS, 25 with none.
    #[serde(default)]
    pub port: Option<u16>,
    /// The sender.
    pub from: String,
    /// Who is written to.
    pub to: Vec<String>,
    /// The environment variable that holds the user's name; absent: nobody signs in.
    #[serde(default)]
    pub username_env: Option<String>,
    /// The environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS after a first exchange in the clear; a server that does not offer it gets nothing.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None: to this machine only.
    None,
}
