//! The attacker is still there while azir works: what was changed in between is seen, told, and done again or said.

use std::time::Duration;

use azir::engine::{RunRequest, Selection};
use azir::lab::Faults;
use serde_json::{Value, json};

use crate::staged::{Staged, id, run, run_with};
use crate::support::{Azir, bare};

const NIC: &str = "rg-workload-prod/providers/Microsoft.Network/networkInterfaces/vm-app-01-nic";
const MACHINE: &str = "rg-workload-prod/providers/Microsoft.Compute/virtualMachines/vm-app-01";
const QUARANTINE: &str = "rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-westeurope";

/// Holds that a step was seen not to have lasted: exit 4, its check false, what was seen, and what to type.
fn undone(race: &Staged, step: &str, seen: &str, command: &str) {
    assert_eq!(race.code, 4, "{}", race.report["gaps"]);
    let check = &race.step(step)["check"];
    assert_eq!(check["holds"], false, "{check}");
    let observed = check["observed"].as_str().unwrap_or_default();
    assert!(observed.contains(seen), "{check}");
    let left = race.report["not_done"].as_array().unwrap();
    let left = left.iter().find(|left| left["step"] == step).unwrap();
    let next = left["next"].as_str().unwrap();
    assert!(
        next.starts_with(command) && next.contains("--incident IR-1"),
        "{left}"
    );
}

/// Names what a runbook is about that takes one and no list of targets.
fn argument(request: &mut RunRequest, name: &str, value: &str) {
    request.targets.clear();
    request.arguments.insert(name.to_owned(), json!(value));
}

fn renamed_resolver() -> Value {
    json!({"resource": id(NIC), "set": {"properties.dnsSettings.dnsServers": ["203.0.113.7"]}})
}

