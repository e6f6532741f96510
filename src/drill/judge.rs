//! The judge: reads the tenant, and says of each thing that the scenario asks whether it is so, why not, and since when.
//!
//! What a run says of itself counts for nothing here but in `claims`, where it is held against what was found. What
//! cannot be read is not so: a drill is not passed by a tenant that nobody could look at.

use std::path::Path;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use super::claims::{self, Proofs};
use super::each::{called, items};
use super::kept::{Kept, seconds};
use super::logs::Logs;
use super::moments::{self, Sources};
use super::names;
use super::record::Standing;
use super::scenario::{Asked, Condition, Order, Same, Scenario};
use super::stored;
use super::unharmed::{changed, values};
use super::verdict::{Line, Part, Reached, SCHEMA_VERSION, Verdict};
use crate::azure::Reader;
use crate::engine::errand;
use crate::engine::profile::Profile;
use crate::runbook::expr::{Expressions, Scope};

/// Things that the judge reads at once.
const AT_ONCE: usize = 8;
/// What keeping a deadline counts.
const DEADLINE: u32 = 10;

/// What a judgement is made with.
pub struct Judge<'a> {
    /// Reads the tenant.
    pub reader: &'a Reader,
    /// What is asked.
    pub scenario: &'a Scenario,
    /// How the drill stands.
    pub standing: &'a Standing,
    /// The profile in force.
    pub profile: &'a Profile,
    /// The folder of the drill's case.
    pub case: &'a Path,
    /// What was read when the clock started, by [`Judge::before`].
    pub before: &'a Value,
    /// What was seen of the checks of `--auto`; absent: people acted.
    pub proofs: Option<&'a Proofs>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What was found of one thing.
struct Found {
    holds: Option<bool>,
    why: String,
}

