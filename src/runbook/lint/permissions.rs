//! Permissions: what the steps need on ARM is declared, and what is declared is needed.

use std::collections::BTreeSet;

use super::actions::{Need, needs};
use super::{Found, Subject};
use crate::runbook::model::{Action, Runbook};

pub(super) fn look(subject: &Subject<'_>, found: &mut Found<'_>) {
    let runbook = subject.runbook;
    let place = runbook.name.place;
    let declared = &runbook.permissions.arm;
    let own: BTreeSet<Need> = runbook
        .steps
        .iter()
        .flat_map(|step| needs(step, runbook))
        .collect();
    for need in own
        .iter()
        .filter(|need| !declared.iter().any(|declared| need.is(declared)))
    {
        let message = match need {
            Need::Action(action) => format!("{action} is used and not declared"),
            Need::Ending(end) => {
                format!("an action that ends in {end} is used and none is declared")
            }
        };
        found.add(
            "undeclared-permission",
            place,
            message,
            "add it to permissions.arm",
        );
    }
    let theirs = of_called(subject);
    for action in declared {
        if !sound(action) {
            let help =
                "as Microsoft.Compute/snapshots/write; a role is asked for by single actions";
            found.add(
                "bad-permission",
                place,
                format!("{action:?} is no action"),
                help,
            );
        } else if !linked(action) && !own.iter().chain(&theirs).any(|need| need.is(action)) {
            found.add(
                "unused-permission",
                place,
                format!("{action} is declared and not used"),
                "leave it out of permissions.arm",
            );
        }
    }
}

/// Returns what the runbooks need that this one calls; it may declare that too.
fn of_called(subject: &Subject<'_>) -> BTreeSet<Need> {
    let called = subject
        .runbook
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Run(other) => subject.catalogue.load(&other.runbook.value).ok(),
            _ => None,
        });
    called.flat_map(|(runbook, _)| all_of(&runbook)).collect()
}

fn all_of(runbook: &Runbook) -> Vec<Need> {
    runbook
        .steps
        .iter()
        .flat_map(|step| needs(step, runbook))
        .collect()
}

fn sound(action: &str) -> bool {
    action.matches('/').count() >= 2 && !action.contains(['*', ' ', '{'])
}

/// Whether the service asks for an action because of what a body links to, which no request line shows.
fn linked(action: &str) -> bool {
    const ENDS: &[&str] = &[
        "/assign/action",
        "/begingetaccess/action",
        "/join/action",
        "joinipconfiguration/action",
    ];
    let action = action.to_ascii_lowercase();
    ENDS.iter().any(|end| action.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::super::tests::codes;

    fn of(permissions: &str, arm: &str) -> Vec<&'static str> {
        codes(&format!(
            "purpose: read\nparams: {{id: {{type: string}}}}\npermissions: {{arm: [{permissions}]}}\nsteps:\n  - {{id: a, phase: tag, title: T, read: {{arm: \"{arm}\", api_version: x}}}}\n"
        ))
    }

    #[test]
    fn what_is_needed_is_declared_and_the_reverse() {
        let disks = "GET /subscriptions/s/providers/Microsoft.Compute/disks";
        assert!(of("Microsoft.Compute/disks/read", disks).is_empty());
        assert_eq!(of("", disks), ["undeclared-permission"]);
        assert_eq!(
            of(
                "Microsoft.Compute/disks/read, Microsoft.Compute/disks/write",
                disks
            ),
            ["unused-permission"]
        );
        assert_eq!(
            of("Microsoft.Compute/disks/read, Microsoft.Compute/*", disks),
            ["bad-permission"]
        );
        // What only the run knows can be any type, but no other verb.
        assert!(of("Microsoft.Compute/disks/read", "GET {{ id }}").is_empty());
        assert_eq!(
            of("Microsoft.Compute/disks/delete", "GET {{ id }}"),
            ["undeclared-permission", "unused-permission"]
        );
        assert!(
            of(
                "Microsoft.Compute/disks/read, Microsoft.Network/networkSecurityGroups/join/action",
                disks
            )
            .is_empty()
        );
    }
}
