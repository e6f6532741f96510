//! Built-in roles that hold what runbooks write with: the smallest one to ask for, by action.
//!
//! Definitions as Microsoft publishes them ("Azure built-in roles"; arm.md section 6.1 has the ids). A role that is
//! missing here costs a proposal, never an answer: whether the caller may do something is only ever asked of the cloud.

use super::actions::means;

/// A built-in role, less its reads, which every role below has enough of.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    /// What a person calls it, and `az role assignment create --role` takes.
    pub(crate) name: &'static str,
    actions: &'static [&'static str],
    not_actions: &'static [&'static str],
    data_actions: &'static [&'static str],
}

impl BuiltIn {
    fn has(&self, action: &str) -> bool {
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| means(pattern, action));
        (any(self.actions) && !any(self.not_actions)) || any(self.data_actions)
    }
}

/// Returns the smallest built-in role that has all of these actions.
pub(crate) fn smallest<S: AsRef<str>>(actions: &[S]) -> Option<&'static BuiltIn> {
    ROLES
        .iter()
        .find(|role| actions.iter().all(|action| role.has(action.as_ref())))
}

/// From the one that can do least to the one that can do most: the first that fits is the smallest.
const ROLES: &[BuiltIn] = &[
    BuiltIn {
        name: "Tag Contributor",
        actions: &["Microsoft.Resources/tags/*"],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Managed Identity Operator",
        actions: &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
            "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Disk Backup Reader",
        actions: &[
            "Microsoft.Compute/disks/beginGetAccess/action",
            "Microsoft.Compute/disks/read",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Disk Snapshot Contributor",
        actions: &[
            "Microsoft.Compute/disks/beginGetAccess/action",
            "Microsoft.Compute/snapshots/beginGetAccess/action",
            "Microsoft.Compute/snapshots/delete",
            "Microsoft.Compute/snapshots/endGetAccess/action",
            "Microsoft.Compute/snapshots/read",
            "Microsoft.Compute/snapshots/write",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Key Vault Secrets User",
        actions: &[],
        not_actions: &[],
        data_actions: &[
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ],
    },
    BuiltIn {
        name: "Key Vault Secrets Officer",
        actions: &[],
        not_actions: &[],
        data_actions: &["Microsoft.KeyVault/vaults/secrets/*"],
    },
    BuiltIn {
        name: "Storage Blob Data Contributor",
        actions: &[],
        not_actions: &[],
        data_actions: &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"],
    },
    BuiltIn {
        name: "Role Based Access Control Administrator",
        actions: &[
            "Microsoft.Authorization/roleAssignments/delete",
            "Microsoft.Authorization/roleAssignments/write",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "User Access Administrator",
        actions: &["Microsoft.Authorization/*"],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Network Contributor",
        actions: &["Microsoft.Network/*"],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Virtual Machine Contributor",
        actions: &[
            "Microsoft.Compute/availabilitySets/*",
            "Microsoft.Compute/cloudServices/*",
            "Microsoft.Compute/disks/delete",
            "Microsoft.Compute/disks/read",
            "Microsoft.Compute/disks/write",
            "Microsoft.Compute/locations/*",
            "Microsoft.Compute/virtualMachineScaleSets/*",
            "Microsoft.Compute/virtualMachines/*",
            "Microsoft.Network/networkInterfaces/*",
            "Microsoft.Network/networkSecurityGroups/join/action",
            "Microsoft.Network/virtualNetworks/subnets/join/action",
        ],
        not_actions: &[],
        data_actions: &[],
    },
    BuiltIn {
        name: "Contributor",
        actions: &["*"],
        not_actions: &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
        data_actions: &[],
    },
    BuiltIn {
        name: "Owner",
        actions: &["*"],
        not_actions: &[],
        data_actions: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_role_is_the_first_that_has_it_all() {
        for (actions, role) in [
            (&["Microsoft.Resources/tags/write"][..], "Tag Contributor"),
            (
                &[
                    "Microsoft.Compute/snapshots/write",
                    "Microsoft.Compute/disks/beginGetAccess/action",
                ],
                "Disk Snapshot Contributor",
            ),
            (
                &["Microsoft.Network/networkInterfaces/write"],
                "Network Contributor",
            ),
            (
                &["microsoft.compute/virtualmachines/write"],
                "Virtual Machine Contributor",
            ),
            (
                &["Microsoft.Authorization/roleAssignments/delete"],
                "Role Based Access Control Administrator",
            ),
            (
                &["Microsoft.Authorization/locks/delete"],
                "User Access Administrator",
            ),
            (
                &["Microsoft.Compute/restorePointCollections/write"],
                "Contributor",
            ),
            (
                &["Microsoft.KeyVault/vaults/secrets/setSecret/action"],
                "Key Vault Secrets Officer",
            ),
            (
                &[
                    "Microsoft.Network/networkInterfaces/write",
                    "Microsoft.Authorization/roleAssignments/write",
                ],
                "Owner",
            ),
        ] {
            assert_eq!(smallest(actions).unwrap().name, role, "{actions:?}");
        }
    }
}
