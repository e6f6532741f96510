//! What templates can name: per target and runbook, the parameters, `run`, `profile` and the results of steps.

use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::runbook::expr::Scope;

/// The names of one frame for one target; steps add theirs as they end.
pub(crate) struct Names {
    state: Mutex<State>,
}

struct State {
    scope: Scope,
    steps: Map<String, Value>,
}

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
        let scope = base.clone();
        Self {
            state: Mutex::new(State {
                scope,
                steps: Map::new(),
            }),
        }
    }

    /// Sets the parameters; dashes become underscores, what is not given is null.
    pub(crate) fn parameters<'a>(&self, values: impl IntoIterator<Item = (&'a String, Value)>) {
        let mut state = self.lock();
        for (name, value) in values {
            state.scope.set(&name.replace('-', "_"), &value);
        }
    }

    /// Sets the results of a step, under its id and under `steps`.
    pub(crate) fn step(&self, id: &str, results: &Value) {
        let mut state = self.lock();
        state.scope.set(id, results);
        state.steps.insert(id.to_owned(), results.clone());
        let steps = Value::Object(state.steps.clone());
        state.scope.set("steps", &steps);
    }

    /// Returns the names as they are now.
    pub(crate) fn scope(&self) -> Scope {
        self.lock().scope.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
