//! Reading one step and its checks.

use std::time::Duration;

use super::super::fields::{Fields, Problems};
use super::super::keys;
use super::super::model::{Check, Fallback, On, Otherwise, Phase, Step};
use super::super::place::Place;
use super::super::tree::{Kind, Node};
use super::{action, call, is_name, undo};

const PHASES: [Phase; 7] = [
    Phase::Inventory,
    Phase::Preserve,
    Phase::Isolate,
    Phase::Identity,
    Phase::Tag,
    Phase::Export,
    Phase::Delete,
];
const OTHERWISE: [Otherwise; 4] = [
    Otherwise::Stop,
    Otherwise::Continue,
    Otherwise::Gap,
    Otherwise::Say,
];

/// How long a check goes on reading where it does not say.
const DEFAULT_WITHIN: Duration = Duration::from_secs(30);

/// Reads a step.
pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Step> {
    let fields = Fields::of(node, "a step", keys::STEP, problems)?;
    let id = fields.text("id", problems);
    if let Some(id) = &id {
        identifier(&id.value, id.place, "a step", problems);
    }
    let phase = fields
        .word("phase", keys::PHASES, problems)
        .map(|index| PHASES[index]);
    let title = fields.text("title", problems);
    let after = fields.texts("after", problems);
    let when = fields.text("when", problems);
    let skip_reason = fields.text("skip_reason", problems);
    let for_each = fields.text("for_each", problems);
    let as_name = fields.text("as", problems);
    if let Some(name) = &as_name {
        identifier(&name.value, name.place, "an item", problems);
    }
    let parallel = fields.number("parallel", 1, 256, problems);
    let again = fields.flag("again", problems);
    let action = action::read(&fields, problems);
    let lets = fields.any_map("let", problems);
    for (key, _) in fields.map("let", problems) {
        identifier(&key.name, key.place, "a result", problems);
    }
    let checks = checks(&fields, problems);
    let undo = fields
        .get("undo")
        .and_then(|node| undo::read(node, problems));
    let lasting = fields.line("lasting", problems).map(|why| why.value);
    let consent_explicit = fields.word("consent", &["explicit"], problems).is_some();
    let otherwise = otherwise(&fields, problems);
    let limit = fields.span("limit", problems);
    let say = fields.text("say", problems);
    let shared = fields.text("shared", problems);
    let on = if fields.word("on", &["run", "undo"], problems) == Some(1) {
        On::Undo
    } else {
        On::Run
    };
    let fallback = fields
        .get("fallback")
        .and_then(|node| fallback(node, problems));
    Some(Step {
        id: id?,
        phase: phase?,
        title: title?,
        after,
        when,
        skip_reason,
        for_each,
        as_name: as_name.map_or_else(|| "item".to_owned(), |name| name.value),
        parallel: parallel.unwrap_or(1),
        again,
        action: action?,
        lets,
        checks,
        undo,
        lasting,
        consent_explicit,
        otherwise,
        limit,
        say,
        shared,
        on,
        fallback,
    })
}

fn fallback(node: &Node, problems: &mut Problems<'_>) -> Option<Fallback> {
    let fields = Fields::of(node, "fallback", keys::FALLBACK, problems)?;
    let of = fields.text("of", problems);
    let price = fields.text("price", problems);
    let lessens = fields.flag("lessens", problems);
    Some(Fallback {
        of: of?,
        price,
        lessens,
    })
}

/// A name that templates speak of.
fn identifier(name: &str, place: Place, what: &str, problems: &mut Problems<'_>) {
    if !is_name(name, '_') || keys::LANGUAGE.contains(&name) {
        let help = "a name begins with a-z, holds a-z, 0-9 and _, and is no word of the language"
            .to_owned();
        let message = format!("{:?} cannot name {what}", super::super::fields::short(name));
        problems.add("bad-name", place, message, Some(help));
    }
}

fn otherwise(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Otherwise {
    fields
        .word("otherwise", keys::OTHERWISE, problems)
        .map_or(Otherwise::Stop, |index| OTHERWISE[index])
}

fn checks(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Vec<Check> {
    match fields.get("check").map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, Kind::List(items))) => items
            .iter()
            .filter_map(|node| check(node, problems))
            .collect(),
        Some((node, _)) => check(node, problems).into_iter().collect(),
    }
}

fn check(node: &Node, problems: &mut Problems<'_>) -> Option<Check> {
    let fields = Fields::of(node, "check", keys::CHECK, problems)?;
    let claim = fields.text("claim", problems);
    let when = fields.text("when", problems);
    let get = fields
        .get("get")
        .and_then(|node| call::read(node, "get", keys::READ, problems));
    let that = fields.text("that", problems);
    let observed = fields.text("observed", problems);
    let within = fields.span("within", problems).unwrap_or(DEFAULT_WITHIN);
    let gate = fields.flag("gate", problems);
    let otherwise = otherwise(&fields, problems);
    Some(Check {
        claim: claim?,
        when,
        get,
        that: that?,
        observed,
        within,
        gate,
        otherwise,
    })
}
