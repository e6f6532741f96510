//! The documented limits, as data, and what a request draws on them.
//!
//! Of what is not listed, only the service's own word is known.

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::request::Plane;
use super::units;

/// A limit that requests share.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Limit {
    /// Writes to the directory.
    GraphWrites,
    /// Resource units of the directory.
    GraphUnits,
    /// Sign-in logs, audit logs and usage reports.
    GraphReports,
    /// Identity Protection and Conditional Access: one a second for all apps of a tenant, and no Retry-After.
    GraphProtection,
    /// Security alerts.
    GraphAlerts,
    /// Advanced hunting.
    GraphHunting,
    /// One mailbox.
    GraphMailbox,
    /// One mailbox, at the same time.
    GraphMailboxAtOnce,
    /// GET and HEAD of a subscription, or of the tenant.
    ArmReads,
    /// What writes by its method, though it may only ask.
    ArmWrites,
    /// DELETE.
    ArmDeletes,
    /// Queries to Log Analytics.
    LogsQueries,
    /// New versions of secrets in one vault.
    VaultCreations,
    /// Anything in one vault.
    VaultRequests,
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Tokens: how many there are room for, how many come back a second.
    Bucket(f64, f64),
    /// So many in any so many milliseconds; 0: at the same time.
    Window(u32, u64),
}

/// Units in ten seconds of a tenant that has at least so many users.
const SIZES: [(usize, u32); 3] = [(0, 3_500), (50, 5_000), (500, 8_000)];

impl Limit {
    /// Returns how it counts (arm.md section 1.5; graph-and-data-planes.md sections 1.11, 2, 4, 6, 7).
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::GraphWrites => Shape::Window(3_000, 150_000),
            Self::GraphUnits => Shape::Window(SIZES[0].1, 10_000),
            Self::GraphReports => Shape::Window(5, 10_000),
            Self::GraphProtection => Shape::Window(1, 1_000),
            Self::GraphAlerts => Shape::Window(150, 60_000),
            Self::GraphHunting => Shape::Window(45, 60_000),
            Self::GraphMailbox => Shape::Window(10_000, 600_000),
            Self::GraphMailboxAtOnce => Shape::Window(4, 0),
            Self::ArmReads => Shape::Bucket(250.0, 25.0),
            Self::ArmWrites | Self::ArmDeletes => Shape::Bucket(200.0, 10.0),
            Self::LogsQueries => Shape::Window(200, 30_000),
            Self::VaultCreations => Shape::Window(300, 10_000),
            Self::VaultRequests => Shape::Window(4_000, 10_000),
        }
    }

    /// Returns the word of Resource Manager's headers for what is left.
    pub(crate) fn arm_word(self) -> Option<&'static str> {
        match self {
            Self::ArmReads => Some("reads"),
            Self::ArmWrites => Some("writes"),
            Self::ArmDeletes => Some("deletes"),
            _ => None,
        }
    }

    /// Returns whether a refusal with this `x-ms-throttle-information` is about it (section 4).
    pub(crate) fn is_meant(self, information: &str) -> bool {
        match information {
            "WriteLimitExceeded" => self == Self::GraphWrites,
            "ResourceUnitLimitExceeded" => self == Self::GraphUnits,
            _ => true,
        }
    }
}

/// A limit of one subscription, vault or mailbox, or of the tenant.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Account {
    pub(crate) limit: Limit,
    pub(crate) of: String,
}

/// Whose limit is the tenant's.
pub(crate) const TENANT: &str = "tenant";

/// What one request draws, the scarcest first: who waits for the second already has the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Draw {
    pub(crate) on: Vec<(Account, u32)>,
    /// Users that the request is about: a tenant has at least as many as were met.
    pub(crate) users: Vec<String>,
}

