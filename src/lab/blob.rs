//! Blob storage: create once, read back, append at a position; containers under a locked policy keep what they have
//! (graph-and-data-planes.md section 8).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::entra::Claims;
use super::gate::Grants;
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
    blocks: u64,
    content_type: String,
    /// As the client gave it, or of what it sent in one piece.
    md5: Option<String>,
    metadata: BTreeMap<String, String>,
    modified: DateTime<Utc>,
}

fn to_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// What a container says of its blobs.
struct Container {
    id: String,
    locked: bool,
    append: bool,
}

const CONTAINERS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";
/// What an append takes since version 2022-11-02; before, 4 MiB.
const APPEND_LIMIT: usize = 100 * 1024 * 1024;

/// Answers a request to `ACCOUNT.blob.localhost`.
pub(super) fn answer(
    store: &mut Store,
    ask: &Ask,
    account: &str,
    claims: &Claims,
    now: DateTime<Utc>,
) -> Reply {
    let Some(version) = ask
        .header("x-ms-version")
        .filter(|version| *version >= "2017-11-09")
    else {
        return blob_error(
            400,
            "InvalidHeaderValue",
            "The value for one of the HTTP headers is not in the correct format: x-ms-version.",
        );
    };
    let version = version.to_owned();
    let path = ask.path.trim_start_matches('/');
    let (container, name) = path.split_once('/').unwrap_or((path, ""));
    let Some(container) = Container::find(store, account, container) else {
        return blob_error(
            404,
            "ContainerNotFound",
            "The specified container does not exist.",
        )
        .with("x-ms-version", version);
    };
    let reply = match allowed(store, ask, claims, &container) {
        true if name.is_empty() => of_container(store, ask, account, path),
        true => of_blob(store, ask, &format!("{account}/{path}"), &container, now),
        false => blob_error(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        ),
    };
    reply.with("x-ms-version", version)
}

impl Container {
    fn find(store: &Store, account: &str, name: &str) -> Option<Self> {
        let end = format!("/storageaccounts/{account}/blobservices/default/containers/{name}")
            .to_ascii_lowercase();
        let is_it = |id: &str| id.to_ascii_lowercase().ends_with(&end);
        let found = store
            .of_type("", CONTAINERS)
            .find(|value| value["id"].as_str().is_some_and(is_it))?;
        let properties = &found["properties"];
        Some(Self {
            id: found["id"].as_str()?.to_owned(),
            // An unlocked policy protects just the same, until it is taken away.
            locked: properties["immutable"].is_string(),
            append: properties["allowProtectedAppendWrites"] == true,
        })
    }
}

fn allowed(store: &Store, ask: &Ask, claims: &Claims, container: &Container) -> bool {
    let verb = match ask.method.as_str() {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        _ => "write",
    };
    Grants::of(store, claims).allow_data(&format!("{CONTAINERS}/blobs/{verb}"), &container.id)
}

fn of_container(store: &Store, ask: &Ask, account: &str, container: &str) -> Reply {
    match (ask.method.as_str(), ask.query("restype"), ask.query("comp")) {
        ("GET", Some("container"), Some("list")) => {
            list(store, ask, &format!("{account}/{container}/"))
        }
        ("GET" | "HEAD", Some("container"), None) => Reply::empty(200),
        (method, _, comp) => blob_error(
            501,
            "NotModelled",
            &format!(
                "The lab does not model {method} comp={} on containers.",
                comp.unwrap_or_default()
            ),
        ),
    }
}

