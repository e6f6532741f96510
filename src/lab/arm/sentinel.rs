//! What a workspace keeps for its hunters: automation rules of Sentinel, and saved searches
//! (arm.md sections 10.2 and 10.4). No incident is ever made here, so no rule ever runs.

use serde_json::{Value, json};

use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
/// Sentinel knows these severities and no others.
const SEVERITIES: &[&str] = &["High", "Medium", "Low", "Informational"];

impl Arm<'_> {
    pub(super) fn workspaces(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        if !kind.ends_with("/savedsearches") {
            return self.read_only(target, kind);
        }
        self.no_filter()?;
        match (self.ask.method.as_str(), target) {
            ("PUT", Target::Resource(id)) => self.save_search(&id),
            (_, target) => self.kept_in_workspace(target),
        }
    }

    pub(super) fn automation_rules(&mut self, target: Target) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), target) {
            ("PUT", Target::Resource(id)) => self.put_automation_rule(&id),
            (_, target) => self.kept_in_workspace(target),
        }
    }

    fn kept_in_workspace(&mut self, target: Target) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), target) {
            ("GET", Target::Resource(id)) => Ok(Reply::json(200, &self.found(&id)?)),
            ("GET", Target::List { scope, kind }) => {
                self.found(&self.resource(&scope)?)?;
                Ok(self.list(&self.visible(&scope, &kind)))
            }
            ("DELETE", Target::Resource(id)) => {
                self.workspace_of(&id)?;
                let gone = self.store.delete(id.as_str());
                Ok(Reply::empty(if gone.is_some() { 200 } else { 204 }))
            }
            (method, target) => Err(not_modelled(&format!("{method} on {}", target.kind()))),
        }
    }

    /// Finds the workspace that a thing is kept in.
    fn workspace_of(&self, id: &ArmId) -> Result<Value, Reply> {
        let lower = id.as_str().to_ascii_lowercase();
        let mark = format!("/providers/{WORKSPACE}/").to_ascii_lowercase();
        let place = lower.find(&mark).map(|at| at + mark.len());
        let place = place.ok_or_else(|| self.not_found())?;
        let end = lower[place..]
            .find('/')
            .map_or(lower.len(), |at| place + at);
        self.found(&self.resource(&id.as_str()[..end])?)
    }

    fn save_search(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.workspace_of(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "etag", "properties"],
            "SavedSearch",
        )?;
        let known = [
            "category",
            "displayName",
            "functionAlias",
            "functionParameters",
            "query",
            "tags",
            "version",
        ];
        let properties = &body["properties"];
        only_members(properties, &known, "SavedSearchProperties")?;
        for needed in ["category", "displayName", "query"] {
            if properties[needed].as_str().is_none_or(str::is_empty) {
                return Err(arm_error(
                    400,
                    "InvalidParameter",
                    &format!("The property {needed} of a saved search is required."),
                ));
            }
        }
        self.keep(id, &body)
    }

    fn put_automation_rule(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        self.workspace_of(id)?;
        let body = self.ask.json()?;
        only_members(
            &body,
            &["id", "name", "type", "etag", "properties"],
            "AutomationRule",
        )?;
        let properties = &body["properties"];
        let known = ["actions", "displayName", "order", "triggeringLogic"];
        only_members(properties, &known, "AutomationRuleProperties")?;
        rule_is_good(properties).map_err(|message| arm_error(400, "BadRequest", &message))?;
        for action in properties["actions"].as_array().into_iter().flatten() {
            let playbook = action["actionConfiguration"]["logicAppResourceId"].as_str();
            if let Some(playbook) = playbook.filter(|id| self.store.get(id).is_none()) {
                return Err(arm_error(
                    400,
                    "BadRequest",
                    &format!("The playbook '{playbook}' was not found."),
                ));
            }
        }
        self.keep(id, &body)
    }

    /// Puts it under its etag: one that is there is changed only with the etag that it has, or `*`.
    fn keep(&mut self, id: &ArmId, body: &Value) -> Result<Reply, Reply> {
        let before = self.store.get(id.as_str()).cloned();
        if let Some(before) = &before {
            let given = body["etag"].as_str().or(self.ask.header("if-match"));
            if given.is_some_and(|given| given != "*" && before["etag"] != given) {
                return Err(arm_error(
                    409,
                    "Conflict",
                    "The etag is not that of the newest version.",
                ));
            }
        }
        let mut value = json!({"id": id.as_str(), "name": id.name(), "type": id.resource_type(), "properties": body["properties"]});
        value["etag"] = json!(format!("\"{:08x}-0000\"", self.store.version + 1));
        self.store.put(id.as_str(), value.clone());
        let made = before.is_none() && value["type"] != format!("{WORKSPACE}/savedSearches");
        Ok(Reply::json(if made { 201 } else { 200 }, &value))
    }
}

fn rule_is_good(rule: &Value) -> Result<(), String> {
    let logic = &rule["triggeringLogic"];
    let whole = rule["displayName"].is_string()
        && rule["order"].is_u64()
        && logic["isEnabled"].is_boolean()
        && logic["triggersOn"] == "Incidents"
        && matches!(logic["triggersWhen"].as_str(), Some("Created" | "Updated"));
    let actions = rule["actions"].as_array().filter(|list| !list.is_empty());
    let Some(actions) = actions.filter(|_| whole) else {
        return Err(
            "A rule needs a name, an order, a triggering logic for incidents and an action."
                .to_owned(),
        );
    };
    for condition in logic["conditions"].as_array().into_iter().flatten() {
        let property = &condition["conditionProperties"];
        let values = property["propertyValues"].as_array().into_iter().flatten();
        let wrong = values
            .filter_map(Value::as_str)
            .find(|value| !SEVERITIES.contains(value));
        if let Some(wrong) = wrong.filter(|_| property["propertyName"] == "IncidentSeverity") {
            return Err(format!("'{wrong}' is no severity of an incident."));
        }
    }
    // A playbook runs in a tenant, which the rule names.
    let playbook = |action: &&Value| action["actionType"] == "RunPlaybook";
    match actions.iter().filter(playbook).find(|action| {
        let configuration = &action["actionConfiguration"];
        !configuration["tenantId"].is_string() || !configuration["logicAppResourceId"].is_string()
    }) {
        Some(_) => Err("A playbook needs logicAppResourceId and tenantId.".to_owned()),
        None => Ok(()),
    }
}
