//! Scenarios: a tenant as YAML, with machines in shorthand and anything else as ARM shows it.
//!
//! ```yaml
//! tenant: 11111111-1111-4111-8111-111111111111
//! subscriptions: [{id: 22222222-2222-4222-8222-222222222222, name: prod}]
//! callers: [{name: responder, client_id: ..., client_secret: ..., object_id: ..., roles: [{role: Contributor, scope: /subscriptions/...}]}]
//! groups: [{name: rg-app, location: westeurope}]
//! machines:
//!   - {name: vm-1, group: rg-app, location: westeurope, nics: [{name: nic-1}], disks: [{name: os}, {name: data}]}
//! resources: [{id: /subscriptions/.../networkSecurityGroups/nsg-1, location: westeurope, properties: {...}}]
//! events: [{group: rg-app, count: 230}]
//! ```

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::store::Store;
use crate::digest::Digest;

/// The scenarios that azir brings along.
pub const BUILT_IN: &[(&str, &str)] = &[("default", include_str!("scenarios/default.yaml"))];

/// A tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The tenant's id.
    pub tenant: String,
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
    /// Groups of service principals in the directory, by object id.
    #[serde(default)]
    pub memberships: std::collections::BTreeMap<String, Vec<String>>,
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
}

impl Scenario {
    /// Reads a scenario: a built-in one by name, or YAML.
    ///
    /// # Errors
    /// An unknown name; where and why the YAML cannot be read.
    pub fn load(name_or_yaml: &str) -> Result<Self, String> {
        let text = match BUILT_IN.iter().find(|(name, _)| *name == name_or_yaml) {
            Some((_, text)) => text,
            None if !name_or_yaml.contains('\n') => {
                let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "there is no scenario {name_or_yaml}; there are {}",
                    names.join(", ")
                ));
            }
            None => name_or_yaml,
        };
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if scenario.subscriptions.is_empty() || scenario.callers.is_empty() {
            return Err("a scenario needs a subscription and a caller".to_owned());
        }
        Ok(scenario)
    }

    /// Puts everything into the store.
    pub(super) fn seed(&self, store: &mut Store, now: chrono::DateTime<chrono::Utc>) {
        for subscription in &self.subscriptions {
            let id = format!("/subscriptions/{}", subscription.id);
            store.seed(&id, json!({"id": id, "subscriptionId": subscription.id, "displayName": subscription.name, "tenantId": self.tenant, "state": "Enabled", "type": "Microsoft.Resources/subscriptions"}));
        }
        for group in &self.groups {
            self.seed_group(store, group);
        }
        for caller in &self.callers {
            for grant in &caller.roles {
                seed_grant(store, &caller.object_id, grant);
            }
        }
        for machine in &self.machines {
            self.seed_machine(store, machine);
        }
        for resource in &self.resources {
            seed_resource(store, resource);
        }
        if let Some(many) = &self.many {
            for number in 1..=many.vms {
                self.seed_machine(store, &numbered(many, number));
            }
        }
        for events in &self.events {
            self.seed_events(store, events, now);
        }
    }

    fn subscription<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or(&self.subscriptions[0].id)
    }

    fn seed_group(&self, store: &mut Store, group: &Group) {
        let id = format!(
            "/subscriptions/{}/resourceGroups/{}",
            self.subscription(group.subscription.as_deref()),
            group.name
        );
        store.seed(&id, json!({"id": id, "name": group.name, "type": "Microsoft.Resources/resourceGroups", "location": group.location, "properties": {"provisioningState": "Succeeded"}}));
        if let Some(level) = &group.lock {
            let lock = format!("{id}/providers/Microsoft.Authorization/locks/freeze");
            store.seed(&lock, json!({"id": lock, "name": "freeze", "type": "Microsoft.Authorization/locks", "properties": {"level": level}}));
        }
    }

    fn seed_machine(&self, store: &mut Store, machine: &Machine) {
        let subscription = self.subscription(machine.subscription.as_deref());
        let in_group =
            |group: &str| format!("/subscriptions/{subscription}/resourceGroups/{group}/providers");
        let id = format!(
            "{}/Microsoft.Compute/virtualMachines/{}",
            in_group(&machine.group),
            machine.name
        );
        let default_disks = [
            format!("{}_OsDisk", machine.name),
            format!("{}_data1", machine.name),
        ]
        .map(|name| Disk {
            name,
            group: None,
            sku: None,
            ephemeral: false,
        });
        let disks = if machine.disks.is_empty() {
            default_disks.to_vec()
        } else {
            machine.disks.clone()
        };
        let mut storage = json!({"dataDisks": []});
        for (index, disk) in disks.iter().enumerate() {
            let disk_id = format!(
                "{}/Microsoft.Compute/disks/{}",
                in_group(disk.group.as_deref().unwrap_or(&machine.group)),
                disk.name
            );
            let mut entry = json!({"name": disk.name, "createOption": if index == 0 { "FromImage" } else { "Attach" }, "managedDisk": {"id": disk_id, "storageAccountType": disk.sku.as_deref().unwrap_or("Premium_LRS")}});
            if disk.ephemeral {
                entry["diffDiskSettings"] = json!({"option": "Local"});
            } else {
                seed_disk(store, &disk_id, disk, &machine.location, &id);
            }
            if index == 0 {
                entry["osType"] = json!("Linux");
                storage["osDisk"] = entry;
            } else if let Some(list) = storage["dataDisks"].as_array_mut() {
                entry["lun"] = json!(index - 1);
                list.push(entry);
            }
        }
        let nics = if machine.nics.is_empty() {
            vec![Nic {
                name: format!("{}-nic", machine.name),
                group: None,
                nsg: None,
                public_ip: None,
                configurations: None,
            }]
        } else {
            machine.nics.clone()
        };
        let subnet = seed_network(store, &in_group(&machine.group), &machine.location);
        let mut references = Vec::new();
        for (index, nic) in nics.iter().enumerate() {
            let nic_id = format!(
                "{}/Microsoft.Network/networkInterfaces/{}",
                in_group(nic.group.as_deref().unwrap_or(&machine.group)),
                nic.name
            );
            seed_nic(store, &nic_id, nic, machine, &subnet, &id, index == 0);
            references.push(json!({"id": nic_id, "properties": {"primary": index == 0}}));
        }
        let power = machine.power.as_deref().unwrap_or("running");
        let mut vm = json!({
            "id": id, "name": machine.name, "type": "Microsoft.Compute/virtualMachines", "location": machine.location, "tags": machine.tags,
            "properties": {
                "vmId": guid(&id), "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_B2ms"},
                "storageProfile": storage, "networkProfile": {"networkInterfaces": references},
                "osProfile": {"computerName": machine.name, "adminUsername": "azureuser"}, "timeCreated": "2026-01-12T04:06:07.3525011+00:00",
            },
            "etag": "\"1\"", "__power": power,
        });
        if let Some(identity) = self.identity(machine) {
            vm["identity"] = identity;
        }
        store.seed(&id, vm);
    }

    fn identity(&self, machine: &Machine) -> Option<Value> {
        let users: Map<String, Value> = machine.user_identities.iter().map(|id| (id.clone(), json!({"principalId": guid(&id.to_lowercase()), "clientId": guid(&format!("client {}", id.to_lowercase()))}))).collect();
        let kind = match (&machine.system_identity, users.is_empty()) {
            (None, true) => return None,
            (Some(_), true) => "SystemAssigned",
            (None, false) => "UserAssigned",
            (Some(_), false) => "SystemAssigned, UserAssigned",
        };
        let mut identity = json!({"type": kind});
        if let Some(principal) = &machine.system_identity {
            identity["principalId"] = json!(principal);
            identity["tenantId"] = json!(self.tenant);
        }
        if !users.is_empty() {
            identity["userAssignedIdentities"] = Value::Object(users);
        }
        Some(identity)
    }

    fn seed_events(&self, store: &mut Store, events: &Events, now: chrono::DateTime<chrono::Utc>) {
        let subscription = self.subscription(None);
        for number in 0..events.count {
            // Spread over the last 20 hours, well before what azir does.
            let time = now - chrono::Duration::seconds(3_600 + (number as i64) * 300);
            let resource = format!(
                "/subscriptions/{subscription}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachines/vm-app-01",
                events.group
            );
            store.events.push(json!({
                "eventDataId": guid(&format!("{} event {number}", events.group)), "id": format!("{resource}/events/{number}"),
                "eventTimestamp": time.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string(), "submissionTimestamp": time.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string(),
                "caller": "mallory@contoso.com", "category": {"value": "Administrative"}, "level": "Informational",
                "operationName": {"value": "Microsoft.Compute/virtualMachines/write", "localizedValue": "Create or Update Virtual Machine"},
                "resourceGroupName": events.group, "resourceId": resource, "status": {"value": "Succeeded"}, "subscriptionId": subscription, "tenantId": self.tenant,
            }));
        }
        store.events.sort_by(|a, b| {
            a["eventTimestamp"]
                .as_str()
                .cmp(&b["eventTimestamp"].as_str())
        });
    }
}

