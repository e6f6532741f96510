//! Reading how a write is undone.

use super::super::fields::{Fields, Problems};
use super::super::keys;
use super::super::model::{Undo, UndoRequest};
use super::super::tree::{Kind, Node};
use super::{call, list};

const HELP: &str = "restore, ask, {never: why}, {request: ...} or {requests: [...]}";

/// Reads an `undo`.
pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Undo> {
    match &node.kind {
        Kind::Text(word) if word == "restore" => Some(Undo::Restore),
        Kind::Text(word) if word == "ask" => Some(Undo::Ask),
        Kind::Text(word) => {
            let message = format!("undo cannot be {:?}", super::super::fields::short(word));
            problems.add("unknown-word", node.place, message, Some(HELP.to_owned()));
            None
        }
        _ => of_map(node, problems),
    }
}

fn of_map(node: &Node, problems: &mut Problems<'_>) -> Option<Undo> {
    let fields = Fields::of(node, "undo", keys::UNDO, problems)?;
    let given: Vec<&str> = keys::UNDO_KINDS
        .iter()
        .copied()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    let [kind] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "undo says nothing".to_owned(),
            _ => format!("undo says {} things: {}", given.len(), given.join(", ")),
        };
        problems.add("one-undo", fields.place, message, Some(HELP.to_owned()));
        return None;
    };
    match *kind {
        "never" => fields
            .line("never", problems)
            .map(|why| Undo::Never(why.value)),
        "requests" => {
            let nodes = list(&fields, "requests", problems);
            let read = |node| {
                request(
                    &Fields::of(node, "a request of undo", keys::UNDO_REQUEST, problems)?,
                    problems,
                )
            };
            Some(Undo::Requests(nodes.into_iter().filter_map(read).collect()))
        }
        _ => Some(Undo::Requests(vec![request(&fields, problems)?])),
    }
}

fn request(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<UndoRequest> {
    let call = fields
        .get("request")
        .and_then(|node| call::read(node, "request", keys::READ, problems));
    let read = fields
        .get("read")
        .and_then(|node| call::read(node, "read", keys::READ, problems));
    let unless = fields.text("unless", problems);
    let drift = fields.text("drift", problems);
    let that = fields.text("that", problems);
    let ask = fields.flag("ask", problems);
    Some(UndoRequest {
        call: call?,
        read,
        unless,
        drift,
        that,
        ask,
    })
}
