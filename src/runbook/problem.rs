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
    /// Other places that have to do with it, and what they are.
    pub related: Vec<(Place, String)>,
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

/// Returns a problem with the lines it concerns, each place underlined, and the help below.
pub fn render(problem: &Problem, text: &str) -> String {
    let mut out = format!("error[{}]: {}\n", problem.code, problem.message);
    out.push_str(&snippet(&problem.file, problem.place, text, " -->", ""));
    for (place, what) in &problem.related {
        out.push_str(&snippet(&problem.file, *place, text, " :::", what));
    }
    if let Some(help) = &problem.help {
        out.push_str("  = help: ");
        out.push_str(help);
        out.push('\n');
    }
    out
}

/// Characters of a line that are shown.
const WIDTH: usize = 120;

fn snippet(file: &str, place: Place, text: &str, arrow: &str, what: &str) -> String {
    let Place {
        line,
        column,
        offset,
        len,
    } = place;
    let head = format!(" {arrow} {file}:{line}:{column}\n");
    let Some(source) = line
        .checked_sub(1)
        .and_then(|index| text.lines().nth(index))
    else {
        return head;
    };
    // Of a long line the part around the place is shown.
    let before = column.saturating_sub(1);
    let skipped = if before < WIDTH {
        0
    } else {
        before - WIDTH / 2
    };
    let shown: String = source
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let concerned = text
        .get(offset..offset.saturating_add(len))
        .map_or(1, |part| part.chars().take_while(|c| *c != '\n').count());
    let room = shown
        .chars()
        .count()
        .saturating_sub(before - skipped)
        .max(1);
    let marks = "^".repeat(concerned.clamp(1, room));
    let gutter = line.to_string();
    let pad = " ".repeat(gutter.len());
    let indent = " ".repeat((before - skipped).min(WIDTH));
    let note = if what.is_empty() {
        String::new()
    } else {
        format!(" {what}")
    };
    format!("{head}{pad} |\n{gutter} | {shown}\n{pad} | {indent}{marks}{note}\n")
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
                offset: 11,
                len: 4,
            },
            message: "unknown key nmae".into(),
            help: Some("did you mean name?".into()),
            related: vec![(
                Place {
                    line: 1,
                    column: 1,
                    offset: 0,
                    len: 4,
                },
                "in this file".into(),
            )],
        };
        assert_eq!(
            render(&problem, "azir: v1\n  nmae: x\n"),
            "error[unknown-key]: unknown key nmae\n  --> x.yaml:2:3\n  |\n2 |   nmae: x\n  |   ^^^^\n  ::: x.yaml:1:1\n  |\n1 | azir: v1\n  | ^^^^ in this file\n  = help: did you mean name?\n"
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
