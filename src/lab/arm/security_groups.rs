//! Network security groups and their rules (arm.md section 2.5).

use serde_json::{Value, json};

use super::network::NSG;
use super::operations::Start;
use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "etag",
    "properties",
];
/// Those that are read-only are ignored when they are echoed.
const PROPERTIES: &[&str] = &[
    "defaultSecurityRules",
    "flowLogs",
    "flushConnection",
    "networkInterfaces",
    "provisioningState",
    "resourceGuid",
    "securityRules",
    "subnets",
];
const RULE: &[&str] = &[
    "access",
    "description",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "destinationApplicationSecurityGroups",
    "destinationPortRange",
    "destinationPortRanges",
    "direction",
    "priority",
    "protocol",
    "provisioningState",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "sourceApplicationSecurityGroups",
    "sourcePortRange",
    "sourcePortRanges",
];

impl Arm<'_> {
    pub(super) fn put_nsg(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let before = self.store.get(id.as_str()).cloned();
        let mut body = self.ask.json()?;
        only_members(&body, MEMBERS, "NetworkSecurityGroup")?;
        only_members(
            &body["properties"],
            PROPERTIES,
            "NetworkSecurityGroupPropertiesFormat",
        )?;
        let Some(location) = body["location"].as_str().map(str::to_owned) else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        if let Some(at) = before
            .as_ref()
            .and_then(|before| before["location"].as_str())
            .filter(|at| !at.eq_ignore_ascii_case(&location))
        {
            return Err(arm_error(
                409,
                "InvalidResourceLocation",
                &format!(
                    "The resource '{}' already exists in location '{at}' in resource group '{}'.",
                    id.name(),
                    id.resource_group().unwrap_or_default()
                ),
            ));
        }
        self.network_is_free(id, &location)?;
        let rules = body["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| json!({"name": rule["name"], "properties": rule["properties"]}))
            .collect();
        rules_are_good(&rules)?;
        if body["properties"].is_null() {
            body["properties"] = json!({});
        }
        body["properties"]["securityRules"] = json!(rules);
        body["id"] = before
            .as_ref()
            .map_or_else(|| json!(id.as_str()), |before| before["id"].clone());
        body["name"] = before
            .as_ref()
            .map_or_else(|| json!(id.name()), |before| before["name"].clone());
        body["type"] = json!(NSG);
        if let Some(properties) = body["properties"].as_object_mut() {
            for computed in ["defaultSecurityRules", "networkInterfaces", "subnets"] {
                properties.shift_remove(computed);
            }
        }
        Ok(self.finish_put(id, body, if before.is_some() { 200 } else { 201 }, NSG))
    }

    pub(super) fn delete_nsg(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(value) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        let filled = self.filled(&value);
        let location = value["location"].as_str().unwrap_or_default();
        self.network_is_free(id, location)?;
        let users = ["networkInterfaces", "subnets"]
            .map(|member| filled["properties"][member][0]["id"].clone());
        if let Some(user) = users.iter().find_map(Value::as_str) {
            let message = format!(
                "Network security group {id} cannot be deleted because it is in use by the following resources: {user}. In order to delete the Network security group, remove the association with the resource(s)."
            );
            return Err(arm_error(
                400,
                "InUseNetworkSecurityGroupCannotBeDeleted",
                &message,
            ));
        }
        self.store.delete(id.as_str());
        Ok(self.gone(NSG, location))
    }

    /// Answers a deletion: 202, with the Location that says when it is over.
    pub(super) fn gone(&mut self, kind: &str, location: &str) -> Reply {
        let operation = self.begin(Start {
            kind,
            ..Start::default()
        });
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, kind, location, false),
        );
        reply.with("location", self.address(&operation, kind, location, true))
    }

    /// Rules as resources of their own; they live in their group.
    pub(super) fn security_rules(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        let member = if kind.ends_with("/defaultsecurityrules") {
            "defaultSecurityRules"
        } else {
            "securityRules"
        };
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => {
                self.rule(&id, member).map(|rule| Reply::json(200, &rule))
            }
            ("GET", Target::List { scope, .. }) => {
                let parent = self.resource(&scope)?;
                let filled = self.filled(&self.found(&parent)?);
                Ok(self.list(
                    filled["properties"][member]
                        .as_array()
                        .map_or(&[], Vec::as_slice),
                ))
            }
            ("PUT", Target::Resource(id)) if member == "securityRules" => self.put_rule(&id),
            ("DELETE", Target::Resource(id)) if member == "securityRules" => self.delete_rule(&id),
            (method, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    fn group_of(&self, rule: &ArmId) -> Result<(ArmId, Value), Reply> {
        let parent = rule.parent().ok_or_else(|| self.not_found())?;
        match self.found(&parent) {
            Ok(nsg) => Ok((parent, nsg)),
            Err(_) if self.ask.method == "PUT" => Err(arm_error(
                404,
                "ParentResourceNotFound",
                &format!(
                    "Can not perform requested operation on nested resource. Parent resource '{}' not found.",
                    parent.name()
                ),
            )),
            Err(reply) => Err(reply),
        }
    }

    fn rule(&self, id: &ArmId, member: &str) -> Result<Value, Reply> {
        let (_, nsg) = self.group_of(id)?;
        let filled = self.filled(&nsg);
        let mut rules = filled["properties"][member]
            .as_array()
            .into_iter()
            .flatten();
        let found = rules.find(|rule| named(rule, id.name())).cloned();
        found.ok_or_else(|| arm_error(404, "NotFound", &format!("Resource {id} not found.")))
    }

    fn put_rule(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let (parent, mut nsg) = self.group_of(id)?;
        self.network_is_free(&parent, nsg["location"].as_str().unwrap_or_default())?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "etag", "properties"],
            "SecurityRule",
        )?;
        let mut rules = nsg["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let new = json!({"name": id.name(), "properties": body["properties"]});
        let status = if let Some(rule) = rules.iter_mut().find(|rule| named(rule, id.name())) {
            *rule = new;
            200
        } else {
            rules.push(new);
            201
        };
        rules_are_good(&rules)?;
        nsg["properties"]["securityRules"] = json!(rules);
        let put = self.finish_put(&parent, nsg, status, NSG);
        let rule = self.rule(id, "securityRules")?;
        Ok(Reply {
            body: rule.to_string().into_bytes(),
            ..put
        })
    }

    fn delete_rule(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let (parent, mut nsg) = self.group_of(id)?;
        let location = nsg["location"].as_str().unwrap_or_default().to_owned();
        self.network_is_free(&parent, &location)?;
        let mut rules = nsg["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let known = rules.len();
        rules.retain(|rule| !named(rule, id.name()));
        if rules.len() == known {
            return Ok(Reply::empty(204));
        }
        nsg["properties"]["securityRules"] = json!(rules);
        let put = self.finish_put(&parent, nsg, 202, NSG);
        let headers = put
            .headers
            .into_iter()
            .filter(|(name, _)| name == "azure-asyncoperation")
            .collect();
        Ok(Reply {
            status: 202,
            headers,
            body: Vec::new(),
        })
    }
}

fn named(rule: &Value, name: &str) -> bool {
    rule["name"]
        .as_str()
        .is_some_and(|known| known.eq_ignore_ascii_case(name))
}

fn rules_are_good(rules: &[Value]) -> Result<(), Reply> {
    for (index, rule) in rules.iter().enumerate() {
        rule_is_good(rule)?;
        let name = rule["name"].as_str().unwrap_or_default();
        for other in &rules[..index] {
            let same = |member: &str| other["properties"][member] == rule["properties"][member];
            if same("priority") && same("direction") {
                let message = format!(
                    "Security rule {} conflicts with rule {name}. Rules cannot have the same Priority and Direction.",
                    other["name"].as_str().unwrap_or_default()
                );
                return Err(arm_error(400, "SecurityRuleConflict", &message));
            }
        }
    }
    Ok(())
}

fn rule_is_good(rule: &Value) -> Result<(), Reply> {
    let properties = &rule["properties"];
    let name = rule["name"].as_str().unwrap_or_default();
    only_members(properties, RULE, "SecurityRulePropertiesFormat")?;
    if !properties["priority"]
        .as_i64()
        .is_some_and(|priority| (100..=4096).contains(&priority))
    {
        let message = format!(
            "Security rule {name} has invalid priority. Supported values are between 100 and 4096."
        );
        return Err(arm_error(400, "SecurityRuleInvalidPriority", &message));
    }
    let unsupported = |what: &str| {
        Err(arm_error(
            400,
            "SecurityRuleParameterContainsUnsupportedValue",
            &format!("Security rule parameter {what} of rule {name} has an unsupported value."),
        ))
    };
    let one_of = |member: &str, known: &[&str]| {
        properties[member]
            .as_str()
            .is_some_and(|value| known.iter().any(|known| known.eq_ignore_ascii_case(value)))
    };
    if !one_of("access", &["Allow", "Deny"]) {
        return unsupported("Access");
    }
    if !one_of("direction", &["Inbound", "Outbound"]) {
        return unsupported("Direction");
    }
    if !one_of("protocol", &["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"]) {
        return unsupported("Protocol");
    }
    // Application security groups take the place of addresses, not of ports.
    let sides: [&[&str]; 4] = [
        &[
            "sourceAddressPrefix",
            "sourceAddressPrefixes",
            "sourceApplicationSecurityGroups",
        ],
        &[
            "destinationAddressPrefix",
            "destinationAddressPrefixes",
            "destinationApplicationSecurityGroups",
        ],
        &["sourcePortRange", "sourcePortRanges"],
        &["destinationPortRange", "destinationPortRanges"],
    ];
    for side in sides {
        let given = side.iter().filter(|member| {
            !matches!(&properties[**member], Value::Null)
                && properties[**member] != json!([])
                && properties[**member] != json!("")
        });
        if given.count() != 1 {
            return unsupported(side[0]);
        }
    }
    Ok(())
}

/// Returns a rule as its group shows it.
pub(super) fn rule_of(nsg: &str, rule: &Value, etag: &Value) -> Value {
    let name = rule["name"].as_str().unwrap_or_default();
    let mut shown = json!({
        "name": name, "id": format!("{nsg}/securityRules/{name}"), "etag": etag,
        "type": "Microsoft.Network/networkSecurityGroups/securityRules", "properties": rule["properties"],
    });
    shown["properties"]["provisioningState"] = json!("Succeeded");
    for list in [
        "sourcePortRanges",
        "destinationPortRanges",
        "sourceAddressPrefixes",
        "destinationAddressPrefixes",
    ] {
        if shown["properties"][list].is_null() {
            shown["properties"][list] = json!([]);
        }
    }
    shown
}

/// Returns the rules that every group has.
pub(super) fn default_rules(nsg: &str) -> Value {
    let rule = |name: &str,
                priority: u64,
                direction: &str,
                access: &str,
                source: &str,
                destination: &str| {
        json!({
            "name": name, "id": format!("{nsg}/defaultSecurityRules/{name}"), "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {"priority": priority, "direction": direction, "access": access, "protocol": "*", "sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": destination, "destinationPortRange": "*", "provisioningState": "Succeeded"},
        })
    };
    json!([
        rule(
            "AllowVnetInBound",
            65000,
            "Inbound",
            "Allow",
            "VirtualNetwork",
            "VirtualNetwork"
        ),
        rule(
            "AllowAzureLoadBalancerInBound",
            65001,
            "Inbound",
            "Allow",
            "AzureLoadBalancer",
            "*"
        ),
        rule("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
        rule(
            "AllowVnetOutBound",
            65000,
            "Outbound",
            "Allow",
            "VirtualNetwork",
            "VirtualNetwork"
        ),
        rule(
            "AllowInternetOutBound",
            65001,
            "Outbound",
            "Allow",
            "*",
            "Internet"
        ),
        rule("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
    ])
}
