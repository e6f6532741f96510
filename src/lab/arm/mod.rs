//! Azure Resource Manager: one generic store of resources, and a small rule per type.
//!
//! The order is the front door's: api-version, then rights, then locks, then the resource provider.

mod activity;
mod authorization;
mod compute;
mod network;
mod query;
mod resources;

pub(super) use activity::event;

use serde_json::{Value, json};

use super::entra::Claims;
use super::gate;
use super::reply::{Ask, Reply, arm_error, not_modelled};
use super::server::Tenant;
use super::store::{Operation, Store};
use crate::ids::ArmId;

/// One request to ARM, on its way through.
pub(super) struct Arm<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) store: &'a mut Store,
    pub(super) ask: &'a Ask,
    pub(super) claims: &'a Claims,
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

/// What a path names.
enum Target {
    /// A resource.
    Resource(ArmId),
    /// All resources of a type in a scope.
    List { scope: String, kind: String },
    /// An action on a resource.
    Action { id: ArmId, name: String },
}

/// The versions that the lab knows of each type; a real service knows many more, and refuses others alike.
const VERSIONS: &[(&str, &[&str])] = &[
    (
        "microsoft.authorization/",
        &[
            "2022-04-01",
            "2016-09-01",
            "2020-05-01",
            "2022-05-01-preview",
        ],
    ),
    (
        "microsoft.compute/disks",
        &["2023-10-02", "2024-03-02", "2025-01-02"],
    ),
    (
        "microsoft.compute/snapshots",
        &["2023-10-02", "2024-03-02", "2025-01-02"],
    ),
    (
        "microsoft.compute/",
        &["2024-03-01", "2024-07-01", "2024-11-01", "2025-04-01"],
    ),
    ("microsoft.insights/eventtypes", &["2015-04-01"]),
    ("microsoft.keyvault/vaults", &["2023-07-01", "2023-02-01"]),
    ("microsoft.managedidentity/", &["2023-01-31", "2024-11-30"]),
    (
        "microsoft.network/",
        &["2022-01-01", "2023-11-01", "2024-05-01"],
    ),
    (
        "microsoft.resourcegraph/",
        &["2021-03-01", "2022-10-01", "2024-04-01"],
    ),
    (
        "microsoft.resources/",
        &["2021-04-01", "2022-09-01", "2022-12-01", "2025-04-01"],
    ),
    ("microsoft.storage/", &["2023-05-01", "2024-01-01"]),
];

/// Answers a request.
pub(super) fn answer(mut arm: Arm<'_>) -> Reply {
    match arm.route() {
        Ok(reply) | Err(reply) => reply,
    }
}

