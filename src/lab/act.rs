//! What somebody else does to the tenant while a request is under way, by script: an attacker who is still there.
//!
//! ```yaml
//! faults:
//!   - method: PUT
//!     path: /networkInterfaces/
//!     do: act-after
//!     act:
//!       - {resource: /subscriptions/.../nic-1, set: {properties.networkSecurityGroup: null}}
//!       - {resource: /subscriptions/.../nsg-1, push: {properties.securityRules: {name: back-door, properties: {}}}}
//!       - {directory: users, id: 99999999-9999-4999-8999-999999999999, set: {accountEnabled: true}}
//! ```

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store::Store;

/// One change by somebody else, who needs no rights for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// The id of a resource; one that is not there is made, of what `set` says.
    pub resource: Option<String>,
    /// The kind of an object of the directory, as `users`; it must be there.
    pub directory: Option<String>,
    /// Its object id, with `directory`.
    pub id: Option<String>,
    /// Dotted member path to new value; null removes the member.
    #[serde(default)]
    pub set: IndexMap<String, Value>,
    /// Dotted member path to what is added to the list there.
    #[serde(default)]
    pub push: IndexMap<String, Value>,
}

impl Act {
    /// Makes the change; a resource that has an etag gets a new one.
    pub(super) fn carry_out(&self, store: &mut Store) {
        if let Some(id) = &self.resource {
            let mut value = store.get(id).cloned().unwrap_or_else(|| json!({"id": id}));
            self.change(&mut value);
            let next = value.get("etag").and_then(Value::as_str).map(next);
            if let Some(etag) = next {
                value["etag"] = json!(etag);
            }
            store.put(id, value);
        }
        if let (Some(kind), Some(id)) = (&self.directory, &self.id)
            && let Some(mut value) = store.directory.now(kind, id).cloned()
        {
            self.change(&mut value);
            store.directory.seed(kind, id, value);
        }
    }

    fn change(&self, value: &mut Value) {
        for (path, to) in &self.set {
            // A path through something that is no object changes nothing, as a service would refuse it.
            let _ =
                crate::json::set_member(value, path, Some(to.clone()).filter(|to| !to.is_null()));
        }
        for (path, item) in &self.push {
            let mut list = crate::json::member(value, path)
                .cloned()
                .unwrap_or_default();
            if !list.is_array() {
                list = json!([]);
            }
            if let Some(items) = list.as_array_mut() {
                items.push(item.clone());
            }
            let _ = crate::json::set_member(value, path, Some(list));
        }
    }
}

/// Returns another etag in the manner of the one before: a machine counts, what belongs to the network does not.
fn next(etag: &str) -> String {
    match etag.trim_matches('"').parse::<u64>() {
        Ok(number) => format!("\"{}\"", number + 1),
        Err(_) => format!(
            "W/\"{}-else\"",
            etag.trim_start_matches("W/").trim_matches('"')
        ),
    }
}
