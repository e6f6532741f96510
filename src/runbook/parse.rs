//! From YAML text to a [`Runbook`], with every problem found on the way.

use std::time::Duration;

use indexmap::IndexMap;

use super::fields::{Fields, Problems};
use super::keys::{self, KeyInfo};
use super::model::{
    Action, Assert, Call, Check, Collect, Decide, DecideDefault, Edit, Manual, On, Otherwise,
    Param, ParamKind, Permissions, Phase, Plane, Purpose, Request, Residual, RunOther, Runbook,
    Step, Template, Undo, UndoRequest, Wait,
};
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::tree::{self, Kind, Node};

/// Reads a runbook. `file` is only named in problems.
///
/// # Errors
/// Every problem found, at least one; never a panic, whatever the text holds.
pub fn parse(file: &str, text: &str) -> Result<Runbook, Vec<Problem>> {
    let node = tree::read(file, text).map_err(|problem| vec![problem])?;
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
            Err(problems.found)
        }
    }
}

/// Reads a runbook from bytes that may not be text at all.
///
/// # Errors
/// As [`parse`]; also bytes that are not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Runbook, Vec<Problem>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            let place = Place {
                line,
                column: 1,
                offset: error.valid_up_to(),
                len: 1,
            };
            Err(vec![Problem {
                code: "yaml",
                file: file.to_owned(),
                place,
                message: "the file is not UTF-8 text".to_owned(),
                help: None,
            }])
        }
    }
}

const PHASES: [Phase; 7] = [
    Phase::Inventory,
    Phase::Preserve,
    Phase::Isolate,
    Phase::Identity,
    Phase::Tag,
    Phase::Export,
    Phase::Delete,
];
const PURPOSES: [Purpose; 6] = [
    Purpose::Read,
    Purpose::Contain,
    Purpose::Rotate,
    Purpose::Eradicate,
    Purpose::Prepare,
    Purpose::Respond,
];
const PLANES: [Plane; 5] = [
    Plane::Arm,
    Plane::Graph,
    Plane::Vault,
    Plane::Logs,
    Plane::Blob,
];
const OTHERWISE: [Otherwise; 3] = [Otherwise::Stop, Otherwise::Gap, Otherwise::Say];

/// Names that are not a runbook's to give.
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
    let purpose = fields
        .word("purpose", keys::PURPOSES, problems)
        .map(|index| PURPOSES[index]);
    let controls = fields.map("controls", problems);
    let controls = controls
        .into_iter()
        .map(|(key, node)| (key, texts_of(node, problems)))
        .collect();
    let mut params = IndexMap::new();
    for (key, node) in fields.map("params", problems) {
        if !is_name(&key, '-') {
            problems.add(
                "bad-name",
                node.place,
                format!("{key:?} cannot name a parameter"),
                Some(NAME_HELP.to_owned()),
            );
        }
        if let Some(param) = param(&key, node, problems) {
            params.insert(key, param);
        }
    }
    let steps = list(&fields, "steps", problems);
    let steps = steps
        .into_iter()
        .filter_map(|node| step(node, problems))
        .collect();
    let residual = list(&fields, "residual", problems);
    let residual = residual
        .into_iter()
        .filter_map(|node| residual_of(node, problems))
        .collect();
    let permissions = fields
        .get("permissions")
        .map(|node| permissions(node, problems))
        .unwrap_or_default();
    Some(Runbook {
        version: fields.text("version", problems)?.value,
        title: fields.text("title", problems)?.value,
        about: fields.text("about", problems).map(|about| about.value),
        deadline: fields.span("deadline", problems),
        result: fields.any_map("result", problems),
        collateral: fields.text("collateral", problems),
        name: name?,
        purpose: purpose?,
        controls,
        params,
        permissions,
        steps,
        residual,
    })
}

fn is_name(text: &str, joint: char) -> bool {
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
    }
}

fn param(key: &str, node: &Node, problems: &mut Problems<'_>) -> Option<Param> {
    let what = format!("parameter {key}");
    let fields = Fields::of(node, &what, keys::PARAM, problems)?;
    let kind = param_kind(&fields, &what, problems)?;
    let default = match fields
        .get("default")
        .map(|node| (node, kind.accept(&node.json())))
    {
        None => None,
        Some((_, Ok(value))) => Some(value),
        Some((node, Err(why))) => {
            problems.add(
                "bad-default",
                node.place,
                format!("the default of {key} does not fit: {why}"),
                None,
            );
            None
        }
    };
    let position = fields.int("position", problems);
    if position.is_some_and(|position| !(1..=9).contains(&position)) {
        problems.add(
            "bad-position",
            fields.key_place("position"),
            "a position is a number from 1 to 9",
            None,
        );
    }
    Some(Param {
        kind,
        position: position.and_then(|position| usize::try_from(position).ok()),
        many: fields.flag("many", problems),
        required: fields.flag("required", problems),
        default,
        help: fields
            .text("help", problems)
            .map(|help| help.value)
            .unwrap_or_default(),
    })
}

