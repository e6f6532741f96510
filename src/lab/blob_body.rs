//! What a blob is, and how it is shown: its bytes and its head.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// A blob.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Blob {
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub(super) bytes: Vec<u8>,
    pub(super) append: bool,
    pub(super) etag: u64,
    /// How often it was appended to.
    pub(super) blocks: u64,
    pub(super) content_type: String,
    /// As the client gave it, or of what it sent in one piece.
    pub(super) md5: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) modified: DateTime<Utc>,
    /// When there was first a blob of this name; an overwrite leaves it as it is.
    #[serde(default)]
    pub(super) created: Option<DateTime<Utc>>,
    /// The blocks that it was made of, in order: name and size.
    #[serde(default)]
    pub(super) list: Vec<(String, u64)>,
}

fn to_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl Blob {
    /// Returns a blob without content, with what a request says of it.
    pub(super) fn of(ask: &Ask, now: DateTime<Utc>) -> Self {
        Self {
            content_type: ask
                .header("x-ms-blob-content-type")
                .unwrap_or("application/octet-stream")
                .to_owned(),
            metadata: metadata(ask),
            modified: now,
            ..Self::default()
        }
    }

    /// Adds a block at the end.
    pub(super) fn extend(&mut self, bytes: &[u8], etag: u64) {
        self.bytes.extend_from_slice(bytes);
        self.blocks += 1;
        self.etag = etag;
    }

    /// Returns the etag, in its quotes.
    pub(super) fn tag(&self) -> String {
        format!("\"0x{:X}\"", self.etag)
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.append {
            "AppendBlob"
        } else {
            "BlockBlob"
        }
    }
}

/// Returns the metadata that a request sets.
pub(super) fn metadata(ask: &Ask) -> BTreeMap<String, String> {
    let given = ask.headers.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix("x-ms-meta-")?.to_owned(), value.clone()))
    });
    given.collect()
}

/// The longest range whose MD5 is told.
const SUMMED: usize = 4 * 1024 * 1024;

/// Answers GET and HEAD of a blob.
pub(super) fn get(store: &Store, ask: &Ask, key: &str) -> Reply {
    let Some(blob) = store.blobs.get(key) else {
        return if ask.method == "HEAD" {
            Reply {
                body: Vec::new(),
                ..not_found()
            }
        } else {
            not_found()
        };
    };
    if ask
        .header("if-match")
        .is_some_and(|etag| etag != "*" && etag != blob.tag())
    {
        return condition_not_met();
    }
    let size = blob.bytes.len();
    let range = ask.header("x-ms-range").or_else(|| ask.header("range"));
    let (from, to) = match range.map(|range| bounds(range, size)) {
        None => (0, size),
        Some(Some(bounds)) => bounds,
        Some(None) => {
            return blob_error(
                416,
                "InvalidRange",
                "The range specified is invalid for the current size of the resource.",
            );
        }
    };
    let summed = ask
        .header("x-ms-range-get-content-md5")
        .is_some_and(|wish| wish.eq_ignore_ascii_case("true"));
    if summed && (range.is_none() || to - from > SUMMED) {
        return blob_error(
            400,
            "InvalidHeaderValue",
            "The MD5 of a range is told of at most 4 MiB, and only where a range is asked for.",
        );
    }
    let mut reply = Reply::empty(if range.is_some() { 206 } else { 200 })
        .with("content-type", blob.content_type.clone())
        .with("etag", blob.tag())
        .with("last-modified", http_date(blob.modified))
        .with("accept-ranges", "bytes")
        .with("x-ms-blob-type", blob.kind())
        .with(
            "x-ms-creation-time",
            http_date(blob.created.unwrap_or(blob.modified)),
        )
        .with("x-ms-lease-state", "available")
        .with("x-ms-lease-status", "unlocked")
        .with("x-ms-server-encrypted", "true");
    if summed {
        let sum = STANDARD.encode(super::md5::of(&blob.bytes[from..to]));
        reply = reply.with("content-md5", sum);
    }
    if range.is_some() {
        reply = reply.with(
            "content-range",
            format!("bytes {from}-{}/{size}", to.saturating_sub(1)),
        );
    }
    if let Some(md5) = &blob.md5 {
        reply = reply.with(
            if range.is_some() {
                "x-ms-blob-content-md5"
            } else {
                "content-md5"
            },
            md5.clone(),
        );
    }
    if blob.append {
        reply = reply.with("x-ms-blob-committed-block-count", blob.blocks.to_string());
    }
    for (name, value) in &blob.metadata {
        reply = reply.with(&format!("x-ms-meta-{name}"), value.clone());
    }
    if ask.method == "HEAD" {
        return reply.with("content-length", size.to_string());
    }
    reply.body = blob.bytes[from..to].to_vec();
    reply
}

/// Reads `bytes=a-b` or `bytes=a-`: the first byte, and the one after the last.
fn bounds(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if to.is_empty() {
        size
    } else {
        to.parse::<usize>().ok()?.saturating_add(1).min(size)
    };
    (from < to).then_some((from, to))
}

/// There is no such blob.
pub(super) fn not_found() -> Reply {
    blob_error(404, "BlobNotFound", "The specified blob does not exist.")
}

/// A precondition does not hold.
pub(super) fn condition_not_met() -> Reply {
    blob_error(
        412,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    )
}

/// Writes a time as HTTP does.
pub(super) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Writes a text into XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
