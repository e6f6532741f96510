//! The directory: objects by kind and id as Graph shows them, and what they were a moment ago.
//!
//! Writes go to the primary; a read by id sees a write only when it has been replicated, and a list, which asks an
//! index, later still (graph-and-data-planes.md section 0.1). Members that begin with `__` are the lab's own. What is
//! related to what is an object too: kind `members`, id `<group>/<member>`.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

/// How many times as long as a read by id a list is behind.
const INDEX_LAG: u64 = 2;

/// Everything in the directory.
#[derive(Default)]
pub(in crate::lab) struct Directory {
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// What an object was before a change, with the moment of the change; absent: it was not there.
    earlier: HashMap<String, HashMap<String, Vec<(u64, Option<Value>)>>>,
    /// Microseconds until a write is seen by a read by id.
    lag_us: u64,
}

impl Directory {
    /// Sets how long replication takes.
    pub(in crate::lab) fn replicate_in(&mut self, lag_us: u64) {
        self.lag_us = lag_us;
    }

    /// Returns an object as the primary knows it: what a write acts on.
    pub(in crate::lab) fn now(&self, kind: &str, id: &str) -> Option<&Value> {
        self.objects.get(kind)?.get(&id.to_ascii_lowercase())
    }

    /// Returns every object of a kind as the primary knows it, by id.
    pub(in crate::lab) fn all_now(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Returns the ids of the objects of a kind that pass, as the primary knows them.
    pub(in crate::lab) fn ids(
        &self,
        kind: &str,
        pass: impl Fn(&str, &Value) -> bool,
    ) -> Vec<String> {
        let objects = self.objects.get(kind).into_iter().flatten();
        objects
            .filter(|(id, value)| pass(id, value))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Returns an object as a read by id at `at_us` sees it.
    pub(in crate::lab) fn seen(&self, kind: &str, id: &str, at_us: u64) -> Option<&Value> {
        self.behind(kind, &id.to_ascii_lowercase(), at_us, self.lag_us)
    }

    /// Returns the objects of a kind as a list at `at_us` sees them, by id.
    pub(in crate::lab) fn listed<'a>(
        &'a self,
        kind: &'a str,
        at_us: u64,
    ) -> impl Iterator<Item = &'a Value> {
        let lag = self.lag_us * INDEX_LAG;
        let present = self.objects.get(kind);
        let gone = self.earlier.get(kind).into_iter().flat_map(move |changed| {
            let mut gone: Vec<&String> = changed
                .keys()
                .filter(|id| present.is_none_or(|objects| !objects.contains_key(*id)))
                .collect();
            gone.sort();
            gone
        });
        present
            .into_iter()
            .flat_map(BTreeMap::keys)
            .chain(gone)
            .filter_map(move |id| self.behind(kind, id, at_us, lag))
    }

    fn behind(&self, kind: &str, id: &str, at_us: u64, lag: u64) -> Option<&Value> {
        let unseen = self
            .earlier
            .get(kind)
            .and_then(|changed| changed.get(id))
            .and_then(|changes| {
                changes
                    .iter()
                    .find(|(changed, _)| changed.saturating_add(lag) > at_us)
            });
        match unseen {
            Some((_, before)) => before.as_ref(),
            None => self.objects.get(kind)?.get(id),
        }
    }

    /// Puts an object; what it was is seen for a while.
    pub(in crate::lab) fn put(&mut self, kind: &str, id: &str, value: Value, at_us: u64) {
        let id = id.to_ascii_lowercase();
        let before = self
            .objects
            .entry(kind.to_owned())
            .or_default()
            .insert(id.clone(), value);
        self.remember(kind, id, before, at_us);
    }

    /// Removes an object and returns it.
    pub(in crate::lab) fn remove(&mut self, kind: &str, id: &str, at_us: u64) -> Option<Value> {
        let id = id.to_ascii_lowercase();
        let before = self.objects.get_mut(kind)?.remove(&id)?;
        self.remember(kind, id, Some(before.clone()), at_us);
        Some(before)
    }

