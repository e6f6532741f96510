//! `azir drill list|due|history|report|assign`: what the records of drills say, without the cloud.
//!
//! Every line for people begins with DRILL, so that none that is cut out can be taken for an incident's.

mod assign;
mod due;
mod history;
mod list;
mod report;

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Arg, ArgMatches, Command};
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use self::assign::{Assigned, assign};
pub(super) use self::due::{DueTold, due};
pub(super) use self::history::{HistoryTold, history};
pub(super) use self::list::{Listing, list};
pub(super) use self::report::report;
use super::config::Config;
use super::exit::Exit;
use super::home::Home;
use super::prose::Reader;
use super::{meaning, out, shown};
use crate::clock::{Clock as _, SystemClock};
use crate::drill::assignment::{self, Assignment};
use crate::drill::due::{DueLine, due as due_of};
use crate::drill::findings::{Finding, findings as findings_of};
use crate::drill::history::counted;
use crate::drill::record::{self, Standing};
use crate::drill::scenario::Scenario;
use crate::drill::shelf;
use crate::drill::verdict::Verdict;

/// The version of the shapes below; grows when a member is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// What every export bears; that of one drill says the place, too.
const MARK: &str = "DRILL";
/// Columns of a screen of which nothing is known.
const COLUMNS: usize = 80;

/// A record that cannot be read.
#[derive(Debug, JsonSchema, Serialize)]
struct Unreadable {
    /// Where it is.
    path: String,
    /// Why.
    why: String,
}

/// Returns the command lines.
pub(super) fn commands() -> Vec<Command> {
    vec![
        Command::new("list").about("List what can be rehearsed, open drills and open findings"),
        Command::new("due").about(
            "Say which scenarios are to be exercised again; exit code 1 where one is overdue",
        ),
        Command::new("history")
            .about("Show how long drills took, by quarter, people and azir apart")
            .arg(
                Arg::new("scenario")
                    .value_name("SCENARIO")
                    .help("Only this one"),
            ),
        Command::new("report")
            .about("Tell a judged drill to people (HTML) or programs (JSON)")
            .arg(
                Arg::new("drill")
                    .value_name("DRILL")
                    .default_value("last")
                    .help(
                        "A drill's id, a unique beginning of it, or last: the last that was judged",
                    ),
            )
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_parser(["html", "json"])
                    .help("[default: html; json with --output json and without --to]"),
            )
            .arg(
                Arg::new("to")
                    .short('o')
                    .long("to")
                    .value_name("PATH")
                    .help("Write to this new file; absent: to stdout"),
            ),
        Command::new("assign")
            .about("Say who shall see to a finding, and until when")
            .arg(
                Arg::new("finding")
                    .value_name("FINDING")
                    .required(true)
                    .help("Its id, as azir drill list names it"),
            )
            .arg(
                Arg::new("owner")
                    .long("owner")
                    .value_name("UPN")
                    .required(true)
                    .value_parser(meaning::person)
                    .help("Who"),
            )
            .arg(
                Arg::new("due")
                    .long("due")
                    .value_name("DATE")
                    .value_parser(day)
                    .help("The last day on which it may be open, as 2026-12-01; absent: as it is"),
            ),
    ]
}

fn day(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| "a day is as 2026-12-01".to_owned())
}

/// What the home folder holds of drills.
struct Kept {
    drills: Vec<(PathBuf, Standing)>,
    assignments: Vec<Assignment>,
    unreadable: Vec<(PathBuf, String)>,
    responder: String,
    now: DateTime<Utc>,
}

impl Kept {
    fn of(own: &ArgMatches, home: &Home) -> Self {
        let (drills, mut unreadable) = record::all(&home.root);
        let (assignments, wrong) = assignment::read(&home.root);
        unreadable.extend(wrong);
        // Whose a finding is by default must not hang on a configuration that is sound.
        let named = own.get_one::<String>("profile").map(String::as_str);
        let profile = Config::load(home).and_then(|config| config.choose(named));
        let profile = profile.map(|(_, profile)| profile).unwrap_or_default();
        Self {
            drills,
            assignments,
            unreadable,
            responder: meaning::responder(own, &profile, None).upn,
            now: SystemClock.now(),
        }
    }

    fn counted(&self) -> Vec<&Verdict> {
        counted(&self.drills)
    }

    fn findings(&self) -> Vec<Finding> {
        let today = self.now.date_naive();
        findings_of(&self.counted(), &self.assignments, &self.responder, today)
    }

    fn due(&self) -> Vec<DueLine> {
        let shipped = shipped();
        let names = shipped
            .iter()
            .map(|scenario| (&*scenario.name, &*scenario.title));
        due_of(names, &self.counted(), self.now)
    }

    /// Names what cannot be read: a damaged record must not look like one that never was. Returns the exit code, which
    /// is `code` where all can be.
    fn end(&self, code: u8) -> u8 {
        for (path, why) in &self.unreadable {
            out::line(&format!(
                "azir: DRILL record left out: {}",
                shown::line(why)
            ));
            out::line(&format!("next: {}", put_back(path)));
        }
        if self.unreadable.is_empty() {
            code
        } else {
            Exit::Integrity.code()
        }
    }

    fn told_unreadable(&self) -> Vec<Unreadable> {
        let each = self.unreadable.iter();
        each.map(|(path, why)| Unreadable {
            path: path.display().to_string(),
            why: why.clone(),
        })
        .collect()
    }
}

/// Returns what is to be done about a record that cannot be read: azir mends none.
fn put_back(path: &Path) -> String {
    format!(
        "put {} back from a copy, or move it out of the home folder",
        path.display()
    )
}

fn shipped() -> Vec<Scenario> {
    // That each can be read is tested; one that could not be would be told when it is started.
    shelf::names()
        .filter_map(|name| shelf::load(name).ok())
        .map(|loaded| loaded.scenario)
        .collect()
}

/// Lines for people.
struct Lines {
    text: String,
    reader: Reader,
}

impl Lines {
    fn new() -> Self {
        let mut reader = out::reader();
        reader.width = reader
            .width
            .map(|width| width.saturating_sub(MARK.len() + 1));
        Self {
            text: String::new(),
            reader,
        }
    }

    /// Adds a sentence, wrapped below where it begins.
    fn say(&mut self, first: &str, text: &str) {
        let wrapped = self.reader.wrapped(first, &shown::line(text));
        for line in wrapped.lines() {
            self.line(line);
        }
    }

    /// Adds a command to type: never broken, so that it can be copied.
    fn next(&mut self, first: &str, command: &str) {
        let command = shown::line(command);
        self.line(&format!("{first}next: {command}"));
    }

    /// Adds a line in which nothing is from elsewhere, or what is was made harmless.
    fn line(&mut self, line: &str) {
        self.text.push_str(format!("{MARK} {line}").trim_end());
        self.text.push('\n');
    }

    fn width(&self) -> usize {
        self.reader.width.unwrap_or(COLUMNS - MARK.len() - 1)
    }

    fn end(self) {
        out::result(&self.text);
    }
}

/// Returns a word that must be seen; `NO_COLOR` and pipes lose the colour and keep the word.
fn red(word: &str) -> String {
    let red = anstyle::Style::new()
        .fg_color(Some(anstyle::AnsiColor::Red.into()))
        .bold();
    format!("{red}{word}{red:#}")
}

fn json<T: Serialize>(value: &T) {
    out::result(&serde_json::to_string(value).unwrap_or_default());
}
