//! Interfaces, security groups and rules of the lab.

use serde_json::{Value, json};

use crate::lab_support::{Bench, COMPUTE, DEV, NETWORK, at, with_roles};

const NSG: &str = "rg-security-prod/Microsoft.Network/networkSecurityGroups";

fn nic(name: &str) -> String {
    at(&format!(
        "rg-hard-prod/Microsoft.Network/networkInterfaces/{name}"
    ))
}

fn versioned(path: &str) -> String {
    format!("{path}?{NETWORK}")
}

fn rule(name: &str, priority: u64, direction: &str) -> Value {
    json!({"name": name, "properties": {"priority": priority, "direction": direction, "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}})
}

#[test]
fn a_put_of_an_interface_replaces_its_body_and_nobody_else_puts_meanwhile() {
    let bench = Bench::new();
    let path = versioned(&nic("hard-nic-1"));
    let before = bench.get(&path).body;
    let address = versioned(&at(
        "rg-hard-prod/Microsoft.Network/publicIPAddresses/pip-hard",
    ));
    assert!(
        bench.get(&address).body["properties"]["ipConfiguration"]["id"]
            .as_str()
            .unwrap()
            .ends_with("ipconfig1")
    );

    let mut body = before.clone();
    body["properties"]["networkSecurityGroup"]["id"] =
        json!(at(&format!("{NSG}/nsg-ir-quarantine-westeurope")));
    body["properties"]["macAddress"] = json!("00-00-00-00-00-00");
    body["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"] = Value::Null;
    // az leaves out what its model calls read-only.
    for name in ["allowPort25Out", "hostedWorkloads", "tapConfigurations"] {
        body["properties"]
            .as_object_mut()
            .unwrap()
            .shift_remove(name);
    }
    body["properties"]["dnsSettings"] = json!({"dnsServers": []});
    let put = bench.call("PUT", &path, &body);
    assert_eq!(put.status, 200);
    assert!(
        put.header("azure-asyncoperation")
            .contains("/providers/Microsoft.Network/locations/westeurope/operations/")
    );
    assert_eq!(put.header("location"), "", "its status alone");
    assert_ne!(put.header("etag"), before["etag"].as_str().unwrap());
    assert_eq!(
        put.body["properties"]["macAddress"], before["properties"]["macAddress"],
        "read-only members are ignored"
    );
    for name in [
        "allowPort25Out",
        "hostedWorkloads",
        "tapConfigurations",
        "dnsSettings",
    ] {
        assert_eq!(
            put.body["properties"][name], before["properties"][name],
            "read-only members are not dropped"
        );
    }
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (409, "AnotherOperationInProgress")
    );
    let status = put.header("azure-asyncoperation").to_owned();
    assert_eq!(bench.get(&status).body, json!({"status": "InProgress"}));
    bench.pass(5);
    assert_eq!(bench.get(&status).body, json!({"status": "Succeeded"}));
    assert!(
        bench.get(&address).body["properties"]
            .get("ipConfiguration")
            .is_none(),
        "the address is free"
    );

    body["properties"]
        .as_object_mut()
        .unwrap()
        .remove("networkSecurityGroup");
    assert_eq!(bench.call("PUT", &path, &body).status, 200);
    bench.pass(5);
    let bare = bench.get(&path).body;
    assert!(
        bare["properties"].get("networkSecurityGroup").is_none(),
        "what is left out is gone"
    );
    assert_eq!(bare["properties"]["provisioningState"], "Succeeded");
    body["properties"]["ipConfigurations"] = json!([]);
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (400, "NetworkInterfaceMustHaveAtLeastOneIpConfiguration")
    );
    body["properties"]["surprise"] = json!(1);
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (400, "InvalidRequestContent")
    );
}

#[test]
fn a_second_operation_is_not_ended_by_the_first() {
    let bench = Bench::new();
    let path = versioned(&nic("hard-nic-2"));
    let body = bench.get(&path).body;
    bench.call("PUT", &path, &body);
    bench.pass(5);
    bench.call("PUT", &path, &body);
    assert_eq!(
        bench.get(&path).body["properties"]["provisioningState"],
        "Updating"
    );
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (409, "AnotherOperationInProgress")
    );
}

