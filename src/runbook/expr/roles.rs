//! Filters that know who holds which role: Azure roles (arm.md section 6) and Entra directory roles (Graph sheet
//! sections 0.1 and 1.12).

use serde_json::{Map, Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::rating::{Rating, text, wildcard};
use crate::ids::ArmId;

pub(super) const ROWS: &[Row] = &[
    (
        "directory_roles",
        directory_roles,
        "directory role assignments | directory_roles('active', role definitions, principals): each with role, holder, severity and what it means",
    ),
    (
        "held_roles",
        held_roles,
        "Azure role assignments | held_roles('active', role definitions, principals): each with role, holder, power, severity and what it means",
    ),
];

/// Directory roles that Microsoft labels privileged, by template id, which a built-in role's id equals.
const PRIVILEGED: [&str; 16] = [
    "0526716b-113d-4c15-b2c8-68e3c22b9f80",
    "158c047a-c907-4556-b7ef-446551a6b5f7",
    "194ae4cb-b126-40b2-bd5b-6091b380977d",
    "3a2c62db-5318-420d-8d74-23affee5d9d5",
    "5f2222b1-57c3-48ba-8ad5-d4759f1fde6f",
    "62e90394-69f5-4237-9190-012177145e10",
    "729827e3-9c14-49f7-bb1b-9608f156bbb8",
    "7698a772-787b-4ac8-901f-60d6b08affd2",
    "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
    "8329153b-31d0-4727-b945-745eb3bc5f31",
    "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2",
    "966707d0-3269-4727-9be2-8c3a10f19b9d",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
    "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
    "c4e39bd9-1100-46d3-8c65-fb160da0071f",
    "fe930be7-5e62-47db-91af-98c3a49a38b1",
];
/// Directory roles from which every other one can be had: Global, Privileged Authentication and Privileged Role
/// Administrator.
const HIGHEST: [&str; 3] = [
    "62e90394-69f5-4237-9190-012177145e10",
    "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
    "e8611ab8-c189-46e8-94e1-60213ab1f814",
];

fn held_roles(value: &Value, args: &[Value]) -> Result<Value, String> {
    let how = text_arg(args, 0)?;
    let (definitions, principals) = (list(arg(args, 1)?)?, list(arg(args, 2)?)?);
    Ok(list(value)?
        .iter()
        .map(|assignment| held_role(assignment, how, definitions, principals))
        .collect())
}

fn held_role(assignment: &Value, how: &str, definitions: &[Value], principals: &[Value]) -> Value {
    let role_id = ArmId::name_of(text(assignment, "properties.roleDefinitionId"));
    let definition = definitions
        .iter()
        .find(|definition| text(definition, "name").eq_ignore_ascii_case(role_id));
    let role = match definition.map(|definition| text(definition, "properties.roleName")) {
        None | Some("") => role_id,
        Some(name) => name,
    };
    let holder = Holder::of(
        text(assignment, "properties.principalId"),
        text(assignment, "properties.principalType"),
        principals,
    );
    let scope = text(assignment, "properties.scope");
    let reach = Reach::of(scope);
    let power = Power::of(definition);
    let through = text(assignment, "through");
    let mut rating = Rating::default();
    if let Some(does) = power.words() {
        rate_reach(reach, power, does, &mut rating);
        holder.rate(through, &mut rating);
        if definition.is_some_and(|definition| text(definition, "properties.type") == "CustomRole")
        {
            rating.medium("a role of the tenant's own making".to_owned());
        }
    } else if holder.orphan {
        rating.low("its holder is not there any more".to_owned());
    }
    if how != "active" && power.words().is_some() {
        rating.info("can be activated at any time".to_owned());
    }
    let what = format!(
        "{} {} {role} on {}{}",
        holder.name,
        had(how),
        reach.words(scope),
        rating.reasons_after(": ")
    );
    json!({
        "id": assignment.get("id"), "role": role, "scope": scope, "power": power.word(), "how": how,
        "holder": holder.name, "holder_id": holder.id, "kind": holder.kind, "guest": holder.guest,
        "orphan": holder.orphan, "severity": rating.severity(), "what": what,
    })
}

fn rate_reach(reach: Reach, power: Power, does: &str, rating: &mut Rating) {
    let why = does.to_owned();
    match (reach, power) {
        (Reach::Root, _) => rating.high(format!("{does}, in every subscription of the tenant")),
        (Reach::ManagementGroup, _)
        | (Reach::Subscription, Power::Everything | Power::GiveRoles) => {
            rating.medium(why);
        }
        _ => rating.low(why),
    }
}

/// How far a scope reaches, the widest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    Root,
    ManagementGroup,
    Subscription,
    Group,
    Resource,
}

