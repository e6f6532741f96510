//! What is built in the lab by Resource Manager, as the Azure CLI builds it, and goes again: networks, machines,
//! identities, vaults, and the group with all of it.

use serde_json::{Value, json};

use crate::lab_support::{
    Answer, Bench, COMPUTE, DISKS, NETWORK, RESOURCES, RIGHTS, SUB, at, with_roles,
};

const IDENTITIES: &str = "api-version=2023-01-31";
const VAULTS: &str = "api-version=2023-07-01";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpvaG4gZG9lIGpvaG4gZG9lIGpvaG4gZG9lIGpv lab";
const GROUP: &str = "rg-built";
const VM: &str = "rg-built/Microsoft.Compute/virtualMachines/vm-1";
const NIC_1: &str = "rg-built/Microsoft.Network/networkInterfaces/nic-1";
const NIC_2: &str = "rg-built/Microsoft.Network/networkInterfaces/nic-2";
const NET: &str = "rg-built/Microsoft.Network/virtualNetworks/net";

fn put(bench: &Bench, place: &str, version: &str, body: &Value) -> Answer {
    bench.call("PUT", &format!("{}?{version}", at(place)), body)
}

fn group() -> String {
    format!("{SUB}/resourceGroups/{GROUP}?{RESOURCES}")
}

fn network(prefix: &str) -> Value {
    json!({"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.7.0.0/16"]}, "subnets": [{"name": "default", "properties": {"addressPrefix": prefix}}]}})
}

fn nic() -> Value {
    let subnet = format!("{}/subnets/default", at(NET));
    json!({"location": "westeurope", "properties": {"ipConfigurations": [{"name": "ipconfig1", "properties": {"subnet": {"id": subnet}}}]}})
}

/// A machine as `az vm create` asks for one.
fn machine(nics: &[&str]) -> Value {
    let nics: Vec<Value> = nics
        .iter()
        .enumerate()
        .map(|(index, nic)| json!({"id": at(nic), "properties": {"primary": index == 0, "deleteOption": "Detach"}}))
        .collect();
    json!({"location": "westeurope", "tags": {"owner": "drill"}, "properties": {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "storageProfile": {
            "imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
            "osDisk": {"name": "vm-1_os", "createOption": "FromImage", "managedDisk": {"storageAccountType": "Standard_LRS"}, "deleteOption": "Delete"},
            "dataDisks": [{"lun": 0, "name": "vm-1_data", "createOption": "Empty", "diskSizeGB": 4}],
        },
        "osProfile": {"computerName": "vm-1", "adminUsername": "azureuser", "customData": "c2VjcmV0", "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]}}},
        "networkProfile": {"networkInterfaces": nics},
    }})
}

/// A lab with a group, a network and two interfaces.
fn bench() -> Bench {
    let bench = Bench::new();
    let made = bench.call("PUT", &group(), &json!({"location": "westeurope"}));
    assert_eq!(made.status, 201);
    let made = put(&bench, NET, NETWORK, &network("10.7.1.0/24"));
    assert_eq!(made.status, 201, "{}", made.text);
    bench.pass(10);
    for nic_id in [NIC_1, NIC_2] {
        let made = put(&bench, nic_id, NETWORK, &nic());
        assert_eq!(made.status, 201, "{}", made.text);
        assert!(!made.header("azure-asyncoperation").is_empty());
    }
    bench.pass(10);
    bench
}

#[test]
fn a_network_holds_its_subnets_and_gives_addresses_out_once() {
    let bench = bench();
    let shown = bench.get(&format!("{}?{NETWORK}", at(NET))).body;
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
    assert_eq!(shown["properties"]["subnets"][0]["name"], "default");
    let address = |nic: &str| {
        let nic = bench.get(&format!("{}?{NETWORK}", at(nic))).body;
        nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"].clone()
    };
    assert_eq!(
        (address(NIC_1), address(NIC_2)),
        (json!("10.7.1.4"), json!("10.7.1.5"))
    );
    let outside = put(
        &bench,
        "rg-built/Microsoft.Network/virtualNetworks/other",
        NETWORK,
        &network("10.8.1.0/24"),
    );
    assert_eq!(outside.error(), (400, "NetcfgSubnetRangeOutsideVnet"));
    let second = json!({"properties": {"addressPrefix": "10.7.2.0/24"}});
    let subnet = format!("{NET}/subnets/second");
    assert_eq!(put(&bench, &subnet, NETWORK, &second).status, 201);
    let mut nowhere = nic();
    nowhere["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] = json!(at(
        "rg-built/Microsoft.Network/virtualNetworks/none/subnets/default"
    ));
    let other = "rg-built/Microsoft.Network/networkInterfaces/other";
    assert_eq!(
        put(&bench, other, NETWORK, &nowhere).error(),
        (400, "InvalidResourceReference")
    );
    let free = bench.delete(&format!("{}?{NETWORK}", at(NIC_2)));
    assert_eq!(free.status, 202);
    assert_eq!(
        bench.delete(&format!("{}?{NETWORK}", at(NIC_2))).status,
        204
    );
}

