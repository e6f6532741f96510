//! Sliding windows: how Microsoft Graph and Key Vault throttle (graph-and-data-planes.md sections 4 and 6), scaled.
//!
//! Graph counts what it refuses, Key Vault does not.

use std::collections::{HashMap, VecDeque};

use super::reply::{Ask, Reply, graph_error};
use super::vault;

/// So many in any so many seconds.
struct Rule {
    name: &'static str,
    most: u32,
    seconds: u64,
}

const WRITES: Rule = rule("WriteLimitExceeded", 3_000, 150);
const REPORTS: Rule = rule("Reports", 5, 10);
const PROTECTION: Rule = rule("Protection", 1, 1);
const ALERTS: Rule = rule("Alerts", 150, 60);
const HUNTING: Rule = rule("Hunting", 45, 60);
const MAILBOX: Rule = rule("Mailbox", 10_000, 600);
const VAULT: Rule = rule("Vault", 4_000, 10);
const CREATIONS: Rule = rule("Creations", 300, 10);

const fn rule(name: &'static str, most: u32, seconds: u64) -> Rule {
    Rule {
        name,
        most,
        seconds,
    }
}

/// Resource units in ten seconds, by how many users the tenant has.
fn units_of(users: usize) -> Rule {
    let most = match users {
        0..50 => 3_500,
        50..=500 => 5_000,
        _ => 8_000,
    };
    rule("ResourceUnitLimitExceeded", most, 10)
}

/// What was counted, by rule and by whose it is.
#[derive(Default)]
pub(super) struct Windows(HashMap<(&'static str, String), Window>);

#[derive(Default)]
struct Window {
    sum: u32,
    counted: VecDeque<(u64, u32)>,
}

/// How the windows are set.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// Scales every limit.
    pub(super) factor: f64,
    /// What a 429 asks for instead of the service's own figure.
    pub(super) retry_after: Option<Option<u64>>,
    /// Microseconds of the lab's clock.
    pub(super) now_us: u64,
}

/// Who asks, and of whom.
pub(super) struct Party<'a> {
    pub(super) app: &'a str,
    pub(super) tenant: &'a str,
    /// How many users the tenant has.
    pub(super) users: usize,
}

/// One count: the share of the limit that is used, or the seconds until there is room.
enum Count {
    Within(f64),
    Over(u64),
}

impl Windows {
    /// Counts a request to Graph; returns headers for its answer.
    pub(super) fn graph(
        &mut self,
        ask: &Ask,
        party: &Party<'_>,
        setting: Setting,
    ) -> Result<Vec<(&'static str, String)>, Reply> {
        let path = ask.path.to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').skip(2).collect();
        let app = format!("{}/{}", party.app, party.tenant);
        let one = |rule: Rule, of: &str| vec![(rule, of.to_owned(), 1)];
        let (counts, code, advises) = match segments.as_slice() {
            ["auditlogs" | "reports", ..] => (one(REPORTS, &app), "UnknownError", true),
            ["identityprotection", ..] | ["identity", "conditionalaccess", ..] => {
                (one(PROTECTION, party.tenant), "TooManyRequests", false)
            }
            ["security", action] if action.ends_with("runhuntingquery") => {
                (one(HUNTING, party.tenant), "TooManyRequests", true)
            }
            ["security", what, ..] if what.starts_with("alerts") => {
                (one(ALERTS, &app), "TooManyRequests", true)
            }
            [
                "users",
                user,
                "mailfolders" | "messages" | "mailboxsettings",
                ..,
            ] => (
                one(MAILBOX, &format!("{app}/{user}")),
                "ApplicationThrottled",
                true,
            ),
            _ => {
                let mut counts = vec![(units_of(party.users), app.clone(), units(ask, &segments))];
                if is_write(&ask.method, &segments) {
                    counts.push((WRITES, app.clone(), 1));
                }
                (counts, "TooManyRequests", true)
            }
        };
        let mut share = 0.0_f64;
        let mut over = None;
        for (rule, of, cost) in &counts {
            match self.count(rule, of, *cost, setting, true) {
                Count::Within(used) => share = share.max(used),
                Count::Over(seconds) => over = Some((rule.name, seconds)),
            }
        }
        if let Some((name, seconds)) = over {
            let mut reply = graph_error(429, code, "Too many requests");
            if name.ends_with("Exceeded") {
                reply = reply.with("x-ms-throttle-information", name).with(
                    "x-ms-throttle-scope",
                    format!("Tenant_Application/ReadWrite/{app}"),
                );
            }
            return Err(advised(reply, setting, advises.then_some(seconds)));
        }
        let mut headers = Vec::new();
        if let Some((_, _, cost)) = counts
            .iter()
            .find(|(rule, ..)| rule.name.starts_with("Res"))
        {
            headers.push(("x-ms-resource-unit", cost.to_string()));
        }
        if share > 0.8 {
            headers.push(("x-ms-throttle-limit-percentage", format!("{share:.2}")));
        }
        Ok(headers)
    }

