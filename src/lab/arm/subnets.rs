//! Subnets: a PUT makes one, or replaces the whole body of one (arm.md section 2.5, of network resources; "Subnets -
//! Create Or Update").

use serde_json::{Value, json};

use super::network::SUBNET;
use super::networks::subnet_fits;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error};

const MEMBERS: &[&str] = &["id", "name", "type", "etag", "properties"];
/// Those that are read-only are ignored when they are echoed.
const PROPERTIES: &[&str] = &[
    "addressPrefix",
    "addressPrefixes",
    "applicationGatewayIPConfigurations",
    "defaultOutboundAccess",
    "delegations",
    "ipAllocations",
    "ipConfigurationProfiles",
    "ipConfigurations",
    "natGateway",
    "networkSecurityGroup",
    "privateEndpointNetworkPolicies",
    "privateEndpoints",
    "privateLinkServiceNetworkPolicies",
    "provisioningState",
    "purpose",
    "resourceNavigationLinks",
    "routeTable",
    "serviceAssociationLinks",
    "serviceEndpointPolicies",
    "serviceEndpoints",
    "sharingScope",
];

impl Arm<'_> {
    pub(super) fn put_subnet(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let mut body = self.ask.json()?;
        only_members(&body, MEMBERS, "Subnet")?;
        only_members(&body["properties"], PROPERTIES, "SubnetPropertiesFormat")?;
        let Some(before) = self.store.get(id.as_str()).cloned() else {
            return self.new_subnet(id, body);
        };
        let prefix = |value: &Value| {
            let one = value["properties"]["addressPrefix"].clone();
            if one.is_null() {
                value["properties"]["addressPrefixes"][0].clone()
            } else {
                one
            }
        };
        if prefix(&body) != prefix(&before) {
            let message = format!(
                "Subnet {} is in use and cannot change its address prefix from {} to {}.",
                id.name(),
                prefix(&before),
                prefix(&body)
            );
            return Err(arm_error(400, "InUseSubnetCannotBeUpdated", &message));
        }
        let location = self.location_of(id, &before);
        self.network_is_free(id, &location)?;
        self.as_expected(&before)?;
        let write = "Microsoft.Network/virtualNetworks/subnets/write";
        self.join_group(id, write, &location, &mut body)?;
        if let Some(properties) = body["properties"].as_object_mut() {
            properties.shift_remove("ipConfigurations");
        }
        for name in ["id", "name", "type"] {
            body[name] = before[name].clone();
        }
        Ok(self.finish_put(id, body, 200, SUBNET))
    }

    fn new_subnet(&mut self, id: &ArmId, mut body: Value) -> Result<Reply, Reply> {
        let parent = id.parent().and_then(|id| self.store.get(id.as_str()));
        let Some(network) = parent.cloned() else {
            let message = "Can not perform requested operation on nested resource. Parent resource not found.";
            return Err(arm_error(404, "ParentResourceNotFound", message));
        };
        body["name"] = json!(id.name());
        subnet_fits(
            &network,
            network["name"].as_str().unwrap_or_default(),
            &body,
        )?;
        let location = self.location_of(id, &body);
        self.network_is_free(id, &location)?;
        let write = "Microsoft.Network/virtualNetworks/subnets/write";
        self.join_group(id, write, &location, &mut body)?;
        body["id"] = json!(id.as_str());
        body["type"] = json!(SUBNET);
        Ok(self.finish_put(id, body, 201, SUBNET))
    }
}
