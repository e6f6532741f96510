//! Filters that know what applications were allowed: delegated grants and app roles (Graph sheet sections 1.8 and 1.9).

use serde_json::{Map, Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::order::at;
use super::rating::{Rating, actor, text, wildcard};

pub(super) const ROWS: &[Row] = &[
    (
        "judged_app_roles",
        judged_app_roles,
        "app role assignments | judged_app_roles({risky, critical, tenant}, principals): each with the permission's name, severity and what it allows",
    ),
    (
        "judged_grants",
        judged_grants,
        "delegated grants | judged_grants({risky, critical, tenant}, principals, audits): each with its risky scopes, severity and what it allows",
    ),
];

/// The tenant that owns Microsoft's own applications (Graph sheet section 1.15).
pub(super) const MICROSOFT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// Permissions worth a look where nobody names others (Graph sheet section 1.8).
const RISKY: [&str; 16] = [
    "Mail.Read*",
    "Mail.Send*",
    "MailboxSettings.ReadWrite",
    "Files.Read*.All",
    "Sites.*.All",
    "Contacts.Read*",
    "Notes.*",
    "Chat.Read*",
    "ChannelMessage.Read*",
    "User.ReadWrite.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "EWS.AccessAsUser.All",
    "IMAP.AccessAsUser.All",
    "POP.AccessAsUser.All",
    "SMTP.Send",
];
/// Permissions as good as an administrator's where nobody names others.
const CRITICAL: [&str; 12] = [
    "full_access_as_user",
    "full_access_as_app",
    "user_impersonation",
    "Directory.ReadWrite.All",
    "Directory.AccessAsUser.All",
    "RoleManagement.ReadWrite.Directory",
    "AppRoleAssignment.ReadWrite.All",
    "Application.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "UserAuthenticationMethod.ReadWrite.All",
    "Policy.ReadWrite.*",
    "Domain.ReadWrite.All",
];

/// Which permissions are worth a look, as patterns in which `*` stands for anything.
struct Risks<'a> {
    risky: Vec<&'a str>,
    critical: Vec<&'a str>,
    tenant: &'a str,
}

impl<'a> Risks<'a> {
    fn of(value: &'a Value) -> Self {
        let patterns = |name: &str, usual: &'static [&'static str]| {
            let found = value.get(name).and_then(Value::as_array);
            found.filter(|found| !found.is_empty()).map_or_else(
                || usual.to_vec(),
                |found| found.iter().filter_map(Value::as_str).collect(),
            )
        };
        Self {
            risky: patterns("risky", &RISKY),
            critical: patterns("critical", &CRITICAL),
            tenant: text(value, "tenant"),
        }
    }

    fn is_critical(&self, permission: &str) -> bool {
        self.critical
            .iter()
            .any(|pattern| wildcard(pattern, permission))
    }

    fn is_risky(&self, permission: &str) -> bool {
        self.is_critical(permission)
            || self
                .risky
                .iter()
                .any(|pattern| wildcard(pattern, permission))
    }

    /// Says whose the application is, and returns whether it is of another tenant and unverified.
    fn publisher(&self, client: Option<&Value>, rating: &mut Rating) -> bool {
        let Some(client) = client else {
            rating.medium("its service principal could not be read".to_owned());
            return true;
        };
        let home = text(client, "appOwnerOrganizationId");
        if home.is_empty() || home.eq_ignore_ascii_case(self.tenant) {
            return false;
        }
        match text(client, "verifiedPublisher.displayName") {
            "" => {
                rating.low(format!("of tenant {home}, whose publisher is not verified"));
                true
            }
            publisher => {
                rating.info(format!("of the verified publisher {publisher}"));
                false
            }
        }
    }
}

fn judged_grants(value: &Value, args: &[Value]) -> Result<Value, String> {
    let risks = Risks::of(arg(args, 0)?);
    let (principals, audits) = (list(arg(args, 1)?)?, list(arg(args, 2)?)?);
    Ok(list(value)?
        .iter()
        .map(|grant| grant_of(grant, &risks, principals, audits))
        .collect())
}

