//! The scenarios there are: those shipped with azir, by name, and anybody's own, by file.

use std::path::Path;
use std::sync::Arc;

use super::scenario::Scenario;
use crate::runbook::problem::nearest;

include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// A scenario with its text.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub scenario: Scenario,
    /// Its text.
    pub text: Arc<str>,
}

/// Returns the names of the shipped scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _, _)| *name)
}

/// Returns a shipped scenario by name, or the one in a file.
///
/// # Errors
/// What is not there or wrong with it, and the next command to type.
pub fn load(name: &str) -> Result<Loaded, (String, String)> {
    let list = "azir drill list".to_owned();
    if let Some((_, path, text)) = SCENARIOS.iter().find(|(known, _, _)| *known == name) {
        return parse(path, text, name);
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|end| end == "yaml") || path.components().count() > 1 {
        let text =
            std::fs::read_to_string(path).map_err(|error| (format!("{name}: {error}"), list))?;
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        return parse(name, &text, &stem.unwrap_or_default());
    }
    let hint = nearest(name, names()).map_or(list, |near| format!("azir drill start {near}"));
    Err((format!("there is no scenario {name}"), hint))
}

/// Reads a scenario out of its text.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &str, text: &str, name: &str) -> Result<Loaded, (String, String)> {
    let edit = || format!("edit {path}; `azir drill list` names those that are shipped");
    let scenario = Scenario::parse(text).map_err(|why| (format!("{path}: {why}"), edit()))?;
    if scenario.name != name {
        let why = format!(
            "{path}: the file is named {name} and the scenario {}",
            scenario.name
        );
        return Err((why, edit()));
    }
    Ok(Loaded {
        scenario,
        text: Arc::from(text),
    })
}
