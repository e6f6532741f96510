//! The tenant's state: resources by id, blobs, the activity log, operations; each change on disk before its reply.
//!
//! A state file is JSON lines, replayed over the scenario at the next start. Its first line says when the tenant
//! was made, so that the seeded past stays where it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::blob_blocks::Block;
use super::blob_body::Blob;
use super::graph::directory::Directory;

/// Everything that the tenant knows.
#[derive(Default)]
pub(super) struct Store {
    /// Resources by lower-case id, each as its GET shows it, and members that begin with `__` besides.
    resources: BTreeMap<String, Value>,
    /// What resources were before they were last changed, for reads from a replica that is behind.
    earlier: BTreeMap<String, Value>,
    /// The keys of `resources` by lower-case type.
    kinds: HashMap<String, BTreeSet<String>>,
    /// Blobs by `account/container/name`.
    pub(super) blobs: BTreeMap<String, Blob>,
    /// Blocks that no list has named yet, by the blob that they are to be of.
    blocks: HashMap<String, Vec<Block>>,
    /// Users, groups, apps and what is theirs.
    pub(super) directory: Directory,
    /// The activity log, in the order of arrival.
    pub(super) events: Vec<Value>,
    /// When resources were made and last changed by a request, by lower-case id; no first one for what was seeded.
    times: HashMap<String, Times>,
    operations: HashMap<String, Operation>,
    /// Operations that have not ended.
    open: BTreeSet<String>,
    /// Resources that operations have removed and nobody has followed up yet.
    gone: Vec<Value>,
    journal: Option<File>,
    /// Grows with each change; etags come from it.
    pub(super) version: u64,
}

/// When a resource was made, and when it was last changed.
pub(super) type Times = (Option<String>, Option<String>);

/// A long-running operation.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Operation {
    /// Microseconds of the lab's clock at which it ends.
    pub(super) ends_us: u64,
    /// When it began, as the status body says it.
    pub(super) started: String,
    /// The type that it works on, which decides what its status looks like.
    pub(super) kind: String,
    /// The resource whose `provisioningState` becomes final at the end.
    pub(super) resource: Option<String>,
    /// What the status body carries at the end.
    pub(super) output: Option<Value>,
    /// What the Location answers at the end.
    pub(super) result: Option<Value>,
    /// Why it fails, instead of ending well.
    pub(super) failure: Option<(String, String)>,
    /// Everything under this id is gone at the end.
    pub(super) removes: Option<String>,
}

/// What an earlier lab left in its state file.
#[derive(Default)]
pub(super) struct Kept {
    changes: Vec<Value>,
    /// When the tenant was made.
    pub(super) made: Option<DateTime<Utc>>,
}

impl Kept {
    /// Reads a state file; one that is not there is empty. A line cut off by a crash was never replied to and is
    /// removed, because the next one would be appended to it.
    pub(super) fn read(path: &Path) -> std::io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole < text.len() {
            OpenOptions::new()
                .write(true)
                .open(path)?
                .set_len(whole as u64)?;
        }
        let mut changes: Vec<Value> = Vec::new();
        for (number, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let change = serde_json::from_slice(line).map_err(|error| {
                let message = format!("line {} is no change of a lab: {error}", number + 1);
                std::io::Error::new(std::io::ErrorKind::InvalidData, message)
            })?;
            changes.push(change);
        }
        let made = changes
            .iter()
            .find(|change| change["what"] == "made")
            .and_then(|change| change["at"].as_str()?.parse().ok());
        Ok(Self { changes, made })
    }
}

