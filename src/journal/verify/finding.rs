//! What a verifier finds, and how bad it is.

use serde::Serialize;

use super::plain;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing; changes nothing.
    Note,
    /// Something that would prove more is not there.
    Gap,
    /// The log ends as a crash ends it.
    Torn,
    /// Tampered, or not made by this format.
    Error,
}

/// One thing found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// In which file, below the run folder; empty: in the run as a whole.
    pub file: String,
    /// On which line of the file, from 1.
    pub line: Option<u64>,
    /// A short name that stays the same between versions.
    pub code: String,
    /// What was seen there.
    pub text: String,
    /// What follows from it, in plain words.
    pub meaning: &'static str,
}

/// Findings listed in full; a log of a million wrong lines must not fill the memory.
const LISTED: usize = 1000;

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    left_out: u64,
    errors: u64,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        level: Level,
        file: &str,
        line: Option<u64>,
        code: &str,
        text: impl Into<String>,
    ) {
        self.errors += u64::from(level == Level::Error);
        if self.list.len() >= LISTED {
            self.left_out += 1;
            return;
        }
        self.list.push(Finding {
            level,
            file: file.to_owned(),
            line,
            code: code.to_owned(),
            text: text.into(),
            meaning: plain::meaning(code, level),
        });
    }

    pub(super) fn error(
        &mut self,
        file: &str,
        line: Option<u64>,
        code: &str,
        text: impl Into<String>,
    ) {
        self.add(Level::Error, file, line, code, text);
    }

    pub(super) fn note(
        &mut self,
        file: &str,
        line: Option<u64>,
        code: &str,
        text: impl Into<String>,
    ) {
        self.add(Level::Note, file, line, code, text);
    }

    pub(super) fn gap(&mut self, file: &str, code: &str, text: impl Into<String>) {
        self.add(Level::Gap, file, None, code, text);
    }

    /// Returns how many errors there are so far, listed or not.
    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    /// Returns the findings in the order they were made, and how many were left out.
    pub(super) fn into_list(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let level = if self.errors > 0 {
                Level::Error
            } else {
                Level::Note
            };
            let text = format!("{} further findings are not listed", self.left_out);
            self.list.push(Finding {
                level,
                file: String::new(),
                line: None,
                code: "more".to_owned(),
                text,
                meaning: plain::meaning("more", level),
            });
        }
        self.list
    }
}
