//! Clears away what a drill left in a tabletop subscription: what it made, and what the runs of those who answered made.
//!
//! Everything can be done again after a crash: what is gone counts as cleared. What is new in the subscription and not
//! the drill's is left, and said. Each thing is read back: a deletion that was only accepted is none.
//!
//! The drill's own group goes before what the runs made elsewhere: a quarantine NSG is let go by its interfaces only then.
//!
//! Sources: arm.md sections 4 (deleted vaults), 5.3 to 5.5; "Providers - Get" (`resourceTypes[].apiVersions`);
//! graph-and-data-planes.md section 1.17 (deleted for good at `/directory/deletedItems/{id}`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::build::{Plot, RESOURCES, TAG, call_of};
use super::kept::Kept;
use super::record::{Record, RecordError, Standing, What};
use crate::azure::Client;
use crate::clock::Clock;
use crate::engine::errand;
use crate::ids::ArmId;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// Objects of the directory that are only put aside when they are deleted, with their types. An application takes its
/// principal along, so that goes first.
const PUT_ASIDE: [(&str, &str); 4] = [
    ("servicePrincipals", "microsoft.graph.servicePrincipal"),
    ("applications", "microsoft.graph.application"),
    ("users", "microsoft.graph.user"),
    ("groups", "microsoft.graph.group"),
];
/// The version of Key Vault's own operations on Resource Manager.
const VAULTS: &str = "2023-07-01";

/// What is done, and where it is written down.
pub struct Clearing<'a> {
    /// Sends, with a fence.
    pub client: &'a Client,
    /// The drill's record.
    pub record: &'a mut Record,
    /// How the drill stands.
    pub standing: &'a Standing,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Where the drill's own things are.
    pub plot: &'a Plot,
    /// The folder of the drill's case.
    pub case: &'a Path,
    /// What was there before, by [`inventory`]; absent: it was never taken, so nothing was made.
    pub before: Option<&'a BTreeSet<String>>,
    /// Hears what is being cleared away.
    pub tell: &'a dyn Fn(&str),
}

/// Returns the ids, in lower case, of every resource and every resource group of some subscriptions.
///
/// # Errors
/// A subscription that cannot be listed to its end.
pub async fn inventory(
    client: &Client,
    subscriptions: &[String],
) -> Result<BTreeSet<String>, String> {
    let found = resources(client, subscriptions).await?;
    Ok(found.into_keys().collect())
}

/// Returns every resource and every resource group by its id in lower case.
async fn resources(
    client: &Client,
    subscriptions: &[String],
) -> Result<BTreeMap<String, Value>, String> {
    let mut all = BTreeMap::new();
    let lists = subscriptions
        .iter()
        .flat_map(|id| ["resourcegroups", "resources"].map(|list| (id, list)));
    for (subscription, list) in lists {
        let path = format!("/subscriptions/{subscription}/{list}");
        let mut call = arm("GET", &path, RESOURCES);
        call.pages = Some("value".to_owned());
        let (items, _) = errand::read(client, &call).await?;
        for item in items.as_array().into_iter().flatten() {
            if let Some(id) = item["id"].as_str() {
                all.insert(id.to_lowercase(), item.clone());
            }
        }
    }
    Ok(all)
}

fn arm(method: &str, path: &str, api_version: &str) -> RenderedCall {
    RenderedCall {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: path.to_owned(),
        query: Vec::new(),
        api_version: Some(api_version.to_owned()),
        headers: Vec::new(),
        body: None,
        pages: None,
        missing_ok: true,
    }
}

fn graph(method: &str, path: String) -> RenderedCall {
    RenderedCall {
        plane: Plane::Graph,
        path_or_url: path,
        api_version: None,
        ..arm(method, "", "")
    }
}

