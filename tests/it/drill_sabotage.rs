//! Drills that see: a runbook of each is spoiled in one place, and the judge takes points away and says why.
//!
//! Each test changes the text of a shipped runbook, lets it stand for that one within a drill, and names the lines that
//! must be missed with a part of the reason. What is spoiled is found in the tenant, in the record or by the checks,
//! never by looking at the text.

use std::sync::OnceLock;

use azir::runbook::catalogue::Catalogue;
use serde_json::Value;

use crate::support::bare;

/// A change of a runbook's text.
enum Change {
    /// This, which is there once, becomes that.
    Text(&'static str, &'static str),
    /// A step is taken out.
    Without(&'static str),
    /// A step is moved behind another.
    Behind(&'static str, &'static str),
}

use Change::{Behind, Text, Without};

impl Change {
    fn apply(&self, text: &str) -> String {
        match self {
            Text(from, to) => {
                assert_eq!(text.matches(from).count(), 1, "{from} is there once");
                text.replace(from, to)
            }
            Without(step) => {
                let (before, _, after) = around(text, step);
                format!("{before}{after}")
            }
            Behind(step, other) => {
                let (before, own, after) = around(text, step);
                let rest = format!("{before}{after}");
                let (before, other, after) = around(&rest, other);
                format!("{before}{other}{own}{after}")
            }
        }
    }
}

/// Returns what stands before a step, the step, and what stands after it.
fn around<'a>(text: &'a str, step: &str) -> (&'a str, &'a str, &'a str) {
    let begins = |id: &str| format!("\n  - id: {id}\n");
    let start = text.find(&begins(step)).expect("the step is there") + 1;
    let rest = &text[start + 1..];
    // A step ends where the next one or another member of the runbook begins.
    let mut ends: Vec<usize> = ["\n  - id: ", "\nresult:", "\nfindings:", "\nresidual:"]
        .iter()
        .filter_map(|end| rest.find(end))
        .collect();
    ends.sort_unstable();
    let end = start + 1 + ends.first().map_or(rest.len(), |end| end + 1);
    (&text[..start], &text[start..end], &text[end..])
}

/// Lets azir answer a scenario by itself, and returns the exit code and the verdict.
fn judged(scenario: &str, instead: Option<(&str, &str)>) -> (i32, Value) {
    let home = tempfile::tempdir().unwrap();
    // No faster than a machine that is busy with other things keeps up with: a check that has thirty seconds has three.
    let scale = if scenario == "token-theft" { "10" } else { "5" };
    let mut args = vec!["drill", "start", scenario, "--lab", "--auto"];
    args.extend(["--lab-latency", "0", "--clock-scale", scale]);
    args.extend(["--output", "json"]);
    let named = instead.map(|(runbook, text)| {
        let path = home.path().join(format!("{runbook}.yaml"));
        std::fs::write(&path, text).unwrap();
        format!("{runbook}={}", path.display())
    });
    args.extend(named.iter().flat_map(|named| ["--runbook", named]));
    let done = bare(home.path(), &args);
    let verdict = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    (done.code, verdict)
}

/// Returns the points of a drill that nobody spoiled; judged once.
fn whole(scenario: &str) -> u64 {
    static WHOLE: [(&str, OnceLock<u64>); 2] = [
        ("token-theft", OnceLock::new()),
        ("vm-compromise", OnceLock::new()),
    ];
    let (_, points) = WHOLE.iter().find(|(name, _)| *name == scenario).unwrap();
    *points.get_or_init(|| {
        let (code, verdict) = judged(scenario, None);
        assert_eq!(
            (code, &verdict["score"]),
            (0, &Value::from(100)),
            "{verdict}"
        );
        verdict["points"].as_u64().unwrap()
    })
}

/// Spoils a runbook, and sees that the judge names each of these lines, with a reason that says this.
fn spoiled(scenario: &str, runbook: &str, changes: &[Change], named: &[(&str, &str)]) {
    let catalogue = Catalogue::shipped();
    let mut text = catalogue.source(runbook).unwrap().text.to_string();
    for change in changes {
        text = change.apply(&text);
    }
    let (code, verdict) = judged(scenario, Some((runbook, &text)));
    let lines = verdict["lines"].as_array().unwrap().iter();
    let missed: Vec<&Value> = lines.filter(|line| line["holds"] != true).collect();
    let all: Vec<String> = missed
        .iter()
        .map(|line| format!("{}: {}", line["id"], line["why"]))
        .collect();
    let all = all.join("\n");
    assert_eq!(code, 1, "{all}");
    assert!(
        verdict["points"].as_u64().unwrap() < whole(scenario),
        "{all}"
    );
    assert!(verdict["score"].as_u64().unwrap() < 100, "{all}");
    for (id, why) in named {
        let line = missed.iter().find(|line| line["id"] == *id);
        let line = line.unwrap_or_else(|| panic!("{id} is not missed, but\n{all}"));
        let said = line["why"].as_str().unwrap();
        assert!(said.contains(why), "{id} says {said:?}, not {why:?}");
        assert!(line["points"].as_u64() < line["of"].as_u64(), "{line}");
    }
}

