//! Microsoft.Network: interfaces, security groups and their rules, what is in force (arm.md section 2.5).

use serde_json::{Value, json};

use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// Members of an interface's properties; those that are read-only are ignored when they are echoed.
const NIC_PROPERTIES: &[&str] = &[
    "provisioningState",
    "resourceGuid",
    "ipConfigurations",
    "dnsSettings",
    "macAddress",
    "primary",
    "enableAcceleratedNetworking",
    "enableIPForwarding",
    "vnetEncryptionSupported",
    "disableTcpStateTracking",
    "networkSecurityGroup",
    "virtualMachine",
    "hostedWorkloads",
    "tapConfigurations",
    "nicType",
    "allowPort25Out",
    "auxiliaryMode",
    "auxiliarySku",
    "privateEndpoint",
];
const NSG_PROPERTIES: &[&str] = &[
    "flushConnection",
    "securityRules",
    "defaultSecurityRules",
    "networkInterfaces",
    "subnets",
    "flowLogs",
    "resourceGuid",
    "provisioningState",
];
const RULE_PROPERTIES: &[&str] = &[
    "description",
    "protocol",
    "sourcePortRange",
    "destinationPortRange",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "sourceApplicationSecurityGroups",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "destinationApplicationSecurityGroups",
    "sourcePortRanges",
    "destinationPortRanges",
    "access",
    "priority",
    "direction",
    "provisioningState",
];

