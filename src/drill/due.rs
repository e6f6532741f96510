//! Which scenarios are to be exercised again.
//!
//! A scenario that nobody exercised for ninety days is overdue. That people did not is told apart: azir exercising
//! itself shows that the runbooks work and teaches nobody.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{By, Verdict};

/// The longest that a scenario may go without being exercised.
pub const LONGEST: TimeDelta = TimeDelta::days(90);

/// How a scenario stands.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct DueLine {
    /// Its name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// The last drill that people answered.
    pub last_by_people: Option<Last>,
    /// The last drill that azir answered alone.
    pub last_by_auto: Option<Last>,
    /// Whether neither exercised it within ninety days.
    pub overdue: bool,
    /// Whether people did not.
    pub people_overdue: bool,
}

/// The last drill of its kind.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Last {
    /// Its id.
    pub drill: String,
    /// When its finding was told.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// Whole days since.
    pub days: i64,
}

/// Returns how every scenario stands: those that are shipped, by name and title, and every other that was exercised.
pub fn due<'a>(
    shipped: impl IntoIterator<Item = (&'a str, &'a str)>,
    verdicts: &[&'a Verdict],
    now: DateTime<Utc>,
) -> Vec<DueLine> {
    // What the last drill calls it comes first; a shipped one is called as it is shipped.
    let exercised = verdicts
        .iter()
        .map(|verdict| (&*verdict.scenario.name, &*verdict.scenario.title));
    let titles: BTreeMap<&str, &str> = exercised.chain(shipped).collect();
    titles
        .into_iter()
        .map(|(scenario, title)| {
            let last = |by| last(verdicts, scenario, by, now);
            let (last_by_people, last_by_auto) = (last(By::People), last(By::Auto));
            let people_overdue = is_overdue(last_by_people.as_ref(), now);
            DueLine {
                scenario: scenario.to_owned(),
                title: title.to_owned(),
                overdue: people_overdue && is_overdue(last_by_auto.as_ref(), now),
                people_overdue,
                last_by_people,
                last_by_auto,
            }
        })
        .collect()
}

fn last(verdicts: &[&Verdict], scenario: &str, by: By, now: DateTime<Utc>) -> Option<Last> {
    verdicts
        .iter()
        .filter(|verdict| verdict.scenario.name == scenario && verdict.by == by)
        .max_by_key(|verdict| verdict.emitted_at)
        .map(|verdict| Last {
            drill: verdict.drill.clone(),
            at: verdict.emitted_at,
            days: (now - verdict.emitted_at).num_days(),
        })
}

fn is_overdue(last: Option<&Last>, now: DateTime<Utc>) -> bool {
    last.is_none_or(|last| now - last.at > LONGEST)
}