/// A test for each sabotage.
macro_rules! sabotages {
    ($($name:ident: $scenario:literal, $runbook:literal, [$($change:expr),+ $(,)?], [$($named:expr),+ $(,)?];)+) => {
        $(
            #[test]
            fn $name() {
                spoiled($scenario, $runbook, &[$($change),+], &[$($named),+]);
            }
        )+
    };
}

#[test]
fn the_same_drill_twice_has_the_same_score_and_the_same_lines() {
    for scenario in ["token-theft", "vm-compromise"] {
        let ids = |verdict: &Value| -> Vec<(Value, Value)> {
            let lines = verdict["lines"].as_array().unwrap().iter();
            lines
                .map(|line| (line["id"].clone(), line["points"].clone()))
                .collect()
        };
        let (code, first) = judged(scenario, None);
        let (again, second) = judged(scenario, None);
        assert_eq!((code, again), (0, 0));
        assert_eq!(ids(&first), ids(&second));
        assert_eq!(first["score"], 100);
    }
}

// Of a machine that is taken over: what is left out.
sabotages! {
    one_interface_of_three_is_not_cut: "vm-compromise", "isolate-vm",
        [Text("    title: Put every network interface behind the quarantine NSG\n    for_each: \"{{ nics.each }}\"", "    title: Put every network interface behind the quarantine NSG\n    for_each: \"{{ nics.each | without_in('name', ['web-07-nic-3']) }}\"")],
        [("interfaces_cut", "interface web-07-nic-3 is not cut"), ("contained_in_time", ""), ("says_what_is_so", "interfaces_cut"), ("interfaces_back", "what was never so cannot be put back: interfaces_cut")];
    only_the_first_interface_is_looked_at: "vm-compromise", "isolate-vm",
        [Text("nics: \"{{ body | get('properties.networkProfile.networkInterfaces', []) | pluck('id') }}\"", "nics: \"{{ [(body | get('properties.networkProfile.networkInterfaces', []) | pluck('id'))[0]] }}\"")],
        [("interfaces_cut", "interface web-07-nic-2 is not cut"), ("activity_kept", "no exhibit holds the activity log of rg-drill-net")];
    the_machines_own_identity_stays: "vm-compromise", "isolate-vm",
        [Text("body: {identity: {type: None, userAssignedIdentities: null}}", "body: {identity: {type: SystemAssigned, userAssignedIdentities: null}}")],
        [("system_identity_off", "the system-assigned identity of vm-web-07 is still attached")];
    the_user_assigned_identities_stay: "vm-compromise", "isolate-vm",
        [Text("body: {identity: {type: None, userAssignedIdentities: null}}", "body: {identity: {type: UserAssigned}}")],
        [("user_identities_off", "user-assigned identity id-web-shared is still attached")];
    two_disks_are_not_captured: "vm-compromise", "snapshot-vm",
        [Text("(data_disks | pluck('managedDisk.id'))) | unique_ids", "(data_disks | where('lun', 0) | pluck('managedDisk.id'))) | unique_ids")],
        [("disks_captured", "no snapshot of disk web-07-data-2"), ("captured_first", "captured never happened"), ("says_what_is_so", "disks_captured")];
    the_disk_of_the_system_is_not_captured: "vm-compromise", "snapshot-vm",
        [Text("([] if ephemeral or not os_disk_id else [os_disk_id])", "[]")],
        [("disks_captured", "no snapshot of disk vm-web-07_OsDisk"), ("captured_first", "captured never happened")];
    the_snapshots_are_open_to_the_network: "vm-compromise", "snapshot-vm",
        [Text("          networkAccessPolicy: DenyAll\n          publicNetworkAccess: Disabled\n", "")],
        [("snapshots_closed", "snapshots that whoever gets an address of can read: snap-")];
    no_role_is_taken: "vm-compromise", "isolate-vm",
        [Text("where_in('id', cut_roles_which.chosen or []) }}\"\n    as: grant\n    parallel: 8", "where_in('id', []) }}\"\n    as: grant\n    parallel: 8")],
        [("attacker_role_gone", "the attacker's role assignment 07a10000-0000-4000-8000-000000000011"), ("identity_roles_gone", "the system-assigned identity keeps 2 role assignments")];
    the_activity_log_is_not_exported: "vm-compromise", "isolate-vm",
        [Without("activity")],
        [("activity_kept", "no exhibit holds the activity log of rg-drill-web")];
    the_activity_log_of_one_group_is_left_out: "vm-compromise", "isolate-vm",
        [Text("([machine.id] + (capture.disks) + (nics.each | pluck('id'))) | map_arm_group_id", "([machine.id] + (nics.each | pluck('id'))) | map_arm_group_id")],
        [("activity_kept", "no exhibit holds the activity log of rg-drill-data")];
    open_connections_are_left_open: "vm-compromise", "isolate-vm",
        [Text("    when: \"{{ (swap.each + subnet_cut.each) | length > 0 }}\"\n    skip_reason: nothing was put behind it", "    when: \"{{ false }}\"\n    skip_reason: nothing was put behind it")],
        [("flows_ended", "rules changed never happened")];
    an_old_version_of_a_secret_stays_enabled: "vm-compromise", "rotate-vault-secrets",
        [Text("where_in('id', renew.each | pluck('id')) | pluck('old') | flatten }}\"", "where_in('id', []) | pluck('old') | flatten }}\"")],
        [("secrets_renewed", "3 of its 3 versions are enabled")];
    the_attackers_secret_of_an_application_stays: "vm-compromise", "rotate-vault-secrets",
        [Text("(renew.each | old_passwords) if mode == 'cut'", "(renew.each | old_passwords | without_in('label', ['frontend-2']) | without_in('key', ['07a10000-0000-4000-8000-000000000032'])) if mode == 'cut'")],
        [("old_keys_gone", "frontend-2")];
}