impl Store {
    /// Replays what an earlier lab left, and appends to it from now on.
    pub(super) fn keep_in(
        &mut self,
        path: &Path,
        kept: &Kept,
        now: DateTime<Utc>,
    ) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        for change in &kept.changes {
            self.apply(change);
        }
        self.journal = Some(OpenOptions::new().create(true).append(true).open(path)?);
        if kept.made.is_none() {
            self.log(&json!({"what": "made", "at": now}));
        }
        Ok(())
    }

    fn apply(&mut self, change: &Value) {
        self.version = change["version"].as_u64().unwrap_or(self.version);
        let key = change["key"].as_str().unwrap_or_default().to_owned();
        match change["what"].as_str() {
            Some("put") => {
                let mut value = change["value"].clone();
                ended(&mut value);
                self.insert(key, value);
            }
            Some("delete") => {
                self.remove(&key);
                // An operation whose removal is on record was followed up by the lab that carried it out.
                let is = |value: &Value| {
                    let id = value["id"].as_str().unwrap_or_default();
                    id.eq_ignore_ascii_case(&key)
                };
                self.gone.retain(|value| !is(value));
            }
            Some("object") => {
                let kind = change["kind"].as_str().unwrap_or_default();
                self.directory.seed(kind, &key, change["value"].clone());
            }
            Some("unobject") => {
                let kind = change["kind"].as_str().unwrap_or_default();
                self.directory.unseed(kind, &key);
            }
            Some("event") => self.events.push(change["value"].clone()),
            Some("time") => {
                if let Ok(times) = serde_json::from_value(change["value"].clone()) {
                    self.times.insert(key, times);
                }
            }
            Some("operation") => self.restore(key, &change["value"]),
            Some("blob") => {
                if let Ok(blob) = serde_json::from_value(change["value"].clone()) {
                    self.blocks.remove(&key);
                    self.blobs.insert(key, blob);
                }
            }
            Some("append") => {
                let more = change["value"]
                    .as_str()
                    .and_then(|text| hex::decode(text).ok());
                if let (Some(blob), Some(more)) = (self.blobs.get_mut(&key), more) {
                    blob.extend(&more, self.version);
                }
            }
            Some("block") => {
                let text = |name: &str| change[name].as_str().unwrap_or_default();
                if let Ok(bytes) = hex::decode(text("value")) {
                    self.wait(&key, text("id"), bytes);
                }
            }
            Some("unblob") => {
                self.blobs.remove(&key);
            }
            _ => {}
        }
    }

    /// Takes in an operation of an earlier lab, which has ended meanwhile.
    fn restore(&mut self, key: String, value: &Value) {
        let Ok(mut operation) = serde_json::from_value::<Operation>(value.clone()) else {
            return;
        };
        operation.ends_us = 0;
        if let (Some(id), Some(_)) = (&operation.resource, &operation.failure)
            && let Some(resource) = self.resources.get_mut(&id.to_ascii_lowercase())
        {
            resource["properties"]["provisioningState"] = json!("Failed");
        }
        if let Some(scope) = operation.removes.clone() {
            self.remove_below(&scope);
        }
        self.operations.insert(key, operation);
    }

    fn log(&mut self, change: &Value) {
        if let Some(file) = &mut self.journal {
            // The reply says that the effect is there, so it is on its way to disk before. A lab whose disk is full
            // goes on in memory: it is a rehearsal.
            let _ = file.write_all(format!("{change}\n").as_bytes());
        }
    }

    fn insert(&mut self, key: String, value: Value) {
        let kind = value["type"]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase();
        self.kinds.entry(kind).or_default().insert(key.clone());
        self.resources.insert(key, value);
    }

    fn remove(&mut self, key: &str) -> Option<Value> {
        let old = self.resources.remove(key)?;
        let kind = old["type"]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if let Some(keys) = self.kinds.get_mut(&kind) {
            keys.remove(key);
        }
        Some(old)
    }

    /// Returns the resource with this id, whatever its case.
    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.resources.get(&id.to_ascii_lowercase())
    }

    /// Puts a resource; returns the version that its etag is made of.
    pub(super) fn put(&mut self, id: &str, value: Value) -> u64 {
        self.version += 1;
        let key = id.to_ascii_lowercase();
        self.log(&json!({"what": "put", "key": key, "value": value, "version": self.version}));
        // A resource that is changing is still the one before: the end of its operation is no second change.
        let old = self
            .resources
            .get(&key)
            .filter(|old| old.pointer("/properties/provisioningState") != Some(&json!("Updating")));
        if let Some(old) = old.cloned() {
            self.earlier.insert(key.clone(), old);
        }
        self.insert(key, value);
        self.version
    }

    /// Exchanges the resource that a path is of with what it was before its last change; twice is once back.
    pub(super) fn exchange_earlier(&mut self, path: &str) {
        let path = path.to_ascii_lowercase();
        let of = |key: &String| {
            path.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let key = self.earlier.keys().rfind(|key| of(key)).cloned();
        if let Some(key) = key
            && let (Some(now), Some(earlier)) =
                (self.resources.get_mut(&key), self.earlier.get_mut(&key))
        {
            std::mem::swap(now, earlier);
        }
    }

    /// Puts a resource of the seed, which is not a change.
    pub(super) fn seed(&mut self, id: &str, value: Value) {
        self.insert(id.to_ascii_lowercase(), value);
    }

    /// Removes a resource, and returns it.
    pub(super) fn delete(&mut self, id: &str) -> Option<Value> {
        let key = id.to_ascii_lowercase();
        let old = self.remove(&key)?;
        self.version += 1;
        self.log(&json!({"what": "delete", "key": key, "version": self.version}));
        Some(old)
    }

    /// Removes a resource and everything below it.
    fn remove_below(&mut self, id: &str) {
        let key = id.to_ascii_lowercase();
        let below = format!("{key}/");
        let gone: Vec<String> = self
            .resources
            .range(below.clone()..)
            .map(|(id, _)| id.clone())
            .take_while(|id| id.starts_with(&below))
            .collect();
        for id in gone.iter().chain([&key]) {
            let removed = self.delete(id);
            self.gone.extend(removed);
        }
    }

    /// Returns what operations have removed since this was last asked.
    pub(super) fn take_gone(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.gone)
    }

    /// Puts an object of the directory.
    pub(super) fn put_object(&mut self, kind: &str, id: &str, value: Value, at_us: u64) {
        self.version += 1;
        self.log(&json!({"what": "object", "kind": kind, "key": id, "value": value, "version": self.version}));
        self.directory.put(kind, id, value, at_us);
    }

    /// Removes an object of the directory, and returns it.
    pub(super) fn remove_object(&mut self, kind: &str, id: &str, at_us: u64) -> Option<Value> {
        let old = self.directory.remove(kind, id, at_us)?;
        self.version += 1;
        self.log(&json!({"what": "unobject", "kind": kind, "key": id, "version": self.version}));
        Some(old)
    }

    /// Adds to the activity log.
    pub(super) fn event(&mut self, event: Value) {
        self.log(&json!({"what": "event", "value": event, "version": self.version}));
        self.events.push(event);
    }

    /// Notes that a request made a resource, or changed one that was there.
    pub(super) fn note_time(&mut self, id: &str, at: &str, was_there: bool) {
        let key = id.to_ascii_lowercase();
        let made = match self.times.get(&key) {
            Some((made, _)) if was_there => made.clone(),
            _ => (!was_there).then(|| at.to_owned()),
        };
        let times = (made, Some(at.to_owned()));
        self.log(&json!({"what": "time", "key": key, "value": times, "version": self.version}));
        self.times.insert(key, times);
    }

    /// Returns when a resource was made and changed, if a request did.
    pub(super) fn times(&self, id: &str) -> Option<&Times> {
        self.times.get(&id.to_ascii_lowercase())
    }

    /// Returns the blocks that wait to be a blob.
    pub(super) fn blocks(&self, key: &str) -> &[Block] {
        self.blocks.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Puts a block, in the place of one with the same name.
    pub(super) fn put_block(&mut self, key: &str, id: &str, bytes: &[u8]) {
        self.log(&json!({"what": "block", "key": key, "id": id, "value": hex::encode(bytes), "version": self.version}));
        self.wait(key, id, bytes.to_vec());
    }

    fn wait(&mut self, key: &str, id: &str, bytes: Vec<u8>) {
        let blocks = self.blocks.entry(key.to_owned()).or_default();
        blocks.retain(|(own, _)| own != id);
        blocks.push((id.to_owned(), bytes));
    }

    /// Puts a blob in the place of whatever was there, and of blocks that wait; returns its etag.
    pub(super) fn put_blob(&mut self, key: &str, mut blob: Blob) -> u64 {
        self.version += 1;
        blob.etag = self.version;
        self.log(&json!({"what": "blob", "key": key, "value": blob, "version": self.version}));
        self.blocks.remove(key);
        self.blobs.insert(key.to_owned(), blob);
        self.version
    }

    /// Appends to a blob; returns its etag.
    pub(super) fn append_blob(&mut self, key: &str, bytes: &[u8]) -> u64 {
        self.version += 1;
        self.log(&json!({"what": "append", "key": key, "value": hex::encode(bytes), "version": self.version}));
        if let Some(blob) = self.blobs.get_mut(key) {
            blob.extend(bytes, self.version);
        }
        self.version
    }

    /// Removes a blob.
    pub(super) fn delete_blob(&mut self, key: &str) {
        self.version += 1;
        self.log(&json!({"what": "unblob", "key": key, "version": self.version}));
        self.blobs.remove(key);
    }

    /// Returns resources below `scope` whose type is `kind`, by id.
    pub(super) fn of_type<'a>(
        &'a self,
        scope: &str,
        kind: &str,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        let scope = format!("{}/", scope.to_ascii_lowercase().trim_end_matches('/'));
        self.kinds
            .get(&kind.to_ascii_lowercase())
            .into_iter()
            .flat_map({
                let from = scope.clone();
                move |keys| keys.range(from.clone()..)
            })
            .take_while(move |key| key.starts_with(&scope))
            .filter_map(|key| self.resources.get(key))
    }

    /// Returns every resource with its lower-case id, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.resources.iter()
    }

    /// Begins an operation.
    pub(super) fn begin(&mut self, id: &str, operation: Operation) {
        self.log(
            &json!({"what": "operation", "key": id, "value": operation, "version": self.version}),
        );
        self.open.insert(id.to_owned());
        self.operations.insert(id.to_owned(), operation);
    }

    /// Returns an operation.
    pub(super) fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.get(id)
    }

    /// Ends the operations whose time has come.
    pub(super) fn settle(&mut self, now_us: u64) {
        let due = |id: &&String| {
            self.operations
                .get(*id)
                .is_some_and(|operation| operation.ends_us <= now_us)
        };
        let ended: Vec<String> = self.open.iter().filter(due).cloned().collect();
        for id in ended {
            self.open.remove(&id);
            let Some(operation) = self.operations.get(&id).cloned() else {
                continue;
            };
            if let Some(scope) = operation.removes.filter(|_| operation.failure.is_none()) {
                self.remove_below(&scope);
            } else if let Some(resource) = operation.resource {
                self.finish(&resource, operation.failure.is_some());
            }
        }
    }

    /// Makes a resource's state final, unless another operation works on it still.
    fn finish(&mut self, id: &str, failed: bool) {
        let Some(value) = self.get(id).filter(|_| !self.busy(id)) else {
            return;
        };
        let state = value
            .pointer("/properties/provisioningState")
            .and_then(Value::as_str);
        if !matches!(
            state,
            Some("Creating" | "Deleting" | "RegisteringDns" | "Updating")
        ) {
            return;
        }
        let mut value = value.clone();
        value["properties"]["provisioningState"] =
            json!(if failed { "Failed" } else { "Succeeded" });
        self.put(id, value);
    }

    /// Returns whether an operation on this resource is under way, of those not settled yet.
    pub(super) fn busy(&self, id: &str) -> bool {
        let mut open = self.open.iter().filter_map(|id| self.operations.get(id));
        open.any(|operation| {
            operation
                .resource
                .as_deref()
                .is_some_and(|known| known.eq_ignore_ascii_case(id))
        })
    }

    /// Returns everything as JSON, for tests to compare.
    pub(super) fn snapshot(&self) -> Value {
        let resources: Map<String, Value> = self
            .resources
            .iter()
            .map(|(id, value)| (id.clone(), value.clone()))
            .collect();
        let blobs: Map<String, Value> = self
            .blobs
            .iter()
            .map(|(key, blob)| (key.clone(), json!(blob.bytes.len())))
            .collect();
        json!({"resources": resources, "blobs": blobs, "events": self.events.len(), "directory": self.directory.snapshot()})
    }
}

/// Makes final what was under way when a lab stopped: it has ended meanwhile.
fn ended(value: &mut Value) {
    let state = value.pointer("/properties/provisioningState");
    if state.is_some_and(|state| state == "Updating" || state == "Creating") {
        value["properties"]["provisioningState"] = json!("Succeeded");
    }
    let copied = value
        .as_object_mut()
        .and_then(|members| members.shift_remove("__copied_from_us"));
    if copied.is_some() {
        value["properties"]["completionPercent"] = json!(100);
    }
}
