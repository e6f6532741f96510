//! The Azure role that runs a runbook and does no more: pure, from what the runbook and those it calls declare.
//!
//! What azir itself asks for at the begin of every run belongs to it: to list the subscriptions, to find targets by
//! their names, to look at what would fail, and to store and look at evidence where there is a vault.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::catalogue::{Catalogue, CatalogueError};
use super::model::{Action, ParamKind, Runbook};

/// What finds a subscription, and reads a role assignment's way to it.
const ALWAYS: &[&str] = &["Microsoft.Resources/subscriptions/read"];
/// What the evidence vault is looked at with, before anything is stored in it.
const VAULT: &[&str] = &[
    "Microsoft.Storage/storageAccounts/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/read",
];
/// What the preflight looks at besides the caller's own permissions, which anybody may ask for; without it, its answer is
/// that nobody knows.
const PREFLIGHT: &[&str] = &[
    "Microsoft.Authorization/denyAssignments/read",
    "Microsoft.Authorization/locks/read",
    "Microsoft.PolicyInsights/checkPolicyRestrictions/read",
];
/// What evidence is stored with: written once, read back, and appended to for the journal's anchors.
const EVIDENCE: &[&str] = &[
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
];

/// What follows whoever changes anything of these providers: its operations are polled (arm.md sections 1.6 and 2.5,
/// RBAC; Compute's and the second of Network's from "Azure permissions" of Microsoft's documentation).
const POLLED: &[(&str, &[&str])] = &[
    (
        "Microsoft.Compute/",
        &["Microsoft.Compute/locations/operations/read"],
    ),
    (
        "Microsoft.Network/",
        &[
            "Microsoft.Network/locations/operations/read",
            "Microsoft.Network/locations/operationResults/read",
        ],
    ),
];
/// What the whole body of an interface may link to, and so is asked for when it is put (arm.md section 2.5, RBAC).
const JOINED: &[&str] = &[
    "Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action",
    "Microsoft.Network/loadBalancers/backendAddressPools/join/action",
    "Microsoft.Network/loadBalancers/inboundNatRules/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
];

/// What an undo of a machine's identities is asked for, by each that is attached again ("Azure permissions").
const ATTACHED: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";

/// What a runbook needs, of each kind of permission.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Role {
    /// Actions on Resource Manager.
    pub actions: BTreeSet<String>,
    /// Data actions: Blob storage and Key Vault.
    pub data_actions: BTreeSet<String>,
    /// Application permissions on Microsoft Graph, which no Azure role can give.
    pub graph: BTreeSet<String>,
}

impl Role {
    /// Collects what a runbook needs, and what those need that it calls.
    ///
    /// # Errors
    /// A runbook that it calls cannot be read.
    pub fn of(runbook: &Runbook, catalogue: &Catalogue) -> Result<Self, CatalogueError> {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let mut role = Self::default();
        role.actions.extend(own(ALWAYS));
        role.actions.extend(own(PREFLIGHT));
        role.actions.extend(own(VAULT));
        role.data_actions.extend(own(EVIDENCE));
        let mut seen = BTreeSet::new();
        role.take(runbook, catalogue, &mut seen)?;
        role.follow();
        Ok(role)
    }

    /// Adds what the services ask for besides what the requests show.
    fn follow(&mut self) {
        let changes = |start: &str| {
            let mut own = self.actions.iter();
            own.any(|action| action.starts_with(start) && !action.ends_with("/read"))
        };
        let mut more: Vec<&str> = Vec::new();
        for (start, polled) in POLLED {
            if changes(start) {
                more.extend(*polled);
            }
        }
        if changes("Microsoft.Network/networkInterfaces/write") {
            more.extend(JOINED);
        }
        if changes("Microsoft.Compute/virtualMachines/write") {
            more.push(ATTACHED);
        }
        self.actions.extend(more.into_iter().map(str::to_owned));
    }

    fn take(
        &mut self,
        runbook: &Runbook,
        catalogue: &Catalogue,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), CatalogueError> {
        if !seen.insert(runbook.name.value.clone()) {
            return Ok(());
        }
        let declared = &runbook.permissions;
        self.actions.extend(declared.arm.iter().cloned());
        self.data_actions
            .extend(declared.blob.iter().chain(&declared.vault).cloned());
        self.graph.extend(declared.graph.iter().cloned());
        // A target is found by its name before its id is known.
        for param in runbook.params.values() {
            if let ParamKind::Resource(kind) = &param.kind {
                self.actions.insert(format!("{kind}/read"));
            }
        }
        for step in &runbook.steps {
            if let Action::Run(other) = &step.action {
                let (called, _) = catalogue.load(&other.runbook.value)?;
                self.take(&called, catalogue, seen)?;
            }
        }
        Ok(())
    }

    /// Returns the role's definition as `az role definition create --role-definition @FILE` takes it (arm.md section 6.2).
    pub fn definition(&self, runbook: &Runbook, scopes: &[String]) -> Value {
        json!({
            "Name": format!("azir {}", runbook.name.value),
            "IsCustom": true,
            "Description": format!("{} (azir runbook {} {}).", runbook.title, runbook.name.value, runbook.version),
            "Actions": self.actions,
            "NotActions": [],
            "DataActions": self.data_actions,
            "NotDataActions": [],
            "AssignableScopes": scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_what_the_runbook_and_those_it_calls_declare() {
        let catalogue = Catalogue::shipped();
        let of = |name: &str| {
            let (runbook, _) = catalogue.load(name).unwrap();
            Role::of(&runbook, &catalogue).unwrap()
        };
        let role = of("isolate-vm");
        assert!(role.actions.contains("Microsoft.Compute/snapshots/write"));
        assert!(
            role.actions
                .contains("Microsoft.Compute/virtualMachines/read")
        );
        assert!(!role.actions.iter().any(|action| action.contains('*')));
        for followed in [
            "Microsoft.Compute/locations/operations/read",
            "Microsoft.Network/locations/operations/read",
            "Microsoft.Network/publicIPAddresses/join/action",
        ] {
            assert!(role.actions.contains(followed), "{followed}");
            assert!(!of("revoke-user").actions.contains(followed), "{followed}");
        }
        assert!(of("respond-token-theft").data_actions.iter().any(|action| {
            // Declared by what it calls, not by itself.
            action == "Microsoft.KeyVault/vaults/secrets/setSecret/action"
        }));
        assert!(of("revoke-user").graph.contains("User.RevokeSessions.All"));
    }
}
