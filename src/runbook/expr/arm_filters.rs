//! Filters that know ARM ids.

use serde_json::{Value, json};

use super::filters::{arg, list, text, text_arg};
use super::language::Row;
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "arm_group",
        arm_group,
        "id | arm_group: its resource group's name",
    ),
    (
        "arm_id",
        arm_id,
        "text | arm_id: the id itself, once it is known to be one",
    ),
    ("arm_name", arm_name, "id | arm_name: its last segment"),
    (
        "arm_parent",
        arm_parent,
        "id | arm_parent: the id of what it is part of",
    ),
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
        "arm_type",
        arm_type,
        "id | arm_type: its type, as Microsoft.Compute/disks",
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
        "without_id",
        without_id,
        "list | without_id(id): the other ids",
    ),
    (
        "without_ids",
        without_ids,
        "list | without_ids([id]): the ids that are none of these",
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

fn arm_id(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(json!(id(value)?.as_str()))
}

fn arm_parent(value: &Value, _: &[Value]) -> Result<Value, String> {
    let id = id(value)?;
    id.parent()
        .map(|parent| json!(parent.as_str()))
        .ok_or_else(|| format!("{id} is part of nothing"))
}

fn arm_type(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(json!(id(value)?.resource_type()))
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

fn without_ids(value: &Value, args: &[Value]) -> Result<Value, String> {
    let unwanted = list(arg(args, 0)?)?;
    let is = |item: &Value| {
        unwanted.iter().any(|other| match (item, other) {
            (Value::String(id), Value::String(other)) => id.eq_ignore_ascii_case(other),
            _ => false,
        })
    };
    Ok(list(value)?
        .iter()
        .filter(|item| !is(item))
        .cloned()
        .collect())
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(arm_type(&json!(id), &[]).unwrap(), json!("A.B/c"));
        assert_eq!(
            arm_parent(&json!(format!("{id}/e/f")), &[]).unwrap(),
            json!(id)
        );
        for filter in [arm_group, arm_id, arm_parent, arm_type] {
            assert!(filter(&json!("not an id"), &[]).is_err());
        }
    }
}