    /// Counts a request to a vault.
    pub(super) fn vault(
        &mut self,
        ask: &Ask,
        vault_name: &str,
        setting: Setting,
    ) -> Result<(), Reply> {
        let creates = ask.method == "PUT" && ask.path.to_ascii_lowercase().starts_with("/secrets/");
        let rules = [Some(VAULT), creates.then_some(CREATIONS)];
        for rule in rules.into_iter().flatten() {
            let of = vault_name.to_ascii_lowercase();
            if let Count::Over(seconds) = self.count(&rule, &of, 1, setting, false) {
                let message = "Request was not processed because too many requests were received.";
                let reply = vault::error(429, "Throttled", message, None);
                return Err(advised(reply, setting, Some(seconds)));
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        rule: &Rule,
        of: &str,
        cost: u32,
        setting: Setting,
        counts_refused: bool,
    ) -> Count {
        let most = (f64::from(rule.most) * setting.factor).max(1.0) as u32;
        let span = rule.seconds * 1_000_000;
        let now = setting.now_us;
        let window = self.0.entry((rule.name, of.to_owned())).or_default();
        while let Some((at, counted)) = window.counted.front().copied()
            && at + span <= now
        {
            window.counted.pop_front();
            window.sum -= counted;
        }
        let fits = window.sum + cost <= most;
        if fits || counts_refused {
            window.sum += cost;
            window.counted.push_back((now, cost));
        }
        if fits {
            return Count::Within(f64::from(window.sum) / f64::from(most));
        }
        let mut left = window.sum;
        let room = window.counted.iter().find(|(_, counted)| {
            left -= counted;
            left + cost <= most
        });
        let until = room.map_or(now + span, |(at, _)| at + span);
        Count::Over((until - now).div_ceil(1_000_000).max(1))
    }
}

fn advised(reply: Reply, setting: Setting, seconds: Option<u64>) -> Reply {
    match setting.retry_after.unwrap_or(seconds) {
        Some(seconds) => reply.with("retry-after", seconds.to_string()),
        None => reply,
    }
}

/// What a request costs in resource units.
fn units(ask: &Ask, segments: &[&str]) -> u32 {
    let last = segments.last().copied().unwrap_or_default();
    if ask.method != "GET" {
        return match last {
            "getbyids" => 3,
            "checkmembergroups" | "checkmemberobjects" => 4,
            _ => 1,
        };
    }
    let base = match segments {
        ["users" | "applications"] | ["users" | "applications", _] => 2,
        ["groups", _, "members"] => 3,
        ["groups", _, "transitivemembers"] => 5,
        [.., "memberof" | "transitivememberof" | "ownedobjects"] => 2,
        ["oauth2permissiongrants", ..] | [.., "approleassignments"] => 2,
        [.., "oauth2permissiongrants"] => 2,
        _ => 1,
    };
    let short = ask
        .query("$top")
        .is_some_and(|top| top.parse().is_ok_and(|top: u32| top < 20));
    let less = u32::from(ask.query("$select").is_some()) + u32::from(short);
    (base + u32::from(ask.query("$expand").is_some()))
        .saturating_sub(less)
        .max(1)
}

fn is_write(method: &str, segments: &[&str]) -> bool {
    let asks = segments.last().is_some_and(|last| {
        last.starts_with("getmember") || last.starts_with("checkmember") || *last == "getbyids"
    });
    match method {
        "GET" | "HEAD" => false,
        "POST" => !asks,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str) -> Ask {
        Ask {
            method: method.to_owned(),
            host: String::new(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            origin: String::new(),
        }
    }

    fn setting(now_us: u64) -> Setting {
        Setting {
            factor: 1.0,
            retry_after: None,
            now_us,
        }
    }

    const PARTY: Party<'_> = Party {
        app: "a",
        tenant: "t",
        users: 10,
    };

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        let mut all = reply.headers.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn writes_are_counted_in_any_hundred_and_fifty_seconds() {
        let mut windows = Windows::default();
        let write = ask("PATCH", "/v1.0/users/a");
        let mut refused = None;
        for number in 0..3_001_u64 {
            refused = windows
                .graph(&write, &PARTY, setting(number * 10_000))
                .err()
                .map(|reply| (number, reply));
        }
        let (number, reply) = refused.unwrap();
        assert_eq!((number, reply.status), (3_000, 429));
        assert_eq!(header(&reply, "retry-after"), Some("121"));
        assert_eq!(
            header(&reply, "x-ms-throttle-information"),
            Some("WriteLimitExceeded")
        );
        // The refused one counted, too.
        let at = |seconds: u64| setting(seconds * 1_000_000);
        assert!(windows.graph(&write, &PARTY, at(150)).is_err());
        assert!(windows.graph(&write, &PARTY, at(151)).is_ok());
        let read = ask("GET", "/v1.0/users/a");
        assert!(windows.graph(&read, &PARTY, at(151)).is_ok());
    }

    #[test]
    fn protection_gives_no_advice_and_a_vault_forgets_what_it_refused() {
        let mut windows = Windows::default();
        let risky = ask("GET", "/v1.0/identityProtection/riskyUsers");
        assert!(windows.graph(&risky, &PARTY, setting(0)).is_ok());
        let reply = windows.graph(&risky, &PARTY, setting(1)).unwrap_err();
        assert_eq!(header(&reply, "retry-after"), None);
        let put = ask("PUT", "/secrets/s");
        for _ in 0..300 {
            assert!(windows.vault(&put, "KV", setting(0)).is_ok());
        }
        assert!(windows.vault(&put, "kv", setting(1)).is_err());
        assert!(windows.vault(&put, "kv", setting(10_000_000)).is_ok());
        assert!(windows.vault(&put, "other", setting(1)).is_ok());
    }
    #[test]
    fn conditional_access_shares_the_window_of_protection_with_everybody_in_the_tenant() {
        let mut windows = Windows::default();
        let risky = ask("GET", "/v1.0/identityProtection/riskyUsers");
        let policies = ask("GET", "/v1.0/identity/conditionalAccess/policies");
        assert!(windows.graph(&risky, &PARTY, setting(0)).is_ok());
        let other = Party { app: "b", ..PARTY };
        for party in [PARTY, other] {
            let reply = windows.graph(&policies, &party, setting(1)).unwrap_err();
            assert_eq!((reply.status, header(&reply, "retry-after")), (429, None));
        }
        let elsewhere = Party {
            tenant: "u",
            ..PARTY
        };
        assert!(windows.graph(&policies, &elsewhere, setting(1)).is_ok());
        assert!(windows.graph(&policies, &PARTY, setting(5_000_000)).is_ok());
    }

    #[test]
    fn five_logs_are_read_in_ten_seconds_and_no_sixth() {
        let mut windows = Windows::default();
        let log = ask("GET", "/v1.0/auditLogs/signIns");
        for _ in 0..5 {
            assert!(windows.graph(&log, &PARTY, setting(0)).is_ok());
        }
        let reply = windows.graph(&log, &PARTY, setting(1)).unwrap_err();
        assert_eq!(reply.status, 429);
        assert_eq!(header(&reply, "retry-after"), Some("10"));
        assert!(String::from_utf8_lossy(&reply.body).contains("UnknownError"));
        assert!(windows.graph(&log, &PARTY, setting(10_000_000)).is_ok());
    }
}
