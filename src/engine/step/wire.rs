//! From a filled-in call to the client and back: the only place where runbook words become client words.

use serde_json::Value;

use crate::azure::{
    self, Client, Effect, Pages, Plane as AzurePlane, ReadRequest, Reader, RequestParts, Response,
    WriteRequest,
};
use crate::digest::Digest;
use crate::engine::calls::Calls;
use crate::engine::failure::{Failure, FailureKind};
use crate::runbook::expr::RenderedCall;
use crate::runbook::model::Plane;

/// What one call answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body as JSON; null where there is none.
    pub(crate) body: Value,
    /// Whether the body is the resource as it was read after the write had ended.
    pub(crate) read_back: bool,
}

/// What storing a blob answered.
pub(crate) struct Stored {
    pub(crate) version: Option<String>,
    pub(crate) etag: Option<String>,
}

/// Reads once.
pub(crate) async fn read(
    reader: &Reader,
    call: &RenderedCall,
    calls: &Calls,
) -> Result<Answer, Failure> {
    let request = read_request(call)?;
    match reader.read(&request, calls).await {
        Ok(response) => whole(&response, answer(&response)?),
        Err(error) if call.missing_ok && error.is_not_found() => Ok(Answer {
            status: 404,
            body: Value::Null,
            read_back: false,
        }),
        Err(error) => Err(Failure::from_azure(&error)),
    }
}

/// Refuses what the service itself does not call all that was asked for.
fn whole(response: &Response, answer: Answer) -> Result<Answer, Failure> {
    if azure::in_part(&answer.body) {
        let error = azure::Error::Malformed {
            host: response.host.clone(),
            message: "the service calls it a part of what was asked for".to_owned(),
        };
        return Err(Failure::from_azure(&error));
    }
    Ok(answer)
}

/// Reads a list to its end into memory; for inventories, not for evidence.
pub(crate) async fn read_list(
    reader: &Reader,
    call: &RenderedCall,
    calls: &Calls,
) -> Result<Vec<Value>, Failure> {
    let mut pages = pages(reader, call)?;
    let mut items = Vec::new();
    while let Some(page) = pages.next(calls).await? {
        items.extend(page);
    }
    Ok(items)
}

/// A list being read.
pub(crate) struct Paged {
    pages: Pages,
}

impl Paged {
    /// Returns the items of the next page, or nothing at the end.
    pub(crate) async fn next(&mut self, calls: &Calls) -> Result<Option<Vec<Value>>, Failure> {
        self.pages
            .next_page(calls)
            .await
            .map_err(|error| Failure::from_azure(&error))
    }
}

/// Begins to read a list.
pub(crate) fn pages(reader: &Reader, call: &RenderedCall) -> Result<Paged, Failure> {
    let member = call.pages.as_deref().unwrap_or("value");
    Ok(Paged {
        pages: reader.pages(read_request(call)?, member),
    })
}

/// Writes, and follows the operation to its end.
pub(crate) async fn write(
    client: &Client,
    call: &RenderedCall,
    effect: Effect,
    idempotent: Option<bool>,
    calls: &Calls,
) -> Result<Answer, Failure> {
    let idempotent = idempotent.unwrap_or(call.method != "POST");
    let request = WriteRequest::new(parts(call), effect, idempotent)
        .map_err(|error| Failure::from_azure(&error))?;
    let response = match client.write(&request, calls).await {
        Ok(response) => response,
        // What is not there needs no deleting: somebody, or an attempt whose answer was lost, was faster.
        Err(error) if call.method == "DELETE" && error.is_not_found() => {
            return Ok(Answer {
                status: 404,
                body: Value::Null,
                read_back: false,
            });
        }
        Err(error) => return Err(Failure::from_azure(&error)),
    };
    match answer(&response) {
        Ok(answer) => Ok(answer),
        // The service took it on; what it came to is read, not guessed from half an answer.
        Err(_) if matches!(call.method.as_str(), "PUT" | "PATCH") => {
            let again = RenderedCall {
                method: "GET".to_owned(),
                headers: Vec::new(),
                body: None,
                ..call.clone()
            };
            let reading = calls.reading("the answer to the write cannot be read");
            let found = read(client, &again, &reading).await;
            // It was taken on, and that is all that is known then.
            let found = found.map_err(|failure| match failure.kind {
                FailureKind::Record | FailureKind::Halted => failure,
                _ => failure.of_kind(FailureKind::Unknown),
            })?;
            Ok(Answer {
                read_back: true,
                ..found
            })
        }
        Err(_) => Ok(Answer {
            status: response.status,
            body: Value::Null,
            read_back: false,
        }),
    }
}

