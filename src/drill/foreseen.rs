//! What a tabletop's templates name, looked at before anything is made: found then, a mistake costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::scenario::{Asked, Tabletop, within};
use crate::runbook::expr::{Expressions, Scope};

/// Refuses templates that name what there will not be, or not yet. Names see `scope`, builds see `building`.
///
/// # Errors
/// The name that is not there, and where it is asked for.
pub(super) fn names_are_there(
    tabletop: &Tabletop,
    expressions: &Expressions,
    scope: &Scope,
    building: &Scope,
) -> Result<(), String> {
    let of_text = |text: &str| expressions.names(text).map_err(|error| error.to_string());
    let is_build = |name: &str| tabletop.build.iter().any(|build| build.id == name);
    // Which builds each name tells of, by way of the names before it.
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, template) in &tabletop.names {
        let (mut texts, mut tells) = (Vec::new(), BTreeSet::new());
        within(template, &mut texts);
        for text in texts {
            for other in of_text(text)? {
                match told.get(other.as_str()) {
                    Some(of) => tells.extend(of.iter().cloned()),
                    None if is_build(&other) => {
                        tells.insert(other);
                    }
                    None if scope.get(&other).is_some() => {}
                    None => return Err(format!("names.{name}: there is no {other} before it")),
                }
            }
        }
        told.insert(name, tells);
    }
    let mut made: Vec<&str> = Vec::new();
    for build in &tabletop.build {
        let is_made = |id: &String| made.contains(&id.as_str());
        let request = build.request.texts().into_iter().map(|text| (text, false));
        let remove = build.remove.iter().flat_map(Asked::texts);
        for (text, removes) in request.chain(remove.map(|text| (text, true))) {
            for name in of_text(text)? {
                let there = match told.get(name.as_str()) {
                    Some(of) => of.iter().all(is_made),
                    None if removes && name == "made" => true,
                    None => is_made(&name) || building.get(&name).is_some(),
                };
                if !there {
                    return Err(format!("build {}: there is no {name} yet", build.id));
                }
            }
        }
        made.push(&build.id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::drill::shelf;

    /// What is known before anything is made, and what builds see besides.
    fn known() -> (Scope, Scope) {
        let mut scope = Scope::new();
        for name in [
            "caller", "drill", "domain", "group", "location", "prefix", "profile", "tenant",
        ] {
            scope.set(name, &json!({"id": "x"}));
        }
        scope.set("subscriptions", &json!(["s"]));
        let mut building = scope.clone();
        building.set("secret", &json!("x"));
        building.set("ssh_key", &json!("x"));
        (scope, building)
    }

    fn checked(tabletop: &Tabletop) -> Result<(), String> {
        let (scope, building) = known();
        names_are_there(tabletop, &Expressions::new(), &scope, &building)
    }

    #[test]
    fn what_a_shipped_scenario_builds_names_what_there_is_by_then() {
        for name in shelf::names() {
            let tabletop = shelf::load(name).unwrap().scenario.tabletop.unwrap();
            checked(&tabletop).unwrap_or_else(|why| panic!("{name}: {why}"));
            // Turned round, nothing that it stands on is there.
            let mut backwards = tabletop.clone();
            backwards.build.reverse();
            assert!(checked(&backwards).is_err(), "{name}");
            let mut bare = tabletop;
            bare.names.insert("bad".to_owned(), json!("{{ secret }}"));
            let why = checked(&bare).unwrap_err();
            assert!(why.contains("no secret"), "a name is written down: {why}");
        }
    }
}
