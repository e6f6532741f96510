//! Requests by type: what reads and what writes, decided when the request is made, so that a plan cannot write.

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::error::Error;

/// A service family with its own host and token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Plane {
    /// Azure Resource Manager.
    Arm,
    /// Microsoft Graph.
    Graph,
    /// Key Vault.
    Vault,
    /// Log Analytics.
    Logs,
    /// Blob storage.
    Blob,
}

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Reads.
    Read,
    /// Makes something.
    Create,
    /// Changes something.
    Update,
    /// Deletes something.
    Delete,
    /// Does what cannot be undone.
    Irreversible,
}

impl Effect {
    /// Returns the journal's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Irreversible => "irreversible",
        }
    }
}

/// The parts of a request, before it is known whether it reads or writes.
#[derive(Clone, Debug)]
pub struct RequestParts {
    /// Which host and token.
    pub plane: Plane,
    /// The HTTP method.
    pub method: String,
    /// A path from the root of ARM or Graph, already encoded; a full URL on other planes.
    pub path_or_url: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// The `api-version`.
    pub api_version: Option<String>,
    /// Headers; never credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
}

/// A request that only reads.
#[derive(Clone, Debug)]
pub struct ReadRequest(pub(crate) RequestParts);

/// A request that writes.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    pub(crate) parts: RequestParts,
    pub(crate) effect: Effect,
    pub(crate) idempotent: bool,
}

impl ReadRequest {
    /// Takes parts that read: GET, HEAD, or one of the POSTs known to read.
    ///
    /// # Errors
    /// Any other method or POST; an address or header that could turn the request into another one.
    pub fn new(parts: RequestParts) -> Result<Self, Error> {
        sound(&parts)?;
        let reads = match parts.method.as_str() {
            "GET" | "HEAD" => true,
            "POST" => super::reads::is_reading_post(&parts),
            _ => false,
        };
        if reads {
            Ok(Self(parts))
        } else {
            Err(Error::Request(format!(
                "{} {} is not a read",
                parts.method, parts.path_or_url
            )))
        }
    }
}

impl WriteRequest {
    /// Takes parts that write. `idempotent`: sending it twice does no more than sending it once.
    ///
    /// # Errors
    /// A method that does not write; an address or header that could turn the request into another one.
    pub fn new(parts: RequestParts, effect: Effect, idempotent: bool) -> Result<Self, Error> {
        sound(&parts)?;
        let writes = matches!(parts.method.as_str(), "PUT" | "PATCH" | "POST" | "DELETE");
        if writes && effect != Effect::Read {
            Ok(Self {
                parts,
                effect,
                idempotent,
            })
        } else {
            Err(Error::Request(format!(
                "{} {} is not a write",
                parts.method, parts.path_or_url
            )))
        }
    }
}

/// Headers that are the client's own business, or that make a service carry out another method than the one sent.
const FORBIDDEN_HEADERS: [&str; 12] = [
    "authorization",
    "client-request-id",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-ms-client-request-id",
];

/// Refuses what would send something else than it says: a `#` cuts the path off, `..` walks out of it.
fn sound(parts: &RequestParts) -> Result<(), Error> {
    let address = &parts.path_or_url;
    let refuse = |why: &str| Err(Error::Request(format!("{address:?}: {why}")));
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '#' | '\\');
    if address.contains(odd) {
        return refuse("an address holds no '#', backslash, space or control character");
    }
    let path = address.split('?').next().unwrap_or_default();
    let dots = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    if path.split('/').any(dots) {
        return refuse("an address holds no relative segment");
    }
    let forbidden = |name: &str| {
        FORBIDDEN_HEADERS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name.trim()))
    };
    match parts.headers.iter().find(|(name, _)| forbidden(name)) {
        Some((name, _)) => refuse(&format!("the header {name} is not the caller's to set")),
        None => Ok(()),
    }
}

impl RequestParts {
    /// Returns the whole URL, with query and api-version.
    pub(crate) fn url(&self, base: Option<&Url>) -> Result<Url, Error> {
        let refuse = |error: String| Error::Request(format!("{}: {error}", self.path_or_url));
        let mut url = match base {
            Some(base) => {
                if !self.path_or_url.starts_with('/') || self.path_or_url.starts_with("//") {
                    return Err(refuse("a path begins with one slash".to_owned()));
                }
                let joined = format!(
                    "{}{}",
                    base.origin().ascii_serialization(),
                    self.path_or_url
                );
                Url::parse(&joined).map_err(|error| refuse(error.to_string()))?
            }
            None => Url::parse(&self.path_or_url).map_err(|error| refuse(error.to_string()))?,
        };
        let mut query: Vec<String> = url.query().map(str::to_owned).into_iter().collect();
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let version = self
            .api_version
            .as_deref()
            .map(|version| ("api-version", version));
        query.extend(
            pairs
                .chain(version)
                .map(|(name, value)| format!("{name}={}", encode(value))),
        );
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        Ok(url)
    }
}

