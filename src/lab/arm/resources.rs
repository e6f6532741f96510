//! Microsoft.Resources: tenants, subscriptions and tags (arm.md sections 2.7 and 5).

use serde_json::{Map, Value, json};

use super::accounts::ACCOUNT;
use super::operations::Start;
use super::{Arm, Target, only_members, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type of subscriptions.
const SUBSCRIPTION: &str = "Microsoft.Resources/subscriptions";
/// The type of tags.
const TAGS: &str = "Microsoft.Resources/tags";

impl Arm<'_> {
    pub(super) fn resources(&mut self, target: Target, kind: &str) -> Result<Reply, Reply> {
        match (self.ask.method.as_str(), kind, target) {
            ("GET", "microsoft.resources/tenants", Target::List { .. }) => {
                let tenant = &self.tenant.scenario.tenant;
                let item = json!({"id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "Contoso", "defaultDomain": "contoso.onmicrosoft.com", "domains": ["contoso.onmicrosoft.com"], "tenantType": "AAD", "tenantCategory": "Home"});
                Ok(self.list(&[item]))
            }
            ("GET", "microsoft.resources/subscriptions", Target::List { .. }) => {
                let all = self
                    .store
                    .of_type("", SUBSCRIPTION)
                    .filter(|value| self.grants.touch(value["id"].as_str().unwrap_or_default()));
                let visible: Vec<Value> = all.map(shown).collect();
                Ok(self.list(&visible))
            }
            ("GET", "microsoft.resources/subscriptions", Target::Resource(id)) => self
                .found(&id)
                .map(|value| Reply::json(200, &shown(&value))),
            (_, "microsoft.resources/resources", Target::List { scope, .. }) => {
                self.inventory(&scope)
            }
            (_, "microsoft.resources/subscriptions/resourcegroups", target) => self.groups(target),
            (_, "microsoft.resources/tags", Target::Resource(id)) => self.tags(&id),
            (method, kind, _) => Err(not_modelled(&format!("{method} on {kind}"))),
        }
    }

    /// The tags of any resource, at `{id}/providers/Microsoft.Resources/tags/default`.
    fn tags(&mut self, id: &ArmId) -> Result<Reply, Reply> {
        let scope = crate::lab::gate::scope_of(id.as_str(), TAGS);
        let owner = self.resource(scope)?;
        let mut value = self.found(&owner)?;
        let before = value["tags"].as_object().cloned().unwrap_or_default();
        let after = match self.ask.method.as_str() {
            "GET" => return Ok(tags_reply(id, before)),
            "PATCH" => patched(before, &self.ask.json()?)?,
            "PUT" => {
                let body = self.ask.json()?;
                only_members(&body, &["properties", "id", "name", "type"], "TagsResource")?;
                body["properties"]["tags"]
                    .as_object()
                    .cloned()
                    .unwrap_or_default()
            }
            "DELETE" => Map::new(),
            method => return Err(not_modelled(&format!("{method} on tags"))),
        };
        if self.store.busy(owner.as_str()) {
            let message = format!(
                "The operation on the resource '{}' cannot be completed because another operation is in progress.",
                owner.name()
            );
            return Err(arm_error(409, "Conflict", &message));
        }
        tags_are_good(&after)?;
        value["tags"] = Value::Object(after.clone());
        let place = value["location"].as_str().unwrap_or_default().to_owned();
        self.store.put(owner.as_str(), value);
        Ok(match self.ask.method.as_str() {
            "DELETE" => Reply::empty(200),
            _ if owner.resource_type().eq_ignore_ascii_case(ACCOUNT) => {
                self.tags_later(&place, &tags_reply(id, after))
            }
            _ => tags_reply(id, after),
        })
    }

    /// Answers tags whose provider takes its time: 202, and the whole map at the Location (arm.md section 2.7).
    fn tags_later(&mut self, place: &str, whole: &Reply) -> Reply {
        let operation = self.begin(Start {
            kind: TAGS,
            result: serde_json::from_slice(&whole.body).ok(),
            ..Start::default()
        });
        let address = self.address(&operation, TAGS, place, true);
        Reply::empty(202).with("location", address)
    }
}

fn patched(mut tags: Map<String, Value>, body: &Value) -> Result<Map<String, Value>, Reply> {
    only_members(body, &["operation", "properties"], "TagsPatchResource")?;
    let given = body["properties"]["tags"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    match body["operation"].as_str() {
        Some("Merge") => given
            .iter()
            .for_each(|(name, text)| set(&mut tags, name, text)),
        Some("Replace") => return Ok(given),
        Some("Delete") => tags.retain(|name, text| {
            !given.iter().any(|(gone, value)| {
                gone.eq_ignore_ascii_case(name) && (value == text || value == "")
            })
        }),
        _ => {
            return Err(arm_error(
                400,
                "InvalidRequestContent",
                "The request content was invalid: 'operation' must be Merge, Replace or Delete.",
            ));
        }
    }
    Ok(tags)
}

/// Sets a tag; the casing of a name that is there stays.
fn set(tags: &mut Map<String, Value>, name: &str, text: &Value) {
    let known = tags
        .keys()
        .find(|known| known.eq_ignore_ascii_case(name))
        .cloned();
    tags.insert(known.unwrap_or_else(|| name.to_owned()), text.clone());
}

/// Refuses what no resource takes as its tags.
pub(super) fn tags_are_good(tags: &Map<String, Value>) -> Result<(), Reply> {
    if tags.len() > 50 {
        return Err(arm_error(
            400,
            "InvalidTagsCount",
            &format!(
                "The tags supplied for the resource exceed the maximum of 50: {}.",
                tags.len()
            ),
        ));
    }
    for (name, text) in tags {
        if name.is_empty()
            || name.len() > 512
            || name.contains(['<', '>', '%', '&', '\\', '?', '/'])
        {
            return Err(arm_error(
                400,
                "InvalidTagNameCharacters",
                &format!(
                    "The tag name '{name}' has reserved characters '<,>,%,&,\\,?,/' or a length that is not allowed."
                ),
            ));
        }
        if text.as_str().is_none_or(|text| text.chars().count() > 256) {
            return Err(arm_error(
                400,
                "InvalidTagValueLength",
                &format!("The value of tag '{name}' exceeds 256 characters or is no text."),
            ));
        }
    }
    Ok(())
}

fn tags_reply(id: &ArmId, tags: Map<String, Value>) -> Reply {
    Reply::json(
        200,
        &json!({"id": id.as_str(), "name": "default", "type": "Microsoft.Resources/tags", "properties": {"tags": Value::Object(tags)}}),
    )
}
