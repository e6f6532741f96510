//! From a scenario's `directory:` to objects as Graph shows them.
//!
//! Ids that are not written follow from names. Who is meant by a name in a relation is found by it: a user by principal
//! name, a group, application or service principal by display name, anything by id.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::builtin::ROLES;
use super::directory::Directory;
use super::principals::GRAPH;
use crate::clock::seconds;
use crate::digest::Digest;
use crate::lab::scenario::{Caller, Machine, Scenario, guid};
use crate::lab::store::Store;

/// The directory of a scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySeed {
    /// Users, with at least `userPrincipalName`.
    #[serde(default)]
    pub users: Vec<Map<String, Value>>,
    /// Users by number: `user00001@contoso.com` and so on.
    #[serde(default)]
    pub many_users: usize,
    /// Groups, with at least `displayName`; `members` are names.
    #[serde(default)]
    pub groups: Vec<Map<String, Value>>,
    /// Applications, with at least `displayName`; their service principals come with them. `owners` are names,
    /// `secrets` the values of secrets to sign in with, `federated` federated credentials.
    #[serde(default)]
    pub applications: Vec<Map<String, Value>>,
    /// Service principals without an application here, with at least `displayName`.
    #[serde(default)]
    pub service_principals: Vec<Map<String, Value>>,
    /// Applications and service principals in the recycle bin: `kind`, `displayName`, `days_ago`.
    #[serde(default)]
    pub deleted: Vec<Map<String, Value>>,
    /// Devices, with at least `displayName`; `owner` is a name, `days_ago` when it was registered.
    #[serde(default)]
    pub devices: Vec<Map<String, Value>>,
    /// Authentication methods: `user`, and members as Graph shows them; `default: true` for the default one.
    #[serde(default)]
    pub methods: Vec<Map<String, Value>>,
    /// Directory roles.
    #[serde(default)]
    pub role_assignments: Vec<Held>,
    /// Delegated permission grants; without `principal` for all.
    #[serde(default)]
    pub grants: Vec<Consent>,
    /// Application permissions on Microsoft Graph.
    #[serde(default)]
    pub app_role_assignments: Vec<Permission>,
    /// Records of the directory's log, as Graph shows them, with `by`, `target`, `from` and `hours_ago`.
    #[serde(default)]
    pub audits: Vec<Map<String, Value>>,
    /// Sign-ins, as Graph shows them, with `user` or `application`, `kind` and `hours_ago`; `count` makes many of one.
    #[serde(default)]
    pub sign_ins: Vec<Map<String, Value>>,
    /// Users at risk: `user`, and members as Graph shows them.
    #[serde(default)]
    pub risky_users: Vec<Map<String, Value>>,
    /// What was detected: `user`, `hours_ago`, and members as Graph shows them.
    #[serde(default)]
    pub risk_detections: Vec<Map<String, Value>>,
    /// Inbox rules: `user`, and members as Graph shows them.
    #[serde(default)]
    pub inbox_rules: Vec<Map<String, Value>>,
    /// Conditional Access policies, as Graph shows them.
    #[serde(default)]
    pub access_policies: Vec<Map<String, Value>>,
    /// Named locations, as Graph shows them.
    #[serde(default)]
    pub named_locations: Vec<Map<String, Value>>,
    /// Directory roles that somebody may become.
    #[serde(default)]
    pub eligibilities: Vec<Held>,
    /// What becomes of a request for a role in Privileged Identity Management, by the role's name: `PendingApproval`
    /// or `Failed`; absent: it is provisioned.
    #[serde(default)]
    pub request_status: BTreeMap<String, String>,
}

/// Who holds a directory role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The holder's name.
    pub principal: String,
    /// The role's name.
    pub role: String,
    /// Days until it ends; absent: never.
    #[serde(default)]
    pub days_left: Option<i64>,
}

/// A consent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The service principal that may act.
    pub client: String,
    /// For whom; absent: for all.
    pub principal: Option<String>,
    /// What it may do.
    pub scope: String,
}

/// An application permission.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The service principal that may act.
    pub principal: String,
    /// The permission's name.
    pub role: String,
}