// What comes too late.
sabotages! {
    the_disks_are_captured_after_the_cut: "vm-compromise", "isolate-vm",
        [Behind("capture", "flows"), Behind("who_can_delete", "capture")],
        [("captured_first", "captured was")];
    what_hangs_on_the_identities_is_read_after_they_are_gone: "vm-compromise", "isolate-vm",
        [
            Behind("assignments", "identities"),
            Text("    title: Record the role assignments of its identities\n", "    title: Record the role assignments of its identities\n    after: [identities]\n"),
            Text("    after: [assignments, vaults,", "    after: [vaults,"),
        ],
        [("recorded_first", "roles read was")];
}

// What is done to the wrong one.
sabotages! {
    the_machine_beside_it_is_isolated_instead: "vm-compromise", "isolate-vm",
        [Text("read: {arm: \"GET {{ vm.id }}\", api_version: \"2024-11-01\", query: {$expand: instanceView}}", "read: {arm: \"GET {{ vm.id | replace('vm-web-07', 'vm-web-08') }}\", api_version: \"2024-11-01\", query: {$expand: instanceView}}")],
        [("interfaces_cut", "interface web-07-nic-1 is not cut"), ("neighbour_reached", "neighbour_reached was"), ("neighbour_runs", "neighbour_runs was")];
    the_whole_subnet_is_cut: "vm-compromise", "isolate-vm",
        [Text("      arm: \"{{ nic.id }}\"\n      api_version: \"2023-11-01\"\n      if_match: true\n      set:\n        properties.networkSecurityGroup", "      arm: \"{{ nic.subnets[0] }}\"\n      api_version: \"2023-11-01\"\n      if_match: true\n      set:\n        properties.networkSecurityGroup")],
        [("neighbour_reached", "neighbour_reached was"), ("subnet_stays", "nsg-web-subnet")];
    the_role_of_the_shared_identity_is_taken: "vm-compromise", "isolate-vm",
        [Text("where_in('id', cut_roles_which.chosen or []) }}\"\n    as: grant\n    parallel: 8", "where_filled('id') }}\"\n    as: grant\n    parallel: 8")],
        [("shared_role_stays", "was false and is true"), ("others_roles_stay", "others_roles_stay was")];
    the_machine_is_deallocated_with_what_is_in_its_memory: "vm-compromise", "isolate-vm",
        [Text("    fallback:\n      of: swap\n      price: \"what is in the machine's memory is lost, and whatever it does for others stops\"\n    consent: explicit\n", "")],
        [("memory_kept", "PowerState/deallocated")];
}

