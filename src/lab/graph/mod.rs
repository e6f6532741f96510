//! Microsoft Graph: one directory, `OData`, and a route for each operation that the lab models.
//!
//! A request finds its [`Route`] by method, version and path; the token must have one of the route's permissions; then
//! the route's handler answers. What has no route is refused with 501. Start reading at [`answer`]; each file of
//! routes is a subject of graph-and-data-planes.md section 1.

mod activated;
mod applications;
mod audit;
mod batch;
mod bin;
mod body;
mod builtin;
mod clouds;
mod devices;
pub(super) mod directory;
mod filter;
mod grants;
mod groups;
mod log_seed;
pub(super) mod logs;
mod made;
mod mailbox;
mod methods;
mod organization;
mod pim;
mod policies;
mod principals;
mod privileged;
mod query;
mod registered;
mod risk;
mod roles;
mod secrets;
pub(super) mod seed;
mod users;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::entra::Claims;
use super::reply::{Ask, Reply, graph_error};
use super::store::Store;
use super::tenant::Tenant;
pub(super) use logs::{Attempt, note as note_sign_in};
pub(super) use secrets::{Refusal as SignInRefusal, SignedIn, sign_in};

/// What users are kept as.
pub(super) const USERS: &str = "users";

/// A request on its way through the directory.
pub(super) struct Visit<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) store: &'a mut Store,
    pub(super) ask: &'a Ask,
    pub(super) claims: &'a Claims,
    pub(super) now: DateTime<Utc>,
    pub(super) now_us: u64,
}

/// Answers one operation; the texts are what the path's placeholders hold.
type Handler = fn(&mut Visit<'_>, &[&str]) -> Reply;

/// One operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path below the version, `{}` for any one segment.
    pub(super) path: &'static str,
    /// Whether v1.0 has it too.
    pub(super) v1: bool,
    /// Application permissions of which one is needed.
    pub(super) needs: &'static [&'static str],
    pub(super) handler: Handler,
}

/// Returns a route of v1.0 and beta.
pub(super) const fn route(
    method: &'static str,
    path: &'static str,
    needs: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        v1: true,
        needs,
        handler,
    }
}

/// Returns a route that only beta has.
pub(super) const fn beta(
    method: &'static str,
    path: &'static str,
    needs: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        v1: false,
        needs,
        handler,
    }
}

/// Every route, by subject.
const ROUTES: &[&[Route]] = &[
    activated::ROUTES,
    applications::ROUTES,
    batch::ROUTES,
    bin::ROUTES,
    devices::ROUTES,
    grants::ROUTES,
    groups::ROUTES,
    logs::ROUTES,
    made::ROUTES,
    mailbox::ROUTES,
    methods::ROUTES,
    organization::ROUTES,
    pim::ROUTES,
    policies::ROUTES,
    principals::ROUTES,
    registered::ROUTES,
    risk::ROUTES,
    roles::ROUTES,
    users::ROUTES,
];

/// Answers a request to `graph.localhost`.
pub(super) fn answer(
    tenant: &Tenant,
    store: &mut Store,
    ask: &Ask,
    claims: &Claims,
    now_us: u64,
) -> Reply {
    let mut visit = Visit {
        tenant,
        store,
        ask,
        claims,
        now: tenant.clock.now(),
        now_us,
    };
    dispatch(&mut visit)
}