impl Clearing<'_> {
    /// Clears everything away, and returns what is left of the drill, with the reason: nothing, if all went well.
    ///
    /// # Errors
    /// A record that does not take it: nothing further is sent.
    pub async fn clear(&mut self) -> Result<Vec<String>, RecordError> {
        let mut left = Vec::new();
        self.directory(&mut left).await?;
        if self.before.is_some() {
            let group = self.plot.group.clone();
            self.group(&group, &mut left).await?;
            self.vaults(&mut left).await?;
        }
        self.of_runs(&mut left).await?;
        Ok(left)
    }

    async fn group(&mut self, id: &str, left: &mut Vec<String>) -> Result<(), RecordError> {
        let (call, back) = (arm("DELETE", id, RESOURCES), arm("GET", id, RESOURCES));
        self.one(id, &call, Some(&back), left).await
    }

    /// Deletes vaults for good that went with the drill's group: until then their names are taken.
    async fn vaults(&mut self, left: &mut Vec<String>) -> Result<(), RecordError> {
        let built = self.standing.made.iter().map(|built| &built.id);
        let vault = "/providers/microsoft.keyvault/vaults/";
        if !built
            .chain(&self.standing.making)
            .any(|id| id.to_lowercase().contains(vault))
        {
            return Ok(());
        }
        let within = format!("{}/", self.plot.group.to_lowercase());
        let subscription = self.plot.group.split('/').nth(2).unwrap_or_default();
        let path =
            format!("/subscriptions/{subscription}/providers/Microsoft.KeyVault/deletedVaults");
        let mut list = arm("GET", &path, VAULTS);
        list.pages = Some("value".to_owned());
        let found = match errand::read(self.client, &list).await {
            Ok((found, _)) => found,
            Err(why) => {
                left.push(format!("vaults that are deleted and not purged: {why}"));
                return Ok(());
            }
        };
        for deleted in found.as_array().into_iter().flatten() {
            let of = deleted["properties"]["vaultId"]
                .as_str()
                .unwrap_or_default();
            let Some(id) = deleted["id"]
                .as_str()
                .filter(|_| of.to_lowercase().starts_with(&within))
            else {
                continue;
            };
            let call = arm("POST", &format!("{id}/purge"), VAULTS);
            self.one(id, &call, Some(&arm("GET", id, VAULTS)), left)
                .await?;
        }
        Ok(())
    }

    /// Takes away one thing and reads whether it is gone.
    async fn one(
        &mut self,
        id: &str,
        call: &RenderedCall,
        back: Option<&RenderedCall>,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        if self.standing.cleared.iter().any(|known| known == id) {
            return Ok(());
        }
        (self.tell)(&format!("clear away {}", ArmId::name_of(id)));
        let clearing = What::Clearing { id: id.to_owned() };
        self.record.add(self.clock.now(), clearing)?;
        let gone = match errand::write(self.client, call).await {
            Err(error) => Err(error.message),
            Ok(_) => match back {
                None => Ok(()),
                Some(back) => self.is_gone(back).await,
            },
        };
        let what = match gone {
            Ok(()) => What::Cleared { id: id.to_owned() },
            Err(why) => {
                left.push(format!("{id}: {why}"));
                What::Left {
                    id: id.to_owned(),
                    why,
                }
            }
        };
        self.record.add(self.clock.now(), what)
    }

    /// Reads until something is gone, as long as a replica may take.
    async fn is_gone(&self, back: &RenderedCall) -> Result<(), String> {
        for pause in [0_u64, 1, 2, 4, 8, 15] {
            self.clock
                .sleep(std::time::Duration::from_secs(pause))
                .await;
            if let (_, 404) = errand::read(self.client, back).await? {
                return Ok(());
            }
        }
        Err("it is still there".to_owned())
    }

    /// Deletes what was made in the directory, the last one first, and for good.
    async fn directory(&mut self, left: &mut Vec<String>) -> Result<(), RecordError> {
        let made = self.standing.made.clone();
        for built in made.iter().rev() {
            let Some(call) = built.remove.as_ref().and_then(call_of) else {
                continue;
            };
            let back = RenderedCall {
                method: "GET".to_owned(),
                body: None,
                missing_ok: true,
                ..call.clone()
            };
            let back = Some(&back).filter(|_| call.method == "DELETE");
            self.one(&built.id, &call, back, left).await?;
            self.for_good(&built.id, &call.path_or_url, left).await?;
        }
        // What was sent and whose answer was lost has no id on record; its name says whose it is.
        if made.iter().any(|built| built.remove.is_some()) || !self.standing.making.is_empty() {
            for (kind, whole) in PUT_ASIDE {
                self.by_name(kind, &format!("/v1.0/{kind}"), left).await?;
                let aside = format!("/v1.0/directory/deletedItems/{whole}");
                self.by_name(kind, &aside, left).await?;
            }
        }
        Ok(())
    }

    /// Deletes an object for good that is only put aside.
    async fn for_good(
        &mut self,
        id: &str,
        path: &str,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let aside = PUT_ASIDE
            .iter()
            .any(|(kind, _)| path.contains(&format!("/{kind}/")) && path.ends_with(id));
        if !aside {
            return Ok(());
        }
        let path = format!("/v1.0/directory/deletedItems/{id}");
        let (call, back) = (graph("DELETE", path.clone()), graph("GET", path));
        // Its own place among the deleted is another thing than where it was.
        self.one(&format!("deleted/{id}"), &call, Some(&back), left)
            .await
    }

    /// Deletes objects of a list whose names begin with the drill's prefix.
    async fn by_name(
        &mut self,
        kind: &str,
        list: &str,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let mut call = graph("GET", list.to_owned());
        let filter = format!("startswith(displayName,'{}')", self.plot.prefix);
        call.query = vec![
            ("$filter".to_owned(), filter),
            ("$select".to_owned(), "id,displayName".to_owned()),
        ];
        call.pages = Some("value".to_owned());
        let found = match errand::read(self.client, &call).await {
            Ok((found, _)) => found,
            Err(why) => {
                left.push(format!(
                    "{kind} whose names begin with {}: {why}",
                    self.plot.prefix
                ));
                return Ok(());
            }
        };
        for object in found.as_array().into_iter().flatten() {
            let (Some(id), Some(name)) = (object["id"].as_str(), object["displayName"].as_str())
            else {
                continue;
            };
            if !name.starts_with(&self.plot.prefix) {
                continue;
            }
            if let Some(fence) = self.client.fence() {
                fence.allow(id);
            }
            let path = format!("/v1.0/{kind}/{id}");
            if list.ends_with(kind) {
                let back = graph("GET", path.clone());
                self.one(id, &graph("DELETE", path.clone()), Some(&back), left)
                    .await?;
            }
            self.for_good(id, &path, left).await?;
        }
        Ok(())
    }

    /// Deletes what the runs made outside of the drill's group, as snapshots and a quarantine NSG.
    async fn of_runs(&mut self, left: &mut Vec<String>) -> Result<(), RecordError> {
        let Some(before) = self.before else {
            return Ok(());
        };
        let now = match resources(self.client, &self.standing.begun.subscriptions).await {
            Ok(now) => now,
            Err(why) => {
                left.push(format!("what is new in the subscription: {why}"));
                return Ok(());
            }
        };
        let kept = Kept::read(self.case);
        let own = self.plot.group.to_lowercase();
        let within = format!("{own}/");
        let is_new =
            |key: &&String| !before.contains(*key) && **key != own && !key.starts_with(&within);
        let new: Vec<&String> = now.keys().filter(is_new).collect();
        // What lies in a group goes before the group.
        let (groups, others): (Vec<&String>, Vec<&String>) =
            new.into_iter().partition(|key| is_group(key));
        for key in others.into_iter().chain(groups) {
            let resource = &now[key];
            let id = resource["id"].as_str().unwrap_or(key);
            if !self.is_ours(key, resource, &kept) {
                let why = "it came while the drill ran, and is not the drill's".to_owned();
                let id = id.to_owned();
                self.record.add(self.clock.now(), What::Left { id, why })?;
                continue;
            }
            if is_group(key) {
                self.group_if_empty(id, left).await?;
                continue;
            }
            match self.version(id).await {
                Ok(version) => {
                    let (call, back) = (arm("DELETE", id, &version), arm("GET", id, &version));
                    self.one(id, &call, Some(&back), left).await?;
                }
                Err(why) => left.push(format!("{id}: {why}")),
            }
        }
        Ok(())
    }

    /// Deletes a group that a run made, unless somebody put something in it.
    async fn group_if_empty(
        &mut self,
        id: &str,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let mut list = arm("GET", &format!("{id}/resources"), RESOURCES);
        list.pages = Some("value".to_owned());
        match errand::read(self.client, &list).await {
            Ok((found, _)) if found.as_array().is_some_and(Vec::is_empty) => {
                self.group(id, left).await
            }
            Ok(_) => {
                let why = "a run of the drill made it, and it holds what is not the drill's";
                let (id, why) = (id.to_owned(), why.to_owned());
                self.record.add(self.clock.now(), What::Left { id, why })
            }
            Err(why) => {
                left.push(format!("{id}: {why}"));
                Ok(())
            }
        }
    }

    /// Whether the drill or one of its runs made a resource: by its tags, else by the record.
    fn is_ours(&self, key: &str, resource: &Value, kept: &Kept) -> bool {
        let tag = |name: &str| resource["tags"][name].as_str();
        let drill = Some(self.plot.drill.as_str());
        tag(TAG) == drill
            || tag("incident_id") == drill
            || kept
                .calls
                .iter()
                .any(|call| call.method == "PUT" && call.path.eq_ignore_ascii_case(key))
    }

    /// Returns a version in which the provider of a resource's type takes requests.
    async fn version(&self, id: &str) -> Result<String, String> {
        let id: ArmId = id
            .parse()
            .map_err(|error: crate::ids::NotAnArmId| error.to_string())?;
        let whole = id.resource_type();
        let (provider, kind) = whole.split_once('/').ok_or("it has no type")?;
        let subscription = id.subscription().ok_or("it lies in no subscription")?;
        let path = format!("/subscriptions/{subscription}/providers/{provider}");
        let (found, _) = errand::read(self.client, &arm("GET", &path, RESOURCES)).await?;
        let types = found["resourceTypes"].as_array().into_iter().flatten();
        let mut of_type = types.filter(|one| {
            one["resourceType"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(kind))
        });
        let versions = of_type
            .next()
            .map(|one| one["apiVersions"].clone())
            .unwrap_or(json!([]));
        let versions: Vec<String> = serde_json::from_value(versions).unwrap_or_default();
        let stable = versions.iter().find(|version| !version.contains("preview"));
        stable
            .or(versions.first())
            .cloned()
            .ok_or_else(|| format!("{provider} names no version for {kind}"))
    }
}

/// Whether an id in lower case is that of a resource group.
fn is_group(id: &str) -> bool {
    let mut segments = id.split('/').skip(1);
    segments.nth(2) == Some("resourcegroups") && segments.count() == 1
}