#[test]
fn a_machine_is_made_with_its_disks_and_takes_its_interfaces() {
    let bench = bench();
    let mut body = machine(&[NIC_1, NIC_2]);
    body["identity"] = json!({"type": "SystemAssigned"});
    let made = put(&bench, VM, COMPUTE, &body);
    assert_eq!(
        (made.status, &made.body["properties"]["provisioningState"]),
        (201, &json!("Creating")),
        "{}",
        made.text
    );
    assert!(made.header("azure-asyncoperation").contains("/operations/"));
    bench.pass(10);
    let shown = bench.get(&format!("{}?{COMPUTE}&$expand=instanceView", at(VM)));
    let properties = &shown.body["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(
        properties["instanceView"]["statuses"][1]["code"],
        "PowerState/running"
    );
    assert_eq!(shown.body["tags"], json!({"owner": "drill"}));
    // What is secret is not shown, and what is public is.
    assert!(shown.text.contains("ssh-ed25519") && !shown.text.contains("c2VjcmV0"));
    let state = bench.lab.state().to_string();
    assert!(!state.contains("c2VjcmV0"), "nor kept");
    for (disk, size) in [("vm-1_os", 30), ("vm-1_data", 4)] {
        let disk = bench
            .get(&format!(
                "{}?{DISKS}",
                at(&format!("rg-built/Microsoft.Compute/disks/{disk}"))
            ))
            .body;
        assert_eq!(disk["managedBy"].as_str().unwrap(), at(VM));
        assert_eq!(
            (
                &disk["properties"]["diskState"],
                &disk["properties"]["diskSizeGB"]
            ),
            (&json!("Attached"), &json!(size))
        );
    }
    let nic = bench.get(&format!("{}?{NETWORK}", at(NIC_2))).body;
    assert_eq!(
        nic["properties"]["virtualMachine"]["id"].as_str().unwrap(),
        at(VM)
    );
    assert_eq!(nic["properties"]["primary"], false);
    // The interface is seen from inside by the platform, as of any machine that runs.
    let effective = format!("{}/effectiveNetworkSecurityGroups?{NETWORK}", at(NIC_1));
    assert_eq!(bench.call("POST", &effective, &Value::Null).status, 202);
    // Its identity is a principal that can be given a role.
    let principal = shown.body["identity"]["principalId"].as_str().unwrap();
    let role = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let grant = json!({"properties": {"roleDefinitionId": format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"), "principalId": principal}});
    let place = format!(
        "{SUB}/resourceGroups/{GROUP}/providers/Microsoft.Authorization/roleAssignments/0d0d0d0d-0000-4000-8000-000000000001?{RIGHTS}"
    );
    assert_eq!(bench.call("PUT", &place, &grant).status, 201);
    // The same again, as after a lost answer, changes nothing of it.
    let again = put(&bench, VM, COMPUTE, &body);
    assert_eq!(
        (again.status, &again.body["identity"]["principalId"]),
        (200, &json!(principal)),
        "{}",
        again.text
    );
}

#[test]
fn a_machine_that_cannot_be_leaves_nothing_behind() {
    let bench = bench();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = machine(&[NIC_1]);
        change(&mut body["properties"]);
        body
    };
    let long = machine(&[
        NIC_1,
        NIC_2,
        "rg-built/Microsoft.Network/networkInterfaces/nic-3",
    ]);
    for (body, status, code) in [
        (
            changed(&|body| body["hardwareProfile"] = json!({})),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| body["hardwareProfile"]["vmSize"] = json!("Standard_M416ms_v2")),
            501,
            "NotModelled",
        ),
        (
            changed(&|body| body["storageProfile"]["imageReference"]["sku"] = json!("other")),
            501,
            "NotModelled",
        ),
        (
            changed(&|body| body["storageProfile"]["imageReference"]["version"] = json!("0.0.1")),
            404,
            "PlatformImageNotFound",
        ),
        (
            changed(&|body| body["storageProfile"]["osDisk"]["createOption"] = json!("Attach")),
            501,
            "NotModelled",
        ),
        (
            changed(&|body| body["storageProfile"]["dataDisks"][0]["diskSizeGB"] = Value::Null),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| body["osProfile"]["adminUsername"] = Value::Null),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| {
                body["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"] =
                    json!("ssh-ed25519 AAAA");
            }),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| body["osProfile"]["linuxConfiguration"] = json!({})),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| body["networkProfile"]["networkInterfaces"] = json!([])),
            400,
            "InvalidParameter",
        ),
        (
            changed(&|body| {
                body["networkProfile"]["networkInterfaces"][0]["id"] =
                    json!(at("rg-built/Microsoft.Network/networkInterfaces/none"));
            }),
            400,
            "InvalidResourceReference",
        ),
        (
            changed(&|body| body["licenseType"] = json!("RHEL_BYOS")),
            400,
            "InvalidRequestContent",
        ),
        (long, 400, "NetworkInterfaceCountExceeded"),
    ] {
        let refused = put(&bench, VM, COMPUTE, &body);
        assert_eq!(refused.error(), (status, code), "{}", refused.text);
    }
    let two = |primary: bool| {
        let mut body = machine(&[NIC_1, NIC_2]);
        for nic in body["properties"]["networkProfile"]["networkInterfaces"]
            .as_array_mut()
            .unwrap()
        {
            nic["properties"]["primary"] = json!(primary);
        }
        put(&bench, VM, COMPUTE, &body)
    };
    for refused in [two(true), two(false)] {
        assert_eq!(refused.error().0, 400);
    }
    let list = format!("{SUB}/resourceGroups/{GROUP}/resources?{RESOURCES}");
    let left = bench.get(&list);
    assert_eq!(left.each("type").len(), 3, "{left:?}");
    // An interface has one machine.
    assert_eq!(put(&bench, VM, COMPUTE, &machine(&[NIC_1])).status, 201);
    bench.pass(10);
    let second = "rg-built/Microsoft.Compute/virtualMachines/vm-2";
    assert_eq!(
        put(&bench, second, COMPUTE, &machine(&[NIC_1])).error(),
        (400, "NicInUse")
    );
    assert_eq!(
        bench.delete(&format!("{}?{NETWORK}", at(NIC_1))).error(),
        (400, "NicInUse")
    );
}