fn list(store: &Store, ask: &Ask, base: &str) -> Reply {
    let prefix = format!("{base}{}", ask.query("prefix").unwrap_or_default());
    let after = format!("{base}{}", ask.query("marker").unwrap_or_default());
    let most = ask
        .query("maxresults")
        .and_then(|most| most.parse().ok())
        .unwrap_or(5_000_usize)
        .clamp(1, 5_000);
    let mut found = store
        .blobs
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && **key >= after);
    let blobs: String = found
        .by_ref()
        .take(most)
        .map(|(key, blob)| entry(&key[base.len()..], blob))
        .collect();
    let next = found
        .next()
        .map(|(key, _)| escaped(&key[base.len()..]))
        .unwrap_or_default();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    );
    Reply {
        status: 200,
        headers: vec![("content-type".into(), "application/xml".into())],
        body: body.into_bytes(),
    }
}

fn entry(name: &str, blob: &Blob) -> String {
    format!(
        "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>0x{:X}</Etag><Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><BlobType>{}</BlobType></Properties></Blob>",
        escaped(name),
        http_date(blob.modified),
        blob.etag,
        blob.bytes.len(),
        escaped(&blob.content_type),
        blob.kind()
    )
}

fn of_blob(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    container: &Container,
    now: DateTime<Utc>,
) -> Reply {
    match (ask.method.as_str(), ask.query("comp")) {
        ("PUT", None) => put(store, ask, key, container, now),
        ("PUT", Some("appendblock")) => append(store, ask, key, container, now),
        ("GET" | "HEAD", None) => get(store, ask, key),
        ("DELETE", None) if !store.blobs.contains_key(key) => not_found(),
        ("DELETE", None) if container.locked => immutable(),
        ("DELETE", None) => {
            store.delete_blob(key);
            Reply::empty(202)
        }
        (method, comp) => blob_error(
            501,
            "NotModelled",
            &format!(
                "The lab does not model {method} comp={} on blobs.",
                comp.unwrap_or_default()
            ),
        ),
    }
}

fn put(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    container: &Container,
    now: DateTime<Utc>,
) -> Reply {
    let append = match ask.header("x-ms-blob-type") {
        Some("BlockBlob") => false,
        Some("AppendBlob") => true,
        Some(other) => {
            return blob_error(
                501,
                "NotModelled",
                &format!("The lab does not model blobs of type {other}."),
            );
        }
        None => {
            return blob_error(
                400,
                "MissingRequiredHeader",
                "An HTTP header that's mandatory for this request is not specified: x-ms-blob-type.",
            );
        }
    };
    if [
        "x-ms-copy-source",
        "x-ms-immutability-policy-mode",
        "x-ms-legal-hold",
        "x-ms-tags",
    ]
    .iter()
    .any(|name| ask.header(name).is_some())
    {
        return blob_error(
            501,
            "NotModelled",
            "The lab does not model copies, tags and policies of single blobs.",
        );
    }
    if append && !ask.body.is_empty() {
        return blob_error(
            400,
            "InvalidHeaderValue",
            "An append blob is created with Content-Length 0.",
        );
    }
    if let Err(reply) = intact(ask) {
        return *reply;
    }
    if let Some(existing) = store.blobs.get(key) {
        if ask.header("if-none-match") == Some("*") {
            return blob_error(
                409,
                "BlobAlreadyExists",
                "The specified blob already exists.",
            );
        }
        if ask
            .header("if-match")
            .is_some_and(|etag| etag != "*" && etag != existing.tag())
        {
            return condition_not_met();
        }
        if container.locked {
            return immutable();
        }
    } else if ask.header("if-match").is_some() {
        return condition_not_met();
    }
    let metadata = ask.headers.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix("x-ms-meta-")?.to_owned(), value.clone()))
    });
    let given = ask.header("x-ms-blob-content-md5").map(str::to_owned);
    let sum = STANDARD.encode(md5(&ask.body));
    let blob = Blob {
        bytes: ask.body.clone(),
        append,
        content_type: ask
            .header("x-ms-blob-content-type")
            .or_else(|| ask.header("content-type"))
            .unwrap_or("application/octet-stream")
            .to_owned(),
        md5: given.or_else(|| (!append).then(|| sum.clone())),
        metadata: metadata.collect(),
        modified: now,
        ..Blob::default()
    };
    let etag = store.put_blob(key, blob);
    let reply = Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("last-modified", http_date(now));
    reply
        .with("content-md5", sum)
        .with("x-ms-request-server-encrypted", "true")
}

