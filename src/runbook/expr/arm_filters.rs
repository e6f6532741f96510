//! Filters that know ARM ids and role definitions.

use serde_json::{Value, json};

use super::filters::{Row, list, text, text_arg};
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "arm_group",
        arm_group,
        "id | arm_group: its resource group's name",
    ),
    ("arm_name", arm_name, "id | arm_name: its last segment"),
    (
        "arm_scope",
        arm_scope,
        "id | arm_scope: as the start of a path; the root scope is empty",
    ),
    (
        "arm_subscription",
        arm_subscription,
        "id | arm_subscription: its subscription's id",
    ),
    (
        "has_id",
        has_id,
        "list | has_id(id): whether one of the ids is this one",
    ),
    (
        "map_arm_group_id",
        map_arm_group_id,
        "list | map_arm_group_id: of each id the id of its resource group",
    ),
    (
        "map_arm_name",
        map_arm_name,
        "list | map_arm_name: of each id the last segment",
    ),
    (
        "map_arm_subscription",
        map_arm_subscription,
        "list | map_arm_subscription: of each id the subscription, lower case",
    ),
    (
        "same_id",
        same_id,
        "id | same_id(other): whether both name one resource",
    ),
    (
        "same_ids",
        same_ids,
        "list | same_ids(other): whether both hold the same ids, in any order",
    ),
    ("unique_ids", unique_ids, "list | unique_ids: each id once"),
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
        "without_id",
        without_id,
        "list | without_id(id): the other ids",
    ),
];

fn id(value: &Value) -> Result<ArmId, String> {
    text(value)?
        .parse()
        .map_err(|error: crate::ids::NotAnArmId| error.to_string())
}

fn arm_group(value: &Value, _: &[Value]) -> Result<Value, String> {
    let id = id(value)?;
    id.resource_group()
        .map(|group| json!(group))
        .ok_or_else(|| format!("{id} lies in no resource group"))
}

fn arm_name(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(json!(ArmId::name_of(text(value)?)))
}

fn arm_scope(value: &Value, _: &[Value]) -> Result<Value, String> {
    match text(value)? {
        "/" | "" => Ok(json!("/")),
        _ => Ok(json!(id(value)?.as_str())),
    }
}

fn arm_subscription(value: &Value, _: &[Value]) -> Result<Value, String> {
    let id = id(value)?;
    id.subscription()
        .map(|subscription| json!(subscription))
        .ok_or_else(|| format!("{id} lies in no subscription"))
}

fn group_id(value: &Value) -> Result<Value, String> {
    let id = id(value)?;
    match (id.subscription(), id.resource_group()) {
        (Some(subscription), Some(group)) => Ok(json!(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}"
        ))),
        _ => Err(format!("{id} lies in no resource group")),
    }
}

fn has_id(value: &Value, args: &[Value]) -> Result<Value, String> {
    let wanted = text_arg(args, 0)?;
    Ok(json!(list(value)?.iter().any(|item| {
        item.as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(wanted))
    })))
}

fn map_arm_group_id(value: &Value, _: &[Value]) -> Result<Value, String> {
    list(value)?.iter().map(group_id).collect()
}

fn map_arm_name(value: &Value, _: &[Value]) -> Result<Value, String> {
    list(value)?
        .iter()
        .map(|item| arm_name(item, &[]))
        .collect()
}

fn map_arm_subscription(value: &Value, _: &[Value]) -> Result<Value, String> {
    list(value)?
        .iter()
        .map(|item| {
            arm_subscription(item, &[])
                .map(|found| json!(found.as_str().unwrap_or_default().to_lowercase()))
        })
        .collect()
}

fn same_id(value: &Value, args: &[Value]) -> Result<Value, String> {
    Ok(json!(text(value)?.eq_ignore_ascii_case(text_arg(args, 0)?)))
}

fn same_ids(value: &Value, args: &[Value]) -> Result<Value, String> {
    let sorted = |value: &Value| -> Result<Vec<String>, String> {
        let mut ids = list(value)?
            .iter()
            .map(|id| text(id).map(str::to_lowercase))
            .collect::<Result<Vec<_>, _>>()?;
        ids.sort();
        Ok(ids)
    };
    Ok(json!(
        sorted(value)? == sorted(super::filters::arg(args, 0)?)?
    ))
}

fn unique_ids(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut seen: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for item in list(value)? {
        let key = text(item)?.to_lowercase();
        if !key.is_empty() && !seen.contains(&key) {
            seen.push(key);
            kept.push(item.clone());
        }
    }
    Ok(Value::Array(kept))
}

fn without_id(value: &Value, args: &[Value]) -> Result<Value, String> {
    let unwanted = text_arg(args, 0)?;
    Ok(list(value)?
        .iter()
        .filter(|item| {
            !item
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(unwanted))
        })
        .cloned()
        .collect())
}

/// An action is allowed if one element allows it and that same element does not take it out again (arm.md section 1.9).
fn where_allows(value: &Value, args: &[Value]) -> Result<Value, String> {
    let action = text_arg(args, 0)?;
    let matches = |element: &Value, name: &str| {
        let patterns = element
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        patterns
            .filter_map(Value::as_str)
            .any(|pattern| wildcard(pattern, action))
    };
    Ok(list(value)?
        .iter()
        .filter(|definition| {
            let elements =
                crate::json::member(definition, "properties.permissions").and_then(Value::as_array);
            elements
                .into_iter()
                .flatten()
                .any(|element| matches(element, "actions") && !matches(element, "notActions"))
        })
        .cloned()
        .collect())
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

/// Matches an action against a pattern in which `*` stands for anything, without regard to case.
fn wildcard(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = action.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut last_was_star = false;
    for part in parts {
        last_was_star = true;
        match rest.find(part) {
            Some(at) if !part.is_empty() => {
                rest = &rest[at + part.len()..];
                last_was_star = false;
            }
            Some(_) => {}
            None => return false,
        }
    }
    last_was_star || rest.is_empty()
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
            (
                "Microsoft.Compute/*/write",
                "Microsoft.Compute/snapshots/delete",
                false,
            ),
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
        let owner = json!({"properties": {"permissions": [{"actions": ["*"], "notActions": ["Microsoft.Compute/*"]}]}});
        assert_eq!(
            where_allows(
                &json!([owner]),
                &[json!("Microsoft.Compute/snapshots/delete")]
            )
            .unwrap(),
            json!([])
        );
    }

    #[test]
    fn ids_are_compared_without_case() {
        let id = "/subscriptions/S/resourceGroups/G/providers/A.B/c/d";
        assert_eq!(
            map_arm_group_id(&json!([id]), &[]).unwrap(),
            json!(["/subscriptions/S/resourceGroups/G"])
        );
        assert_eq!(
            unique_ids(&json!([id, id.to_lowercase(), ""]), &[]).unwrap(),
            json!([id])
        );
        assert!(arm_group(&json!("not an id"), &[]).is_err());
    }
}
