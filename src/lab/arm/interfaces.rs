//! Network interfaces: a PUT makes one, or replaces the whole body of one (arm.md section 2.5; "Network Interfaces -
//! Create Or Update", "Network Interfaces - Delete (REST API)").

use serde_json::{Value, json};

use super::network::NIC;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error};

const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "etag",
    "kind",
    "properties",
    "extendedLocation",
];
/// Those that are read-only are ignored when they are echoed.
const PROPERTIES: &[&str] = &[
    "allowPort25Out",
    "auxiliaryMode",
    "auxiliarySku",
    "defaultOutboundConnectivityEnabled",
    "disableTcpStateTracking",
    "dnsSettings",
    "enableAcceleratedNetworking",
    "enableIPForwarding",
    "hostedWorkloads",
    "ipConfigurations",
    "macAddress",
    "networkSecurityGroup",
    "nicType",
    "primary",
    "privateEndpoint",
    "provisioningState",
    "resourceGuid",
    "tapConfigurations",
    "virtualMachine",
    "vnetEncryptionSupported",
    "workloadType",
];
const CONFIGURATION: &[&str] = &[
    "applicationGatewayBackendAddressPools",
    "applicationSecurityGroups",
    "gatewayLoadBalancer",
    "loadBalancerBackendAddressPools",
    "loadBalancerInboundNatRules",
    "primary",
    "privateIPAddress",
    "privateIPAddressPrefixLength",
    "privateIPAddressVersion",
    "privateIPAllocationMethod",
    "privateLinkConnectionProperties",
    "provisioningState",
    "publicIPAddress",
    "subnet",
    "virtualNetworkTaps",
];
/// Members of an interface that a PUT neither changes nor drops.
const READ_ONLY: &[&str] = &[
    "allowPort25Out",
    "hostedWorkloads",
    "macAddress",
    "primary",
    "resourceGuid",
    "tapConfigurations",
    "virtualMachine",
    "vnetEncryptionSupported",
];
/// The same of its `dnsSettings`.
const DNS_READ_ONLY: &[&str] = &["appliedDnsServers", "internalDomainNameSuffix"];
const WRITE: &str = "Microsoft.Network/networkInterfaces/write";

