//! What lies in a vault with its versions: listed, changed, deleted so that it can be recovered, purged
//! (graph-and-data-planes.md section 6). The same for secrets and keys; what they are is in files of their own.

use serde_json::{Map, Value, json};

use super::reply::{Ask, Reply};
use super::vault::{Visit, error};

/// Items on a page, at most and usually.
const PAGE: usize = 25;

/// A kind of items.
pub(super) struct Collection {
    /// Where they are, after `deleted` where they are deleted.
    pub(super) folder: &'static str,
    /// What versions are kept as.
    pub(super) kind: &'static str,
    /// What is deleted is kept as.
    pub(super) deleted_kind: &'static str,
    /// The member of a list's entry that holds its address.
    pub(super) id: &'static str,
    /// What a person calls one.
    pub(super) what: &'static str,
    /// The code of one that is not there.
    pub(super) not_found: &'static str,
    /// Members that a PATCH may name.
    pub(super) changeable: &'static [&'static str],
}

/// The items of one kind in a vault, for one request.
pub(super) struct Items<'v, 'a> {
    pub(super) visit: &'v mut Visit<'a>,
    pub(super) vault: String,
    origin: String,
    of: &'static Collection,
}

impl<'v, 'a> Items<'v, 'a> {
    pub(super) fn new(visit: &'v mut Visit<'a>, vault: &str, of: &'static Collection) -> Self {
        let origin = visit.ask.origin.clone();
        Self {
            visit,
            vault: vault.to_ascii_lowercase(),
            origin,
            of,
        }
    }

    pub(super) fn key(&self, name: &str, version: &str) -> String {
        format!("{}/{}/{version}", self.vault, name.to_ascii_lowercase())
    }

    /// Returns the versions of an item, the oldest first.
    pub(super) fn each(&self, name: &str) -> Vec<Value> {
        let mut found: Vec<Value> = self
            .visit
            .store
            .directory
            .all_now(self.of.kind)
            .filter(|one| {
                one["vault"] == self.vault.as_str()
                    && one["name"]
                        .as_str()
                        .is_some_and(|own| own.eq_ignore_ascii_case(name))
            })
            .cloned()
            .collect();
        found.sort_by_key(|one| one["number"].as_u64());
        found
    }

    /// Returns the address of an item, or of a version of it.
    pub(super) fn address(&self, one: &Value, versioned: bool) -> String {
        let base = format!("{}/{}/{}", self.origin, self.of.folder, text(one, "name"));
        if versioned {
            format!("{base}/{}", text(one, "version"))
        } else {
            base
        }
    }

    /// Shows a version in a list.
    pub(super) fn entry(&self, one: &Value, versioned: bool) -> Value {
        let id = self.address(one, versioned);
        let mut shown = json!({"attributes": one["attributes"], "tags": one["tags"]});
        shown[self.of.id] = json!(id);
        for member in ["contentType", "managed"] {
            if !one[member].is_null() {
                shown[member] = one[member].clone();
            }
        }
        shown
    }

    /// Shows a version whole, but for what the lab does not keep.
    pub(super) fn bundle(&self, one: &Value) -> Value {
        if one["key"].is_null() {
            return self.entry(one, true);
        }
        let mut key = one["key"].clone();
        key["kid"] = json!(self.address(one, true));
        json!({"key": key, "attributes": one["attributes"], "tags": one["tags"]})
    }