fn param_kind(fields: &Fields<'_>, what: &str, problems: &mut Problems<'_>) -> Option<ParamKind> {
    let word = fields.text("type", problems)?;
    let of = fields.text("of", problems);
    let values: Vec<String> = fields
        .texts("values", problems)
        .into_iter()
        .map(|value| value.value)
        .collect();
    let (min, max) = (fields.int("min", problems), fields.int("max", problems));
    Some(match word.value.as_str() {
        "string" => ParamKind::String,
        "bool" => ParamKind::Bool,
        "int" => ParamKind::Int { min, max },
        "enum" if values.is_empty() => {
            problems.add(
                "missing-key",
                fields.place,
                format!("{what} is an enum without values"),
                Some("values: [a, b]".into()),
            );
            return None;
        }
        "enum" => ParamKind::Enum(values),
        "duration" => ParamKind::Duration,
        "cidr" => ParamKind::Cidr,
        "user" => ParamKind::User,
        "resource" => match of {
            Some(of) if of.value.matches('/').count() >= 1 => ParamKind::Resource(of.value),
            _ => {
                problems.add(
                    "missing-key",
                    fields.place,
                    format!("{what} does not say which resource"),
                    Some("of: Microsoft.Compute/virtualMachines".into()),
                );
                return None;
            }
        },
        "list" => match of.as_ref().map(|of| of.value.as_str()) {
            None | Some("string") => ParamKind::List(Box::new(ParamKind::String)),
            Some("cidr") => ParamKind::List(Box::new(ParamKind::Cidr)),
            Some("int") => ParamKind::List(Box::new(ParamKind::Int { min, max })),
            Some("user") => ParamKind::List(Box::new(ParamKind::User)),
            Some("enum") if !values.is_empty() => {
                ParamKind::List(Box::new(ParamKind::Enum(values)))
            }
            Some(other) => {
                let message = format!("a list cannot be of {other}");
                problems.add(
                    "unknown-word",
                    fields.key_place("of"),
                    message,
                    Some("one of string, cidr, int, user, enum".into()),
                );
                return None;
            }
        },
        _ => {
            let words = [
                "string", "bool", "int", "enum", "duration", "cidr", "resource", "user", "list",
            ];
            fields.word("type", &words, problems);
            return None;
        }
    })
}

fn step(node: &Node, problems: &mut Problems<'_>) -> Option<Step> {
    let fields = Fields::of(node, "a step", keys::STEP, problems)?;
    let id = fields.text("id", problems);
    if let Some(id) = &id
        && !is_name(&id.value, '_')
    {
        let help = "an id begins with a-z and holds a-z, 0-9 and _".to_owned();
        problems.add(
            "bad-name",
            id.place,
            format!("{:?} cannot name a step", id.value),
            Some(help),
        );
    }
    let phase = fields
        .word("phase", keys::PHASES, problems)
        .map(|index| PHASES[index]);
    let action = action(&fields, problems);
    let checks = match fields.get("check").map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, Kind::List(items))) => items
            .iter()
            .filter_map(|node| check(node, problems))
            .collect(),
        Some((node, _)) => check(node, problems).into_iter().collect(),
    };
    let parallel = fields.int("parallel", problems);
    if parallel.is_some_and(|parallel| !(1..=256).contains(&parallel)) {
        problems.add(
            "bad-parallel",
            fields.key_place("parallel"),
            "parallel is a number from 1 to 256",
            None,
        );
    }
    Some(Step {
        title: fields.text("title", problems)?,
        after: fields.texts("after", problems),
        when: fields.text("when", problems),
        skip_reason: fields.text("skip_reason", problems),
        for_each: fields.text("for_each", problems),
        as_name: fields
            .text("as", problems)
            .map_or_else(|| "item".to_owned(), |name| name.value),
        parallel: parallel
            .and_then(|parallel| usize::try_from(parallel).ok())
            .unwrap_or(1),
        lets: fields.any_map("let", problems),
        undo: fields.get("undo").and_then(|node| undo(node, problems)),
        lasting: fields.text("lasting", problems).map(|why| why.value),
        consent_explicit: fields.word("consent", &["explicit"], problems).is_some(),
        otherwise: otherwise(&fields, problems),
        limit: fields.span("limit", problems),
        say: fields.text("say", problems),
        shared: fields.text("shared", problems),
        on: if fields.word("on", &["run", "undo"], problems) == Some(1) {
            On::Undo
        } else {
            On::Run
        },
        checks,
        action: action?,
        id: id?,
        phase: phase?,
    })
}

