//! Which types the lab models, and which versions of them it knows. A real service knows many more versions, and
//! refuses others alike.

use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type under which reads of the activity log are judged.
pub(super) const EVENTS: &str = "Microsoft.Insights/eventtypes/values";
/// The type of the caller's own permissions.
pub(super) const PERMISSIONS: &str = "Microsoft.Authorization/permissions";

const AUTHORIZATION: &[&str] = &[
    "2022-04-01",
    "2022-05-01-preview",
    "2020-10-01",
    "2018-07-01",
    "2015-07-01",
];
/// The list of all resources is asked for with an older version, too, by clients that look for a vault by its name.
const INVENTORY: &[&str] = &[
    "2025-04-01",
    "2025-03-01",
    "2024-11-01",
    "2022-12-01",
    "2022-09-01",
    "2021-04-01",
    "2019-11-01",
    "2015-11-01",
];
const LOCKS: &[&str] = &["2020-05-01", "2016-09-01", "2017-04-01"];
const AUTOMATION: &[&str] = &["2024-10-23", "2023-11-01", "2022-08-08"];
const DISKS: &[&str] = &[
    "2026-03-02",
    "2025-01-02",
    "2024-03-02",
    "2023-10-02",
    "2023-04-02",
];
const MACHINES: &[&str] = &[
    "2026-04-01",
    "2025-04-01",
    "2024-11-01",
    "2024-07-01",
    "2024-03-01",
    "2023-09-01",
];
const NETWORK: &[&str] = &[
    "2026-03-01",
    "2025-09-01",
    "2025-07-01",
    "2025-01-01",
    "2024-07-01",
    "2024-05-01",
    "2024-01-01",
    "2023-11-01",
    "2023-09-01",
    "2023-02-01",
    "2022-01-01",
];
const POLICIES: &[&str] = &[
    "2026-06-01",
    "2025-11-01",
    "2025-03-01",
    "2024-05-01",
    "2024-04-01",
    "2022-06-01",
];
const RESOURCES: &[&str] = &[
    "2025-04-01",
    "2025-03-01",
    "2024-11-01",
    "2022-12-01",
    "2022-09-01",
    "2021-04-01",
    "2019-11-01",
];
const SENTINEL: &[&str] = &["2025-09-01", "2024-09-01", "2024-03-01"];
const STORAGE: &[&str] = &[
    "2026-09-01",
    "2025-08-01",
    "2025-06-01",
    "2024-01-01",
    "2023-05-01",
    "2023-01-01",
];
const VAULTS: &[&str] = &[
    "2026-05-15",
    "2026-02-01",
    "2024-11-01",
    "2023-07-01",
    "2023-02-01",
];
const WORKSPACES: &[&str] = &[
    "2025-07-01",
    "2025-02-01",
    "2023-09-01",
    "2022-10-01",
    "2020-08-01",
];

