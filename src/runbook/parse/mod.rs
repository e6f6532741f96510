//! From YAML text to a [`Runbook`], with every problem found on the way.
//!
//! Everything that stands in a map is read before anything is given up, so that one problem does not hide
//! the others.

mod action;
mod call;
mod param;
mod step;
mod undo;

use super::fields::{Fields, Problems};
use super::keys;
use super::model::{Finding, Permissions, Purpose, Residual, Runbook};
use super::place::Place;
use super::problem::Problem;
use super::tree::{self, Kind, Node};

/// Reads a runbook. `file` is only named in problems.
///
/// # Errors
/// Every problem found, at least one; never a panic, whatever the text holds.
pub fn parse(file: &str, text: &str) -> Result<Runbook, Vec<Problem>> {
    let node = tree::read(file, text)?;
    let mut problems = Problems::new(file);
    let runbook = runbook(&node, &mut problems);
    match runbook {
        Some(runbook) if problems.found.is_empty() => Ok(runbook),
        _ => {
            if problems.found.is_empty() {
                problems.add(
                    "missing-key",
                    node.place,
                    "this is no runbook",
                    Some("begin with azir: v1".to_owned()),
                );
            }
            problems.found.sort_by_key(|problem| problem.place.offset);
            Err(problems.found)
        }
    }
}

/// Reads a runbook from bytes that may not be text at all.
///
/// # Errors
/// As [`parse`]; also bytes that are not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Runbook, Vec<Problem>> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return parse(file, text),
        Err(error) => error,
    };
    let good = bytes
        .get(..error.valid_up_to())
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default();
    Err(vec![Problem {
        code: "yaml",
        file: file.to_owned(),
        place: Place::at(good, good.len()),
        message: "the file is not UTF-8 text".to_owned(),
        help: None,
        related: Vec::new(),
    }])
}

const PURPOSES: [Purpose; 6] = [
    Purpose::Read,
    Purpose::Contain,
    Purpose::Rotate,
    Purpose::Eradicate,
    Purpose::Prepare,
    Purpose::Respond,
];

/// What a name may hold.
const NAME_HELP: &str = "a name begins with a-z and holds a-z, 0-9 and -";

fn runbook(node: &Node, problems: &mut Problems<'_>) -> Option<Runbook> {
    let fields = Fields::of(node, "the runbook", keys::TOP, problems)?;
    fields.word("azir", &["v1"], problems);
    let name = fields.text("name", problems);
    if let Some(name) = &name
        && !is_name(&name.value, '-')
    {
        problems.add(
            "bad-name",
            name.place,
            format!("{:?} cannot name a command", name.value),
            Some(NAME_HELP.to_owned()),
        );
    }
    let version = version(&fields, problems);
    let title = fields.line("title", problems);
    let about = fields.text("about", problems).map(|about| about.value);
    let purpose = fields
        .word("purpose", keys::PURPOSES, problems)
        .map(|index| PURPOSES[index]);
    let deadline = fields.span("deadline", problems);
    let controls = fields.map("controls", problems);
    let controls = controls
        .into_iter()
        .map(|(key, node)| (key.name.clone(), texts_of(node, problems)))
        .collect();
    let params = fields.map("params", problems);
    let params = params
        .into_iter()
        .filter_map(|(key, node)| param::read(key, node, problems))
        .collect();
    let permissions = fields
        .get("permissions")
        .map(|node| permissions(node, problems))
        .unwrap_or_default();
    let steps = list(&fields, "steps", problems);
    let steps = steps
        .into_iter()
        .filter_map(|node| step::read(node, problems))
        .collect();
    let result = fields.any_map("result", problems);
    let residual = list(&fields, "residual", problems);
    let residual = residual
        .into_iter()
        .filter_map(|node| residual_of(node, problems))
        .collect();
    let findings = list(&fields, "findings", problems);
    let findings = findings
        .into_iter()
        .filter_map(|node| finding_of(node, problems))
        .collect();
    let collateral = fields.text("collateral", problems);
    let together = fields.flag("together", problems);
    Some(Runbook {
        name: name?,
        version: version?,
        title: title?.value,
        about,
        purpose: purpose?,
        deadline,
        together,
        controls,
        params,
        permissions,
        steps,
        result,
        residual,
        findings,
        collateral,
    })
}

/// Reads `1.0.0`: three numbers, so that two versions can always be compared.
fn version(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let version = fields.text("version", problems)?;
    let parts: Vec<&str> = version.value.split('.').collect();
    let number = |part: &&str| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() != 3 || !parts.iter().all(number) {
        let message = format!("{:?} is no version", super::fields::short(&version.value));
        problems.add(
            "bad-version",
            version.place,
            message,
            Some("three numbers, as 1.0.0".to_owned()),
        );
    }
    Some(version.value)
}

/// Whether a text can be a name, its words joined by `joint`.
pub(super) fn is_name(text: &str, joint: char) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint)
}

fn texts_of(node: &Node, problems: &mut Problems<'_>) -> Vec<String> {
    let nodes = match &node.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut texts = Vec::new();
    for node in nodes {
        match &node.kind {
            Kind::Text(text) => texts.push(text.clone()),
            _ => problems.wrong_type(node, "a control", "text"),
        }
    }
    texts
}

fn list<'n>(fields: &Fields<'n>, name: &str, problems: &mut Problems<'_>) -> Vec<&'n Node> {
    match fields.get(name).map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, Kind::List(items))) => items.iter().collect(),
        Some((node, _)) => {
            problems.wrong_type(node, name, "a list");
            Vec::new()
        }
    }
}

fn permissions(node: &Node, problems: &mut Problems<'_>) -> Permissions {
    let Some(fields) = Fields::of(node, "permissions", keys::PERMISSIONS, problems) else {
        return Permissions::default();
    };
    let mut plain = |name: &str| {
        fields
            .texts(name, problems)
            .into_iter()
            .map(|text| text.value)
            .collect()
    };
    Permissions {
        arm: plain("arm"),
        graph: plain("graph"),
        blob: plain("blob"),
        vault: plain("vault"),
    }
}

fn residual_of(node: &Node, problems: &mut Problems<'_>) -> Option<Residual> {
    let fields = Fields::of(node, "residual", keys::RESIDUAL, problems)?;
    let (when, what) = (fields.text("when", problems), fields.text("what", problems));
    let (until, for_each) = (
        fields.text("until", problems),
        fields.text("for_each", problems),
    );
    Some(Residual {
        when,
        what: what?,
        until,
        for_each,
    })
}

fn finding_of(node: &Node, problems: &mut Problems<'_>) -> Option<Finding> {
    let fields = Fields::of(node, "a finding", keys::FINDING, problems)?;
    let severity = fields.text("severity", problems);
    if let Some(severity) = &severity
        && !severity.value.contains("{{")
        && !keys::SEVERITIES.contains(&severity.value.as_str())
    {
        problems.add(
            "unknown-word",
            severity.place,
            format!("{:?} says not how bad it is", severity.value),
            Some(format!("one of {}", keys::SEVERITIES.join(", "))),
        );
    }
    let (when, what) = (fields.text("when", problems), fields.text("what", problems));
    let (item, for_each) = (
        fields.text("item", problems),
        fields.text("for_each", problems),
    );
    Some(Finding {
        when,
        what: what?,
        severity: severity?,
        item,
        for_each,
    })
}
