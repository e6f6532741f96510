//! One attempt on the wire: the token for the right host, the headers, the answer or why there is none.

use std::time::Duration;

use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use super::credentials::Token;
use super::error::{Error, chain};
use super::http::{Http, MAX_BODY};
use super::request::{Plane, Response};

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
    /// The time as an HTTP date, for planes that want it.
    pub(crate) date: String,
}

/// The version of the Blob service's protocol: covers every call here and is known to the vendor's emulator
/// (graph-and-data-planes.md section 8).
const BLOB_VERSION: &str = "2021-12-02";

/// Sends an attempt and reads the whole answer.
pub(crate) async fn send(
    http: &Http,
    attempt: &Attempt<'_>,
    token: &Token,
) -> Result<Response, NoAnswer> {
    let host = attempt.url.host_str().unwrap_or_default().to_owned();
    let request = build(http, attempt, token).map_err(NoAnswer::NotSent)?;
    let sent = if attempt.plane == Plane::Blob {
        http.exact.execute(request).await
    } else {
        http.client.execute(request).await
    };
    let mut response = sent.map_err(|error| no_answer(&host, error))?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                return Err(NoAnswer::Lost(Error::TooLarge {
                    host,
                    limit: MAX_BODY,
                }));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                let message = format!("the answer broke off: {}", chain(&error.without_url()));
                return Err(NoAnswer::Lost(Error::Malformed { host, message }));
            }
        }
    }
    Ok(Response {
        status,
        headers,
        body: body.into(),
        host,
        read_back: false,
    })
}

fn no_answer(host: &str, error: reqwest::Error) -> NoAnswer {
    let not_sent = error.is_connect() || error.is_builder();
    let message = chain(&error.without_url());
    let host = host.to_owned();
    if not_sent {
        NoAnswer::NotSent(Error::Unreachable { host, message })
    } else {
        NoAnswer::Lost(Error::Unreachable { host, message })
    }
}

fn build(http: &Http, attempt: &Attempt<'_>, token: &Token) -> Result<reqwest::Request, Error> {
    let refuse = |what: &str| Error::Request(format!("{what} cannot be sent in a header"));
    let method =
        reqwest::Method::from_bytes(attempt.method.as_bytes()).map_err(|_| refuse("the method"))?;
    let mut bearer =
        reqwest::header::HeaderValue::from_str(&format!("Bearer {}", token.value.reveal()))
            .map_err(|_| refuse("the token"))?;
    bearer.set_sensitive(true);
    let id = attempt.client_request_id.to_string();
    let mut request = http
        .client
        .request(method, attempt.url.clone())
        .header("authorization", bearer)
        .timeout(Duration::from_secs(120));
    request = match attempt.plane {
        Plane::Graph => request.header("client-request-id", &id),
        Plane::Blob => request
            .header("x-ms-client-request-id", &id)
            .header("x-ms-version", BLOB_VERSION)
            .header("x-ms-date", &attempt.date),
        _ => request
            .header("accept", "application/json")
            .header("x-ms-client-request-id", &id)
            .header("x-ms-return-client-request-id", "true"),
    };
    for (name, value) in attempt.headers {
        request = request.header(name, value);
    }
    match &attempt.body {
        Some(body) => {
            if attempt.plane != Plane::Blob {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body.clone());
        }
        None if matches!(attempt.method, "POST" | "PUT" | "PATCH") => {
            request = request.header("content-length", "0");
        }
        None => {}
    }
    request
        .build()
        .map_err(|error| Error::Request(chain(&error.without_url())))
}
