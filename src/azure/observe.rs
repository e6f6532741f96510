//! What the client tells whoever keeps the record: before an attempt is sent, and after its answer.

use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use super::request::{Effect, Plane};

/// One attempt that is about to go on the wire.
#[derive(Clone, Debug)]
pub struct Call {
    /// Sent as `x-ms-client-request-id` (Graph: `client-request-id`); new for every attempt.
    pub client_request_id: Uuid,
    /// What it does.
    pub effect: Effect,
    /// Which plane.
    pub plane: Plane,
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: Url,
    /// The `api-version`.
    pub api_version: Option<String>,
    /// The body.
    pub body: Option<Bytes>,
    /// `If-Match` or `If-None-Match`, if sent.
    pub precondition: Option<String>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutcomeKind {
    /// It did what it should.
    Ok,
    /// It did not take effect.
    Failed,
    /// It may have taken effect; nobody knows yet.
    Unknown,
}

impl OutcomeKind {
    /// Returns the journal's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// A long-running operation, as the record has it. Its polling URL is a capability and is not kept whole.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Operation {
    /// The host polled.
    pub host: String,
    /// The path polled, without its query.
    pub path: String,
    /// How many polls.
    pub polls: u32,
    /// Its last state.
    pub state: String,
}

/// The answer to an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it came to.
    pub kind: OutcomeKind,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The service's own error code.
    pub error_code: Option<String>,
    /// The service's own words.
    pub message: Option<String>,
    /// `x-ms-request-id`.
    pub request_id: Option<String>,
    /// `x-ms-correlation-request-id`.
    pub correlation_request_id: Option<String>,
    /// The `Date` header.
    pub server_date: Option<String>,
    /// How long it took, operation included.
    pub duration_us: u64,
    /// The operation it started.
    pub operation: Option<Operation>,
    /// The body; of an operation its result.
    pub body: Bytes,
    /// The `ETag`.
    pub etag: Option<String>,
}

/// The record cannot be kept, or the responder stopped: nothing may be sent.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub message: String,
    /// Whether the responder stopped.
    pub halted: bool,
}

impl Refused {
    /// Refuses because the record cannot be kept.
    pub fn record(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            halted: false,
        }
    }

    /// Refuses because the responder stopped the run.
    pub fn halted() -> Self {
        Self {
            message: "the responder stopped the run; this was not sent".to_owned(),
            halted: true,
        }
    }
}

/// Something worth telling about a call.
#[derive(Clone, Debug)]
pub enum ClientNote {
    /// It waits: throttled, retried, or polling.
    Waiting {
        /// Why.
        why: String,
        /// How long.
        seconds: f64,
    },
    /// A token was refused and a new one asked for.
    Renewed {
        /// The host that refused it.
        host: String,
    },
    /// A write took effect, and what it left could not be read back.
    Unread {
        /// The host that would not tell.
        host: String,
        /// Why.
        why: String,
    },
    /// A server named an address outside the cloud; nothing was sent there.
    Foreign {
        /// Its origin.
        origin: String,
        /// Where it was named.
        from: &'static str,
    },
    /// An exercise would have written to what is not of it; nothing was sent.
    Fenced {
        /// The method and the address, less its query.
        address: String,
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for ClientNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Waiting { why, seconds } => write!(f, "waiting {seconds:.1} s: {why}"),
            Self::Renewed { host } => {
                write!(f, "{host} refused the token; a new one was asked for")
            }
            Self::Unread { host, why } => {
                write!(
                    f,
                    "{host} took the write and did not show its result: {why}"
                )
            }
            Self::Foreign { origin, from } => write!(
                f,
                "{from} named {origin}, which is not of this cloud; nothing was sent there"
            ),
            Self::Fenced { address, why } => {
                write!(
                    f,
                    "{address} is not of the exercise: {why}; nothing was sent"
                )
            }
        }
    }
}

/// Who keeps the record of calls.
#[async_trait::async_trait]
pub trait Observer: Send + Sync {
    /// Takes an attempt down before it is sent; an error means that it is not sent. Returns a ticket.
    async fn intent(&self, call: &Call) -> Result<u64, Refused>;
    /// Takes down what the attempt behind `ticket` came to.
    async fn result(&self, ticket: u64, outcome: &Outcome);
    /// Takes down that an attempt of unknown outcome is settled: the same request, sent again, succeeded.
    async fn settled(&self, ticket: u64, how: &str);
    /// Takes down something worth telling.
    async fn note(&self, note: ClientNote);
}
