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
use std::time::Duration;

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
/// The waits, in seconds, until a replica of the directory knows what was done (graph-and-data-planes.md, "Replication").
const PAUSES: [u64; 6] = [0, 1, 2, 4, 8, 15];
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

/// Something that is taken away.
struct Thing {
    id: String,
    call: RenderedCall,
    /// What is read until it is not there; absent: the answer is all there is.
    back: Option<RenderedCall>,
}

impl Thing {
    fn of_arm(id: &str, version: &str) -> Self {
        Self {
            id: id.to_owned(),
            call: arm("DELETE", id, version),
            back: Some(arm("GET", id, version)),
        }
    }

    fn of_graph(id: &str, path: &str) -> Self {
        Self {
            id: id.to_owned(),
            call: graph("DELETE", path.to_owned()),
            back: Some(graph("GET", path.to_owned())),
        }
    }

    /// An object among the deleted: another thing than the object where it was.
    fn put_aside(id: &str) -> Self {
        Self {
            id: format!("deleted/{id}"),
            ..Self::of_graph(id, &format!("/v1.0/directory/deletedItems/{id}"))
        }
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
            let group = Thing::of_arm(&self.plot.group, RESOURCES);
            self.take_away(vec![group], &mut left).await?;
            self.vaults(&mut left).await?;
        }
        self.of_runs(&mut left).await?;
        Ok(left)
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
        let deleted = found.as_array().into_iter().flatten().filter(|deleted| {
            let of = deleted["properties"]["vaultId"].as_str();
            of.is_some_and(|of| of.to_lowercase().starts_with(&within))
        });
        let ids = deleted.filter_map(|deleted| deleted["id"].as_str());
        let purge = |id: &str| Thing {
            call: arm("POST", &format!("{id}/purge"), VAULTS),
            ..Thing::of_arm(id, VAULTS)
        };
        self.take_away(ids.map(purge).collect(), left).await
    }

    /// Takes things away in this order, and then reads whether each is gone: what one waits for, the next need not.
    async fn take_away(
        &mut self,
        things: Vec<Thing>,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let mut sent = Vec::new();
        for thing in things {
            if self.is_cleared(&thing.id) {
                continue;
            }
            (self.tell)(&format!("clear away {}", ArmId::name_of(&thing.id)));
            let id = thing.id.clone();
            self.record.add(self.clock.now(), What::Clearing { id })?;
            match errand::write(self.client, &thing.call).await {
                Ok(_) => sent.push(thing),
                Err(error) => self.note(thing.id, Err(error.message), left)?,
            }
        }
        for thing in sent {
            let gone = match &thing.back {
                None => Ok(()),
                Some(back) => self.is_gone(back).await,
            };
            self.note(thing.id, gone, left)?;
        }
        Ok(())
    }

    /// Whether a clearing before this one saw that it is gone.
    fn is_cleared(&self, id: &str) -> bool {
        self.standing.cleared.iter().any(|known| known == id)
    }

    fn note(
        &mut self,
        id: String,
        gone: Result<(), String>,
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let what = match gone {
            Ok(()) => What::Cleared { id },
            Err(why) => {
                left.push(format!("{id}: {why}"));
                What::Left { id, why }
            }
        };
        self.record.add(self.clock.now(), what)
    }

    /// Reads until something is gone, as long as a replica may take.
    async fn is_gone(&self, back: &RenderedCall) -> Result<(), String> {
        for pause in PAUSES {
            self.clock.sleep(Duration::from_secs(pause)).await;
            if let (_, 404) = errand::read(self.client, back).await? {
                return Ok(());
            }
        }
        Err("it is still there".to_owned())
    }

    /// Deletes what was made in the directory, the last one first, and for good.
    async fn directory(&mut self, left: &mut Vec<String>) -> Result<(), RecordError> {
        let (mut things, mut aside) = (Vec::new(), Vec::new());
        for built in self.standing.made.iter().rev() {
            let Some(call) = built.remove.as_ref().and_then(call_of) else {
                continue;
            };
            let back = RenderedCall {
                method: "GET".to_owned(),
                body: None,
                missing_ok: true,
                ..call.clone()
            };
            let of_aside =
                |kind: &str| call.path_or_url.ends_with(&format!("/{kind}/{}", built.id));
            if PUT_ASIDE.iter().any(|(kind, _)| of_aside(kind)) {
                aside.push(built.id.clone());
            }
            things.push(Thing {
                id: built.id.clone(),
                back: Some(back).filter(|_| call.method == "DELETE"),
                call,
            });
        }
        let any = !things.is_empty() || !self.standing.making.is_empty();
        self.for_good(things, &aside, left).await?;
        // What was sent and whose answer was lost has no id on record; its name says whose it is.
        for (kind, whole) in PUT_ASIDE.into_iter().filter(|_| any) {
            let there = self.named(kind, &format!("/v1.0/{kind}"), left).await;
            let deleted = format!("/v1.0/directory/deletedItems/{whole}");
            let mut aside = self.named(kind, &deleted, left).await;
            let thing = |id: &String| Thing::of_graph(id, &format!("/v1.0/{kind}/{id}"));
            let things = there.iter().map(thing).collect();
            aside.extend(there);
            self.for_good(things, &aside, left).await?;
        }
        Ok(())
    }

    /// Deletes objects, and then those for good that are only put aside.
    async fn for_good(
        &mut self,
        things: Vec<Thing>,
        aside: &[String],
        left: &mut Vec<String>,
    ) -> Result<(), RecordError> {
        let now: Vec<String> = things
            .iter()
            .map(|thing| thing.id.clone())
            .filter(|id| aside.contains(id) && !self.is_cleared(id))
            .collect();
        self.take_away(things, left).await?;
        self.are_put_aside(&now).await;
        let deleted = aside.iter().map(|id| Thing::put_aside(id)).collect();
        self.take_away(deleted, left).await
    }

    /// Waits until what was just deleted is among the deleted: before that, "not there" does not mean that it is gone.
    async fn are_put_aside(&self, ids: &[String]) {
        let backs = ids.iter().filter_map(|id| Thing::put_aside(id).back);
        let mut backs: Vec<RenderedCall> = backs.collect();
        for pause in PAUSES {
            if backs.is_empty() {
                return;
            }
            self.clock.sleep(Duration::from_secs(pause)).await;
            let mut missing = Vec::new();
            for back in backs {
                // What cannot be read is not waited for: deleting it says why.
                if let Ok((_, 404)) = errand::read(self.client, &back).await {
                    missing.push(back);
                }
            }
            backs = missing;
        }
    }

    /// Returns the ids of the objects of a list whose names begin with the drill's prefix.
    async fn named(&self, kind: &str, list: &str, left: &mut Vec<String>) -> Vec<String> {
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
                let prefix = &self.plot.prefix;
                left.push(format!("{kind} whose names begin with {prefix}: {why}"));
                return Vec::new();
            }
        };
        let mut ids = Vec::new();
        for object in found.as_array().into_iter().flatten() {
            let (Some(id), Some(name)) = (object["id"].as_str(), object["displayName"].as_str())
            else {
                continue;
            };
            if name.starts_with(&self.plot.prefix) {
                if let Some(fence) = self.client.fence() {
                    fence.allow(id);
                }
                ids.push(id.to_owned());
            }
        }
        ids
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
        for keys in [others, groups] {
            let mut things = Vec::new();
            for key in keys {
                let resource = &now[key];
                let id = resource["id"].as_str().unwrap_or(key).to_owned();
                match self.of_run(key, &id, resource, &kept).await {
                    Ok(Ok(thing)) => things.push(thing),
                    Ok(Err(why)) => {
                        let why = why.to_owned();
                        self.record.add(self.clock.now(), What::Left { id, why })?;
                    }
                    Err(why) => left.push(format!("{id}: {why}")),
                }
            }
            self.take_away(things, left).await?;
        }
        Ok(())
    }

    /// Returns something new as what is taken away, or why it stays.
    async fn of_run(
        &self,
        key: &str,
        id: &str,
        resource: &Value,
        kept: &Kept,
    ) -> Result<Result<Thing, &'static str>, String> {
        if !self.is_ours(key, resource, kept) {
            return Ok(Err("it came while the drill ran, and is not the drill's"));
        }
        if !is_group(key) {
            return Ok(Ok(Thing::of_arm(id, &self.version(id).await?)));
        }
        if self.holds_others(id).await? {
            let why = "a run of the drill made it, and it holds what is not the drill's";
            return Ok(Err(why));
        }
        Ok(Ok(Thing::of_arm(id, RESOURCES)))
    }

    /// Whether something lies in a group that a run made.
    async fn holds_others(&self, group: &str) -> Result<bool, String> {
        let mut list = arm("GET", &format!("{group}/resources"), RESOURCES);
        list.pages = Some("value".to_owned());
        let (found, _) = errand::read(self.client, &list).await?;
        Ok(found.as_array().is_none_or(|items| !items.is_empty()))
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
