//! Deny assignments, which no role overrides and only the service makes (arm.md section 6.6): whom they mean, and what
//! they forbid.

use serde_json::Value;

use super::entra::Claims;
use super::gate::{below, scope_of};
use super::reply::{Reply, arm_error};
use super::roles::matches;
use super::store::Store;

/// The type of deny assignments.
pub(super) const DENY: &str = "Microsoft.Authorization/denyAssignments";
/// The principal that stands for everybody.
const EVERYONE: &str = "00000000-0000-0000-0000-000000000000";

/// The deny assignments that mean a caller.
pub(super) struct Denials(Vec<Value>);

impl Denials {
    /// Returns those of the store that mean the caller.
    pub(super) fn of(store: &Store, claims: &Claims) -> Self {
        let mut mine: Vec<Value> = store.of_type("", DENY).cloned().collect();
        if !mine.is_empty() {
            let mut own = store.directory.groups_of(&claims.oid);
            own.push(claims.oid.clone());
            mine.retain(|denial| {
                (names(denial, "principals", &own)
                    || names(denial, "principals", &[EVERYONE.to_owned()]))
                    && !names(denial, "excludePrincipals", &own)
            });
        }
        Self(mine)
    }

    /// Returns the one that forbids an action at a scope.
    pub(super) fn forbids(&self, action: &str, scope: &str, data: bool) -> Option<&Value> {
        self.0.iter().find(|denial| {
            let properties = &denial["properties"];
            let (at, here) = (below(scope_of_denial(denial)), below(scope));
            let applies = here.starts_with(&at)
                && (properties["doNotApplyToChildScopes"] != true || here == at);
            let enforced = properties["denyAssignmentEffect"] != "audit";
            let (actions, but) = if data {
                ("dataActions", "notDataActions")
            } else {
                ("actions", "notActions")
            };
            let any = |rule: &Value, name: &str| {
                let patterns = rule[name].as_array().into_iter().flatten();
                patterns
                    .filter_map(Value::as_str)
                    .any(|pattern| matches(pattern, action))
            };
            let rules = properties["permissions"].as_array().into_iter().flatten();
            let mut hit = rules.filter(|rule| any(rule, actions) && !any(rule, but));
            applies && enforced && hit.next().is_some()
        })
    }
}

/// Refuses what a deny assignment forbids, in the service's words.
pub(super) fn refused(claims: &Claims, action: &str, scope: &str, denial: &Value) -> Reply {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = format!(
        "The client '{}' with object id '{}' has permission to perform action '{action}' on scope '{scope}'; however, the access is denied because of the deny assignment with name '{}' and Id '{}' at scope '{}'.",
        claims.appid,
        claims.oid,
        text(&denial["properties"]["denyAssignmentName"]),
        text(&denial["name"]),
        scope_of_denial(denial),
    );
    arm_error(403, "DenyAssignmentAuthorizationFailed", &message)
}

/// Returns where a deny assignment holds.
pub(super) fn scope_of_denial(denial: &Value) -> &str {
    denial["properties"]["scope"]
        .as_str()
        .unwrap_or_else(|| scope_of(denial["id"].as_str().unwrap_or_default(), DENY))
}

/// Whether a deny assignment names one of these principals among its own, or among those that it leaves out.
pub(super) fn names(denial: &Value, list: &str, ids: &[String]) -> bool {
    let listed = denial["properties"][list].as_array().into_iter().flatten();
    let mut known = listed.filter_map(|principal| principal["id"].as_str());
    known.any(|known| ids.iter().any(|id| id.eq_ignore_ascii_case(known)))
}
