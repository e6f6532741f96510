//! Virtual networks: made with their subnets, each of which is a resource of its own ("Virtual Networks - Create Or
//! Update"), and the addresses that are free in one.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::network::{NIC, SUBNET};
use super::resources::tags_are_good;
use super::{Arm, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type of virtual networks.
pub(super) const NETWORK: &str = "Microsoft.Network/virtualNetworks";
const WRITE: &str = "Microsoft.Network/virtualNetworks/write";
/// The service keeps the first four addresses of a subnet to itself.
const RESERVED: u32 = 4;

impl Arm<'_> {
    pub(super) fn put_network(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let mut body = self.ask.json()?;
        only_members(
            &body,
            &[
                "etag",
                "id",
                "location",
                "name",
                "properties",
                "tags",
                "type",
            ],
            "VirtualNetwork",
        )?;
        only_members(
            &body["properties"],
            &[
                "addressSpace",
                "provisioningState",
                "resourceGuid",
                "subnets",
            ],
            "VirtualNetworkPropertiesFormat",
        )?;
        let Some(location) = body["location"].as_str().map(str::to_owned) else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        if let Some(tags) = body["tags"].as_object() {
            tags_are_good(tags)?;
        }
        self.network_is_free(id, &location)?;
        let known = self.store.get(id.as_str()).is_some();
        let mut subnets = body["properties"]["subnets"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        self.no_subnet_is_left_out(id, &subnets)?;
        for subnet in &mut subnets {
            only_members(
                subnet,
                &["etag", "id", "name", "properties", "type"],
                "Subnet",
            )?;
            only_members(
                &subnet["properties"],
                &["addressPrefix", "networkSecurityGroup", "provisioningState"],
                "SubnetPropertiesFormat",
            )?;
            let name = subnet["name"].as_str().unwrap_or_default().to_owned();
            subnet_fits(&body, id.name(), subnet)?;
            let own: ArmId = self.resource(&format!("{id}/subnets/{name}"))?;
            self.join_group(&own, WRITE, &location, subnet)?;
        }
        for subnet in subnets {
            self.keep_subnet(id, subnet);
        }
        if let Some(properties) = body["properties"].as_object_mut() {
            properties.shift_remove("subnets");
        }
        body["id"] = json!(id.as_str());
        body["name"] = json!(id.name());
        body["type"] = json!(NETWORK);
        Ok(self.finish_put(id, body, if known { 200 } else { 201 }, NETWORK))
    }

    /// A PUT without a subnet that is there would delete it.
    fn no_subnet_is_left_out(&self, id: &ArmId, subnets: &[Value]) -> Result<(), Reply> {
        let named = |name: &Value| subnets.iter().any(|subnet| subnet["name"] == *name);
        let left = self.store.of_type(id.as_str(), SUBNET);
        let mut left = left.filter(|subnet| !named(&subnet["name"]));
        match left.next() {
            Some(_) => Err(not_modelled("a PUT of a network that leaves out a subnet")),
            None => Ok(()),
        }
    }

    fn keep_subnet(&mut self, network: &ArmId, mut subnet: Value) {
        let name = subnet["name"].as_str().unwrap_or_default().to_owned();
        let id = format!("{network}/subnets/{name}");
        subnet["id"] = json!(id);
        subnet["type"] = json!(SUBNET);
        subnet["etag"] = json!("W/\"1\"");
        subnet["properties"]["provisioningState"] = json!("Succeeded");
        self.store.put(&id, subnet);
    }

    /// Returns the first address of a subnet that nobody has, and that was not just given out.
    pub(super) fn free_address(&self, subnet: &str, given: &[String]) -> Option<String> {
        let prefix = self.store.get(subnet)?["properties"]["addressPrefix"].as_str()?;
        let (first, last) = range(prefix)?;
        let taken: Vec<&str> = self
            .store
            .of_type("", NIC)
            .flat_map(|nic| {
                let all = nic["properties"]["ipConfigurations"].as_array();
                all.into_iter().flatten()
            })
            .filter(|one| {
                one["properties"]["subnet"]["id"]
                    .as_str()
                    .is_some_and(|of| of.eq_ignore_ascii_case(subnet))
            })
            .filter_map(|one| one["properties"]["privateIPAddress"].as_str())
            .collect();
        (first + RESERVED..last)
            .map(|address| Ipv4Addr::from(address).to_string())
            .find(|address| !taken.contains(&address.as_str()) && !given.contains(address))
    }
}

/// Refuses a subnet whose range is none, or not of its network.
pub(super) fn subnet_fits(network: &Value, name: &str, subnet: &Value) -> Result<(), Reply> {
    let own = subnet["properties"]["addressPrefix"]
        .as_str()
        .and_then(range);
    let spaces = network["properties"]["addressSpace"]["addressPrefixes"].as_array();
    let mut spaces = spaces
        .into_iter()
        .flatten()
        .filter_map(|space| range(space.as_str()?));
    let called = subnet["name"].as_str().unwrap_or_default();
    let Some((first, last)) = own else {
        let message = format!("Address prefix of subnet {called} is missing or malformed.");
        return Err(arm_error(400, "InvalidAddressPrefixFormat", &message));
    };
    if spaces.any(|(from, to)| from <= first && last <= to) {
        return Ok(());
    }
    let message = format!(
        "Subnet '{called}' is not valid because its IP address range is outside the IP address range of virtual network '{name}'."
    );
    Err(arm_error(400, "NetcfgSubnetRangeOutsideVnet", &message))
}

/// Returns the first and the last address of a range such as `10.0.0.0/24`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let bits: u32 = bits.parse().ok().filter(|bits| (8..=29).contains(bits))?;
    let size = 1_u32 << (32 - bits);
    let first = u32::from(address);
    first
        .is_multiple_of(size)
        .then(|| (first, first + (size - 1)))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_begins_at_a_multiple_of_its_size() {
        let (first, last) = range("10.0.1.0/24").unwrap();
        assert_eq!(last - first, 255);
        for bad in [
            "10.0.1.1/24",
            "10.0.1.0",
            "10.0.1.0/33",
            "x/24",
            "10.0.1.0/30",
        ] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
