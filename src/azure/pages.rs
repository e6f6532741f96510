//! Lists read to their end, a page at a time: memory stays flat whatever the list's length.
//!
//! nextLink is sent byte for byte (arm.md section 1.7); Resource Graph pages by `$skipToken` in the body.
//! A page may be empty and still have a successor; a successor seen before ends the list with an error.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::client::Reader;
use super::error::Error;
use super::observe::Observer;
use super::request::{Plane, ReadRequest, RequestParts};
use crate::digest::Digest;

/// Pages of one list; more than this many means a service that never ends.
const MAX_PAGES: usize = 1_000_000;

/// A list being read.
pub struct Pages {
    reader: Reader,
    first: RequestParts,
    member: String,
    next: Next,
    seen: HashSet<Digest>,
    read: usize,
    /// Who cut the list short and gave no way to the rest.
    cut_by: Option<String>,
}

enum Next {
    First,
    Link(Url),
    Token(String),
    End,
}

impl Pages {
    pub(crate) fn new(reader: Reader, request: ReadRequest, member: &str) -> Self {
        Self {
            reader,
            first: request.0,
            member: member.to_owned(),
            next: Next::First,
            seen: HashSet::new(),
            read: 0,
            cut_by: None,
        }
    }

    /// Returns the items of the next page, or nothing at the end.
    ///
    /// # Errors
    /// As [`Reader::read`]; also a page without the list, a nextLink that is foreign or was seen before, and after the last
    /// page of a list that the service cut short.
    pub async fn next_page(
        &mut self,
        observer: &dyn Observer,
    ) -> Result<Option<Vec<Value>>, Error> {
        let response = match &self.next {
            // What was read is not all there is, and would pass for it.
            Next::End => {
                return match self.cut_by.take() {
                    Some(host) => Err(Error::Malformed {
                        host,
                        message:
                            "the list was cut short by the service, which gives no way to the rest"
                                .to_owned(),
                    }),
                    None => Ok(None),
                };
            }
            Next::First => {
                self.reader
                    .read(&ReadRequest(self.first.clone()), observer)
                    .await?
            }
            // A query that is posted is posted again to the next page's address (arm.md section 1.7).
            Next::Link(url) if self.first.method == "POST" && self.first.plane == Plane::Arm => {
                self.reader.repeat_at(&self.first, url, observer).await?
            }
            Next::Link(url) => self.reader.read_link(&self.first, url, observer).await?,
            Next::Token(token) => {
                let parts = with_token(&self.first, token)?;
                self.reader.read(&ReadRequest(parts), observer).await?
            }
        };
        self.read += 1;
        if response.status == 204 {
            self.next = Next::End;
            return Ok(Some(Vec::new()));
        }
        let body = response.json()?;
        let malformed = |message: String| Error::Malformed {
            host: response.host.clone(),
            message,
        };
        self.next = self.successor(&body).map_err(malformed)?;
        // The service writes this as a string (arm.md section 12).
        let cut = |value: &Value| value == "true" || value == &Value::Bool(true);
        let short = body.get("resultTruncated").is_some_and(cut);
        if (short && matches!(self.next, Next::End)) || in_part(&body) {
            self.cut_by = Some(response.host.clone());
        }
        match crate::json::member(&body, &self.member) {
            Some(Value::Array(items)) => Ok(Some(items.clone())),
            _ => Err(malformed(format!(
                "a page without the list {}",
                self.member
            ))),
        }
    }

    /// What is posted to an address that a server chose must be a read there too.
    fn still_reads(&self, link: &Url) -> Result<(), String> {
        let mut parts = self.first.clone();
        link.path().clone_into(&mut parts.path_or_url);
        ReadRequest::new(parts)
            .map(drop)
            .map_err(|error| format!("a nextLink that is no read ({error})"))
    }

    fn successor(&mut self, body: &Value) -> Result<Next, String> {
        let text = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let inner = || crate::json::member(body, "properties.nextLink")?.as_str();
        let link = text("nextLink")
            .or_else(|| text("@odata.nextLink"))
            .or_else(|| inner().filter(|text| !text.is_empty()));
        let token = text("$skipToken");
        let Some(successor) = link.or(token) else {
            return Ok(Next::End);
        };
        if self.read >= MAX_PAGES || !self.seen.insert(Digest::of(successor.as_bytes())) {
            return Err("a list that leads back to a page already read".to_owned());
        }
        match link {
            Some(link) => {
                let url = Url::parse(link)
                    .map_err(|error| format!("a nextLink that is no URL ({error})"))?;
                self.still_reads(&url)?;
                Ok(Next::Link(url))
            }
            None => Ok(Next::Token(successor.to_owned())),
        }
    }
}

/// Returns whether an answer says that it is not all that was asked for: Log Analytics has an error beside the rows
/// (graph-and-data-planes.md section 7).
pub fn in_part(body: &Value) -> bool {
    crate::json::member(body, "error.code").is_some_and(|code| code == "PartialError")
}

fn with_token(first: &RequestParts, token: &str) -> Result<RequestParts, Error> {
    let refuse = || Error::Request("a list paged by token needs a JSON body".to_owned());
    let mut body: Value = first
        .body
        .as_ref()
        .and_then(|body| serde_json::from_slice(body).ok())
        .ok_or_else(refuse)?;
    let options = body
        .as_object_mut()
        .ok_or_else(refuse)?
        .entry("options")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    options
        .as_object_mut()
        .ok_or_else(refuse)?
        .insert("$skipToken".to_owned(), Value::String(token.to_owned()));
    let mut parts = first.clone();
    parts.body = Some(Bytes::from(body.to_string()));
    Ok(parts)
}
