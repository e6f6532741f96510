//! Where a token may be sent: scheme, host and port, exactly, or a dot-suffix of the cloud's own.
//!
//! nextLink, Location and Azure-AsyncOperation are addresses that a server chose (DESIGN section 5).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use url::Url;

use super::cloud::Cloud;
use super::error::Error;
use super::request::Plane;

/// The origins of one cloud, and those that ARM itself named.
#[derive(Debug)]
pub(crate) struct Origins {
    cloud: Cloud,
    learned: Mutex<HashSet<(String, String, u16)>>,
}

impl Origins {
    pub(crate) fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            learned: Mutex::new(HashSet::new()),
        }
    }

    /// Allows an address that was read from an ARM body: `vaultUri`, `primaryEndpoints`.
    pub(crate) fn learn(&self, url: &str) -> Result<(), Error> {
        let url = Url::parse(url).map_err(|error| Error::Request(format!("{url}: {error}")))?;
        if !is_safe(&url) || is_loopback(&url) != is_loopback(&self.cloud.arm) {
            return Err(foreign(&url, "an address in an ARM answer"));
        }
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.extend(key(&url));
        Ok(())
    }

    /// Refuses a URL to which a token of `plane` must not go.
    pub(crate) fn check(&self, plane: Plane, url: &Url, from: &'static str) -> Result<(), Error> {
        let listed = match plane {
            Plane::Arm => same(url, &self.cloud.arm),
            Plane::Graph => same(url, &self.cloud.graph),
            Plane::Logs => self.cloud.logs.as_ref().is_some_and(|logs| same(url, logs)),
            Plane::Blob => {
                under(url, &format!("blob.{}", self.cloud.storage_suffix))
                    && !self.cloud.storage_suffix.is_empty()
            }
            Plane::Vault => under(url, &self.cloud.vault_suffix),
        };
        let learned = || {
            let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            key(url).is_some_and(|key| learned.contains(&key))
        };
        // A suffix that means this machine is worth nothing to a cloud that is elsewhere; and a lab, which is on this
        // machine, has no accounts elsewhere: what it names there would be somebody's production.
        let data = matches!(plane, Plane::Blob | Plane::Vault);
        let here = (is_loopback(url), is_loopback(&self.cloud.arm));
        let listed = listed && (here.0 == here.1 || (!data && !here.0));
        if listed || (matches!(plane, Plane::Blob | Plane::Vault) && learned()) {
            Ok(())
        } else {
            Err(foreign(url, from))
        }
    }
}

fn foreign(url: &Url, from: &'static str) -> Error {
    Error::ForeignOrigin {
        origin: url.origin().ascii_serialization(),
        from,
    }
}

/// Returns whether a URL is https, or http on this machine; without credentials in it.
pub(crate) fn is_safe(url: &Url) -> bool {
    let clean = url.username().is_empty() && url.password().is_none();
    clean && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

/// Returns whether a URL's host is this machine (RFC 6761 for `localhost`).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => is_localhost(name),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns whether a name is `localhost` or under it.
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn key(url: &Url) -> Option<(String, String, u16)> {
    Some((
        url.scheme().to_owned(),
        url.host_str()?.to_ascii_lowercase(),
        url.port_or_known_default()?,
    ))
}

fn same(a: &Url, b: &Url) -> bool {
    is_safe(a) && key(a).is_some() && key(a) == key(b)
}

/// Returns whether a URL's host lies under `suffix`, which may end in a port.
fn under(url: &Url, suffix: &str) -> bool {
    let (suffix, port) = match suffix.rsplit_once(':') {
        Some((suffix, port)) => (suffix, port.parse::<u16>().ok()),
        None => (suffix, None),
    };
    let Some(host) = url.host_str() else {
        return false;
    };
    // A suffix without a port means the scheme's own, except on this machine, where ports are how services differ.
    let port_fits = match port {
        Some(port) => url.port_or_known_default() == Some(port),
        None => url.port().is_none() || is_loopback(url),
    };
    let host = host.to_ascii_lowercase();
    let below = host
        .strip_suffix(suffix)
        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
    !suffix.is_empty() && is_safe(url) && port_fits && below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        Origins::new(Cloud::builtin("AzureCloud").unwrap())
    }

    fn allowed(plane: Plane, url: &str) -> bool {
        origins()
            .check(plane, &Url::parse(url).unwrap(), "test")
            .is_ok()
    }

    #[test]
    fn tokens_go_only_to_the_clouds_own_hosts() {
        assert!(allowed(
            Plane::Arm,
            "https://management.azure.com/subscriptions"
        ));
        assert!(allowed(
            Plane::Blob,
            "https://acct.blob.core.windows.net/c/b"
        ));
        assert!(allowed(Plane::Vault, "https://kv.vault.azure.net/secrets"));
        for (plane, url) in [
            (Plane::Arm, "https://management.azure.com.evil.example/"),
            (Plane::Arm, "https://management.azure.com:8443/"),
            (Plane::Arm, "http://management.azure.com/"),
            (Plane::Arm, "https://graph.microsoft.com/"),
            (Plane::Arm, "https://user:pw@management.azure.com/"),
            (Plane::Blob, "https://evilblob.core.windows.net/"),
            (Plane::Blob, "https://blob.core.windows.net/"),
            (Plane::Vault, "https://xvault.azure.net/"),
            (Plane::Vault, "https://kv.vault.azure.net:444/"),
            (Plane::Arm, "https://127.0.0.1/"),
        ] {
            assert!(!allowed(plane, url), "{url}");
        }
    }

    #[test]
    fn an_address_read_from_arm_is_allowed_for_its_plane_only() {
        let origins = origins();
        let url = Url::parse("https://acct.z1.blob.storage.azure.net/c").unwrap();
        assert!(origins.check(Plane::Blob, &url, "test").is_err());
        origins
            .learn("https://acct.z1.blob.storage.azure.net/")
            .unwrap();
        assert!(origins.check(Plane::Blob, &url, "test").is_ok());
        assert!(origins.check(Plane::Arm, &url, "test").is_err());
        // A public cloud cannot make azir talk to this machine.
        assert!(origins.learn("https://127.0.0.1:1/").is_err());
    }

    #[test]
    fn a_lab_cannot_make_azir_talk_to_real_accounts() {
        let mut cloud = Cloud::builtin("AzureCloud").unwrap();
        cloud.arm = Url::parse("https://127.0.0.1:8443").unwrap();
        // As configured: its suffix is that of the public cloud.
        let origins = Origins::new(cloud);
        for real in [
            "https://stprod.blob.core.windows.net/",
            "https://STPROD.BLOB.CORE.WINDOWS.NET/",
            "https://stprod.z1.blob.storage.azure.net/",
        ] {
            let url = Url::parse(real).unwrap();
            assert!(origins.check(Plane::Blob, &url, "test").is_err(), "{real}");
            assert!(origins.learn(real).is_err(), "{real}");
            assert!(origins.check(Plane::Blob, &url, "test").is_err(), "{real}");
        }
        origins
            .learn("https://stprod.blob.localhost:8443/")
            .unwrap();
    }
}
