//! The names that templates see.
//!
//! Values are shared and never copied: a run of ten thousand targets holds the results of each step once, and to
//! evaluate an expression costs nothing for the names that it does not speak of.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value as Mini;
use minijinja::value::{Enumerator, Object, ObjectExt as _};
use serde_json::Value;

use super::convert::{to_json, to_mini};

/// Where the results of steps are, by their ids.
const STEPS: &str = "steps";

/// Names with their values; cheap to clone.
#[derive(Clone, Default)]
pub struct Scope {
    names: Arc<Table>,
    steps: Arc<Table>,
}

#[derive(Clone, Debug, Default)]
struct Table(BTreeMap<Arc<str>, Mini>);

impl Object for Table {
    fn get_value(self: &Arc<Self>, key: &Mini) -> Option<Mini> {
        self.0.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|table| Box::new(table.0.keys().map(|name| Mini::from(&**name))))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

impl Scope {
    /// Returns a scope without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `name` a value, in place of any it had.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.put(name, to_mini(value));
    }

    /// Gives a step its results, by its id and under `steps`.
    pub fn set_step(&mut self, id: &str, results: &Value) {
        let results = to_mini(results);
        self.put(id, results.clone());
        // Held by nobody else meanwhile, the table is changed where it lies.
        self.put(STEPS, Mini::from(()));
        Arc::make_mut(&mut self.steps).0.insert(id.into(), results);
        self.put(STEPS, Mini::from_dyn_object(Arc::clone(&self.steps)));
    }

    fn put(&mut self, name: &str, value: Mini) {
        let names = Arc::make_mut(&mut self.names);
        match names.0.get_mut(name) {
            Some(known) => *known = value,
            None => {
                names.0.insert(name.into(), value);
            }
        }
    }

    /// Forgets every name but these.
    pub fn keep_only(&mut self, names: &[&str]) {
        let kept = names.iter().filter_map(|name| {
            let (name, value) = self.names.0.get_key_value(*name)?;
            Some((Arc::clone(name), value.clone()))
        });
        *self = Self {
            names: Arc::new(Table(kept.collect())),
            steps: Arc::default(),
        };
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        let value = self.names.0.get(name)?;
        to_json(value).ok()
    }

    /// Takes from `other` the names that this scope lacks.
    pub fn add_missing(&mut self, other: &Self) {
        for (name, value) in &other.names.0 {
            if !self.names.0.contains_key(name) {
                self.put(name, value.clone());
            }
        }
    }

    /// Returns the names as an expression's context.
    pub(super) fn context(&self) -> Mini {
        Mini::from_dyn_object(Arc::clone(&self.names))
    }
}

/// Names only: the values are the tenant's and do not belong in a log.
impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expressions;
    use super::*;
    use serde_json::json;

    #[test]
    fn results_are_found_by_id_and_under_steps_and_a_copy_stays_as_it_was() {
        let mut scope = Scope::new();
        scope.set(STEPS, &json!({}));
        let expressions = Expressions::new();
        let of = |scope: &Scope, text: &str| expressions.template(text, scope);
        assert_eq!(of(&scope, "{{ steps }}"), Ok(json!({})));
        scope.set_step("one", &json!({"a": [1]}));
        let earlier = scope.clone();
        scope.set_step("two", &json!({"b": 2}));
        scope.set_step("one", &json!({"a": [3]}));
        assert_eq!(of(&scope, "{{ one.a[0] + steps.two.b }}"), Ok(json!(5)));
        assert_eq!(
            of(&scope, "{{ steps }}"),
            Ok(json!({"one": {"a": [3]}, "two": {"b": 2}}))
        );
        assert_eq!(of(&earlier, "{{ steps.one.a[0] }}"), Ok(json!(1)));
        assert!(of(&earlier, "{{ steps.two.b }}").is_err());
        assert_eq!(scope.get("two"), Some(json!({"b": 2})));
    }
}
