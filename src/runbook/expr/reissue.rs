//! Filters for giving access again: who was cleared, and which roles are meant by what was typed.

use serde_json::{Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;
use super::rating::text;

pub(super) const ROWS: &[Row] = &[
    (
        "cleared",
        cleared,
        "clearances | cleared([names], time): those of one of these, recorded after that time",
    ),
    (
        "roles_meant",
        roles_meant,
        "names, ids or taken roles | roles_meant(role definitions): {found, missing}: each role that is meant once, with id, name and scope, and what means none or several",
    ),
    (
        "roles_at",
        roles_at,
        "list of 'ROLE@SCOPE' | roles_at: each as {role, scope, typed}; what is not of that form has no scope",
    ),
];

fn cleared(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (names, since) = (list(arg(args, 0)?)?, text_arg(args, 1)?);
    let is_named = |clearance: &Value| {
        let target = text(clearance, "target");
        let mut names = names.iter().filter_map(Value::as_str);
        names.any(|name| name.eq_ignore_ascii_case(target))
    };
    Ok(list(value)?
        .iter()
        .filter(|clearance| is_named(clearance) && text(clearance, "at") > since)
        .cloned()
        .collect())
}

/// A role is meant by its id, by the last segment of it, or by the whole of its name, whatever the case: the names of
/// directory roles stand at the top, those of Azure under `properties`. What an earlier run took away is an object,
/// with its scope; what was typed holds at the root.
fn roles_meant(value: &Value, args: &[Value]) -> Result<Value, String> {
    let definitions = list(arg(args, 0)?)?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for wanted in list(value)? {
        let said = |names: &[&str]| {
            let mut all = names.iter().map(|name| text(wanted, name));
            all.find(|said| !said.is_empty()).map(str::to_owned)
        };
        let role = wanted.as_str().map(str::to_owned);
        let role = role.or_else(|| said(&["roleDefinitionId", "role"]));
        let role = role.unwrap_or_default();
        let scope = said(&["directoryScopeId", "scope"]).unwrap_or_else(|| "/".to_owned());
        let mut all = definitions
            .iter()
            .filter(|definition| is_called(definition, role.trim()));
        match (all.next(), all.next()) {
            (Some(definition), None) => {
                let name = match text(definition, "displayName") {
                    "" => text(definition, "properties.roleName"),
                    name => name,
                };
                let one = json!({"id": text(definition, "id"), "name": name, "scope": scope});
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            _ => missing.push(json!(role)),
        }
    }
    Ok(json!({"found": found, "missing": missing}))
}

fn is_called(definition: &Value, wanted: &str) -> bool {
    let id = text(definition, "id");
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let by_name = ["displayName", "properties.roleName"]
        .iter()
        .any(|name| text(definition, name).eq_ignore_ascii_case(wanted));
    !wanted.is_empty() && (by_name || last(id).eq_ignore_ascii_case(&last(wanted)))
}

fn roles_at(value: &Value, _: &[Value]) -> Result<Value, String> {
    let parts = |typed: &str| match typed.split_once('@') {
        Some((role, scope)) if scope.trim().starts_with('/') => {
            json!({"role": role.trim(), "scope": scope.trim(), "typed": typed})
        }
        _ => json!({"role": typed, "scope": null, "typed": typed}),
    };
    Ok(list(value)?
        .iter()
        .filter_map(Value::as_str)
        .map(parts)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_cleared_before_it_was_taken_is_not_cleared() {
        let said = json!([{"target": "Alice@contoso.com", "at": "2026-01-01T10:00:00Z"}, {"target": "bob@contoso.com", "at": "2026-01-01T12:00:00Z"}]);
        let of = |name: &str, since: &str| {
            let found = cleared(&said, &[json!([name]), json!(since)]).unwrap();
            found.as_array().unwrap().len()
        };
        assert_eq!(of("alice@contoso.com", "2026-01-01T09:00:00Z"), 1);
        assert_eq!(of("alice@contoso.com", "2026-01-01T11:00:00Z"), 0);
        assert_eq!(of("carol@contoso.com", ""), 0);
    }

    #[test]
    fn a_role_is_meant_by_its_id_or_its_whole_name_and_by_nothing_else() {
        let directory = json!([{"id": "5d6b6bb7", "displayName": "Security Reader"}, {"id": "1", "displayName": "Twice"}, {"id": "2", "displayName": "Twice"}]);
        let meant = roles_meant(
            &json!(["security reader", "5D6B6BB7", "Security", "Twice"]),
            &[directory],
        )
        .unwrap();
        assert_eq!(meant["found"].as_array().unwrap().len(), 1);
        assert_eq!(meant["missing"], json!(["Security", "Twice"]));
        assert_eq!(
            meant["found"][0],
            json!({"id": "5d6b6bb7", "name": "Security Reader", "scope": "/"})
        );
        let azure = json!([{"id": "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7", "properties": {"roleName": "Reader"}}]);
        let meant = roles_meant(&json!([{"role": "reader", "scope": "/subscriptions/s"}, {"roleDefinitionId": "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/acdd72a7", "scope": "/subscriptions/s"}]), &[azure]).unwrap();
        assert_eq!(meant["found"].as_array().unwrap().len(), 1);
        assert_eq!(meant["found"][0]["scope"], "/subscriptions/s");
    }

    #[test]
    fn a_role_in_azure_names_its_scope() {
        let parts = roles_at(&json!(["Reader@/subscriptions/s", "Reader"]), &[]).unwrap();
        assert_eq!(parts[0]["scope"], "/subscriptions/s");
        assert_eq!(parts[1]["scope"], Value::Null);
    }
}
