//! Which cloud: its hosts, audiences and suffixes, built in for the public ones, discovered for any other.

use serde_json::Value;
use url::Url;

use super::error::Error;
use super::http::Http;
use crate::clock::Clock;

/// The endpoints of one cloud (arm.md section 1.8; graph-and-data-planes.md section 5.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cloud {
    /// Its name, as `AzureCloud`; of a discovered one the name that it gives itself.
    pub name: String,
    /// Azure Resource Manager.
    pub arm: Url,
    /// The scope of ARM tokens.
    pub arm_scope: String,
    /// The sign-in authority.
    pub login: Url,
    /// Microsoft Graph.
    pub graph: Url,
    /// The scope of Graph tokens.
    pub graph_scope: String,
    /// The Log Analytics query endpoint.
    pub logs: Option<Url>,
    /// The DNS suffix of storage accounts, as `core.windows.net`; with a port where the cloud has one.
    pub storage_suffix: String,
    /// The DNS suffix of key vaults, as `vault.azure.net`.
    pub vault_suffix: String,
}

/// The scope of storage tokens, the same in every cloud (arm.md section 1.8).
pub const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// `name, arm, login, graph, logs, storage suffix, vault suffix`.
const BUILT_IN: [[&str; 7]; 3] = [
    [
        "AzureCloud",
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com",
        "https://api.loganalytics.io",
        "core.windows.net",
        "vault.azure.net",
    ],
    [
        "AzureUSGovernment",
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us",
        "https://api.loganalytics.us",
        "core.usgovcloudapi.net",
        "vault.usgovcloudapi.net",
    ],
    [
        "AzureChinaCloud",
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "https://api.loganalytics.azure.cn",
        "core.chinacloudapi.cn",
        "vault.azure.cn",
    ],
];

impl Cloud {
    /// Returns whether it runs on this machine, as a lab does.
    pub fn is_on_this_machine(&self) -> bool {
        super::origins::is_loopback(&self.arm)
    }

    /// Returns whether the name of a cloud is an address on this machine.
    pub fn names_this_machine(name: &str) -> bool {
        Url::parse(name).is_ok_and(|url| super::origins::is_loopback(&url))
    }

    /// Returns the public cloud of this name, if there is one.
    pub fn builtin(name: &str) -> Option<Self> {
        let row = BUILT_IN
            .iter()
            .find(|row| row[0].eq_ignore_ascii_case(name))?;
        let [name, arm, login, graph, logs, storage, vault] = *row;
        Some(Self {
            name: name.to_owned(),
            arm: Url::parse(arm).ok()?,
            arm_scope: format!("{arm}/.default"),
            login: Url::parse(login).ok()?,
            graph: Url::parse(graph).ok()?,
            graph_scope: format!("{graph}/.default"),
            logs: Url::parse(logs).ok(),
            storage_suffix: storage.to_owned(),
            vault_suffix: vault.to_owned(),
        })
    }

    /// Finds a cloud by name, or asks the ARM endpoint at a URL for its metadata.
    ///
    /// # Errors
    /// A name that is no public cloud and no URL; http to anywhere but loopback; metadata that cannot be read.
    pub async fn find(name: &str, http: &Http, clock: &dyn Clock) -> Result<Self, Error> {
        if let Some(cloud) = Self::builtin(name) {
            return Ok(cloud);
        }
        let refuse = |message: &str| Error::Cloud {
            name: name.to_owned(),
            message: message.to_owned(),
        };
        let arm = Url::parse(name).map_err(|_| {
            refuse("it is neither AzureCloud, AzureUSGovernment, AzureChinaCloud nor the URL of a Resource Manager")
        })?;
        if !super::origins::is_safe(&arm) {
            return Err(refuse(
                "a Resource Manager is reached by https; http only on this machine",
            ));
        }
        Self::discover(&arm, http, clock).await
    }

