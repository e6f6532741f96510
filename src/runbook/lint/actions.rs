//! The permissions that a call needs, as far as its text shows them.

use crate::runbook::actions;
use crate::runbook::model::{Action, ParamKind, Plane, Runbook, Step};
use crate::runbook::walk;

/// What a call needs on ARM.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Need {
    /// This action.
    Action(String),
    /// An action of some type that only the run knows, which ends so.
    Ending(String),
}

impl Need {
    /// Whether a declared action is this need.
    pub(super) fn is(&self, declared: &str) -> bool {
        let declared = declared.to_ascii_lowercase();
        match self {
            Self::Action(action) => declared == action.to_ascii_lowercase(),
            Self::Ending(end) => declared.ends_with(&end.to_ascii_lowercase()),
        }
    }
}

/// Returns what a step needs on ARM.
pub(super) fn needs(step: &Step, runbook: &Runbook) -> Vec<Need> {
    let mut needs = Vec::new();
    walk::calls(step, &mut |call, _| {
        if call.plane == Plane::Arm
            && let Some((method, path)) = call.line.value.split_once(' ')
        {
            needs.extend(need(method, path.trim(), runbook));
        }
    });
    if let Action::Edit(edit) = &step.action {
        needs.extend(
            ["GET", "PUT"]
                .iter()
                .filter_map(|method| need(method, edit.arm.value.trim(), runbook)),
        );
    }
    needs
}

fn need(method: &str, path: &str, runbook: &Runbook) -> Option<Need> {
    let verb = actions::verb(method);
    let path = path.split('?').next().unwrap_or_default();
    let (leading, rest) = leading_expression(path);
    let plain = strip_templates(rest);
    let segments: Vec<&str> = plain
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if let Some(at) = segments
        .iter()
        .rposition(|segment| segment.eq_ignore_ascii_case("providers"))
    {
        return actions::of_provider(verb, &segments[at + 1..]).map(Need::Action);
    }
    let Some(leading) = leading else {
        return actions::of_container(verb, &segments).map(Need::Action);
    };
    // Below an id come types and names in turn; an action has a name of its own at the end.
    let mut below: Vec<&str> = segments.iter().copied().step_by(2).collect();
    if below.is_empty() && verb == "action" {
        return None;
    }
    match resource_type(leading, runbook) {
        Some(kind) => {
            below.insert(0, kind);
            Some(Need::Action(format!("{}/{verb}", below.join("/"))))
        }
        None if below.is_empty() => Some(Need::Ending(format!("/{verb}"))),
        None => Some(Need::Ending(format!("/{}/{verb}", below.join("/")))),
    }
}

/// Returns the type of the resource that an expression names, where a parameter tells it.
fn resource_type<'r>(expression: &str, runbook: &'r Runbook) -> Option<&'r str> {
    let name = expression.strip_suffix(".id")?;
    runbook
        .params
        .iter()
        .find_map(|(param, declared)| match &declared.kind {
            ParamKind::Resource(kind) if super::in_templates(param) == name => Some(kind.as_str()),
            _ => None,
        })
}

/// Splits off the expression that a path begins with.
fn leading_expression(path: &str) -> (Option<&str>, &str) {
    let split = path
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"));
    match split {
        Some((expression, rest)) => (Some(expression.trim()), rest),
        None => (None, path),
    }
}

/// Puts one plain segment in the place of every interpolation.
fn strip_templates(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push('x');
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse::parse;

    #[test]
    fn needs_are_derived_from_the_request_line() {
        let text = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\nparams:\n  the-vm: {type: resource, of: Microsoft.Compute/virtualMachines, position: 1}\nsteps: []\n";
        let runbook = parse("x", text).unwrap();
        let action = |text: &str| Some(Need::Action(text.to_owned()));
        let ending = |text: &str| Some(Need::Ending(text.to_owned()));
        for (method, path, expected) in [
            (
                "PUT",
                "/subscriptions/{{ s }}/resourceGroups/{{ g }}/providers/Microsoft.Compute/snapshots/{{ n }}",
                action("Microsoft.Compute/snapshots/write"),
            ),
            (
                "PATCH",
                "{{ id }}/providers/Microsoft.Resources/tags/default",
                action("Microsoft.Resources/tags/write"),
            ),
            (
                "GET",
                "{{ the_vm.id }}",
                action("Microsoft.Compute/virtualMachines/read"),
            ),
            (
                "GET",
                "{{ the_vm.id }}/extensions",
                action("Microsoft.Compute/virtualMachines/extensions/read"),
            ),
            (
                "POST",
                "{{ the_vm.id }}/deallocate",
                action("Microsoft.Compute/virtualMachines/deallocate/action"),
            ),
            ("GET", "{{ nic }}", ending("/read")),
            (
                "POST",
                "{{ nic.id }}/effectiveNetworkSecurityGroups",
                ending("/effectiveNetworkSecurityGroups/action"),
            ),
            (
                "PUT",
                "{{ nsg.id }}/securityRules/azir-flush",
                ending("/securityRules/write"),
            ),
            (
                "GET",
                "/subscriptions",
                action("Microsoft.Resources/subscriptions/read"),
            ),
            (
                "PUT",
                "/subscriptions/{{ s }}/resourcegroups/{{ g }}",
                action("Microsoft.Resources/subscriptions/resourceGroups/write"),
            ),
            (
                "POST",
                "/providers/Microsoft.ResourceGraph/resources",
                action("Microsoft.ResourceGraph/resources/read"),
            ),
            (
                "GET",
                "/subscriptions/{{ s }}/providers/Microsoft.Insights/eventtypes/management/values",
                action("Microsoft.Insights/eventtypes/values/read"),
            ),
            (
                "POST",
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/revokeUserDelegationKeys",
                action("Microsoft.Storage/storageAccounts/revokeUserDelegationKeys/action"),
            ),
            ("GET", "relative", None),
        ] {
            assert_eq!(need(method, path, &runbook), expected, "{method} {path}");
        }
    }
}
