//! What the cloud or the way to it said, with the service's own code and request id.

use serde_json::Value;

use crate::secret::redact_text;

/// Why a call did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The service answered with an error.
    #[error("{message} ({code}, HTTP {status}{})", request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default())]
    Service {
        /// The HTTP status; 200 for an operation that failed.
        status: u16,
        /// The service's own code.
        code: String,
        /// The service's own words.
        message: String,
        /// `x-ms-request-id` or `request-id`.
        request_id: Option<String>,
    },
    /// No token could be had.
    #[error("no token for {scope}: {message}")]
    Auth {
        /// The scope asked for.
        scope: String,
        /// The whole chain of causes.
        message: String,
        /// The AADSTS code, if Entra gave one.
        aadsts: Option<String>,
        /// Whether it may pass by itself: no answer came, or half of one.
        passing: bool,
    },
    /// The service wants a person to sign in again.
    #[error("the sign-in must be renewed with more proof before {host} answers")]
    NeedsSignIn {
        /// The host that asked.
        host: String,
        /// The command that does it.
        command: String,
    },
    /// A server named an address that does not belong to the cloud; nothing was sent there.
    #[error("{origin} does not belong to this cloud; no token was sent there ({from})")]
    ForeignOrigin {
        /// Scheme, host and port.
        origin: String,
        /// Where the address came from: a request, `nextLink`, `Location`, ...
        from: &'static str,
    },
    /// An exercise would have written to what is not of it; nothing was sent.
    #[error("{address} was refused: {why}; nothing was sent")]
    Fenced {
        /// The method and the address, less its query.
        address: String,
        /// Why.
        why: String,
    },
    /// The host could not be reached; nothing was sent.
    #[error("cannot reach {host}: {message}")]
    Unreachable {
        /// The host.
        host: String,
        /// The whole chain of causes.
        message: String,
    },
    /// A write was sent and no answer came: whether it took effect is not known.
    #[error("no answer from {host} to a write that was sent: {message}")]
    Unknown {
        /// The host.
        host: String,
        /// The whole chain of causes.
        message: String,
    },
    /// The answer is not what the protocol promises.
    #[error("{host} answered with something unreadable: {message}")]
    Malformed {
        /// The host.
        host: String,
        /// What is wrong with it.
        message: String,
    },
    /// The answer is larger than azir takes.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The request cannot be made: a POST that is no known read, a bad URL, a bad header.
    #[error("cannot make the request: {0}")]
    Request(String),
    /// The cloud does not have what was asked for, so nothing was sent.
    #[error("{cloud} has no {what}")]
    Absent {
        /// The cloud's name.
        cloud: String,
        /// What it lacks.
        what: &'static str,
    },
    /// The recorder refused, so nothing was sent.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// Whether the responder stopped the run, rather than the disk.
        halted: bool,
    },
    /// The cloud is not known or its metadata cannot be read.
    #[error("the cloud {name} is not known: {message}")]
    Cloud {
        /// Its name or URL.
        name: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// Returns a short name: the service's own code, or azir's.
    pub fn code(&self) -> &str {
        match self {
            Self::Service { code, .. } => code,
            Self::Auth { aadsts, .. } => aadsts.as_deref().unwrap_or("auth"),
            Self::NeedsSignIn { .. } => "needs_sign_in",
            Self::ForeignOrigin { .. } => "foreign_origin",
            Self::Fenced { .. } => "guard",
            Self::Unreachable { .. } => "unreachable",
            Self::Unknown { .. } => "unknown_outcome",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Request(_) => "request",
            Self::Absent { .. } => "not_in_this_cloud",
            Self::Refused { halted: true, .. } => "halted",
            Self::Refused { .. } => "cannot_record",
            Self::Cloud { .. } => "cloud",
        }
    }

    /// Returns the HTTP status, where the service answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Returns whether the caller lacks a permission.
    pub fn is_permission(&self) -> bool {
        self.status() == Some(403)
    }

    /// Returns whether a lock stands in the way (arm.md section 1.4).
    pub fn is_locked(&self) -> bool {
        self.code() == "ScopeLocked"
    }

    /// Returns whether the service would not take the request yet, however long azir waited.
    pub fn is_throttled(&self) -> bool {
        self.status() == Some(429)
    }

    /// Returns whether the resource is not as the precondition says it was.
    pub fn is_precondition(&self) -> bool {
        self.status() == Some(412)
    }

    /// Returns whether no token could be had or it was not accepted.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::Auth { .. } | Self::NeedsSignIn { .. }) || self.status() == Some(401)
    }

    /// Returns whether the same request may succeed later: the service or the way to it was not well, or a person must
    /// sign in.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Auth { .. }
            | Self::NeedsSignIn { .. }
            | Self::Unreachable { .. }
            | Self::Unknown { .. }
            | Self::Malformed { .. } => true,
            Self::Service { status, .. } => matches!(status, 401 | 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Returns whether a write may have taken effect without an answer.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Returns whether nothing was sent because it lies outside of the exercise.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Returns whether nothing was sent because the record could not be kept.
    pub fn is_refused_by_observer(&self) -> bool {
        matches!(self, Self::Refused { halted: false, .. })
    }

    /// Returns whether the responder stopped the run before this was sent.
    pub fn is_halted(&self) -> bool {
        matches!(self, Self::Refused { halted: true, .. })
    }
}

