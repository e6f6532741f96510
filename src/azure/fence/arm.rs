//! Resource Manager: a write lies in a subscription of the exercise, and so does everything that it names.

use serde_json::Value;
use url::Url;

use super::address::{continues, segments};
use super::guard::Fence;
use super::text::{cut, foreign};
use crate::azure::request::RequestParts;

/// What is written by a template, wherever it says, and what runs a script with an identity of its own: the fence sees
/// the order and not what comes of it.
const TEMPLATES: [&str; 3] = ["deployments", "deploymentscripts", "deploymentstacks"];

/// Refuses what lies, or names something, outside.
pub(super) fn inside(fence: &Fence, parts: &RequestParts, url: &Url) -> Result<(), String> {
    let path = segments(url)?;
    if !lies_within(fence, &path) {
        return Err("it lies outside the subscriptions for exercises".to_owned());
    }
    let is_own = |id: &str| fence.has_subscription(id);
    if let Some(what) = foreign(&format!("/{}", path.join("/")), &is_own) {
        return Err(outside("path", &what));
    }
    let deploys = |at: usize| {
        continues(&path, at, &["providers", "microsoft.resources"])
            && path
                .get(at + 2)
                .is_some_and(|kind| TEMPLATES.iter().any(|one| kind.eq_ignore_ascii_case(one)))
    };
    if (0..path.len()).any(deploys) {
        return Err(
            "what a deployment writes stands in its template, which may be anywhere".to_owned(),
        );
    }
    let account = |at: usize| {
        continues(
            &path,
            at,
            &["providers", "microsoft.storage", "storageaccounts"],
        )
        .then(|| path.get(at + 3))
        .flatten()
    };
    let accounts = (0..path.len()).filter_map(account);
    if let Some(kept) = accounts
        .into_iter()
        .find(|name| fence.is_kept_out(name, None))
    {
        return Err(format!(
            "in storage account {kept} production keeps its evidence"
        ));
    }
    if let Some(what) = url.query().and_then(|query| foreign(query, &is_own)) {
        return Err(outside("query", &what));
    }
    for (name, value) in &parts.headers {
        if let Some(what) = foreign(name, &is_own).or_else(|| foreign(value, &is_own)) {
            return Err(outside(&format!("header {name}"), &what));
        }
    }
    let Some(body) = &parts.body else {
        return Ok(());
    };
    if let Some(what) = foreign(&String::from_utf8_lossy(body), &is_own) {
        return Err(outside("body", &what));
    }
    match serde_json::from_slice(body) {
        Ok(body) => apart(fence, "", &body),
        // It was looked at as the text that it is.
        Err(_) => Ok(()),
    }
}

fn outside(part: &str, what: &str) -> String {
    format!("its {part} names {what}, which lies outside the subscriptions for exercises")
}

/// Returns whether a resource id lies in a subscription of the exercise.
pub(super) fn is_within(fence: &Fence, id: &str) -> bool {
    let path: Vec<String> = id.split('/').skip(1).map(str::to_owned).collect();
    let clean = !path
        .iter()
        .any(|segment| matches!(segment.as_str(), "" | "." | ".."));
    id.starts_with('/') && clean && !id.contains('%') && lies_within(fence, &path)
}

fn lies_within(fence: &Fence, path: &[String]) -> bool {
    continues(path, 0, &["subscriptions"])
        && path.get(1).is_some_and(|id| fence.has_subscription(id))
}

