//! Between JSON and the values of the expression language.

use minijinja::Value as Mini;
use minijinja::value::{Serde, ValueKind};
use serde_json::{Map, Value};

/// Returns a JSON value as the language sees it.
pub(super) fn to_mini(value: &Value) -> Mini {
    Mini::from(Serde(value))
}

/// Returns a value as JSON.
///
/// # Errors
/// Something undefined, at any depth: serialization alone would turn it into `null` without a word.
pub(super) fn to_json(value: &Mini) -> Result<Value, String> {
    match value.kind() {
        ValueKind::Undefined => Err("it is undefined".to_owned()),
        ValueKind::None => Ok(Value::Null),
        ValueKind::Seq | ValueKind::Iterable => items(value)?.iter().map(to_json).collect(),
        ValueKind::Map => {
            let mut members = Map::new();
            for name in items(value)? {
                let member = value.get_item(&name).map_err(|error| error.to_string())?;
                let Some(name) = name.as_str() else {
                    return Err(format!("an object's member cannot be named {name}"));
                };
                members.insert(name.to_owned(), to_json(&member)?);
            }
            Ok(Value::Object(members))
        }
        ValueKind::Number => match serde_json::to_value(value) {
            Ok(number @ Value::Number(_)) => Ok(number),
            _ => Err(format!("the number {value} has no JSON form")),
        },
        ValueKind::Bool | ValueKind::String => {
            serde_json::to_value(value).map_err(|error| error.to_string())
        }
        kind => Err(format!("a {kind} has no JSON form")),
    }
}

fn items(value: &Mini) -> Result<Vec<Mini>, String> {
    Ok(value
        .try_iter()
        .map_err(|error| error.to_string())?
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_back_as_it_went() {
        let value = json!({"b": [1, -2, 2.5, 9_007_199_254_740_993_i64, u64::MAX, true, null, "x"], "a": {"z": {}, "y": []}});
        assert_eq!(to_json(&to_mini(&value)), Ok(value.clone()));
    }

    #[test]
    fn what_has_no_json_form_is_refused_at_any_depth() {
        assert!(to_json(&Mini::UNDEFINED).is_err());
        assert!(to_json(&Mini::from(vec![Mini::UNDEFINED])).is_err());
        assert!(to_json(&Mini::from(f64::NAN)).is_err());
    }
}