#[tokio::test]
async fn an_interface_that_changed_after_it_was_read_is_read_afresh_and_cut_all_the_same() {
    let script = json!({"method": "PUT", "path": NIC, "do": "act", "act": [renamed_resolver()]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    assert_eq!(race.code, 0, "{}", race.report["not_done"]);
    assert_eq!(race.answers("PUT", NIC), [412, 200]);
    assert!(
        race.journal.contains(
            "changed vm-app-01-nic after it was read (properties.dnsSettings.dnsServers)"
        ),
        "it is on record what else changed"
    );
    let state = race.lab.state();
    let nic = &state["resources"][id(NIC).to_lowercase()]["properties"];
    // What somebody else set is his to answer for; it is not lost.
    assert_eq!(nic["dnsSettings"]["dnsServers"], json!(["203.0.113.7"]));
    assert_eq!(nic["networkSecurityGroup"]["id"], json!(id(QUARANTINE)));
}

#[tokio::test]
async fn an_attacker_who_is_faster_each_time_is_said_after_three_more_attempts() {
    let script = json!({"method": "PUT", "path": NIC, "times": 99, "do": "act", "act": [renamed_resolver()]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    assert_eq!(race.code, 3);
    assert_eq!(race.answers("PUT", NIC), [412; 4]);
    let residual = race.report["residual"].to_string();
    assert!(
        residual.contains("NOT CUT: interface vm-app-01-nic"),
        "{residual}"
    );
}

#[tokio::test]
async fn an_identity_that_came_after_the_machine_was_read_is_cut_too_and_named() {
    let mallory = id(
        "rg-workload-prod/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-mallory",
    );
    for (target, group) in [
        ("vm-app-01", "rg-workload-prod"),
        ("vm-north-01", "rg-north"),
    ] {
        let machine = id(&format!(
            "{group}/providers/Microsoft.Compute/virtualMachines/{target}"
        ));
        let own = json!({"principalId": "66666666-6666-4666-8666-666666666697"});
        let identity =
            json!({"type": "UserAssigned", "userAssignedIdentities": {mallory.clone(): own}});
        let act = json!({"resource": machine, "set": {"identity": identity}});
        let script =
            json!({"method": "PUT", "path": "networkInterfaces/", "do": "act-after", "act": [act]});
        let race = run("isolate-vm", target, script).await;
        assert_eq!(race.code, 0, "{}", race.report["not_done"]);
        assert_eq!(race.step("identities")["check"]["holds"], true, "{target}");
        let residual = race.report["residual"].to_string();
        assert!(
            residual.contains("id-mallory was attached after the machine was read"),
            "{residual}"
        );
        assert!(
            race.journal
                .contains("nothing that hangs on it is on record")
        );
        let left = &race.lab.state()["resources"][machine.to_lowercase()];
        assert!(left.get("identity").is_none(), "{left}");
    }
}

#[tokio::test]
async fn an_identity_attached_again_is_a_false_check() {
    let identity =
        json!({"type": "SystemAssigned", "principalId": "66666666-6666-4666-8666-666666666699"});
    let act = json!({"resource": id(MACHINE), "set": {"identity": identity}});
    let script = json!({"method": "PATCH", "path": MACHINE, "do": "act-after", "act": [act]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    undone(
        &race,
        "identities",
        "identity type SystemAssigned",
        "azir isolate-vm ",
    );
}

#[tokio::test]
async fn a_rule_in_front_of_the_quarantine_is_a_false_check() {
    let rule = json!({"name": "back-door", "properties": {
        "priority": 101, "direction": "Inbound", "access": "Allow", "protocol": "*",
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "*",
    }});
    let act = json!({"resource": id(QUARANTINE), "push": {"properties.securityRules": rule}});
    let script = json!({"method": "PUT", "path": "/securityRules/azir-flush", "do": "act-after", "act": [act]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    assert_eq!(race.code, 4);
    let seen = format!(
        "{} {}",
        race.step("flows")["check"],
        race.step("swap")["check"]
    );
    assert!(seen.contains("back-door"), "{seen}");
}

#[tokio::test]
async fn an_account_enabled_again_is_a_false_check() {
    let alice = "88888888-8888-4888-8888-888888888801";
    let act = json!({"directory": "users", "id": alice, "set": {"accountEnabled": true}});
    let path = format!("/users/{alice}");
    let script = json!({"method": "PATCH", "path": path, "do": "act-after", "act": [act]});
    let race = run("revoke-user", "alice@contoso.com", script).await;
    undone(
        &race,
        "disable",
        "accountEnabled is true",
        "azir revoke-user ",
    );
}

#[tokio::test]
async fn a_lock_put_between_reading_and_cutting_is_named_with_the_way_out() {
    let lock = id("rg-workload-prod/providers/Microsoft.Authorization/locks/mine-now");
    let members = json!({"name": "mine-now", "type": "Microsoft.Authorization/locks", "properties": {"level": "ReadOnly"}});
    let script = json!({"method": "PUT", "path": NIC, "do": "act", "act": [{"resource": lock, "set": members}]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    assert_eq!(race.code, 3);
    assert_eq!(race.answers("PUT", NIC), [409]);
    let told = race.report.to_string();
    assert!(
        told.contains("ScopeLocked") && told.contains("NOT CUT"),
        "the lock is named"
    );
    assert!(told.contains("az lock list"), "and how it is found");
}

#[test]
fn an_undo_that_somebody_overtakes_is_made_on_what_he_left_and_drift_is_not_overrun() {
    for (set, code) in [
        (
            json!({"properties.dnsSettings.dnsServers": ["203.0.113.7"]}),
            0,
        ),
        (
            json!({"properties.networkSecurityGroup": {"id": id("rg-workload-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-mallory")}}),
            3,
        ),
    ] {
        let act = json!({"resource": id(NIC), "set": set});
        let script = json!({"faults": [{"method": "PUT", "path": NIC, "nth": 2, "do": "act", "act": [act]}]});
        let azir = Azir::with(&script.to_string(), |_| {});
        let run = azir.run(&["isolate-vm", "vm-app-01", "--incident", "IR-1", "--yes"]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        let undone = azir.run(&["undo", "last", "--yes"]);
        assert_eq!(undone.code, code, "{}{}", undone.stdout, undone.stderr);
        let requests = azir.lab.requests();
        let puts = requests
            .iter()
            .filter(|sent| sent.method == "PUT" && sent.path.ends_with("/vm-app-01-nic"));
        let answers: Vec<u16> = puts.map(|sent| sent.status).collect();
        let expected = [&[200, 412][..], if code == 0 { &[200] } else { &[] }].concat();
        assert_eq!(answers, expected);
        let nic = azir.lab.state()["resources"][id(NIC).to_lowercase()].clone();
        for (path, value) in set.as_object().unwrap() {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert_eq!(
                nic.pointer(&pointer),
                Some(value),
                "what somebody set is not lost"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_that_somebody_adds_meanwhile_is_seen_and_stays() {
    let shop = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaa01";
    let theirs = json!({"keyId": "cccccccc-cccc-4ccc-8ccc-cccccccccc66", "displayName": "CN=mallory", "type": "AsymmetricX509Cert", "usage": "Verify", "key": "MIIBszCCAVmgAwIBAgIUbWFsbG9yeQ=="});
    let act = json!({"directory": "applications", "id": shop, "push": {"keyCredentials": theirs}});
    // The first change of the application disables it.
    let script = json!({"faults": [{"method": "PATCH", "path": format!("/applications/{shop}"), "nth": 2, "do": "act-after", "act": [act]}]});
    let race = run_with("revoke-app", "", |options, request| {
        options.faults = Faults::parse(&script.to_string()).unwrap();
        let chosen = Selection::Ids(vec!["cccccccc-cccc-4ccc-8ccc-cccccccccc01".to_owned()]);
        request.choices.insert("secrets_which".to_owned(), chosen);
        argument(request, "application", "shop-backend");
    })
    .await;
    assert_eq!(race.code, 4, "{}", race.report["gaps"]);
    let check = &race.step("certificates")["check"];
    assert_eq!(check["holds"], false, "{check}");
    let state = race.lab.state();
    let kept = &state["directory"]["applications"][shop]["keyCredentials"];
    assert_eq!(
        (&kept[0]["displayName"], kept.as_array().unwrap().len()),
        (&json!("CN=mallory"), 1),
        "it is nobody's to remove who did not choose it"
    );
}

#[tokio::test]
async fn azir_that_is_disabled_in_the_middle_says_so_and_what_was_done_is_on_record() {
    let act = json!({"directory": "servicePrincipals", "id": "55555555-5555-4555-8555-555555555555", "set": {"accountEnabled": false}});
    let script =
        json!({"method": "PUT", "path": NIC, "times": 99, "do": "expired-token", "act": [act]});
    let race = run("isolate-vm", "vm-app-01", script).await;
    assert!(![0, 75].contains(&race.code), "{}", race.code);
    let told = race.report.to_string();
    assert!(told.contains("7000112"), "{told}");
    assert!(told.contains("NOT CUT"), "{told}");
    let writes: Vec<_> = race
        .lab
        .requests()
        .into_iter()
        .filter(|sent| sent.write && sent.status < 300)
        .collect();
    assert!(!writes.is_empty(), "it had begun");
    assert!(
        writes
            .iter()
            .all(|sent| race.journal.contains(sent.path.rsplit('/').next().unwrap())),
        "{writes:?}"
    );
}

#[tokio::test]
async fn what_is_not_there_yet_after_it_was_made_is_looked_for_again() {
    let policies = "/v1.0/identity/conditionalAccess/policies";
    for (lag, more) in [(0, false), (5, true)] {
        let race = run_with("restrict-user", "alice@contoso.com", |options, _| {
            options.replication = Duration::from_secs(lag);
        })
        .await;
        assert_eq!(race.code, 0, "{}", race.report["gaps"]);
        assert_eq!(race.step("block")["check"]["holds"], true);
        let requests = race.lab.requests().into_iter();
        let since = requests.skip_while(|sent| sent.method != "POST" || sent.path != policies);
        let looks = since.filter(|sent| sent.method == "GET" && sent.path == policies);
        assert_eq!(looks.count() > 1, more, "{lag} s behind");
    }
}

#[tokio::test]
async fn access_that_waits_for_an_approval_is_not_called_given() {
    for status in ["PendingApproval", "Failed"] {
        let run = run_with("reissue-access", "", |options, request| {
            let given = [("Security Reader".to_owned(), status.to_owned())];
            options.scenario.directory.request_status = given.into();
            argument(request, "user", "bob@contoso.com");
            request
                .arguments
                .insert("role".to_owned(), json!(["Security Reader"]));
            let note = [
                "note",
                "--clears",
                "bob@contoso.com",
                "seen in person",
                "--incident",
                "IR-1",
            ];
            assert_eq!(bare(&options.folder, &note).code, 0);
        })
        .await;
        assert_eq!(run.code, 4, "{}", run.report);
        let check = &run.step("directory")["check"];
        assert_eq!(check["holds"], false, "{check}");
        assert!(check["observed"].to_string().contains(status), "{check}");
    }
}
