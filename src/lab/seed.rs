//! From a scenario to a tenant: what is written in shorthand becomes resources as ARM shows them.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use super::gate::{ASSIGNMENT, LOCK};
use super::roles::DEFINITION;
use super::scenario::{Disk, Events, Grant, Group, Machine, Many, Nic, Scenario, guid};
use super::store::Store;
use crate::ids::ArmId;

const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

impl Scenario {
    /// Puts everything into the store; `made` is when the tenant was made, before which its past lies.
    pub(super) fn seed(&self, store: &mut Store, made: DateTime<Utc>) {
        for subscription in &self.subscriptions {
            let id = format!("/subscriptions/{}", subscription.id);
            let policies =
                json!({"quotaId": "EnterpriseAgreement_2014-09-01", "spendingLimit": "Off"});
            store.seed(&id, json!({"id": id, "subscriptionId": subscription.id, "displayName": subscription.name, "tenantId": self.tenant, "state": "Enabled", "subscriptionPolicies": policies, "type": "Microsoft.Resources/subscriptions"}));
            self.seed_roles(store, &id);
        }
        for group in &self.groups {
            self.seed_group(store, group);
        }
        for caller in &self.callers {
            for grant in &caller.roles {
                self.seed_grant(store, &caller.object_id, grant);
            }
        }
        // Resources come before machines, which leave a network alone that is written out.
        for resource in &self.resources {
            self.seed_resource(store, resource);
        }
        for machine in &self.machines {
            self.seed_machine(store, machine);
        }
        if let Some(many) = &self.many {
            for number in 1..=many.vms {
                self.seed_machine(store, &numbered(many, number));
            }
        }
        super::graph::seed::seed(self, &mut store.directory, made);
        for vault in &self.vaults {
            for secret in &vault.secrets {
                super::vault_secrets::seed(store, &vault.vault, secret, made.timestamp());
            }
        }
        for (number, event) in self.vault_events.iter().enumerate() {
            super::vault_log::seed(store, event, number, made);
        }
        for events in &self.events {
            self.seed_events(store, events, made);
        }
    }

    fn seed_roles(&self, store: &mut Store, subscription: &str) {
        for role in &self.roles {
            let name = guid(&format!("role {}", role.name));
            let id = format!("{subscription}/providers/{DEFINITION}/{name}");
            let permissions = json!([{"actions": role.actions, "notActions": role.not_actions, "dataActions": role.data_actions, "notDataActions": []}]);
            store.seed(&id, json!({"id": id, "name": name, "type": DEFINITION, "properties": {"roleName": role.name, "type": "CustomRole", "assignableScopes": [subscription], "permissions": permissions}}));
        }
    }

    fn seed_group(&self, store: &mut Store, group: &Group) {
        let id = format!(
            "/subscriptions/{}/resourceGroups/{}",
            self.subscription(group.subscription.as_deref()),
            group.name
        );
        store.seed(&id, json!({"id": id, "name": group.name, "type": "Microsoft.Resources/resourceGroups", "location": group.location, "properties": {"provisioningState": "Succeeded"}}));
        if let Some(level) = &group.lock {
            let lock = format!("{id}/providers/{LOCK}/freeze");
            store.seed(
                &lock,
                json!({"id": lock, "name": "freeze", "type": LOCK, "properties": {"level": level}}),
            );
        }
    }

    fn seed_grant(&self, store: &mut Store, principal: &str, grant: &Grant) {
        let name = guid(&format!("{principal} {} {}", grant.role, grant.scope));
        let id = format!(
            "{}/providers/{ASSIGNMENT}/{name}",
            grant.scope.trim_end_matches('/')
        );
        let subscription = grant.scope.split('/').nth(2).unwrap_or_default();
        // `Scenario::load` refuses roles that are not known.
        let definition = self.role_id(&grant.role).unwrap_or_default();
        store.seed(&id, json!({
            "id": id, "name": name, "type": ASSIGNMENT,
            "properties": {"roleDefinitionId": format!("/subscriptions/{subscription}/providers/{DEFINITION}/{definition}"), "principalId": principal, "principalType": "ServicePrincipal", "scope": grant.scope, "condition": null, "conditionVersion": null, "description": null},
        }));
    }