    fn remember(&mut self, kind: &str, id: String, before: Option<Value>, at_us: u64) {
        if self.lag_us == 0 {
            return;
        }
        let oldest = self.lag_us * INDEX_LAG;
        let changes = self
            .earlier
            .entry(kind.to_owned())
            .or_default()
            .entry(id)
            .or_default();
        changes.retain(|(changed, _)| changed.saturating_add(oldest) > at_us);
        changes.push((at_us, before));
    }

    /// Puts an object of the seed, or of an earlier lab: everybody sees it.
    pub(in crate::lab) fn seed(&mut self, kind: &str, id: &str, value: Value) {
        self.objects
            .entry(kind.to_owned())
            .or_default()
            .insert(id.to_ascii_lowercase(), value);
    }

    /// Takes out an object for everybody.
    pub(in crate::lab) fn unseed(&mut self, kind: &str, id: &str) {
        if let Some(objects) = self.objects.get_mut(kind) {
            objects.remove(&id.to_ascii_lowercase());
        }
    }

    /// Returns the ids of the groups that a principal is in, directly and through other groups.
    pub(in crate::lab) fn groups_of(&self, principal: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut to_ask = vec![principal.to_owned()];
        while let Some(member) = to_ask.pop() {
            for link in self.all_now("members") {
                let (Some(group), Some(of)) = (link["group"].as_str(), link["member"].as_str())
                else {
                    continue;
                };
                if of.eq_ignore_ascii_case(&member) && !found.iter().any(|known| known == group) {
                    found.push(group.to_owned());
                    to_ask.push(group.to_owned());
                }
            }
        }
        found
    }

    /// Returns everything as JSON, for tests to compare: kinds, then ids.
    pub(in crate::lab) fn snapshot(&self) -> Value {
        let kinds: Map<String, Value> = self
            .objects
            .iter()
            .map(|(kind, objects)| (kind.clone(), json!(objects)))
            .collect();
        Value::Object(kinds)
    }
}

/// Returns an object as a client sees it: without the lab's own members.
pub(in crate::lab) fn shown(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !name.starts_with("__"))
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_seen_by_id_after_the_lag_and_in_lists_after_twice_that() {
        let mut directory = Directory::default();
        directory.replicate_in(2_000);
        directory.seed("users", "A", json!({"id": "A", "v": 1}));
        directory.put("users", "a", json!({"id": "A", "v": 2}), 10_000);
        let seen = |at| directory.seen("users", "A", at).unwrap()["v"].clone();
        assert_eq!((seen(11_999), seen(12_000)), (json!(1), json!(2)));
        let listed = |at| directory.listed("users", at).next().unwrap()["v"].clone();
        assert_eq!((listed(13_999), listed(14_000)), (json!(1), json!(2)));
        assert_eq!(directory.now("users", "A").unwrap()["v"], 2);
    }

    #[test]
    fn a_new_object_is_not_there_yet_and_a_removed_one_still_is() {
        let mut directory = Directory::default();
        directory.replicate_in(1_000);
        directory.put("users", "new", json!({"id": "new"}), 5_000);
        assert!(directory.seen("users", "new", 5_500).is_none());
        assert!(directory.seen("users", "new", 6_000).is_some());
        directory.remove("users", "new", 9_000);
        assert!(directory.seen("users", "new", 9_500).is_some());
        assert_eq!(directory.listed("users", 10_500).count(), 1);
        assert_eq!(directory.listed("users", 11_000).count(), 0);
        assert!(directory.seen("users", "new", 10_000).is_none());
    }

    #[test]
    fn two_changes_within_the_lag_are_seen_one_after_the_other() {
        let mut directory = Directory::default();
        directory.replicate_in(1_000);
        directory.seed("users", "a", json!(1));
        directory.put("users", "a", json!(2), 5_000);
        directory.put("users", "a", json!(3), 5_600);
        let seen = |at| directory.seen("users", "a", at).unwrap().clone();
        assert_eq!(
            (seen(5_700), seen(6_100), seen(6_600)),
            (json!(1), json!(2), json!(3))
        );
    }
}
