//! One blob brought up to a length: created once, appended at its end, read back wherever an answer is missing.
//!
//! An append names the position that it expects (`x-ms-blob-condition-appendpos`), so it takes effect once however often
//! it is sent, and a second writer's is refused with 412 (graph-and-data-planes.md section 8). What a 412 means is not
//! guessed: the blob is read and compared with the local bytes before anything is sent again.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::azure::{
    Call, Client, ClientNote, Effect, Error, Observer, Outcome, Plane, ReadRequest, Refused,
    RequestParts, Response, WriteRequest,
};
use crate::engine::error::chain;
use crate::evidence::vault as protocol;

/// The largest block that every version of the service takes.
const BLOCK: u64 = 4 * 1024 * 1024;

/// The local bytes that a blob is to hold.
pub(super) enum Content {
    /// A file that only grows.
    File(PathBuf),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Content {
    /// Returns at most `length` bytes from `from`; fewer at the end.
    fn read(&self, from: u64, length: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(bytes) => {
                let at = |place: u64| {
                    usize::try_from(place)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len())
                };
                Ok(bytes[at(from)..at(from.saturating_add(length))].to_vec())
            }
            Self::File(path) => {
                let mut bytes = Vec::new();
                let read = std::fs::File::open(path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(from))?;
                    file.take(length).read_to_end(&mut bytes)
                });
                read.map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(bytes)
            }
        }
    }
}

/// A blob and what it is to become.
pub(super) struct Append<'a> {
    client: &'a Client,
    url: String,
    content: &'a Content,
    /// How many bytes it is to hold.
    target: u64,
}

impl<'a> Append<'a> {
    pub(super) fn new(client: &'a Client, url: String, content: &'a Content, target: u64) -> Self {
        Self {
            client,
            url,
            content,
            target,
        }
    }

    /// Appends what the blob lacks; returns the receipt of the last append, or nothing where it lacked nothing.
    ///
    /// `lengths` holds how many bytes of each blob are known to be ours.
    pub(super) async fn send(
        &self,
        lengths: &mut BTreeMap<String, u64>,
    ) -> Result<Option<Value>, String> {
        // Not known any more until all went well.
        let mut position = match lengths.remove(&self.url) {
            Some(length) => length,
            None => self.begin().await?,
        };
        let mut receipt = None;
        while position < self.target {
            let block = self
                .content
                .read(position, BLOCK.min(self.target - position))?;
            if block.is_empty() {
                return Err(format!(
                    "{} is shorter here than its checkpoint says",
                    self.name()
                ));
            }
            let length = block.len() as u64;
            let (end, answer) = match self.append(position, block).await {
                Ok(answer) => (position + length, Some(answer)),
                Err(error) if error.is_precondition() || error.is_unknown() => {
                    let end = self.compare().await?.unwrap_or(0);
                    if end <= position {
                        return Err(self.told(&error));
                    }
                    (end, None)
                }
                Err(error) => return Err(self.told(&error)),
            };
            receipt = Some(self.receipt(position, end, answer.as_ref()));
            position = end;
        }
        lengths.insert(self.url.clone(), position);
        Ok(receipt)
    }

    /// Creates the blob in one request with all its bytes; one that holds them already is as good.
    pub(super) async fn once(&self) -> Result<(), String> {
        let bytes = self.content.read(0, self.target)?;
        match self
            .write(
                protocol::create_headers(),
                Vec::new(),
                bytes,
                Effect::Create,
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_or_may_be_there(&error) => match self.compare().await? {
                Some(length) if length == self.target => Ok(()),
                Some(_) => Err(self.other_writer(self.target)),
                None => Err(self.told(&error)),
            },
            Err(error) => Err(self.told(&error)),
        }
    }

    /// Makes the blob, or finds how many bytes of it are ours.
    async fn begin(&self) -> Result<u64, String> {
        let made = self
            .write(
                protocol::append_blob_headers(),
                Vec::new(),
                Vec::new(),
                Effect::Create,
            )
            .await;
        match made {
            Ok(_) => Ok(0),
            Err(error) if is_or_may_be_there(&error) => {
                self.compare().await?.ok_or_else(|| self.told(&error))
            }
            Err(error) => Err(self.told(&error)),
        }
    }

    async fn append(&self, position: u64, block: Vec<u8>) -> Result<Response, Error> {
        let query = vec![("comp".to_owned(), "appendblock".to_owned())];
        self.write(
            protocol::append_headers(position),
            query,
            block,
            Effect::Update,
        )
        .await
    }

    async fn write(
        &self,
        headers: Vec<(String, String)>,
        query: Vec<(String, String)>,
        body: Vec<u8>,
        effect: Effect,
    ) -> Result<Response, Error> {
        let mut parts = self.parts("PUT");
        (parts.headers, parts.query) = (headers, query);
        parts.body = (!body.is_empty()).then(|| body.into());
        let request = WriteRequest::new(parts, effect, true)?;
        self.client.write(&request, &Unrecorded).await
    }

    /// Reads the blob and compares it with what is here; returns its length, or nothing where there is no blob.
    async fn compare(&self) -> Result<Option<u64>, String> {
        let request = ReadRequest::new(self.parts("GET")).map_err(|error| self.told(&error))?;
        let mut download = match self.client.download(&request, &Unrecorded).await {
            Ok(download) => download,
            Err(error) if error.code() == "BlobNotFound" => return Ok(None),
            Err(error) => return Err(self.told(&error)),
        };
        let mut length = 0;
        while let Some(piece) = download.chunk().await.map_err(|error| self.told(&error))? {
            if self.content.read(length, piece.len() as u64)? != piece {
                return Err(self.other_writer(length + piece.len() as u64));
            }
            length += piece.len() as u64;
        }
        Ok(Some(length))
    }

    fn parts(&self, method: &str) -> RequestParts {
        RequestParts {
            plane: Plane::Blob,
            method: method.to_owned(),
            path_or_url: self.url.clone(),
            query: Vec::new(),
            api_version: None,
            headers: Vec::new(),
            body: None,
        }
    }

    fn receipt(&self, from: u64, to: u64, answer: Option<&Response>) -> Value {
        let header = |name: &str| answer.and_then(|answer| answer.header(name));
        let mut receipt = json!({
            "uri": self.url,
            "position": from,
            "bytes": to - from,
            "request_id": answer.and_then(Response::request_id),
            "etag": header("etag"),
            "server_date": header("date"),
            // The answer was lost: what lies there was read and is what was sent.
            "read_back": answer.is_none().then_some(true),
        });
        if let Some(members) = receipt.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        receipt
    }

    fn other_writer(&self, within: u64) -> String {
        format!(
            "another writer holds the anchor {}: its first {within} bytes are not those of this run; nothing was overwritten",
            self.url
        )
    }

    fn told(&self, error: &Error) -> String {
        if error.code() == "BlobImmutableDueToPolicy" {
            return format!(
                "{} takes no appends: the container's policy must have allowed protected append writes before it was locked",
                self.url
            );
        }
        format!("{}: {}", self.name(), chain(error))
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

fn is_or_may_be_there(error: &Error) -> bool {
    error.code() == "BlobAlreadyExists" || error.is_unknown()
}

/// Keeps no record: receipts are kept instead, for a line a request would make the record grow by being anchored.
struct Unrecorded;

#[async_trait]
impl Observer for Unrecorded {
    async fn intent(&self, _: &Call) -> Result<u64, Refused> {
        Ok(0)
    }

    async fn result(&self, _: u64, _: &Outcome) {}

    async fn settled(&self, _: u64, _: &str) {}

    async fn note(&self, _: ClientNote) {}
}