/// Encodes a query value; `$` stays in names, which are ours.
fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

/// What the service answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, repeated ones kept apart.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The host that answered.
    pub host: String,
    /// Whether this is the resource, read again after the operation that the request began had ended.
    pub read_back: bool,
}

impl Response {
    /// Returns the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns every header of this name.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// A body that is cut off, is no JSON, or an HTML page of something in between.
    pub fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Malformed {
            host: self.host.clone(),
            message: format!("not JSON ({error})"),
        })
    }

    /// Returns the `ETag`: the header, else the body's `etag`.
    pub fn etag(&self) -> Option<String> {
        self.header("etag").map(str::to_owned).or_else(|| {
            let body: Value = serde_json::from_slice(&self.body).ok()?;
            body.get("etag").and_then(Value::as_str).map(str::to_owned)
        })
    }

    /// Returns the service's request id.
    pub fn request_id(&self) -> Option<String> {
        self.header("x-ms-request-id")
            .or_else(|| self.header("request-id"))
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(plane: Plane, method: &str, path: &str) -> RequestParts {
        RequestParts {
            plane,
            method: method.to_owned(),
            path_or_url: path.to_owned(),
            query: vec![("$filter".to_owned(), "a eq 'b c'".to_owned())],
            api_version: Some("2024-11-01".to_owned()),
            headers: Vec::new(),
            body: None,
        }
    }

    #[test]
    fn only_gets_and_known_posts_are_reads() {
        assert!(ReadRequest::new(parts(Plane::Arm, "GET", "/x/y")).is_ok());
        assert!(
            ReadRequest::new(parts(
                Plane::Arm,
                "POST",
                "/a/effectiveNetworkSecurityGroups"
            ))
            .is_ok()
        );
        assert!(
            ReadRequest::new(parts(
                Plane::Graph,
                "POST",
                "/a/effectiveNetworkSecurityGroups"
            ))
            .is_err()
        );
        for (method, path) in [
            ("POST", "/vm/deallocate"),
            ("PUT", "/x/y"),
            ("PATCH", "/x"),
            ("DELETE", "/x"),
            ("get", "/x"),
        ] {
            assert!(
                ReadRequest::new(parts(Plane::Arm, method, path)).is_err(),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn a_write_cannot_dress_up_as_a_read() {
        for path in [
            "/vm/deallocate#/effectiveRouteTable",
            "/vm/deallocate?x=/effectiveRouteTable",
            "/vm/../effectiveRouteTable",
            "/vm/%2E%2e/effectiveRouteTable",
            "/vm\\effectiveRouteTable",
            "/vm/effective RouteTable",
        ] {
            assert!(
                ReadRequest::new(parts(Plane::Arm, "POST", path)).is_err(),
                "{path}"
            );
        }
        for name in ["X-HTTP-Method-Override", "Authorization", "host"] {
            let mut parts = parts(Plane::Graph, "GET", "/v1.0/users");
            parts.headers = vec![(name.to_owned(), "DELETE".to_owned())];
            assert!(ReadRequest::new(parts.clone()).is_err(), "{name}");
            parts.method = "POST".to_owned();
            assert!(
                WriteRequest::new(parts, Effect::Update, true).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_query_value_cannot_add_parameters() {
        let base = Url::parse("https://management.azure.com").unwrap();
        let url = parts(Plane::Arm, "GET", "/subscriptions/s")
            .url(Some(&base))
            .unwrap();
        assert_eq!(
            url.as_str(),
            "https://management.azure.com/subscriptions/s?$filter=a%20eq%20%27b%20c%27&api-version=2024-11-01"
        );
        assert!(
            parts(Plane::Arm, "GET", "//evil.example/")
                .url(Some(&base))
                .is_err()
        );
        assert!(
            parts(Plane::Arm, "GET", "https://evil.example/")
                .url(Some(&base))
                .is_err()
        );
    }
}