#[test]
fn an_nsg_must_be_of_the_interfaces_own_place() {
    let bench = Bench::new();
    let path = versioned(&at(
        "rg-north/Microsoft.Network/networkInterfaces/vm-north-01-nic",
    ));
    let mut body = bench.get(&path).body;
    for (nsg, why) in [
        ("nsg-ir-quarantine-westeurope", "another region"),
        ("nsg-none", "none at all"),
    ] {
        body["properties"]["networkSecurityGroup"] = json!({"id": at(&format!("{NSG}/{nsg}"))});
        let refused = bench.call("PUT", &path, &body);
        assert_eq!(refused.error(), (400, "InvalidResourceReference"), "{why}");
        assert!(
            refused
                .text
                .contains("both resources are in the same region")
        );
    }
}

#[test]
fn an_nsg_of_another_subscription_is_not_found() {
    let bench = Bench::with(with_roles(&[("Owner", "/")], ""), |_| {});
    let nsg = format!(
        "{DEV}/resourceGroups/rg-dev/providers/Microsoft.Network/networkSecurityGroups/nsg-dev"
    );
    let made = bench.call(
        "PUT",
        &versioned(&nsg),
        &json!({"location": "northeurope", "properties": {}}),
    );
    assert_eq!(made.status, 201, "{made:?}");
    bench.pass(5);
    let path = versioned(&at(
        "rg-north/Microsoft.Network/networkInterfaces/vm-north-01-nic",
    ));
    let mut body = bench.get(&path).body;
    body["properties"]["networkSecurityGroup"] = json!({"id": nsg});
    assert_eq!(
        bench.call("PUT", &path, &body).error(),
        (400, "InvalidResourceReference")
    );
}

#[test]
fn a_group_of_rules_keeps_the_name_of_its_first_write() {
    let bench = Bench::new();
    let put = |name: &str| {
        let path = versioned(&at(&format!("{NSG}/{name}")));
        bench.call("PUT", &path, &json!({"location": "westeurope"}))
    };
    let first = put("nsg-new");
    assert_eq!(first.status, 201);
    bench.pass(5);
    let second = put("NSG-NEW");
    assert_eq!(
        (second.status, &second.body["name"], &second.body["id"]),
        (200, &first.body["name"], &first.body["id"])
    );
}

#[test]
fn rules_live_in_their_group_and_conflict_there() {
    let bench = Bench::new();
    let group = at(&format!("{NSG}/nsg-new"));
    let put = |rules: &[Value]| {
        bench.call("PUT", &versioned(&group), &json!({"location": "westeurope", "properties": {"flushConnection": true, "securityRules": rules}}))
    };
    assert_eq!(
        put(&[rule("a", 4096, "Inbound"), rule("b", 4096, "Inbound")]).error(),
        (400, "SecurityRuleConflict")
    );
    assert_eq!(
        put(&[rule("a", 99, "Inbound")]).error(),
        (400, "SecurityRuleInvalidPriority")
    );
    let mut both = rule("a", 100, "Inbound");
    both["properties"]["destinationPortRanges"] = json!(["22"]);
    assert_eq!(
        put(&[both]).error(),
        (400, "SecurityRuleParameterContainsUnsupportedValue")
    );
    let made = put(&[rule("a", 4096, "Inbound"), rule("b", 4096, "Outbound")]);
    assert_eq!(
        (
            made.status,
            made.body["properties"]["defaultSecurityRules"]
                .as_array()
                .unwrap()
                .len()
        ),
        (201, 6)
    );
    assert_eq!(made.header("location"), "");
    assert!(!made.header("azure-asyncoperation").is_empty());
    assert_eq!(put(&[]).error(), (409, "AnotherOperationInProgress"));
    bench.pass(5);

    let child = |name: &str| versioned(&format!("{group}/securityRules/{name}"));
    let new = bench.call("PUT", &child("nudge"), &rule("nudge", 4000, "Inbound"));
    assert_eq!(
        (new.status, new.body["name"].as_str()),
        (201, Some("nudge"))
    );
    bench.pass(5);
    assert_eq!(
        bench
            .call("PUT", &child("other"), &rule("other", 4000, "Inbound"))
            .error(),
        (400, "SecurityRuleConflict")
    );
    let names = |folder: &str| {
        bench
            .get(&versioned(&format!("{group}/{folder}")))
            .each("name")
            .join(" ")
    };
    assert_eq!(names("securityRules"), "a b nudge");
    assert!(names("defaultSecurityRules").starts_with("AllowVnetInBound"));
    assert_eq!(
        bench.get(&versioned(&group)).body["properties"]["securityRules"][2]["name"],
        "nudge",
        "the group shows it"
    );
    assert_eq!(bench.delete(&child("NUDGE")).status, 202);
    bench.pass(5);
    assert_eq!(bench.delete(&child("nudge")).status, 204);
    assert_eq!(bench.get(&child("nudge")).error(), (404, "NotFound"));
    assert_eq!(bench.delete(&versioned(&group)).status, 202);
    assert_eq!(
        bench
            .call("PUT", &child("late"), &rule("late", 300, "Inbound"))
            .error(),
        (404, "ParentResourceNotFound")
    );
}

