//! What a request to Microsoft Graph costs in resource units (graph-and-data-planes.md section 4, "base cost").

/// What reading costs by the last name of the path that is no key.
const READS: [(&str, u32); 9] = [
    ("users", 2),
    ("applications", 2),
    ("members", 3),
    ("transitivemembers", 5),
    ("memberof", 2),
    // Not in the list that was found; taken to cost what `memberOf` does.
    ("transitivememberof", 2),
    ("oauth2permissiongrants", 2),
    ("approleassignments", 2),
    ("ownedobjects", 2),
];

/// What a question by POST costs, by its action.
const QUESTIONS: [(&str, u32); 5] = [
    ("getbyids", 3),
    ("checkmembergroups", 4),
    ("checkmemberobjects", 4),
    ("getmembergroups", 1),
    ("getmemberobjects", 1),
];

/// A page of fewer items than this is cheaper.
const SHORT_PAGE: u32 = 20;

/// Returns whether a request counts as a write: by its method, but for the POSTs that ask.
pub(crate) fn writes(method: &str, path: &str) -> bool {
    let action = path.trim_matches('/').rsplit('/').next();
    let asks = |action: &str| {
        QUESTIONS
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(action))
    };
    match method {
        "GET" | "HEAD" => false,
        "POST" => !action.is_some_and(asks),
        _ => true,
    }
}

/// Returns the units of one request, by method, path below the version, and decoded query.
pub(crate) fn cost<'a>(
    method: &str,
    path: &str,
    query: impl Iterator<Item = (&'a str, &'a str)>,
) -> u32 {
    let path = path.trim_matches('/').to_ascii_lowercase();
    let mut names = path.rsplit('/');
    let last = names.next().unwrap_or_default();
    let before = names.next().unwrap_or_default();
    let of = |known: &[(&str, u32)], name: &str| {
        known
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, cost)| *cost)
    };
    if method == "POST" {
        return of(&QUESTIONS, last).unwrap_or(1);
    }
    if method != "GET" {
        return 1;
    }
    // `users/{id}` costs what `users` does; what lies below a user has a cost of its own.
    let mut cost = of(&READS, last)
        .or_else(|| of(&READS, before).filter(|_| matches!(before, "users" | "applications")))
        .unwrap_or(1);
    for (name, value) in query {
        match name.trim_start_matches('$').to_ascii_lowercase().as_str() {
            "select" => cost = cost.saturating_sub(1),
            "expand" => cost += 1,
            "top" if value.parse().is_ok_and(|top: u32| top < SHORT_PAGE) => {
                cost = cost.saturating_sub(1);
            }
            _ => {}
        }
    }
    cost.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_what_is_documented() {
        for (method, address, units) in [
            ("GET", "/users/a", 2),
            ("GET", "/users?$filter=x", 2),
            ("GET", "/users/a?$select=id", 1),
            ("GET", "/users/a/memberOf", 2),
            ("GET", "/users/a/devices", 1),
            ("GET", "/groups/g/members?$top=5&$select=id", 1),
            ("GET", "/groups/g/transitiveMembers?$expand=x", 6),
            ("GET", "/applications/a/owners", 1),
            ("POST", "/directoryObjects/getByIds", 3),
            ("POST", "/users/a/checkMemberGroups", 4),
            ("POST", "/users/a/revokeSignInSessions", 1),
            ("PATCH", "/users/a", 1),
            ("DELETE", "/oauth2PermissionGrants/x", 1),
        ] {
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            let query = query.split('&').filter_map(|pair| pair.split_once('='));
            assert_eq!(cost(method, path, query), units, "{method} {address}");
        }
    }
}