/// Writes a body that no record may see, once.
pub(crate) async fn write_bytes(
    client: &Client,
    call: &RenderedCall,
    body: Option<bytes::Bytes>,
    effect: Effect,
    calls: &Calls,
) -> Result<Answer, Failure> {
    let parts = RequestParts {
        body,
        ..parts(call)
    };
    let request =
        WriteRequest::new(parts, effect, false).map_err(|error| Failure::from_azure(&error))?;
    let response = client
        .write(&request, calls)
        .await
        .map_err(|error| Failure::from_azure(&error))?;
    // The service took it on; that its words are lost does not mean that nothing happened.
    answer(&response).map_err(|failure| failure.of_kind(FailureKind::Unknown))
}

/// Stores a blob.
pub(crate) async fn put_blob(
    client: &Client,
    url: &str,
    headers: Vec<(String, String)>,
    bytes: Vec<u8>,
    calls: &Calls,
) -> Result<Stored, Failure> {
    let parts = RequestParts {
        plane: AzurePlane::Blob,
        method: "PUT".to_owned(),
        path_or_url: url.to_owned(),
        query: Vec::new(),
        api_version: None,
        headers,
        body: Some(bytes.into()),
    };
    let request = WriteRequest::new(parts, Effect::Create, true)
        .map_err(|error| Failure::from_azure(&error))?;
    let response = client
        .write(&request, calls)
        .await
        .map_err(|error| Failure::from_azure(&error))?;
    Ok(Stored {
        version: response.header("x-ms-version-id").map(str::to_owned),
        etag: response.etag(),
    })
}

/// Reads a blob back and returns its digest and size.
pub(crate) async fn hash_blob(
    reader: &Reader,
    url: &str,
    calls: &Calls,
) -> Result<(Digest, u64), Failure> {
    let parts = RequestParts {
        plane: AzurePlane::Blob,
        method: "GET".to_owned(),
        path_or_url: url.to_owned(),
        query: Vec::new(),
        api_version: None,
        headers: Vec::new(),
        body: None,
    };
    let request = ReadRequest::new(parts).map_err(|error| Failure::from_azure(&error))?;
    let response = reader
        .read(&request, calls)
        .await
        .map_err(|error| Failure::from_azure(&error))?;
    Ok((Digest::of(&response.body), response.body.len() as u64))
}

/// Returns the blob endpoint of an account by its name and the cloud's suffix.
pub(crate) fn blob_endpoint(reader: &Reader, account: &str) -> Result<String, Failure> {
    reader
        .blob_endpoint(account)
        .map_err(|error| Failure::from_azure(&error))
}

/// Allows tokens to be sent to an address that ARM itself gave.
pub(crate) fn allow_from_arm(reader: &Reader, url: &str) -> Result<(), Failure> {
    reader
        .allow_from_arm(url)
        .map_err(|error| Failure::from_azure(&error))
}

fn read_request(call: &RenderedCall) -> Result<ReadRequest, Failure> {
    ReadRequest::new(parts(call)).map_err(|error| Failure::from_azure(&error))
}

fn parts(call: &RenderedCall) -> RequestParts {
    RequestParts {
        plane: plane(call.plane),
        method: call.method.clone(),
        path_or_url: call.path_or_url.clone(),
        query: call.query.clone(),
        api_version: call.api_version.clone(),
        headers: call.headers.clone(),
        body: call
            .body
            .as_ref()
            .map(|body| body.to_string().into_bytes().into()),
    }
}

fn plane(plane: Plane) -> AzurePlane {
    match plane {
        Plane::Arm => AzurePlane::Arm,
        Plane::Graph => AzurePlane::Graph,
        Plane::Vault => AzurePlane::Vault,
        Plane::Logs => AzurePlane::Logs,
        Plane::Blob => AzurePlane::Blob,
    }
}

fn answer(response: &Response) -> Result<Answer, Failure> {
    let body = if response.body.is_empty() {
        Value::Null
    } else {
        response
            .json()
            .map_err(|error: azure::Error| Failure::from_azure(&error))?
    };
    Ok(Answer {
        status: response.status,
        body,
        read_back: response.read_back,
    })
}
