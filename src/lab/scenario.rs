//! Scenarios: a tenant as YAML, with machines in shorthand and anything else as ARM shows it.
//!
//! ```yaml
//! tenant: 11111111-1111-4111-8111-111111111111
//! cloud: AzureChinaCloud   # the name that its cloud gives itself; what Graph does not have there is not there
//! subscriptions: [{id: 22222222-2222-4222-8222-222222222222, name: prod}]
//! callers: [{name: responder, client_id: ..., client_secret: ..., object_id: ..., roles: [{role: Contributor, scope: /subscriptions/...}]}]
//! groups: [{name: rg-app, location: westeurope}]
//! machines:
//!   - {name: vm-1, group: rg-app, location: westeurope, nics: [{name: nic-1}], disks: [{name: os}, {name: data}]}
//! resources: [{id: /subscriptions/.../networkSecurityGroups/nsg-1, location: westeurope, properties: {...}}]
//! # A container takes its policy along: immutable: Locked|Unlocked, immutabilityDays, allowProtectedAppendWrites(All),
//! # and legalHold: [tag].
//! events: [{group: rg-app, count: 230}, {group: rg-app, count: 1, operation: Microsoft.Storage/storageAccounts/write, resource: Microsoft.Storage/storageAccounts/st1}]
//! many: {vms: 1000, group: rg-app, location: westeurope}
//! roles: [{name: Snapshots only, actions: [Microsoft.Compute/snapshots/*]}]
//! directory: {users: [{userPrincipalName: alice@contoso.com}], role_assignments: [{principal: alice@contoso.com, role: User Administrator}]}
//! memberships: {<object id>: [group-name]}
//! app_roles: {<object id>: [Mail.Read]}
//! ```
//!
//! Ids that are not written follow from names, so they are the same in every lab. A key that is not known is refused,
//! with the line it stands in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::graph::seed::DirectorySeed;
use super::roles;
use crate::digest::Digest;

/// The scenarios that azir brings along: the default one, and parts of it with only these machines.
pub const BUILT_IN: &[(&str, &[&str])] = &[
    ("ambiguous", &["vm-twin-01"]),
    ("default", &[]),
    ("ephemeral", &["vm-ephemeral-01"]),
    ("hard", &["vm-hard-01", "vm-other-01"]),
    ("locked", &["vm-locked-01"]),
    ("simple", &["vm-app-01"]),
    ("stopped", &["vm-stopped-01"]),
];

const DEFAULT: &str = include_str!("scenarios/default.yaml");

/// A tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The tenant's id.
    pub tenant: String,
    /// Tenants that are not of this cloud but of another national one.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// The name that its cloud gives itself; `lab` if it is not said.
    #[serde(default = "lab")]
    pub cloud: String,
    /// Its subscriptions; the first is the usual one.
    pub subscriptions: Vec<Subscription>,
    /// Who can sign in; the first is the responder.
    pub callers: Vec<Caller>,
    /// Resource groups.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Virtual machines with their disks and interfaces.
    #[serde(default)]
    pub machines: Vec<Machine>,
    /// Machines made by number: `vm-0001` and so on.
    #[serde(default)]
    pub many: Option<Many>,
    /// Anything else, as ARM shows it.
    #[serde(default)]
    pub resources: Vec<Map<String, Value>>,
    /// Events of the activity log.
    #[serde(default)]
    pub events: Vec<Events>,
    /// Roles of the tenant's own, known in every subscription.
    #[serde(default)]
    pub roles: Vec<CustomRole>,
    /// Users, groups, applications and what is theirs, as Graph shows them.
    #[serde(default)]
    pub directory: DirectorySeed,
    /// Secrets in key vaults that are among the resources.
    #[serde(default)]
    pub vaults: Vec<Secrets>,
    /// Rows of `AzureDiagnostics`: `vault` (an id), `operation`, `hours_ago`, and columns as the table has them.
    #[serde(default)]
    pub vault_events: Vec<Map<String, Value>>,
    /// Groups of service principals in the directory, by object id.
    #[serde(default)]
    pub memberships: BTreeMap<String, Vec<String>>,
    /// Application permissions of service principals, by object id.
    #[serde(default)]
    pub app_roles: BTreeMap<String, Vec<String>>,
}

fn lab() -> String {
    "lab".to_owned()
}

/// The secrets of a key vault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The vault's name.
    pub vault: String,
    /// Its secrets.
    pub secrets: Vec<Secret>,
}

/// A secret with its versions, the oldest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// What each version holds.
    pub values: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Whether it is a certificate's.
    #[serde(default)]
    pub managed: bool,
}

/// A subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// What a person calls it.
    pub name: String,
    /// The application's id.
    pub client_id: String,
    /// Its secret; a made-up one, for a made-up tenant.
    pub client_secret: String,
    /// The principal's object id.
    pub object_id: String,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<Grant>,
    /// Its application permissions on Graph.
    #[serde(default)]
    pub graph: Vec<String>,
    /// Its directory roles, by name.
    #[serde(default)]
    pub directory_roles: Vec<String>,
}

