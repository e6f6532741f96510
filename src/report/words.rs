//! What a line of a journal says, in a few words for people.

use serde_json::Value;

use crate::journal::Line;

/// Returns who speaks in a line: a person, a service, or azir.
pub fn who(line: &Line) -> &str {
    line.actor
        .pointer("/human/upn")
        .or_else(|| line.actor.get("service"))
        .and_then(Value::as_str)
        .unwrap_or("azir")
}

/// Returns what a line says, in a few words; empty for a type that needs none.
pub fn what(line: &Line) -> String {
    let at = |path: &str| text(line, path);
    match line.kind.as_str() {
        "run.start" if at("purpose") == super::run::INCIDENT => {
            format!("incident log of {} for {}", at("host"), at("responder/upn"))
        }
        "run.start" => format!(
            "{} of {} for {}",
            at("mode"),
            at("runbook/name"),
            at("responder/upn")
        ),
        "session.open" => format!("{} for {}", at("reason"), at("responder/upn")),
        "action.intent" => format!("{} {} ({})", at("api/method"), at("target"), at("step")),
        "action.result" => {
            let intent = line.data.get("intent").and_then(Value::as_u64);
            let intent = intent.map(|seq| seq.to_string()).unwrap_or_default();
            format!("of {intent}: {} {}", at("outcome"), at("error_code"))
        }
        "action.reconcile" => format!("{} {}", at("found"), at("how")),
        "step" => format!("{} {} {}", at("step"), at("state"), at("outcome")),
        "check" => {
            let holds = line.data.get("holds").and_then(Value::as_bool);
            let holds = holds.map_or("unknown".to_owned(), |holds| holds.to_string());
            format!("{}: {holds}", at("claim"))
        }
        "decision" if !at("about").is_empty() => {
            let said = [
                "choice",
                "why",
                "detected_at",
                "authority",
                "ticket",
                "lead",
            ]
            .map(at);
            let said: Vec<String> = said.into_iter().filter(|said| !said.is_empty()).collect();
            format!("{}: {} by {}", at("about"), said.join(", "), at("by"))
        }
        "decision" => format!("{}: {} by {}", at("step"), at("question"), at("by")),
        // What was done outside azir, then.
        "manual" if !at("at").is_empty() => format!("at {}: {}", at("at"), at("finding")),
        "manual" => format!("{}: {}", at("step"), at("instruction")),
        "evidence" => format!("{} {} {}", at("exhibit"), at("name"), at("description"))
            .trim_end()
            .to_owned(),
        "transfer" => format!(
            "from {} to {}: {}",
            at("from"),
            at("to"),
            [at("items"), at("purpose")].join(" ").trim()
        ),
        "anchor" => {
            let number = line.data.get("checkpoint").and_then(Value::as_u64);
            let number = number.map(|number| number.to_string()).unwrap_or_default();
            format!("{} of checkpoint {number}", at("kind"))
        }
        "clock.jump" => {
            let moved = line.data.get("moved_us").and_then(Value::as_i64);
            let seconds = moved.unwrap_or_default() / 1_000_000;
            format!("this machine's clock was set by {seconds} s")
        }
        "redact" => format!("{} taken out: {}", at("sha256"), at("why")),
        "run.halt" => at("why"),
        "seal" => format!("sealed {}", at("undo_state")),
        "note" => format!(
            "{} {}",
            at("kind"),
            [at("text"), at("what"), at("status")].concat()
        ),
        _ => String::new(),
    }
}

/// Returns the text at a place in a line's data, or nothing.
pub fn text(line: &Line, path: &str) -> String {
    let mut words = path.split('/');
    let first = line.data.get(words.next().unwrap_or_default());
    words
        .fold(first, |value, name| value.and_then(|value| value.get(name)))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Returns what a decision came to.
pub fn chosen(choice: &Value) -> String {
    match choice {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(chosen).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
