//! What a caller of the lab may do: roles, linked rights, locks, and the resources that grant them.

use serde_json::{Value, json};

use crate::az_kit;
use crate::lab_directory::Directory;
use crate::lab_support::{
    Answer, Bench, COMPUTE, DEV, DISKS, NETWORK, RESOURCES, RIGHTS, SUB, at, with_roles,
};

const SNAPSHOTS_ONLY: &str = "{name: Snapshots only, actions: [Microsoft.Compute/snapshots/*]}";
const INTERFACES_ONLY: &str = "{name: Interfaces only, actions: [Microsoft.Network/networkInterfaces/*, Microsoft.Network/virtualNetworks/subnets/join/action]}";

fn copy() -> Value {
    json!({"location": "westeurope", "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": at("rg-workload-prod/Microsoft.Compute/disks/vm-app-01_data1")}, "incremental": true}})
}

fn snapshot() -> String {
    format!(
        "{}?{DISKS}",
        at("rg-forensic-prod/Microsoft.Compute/snapshots/s1")
    )
}

#[test]
fn a_reader_reads_and_is_told_which_action_it_lacks() {
    let bench = Bench::new();
    let machine = format!(
        "{DEV}/resourceGroups/rg-dev/providers/Microsoft.Compute/virtualMachines/vm-forbidden-01"
    );
    assert_eq!(bench.get(&format!("{machine}?{COMPUTE}")).status, 200);
    let refused = bench.call(
        "PATCH",
        &format!("{machine}?{COMPUTE}"),
        &json!({"tags": {}}),
    );
    assert_eq!(refused.error(), (403, "AuthorizationFailed"));
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        format!(
            "The client '44444444-4444-4444-8444-444444444444' with object id '55555555-5555-4555-8555-555555555555' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write' over scope '{machine}' or the scope is invalid. If access was recently granted, please refresh your credentials."
        )
    );
    let action = bench.call(
        "POST",
        &format!("{machine}/deallocate?{COMPUTE}"),
        &json!({}),
    );
    assert!(
        action
            .text
            .contains("'Microsoft.Compute/virtualMachines/deallocate/action'"),
        "{}",
        action.text
    );
    let tags = bench.call(
        "PATCH",
        &format!("{machine}/providers/Microsoft.Resources/tags/default?{RESOURCES}"),
        &json!({"operation": "Merge", "properties": {"tags": {}}}),
    );
    assert!(
        tags.text.contains("'Microsoft.Resources/tags/write'"),
        "{}",
        tags.text
    );
}

#[test]
fn a_right_on_the_target_is_not_enough_where_another_resource_is_used() {
    let bench = Bench::with(
        with_roles(&[("Snapshots only", SUB)], SNAPSHOTS_ONLY),
        |_| {},
    );
    let refused = bench.call("PUT", &snapshot(), &copy());
    assert_eq!(refused.error(), (403, "LinkedAuthorizationFailed"));
    assert!(
        refused
            .text
            .contains("'Microsoft.Compute/disks/beginGetAccess/action'"),
        "{}",
        refused.text
    );
    let bench = Bench::with(
        with_roles(
            &[("Snapshots only", SUB), ("Disk Backup Reader", SUB)],
            SNAPSHOTS_ONLY,
        ),
        |_| {},
    );
    assert_eq!(bench.call("PUT", &snapshot(), &copy()).status, 202);

    let bench = Bench::with(
        with_roles(&[("Interfaces only", SUB)], INTERFACES_ONLY),
        |_| {},
    );
    let nic = format!(
        "{}?{NETWORK}",
        at("rg-workload-prod/Microsoft.Network/networkInterfaces/vm-app-01-nic")
    );
    let mut body = bench.get(&nic).body;
    assert_eq!(bench.call("PUT", &nic, &body).status, 200);
    bench.pass(5);
    body["properties"]["networkSecurityGroup"] = json!({"id": at("rg-security-prod/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine")});
    let refused = bench.call("PUT", &nic, &body);
    assert_eq!(refused.error(), (403, "LinkedAuthorizationFailed"));
    assert!(
        refused
            .text
            .contains("'Microsoft.Network/networkSecurityGroups/join/action'"),
        "{}",
        refused.text
    );
}

