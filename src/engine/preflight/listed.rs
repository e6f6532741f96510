//! Locks and deny assignments as the service lists them: at a subscription all that is in it and above; where that is
//! refused, group by group.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt;
use serde_json::Value;

use super::asking::{AT_ONCE, Asking};
use super::place;

/// What is listed for the places that a plan touches.
pub(super) struct Listed {
    /// By subscription or resource group, in lower case.
    found: HashMap<String, Vec<Value>>,
    /// Subscriptions whose list could not be read, and why: what holds in them is not known, whatever a group says.
    unread: BTreeMap<String, String>,
}

impl Listed {
    /// Reads what is listed of a type, for resource groups and subscriptions.
    pub(super) async fn ask(
        asking: &Asking,
        (kind, version): (&str, &str),
        containers: &BTreeSet<String>,
    ) -> Self {
        let mut by: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for container in containers {
            if let Some(subscription) = place::subscription(container) {
                let groups = by.entry(subscription.to_ascii_lowercase()).or_default();
                groups.insert(container.to_ascii_lowercase());
            }
        }
        let mut listed = Self {
            found: HashMap::new(),
            unread: BTreeMap::new(),
        };
        let subscriptions: Vec<_> = futures_util::stream::iter(by)
            .map(|(subscription, groups)| async move {
                let answer = asking.list(&subscription, kind, version).await;
                (subscription, groups, answer)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut closer = Vec::new();
        for (subscription, groups, answer) in subscriptions {
            match answer {
                Ok(items) => {
                    listed.found.insert(subscription, items);
                }
                Err(unread) => {
                    listed.unread.insert(subscription, unread.why);
                    closer.extend(groups);
                }
            }
        }
        let groups: Vec<_> = futures_util::stream::iter(closer)
            .map(|group| async move {
                let items = asking.list(&group, kind, version).await;
                (group, items.unwrap_or_default())
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        listed.found.extend(groups);
        listed
    }

    /// Returns what may hold for a path.
    pub(super) fn near(&self, path: &str) -> impl Iterator<Item = &Value> {
        let scopes = [place::subscription(path), place::container(path)];
        scopes
            .into_iter()
            .flatten()
            .filter_map(|scope| self.found.get(&scope.to_ascii_lowercase()))
            .flatten()
    }

    /// Returns the subscriptions that could not be read, each with the reason.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&String, &String)> {
        self.unread.iter()
    }
}
