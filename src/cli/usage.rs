//! What is said when the words of a command line do not fit, to people and to scripts.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::Exit;
use super::refusal::Refusal;
use super::{Output, out};
use crate::runbook::catalogue::RESERVED;

/// Shows what clap found, and returns the exit code: 0 for help, else that of a usage error.
pub(super) fn show(error: &clap::Error, words: &[OsString]) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        out::result(&error.render().ansi().to_string());
        return Exit::Done.code();
    }
    let code = code(words);
    if let Some(unknown) = unknown_command(error, words) {
        let refusal = Refusal {
            exit_code: code,
            ..unknown
        };
        return refusal.show(output(words));
    }
    if output(words) == Output::Human {
        out::talk(&error.render().ansi().to_string());
        return code;
    }
    let text = error.render().to_string();
    let said = text.trim_start_matches("error: ");
    let message = said.split("\n\n").next().unwrap_or(said).trim();
    let refusal = Refusal {
        exit_code: code,
        ..Refusal::usage(message, "azir --help")
    };
    refusal.show(output(words))
}

/// Returns what `--output` says in words that could not be parsed.
pub(super) fn output(words: &[OsString]) -> Output {
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let value = match word {
            "--" => break,
            "--output" => words.next(),
            word => word.strip_prefix("--output="),
        };
        match value {
            Some("json") => return Output::Json,
            Some("ndjson") => return Output::Ndjson,
            _ => {}
        }
    }
    Output::Human
}

/// The verifier has its own codes: 2 there would say that the record is true.
fn code(words: &[OsString]) -> u8 {
    let verifies = words
        .windows(2)
        .any(|pair| pair[0] == "journal" && (pair[1] == "verify" || pair[1] == "check-proof"));
    if verifies {
        Exit::CannotRead.code()
    } else {
        Exit::Usage.code()
    }
}

fn unknown_command(error: &clap::Error, words: &[OsString]) -> Option<Refusal> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let above = above(words, typed);
    if above.is_empty() && RESERVED.contains(&typed.as_str()) {
        return Some(Refusal::usage(
            format!("azir {typed} is not in this version; the name is kept for a later one"),
            "azir --help",
        ));
    }
    // With many alike names clap lists them all, the best last.
    let near: Vec<&str> = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(near)) => {
            near.iter().rev().take(3).map(String::as_str).collect()
        }
        Some(ContextValue::String(near)) => vec![near],
        _ => Vec::new(),
    };
    let hint = near.first().map_or_else(
        || format!("azir {above}--help"),
        |nearest| format!("azir {above}{nearest} --help"),
    );
    let like = if near.is_empty() {
        String::new()
    } else {
        format!("; alike: {}", near.join(", "))
    };
    Some(Refusal::usage(
        format!("there is no command {above}{typed}{like}"),
        hint,
    ))
}

/// Returns the group of commands that a word stands behind, as `drill `; nothing where it stands first.
fn above(words: &[OsString], typed: &str) -> String {
    let before = words
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .take_while(|word| *word != typed);
    // Only commands that are azir's own have others below them.
    let groups: Vec<&str> = before.filter(|word| RESERVED.contains(word)).collect();
    match groups.as_slice() {
        [] => String::new(),
        groups => groups.join(" ") + " ",
    }
}
