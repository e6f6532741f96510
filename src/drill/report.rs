//! A judged drill with all that explains it: what was told and planted, the verdict, the findings and the history of
//! its scenario. What `azir drill report` writes as JSON, and what [`page`](super::page) tells people.

use std::path::Path;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::findings::Finding;
use super::history::Series;
use super::names;
use super::record::Standing;
use super::scenario::Scenario;
use super::verdict::{Place, Verdict};
use crate::report::export::header;
use crate::runbook::expr::{Expressions, Scope};

/// The version of this shape; grows when a member is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// A judged drill with all that explains it.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct DrillReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// `DRILL`, or `DRILL LAB`: nothing in here is of an incident.
    pub mark: String,
    /// What the judge found.
    pub verdict: Verdict,
    /// Where and how it was begun.
    pub begun: BegunAs,
    /// What was told when the clock started; absent: the scenario's text cannot be read.
    pub told: Option<Told>,
    /// What was planted, in sentences.
    pub planted: Vec<String>,
    /// What stays after it, and why.
    pub left: Vec<Left>,
    /// What failed in drills of the scenario: open first.
    pub findings: Vec<Finding>,
    /// What drills of the scenario were like.
    pub history: Vec<Series>,
    /// What could not be told, and why.
    pub gaps: Vec<String>,
}

/// Where and how a drill was begun.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct BegunAs {
    /// When: things were planted from then on.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// The profile.
    pub profile: String,
    /// The cloud's name.
    pub cloud: String,
    /// The tenant's id.
    pub tenant: String,
    /// Whether what was planted was hidden while it ran.
    pub blind: bool,
    /// azir's version.
    pub azir: String,
}

/// What was told when the clock started.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Told {
    /// Who told it.
    pub source: String,
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// One line.
    pub title: String,
    /// The rest.
    pub text: String,
}

/// Something that stays.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Left {
    /// What.
    pub id: String,
    /// Why.
    pub why: String,
}

/// Returns what stands before every message about a drill.
pub fn mark(place: Place) -> &'static str {
    header::mark(true, place == Place::Lab).trim_end()
}

/// Puts together what explains a drill; nothing where it was not judged. Of `findings` and `history` only those of its
/// scenario are taken.
pub fn report(
    folder: &Path,
    standing: &Standing,
    findings: Vec<Finding>,
    history: Vec<Series>,
) -> Option<DrillReport> {
    let verdict = standing.verdict.clone()?;
    let begun = &standing.begun;
    let name = &verdict.scenario.name;
    let mut gaps = Vec::new();
    let scenario = read(folder, &verdict).map_err(|why| gaps.push(why)).ok();
    let words = Words::of(standing);
    let mut fill = |text: &str| words.fill(text, &mut gaps);
    let told = scenario.as_ref().map(|scenario| Told {
        source: scenario.finding.source.clone(),
        severity: scenario.finding.severity.clone(),
        title: fill(&scenario.finding.title),
        text: fill(&scenario.finding.text),
    });
    let planted = scenario.iter().flat_map(|scenario| &scenario.planted);
    let planted = planted.map(|text| fill(text)).collect();
    Some(DrillReport {
        schema_version: SCHEMA_VERSION,
        mark: mark(verdict.place).to_owned(),
        begun: BegunAs {
            at: standing.begun_at,
            profile: begun.profile.clone(),
            cloud: begun.cloud.clone(),
            tenant: begun.tenant.clone(),
            blind: begun.blind,
            azir: begun.azir.clone(),
        },
        told,
        planted,
        left: standing
            .left
            .iter()
            .map(|(id, why)| Left {
                id: id.clone(),
                why: why.clone(),
            })
            .collect(),
        findings: findings
            .into_iter()
            .filter(|finding| finding.scenario == *name)
            .collect(),
        history: history
            .into_iter()
            .filter(|series| series.scenario == *name)
            .collect(),
        gaps,
        verdict,
    })
}

/// Reads the scenario as it was when the drill was begun: its text lies beside the record.
fn read(folder: &Path, verdict: &Verdict) -> Result<Scenario, String> {
    let path = folder.join("scenario.yaml");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if Scenario::digest(&text) != verdict.scenario.digest {
        return Err(format!(
            "{} is not the text that was judged: its SHA-256 is another",
            path.display()
        ));
    }
    let scenario = Scenario::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(scenario.at(verdict.place))
}

/// Fills in templates.
struct Words {
    expressions: Expressions,
    scope: Scope,
}

impl Words {
    fn of(standing: &Standing) -> Self {
        let started_at = standing.emitted_at.unwrap_or(standing.begun_at);
        let started_at = crate::clock::seconds(started_at);
        Self {
            expressions: Expressions::new(),
            scope: names::recorded(&standing.begun, &started_at),
        }
    }

    /// Returns a text with its names filled in; as it is where that fails, which is told.
    fn fill(&self, text: &str, gaps: &mut Vec<String>) -> String {
        self.expressions
            .text(text, &self.scope)
            .unwrap_or_else(|error| {
                gaps.push(format!("a name of the scenario is not known: {error}"));
                text.to_owned()
            })
    }
}
