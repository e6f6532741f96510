//! The POSTs that only read: a closed list, for what is not on it cannot be sent while planning.

use serde_json::Value;

use super::request::{Plane, RequestParts};

/// By plane and the end of the path, in lower case (arm.md sections 1.9, 2.5, 5.6, 7; graph-and-data-planes.md 1.11, 7).
const READING_POSTS: [(Plane, &str); 16] = [
    (Plane::Arm, "/checknameavailability"),
    (Plane::Arm, "/effectivenetworksecuritygroups"),
    (Plane::Arm, "/effectiveroutetable"),
    (Plane::Arm, "/providers/microsoft.costmanagement/query"),
    (
        Plane::Arm,
        "/providers/microsoft.policyinsights/checkpolicyrestrictions",
    ),
    (Plane::Arm, "/providers/microsoft.resourcegraph/resources"),
    (Plane::Graph, "/checkmembergroups"),
    (Plane::Graph, "/checkmemberobjects"),
    (Plane::Graph, "/directoryobjects/getbyids"),
    (Plane::Graph, "/getmembergroups"),
    (Plane::Graph, "/getmemberobjects"),
    (
        Plane::Graph,
        "/security/microsoft.graph.security.runhuntingquery",
    ),
    (Plane::Graph, "/security/runhuntingquery"),
    (Plane::Graph, "/serviceprincipals/getbyids"),
    (Plane::Graph, "/users/getbyids"),
    (Plane::Logs, "/query"),
];

/// The members of a batch's item; others could mean a second method to a service that reads names without case.
const ITEM_MEMBERS: [&str; 6] = ["id", "method", "url", "headers", "body", "dependsOn"];

/// Returns whether a POST is known to change nothing.
pub(crate) fn is_reading_post(parts: &RequestParts) -> bool {
    let path = path_of(&parts.path_or_url);
    if parts.plane == Plane::Graph && path.ends_with("/$batch") {
        return is_reading_batch(parts);
    }
    ends_as_read(parts.plane, &path) || is_workspace_query(parts.plane, &path)
}

fn ends_as_read(plane: Plane, path: &str) -> bool {
    READING_POSTS
        .iter()
        .any(|(known, end)| *known == plane && path.ends_with(end))
}

/// Log Analytics by way of ARM: `{workspace}/query`.
fn is_workspace_query(plane: Plane, path: &str) -> bool {
    let query = || {
        let (_, rest) = path.split_once("/providers/microsoft.operationalinsights/workspaces/")?;
        let (workspace, action) = rest.split_once('/')?;
        Some(!workspace.is_empty() && action == "query")
    };
    plane == Plane::Arm && query().unwrap_or(false)
}

/// A batch reads if each of its items does, and if its text cannot be understood in two ways.
fn is_reading_batch(parts: &RequestParts) -> bool {
    let Some(bytes) = &parts.body else {
        return false;
    };
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    // A member written twice is kept once here, and the service may keep the other one.
    if body.to_string().len() != without_space(bytes) {
        return false;
    }
    let only_requests = body.as_object().is_some_and(|members| members.len() == 1);
    let items = body.get("requests").and_then(Value::as_array);
    only_requests && items.is_some_and(|items| items.iter().all(is_reading_item))
}

fn is_reading_item(item: &Value) -> bool {
    let Some(members) = item.as_object() else {
        return false;
    };
    if !members
        .keys()
        .all(|name| ITEM_MEMBERS.contains(&name.as_str()))
    {
        return false;
    }
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let overridden = item
        .get("headers")
        .and_then(Value::as_object)
        .is_some_and(|headers| {
            headers
                .keys()
                .any(|name| name.to_ascii_lowercase().contains("method"))
        });
    let url = text("url");
    let plain = url.starts_with('/') && !url.contains(['#', '\\']) && !url.contains("..");
    let reads = match text("method") {
        "GET" => true,
        "POST" => ends_as_read(Plane::Graph, &path_of(url)),
        _ => false,
    };
    plain && reads && !overridden
}

/// Counts the bytes of a JSON text outside of strings that are not white space, and all inside.
pub(crate) fn without_space(bytes: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in bytes {
        if in_string || !byte.is_ascii_whitespace() {
            count += 1;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
    }
    count
}

fn path_of(address: &str) -> String {
    address
        .split('?')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(plane: Plane, path: &str, body: Option<&str>) -> bool {
        is_reading_post(&RequestParts {
            plane,
            method: "POST".to_owned(),
            path_or_url: path.to_owned(),
            query: Vec::new(),
            api_version: None,
            headers: Vec::new(),
            body: body.map(|body| bytes::Bytes::copy_from_slice(body.as_bytes())),
        })
    }

    #[test]
    fn the_list_is_closed_and_by_plane() {
        assert!(post(Plane::Graph, "/v1.0/directoryObjects/getByIds", None));
        assert!(!post(Plane::Arm, "/v1.0/directoryObjects/getByIds", None));
        assert!(post(
            Plane::Arm,
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w/query",
            None
        ));
        for path in [
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w/purge",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/listKeys",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Logic/workflows/w/query",
        ] {
            assert!(!post(Plane::Arm, path, None), "{path}");
        }
    }

    #[test]
    fn a_batch_reads_only_if_every_item_does() {
        let get = r#"{"id":"1","method":"GET","url":"/users/a"}"#;
        let groups = r#"{"id":"2","method":"POST","url":"/users/a/getMemberGroups","body":{}}"#;
        let batch = |items: &str| {
            let body = format!("{{\"requests\": [{items}]}}");
            post(Plane::Graph, "/v1.0/$batch", Some(&body))
        };
        assert!(batch(get));
        assert!(batch(&format!("{get},{groups}")));
        for bad in [
            r#"{"id":"1","method":"DELETE","url":"/users/a"}"#,
            r#"{"id":"1","method":"GET","Method":"DELETE","url":"/users/a"}"#,
            r#"{"id":"1","method":"DELETE","method":"GET","url":"/users/a"}"#,
            r#"{"id":"1","method":"POST","url":"/users/a/revokeSignInSessions"}"#,
            r#"{"id":"1","method":"POST","url":"/users/a/revokeSignInSessions#/getMemberGroups"}"#,
            r#"{"id":"1","method":"GET","url":"/users/a","headers":{"X-HTTP-Method":"DELETE"}}"#,
        ] {
            assert!(!batch(bad), "{bad}");
            assert!(!batch(&format!("{get},{bad}")), "{bad}");
        }
        assert!(!post(Plane::Graph, "/v1.0/$batch", None));
        assert!(!post(Plane::Graph, "/v1.0/$batch", Some("{")));
    }
}