fn otherwise(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Otherwise {
    fields
        .word("otherwise", &["stop", "gap", "say"], problems)
        .map_or(Otherwise::Stop, |index| OTHERWISE[index])
}

/// Reads what a step does: exactly one of the kinds.
fn action(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Action> {
    let given: Vec<&str> = keys::KINDS
        .iter()
        .copied()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    let [kind] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "a step does nothing".to_owned(),
            _ => format!("a step does {} things: {}", given.len(), given.join(", ")),
        };
        let help = format!("give exactly one of {}", keys::KINDS.join(", "));
        problems.add("one-kind", fields.place, message, Some(help));
        return None;
    };
    let node = fields.get(kind)?;
    Some(match *kind {
        "read" => Action::Read(call(node, "read", keys::READ, problems)?),
        "request" => Action::Request(request(node, problems)?),
        "edit" => Action::Edit(edit(node, problems)?),
        "collect" => Action::Collect(collect(node, problems)?),
        "assert" => {
            let fields = Fields::of(node, "assert", keys::ASSERT, problems)?;
            Action::Assert(Assert {
                that: fields.text("that", problems)?,
                message: fields.text("message", problems)?,
            })
        }
        "decide" => {
            let fields = Fields::of(node, "decide", keys::DECIDE, problems)?;
            let default = fields.word("default", &["none", "all"], problems);
            Action::Decide(Decide {
                question: fields.text("question", problems)?,
                options: fields.text("options", problems)?,
                default: if default == Some(1) {
                    DecideDefault::All
                } else {
                    DecideDefault::None
                },
            })
        }
        "manual" => {
            let fields = Fields::of(node, "manual", keys::MANUAL, problems)?;
            Action::Manual(Manual {
                instruction: fields.text("instruction", problems)?,
                finding: fields.text("finding", problems)?,
            })
        }
        "run" => {
            let fields = Fields::of(node, "run", keys::RUN, problems)?;
            Action::Run(RunOther {
                with: fields.any_map("with", problems),
                runbook: fields.text("runbook", problems)?,
            })
        }
        _ => {
            let fields = Fields::of(node, "wait", keys::WAIT, problems)?;
            Action::Wait(Wait {
                how_long: fields.scalar("for", problems)?,
                why: fields.text("why", problems)?.value,
            })
        }
    })
}

fn call(node: &Node, what: &str, table: &[KeyInfo], problems: &mut Problems<'_>) -> Option<Call> {
    let fields = Fields::of(node, what, table, problems)?;
    call_of(&fields, what, problems)
}

fn call_of(fields: &Fields<'_>, what: &str, problems: &mut Problems<'_>) -> Option<Call> {
    let given: Vec<usize> = (0..PLANES.len())
        .filter(|index| fields.get(keys::PLANES[*index]).is_some())
        .collect();
    let [index] = given.as_slice() else {
        let help = format!("give exactly one of {}", keys::PLANES.join(", "));
        problems.add(
            "one-plane",
            fields.place,
            format!("{what} names {} planes", given.len()),
            Some(help),
        );
        return None;
    };
    let line = fields.text(keys::PLANES[*index], problems)?;
    method_of(&line, problems);
    let plane = PLANES[*index];
    let api_version = fields
        .text("api_version", problems)
        .map(|version| version.value);
    if plane == Plane::Arm && api_version.is_none() && fields.get("api_version").is_none() {
        let help = "api_version: \"2024-11-01\", as the fact sheets give it".to_owned();
        problems.add(
            "missing-key",
            line.place,
            format!("{what} on ARM has no api_version"),
            Some(help),
        );
    }
    let pages = match fields.get("pages").map(|node| (node, &node.kind)) {
        None => None,
        Some((_, Kind::Bool(true))) => Some("value".to_owned()),
        Some((_, Kind::Text(text))) => Some(text.clone()),
        Some((node, _)) => {
            problems.wrong_type(node, "pages", "the name of a member");
            None
        }
    };
    Some(Call {
        plane,
        line,
        api_version,
        query: fields.text_map("query", problems),
        headers: fields.text_map("headers", problems),
        body: fields.get("body").map(|node| Spanned {
            value: node.json(),
            place: node.place,
        }),
        pages,
        missing_ok: fields.flag("missing_ok", problems),
    })
}

fn method_of(line: &Template, problems: &mut Problems<'_>) {
    let method = line.value.split(' ').next().unwrap_or_default();
    if !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE")
        || !line.value.contains(' ')
    {
        let help = "write the method, a space and the path, as GET /subscriptions".to_owned();
        problems.add(
            "bad-call",
            line.place,
            "a call begins with its method",
            Some(help),
        );
    }
}

