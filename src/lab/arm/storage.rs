//! Microsoft.Storage: accounts, containers and their immutability, shown only (arm.md section 3).

use serde_json::{Value, json};

use super::{Arm, Target, shown};
use crate::lab::reply::{Reply, not_modelled};

impl Arm<'_> {
    pub(super) fn storage(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        self.no_filter()?;
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.storage/storageaccounts", Target::Resource(id)) => {
                Ok(Reply::json(200, &self.account(&self.found(&id)?)))
            }
            ("GET", "microsoft.storage/storageaccounts", Target::List { scope, kind }) => {
                let items: Vec<Value> = self
                    .visible(&scope, &kind)
                    .iter()
                    .map(|value| self.account(value))
                    .collect();
                Ok(self.list(&items))
            }
            ("GET", _, Target::Resource(id)) if kind.ends_with("/immutabilitypolicies") => {
                let container =
                    self.resource(id.as_str().rsplitn(3, '/').nth(2).unwrap_or_default())?;
                let policy = policy(&self.found(&container)?);
                let etag = policy["etag"].as_str().unwrap_or_default().to_owned();
                let mut body = json!({"id": id.as_str(), "name": "default", "type": "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"});
                for (name, value) in policy.as_object().into_iter().flatten() {
                    body[name] = value.clone();
                }
                Ok(Reply::json(200, &body).with("etag", etag))
            }
            ("GET", _, Target::Resource(id)) => Ok(Reply::json(200, &container(&self.found(&id)?))),
            ("GET", _, Target::List { scope, kind }) => {
                let items: Vec<Value> = self.store.of_type(&scope, &kind).map(container).collect();
                Ok(self.list(&items))
            }
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// Shows an account with the address of its blobs, which are here.
    fn account(&self, value: &Value) -> Value {
        let mut value = shown(value);
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        value["properties"]["primaryEndpoints"] =
            json!({"blob": format!("https://{name}.blob.localhost:{}/", self.tenant.port)});
        value["properties"]["provisioningState"] = json!("Succeeded");
        value
    }
}

/// Shows a container with whether it has an immutability policy, and which.
fn container(value: &Value) -> Value {
    let mut body = shown(value);
    let policy = policy(value);
    let has = policy["properties"]["immutabilityPeriodSinceCreationInDays"] != 0;
    if let Some(properties) = body["properties"].as_object_mut() {
        properties.shift_remove("immutable");
        properties.insert("hasImmutabilityPolicy".into(), json!(has));
        properties.insert("hasLegalHold".into(), json!(false));
        if has {
            properties.insert("immutabilityPolicy".into(), policy);
        }
    }
    body
}

/// Returns the policy of a container. One without answers as the service does: no days, unlocked, no etag.
fn policy(container: &Value) -> Value {
    let properties = &container["properties"];
    match properties["immutable"].as_str() {
        None => {
            json!({"properties": {"immutabilityPeriodSinceCreationInDays": 0, "state": "Unlocked"}, "etag": ""})
        }
        Some(state) => json!({
            "properties": {"immutabilityPeriodSinceCreationInDays": 365, "state": state, "allowProtectedAppendWrites": properties["allowProtectedAppendWrites"] == true},
            "etag": "\"8dd53ec7be9933c\"",
        }),
    }
}
