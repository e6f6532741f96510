//! Deny assignments: what they forbid, no role allows (arm.md sections 1.9 and 6.6).

use serde_json::Value;

use super::listed::Listed;
use super::meant::Need;
use super::place;
use crate::runbook::actions::means;

/// The type, and the version that is asked.
pub(super) const DENY: (&str, &str) = ("Microsoft.Authorization/denyAssignments", "2022-04-01");
/// The principal that stands for everybody.
const EVERYONE: &str = "00000000-0000-0000-0000-000000000000";

/// What a deny assignment means for the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Denied {
    /// By the assignment of this name and id.
    Yes { name: String, id: String },
    /// It names a group, and nobody knows whether the caller is in it.
    Perhaps { name: String, id: String },
}

/// Returns what forbids the caller an action on a path.
pub(super) fn of(listed: &Listed, need: &Need, oid: &str) -> Option<Denied> {
    let denials = listed.near(&need.path);
    let mut denied: Vec<Denied> = denials
        .filter(|item| forbids(item, need))
        .filter_map(|item| meant_for(item, oid))
        .collect();
    // What is certain goes first.
    denied.sort_by_key(|one| matches!(one, Denied::Perhaps { .. }));
    denied.into_iter().next()
}

/// Whether a deny assignment forbids an action on a path, to whomever it means.
fn forbids(item: &Value, need: &Need) -> bool {
    let properties = &item["properties"];
    let audit = properties["denyAssignmentEffect"]
        .as_str()
        .is_some_and(|effect| effect.eq_ignore_ascii_case("audit"));
    let id = item["id"].as_str().unwrap_or_default();
    let scope = properties["scope"]
        .as_str()
        .unwrap_or_else(|| place::extended(id, DENY.0));
    let here = place::within(&need.path, scope)
        && (properties["doNotApplyToChildScopes"] != true || place::within(scope, &need.path));
    let any = |rule: &Value, name: &str| {
        let patterns = rule[name].as_array().into_iter().flatten();
        patterns
            .filter_map(Value::as_str)
            .any(|pattern| means(pattern, &need.action))
    };
    let rules = properties["permissions"].as_array().into_iter().flatten();
    let (actions, not_actions) = if need.data {
        ("dataActions", "notDataActions")
    } else {
        ("actions", "notActions")
    };
    let mut rules = rules.filter(|rule| any(rule, actions) && !any(rule, not_actions));
    !audit && here && rules.next().is_some()
}

/// Whom it means: by id, everybody, or a group, of which the caller may be a member.
fn meant_for(item: &Value, oid: &str) -> Option<Denied> {
    let properties = &item["properties"];
    let is = |principal: &Value, id: &str| {
        let own = principal["id"].as_str();
        own.is_some_and(|own| own.eq_ignore_ascii_case(id))
    };
    let of = |name: &str| properties[name].as_array().into_iter().flatten();
    let group = |principal: &Value| {
        let kind = principal["type"].as_str();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("Group"))
    };
    let id = item["id"].as_str().unwrap_or_default().to_owned();
    let name = properties["denyAssignmentName"].as_str();
    let name = name.unwrap_or("without a name").to_owned();
    if of("excludePrincipals").any(|principal| is(principal, oid)) {
        return None;
    }
    let named = of("principals").any(|principal| is(principal, oid) || is(principal, EVERYONE));
    // Whoever is neither a user nor an application by name may be a group that the caller is in.
    let plain = |principal: &Value| {
        let kind = principal["type"].as_str().unwrap_or_default();
        ["User", "ServicePrincipal"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
    };
    let excused = of("excludePrincipals").any(|principal| !plain(principal));
    match (named, of("principals").any(group)) {
        (true, _) if !excused => Some(Denied::Yes { name, id }),
        (true, _) | (false, true) => Some(Denied::Perhaps { name, id }),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_denial_means_whom_it_names_less_whom_it_leaves_out() {
        let group = "/subscriptions/s/resourceGroups/g";
        let need = Need {
            action: "Microsoft.Network/networkInterfaces/write".to_owned(),
            path: format!("{group}/providers/Microsoft.Network/networkInterfaces/n"),
            data: false,
        };
        let denial = |change: &dyn Fn(&mut Value)| {
            let mut item = json!({"id": "i", "properties": {
                "denyAssignmentName": "managed", "scope": group, "doNotApplyToChildScopes": false,
                "permissions": [{"actions": ["*"], "notActions": ["*/read"]}],
                "principals": [{"id": EVERYONE, "type": "SystemDefined"}], "excludePrincipals": [],
            }});
            change(&mut item["properties"]);
            forbids(&item, &need)
                .then(|| meant_for(&item, "me"))
                .flatten()
        };
        let (name, id) = ("managed".to_owned(), "i".to_owned());
        let yes = Some(Denied::Yes {
            name: name.clone(),
            id: id.clone(),
        });
        let perhaps = Some(Denied::Perhaps { name, id });
        let cases: [(&dyn Fn(&mut Value), &Option<Denied>); 8] = [
            (&|_| {}, &yes),
            (
                &|own| own["excludePrincipals"] = json!([{"id": "ME", "type": "User"}]),
                &None,
            ),
            (
                &|own| own["excludePrincipals"] = json!([{"id": "x", "type": "Group"}]),
                &perhaps,
            ),
            (
                &|own| own["principals"] = json!([{"id": "x", "type": "Group"}]),
                &perhaps,
            ),
            (
                &|own| own["principals"] = json!([{"id": "x", "type": "User"}]),
                &None,
            ),
            (
                &|own| own["permissions"][0]["actions"] = json!(["*/delete"]),
                &None,
            ),
            (&|own| own["denyAssignmentEffect"] = json!("audit"), &None),
            (&|own| own["doNotApplyToChildScopes"] = json!(true), &None),
        ];
        for (change, expected) in cases {
            assert_eq!(denial(change), *expected);
        }
    }
}
