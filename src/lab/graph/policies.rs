//! Policies that decide who may consent and who may sign in (sections 1.19 and 3).

use serde_json::{Value, json};

use super::audit::{self, Act};
use super::query::{self, Shape};
use super::{Route, Visit, body, route};
use crate::lab::reply::{Reply, graph_error};

const ACCESS: Shape = Shape {
    name: "identity/conditionalAccess/policies",
    properties: &[
        "id",
        "displayName",
        "createdDateTime",
        "modifiedDateTime",
        "state",
        "conditions",
        "grantControls",
        "sessionControls",
        "templateId",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const LOCATION: Shape = Shape {
    name: "identity/conditionalAccess/namedLocations",
    properties: &[
        "id",
        "displayName",
        "createdDateTime",
        "modifiedDateTime",
        "isTrusted",
        "ipRanges",
        "countriesAndRegions",
        "countryLookupMethod",
        "includeUnknownCountriesAndRegions",
    ],
    usual: &[],
    expands: &[],
    pages: (999, 100),
    directory: false,
};

const SEE_ACCESS: &[&str] = &[
    "Policy.Read.All",
    "Policy.Read.ConditionalAccess",
    "Policy.ReadWrite.ConditionalAccess",
];

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "policies/authorizationPolicy",
        &["Policy.Read.All", "Policy.ReadWrite.Authorization"],
        authorization,
    ),
    route(
        "GET",
        "policies/adminConsentRequestPolicy",
        &["Policy.Read.All", "Policy.ReadWrite.ConsentRequest"],
        consent_requests,
    ),
    route(
        "GET",
        "identity/conditionalAccess/namedLocations",
        SEE_ACCESS,
        locations,
    ),
    route(
        "GET",
        "identity/conditionalAccess/policies",
        SEE_ACCESS,
        access,
    ),
    route(
        "GET",
        "identity/conditionalAccess/policies/{}",
        SEE_ACCESS,
        one_access,
    ),
    route(
        "POST",
        "identity/conditionalAccess/policies",
        &["Policy.ReadWrite.ConditionalAccess"],
        make_access,
    ),
    route(
        "DELETE",
        "identity/conditionalAccess/policies/{}",
        &["Policy.ReadWrite.ConditionalAccess"],
        delete_access,
    ),
];

fn authorization(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let context = visit.context("policies/authorizationPolicy/$entity");
    Reply::json(
        200,
        &json!({
            "@odata.context": context, "id": "authorizationPolicy", "displayName": "Authorization Policy",
            "description": "Used to manage authorization related settings across the company.",
            "allowInvitesFrom": "everyone", "allowUserConsentForRiskyApps": null, "blockMsolPowerShell": false,
            "allowedToSignUpEmailBasedSubscriptions": true, "allowedToUseSSPR": true, "allowEmailVerifiedUsersToJoinOrganization": false,
            "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
            "defaultUserRolePermissions": {
                "allowedToCreateApps": true, "allowedToCreateSecurityGroups": true, "allowedToCreateTenants": true,
                "allowedToReadBitlockerKeysForOwnedDevice": true, "allowedToReadOtherUsers": true,
                "permissionGrantPoliciesAssigned": ["ManagePermissionGrantsForSelf.microsoft-user-default-legacy"],
            },
        }),
    )
}

/// Nobody may ask an administrator for a consent that he may not give himself: the tenant's default.
fn consent_requests(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let context = visit.context("policies/adminConsentRequestPolicy/$entity");
    Reply::json(
        200,
        &json!({
            "@odata.context": context, "isEnabled": false, "notifyReviewers": false, "remindersEnabled": false,
            "requestDurationInDays": 0, "version": 0, "reviewers": [],
        }),
    )
}

fn locations(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &LOCATION) {
        Ok(query) => query.page(visit, &LOCATION, visit.listed("namedLocations", |_| true)),
        Err(refusal) => refusal,
    }
}

fn access(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &ACCESS) {
        Ok(query) => query.page(visit, &ACCESS, visit.listed("accessPolicies", |_| true)),
        Err(refusal) => refusal,
    }
}

fn one_access(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match (
        query::read_one(visit, &ACCESS),
        visit.seen("accessPolicies", held[0]),
    ) {
        (Ok(query), Some(policy)) => query::one(visit, &ACCESS, &query, policy),
        (Ok(_), None) => no_policy(held[0]),
        (Err(refusal), _) => refusal,
    }
}

fn no_policy(id: &str) -> Reply {
    graph_error(
        404,
        "NotFound",
        &format!("The policy '{id}' was not found."),
    )
}

/// A policy says whom it concerns, where, and what is asked of them.
fn make_access(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    let known = [
        "displayName",
        "state",
        "conditions",
        "grantControls",
        "sessionControls",
    ];
    let members = match body::read(visit, &known) {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    let mut policy = Value::Object(members);
    let filled = |path: &str| {
        policy
            .pointer(path)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    let sound = policy["displayName"]
        .as_str()
        .is_some_and(|name| !name.is_empty())
        && ["enabled", "disabled", "enabledForReportingButNotEnforced"]
            .contains(&policy["state"].as_str().unwrap_or_default())
        && filled("/conditions/clientAppTypes")
        && filled("/conditions/applications/includeApplications")
        && ["includeUsers", "includeGroups", "includeRoles"]
            .iter()
            .any(|who| filled(&format!("/conditions/users/{who}")))
        && (filled("/grantControls/builtInControls") || policy["sessionControls"].is_object());
    if !sound {
        return graph_error(
            400,
            "BadRequest",
            "1037: The policy is not valid: state, conditions or controls are missing.",
        );
    }
    let id = visit.new_id();
    policy["id"] = json!(id);
    policy["createdDateTime"] = json!(visit.time());
    policy["modifiedDateTime"] = Value::Null;
    visit.put("accessPolicies", &id, policy.clone());
    note(visit, "Add Conditional Access policy", &policy);
    Reply::json(201, &policy)
}

fn delete_access(visit: &mut Visit<'_>, held: &[&str]) -> Reply {
    match visit.remove("accessPolicies", held[0]) {
        Some(policy) => {
            note(visit, "Delete Conditional Access policy", &policy);
            Reply::empty(204)
        }
        None => no_policy(held[0]),
    }
}

fn note(visit: &mut Visit<'_>, activity: &str, policy: &Value) {
    let act = Act {
        activity,
        category: "Policy",
        kind: "Policy",
        target: policy,
        modified: &[],
    };
    audit::write(visit, &act);
}