impl Arm<'_> {
    pub(super) fn network(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("PUT", "microsoft.network/networkinterfaces", Target::Resource(id)) => {
                self.put_nic(&id)
            }
            ("POST", "microsoft.network/networkinterfaces", Target::Action { id, name })
                if name == "effectivenetworksecuritygroups" =>
            {
                self.effective(&id)
            }
            ("PUT", "microsoft.network/networksecuritygroups", Target::Resource(id)) => {
                self.put_nsg(&id)
            }
            ("DELETE", "microsoft.network/networksecuritygroups", Target::Resource(id)) => {
                self.delete_nsg(&id)
            }
            (
                "GET",
                "microsoft.network/networksecuritygroups/securityrules",
                Target::Resource(id),
            ) => {
                let (_, rule) = self.rule(&id)?;
                Ok(Reply::json(200, &rule))
            }
            (
                "PUT",
                "microsoft.network/networksecuritygroups/securityrules",
                Target::Resource(id),
            ) => self.put_rule(&id),
            ("GET", _, Target::Resource(id)) => {
                let value = self.found(&id)?;
                let etag = value["etag"].as_str().unwrap_or_default().to_owned();
                Ok(Reply::json(200, &self.filled(&value)).with("etag", etag))
            }
            ("GET", kind, Target::List { scope, .. }) => {
                let items: Vec<Value> = self
                    .store
                    .of_type(&scope, kind)
                    .map(|value| self.filled(value))
                    .collect();
                Ok(self.list(items))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Adds what the service computes: default rules and who uses an NSG.
    fn filled(&self, value: &Value) -> Value {
        let mut value = shown(value);
        if value["type"] != json!("Microsoft.Network/networkSecurityGroups") {
            return value;
        }
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        let subscription = id.split('/').take(3).collect::<Vec<_>>().join("/");
        let users: Vec<Value> = self
            .store
            .of_type(&subscription, "Microsoft.Network/networkInterfaces")
            .filter(|nic| {
                nic["properties"]["networkSecurityGroup"]["id"]
                    .as_str()
                    .is_some_and(|used| used.eq_ignore_ascii_case(&id))
            })
            .map(|nic| json!({"id": nic["id"]}))
            .collect();
        if !users.is_empty() {
            value["properties"]["networkInterfaces"] = json!(users);
        }
        value["properties"]["defaultSecurityRules"] = default_rules();
        if let Some(rules) = value["properties"]["securityRules"].as_array_mut() {
            for rule in rules {
                let name = rule["name"].as_str().unwrap_or_default().to_owned();
                rule["id"] = json!(format!("{id}/securityRules/{name}"));
                rule["type"] = json!("Microsoft.Network/networkSecurityGroups/securityRules");
                rule["properties"]["provisioningState"] = json!("Succeeded");
            }
        } else {
            value["properties"]["securityRules"] = json!([]);
        }
        value
    }

    /// PUT replaces the whole body of an interface.
    fn put_nic(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let before = self.found(id)?;
        let mut body = self.ask.json()?;
        only_members(
            &body,
            &[
                "id",
                "name",
                "type",
                "location",
                "tags",
                "etag",
                "kind",
                "properties",
                "extendedLocation",
            ],
            "NetworkInterface",
        )?;
        only_members(
            &body["properties"],
            NIC_PROPERTIES,
            "NetworkInterfacePropertiesFormat",
        )?;
        if body["properties"]["ipConfigurations"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            return Err(arm_error(
                400,
                "NetworkInterfaceMustHaveAtLeastOneIpConfiguration",
                "Network interface must have one or more IP configurations.",
            ));
        }
        if self.store.busy(id.as_str(), self.now_us) {
            return Err(arm_error(
                409,
                "AnotherOperationInProgress",
                "Another operation on this or dependent resource is in progress.",
            ));
        }
        if let Some(nsg) = body["properties"]["networkSecurityGroup"]["id"].as_str() {
            let other_subscription = nsg.split('/').nth(2).is_none_or(|found| {
                !found.eq_ignore_ascii_case(id.subscription().unwrap_or_default())
            });
            let found = self
                .store
                .get(nsg)
                .filter(|nsg| nsg["location"] == before["location"] && !other_subscription);
            if found.is_none() {
                let message = format!(
                    "Resource {nsg} referenced by resource {id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region."
                );
                return Err(arm_error(400, "InvalidResourceReference", &message));
            }
            gate::linked(
                self.store,
                self.claims,
                "Microsoft.Network/networkInterfaces/write",
                id.as_str(),
                "Microsoft.Network/networkSecurityGroups/join/action",
                nsg,
            )?;
        } else if let Some(properties) = body["properties"].as_object_mut() {
            properties.shift_remove("networkSecurityGroup");
        }
        for name in ["id", "name", "type", "location", "kind"] {
            body[name] = before[name].clone();
        }
        for name in ["resourceGuid", "macAddress", "virtualMachine", "primary"] {
            body["properties"][name] = before["properties"][name].clone();
        }
        self.finish_put(id, body, 200, "Microsoft.Network/networkInterfaces")
    }

    fn finish_put(
        &mut self,
        id: &ArmId,
        mut body: Value,
        status: u16,
        kind: &str,
    ) -> Result<Reply, Reply> {
        let etag = format!(
            "W/\"{}\"",
            crate::lab::scenario::guid(&format!("{id} {}", self.store.version))
        );
        body["etag"] = json!(etag);
        body["properties"]["provisioningState"] = json!("Updating");
        self.store.put(id.as_str(), body.clone());
        let operation = self.begin(kind, Some(id.as_str()), None, None);
        Ok(Reply::json(status, &self.filled(&body))
            .with("azure-asyncoperation", self.address(&operation, false))
            .with("azure-asyncnotification", "Enabled")
            .with("etag", etag))
    }

    fn put_nsg(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let before = self.store.get(id.as_str()).cloned();
        let group = format!(
            "/subscriptions/{}/resourceGroups/{}",
            id.subscription().unwrap_or_default(),
            id.resource_group().unwrap_or_default()
        );
        if self.store.get(&group).is_none() {
            return self.found(id).map(|value| Reply::json(200, &value));
        }
        let mut body = self.ask.json()?;
        only_members(
            &body,
            &[
                "id",
                "name",
                "type",
                "location",
                "tags",
                "etag",
                "properties",
            ],
            "NetworkSecurityGroup",
        )?;
        only_members(
            &body["properties"],
            NSG_PROPERTIES,
            "NetworkSecurityGroupPropertiesFormat",
        )?;
        if let Some(before) = &before
            && before["location"] != body["location"]
        {
            return Err(arm_error(
                409,
                "InvalidResourceLocation",
                "The resource already exists in another location.",
            ));
        }
        rules_are_good(
            body["properties"]["securityRules"]
                .as_array()
                .map_or(&[], Vec::as_slice),
        )?;
        body["id"] = json!(id.as_str());
        body["name"] = json!(id.name());
        body["type"] = json!("Microsoft.Network/networkSecurityGroups");
        for computed in ["defaultSecurityRules", "networkInterfaces", "subnets"] {
            if let Some(properties) = body["properties"].as_object_mut() {
                properties.shift_remove(computed);
            }
        }
        let status = if before.is_some() { 200 } else { 201 };
        self.finish_put(id, body, status, "Microsoft.Network/networkSecurityGroups")
    }

    fn delete_nsg(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let Some(value) = self.store.get(id.as_str()).cloned() else {
            return Ok(Reply::empty(204));
        };
        if self.filled(&value)["properties"]["networkInterfaces"].is_array() {
            return Err(arm_error(
                400,
                "InUseNetworkSecurityGroupCannotBeDeleted",
                &format!("Network security group {id} cannot be deleted because it is in use."),
            ));
        }
        self.store.delete(id.as_str());
        Ok(Reply::empty(200))
    }

    fn rule(&self, id: &ArmId) -> Result<(Value, Value), Reply> {
        let parent = id.parent().ok_or_else(|| self.not_found())?;
        let nsg = self.found(&parent)?;
        let filled = self.filled(&nsg);
        let rules = filled["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let rule = rules.into_iter().find(|rule| {
            rule["name"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(id.name()))
        });
        match rule {
            Some(rule) => Ok((nsg, rule)),
            None => Err(arm_error(
                404,
                "NotFound",
                &format!("Resource {id} not found."),
            )),
        }
    }

    fn put_rule(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let parent = id.parent().ok_or_else(|| self.not_found())?;
        let mut nsg = self.found(&parent)?;
        if self.store.busy(parent.as_str(), self.now_us) {
            return Err(arm_error(
                409,
                "AnotherOperationInProgress",
                "Another operation on this or dependent resource is in progress.",
            ));
        }
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "etag", "properties"],
            "SecurityRule",
        )?;
        only_members(
            &body["properties"],
            RULE_PROPERTIES,
            "SecurityRulePropertiesFormat",
        )?;
        let mut rules = nsg["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let known = rules.len();
        rules.retain(|rule| {
            !rule["name"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(id.name()))
        });
        let status = if rules.len() < known { 200 } else { 201 };
        rules.push(json!({"name": id.name(), "properties": body["properties"]}));
        rules_are_good(&rules)?;
        nsg["properties"]["securityRules"] = json!(rules);
        let put = self.finish_put(
            &parent,
            nsg,
            status,
            "Microsoft.Network/networkSecurityGroups",
        )?;
        let (_, rule) = self.rule(id)?;
        Ok(Reply {
            body: rule.to_string().into_bytes(),
            ..put
        })
    }

    /// What is in force at an interface: its own NSG and its subnet's, only where the machine runs.
    fn effective(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let nic = self.found(id)?;
        let machine = nic["properties"]["virtualMachine"]["id"]
            .as_str()
            .and_then(|machine| self.store.get(machine));
        if machine.is_none_or(|machine| machine["__power"] != json!("running")) {
            let message = format!(
                "Network interface {id} must be attached to a running virtual machine to get its effective security groups."
            );
            return Err(arm_error(
                400,
                "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups",
                &message,
            ));
        }
        let mut groups = Vec::new();
        let mut add = |nsg: Option<&str>, association: Value| {
            let Some(found) = nsg.and_then(|nsg| self.store.get(nsg)) else {
                return;
            };
            groups.push(json!({"networkSecurityGroup": {"id": found["id"]}, "association": association, "effectiveSecurityRules": effective_rules(&self.filled(found))}));
        };
        add(
            nic["properties"]["networkSecurityGroup"]["id"].as_str(),
            json!({"networkInterface": {"id": id.as_str()}}),
        );
        for configuration in nic["properties"]["ipConfigurations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let subnet = configuration["properties"]["subnet"]["id"]
                .as_str()
                .unwrap_or_default();
            let nsg = self
                .store
                .get(subnet)
                .and_then(|subnet| subnet["properties"]["networkSecurityGroup"]["id"].as_str());
            add(nsg, json!({"subnet": {"id": subnet}}));
        }
        let result = json!({ "value": groups });
        let operation = self.begin("effective", None, None, Some(result));
        Ok(Reply::empty(202).with("location", self.address(&operation, true)))
    }
}

