//! Points in time: by what the tenant itself wrote down, which nobody who acts can choose, and by the verified record of
//! the runs. The tenant's logs show a thing only minutes after it was done, and no log shows what was read; the record
//! knows nothing of what was done past azir. So neither stands in for the other: what either says counts.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::each::items;
use super::kept::{Call, Kept};
use super::logs::{self, Logs};
use super::scenario::{Moment, Which};
use crate::azure::Reader;
use crate::engine::errand;
use crate::runbook::expr::{Expressions, Scope};

/// What is known when a moment is looked for.
pub(super) struct Sources<'a> {
    pub(super) reader: &'a Reader,
    pub(super) expressions: &'a Expressions,
    pub(super) logs: &'a Logs,
    pub(super) kept: &'a Kept,
    pub(super) since: DateTime<Utc>,
}

impl Sources<'_> {
    /// Returns when something happened after the finding, if it did.
    ///
    /// # Errors
    /// A template without value; a tenant that does not answer.
    pub(super) async fn when(
        &self,
        moment: &Moment,
        scope: &Scope,
    ) -> Result<Option<DateTime<Utc>>, String> {
        let mut of_items = Vec::new();
        for item in items(self.expressions, moment.for_each.as_deref(), scope)? {
            let mut scope = scope.clone();
            scope.set(&moment.as_name, &item);
            let times = self.times(moment, scope).await?.into_iter();
            let times = times.filter(|time| end_of(*time) >= self.since);
            of_items.push(pick(moment.which, times));
        }
        Ok(if moment.every {
            let all: Option<Vec<DateTime<Utc>>> = of_items.into_iter().collect();
            all.and_then(|times| times.into_iter().max())
        } else {
            pick(moment.which, of_items.into_iter().flatten())
        })
    }

    async fn times(&self, moment: &Moment, mut scope: Scope) -> Result<Vec<DateTime<Utc>>, String> {
        if let Some(read) = &moment.read {
            let call = self
                .expressions
                .call(&read.call()?, &scope)
                .map_err(|error| error.to_string())?;
            let (got, status) = errand::read(self.reader, &call).await?;
            scope.set("got", &got);
            scope.set("got_status", &json!(status));
        }
        if let Some(times) = &moment.times {
            let found = self
                .expressions
                .template(times, &scope)
                .map_err(|error| error.to_string())?;
            return Ok(each(&found).filter_map(logs::moment).collect());
        }
        let mut found = Vec::new();
        if let Some(of) = &moment.write_of {
            let ids = self.words(of, &scope)?;
            let operations = match &moment.operation {
                Some(operation) => self.words(operation, &scope)?,
                None => ["*/write", "*/delete"].map(str::to_owned).to_vec(),
            };
            found.extend(written(self.logs, &ids, &operations));
            if moment.call.is_empty() {
                found.extend(sent(self.kept, &ids, &operations));
            }
        }
        if let Some(of) = &moment.audit_of {
            let ids = self.words(of, &scope)?;
            found.extend(done(self.logs, &ids, &moment.activity));
        }
        let naming = self.texts(&moment.naming, &scope)?;
        for pattern in self.texts(&moment.call, &scope)? {
            let calls = self.kept.calls.iter();
            let calls = calls.filter(|call| call.ok && fits(&pattern, call) && call.names(&naming));
            found.extend(calls.map(|call| call.time));
        }
        Ok(found)
    }

    /// Returns the text or the list of texts that a template stands for, in lower case.
    fn words(&self, template: &str, scope: &Scope) -> Result<Vec<String>, String> {
        let found = self
            .expressions
            .template(template, scope)
            .map_err(|error| error.to_string())?;
        Ok(each(&found)
            .filter_map(|word| word.as_str().map(str::to_lowercase))
            .collect())
    }

    fn texts(&self, templates: &[String], scope: &Scope) -> Result<Vec<String>, String> {
        let text = |template: &String| self.expressions.text(template, scope);
        let texts: Result<Vec<String>, _> = templates.iter().map(text).collect();
        texts.map_err(|error| error.to_string())
    }
}

fn pick(which: Which, times: impl Iterator<Item = DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match which {
        Which::First => times.min(),
        Which::Last => times.max(),
    }
}

/// Returns when resources were written, by the activity log.
fn written<'a>(
    logs: &'a Logs,
    ids: &'a [String],
    operations: &'a [String],
) -> impl Iterator<Item = DateTime<Utc>> + 'a {
    let writes = logs.writes.iter();
    let writes = writes
        .filter(|(_, resource, name)| any(ids, resource) && any(operations, &name.to_lowercase()));
    writes.map(|(time, ..)| *time)
}

/// Returns when a write of resources was sent that was answered well, by the record.
fn sent<'a>(
    kept: &'a Kept,
    ids: &'a [String],
    operations: &'a [String],
) -> impl Iterator<Item = DateTime<Utc>> + 'a {
    let calls = kept.calls.iter().filter(|call| call.ok);
    let calls = calls.filter(|call| {
        let operation = call.operation();
        operation.is_some_and(|(resource, name)| any(ids, &resource) && any(operations, &name))
    });
    calls.map(|call| call.time)
}

/// Returns when something was done to objects, by the directory's log.
fn done<'a>(
    logs: &'a Logs,
    ids: &'a [String],
    activities: &'a [String],
) -> impl Iterator<Item = DateTime<Utc>> + 'a {
    let begins = move |name: &str| {
        activities
            .iter()
            .any(|begin| name.starts_with(begin.as_str()))
    };
    let fits = move |name: &str| activities.is_empty() || begins(name);
    let audits = logs.audits.iter();
    let audits =
        audits.filter(move |(_, name, of)| fits(name) && of.iter().any(|id| ids.contains(id)));
    audits.map(|(time, ..)| *time)
}

