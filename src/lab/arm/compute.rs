//! Microsoft.Compute: virtual machines (arm.md sections 2.1, 2.6 and 2.9).

use serde_json::{Value, json};

use super::operations::Start;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type of virtual machines.
pub(super) const MACHINE: &str = "Microsoft.Compute/virtualMachines";

impl Arm<'_> {
    pub(super) fn compute(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        let reply = match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.compute/virtualmachines", Target::Resource(id)) => self.machine(&id),
            ("GET", "microsoft.compute/virtualmachines", Target::Action { id, .. }) => {
                Ok(Reply::json(200, &instance_view(&self.found(&id)?)))
            }
            ("GET", "microsoft.compute/virtualmachines", Target::List { scope, kind }) => {
                self.machines(&scope, &kind)
            }
            ("PATCH", "microsoft.compute/virtualmachines", Target::Resource(id)) => {
                self.patch_machine(&id)
            }
            ("PUT", "microsoft.compute/virtualmachines", Target::Resource(id)) => {
                self.put_machine(&id)
            }
            ("DELETE", "microsoft.compute/virtualmachines", Target::Resource(id)) => {
                self.delete_machine(&id)
            }
            ("POST", "microsoft.compute/virtualmachines", Target::Action { id, name }) => {
                self.power(&id, &name)
            }
            (_, "microsoft.compute/disks", target) => self.disks(target),
            (_, "microsoft.compute/snapshots", target) => self.snapshots(target),
            (_, kind, target) if kind.starts_with("microsoft.compute/restorepointcollections") => {
                self.restore_points(target, kind)
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }?;
        let bucket = if kind == "microsoft.compute/snapshots" && self.ask.method == "PUT" {
            "Microsoft.Compute/HighCostSnapshotCreateHydrate3Min;999,Microsoft.Compute/HighCostSnapshotCreateHydrate30Min;7999"
        } else if self.ask.method == "GET" {
            "Microsoft.Compute/LowCostGetSubscriptionMaximum;23999,Microsoft.Compute/LowCostGetResource;35"
        } else {
            "Microsoft.Compute/UpdateVMSubscriptionMaximum;1498,Microsoft.Compute/UpdateVMResource;10"
        };
        Ok(reply.with("x-ms-ratelimit-remaining-resource", bucket))
    }

    fn machine(&self, id: &ArmId) -> Result<Reply, Reply> {
        let value = self.found(id)?;
        let etag = value["etag"].as_str().unwrap_or_default().to_owned();
        Ok(Reply::json(200, &self.expanded(&value)?).with("etag", etag))
    }

    fn machines(&self, scope: &str, kind: &str) -> Result<Reply, Reply> {
        self.no_filter()?;
        let readable = self.visible(scope, kind);
        let full = readable
            .iter()
            .filter_map(|value| self.store.get(value["id"].as_str()?));
        let items = full
            .map(|value| self.expanded(value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.list(&items))
    }

    /// Shows a machine, with its instance view where the request asks for it.
    fn expanded(&self, value: &Value) -> Result<Value, Reply> {
        let mut body = shown(value);
        match self
            .ask
            .query("$expand")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None | Some("" | "userdata") => {}
            Some("instanceview") => body["properties"]["instanceView"] = instance_view(value),
            Some(other) => {
                return Err(not_modelled(&format!(
                    "$expand={other} on virtual machines"
                )));
            }
        }
        Ok(body)
    }

    /// PATCH of a machine: its identity and its tags.
    fn patch_machine(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let mut value = self.found(id)?;
        let patch = self.ask.json()?;
        only_members(&patch, &["identity", "tags"], "VirtualMachineUpdate")?;
        self.as_expected(&value)?;
        self.machine_is_free(id)?;
        if let Some(identity) = patch.get("identity") {
            let next = self.identity(id, value.get("identity"), identity)?;
            if let Some(members) = value.as_object_mut() {
                match next {
                    Some(next) => members.insert("identity".into(), next),
                    None => members.shift_remove("identity"),
                };
            }
        }
        if let Some(tags) = patch.get("tags") {
            value["tags"] = tags.clone();
        }
        Ok(self.begin_machine(id, value))
    }

    /// Refuses a write that expects another etag than the resource has. Machines honour it since 2024-03-01 (arm.md
    /// section 2.6), interfaces too: the cloud provider of Kubernetes relies on it (kubernetes-sigs/
    /// cloud-provider-azure, pull request 483).
    pub(super) fn as_expected(&self, value: &Value) -> Result<(), Reply> {
        match self.ask.header("if-match") {
            Some(wanted) if Some(wanted) != value["etag"].as_str() => Err(arm_error(
                412,
                "PreconditionFailed",
                "The condition specified using HTTP conditional header(s) is not met.",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn machine_is_free(&self, id: &ArmId) -> Result<(), Reply> {
        if self.store.busy(id.as_str()) {
            let message = format!(
                "The request failed due to conflict with a concurrent request. The virtual machine '{}' is being updated.",
                id.name()
            );
            return Err(arm_error(409, "Conflict", &message));
        }
        Ok(())
    }

    /// Answers a change: 200 with the machine, which is being updated, and the operation's address.
    pub(super) fn begin_machine(&mut self, id: &ArmId, value: Value) -> Reply {
        let (value, operation) = self.updating(id, value);
        let address = self.address(
            &operation,
            MACHINE,
            value["location"].as_str().unwrap_or_default(),
            false,
        );
        let etag = value["etag"].as_str().unwrap_or_default().to_owned();
        Reply::json(200, &shown(&value))
            .with("azure-asyncoperation", address)
            .with("azure-asyncnotification", "Enabled")
            .with("etag", etag)
    }

    /// Puts a machine with a new etag, and begins the operation that works on it.
    fn updating(&mut self, id: &ArmId, mut value: Value) -> (Value, String) {
        let known = value["etag"]
            .as_str()
            .and_then(|etag| etag.trim_matches('"').parse::<u64>().ok())
            .unwrap_or(0);
        value["etag"] = json!(format!("\"{}\"", known + 1));
        value["properties"]["provisioningState"] = json!("Updating");
        self.store.put(id.as_str(), value.clone());
        let operation = self.begin(Start {
            kind: MACHINE,
            resource: Some(id.as_str()),
            ..Start::default()
        });
        (value, operation)
    }

    /// Power actions: 202 without a body, both addresses.
    fn power(&mut self, id: &ArmId, action: &str) -> Result<Reply, Reply> {
        let power = match action {
            "deallocate" => "deallocated",
            "poweroff" => "stopped",
            "restart" | "start" => "running",
            _ => return Err(not_modelled(&format!("{action} on virtual machines"))),
        };
        let mut value = self.found(id)?;
        self.machine_is_free(id)?;
        value["__power"] = json!(power);
        let (value, operation) = self.updating(id, value);
        let location = value["location"].as_str().unwrap_or_default().to_owned();
        let reply = Reply::empty(202).with(
            "azure-asyncoperation",
            self.address(&operation, MACHINE, &location, false),
        );
        Ok(reply.with(
            "location",
            self.address(&operation, MACHINE, &location, true),
        ))
    }
}

fn instance_view(value: &Value) -> Value {
    let power = value["__power"].as_str().unwrap_or("running");
    let state = value["properties"]["provisioningState"]
        .as_str()
        .unwrap_or("Succeeded");
    json!({"statuses": [
        {"code": format!("ProvisioningState/{}", state.to_ascii_lowercase()), "level": "Info", "displayStatus": format!("Provisioning {}", state.to_ascii_lowercase())},
        {"code": format!("PowerState/{power}"), "level": "Info", "displayStatus": format!("VM {power}")},
    ]})
}