#[test]
fn lists_hold_what_the_caller_may_see() {
    let bench = Bench::with(
        with_roles(&[("Reader", &format!("{SUB}/resourceGroups/rg-north"))], ""),
        |_| {},
    );
    let machines = bench.get(&format!(
        "{SUB}/providers/Microsoft.Compute/virtualMachines?{COMPUTE}"
    ));
    assert_eq!(machines.each("name"), ["vm-north-01"]);
    assert_eq!(
        bench
            .get(&format!("{SUB}/resourcegroups?{RESOURCES}"))
            .each("name"),
        ["rg-north"]
    );
    assert_eq!(
        bench
            .get("/subscriptions?api-version=2022-12-01")
            .each("displayName"),
        ["contoso-prod"]
    );
    let other = bench.get(&format!(
        "{DEV}/providers/Microsoft.Compute/virtualMachines?{COMPUTE}"
    ));
    assert_eq!(other.error(), (403, "AuthorizationFailed"));
}

#[test]
fn rights_on_a_resource_alone_begin_an_operation_but_do_not_follow_it() {
    let nic = at("rg-north/Microsoft.Network/networkInterfaces/vm-north-01-nic");
    let network = at("rg-north/Microsoft.Network/virtualNetworks/vnet-northeurope");
    let bench = Bench::with(
        with_roles(
            &[
                ("Network Contributor", &nic),
                ("Network Contributor", &network),
            ],
            "",
        ),
        |_| {},
    );
    let path = format!("{nic}?{NETWORK}");
    let put = bench.call("PUT", &path, &bench.get(&path).body);
    assert_eq!(put.status, 200);
    assert_eq!(
        bench.get(put.header("azure-asyncoperation")).error(),
        (403, "AuthorizationFailed")
    );
}

#[test]
fn a_read_only_lock_stops_writes_and_actions_and_no_reads() {
    let bench = Bench::new();
    let machine = at("rg-locked/Microsoft.Compute/virtualMachines/vm-locked-01");
    assert_eq!(bench.get(&format!("{machine}?{COMPUTE}")).status, 200);
    let refused = bench.call(
        "PATCH",
        &format!("{machine}?{COMPUTE}"),
        &json!({"tags": {}}),
    );
    assert_eq!(refused.error(), (409, "ScopeLocked"));
    assert_eq!(
        refused.body["error"]["message"],
        json!(format!(
            "The scope '{machine}' cannot perform write operation because following scope(s) are locked: '{SUB}/resourceGroups/rg-locked'. Please remove the lock and try again."
        ))
    );
    assert_eq!(
        bench
            .call(
                "POST",
                &format!("{machine}/deallocate?{COMPUTE}"),
                &json!({})
            )
            .error(),
        (409, "ScopeLocked")
    );
    let tags = format!("{machine}/providers/Microsoft.Resources/tags/default?{RESOURCES}");
    assert_eq!(
        bench
            .call(
                "PATCH",
                &tags,
                &json!({"operation": "Merge", "properties": {"tags": {"a": "b"}}})
            )
            .error(),
        (409, "ScopeLocked")
    );
    let locks = |scope: &str, filter: &str| {
        bench.get(&format!(
            "{scope}/providers/Microsoft.Authorization/locks?api-version=2016-09-01{filter}"
        ))
    };
    assert_eq!(
        locks(&machine, "&$filter=atScope()").each("name"),
        ["freeze"],
        "inherited"
    );
    assert_eq!(locks(SUB, "").each("name"), ["freeze"], "below");
    let lock = format!(
        "{SUB}/resourceGroups/rg-locked/providers/Microsoft.Authorization/locks/freeze?api-version=2016-09-01"
    );
    assert_eq!(
        (bench.delete(&lock).status, bench.delete(&lock).status),
        (200, 204)
    );
    assert_eq!(
        bench
            .call(
                "PATCH",
                &format!("{machine}?{COMPUTE}"),
                &json!({"tags": {}})
            )
            .status,
        200
    );
}