fn numbered(many: &Many, number: usize) -> Machine {
    let name = format!("vm-{number:04}");
    Machine {
        group: many.group.clone(),
        location: many.location.clone(),
        subscription: None,
        power: None,
        disks: Vec::new(),
        nics: Vec::new(),
        system_identity: Some(guid(&name)),
        user_identities: Vec::new(),
        tags: Map::new(),
        name,
    }
}

fn seed_disk(store: &mut Store, id: &str, disk: &Disk, location: &str, owner: &str) {
    let sku = disk.sku.as_deref().unwrap_or("Premium_LRS");
    store.seed(id, json!({
        "id": id, "name": disk.name, "type": "Microsoft.Compute/disks", "location": location, "sku": {"name": sku}, "managedBy": owner,
        "properties": {"provisioningState": "Succeeded", "uniqueId": guid(id), "diskSizeGB": 32, "diskSizeBytes": 34_359_738_368_u64, "diskState": "Attached", "networkAccessPolicy": "AllowAll", "creationData": {"createOption": "FromImage"}},
    }));
}

/// Makes the network of a group once; returns its subnet.
fn seed_network(store: &mut Store, providers: &str, location: &str) -> String {
    let network = format!("{providers}/Microsoft.Network/virtualNetworks/vnet-{location}");
    let subnet = format!("{network}/subnets/default");
    if store.get(&subnet).is_none() {
        store.seed(&network, json!({"id": network, "name": format!("vnet-{location}"), "type": "Microsoft.Network/virtualNetworks", "location": location, "properties": {"provisioningState": "Succeeded"}}));
        store.seed(&subnet, json!({"id": subnet, "name": "default", "type": "Microsoft.Network/virtualNetworks/subnets", "properties": {"addressPrefix": "10.0.0.0/24", "provisioningState": "Succeeded"}}));
    }
    subnet
}

