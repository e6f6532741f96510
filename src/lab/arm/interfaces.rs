//! Network interfaces: a PUT replaces the whole body (arm.md section 2.5).

use serde_json::{Value, json};

use super::network::NIC;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

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
        let Some(before) = self.store.get(id.as_str()).cloned() else {
            return Err(not_modelled("new network interfaces"));
        };
        let mut body = self.ask.json()?;
        only_members(&body, MEMBERS, "NetworkInterface")?;
        only_members(
            &body["properties"],
            PROPERTIES,
            "NetworkInterfacePropertiesFormat",
        )?;
        let location = before["location"].as_str().unwrap_or_default().to_owned();
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
        self.as_expected(&before)?;
        let configurations = self.configurations(id, &body, &location)?;
        body["properties"]["ipConfigurations"] = json!(configurations);
        self.join_group(id, WRITE, &location, &mut body)?;
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
