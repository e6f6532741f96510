//! What an identity's Azure roles reach: the vaults whose secrets it could read, the storage whose keys it could have
//! (arm.md section 6, Graph sheet section 6).

use serde_json::{Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::rating::{text, wildcard};
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "reachable_storage",
        reachable_storage,
        "storage accounts | reachable_storage(role assignments, role definitions): those whose keys or blobs they reach, each with why",
    ),
    (
        "reachable_vaults",
        reachable_vaults,
        "key vaults | reachable_vaults(role assignments, role definitions, [object id]): those whose secrets they reach, each with why",
    ),
];

const GET_SECRET: &str = "Microsoft.KeyVault/vaults/secrets/getSecret/action";
const CHANGE_VAULT: &str = "Microsoft.KeyVault/vaults/write";
const CHANGE_POLICIES: &str = "Microsoft.KeyVault/vaults/accessPolicies/write";
const GIVE_ROLES: &str = "Microsoft.Authorization/roleAssignments/write";
const LIST_KEYS: &str = "Microsoft.Storage/storageAccounts/listKeys/action";
const READ_BLOBS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";

fn reachable_vaults(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (assignments, definitions) = (list(arg(args, 0)?)?, list(arg(args, 1)?)?);
    let principals = list(arg(args, 2)?)?;
    Ok(list(value)?
        .iter()
        .filter_map(|vault| {
            let by_roles = crate::json::member(vault, "properties.enableRbacAuthorization") == Some(&json!(true));
            let mut why: Vec<String> = over(vault, assignments)
                .filter_map(|assignment| vault_reason(assignment, definitions, by_roles))
                .collect();
            if !by_roles {
                why.extend(policy_reasons(vault, principals));
            }
            why.sort();
            why.dedup();
            (!why.is_empty()).then(|| {
                let id = text(vault, "id");
                json!({
                    "vault_id": id, "vault_name": ArmId::name_of(id), "vault_uri": text(vault, "properties.vaultUri"),
                    "why": why.join("; "),
                })
            })
        })
        .collect())
}

fn vault_reason(assignment: &Value, definitions: &[Value], by_roles: bool) -> Option<String> {
    let role = Role::of(assignment, definitions);
    let how = if by_roles && role.data(GET_SECRET) {
        "reads its secrets"
    } else if role.control(GIVE_ROLES) {
        "may give itself the right to its secrets"
    } else if !by_roles && (role.control(CHANGE_POLICIES) || role.control(CHANGE_VAULT)) {
        "may write itself into its access policies"
    } else if by_roles && role.control(CHANGE_VAULT) {
        "may switch it to access policies and write itself into them"
    } else {
        return None;
    };
    Some(format!("{} on {} {how}", role.name, role.scope))
}

fn policy_reasons(vault: &Value, principals: &[Value]) -> Vec<String> {
    let named = |policy: &&Value| {
        let holder = text(policy, "objectId");
        principals
            .iter()
            .filter_map(Value::as_str)
            .any(|id| id.eq_ignore_ascii_case(holder))
    };
    let policies =
        crate::json::member(vault, "properties.accessPolicies").and_then(Value::as_array);
    policies
        .into_iter()
        .flatten()
        .filter(named)
        .filter_map(|policy| {
            let rights =
                crate::json::member(policy, "permissions.secrets").and_then(Value::as_array)?;
            let rights: Vec<&str> = rights.iter().filter_map(Value::as_str).collect();
            rights
                .iter()
                .any(|right| ["get", "all", "backup"].contains(&right.to_lowercase().as_str()))
                .then(|| {
                    format!(
                        "an access policy allows {} of its secrets",
                        rights.join(", ")
                    )
                })
        })
        .collect()
}

fn reachable_storage(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (assignments, definitions) = (list(arg(args, 0)?)?, list(arg(args, 1)?)?);
    Ok(list(value)?
        .iter()
        .filter_map(|account| {
            let keys = crate::json::member(account, "properties.allowSharedKeyAccess")
                != Some(&json!(false));
            let mut why: Vec<String> = over(account, assignments)
                .filter_map(|assignment| {
                    let role = Role::of(assignment, definitions);
                    let how = if role.control(GIVE_ROLES) {
                        "may give itself any right to it"
                    } else if keys && role.control(LIST_KEYS) {
                        "has its keys, which reach everything in it"
                    } else if role.data(READ_BLOBS) {
                        "reads its blobs"
                    } else {
                        return None;
                    };
                    Some(format!("{} on {} {how}", role.name, role.scope))
                })
                .collect();
            why.sort();
            why.dedup();
            let id = text(account, "id");
            (!why.is_empty())
                .then(|| json!({"id": id, "name": ArmId::name_of(id), "why": why.join("; ")}))
        })
        .collect())
}

