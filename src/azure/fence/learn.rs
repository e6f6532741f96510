//! What answers tell of the drill's own things: the hosts of its vaults and accounts, and objects that belong to those
//! that it made.
//!
//! An object with a collection of its own, as a consent, is known when an answer says whose it is and that one is
//! known; where the answer does not say so (a `$select` left it out), it stays unknown and is refused.

use serde_json::Value;
use url::Url;

use super::address::segments;
use super::graph::{below_version, makes};
use super::guard::Fence;
use crate::azure::request::Response;
use crate::ids::ArmId;
use crate::json::member;

/// Takes in the hosts of vaults and storage accounts that lie inside (arm.md sections 3 and 4).
pub(super) fn hosts(fence: &Fence, response: &Response) {
    for resource in each(&read(response)) {
        let Some(address) = address_of(fence, resource) else {
            continue;
        };
        // What is no address is no host either.
        let _ = fence.allow_host(address);
    }
}

/// Returns the address of a vault or account, where it is the exercise's.
fn address_of<'a>(fence: &Fence, resource: &'a Value) -> Option<&'a str> {
    let id: ArmId = resource.get("id")?.as_str()?.parse().ok()?;
    let path = match id.resource_type().to_ascii_lowercase().as_str() {
        "microsoft.keyvault/vaults" => "properties.vaultUri",
        "microsoft.storage/storageaccounts" => "properties.primaryEndpoints.blob",
        _ => return None,
    };
    let address = member(resource, path)?.as_str()?;
    let url = Url::parse(address).ok()?;
    let label = url.host_str()?.split('.').next()?;
    // Each has its own name at the head of its host.
    (label.eq_ignore_ascii_case(id.name()) && fence.is_own(id.as_str())).then_some(address)
}

/// Takes in the directory objects that a write has made, and those that belong to known ones.
pub(super) fn objects(fence: &Fence, method: &str, url: &Url, response: &Response) {
    let Ok(path) = segments(url) else {
        return;
    };
    let Ok(path) = below_version(&path) else {
        return;
    };
    let body = read(response);
    if method == "POST" {
        // The fence let it through, so that what was made is the drill's.
        if makes(path) {
            allow(fence, &body, &["id", "appId"]);
        }
        return;
    }
    if method != "GET" {
        return;
    }
    let words: Vec<String> = path.iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for object in each(&body) {
        let knows = |name: &str| {
            let id = object.get(name).and_then(Value::as_str);
            id.is_some_and(|id| fence.knows(id))
        };
        let has = |name: &str| object.get(name).is_some_and(Value::is_string);
        let belongs = match words[..] {
            ["users", id, "owneddevices" | "registereddevices"] => fence.knows(id),
            // The principal that the tenant has for an application of the drill.
            ["applications" | "serviceprincipals", ..] if has("appId") => knows("appId"),
            _ if has("consentType") => {
                knows("principalId") || (knows("clientId") && object["principalId"].is_null())
            }
            _ if has("roleDefinitionId") => knows("principalId"),
            _ => false,
        };
        if belongs {
            allow(fence, object, &["id"]);
        }
    }
}

fn allow(fence: &Fence, object: &Value, names: &[&str]) {
    let ids = names.iter().filter_map(|name| object.get(*name)?.as_str());
    ids.for_each(|id| fence.allow(id));
}

fn read(response: &Response) -> Value {
    if response.status < 300 {
        serde_json::from_slice(&response.body).unwrap_or_default()
    } else {
        Value::Null
    }
}

