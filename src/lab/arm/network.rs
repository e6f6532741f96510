//! Microsoft.Network: what it shows of each resource, and what is shared by its writes (arm.md section 2.5).

use serde_json::{Value, json};

use super::operations::Start;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

/// The type of network interfaces.
pub(super) const NIC: &str = "Microsoft.Network/networkInterfaces";
/// The type of network security groups.
pub(super) const NSG: &str = "Microsoft.Network/networkSecurityGroups";
/// The type of subnets.
pub(super) const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";

impl Arm<'_> {
    pub(super) fn network(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        if kind.starts_with("microsoft.network/networksecuritygroups/") {
            return self.security_rules(target, kind);
        }
        match (self.ask.method.as_str(), kind, target) {
            ("GET", _, Target::Resource(id)) => {
                let value = self.found(&id)?;
                let etag = value["etag"].as_str().unwrap_or_default().to_owned();
                Ok(Reply::json(200, &self.filled(&value)).with("etag", etag))
            }
            ("GET", _, Target::List { scope, kind }) => {
                self.no_filter()?;
                let items: Vec<Value> = self
                    .visible(&scope, &kind)
                    .iter()
                    .map(|value| self.filled(value))
                    .collect();
                Ok(self.list(&items))
            }
            ("PUT", "microsoft.network/networkinterfaces", Target::Resource(id)) => {
                self.put_nic(&id)
            }
            ("POST", "microsoft.network/networkinterfaces", Target::Action { id, name })
                if name == "effectivenetworksecuritygroups" =>
            {
                self.effective(&id)
            }
            ("DELETE", "microsoft.network/networkinterfaces", Target::Resource(id)) => {
                self.delete_nic(&id)
            }
            ("PUT", "microsoft.network/virtualnetworks", Target::Resource(id)) => {
                self.put_network(&id)
            }
            ("PUT", "microsoft.network/virtualnetworks/subnets", Target::Resource(id)) => {
                self.put_subnet(&id)
            }
            ("PUT", "microsoft.network/networksecuritygroups", Target::Resource(id)) => {
                self.put_nsg(&id)
            }
            ("DELETE", "microsoft.network/networksecuritygroups", Target::Resource(id)) => {
                self.delete_nsg(&id)
            }
            ("PATCH", kind, Target::Resource(id)) if !kind.ends_with("/subnets") => {
                self.update_tags(&id)
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// PATCH, which changes tags and nothing else, at once ("Network Security Groups - Update Tags").
    fn update_tags(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let mut value = self.found(id)?;
        let body = self.ask.json()?;
        only_members(&body, &["tags"], "TagsObject")?;
        self.network_is_free(id, value["location"].as_str().unwrap_or_default())?;
        let tags = body["tags"].as_object().cloned().unwrap_or_default();
        super::resources::tags_are_good(&tags)?;
        value["tags"] = json!(tags);
        let etag = format!("W/\"{}\"", guid(&format!("{id} {}", self.store.version)));
        value["etag"] = json!(etag);
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(200, &self.filled(&value)).with("etag", etag))
    }

    /// Adds what the service computes: default rules, and who uses what.
    pub(super) fn filled(&self, value: &Value) -> Value {
        let mut value = shown(value);
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        match value["type"]
            .as_str()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("microsoft.network/networksecuritygroups") => self.fill_nsg(&id, &mut value),
            Some("microsoft.network/publicipaddresses") => {
                if let Some(user) = self.configuration_with(&id) {
                    value["properties"]["ipConfiguration"] = json!({ "id": user });
                }
            }
            Some("microsoft.network/virtualnetworks") => {
                let subnets = self.store.of_type(&id, SUBNET);
                let subnets: Vec<Value> = subnets.map(|subnet| self.filled(subnet)).collect();
                value["properties"]["subnets"] = json!(subnets);
            }
            Some("microsoft.network/virtualnetworks/subnets") => {
                let users = self.configurations_in(&id);
                if !users.is_empty() {
                    value["properties"]["ipConfigurations"] = json!(users);
                }
            }
            _ => {}
        }
        value
    }

    fn fill_nsg(&self, id: &str, value: &mut Value) {
        if value["properties"]["resourceGuid"].is_null() {
            value["properties"]["resourceGuid"] = json!(guid(&format!("resource {id}")));
        }
        let subscription = id.split('/').take(3).collect::<Vec<_>>().join("/");
        for (member, kind) in [("networkInterfaces", NIC), ("subnets", SUBNET)] {
            let users = self
                .store
                .of_type(&subscription, kind)
                .filter(|user| uses(user, id))
                .map(|user| json!({"id": user["id"]}));
            let users: Vec<Value> = users.collect();
            if !users.is_empty() {
                value["properties"][member] = json!(users);
            }
        }
        value["properties"]["defaultSecurityRules"] = super::security_groups::default_rules(id);
        let rules = value["properties"]["securityRules"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let etag = value["etag"].clone();
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| super::security_groups::rule_of(id, rule, &etag))
            .collect();
        value["properties"]["securityRules"] = json!(rules);
    }

    /// Returns the id of the IP configuration that has a public address.
    fn configuration_with(&self, address: &str) -> Option<Value> {
        let nics = self.store.of_type("", NIC);
        let mut configurations = nics.flat_map(|nic| {
            nic["properties"]["ipConfigurations"]
                .as_array()
                .into_iter()
                .flatten()
        });
        let found = configurations
            .find(|one| same_id(&one["properties"]["publicIPAddress"]["id"], address))?;
        Some(found["id"].clone())
    }

    /// Returns the IP configurations that have their address from a subnet.
    fn configurations_in(&self, subnet: &str) -> Vec<Value> {
        let nics = self.store.of_type("", NIC);
        nics.flat_map(|nic| {
            let all = nic["properties"]["ipConfigurations"].as_array();
            all.into_iter().flatten()
        })
        .filter(|one| same_id(&one["properties"]["subnet"]["id"], subnet))
        .map(|one| json!({"id": one["id"]}))
        .collect()
    }

    /// Refuses a write while another works on the same resource.
    pub(super) fn network_is_free(&self, id: &ArmId, location: &str) -> Result<(), Reply> {
        if !self.store.busy(id.as_str()) {
            return Ok(());
        }
        let message = format!(
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: {}/subscriptions/{}/providers/Microsoft.Network/locations/{location}/operations/{}?api-version=2023-11-01.",
            self.ask.origin,
            id.subscription().unwrap_or_default(),
            guid(&format!("busy {id}"))
        );
        Err(arm_error(409, "AnotherOperationInProgress", &message))
    }

    /// Refuses a reference to what is not there, or elsewhere, or not the caller's to use.
    pub(super) fn may_join(
        &self,
        id: &ArmId,
        action: &str,
        location: &str,
        (needed, reference): (&str, &str),
    ) -> Result<(), Reply> {
        let at_home = reference
            .split('/')
            .nth(2)
            .is_some_and(|home| home.eq_ignore_ascii_case(id.subscription().unwrap_or_default()));
        // A subnet has no location of its own.
        let here = |found: &Value| {
            found["location"]
                .as_str()
                .is_none_or(|at| at.eq_ignore_ascii_case(location))
        };
        if !at_home || !self.store.get(reference).is_some_and(here) {
            let message = format!(
                "Resource {reference} referenced by resource {id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region."
            );
            return Err(arm_error(400, "InvalidResourceReference", &message));
        }
        gate::linked(
            &self.grants,
            self.claims,
            (action, id.as_str()),
            (needed, reference),
        )
    }

    /// Refuses a body whose NSG the caller may not use; one that names none has none.
    pub(super) fn join_group(
        &self,
        id: &ArmId,
        action: &str,
        location: &str,
        body: &mut Value,
    ) -> Result<(), Reply> {
        let join = "Microsoft.Network/networkSecurityGroups/join/action";
        match body["properties"]["networkSecurityGroup"]["id"].as_str() {
            Some(nsg) => self.may_join(id, action, location, (join, nsg))?,
            None => {
                if let Some(properties) = body["properties"].as_object_mut() {
                    properties.shift_remove("networkSecurityGroup");
                }
            }
        }
        Ok(())
    }

    /// Returns where a resource is; a subnet is where its network is.
    pub(super) fn location_of(&self, id: &ArmId, value: &Value) -> String {
        let own = value["location"].as_str().map(str::to_owned);
        let parents = || {
            let parent = self.store.get(id.parent()?.as_str())?;
            parent["location"].as_str().map(str::to_owned)
        };
        own.or_else(parents).unwrap_or_default()
    }

    /// Puts a resource with a new etag, and begins the operation that works on it.
    pub(super) fn finish_put(
        &mut self,
        id: &ArmId,
        mut body: Value,
        status: u16,
        kind: &str,
    ) -> Reply {
        let etag = format!("W/\"{}\"", guid(&format!("{id} {}", self.store.version)));
        body["etag"] = json!(etag);
        // Each part has the etag of the whole.
        let parts = body.pointer_mut("/properties/ipConfigurations");
        let parts = parts.and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten() {
            part["etag"] = json!(etag);
        }
        body["properties"]["provisioningState"] = json!("Updating");
        self.store.put(id.as_str(), body.clone());
        let operation = self.begin(Start {
            kind,
            resource: Some(id.as_str()),
            ..Start::default()
        });
        let address = self.address(&operation, kind, &self.location_of(id, &body), false);
        Reply::json(status, &self.filled(&body))
            .with("azure-asyncoperation", address)
            .with("azure-asyncnotification", "Enabled")
            .with(
                "x-ms-arm-service-request-id",
                self.tenant.random.uuid().to_string(),
            )
            .with("etag", etag)
    }
}

/// Returns whether an interface or a subnet stands behind an NSG.
fn uses(user: &Value, nsg: &str) -> bool {
    same_id(&user["properties"]["networkSecurityGroup"]["id"], nsg)
}

/// Returns whether a member is this id, whatever its case.
fn same_id(member: &Value, id: &str) -> bool {
    member
        .as_str()
        .is_some_and(|found| found.eq_ignore_ascii_case(id))
}
