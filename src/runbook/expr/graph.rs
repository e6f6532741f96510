//! Filters that know how Microsoft Graph says what an object is.

use serde_json::{Value, json};

use super::filters::{list, text_arg};
use super::language::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "of_type",
        of_type,
        "directory objects | of_type('application'): those of a type",
    ),
    (
        "policies_excepting",
        policies_excepting,
        "Conditional Access policies | policies_excepting([object id]): those in force or tried that make an exception for one of these",
    ),
];

/// A list of mixed objects names the type of each (Graph sheet section 1.11).
fn of_type(value: &Value, args: &[Value]) -> Result<Value, String> {
    let wanted = format!("#microsoft.graph.{}", text_arg(args, 0)?);
    Ok(list(value)?
        .iter()
        .filter(|object| object.get("@odata.type") == Some(&json!(wanted)))
        .cloned()
        .collect())
}

/// A policy names whom it leaves out by object id: users, groups and directory roles.
fn policies_excepting(value: &Value, args: &[Value]) -> Result<Value, String> {
    let ids = list(super::filters::arg(args, 0)?)?;
    let named = |policy: &Value, member: &str| {
        let path = format!("conditions.users.{member}");
        let left_out = crate::json::member(policy, &path).and_then(Value::as_array);
        left_out.is_some_and(|left_out| left_out.iter().any(|id| ids.contains(id)))
    };
    Ok(list(value)?
        .iter()
        .filter(|policy| policy.get("state") != Some(&json!("disabled")))
        .filter(|policy| named(policy, "excludeUsers") || named(policy, "excludeGroups"))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_by_user_or_by_group_and_only_where_the_policy_counts() {
        let policy = |name: &str, state: &str, users: Value| json!({"displayName": name, "state": state, "conditions": {"users": users}});
        let policies = json!([
            policy("a", "enabled", json!({"excludeUsers": ["u"]})),
            policy(
                "b",
                "enabledForReportingButNotEnforced",
                json!({"excludeGroups": ["g"]})
            ),
            policy("c", "disabled", json!({"excludeUsers": ["u"]})),
            policy(
                "d",
                "enabled",
                json!({"includeUsers": ["u"], "excludeUsers": ["x"]})
            ),
        ]);
        let found = policies_excepting(&policies, &[json!(["u", "g"])]).unwrap();
        assert_eq!(found, json!([policies[0], policies[1]]));
    }

    #[test]
    fn objects_of_another_type_or_none_are_left_out() {
        let objects = json!([{"@odata.type": "#microsoft.graph.application", "id": "a"}, {"@odata.type": "#microsoft.graph.group", "id": "g"}, {"id": "x"}]);
        let found = of_type(&objects, &[json!("application")]).unwrap();
        assert_eq!(found, json!([objects[0]]));
    }
}
