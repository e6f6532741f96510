//! What only the responder can answer, asked on the terminal. With targets on stdin, on /dev/tty.

use std::io::{BufRead, BufReader, IsTerminal};

use super::out;
use super::plan;
use crate::engine::ask::{Ask, Choice, Chosen, Finding};
use crate::engine::plan::Plan;

/// Asks on the terminal, if there is one and it may be used.
pub(super) struct Terminal {
    /// Whether questions may be asked at all.
    pub(super) allowed: bool,
}

impl Terminal {
    fn there(&self) -> bool {
        self.allowed && (std::io::stdin().is_terminal() || std::fs::File::open("/dev/tty").is_ok())
    }

    /// Shows a prompt and returns the line typed; nothing at the end of input.
    fn prompt(&self, text: &str) -> Option<String> {
        if !self.there() {
            return None;
        }
        out::talk(text);
        let mut line = String::new();
        let read = if std::io::stdin().is_terminal() {
            std::io::stdin().lock().read_line(&mut line)
        } else {
            BufReader::new(std::fs::File::open("/dev/tty").ok()?).read_line(&mut line)
        };
        (read.ok()? > 0).then(|| line.trim().to_owned())
    }
}

#[async_trait::async_trait]
impl Ask for Terminal {
    async fn confirm(&self, shown: &Plan) -> Option<bool> {
        if !self.there() {
            return None;
        }
        out::talk(&plan::text(shown));
        let answer = self.prompt("Carry this out? Type yes: ")?;
        Some(answer.eq_ignore_ascii_case("yes"))
    }

    async fn decide(
        &self,
        step: &str,
        question: &str,
        options: &[Choice],
        default: &[String],
    ) -> Chosen {
        let fallback = || Chosen {
            ids: default.to_vec(),
            by: "default".into(),
            words: None,
        };
        out::line(&format!("\n{question}"));
        for (number, option) in options.iter().enumerate() {
            out::line(&format!("  {:>2}. {}", number + 1, option.label));
        }
        let Some(words) = self.prompt(&format!(
            "Numbers, all or none [{}] ({step}): ",
            if default.is_empty() { "none" } else { "all" }
        )) else {
            return fallback();
        };
        let ids = match words.as_str() {
            "" => {
                return Chosen {
                    words: Some(words),
                    by: "responder".into(),
                    ..fallback()
                };
            }
            "all" => options.iter().map(|option| option.id.clone()).collect(),
            "none" => Vec::new(),
            numbers => numbers
                .split([',', ' '])
                .filter_map(|number| number.trim().parse::<usize>().ok())
                .filter_map(|number| options.get(number.checked_sub(1)?))
                .map(|option| option.id.clone())
                .collect(),
        };
        Chosen {
            ids,
            by: "responder".into(),
            words: Some(words),
        }
    }

    async fn consent(&self, step: &str, title: &str, cost: &str) -> Option<Chosen> {
        let words = self.prompt(&format!("\n{title}: {cost}\nType {step} to allow it: "))?;
        let ids = if words == step {
            vec![step.to_owned()]
        } else {
            Vec::new()
        };
        Some(Chosen {
            ids,
            by: "responder".into(),
            words: Some(words),
        })
    }

    async fn manual(&self, step: &str, instruction: &str, finding: &str) -> Finding {
        out::line(&format!("\nFor you to do ({step}): {instruction}"));
        match self.prompt(&format!("{finding}\n(empty: left undone): ")) {
            Some(words) if !words.is_empty() => Finding::Found(words),
            Some(_) => Finding::Left("left by the responder".to_owned()),
            None => Finding::Left("nobody was there to do it".to_owned()),
        }
    }
}