    /// Reads `{arm}/metadata/endpoints` (unauthenticated). Accepts one cloud or a list of them.
    ///
    /// # Errors
    /// An unreachable host; metadata without Resource Manager or login endpoint.
    pub async fn discover(arm: &Url, http: &Http, clock: &dyn Clock) -> Result<Self, Error> {
        let mut url = arm.clone();
        url.set_path("/metadata/endpoints");
        url.set_query(Some("api-version=2022-09-01"));
        let body = http.get_json(&url, clock).await?;
        let refuse = |message: String| Error::Cloud {
            name: arm.to_string(),
            message,
        };
        let entry = match &body {
            Value::Array(clouds) => clouds
                .iter()
                .find(|cloud| {
                    origin_of(cloud, "resourceManager")
                        .is_some_and(|url| url.origin() == arm.origin())
                })
                .or_else(|| clouds.first().filter(|_| clouds.len() == 1))
                .ok_or_else(|| {
                    refuse("its metadata lists no cloud with this Resource Manager".to_owned())
                })?,
            other => other,
        };
        Self::from_metadata(arm, entry)
            .map_err(|member| refuse(format!("its metadata has no usable {member}")))
    }

    fn from_metadata(arm: &Url, entry: &Value) -> Result<Self, &'static str> {
        let text = |path: &str| crate::json::member(entry, path).and_then(Value::as_str);
        let login = text("authentication.loginEndpoint")
            .and_then(safe_url)
            .ok_or("authentication.loginEndpoint")?;
        let graph_resource = text("microsoftGraphResourceId").or_else(|| text("graph"));
        let graph = graph_resource
            .and_then(safe_url)
            .unwrap_or_else(|| arm.clone());
        let audience = crate::json::member(entry, "authentication.audiences")
            .and_then(Value::as_array)
            .and_then(|audiences| audiences.first())
            .and_then(Value::as_str)
            .unwrap_or(arm.as_str());
        let suffix = |name: &str| {
            text(&format!("suffixes.{name}"))
                .unwrap_or_default()
                .trim_start_matches('.')
                .to_ascii_lowercase()
        };
        Ok(Self {
            name: text("name").unwrap_or(arm.as_str()).to_owned(),
            arm: arm.clone(),
            arm_scope: default_scope(audience),
            login,
            graph_scope: default_scope(graph_resource.unwrap_or(graph.as_str())),
            graph,
            logs: text("logAnalyticsResourceId").and_then(safe_url),
            storage_suffix: suffix("storage"),
            vault_suffix: suffix("keyVaultDns"),
        })
    }

    /// Returns the blob endpoint of a storage account by its name.
    ///
    /// # Errors
    /// The cloud has no storage suffix, or the name cannot be one.
    pub fn blob_endpoint(&self, account: &str) -> Result<String, Error> {
        let name_ok = (3..=24).contains(&account.len())
            && account
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !name_ok || self.storage_suffix.is_empty() {
            return Err(Error::Request(format!(
                "{account} cannot be a storage account of {}",
                self.name
            )));
        }
        Ok(format!("https://{account}.blob.{}", self.storage_suffix))
    }
}

/// Returns `<audience>/.default`. A slash at the audience's end belongs to it and stays: of
/// `https://management.core.windows.net/` the scope has two slashes, as az sends it (arm.md section 1.1).
fn default_scope(audience: &str) -> String {
    format!("{audience}/.default")
}

fn safe_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(super::origins::is_safe)
}

fn origin_of(cloud: &Value, member: &str) -> Option<Url> {
    Url::parse(cloud.get(member)?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn public_clouds_need_no_discovery() {
        let cloud = Cloud::builtin("azureusgovernment").unwrap();
        assert_eq!(cloud.arm.as_str(), "https://management.usgovcloudapi.net/");
        assert_eq!(
            cloud.blob_endpoint("acct01").unwrap(),
            "https://acct01.blob.core.usgovcloudapi.net"
        );
        assert!(cloud.blob_endpoint("a/b").is_err());
        assert!(Cloud::builtin("evil").is_none());
    }

    #[test]
    fn metadata_gives_audience_and_suffixes() {
        let arm = Url::parse("https://localhost:8443").unwrap();
        let entry = json!({
            "name": "lab",
            "authentication": {"loginEndpoint": "https://localhost:8443/", "audiences": ["https://localhost:8443"]},
            "microsoftGraphResourceId": "https://graph.localhost:8443",
            "suffixes": {"storage": "localhost:8443", "keyVaultDns": ".vault.localhost"}
        });
        let cloud = Cloud::from_metadata(&arm, &entry).unwrap();
        assert_eq!(cloud.arm_scope, "https://localhost:8443/.default");
        assert_eq!(cloud.vault_suffix, "vault.localhost");
        assert!(
            Cloud::from_metadata(
                &arm,
                &json!({"authentication": {"loginEndpoint": "http://evil.example"}})
            )
            .is_err()
        );
    }
}
