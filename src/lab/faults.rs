//! Faults by script: which request, the how many-th time, and what goes wrong.

use serde::Deserialize;

use super::act::Act;

/// A script of faults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Rules in order; the first that fits applies.
    pub faults: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The method; absent: any.
    pub method: Option<String>,
    /// A text that the path must hold, whatever its case, `*` standing for any text; absent: any path.
    pub path: Option<String>,
    /// From which match on it applies, counted from 1; absent: the first.
    pub nth: Option<u64>,
    /// How many matches it applies to; absent: one.
    pub times: Option<u64>,
    /// What goes wrong.
    #[serde(rename = "do")]
    pub fault: Fault,
    /// The status, for `status`.
    pub status: Option<u16>,
    /// The error code, for `status`.
    pub code: Option<String>,
    /// Seconds to ask to wait.
    pub retry_after: Option<u64>,
    /// Milliseconds, for `delay` and `delay-after`.
    pub millis: Option<u64>,
    /// What somebody else changes just before the request is looked at, or with `act-after` just after it was carried
    /// out; beside any `do`.
    #[serde(default)]
    pub act: Vec<Act>,
    #[serde(skip)]
    seen: u64,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing, but for what somebody else does just before.
    Act,
    /// Nothing, but for what somebody else does just after.
    ActAfter,
    /// An error status without effect.
    Status,
    /// The connection breaks before anything happens.
    ResetBefore,
    /// The effect happens and the connection breaks.
    ResetAfter,
    /// What was asked is done late.
    Delay,
    /// What was asked is done at once, and the answer comes late.
    DelayAfter,
    /// A read comes from a replica that has not seen the last change.
    Stale,
    /// Half of the body is missing.
    Truncate,
    /// The body is no JSON, though it says so.
    Malformed,
    /// A page of something in between.
    Html,
    /// A query is answered in part: half of the rows, and the service's error that says so.
    Partial,
    /// A list leads elsewhere.
    ForeignNextLink,
    /// An operation leads elsewhere.
    ForeignLocation,
    /// The token is said to have expired.
    ExpiredToken,
    /// A claims challenge.
    ClaimsChallenge,
    /// An error that repeats the caller's `Authorization` and sets a cookie, as a careless gateway does.
    Echo,
    /// An operation fails.
    LroFailed,
    /// An operation never ends.
    LroStuck,
}

impl Faults {
    /// Reads a script.
    ///
    /// # Errors
    /// Where and why it cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// Returns the rule that applies to a request.
    pub(super) fn next(&mut self, method: &str, path: &str) -> Option<Rule> {
        let path = path.to_ascii_lowercase();
        for rule in &mut self.faults {
            let fits = rule
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && rule
                    .path
                    .as_ref()
                    .is_none_or(|wanted| holds(&path, &wanted.to_ascii_lowercase()));
            if !fits {
                continue;
            }
            rule.seen += 1;
            let first = rule.nth.unwrap_or(1);
            if (first..first.saturating_add(rule.times.unwrap_or(1))).contains(&rule.seen) {
                return Some(rule.clone());
            }
        }
        None
    }
}

/// Returns whether a text holds the parts of a pattern in order.
fn holds(text: &str, pattern: &str) -> bool {
    let mut left = text;
    pattern.split('*').all(|part| match left.find(part) {
        Some(at) => {
            left = &left[at + part.len()..];
            true
        }
        None => false,
    })
}
