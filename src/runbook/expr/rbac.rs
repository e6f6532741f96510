//! Filters that know role definitions and role assignments.

use serde_json::{Value, json};

use super::filters::{list, text_arg};
use super::language::Row;
use super::rating::wildcard;
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "allows",
        allows,
        "answer of .../permissions | allows(action): whether it allows the action",
    ),
    (
        "role_names",
        role_names,
        "role definitions | role_names: of each its id and the name that people know",
    ),
    (
        "where_allows",
        where_allows,
        "role definitions | where_allows(action): those that allow it",
    ),
    (
        "where_role_in",
        where_role_in,
        "role assignments | where_role_in([role id]): those of these roles",
    ),
    (
        "with_roles",
        with_roles,
        "role assignments | with_roles(role names, user identities): each with role, holder and label, in words",
    ),
];

fn allows(value: &Value, args: &[Value]) -> Result<Value, String> {
    let action = text_arg(args, 0)?;
    let elements = list(value.get("value").unwrap_or(value))?;
    Ok(json!(
        elements.iter().any(|element| allowed_by(element, action))
    ))
}

fn role_names(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(list(value)?
        .iter()
        .map(|definition| {
            let name = crate::json::member(definition, "properties.roleName");
            json!({"id": definition.get("name"), "role": name})
        })
        .collect())
}

/// Says of each assignment which role who has on what: a responder cannot choose between ids.
///
/// A role or identity that is not among those given keeps its id.
fn with_roles(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (roles, identities) = (
        list(super::filters::arg(args, 0)?)?,
        list(super::filters::arg(args, 1)?)?,
    );
    list(value)?
        .iter()
        .map(|assignment| {
            let of = |name: &str| {
                crate::json::member(assignment, name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let id = ArmId::name_of(of("properties.roleDefinitionId"));
            let role = named(roles, "id", id, "role").unwrap_or(id);
            let principal = of("properties.principalId");
            let holder = named(identities, "value.principalId", principal, "key").map_or_else(
                || match of("properties.principalType") {
                    "" => principal.to_owned(),
                    kind => format!("{} {principal}", spoken(kind)),
                },
                |key| ArmId::name_of(key).to_owned(),
            );
            let label = format!("{role} on {}, of {holder}", of("properties.scope"));
            let mut named = assignment
                .as_object()
                .cloned()
                .ok_or("it works on objects")?;
            named.extend([
                ("role".to_owned(), json!(role)),
                ("holder".to_owned(), json!(holder)),
                ("label".to_owned(), json!(label)),
            ]);
            Ok(Value::Object(named))
        })
        .collect()
}

/// Returns a type of principal in words: `ServicePrincipal` is `service principal`.
fn spoken(kind: &str) -> String {
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn named<'a>(items: &'a [Value], key: &str, wanted: &str, name: &str) -> Option<&'a str> {
    let text = |item: &'a Value, path: &str| crate::json::member(item, path)?.as_str();
    items
        .iter()
        .find(|item| text(item, key).is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        .and_then(|item| text(item, name))
}

fn where_allows(value: &Value, args: &[Value]) -> Result<Value, String> {
    let action = text_arg(args, 0)?;
    Ok(list(value)?
        .iter()
        .filter(|definition| {
            let elements =
                crate::json::member(definition, "properties.permissions").and_then(Value::as_array);
            elements
                .into_iter()
                .flatten()
                .any(|element| allowed_by(element, action))
        })
        .cloned()
        .collect())
}

/// An action is allowed if one element allows it and that same element does not take it out again (arm.md section 1.9).
fn allowed_by(element: &Value, action: &str) -> bool {
    let matches = |name: &str| {
        let patterns = element
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        patterns
            .filter_map(Value::as_str)
            .any(|pattern| wildcard(pattern, action))
    };
    matches("actions") && !matches("notActions")
}

fn where_role_in(value: &Value, args: &[Value]) -> Result<Value, String> {
    let roles = list(super::filters::arg(args, 0)?)?;
    Ok(list(value)?
        .iter()
        .filter(|assignment| {
            let role = crate::json::member(assignment, "properties.roleDefinitionId")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let name = ArmId::name_of(role);
            roles
                .iter()
                .filter_map(Value::as_str)
                .any(|known| known.eq_ignore_ascii_case(name))
        })
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_azure_does() {
        for (pattern, action, expected) in [
            ("*", "Microsoft.Compute/snapshots/delete", true),
            (
                "Microsoft.Compute/*",
                "microsoft.compute/snapshots/delete",
                true,
            ),
            ("*/read", "Microsoft.Compute/snapshots/delete", false),
            ("*/delete", "Microsoft.Compute/snapshots/delete", true),
            // The last part must match at the end, wherever else it occurs.
            ("*/read", "Microsoft.X/read/y/read", true),
            ("*/read", "Microsoft.X/readers/write", false),
            (
                "Microsoft.Compute/*/write",
                "Microsoft.Compute/snapshots/delete",
                false,
            ),
            (
                "Microsoft.*/snap*/del*",
                "Microsoft.Compute/snapshots/delete",
                true,
            ),
            ("a*a", "a", false),
            (
                "Microsoft.Compute/snapshots/delete",
                "Microsoft.Compute/snapshots/delete",
                true,
            ),
            (
                "Microsoft.Compute/snapshots",
                "Microsoft.Compute/snapshots/delete",
                false,
            ),
        ] {
            assert_eq!(wildcard(pattern, action), expected, "{pattern}");
        }
    }

    #[test]
    fn what_an_element_takes_out_another_may_give() {
        let action = json!("Microsoft.Compute/snapshots/delete");
        let but = json!({"actions": ["*"], "notActions": ["Microsoft.Compute/*"]});
        let owner = json!({"properties": {"permissions": [but]}});
        assert_eq!(
            where_allows(&json!([owner]), std::slice::from_ref(&action)).unwrap(),
            json!([])
        );
        assert_eq!(
            allows(&json!([but]), std::slice::from_ref(&action)).unwrap(),
            json!(false)
        );
        let both = json!({"value": [but, {"actions": ["Microsoft.Compute/snapshots/*"]}]});
        assert_eq!(allows(&both, &[action]).unwrap(), json!(true));
    }

    #[test]
    fn assignments_are_told_in_words_and_unknown_ones_by_their_ids() {
        let roles = role_names(
            &json!([{"name": "AAA", "properties": {"roleName": "Reader"}}]),
            &[],
        )
        .unwrap();
        let users = json!([{"key": "/subscriptions/s/x/id-app", "value": {"principalId": "P1"}}]);
        let assignment = |role: &str, principal: &str| json!({"id": "a", "properties": {"roleDefinitionId": format!("/x/{role}"), "principalId": principal, "scope": "/subscriptions/s"}});
        let told = with_roles(
            &json!([assignment("aaa", "p1"), assignment("bbb", "p2")]),
            &[roles, users],
        )
        .unwrap();
        assert_eq!(told[0]["label"], "Reader on /subscriptions/s, of id-app");
        assert_eq!(told[1]["label"], "bbb on /subscriptions/s, of p2");
        assert_eq!(told[1]["properties"]["principalId"], "p2");
    }
}
