//! What templates of a scenario see: the names of its place, the drill and the profile.

use serde_json::{Value, json};

use super::record::Begun;
use super::scenario::Scenario;
use super::verdict::Place;
use crate::azure::Cloud;
use crate::engine::profile::Profile;
use crate::runbook::expr::{Expressions, Scope};

/// Returns the names that a scenario gives the things of the lab, each evaluated with those before it; `known` holds what
/// is there before any.
///
/// # Errors
/// A template that has no value.
pub fn of_lab(scenario: &Scenario, known: &Scope) -> Result<Value, String> {
    let expressions = Expressions::new();
    let mut scope = known.clone();
    let mut names = serde_json::Map::new();
    for (name, template) in &scenario.lab.names {
        let value = expressions
            .value(template, &scope)
            .map_err(|error| format!("names.{name}: {error}"))?;
        scope.set(name, &value);
        names.insert(name.clone(), value);
    }
    Ok(Value::Object(names))
}

/// Returns what every template of a begun drill sees.
pub fn scope(begun: &Begun, profile: &Profile, cloud: &Cloud, started_at: &str) -> Scope {
    let mut scope = recorded(begun, started_at);
    // A profile is plain data that came from TOML, so it has a JSON form.
    let profile = serde_json::to_value(profile);
    scope.set("profile", &profile.unwrap_or_default());
    scope.set("cloud", &json!({"vault_suffix": cloud.vault_suffix}));
    scope
}

/// Returns what templates see of what is on record, without the cloud: in the finding, and in what was planted.
pub(super) fn recorded(begun: &Begun, started_at: &str) -> Scope {
    let mut scope = Scope::new();
    for (name, value) in begun.names.as_object().into_iter().flatten() {
        scope.set(name, value);
    }
    scope.set("drill", &drill(&begun.drill, begun.place, started_at));
    scope.set("subscriptions", &json!(begun.subscriptions));
    scope
}

/// Returns what templates see as `drill`.
pub fn drill(id: &str, place: Place, started_at: &str) -> Value {
    let short = id.rsplit('-').next().unwrap_or(id);
    json!({"id": id, "short": short, "incident": id, "started_at": started_at, "place": place})
}