impl Judge<'_> {
    /// Reads what must be as it is now when the drill ends.
    ///
    /// # Errors
    /// The first thing that cannot be read: without it nothing could be compared.
    pub async fn before(
        reader: &Reader,
        scenario: &Scenario,
        scope: &Scope,
    ) -> Result<Value, String> {
        let expressions = Expressions::new();
        let mut all = Map::new();
        for same in &scenario.judge.unharmed {
            let values = values(reader, &expressions, same, scope)
                .await
                .map_err(|why| format!("{}: {why}", same.id))?;
            all.insert(same.id.clone(), json!(values));
        }
        Ok(Value::Object(all))
    }

    /// Returns what templates see.
    pub fn scope(&self) -> Scope {
        let started_at = crate::clock::seconds(self.emitted_at());
        names::scope(
            &self.standing.begun,
            self.profile,
            self.reader.cloud(),
            &started_at,
        )
    }

    /// Returns what conditions see: that, and what was written down.
    fn scope_with(&self, kept: &Kept) -> Scope {
        let mut scope = self.scope();
        scope.set("record", &kept.names());
        scope
    }

    fn sources<'s>(
        &'s self,
        kept: &'s Kept,
        expressions: &'s Expressions,
        logs: &'s Logs,
    ) -> Sources<'s> {
        Sources {
            reader: self.reader,
            expressions,
            logs,
            kept,
            since: self.emitted_at(),
        }
    }

    fn emitted_at(&self) -> DateTime<Utc> {
        self.standing.emitted_at.unwrap_or(self.standing.begun_at)
    }

    /// Judges everything but what an undo puts back.
    pub async fn judge(&self) -> Verdict {
        let kept = Kept::read(self.case);
        let expressions = Expressions::new();
        let emitted_at = self.emitted_at();
        let subscriptions = &self.standing.begun.subscriptions;
        let moments = self.scenario.moments.values();
        let logs = Logs::read(self.reader, subscriptions, emitted_at, self.now, moments).await;
        let sources = self.sources(&kept, &expressions, &logs);
        let scope = self.scope_with(&kept);
        let asked = &self.scenario.judge;
        let mut lines = Vec::new();
        let deadlines = self.scenario.deadlines;
        let (mut times, mut reached) = (Vec::new(), Vec::new());
        for (part, conditions, deadline, id) in [
            (
                Part::Contained,
                &asked.contained,
                deadlines.contain,
                "contained_in_time",
            ),
            (
                Part::Eradicated,
                &asked.eradicated,
                deadlines.eradicate,
                "eradicated_in_time",
            ),
        ] {
            let found = self.conditions(part, conditions, &scope, &sources).await;
            // What still goes on is not eradicated, whatever is gone: the second part counts from the first one, too.
            times.extend(
                found
                    .iter()
                    .map(|(line, since)| (line.holds == Some(true), *since)),
            );
            let when = self.reached(&times, deadline.as_secs());
            lines.extend(found.into_iter().map(|(line, _)| line));
            lines.push(in_time(part, id, &when));
            reached.push(when);
        }
        // Both parts were looked at, in this order.
        let eradicated = reached.pop().unwrap_or_else(|| self.reached(&[], 0));
        let contained = reached.pop().unwrap_or_else(|| self.reached(&[], 0));
        for order in &asked.order {
            lines.push(self.order(order, &scope, &sources).await);
        }
        let evidence = self.conditions(Part::Evidence, &asked.evidence, &scope, &sources);
        lines.extend(evidence.await.into_iter().map(|(line, _)| line));
        lines.push(stored::exhibits(self.reader, &kept).await);
        lines.push(stored::records(&kept));
        lines.push(stored::gaps(&kept));
        for same in &asked.unharmed {
            lines.push(self.same(same, &expressions, &scope).await);
        }
        lines.push(claims::ended(&kept));
        lines.push(claims::so(
            &kept,
            &lines,
            self.scenario,
            &expressions,
            &scope,
        ));
        lines.extend(self.proofs.map(Proofs::line));
        let begun = &self.standing.begun;
        let mut verdict = Verdict {
            schema_version: SCHEMA_VERSION,
            drill: begun.drill.clone(),
            scenario: begun.scenario.clone(),
            place: begun.place,
            by: begun.by,
            participants: begun.participants.clone(),
            observer: begun.observer.clone(),
            emitted_at,
            judged_at: self.now,
            contained,
            eradicated,
            lines,
            points: 0,
            of: 0,
            score: 0,
            passed: false,
            steps: kept.steps(emitted_at),
            runs: kept.refs(),
        };
        verdict.add_up();
        verdict
    }

    /// Judges what the undo of every run put back, and adds it to a verdict.
    pub async fn judge_undone(&self, verdict: &mut Verdict) {
        let (kept, expressions, logs) =
            (Kept::read(self.case), Expressions::new(), Logs::default());
        let sources = self.sources(&kept, &expressions, &logs);
        let scope = self.scope_with(&kept);
        let undone = &self.scenario.judge.undone;
        let found = self
            .conditions(Part::Undone, undone, &scope, &sources)
            .await;
        let before: Vec<Line> = verdict.lines.clone();
        verdict
            .lines
            .extend(found.into_iter().map(|(line, _)| line));
        for condition in undone {
            let so = |id: &str| {
                before
                    .iter()
                    .any(|line| line.id == id && line.holds == Some(true))
            };
            let never: Vec<&str> = condition
                .after
                .iter()
                .map(String::as_str)
                .filter(|id| !so(id))
                .collect();
            if !never.is_empty() {
                let why = format!("what was never so cannot be put back: {}", never.join(", "));
                verdict.fault(&condition.id, &why);
            }
        }
        verdict.lines.push(claims::undone(&kept, self.scenario));
        verdict.runs = kept.refs();
        verdict.add_up();
    }

    /// Returns which conditions of containing and eradicating hold now, for whoever watches.
    pub async fn look(&self) -> Vec<Line> {
        let (kept, expressions, logs) =
            (Kept::read(self.case), Expressions::new(), Logs::default());
        let sources = self.sources(&kept, &expressions, &logs);
        let scope = self.scope_with(&kept);
        let mut lines = Vec::new();
        for (part, conditions) in [
            (Part::Contained, &self.scenario.judge.contained),
            (Part::Eradicated, &self.scenario.judge.eradicated),
        ] {
            for condition in conditions {
                let (found, _) = condition_of(&sources, condition, &scope).await;
                lines.push(line(part, condition, &expressions, &scope, found, None));
            }
        }
        lines
    }

    /// Judges conditions, several at once and in their order, each with the time since when it is so.
    async fn conditions(
        &self,
        part: Part,
        conditions: &[Condition],
        scope: &Scope,
        sources: &Sources<'_>,
    ) -> Vec<(Line, Option<DateTime<Utc>>)> {
        futures_util::stream::iter(conditions)
            .map(|condition| async move {
                let (found, moment) = condition_of(sources, condition, scope).await;
                let at = match (moment, found.holds) {
                    (Some(name), Some(true)) => self.since(name, condition, scope, sources).await,
                    _ => None,
                };
                let line = line(part, condition, sources.expressions, scope, found, at);
                (line, at)
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// Returns since when a condition is so: by its moment, else by when it was first seen.
    async fn since(
        &self,
        moment: &str,
        condition: &Condition,
        scope: &Scope,
        sources: &Sources<'_>,
    ) -> Option<DateTime<Utc>> {
        let known = match self.scenario.moments.get(moment) {
            Some(moment) => sources.when(moment, scope).await.ok().flatten(),
            None => None,
        };
        let seen = self.standing.seen.iter();
        let seen = seen
            .filter(|(id, _)| *id == condition.id)
            .map(|(_, at)| *at)
            .next();
        known.or(seen)
    }

    /// Adds up when all of a part was reached.
    fn reached(&self, found: &[(bool, Option<DateTime<Utc>>)], deadline_seconds: u64) -> Reached {
        let all = !found.is_empty() && found.iter().all(|(holds, _)| *holds);
        // One whose time nobody knows is so by now at the latest.
        let at_latest = all && found.iter().any(|(_, at)| at.is_none());
        let last = found.iter().filter_map(|(_, at)| *at).max();
        let at = match (all, at_latest) {
            (false, _) => None,
            (true, true) => Some(self.now),
            (true, false) => last,
        };
        let took = at.map(|at| seconds(at - self.emitted_at()));
        Reached {
            at,
            seconds: took,
            deadline_seconds,
            kept: took.is_some_and(|took| took <= deadline_seconds as f64),
            at_latest,
        }
    }

    async fn order(&self, order: &Order, scope: &Scope, sources: &Sources<'_>) -> Line {
        let moment = async |name: &str| match self.scenario.moments.get(name) {
            Some(moment) => sources.when(moment, scope).await,
            None => Err(format!("there is no moment {name}")),
        };
        let (first, then) = (moment(&order.first).await, moment(&order.then).await);
        let name = |name: &str| name.replace('_', " ");
        let found = match (first, then) {
            (Err(why), _) | (_, Err(why)) => Found { holds: None, why },
            (_, Ok(None)) => Found {
                holds: Some(false),
                why: format!(
                    "{} never happened{}",
                    name(&order.then),
                    unread(sources.logs)
                ),
            },
            (Ok(None), Ok(Some(then))) => Found {
                holds: Some(false),
                why: format!(
                    "{} never happened, and {} did at {}{}",
                    name(&order.first),
                    name(&order.then),
                    crate::clock::seconds(then),
                    unread(sources.logs)
                ),
            },
            (Ok(Some(first)), Ok(Some(then))) => Found {
                holds: Some(first <= moments::end_of(then)),
                why: format!(
                    "{} was {} s after {}",
                    name(&order.first),
                    seconds(first - then),
                    name(&order.then)
                ),
            },
        };
        let claim = text(sources.expressions, &order.claim, scope);
        made(Part::Order, &order.id, claim, found, order.points, None)
    }

    async fn same(&self, same: &Same, expressions: &Expressions, scope: &Scope) -> Line {
        let found = match values(self.reader, expressions, same, scope).await {
            Err(why) => Found { holds: None, why },
            Ok(now) => {
                let before: Vec<(String, Value)> = self
                    .before
                    .get(&same.id)
                    .and_then(|before| serde_json::from_value(before.clone()).ok())
                    .unwrap_or_default();
                let changed = changed(&before, &now);
                Found {
                    holds: Some(changed.is_empty()),
                    why: changed.join("; "),
                }
            }
        };
        let claim = text(expressions, &same.claim, scope);
        made(Part::Unharmed, &same.id, claim, found, same.points, None)
    }
}

/// Says what log could not be read, where one could not.
fn unread(logs: &Logs) -> String {
    if logs.unread.is_empty() {
        return String::new();
    }
    format!(" (not read: {})", logs.unread.join("; "))
}

/// Judges one condition, and returns the moment since when it is so.
async fn condition_of<'a>(
    sources: &Sources<'_>,
    condition: &'a Condition,
    scope: &Scope,
) -> (Found, Option<&'a str>) {
    if let Some(instead) = &condition.instead {
        // What cannot be told here is told by the condition itself.
        let mut scope = scope.clone();
        let read = read_into(sources, &instead.read, &mut scope).await;
        if read.is_ok() && sources.expressions.truth(&instead.that, &scope) == Ok(true) {
            let found = Found {
                holds: Some(true),
                why: String::new(),
            };
            return (found, instead.at.as_deref());
        }
    }
    let found = items_of(sources, condition, scope).await;
    (found, condition.at.as_deref())
}

/// Judges one condition, for each of its items.
async fn items_of(sources: &Sources<'_>, condition: &Condition, scope: &Scope) -> Found {
    let items = match items(sources.expressions, condition.for_each.as_deref(), scope) {
        Ok(items) => items,
        Err(why) => return Found { holds: None, why },
    };
    let each: Vec<Found> = futures_util::stream::iter(items)
        .map(|item| item_of(sources, condition, scope, item))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let holds = if each.iter().any(|one| one.holds == Some(false)) {
        Some(false)
    } else if each.iter().any(|one| one.holds.is_none()) {
        None
    } else {
        Some(true)
    };
    let mut why: Vec<String> = each
        .into_iter()
        .filter(|one| one.holds != Some(true))
        .map(|one| one.why)
        .collect();
    why.dedup();
    Found {
        holds,
        why: why.join("; "),
    }
}

async fn item_of(
    sources: &Sources<'_>,
    condition: &Condition,
    scope: &Scope,
    item: Value,
) -> Found {
    let unknown = |why: String| Found { holds: None, why };
    let expressions = sources.expressions;
    let mut scope = scope.clone();
    scope.set(&condition.as_name, &item);
    if let Some(read) = &condition.read
        && let Err(why) = read_into(sources, read, &mut scope).await
    {
        return unknown(format!("{}: {why}", called(&item, &condition.id)));
    }
    match expressions.truth(&condition.that, &scope) {
        Ok(true) => Found {
            holds: Some(true),
            why: String::new(),
        },
        Ok(false) => Found {
            holds: Some(false),
            why: text(expressions, &condition.otherwise, &scope),
        },
        Err(error) => unknown(error.to_string()),
    }
}

/// Reads what is asked for, and shows templates the answer.
async fn read_into(sources: &Sources<'_>, read: &Asked, scope: &mut Scope) -> Result<(), String> {
    let call = sources.expressions.call(&read.call()?, scope);
    let call = call.map_err(|error| error.to_string())?;
    let (got, status) = errand::read(sources.reader, &call).await?;
    scope.set("got", &got);
    scope.set("got_status", &json!(status));
    Ok(())
}

/// Returns a text; one without value is shown as it is written.
fn text(expressions: &Expressions, template: &str, scope: &Scope) -> String {
    let value = expressions.text(template, scope);
    value.unwrap_or_else(|error| format!("{template} ({error})"))
}

fn line(
    part: Part,
    condition: &Condition,
    expressions: &Expressions,
    scope: &Scope,
    found: Found,
    at: Option<DateTime<Utc>>,
) -> Line {
    let claim = text(expressions, &condition.claim, scope);
    made(part, &condition.id, claim, found, condition.points, at)
}

fn made(
    part: Part,
    id: &str,
    claim: String,
    found: Found,
    of: u32,
    at: Option<DateTime<Utc>>,
) -> Line {
    let why = match found.holds {
        Some(true) => String::new(),
        Some(false) => found.why,
        None => format!("nobody can tell: {}", found.why),
    };
    Line {
        id: id.to_owned(),
        part,
        claim,
        holds: found.holds,
        points: if found.holds == Some(true) { of } else { 0 },
        of,
        why,
        at,
    }
}

/// Returns the line of a deadline.
fn in_time(part: Part, id: &str, reached: &Reached) -> Line {
    let (word, allowed) = (part.word(), reached.deadline_seconds);
    let why = match reached.seconds {
        Some(_) if reached.kept => String::new(),
        Some(took) => format!("it took {took} s"),
        None => format!("it was not {word}"),
    };
    let found = Found {
        holds: Some(reached.kept),
        why,
    };
    let claim = format!("{word} within {allowed} s of the finding");
    made(part, id, claim, found, DEADLINE, reached.at)
}

/// Returns a line that the judge adds by itself.
pub(super) fn own(part: Part, id: &str, claim: &str, why: Vec<String>, of: u32) -> Line {
    let found = Found {
        holds: Some(why.is_empty()),
        why: why.join("; "),
    };
    made(part, id, claim.to_owned(), found, of, None)
}
