//! Filters that know that a group's roles are its members' (Graph sheet sections 1.11 and 1.12).

use serde_json::{Value, json};

use super::filters::{arg, list};
use super::language::Row;
use super::rating::text;

pub(super) const ROWS: &[Row] = &[
    (
        "with_ends",
        with_ends,
        "directory role assignments | with_ends(assignment schedule instances): each with the end that it has, in until",
    ),
    (
        "with_members",
        with_members,
        "role assignments | with_members([{of, name, all}]): and one for each member of a group that holds one, which names the group in through",
    ),
];

/// An assignment does not say that it was activated, or when it ends; its instance does (section 1.13).
fn with_ends(value: &Value, args: &[Value]) -> Result<Value, String> {
    let instances = list(arg(args, 0)?)?;
    let ended = |assignment: &Value| {
        let own = instances
            .iter()
            .find(|instance| text(instance, "roleAssignmentOriginId") == text(assignment, "id"));
        let end = own.map_or("", |own| text(own, "endDateTime"));
        let mut assignment = assignment.clone();
        if !end.is_empty() {
            assignment["until"] = json!(end);
        }
        assignment
    };
    Ok(list(value)?.iter().map(ended).collect())
}

/// Where an assignment says who holds it: in the directory, and in Azure.
const HOLDER: &str = "principalId";

fn with_members(value: &Value, args: &[Value]) -> Result<Value, String> {
    let groups = list(arg(args, 0)?)?;
    let mut all = Vec::new();
    for assignment in list(value)? {
        all.push(assignment.clone());
        let holder = match text(assignment, HOLDER) {
            "" => text(assignment, "properties.principalId"),
            holder => holder,
        };
        let group = groups
            .iter()
            .find(|group| text(group, "of").eq_ignore_ascii_case(holder));
        let members = group.and_then(|group| group.get("all")?.as_array());
        for member in members.into_iter().flatten() {
            let name = group.map_or("", |group| text(group, "name"));
            all.push(held_by(assignment, member, name));
        }
    }
    Ok(Value::Array(all))
}

/// Returns the assignment as if it were the member's own.
fn held_by(assignment: &Value, member: &Value, group: &str) -> Value {
    let mut own = assignment.clone();
    own["through"] = json!(group);
    // The type's name has a dot, so that it has no path.
    let kind = member.get("@odata.type").and_then(Value::as_str);
    let kind = kind.and_then(|kind| kind.rsplit('.').next()).unwrap_or("");
    if own.get(HOLDER).is_some() {
        own[HOLDER] = member["id"].clone();
    } else if let Some(properties) = own.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(HOLDER.to_owned(), member["id"].clone());
        properties.insert("principalType".to_owned(), json!(kind));
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_has_the_end_of_its_instance() {
        let instances = json!([{"roleAssignmentOriginId": "a", "endDateTime": "T"}, {"roleAssignmentOriginId": "b", "endDateTime": null}]);
        let found = with_ends(
            &json!([{"id": "a"}, {"id": "b"}, {"id": "c"}]),
            &[instances],
        )
        .unwrap();
        assert_eq!(
            found,
            json!([{"id": "a", "until": "T"}, {"id": "b"}, {"id": "c"}])
        );
    }

    #[test]
    fn a_groups_assignment_is_told_once_more_for_each_member() {
        let groups = json!([{"of": "G", "name": "ops", "all": [{"id": "m", "@odata.type": "#microsoft.graph.user"}, {"id": "n"}]}]);
        let directory = json!([{"id": "a", "principalId": "g", "roleDefinitionId": "r"}, {"id": "b", "principalId": "x"}]);
        let found = with_members(&directory, std::slice::from_ref(&groups)).unwrap();
        assert_eq!(
            found,
            json!([
                {"id": "a", "principalId": "g", "roleDefinitionId": "r"},
                {"id": "a", "principalId": "m", "roleDefinitionId": "r", "through": "ops"},
                {"id": "a", "principalId": "n", "roleDefinitionId": "r", "through": "ops"},
                {"id": "b", "principalId": "x"},
            ])
        );
        let azure =
            json!([{"id": "a", "properties": {"principalId": "g", "principalType": "Group"}}]);
        let found = with_members(&azure, &[groups]).unwrap();
        assert_eq!(
            found[1]["properties"],
            json!({"principalId": "m", "principalType": "user"})
        );
        assert!(with_members(&json!([]), &[]).is_err());
    }
}
