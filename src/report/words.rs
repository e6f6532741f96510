//! A line of a journal as people tell it: who speaks, and what is said.

use serde_json::Value;

use crate::journal::Line;

/// Returns who speaks: a person, a service, or azir itself.
pub fn who(line: &Line) -> &str {
    line.actor
        .pointer("/human/upn")
        .or_else(|| line.actor.get("service"))
        .and_then(Value::as_str)
        .unwrap_or("azir")
}

/// Returns what a line says, in a few words; empty for a type that needs none.
pub fn what(line: &Line) -> String {
    let at = |pointer: &str| {
        let mut words = pointer.split('/');
        let first = line.data.get(words.next().unwrap_or_default());
        words
            .fold(first, |value, name| value.and_then(|value| value.get(name)))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
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
                at("choice"),
                at("why"),
                at("detected_at"),
                at("authority"),
                at("ticket"),
                at("lead"),
            ];
            let said: Vec<&str> = said.into_iter().filter(|said| !said.is_empty()).collect();
            format!("{}: {} by {}", at("about"), said.join(", "), at("by"))
        }
        "decision" => format!("{}: {} by {}", at("step"), at("question"), at("by")),
        // What was done outside azir, then.
        "manual" if !at("at").is_empty() => format!("at {}: {}", at("at"), at("finding")),
        "manual" => format!("{}: {}", at("step"), at("instruction")),
        "evidence" => format!("{} {} {}", at("exhibit"), at("name"), at("description"))
            .trim_end()
            .to_owned(),
        "transfer" => format!("from {} to {}: {}", at("from"), at("to"), at("items")),
        "note" => format!(
            "{} {}",
            at("kind"),
            [at("text"), at("what"), at("status")].concat()
        ),
        _ => String::new(),
    }
}