/// Fills the directory of a scenario.
pub(in crate::lab) fn seed(scenario: &Scenario, directory: &mut Directory, made: DateTime<Utc>) {
    let seeder = Seeder { scenario, made };
    seeder.tenant(directory);
    for caller in &scenario.callers {
        seeder.caller(directory, caller);
    }
    let seed = &scenario.directory;
    for user in &seed.users {
        seeder.user(directory, user);
    }
    for number in 1..=seed.many_users {
        let name = format!("user{number:05}@contoso.com");
        let user = [("userPrincipalName".to_owned(), json!(name))];
        seeder.user(directory, &user.into_iter().collect());
    }
    for application in &seed.applications {
        seeder.application(directory, application);
    }
    for principal in &seed.service_principals {
        seeder.principal(directory, principal);
    }
    for group in &seed.groups {
        seeder.group(directory, group);
    }
    for device in &seed.devices {
        seeder.device(directory, device);
    }
    for (number, method) in seed.methods.iter().enumerate() {
        seeder.method(directory, method, number);
    }
    for held in &seed.role_assignments {
        seeder.role(directory, held);
    }
    for consent in &seed.grants {
        seeder.consent(directory, consent);
    }
    for permission in &seed.app_role_assignments {
        permit(
            directory,
            &find(directory, &permission.principal),
            &permission.role,
        );
    }
    seeder.machines(directory);
    seeder.happened(directory);
}

pub(super) struct Seeder<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) made: DateTime<Utc>,
}

/// Adds what was written over what is usual.
pub(super) fn over(mut usual: Value, written: &Map<String, Value>, not: &[&str]) -> Value {
    for (name, value) in written {
        if !not.contains(&name.as_str()) {
            usual[name] = value.clone();
        }
    }
    usual
}

pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap_or_default().to_owned()
}

/// Finds an object by name or id; a name that nobody has is an id.
pub(super) fn find(directory: &Directory, name: &str) -> String {
    let called = |value: &&Value| {
        ["userPrincipalName", "displayName", "id"]
            .iter()
            .any(|member| {
                value[*member]
                    .as_str()
                    .is_some_and(|known| known.eq_ignore_ascii_case(name))
            })
    };
    ["users", "groups", "servicePrincipals", "devices"]
        .iter()
        .find_map(|kind| directory.all_now(kind).find(called).map(id_of))
        .unwrap_or_else(|| name.to_owned())
}

/// Grants an application permission on Microsoft Graph, which gets to know it thereby.
fn permit(directory: &mut Directory, principal: &str, role: &str) {
    let graph = guid("service principal Microsoft Graph");
    let role_id = guid(role);
    if let Some(mut resource) = directory.now("servicePrincipals", &graph).cloned() {
        let known = resource["appRoles"]
            .as_array()
            .is_some_and(|roles| roles.iter().any(|one| one["value"] == role));
        if !known && let Some(roles) = resource["appRoles"].as_array_mut() {
            roles.push(json!({"id": role_id, "value": role, "displayName": role, "isEnabled": true, "allowedMemberTypes": ["Application"], "origin": "Application"}));
            directory.seed("servicePrincipals", &graph, resource);
        }
    }
    let name = directory
        .now("servicePrincipals", principal)
        .map_or(Value::Null, |value| value["displayName"].clone());
    let id = guid(&format!("{principal} {role}"));
    directory.seed(
        "appRoleAssignments",
        &id,
        json!({"id": id, "deletedDateTime": null, "appRoleId": role_id, "createdDateTime": "2025-01-15T09:00:00Z", "principalDisplayName": name, "principalId": principal, "principalType": "ServicePrincipal", "resourceDisplayName": "Microsoft Graph", "resourceId": graph}),
    );
}