impl Reach {
    fn of(scope: &str) -> Self {
        let lower = scope.trim_end_matches('/').to_lowercase();
        let segments = lower
            .split('/')
            .filter(|segment| !segment.is_empty())
            .count();
        match segments {
            0 => Self::Root,
            _ if lower.starts_with("/providers/microsoft.management/managementgroups/") => {
                Self::ManagementGroup
            }
            1 | 2 => Self::Subscription,
            3 | 4 => Self::Group,
            _ => Self::Resource,
        }
    }

    fn words(self, scope: &str) -> String {
        let name = ArmId::name_of(scope);
        match self {
            Self::Root => "the root scope /".to_owned(),
            Self::ManagementGroup => format!("management group {name}"),
            Self::Subscription => format!("subscription {name}"),
            Self::Group => format!("resource group {name}"),
            Self::Resource => scope.to_owned(),
        }
    }
}

/// What a role allows at worst, found in its actions and not in its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Power {
    /// All there is, the giving of roles too.
    Everything,
    /// Roles, and through them all there is.
    GiveRoles,
    /// All resources, without the giving of roles.
    Change,
    /// No more than some things.
    Some,
}

impl Power {
    fn of(definition: Option<&Value>) -> Self {
        let permissions = definition
            .and_then(|definition| crate::json::member(definition, "properties.permissions"))
            .and_then(Value::as_array);
        let mut worst = Self::Some;
        for element in permissions.into_iter().flatten() {
            let matches = |list: &str, action: &str| {
                let patterns = element.get(list).and_then(Value::as_array);
                let mut patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
                patterns.any(|pattern| wildcard(pattern, action))
            };
            let allows =
                |action: &str| matches("actions", action) && !matches("notActions", action);
            let gives = allows("Microsoft.Authorization/roleAssignments/write");
            // An action of a provider that nobody has: only a role for all of them allows it.
            let all = allows("Azir.Any/things/write");
            worst = match (worst, all, gives) {
                (Self::Everything, ..) | (_, true, true) => Self::Everything,
                (Self::GiveRoles, ..) | (_, _, true) => Self::GiveRoles,
                (Self::Change, ..) | (_, true, _) => Self::Change,
                (worst, ..) => worst,
            };
        }
        worst
    }

    fn word(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::GiveRoles => "roles",
            Self::Change => "resources",
            Self::Some => "some",
        }
    }

    fn words(self) -> Option<&'static str> {
        match self {
            Self::Everything => Some("may do everything and give roles"),
            Self::GiveRoles => Some("may give itself and others any role"),
            Self::Change => Some("may change every resource"),
            Self::Some => None,
        }
    }
}

/// Who holds a role.
struct Holder<'a> {
    id: &'a str,
    name: String,
    kind: &'a str,
    guest: bool,
    orphan: bool,
}

impl<'a> Holder<'a> {
    /// `kind` is what the assignment says; where it says nothing the directory's type does.
    fn of(id: &'a str, kind: &'a str, principals: &'a [Value]) -> Self {
        let found = principals
            .iter()
            .find(|principal| text(principal, "id").eq_ignore_ascii_case(id));
        // Its name has a dot, so that it has no path.
        let typed = found.and_then(|found| found.get("@odata.type")?.as_str());
        let typed = typed.and_then(|typed| typed.rsplit('.').next());
        let typed = typed.unwrap_or_default();
        let kind = if kind.is_empty() { typed } else { kind };
        let upn = found.map_or("", |found| text(found, "userPrincipalName"));
        let display = found.map_or("", |found| text(found, "displayName"));
        let name = match (upn, display) {
            ("", "") => id,
            ("", display) => display,
            (upn, _) => upn,
        };
        let is = |word: &str| kind.eq_ignore_ascii_case(word);
        let name = match found {
            None => format!("{} {id}", if kind.is_empty() { "principal" } else { kind }),
            Some(_) if is("Group") => format!("group {name}"),
            Some(_) if is("ServicePrincipal") => format!("application {name}"),
            Some(_) => name.to_owned(),
        };
        Self {
            id,
            name,
            kind,
            guest: upn.to_lowercase().contains("#ext#")
                || found.is_some_and(|found| text(found, "userType") == "Guest"),
            orphan: found.is_none(),
        }
    }

