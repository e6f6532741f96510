//! Logic Apps: made, shown, switched off and on, deleted (arm.md section 9.2). What a workflow would do, it does not.

use serde_json::{Value, json};

use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};
use crate::lab::scenario::guid;

const WORKFLOW: &str = "Microsoft.Logic/workflows";
const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "identity",
    "properties",
];
/// Members that a request may set.
const PROPERTIES: &[&str] = &["accessControl", "definition", "parameters", "state"];
/// Where the language of definitions is written down; a definition names it.
const SCHEMA: &str = "/providers/Microsoft.Logic/schemas/";

impl Arm<'_> {
    pub(super) fn workflows(&mut self, target: Target) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &shown(&self.found(&id)?))),
            ("GET", Target::List { scope, kind }) => Ok(self.list(&self.visible(&scope, &kind))),
            ("PUT", Target::Resource(id)) => self.put_workflow(&id),
            ("DELETE", Target::Resource(id)) => {
                self.group_exists(&id)?;
                let gone = self.store.delete(id.as_str());
                Ok(Reply::empty(if gone.is_some() { 200 } else { 204 }))
            }
            ("POST", Target::Action { id, name })
                if matches!(name.as_str(), "disable" | "enable") =>
            {
                let mut workflow = self.found(&id)?;
                let state = if name == "enable" {
                    "Enabled"
                } else {
                    "Disabled"
                };
                workflow["properties"]["state"] = json!(state);
                workflow["properties"]["changedTime"] = json!(self.moment());
                self.store.put(id.as_str(), workflow);
                Ok(Reply::empty(200))
            }
            (method, _) => Err(not_modelled(&format!("{method} on {WORKFLOW}"))),
        }
    }

    fn put_workflow(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.group_exists(id)?;
        let body = self.ask.json()?;
        only_members(&body, MEMBERS, "Workflow")?;
        only_members(&body["properties"], PROPERTIES, "WorkflowProperties")?;
        let Some(location) = body["location"].as_str() else {
            return Err(arm_error(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let definition = &body["properties"]["definition"];
        let schema = definition["$schema"].as_str().unwrap_or_default();
        if !schema.contains(SCHEMA) || !definition["contentVersion"].is_string() {
            return Err(arm_error(
                400,
                "InvalidTemplate",
                "Unable to process template language expressions: the definition names neither a schema of workflows nor a content version.",
            ));
        }
        let state = body["properties"]["state"].as_str().unwrap_or("Enabled");
        if !matches!(state, "Enabled" | "Disabled") {
            return Err(arm_error(
                400,
                "InvalidWorkflowState",
                &format!("The workflow state '{state}' is not valid."),
            ));
        }
        let before = self.store.get(id.as_str()).cloned();
        let now = self.moment();
        let made = before.as_ref().map_or_else(
            || json!(now),
            |before| before["properties"]["createdTime"].clone(),
        );
        let mut value = json!({"id": id.as_str(), "name": id.name(), "type": WORKFLOW, "location": location, "tags": body["tags"].as_object().cloned().unwrap_or_default(), "properties": {
            "provisioningState": "Succeeded", "createdTime": made, "changedTime": now, "state": state, "version": guid(&format!("{id} {}", self.store.version)),
            "definition": definition, "parameters": body["properties"]["parameters"].as_object().cloned().unwrap_or_default(),
        }});
        if let Some(identity) = self.identity_of_workflow(id, before.as_ref(), &body["identity"])? {
            value["identity"] = identity;
        }
        self.store.put(id.as_str(), value.clone());
        Ok(Reply::json(
            if before.is_some() { 200 } else { 201 },
            &value,
        ))
    }

    /// A system-assigned identity stays the same principal as long as it is there.
    fn identity_of_workflow(
        &self,
        id: &ArmId,
        before: Option<&Value>,
        asked: &Value,
    ) -> Result<Option<Value>, Reply> {
        match asked["type"].as_str() {
            None | Some("None") => Ok(None),
            Some("SystemAssigned") => {
                let known = before.and_then(|before| before["identity"]["principalId"].as_str());
                let principal = known.map_or_else(
                    || guid(&format!("{id} {}", self.store.version)),
                    str::to_owned,
                );
                let tenant = &self.tenant.scenario.tenant;
                Ok(Some(
                    json!({"type": "SystemAssigned", "principalId": principal, "tenantId": tenant}),
                ))
            }
            Some(other) => Err(not_modelled(&format!(
                "identities of type {other} of {WORKFLOW}"
            ))),
        }
    }

    /// Returns the time as Logic Apps write it.
    fn moment(&self) -> String {
        let now = self.tenant.clock.now();
        now.format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string()
    }
}
