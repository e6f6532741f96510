//! How two values of a resource differ, less what the service writes by itself.

use serde_json::Value;

/// Members that the service writes by itself; a difference in them is no change by anybody.
const VOLATILE: [&str; 4] = ["etag", "provisioningState", "resourceGuid", "timeModified"];

/// Compares two values; ids are compared as ids, without regard to case (arm.md section 1.3).
pub(super) fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) if a.starts_with('/') => {
            a.eq_ignore_ascii_case(b)
        }
        // What the service makes anew at every change, also inside a member (arm.md section 2.5).
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let lasting = |name: &&String| !VOLATILE.contains(&name.as_str());
            let mut names = a.keys().chain(b.keys()).filter(lasting);
            names.all(|name| same(a.get(name), b.get(name)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (a, b) => a == b,
    }
}

/// Compares two values as [`same`], null being the same as absent.
pub(crate) fn same_values(a: &Value, b: &Value) -> bool {
    let present = |value: &'_ Value| !value.is_null();
    same(
        Some(a).filter(|value| present(value)),
        Some(b).filter(|value| present(value)),
    )
}

/// Collects the paths at which `a` and `b` differ, less `skip` and what the service writes by itself.
pub(super) fn differences(
    path: &str,
    a: &Value,
    b: &Value,
    skip: &[&str],
    found: &mut Vec<String>,
) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a
                .keys()
                .chain(b.keys().filter(|name| !a.contains_key(*name)))
            {
                let inner = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                if VOLATILE.contains(&name.as_str()) || skip.contains(&inner.as_str()) {
                    continue;
                }
                let null = Value::Null;
                differences(
                    &inner,
                    a.get(name).unwrap_or(&null),
                    b.get(name).unwrap_or(&null),
                    skip,
                    found,
                );
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (index, (x, y)) in x.iter().zip(y).enumerate() {
                differences(&format!("{path}[{index}]"), x, y, skip, found);
            }
        }
        _ if same(Some(a), Some(b)) => {}
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_neighbour_member_is_found_and_an_etag_is_not() {
        let before = json!({"etag": "1", "properties": {"nsg": {"id": "/a"}, "dns": ["x"], "ip": [{"etag": "q", "v": 1}]}});
        let after = json!({"etag": "2", "properties": {"nsg": {"id": "/b"}, "dns": [], "ip": [{"etag": "r", "v": 2}]}});
        let mut found = Vec::new();
        differences("", &before, &after, &["properties.nsg"], &mut found);
        assert_eq!(found, ["properties.dns", "properties.ip[0].v"]);
    }
}