// Checks that prove nothing, and an undo that gives the wrong things back.
sabotages! {
    the_check_of_the_cut_is_true_whatever_happens: "vm-compromise", "isolate-vm",
        [Text("        that: \"{{ (got | effective_verdict(profile.bastion, nic.id, cut_dns, cut_imds)).passes }}\"", "        that: \"{{ true }}\"")],
        [("checks_can_fail", "isolate-vm, step swap: the check was true before anything was done")];
    the_check_of_the_identities_asks_for_what_is_so_anyway: "vm-compromise", "isolate-vm",
        [Text("      that: \"{{ (got | get('identity.type', 'None')) == 'None' }}\"", "      that: \"{{ got.id | same_id(machine.id) }}\"")],
        [("checks_can_fail", "isolate-vm, step identities: the check was true before anything was done")];
    the_undo_gives_the_attackers_role_back: "vm-compromise", "isolate-vm",
        [Text("      unless: \"{{ current != none or grant.properties.principalId == machine.system_principal }}\"", "      unless: \"{{ current != none }}\"")],
        [("attacker_role_not_back", "the undo gave the attacker's role back")];
    the_undo_leaves_the_machine_cut_off: "vm-compromise", "isolate-vm",
        [Text("        observed: \"computed, because the machine does not run ({{ machine.power }}): {{ (got | computed_verdict(nic.subnets, subnets.each, subnet_rules.each | pluck('rules'), profile.bastion, cut_dns, cut_imds)).reason }}\"\n        within: 30s\n    undo: restore", "        observed: \"computed, because the machine does not run ({{ machine.power }}): {{ (got | computed_verdict(nic.subnets, subnets.each, subnet_rules.each | pluck('rules'), profile.bastion, cut_dns, cut_imds)).reason }}\"\n        within: 30s\n    undo: {never: it stays cut off}")],
        [("interfaces_back", "interface web-07-nic-1 is behind nsg-ir-quarantine-westeurope, and was behind nsg-web")];
}

// Of a stolen token: what is left out.
sabotages! {
    the_account_stays_enabled: "token-theft", "revoke-user",
        [Text("    when: \"{{ state.enabled != false }}\"", "    when: \"{{ false }}\"")],
        [("account_disabled", "the account nora.lind@contoso.com is still enabled"), ("account_back", "what was never so cannot be put back")];
    sessions_are_not_revoked: "token-theft", "revoke-user",
        [
            Text("    title: Revoke sessions and refresh tokens\n    when: \"{{ not state.guest }}\"", "    title: Revoke sessions and refresh tokens\n    when: \"{{ false }}\""),
            Text("    title: Revoke once more what was signed in with meanwhile\n    when: \"{{ not state.guest }}\"", "    title: Revoke once more what was signed in with meanwhile\n    when: \"{{ false }}\""),
            Text("    when: \"{{ reset_password and not state.guest and not user.synced and (not", "    when: \"{{ false and not state.guest and not user.synced and (not"),
        ],
        [("sessions_revoked", "sessions of nora.lind@contoso.com were not revoked"), ("password_new", "")];
    the_password_stays: "token-theft", "respond-token-theft",
        [Text("reset-password: \"{{ entry == 'adversary-in-the-middle' }}\"", "reset-password: false")],
        [("password_new", "the password of nora.lind@contoso.com is the one that was stolen"), ("says_what_is_so", "password_new")];
    one_of_the_attackers_methods_stays: "token-theft", "revoke-user",
        [Text("where_in('id', attackers_which.chosen or []) }}\"", "where_in('id', [(attackers_which.chosen or [])[0]]) }}\"")],
        [("attacker_methods_gone", "PIXEL-6")];
    the_consent_stays: "token-theft", "revoke-consent",
        [Text("where_in('id', grants_which.chosen or []) }}\"", "where_in('id', []) }}\"")],
        [("consent_off", "Mail.Read offline_access")];
    the_attackers_application_goes_on: "token-theft", "revoke-consent",
        [Text("    when: \"{{ not keep_enabled and state.enabled != false }}\"", "    when: \"{{ false }}\"")],
        [("application_off", "Mail Archive Sync can still sign in")];
    a_directory_role_stays: "token-theft", "strip-roles",
        [Text("    title: Take the directory roles away\n    for_each: \"{{ active.all | where_in('id', directory_which.chosen or [])", "    title: Take the directory roles away\n    for_each: \"{{ active.all | where_in('id', [])")],
        [("directory_roles_gone", "still holds the directory role Reports Reader")];
    a_role_that_can_be_activated_stays: "token-theft", "strip-roles",
        [Text("where_in('id', eligible_which.chosen or []) }}\"", "where_in('id', []) }}\"")],
        [("eligible_roles_gone", "can still activate the directory role Security Reader")];
    a_role_in_azure_stays: "token-theft", "strip-roles",
        [Text("where_in('id', azure_which.chosen or []) }}\"", "where_in('id', []) }}\"")],
        [("azure_roles_gone", "still has 1 roles in Azure")];
    the_secrets_within_reach_stay: "token-theft", "respond-token-theft",
        [Text("    when: \"{{ from == none and ((cut_user.dependent_secrets", "    when: \"{{ false and ((cut_user.dependent_secrets")],
        [("secrets_renewed", "secret payments-portal-secret was not renewed"), ("old_keys_gone", "portal"), ("new_key_there", "payments-portal has no new secret")];
    the_silent_sign_ins_are_not_kept: "token-theft", "revoke-user",
        [Text("    title: Collect the sign-ins without a person, which is how stolen tokens are used\n    after: [again]\n    when: \"{{ not cut_only }}\"", "    title: Collect the sign-ins without a person, which is how stolen tokens are used\n    after: [again]\n    when: \"{{ false }}\"")],
        [("sign_ins_kept", "no exhibit holds sign-ins-non-interactive-")];
}

