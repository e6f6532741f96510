//! What is wrong with a runbook file, where, and what was probably meant.

use super::place::Place;

/// One thing wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// A short stable name of the rule, as `unknown-key`.
    pub code: &'static str,
    /// The file.
    pub file: String,
    /// Where.
    pub place: Place,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// Returns the problem as one line: `file:line:column: message`.
    pub fn line(&self) -> String {
        format!(
            "{}:{}:{}: {}",
            self.file, self.place.line, self.place.column, self.message
        )
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line())?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Returns a problem with the line it concerns, the place underlined and the help below.
pub fn render(problem: &Problem, text: &str) -> String {
    let Place {
        line, column, len, ..
    } = problem.place;
    let mut out = format!(
        "error[{}]: {}\n  --> {}:{line}:{column}\n",
        problem.code, problem.message, problem.file
    );
    if let Some(source) = line
        .checked_sub(1)
        .and_then(|index| text.lines().nth(index))
    {
        let shown: String = source
            .chars()
            .take(160)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let room = shown
            .chars()
            .count()
            .saturating_sub(column.saturating_sub(1))
            .max(1);
        let gutter = line.to_string();
        let pad = " ".repeat(gutter.len());
        let marks = "^".repeat(len.clamp(1, room));
        let before = " ".repeat(column.saturating_sub(1).min(160));
        out.push_str(&format!(
            "{pad} |\n{gutter} | {shown}\n{pad} | {before}{marks}\n"
        ));
    }
    if let Some(help) = &problem.help {
        out.push_str(&format!("  = help: {help}\n"));
    }
    out
}

/// Returns the word of `known` that `typed` was probably meant to be.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&typed.to_lowercase(), word),
                word,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_underlined() {
        let problem = Problem {
            code: "unknown-key",
            file: "x.yaml".into(),
            place: Place {
                line: 2,
                column: 3,
                offset: 9,
                len: 4,
            },
            message: "unknown key nmae".into(),
            help: Some("did you mean name?".into()),
        };
        assert_eq!(
            render(&problem, "azir: v1\n  nmae: x\n"),
            "error[unknown-key]: unknown key nmae\n  --> x.yaml:2:3\n  |\n2 |   nmae: x\n  |   ^^^^\n  = help: did you mean name?\n"
        );
        // A place beyond the text is no reason to fail.
        let far = Problem {
            place: Place {
                line: 99,
                column: 99,
                offset: 0,
                len: 7,
            },
            ..problem
        };
        assert!(render(&far, "azir: v1").contains("x.yaml:99:99"));
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("for_eech", ["for_each", "let"]), Some("for_each"));
        assert_eq!(nearest("banana", ["for_each", "let"]), None);
    }
}