    /// Puts a resource that is written as ARM shows it; name and type follow from its id.
    fn seed_resource(&self, store: &mut Store, resource: &Map<String, Value>) {
        let id = resource
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let mut value = Value::Object(resource.clone());
        if let Ok(parsed) = id.parse::<ArmId>() {
            value["name"] = json!(parsed.name());
            value["type"] = json!(parsed.resource_type());
        }
        if value.get("properties").is_none() {
            value["properties"] = json!({});
        }
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        if kind.starts_with("Microsoft.Network/") {
            value["etag"] = json!("W/\"1\"");
            value["properties"]["provisioningState"] = json!("Succeeded");
        }
        if kind == IDENTITY {
            let (principal, client) = principal_of(&id);
            for (name, text) in [
                ("principalId", principal),
                ("clientId", client),
                ("tenantId", self.tenant.clone()),
            ] {
                if value["properties"][name].is_null() {
                    value["properties"][name] = json!(text);
                }
            }
        }
        store.seed(&id, value);
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
        let storage = seed_disks(store, machine, &id, in_group);
        let subnet = seed_network(store, &in_group(&machine.group), &machine.location);
        let usual = [Nic {
            name: format!("{}-nic", machine.name),
            group: None,
            nsg: None,
            public_ip: None,
            configurations: None,
        }];
        let nics = if machine.nics.is_empty() {
            &usual[..]
        } else {
            &machine.nics
        };
        let mut references = Vec::new();
        for (index, nic) in nics.iter().enumerate() {
            let nic_id = format!(
                "{}/Microsoft.Network/networkInterfaces/{}",
                in_group(nic.group.as_deref().unwrap_or(&machine.group)),
                nic.name
            );
            store.seed(
                &nic_id,
                interface(&nic_id, nic, machine, (&subnet, &id), index == 0),
            );
            references.push(json!({"id": nic_id, "properties": {"primary": index == 0, "deleteOption": "Detach"}}));
        }
        let mut vm = json!({
            "id": id, "name": machine.name, "type": "Microsoft.Compute/virtualMachines", "location": machine.location, "tags": machine.tags,
            "properties": {
                "vmId": guid(&id), "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_B2ms"},
                "storageProfile": storage, "networkProfile": {"networkInterfaces": references},
                "osProfile": {"computerName": machine.name, "adminUsername": "azureuser"}, "timeCreated": "2026-01-12T04:06:07.3525011+00:00",
            },
            "etag": "\"1\"", "__power": machine.power.as_deref().unwrap_or("running"),
        });
        if let Some(identity) = self.identity_of(store, machine) {
            vm["identity"] = identity;
        }
        store.seed(&id, vm);
    }

    fn identity_of(&self, store: &Store, machine: &Machine) -> Option<Value> {
        let users: Map<String, Value> = machine
            .user_identities
            .iter()
            .map(|id| {
                let (principal, client) = principal_of(id);
                let own = |name: &str, usual: String| store.get(id).and_then(|known| known["properties"][name].as_str().map(str::to_owned)).unwrap_or(usual);
                (id.clone(), json!({"principalId": own("principalId", principal), "clientId": own("clientId", client)}))
            })
            .collect();
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

    fn seed_events(&self, store: &mut Store, events: &Events, made: DateTime<Utc>) {
        let groups = self.groups.iter().find(|group| group.name == events.group);
        let subscription =
            self.subscription(groups.and_then(|group| group.subscription.as_deref()));
        let operation = events.operation.as_deref().unwrap_or(MACHINE_WRITTEN);
        let localized = match operation {
            MACHINE_WRITTEN => "Create or Update Virtual Machine",
            other => other,
        };
        let kind = operation
            .rsplit_once('/')
            .map_or(operation, |(kind, _)| kind);
        let on = events.resource.as_deref();
        let on = on.unwrap_or("Microsoft.Compute/virtualMachines/vm-app-01");
        // What is seeded without an operation keeps the ids that it always had.
        let which = events
            .operation
            .as_deref()
            .map(|operation| format!("{operation} {on} "));
        let which = which.unwrap_or_default();
        for number in 0..events.count {
            // Spread over the last 20 hours, well before what azir does.
            let ago = Duration::seconds(
                3_600
                    + i64::try_from(number)
                        .unwrap_or(i64::MAX / 1_000)
                        .saturating_mul(300),
            );
            let time = (made - ago).format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string();
            let resource = format!(
                "/subscriptions/{subscription}/resourceGroups/{}/providers/{on}",
                events.group
            );
            let correlation = guid(&format!("{} {which}correlation {number}", events.group));
            store.events.push(json!({
                "authorization": {"action": operation, "scope": resource},
                "caller": "mallory@contoso.com", "channels": "Operation", "correlationId": correlation,
                "eventDataId": guid(&format!("{} {which}event {number}", events.group)), "eventName": {"value": "EndRequest", "localizedValue": "End request"},
                "category": {"value": "Administrative", "localizedValue": "Administrative"}, "level": "Informational",
                "httpRequest": {"clientRequestId": correlation, "clientIpAddress": "203.0.113.7", "method": "PUT"},
                "id": format!("{resource}/events/{number}"), "operationId": correlation,
                "operationName": {"value": operation, "localizedValue": localized},
                "resourceGroupName": events.group, "resourceProviderName": {"value": kind.split('/').next()}, "resourceType": {"value": kind},
                "resourceId": resource, "status": {"value": "Succeeded"}, "subStatus": {"value": "OK"},
                "eventTimestamp": time, "submissionTimestamp": time, "subscriptionId": subscription, "tenantId": self.tenant,
            }));
        }
    }
}

/// What the usual seeded event says.
const MACHINE_WRITTEN: &str = "Microsoft.Compute/virtualMachines/write";

