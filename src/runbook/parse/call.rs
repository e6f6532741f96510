//! Reading one HTTP call.

use super::super::fields::{Fields, Problems};
use super::super::keys::{self, KeyInfo};
use super::super::model::{Call, Plane, Template};
use super::super::place::Spanned;
use super::super::tree::{Kind, Node};

const PLANES: [Plane; 5] = [
    Plane::Arm,
    Plane::Graph,
    Plane::Vault,
    Plane::Logs,
    Plane::Blob,
];

/// Reads a map that is a call.
pub(super) fn read(
    node: &Node,
    what: &str,
    table: &[KeyInfo],
    problems: &mut Problems<'_>,
) -> Option<Call> {
    let fields = Fields::of(node, what, table, problems)?;
    of(&fields, what, problems)
}

/// Reads a call from a map that holds more than a call.
pub(super) fn of(fields: &Fields<'_>, what: &str, problems: &mut Problems<'_>) -> Option<Call> {
    let plane = plane(fields, what, problems);
    let line = plane.and_then(|(key, _)| fields.text(key, problems));
    if let Some(line) = &line {
        method(line, problems);
    }
    let api_version = fields
        .text("api_version", problems)
        .map(|version| version.value);
    if let (Some((_, Plane::Arm)), Some(line), None) = (plane, &line, fields.get("api_version")) {
        let help = "api_version: \"2024-11-01\", as the provider lists it".to_owned();
        problems.add(
            "missing-key",
            line.place,
            format!("{what} on ARM has no api_version"),
            Some(help),
        );
    }
    let query = fields.text_map("query", problems);
    let headers = fields.text_map("headers", problems);
    let body = fields.get("body").map(|node| Spanned {
        value: node.json(),
        place: node.place,
    });
    let pages = pages(fields, problems);
    let missing_ok = fields.flag("missing_ok", problems);
    let beta = fields.line("beta", problems).map(|why| why.value);
    let (_, plane) = plane?;
    Some(Call {
        plane,
        line: line?,
        api_version,
        query,
        headers,
        body,
        pages,
        missing_ok,
        beta,
    })
}

fn plane(
    fields: &Fields<'_>,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<(&'static str, Plane)> {
    let known = keys::PLANES.iter().copied().zip(PLANES);
    let given: Vec<(&str, Plane)> = known.filter(|(key, _)| fields.get(key).is_some()).collect();
    if let [one] = given.as_slice() {
        return Some(*one);
    }
    let help = format!("give exactly one of {}", keys::PLANES.join(", "));
    let (place, message) = match given.as_slice() {
        [_, (second, _), ..] => (
            fields.key_place(second),
            format!("{what} names {} planes", given.len()),
        ),
        _ => (fields.place, format!("{what} names no plane")),
    };
    problems.add("one-plane", place, message, Some(help));
    None
}

fn method(line: &Template, problems: &mut Problems<'_>) {
    let sound = line.value.split_once(' ').is_some_and(|(method, path)| {
        matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE")
            && !path.trim().is_empty()
    });
    if !sound {
        let help = "write the method, a space and the path, as GET /subscriptions".to_owned();
        problems.add(
            "bad-call",
            line.place,
            "a call begins with its method",
            Some(help),
        );
    }
}

fn pages(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let node = fields.get("pages")?;
    match &node.kind {
        Kind::Bool(true) => Some("value".to_owned()),
        Kind::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => {
            problems.wrong_type(node, "pages", "the name of a member, or true");
            None
        }
    }
}