impl Arm<'_> {
    fn route(&mut self) -> Result<Reply, Reply> {
        if self
            .ask
            .path
            .to_ascii_lowercase()
            .contains("/providers/microsoft.lab/operations/")
        {
            return self.poll();
        }
        let Some(version) = self.ask.query("api-version") else {
            return Err(arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        };
        let target = self.target()?;
        let kind = match &target {
            Target::Resource(id) | Target::Action { id, .. } => id.resource_type(),
            Target::List { kind, .. } => kind.clone(),
        };
        known_version(&kind, version)?;
        self.gates(&target, &kind)?;
        let lower = kind.to_ascii_lowercase();
        match lower.split('/').next().unwrap_or_default() {
            "microsoft.compute" => self.compute(target, &lower),
            "microsoft.network" => self.network(target, &lower),
            "microsoft.authorization" => self.authorization(target, &lower),
            "microsoft.insights" => self.activity(),
            "microsoft.resourcegraph" => self.query(),
            "microsoft.resources" => self.resources(target, &lower),
            "microsoft.keyvault" | "microsoft.storage" | "microsoft.managedidentity" => {
                self.read_only(target, &lower)
            }
            _ => Err(not_modelled(&format!(
                "{} {}",
                self.ask.method, self.ask.path
            ))),
        }
    }

    /// Reads what a path names.
    fn target(&self) -> Result<Target, Reply> {
        let path = self.ask.path.as_str();
        let lower = path.to_ascii_lowercase();
        let segments = self.ask.segments();
        if lower == "/subscriptions" {
            return Ok(Target::List {
                scope: String::new(),
                kind: "Microsoft.Resources/subscriptions".into(),
            });
        }
        if lower.contains("/providers/microsoft.insights/eventtypes/") {
            return Ok(Target::List {
                scope: format!("/subscriptions/{}", segments.get(1).unwrap_or(&"")),
                kind: "Microsoft.Insights/eventtypes".into(),
            });
        }
        if lower == "/providers/microsoft.resourcegraph/resources" {
            return Ok(Target::List {
                scope: String::new(),
                kind: "Microsoft.ResourceGraph/resources".into(),
            });
        }
        if segments.len().is_multiple_of(2) {
            return self.resource(path).map(Target::Resource);
        }
        let (parent, last) = path.rsplit_once('/').unwrap_or((path, ""));
        if self.ask.method == "POST" {
            return Ok(Target::Action {
                id: self.resource(parent)?,
                name: last.to_ascii_lowercase(),
            });
        }
        if lower.ends_with("/resourcegroups") {
            return Ok(Target::List {
                scope: parent.to_owned(),
                kind: "Microsoft.Resources/subscriptions/resourceGroups".into(),
            });
        }
        // .../providers/NS/type lists a type; .../parent/name/type lists a child type.
        let at = lower.rfind("/providers/").ok_or_else(|| self.not_found())?;
        let tail: Vec<&str> = path[at + "/providers/".len()..].split('/').collect();
        let kind = tail
            .iter()
            .take(1)
            .chain(tail.iter().skip(1).step_by(2))
            .copied()
            .collect::<Vec<_>>()
            .join("/");
        let scope = if tail.len() == 2 {
            path[..at].to_owned()
        } else {
            parent.to_owned()
        };
        Ok(Target::List { scope, kind })
    }

    fn resource(&self, path: &str) -> Result<ArmId, Reply> {
        path.parse().map_err(|_| self.not_found())
    }

    pub(super) fn not_found(&self) -> Reply {
        arm_error(
            404,
            "InvalidResourceType",
            &format!(
                "The resource type could not be found for '{}'.",
                self.ask.path
            ),
        )
    }

    /// Rights, then locks.
    fn gates(&self, target: &Target, kind: &str) -> Result<(), Reply> {
        let verb = match self.ask.method.as_str() {
            "GET" | "HEAD" => "read",
            "PUT" | "PATCH" => "write",
            "DELETE" => "delete",
            _ => "action",
        };
        match target {
            Target::Resource(id) => {
                // A group is made in its subscription; any other resource is judged where it lies.
                gate::authorize(
                    self.store,
                    self.claims,
                    &format!("{kind}/{verb}"),
                    id.as_str(),
                )?;
                gate::unlocked(self.store, self.ask, id.as_str())
            }
            Target::Action { id, name } => {
                gate::authorize(
                    self.store,
                    self.claims,
                    &format!("{kind}/{name}/action"),
                    id.as_str(),
                )?;
                gate::unlocked(self.store, self.ask, id.as_str())
            }
            // A list shows what the caller may see; an empty scope is the tenant, which anybody may ask.
            Target::List { scope, .. } if scope.is_empty() => Ok(()),
            Target::List { scope, kind } => {
                gate::authorize(self.store, self.claims, &format!("{kind}/read"), scope)
            }
        }
    }

    /// Answers a list in pages.
    pub(super) fn list(&self, items: Vec<Value>) -> Reply {
        let size = self.tenant.options.page.unwrap_or(100).max(1);
        let from: usize = self
            .ask
            .query("$skiptoken")
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let mut body = json!({"value": items.iter().skip(from).take(size).collect::<Vec<_>>()});
        if items.len() > from + size {
            let query: Vec<String> = self
                .ask
                .query
                .iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken"))
                .map(|(name, value)| {
                    format!(
                        "{name}={}",
                        percent_encoding::utf8_percent_encode(
                            value,
                            percent_encoding::NON_ALPHANUMERIC
                        )
                    )
                })
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

    /// Returns a resource as the service shows it, or its 404.
    pub(super) fn found(&self, id: &ArmId) -> Result<Value, Reply> {
        if let Some(value) = self.store.get(id.as_str()) {
            return Ok(value.clone());
        }
        if let (Some(subscription), Some(group)) = (id.subscription(), id.resource_group()) {
            let group_id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
            if self.store.get(&group_id).is_none() {
                return Err(arm_error(
                    404,
                    "ResourceGroupNotFound",
                    &format!("Resource group '{group}' could not be found."),
                ));
            }
        }
        let message = format!(
            "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            id.resource_type(),
            id.name(),
            id.resource_group().unwrap_or("<null>")
        );
        Err(arm_error(404, "ResourceNotFound", &message))
    }

    /// Begins an operation; returns its id.
    pub(super) fn begin(
        &mut self,
        kind: &str,
        resource: Option<&str>,
        output: Option<Value>,
        result: Option<Value>,
    ) -> String {
        let id = self.tenant.random.uuid().to_string();
        let takes = super::latency::of_operation(kind).mul_f64(self.tenant.options.lro.max(0.0));
        let ends_us = match self.fate {
            Fate::Stuck => u64::MAX,
            _ => self.now_us + u64::try_from(takes.as_micros()).unwrap_or(u64::MAX),
        };
        let failure = (self.fate == Fate::Failed).then(|| {
            (
                "InternalOperationError".to_owned(),
                "An internal execution error occurred.".to_owned(),
            )
        });
        self.store.operations.insert(
            id.clone(),
            Operation {
                ends_us,
                resource: resource.map(str::to_owned),
                output,
                result,
                failure,
            },
        );
        id
    }

    /// Returns the address of an operation: longer than most clients expect, and signed.
    pub(super) fn address(&self, operation: &str, monitor: bool) -> String {
        let subscription = self
            .ask
            .segments()
            .get(1)
            .copied()
            .unwrap_or_default()
            .to_owned();
        let form = if monitor { "&monitor=true" } else { "" };
        format!(
            "{}/subscriptions/{subscription}/providers/Microsoft.Lab/operations/{operation}?p={operation}&api-version=2022-08-01{form}&t=639&c={}&s={}&h=lab",
            self.ask.origin,
            "MIIH".repeat(600),
            "sig".repeat(700)
        )
    }

    /// Answers the status of an operation, or its result at the Location form.
    fn poll(&mut self) -> Result<Reply, Reply> {
        let id = self.ask.path.rsplit('/').next().unwrap_or_default();
        let Some(operation) = self.store.operations.get(id).cloned() else {
            return Err(arm_error(404, "NotFound", "The operation was not found."));
        };
        let running = operation.ends_us > self.now_us;
        if self.ask.query("monitor").is_some() {
            if running {
                return Ok(Reply::empty(202).with(
                    "location",
                    format!("{}{}", self.ask.origin, self.whole_path()),
                ));
            }
            return Ok(match operation.result {
                Some(result) => Reply::json(200, &result),
                None => Reply::empty(200),
            });
        }
        if running {
            return Ok(Reply::json(
                200,
                &json!({"status": "InProgress", "name": id}),
            ));
        }
        if let Some((code, message)) = operation.failure {
            return Ok(Reply::json(
                200,
                &json!({"status": "Failed", "error": {"code": code, "message": message}}),
            ));
        }
        let mut body = json!({"status": "Succeeded", "name": id});
        if let Some(output) = operation.output {
            body["properties"] = json!({ "output": output });
        }
        Ok(Reply::json(200, &body))
    }

    fn whole_path(&self) -> String {
        let query: Vec<String> = self
            .ask
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{}?{}", self.ask.path, query.join("&"))
    }

    /// Answers reads of types that the lab only shows.
    fn read_only(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => {
                let mut value = self.found(&id)?;
                if kind == "microsoft.storage/storageaccounts" {
                    let suffix = self
                        .ask
                        .origin
                        .rsplit(':')
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    value["properties"]["primaryEndpoints"] =
                        json!({"blob": format!("https://{}.blob.localhost:{suffix}/", id.name())});
                }
                Ok(Reply::json(200, &shown(&value)))
            }
            ("GET", Target::List { scope, .. }) => {
                Ok(self.list(self.store.of_type(&scope, kind).map(shown).collect()))
            }
            _ => Err(not_modelled(&format!("{} on {kind}", self.ask.method))),
        }
    }
}

/// Returns the id of a built-in role by its name.
pub(super) fn role_id(name: &str) -> &'static str {
    gate::ROLES
        .iter()
        .find(|role| role.1 == name)
        .map_or("00000000-0000-0000-0000-000000000000", |role| role.0)
}

/// Returns a resource without what only the lab knows of it.
pub(super) fn shown(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !name.starts_with("__"));
    }
    value
}

fn known_version(kind: &str, version: &str) -> Result<(), Reply> {
    let lower = kind.to_ascii_lowercase();
    let Some((_, versions)) = VERSIONS
        .iter()
        .find(|(prefix, _)| lower.starts_with(prefix))
    else {
        return Err(not_modelled(&format!("resources of type {kind}")));
    };
    if versions.contains(&version) {
        return Ok(());
    }
    let message = format!(
        "No registered resource provider found for location 'westeurope' and API version '{version}' for type '{kind}'. The supported api-versions are '{}'.",
        versions.join(", ")
    );
    Err(arm_error(400, "NoRegisteredProviderFound", &message))
}

/// Refuses members that a type does not have.
pub(super) fn only_members(value: &Value, known: &[&str], what: &str) -> Result<(), Reply> {
    for name in value
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys())
    {
        if !known.contains(&name.as_str()) {
            return Err(arm_error(
                400,
                "InvalidRequestContent",
                &format!("Could not find member '{name}' on object of type '{what}'."),
            ));
        }
    }
    Ok(())
}
