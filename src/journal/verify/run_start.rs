//! What the first line of a session must say.

use serde_json::Value;

use super::finding::Findings;
use super::line::{is_upn, uuid};
use super::meaning::{Place, Session};
use super::sshsig::PublicKey;
use super::{format, scan};

fn text<'a>(data: &'a Value, name: &str) -> Option<&'a str> {
    data.get(name).and_then(Value::as_str)
}

/// Returns the format that a run names, where it is another one than this verifier reads.
pub(super) fn foreign_format(data: &Value) -> Option<String> {
    text(data, "format")
        .filter(|name| *name != format::FORMAT)
        .map(str::to_owned)
}

/// Checks a `run.start`; returns its origin.
pub(super) fn check(data: &Value, file: &str, findings: &mut Findings) -> Option<String> {
    let mut error = |code: &str, text: &str| findings.error(file, Some(1), code, text);
    if text(data, "format").is_none() {
        error("no-format", "it does not name its format");
    }
    let incident = text(data, "incident").filter(|incident| is_incident(incident));
    if incident.is_none() {
        error(
            "bad-incident",
            "its incident is not of the form that an incident has",
        );
    }
    let origin = text(data, "origin");
    let run = origin.zip(incident).and_then(|(origin, incident)| {
        origin
            .strip_prefix("azir/")?
            .strip_prefix(incident)?
            .strip_prefix('/')
    });
    if run.and_then(|run| uuid(run.as_bytes())).is_none() {
        error("bad-origin", "its origin is not azir/<incident>/<run>");
    }
    match text(data, "mode") {
        Some("execute" | "drill") => {}
        Some("undo") if data.get("of").is_some_and(is_head) => {}
        Some("undo") => error(
            "bad-undo",
            "an undo does not say which run it undoes, and how that ended",
        ),
        _ => error("bad-mode", "its mode is neither execute, drill nor undo"),
    }
    origin.map(str::to_owned)
}

fn is_incident(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    first
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// `{run, size, chain}`
fn is_head(of: &Value) -> bool {
    let run = text(of, "run").is_some_and(|run| uuid(run.as_bytes()).is_some());
    let chain = text(of, "chain").is_some_and(|chain| scan::digest(chain.as_bytes()).is_some());
    run && chain && of.get("size").is_some_and(Value::is_u64)
}

/// Reads who answers for a session, and its key.
pub(super) fn session(data: &Value, place: &Place<'_>, findings: &mut Findings) -> Session {
    let responder = data
        .get("responder")
        .and_then(|responder| text(responder, "upn"))
        .filter(|upn| is_upn(upn));
    if responder.is_none() {
        findings.error(
            place.file,
            Some(1),
            "bad-responder",
            "its responder is missing or cannot be one",
        );
    }
    let key = text(data, "session_key").and_then(|key| {
        let (kind, base64) = key.split_once(' ')?;
        PublicKey::parse(kind, base64).filter(|key| key.kind == "ssh-ed25519")
    });
    if key.is_none() {
        findings.error(
            place.file,
            Some(1),
            "bad-session-key",
            "its session_key is no ssh-ed25519 key",
        );
    }
    Session {
        first_seq: place.seq,
        responder: responder.unwrap_or_default().to_owned(),
        key,
    }
}

/// Checks that a `session.open` declares the end of the segment before it exactly.
pub(super) fn check_previous(data: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(segment) = place.previous else {
        return;
    };
    let previous = data.get("previous").unwrap_or(&Value::Null);
    let same = text(previous, "file") == Some(&segment.name)
        && previous.get("valid_bytes").and_then(Value::as_u64) == Some(segment.valid_bytes)
        && previous.get("tail_bytes").and_then(Value::as_u64) == Some(segment.tail_bytes)
        && text(previous, "tail_sha256") == Some(&hex::encode(segment.tail_sha256))
        && text(previous, "verdict")
            == Some(if segment.tail_bytes == 0 {
                "clean"
            } else {
                "torn"
            });
    if !same {
        let text = format!("it does not declare the end of {} as it is", segment.name);
        findings.error(place.file, Some(1), "wrong-previous", text);
    }
}