impl Draw {
    /// Returns what a request draws.
    pub(crate) fn of(plane: Plane, method: &str, url: &Url, body: Option<&[u8]>) -> Self {
        let mut draw = Self::default();
        match plane {
            Plane::Arm => draw.arm(method, url.path()),
            Plane::Graph => draw.graph(method, url, body),
            Plane::Vault => draw.vault(method, url),
            Plane::Logs => draw.add(Limit::LogsQueries, TENANT, 1),
            Plane::Blob => {}
        }
        draw.on.sort_by_key(|(account, _)| account.limit);
        draw
    }

    fn add(&mut self, limit: Limit, of: &str, cost: u32) {
        let same = |(account, _): &&mut (Account, u32)| account.limit == limit && account.of == of;
        match self.on.iter_mut().find(same) {
            Some((_, sum)) => *sum += cost,
            None => self.on.push((
                Account {
                    limit,
                    of: of.to_owned(),
                },
                cost,
            )),
        }
    }

    fn arm(&mut self, method: &str, path: &str) {
        let mut segments = path.split('/').skip(1);
        let subscription = segments
            .next()
            .filter(|first| first.eq_ignore_ascii_case("subscriptions"))
            .and_then(|_| segments.next())
            .filter(|id| !id.is_empty())
            .map(str::to_ascii_lowercase);
        let limit = match method {
            "GET" | "HEAD" => Limit::ArmReads,
            "DELETE" => Limit::ArmDeletes,
            _ => Limit::ArmWrites,
        };
        self.add(limit, subscription.as_deref().unwrap_or(TENANT), 1);
    }

    fn vault(&mut self, method: &str, url: &Url) {
        let host = url.host_str().unwrap_or_default();
        if method == "PUT" && url.path().to_ascii_lowercase().starts_with("/secrets/") {
            self.add(Limit::VaultCreations, host, 1);
        }
        self.add(Limit::VaultRequests, host, 1);
    }

    fn graph(&mut self, method: &str, url: &Url, body: Option<&[u8]>) {
        let path = url.path().trim_start_matches('/');
        let below = path.split_once('/').map_or("", |(_, below)| below);
        if !below.eq_ignore_ascii_case("$batch") {
            return self.graph_one(method, below, url.query().unwrap_or_default());
        }
        // Each request in a batch is counted on its own.
        let body: Value = body
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_default();
        for one in body["requests"].as_array().into_iter().flatten() {
            let address = one["url"].as_str().unwrap_or_default();
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            let method = one["method"].as_str().unwrap_or_default();
            self.graph_one(method, path.trim_start_matches('/'), query);
        }
    }

    fn graph_one(&mut self, method: &str, below: &str, query: &str) {
        let lower = below.to_ascii_lowercase();
        let segments: Vec<&str> = lower.split('/').collect();
        match segments.as_slice() {
            ["auditlogs" | "reports", ..] => self.add(Limit::GraphReports, TENANT, 1),
            ["identityprotection", ..] | ["identity", "conditionalaccess", ..] => {
                self.add(Limit::GraphProtection, TENANT, 1);
            }
            ["security", action] if action.ends_with("runhuntingquery") => {
                self.add(Limit::GraphHunting, TENANT, 1);
            }
            ["security", what, ..] if what.starts_with("alerts") => {
                self.add(Limit::GraphAlerts, TENANT, 1);
            }
            [
                "users",
                user,
                "mailfolders" | "messages" | "mailboxsettings",
                ..,
            ] => {
                self.add(Limit::GraphMailbox, user, 1);
                self.add(Limit::GraphMailboxAtOnce, user, 1);
            }
            _ => {
                let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
                let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
                let units = units::cost(method, &lower, pairs);
                self.add(Limit::GraphUnits, TENANT, units);
                if units::writes(method, &lower) {
                    self.add(Limit::GraphWrites, TENANT, 1);
                }
            }
        }
        if let ["users", user, ..] = segments.as_slice() {
            self.users.push((*user).to_owned());
        }
    }
}

/// How many users of the tenant were met, as far as it matters.
#[derive(Default)]
pub(crate) struct Users(HashSet<String>);

