//! `azir runbook role`: the Azure role that runs a runbook, as `az role definition create` takes it.

use clap::ArgMatches;

use super::config::Config;
use super::home::Home;
use super::refusal::Refusal;
use super::{out, shelf};
use crate::runbook::catalogue::Catalogue;
use crate::runbook::role::Role;

/// Prints the role's definition; what no Azure role can give is said beside it.
pub(super) fn print(
    own: &ArgMatches,
    catalogue: &Catalogue,
    home: Result<Home, Refusal>,
) -> Result<u8, Refusal> {
    let name = own.get_one::<String>("name").map_or("", String::as_str);
    let chosen = shelf::find_for("role", catalogue, name)?;
    let scopes = scopes(own, name, home)?;
    let role = Role::of(&chosen.runbook, catalogue)
        .map_err(|error| Refusal::usage(error.to_string(), "azir runbook list"))?;
    let definition = role.definition(&chosen.runbook, &scopes);
    out::raw(&serde_json::to_string_pretty(&definition).unwrap_or_default());
    if !role.graph.is_empty() {
        let graph: Vec<&str> = role.graph.iter().map(String::as_str).collect();
        out::line(&format!(
            "besides, on Microsoft Graph (application permissions, with an administrator's consent): {}",
            graph.join(", ")
        ));
    }
    out::line(
        "next: az role definition create --role-definition @FILE, then az role assignment create",
    );
    Ok(0)
}

/// Where the role may be assigned: what was typed, else the subscriptions of the profile.
fn scopes(
    own: &ArgMatches,
    name: &str,
    home: Result<Home, Refusal>,
) -> Result<Vec<String>, Refusal> {
    let typed: Vec<&String> = own.get_many("scope").into_iter().flatten().collect();
    let again = |scope: &str| format!("azir runbook role {name} --scope {scope}");
    if !typed.is_empty() {
        return typed
            .into_iter()
            .map(|scope| {
                if is_scope(scope) {
                    Ok(scope.clone())
                } else {
                    Err(Refusal::usage(
                        format!("--scope {scope}: a role with rights on data is assigned to subscriptions and resource groups"),
                        again("/subscriptions/ID"),
                    ))
                }
            })
            .collect();
    }
    let (_, profile) =
        Config::load(&home?)?.choose(own.get_one::<String>("profile").map(String::as_str))?;
    match profile.subscriptions {
        Some(subscriptions) if !subscriptions.is_empty() => Ok(subscriptions
            .iter()
            .map(|id| format!("/subscriptions/{id}"))
            .collect()),
        _ => Err(Refusal::usage(
            "a role needs to know where it may be assigned, and the profile names no subscriptions",
            again("/subscriptions/ID"),
        )),
    }
}

/// Azure lets no custom role with data actions be assigned to a management group ("Azure custom roles").
fn is_scope(scope: &str) -> bool {
    let segments: Vec<&str> = scope.split('/').collect();
    let named =
        |word: &str, of: &str, name: &str| word.eq_ignore_ascii_case(of) && !name.is_empty();
    match segments.as_slice() {
        ["", word, id] => named(word, "subscriptions", id),
        ["", word, id, group, name] => {
            named(word, "subscriptions", id) && named(group, "resourceGroups", name)
        }
        _ => false,
    }
}