#[test]
fn a_machine_that_goes_takes_what_is_to_go_with_it_and_lets_the_rest_go() {
    let bench = bench();
    put(&bench, VM, COMPUTE, &machine(&[NIC_1]));
    bench.pass(10);
    let path = format!("{}?{COMPUTE}", at(VM));
    let gone = bench.delete(&path);
    assert_eq!(gone.status, 202);
    assert_eq!(
        bench.get(&path).body["properties"]["provisioningState"],
        "Deleting"
    );
    bench.pass(10);
    assert_eq!(bench.get(&path).status, 404);
    assert_eq!(bench.delete(&path).status, 204);
    let disk = |name: &str| {
        bench.get(&format!(
            "{}?{DISKS}",
            at(&format!("rg-built/Microsoft.Compute/disks/{name}"))
        ))
    };
    assert_eq!(disk("vm-1_os").status, 404, "deleteOption: Delete");
    let data = disk("vm-1_data").body;
    assert_eq!(
        (&data["managedBy"], &data["properties"]["diskState"]),
        (&Value::Null, &json!("Unattached"))
    );
    let nic = bench.get(&format!("{}?{NETWORK}", at(NIC_1))).body;
    assert_eq!(nic["properties"]["virtualMachine"], Value::Null);
    assert_eq!(
        bench.delete(&format!("{}?{NETWORK}", at(NIC_1))).status,
        202
    );
}

#[test]
fn an_identity_comes_with_a_principal_and_again_with_another() {
    let bench = bench();
    let place = "rg-built/Microsoft.ManagedIdentity/userAssignedIdentities/id-1";
    let body = json!({"location": "westeurope", "tags": {"a": "1"}});
    let made = put(&bench, place, IDENTITIES, &body);
    assert_eq!(made.status, 201);
    let principal = made.body["properties"]["principalId"].as_str().unwrap();
    let same = put(&bench, place, IDENTITIES, &body);
    assert_eq!(
        (same.status, &same.body["properties"]["principalId"]),
        (200, &json!(principal))
    );
    let mut with = machine(&[NIC_1]);
    with["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": {at(place): {}}});
    let machine = put(&bench, VM, COMPUTE, &with);
    assert_eq!(
        machine.body["identity"]["userAssignedIdentities"][at(place)]["principalId"],
        principal
    );
    let path = format!("{}?{IDENTITIES}", at(place));
    assert_eq!(
        (bench.delete(&path).status, bench.delete(&path).status),
        (200, 204)
    );
    let other = put(&bench, place, IDENTITIES, &body);
    assert_ne!(other.body["properties"]["principalId"], principal);
}

