//! Roles: the built-in ones that responders hold or meet, and the scenario's own (arm.md sections 6.1 and 6.2).

use serde_json::{Value, json};

use super::store::Store;

/// A built-in role.
pub(super) struct Role {
    /// The definition's name, the same in every tenant.
    pub(super) id: &'static str,
    /// What a person calls it.
    pub(super) name: &'static str,
    actions: &'static [&'static str],
    not_actions: &'static [&'static str],
    data_actions: &'static [&'static str],
}

/// What a role allows.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    actions: Vec<String>,
    not_actions: Vec<String>,
    data_actions: Vec<String>,
    not_data_actions: Vec<String>,
}

impl Rights {
    /// Returns whether it allows an action of the management plane.
    pub(super) fn allows(&self, action: &str) -> bool {
        any(&self.actions, action) && !any(&self.not_actions, action)
    }

    /// Returns whether it allows an action on data.
    pub(super) fn allows_data(&self, action: &str) -> bool {
        any(&self.data_actions, action) && !any(&self.not_data_actions, action)
    }

    /// Returns it as a definition or the permissions API shows it.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "actions": self.actions, "notActions": self.not_actions,
            "dataActions": self.data_actions, "notDataActions": self.not_data_actions,
            "condition": null, "conditionVersion": null,
        })
    }
}

/// Returns what a role definition allows, by the last part of its id.
pub(super) fn rights(store: &Store, definition: &str) -> Option<Rights> {
    let id = definition.rsplit('/').next()?;
    if let Some(role) = BUILT_IN
        .iter()
        .find(|role| role.id.eq_ignore_ascii_case(id))
    {
        return Some(role.rights());
    }
    let own = store.of_type("", DEFINITION).find(|value| {
        value["name"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(id))
    })?;
    let list = |name: &str| {
        let items = own["properties"]["permissions"][0][name].as_array();
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    Some(Rights {
        actions: list("actions"),
        not_actions: list("notActions"),
        data_actions: list("dataActions"),
        not_data_actions: list("notDataActions"),
    })
}

/// Returns the id of a built-in role by its name.
pub(super) fn id_of(name: &str) -> Option<&'static str> {
    BUILT_IN
        .iter()
        .find(|role| role.name == name)
        .map(|role| role.id)
}

/// Returns every role definition, as a subscription shows it.
pub(super) fn definitions(store: &Store, subscription: &str) -> Vec<Value> {
    let below = format!("/subscriptions/{subscription}");
    let own = store.of_type(&below, DEFINITION).cloned();
    BUILT_IN
        .iter()
        .map(|role| role.definition(subscription))
        .chain(own)
        .collect()
}

impl Role {
    fn rights(&self) -> Rights {
        let owned = |list: &[&str]| list.iter().map(|action| (*action).to_owned()).collect();
        Rights {
            actions: owned(self.actions),
            not_actions: owned(self.not_actions),
            data_actions: owned(self.data_actions),
            not_data_actions: Vec::new(),
        }
    }

    fn definition(&self, subscription: &str) -> Value {
        json!({
            "id": format!("/subscriptions/{subscription}/providers/{DEFINITION}/{}", self.id),
            "name": self.id,
            "type": DEFINITION,
            "properties": {
                "roleName": self.name, "type": "BuiltInRole", "description": "", "assignableScopes": ["/"],
                "permissions": [self.rights().to_json()],
                "createdOn": "2015-02-02T21:55:09.8806423Z", "updatedOn": "2021-11-11T20:13:28.6061853Z", "createdBy": null, "updatedBy": null,
            },
        })
    }
}

/// The type of role definitions.
pub(super) const DEFINITION: &str = "Microsoft.Authorization/roleDefinitions";

fn any(patterns: &[String], action: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, action))
}

/// Matches an action against a pattern in which `*` stands for any text, whatever the case.
pub(super) fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == action;
    };
    let Some(mut left) = action.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

const READ_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";
const READ_RIGHTS: &str = "Microsoft.Authorization/*/read";

