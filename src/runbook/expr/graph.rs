//! Filters that know how Microsoft Graph says what an object is.

use serde_json::{Value, json};

use super::filters::{list, text_arg};
use super::language::Row;

pub(super) const ROWS: &[Row] = &[(
    "of_type",
    of_type,
    "directory objects | of_type('application'): those of a type",
)];

/// A list of mixed objects names the type of each (Graph sheet section 1.11).
fn of_type(value: &Value, args: &[Value]) -> Result<Value, String> {
    let wanted = format!("#microsoft.graph.{}", text_arg(args, 0)?);
    Ok(list(value)?
        .iter()
        .filter(|object| object.get("@odata.type") == Some(&json!(wanted)))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_another_type_or_none_are_left_out() {
        let objects = json!([{"@odata.type": "#microsoft.graph.application", "id": "a"}, {"@odata.type": "#microsoft.graph.group", "id": "g"}, {"id": "x"}]);
        let found = of_type(&objects, &[json!("application")]).unwrap();
        assert_eq!(found, json!([objects[0]]));
    }
}