/// A role at a scope.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// The scope.
    pub scope: String,
}

/// A role of the tenant's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomRole {
    /// Its name.
    pub name: String,
    /// What it allows.
    #[serde(default)]
    pub actions: Vec<String>,
    /// What it leaves out.
    #[serde(default)]
    pub not_actions: Vec<String>,
    /// What it allows on data.
    #[serde(default)]
    pub data_actions: Vec<String>,
}

/// A resource group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its location.
    pub location: String,
    /// Its subscription; absent: the first.
    pub subscription: Option<String>,
    /// `ReadOnly` or `CanNotDelete`, if it is locked.
    pub lock: Option<String>,
}

/// A virtual machine in shorthand.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its resource group.
    pub group: String,
    /// Its location.
    pub location: String,
    /// Its subscription; absent: the first.
    pub subscription: Option<String>,
    /// Its power state; absent: running.
    pub power: Option<String>,
    /// Its disks, the OS disk first; absent: one OS disk and one data disk.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Its interfaces; absent: one.
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// Its system-assigned identity's object id.
    pub system_identity: Option<String>,
    /// Ids of its user-assigned identities.
    #[serde(default)]
    pub user_identities: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Map<String, Value>,
}

/// A disk in shorthand.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its resource group; absent: the machine's.
    pub group: Option<String>,
    /// Its SKU; absent: `Premium_LRS`.
    pub sku: Option<String>,
    /// Whether it lives on the host only.
    #[serde(default)]
    pub ephemeral: bool,
}

/// An interface in shorthand.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its resource group; absent: the machine's.
    pub group: Option<String>,
    /// The id of its NSG.
    pub nsg: Option<String>,
    /// The id of its public address.
    pub public_ip: Option<String>,
    /// How many IP configurations; absent: one.
    pub configurations: Option<usize>,
}

/// Machines by number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Many {
    /// How many.
    pub vms: usize,
    /// Their resource group.
    pub group: String,
    /// Their location.
    pub location: String,
}

/// Events of the activity log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The resource group that they concern.
    pub group: String,
    /// How many.
    pub count: usize,
    /// What was done; absent: a machine was written.
    pub operation: Option<String>,
    /// To what, below the group's providers; absent: to `vm-app-01`.
    pub resource: Option<String>,
}

impl Scenario {
    /// Reads a scenario: a built-in one by name, or YAML.
    ///
    /// # Errors
    /// An unknown name; where and why the YAML cannot be read.
    pub fn load(name_or_yaml: &str) -> Result<Self, String> {
        if name_or_yaml.contains('\n') {
            return Self::parse(name_or_yaml);
        }
        let kept = machines_of(name_or_yaml)?;
        let mut scenario = Self::parse(DEFAULT)?;
        if !kept.is_empty() {
            scenario
                .machines
                .retain(|machine| kept.contains(&machine.name.as_str()));
        }
        Ok(scenario)
    }

    /// Reads a built-in scenario with more in it: maps are merged, lists appended, and what is said twice is as it was
    /// said last.
    ///
    /// # Errors
    /// An unknown name; what is added and is none of the format; a whole that is not sound.
    pub fn with(base: &str, add: &Map<String, Value>) -> Result<Self, String> {
        let kept = machines_of(base)?;
        let mut whole: Value =
            serde_saphyr::from_str(DEFAULT).map_err(|error| error.to_string())?;
        if let (Some(machines), false) = (whole["machines"].as_array_mut(), kept.is_empty()) {
            machines.retain(|machine| {
                machine["name"]
                    .as_str()
                    .is_some_and(|name| kept.contains(&name))
            });
        }
        merge(&mut whole, &Value::Object(add.clone()));
        let scenario: Self = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        scenario.is_sound()?;
        Ok(scenario)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        scenario.is_sound()?;
        Ok(scenario)
    }

    fn is_sound(&self) -> Result<(), String> {
        if self.subscriptions.is_empty() || self.callers.is_empty() {
            return Err("a scenario needs a subscription and a caller".to_owned());
        }
        self.groups_are_there()?;
        self.roles_are_known()
    }

    fn groups_are_there(&self) -> Result<(), String> {
        let known = |subscription: &str| {
            self.subscriptions
                .iter()
                .any(|one| one.id.eq_ignore_ascii_case(subscription))
        };
        for group in &self.groups {
            let subscription = self.subscription(group.subscription.as_deref());
            if !known(subscription) {
                return Err(format!(
                    "group {} lies in subscription {subscription}, which the scenario does not have",
                    group.name
                ));
            }
        }
        let there = |name: &str, subscription: &str| {
            let mut groups = self.groups.iter();
            groups.any(|group| {
                group.name.eq_ignore_ascii_case(name)
                    && self
                        .subscription(group.subscription.as_deref())
                        .eq_ignore_ascii_case(subscription)
            })
        };
        for machine in &self.machines {
            let subscription = self.subscription(machine.subscription.as_deref());
            let of_parts = machine
                .disks
                .iter()
                .filter_map(|disk| disk.group.as_ref())
                .chain(machine.nics.iter().filter_map(|nic| nic.group.as_ref()));
            for group in of_parts.chain([&machine.group]) {
                if !there(group, subscription) {
                    return Err(format!(
                        "machine {} needs group {group} in subscription {subscription}, which the scenario does not have",
                        machine.name
                    ));
                }
            }
        }
        match &self.many {
            Some(many) if !there(&many.group, self.subscription(None)) => Err(format!(
                "many machines need group {}, which the scenario does not have",
                many.group
            )),
            _ => Ok(()),
        }
    }

