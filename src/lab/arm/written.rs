//! How a provider writes what it answers: over lines or in one, and an id as it was asked for (arm.md section 12).

use serde_json::Value;

use crate::lab::reply::{Ask, Reply};

/// The providers whose JSON is over lines that end in CR and LF.
const OVER_LINES: &[&str] = &["microsoft.compute", "microsoft.network"];
/// The word of an id whose casing is the caller's.
const GROUPS: &str = "resourcegroups";

/// Returns a reply as the provider of its path writes it.
pub(super) fn written(ask: &Ask, mut reply: Reply) -> Reply {
    let over_lines = provider(&ask.path).is_some_and(|provider| {
        OVER_LINES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(provider))
    });
    let in_group = ask
        .path
        .split('/')
        .nth(3)
        .is_some_and(|word| word.eq_ignore_ascii_case(GROUPS));
    if !over_lines && !in_group {
        return reply;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else {
        return reply;
    };
    let echoed = body["id"].as_str().and_then(|id| echoed(id, &ask.path));
    if echoed.is_none() && !over_lines {
        return reply;
    }
    if let Some(id) = echoed {
        body["id"] = Value::String(id);
    }
    reply.body = if over_lines {
        format!("{body:#}").replace('\n', "\r\n").into_bytes()
    } else {
        body.to_string().into_bytes()
    };
    reply
}

/// Returns the provider of the type that a path names last.
fn provider(path: &str) -> Option<&str> {
    let segments: Vec<&str> = path.split('/').collect();
    let at = segments
        .iter()
        .rposition(|segment| segment.eq_ignore_ascii_case("providers"))?;
    segments.get(at + 1).copied()
}

/// Returns the id of what was asked for with the caller's word for resource groups, where that differs.
fn echoed(id: &str, path: &str) -> Option<String> {
    let (word, own) = (path.split('/').nth(3)?, id.split('/').nth(3)?);
    let differs = id.eq_ignore_ascii_case(path) && own.eq_ignore_ascii_case(GROUPS) && own != word;
    differs.then(|| id.replacen(own, word, 1))
}