fn grant_of(grant: &Value, risks: &Risks<'_>, principals: &[Value], audits: &[Value]) -> Value {
    let client = by_id(principals, text(grant, "clientId"));
    let scopes: Vec<&str> = text(grant, "scope").split_whitespace().collect();
    let risky: Vec<&str> = scopes
        .iter()
        .copied()
        .filter(|scope| risks.is_risky(scope))
        .collect();
    let everybody = text(grant, "consentType") == "AllPrincipals";
    let mut rating = Rating::default();
    if !is_microsofts(client) && !risky.is_empty() {
        let unverified = risks.publisher(client, &mut rating);
        let why = risky.join(", ");
        if risky.iter().any(|scope| risks.is_critical(scope)) || unverified {
            rating.high(why);
        } else {
            rating.medium(why);
        }
        if scopes.contains(&"offline_access") {
            rating.info("keeps it without the user (offline_access)".to_owned());
        }
        if everybody {
            rating.medium("for every user of the tenant".to_owned());
        }
        match consent(grant, audits) {
            Some(event) => rating.info(consented(event)),
            None => rating.info("who consented is not known".to_owned()),
        }
    }
    let name = name_of(client, text(grant, "clientId"));
    let resource = name_of(
        by_id(principals, text(grant, "resourceId")),
        text(grant, "resourceId"),
    );
    let whom = if everybody { "every user" } else { "one user" };
    let what = format!(
        "{name} may act for {whom} on {resource}{}",
        rating.reasons_after(": ")
    );
    with(
        grant,
        &json!({"client": name, "resource": resource, "risky": risky, "severity": rating.severity(), "what": what}),
    )
}

fn judged_app_roles(value: &Value, args: &[Value]) -> Result<Value, String> {
    let risks = Risks::of(arg(args, 0)?);
    let principals = list(arg(args, 1)?)?;
    Ok(list(value)?
        .iter()
        .map(|assignment| app_role_of(assignment, &risks, principals))
        .collect())
}

fn app_role_of(assignment: &Value, risks: &Risks<'_>, principals: &[Value]) -> Value {
    let resource = by_id(principals, text(assignment, "resourceId"));
    let role_id = text(assignment, "appRoleId");
    let permission = role_name(resource, role_id);
    let client = by_id(principals, text(assignment, "principalId"));
    let is_app = text(assignment, "principalType") == "ServicePrincipal";
    let risky = is_app && permission.is_some_and(|name| risks.is_risky(name));
    let mut rating = Rating::default();
    if risky && !is_microsofts(client) {
        let unverified = risks.publisher(client, &mut rating);
        let critical = permission.is_some_and(|name| risks.is_critical(name));
        let why = "without any user, for the whole tenant".to_owned();
        if critical || unverified {
            rating.high(why);
        } else {
            rating.medium(why);
        }
        if let Some(since) = at(assignment, "createdDateTime") {
            rating.info(format!("since {}", since.date_naive()));
        }
    }
    let default = role_id == "00000000-0000-0000-0000-000000000000";
    let permission = permission.unwrap_or(if default {
        "the default access"
    } else {
        role_id
    });
    let name = match text(assignment, "principalDisplayName") {
        "" => name_of(client, text(assignment, "principalId")),
        name => name,
    };
    let resource = match text(assignment, "resourceDisplayName") {
        "" => name_of(resource, text(assignment, "resourceId")),
        name => name,
    };
    let what = format!(
        "{name} has {permission} on {resource}{}",
        rating.reasons_after(": ")
    );
    let severity = if risky { rating.severity() } else { "info" };
    with(
        assignment,
        &json!({"permission": permission, "client": name, "resource": resource, "risky": risky, "severity": severity, "what": what}),
    )
}

/// Finds the event in which somebody consented to the application of a grant.
fn consent<'a>(grant: &Value, audits: &'a [Value]) -> Option<&'a Value> {
    let names = ["consent to application", "add delegated permission grant"];
    audits.iter().find(|event| {
        let targets = event.get("targetResources").and_then(Value::as_array);
        let mut targets = targets.into_iter().flatten();
        names.contains(
            &text(event, "activityDisplayName")
                .trim()
                .to_lowercase()
                .as_str(),
        ) && targets.any(|target| {
            let id = text(target, "id");
            !id.is_empty() && id.eq_ignore_ascii_case(text(grant, "clientId"))
        })
    })
}

fn consented(event: &Value) -> String {
    let when = at(event, "activityDateTime");
    let when = when.map(|when| format!(" on {}", when.date_naive()));
    format!("consented by {}{}", actor(event), when.unwrap_or_default())
}

fn is_microsofts(client: Option<&Value>) -> bool {
    client.is_some_and(|client| {
        text(client, "appOwnerOrganizationId").eq_ignore_ascii_case(MICROSOFT)
    })
}

fn role_name<'a>(resource: Option<&'a Value>, id: &str) -> Option<&'a str> {
    let roles = resource?.get("appRoles")?.as_array()?;
    let role = roles
        .iter()
        .find(|role| text(role, "id").eq_ignore_ascii_case(id))?;
    role.get("value")?.as_str().filter(|name| !name.is_empty())
}