    /// Refuses a name that is not well formed, or that is deleted and can be recovered.
    pub(super) fn takes(&self, name: &str) -> Result<(), Reply> {
        if name.is_empty()
            || name.len() > 127
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            return Err(error(
                400,
                "BadParameter",
                "The request URI contains an invalid name.",
                None,
            ));
        }
        let deleted = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        let directory = &self.visit.store.directory;
        if directory.now(self.of.deleted_kind, &deleted).is_none() {
            return Ok(());
        }
        let message = format!(
            "{} {name} is currently in a deleted but recoverable state, and its name cannot be reused.",
            self.of.what
        );
        Err(error(
            409,
            "Conflict",
            &message,
            Some("ObjectIsDeletedButRecoverable"),
        ))
    }

    /// Returns the attributes of a new version.
    pub(super) fn attributes(&self, given: &Value) -> Value {
        let seconds = self.visit.now.timestamp();
        let mut attributes = json!({"enabled": given.get("enabled").cloned().unwrap_or(json!(true)), "created": seconds, "updated": seconds, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90});
        for member in ["nbf", "exp"] {
            if let Some(value) = given.get(member) {
                attributes[member] = value.clone();
            }
        }
        attributes
    }

    /// Puts a version.
    pub(super) fn keep(&mut self, name: &str, version: &str, one: Value) {
        let key = self.key(name, version);
        let now_us = self.visit.now_us;
        self.visit.store.put_object(self.of.kind, &key, one, now_us);
    }

    /// Says that there is no such item.
    pub(super) fn not_found(&self, name: &str) -> Reply {
        let message = format!(
            "A {} with (name/id) {name} was not found in this key vault.",
            self.of.what.to_lowercase()
        );
        error(404, self.of.not_found, &message, None)
    }

    fn page(&self, items: &[Value]) -> Reply {
        let size = self.visit.page.unwrap_or(PAGE).min(PAGE);
        let asked = self.visit.ask.query("maxresults").map(str::parse::<usize>);
        let size = match asked {
            None => size,
            Some(Ok(asked)) if (1..=PAGE).contains(&asked) => asked.min(size),
            Some(_) => {
                return error(
                    400,
                    "BadParameter",
                    "maxresults must be between 1 and 25.",
                    None,
                );
            }
        };
        let skip = self
            .visit
            .ask
            .query("$skiptoken")
            .and_then(|token| token.parse::<usize>().ok())
            .unwrap_or(0);
        let value: Vec<&Value> = items.iter().skip(skip).take(size).collect();
        let end = skip.saturating_add(size);
        let next = (items.len() > end).then(|| {
            let version = self.visit.ask.query("api-version").unwrap_or_default();
            format!(
                "{}{}?api-version={version}&$skiptoken={}",
                self.origin, self.visit.ask.path, end
            )
        });
        Reply::json(200, &json!({"value": value, "nextLink": next}))
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let all = self.visit.store.directory.all_now(kind);
        let mut names: Vec<String> = all
            .filter(|one| one["vault"] == self.vault.as_str())
            .map(|one| text(one, "name").to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn list(&self) -> Reply {
        let newest = |name: String| self.each(&name).last().map(|one| self.entry(one, false));
        let items: Vec<Value> = self
            .names(self.of.kind)
            .into_iter()
            .filter_map(newest)
            .collect();
        self.page(&items)
    }

    pub(super) fn versions(&self, name: &str) -> Reply {
        let versions = self.each(name);
        // Not in the order of their making.
        let mut items: Vec<Value> = versions.iter().map(|one| self.entry(one, true)).collect();
        let id = |one: &Value| one[self.of.id].as_str().map(str::to_owned);
        items.sort_by_key(id);
        self.page(&items)
    }

    pub(super) fn update(&mut self, name: &str, version: &str) -> Reply {
        let members = match members(self.visit.ask, self.of.changeable) {
            Ok(members) => members,
            Err(refusal) => return refusal,
        };
        let key = self.key(name, version);
        let Some(mut one) = self.visit.store.directory.now(self.of.kind, &key).cloned() else {
            return self.not_found(name);
        };
        for (member, value) in members {
            if member == "attributes" {
                for (attribute, value) in value.as_object().into_iter().flatten() {
                    one["attributes"][attribute] = value.clone();
                }
            } else if member == "key_ops" {
                one["key"][member] = value;
            } else {
                one[member] = value;
            }
        }
        one["attributes"]["updated"] = json!(self.visit.now.timestamp());
        let shown = self.bundle(&one);
        self.visit
            .store
            .put_object(self.of.kind, &key, one, self.visit.now_us);
        Reply::json(200, &shown)
    }

    /// All versions of a name go together; it can be recovered for a while.
    pub(super) fn delete(&mut self, name: &str) -> Reply {
        let versions = self.each(name);
        let Some(newest) = versions.last() else {
            return self.not_found(name);
        };
        let mut shown = self.bundle(newest);
        let seconds = self.visit.now.timestamp();
        shown["recoveryId"] = json!(format!("{}/deleted{}/{name}", self.origin, self.of.folder));
        shown["deletedDate"] = json!(seconds);
        shown["scheduledPurgeDate"] = json!(seconds + 90 * 86_400);
        for one in &versions {
            let key = self.key(name, text(one, "version"));
            self.visit
                .store
                .remove_object(self.of.kind, &key, self.visit.now_us);
        }
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        let kept = json!({"vault": self.vault, "name": text(newest, "name"), "shown": shown, "versions": versions});
        self.visit
            .store
            .put_object(self.of.deleted_kind, &key, kept, self.visit.now_us);
        Reply::json(200, &shown)
    }

    pub(super) fn deleted(&self) -> Reply {
        let items: Vec<Value> = self
            .names(self.of.deleted_kind)
            .iter()
            .filter_map(|name| {
                self.visit.store.directory.now(
                    self.of.deleted_kind,
                    &format!("{}/{}", self.vault, name.to_ascii_lowercase()),
                )
            })
            .map(|one| self.deleted_entry(one))
            .collect();
        self.page(&items)
    }

    /// Shows what is deleted in a list: of a key without its numbers.
    fn deleted_entry(&self, one: &Value) -> Value {
        let mut shown = one["shown"].clone();
        if let Some(id) = shown["key"]["kid"].as_str().map(str::to_owned)
            && let Some(members) = shown.as_object_mut()
        {
            members.shift_remove("key");
            members.insert("kid".to_owned(), json!(id));
        }
        shown
    }

    pub(super) fn deleted_one(&self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        match self.visit.store.directory.now(self.of.deleted_kind, &key) {
            Some(one) => Reply::json(200, &one["shown"]),
            None => self.not_found(name),
        }
    }

    pub(super) fn recover(&mut self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        let Some(deleted) =
            self.visit
                .store
                .remove_object(self.of.deleted_kind, &key, self.visit.now_us)
        else {
            return self.not_found(name);
        };
        for one in deleted["versions"].as_array().into_iter().flatten() {
            let key = self.key(name, text(one, "version"));
            self.visit
                .store
                .put_object(self.of.kind, &key, one.clone(), self.visit.now_us);
        }
        Reply::json(200, &deleted["shown"])
    }

    pub(super) fn purge(&mut self, name: &str) -> Reply {
        let key = format!("{}/{}", self.vault, name.to_ascii_lowercase());
        match self
            .visit
            .store
            .remove_object(self.of.deleted_kind, &key, self.visit.now_us)
        {
            Some(_) => Reply::empty(204),
            None => self.not_found(name),
        }
    }
}

/// Returns a member that is a text, or an empty one.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Reads a body that has no other members than these.
pub(super) fn members(ask: &Ask, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let Ok(Value::Object(members)) = serde_json::from_slice(&ask.body) else {
        return Err(error(
            400,
            "BadParameter",
            "The request body is no JSON object.",
            None,
        ));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(error(
            400,
            "BadParameter",
            &format!("Property {name} is not known."),
            None,
        )),
        None => Ok(members),
    }
}
