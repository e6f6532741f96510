//! What templates can name: per target and runbook, the parameters, `run`, `profile` and the results of steps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::runbook::expr::Scope;

/// The names of one frame for one target; steps add theirs as they end.
pub(crate) struct Names(Mutex<Scope>);

/// Returns what every frame of every target has; made once, because it may name every target.
pub(crate) fn base(run: &Value, profile: &Value) -> Scope {
    let mut scope = Scope::new();
    scope.set("run", run);
    scope.set("profile", profile);
    scope.set("steps", &json!({}));
    scope
}

impl Names {
    /// Starts with what every frame has.
    pub(crate) fn new(base: &Scope) -> Self {
        Self(Mutex::new(base.clone()))
    }

    /// Sets the parameters; dashes become underscores, what is not given is null.
    pub(crate) fn parameters<'a>(&self, values: impl IntoIterator<Item = (&'a String, Value)>) {
        let mut scope = self.lock();
        for (name, value) in values {
            scope.set(&name.replace('-', "_"), &value);
        }
    }

    /// Sets the results of a step, under its id and under `steps`.
    pub(crate) fn step(&self, id: &str, results: &Value) {
        self.lock().set_step(id, results);
    }

    /// Forgets all but `names`: of many targets that wait for each other, each holds what it still needs.
    pub(crate) fn keep_only(&self, names: &[&str]) {
        self.lock().keep_only(names);
    }

    /// Returns the names as they are now.
    pub(crate) fn scope(&self) -> Scope {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Scope> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