    fn roles_are_known(&self) -> Result<(), String> {
        let grants = self.callers.iter().flat_map(|caller| &caller.roles);
        match grants
            .into_iter()
            .find(|grant| self.role_id(&grant.role).is_none())
        {
            Some(grant) => Err(format!(
                "there is no role {:?}, neither built in nor under roles",
                grant.role
            )),
            None => Ok(()),
        }
    }

    /// Returns the id of a role by its name.
    pub(super) fn role_id(&self, name: &str) -> Option<String> {
        let own = self
            .roles
            .iter()
            .find(|role| role.name == name)
            .map(|role| guid(&format!("role {}", role.name)));
        own.or_else(|| roles::id_of(name).map(str::to_owned))
    }

    /// Returns a subscription that was given, or the usual one.
    pub(super) fn subscription<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or(&self.subscriptions[0].id)
    }
}

/// Returns the names of the machines that a built-in scenario keeps; none: all of them.
fn machines_of(name: &str) -> Result<&'static [&'static str], String> {
    let found = BUILT_IN.iter().find(|(known, _)| *known == name);
    found.map(|(_, machines)| *machines).ok_or_else(|| {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        format!(
            "there is no scenario {name}; there are {}",
            names.join(", ")
        )
    })
}

fn merge(whole: &mut Value, add: &Value) {
    match (whole, add) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                match members.get_mut(name) {
                    Some(known) => merge(known, value),
                    None => {
                        members.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(items), Value::Array(more)) => items.extend(more.iter().cloned()),
        (whole, add) => *whole = add.clone(),
    }
}

/// Returns a UUID that is always the same for the same text.
pub(super) fn guid(text: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(text.as_bytes()).0[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_read() {
        for (name, machines) in BUILT_IN {
            let scenario = Scenario::load(name).unwrap();
            assert!(!scenario.machines.is_empty(), "{name}");
            assert!(
                machines.is_empty()
                    || scenario
                        .machines
                        .iter()
                        .all(|machine| machines.contains(&machine.name.as_str()))
            );
        }
        let unknown = Scenario::load("easy").unwrap_err();
        assert!(unknown.contains("ambiguous, default"), "{unknown}");
    }

    #[test]
    fn a_scenario_with_a_mistake_is_refused_with_what_and_where() {
        let good = "tenant: t\nsubscriptions: [{id: s, name: s}]\ncallers: [{name: c, client_id: i, client_secret: x, object_id: o}]\n";
        assert!(Scenario::load(good).is_ok());
        for (more, said) in [
            ("machinez: []\n", "line 4"),
            (
                "groups: [{name: g, location: l, subscription: other}]\n",
                "other",
            ),
            (
                "machines: [{name: vm, group: nowhere, location: l}]\n",
                "nowhere",
            ),
            ("many: {vms: 3, group: nowhere, location: l}\n", "nowhere"),
        ] {
            let error = Scenario::load(&format!("{good}{more}")).unwrap_err();
            assert!(error.contains(said), "{more}: {error}");
        }
        let bad = good.replace(
            "object_id: o",
            "object_id: o, roles: [{role: King, scope: /}]",
        );
        assert!(Scenario::load(&bad).unwrap_err().contains("King"));
    }
    #[test]
    fn more_is_appended_to_lists_merged_into_maps_and_judged_as_a_whole() {
        let add = |text: &str| {
            let add: Map<String, Value> = serde_saphyr::from_str(text).unwrap();
            Scenario::with("simple", &add)
        };
        let usual = Scenario::load("simple").unwrap();
        let more = add("groups: [{name: rg-more, location: westeurope}]\nmachines: [{name: vm-more, group: rg-more, location: westeurope}]\ndirectory: {users: [{userPrincipalName: nora@contoso.com}], request_status: {Reader: Failed}}\ncloud: other\n").unwrap();
        assert_eq!(more.groups.len(), usual.groups.len() + 1);
        let names: Vec<&str> = more.machines.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["vm-app-01", "vm-more"]);
        let (users, others) = (&more.directory.users, &usual.directory.users);
        assert_eq!(users.len(), others.len() + 1);
        assert_eq!(users[0], others[0], "what was there comes first");
        assert_eq!((more.cloud.as_str(), more.tenant), ("other", usual.tenant));
        for (text, said) in [
            ("machinez: []\n", "machinez"),
            (
                "machines: [{name: vm, group: nowhere, location: l}]\n",
                "nowhere",
            ),
            ("groups: 3\n", "sequence"),
        ] {
            let error = add(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(
            Scenario::with("easy", &Map::new())
                .unwrap_err()
                .contains("ambiguous, default")
        );
    }
}
