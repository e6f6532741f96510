//! What only the responder can answer, asked on the terminal. With targets on stdin, on /dev/tty.

use std::io::{BufRead, BufReader, IsTerminal};
use std::sync::Arc;

use tokio::sync::watch;

use super::live::Live;
use super::{out, plan, shown};
use crate::engine::ask::{Ask, Choice, Chosen, Finding};
use crate::engine::plan::Plan;

/// Asks on the terminal, if there is one and it may be used.
pub(super) struct Terminal {
    /// Whether questions may be asked at all.
    pub(super) allowed: bool,
    /// The picture that must not be drawn over a question.
    pub(super) live: Arc<Live>,
    /// Becomes true when the responder asks to stop: then nobody waits for an answer.
    pub(super) halted: watch::Receiver<bool>,
}

impl Terminal {
    fn there(&self) -> bool {
        self.allowed && (std::io::stdin().is_terminal() || std::fs::File::open("/dev/tty").is_ok())
    }

    /// Shows a prompt and returns the line typed; nothing at the end of input, or when a stop was asked for.
    ///
    /// The other targets go on meanwhile: only the answer waits.
    async fn prompt(&self, text: &str) -> Option<String> {
        if !self.there() || *self.halted.borrow() {
            return None;
        }
        self.live.asks();
        out::talk(text);
        let mut halted = self.halted.clone();
        let line = tokio::select! {
            line = typed() => line,
            _ = halted.wait_for(|halted| *halted) => None,
        };
        self.live.answered();
        line
    }
}

/// Asks for a `yes` before anything has begun; nothing where nobody may be asked or is there.
pub(super) fn confirmed(question: &str, allowed: bool) -> Option<bool> {
    let there = std::io::stdin().is_terminal() || std::fs::File::open("/dev/tty").is_ok();
    if !allowed || !there {
        return None;
    }
    out::talk(question);
    read_line().map(|line| line.eq_ignore_ascii_case("yes"))
}

/// Returns the next line typed. A thread of its own waits for it, which the end of the process ends:
/// a read that blocks cannot be taken back.
async fn typed() -> Option<String> {
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Who stopped waiting does not need it.
        let _ = sender.send(read_line());
    });
    line.await.ok()?
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = if std::io::stdin().is_terminal() {
        std::io::stdin().lock().read_line(&mut line)
    } else {
        BufReader::new(std::fs::File::open("/dev/tty").ok()?).read_line(&mut line)
    };
    (read.ok()? > 0).then(|| line.trim().to_owned())
}

#[async_trait::async_trait]
impl Ask for Terminal {
    async fn confirm(&self, plan: &Plan) -> Option<bool> {
        if !self.there() {
            return None;
        }
        out::talk(&shown::block(&plan::text(plan, &out::reader())));
        let answer = self.prompt("Carry this out? Type yes: ").await?;
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
        let mut text = format!("\n{}\n", shown::line(question));
        for (number, option) in options.iter().enumerate() {
            text.push_str(&format!(
                "  {:>2}. {}\n",
                number + 1,
                shown::line(&option.label)
            ));
        }
        text.push_str(&format!(
            "Numbers, all or none [{}] ({step}): ",
            if default.is_empty() {
                "none"
            } else {
                "as proposed"
            }
        ));
        loop {
            let Some(words) = self.prompt(&text).await else {
                return fallback();
            };
            let by = "responder".to_owned();
            if words.is_empty() {
                return Chosen {
                    words: Some(words),
                    by,
                    ..fallback()
                };
            }
            match picked(&words, options) {
                Ok(ids) => {
                    return Chosen {
                        ids,
                        by,
                        words: Some(words),
                    };
                }
                Err(not) => text = format!("{not} is not one of them. Numbers, all or none: "),
            }
        }
    }

    async fn consent(&self, step: &str, title: &str, cost: &str) -> Option<Chosen> {
        let words = self
            .prompt(&format!(
                "\n{}: {}\nType {step} to allow it: ",
                shown::line(title),
                shown::line(cost)
            ))
            .await?;
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
        let text = format!(
            "\nFor you to do ({step}): {}\n{}\n(empty: left undone): ",
            shown::block(instruction),
            shown::line(finding)
        );
        match self.prompt(&text).await {
            Some(words) if !words.is_empty() => Finding::Found(words),
            Some(_) => Finding::Left("left by the responder".to_owned()),
            None => Finding::Left("nobody was there to do it".to_owned()),
        }
    }
}

/// Returns the ids that `words` picks; the first word that picks none is the error: half an answer is no answer.
fn picked(words: &str, options: &[Choice]) -> Result<Vec<String>, String> {
    match words {
        "all" => Ok(options.iter().map(|option| option.id.clone()).collect()),
        "none" => Ok(Vec::new()),
        numbers => numbers
            .split([',', ' '])
            .filter(|number| !number.is_empty())
            .map(|number| {
                number
                    .parse::<usize>()
                    .ok()
                    .and_then(|number| options.get(number.checked_sub(1)?))
                    .map(|option| option.id.clone())
                    .ok_or_else(|| number.to_owned())
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_answer_is_no_answer() {
        let options: Vec<Choice> = ["a", "b"]
            .map(|id| Choice {
                id: id.to_owned(),
                label: id.to_owned(),
            })
            .to_vec();
        assert_eq!(picked("2, 1", &options).unwrap(), ["b", "a"]);
        assert_eq!(picked("none", &options).unwrap(), Vec::<String>::new());
        assert_eq!(picked("1 3", &options).unwrap_err(), "3");
        assert_eq!(picked("0", &options).unwrap_err(), "0");
    }
}
