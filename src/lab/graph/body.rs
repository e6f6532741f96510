//! Request bodies: JSON objects whose members are all known; the service refuses what it does not know.

use serde_json::{Map, Value};

use super::{Visit, bad};
use crate::lab::reply::{Reply, graph_error};

/// Reads a body whose members are among `known`.
///
/// # Errors
/// No JSON object, or a member that is not known.
pub(super) fn read(visit: &Visit<'_>, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let typed = visit
        .ask
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !typed {
        return Err(graph_error(
            400,
            "BadRequest",
            "Write requests must contain the Content-Type header declaration.",
        ));
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(&visit.ask.body) else {
        return Err(graph_error(
            400,
            "BadRequest",
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
        ));
    };
    check(&members, known)?;
    Ok(members)
}

/// Refuses members that are not among `known`; annotations pass.
pub(super) fn check(members: &Map<String, Value>, known: &[&str]) -> Result<(), Reply> {
    let unknown = members
        .keys()
        .find(|name| !name.starts_with("@odata.") && !known.contains(&name.as_str()));
    match unknown {
        Some(name) => Err(bad(&format!(
            "Invalid property '{name}'. The property does not exist or cannot be set."
        ))),
        None => Ok(()),
    }
}

/// Returns a text that must be there.
pub(super) fn text(members: &Map<String, Value>, name: &str) -> Result<String, Reply> {
    match members.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(bad(&format!(
            "A value is required for property '{name}' of resource."
        ))),
    }
}

/// Refuses a body where none is taken.
pub(super) fn none(visit: &Visit<'_>) -> Result<(), Reply> {
    let empty = visit.ask.body.iter().all(u8::is_ascii_whitespace) || visit.ask.body == b"{}";
    if empty {
        Ok(())
    } else {
        Err(graph_error(
            400,
            "BadRequest",
            "Empty Payload. JSON content expected.",
        ))
    }
}

/// Returns the object that `{"@odata.id": ".../directoryObjects/{id}"}` means.
pub(super) fn reference(members: &Map<String, Value>) -> Result<String, Reply> {
    members
        .get("@odata.id")
        .and_then(Value::as_str)
        .and_then(|url| url.rsplit('/').next())
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| bad("Invalid URL format specified in @odata.id."))
}
