//! Which permission on Microsoft Graph a write takes: any one of those listed, the least first
//! (graph-and-data-planes.md section 1, from Microsoft's permissions reference).

/// A write: its method, its path below the version (`{}` for one segment), and the permissions of which one is enough.
struct Write(&'static str, &'static str, &'static [&'static str]);

/// Returns the permissions of which one is enough for a write; of a write that is not known here, nothing.
///
/// What a PATCH of a user takes depends on the members in its body: the account's state and its password have
/// permissions of their own.
pub(crate) fn enough_for(
    method: &str,
    path: &str,
    members: &[&str],
) -> Option<&'static [&'static str]> {
    let below: Vec<&str> = path
        .split('?')
        .next()?
        .split('/')
        .filter(|part| !part.is_empty())
        .skip(1)
        .collect();
    match (method, below.as_slice()) {
        ("PATCH", ["users", _]) => match members {
            [] => None,
            ["accountEnabled"] => Some(ENABLE),
            ["passwordProfile"] => Some(PASSWORD),
            _ => Some(USERS),
        },
        ("DELETE", ["users", _, "authentication", collection, _]) => METHODS
            .iter()
            .find(|(known, _)| known == collection)
            .map(|(_, permissions)| *permissions),
        _ => WRITES
            .iter()
            .find(|Write(known, pattern, _)| *known == method && fits(pattern, &below))
            .map(|Write(_, _, permissions)| *permissions),
    }
}

/// Returns the permissions that are enough where one is declared: it, and those that include it.
pub(crate) fn including(permission: &str) -> Vec<&str> {
    let more = HIGHER
        .iter()
        .find(|(known, _)| *known == permission)
        .map_or(&[][..], |(_, more)| *more);
    std::iter::once(permission)
        .chain(more.iter().copied())
        .collect()
}

fn fits(pattern: &str, path: &[&str]) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let same = |(known, part): (&&str, &&str)| *known == "{}" || known.eq_ignore_ascii_case(part);
    pattern.len() == path.len() && pattern.iter().zip(path).all(same)
}

