//! Microsoft.Resources: subscriptions, resource groups, tags (arm.md sections 2.7 and 5).

use serde_json::{Map, Value, json};

use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::gate;
use crate::lab::reply::{Reply, arm_error, not_modelled};

impl Arm<'_> {
    pub(super) fn resources(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.resources/subscriptions", Target::List { .. }) => {
                let visible: Vec<Value> = self
                    .store
                    .all()
                    .filter(|(_, value)| {
                        value["type"] == json!("Microsoft.Resources/subscriptions")
                    })
                    .filter(|(id, _)| {
                        gate::may(
                            self.store,
                            self.claims,
                            "Microsoft.Resources/subscriptions/read",
                            id,
                        )
                    })
                    .map(|(_, value)| value.clone())
                    .collect();
                Ok(self.list(visible))
            }
            ("GET", "microsoft.resources/subscriptions", Target::Resource(id)) => {
                self.found(&id).map(|value| Reply::json(200, &value))
            }
            (method, "microsoft.resources/subscriptions/resourcegroups", target) => {
                self.groups(method, target)
            }
            (method, "microsoft.resources/tags", Target::Resource(id)) => self.tags(method, &id),
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    fn groups(&mut self, method: &str, target: Target) -> Result<Reply, Reply> {
        match (method, target) {
            ("GET", Target::List { scope, .. }) => Ok(self.list(
                self.store
                    .of_type(&scope, "Microsoft.Resources/resourceGroups")
                    .cloned()
                    .collect(),
            )),
            ("HEAD", Target::Resource(id)) => {
                Ok(Reply::empty(if self.store.get(id.as_str()).is_some() {
                    204
                } else {
                    404
                }))
            }
            ("GET", Target::Resource(id)) => match self.store.get(id.as_str()) {
                Some(value) => Ok(Reply::json(200, value)),
                None => Err(arm_error(
                    404,
                    "ResourceGroupNotFound",
                    &format!("Resource group '{}' could not be found.", id.name()),
                )),
            },
            ("PUT", Target::Resource(id)) => {
                let body = self.ask.json()?;
                only_members(
                    &body,
                    &["location", "tags", "properties", "managedBy"],
                    "ResourceGroup",
                )?;
                let Some(location) = body["location"].as_str() else {
                    return Err(arm_error(
                        400,
                        "LocationRequired",
                        "The location property is required for this definition.",
                    ));
                };
                let status = if self.store.get(id.as_str()).is_some() {
                    200
                } else {
                    201
                };
                let value = json!({"id": id.as_str(), "name": id.name(), "type": "Microsoft.Resources/resourceGroups", "location": location, "tags": body["tags"], "properties": {"provisioningState": "Succeeded"}});
                self.store.put(id.as_str(), value.clone());
                Ok(Reply::json(status, &value))
            }
            (method, _) => Err(not_modelled(&format!("{method} on resource groups"))),
        }
    }

    /// The tags of any resource, at `{id}/providers/Microsoft.Resources/tags/default`.
    fn tags(&mut self, method: &str, id: &ArmId) -> Result<Reply, Reply> {
        let owner = id.as_str();
        let at = owner
            .to_ascii_lowercase()
            .rfind("/providers/microsoft.resources/tags/")
            .ok_or_else(|| self.not_found())?;
        let owner: ArmId = owner[..at].parse().map_err(|_| self.not_found())?;
        let mut value = self.found(&owner)?;
        if method == "GET" {
            return Ok(self.tags_reply(id, &value));
        }
        if method != "PATCH" {
            return Err(not_modelled(&format!("{method} on tags")));
        }
        if self.store.busy(owner.as_str(), self.now_us) {
            return Err(arm_error(
                409,
                "Conflict",
                "The resource is being changed by another operation.",
            ));
        }
        let body = self.ask.json()?;
        only_members(&body, &["operation", "properties"], "TagsPatchResource")?;
        let given = body["properties"]["tags"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut tags = value["tags"].as_object().cloned().unwrap_or_default();
        match body["operation"].as_str() {
            Some("Merge") => given
                .iter()
                .for_each(|(name, text)| set(&mut tags, name, text)),
            Some("Replace") => tags = given,
            Some("Delete") => tags.retain(|name, text| {
                !given.iter().any(|(gone, value)| {
                    gone.eq_ignore_ascii_case(name) && (value == text || value == "")
                })
            }),
            _ => {
                return Err(arm_error(
                    400,
                    "InvalidRequestContent",
                    "The operation must be Merge, Replace or Delete.",
                ));
            }
        }
        if tags.len() > 50
            || tags.iter().any(|(name, text)| {
                name.contains(['<', '>', '%', '&', '\\', '?', '/'])
                    || text.as_str().is_none_or(|text| text.chars().count() > 256)
            })
        {
            return Err(arm_error(
                400,
                "InvalidTagNameCharacters",
                "A tag has a name or value that is not allowed.",
            ));
        }
        value["tags"] = Value::Object(tags);
        self.store.put(owner.as_str(), value.clone());
        Ok(self.tags_reply(id, &value))
    }

    fn tags_reply(&self, id: &ArmId, value: &Value) -> Reply {
        let tags = shown(value)["tags"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        Reply::json(
            200,
            &json!({"id": id.as_str(), "name": "default", "type": "Microsoft.Resources/tags", "properties": {"tags": tags}}),
        )
    }
}

/// Sets a tag; the casing of a name that is there stays.
fn set(tags: &mut Map<String, Value>, name: &str, text: &Value) {
    let known = tags
        .keys()
        .find(|known| known.eq_ignore_ascii_case(name))
        .cloned();
    tags.insert(known.unwrap_or_else(|| name.to_owned()), text.clone());
}