fn append(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    container: &Container,
    now: DateTime<Utc>,
) -> Reply {
    let Some(blob) = store.blobs.get_mut(key) else {
        return not_found();
    };
    if !blob.append {
        return blob_error(
            409,
            "InvalidBlobType",
            "The blob type is invalid for this operation.",
        );
    }
    if container.locked && !container.append {
        return immutable();
    }
    if ask.body.is_empty() || ask.body.len() > APPEND_LIMIT {
        return blob_error(
            if ask.body.is_empty() { 400 } else { 413 },
            "RequestBodyTooLarge",
            "The request body is empty, or too large.",
        );
    }
    if let Err(reply) = intact(ask) {
        return *reply;
    }
    let offset = blob.bytes.len();
    if ask
        .header("x-ms-blob-condition-appendpos")
        .is_some_and(|position| position.parse() != Ok(offset))
    {
        return blob_error(
            412,
            "AppendPositionConditionNotMet",
            "The append position condition specified was not met.",
        );
    }
    let most = ask
        .header("x-ms-blob-condition-maxsize")
        .and_then(|most| most.parse::<usize>().ok());
    if most.is_some_and(|most| offset + ask.body.len() > most) {
        return blob_error(
            412,
            "MaxBlobSizeConditionNotMet",
            "The max blob size condition specified was not met.",
        );
    }
    blob.modified = now;
    let blocks = blob.blocks + 1;
    let etag = store.append_blob(key, &ask.body);
    Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("last-modified", http_date(now))
        .with("x-ms-blob-append-offset", offset.to_string())
        .with("x-ms-blob-committed-block-count", blocks.to_string())
}

fn get(store: &Store, ask: &Ask, key: &str) -> Reply {
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
    let mut reply = Reply::empty(if range.is_some() { 206 } else { 200 })
        .with("content-type", blob.content_type.clone())
        .with("etag", blob.tag())
        .with("last-modified", http_date(blob.modified))
        .with("accept-ranges", "bytes")
        .with("x-ms-blob-type", blob.kind())
        .with("x-ms-server-encrypted", "true");
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

/// Refuses a body that is not what its `Content-MD5` says.
fn intact(ask: &Ask) -> Result<(), Box<Reply>> {
    let Some(given) = ask.header("content-md5") else {
        return Ok(());
    };
    let Some(given) = STANDARD.decode(given).ok().filter(|sum| sum.len() == 16) else {
        return Err(Box::new(blob_error(
            400,
            "InvalidMd5",
            "The MD5 value specified in the request is invalid.",
        )));
    };
    if given == md5(&ask.body) {
        return Ok(());
    }
    Err(Box::new(blob_error(
        400,
        "Md5Mismatch",
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
    )))
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    super::md5::of(bytes)
}

impl Blob {
    /// Adds a block at the end.
    pub(super) fn extend(&mut self, bytes: &[u8], etag: u64) {
        self.bytes.extend_from_slice(bytes);
        self.blocks += 1;
        self.etag = etag;
    }

    fn tag(&self) -> String {
        format!("\"0x{:X}\"", self.etag)
    }

    fn kind(&self) -> &'static str {
        if self.append {
            "AppendBlob"
        } else {
            "BlockBlob"
        }
    }
}

fn not_found() -> Reply {
    blob_error(404, "BlobNotFound", "The specified blob does not exist.")
}

fn condition_not_met() -> Reply {
    blob_error(
        412,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    )
}

fn immutable() -> Reply {
    blob_error(
        409,
        "BlobImmutableDueToPolicy",
        "This operation is not permitted as the blob is immutable due to a policy.",
    )
}

fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
