//! Immutability policies of containers: made, changed and taken away while unlocked, only extended once locked
//! (arm.md section 3).
//!
//! A policy lives in its container, in members that nobody is shown: `immutable` (its state), `immutabilityDays`,
//! `allowProtectedAppendWrites`, `allowProtectedAppendWritesAll`, and `policyChanges`, which its etag is made of.

use serde_json::{Map, Value, json};

use super::{Arm, Target, only_members};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The members of a container that are its policy's or its legal hold's.
const HIDDEN: [&str; 6] = [
    "allowProtectedAppendWrites",
    "allowProtectedAppendWritesAll",
    "immutabilityDays",
    "immutable",
    "legalHold",
    "policyChanges",
];
/// Times that a locked policy can be extended.
const EXTENSIONS: u64 = 5;
const TYPE: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies";

impl Arm<'_> {
    pub(super) fn immutability(&mut self, target: Target) -> Result<Reply, Reply> {
        let (id, action) = match target {
            Target::Resource(id) => (id, String::new()),
            Target::Action { id, name } => (id, name),
            Target::List { kind, .. } => return Err(not_modelled(&format!("lists of {kind}"))),
        };
        let of = id.parent().ok_or_else(|| self.not_found())?;
        let mut container = self.found(&of)?;
        match (self.ask.method.as_str(), action.as_str()) {
            ("GET", "") => Ok(reply(&id, &container)),
            ("PUT", "") => {
                self.unlocked_with(&container, false)?;
                let asked = self.asked(true)?;
                let properties = members(&mut container);
                properties.retain(|name, _| !name.starts_with("allowProtectedAppendWrites"));
                properties.extend(asked);
                properties.insert("immutable".into(), json!("Unlocked"));
                Ok(self.changed(&id, &of, container))
            }
            ("POST", "lock") => {
                self.unlocked_with(&container, true)?;
                members(&mut container).insert("immutable".into(), json!("Locked"));
                Ok(self.changed(&id, &of, container))
            }
            ("POST", "extend") => self.extend(&id, &of, container),
            ("DELETE", "") => {
                self.unlocked_with(&container, true)?;
                members(&mut container)
                    .retain(|name, _| !HIDDEN.contains(&name.as_str()) || name == "legalHold");
                self.store.put(of.as_str(), container);
                let body = json!({"id": id.as_str(), "name": "default", "type": TYPE, "etag": "", "properties": {"immutabilityPeriodSinceCreationInDays": 0, "state": "Deleted"}});
                Ok(Reply::json(200, &body))
            }
            (method, action) => Err(not_modelled(&format!(
                "{method} {action} on immutability policies"
            ))),
        }
    }

    fn extend(&mut self, id: &ArmId, of: &ArmId, mut container: Value) -> Result<Reply, Reply> {
        if container["properties"]["immutable"] != "Locked" {
            return Err(failure(
                "Operation not allowed on an immutability policy that is not locked.",
            ));
        }
        self.right_etag(&container, true)?;
        let asked = self.asked(false)?;
        let days = |properties: &Value| properties["immutabilityDays"].as_u64().unwrap_or(365);
        let longer = asked.get("immutabilityDays").and_then(Value::as_u64);
        let done = container["properties"]["extensions"].as_u64().unwrap_or(0);
        if asked.len() != 1
            || longer.is_none_or(|longer| longer <= days(&container["properties"]))
            || done >= EXTENSIONS
        {
            return Err(failure(
                "A locked policy can only be made longer, and at most five times.",
            ));
        }
        let properties = members(&mut container);
        properties.extend(asked);
        properties.insert("extensions".into(), json!(done + 1));
        Ok(self.changed(id, of, container))
    }

    /// Refuses a change of a locked policy, or with another etag than the policy's.
    fn unlocked_with(&self, container: &Value, etag_needed: bool) -> Result<(), Reply> {
        self.right_etag(container, etag_needed)?;
        if container["properties"]["immutable"] == "Locked" {
            return Err(arm_error(
                409,
                "ContainerImmutabilityPolicyLocked",
                "The operation is not allowed on a locked immutability policy.",
            ));
        }
        Ok(())
    }

    /// `*` is no etag here: who locks forever must name what is locked.
    fn right_etag(&self, container: &Value, needed: bool) -> Result<(), Reply> {
        let own = etag(container);
        match self.ask.header("if-match") {
            None if !needed => Ok(()),
            Some(given) if given == own && !own.is_empty() => Ok(()),
            _ => Err(failure(
                "Operation not allowed on immutability policy with incorrect etag.",
            )),
        }
    }

    /// Reads what a body asks of a policy.
    fn asked(&self, whole: bool) -> Result<Map<String, Value>, Reply> {
        let body = self.ask.json()?;
        only_members(&body, &["properties"], "ImmutabilityPolicy")?;
        let known = [
            "immutabilityPeriodSinceCreationInDays",
            "allowProtectedAppendWrites",
            "allowProtectedAppendWritesAll",
        ];
        let properties = &body["properties"];
        only_members(properties, &known, "ImmutabilityPolicyProperties")?;
        let invalid = |message: &str| arm_error(400, "InvalidRequestPropertyValue", message);
        let mut asked = Map::new();
        match properties["immutabilityPeriodSinceCreationInDays"].as_u64() {
            Some(days @ 1..=146_000) => {
                asked.insert("immutabilityDays".into(), json!(days));
            }
            _ => return Err(invalid("The period is 1 to 146000 days.")),
        }
        for name in known.iter().skip(1) {
            match &properties[*name] {
                Value::Null => {}
                Value::Bool(allowed) if whole => {
                    asked.insert((*name).to_owned(), json!(allowed));
                }
                _ => return Err(invalid(&format!("{name} cannot be set so."))),
            }
        }
        let both = known
            .iter()
            .skip(1)
            .all(|name| asked.get(*name) == Some(&json!(true)));
        if both {
            return Err(invalid(
                "allowProtectedAppendWrites and allowProtectedAppendWritesAll exclude each other.",
            ));
        }
        Ok(asked)
    }

    fn changed(&mut self, id: &ArmId, of: &ArmId, mut container: Value) -> Reply {
        let changes = container["properties"]["policyChanges"]
            .as_u64()
            .unwrap_or(0);
        members(&mut container).insert("policyChanges".into(), json!(changes + 1));
        let reply = reply(id, &container);
        self.store.put(of.as_str(), container);
        reply
    }
}