/// Returns the last moment that a time can mean: where a tenant keeps whole seconds alone, the second's end.
pub(super) fn end_of(time: DateTime<Utc>) -> DateTime<Utc> {
    if time.timestamp_subsec_nanos() == 0 {
        time + chrono::TimeDelta::milliseconds(999)
    } else {
        time
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::Array(items) => (items.as_slice(), None),
        one => (&[][..], Some(one)),
    };
    list.iter().chain(one)
}

/// Whether a call is one that `METHOD pattern` means.
fn fits(pattern: &str, call: &Call) -> bool {
    let Some((method, path)) = pattern.split_once(' ') else {
        return false;
    };
    let asked = if path.contains('?') {
        format!("{}?{}", call.path, call.query)
    } else {
        call.path.clone()
    };
    method == call.method && matches(&path.to_lowercase(), &asked.to_lowercase())
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// Whether `*` in a pattern can stand for what makes it the text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIC: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/nic-";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
    }

    fn writes() -> Vec<String> {
        vec!["*/write".to_owned()]
    }

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, text, same) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*", "/a/b/c", true),
            (
                "*/roleassignments",
                "/subscriptions/s/roleassignments",
                true,
            ),
            (
                "*/roleassignments",
                "/subscriptions/s/roleassignments/x",
                false,
            ),
            ("/a*c*e", "/abcde", true),
            ("/a*a", "/a", false),
            ("", "/a", false),
        ] {
            assert_eq!(matches(pattern, text), same, "{pattern} {text}");
        }
    }

    #[test]
    fn a_late_write_counts_while_the_log_shows_the_early_ones_alone() {
        let ids: Vec<String> = ["1", "2", "3"]
            .map(|nic| format!("{NIC}{nic}").to_lowercase())
            .to_vec();
        let mut logs = Logs::default();
        let mut kept = Kept::default();
        for (second, nic) in [(60, "1"), (61, "2"), (360, "3")] {
            let path = format!("{NIC}{nic}");
            kept.calls
                .push(Call::answered(at(second), "PUT", &path, ""));
            // The log is three minutes behind, and it is looked at after 400 s.
            if second + 180 < 400 {
                let operation = "Microsoft.Network/networkInterfaces/write".to_owned();
                logs.writes
                    .push((at(second + 1), path.to_lowercase(), operation));
            }
        }
        let operations = writes();
        let times = || written(&logs, &ids, &operations).chain(sent(&kept, &ids, &operations));
        assert_eq!(pick(Which::First, times()), Some(at(60)));
        assert_eq!(pick(Which::Last, times()), Some(at(360)));
        // And what was done past azir counts where the record knows of another.
        kept.calls.clear();
        kept.calls
            .push(Call::answered(at(90), "PUT", &format!("{NIC}3"), ""));
        let times = || written(&logs, &ids, &operations).chain(sent(&kept, &ids, &operations));
        assert_eq!(pick(Which::First, times()), Some(at(61)));
        assert_eq!(pick(Which::Last, times()), Some(at(90)));
    }

    #[test]
    fn a_call_is_the_operation_that_the_log_would_name() {
        let machine =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm";
        let kept = |method: &str, path: &str| Kept {
            calls: vec![Call::answered(at(1), method, path, "")],
            ..Kept::default()
        };
        let ids = [machine.to_lowercase()];
        for (method, below, operation, is) in [
            ("PATCH", "", "microsoft.compute/virtualmachines/write", true),
            (
                "DELETE",
                "",
                "microsoft.compute/virtualmachines/delete",
                true,
            ),
            (
                "POST",
                "/deallocate",
                "microsoft.compute/virtualmachines/deallocate/action",
                true,
            ),
            ("POST", "/deallocate", "*/write", false),
            ("PUT", "/extensions/x", "*/write", false),
            ("GET", "", "*", false),
        ] {
            let kept = kept(method, &format!("{machine}{below}"));
            let operations = [operation.to_owned()];
            let found = sent(&kept, &ids, &operations).next().is_some();
            assert_eq!(found, is, "{method} {below} {operation}");
        }
    }

    #[test]
    fn a_pattern_with_a_question_mark_sees_the_query_and_any_other_does_not() {
        let mine = "https://graph.microsoft.com/v1.0/g?$top=9&$filter=clientId+eq+%27A%27";
        let url: url::Url = mine.parse().unwrap();
        let call = Call::answered(at(1), "GET", "/v1.0/g", &crate::drill::kept::query(&url));
        for (pattern, is) in [
            ("GET */g", true),
            ("GET */g?*", true),
            ("GET */g?$filter=clientId eq 'a'&$top=9", true),
            ("GET */g?*clientid eq 'b'*", false),
            // Without a filter.
            ("GET */g?$top=*", false),
            ("DELETE */g", false),
        ] {
            assert_eq!(fits(pattern, &call), is, "{pattern}");
        }
    }

    #[test]
    fn a_time_of_whole_seconds_may_be_any_in_its_second() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let exact = at("2026-11-24T03:00:00.700Z");
        assert!(exact <= end_of(at("2026-11-24T03:00:00Z")));
        assert!(exact > end_of(at("2026-11-24T02:59:59Z")));
        assert_eq!(end_of(exact), exact);
    }
}