/// Returns the principal and the client id of a user-assigned identity.
fn principal_of(id: &str) -> (String, String) {
    let id = id.to_lowercase();
    (guid(&id), guid(&format!("client {id}")))
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

/// Puts a machine's disks; returns its storage profile.
fn seed_disks(
    store: &mut Store,
    machine: &Machine,
    owner: &str,
    in_group: impl Fn(&str) -> String,
) -> Value {
    let usual = ["OsDisk", "data1"].map(|end| Disk {
        name: format!("{}_{end}", machine.name),
        group: None,
        sku: None,
        ephemeral: false,
    });
    let disks = if machine.disks.is_empty() {
        &usual[..]
    } else {
        &machine.disks
    };
    let mut storage = json!({"dataDisks": []});
    for (index, disk) in disks.iter().enumerate() {
        let id = format!(
            "{}/Microsoft.Compute/disks/{}",
            in_group(disk.group.as_deref().unwrap_or(&machine.group)),
            disk.name
        );
        let sku = disk.sku.as_deref().unwrap_or("Premium_LRS");
        let how = if index == 0 { "FromImage" } else { "Attach" };
        let mut entry = json!({"name": disk.name, "createOption": how, "caching": "None", "managedDisk": {"id": id, "storageAccountType": sku}, "diskSizeGB": 32, "deleteOption": "Detach"});
        if disk.ephemeral {
            entry["diffDiskSettings"] = json!({"option": "Local"});
        } else {
            store.seed(&id, disk_body(&id, disk, sku, &machine.location, owner));
        }
        if index == 0 {
            entry["osType"] = json!("Linux");
            storage["osDisk"] = entry;
        } else if let Some(list) = storage["dataDisks"].as_array_mut() {
            entry["lun"] = json!(index - 1);
            list.push(entry);
        }
    }
    storage
}

fn disk_body(id: &str, disk: &Disk, sku: &str, location: &str, owner: &str) -> Value {
    json!({
        "id": id, "name": disk.name, "type": "Microsoft.Compute/disks", "location": location, "sku": {"name": sku, "tier": sku.split('_').next()}, "managedBy": owner,
        "properties": {
            "provisioningState": "Succeeded", "uniqueId": guid(id), "osType": "Linux", "hyperVGeneration": "V2", "diskSizeGB": 32, "diskSizeBytes": 34_359_738_368_u64,
            "diskState": "Attached", "networkAccessPolicy": "AllowAll", "publicNetworkAccess": "Enabled", "creationData": {"createOption": "FromImage"},
            "encryption": {"type": "EncryptionAtRestWithPlatformKey"}, "timeCreated": "2026-01-12T04:06:05.1234567+00:00",
        },
    })
}

/// Makes the network of a group once; returns its subnet.
fn seed_network(store: &mut Store, providers: &str, location: &str) -> String {
    let network = format!("{providers}/Microsoft.Network/virtualNetworks/vnet-{location}");
    let subnet = format!("{network}/subnets/default");
    if store.get(&network).is_none() {
        store.seed(&network, json!({"id": network, "name": format!("vnet-{location}"), "type": "Microsoft.Network/virtualNetworks", "location": location, "etag": "W/\"1\"", "properties": {"provisioningState": "Succeeded", "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}));
    }
    if store.get(&subnet).is_none() {
        store.seed(&subnet, json!({"id": subnet, "name": "default", "type": "Microsoft.Network/virtualNetworks/subnets", "etag": "W/\"1\"", "properties": {"addressPrefix": "10.0.0.0/24", "provisioningState": "Succeeded"}}));
    }
    subnet
}

fn interface(
    id: &str,
    nic: &Nic,
    machine: &Machine,
    (subnet, owner): (&str, &str),
    primary: bool,
) -> Value {
    let configurations = (0..nic.configurations.unwrap_or(1)).map(|index| {
        let name = format!("ipconfig{}", index + 1);
        let mut properties = json!({"provisioningState": "Succeeded", "privateIPAddress": format!("10.0.0.{}", 4 + index), "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4", "primary": index == 0, "subnet": {"id": subnet}});
        if let (Some(address), 0) = (&nic.public_ip, index) {
            properties["publicIPAddress"] = json!({"id": address});
        }
        json!({"name": name, "id": format!("{id}/ipConfigurations/{name}"), "etag": "W/\"1\"", "type": "Microsoft.Network/networkInterfaces/ipConfigurations", "properties": properties})
    });
    let configurations: Vec<Value> = configurations.collect();
    let mut body = json!({
        "id": id, "name": nic.name, "type": "Microsoft.Network/networkInterfaces", "location": machine.location, "kind": "Regular", "etag": "W/\"1\"",
        "properties": {
            "provisioningState": "Succeeded", "resourceGuid": guid(id), "ipConfigurations": configurations, "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "macAddress": "00-0D-3A-00-00-01", "primary": primary, "enableAcceleratedNetworking": false, "vnetEncryptionSupported": false, "enableIPForwarding": false,
            "disableTcpStateTracking": false, "virtualMachine": {"id": owner}, "hostedWorkloads": [], "tapConfigurations": [], "nicType": "Standard",
            "allowPort25Out": true, "auxiliaryMode": "None", "auxiliarySku": "None",
        },
    });
    if let Some(nsg) = &nic.nsg {
        body["properties"]["networkSecurityGroup"] = json!({"id": nsg});
    }
    body
}