#[test]
fn a_group_in_use_is_not_deleted_and_shows_by_whom() {
    let bench = Bench::new();
    for (name, member) in [
        ("nsg-hard", "networkInterfaces"),
        ("nsg-hard-subnet", "subnets"),
    ] {
        let path = versioned(&at(&format!(
            "rg-hard-prod/Microsoft.Network/networkSecurityGroups/{name}"
        )));
        assert_eq!(
            bench.delete(&path).error(),
            (400, "InUseNetworkSecurityGroupCannotBeDeleted")
        );
        assert_eq!(
            bench.get(&path).body["properties"][member]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    let network = bench.get(&versioned(&at(
        "rg-hard-prod/Microsoft.Network/virtualNetworks/vnet-westeurope",
    )));
    assert_eq!(network.body["properties"]["subnets"][0]["name"], "default");
}

#[test]
fn effective_rules_are_those_of_interface_and_subnet_while_the_machine_runs() {
    let bench = Bench::new();
    let ask = |id: &str| {
        bench.send(bench.request(
            "POST",
            &versioned(&format!("{id}/effectiveNetworkSecurityGroups")),
        ))
    };
    let asked = ask(&nic("hard-nic-1"));
    assert_eq!((asked.status, asked.text.as_str()), (202, ""));
    let location = asked.header("location").to_owned();
    assert!(location.contains("/operationResults/"));
    assert_eq!(bench.get(&location).status, 202);
    bench.pass(5);
    let groups = bench.get(&location).body["value"].clone();
    let places: Vec<&str> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            group["association"]
                .as_object()
                .unwrap()
                .keys()
                .next()
                .unwrap()
                .as_str()
        })
        .collect();
    assert_eq!(places, ["networkInterface", "subnet"]);
    let first = &groups[0]["effectiveSecurityRules"][0];
    assert_eq!(
        (
            first["name"].as_str(),
            first["destinationPortRange"].as_str()
        ),
        (Some("securityRules/AllowHttps"), Some("443-443"))
    );
    let status = bench.get(asked.header("azure-asyncoperation")).body;
    assert_eq!(
        status,
        json!({"status": "Succeeded"}),
        "the result is at the Location alone"
    );

    let machine = at("rg-hard-prod/Microsoft.Compute/virtualMachines/vm-hard-01");
    bench.call("POST", &format!("{machine}/powerOff?{COMPUTE}"), &json!({}));
    assert_eq!(
        ask(&nic("hard-nic-1")).error(),
        (
            400,
            "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups"
        )
    );
}

#[test]
fn a_patch_of_a_group_changes_its_tags_alone_and_its_etag() {
    let bench = Bench::new();
    let path = versioned(&at(
        "rg-hard-prod/Microsoft.Network/networkSecurityGroups/nsg-hard",
    ));
    let before = bench.get(&path).body;
    let after = bench.call("PATCH", &path, &json!({"tags": {"ir": "1"}}));
    assert_eq!(
        (after.status, &after.body["tags"]),
        (200, &json!({"ir": "1"}))
    );
    assert_ne!(after.body["etag"], before["etag"]);
    let rules = |body: &Value| body["properties"]["securityRules"][0]["properties"].clone();
    assert_eq!(rules(&after.body), rules(&before));
    assert!(before["properties"]["resourceGuid"].is_string());
    let wrong = bench.call("PATCH", &path, &json!({"properties": {}}));
    assert_eq!(wrong.status, 400);
}
