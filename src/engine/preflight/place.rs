//! Where something lies, as far as rights are asked for there: its resource, its resource group, its subscription.

/// Returns the resource group that a path lies in, else its subscription; above those, nothing.
pub(super) fn container(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", subscriptions, id, groups, group, ..]
            if subscriptions.eq_ignore_ascii_case("subscriptions")
                && groups.eq_ignore_ascii_case("resourceGroups")
                && !group.is_empty() =>
        {
            Some(format!("/subscriptions/{id}/resourceGroups/{group}"))
        }
        _ => subscription(path),
    }
}

/// Returns the subscription that a path lies in.
pub(super) fn subscription(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", subscriptions, id, ..]
            if subscriptions.eq_ignore_ascii_case("subscriptions") && !id.is_empty() =>
        {
            Some(format!("/subscriptions/{id}"))
        }
        _ => None,
    }
}

/// Returns the resource that a path is in or on: the one right below its resource group, which is where roles are
/// assigned if not higher. What is not a resource of its own, as a tag or an assignment, has none.
pub(super) fn resource(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.get(5..9)? {
        [providers, namespace, kind, name]
            if providers.eq_ignore_ascii_case("providers")
                && !namespace.eq_ignore_ascii_case("Microsoft.Authorization")
                && !namespace.eq_ignore_ascii_case("Microsoft.Resources")
                && !name.is_empty() =>
        {
            let group = container(path)?;
            Some(format!("{group}/providers/{namespace}/{kind}/{name}"))
        }
        _ => None,
    }
}

/// Returns whether `inner` is `outer` or lies below it; the case does not count (arm.md section 1.3).
pub(super) fn within(inner: &str, outer: &str) -> bool {
    let fold = |path: &str| format!("{}/", path.trim_end_matches('/').to_ascii_lowercase());
    fold(inner).starts_with(&fold(outer))
}

/// Returns the scope of an extension resource, as a lock: what its id says before its own type.
pub(super) fn extended<'i>(id: &'i str, kind: &str) -> &'i str {
    let mark = format!("/providers/{kind}/").to_ascii_lowercase();
    let at = id.to_ascii_lowercase().rfind(&mark);
    at.map_or("", |at| &id[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_placed_in_its_group_and_on_its_resource() {
        let nsg =
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.Network/networkSecurityGroups/n";
        let group = "/subscriptions/s/resourceGroups/g";
        let rule = format!("{nsg}/securityRules/r");
        assert_eq!(container(&rule).as_deref(), Some(group));
        let placed = resource(&rule).unwrap();
        assert!(within(&placed, nsg) && within(nsg, &placed));
        for path in [
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Authorization/locks/l",
            "/subscriptions/s/resourceGroups/g",
            "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/r",
            "/providers/Microsoft.Management/managementGroups/m",
        ] {
            assert_eq!(resource(path), None, "{path}");
        }
        assert_eq!(container("/subscriptions/s"), subscription(nsg));
        assert_eq!(
            container("/providers/Microsoft.Management/managementGroups/m"),
            None
        );
        assert!(!within("/subscriptions/s/resourceGroups/gg", group));
        assert_eq!(
            extended(
                &format!("{nsg}/providers/microsoft.authorization/LOCKS/l"),
                "Microsoft.Authorization/locks"
            ),
            nsg
        );
    }
}