// What is done to the wrong one, and a check that proves nothing.
sabotages! {
    all_methods_are_removed_the_persons_own_too: "token-theft", "revoke-user",
        [Text("where_in('id', attackers_which.chosen or []) }}\"", "where_filled('id') }}\"")],
        [("own_methods_stay", "3179e48a-750b-4051-897c-87b9720928f7")];
    the_colleague_is_disabled_instead: "token-theft", "revoke-user",
        [Text("    request:\n      graph: \"PATCH /v1.0/users/{{ user.id }}\"\n      body: {accountEnabled: false}", "    request:\n      graph: \"PATCH /v1.0/users/07b20000-0000-4000-8000-000000000002\"\n      body: {accountEnabled: false}")],
        [("account_disabled", "is still enabled"), ("colleague_works", "colleague_works was"), ("nobody_else_disabled", "07b20000-0000-4000-8000-000000000002")];
    the_wrong_inbox_rule_is_removed: "token-theft", "remove-inbox-rule",
        [Text("where_in('id', which.chosen or []) }}\"", "without_in('id', which.chosen or []) }}\"")],
        [("forwarding_off", "archive@mailbox.example"), ("rule_removed", ""), ("own_rule_stays", "own_rule_stays was")];
    the_persons_own_device_is_disabled: "token-theft", "disable-device",
        [Text("    request:\n      graph: \"PATCH /v1.0/devices/{{ device.id }}\"\n      body: {accountEnabled: false}", "    request:\n      graph: \"PATCH /v1.0/devices/07b20000-0000-4000-8000-000000000021\"\n      body: {accountEnabled: false}")],
        [("device_off", "DESKTOP-K3M9P is still enabled"), ("own_device_stays", "own_device_stays was")];
    the_groups_role_is_taken: "token-theft", "strip-roles",
        [Text("      direct: \"{{ items | where('properties.principalId', principal.id) }}\"", "      direct: \"{{ items }}\"")],
        [("group_role_stays", "was false and is true")];
    the_check_of_a_role_is_true_whatever_happens: "token-theft", "strip-roles",
        [Text("      get: {graph: \"GET /v1.0/roleManagement/directory/roleAssignments/{{ role.id }}\", missing_ok: true}\n      that: \"{{ got_status == 404 }}\"", "      get: {graph: \"GET /v1.0/roleManagement/directory/roleAssignments/{{ role.id }}\", missing_ok: true}\n      that: \"{{ got_status in [200, 404] }}\"")],
        [("checks_can_fail", "step strip.directory")];
    the_undo_leaves_the_cleared_user_cut_off: "token-theft", "revoke-user",
        [Text("      unless: \"{{ current.accountEnabled == state.enabled }}\"", "      unless: \"{{ true }}\"")],
        [("account_back", "is still disabled")];
}
