//! Vaults and containers: only what Resource Manager names inside of the fence, and the profile's own evidence.

use url::Url;

use super::address::segments;
use super::guard::Fence;
use crate::azure::request::Plane;

/// A host, or what lies below a path of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Host {
    scheme: String,
    name: String,
    port: Option<u16>,
    below: Vec<String>,
}

impl Host {
    /// Returns what an address names; none where it names no host, or can be read in two ways.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let below = match url.path() {
            "" | "/" => Vec::new(),
            _ => segments(url).ok()?,
        };
        Some(Self {
            scheme: url.scheme().to_owned(),
            name: url.host_str()?.to_ascii_lowercase(),
            port: url.port_or_known_default(),
            below,
        })
    }

    pub(super) fn holds(&self, url: &Url, path: &[String]) -> bool {
        let name = url.host_str().unwrap_or_default();
        self.scheme == url.scheme()
            && self.name.eq_ignore_ascii_case(name)
            && self.port == url.port_or_known_default()
            && path.len() >= self.below.len()
            && path[..self.below.len()] == self.below
    }
}

/// Refuses an address that nobody said is of the exercise.
pub(super) fn inside(fence: &Fence, plane: Plane, url: &Url) -> Result<(), String> {
    let path = segments(url)?;
    let host = url.host_str().unwrap_or_default();
    let account = host.split('.').next().unwrap_or_default();
    if plane == Plane::Blob && fence.is_kept_out(account, path.first().map(String::as_str)) {
        return Err("there production keeps its evidence".to_owned());
    }
    if fence.has_host(url, &path) {
        Ok(())
    } else {
        let what = if plane == Plane::Blob {
            "storage account"
        } else {
            "vault"
        };
        Err(format!(
            "{host} is no {what} that was read from the subscriptions for exercises"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::request::{Effect, RequestParts};

    fn refused(fence: &Fence, plane: Plane, address: &str) -> bool {
        let parts = RequestParts {
            plane,
            method: "PUT".to_owned(),
            path_or_url: address.to_owned(),
            query: Vec::new(),
            api_version: None,
            headers: Vec::new(),
            body: None,
        };
        let url = Url::parse(address).unwrap();
        fence.check(&parts, &url, Effect::Create).is_err()
    }

    #[test]
    fn only_what_was_allowed_is_written_to() {
        let fence = Fence::new([]).keeping_out_of("stprod", "IR-Evidence");
        let container = "https://sttabletop.blob.core.windows.net/ir-evidence";
        fence.allow_host(container).unwrap();
        fence
            .allow_host("https://stprod.blob.core.windows.net")
            .unwrap();
        fence.allow_host("https://kv.vault.azure.net/").unwrap();
        for (plane, good) in [
            (Plane::Blob, container.to_owned()),
            (Plane::Blob, format!("{container}/a/b?comp=block")),
            (
                Plane::Blob,
                "https://stprod.blob.core.windows.net/drills/a".to_owned(),
            ),
            (
                Plane::Vault,
                "https://KV.vault.azure.net/secrets/s".to_owned(),
            ),
        ] {
            assert!(!refused(&fence, plane, &good), "{good}");
        }
        for (plane, bad) in [
            (
                Plane::Blob,
                "https://sttabletop.blob.core.windows.net/other/a",
            ),
            (
                Plane::Blob,
                "https://sttabletop.blob.core.windows.net/ir-evidence2/a",
            ),
            (
                Plane::Blob,
                "https://sttabletop.blob.core.windows.net/ir-evidence/%2e%2e/other",
            ),
            (
                Plane::Blob,
                "https://sttabletop.blob.core.windows.net/ir-evidence%2f..%2fother",
            ),
            (Plane::Blob, "https://sttabletop.blob.core.windows.net/"),
            (
                Plane::Blob,
                "https://sttabletop.blob.core.windows.net:444/ir-evidence/a",
            ),
            (
                Plane::Blob,
                "https://stprod.blob.core.windows.net/ir-evidence/a",
            ),
            (
                Plane::Blob,
                "https://STPROD.blob.core.windows.net/Ir-Evidence",
            ),
            // What a batch does stands in its body.
            (
                Plane::Blob,
                "https://stprod.blob.core.windows.net/?comp=batch",
            ),
            (Plane::Vault, "https://kv-prod.vault.azure.net/secrets/s"),
            (
                Plane::Vault,
                "https://kv.vault.azure.net.evil.example/secrets/s",
            ),
            (
                Plane::Logs,
                "https://api.loganalytics.azure.com/v1/workspaces/w/purge",
            ),
        ] {
            assert!(refused(&fence, plane, bad), "{bad}");
        }
    }
}
