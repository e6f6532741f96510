//! The tenant's state: resources by id, blobs, the activity log, operations; each change on disk before its reply.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

/// Everything that the tenant knows.
#[derive(Default)]
pub(super) struct Store {
    /// Resources by lower-case id, each as its GET shows it.
    resources: BTreeMap<String, Value>,
    /// Blobs by `account/container/name`.
    pub(super) blobs: BTreeMap<String, Blob>,
    /// The activity log, oldest first.
    pub(super) events: Vec<Value>,
    /// Operations by id.
    pub(super) operations: BTreeMap<String, Operation>,
    journal: Option<File>,
    /// Grows with each change; etags come from it.
    pub(super) version: u64,
}

/// A blob.
#[derive(Clone, Debug, Default)]
pub(super) struct Blob {
    pub(super) bytes: Vec<u8>,
    pub(super) append: bool,
    pub(super) etag: u64,
}

/// A long-running operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// Microseconds at which it ends.
    pub(super) ends_us: u64,
    /// The resource whose `provisioningState` becomes final then.
    pub(super) resource: Option<String>,
    /// What the status body carries at the end.
    pub(super) output: Option<Value>,
    /// What the Location answers at the end.
    pub(super) result: Option<Value>,
    /// Why it fails, instead of ending well.
    pub(super) failure: Option<(String, String)>,
}

impl Store {
    /// Opens the journal of changes and takes in what it holds.
    pub(super) fn keep_in(&mut self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if let Ok(text) = std::fs::read_to_string(path) {
            for line in text.lines() {
                // A line cut off by a crash was never replied to.
                if let Ok(change) = serde_json::from_str::<Value>(line) {
                    self.apply(&change);
                }
            }
        }
        self.journal = Some(OpenOptions::new().create(true).append(true).open(path)?);
        Ok(())
    }

    fn apply(&mut self, change: &Value) {
        self.version = change["version"].as_u64().unwrap_or(self.version);
        let key = change["key"].as_str().unwrap_or_default().to_owned();
        match change["what"].as_str() {
            Some("put") => {
                let mut value = change["value"].clone();
                // Whatever was under way when the lab stopped has ended meanwhile.
                if value.pointer("/properties/provisioningState") == Some(&json!("Updating")) {
                    value["properties"]["provisioningState"] = json!("Succeeded");
                }
                self.resources.insert(key, value);
            }
            Some("delete") => {
                self.resources.remove(&key);
            }
            Some("event") => self.events.push(change["value"].clone()),
            Some("blob") => {
                let bytes = change["value"]
                    .as_str()
                    .and_then(|text| hex::decode(text).ok())
                    .unwrap_or_default();
                self.blobs.insert(
                    key,
                    Blob {
                        bytes,
                        append: change["append"] == json!(true),
                        etag: self.version,
                    },
                );
            }
            _ => {}
        }
    }

    fn log(&mut self, change: &Value) {
        if let Some(file) = &mut self.journal {
            // The reply says that the effect is there, so it is on its way to disk before. A lab whose disk is full
            // goes on in memory: it is a rehearsal.
            let _ = writeln!(file, "{change}").and_then(|()| file.flush());
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.resources.get(&id.to_ascii_lowercase())
    }

    /// Puts a resource; returns the version that its etag is made of.
    pub(super) fn put(&mut self, id: &str, value: Value) -> u64 {
        self.version += 1;
        let key = id.to_ascii_lowercase();
        self.log(&json!({"what": "put", "key": key, "value": value, "version": self.version}));
        self.resources.insert(key, value);
        self.version
    }

    /// Puts a resource of the seed, which is not a change.
    pub(super) fn seed(&mut self, id: &str, value: Value) {
        self.resources.insert(id.to_ascii_lowercase(), value);
    }

    pub(super) fn delete(&mut self, id: &str) -> Option<Value> {
        let key = id.to_ascii_lowercase();
        let old = self.resources.remove(&key)?;
        self.version += 1;
        self.log(&json!({"what": "delete", "key": key, "version": self.version}));
        Some(old)
    }

    pub(super) fn event(&mut self, event: Value) {
        self.log(&json!({"what": "event", "value": event, "version": self.version}));
        self.events.push(event);
    }

    pub(super) fn put_blob(&mut self, key: &str, bytes: Vec<u8>, append: bool) -> u64 {
        self.version += 1;
        self.log(&json!({"what": "blob", "key": key, "value": hex::encode(&bytes), "append": append, "version": self.version}));
        self.blobs.insert(
            key.to_owned(),
            Blob {
                bytes,
                append,
                etag: self.version,
            },
        );
        self.version
    }

    /// Returns resources whose id begins with `scope` and whose type is `kind`, by id.
    pub(super) fn of_type<'a>(
        &'a self,
        scope: &str,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let scope = format!("{}/", scope.to_ascii_lowercase().trim_end_matches('/'));
        self.resources
            .range(scope.clone()..)
            .take_while(move |(id, _)| id.starts_with(&scope))
            .map(|(_, value)| value)
            .filter(move |value| {
                value["type"]
                    .as_str()
                    .is_some_and(|found| found.eq_ignore_ascii_case(kind))
            })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.resources.iter()
    }

    /// Ends the operations whose time has come.
    pub(super) fn settle(&mut self, now_us: u64) {
        let ended: Vec<String> = self
            .operations
            .values()
            .filter(|operation| operation.ends_us <= now_us)
            .filter_map(|operation| operation.resource.clone())
            .collect();
        for id in ended {
            let key = id.to_ascii_lowercase();
            let Some(value) = self.resources.get(&key) else {
                continue;
            };
            if value.pointer("/properties/provisioningState") == Some(&json!("Updating")) {
                let mut value = value.clone();
                value["properties"]["provisioningState"] = json!("Succeeded");
                self.put(&id, value);
            }
        }
    }

    /// Returns whether an operation on this resource is under way.
    pub(super) fn busy(&self, id: &str, now_us: u64) -> bool {
        self.operations.values().any(|operation| {
            operation.ends_us > now_us
                && operation
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
        json!({"resources": resources, "blobs": blobs, "events": self.events.len()})
    }
}