    /// `through` names the group that it holds a role by.
    fn rate(&self, through: &str, rating: &mut Rating) {
        let is = |word: &str| self.kind.eq_ignore_ascii_case(word);
        if self.guest {
            rating.high("a guest".to_owned());
        }
        if is("ForeignGroup") {
            rating.high("a group of another tenant".to_owned());
        } else if self.orphan {
            rating.low("its holder is not there any more, or could not be read".to_owned());
        }
        if is("Group") {
            rating.info("its members have it".to_owned());
        }
        if !through.is_empty() {
            rating.info(format!("through group {through}"));
        }
    }
}

fn directory_roles(value: &Value, args: &[Value]) -> Result<Value, String> {
    let how = text_arg(args, 0)?;
    let (definitions, principals) = (list(arg(args, 1)?)?, list(arg(args, 2)?)?);
    Ok(list(value)?
        .iter()
        .map(|assignment| directory_role(assignment, how, definitions, principals))
        .collect())
}

fn directory_role(
    assignment: &Value,
    how: &str,
    definitions: &[Value],
    principals: &[Value],
) -> Value {
    let role_id = text(assignment, "roleDefinitionId");
    let definition = definitions
        .iter()
        .find(|definition| text(definition, "id").eq_ignore_ascii_case(role_id));
    let role = match definition.map(|definition| text(definition, "displayName")) {
        None | Some("") => role_id,
        Some(name) => name,
    };
    let template = match definition.map(|definition| text(definition, "templateId")) {
        None | Some("") => role_id,
        Some(template) => template,
    };
    let holder = Holder::of(text(assignment, "principalId"), "", principals);
    let is_in = |known: &[&str]| known.iter().any(|id| id.eq_ignore_ascii_case(template));
    let highest = is_in(&HIGHEST);
    let privileged = highest || is_in(&PRIVILEGED);
    let until = text(assignment, "until");
    let mut rating = Rating::default();
    if privileged {
        let application = holder.kind.eq_ignore_ascii_case("servicePrincipal");
        match (highest, how == "active") {
            (true, _) if application => {
                rating.high("an application with one of the highest roles".to_owned());
            }
            (true, true) if !until.is_empty() => {
                rating.low(format!("one of the highest roles, until {until}"));
            }
            (true, true) => rating.medium("one of the highest roles, held all the time".to_owned()),
            (true, false) => rating.low("one of the highest roles".to_owned()),
            (false, _) => rating.low("a privileged role".to_owned()),
        }
        holder.rate(text(assignment, "through"), &mut rating);
    }
    let scope = text(assignment, "directoryScopeId");
    let place = match scope {
        "" | "/" => String::new(),
        scope => format!(" in {scope}"),
    };
    let what = format!(
        "{} {} {role}{place}{}",
        holder.name,
        had(how),
        rating.reasons_after(": ")
    );
    let members: Map<String, Value> = [
        ("id", json!(text(assignment, "id"))),
        ("role", json!(role)),
        ("template", json!(template)),
        ("privileged", json!(privileged)),
        ("how", json!(how)),
        ("holder", json!(holder.name)),
        ("holder_id", json!(holder.id)),
        ("kind", json!(holder.kind)),
        ("guest", json!(holder.guest)),
        ("severity", json!(rating.severity())),
        ("what", json!(what)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Value::Object(members)
}

fn had(how: &str) -> &'static str {
    if how == "active" {
        "holds"
    } else {
        "may activate"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions() -> Value {
        let one = |name: &str, role: &str, actions: Value, not: Value| json!({"name": name, "properties": {"roleName": role, "type": "BuiltInRole", "permissions": [{"actions": actions, "notActions": not}]}});
        json!([
            one("own", "Owner", json!(["*"]), json!([])),
            one("con", "Contributor", json!(["*"]), json!(["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"])),
            one("uaa", "User Access Administrator", json!(["*/read", "Microsoft.Authorization/*"]), json!([])),
            one("rea", "Reader", json!(["*/read"]), json!([])),
            {"name": "cus", "properties": {"roleName": "Helper", "type": "CustomRole", "permissions": [{"actions": ["Microsoft.Authorization/roleAssignments/*"]}]}},
        ])
    }

    fn judged(role: &str, scope: &str, principal: &str) -> (String, String) {
        let principals = json!([
            {"id": "p", "userPrincipalName": "pia@contoso.com", "@odata.type": "#microsoft.graph.user"},
            {"id": "g", "userPrincipalName": "gary_x#EXT#@contoso.onmicrosoft.com"},
            {"id": "grp", "displayName": "ops", "@odata.type": "#microsoft.graph.group"},
        ]);
        let kind = if principal == "grp" { "Group" } else { "User" };
        let assignment = json!([{"id": "a", "properties": {"roleDefinitionId": format!("/x/{role}"), "principalId": principal, "principalType": kind, "scope": scope}}]);
        let judged =
            held_roles(&assignment, &[json!("active"), definitions(), principals]).unwrap();
        (
            text(&judged[0], "severity").to_owned(),
            text(&judged[0], "what").to_owned(),
        )
    }

    #[test]
    fn an_azure_role_is_judged_by_what_it_allows_where_and_to_whom() {
        let sub = "/subscriptions/s";
        let group = "/subscriptions/s/resourceGroups/g";
        for (role, scope, who, severity) in [
            ("uaa", "/", "p", "high"),
            (
                "own",
                "/providers/Microsoft.Management/managementGroups/m",
                "p",
                "medium",
            ),
            ("own", sub, "p", "medium"),
            ("own", sub, "g", "high"),
            ("con", sub, "p", "low"),
            ("own", group, "p", "low"),
            ("rea", sub, "g", "info"),
            ("rea", sub, "gone", "low"),
            ("cus", group, "p", "medium"),
        ] {
            assert_eq!(judged(role, scope, who).0, severity, "{role} {scope} {who}");
        }
        assert_eq!(
            judged("uaa", "/", "p").1,
            "pia@contoso.com holds User Access Administrator on the root scope /: may give itself and others any role, in every subscription of the tenant"
        );
        assert!(
            judged("own", sub, "grp")
                .1
                .starts_with("group ops holds Owner on subscription s")
        );
    }

    #[test]
    fn a_directory_role_is_judged_by_its_power_and_its_holder() {
        let definitions = json!([{"id": HIGHEST[0], "templateId": HIGHEST[0], "displayName": "Global Administrator"}, {"id": "x", "displayName": "Directory Readers"}]);
        let principals = json!([
            {"id": "p", "userPrincipalName": "pia@contoso.com", "@odata.type": "#microsoft.graph.user"},
            {"id": "g", "userPrincipalName": "gary_x#EXT#@contoso.onmicrosoft.com", "@odata.type": "#microsoft.graph.user"},
            {"id": "s", "displayName": "bot", "@odata.type": "#microsoft.graph.servicePrincipal"},
        ]);
        let of = |how: &str, who: &str, role: &str| {
            let list = json!([{"id": "a", "principalId": who, "roleDefinitionId": role, "directoryScopeId": "/"}]);
            let judged = directory_roles(
                &list,
                &[json!(how), definitions.clone(), principals.clone()],
            )
            .unwrap();
            text(&judged[0], "severity").to_owned()
        };
        assert_eq!(of("active", "p", HIGHEST[0]), "medium");
        assert_eq!(of("eligible", "p", HIGHEST[0]), "low");
        assert_eq!(of("active", "g", HIGHEST[0]), "high");
        assert_eq!(of("active", "s", HIGHEST[0]), "high");
        assert_eq!(of("active", "g", "x"), "info");
    }
}