impl Users {
    /// Counts the users of a request; returns the units of a tenant of that size, if they became more.
    pub(crate) fn met(&mut self, users: &[String]) -> Option<u32> {
        let most = SIZES[SIZES.len() - 1].0;
        let before = units_of(self.0.len());
        for user in users {
            if self.0.len() < most {
                self.0.insert(user.clone());
            }
        }
        let now = units_of(self.0.len());
        (now > before).then_some(now)
    }
}

fn units_of(users: usize) -> u32 {
    let fitting = SIZES.iter().rev().find(|(least, _)| users >= *least);
    fitting.map_or(SIZES[0].1, |(_, units)| *units)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn draw(plane: Plane, method: &str, address: &str, body: Option<Value>) -> Draw {
        let url = Url::parse(&format!("https://kv-1.example{address}")).unwrap();
        let body = body.map(|body| body.to_string());
        Draw::of(plane, method, &url, body.as_deref().map(str::as_bytes))
    }

    fn costs(draw: &Draw) -> Vec<(Limit, &str, u32)> {
        let each = draw.on.iter();
        each.map(|(account, cost)| (account.limit, account.of.as_str(), *cost))
            .collect()
    }

    #[test]
    fn a_request_draws_on_every_limit_that_counts_it() {
        let of = |plane, method, address| draw(plane, method, address, None);
        assert_eq!(
            costs(&of(Plane::Graph, "PATCH", "/v1.0/users/A")),
            [
                (Limit::GraphWrites, TENANT, 1),
                (Limit::GraphUnits, TENANT, 1)
            ]
        );
        assert_eq!(
            costs(&of(Plane::Graph, "POST", "/v1.0/users/a/getMemberObjects")),
            [(Limit::GraphUnits, TENANT, 1)]
        );
        assert_eq!(
            costs(&of(Plane::Graph, "GET", "/beta/auditLogs/signIns?$top=5")),
            [(Limit::GraphReports, TENANT, 1)]
        );
        assert_eq!(
            costs(&of(
                Plane::Graph,
                "GET",
                "/v1.0/users/a/mailFolders/inbox/messageRules"
            )),
            [
                (Limit::GraphMailbox, "a", 1),
                (Limit::GraphMailboxAtOnce, "a", 1)
            ]
        );
        assert_eq!(
            costs(&of(Plane::Vault, "PUT", "/secrets/s")),
            [
                (Limit::VaultCreations, "kv-1.example", 1),
                (Limit::VaultRequests, "kv-1.example", 1)
            ]
        );
        assert_eq!(
            costs(&of(Plane::Arm, "POST", "/subscriptions/S/x")),
            [(Limit::ArmWrites, "s", 1)]
        );
        assert!(of(Plane::Blob, "PUT", "/c/b").on.is_empty());
    }

    #[test]
    fn a_batch_draws_what_its_requests_draw() {
        let body = serde_json::json!({"requests": [
            {"id": "1", "method": "GET", "url": "/users/a"},
            {"id": "2", "method": "GET", "url": "/users/b?$select=id"},
            {"id": "3", "method": "GET", "url": "/auditLogs/signIns"},
        ]});
        let draw = draw(Plane::Graph, "POST", "/v1.0/$batch", Some(body));
        assert_eq!(
            costs(&draw),
            [
                (Limit::GraphUnits, TENANT, 3),
                (Limit::GraphReports, TENANT, 1)
            ]
        );
        assert_eq!(draw.users, ["a", "b"]);
    }

    #[test]
    fn a_tenant_is_as_large_as_the_users_that_were_met() {
        let mut users = Users::default();
        let id = |number: usize| [number.to_string()];
        assert!((0..49).all(|number| users.met(&id(number)).is_none()));
        assert_eq!(users.met(&id(0)), None);
        assert_eq!(users.met(&id(49)), Some(5_000));
        assert!((50..499).all(|number| users.met(&id(number)).is_none()));
        assert_eq!(users.met(&id(499)), Some(8_000));
        assert_eq!(users.met(&id(500)), None);
    }
}
