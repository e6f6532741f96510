//! What a plan means to send: each write as far as it is known before anything was written.

use serde_json::{Map, Value};

use super::place;
use crate::engine::step::Item;
use crate::engine::target::Target;
use crate::ids::ArmId;
use crate::runbook::actions::action_of;
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::{Call, Edit, Plane};

/// One write that a plan means to send.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    /// The target it is for.
    pub(crate) target: String,
    /// The step, by its place in the program.
    pub(crate) node: usize,
    /// The step's id.
    pub(crate) step: String,
    pub(crate) plane: Plane,
    pub(crate) method: String,
    /// The path, or on other planes than ARM and Graph the URL.
    pub(crate) path: String,
    pub(crate) api_version: Option<String>,
    /// The body, where it is known: of an edit the members that it sets.
    pub(crate) body: Option<Value>,
    /// The names of the body's members, which are known before their values are.
    pub(crate) members: Vec<String>,
    /// Whether the resource is there already: an edit changes what it has read.
    pub(crate) there: bool,
}

/// Something that a write asks the caller to be allowed: an action, and the path it is on.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Need {
    pub(super) action: String,
    pub(super) path: String,
    /// Whether it is an action on data.
    pub(super) data: bool,
}

/// What a write asks for on another resource that its body names: the write, the other's type, the action there
/// (arm.md section 1.4, `LinkedAuthorizationFailed`; sections 2.3, 2.5 and 2.6).
const LINKED: &[(&str, &str, &str)] = &[
    (
        "Microsoft.Compute/snapshots/write",
        "Microsoft.Compute/disks",
        "Microsoft.Compute/disks/beginGetAccess/action",
    ),
    (
        "Microsoft.Compute/virtualMachines/write",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    ),
    (
        "Microsoft.Network/networkInterfaces/write",
        "Microsoft.Network/networkSecurityGroups",
        "Microsoft.Network/networkSecurityGroups/join/action",
    ),
    (
        "Microsoft.Network/virtualNetworks/subnets/write",
        "Microsoft.Network/networkSecurityGroups",
        "Microsoft.Network/networkSecurityGroups/join/action",
    ),
];

impl Meant {
    /// Takes down a call that a plan shows as `line`.
    pub(crate) fn call(item: &Item<'_>, call: &Call, line: &str) -> Self {
        let expressions = &item.target.common.expressions;
        // A body may speak of what is known only when the write is made.
        let body = call
            .body
            .as_ref()
            .and_then(|_| expressions.call(call, &item.scope).ok()?.body);
        let named = call.body.as_ref().and_then(|body| body.value.as_object());
        Self {
            body,
            members: named.map_or_else(Vec::new, |named| named.keys().cloned().collect()),
            api_version: call.api_version.clone(),
            ..Self::of(item, call.plane, line)
        }
    }

    /// Takes down a change of members that a plan shows as `line`.
    pub(crate) fn edit(item: &Item<'_>, edit: &Edit, line: &str) -> Self {
        let expressions = &item.target.common.expressions;
        let known = edit.set.iter().filter_map(|(member, template)| {
            let value = expressions.value(&template.value, &item.scope).ok()?;
            Some((member.clone(), value))
        });
        Self {
            body: Some(Value::Object(known.collect::<Map<_, _>>())),
            api_version: Some(edit.api_version.clone()),
            there: true,
            ..Self::of(item, Plane::Arm, line)
        }
    }

    /// Takes down a request that puts back what a step of a target changed.
    pub(crate) fn back(target: &Target<'_>, node: usize, call: RenderedCall, there: bool) -> Self {
        let named = call.body.as_ref().and_then(Value::as_object);
        Self {
            target: target.name.clone(),
            node,
            step: target.common.program.nodes[node].id.clone(),
            plane: call.plane,
            members: named.map_or_else(Vec::new, |named| named.keys().cloned().collect()),
            method: call.method,
            path: call.path_or_url,
            api_version: call.api_version,
            body: call.body,
            there,
        }
    }

    fn of(item: &Item<'_>, plane: Plane, line: &str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        Self {
            target: item.target.name.clone(),
            node: item.node,
            step: item.id().to_owned(),
            plane,
            method: word(),
            path: word(),
            api_version: None,
            body: None,
            members: Vec::new(),
            there: false,
        }
    }

    /// Returns what it asks the caller to be allowed on ARM; empty for other planes.
    pub(super) fn needs(&self) -> Vec<Need> {
        if self.plane != Plane::Arm {
            return Vec::new();
        }
        let Some(action) = action_of(&self.method, &self.path) else {
            return Vec::new();
        };
        let mut linked = Vec::new();
        for (write, kind, needed) in LINKED {
            if action.eq_ignore_ascii_case(write) {
                let named = self.body.as_ref().map(ids).unwrap_or_default();
                let those = named
                    .into_iter()
                    .filter(|id| id.resource_type().eq_ignore_ascii_case(kind));
                linked.extend(those.map(|id| Need {
                    action: (*needed).to_owned(),
                    path: id.as_str().to_owned(),
                    data: false,
                }));
            }
        }
        let own = Need {
            action,
            path: self.path.clone(),
            data: false,
        };
        let mut needs = vec![own];
        for need in linked {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }

    /// Returns whether it may make a resource that is not there yet, in a resource group.
    pub(super) fn creates(&self) -> bool {
        let whole = || place::resource(&self.path).is_some_and(|own| own.len() == self.path.len());
        self.plane == Plane::Arm && self.method == "PUT" && !self.there && whole()
    }
}

/// Returns the ids of resources that a body names, as text or as the name of a member that has a value.
fn ids(body: &Value) -> Vec<ArmId> {
    match body {
        Value::String(text) => text.parse().into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(ids).collect(),
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !value.is_null());
            given
                .flat_map(|(name, value)| name.parse().into_iter().chain(ids(value)))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GROUP: &str = "/subscriptions/s/resourceGroups/g/providers";

    fn meant(method: &str, path: &str, body: Value) -> Meant {
        Meant {
            target: "t".to_owned(),
            node: 0,
            step: "s".to_owned(),
            plane: Plane::Arm,
            method: method.to_owned(),
            path: format!("{GROUP}/{path}"),
            api_version: None,
            body: Some(body),
            members: Vec::new(),
            there: false,
        }
    }

    #[test]
    fn a_write_asks_for_rights_on_what_its_body_names() {
        let disk = format!("{GROUP}/Microsoft.Compute/disks/d");
        let write = meant(
            "PUT",
            "Microsoft.Compute/snapshots/x",
            json!({"properties": {"creationData": {"sourceResourceId": disk}}}),
        );
        let needs = write.needs();
        assert_eq!(needs[0].action, "Microsoft.Compute/snapshots/write");
        assert_eq!(needs[1].path, disk);
        let identity = format!("{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/i");
        for (value, count) in [(json!({}), 2), (Value::Null, 1)] {
            let body = json!({"identity": {"userAssignedIdentities": {identity.clone(): value}}});
            let write = meant("PATCH", "Microsoft.Compute/virtualMachines/v", body);
            assert_eq!(write.needs().len(), count);
        }
    }
}