/// The built-in roles, by name.
const BUILT_IN: &[Role] = &[
    Role {
        id: "b24988ac-6180-42a0-ab88-20f7382dd24c",
        name: "Contributor",
        actions: &["*"],
        not_actions: &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
        data_actions: &[],
    },
    Role {
        id: "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24",
        name: "Disk Backup Reader",
        actions: &[
            READ_RIGHTS,
            READ_GROUP,
            "Microsoft.Compute/disks/read",
            "Microsoft.Compute/disks/beginGetAccess/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "7efff54f-a5b4-42b5-a1c5-5411624893ce",
        name: "Disk Snapshot Contributor",
        actions: &[
            READ_RIGHTS,
            READ_GROUP,
            "Microsoft.Compute/snapshots/*",
            "Microsoft.Compute/disks/beginGetAccess/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        name: "Key Vault Crypto Officer",
        actions: &[],
        not_actions: &[],
        data_actions: &[
            "Microsoft.KeyVault/vaults/keys/*",
            "Microsoft.KeyVault/vaults/keyrotationpolicies/*",
        ],
    },
    Role {
        id: "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        name: "Key Vault Secrets Officer",
        actions: &[],
        not_actions: &[],
        data_actions: &["Microsoft.KeyVault/vaults/secrets/*"],
    },
    Role {
        id: "4633458b-17de-408a-874b-0445c86b69e6",
        name: "Key Vault Secrets User",
        actions: &[],
        not_actions: &[],
        data_actions: &[
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ],
    },
    Role {
        id: "f1a07417-d97a-45cb-824c-7a7467783830",
        name: "Managed Identity Operator",
        actions: &[
            READ_RIGHTS,
            READ_GROUP,
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "4d97b98b-1d4f-4787-a291-c67834d212e7",
        name: "Network Contributor",
        actions: &[READ_RIGHTS, READ_GROUP, "Microsoft.Network/*"],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        name: "Owner",
        actions: &["*"],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        name: "Reader",
        actions: &["*/read"],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        name: "Role Based Access Control Administrator",
        actions: &[
            "*/read",
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        name: "Storage Blob Data Contributor",
        actions: &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/write",
        ],
        not_actions: &[],
        data_actions: &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
        ],
    },
    Role {
        id: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        name: "Storage Blob Data Reader",
        actions: &["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
        not_actions: &[],
        data_actions: &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
    },
    Role {
        id: "4a9ae827-6dc8-4573-8ac7-8239d42aa03f",
        name: "Tag Contributor",
        actions: &[READ_RIGHTS, READ_GROUP, "Microsoft.Resources/tags/*"],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        name: "User Access Administrator",
        actions: &["*/read", "Microsoft.Authorization/*"],
        not_actions: &[],
        data_actions: &[],
    },
    Role {
        id: "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
        name: "Virtual Machine Contributor",
        actions: &[
            READ_RIGHTS,
            READ_GROUP,
            "Microsoft.Compute/disks/delete",
            "Microsoft.Compute/disks/read",
            "Microsoft.Compute/disks/write",
            "Microsoft.Compute/locations/*",
            "Microsoft.Compute/virtualMachines/*",
            "Microsoft.Network/locations/*",
            "Microsoft.Network/networkInterfaces/*",
            "Microsoft.Network/networkSecurityGroups/join/action",
            "Microsoft.Network/networkSecurityGroups/read",
            "Microsoft.Network/publicIPAddresses/join/action",
            "Microsoft.Network/publicIPAddresses/read",
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/subnets/join/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_in_the_middle_and_whatever_the_case() {
        assert!(matches("*", "Microsoft.Compute/disks/read"));
        assert!(matches("*/read", "microsoft.compute/disks/READ"));
        assert!(matches(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/roleAssignments/delete"
        ));
        assert!(!matches(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/roleAssignments/read"
        ));
        assert!(!matches("ab*ba", "aba"));
    }
}