/// Returns the objects of an answer: those of its list, or itself.
fn each(body: &Value) -> impl Iterator<Item = &Value> {
    let list = body.get("value").and_then(Value::as_array);
    let alone = list.is_none().then_some(body);
    list.into_iter().flatten().chain(alone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "33333333-3333-4333-8333-333333333333";
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";

    fn answer(status: u16, body: &Value) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: body.to_string().into(),
            host: "h".to_owned(),
            read_back: false,
        }
    }

    fn told(fence: &Fence, method: &str, path: &str, body: &Value) {
        let url = Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap();
        objects(fence, method, &url, &answer(201, body));
    }

    #[test]
    fn the_host_of_a_vault_is_known_when_it_lies_inside() {
        let fence = Fence::new([OWN.to_owned()]);
        let at = |subscription: &str, kind: &str, name: &str| {
            format!("/subscriptions/{subscription}/resourceGroups/g/providers/{kind}/{name}")
        };
        let vault = |id: String, uri: &str| json!({"id": id, "properties": {"vaultUri": uri}});
        let list = json!({"value": [
            vault(at(OWN, "Microsoft.KeyVault/vaults", "kv-own"), "https://kv-own.vault.azure.net/"),
            vault(at(OTHER, "Microsoft.KeyVault/vaults", "kv-prod"), "https://kv-prod.vault.azure.net/"),
            // What somebody may write into a resource of his own.
            vault(at(OWN, "Microsoft.KeyVault/vaults", "kv-odd"), "https://kv-victim.vault.azure.net/"),
            vault(at(OWN, "A.B/c", "kv-other"), "https://kv-other.vault.azure.net/"),
        ]});
        hosts(&fence, &answer(200, &list));
        let account = json!({"id": at(OTHER, "Microsoft.Storage/storageAccounts", "stev"), "properties": {"primaryEndpoints": {"blob": "https://stev.blob.core.windows.net/"}}});
        let knows = |address: &str| {
            let url = Url::parse(address).unwrap();
            fence.has_host(&url, &["x".to_owned()])
        };
        hosts(&fence, &answer(200, &account));
        assert!(!knows("https://stev.blob.core.windows.net/x"));
        fence.allow_account(&at(OTHER, "Microsoft.Storage/storageAccounts", "STEV/"));
        hosts(&fence, &answer(404, &account));
        assert!(!knows("https://stev.blob.core.windows.net/x"));
        hosts(&fence, &answer(200, &account));
        assert!(knows("https://stev.blob.core.windows.net/x"));
        assert!(knows("https://kv-own.vault.azure.net/x"));
        for host in ["kv-prod", "kv-odd", "kv-victim", "kv-other"] {
            assert!(
                !knows(&format!("https://{host}.vault.azure.net/x")),
                "{host}"
            );
        }
    }

    #[test]
    fn what_was_made_is_known_and_what_is_read_only_where_it_says_whose_it_is() {
        let fence = Fence::new([]);
        told(&fence, "POST", "users", &json!({"id": "u1"}));
        told(
            &fence,
            "POST",
            "applications",
            &json!({"id": "a1", "appId": "c1"}),
        );
        told(
            &fence,
            "POST",
            "users/u1/authentication/phoneMethods",
            &json!({"id": "p1"}),
        );
        told(&fence, "PATCH", "users/u1", &json!({"id": "u9"}));
        told(&fence, "GET", "users", &json!({"value": [{"id": "u2"}]}));
        told(
            &fence,
            "GET",
            "users/u2/ownedDevices",
            &json!({"value": [{"id": "d2"}]}),
        );
        told(
            &fence,
            "GET",
            "users/U1/ownedDevices",
            &json!({"value": [{"id": "d1"}]}),
        );
        told(
            &fence,
            "GET",
            "servicePrincipals",
            &json!({"value": [{"id": "s1", "appId": "c1"}, {"id": "s2", "appId": "c2"}]}),
        );
        told(
            &fence,
            "GET",
            "auditLogs/signIns",
            &json!({"value": [{"id": "l1", "appId": "c1"}]}),
        );
        let grants = json!({"value": [
            {"id": "g1", "clientId": "s9", "consentType": "Principal", "principalId": "u1"},
            {"id": "g2", "clientId": "s9", "consentType": "Principal", "principalId": "u2"},
            {"id": "g3", "clientId": "s1", "consentType": "AllPrincipals", "principalId": null},
            {"id": "g4", "clientId": "s9", "consentType": "AllPrincipals", "principalId": null},
            {"id": "g5"},
            // Somebody else consented to the drill's application: that is his.
            {"id": "g6", "clientId": "s1", "consentType": "Principal", "principalId": "u2"},
        ]});
        told(&fence, "GET", "oauth2PermissionGrants", &grants);
        let roles = json!({"value": [
            {"id": "r1", "principalId": "u1", "roleDefinitionId": "x"},
            {"id": "r2", "principalId": "u2", "roleDefinitionId": "x"},
        ]});
        told(
            &fence,
            "GET",
            "roleManagement/directory/roleAssignments",
            &roles,
        );
        for own in ["u1", "a1", "c1", "d1", "s1", "g1", "g3", "r1"] {
            assert!(fence.knows(own), "{own}");
        }
        for other in [
            "p1", "u9", "u2", "d2", "s2", "l1", "g2", "g4", "g5", "g6", "r2",
        ] {
            assert!(!fence.knows(other), "{other}");
        }
    }
}
