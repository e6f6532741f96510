//! Azure Resource Manager: one generic store of resources, and a small rule per type.
//!
//! The order is the front door's: api-version, then rights, then locks, then policies, then the resource provider.

mod access;
mod accounts;
mod activity;
mod assigned;
mod authorization;
mod compute;
pub(super) mod containers;
mod disks;
mod effective;
mod eligibility;
mod groups;
mod holds;
mod identity;
pub(super) mod immutability;
mod interfaces;
mod inventory;
mod machine_parts;
mod machines;
mod network;
mod networks;
mod operations;
mod policy;
mod policy_assignments;
mod providers;
mod query;
mod released;
mod resources;
mod restore_points;
mod security_groups;
mod sentinel;
mod snapshots;
mod storage;
mod subnets;
mod types;
mod vaults;
mod workflows;
mod written;

pub(super) use activity::events;
pub(super) use released::released;

use serde_json::{Value, json};

use super::entra::Claims;
use super::gate::{self, Grants};
use super::reply::{Ask, Reply, arm_error, not_modelled};
use super::store::Store;
use super::tenant::Tenant;
use crate::ids::ArmId;
use written::written;

/// One request to ARM, on its way through.
pub(super) struct Arm<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) store: &'a mut Store,
    pub(super) ask: &'a Ask,
    pub(super) claims: &'a Claims,
    /// What the caller may do.
    pub(super) grants: Grants,
    /// Microseconds of the lab's clock.
    pub(super) now_us: u64,
    /// Whether the operation that this request begins is to fail or never to end.
    pub(super) fate: Fate,
}

/// What a fault makes of an operation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Fate {
    #[default]
    Good,
    Failed,
    Stuck,
}

/// Where policies are asked beforehand, in lower case.
const CHECK_POLICY: &str = "/providers/microsoft.policyinsights/checkpolicyrestrictions";

/// What a path names.
enum Target {
    /// A resource.
    Resource(ArmId),
    /// All resources of a type in a scope.
    List { scope: String, kind: String },
    /// An action on a resource, in lower case.
    Action { id: ArmId, name: String },
}

/// Answers a request.
pub(super) fn answer(mut arm: Arm<'_>) -> Reply {
    let (Ok(reply) | Err(reply)) = arm.route();
    written(arm.ask, arm.paced(reply))
}