fn failure(message: &str) -> Reply {
    arm_error(412, "ContainerImmutabilityPolicyFailure", message)
}

/// Returns the properties of a container, which every one has.
fn members(container: &mut Value) -> &mut Map<String, Value> {
    if !container["properties"].is_object() {
        container["properties"] = json!({});
    }
    match &mut container["properties"] {
        Value::Object(members) => members,
        _ => unreachable!("made an object above"),
    }
}

fn etag(container: &Value) -> String {
    let properties = &container["properties"];
    if !properties["immutable"].is_string() {
        return String::new();
    }
    let changes = properties["policyChanges"].as_u64().unwrap_or(0);
    format!("\"{:x}\"", 0x08dd_53ec_7be9_933c_u64 + changes)
}

fn reply(id: &ArmId, container: &Value) -> Reply {
    let policy = policy(container);
    let etag = policy["etag"].as_str().unwrap_or_default().to_owned();
    let mut body = json!({"id": id.as_str(), "name": "default", "type": TYPE});
    for (name, value) in policy.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Reply::json(200, &body).with("etag", etag)
}

/// Returns the policy of a container. One without answers as the service does: no days, unlocked, no etag.
fn policy(container: &Value) -> Value {
    let properties = &container["properties"];
    let Some(state) = properties["immutable"].as_str() else {
        return json!({"properties": {"immutabilityPeriodSinceCreationInDays": 0, "state": "Unlocked"}, "etag": ""});
    };
    let days = properties["immutabilityDays"].as_u64().unwrap_or(365);
    let mut shown = json!({"immutabilityPeriodSinceCreationInDays": days, "state": state});
    for name in [
        "allowProtectedAppendWrites",
        "allowProtectedAppendWritesAll",
    ] {
        if let Some(allowed) = properties[name].as_bool() {
            shown[name] = json!(allowed);
        }
    }
    json!({"properties": shown, "etag": etag(container)})
}

/// Shows a container with whether it has an immutability policy, and which, and whether a hold lies on it.
pub(in crate::lab) fn container(value: &Value) -> Value {
    let mut body = super::shown(value);
    let policy = policy(value);
    let has = policy["properties"]["immutabilityPeriodSinceCreationInDays"] != 0;
    let tags = value["properties"]["legalHold"].as_array().cloned();
    let tags = tags.unwrap_or_default();
    if let Some(properties) = body["properties"].as_object_mut() {
        properties.retain(|name, _| !HIDDEN.contains(&name.as_str()) && name != "extensions");
        properties.insert("hasImmutabilityPolicy".into(), json!(has));
        properties.insert("hasLegalHold".into(), json!(!tags.is_empty()));
        if !tags.is_empty() {
            let tags: Vec<Value> = tags.iter().map(|tag| json!({"tag": tag})).collect();
            properties.insert(
                "legalHold".into(),
                json!({"hasLegalHold": true, "tags": tags}),
            );
        }
        if has {
            properties.insert("immutabilityPolicy".into(), policy);
        }
    }
    body
}