/// Types, and their versions.
const TYPES: &[(&str, &[&str])] = &[
    ("microsoft.authorization/denyassignments", AUTHORIZATION),
    ("microsoft.authorization/locks", LOCKS),
    ("microsoft.authorization/permissions", AUTHORIZATION),
    ("microsoft.authorization/policyassignments", POLICIES),
    ("microsoft.authorization/policydefinitions", POLICIES),
    ("microsoft.authorization/roleassignments", AUTHORIZATION),
    ("microsoft.authorization/roledefinitions", AUTHORIZATION),
    (
        "microsoft.authorization/roleeligibilityscheduleinstances",
        AUTHORIZATION,
    ),
    (
        "microsoft.authorization/roleeligibilityschedulerequests",
        AUTHORIZATION,
    ),
    ("microsoft.automation/automationaccounts", AUTOMATION),
    (
        "microsoft.automation/automationaccounts/runbooks",
        AUTOMATION,
    ),
    ("microsoft.compute/disks", DISKS),
    ("microsoft.compute/restorepointcollections", MACHINES),
    (
        "microsoft.compute/restorepointcollections/restorepoints",
        MACHINES,
    ),
    ("microsoft.compute/snapshots", DISKS),
    ("microsoft.compute/virtualmachines", MACHINES),
    (
        "microsoft.insights/diagnosticsettings",
        &["2021-05-01-preview"],
    ),
    ("microsoft.insights/eventtypes/values", &["2015-04-01"]),
    ("microsoft.keyvault/deletedvaults", VAULTS),
    ("microsoft.keyvault/locations/deletedvaults", VAULTS),
    ("microsoft.keyvault/vaults", VAULTS),
    ("microsoft.logic/workflows", &["2019-05-01"]),
    (
        "microsoft.managedidentity/userassignedidentities",
        &["2024-11-30", "2023-01-31"],
    ),
    ("microsoft.network/loadbalancers", NETWORK),
    ("microsoft.network/networkinterfaces", NETWORK),
    ("microsoft.network/networksecuritygroups", NETWORK),
    (
        "microsoft.network/networksecuritygroups/defaultsecurityrules",
        NETWORK,
    ),
    (
        "microsoft.network/networksecuritygroups/securityrules",
        NETWORK,
    ),
    ("microsoft.network/publicipaddresses", NETWORK),
    ("microsoft.network/virtualnetworks", NETWORK),
    ("microsoft.network/virtualnetworks/subnets", NETWORK),
    ("microsoft.operationalinsights/workspaces", WORKSPACES),
    (
        "microsoft.operationalinsights/workspaces/savedsearches",
        WORKSPACES,
    ),
    (
        "microsoft.resourcegraph/resources",
        &["2024-04-01", "2022-10-01", "2021-03-01"],
    ),
    ("microsoft.resources/resources", INVENTORY),
    ("microsoft.resources/subscriptions", RESOURCES),
    (
        "microsoft.resources/subscriptions/resourcegroups",
        RESOURCES,
    ),
    ("microsoft.resources/tags", RESOURCES),
    ("microsoft.resources/tenants", RESOURCES),
    ("microsoft.securityinsights/automationrules", SENTINEL),
    ("microsoft.storage/storageaccounts", STORAGE),
    ("microsoft.storage/storageaccounts/blobservices", STORAGE),
    (
        "microsoft.storage/storageaccounts/blobservices/containers",
        STORAGE,
    ),
    (
        "microsoft.storage/storageaccounts/blobservices/containers/immutabilitypolicies",
        STORAGE,
    ),
];

/// Returns the types of a provider, without its name, and their versions.
pub(super) fn of(provider: &str) -> Vec<(&'static str, &'static [&'static str])> {
    let lower = provider.to_ascii_lowercase();
    let own = |(kind, versions): &(&'static str, &'static [&'static str])| {
        let rest = kind.strip_prefix(&lower)?.strip_prefix('/')?;
        Some((rest, *versions))
    };
    TYPES.iter().filter_map(own).collect()
}

/// Refuses a type that the lab does not model, and a version that the type does not have.
pub(super) fn known_version(kind: &str, version: &str) -> Result<(), Reply> {
    let lower = kind.to_ascii_lowercase();
    let Some((_, versions)) = TYPES.iter().find(|(known, _)| *known == lower) else {
        return Err(not_modelled(&format!("resources of type {kind}")));
    };
    if versions.contains(&version) {
        return Ok(());
    }
    if !well_formed(version) {
        let message = format!(
            "The api-version '{version}' is invalid. The supported versions are '{}'.",
            versions.join(",")
        );
        return Err(arm_error(400, "InvalidApiVersionParameter", &message));
    }
    let message = format!(
        "No registered resource provider found for location 'westeurope' and API version '{version}' for type '{}'. The supported api-versions are '{}'. The supported locations are 'westeurope, northeurope'.",
        lower.split_once('/').map_or("", |(_, kind)| kind),
        versions.join(", ")
    );
    Err(arm_error(400, "NoRegisteredProviderFound", &message))
}

/// Returns whether a text is a date, as `2024-11-01` or `2024-11-01-preview`.
fn well_formed(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && date.len() == 10
}

/// Returns whether a list of this type leaves out what the caller may not read, instead of refusing.
pub(super) fn lists_what_is_visible(kind: &str) -> bool {
    let lower = kind.to_ascii_lowercase();
    lower == "microsoft.resources/subscriptions/resourcegroups"
        || (!lower.starts_with("microsoft.authorization/")
            && !lower.starts_with("microsoft.insights/")
            && lower.matches('/').count() == 1)
}
