//! The action that a request to Resource Manager is, by its method and path; and what a role's patterns allow.

/// Returns the action that a request asks the caller to be allowed, as `Microsoft.Compute/snapshots/write`; of a path
/// that names no resource, nothing.
pub(crate) fn action_of(method: &str, path: &str) -> Option<String> {
    let path = path.split(['?', ' ']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let provider = segments
        .iter()
        .rposition(|segment| segment.eq_ignore_ascii_case("providers"));
    match provider {
        Some(at) => of_provider(verb(method), &segments[at + 1..]),
        None => of_container(verb(method), &segments),
    }
}

/// Returns the last part of an action by the method.
pub(super) fn verb(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        _ => "action",
    }
}

/// Returns the action on what comes after `providers`: a namespace, then types and names in turn.
pub(super) fn of_provider(verb: &str, segments: &[&str]) -> Option<String> {
    let (namespace, rest) = segments.split_first()?;
    let mut types: Vec<&str> = rest.iter().copied().step_by(2).collect();
    if verb == "action" && rest.len().is_multiple_of(2) {
        types.extend(rest.last().filter(|_| !rest.is_empty()));
    }
    Some(
        match (namespace.to_ascii_lowercase().as_str(), types.as_slice()) {
            (_, []) => return None,
            // The operation's name is not in its path (arm.md section 5).
            ("microsoft.insights", ["eventtypes", ..]) => {
                "Microsoft.Insights/eventtypes/values/read".to_owned()
            }
            ("microsoft.resourcegraph", _) => "Microsoft.ResourceGraph/resources/read".to_owned(),
            _ => format!("{namespace}/{}/{verb}", types.join("/")),
        },
    )
}

/// Returns the action on a subscription or resource group, which have no provider in their paths.
pub(super) fn of_container(verb: &str, segments: &[&str]) -> Option<String> {
    let kind = match segments {
        [subscriptions] | [subscriptions, _]
            if subscriptions.eq_ignore_ascii_case("subscriptions") =>
        {
            "subscriptions"
        }
        [_, _, groups] | [_, _, groups, _] if groups.eq_ignore_ascii_case("resourcegroups") => {
            "subscriptions/resourceGroups"
        }
        _ => return None,
    };
    Some(format!("Microsoft.Resources/{kind}/{verb}"))
}

/// Whether a pattern of a role means an action: `*` stands for any text, over any number of segments, and the case does
/// not count (arm.md section 1.9).
pub(crate) fn means(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut left) = parts.next().and_then(|first| action.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.rfind('*').map(|at| &pattern[at + 1..]) else {
        return left.is_empty();
    };
    let mut between: Vec<&str> = parts.collect();
    between.pop();
    for part in between {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_spans_segments_whatever_the_case() {
        for (pattern, action, yes) in [
            ("*", "Microsoft.Compute/disks/read", true),
            ("*/read", "microsoft.compute/disks/READ", true),
            ("*/read", "Microsoft.Compute/disks/write", false),
            ("Microsoft.Compute/*", "Microsoft.Compute/a/b/write", true),
            ("Microsoft.Compute/*", "Microsoft.ComputeX/a/write", false),
            (
                "Microsoft.Authorization/*/Delete",
                "Microsoft.Authorization/locks/delete",
                true,
            ),
            ("a/*/b/*/c", "a/1/2/b/3/c", true),
            ("ab*ba", "aba", false),
            ("a/b", "A/B", true),
            ("a/b", "a/b/c", false),
            ("", "a/b", false),
        ] {
            assert_eq!(means(pattern, action), yes, "{pattern} {action}");
        }
    }

    #[test]
    fn an_action_is_known_by_the_request() {
        let vm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";
        for (method, path, action) in [
            (
                "PATCH",
                vm.to_owned(),
                "Microsoft.Compute/virtualMachines/write",
            ),
            (
                "POST",
                format!("{vm}/deallocate"),
                "Microsoft.Compute/virtualMachines/deallocate/action",
            ),
            (
                "PATCH",
                format!("{vm}/providers/Microsoft.Resources/tags/default"),
                "Microsoft.Resources/tags/write",
            ),
            (
                "PUT",
                "/subscriptions/s/resourcegroups/g".to_owned(),
                "Microsoft.Resources/subscriptions/resourceGroups/write",
            ),
        ] {
            assert_eq!(action_of(method, &path).as_deref(), Some(action));
        }
        assert_eq!(action_of("PATCH", "/v1.0/users/a"), None);
    }
}
