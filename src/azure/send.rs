//! One attempt on the wire: the token for the right host, the headers, the answer or why there is none.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use uuid::Uuid;

use super::credentials::Token;
use super::error::{Error, chain};
use super::http::{Http, body};
use super::patience::{Patience, SLOWEST};
use super::request::{Plane, Response};
use super::throttle::Priority;

/// Why an attempt has no answer.
pub(crate) enum NoAnswer {
    /// The connection could not be made: nothing was sent.
    NotSent(Error),
    /// It was sent, or may have been.
    Lost(Error),
}

/// One attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) plane: Plane,
    pub(crate) method: &'a str,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: Option<Bytes>,
    pub(crate) client_request_id: Uuid,
    /// Who goes first where a service has to choose.
    pub(crate) priority: Priority,
    /// The time as an HTTP date, for planes that want it.
    pub(crate) date: String,
    /// Whether the body of a success is left on the connection, to be read piece by piece.
    pub(crate) stream: bool,
}

/// An answer; the connection too, where the body was left on it.
pub(crate) type Answered = (Response, Option<reqwest::Response>);

/// The version of the Blob service's protocol: covers every call here and is known to the vendor's emulator
/// (graph-and-data-planes.md section 8).
const BLOB_VERSION: &str = "2021-12-02";

/// Sends an attempt and reads the answer.
pub(crate) async fn send(
    http: &Http,
    attempt: &Attempt<'_>,
    token: &Token,
) -> Result<Answered, NoAnswer> {
    let host = attempt.url.host_str().unwrap_or_default().to_owned();
    let exact = attempt.stream || attempt.plane == Plane::Blob;
    let pool = http.pool(attempt.url, exact).map_err(NoAnswer::NotSent)?;
    let request = build(attempt, token).map_err(NoAnswer::NotSent)?;
    let patience = thinking(http.patience(), attempt);
    let sent = match tokio::time::timeout(patience, pool.execute(request)).await {
        Ok(sent) => sent.map_err(|error| no_answer(&host, error))?,
        Err(_) => {
            return Err(NoAnswer::Lost(Error::Unreachable {
                host,
                message: format!("no answer within {} s", patience.as_secs()),
            }));
        }
    };
    let mut response = Response {
        status: sent.status().as_u16(),
        headers: headers(sent.headers()),
        body: Bytes::new(),
        host,
        read_back: false,
    };
    if attempt.stream && (200..300).contains(&response.status) {
        return Ok((response, Some(sent)));
    }
    response.body = body(http.patience(), sent, &response.host)
        .await
        .map_err(NoAnswer::Lost)?
        .into();
    Ok((response, None))
}

fn thinking(patience: Patience, attempt: &Attempt<'_>) -> Duration {
    let length = attempt.body.as_ref().map_or(0, |body| body.len() as u64);
    let thinking = match attempt.plane {
        Plane::Logs => patience.querying,
        Plane::Arm if attempt.url.path().ends_with("/query") => patience.querying,
        _ => patience.thinking,
    };
    thinking + Duration::from_secs(length / SLOWEST)
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}

fn no_answer(host: &str, error: reqwest::Error) -> NoAnswer {
    let not_sent = error.is_connect() || error.is_builder() || turned_away(&error);
    let message = chain(&error.without_url());
    let host = host.to_owned();
    if not_sent {
        NoAnswer::NotSent(Error::Unreachable { host, message })
    } else {
        NoAnswer::Lost(Error::Unreachable { host, message })
    }
}

/// Returns whether the service says that it did nothing with the request: it refused the stream, or went away and did
/// not count it among those that it took (RFC 9113 section 8.7).
fn turned_away(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote() && (refused || gone);
        }
        cause = error.source();
    }
    false
}

fn build(attempt: &Attempt<'_>, token: &Token) -> Result<reqwest::Request, Error> {
    let method = reqwest::Method::from_bytes(attempt.method.as_bytes())
        .map_err(|_| Error::Request("the method cannot be sent".to_owned()))?;
    let mut map = own_headers(attempt)?;
    for (name, value) in attempt.headers {
        // Said by the caller, it takes the place of our own: a header sent twice is read differently by each service.
        set(&mut map, name, value)?;
    }
    let mut bearer = header(&format!("Bearer {}", token.value.reveal()), "the token")?;
    bearer.set_sensitive(true);
    map.insert(reqwest::header::AUTHORIZATION, bearer);
    let mut request = reqwest::Request::new(method, attempt.url.clone());
    *request.headers_mut() = map;
    *request.body_mut() = attempt.body.clone().map(Into::into);
    Ok(request)
}

fn own_headers(attempt: &Attempt<'_>) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    let id = attempt.client_request_id.to_string();
    let priority = match attempt.priority {
        Priority::Contain => "high",
        Priority::Collect => "low",
    };
    let own: &[(&str, &str)] = match attempt.plane {
        Plane::Graph => &[
            ("accept", "application/json"),
            ("client-request-id", &id),
            ("return-client-request-id", "true"),
            // Section 4: what is low is refused before what is high.
            ("x-ms-throttle-priority", priority),
        ],
        Plane::Blob => &[
            ("x-ms-client-request-id", &id),
            ("x-ms-date", &attempt.date),
            ("x-ms-version", BLOB_VERSION),
        ],
        Plane::Arm | Plane::Vault | Plane::Logs => &[
            ("accept", "application/json"),
            ("x-ms-client-request-id", &id),
            ("x-ms-return-client-request-id", "true"),
        ],
    };
    for (name, value) in own {
        set(&mut map, name, value)?;
    }
    match &attempt.body {
        Some(_) if attempt.plane != Plane::Blob => {
            set(&mut map, "content-type", "application/json")?;
        }
        None if matches!(attempt.method, "POST" | "PUT" | "PATCH") => {
            set(&mut map, "content-length", "0")?;
        }
        _ => {}
    }
    Ok(map)
}

fn set(map: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let key = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::Request(format!("{name:?} is no header name")))?;
    map.insert(key, header(value, name)?);
    Ok(())
}

fn header(value: &str, what: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value)
        .map_err(|_| Error::Request(format!("{what} cannot be sent in a header")))
}
