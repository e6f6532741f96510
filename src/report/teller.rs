//! Lines told one after the other, each as a sentence that stands on its own.

use std::collections::HashMap;

use serde_json::Value;

use super::words::{chosen, text, what};
use crate::journal::Line;

/// Tells lines one after the other, so that an answer says what it answers.
#[derive(Debug, Default)]
pub struct Teller {
    /// What each intent without an answer wants, by its number.
    asked: HashMap<u64, String>,
}

impl Teller {
    /// Returns a sentence for a line that stands on its own: the type, and what it says.
    pub fn tell(&mut self, line: &Line) -> String {
        let at = |path: &str| text(line, path);
        let intent = || line.data.get("intent").and_then(Value::as_u64);
        match line.kind.as_str() {
            "action.intent" => {
                let asked = format!("{} {}", at("api/method"), at("target"));
                let why = at("why");
                let sentence = if why.is_empty() {
                    format!("about to {} {asked}", effect(line))
                } else {
                    format!("about to {} {asked}: {why}", effect(line))
                };
                self.asked.insert(line.seq, asked);
                sentence
            }
            "action.result" => {
                let asked = intent().and_then(|seq| self.asked.get(&seq)).cloned();
                let asked = asked.unwrap_or_else(|| "an earlier request".to_owned());
                let outcome = at("outcome");
                if outcome != "unknown"
                    && let Some(seq) = intent()
                {
                    self.asked.remove(&seq);
                }
                let status = line.data.get("status").and_then(Value::as_u64);
                let status = status
                    .map(|status| format!(" ({status})"))
                    .unwrap_or_default();
                let code = at("error_code");
                format!("{outcome}{status}: {asked} {code}")
                    .trim_end()
                    .to_owned()
            }
            "action.reconcile" => {
                let asked = intent().and_then(|seq| self.asked.get(&seq)).cloned();
                format!(
                    "asked the cloud whether it took effect: {}: {} {}",
                    at("found"),
                    asked.unwrap_or_default(),
                    at("how")
                )
            }
            "check" => match line.data.get("holds").and_then(Value::as_bool) {
                Some(true) => format!("read back and holds: {}", at("claim")),
                Some(false) => format!("read back and FALSE: {}", at("claim")),
                None => format!("read back and unknown: {}", at("claim")),
            },
            "decision" => {
                let choice = line.data.get("choice").map(chosen).unwrap_or_default();
                format!(
                    "decided {}: {} Chosen: {choice}",
                    at("step"),
                    at("question")
                )
            }
            "step" => {
                let title = at("title");
                let step = at("step");
                let what = if title.is_empty() { &step } else { &title };
                let why = at("why");
                let why = if why.is_empty() {
                    why
                } else {
                    format!(": {why}")
                };
                format!("step {} {}: {what}{why}", at("state"), at("outcome")).replace(" :", ":")
            }
            kind => format!("{kind}: {}", what(line)),
        }
    }
}

fn effect(line: &Line) -> String {
    let effect = text(line, "effect");
    if effect.is_empty() {
        "call".to_owned()
    } else {
        effect
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(seq: u64, kind: &str, data: &Value) -> Line {
        Line {
            seq,
            time: String::new(),
            mono_us: 0,
            actor: json!({"azir": "s"}),
            session: String::new(),
            kind: kind.to_owned(),
            data: data.as_object().cloned().unwrap(),
        }
    }

    #[test]
    fn an_answer_says_what_it_answers() {
        let mut teller = Teller::default();
        let intent =
            json!({"effect": "update", "target": "/x", "api": {"method": "PUT"}, "why": "Cut"});
        assert_eq!(
            teller.tell(&line(3, "action.intent", &intent)),
            "about to update PUT /x: Cut"
        );
        let result =
            json!({"intent": 3, "outcome": "failed", "status": 409, "error_code": "Locked"});
        assert_eq!(
            teller.tell(&line(4, "action.result", &result)),
            "failed (409): PUT /x Locked"
        );
        assert!(teller.asked.is_empty());
        let check = json!({"claim": "it is cut", "holds": false});
        assert_eq!(
            teller.tell(&line(5, "check", &check)),
            "read back and FALSE: it is cut"
        );
    }
}