fn request(node: &Node, problems: &mut Problems<'_>) -> Option<Request> {
    let fields = Fields::of(node, "request", keys::REQUEST, problems)?;
    let before = fields
        .get("before")
        .and_then(|node| call(node, "before", keys::READ, problems));
    Some(Request {
        unless: fields.text("unless", problems),
        idempotent: fields
            .get("idempotent")
            .map(|_| fields.flag("idempotent", problems)),
        call: call_of(&fields, "request", problems)?,
        before,
    })
}

fn edit(node: &Node, problems: &mut Problems<'_>) -> Option<Edit> {
    let fields = Fields::of(node, "edit", keys::EDIT, problems)?;
    let set = fields.any_map("set", problems);
    if set.is_empty() && fields.get("set").is_some() {
        problems.add(
            "missing-key",
            fields.key_place("set"),
            "edit sets nothing",
            None,
        );
    }
    Some(Edit {
        if_match: fields.flag("if_match", problems),
        arm: fields.text("arm", problems)?,
        api_version: fields.text("api_version", problems)?.value,
        set,
    })
}

fn collect(node: &Node, problems: &mut Problems<'_>) -> Option<Collect> {
    let fields = Fields::of(node, "collect", keys::COLLECT, problems)?;
    let window = fields.get("window").and_then(|node| {
        let fields = Fields::of(node, "window", keys::WINDOW, problems)?;
        Some((fields.text("from", problems)?, fields.text("to", problems)?))
    });
    Some(Collect {
        follow_up: fields.text("follow_up", problems),
        name: fields.text("name", problems)?,
        description: fields.text("description", problems)?,
        call: call_of(&fields, "collect", problems)?,
        window,
    })
}

fn check(node: &Node, problems: &mut Problems<'_>) -> Option<Check> {
    let fields = Fields::of(node, "check", keys::CHECK, problems)?;
    let get = fields
        .get("get")
        .and_then(|node| call(node, "get", keys::READ, problems));
    Some(Check {
        when: fields.text("when", problems),
        observed: fields.text("observed", problems),
        within: fields
            .span("within", problems)
            .unwrap_or(Duration::from_secs(30)),
        gate: fields.flag("gate", problems),
        otherwise: otherwise(&fields, problems),
        claim: fields.text("claim", problems)?,
        that: fields.text("that", problems)?,
        get,
    })
}

fn undo(node: &Node, problems: &mut Problems<'_>) -> Option<Undo> {
    if let Kind::Text(word) = &node.kind {
        return match word.as_str() {
            "restore" => Some(Undo::Restore),
            "ask" => Some(Undo::Ask),
            _ => {
                let help = "restore, ask, {never: why}, or {request: ...}".to_owned();
                problems.add(
                    "unknown-word",
                    node.place,
                    format!("undo cannot be {word:?}"),
                    Some(help),
                );
                None
            }
        };
    }
    let fields = Fields::of(node, "undo", keys::UNDO, problems)?;
    if let Some(why) = fields.text("never", problems) {
        return Some(Undo::Never(why.value));
    }
    if fields.get("requests").is_some() {
        let nodes = list(&fields, "requests", problems);
        let requests: Vec<UndoRequest> = nodes
            .into_iter()
            .filter_map(|node| {
                let fields = Fields::of(node, "a request of undo", keys::UNDO_REQUEST, problems)?;
                undo_request(&fields, problems)
            })
            .collect();
        return Some(Undo::Requests(requests));
    }
    if fields.get("request").is_none() {
        problems.add(
            "missing-key",
            fields.place,
            "undo says nothing",
            Some("restore, ask, {never: why}, or {request: ...}".into()),
        );
        return None;
    }
    Some(Undo::Requests(vec![undo_request(&fields, problems)?]))
}

fn undo_request(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<UndoRequest> {
    let read = fields
        .get("read")
        .and_then(|node| call(node, "read", keys::READ, problems));
    Some(UndoRequest {
        unless: fields.text("unless", problems),
        drift: fields.text("drift", problems),
        that: fields.text("that", problems),
        call: call(fields.get("request")?, "request", keys::READ, problems)?,
        read,
    })
}

fn residual_of(node: &Node, problems: &mut Problems<'_>) -> Option<Residual> {
    let fields = Fields::of(node, "residual", keys::RESIDUAL, problems)?;
    Some(Residual {
        when: fields.text("when", problems),
        until: fields.text("until", problems),
        for_each: fields.text("for_each", problems),
        what: fields.text("what", problems)?,
    })
}