#[test]
fn a_vault_is_deleted_until_it_is_purged_and_its_name_is_taken_so_long() {
    let bench = bench();
    let vault = |tenant: &str| json!({"location": "westeurope", "properties": {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": true, "softDeleteRetentionInDays": 7}});
    let tenant = bench.lab.ready().tenant_id.clone();
    let place = "rg-built/Microsoft.KeyVault/vaults/kv-built";
    let made = put(&bench, place, VAULTS, &vault(&tenant));
    assert_eq!(
        (made.status, &made.body["properties"]["provisioningState"]),
        (200, &json!("RegisteringDns")),
        "{}",
        made.text
    );
    bench.pass(10);
    let shown = bench.get(&format!("{}?{VAULTS}", at(place))).body;
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
    let uri = shown["properties"]["vaultUri"].as_str().unwrap();
    assert!(
        uri.starts_with("https://kv-built.vault.localhost:"),
        "{uri}"
    );
    for (place, body, status, code) in [
        (
            "rg-built/Microsoft.KeyVault/vaults/1-bad",
            vault(&tenant),
            400,
            "VaultNameNotValid",
        ),
        (
            "rg-built/Microsoft.KeyVault/vaults/kv-2",
            vault("elsewhere"),
            400,
            "BadRequest",
        ),
        (
            "rg-forensic-prod/Microsoft.KeyVault/vaults/KV-Built",
            vault(&tenant),
            409,
            "VaultAlreadyExists",
        ),
    ] {
        assert_eq!(put(&bench, place, VAULTS, &body).error(), (status, code));
    }
    assert_eq!(bench.delete(&format!("{}?{VAULTS}", at(place))).status, 200);
    assert_eq!(
        put(&bench, place, VAULTS, &vault(&tenant)).error(),
        (409, "ConflictError")
    );
    let all = format!("{SUB}/providers/Microsoft.KeyVault/deletedVaults?{VAULTS}");
    assert_eq!(bench.get(&all).each("name"), ["kv-built"]);
    let one =
        format!("{SUB}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-built");
    let deleted = bench.get(&format!("{one}?{VAULTS}")).body;
    assert_eq!(
        deleted["properties"]["vaultId"].as_str().unwrap(),
        at(place)
    );
    let purge = format!("{one}/purge?{VAULTS}");
    assert_eq!(bench.call("POST", &purge, &Value::Null).status, 200);
    assert_eq!(bench.call("POST", &purge, &Value::Null).status, 404);
    assert_eq!(put(&bench, place, VAULTS, &vault(&tenant)).status, 200);
}

#[test]
fn a_group_goes_with_everything_in_it_but_a_vault_that_can_be_recovered() {
    let bench = bench();
    let before = bench.get(&format!("{SUB}/resources?{RESOURCES}"));
    let before = before.each("id").len() - 3;
    let tenant = bench.lab.ready().tenant_id.clone();
    put(&bench, VM, COMPUTE, &machine(&[NIC_1, NIC_2]));
    let vault = json!({"location": "westeurope", "properties": {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}}});
    put(
        &bench,
        "rg-built/Microsoft.KeyVault/vaults/kv-built",
        VAULTS,
        &vault,
    );
    bench.pass(10);
    let gone = bench.delete(&group());
    assert_eq!(gone.status, 202);
    bench.pass(60);
    assert_eq!(bench.get(gone.header("location")).status, 200);
    assert_eq!(bench.get(&group()).error(), (404, "ResourceGroupNotFound"));
    let left = bench.get(&format!("{SUB}/resources?{RESOURCES}"));
    assert_eq!(left.each("id").len(), before);
    let deleted = format!("{SUB}/providers/Microsoft.KeyVault/deletedVaults?{VAULTS}");
    assert_eq!(bench.get(&deleted).each("name"), ["kv-built"]);
}

#[test]
fn who_may_not_join_an_interface_makes_no_machine_with_it() {
    let scope = format!("{SUB}/resourceGroups/rg-workload-prod");
    let custom = "{name: Machines only, actions: [Microsoft.Compute/*, Microsoft.Resources/subscriptions/resourceGroups/read]}";
    let scenario = with_roles(&[("Machines only", &scope)], custom);
    let bench = Bench::with(scenario, |_| {});
    let nic = "rg-workload-prod/Microsoft.Network/networkInterfaces/vm-app-01-nic";
    let vm = "rg-workload-prod/Microsoft.Compute/virtualMachines/vm-new";
    let refused = put(&bench, vm, COMPUTE, &machine(&[nic]));
    assert_eq!(refused.error(), (403, "LinkedAuthorizationFailed"));
}
