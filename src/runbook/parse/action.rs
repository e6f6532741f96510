//! Reading what a step does: exactly one of the kinds.

use super::super::fields::{Fields, Problems};
use super::super::keys;
use super::super::model::{
    Action, Alphabet, Assert, Collect, Decide, DecideDefault, Edit, Generate, Manual, Request,
    Rotate, RunOther, Wait,
};
use super::super::tree::Node;
use super::call;

/// Reads the one action of a step.
pub(super) fn read(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Action> {
    let given: Vec<&str> = keys::KINDS
        .iter()
        .copied()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    // Of two kinds both are read, so that the mistakes in each are told.
    let mut actions: Vec<Option<Action>> = given
        .iter()
        .map(|kind| of_kind(kind, fields, problems))
        .collect();
    if let [action] = actions.as_mut_slice() {
        return action.take();
    }
    let help = format!("give exactly one of {}", keys::KINDS.join(", "));
    let (place, message) = match given.as_slice() {
        [_, second, ..] => {
            let message = format!("a step does {} things: {}", given.len(), given.join(", "));
            (fields.key_place(second), message)
        }
        _ => (fields.place, "a step does nothing".to_owned()),
    };
    problems.add("one-kind", place, message, Some(help));
    None
}

fn of_kind(kind: &str, fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Action> {
    let node = fields.get(kind)?;
    match kind {
        "read" => call::read(node, "read", keys::READ, problems).map(Action::Read),
        "request" => request(node, problems).map(Action::Request),
        "edit" => edit(node, problems).map(Action::Edit),
        "collect" => collect(node, problems).map(Action::Collect),
        "assert" => assert(node, problems).map(Action::Assert),
        "decide" => decide(node, problems).map(Action::Decide),
        "manual" => manual(node, problems).map(Action::Manual),
        "rotate" => rotate(node, problems).map(|rotate| Action::Rotate(Box::new(rotate))),
        "run" => run(node, problems).map(Action::Run),
        _ => wait(node, problems).map(Action::Wait),
    }
}

fn rotate(node: &Node, problems: &mut Problems<'_>) -> Option<Rotate> {
    let fields = Fields::of(node, "rotate", keys::ROTATE, problems)?;
    let generate = fields
        .get("generate")
        .and_then(|node| generate(node, problems));
    let upstream = fields.get("upstream").and_then(|node| {
        let own = Fields::of(node, "upstream", keys::UPSTREAM, problems)?;
        let secret = own.text("secret", problems).map(|member| member.value);
        Some((call::of(&own, "upstream", problems)?, secret))
    });
    let read = |name: &str, problems: &mut Problems<'_>| {
        let node = fields.get(name)?;
        call::read(node, name, keys::READ, problems)
    };
    let vault = read("vault", problems);
    let discard = read("discard", problems);
    let (upstream, secret) = upstream?;
    if generate.is_some() == secret.is_some() {
        let help = "generate: {length: 32}, or in upstream secret: the member that is the secret";
        problems.add(
            "one-maker",
            fields.place,
            "rotate does not say who makes the secret, or says it twice".to_owned(),
            Some(help.to_owned()),
        );
        return None;
    }
    Some(Rotate {
        generate,
        upstream,
        secret,
        vault,
        discard,
    })
}

fn generate(node: &Node, problems: &mut Problems<'_>) -> Option<Generate> {
    let fields = Fields::of(node, "generate", keys::GENERATE, problems)?;
    let length = fields.number("length", 16, 128, problems).unwrap_or(32);
    let alphabet = match fields.word("alphabet", keys::ALPHABETS, problems) {
        Some(1) => Alphabet::Letters,
        _ => Alphabet::Password,
    };
    Some(Generate { length, alphabet })
}

fn request(node: &Node, problems: &mut Problems<'_>) -> Option<Request> {
    let fields = Fields::of(node, "request", keys::REQUEST, problems)?;
    let call = call::of(&fields, "request", problems);
    let before = fields
        .get("before")
        .and_then(|node| call::read(node, "before", keys::READ, problems));
    let unless = fields.text("unless", problems);
    let idempotent = fields
        .get("idempotent")
        .map(|_| fields.flag("idempotent", problems));
    Some(Request {
        call: call?,
        before,
        unless,
        idempotent,
    })
}

fn edit(node: &Node, problems: &mut Problems<'_>) -> Option<Edit> {
    let fields = Fields::of(node, "edit", keys::EDIT, problems)?;
    let arm = fields.text("arm", problems);
    let api_version = fields.text("api_version", problems);
    let set = fields.any_map("set", problems);
    let if_match = fields.flag("if_match", problems);
    if set.is_empty() && fields.get("set").is_some() {
        problems.add(
            "missing-key",
            fields.key_place("set"),
            "edit sets nothing",
            Some("set: {properties.x: value}".to_owned()),
        );
    }
    for (key, _) in fields.map("set", problems) {
        if key.name.split('.').any(str::is_empty) {
            let help = "names joined by dots, as properties.networkSecurityGroup".to_owned();
            problems.add(
                "bad-path",
                key.place,
                format!("{:?} is no path to a member", key.name),
                Some(help),
            );
        }
    }
    Some(Edit {
        arm: arm?,
        api_version: api_version?.value,
        set,
        if_match,
    })
}

fn collect(node: &Node, problems: &mut Problems<'_>) -> Option<Collect> {
    let fields = Fields::of(node, "collect", keys::COLLECT, problems)?;
    let call = call::of(&fields, "collect", problems);
    let name = fields.text("name", problems);
    let description = fields.text("description", problems);
    let follow_up = fields.text("follow_up", problems);
    let window = fields.get("window").and_then(|node| {
        let fields = Fields::of(node, "window", keys::WINDOW, problems)?;
        let (from, to) = (fields.text("from", problems), fields.text("to", problems));
        Some((from?, to?))
    });
    Some(Collect {
        call: call?,
        name: name?,
        description: description?,
        window,
        follow_up,
    })
}

fn assert(node: &Node, problems: &mut Problems<'_>) -> Option<Assert> {
    let fields = Fields::of(node, "assert", keys::ASSERT, problems)?;
    let (that, message) = (
        fields.text("that", problems),
        fields.text("message", problems),
    );
    Some(Assert {
        that: that?,
        message: message?,
    })
}

fn decide(node: &Node, problems: &mut Problems<'_>) -> Option<Decide> {
    let fields = Fields::of(node, "decide", keys::DECIDE, problems)?;
    let (question, options) = (
        fields.text("question", problems),
        fields.text("options", problems),
    );
    let default = match fields.word("default", &["none", "all"], problems) {
        Some(1) => DecideDefault::All,
        _ => DecideDefault::None,
    };
    Some(Decide {
        question: question?,
        options: options?,
        default,
    })
}

fn manual(node: &Node, problems: &mut Problems<'_>) -> Option<Manual> {
    let fields = Fields::of(node, "manual", keys::MANUAL, problems)?;
    let (instruction, finding) = (
        fields.text("instruction", problems),
        fields.text("finding", problems),
    );
    Some(Manual {
        instruction: instruction?,
        finding: finding?,
    })
}

fn run(node: &Node, problems: &mut Problems<'_>) -> Option<RunOther> {
    let fields = Fields::of(node, "run", keys::RUN, problems)?;
    let (runbook, with) = (
        fields.text("runbook", problems),
        fields.any_map("with", problems),
    );
    Some(RunOther {
        runbook: runbook?,
        with,
    })
}

fn wait(node: &Node, problems: &mut Problems<'_>) -> Option<Wait> {
    let fields = Fields::of(node, "wait", keys::WAIT, problems)?;
    let (how_long, why) = (fields.scalar("for", problems), fields.line("why", problems));
    if let Some(how_long) = &how_long
        && !how_long.value.contains("{{")
        && super::super::params::duration(&how_long.value).is_none()
        && how_long.value.parse::<u64>().is_err()
    {
        let help = "seconds, or a span such as 90s or 5m".to_owned();
        problems.add(
            "bad-duration",
            how_long.place,
            "a wait is no span",
            Some(help),
        );
    }
    Some(Wait {
        how_long: how_long?,
        why: why?.value,
    })
}