fn seed_nic(
    store: &mut Store,
    id: &str,
    nic: &Nic,
    machine: &Machine,
    subnet: &str,
    owner: &str,
    primary: bool,
) {
    let configurations: Vec<Value> = (0..nic.configurations.unwrap_or(1))
        .map(|index| {
            let mut properties = json!({"provisioningState": "Succeeded", "privateIPAddress": format!("10.0.0.{}", 4 + index), "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4", "primary": index == 0, "subnet": {"id": subnet}});
            if let (Some(address), 0) = (&nic.public_ip, index) {
                properties["publicIPAddress"] = json!({"id": address});
            }
            json!({"name": format!("ipconfig{}", index + 1), "id": format!("{id}/ipConfigurations/ipconfig{}", index + 1), "etag": "W/\"1\"", "type": "Microsoft.Network/networkInterfaces/ipConfigurations", "properties": properties})
        })
        .collect();
    let mut body = json!({
        "id": id, "name": nic.name, "type": "Microsoft.Network/networkInterfaces", "location": machine.location, "kind": "Regular", "etag": "W/\"1\"",
        "properties": {"provisioningState": "Succeeded", "resourceGuid": guid(id), "ipConfigurations": configurations, "dnsSettings": {"dnsServers": [], "appliedDnsServers": []}, "macAddress": "00-0D-3A-00-00-01", "primary": primary, "enableAcceleratedNetworking": false, "enableIPForwarding": false, "virtualMachine": {"id": owner}, "nicType": "Standard"},
    });
    if let Some(nsg) = &nic.nsg {
        body["properties"]["networkSecurityGroup"] = json!({"id": nsg});
    }
    store.seed(id, body);
}

fn seed_grant(store: &mut Store, principal: &str, grant: &Grant) {
    let name = guid(&format!("{principal} {} {}", grant.role, grant.scope));
    let id = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/{name}",
        grant.scope.trim_end_matches('/')
    );
    let subscription = grant.scope.split('/').nth(2).unwrap_or_default();
    let definition = super::arm::role_id(&grant.role);
    store.seed(&id, json!({
        "id": id, "name": name, "type": "Microsoft.Authorization/roleAssignments",
        "properties": {"roleDefinitionId": format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{definition}"), "principalId": principal, "principalType": "ServicePrincipal", "scope": grant.scope, "condition": null, "conditionVersion": null, "description": null},
    }));
}

/// Puts a resource that is written as ARM shows it; name and type follow from its id.
fn seed_resource(store: &mut Store, resource: &Map<String, Value>) {
    let id = resource
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut value = Value::Object(resource.clone());
    if let Ok(parsed) = id.parse::<crate::ids::ArmId>() {
        value["name"] = json!(parsed.name());
        value["type"] = json!(parsed.resource_type());
    }
    if value.get("properties").is_none() {
        value["properties"] = json!({});
    }
    if value["type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("Microsoft.Network/"))
    {
        value["etag"] = json!("W/\"1\"");
        value["properties"]["provisioningState"] = json!("Succeeded");
    }
    store.seed(&id, value);
}

/// Returns a UUID that is always the same for the same text.
pub(super) fn guid(text: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(text.as_bytes()).0[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}
