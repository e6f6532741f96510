//! Every resource of a subscription or a group in one list, and when each was made (arm.md section 5.5).

use serde_json::{Value, json};

use super::groups::GROUP;
use super::{Arm, shown};
use crate::ids::ArmId;
use crate::lab::reply::{Reply, arm_error, not_modelled};

/// The type under which the list is judged.
pub(super) const RESOURCES: &str = "Microsoft.Resources/resources";
/// When the resources of a scenario were made that say nothing of it.
const SEEDED: &str = "2026-01-12T04:06:05.1234567Z";
/// Members that the list shows of a resource: its properties are for its own provider to tell.
const MEMBERS: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "sku",
    "kind",
    "identity",
    "managedBy",
    "zones",
];
/// Members that come with `$expand` only.
const EXPANDED: &[&str] = &["changedTime", "createdTime", "provisioningState"];

/// What an item must be to stay: member and value.
type Wanted = Vec<(&'static str, String)>;

impl Arm<'_> {
    /// Lists top-level resources, without their properties.
    pub(super) fn inventory(&self, scope: &str) -> Result<Reply, Reply> {
        if self.ask.method != "GET" {
            return Err(not_modelled(&format!(
                "{} on {}",
                self.ask.method, self.ask.path
            )));
        }
        let wanted = filter(self.ask.query("$filter").unwrap_or_default())?;
        let expand = expanded(self.ask.query("$expand").unwrap_or_default())?;
        let here = format!("{}/", scope.to_ascii_lowercase());
        let found = self
            .store
            .all()
            .filter(|(id, value)| id.starts_with(&here) && listed(value));
        let items: Vec<Value> = found
            .map(|(_, value)| self.item(value, &expand))
            .filter(|item| {
                let kind = item["type"].as_str().unwrap_or_default();
                self.grants.allow(
                    &format!("{kind}/read"),
                    item["id"].as_str().unwrap_or_default(),
                ) && wanted.iter().all(|(member, text)| is(item, member, text))
            })
            .collect();
        Ok(self.list(&items))
    }

    fn item(&self, value: &Value, expand: &[&str]) -> Value {
        let mut item = shown(value);
        let properties = item["properties"].take();
        if let Some(members) = item.as_object_mut() {
            members.retain(|name, _| MEMBERS.contains(&name.as_str()));
        }
        let (made, changed) = self
            .store
            .times(value["id"].as_str().unwrap_or_default())
            .cloned()
            .unwrap_or_default();
        let own = ["timeCreated", "creationTime", "createdTime"]
            .iter()
            .find_map(|name| properties[*name].as_str());
        let made = made.unwrap_or_else(|| own.unwrap_or(SEEDED).to_owned());
        for name in expand {
            item[*name] = match *name {
                "createdTime" => json!(made),
                "changedTime" => json!(changed.as_ref().unwrap_or(&made)),
                _ => json!(
                    properties["provisioningState"]
                        .as_str()
                        .unwrap_or("Succeeded")
                ),
            };
        }
        item
    }
}

/// Returns whether a resource is one of the list: top-level, and no extension of another.
fn listed(value: &Value) -> bool {
    let kind = value["type"].as_str().unwrap_or_default();
    let extends = |id: &str| id.to_ascii_lowercase().matches("/providers/").count() != 1;
    kind.matches('/').count() == 1
        && kind != GROUP
        && !kind.starts_with("Microsoft.Authorization/")
        && !value["id"].as_str().is_none_or(extends)
}

fn is(item: &Value, member: &str, text: &str) -> bool {
    let own = if member == "resourceGroup" {
        let id: Option<ArmId> = item["id"].as_str().and_then(|id| id.parse().ok());
        id.and_then(|id| id.resource_group().map(str::to_owned))
            .unwrap_or_default()
    } else if let Some(part) = member.strip_prefix("part of ") {
        let own = item[part].as_str().unwrap_or_default().to_lowercase();
        return own.contains(&text.to_lowercase());
    } else {
        item[member].as_str().unwrap_or_default().to_owned()
    };
    own.eq_ignore_ascii_case(text)
}

/// Reads `resourceType eq 'x' and name eq 'y'`; anything else is a filter that the service has and the lab has not.
fn filter(text: &str) -> Result<Wanted, Reply> {
    let refuse = || not_modelled(&format!("the filter {text:?} on lists of resources"));
    let parts = text.split(" and ").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            if let Some(inner) = part.strip_prefix("substringof('").and_then(|rest| {
                rest.strip_suffix("',name)")
                    .or(rest.strip_suffix("', name)"))
            }) {
                return Ok(("part of name", inner.to_owned()));
            }
            let (name, value) = part.split_once(" eq ").ok_or_else(refuse)?;
            let member = match name.trim() {
                "resourceType" => "type",
                "name" => "name",
                "location" => "location",
                "resourceGroup" => "resourceGroup",
                _ => return Err(refuse()),
            };
            let value = value
                .trim()
                .strip_prefix('\'')
                .and_then(|value| value.strip_suffix('\''));
            Ok((member, value.ok_or_else(refuse)?.to_owned()))
        })
        .collect()
}

fn expanded(text: &str) -> Result<Vec<&'static str>, Reply> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let known = EXPANDED
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name));
            known.copied().ok_or_else(|| {
                let message = format!(
                    "Invalid $expand query string. Query expression should be '{}'.",
                    EXPANDED.join(",")
                );
                arm_error(400, "InvalidExpand", &message)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused_never_ignored() {
        let read = filter("resourceType eq 'Microsoft.KeyVault/vaults' and name eq 'kv'").unwrap();
        assert_eq!(
            read,
            [
                ("type", "Microsoft.KeyVault/vaults".to_owned()),
                ("name", "kv".to_owned())
            ]
        );
        assert_eq!(
            filter("substringof('vm', name)").unwrap(),
            [("part of name", "vm".to_owned())]
        );
        for wrong in [
            "tagName eq 'a'",
            "createdTime ge '2026'",
            "name",
            "name eq kv",
        ] {
            assert_eq!(filter(wrong).unwrap_err().status, 501, "{wrong}");
        }
        assert_eq!(expanded("everything").unwrap_err().status, 400);
    }
}