impl Arm<'_> {
    pub(super) fn put_nic(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let mut body = self.ask.json()?;
        only_members(&body, MEMBERS, "NetworkInterface")?;
        only_members(
            &body["properties"],
            PROPERTIES,
            "NetworkInterfacePropertiesFormat",
        )?;
        let before = self.store.get(id.as_str()).cloned();
        let at = before.as_ref().unwrap_or(&body);
        let Some(location) = at["location"].as_str().map(str::to_owned) else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        if !body["location"]
            .as_str()
            .is_some_and(|given| given.eq_ignore_ascii_case(&location))
        {
            return Err(arm_error(
                409,
                "InvalidResourceLocation",
                &format!(
                    "The resource '{}' already exists in location '{location}'.",
                    id.name()
                ),
            ));
        }
        self.network_is_free(id, &location)?;
        if let Some(before) = &before {
            self.as_expected(before)?;
        }
        let mut configurations = self.configurations(id, &body, &location)?;
        self.addresses(before.as_ref(), &mut configurations)?;
        body["properties"]["ipConfigurations"] = json!(configurations);
        self.join_group(id, WRITE, &location, &mut body)?;
        let Some(before) = before else {
            return Ok(self.new_nic(id, body));
        };
        for name in ["id", "name", "type", "location", "kind"] {
            body[name] = before[name].clone();
        }
        keep(&before["properties"], &mut body["properties"], READ_ONLY);
        keep(
            &before["properties"]["dnsSettings"],
            &mut body["properties"]["dnsSettings"],
            DNS_READ_ONLY,
        );
        Ok(self.finish_put(id, body, 200, NIC))
    }

    /// Puts an interface that was not there.
    fn new_nic(&mut self, id: &ArmId, mut body: Value) -> Reply {
        if let Some(properties) = body["properties"].as_object_mut() {
            for name in READ_ONLY {
                properties.shift_remove(*name);
            }
        }
        let usual = json!({
            "resourceGuid": self.tenant.random.uuid().to_string(), "dnsSettings": {"dnsServers": []},
            "enableAcceleratedNetworking": false, "vnetEncryptionSupported": false, "enableIPForwarding": false,
            "disableTcpStateTracking": false, "hostedWorkloads": [], "tapConfigurations": [], "nicType": "Standard",
            "allowPort25Out": true, "auxiliaryMode": "None", "auxiliarySku": "None",
        });
        for (name, value) in usual.as_object().into_iter().flatten() {
            if body["properties"][name].is_null() {
                body["properties"][name] = value.clone();
            }
        }
        body["properties"]["dnsSettings"]["appliedDnsServers"] = json!([]);
        body["id"] = json!(id.as_str());
        body["name"] = json!(id.name());
        body["type"] = json!(NIC);
        body["kind"] = json!("Regular");
        self.finish_put(id, body, 201, NIC)
    }

    /// Gives each configuration that asks for none the address that it had, or one that is free.
    fn addresses(&self, before: Option<&Value>, configurations: &mut [Value]) -> Result<(), Reply> {
        let alone = configurations.len() == 1;
        let mut given: Vec<String> = Vec::new();
        for one in configurations {
            let subnet = one["properties"]["subnet"]["id"]
                .as_str()
                .unwrap_or_default();
            let had = before.and_then(|before| {
                let all = before["properties"]["ipConfigurations"].as_array();
                all.into_iter()
                    .flatten()
                    .find(|had| had["name"] == one["name"])
            });
            let had = had.and_then(|had| had["properties"]["privateIPAddress"].as_str());
            let asked = one["properties"]["privateIPAddress"].as_str().or(had);
            let address = match asked {
                Some(address) => address.to_owned(),
                None => self.free_address(subnet, &given).ok_or_else(|| {
                    let message = format!("Subnet {} is full.", ArmId::name_of(subnet));
                    arm_error(400, "SubnetIsFull", &message)
                })?,
            };
            given.push(address.clone());
            let properties = &mut one["properties"];
            properties["privateIPAddress"] = json!(address);
            for (name, usual) in [
                ("privateIPAllocationMethod", "Dynamic"),
                ("privateIPAddressVersion", "IPv4"),
            ] {
                if properties[name].is_null() {
                    properties[name] = json!(usual);
                }
            }
            if alone {
                properties["primary"] = json!(true);
            }
        }
        Ok(())
    }

    pub(super) fn delete_nic(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(value) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        let location = value["location"].as_str().unwrap_or_default();
        self.network_is_free(id, location)?;
        if let Some(user) = value["properties"]["virtualMachine"]["id"].as_str() {
            let message = format!(
                "Network Interface {} is used by existing VM {user}.",
                id.name()
            );
            return Err(arm_error(400, "NicInUse", &message));
        }
        self.store.delete(id.as_str());
        Ok(self.gone(NIC, location))
    }

    /// Checks the IP configurations of a body, and returns them as the service keeps them.
    fn configurations(
        &self,
        id: &ArmId,
        body: &Value,
        location: &str,
    ) -> Result<Vec<Value>, Reply> {
        let given = body["properties"]["ipConfigurations"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if given.is_empty() {
            let message =
                format!("Network interface {id} must have one or more IP configurations.");
            return Err(arm_error(
                400,
                "NetworkInterfaceMustHaveAtLeastOneIpConfiguration",
                &message,
            ));
        }
        given
            .into_iter()
            .map(|one| self.configuration(id, one, location))
            .collect()
    }

    fn configuration(&self, id: &ArmId, mut one: Value, location: &str) -> Result<Value, Reply> {
        only_members(
            &one,
            &["id", "name", "type", "etag", "properties", "zones"],
            "NetworkInterfaceIPConfiguration",
        )?;
        only_members(
            &one["properties"],
            CONFIGURATION,
            "NetworkInterfaceIPConfigurationPropertiesFormat",
        )?;
        let Some(subnet) = one["properties"]["subnet"]["id"].as_str() else {
            return Err(arm_error(
                400,
                "SubnetNotProvided",
                &format!("IP configuration {} of {id} has no subnet.", one["name"]),
            ));
        };
        self.may_join(
            id,
            WRITE,
            location,
            (
                "Microsoft.Network/virtualNetworks/subnets/join/action",
                subnet,
            ),
        )?;
        match one["properties"]["publicIPAddress"]["id"].as_str() {
            Some(address) => self.may_join(
                id,
                WRITE,
                location,
                ("Microsoft.Network/publicIPAddresses/join/action", address),
            )?,
            None => {
                if let Some(properties) = one["properties"].as_object_mut() {
                    properties.shift_remove("publicIPAddress");
                }
            }
        }
        let name = one["name"].as_str().unwrap_or_default().to_owned();
        one["id"] = json!(format!("{id}/ipConfigurations/{name}"));
        one["type"] = json!("Microsoft.Network/networkInterfaces/ipConfigurations");
        one["properties"]["provisioningState"] = json!("Succeeded");
        Ok(one)
    }
}

/// Gives `after` the members of `names` as `before` has them, whatever was sent.
fn keep(before: &Value, after: &mut Value, names: &[&str]) {
    let Some(before) = before.as_object() else {
        return;
    };
    if !after.is_object() {
        *after = json!({});
    }
    for name in names {
        match (before.get(*name), after.as_object_mut()) {
            (Some(value), _) => after[*name] = value.clone(),
            (None, Some(members)) => {
                members.shift_remove(*name);
            }
            (None, None) => {}
        }
    }
}