impl Arm<'_> {
    fn route(&mut self) -> Result<Reply, Reply> {
        let Some(version) = self.ask.query("api-version") else {
            return Err(arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        };
        if let Some(operation) = operations::of_path(&self.ask.path) {
            return self.poll(&operation);
        }
        let path = self.ask.path.as_str();
        let lower = path.to_ascii_lowercase();
        if self.ask.method == "POST" && lower.ends_with(CHECK_POLICY) {
            let scope = &path[..path.len() - CHECK_POLICY.len()];
            self.known_subscription()?;
            gate::authorize(&self.grants, self.claims, policy::CHECK, scope)?;
            return self.check_restrictions(scope, version);
        }
        if self.ask.method == "POST" && lower.ends_with(accounts::CHECK_NAME) {
            types::known_version(accounts::ACCOUNT, version)?;
            self.known_subscription()?;
            return self.check_account_name();
        }
        if let Some((name, action)) = providers::of_path(path) {
            types::known_version("Microsoft.Resources/subscriptions", version)?;
            self.known_subscription()?;
            return self.provider(&name, action.as_deref());
        }
        let target = self.target()?;
        let kind = target.kind();
        types::known_version(&kind, version)?;
        self.known_subscription()?;
        self.gates(&target, &kind)?;
        let lower = kind.to_ascii_lowercase();
        match lower.split('/').next().unwrap_or_default() {
            "microsoft.authorization"
                if lower.contains("eligibility") || lower.ends_with("/denyassignments") =>
            {
                self.eligibility(target, &lower)
            }
            "microsoft.authorization" if lower.ends_with("/policyassignments") => {
                self.policy_assignments(target)
            }
            "microsoft.authorization" if lower.ends_with("/policydefinitions") => {
                self.policy_definitions(&target)
            }
            "microsoft.authorization" => self.authorization(target, &lower),
            "microsoft.compute" => self.compute(target, &lower),
            "microsoft.insights" if lower == types::EVENTS.to_ascii_lowercase() => self.activity(),
            "microsoft.keyvault" => self.vaults(target, &lower),
            "microsoft.logic" => self.workflows(target),
            "microsoft.managedidentity" => self.identities(target, &lower),
            "microsoft.network" => self.network(target, &lower),
            "microsoft.operationalinsights" => self.workspaces(target, &lower),
            "microsoft.resourcegraph" => self.query(),
            "microsoft.resources" => self.resources(target, &lower),
            "microsoft.securityinsights" => self.automation_rules(target),
            "microsoft.storage" => self.storage(target, &lower),
            _ => self.read_only(target, &lower),
        }
    }

    /// Reads what a path names.
    fn target(&self) -> Result<Target, Reply> {
        let path = self.ask.path.as_str();
        let lower = path.to_ascii_lowercase();
        let segments = self.ask.segments();
        let list = |scope: &str, kind: &str| {
            Ok(Target::List {
                scope: scope.to_owned(),
                kind: kind.to_owned(),
            })
        };
        match lower.as_str() {
            "/subscriptions" => return list("", "Microsoft.Resources/subscriptions"),
            "/tenants" => return list("", "Microsoft.Resources/tenants"),
            "/providers/microsoft.resourcegraph/resources" => {
                return list("", "Microsoft.ResourceGraph/resources");
            }
            _ => {}
        }
        if lower.ends_with("/providers/microsoft.insights/eventtypes/management/values") {
            let scope = path.split("/providers/").next().unwrap_or_default();
            return list(scope, types::EVENTS);
        }
        if segments.len().is_multiple_of(2) {
            return self.resource(path).map(Target::Resource);
        }
        let (parent, last) = path.rsplit_once('/').unwrap_or((path, ""));
        if self.ask.method == "POST" || last.eq_ignore_ascii_case("instanceView") {
            return Ok(Target::Action {
                id: self.resource(parent)?,
                name: last.to_ascii_lowercase(),
            });
        }
        if lower.ends_with("/resourcegroups") {
            return list(parent, "Microsoft.Resources/subscriptions/resourceGroups");
        }
        if matches!(segments.as_slice(), [_, _, _] | [_, _, _, _, _])
            && last.eq_ignore_ascii_case("resources")
        {
            return list(parent, inventory::RESOURCES);
        }
        // .../providers/NS/type lists a type; .../parent/name/type lists a child type.
        let at = lower
            .rfind("/providers/")
            .ok_or_else(|| not_modelled(path))?;
        let tail: Vec<&str> = path[at + "/providers/".len()..].split('/').collect();
        let kinds = tail.iter().take(1).chain(tail.iter().skip(1).step_by(2));
        let kind = kinds.copied().collect::<Vec<_>>().join("/");
        list(if tail.len() == 2 { &path[..at] } else { parent }, &kind)
    }

    fn resource(&self, path: &str) -> Result<ArmId, Reply> {
        path.parse().map_err(|_| self.not_found())
    }

    /// The answer to a path that names nothing.
    fn not_found(&self) -> Reply {
        let message = format!(
            "The resource type could not be found for '{}'.",
            self.ask.path
        );
        arm_error(404, "InvalidResourceType", &message)
    }

    fn known_subscription(&self) -> Result<(), Reply> {
        let segments = self.ask.segments();
        match segments.as_slice() {
            [first, id, ..]
                if first.eq_ignore_ascii_case("subscriptions")
                    && self.store.get(&format!("/subscriptions/{id}")).is_none() =>
            {
                Err(arm_error(
                    404,
                    "SubscriptionNotFound",
                    &format!("The subscription '{id}' could not be found."),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Rights, then locks, then policies.
    fn gates(&self, target: &Target, kind: &str) -> Result<(), Reply> {
        let verb = match self.ask.method.as_str() {
            "GET" | "HEAD" => "read",
            "DELETE" => "delete",
            "POST" => "action",
            _ => "write",
        };
        let (action, scope) = match target {
            Target::Resource(id) => (format!("{kind}/{verb}"), id.as_str()),
            Target::Action { id, name } => (format!("{kind}/{name}/{verb}"), id.as_str()),
            // The tenant's own lists show what the caller may see, and so do those of a subscription; what the
            // caller may do, anybody may ask.
            Target::List { scope, .. } if scope.is_empty() => return Ok(()),
            Target::List { kind, .. } if kind.eq_ignore_ascii_case(types::PERMISSIONS) => {
                return Ok(());
            }
            Target::List { scope, kind }
                if self.grants.touch(scope) && types::lists_what_is_visible(kind) =>
            {
                return Ok(());
            }
            Target::List { scope, kind } => (format!("{kind}/read"), scope.as_str()),
        };
        if policy_assignments::is_everybodys(kind, scope, &self.ask.method) {
            return Ok(());
        }
        gate::authorize(&self.grants, self.claims, &action, scope)?;
        match target {
            Target::List { .. } => Ok(()),
            Target::Resource(id) => {
                gate::unlocked(self.store, self.ask, id.as_str(), kind)?;
                self.policies(id, kind)
            }
            Target::Action { id, .. } => gate::unlocked(self.store, self.ask, id.as_str(), kind),
        }
    }

    /// Returns the resources of a type in a scope that the caller may read.
    fn visible(&self, scope: &str, kind: &str) -> Vec<Value> {
        let action = format!("{kind}/read");
        let found = self.store.of_type(scope, kind);
        found
            .filter(|value| {
                self.grants
                    .allow(&action, value["id"].as_str().unwrap_or_default())
            })
            .map(shown)
            .collect()
    }

    /// Answers a list in pages.
    fn list(&self, items: &[Value]) -> Reply {
        let top = self
            .ask
            .query("$top")
            .and_then(|top| top.parse::<usize>().ok());
        let most = self.tenant.options.page;
        let size = match top {
            Some(top) => most.map_or(top, |most| most.min(top)).max(1),
            None => most.unwrap_or(100).max(1),
        };
        let from: usize = self
            .ask
            .query("$skiptoken")
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let mut body = json!({"value": items.iter().skip(from).take(size).collect::<Vec<_>>()});
        if items.len() > from.saturating_add(size) {
            let same = self
                .ask
                .query
                .iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken"));
            let query: Vec<String> = same
                .map(|(name, value)| format!("{name}={}", encoded(value)))
                .collect();
            body["nextLink"] = json!(format!(
                "{}{}?{}&$skiptoken={}",
                self.ask.origin,
                self.ask.path,
                query.join("&"),
                from + size
            ));
        }
        Reply::json(200, &body)
    }

    /// Returns a resource as the store has it, or its 404.
    fn found(&self, id: &ArmId) -> Result<Value, Reply> {
        if let Some(value) = self.store.get(id.as_str()) {
            return Ok(value.clone());
        }
        self.group_exists(id)?;
        let message = format!(
            "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            id.resource_type(),
            id.name(),
            id.resource_group().unwrap_or("<null>")
        );
        Err(arm_error(404, "ResourceNotFound", &message))
    }

    /// Refuses what lies in a group that does not exist, or that is being deleted.
    fn group_exists(&self, id: &ArmId) -> Result<(), Reply> {
        let (Some(subscription), Some(group)) = (id.subscription(), id.resource_group()) else {
            return Ok(());
        };
        match self.store.get(&format!(
            "/subscriptions/{subscription}/resourceGroups/{group}"
        )) {
            None => Err(arm_error(
                404,
                "ResourceGroupNotFound",
                &format!("Resource group '{group}' could not be found."),
            )),
            Some(found)
                if found["properties"]["provisioningState"] == "Deleting"
                    && matches!(self.ask.method.as_str(), "PUT" | "PATCH") =>
            {
                let message = format!(
                    "The resource group '{group}' is in deprovisioning state and cannot perform this operation."
                );
                Err(arm_error(409, "ResourceGroupBeingDeleted", &message))
            }
            Some(_) => Ok(()),
        }
    }

    /// Answers reads of types that the lab only shows.
    fn read_only(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &shown(&self.found(&id)?))),
            ("GET", Target::List { scope, kind }) => Ok(self.list(&self.visible(&scope, &kind))),
            (method, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Refuses a filter where the lab has none: an answer that ignores it would be a lie.
    fn no_filter(&self) -> Result<(), Reply> {
        match self.ask.query("$filter") {
            Some(filter) if !filter.is_empty() => Err(not_modelled(&format!(
                "the filter {filter:?} on {}",
                self.ask.path
            ))),
            _ => Ok(()),
        }
    }
}

impl Target {
    fn kind(&self) -> String {
        match self {
            Self::Resource(id) | Self::Action { id, .. } => id.resource_type(),
            Self::List { kind, .. } => kind.clone(),
        }
    }
}

/// Returns a resource without what only the lab knows of it.
fn shown(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !name.starts_with("__"));
    }
    value
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Refuses members that a type does not have.
fn only_members(value: &Value, known: &[&str], what: &str) -> Result<(), Reply> {
    let object = match value {
        Value::Null => return Ok(()),
        Value::Object(object) => object,
        _ => {
            let message = format!(
                "The request content was invalid and could not be deserialized: '{what} must be an object.'."
            );
            return Err(arm_error(400, "InvalidRequestContent", &message));
        }
    };
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "The request content was invalid and could not be deserialized: 'Could not find member '{name}' on object of type '{what}'.'."
            );
            Err(arm_error(400, "InvalidRequestContent", &message))
        }
    }
}
