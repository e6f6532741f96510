//! What is in force at an interface: its own NSG and its subnets', only where the machine runs (arm.md section 2.5).

use serde_json::{Value, json};

use super::Arm;
use super::network::NIC;
use super::operations::Start;
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error};

impl Arm<'_> {
    pub(super) fn effective(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let nic = self.found(id)?;
        let machine = nic["properties"]["virtualMachine"]["id"]
            .as_str()
            .and_then(|machine| self.store.get(machine));
        if machine.is_none_or(|machine| machine["__power"] != "running") {
            let message = format!(
                "Network interface {id} must be attached to a running virtual machine to get its effective security groups."
            );
            return Err(arm_error(
                400,
                "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups",
                &message,
            ));
        }
        let result = json!({ "value": self.in_force(id, &nic) });
        let operation = self.begin(Start {
            kind: "effective",
            result: Some(result),
            ..Start::default()
        });
        let location = nic["location"].as_str().unwrap_or_default();
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, NIC, location, false),
        );
        Ok(reply.with("location", self.address(&operation, NIC, location, true)))
    }

    fn in_force(&self, id: &ArmId, nic: &Value) -> Vec<Value> {
        let mut groups = Vec::new();
        let mut add = |nsg: &Value, association: Value| {
            let found = nsg.as_str().and_then(|nsg| self.store.get(nsg));
            if let Some(found) = found {
                let rules = effective_rules(&self.filled(found));
                groups.push(json!({"networkSecurityGroup": {"id": found["id"]}, "association": association, "effectiveSecurityRules": rules}));
            }
        };
        add(
            &nic["properties"]["networkSecurityGroup"]["id"],
            json!({"networkInterface": {"id": id.as_str()}}),
        );
        let mut seen: Vec<String> = Vec::new();
        for configuration in nic["properties"]["ipConfigurations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let subnet = configuration["properties"]["subnet"]["id"]
                .as_str()
                .unwrap_or_default();
            if seen.iter().any(|known| known.eq_ignore_ascii_case(subnet)) {
                continue;
            }
            seen.push(subnet.to_owned());
            if let Some(found) = self.store.get(subnet) {
                add(
                    &found["properties"]["networkSecurityGroup"]["id"],
                    json!({"subnet": {"id": subnet}}),
                );
            }
        }
        groups
    }
}

fn effective_rules(nsg: &Value) -> Vec<Value> {
    let all = ["securityRules", "defaultSecurityRules"]
        .into_iter()
        .flat_map(|folder| {
            let rules = nsg["properties"][folder].as_array().into_iter().flatten();
            rules.map(move |rule| flat(rule, folder))
        });
    all.collect()
}

/// Writes a rule as the effective list does: one level, ports as ranges, any protocol as `All`, any address as
/// 0.0.0.0/0, each range and prefix in the singular and the plural ("Diagnose a virtual machine network traffic
/// filter problem").
fn flat(rule: &Value, folder: &str) -> Value {
    let mut flat = rule["properties"].clone();
    if let Some(members) = flat.as_object_mut() {
        members.shift_remove("provisioningState");
    }
    flat["name"] = json!(format!(
        "{folder}/{}",
        rule["name"].as_str().unwrap_or_default()
    ));
    if flat["protocol"] == "*" {
        flat["protocol"] = json!("All");
    }
    for ports in ["sourcePortRange", "destinationPortRange"] {
        match flat[ports].as_str() {
            Some("*") => flat[ports] = json!("0-65535"),
            Some(port) if !port.is_empty() && !port.contains('-') => {
                flat[ports] = json!(format!("{port}-{port}"));
            }
            _ => {}
        }
    }
    for prefix in ["sourceAddressPrefix", "destinationAddressPrefix"] {
        if flat[prefix] == "*" {
            flat[prefix] = json!("0.0.0.0/0");
        }
    }
    for (one, many) in PLURALS {
        if let Some(text) = flat[one].as_str().filter(|text| !text.is_empty()) {
            flat[many] = json!([text]);
        }
    }
    flat
}

/// Members that stand twice in the effective list.
const PLURALS: [(&str, &str); 4] = [
    ("destinationAddressPrefix", "destinationAddressPrefixes"),
    ("destinationPortRange", "destinationPortRanges"),
    ("sourceAddressPrefix", "sourceAddressPrefixes"),
    ("sourcePortRange", "sourcePortRanges"),
];