#[test]
fn keys_are_not_told_under_a_read_only_lock() {
    let bench = Bench::new();
    let account = at("rg-workload-prod/Microsoft.Storage/storageAccounts/stshopprod");
    let lock =
        format!("{account}/providers/Microsoft.Authorization/locks/freeze?api-version=2020-05-01");
    let made = bench.call("PUT", &lock, &json!({"properties": {"level": "ReadOnly"}}));
    assert_eq!(made.status, 201);
    let path = |more: &str| format!("{account}{more}?api-version=2023-05-01");
    let refused = bench.call("POST", &path("/listKeys"), &json!({}));
    assert_eq!(refused.error(), (409, "ScopeLocked"));
    assert!(
        refused.text.contains("cannot perform write operation"),
        "{}",
        refused.text
    );
    assert_eq!(bench.get(&path("")).status, 200, "reading is no writing");
    assert_eq!(bench.delete(&lock).status, 200);
    assert_ne!(
        bench.call("POST", &path("/listKeys"), &json!({})).error().1,
        "ScopeLocked"
    );
}

#[test]
fn a_principal_that_is_not_everywhere_yet_is_assigned_by_who_says_what_it_is() {
    let bench = Bench::with(az_kit::scenario(), |options| {
        options.replication = std::time::Duration::from_secs(5);
    });
    let fresh = Directory::of(&bench).call("POST", "users", &json!({
        "accountEnabled": true, "displayName": "Nina New", "mailNickname": "nina", "userPrincipalName": "nina@contoso.com",
        "passwordProfile": {"forceChangePasswordNextSignIn": true, "password": "Str0ng-canary-7Q"},
    }));
    assert_eq!(fresh.status, 201, "{fresh:?}");
    let reader = format!(
        "{SUB}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    );
    let assign = |group: &str, more: &Value| {
        let mut properties = json!({"roleDefinitionId": reader, "principalId": fresh.body["id"]});
        for (name, value) in more.as_object().unwrap() {
            properties[name] = value.clone();
        }
        let path = format!(
            "{SUB}/resourceGroups/{group}/providers/Microsoft.Authorization/roleAssignments/99999999-9999-4999-8999-999999999905?{RIGHTS}"
        );
        bench.call("PUT", &path, &json!({"properties": properties}))
    };
    assert_eq!(
        assign("rg-north", &json!({})).error(),
        (400, "PrincipalNotFound")
    );
    assert_eq!(
        assign("rg-north", &json!({"principalType": "User"})).status,
        201
    );
    bench.pass(10);
    assert_eq!(assign("rg-hard-prod", &json!({})).status, 201);
}

#[test]
fn role_assignments_are_filtered_made_once_and_deleted_for_good() {
    let bench = Bench::new();
    let group = format!("{SUB}/resourceGroups/rg-hard-prod");
    let list = |scope: &str, filter: &str| {
        bench.get(&format!(
            "{scope}/providers/Microsoft.Authorization/roleAssignments?{RIGHTS}&$filter={filter}"
        ))
    };
    let scopes = |answer: &crate::lab_support::Answer| -> Vec<String> {
        answer.body["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["properties"]["scope"].as_str().unwrap().to_owned())
            .collect()
    };
    let above = list(&group, "atScope()");
    assert!(
        scopes(&above)
            .iter()
            .all(|scope| scope == SUB || *scope == group),
        "this scope and above: {above:?}"
    );
    assert!(!scopes(&list(SUB, "atScope()")).contains(&group));
    let principal = "66666666-6666-4666-8666-666666666602";
    assert_eq!(
        scopes(&list(SUB, &format!("principalId%20eq%20'{principal}'"))),
        [group.as_str()]
    );
    assert_eq!(
        list(SUB, &format!("assignedTo('{principal}')")).body["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        list(SUB, "principalType%20eq%20'User'").error(),
        (501, "NotModelled")
    );

    let path = |name: &str| {
        format!("{group}/providers/Microsoft.Authorization/roleAssignments/{name}?{RIGHTS}")
    };
    let reader = format!(
        "{SUB}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    );
    let body = json!({"properties": {"roleDefinitionId": reader, "principalId": principal, "principalType": "ServicePrincipal"}});
    let made = bench.call("PUT", &path("99999999-9999-4999-8999-999999999901"), &body);
    assert_eq!(
        (made.status, made.body["properties"]["scope"].as_str()),
        (201, Some(group.as_str()))
    );
    assert_eq!(
        bench
            .call("PUT", &path("99999999-9999-4999-8999-999999999901"), &body)
            .status,
        200
    );
    let twin = bench.call("PUT", &path("99999999-9999-4999-8999-999999999902"), &body);
    assert_eq!(twin.error(), (409, "RoleAssignmentExists"));
    assert!(twin.text.contains("99999999999949998999999999999901"));
    let unknown = json!({"properties": {"roleDefinitionId": reader.replace("acdd", "aaaa"), "principalId": principal}});
    assert_eq!(
        bench
            .call(
                "PUT",
                &path("99999999-9999-4999-8999-999999999903"),
                &unknown
            )
            .error(),
        (404, "RoleDefinitionDoesNotExist")
    );
    let gone = bench.delete(&path("99999999-9999-4999-8999-999999999901"));
    assert_eq!(
        (gone.status, gone.body["name"].as_str()),
        (200, Some("99999999-9999-4999-8999-999999999901"))
    );
    assert_eq!(
        bench
            .delete(&path("99999999-9999-4999-8999-999999999901"))
            .status,
        204
    );
    assert_eq!(
        bench
            .get(&path("99999999-9999-4999-8999-999999999901"))
            .error(),
        (404, "RoleAssignmentNotFound")
    );
}

#[test]
fn definitions_and_permissions_say_what_a_role_allows() {
    let bench = Bench::new();
    let found = bench.get(&format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions?{RIGHTS}&$filter=roleName%20eq%20'Reader'"));
    assert_eq!(found.each("name"), ["acdd72a7-3385-48ef-bd42-f606fba81ae7"]);
    assert_eq!(
        found.body["value"][0]["properties"]["permissions"][0]["actions"],
        json!(["*/read"])
    );
    let permissions = bench
        .get(&format!(
            "{DEV}/providers/Microsoft.Authorization/permissions?{RIGHTS}"
        ))
        .body;
    assert_eq!(permissions["value"].as_array().unwrap().len(), 1);
    let stranger = Bench::with(with_roles(&[], ""), |_| {});
    let none = stranger.get(&format!(
        "{SUB}/providers/Microsoft.Authorization/permissions?{RIGHTS}"
    ));
    assert_eq!(
        (none.status, &none.body["value"]),
        (200, &json!([])),
        "anybody may ask what they may do"
    );
}

#[test]
fn throttling_is_per_subscription_and_kind_and_refills() {
    let bench = Bench::with(
        azir::lab::scenario::Scenario::load("default").unwrap(),
        |options| options.throttle = Some(0.02),
    );
    let path = |subscription: &str| format!("{subscription}?api-version=2022-12-01");
    let left: Vec<String> = (0..5)
        .map(|_| {
            bench
                .get(&path(SUB))
                .header("x-ms-ratelimit-remaining-subscription-reads")
                .to_owned()
        })
        .collect();
    assert_eq!(left, ["4", "3", "2", "1", "0"]);
    let refused = bench.get(&path(SUB));
    assert_eq!(refused.error(), (429, "SubscriptionRequestsThrottled"));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert_eq!(
        bench.get(&path(DEV)).status,
        200,
        "another subscription has its own bucket"
    );
    bench.pass(seconds);
    assert_eq!(bench.get(&path(SUB)).status, 200);
}

#[test]
fn writes_actions_and_deletions_are_counted_apart_from_reads() {
    let bench = Bench::with(
        azir::lab::scenario::Scenario::load("default").unwrap(),
        |options| options.throttle = Some(0.02),
    );
    let left = |answer: &Answer, kind: &str| {
        answer
            .header(&format!("x-ms-ratelimit-remaining-subscription-{kind}"))
            .to_owned()
    };
    let action = || {
        let machine = at("rg-workload-prod/Microsoft.Compute/virtualMachines/vm-app-01");
        bench.call("POST", &format!("{machine}/none?{COMPUTE}"), &json!({}))
    };
    let lock = format!("{SUB}/providers/Microsoft.Authorization/locks/none?api-version=2016-09-01");
    assert_eq!(left(&action(), "writes"), "3");
    assert_eq!(left(&bench.delete(&lock), "deletes"), "3");
    let read = || bench.get(&format!("{SUB}?api-version=2022-12-01"));
    assert_eq!(left(&read(), "reads"), "4");
    let answers: Vec<u16> = (0..4).map(|_| action().status).collect();
    assert_eq!(answers[3], 429, "{answers:?}");
    assert!(!answers[..3].contains(&429), "{answers:?}");
    assert_eq!(action().error(), (429, "SubscriptionRequestsThrottled"));
    assert_eq!((read().status, bench.delete(&lock).status), (200, 204));
}
