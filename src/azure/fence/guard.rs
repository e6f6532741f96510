//! A fence: which subscriptions, directory objects and hosts are of the exercise, and the question to it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::data::Host;
use super::{arm, data, graph, learn};
use crate::azure::error::Error;
use crate::azure::request::{Effect, Plane, RequestParts, Response};

/// What an exercise may write to.
#[derive(Debug)]
pub struct Fence {
    /// Ids in lower case.
    subscriptions: Vec<String>,
    /// Containers that are never written to, wherever they lie: account and container in lower case.
    kept_out: Vec<(String, String)>,
    known: Mutex<Known>,
}

/// What was told or learned; it only grows.
#[derive(Debug, Default)]
struct Known {
    /// Ids of directory objects, in lower case.
    objects: BTreeSet<String>,
    hosts: Vec<Host>,
    /// Storage accounts and vaults outside of the subscriptions whose host is learned all the same, in lower case.
    accounts: BTreeSet<String>,
}

impl Fence {
    /// Returns a fence around subscriptions, by their ids. Around none nothing is inside.
    pub fn new(subscriptions: impl IntoIterator<Item = String>) -> Self {
        let subscriptions = subscriptions.into_iter();
        Self {
            subscriptions: subscriptions
                .map(|id| id.trim().to_ascii_lowercase())
                .filter(|id| !id.is_empty())
                .collect(),
            kept_out: Vec::new(),
            known: Mutex::default(),
        }
    }

    /// Keeps the exercise out of a container, wherever its account lies: there production keeps its evidence.
    #[must_use]
    pub fn keeping_out_of(mut self, account: &str, container: &str) -> Self {
        let clean = |text: &str| text.trim().trim_matches('/').to_ascii_lowercase();
        self.kept_out.push((clean(account), clean(container)));
        self
    }

    /// Takes in a directory object that the drill made.
    pub fn allow(&self, id: &str) {
        if !id.trim().is_empty() {
            self.known().objects.insert(id.trim().to_ascii_lowercase());
        }
    }

    /// Takes in an address of vault or blob, as `https://ACCOUNT.blob.core.windows.net/container`, and all that lies
    /// below it.
    ///
    /// # Errors
    /// A text that is no address.
    pub fn allow_host(&self, address: &str) -> Result<(), Error> {
        let unreadable = |why: String| Error::Request(format!("{address}: {why}"));
        let url = Url::parse(address).map_err(|error| unreadable(error.to_string()))?;
        let host = Host::of(&url).ok_or_else(|| unreadable("it names no host".to_owned()))?;
        self.known().hosts.push(host);
        Ok(())
    }

    /// Lets the address of a storage account or vault be learned when Resource Manager tells it, though it lies outside
    /// of the subscriptions: the profile's own evidence container, by the account's resource id.
    pub fn allow_account(&self, id: &str) {
        let id = id.trim_end_matches('/').to_ascii_lowercase();
        self.known().accounts.insert(id);
    }

    /// Returns whether a directory object is of the exercise.
    pub fn knows(&self, id: &str) -> bool {
        self.known().objects.contains(&id.to_ascii_lowercase())
    }

    /// Returns whether a subscription is one of those for exercises.
    pub fn has_subscription(&self, id: &str) -> bool {
        self.subscriptions
            .iter()
            .any(|own| own.eq_ignore_ascii_case(id))
    }

    /// Refuses a request that writes outside.
    ///
    /// # Errors
    /// The address that was refused, and why.
    pub(crate) fn check(
        &self,
        parts: &RequestParts,
        url: &Url,
        effect: Effect,
    ) -> Result<(), Error> {
        // What is typed as a read has been found to be one by `reads`, a method at a time.
        if effect == Effect::Read && matches!(parts.method.as_str(), "GET" | "HEAD" | "POST") {
            return Ok(());
        }
        let checked = match parts.plane {
            Plane::Arm => arm::inside(self, parts, url),
            Plane::Graph => graph::inside(self, parts, url),
            Plane::Vault | Plane::Blob => data::inside(self, parts.plane, url),
            Plane::Logs => Err("an exercise writes no logs".to_owned()),
        };
        checked.map_err(|why| Error::Fenced {
            address: shown(&parts.method, url),
            why,
        })
    }

    /// Takes in what an answer tells of the drill's own things.
    pub(crate) fn learn(&self, parts: &RequestParts, url: &Url, response: &Response) {
        match parts.plane {
            Plane::Arm => learn::hosts(self, response),
            Plane::Graph => learn::objects(self, &parts.method, url, response),
            Plane::Vault | Plane::Blob | Plane::Logs => {}
        }
    }

    pub(super) fn is_kept_out(&self, account: &str, container: Option<&str>) -> bool {
        self.kept_out.iter().any(|(of, kept)| {
            of.eq_ignore_ascii_case(account)
                && container.is_none_or(|container| container.eq_ignore_ascii_case(kept))
        })
    }

    pub(super) fn has_host(&self, url: &Url, path: &[String]) -> bool {
        let known = self.known();
        known.hosts.iter().any(|host| host.holds(url, path))
    }

    /// Returns whether the address of an account or vault may be learned.
    pub(super) fn is_own(&self, id: &str) -> bool {
        arm::is_within(self, id) || self.known().accounts.contains(&id.to_ascii_lowercase())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what was refused as the record may hold it: a query can be a capability.
fn shown(method: &str, url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!("{method} {origin}{}", url.path())
}