/// Cuts what a service says of itself: it goes to the terminal, the report and the journal.
fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Reads an error body in any of the shapes that Azure writes (arm.md section 1.4): nested, flat, Pascal case, XML,
/// or an error inside the message of another.
pub(crate) fn service(
    status: u16,
    body: &[u8],
    header_code: Option<&str>,
    request_id: Option<String>,
) -> Error {
    let (code, message) = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| envelope(&value))
        .or_else(|| xml(body))
        .unwrap_or_else(|| (String::new(), plain(body)));
    let code = match (code.is_empty(), header_code) {
        (true, Some(header)) => header.to_owned(),
        (true, None) => format!("HTTP{status}"),
        (false, _) => code,
    };
    let message = if message.is_empty() {
        format!("the service answered {status}")
    } else {
        message
    };
    // A careless gateway repeats the request, the token with it.
    Error::Service {
        status,
        code: redact_text(&cut(code, 200)),
        message: redact_text(&cut(message, 4_000)),
        request_id,
    }
}

/// Returns code and message of an error value, going into an error that stands in its message as text.
pub(crate) fn envelope(value: &Value) -> Option<(String, String)> {
    let error = ["error", "Error", "odata.error"]
        .iter()
        .find_map(|name| value.get(*name))
        .unwrap_or(value);
    if let Some(text) = error.as_str() {
        // Entra: {"error": "invalid_client", "error_description": "AADSTS..."}
        let description = value
            .get("error_description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return Some((text.to_owned(), description.to_owned()));
    }
    let member = |names: [&str; 2]| names.iter().find_map(|name| error.get(*name));
    let code = member(["code", "Code"]).and_then(text_of)?;
    let message = member(["message", "Message"])
        .and_then(text_of)
        .unwrap_or_default();
    // Resource Graph's own words only ask for a support ticket; what is wrong stands in the details.
    if message.starts_with("Please provide below info")
        && let Some(details) = error.get("details").and_then(Value::as_array)
        && let Some(why) = details
            .last()
            .and_then(|last| last.get("message")?.as_str())
    {
        return Some((code, why.to_owned()));
    }
    if let Ok(inner) = serde_json::from_str::<Value>(&message)
        && inner.is_object()
        && let Some(found) = envelope(&inner)
    {
        return Some(found);
    }
    Some((code, message))
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(members) => members.get("value").and_then(text_of),
        _ => None,
    }
}

/// Storage writes `<Error><Code>..</Code><Message>..</Message></Error>`.
fn xml(body: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(body).ok()?;
    let between = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        let end = text[start..].find(&format!("</{name}>"))? + start;
        Some(text[start..end].to_owned())
    };
    Some((between("Code")?, between("Message").unwrap_or_default()))
}

/// Cuts an unreadable body (an HTML page of a proxy) to a line of words.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4_096)]);
    let words: String = text
        .split(['<', '>'])
        .skip(usize::from(text.starts_with('<')))
        .collect::<Vec<_>>()
        .join(" ");
    words
        .split_whitespace()
        .take(30)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns an error and its causes in one line, each once: the top alone often says nothing.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (String, String) {
        match service(409, body.as_bytes(), None, None) {
            Error::Service { code, message, .. } => (code, message),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_error_shape_of_azure_is_read() {
        for (body, code, message) in [
            (
                r#"{"error":{"code":"ScopeLocked","message":"locked"}}"#,
                "ScopeLocked",
                "locked",
            ),
            (
                r#"{"Code":"BadRequest","Message":"too old"}"#,
                "BadRequest",
                "too old",
            ),
            (
                r#"{"code":"TooManyRequests","message":"wait"}"#,
                "TooManyRequests",
                "wait",
            ),
            (
                r#"{"Error":{"Code":"ResourceGroupDeletionBlocked","Message":"m"}}"#,
                "ResourceGroupDeletionBlocked",
                "m",
            ),
            (
                r#"{"error":{"code":"Outer","message":"{\"error\":{\"code\":\"Inner\",\"message\":\"why\"}}"}}"#,
                "Inner",
                "why",
            ),
            (
                "<?xml version=\"1.0\"?><Error><Code>BlobAlreadyExists</Code><Message>there</Message></Error>",
                "BlobAlreadyExists",
                "there",
            ),
            (
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: no"}"#,
                "invalid_client",
                "AADSTS7000215: no",
            ),
            (
                "<html><body>Bad gateway</body></html>",
                "HTTP409",
                "html body Bad gateway /body /html",
            ),
            ("", "HTTP409", "the service answered 409"),
            (
                r#"{"error":{"code":"GatewayError","message":"got Authorization: Bearer CANARY and ?sig=CANARY&x=1"}}"#,
                "GatewayError",
                "got Authorization: Bearer *** and ?sig=***&x=1",
            ),
            (
                "<html>bearer CANARY</html>",
                "HTTP409",
                "html bearer *** /html",
            ),
        ] {
            assert_eq!(read(body), (code.to_owned(), message.to_owned()), "{body}");
        }
    }
}