const ANY_METHOD: &str = "UserAuthenticationMethod.ReadWrite.All";
const APPLICATIONS: &[&str] = &[
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.ReadWrite.All",
];
const APP_ROLES: &[&str] = &["AppRoleAssignment.ReadWrite.All"];
const CONDITIONAL_ACCESS: &[&str] = &["Policy.ReadWrite.ConditionalAccess"];
const DEVICES: &[&str] = &["Device.ReadWrite.All", "Directory.ReadWrite.All"];
const DIRECTORY_ROLES: &[&str] = &["RoleManagement.ReadWrite.Directory"];
const ENABLE: &[&str] = &[
    "User.EnableDisableAccount.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const GRANTS: &[&str] = &[
    "DelegatedPermissionGrant.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const MAIL: &[&str] = &["MailboxSettings.ReadWrite"];
const PASSWORD: &[&str] = &[
    "User-PasswordProfile.ReadWrite.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
    "Directory.AccessAsUser.All",
];
const REVOKE: &[&str] = &[
    "User.RevokeSessions.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
];
const RISK: &[&str] = &["IdentityRiskyUser.ReadWrite.All"];
const USERS: &[&str] = &["User.ReadWrite.All", "Directory.ReadWrite.All"];

const WRITES: &[Write] = &[
    Write(
        "DELETE",
        "applications/{}/federatedIdentityCredentials/{}",
        APPLICATIONS,
    ),
    Write("DELETE", "applications/{}/owners/{}/$ref", APPLICATIONS),
    Write(
        "DELETE",
        "identity/conditionalAccess/policies/{}",
        CONDITIONAL_ACCESS,
    ),
    Write("DELETE", "oauth2PermissionGrants/{}", GRANTS),
    Write(
        "DELETE",
        "roleManagement/directory/roleAssignments/{}",
        DIRECTORY_ROLES,
    ),
    Write(
        "DELETE",
        "servicePrincipals/{}/appRoleAssignments/{}",
        APP_ROLES,
    ),
    Write(
        "DELETE",
        "servicePrincipals/{}/owners/{}/$ref",
        APPLICATIONS,
    ),
    Write("DELETE", "users/{}/mailFolders/inbox/messageRules/{}", MAIL),
    Write("PATCH", "applications/{}", APPLICATIONS),
    Write("PATCH", "devices/{}", DEVICES),
    Write(
        "PATCH",
        "identity/conditionalAccess/policies/{}",
        CONDITIONAL_ACCESS,
    ),
    Write("PATCH", "servicePrincipals/{}", APPLICATIONS),
    Write("POST", "applications/{}/addPassword", APPLICATIONS),
    Write("POST", "applications/{}/removePassword", APPLICATIONS),
    Write(
        "POST",
        "identity/conditionalAccess/policies",
        CONDITIONAL_ACCESS,
    ),
    Write(
        "POST",
        "identityProtection/riskyUsers/confirmCompromised",
        RISK,
    ),
    Write("POST", "identityProtection/riskyUsers/dismiss", RISK),
    Write(
        "POST",
        "roleManagement/directory/roleAssignmentScheduleRequests",
        &[
            "RoleAssignmentSchedule.ReadWrite.Directory",
            "RoleManagement.ReadWrite.Directory",
        ],
    ),
    Write(
        "POST",
        "roleManagement/directory/roleAssignments",
        DIRECTORY_ROLES,
    ),
    Write(
        "POST",
        "roleManagement/directory/roleEligibilityScheduleRequests",
        &[
            "RoleEligibilitySchedule.ReadWrite.Directory",
            "RoleManagement.ReadWrite.Directory",
        ],
    ),
    Write("POST", "servicePrincipals/{}/removePassword", APPLICATIONS),
    Write("POST", "users/{}/revokeSignInSessions", REVOKE),
];

/// Methods of authentication: by their collection, what deletes them (section 1.6).
const METHODS: &[(&str, &[&str])] = &[
    (
        "emailMethods",
        &["UserAuthMethod-Email.ReadWrite.All", ANY_METHOD],
    ),
    (
        "externalAuthenticationMethods",
        &["UserAuthMethod-External.ReadWrite.All", ANY_METHOD],
    ),
    (
        "fido2Methods",
        &["UserAuthMethod-Passkey.ReadWrite.All", ANY_METHOD],
    ),
    (
        "microsoftAuthenticatorMethods",
        &["UserAuthMethod-MicrosoftAuthApp.ReadWrite.All", ANY_METHOD],
    ),
    (
        "phoneMethods",
        &["UserAuthMethod-Phone.ReadWrite.All", ANY_METHOD],
    ),
    (
        "platformCredentialMethods",
        &["UserAuthMethod-PlatformCred.ReadWrite.All", ANY_METHOD],
    ),
    (
        "softwareOathMethods",
        &["UserAuthMethod-SoftwareOATH.ReadWrite.All", ANY_METHOD],
    ),
    (
        "temporaryAccessPassMethods",
        &["UserAuthMethod-TAP.ReadWrite.All", ANY_METHOD],
    ),
    (
        "windowsHelloForBusinessMethods",
        &["UserAuthMethod-WindowsHello.ReadWrite.All", ANY_METHOD],
    ),
];

/// What includes a permission that only reads.
const HIGHER: &[(&str, &[&str])] = &[
    (
        "Application.Read.All",
        &[
            "Application.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    ("AuditLog.Read.All", &[]),
    (
        "Device.Read.All",
        &[
            "Device.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    ("Directory.Read.All", &["Directory.ReadWrite.All"]),
    (
        "Domain.Read.All",
        &[
            "Domain.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    (
        "GroupMember.Read.All",
        &[
            "Group.Read.All",
            "Group.ReadWrite.All",
            "GroupMember.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    (
        "IdentityRiskEvent.Read.All",
        &["IdentityRiskEvent.ReadWrite.All"],
    ),
    (
        "IdentityRiskyServicePrincipal.Read.All",
        &["IdentityRiskyServicePrincipal.ReadWrite.All"],
    ),
    (
        "IdentityRiskyUser.Read.All",
        &["IdentityRiskyUser.ReadWrite.All"],
    ),
    ("MailboxSettings.Read", &["MailboxSettings.ReadWrite"]),
    ("Policy.Read.All", &[]),
    (
        "RoleAssignmentSchedule.Read.Directory",
        &[
            "RoleAssignmentSchedule.ReadWrite.Directory",
            "RoleManagement.Read.Directory",
            "RoleManagement.Read.All",
            "RoleManagement.ReadWrite.Directory",
        ],
    ),
    (
        "RoleEligibilitySchedule.Read.Directory",
        &[
            "RoleEligibilitySchedule.ReadWrite.Directory",
            "RoleManagement.Read.Directory",
            "RoleManagement.Read.All",
            "RoleManagement.ReadWrite.Directory",
        ],
    ),
    (
        "RoleManagement.Read.Directory",
        &[
            "RoleManagement.Read.All",
            "RoleManagement.ReadWrite.Directory",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    (
        "User.Read.All",
        &[
            "User.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    (
        "UserAuthenticationMethod.Read.All",
        &["UserAuthenticationMethod.ReadWrite.All"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_permissions_is_enough_and_the_least_is_first() {
        let first =
            |method, path, members: &[&str]| enough_for(method, path, members).map(|all| all[0]);
        for (method, path, members, least) in [
            (
                "POST",
                "/v1.0/users/a/revokeSignInSessions",
                &[][..],
                "User.RevokeSessions.All",
            ),
            (
                "PATCH",
                "/v1.0/users/a",
                &["accountEnabled"],
                "User.EnableDisableAccount.All",
            ),
            (
                "PATCH",
                "/v1.0/users/a",
                &["passwordProfile"],
                "User-PasswordProfile.ReadWrite.All",
            ),
            (
                "PATCH",
                "/v1.0/users/a",
                &["displayName"],
                "User.ReadWrite.All",
            ),
            (
                "DELETE",
                "/v1.0/users/a/authentication/phoneMethods/b",
                &[],
                "UserAuthMethod-Phone.ReadWrite.All",
            ),
            (
                "DELETE",
                "/v1.0/users/a/authentication/fido2Methods/b",
                &[],
                "UserAuthMethod-Passkey.ReadWrite.All",
            ),
        ] {
            assert_eq!(first(method, path, members), Some(least), "{method} {path}");
        }
        assert_eq!(first("POST", "/v1.0/users/a/sendMail", &[]), None);
        assert_eq!(first("PATCH", "/v1.0/users/a", &[]), None);
        assert!(including("User.Read.All").contains(&"Directory.Read.All"));
        assert_eq!(including("Mail.Read"), ["Mail.Read"]);
    }
}
