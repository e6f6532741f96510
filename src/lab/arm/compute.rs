//! Microsoft.Compute: virtual machines, disks, snapshots (arm.md sections 2.1 to 2.6).

use serde_json::{Value, json};

use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

impl Arm<'_> {
    pub(super) fn compute(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.compute/virtualmachines", Target::Resource(id)) => self.machine(&id),
            ("PATCH", "microsoft.compute/virtualmachines", Target::Resource(id)) => {
                self.patch_machine(&id)
            }
            (
                "GET",
                "microsoft.compute/disks" | "microsoft.compute/snapshots",
                Target::Resource(id),
            ) => {
                let value = self.found(&id)?;
                Ok(Reply::json(200, &shown(&self.with_progress(value))))
            }
            ("PUT", "microsoft.compute/snapshots", Target::Resource(id)) => self.put_snapshot(&id),
            ("DELETE", "microsoft.compute/snapshots", Target::Resource(id)) => {
                Ok(Reply::empty(if self.store.delete(id.as_str()).is_some() {
                    200
                } else {
                    204
                }))
            }
            ("GET", _, Target::List { scope, kind }) => {
                Ok(self.list(self.store.of_type(&scope, &kind).map(shown).collect()))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    fn machine(&self, id: &ArmId) -> Result<Reply, Reply> {
        let value = self.found(id)?;
        let mut body = shown(&value);
        if self
            .ask
            .query("$expand")
            .is_some_and(|expand| expand.eq_ignore_ascii_case("instanceView"))
        {
            let power = value["__power"].as_str().unwrap_or("running");
            body["properties"]["instanceView"] = json!({"statuses": [
                {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
                {"code": format!("PowerState/{power}"), "level": "Info", "displayStatus": format!("VM {power}")},
            ]});
        }
        let etag = body["etag"].as_str().unwrap_or_default().to_owned();
        Ok(Reply::json(200, &body).with("etag", etag))
    }

    /// PATCH of a machine: its identity (arm.md section 2.6).
    fn patch_machine(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let mut value = self.found(id)?;
        let patch = self.ask.json()?;
        only_members(&patch, &["identity", "tags"], "VirtualMachineUpdate")?;
        if self
            .ask
            .header("if-match")
            .is_some_and(|wanted| Some(wanted) != value["etag"].as_str())
        {
            return Err(arm_error(
                412,
                "PreconditionFailed",
                "The condition specified using HTTP conditional header(s) is not met.",
            ));
        }
        if self.store.busy(id.as_str(), self.now_us) {
            return Err(arm_error(
                409,
                "Conflict",
                "The request failed due to conflict with a concurrent request.",
            ));
        }
        if let Some(identity) = patch.get("identity") {
            let next = self.identity(id, value.get("identity"), identity)?;
            match (next, value.as_object_mut()) {
                (Some(next), Some(members)) => {
                    members.insert("identity".into(), next);
                }
                (None, Some(members)) => {
                    members.shift_remove("identity");
                }
                _ => {}
            }
        }
        let etag = format!("\"{}\"", self.store.version + 2);
        value["etag"] = json!(etag);
        value["properties"]["provisioningState"] = json!("Updating");
        self.store.put(id.as_str(), value.clone());
        let operation = self.begin(
            "Microsoft.Compute/virtualMachines",
            Some(id.as_str()),
            None,
            None,
        );
        let address = self.address(&operation, false);
        Ok(Reply::json(200, &shown(&value))
            .with("azure-asyncoperation", address)
            .with("azure-asyncnotification", "Enabled")
            .with("etag", etag))
    }

    fn identity(
        &self,
        id: &ArmId,
        before: Option<&Value>,
        patch: &Value,
    ) -> Result<Option<Value>, Reply> {
        only_members(
            patch,
            &["type", "userAssignedIdentities"],
            "VirtualMachineIdentity",
        )?;
        let kind = patch["type"].as_str().unwrap_or_default();
        if ![
            "None",
            "SystemAssigned",
            "UserAssigned",
            "SystemAssigned, UserAssigned",
        ]
        .contains(&kind)
        {
            return Err(arm_error(
                400,
                "InvalidParameter",
                &format!("The value '{kind}' of parameter 'identity.type' is not allowed."),
            ));
        }
        let mut users = before
            .and_then(|before| before.get("userAssignedIdentities"))
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, change) in patch
            .get("userAssignedIdentities")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            users.retain(|known, _| !known.eq_ignore_ascii_case(name));
            if !change.is_null() {
                if self.store.get(name).is_none() {
                    return Err(arm_error(
                        400,
                        "FailedIdentityOperation",
                        &format!(
                            "Identity operation for resource '{id}' failed: resource '{name}' was not found."
                        ),
                    ));
                }
                users.insert(name.clone(), json!({"principalId": guid(&name.to_lowercase()), "clientId": guid(&format!("client {}", name.to_lowercase()))}));
            }
        }
        if kind == "None" {
            if patch.get("userAssignedIdentities").is_none() && !users.is_empty() {
                return Err(arm_error(
                    400,
                    "InvalidParameter",
                    "userAssignedIdentities must be null when the identity type is None.",
                ));
            }
            return Ok(None);
        }
        let mut identity = json!({"type": kind});
        if kind.contains("SystemAssigned") {
            // Once gone, a system-assigned identity comes back as another principal.
            let principal = before.and_then(|before| before.get("principalId")).cloned();
            identity["principalId"] =
                principal.unwrap_or_else(|| json!(guid(&format!("{id} {}", self.store.version))));
            identity["tenantId"] = json!(self.tenant.scenario.tenant);
        }
        if kind.contains("UserAssigned") {
            if users.is_empty() {
                return Err(arm_error(
                    400,
                    "InvalidParameter",
                    "An identity of type UserAssigned needs userAssignedIdentities.",
                ));
            }
            identity["userAssignedIdentities"] = Value::Object(users);
        }
        Ok(Some(identity))
    }

    /// PUT of a snapshot (arm.md section 2.3).
    fn put_snapshot(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let body = self.ask.json()?;
        only_members(
            &body,
            &["location", "tags", "sku", "properties", "extendedLocation"],
            "Snapshot",
        )?;
        only_members(
            &body["properties"],
            &[
                "creationData",
                "incremental",
                "networkAccessPolicy",
                "publicNetworkAccess",
                "diskAccessId",
                "encryption",
                "osType",
                "hyperVGeneration",
                "dataAccessAuthMode",
                "supportsHibernation",
            ],
            "SnapshotProperties",
        )?;
        let source_id = body["properties"]["creationData"]["sourceResourceId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if body["properties"]["creationData"]["createOption"] != json!("Copy") {
            return Err(not_modelled("snapshots made otherwise than by Copy"));
        }
        if id.resource_group().is_some_and(|group| {
            self.store
                .get(&format!(
                    "/subscriptions/{}/resourceGroups/{group}",
                    id.subscription().unwrap_or_default()
                ))
                .is_none()
        }) {
            return self.found(id).map(|value| Reply::json(200, &value));
        }
        if let Some(existing) = self.store.get(id.as_str()) {
            return self.put_again(existing, &source_id);
        }
        let wrong = || {
            arm_error(
                404,
                "NotFound",
                &format!("Resource {source_id} is not found."),
            )
        };
        let source: ArmId = source_id.parse().map_err(|_| {
            arm_error(
                400,
                "InvalidParameter",
                "sourceResourceId is no resource id.",
            )
        })?;
        let disk = self.store.get(&source_id).cloned().ok_or_else(wrong)?;
        if !disk["location"]
            .as_str()
            .unwrap_or_default()
            .eq_ignore_ascii_case(body["location"].as_str().unwrap_or_default())
        {
            return Err(wrong());
        }
        let incremental = body["properties"]["incremental"] == json!(true);
        if incremental
            && !source
                .subscription()
                .unwrap_or_default()
                .eq_ignore_ascii_case(id.subscription().unwrap_or_default())
        {
            return Err(arm_error(
                400,
                "OperationNotAllowed",
                "Incremental snapshots cannot be created in another subscription than their source.",
            ));
        }
        gate::linked(
            self.store,
            self.claims,
            "Microsoft.Compute/snapshots/write",
            id.as_str(),
            "Microsoft.Compute/disks/beginGetAccess/action",
            &source_id,
        )?;
        Ok(self.capture(id, &body, &disk))
    }

    fn capture(&mut self, id: &ArmId, body: &Value, disk: &Value) -> Reply {
        let now = self.tenant.clock.now();
        let mut value = body.clone();
        value["id"] = json!(id.as_str());
        value["name"] = json!(id.name());
        value["type"] = json!("Microsoft.Compute/snapshots");
        value["sku"] = json!({"name": "Standard_LRS", "tier": "Standard"});
        let properties = &mut value["properties"];
        properties["creationData"]["sourceUniqueId"] = disk["properties"]["uniqueId"].clone();
        properties["timeCreated"] = json!(now.format("%Y-%m-%dT%H:%M:%S%.6f0+00:00").to_string());
        properties["diskSizeBytes"] = disk["properties"]["diskSizeBytes"].clone();
        properties["diskState"] = json!("Unattached");
        properties["uniqueId"] = json!(guid(id.as_str()));
        properties["provisioningState"] = json!("Updating");
        if matches!(
            disk["sku"]["name"].as_str(),
            Some("UltraSSD_LRS" | "PremiumV2_LRS")
        ) {
            // These are copied in the background; how far it is can be read.
            value["__copied_from_us"] = json!(self.now_us);
        }
        self.store.put(id.as_str(), value.clone());
        let operation = self.begin(
            "Microsoft.Compute/snapshots",
            Some(id.as_str()),
            Some(shown(&value)),
            None,
        );
        Reply::json(202, &shown(&value))
            .with("azure-asyncoperation", self.address(&operation, false))
            .with("location", self.address(&operation, true))
    }

    /// The same body again is an update that does not capture anew; another source is refused.
    fn put_again(&self, existing: &Value, source: &str) -> Result<Reply, Reply> {
        let known = existing["properties"]["creationData"]["sourceResourceId"]
            .as_str()
            .unwrap_or_default();
        if known.eq_ignore_ascii_case(source) {
            return Ok(Reply::json(200, &shown(existing)));
        }
        let name = existing["name"].as_str().unwrap_or_default();
        Err(arm_error(
            400,
            "BadRequest",
            &format!(
                "Changing property 'sourceResourceId' is not allowed for existing disk '{name}'."
            ),
        ))
    }

    /// Adds how far a background copy is: it takes four times as long as the capture itself.
    fn with_progress(&self, mut value: Value) -> Value {
        let Some(from) = value["__copied_from_us"].as_u64() else {
            return value;
        };
        let takes = crate::lab::latency::of_operation("microsoft.compute/snapshots")
            .mul_f64(4.0 * self.tenant.options.lro.max(0.0))
            .as_micros()
            .max(1);
        let done = u128::from(self.now_us.saturating_sub(from)) * 100 / takes;
        value["properties"]["completionPercent"] =
            json!(u64::try_from(done.min(100)).unwrap_or(100));
        value
    }
}