/// Returns the assignments whose scope holds a resource.
fn over<'a>(resource: &'a Value, assignments: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let id = text(resource, "id").to_lowercase();
    assignments.iter().filter(move |assignment| {
        let scope = text(assignment, "properties.scope")
            .trim_end_matches('/')
            .to_lowercase();
        // What lies at the root or a management group reaches every subscription in it; azir only sees those.
        scope.is_empty()
            || scope.starts_with("/providers/microsoft.management/")
            || id == scope
            || id
                .strip_prefix(&scope)
                .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// A role as it is assigned.
struct Role<'a> {
    name: &'a str,
    scope: &'a str,
    permissions: Vec<&'a Value>,
}

impl<'a> Role<'a> {
    fn of(assignment: &'a Value, definitions: &'a [Value]) -> Self {
        let id = ArmId::name_of(text(assignment, "properties.roleDefinitionId"));
        let found = definitions
            .iter()
            .find(|one| text(one, "name").eq_ignore_ascii_case(id));
        let name = found.map_or("", |one| text(one, "properties.roleName"));
        let scope = text(assignment, "properties.scope");
        let permissions = found
            .and_then(|one| crate::json::member(one, "properties.permissions"))
            .and_then(Value::as_array);
        Self {
            name: if name.is_empty() { id } else { name },
            scope: if scope.is_empty() { "/" } else { scope },
            permissions: permissions.into_iter().flatten().collect(),
        }
    }

    fn control(&self, action: &str) -> bool {
        self.allows("actions", "notActions", action)
    }

    fn data(&self, action: &str) -> bool {
        self.allows("dataActions", "notDataActions", action)
    }

    fn allows(&self, given: &str, taken: &str, action: &str) -> bool {
        let matches = |element: &Value, name: &str| {
            let patterns = element.get(name).and_then(Value::as_array);
            patterns
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .any(|pattern| wildcard(pattern, action))
        };
        self.permissions
            .iter()
            .any(|element| matches(element, given) && !matches(element, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str, permissions: Value) -> Value {
        json!({"name": name, "properties": {"roleName": name, "permissions": [permissions]}})
    }

    fn assignment(role: &str, scope: &str) -> Value {
        json!({"properties": {"roleDefinitionId": format!("/x/{role}"), "scope": scope}})
    }

    fn definitions() -> Value {
        json!([
            definition("reader", json!({"actions": ["*/read"]})),
            definition("secrets", json!({"dataActions": [GET_SECRET]})),
            definition(
                "contributor",
                json!({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]})
            ),
            definition("owner", json!({"actions": ["*"]})),
            definition("blobs", json!({"dataActions": [READ_BLOBS]})),
        ])
    }

    fn vault(name: &str, by_roles: bool, policies: &Value) -> Value {
        json!({"id": format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/{name}"),
            "properties": {"vaultUri": format!("https://{name}.vault.azure.net/"), "enableRbacAuthorization": by_roles, "accessPolicies": policies}})
    }

    fn reasons(vault: &Value, assignments: &Value) -> String {
        let found = reachable_vaults(
            &json!([vault]),
            &[assignments.clone(), definitions(), json!(["u", "g1"])],
        )
        .unwrap();
        found
            .as_array()
            .unwrap()
            .first()
            .map_or("", |vault| vault["why"].as_str().unwrap())
            .to_owned()
    }

    #[test]
    fn a_vault_is_reached_by_data_role_by_policy_or_by_making_ones_own_way() {
        let by_roles = vault("a", true, &json!([]));
        let at = "/subscriptions/s/resourceGroups/g";
        assert_eq!(reasons(&by_roles, &json!([assignment("reader", at)])), "");
        assert!(
            reasons(&by_roles, &json!([assignment("secrets", at)])).ends_with("reads its secrets")
        );
        assert!(
            reasons(&by_roles, &json!([assignment("contributor", "/")]))
                .ends_with("write itself into them")
        );
        assert!(
            reasons(&by_roles, &json!([assignment("owner", at)]))
                .ends_with("give itself the right to its secrets")
        );
        // A name that only begins alike is another scope.
        assert_eq!(
            reasons(
                &by_roles,
                &json!([assignment("secrets", "/subscriptions/s/resourceGroups/g2")])
            ),
            ""
        );
        let policies = vault(
            "b",
            false,
            &json!([{"objectId": "G1", "permissions": {"secrets": ["Get", "List"]}}]),
        );
        assert_eq!(
            reasons(&policies, &json!([])),
            "an access policy allows Get, List of its secrets"
        );
        assert!(
            reasons(&policies, &json!([assignment("secrets", at)])).starts_with("an access policy")
        );
        let lists = vault(
            "c",
            false,
            &json!([{"objectId": "u", "permissions": {"secrets": ["list"], "keys": ["get"]}}]),
        );
        assert_eq!(reasons(&lists, &json!([])), "");
    }

    #[test]
    fn storage_is_reached_by_keys_where_they_are_allowed() {
        let account = |keys: bool| json!({"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/x", "properties": {"allowSharedKeyAccess": keys}});
        let of = |account: Value, role: &str| {
            let assignments = json!([assignment(role, "/subscriptions/s")]);
            reachable_storage(&json!([account]), &[assignments, definitions()]).unwrap()
        };
        assert!(
            of(account(true), "contributor")[0]["why"]
                .as_str()
                .unwrap()
                .contains("has its keys")
        );
        assert_eq!(of(account(false), "contributor"), json!([]));
        assert!(
            of(account(false), "blobs")[0]["why"]
                .as_str()
                .unwrap()
                .contains("reads its blobs")
        );
    }
}