fn effective_rules(nsg: &Value) -> Vec<Value> {
    let of = |name: &str| {
        nsg["properties"][name]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let flat = |rule: &Value, folder: &str| {
        let mut flat = rule["properties"].clone();
        flat["name"] = json!(format!(
            "{folder}/{}",
            rule["name"].as_str().unwrap_or_default()
        ));
        if flat["protocol"] == json!("*") {
            flat["protocol"] = json!("All");
        }
        for ports in ["sourcePortRange", "destinationPortRange"] {
            if flat[ports] == json!("*") {
                flat[ports] = json!("0-65535");
            }
        }
        flat
    };
    let own: Vec<Value> = of("securityRules");
    let default: Vec<Value> = of("defaultSecurityRules");
    own.iter()
        .map(|rule| flat(rule, "securityRules"))
        .chain(
            default
                .iter()
                .map(|rule| flat(rule, "defaultSecurityRules")),
        )
        .collect()
}

fn rules_are_good(rules: &[Value]) -> Result<(), Reply> {
    for (index, rule) in rules.iter().enumerate() {
        let properties = &rule["properties"];
        let name = rule["name"].as_str().unwrap_or_default();
        if !properties["priority"]
            .as_i64()
            .is_some_and(|priority| (100..=4096).contains(&priority))
        {
            return Err(arm_error(
                400,
                "SecurityRuleInvalidPriority",
                &format!(
                    "Security rule {name} has an invalid priority. Value must be between 100 and 4096."
                ),
            ));
        }
        for (single, plural) in [
            ("sourceAddressPrefix", "sourceAddressPrefixes"),
            ("destinationPortRange", "destinationPortRanges"),
        ] {
            let has = |member: &str| {
                properties
                    .get(member)
                    .is_some_and(|value| !value.is_null() && value != &json!([]))
            };
            if has(single) == has(plural) {
                return Err(arm_error(
                    400,
                    "SecurityRuleParameterContainsUnsupportedValue",
                    &format!(
                        "Security rule {name} must have exactly one of {single} and {plural}."
                    ),
                ));
            }
        }
        for other in &rules[..index] {
            let same = |member: &str| other["properties"][member] == properties[member];
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

fn default_rules() -> Value {
    let rule = |name: &str,
                priority: u64,
                direction: &str,
                access: &str,
                source: &str,
                destination: &str| {
        json!({"name": name, "properties": {"priority": priority, "direction": direction, "access": access, "protocol": "*", "sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": destination, "destinationPortRange": "*", "provisioningState": "Succeeded"}})
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
