//! Policies that decide who may consent and who may sign in (sections 1.19 and 3).

use serde_json::json;

use super::query::{self, Shape};
use super::{Route, Visit, route};
use crate::lab::reply::Reply;

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

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "policies/authorizationPolicy",
        &["Policy.Read.All", "Policy.ReadWrite.Authorization"],
        authorization,
    ),
    route(
        "GET",
        "identity/conditionalAccess/policies",
        &[
            "Policy.Read.All",
            "Policy.Read.ConditionalAccess",
            "Policy.ReadWrite.ConditionalAccess",
        ],
        access,
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

fn access(visit: &mut Visit<'_>, _: &[&str]) -> Reply {
    match query::read(visit, &ACCESS) {
        Ok(query) => query.page(visit, &ACCESS, visit.listed("accessPolicies", |_| true)),
        Err(refusal) => refusal,
    }
}
