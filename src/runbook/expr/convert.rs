//! Between JSON and the values of the expression language.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value as Mini;
use minijinja::value::{Enumerator, Object, ObjectExt as _, Serde, ValueKind};
use serde_json::{Map, Value};

/// Returns a JSON value as the language sees it.
pub(super) fn to_mini(value: &Value) -> Mini {
    match value {
        Value::Array(items) => Mini::from(items.iter().map(to_mini).collect::<Vec<_>>()),
        Value::Object(members) => {
            let mut own: Vec<(Arc<str>, Mini)> = members
                .iter()
                .map(|(name, value)| (shared(name), to_mini(value)))
                .collect();
            own.sort_by(|(one, _), (other, _)| one.cmp(other));
            Mini::from_object(Members(own.into()))
        }
        scalar => Mini::from(Serde(scalar)),
    }
}

/// An object's members in the order of their names. Many targets are held at once, each with the results of its steps,
/// so an object takes no more room than what is in it.
#[derive(Debug)]
struct Members(Box<[(Arc<str>, Mini)]>);

impl Object for Members {
    fn get_value(self: &Arc<Self>, key: &Mini) -> Option<Mini> {
        let name = key.as_str()?;
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name));
        at.ok().map(|at| self.0[at].1.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|members| {
            Box::new(
                members
                    .0
                    .iter()
                    .map(|(name, _)| Mini::from(Arc::clone(name))),
            )
        })
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

/// Names that are kept once; beyond so many each is its own.
const NAMES: usize = 4_096;

/// Returns a member's name, the same one for all objects that have it.
fn shared(name: &str) -> Arc<str> {
    static KNOWN: Mutex<Option<HashSet<Arc<str>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(name) = known.get(name) {
        return Arc::clone(name);
    }
    let own: Arc<str> = name.into();
    if known.len() < NAMES {
        known.insert(Arc::clone(&own));
    }
    own
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
    fn an_object_is_one_like_any_other() {
        let own = to_mini(&json!({"b": 1, "a": [2]}));
        assert_eq!(own, Mini::from(Serde(json!({"a": [2], "b": 1}))));
        assert_ne!(own, Mini::from(Serde(json!({"a": [2], "c": 1}))));
        assert_eq!((own.len(), own.is_true()), (Some(2), true));
        assert!(!to_mini(&json!({})).is_true());
        assert_eq!(own.get_attr("b").unwrap(), Mini::from(1));
        assert!(own.get_attr("z").unwrap().is_undefined());
        let names: Vec<String> = own
            .try_iter()
            .unwrap()
            .map(|name| name.to_string())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert!(Arc::ptr_eq(&shared("a"), &shared("a")));
    }

    #[test]
    fn what_has_no_json_form_is_refused_at_any_depth() {
        assert!(to_json(&Mini::UNDEFINED).is_err());
        assert!(to_json(&Mini::from(vec![Mini::UNDEFINED])).is_err());
        assert!(to_json(&Mini::from(f64::NAN)).is_err());
    }
}