fn by_id<'a>(objects: &'a [Value], id: &str) -> Option<&'a Value> {
    let mut objects = objects.iter();
    objects.find(|object| !id.is_empty() && text(object, "id").eq_ignore_ascii_case(id))
}

fn name_of<'a>(object: Option<&'a Value>, id: &'a str) -> &'a str {
    match object.map(|object| text(object, "displayName")) {
        None | Some("") => id,
        Some(name) => name,
    }
}

fn with(object: &Value, more: &Value) -> Value {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_else(Map::new);
    let mut merged = members(object);
    merged.extend(members(more));
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risks() -> Value {
        json!({"risky": ["Mail.Read*", "Files.Read*.All"], "critical": ["RoleManagement.ReadWrite.Directory"], "tenant": "T"})
    }

    fn principals() -> Value {
        json!([
            {"id": "own", "displayName": "Shop", "appOwnerOrganizationId": "t"},
            {"id": "evil", "displayName": "PDF Converter", "appOwnerOrganizationId": "X"},
            {"id": "ms", "displayName": "Office", "appOwnerOrganizationId": MICROSOFT},
            {"id": "graph", "displayName": "Microsoft Graph", "appRoles": [
                {"id": "r1", "value": "RoleManagement.ReadWrite.Directory"}, {"id": "r2", "value": "Mail.Read"}, {"id": "r3", "value": "User.Read.All"}]},
        ])
    }

    fn grant(client: &str, kind: &str, scope: &str) -> (String, String) {
        let audits = json!([{"activityDisplayName": "Consent to application", "activityDateTime": "2026-05-01T10:00:00Z",
            "initiatedBy": {"user": {"userPrincipalName": "heidi@contoso.com"}}, "targetResources": [{"id": "EVIL"}]}]);
        let grants = json!([{"id": "g", "clientId": client, "consentType": kind, "resourceId": "graph", "scope": scope}]);
        let judged = judged_grants(&grants, &[risks(), principals(), audits]).unwrap();
        (
            text(&judged[0], "severity").to_owned(),
            text(&judged[0], "what").to_owned(),
        )
    }

    #[test]
    fn a_grant_is_as_bad_as_its_scopes_and_its_publisher() {
        let (severity, what) = grant("evil", "Principal", " Mail.Read offline_access User.Read");
        assert_eq!(severity, "high");
        assert_eq!(
            what,
            "PDF Converter may act for one user on Microsoft Graph: Mail.Read; of tenant X, whose publisher is not verified; keeps it without the user (offline_access); consented by heidi@contoso.com on 2026-05-01"
        );
        assert_eq!(grant("own", "AllPrincipals", "Mail.ReadWrite").0, "medium");
        assert_eq!(
            grant("own", "Principal", "RoleManagement.ReadWrite.Directory").0,
            "high"
        );
        assert_eq!(grant("own", "Principal", "User.Read openid").0, "info");
        assert_eq!(grant("ms", "AllPrincipals", "Mail.ReadWrite").0, "info");
        assert_eq!(grant("gone", "Principal", "Files.ReadWrite.All").0, "high");
        assert_eq!(grant("evil", "Principal", "Files.ReadWrite").0, "info");
    }

    #[test]
    fn an_app_role_is_told_by_its_name() {
        let of = |client: &str, role: &str, kind: &str| {
            let roles = json!([{"principalId": client, "principalType": kind, "appRoleId": role, "resourceId": "graph", "createdDateTime": "2026-05-01T10:00:00Z"}]);
            let judged = judged_app_roles(&roles, &[risks(), principals()]).unwrap();
            (
                text(&judged[0], "severity").to_owned(),
                text(&judged[0], "what").to_owned(),
            )
        };
        let (severity, what) = of("own", "r1", "ServicePrincipal");
        assert_eq!(severity, "high");
        assert!(
            what.starts_with("Shop has RoleManagement.ReadWrite.Directory on Microsoft Graph"),
            "{what}"
        );
        assert_eq!(of("own", "r2", "ServicePrincipal").0, "medium");
        assert_eq!(of("own", "r3", "ServicePrincipal").0, "info");
        // A user's assignment says only that the user may use the application.
        assert_eq!(of("own", "r1", "User").0, "info");
        assert!(
            of("own", "00000000-0000-0000-0000-000000000000", "User")
                .1
                .contains("the default access")
        );
    }
}