fn dispatch(visit: &mut Visit<'_>) -> Reply {
    let ask = visit.ask;
    let segments = by_key(&ask.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some((version, rest)) = segments.split_first() else {
        return not_modelled(ask);
    };
    // A batch is not counted; what is in it is.
    let counted = if rest == ["$batch"] {
        Ok(Vec::new())
    } else {
        visit.tenant.throttle_graph(ask, visit.claims, visit.now_us)
    };
    let headers = match counted {
        Ok(headers) => headers,
        Err(refusal) => return refusal,
    };
    let reply = routed(visit, version, rest);
    headers
        .into_iter()
        .fold(reply, |reply, (name, value)| reply.with(name, value))
}

fn routed(visit: &mut Visit<'_>, version: &str, rest: &[&str]) -> Reply {
    let ask = visit.ask;
    if !matches!(version, "v1.0" | "beta") {
        return graph_error(400, "BadRequest", &format!("Invalid version: {version}."));
    }
    if let Some(segment) = clouds::absent(&visit.tenant.scenario.cloud, rest) {
        let message = format!("Resource not found for the segment '{segment}'.");
        return graph_error(400, "BadRequest", &message);
    }
    if rest.first() == Some(&"me") {
        return graph_error(
            400,
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        );
    }
    let there = |route: &&Route| (route.v1 || version == "beta") && fits(route.path, rest);
    let mut known = ROUTES.iter().copied().flatten().filter(there).peekable();
    if known.peek().is_none() {
        return not_modelled(ask);
    }
    let Some(route) = known.find(|route| route.method == ask.method) else {
        let message = format!("The lab does not model {} on {}.", ask.method, ask.path);
        return graph_error(501, "NotModelled", &message);
    };
    let may = route.needs.is_empty()
        || route
            .needs
            .iter()
            .any(|needed| visit.claims.roles.iter().any(|role| role == needed));
    if !may {
        return denied();
    }
    let held: Vec<&str> = route
        .path
        .split('/')
        .zip(rest)
        .filter(|(pattern, _)| *pattern == "{}")
        .map(|(_, segment)| *segment)
        .collect();
    (route.handler)(visit, &held)
}

/// Segments that are never a key.
const OPTIONS: &[&str] = &["$batch", "$count", "$ref", "$value"];

fn fits(pattern: &str, segments: &[&str]) -> bool {
    let wanted: Vec<&str> = pattern.split('/').collect();
    wanted.len() == segments.len()
        && wanted.iter().zip(segments).all(|(wanted, segment)| {
            *wanted == "{}" && !OPTIONS.contains(segment) || wanted.eq_ignore_ascii_case(segment)
        })
}

/// Splits a path; `applications(appId='x')` is a collection and the key `appId='x'`, `users('$x')` one of its own.
fn by_key(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment
            .strip_suffix(')')
            .and_then(|rest| rest.split_once('('))
        {
            Some((collection, key)) if !collection.is_empty() => {
                segments.push(collection.to_owned());
                let literal = key
                    .strip_prefix('\'')
                    .and_then(|key| key.strip_suffix('\''));
                segments.push(literal.unwrap_or(key).replace("''", "'"));
            }
            _ => segments.push(segment.to_owned()),
        }
    }
    segments
}

/// Returns the value of an alternate key such as `appId='x'`.
pub(super) fn alternate<'a>(segment: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = segment.split_once('=')?;
    key.eq_ignore_ascii_case(name)
        .then(|| value.trim_matches('\''))
}

impl Visit<'_> {
    /// Returns an object as this read sees it.
    pub(super) fn seen(&self, kind: &str, id: &str) -> Option<&Value> {
        self.store.directory.seen(kind, id, self.now_us)
    }

    /// Returns an object as the primary knows it: what a write acts on.
    pub(super) fn current(&self, kind: &str, id: &str) -> Option<Value> {
        self.store.directory.now(kind, id).cloned()
    }

    /// Returns the objects of a kind as this list sees them, those that pass.
    pub(super) fn listed(&self, kind: &str, pass: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.store
            .directory
            .listed(kind, self.now_us)
            .filter(|value| pass(value))
            .cloned()
            .collect()
    }

    /// Puts an object, on disk before the reply.
    pub(super) fn put(&mut self, kind: &str, id: &str, value: Value) {
        self.store.put_object(kind, id, value, self.now_us);
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, kind: &str, id: &str) -> Option<Value> {
        self.store.remove_object(kind, id, self.now_us)
    }

    /// Returns a new id.
    pub(super) fn new_id(&self) -> String {
        self.tenant.random.uuid().to_string()
    }

    /// Returns the time as Graph writes it.
    pub(super) fn time(&self) -> String {
        crate::clock::seconds(self.now)
    }

    /// Returns the metadata address of what an answer holds.
    pub(super) fn context(&self, what: &str) -> String {
        let version = self.ask.segments().first().copied().unwrap_or("v1.0");
        format!("https://graph.microsoft.com/{version}/$metadata#{what}")
    }
}

/// Refuses for want of a permission or role.
pub(super) fn denied() -> Reply {
    graph_error(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
}

/// Says that an object is not there, or not yet.
pub(super) fn missing(id: &str) -> Reply {
    let message = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    graph_error(404, "Request_ResourceNotFound", &message)
}

/// Refuses a request as wrong.
pub(super) fn bad(message: &str) -> Reply {
    graph_error(400, "Request_BadRequest", message)
}

fn not_modelled(ask: &Ask) -> Reply {
    let message = format!("The lab does not model {} {}.", ask.method, ask.path);
    graph_error(501, "NotModelled", &message)
}