/// Refuses a subscription that is named by its id alone: `subscriptionId` beside a group's name is an address too.
fn apart(fence: &Fence, member: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => {
            let member = member.to_ascii_lowercase();
            let names = [
                "subscription",
                "subscriptionid",
                "subscriptionids",
                "subscriptions",
            ];
            let is_name = names.iter().any(|name| member.ends_with(name));
            let id = text.trim_matches('/');
            let id = id.strip_prefix("subscriptions/").unwrap_or(id);
            if is_name && !id.is_empty() && !fence.has_subscription(id) {
                return Err(outside("body", &format!("subscription {}", cut(id))));
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| apart(fence, member, item)),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, value)| apart(fence, name, value)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::request::{Effect, Plane};

    const OWN: &str = "33333333-3333-4333-8333-333333333333";
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";

    fn parts(method: &str, path: &str, body: Option<&str>) -> RequestParts {
        RequestParts {
            plane: Plane::Arm,
            method: method.to_owned(),
            path_or_url: path.to_owned(),
            query: Vec::new(),
            api_version: Some("2024-11-01".to_owned()),
            headers: Vec::new(),
            body: body.map(|body| bytes::Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    fn refused(parts: &RequestParts) -> Option<String> {
        let fence = Fence::new([OWN.to_uppercase()]).keeping_out_of("STProd", "ir-evidence");
        let base = Url::parse("https://management.azure.com").unwrap();
        // Whatever does not even become an address is refused before.
        let url = parts.url(Some(&base)).unwrap();
        let checked = fence.check(parts, &url, Effect::Update);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn what_lies_in_the_exercise_is_written_in_any_case() {
        let group = format!("/subscriptions/{OWN}/resourceGroups/rg-drill");
        for (path, body) in [
            (group.clone(), None),
            (format!("{group}/"), None),
            (group.to_uppercase(), Some("{}".to_owned())),
            (
                format!("{group}/providers/Microsoft.Network/networkInterfaces/nic%20(1)"),
                Some(format!(r#"{{"properties":{{"networkSecurityGroup":{{"id":"{group}/x"}}}}}}"#)),
            ),
            (
                format!("{group}/providers/Microsoft.Authorization/roleAssignments/x"),
                Some(r#"{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/x"}}"#.to_owned()),
            ),
            (
                format!("{group}/providers/Microsoft.Compute/snapshots/s"),
                Some(format!(r#"{{"subscriptionId":"{OWN}"}}"#)),
            ),
        ] {
            let parts = parts("PUT", &path, body.as_deref());
            assert_eq!(refused(&parts), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let own = format!("/subscriptions/{OWN}");
        for path in [
            format!("/subscriptions/{OTHER}/resourceGroups/g"),
            format!("/subscriptions/{OWN}0/resourceGroups/g"),
            format!("/subscriptions/{OWN};x/resourceGroups/g"),
            format!("/subscriptions/{OWN}%2f..%2f{OTHER}/resourceGroups/g"),
            format!("/subscriptions/{OWN}%252f..%252f{OTHER}/resourceGroups/g"),
            format!("/subscriptions%2f{OTHER}/resourceGroups/g"),
            format!("{own}/../{OTHER}/resourceGroups/g"),
            format!("{own}/%2e%2E/{OTHER}/resourceGroups/g"),
            format!("{own}//resourceGroups/g"),
            format!("{own}/resourceGroups/g%00"),
            format!("{own}/resourceGroups/g/providers/A.B/c/d/subscriptions/{OTHER}"),
            format!("{own}/resourceGroups/g/providers/A.B/c/d/providers/subscriptions/{OTHER}"),
            format!("{own}/providers/Microsoft.Management/managementGroups/top"),
            format!("/providers/Microsoft.Management/managementGroups/top/subscriptions/{OWN}"),
            "/providers/Microsoft.Authorization/elevateAccess".to_owned(),
            "/subscriptions".to_owned(),
            "/".to_owned(),
            format!("{own}/providers/Microsoft.Resources/deployments/d"),
            format!("{own}/resourceGroups/g/providers/microsoft.resources/deploymentStacks/d"),
            format!(
                "{own}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/stprod/regenerateKey"
            ),
        ] {
            for method in ["PUT", "POST", "PATCH", "DELETE"] {
                let said = refused(&parts(method, &path, None));
                assert!(
                    said.is_some_and(|said| said.contains("refused")),
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn a_write_that_names_something_elsewhere_is_refused() {
        let path =
            format!("/subscriptions/{OWN}/resourceGroups/g/providers/Microsoft.Compute/disks/d");
        let other = format!("/subscriptions/{OTHER}/resourceGroups/p");
        for body in [
            format!(r#"{{"properties":{{"creationData":{{"sourceResourceId":"{other}"}}}}}}"#),
            format!(r#"{{"a":[{{"b":[["x","{other}"]]}}]}}"#),
            format!(r#"{{"{other}":1}}"#),
            format!(r#"{{"query":"Resources | where id == '{other}'"}}"#),
            format!(r#"{{"inner":"{{\"id\":\"\\/subscriptions\\/{OTHER}\"}}"}}"#),
            // A member that is there twice is kept once here, and the service may keep the other.
            format!(r#"{{"id":"{other}","id":"/subscriptions/{OWN}"}}"#),
            format!(r#"{{"subscriptionId":"{OTHER}","resourceGroup":"p"}}"#),
            format!(r#"{{"targetSubscriptionIds":["{OTHER}"]}}"#),
            r#"{"subscriptionId":"[parameters('where')]"}"#.to_owned(),
            r#"{"assignableScopes":["/providers/Microsoft.Management/managementGroups/top"]}"#
                .to_owned(),
            format!("no JSON, but {other}"),
        ] {
            let said = refused(&parts("PUT", &path, Some(&body)));
            assert!(
                said.is_some_and(|said| said.contains("its body names")),
                "{body}"
            );
        }
        let mut asked = parts("POST", &path, None);
        asked.query = vec![("from".to_owned(), other.clone())];
        assert!(refused(&asked).unwrap().contains("its query names"));
        asked.query.clear();
        asked.headers = vec![("x-ms-source".to_owned(), other)];
        assert!(
            refused(&asked)
                .unwrap()
                .contains("header x-ms-source names")
        );
    }

    #[test]
    fn a_fence_around_nothing_holds_nothing() {
        let fence = Fence::new(["  ".to_owned()]);
        let base = Url::parse("https://management.azure.com").unwrap();
        for path in ["/subscriptions/", "/subscriptions/%20/x", "/x"] {
            let parts = parts("PUT", path, None);
            let url = parts.url(Some(&base)).unwrap();
            assert!(fence.check(&parts, &url, Effect::Update).is_err(), "{path}");
            assert!(
                fence.check(&parts, &url, Effect::Read).is_err(),
                "a PUT is none"
            );
        }
        let read = parts("GET", &format!("/subscriptions/{OTHER}"), None);
        let url = read.url(Some(&base)).unwrap();
        assert!(fence.check(&read, &url, Effect::Read).is_ok());
    }
}
