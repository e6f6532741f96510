//! `azir drill due`: what is to be exercised again.

use chrono::{DateTime, Utc};
use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Kept, Lines, MARK, SCHEMA_VERSION, Unreadable, json, red};
use crate::cli::exit::Exit;
use crate::cli::home::Home;
use crate::cli::prose::count;
use crate::cli::refusal::Refusal;
use crate::cli::{Output, shown};
use crate::drill::due::{DueLine, Last};

/// The JSON of `azir drill due`.
#[derive(Debug, JsonSchema, Serialize)]
pub(in crate::cli) struct DueTold {
    /// The version of this shape.
    schema_version: u32,
    /// `DRILL`.
    mark: &'static str,
    /// The time by which it was judged.
    #[schemars(with = "String")]
    now: DateTime<Utc>,
    /// Every scenario, by name.
    scenarios: Vec<DueLine>,
    /// Records that cannot be read.
    unreadable: Vec<Unreadable>,
}

/// Says which scenarios are to be exercised again; 1 where one is overdue.
pub(in crate::cli) fn due(own: &ArgMatches, home: &Home) -> Result<u8, Refusal> {
    let kept = Kept::of(own, home);
    let told = DueTold {
        schema_version: SCHEMA_VERSION,
        mark: MARK,
        now: kept.now,
        scenarios: kept.due(),
        unreadable: kept.told_unreadable(),
    };
    if Output::of(own) == Output::Human {
        tell_due(&told.scenarios);
    } else {
        json(&told);
    }
    let overdue = told.scenarios.iter().any(|line| line.overdue);
    Ok(kept.end(if overdue {
        Exit::Failed.code()
    } else {
        Exit::Done.code()
    }))
}

fn tell_due(scenarios: &[DueLine]) {
    let mut lines = Lines::new();
    let longest = scenarios.iter().map(|line| line.scenario.chars().count());
    let longest = longest.max().unwrap_or_default();
    for line in scenarios {
        let name = shown::line(&line.scenario);
        let word = match (line.overdue, line.people_overdue) {
            (true, _) => red("OVERDUE"),
            (false, true) => red("PEOPLE OVERDUE"),
            (false, false) => "in time".to_owned(),
        };
        lines.line(&format!("{name:<longest$}  {word}"));
        lines.say("  ", &when(line));
    }
    match scenarios.iter().find(|line| line.people_overdue) {
        Some(line) => lines.next("", &format!("azir drill start {}", line.scenario)),
        None if scenarios.is_empty() => {
            lines.say("", "there is no scenario yet, and none was exercised");
        }
        None => {}
    }
    lines.end();
}

/// Says when a scenario was exercised.
pub(super) fn when(due: &DueLine) -> String {
    let last = |last: &Option<Last>| match last {
        None => "never".to_owned(),
        Some(last) if last.days < 1 => "today".to_owned(),
        Some(last) => format!("{} ago", count(last.days.unsigned_abs(), "day")),
    };
    format!(
        "by people {}, by azir alone {}",
        last(&due.last_by_people),
        last(&due.last_by_auto)
    )
}