impl Seeder<'_> {
    fn days_ago(&self, days: i64) -> String {
        seconds(self.made - Duration::days(days))
    }

    fn tenant(&self, directory: &mut Directory) {
        let tenant = &self.scenario.tenant;
        directory.seed("organization", tenant, json!({"id": tenant, "displayName": "Contoso", "tenantType": "AAD", "onPremisesSyncEnabled": true, "technicalNotificationMails": [], "verifiedDomains": [{"name": "contoso.onmicrosoft.com", "isDefault": false, "isInitial": true}, {"name": "contoso.com", "isDefault": true, "isInitial": false}]}));
        for (name, initial) in [("contoso.com", false), ("contoso.onmicrosoft.com", true)] {
            directory.seed("domains", name, json!({"id": name, "authenticationType": "Managed", "isDefault": !initial, "isInitial": initial, "isRoot": true, "isVerified": true, "supportedServices": ["Email"]}));
        }
        for (id, name, privileged) in ROLES {
            directory.seed("roleDefinitions", id, json!({"id": id, "templateId": id, "displayName": name, "description": name, "isBuiltIn": true, "isEnabled": true, "isPrivileged": privileged, "version": "1", "resourceScopes": ["/"], "rolePermissions": []}));
        }
        let graph = guid("service principal Microsoft Graph");
        directory.seed("servicePrincipals", &graph, json!({"id": graph, "appId": GRAPH, "servicePrincipalNames": [GRAPH], "displayName": "Microsoft Graph", "appDisplayName": "Microsoft Graph", "servicePrincipalType": "Application", "accountEnabled": true, "appOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a", "appRoles": [], "oauth2PermissionScopes": [], "passwordCredentials": [], "keyCredentials": [], "tags": []}));
    }

    fn caller(&self, directory: &mut Directory, caller: &Caller) {
        let secret = json!([{"keyId": guid(&format!("secret of {}", caller.client_id)), "displayName": "lab", "hint": caller.client_secret.get(..3), "secretText": null, "customKeyIdentifier": null, "startDateTime": self.days_ago(30), "endDateTime": seconds(self.made + Duration::days(335)), "__sha256": Digest::of(caller.client_secret.as_bytes()).to_string()}]);
        let application = guid(&format!("application {}", caller.name));
        directory.seed("applications", &application, json!({"id": application, "appId": caller.client_id, "displayName": caller.name, "createdDateTime": self.days_ago(400), "signInAudience": "AzureADMyOrg", "isDisabled": null, "passwordCredentials": secret, "keyCredentials": [], "tags": []}));
        let principal = caller.object_id.as_str();
        directory.seed("servicePrincipals", principal, json!({"id": principal, "appId": caller.client_id, "servicePrincipalNames": [caller.client_id], "displayName": caller.name, "appDisplayName": caller.name, "servicePrincipalType": "Application", "accountEnabled": true, "appOwnerOrganizationId": self.scenario.tenant, "appRoles": [], "oauth2PermissionScopes": [], "passwordCredentials": [], "keyCredentials": [], "tags": []}));
        for permission in &caller.graph {
            permit(directory, principal, permission);
        }
        for role in &caller.directory_roles {
            let held = Held {
                principal: principal.to_owned(),
                role: role.clone(),
                days_left: None,
            };
            self.role(directory, &held);
        }
    }

    fn user(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let upn = text(written, "userPrincipalName");
        let local = upn.split('@').next().unwrap_or_default();
        let usual = json!({
            "id": guid(&format!("user {}", upn.to_lowercase())),
            "accountEnabled": true, "assignedLicenses": [], "businessPhones": [],
            "createdDateTime": self.days_ago(700), "displayName": local, "externalUserState": null,
            "givenName": null, "jobTitle": null, "lastPasswordChangeDateTime": self.days_ago(120),
            "mail": upn, "mailNickname": local, "mobilePhone": null, "officeLocation": null,
            "onPremisesDistinguishedName": null, "onPremisesImmutableId": null,
            "onPremisesSyncEnabled": null, "otherMails": [], "passwordPolicies": null,
            "passwordProfile": null, "preferredLanguage": null, "proxyAddresses": [format!("SMTP:{upn}")],
            "securityIdentifier": null, "signInSessionsValidFromDateTime": self.days_ago(120),
            "refreshTokensValidFromDateTime": self.days_ago(120), "surname": null,
            "userPrincipalName": upn, "userType": "Member",
        });
        let user = over(usual, written, &[]);
        directory.seed("users", &id_of(&user), user);
    }

    fn application(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let name = text(written, "displayName");
        let app = guid(&format!("app {name}"));
        let secrets: Vec<Value> = written
            .get("secrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|secret| json!({"keyId": guid(&format!("{name} {secret}")), "displayName": "seeded", "hint": secret.get(..3), "secretText": null, "customKeyIdentifier": null, "startDateTime": self.days_ago(200), "endDateTime": seconds(self.made + Duration::days(530)), "__sha256": Digest::of(secret.as_bytes()).to_string()}))
            .collect();
        let usual = json!({"id": guid(&format!("application {name}")), "appId": app, "displayName": name, "createdDateTime": self.days_ago(300), "signInAudience": "AzureADMyOrg", "isDisabled": null, "passwordCredentials": secrets, "keyCredentials": [], "requiredResourceAccess": [], "tags": []});
        let special = ["secrets", "owners", "federated"];
        let application = over(usual, written, &special);
        let principal = [
            ("displayName".to_owned(), json!(name)),
            ("appId".to_owned(), application["appId"].clone()),
            (
                "appOwnerOrganizationId".to_owned(),
                json!(self.scenario.tenant),
            ),
        ];
        self.principal(directory, &principal.into_iter().collect());
        for (number, one) in written
            .get("federated")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let mut one = one.clone();
            one["id"] = json!(guid(&format!("{name} federated {number}")));
            one["__application"] = application["id"].clone();
            directory.seed("federatedIdentityCredentials", &id_of(&one), one);
        }
        for owner in written
            .get("owners")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let owner = find(directory, owner);
            let link = json!({"object": application["id"], "owner": owner});
            directory.seed("owners", &format!("{}/{owner}", id_of(&application)), link);
        }
        directory.seed("applications", &id_of(&application), application);
    }

    fn principal(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let name = text(written, "displayName");
        let usual = json!({"id": guid(&format!("service principal {name}")), "appId": guid(&format!("app {name}")), "displayName": name, "appDisplayName": name, "servicePrincipalType": "Application", "accountEnabled": true, "appOwnerOrganizationId": guid("another tenant"), "appRoles": [], "oauth2PermissionScopes": [], "passwordCredentials": [], "keyCredentials": [], "replyUrls": [], "tags": [], "verifiedPublisher": null});
        let mut principal = over(usual, written, &[]);
        if principal["servicePrincipalNames"].is_null() {
            principal["servicePrincipalNames"] = json!([principal["appId"]]);
        }
        directory.seed("servicePrincipals", &id_of(&principal), principal);
    }

    fn group(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let name = text(written, "displayName");
        let usual = json!({"id": guid(name), "displayName": name, "createdDateTime": self.days_ago(600), "description": null, "groupTypes": [], "isAssignableToRole": null, "mailEnabled": false, "mailNickname": name, "securityEnabled": true});
        let group = over(usual, written, &["members"]);
        for member in written
            .get("members")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let member = find(directory, member);
            let link = json!({"group": group["id"], "member": member});
            directory.seed("members", &format!("{}/{member}", id_of(&group)), link);
        }
        directory.seed("groups", &id_of(&group), group);
    }

    fn device(&self, directory: &mut Directory, written: &Map<String, Value>) {
        let name = text(written, "displayName");
        let owner = find(directory, text(written, "owner"));
        let usual = json!({"id": guid(&format!("device {name}")), "deviceId": guid(&format!("device id {name}")), "displayName": name, "accountEnabled": true, "operatingSystem": "Windows", "operatingSystemVersion": "10.0.26100", "trustType": "AzureAd", "isCompliant": true, "isManaged": true, "registrationDateTime": self.days_ago(90), "approximateLastSignInDateTime": self.days_ago(1), "__owner": owner});
        let mut device = over(usual, written, &["owner", "days_ago"]);
        if let Some(days) = written.get("days_ago").and_then(Value::as_i64) {
            device["registrationDateTime"] = json!(self.days_ago(days));
        }
        directory.seed("devices", &id_of(&device), device);
    }

    fn method(&self, directory: &mut Directory, written: &Map<String, Value>, number: usize) {
        let user = find(directory, text(written, "user"));
        let kind = format!("#microsoft.graph.{}", text(written, "type"));
        let second = !["passwordAuthenticationMethod", "emailAuthenticationMethod"]
            .iter()
            .any(|other| kind.ends_with(other));
        let usual = json!({"@odata.type": kind, "id": guid(&format!("method {number} of {user}")), "createdDateTime": self.days_ago(300), "__user": user, "__second_factor": second, "__default": written.get("default").cloned().unwrap_or(json!(false))});
        let mut method = over(usual, written, &["user", "type", "default", "days_ago"]);
        if let Some(days) = written.get("days_ago").and_then(Value::as_i64) {
            method["createdDateTime"] = json!(self.days_ago(days));
        }
        directory.seed(
            "methods",
            &super::methods::key(&user, &id_of(&method)),
            method,
        );
    }

    fn role(&self, directory: &mut Directory, held: &Held) {
        let Some((role, ..)) = ROLES.iter().find(|(_, name, _)| *name == held.role) else {
            return;
        };
        let principal = find(directory, &held.principal);
        let id = guid(&format!("role assignment {principal} {role}"));
        let end = held
            .days_left
            .map(|days| seconds(self.made + Duration::days(days)));
        directory.seed("roleAssignments", &id, json!({"id": id, "principalId": principal, "roleDefinitionId": role, "directoryScopeId": "/", "appScopeId": null, "condition": null, "__end": end}));
    }

    fn consent(&self, directory: &mut Directory, consent: &Consent) {
        let client = find(directory, &consent.client);
        let principal = consent.principal.as_ref().map(|name| find(directory, name));
        let id = guid(&format!("grant {client} {principal:?} {}", consent.scope));
        let kind = if principal.is_some() {
            "Principal"
        } else {
            "AllPrincipals"
        };
        directory.seed("oauth2PermissionGrants", &id, json!({"id": id, "clientId": client, "consentType": kind, "principalId": principal, "resourceId": guid("service principal Microsoft Graph"), "scope": format!(" {}", consent.scope)}));
    }

    /// Identities of machines, their groups and permissions, as the scenario's `memberships` and `app_roles` say.
    fn machines(&self, directory: &mut Directory) {
        for (principal, groups) in &self.scenario.memberships {
            self.machine(directory, principal);
            for name in groups {
                let group: Map<String, Value> = [
                    ("displayName".to_owned(), json!(name)),
                    ("members".to_owned(), json!([principal])),
                ]
                .into_iter()
                .collect();
                self.group(directory, &group);
            }
        }
        for (principal, roles) in &self.scenario.app_roles {
            self.machine(directory, principal);
            for role in roles {
                permit(directory, principal, role);
            }
        }
        for machine in &self.scenario.machines {
            if let Some(principal) = &machine.system_identity {
                self.machine(directory, principal);
            }
        }
    }

    /// A principal whose machine may be gone by now is still in the directory.
    fn machine(&self, directory: &mut Directory, principal: &str) {
        let of_it = |machine: &&Machine| {
            machine
                .system_identity
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(principal))
        };
        let machine = self.scenario.machines.iter().find(of_it);
        let name = machine.map_or("deleted-machine", |machine| machine.name.as_str());
        if directory.now("servicePrincipals", principal).is_none() {
            directory.seed("servicePrincipals", principal, of_machine(principal, name));
        }
    }
}

fn of_machine(id: &str, name: &str) -> Value {
    let app = guid(&format!("client {id}"));
    json!({"id": id, "appId": app, "servicePrincipalNames": [app], "displayName": name, "servicePrincipalType": "ManagedIdentity", "accountEnabled": true, "appRoles": [], "passwordCredentials": [], "keyCredentials": [], "tags": [], "alternativeNames": []})
}

/// Returns the service principal of a managed identity that ARM made after the seed.
pub(in crate::lab) fn managed(store: &Store, id: &str) -> Option<Value> {
    let places = [
        ("Microsoft.Compute/virtualMachines", "/identity/principalId"),
        ("Microsoft.Logic/workflows", "/identity/principalId"),
        (
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            "/properties/principalId",
        ),
    ];
    places.iter().find_map(|(kind, place)| {
        let found = store.of_type("", kind).find(|value| {
            value
                .pointer(place)
                .and_then(Value::as_str)
                .is_some_and(|own| own.eq_ignore_ascii_case(id))
        })?;
        Some(of_machine(id, found["name"].as_str().unwrap_or_default()))
    })
}
