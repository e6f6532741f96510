//! Lists of blobs: by prefix, in pages, as folders ("List Blobs (REST API)").

use std::fmt::Write as _;

use super::blob_body::{Blob, escaped, http_date};
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// Items on a page, at most and usually.
const PAGE: usize = 5_000;

/// Lists the blobs below `base`, which is `account/container/`.
pub(super) fn list(store: &Store, ask: &Ask, base: &str) -> Reply {
    let text = |name: &str| ask.query(name).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let asked = ask.query("maxresults").map(str::parse::<usize>);
    if matches!(asked, Some(Err(_) | Ok(0))) {
        return blob_error(
            400,
            "OutOfRangeQueryParameterValue",
            "One of the query parameters specified in the request URI is outside the permissible range.",
        );
    }
    let most = asked.and_then(Result::ok).unwrap_or(PAGE).min(PAGE);
    let from = format!("{base}{}", prefix.max(text("marker")));
    let full = format!("{base}{prefix}");
    let below = store
        .blobs
        .range(from..)
        .take_while(|(key, _)| key.starts_with(&full));
    let with_metadata = text("include").split(',').any(|one| one == "metadata");
    let (mut blobs, mut count, mut next) = (String::new(), 0, "");
    let mut folder: Option<&str> = None;
    for (key, blob) in below {
        let name = &key[base.len()..];
        if folder.is_some_and(|folder| name.starts_with(folder)) {
            continue;
        }
        if count == most {
            next = name;
            break;
        }
        count += 1;
        let end = (!delimiter.is_empty())
            .then(|| name[prefix.len()..].find(delimiter))
            .flatten();
        folder = end.map(|end| &name[..prefix.len() + end + delimiter.len()]);
        match folder {
            Some(folder) => {
                blobs += &format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", escaped(folder));
            }
            None => blobs += &entry(name, blob, with_metadata),
        }
    }
    let (account, container) = base
        .trim_end_matches('/')
        .split_once('/')
        .unwrap_or_default();
    let mut head = String::new();
    for (name, value) in [
        ("Prefix", prefix),
        ("Marker", text("marker")),
        ("MaxResults", text("maxresults")),
        ("Delimiter", delimiter),
    ] {
        if !value.is_empty() {
            // Writing into a text does not fail.
            let _ = write!(head, "<{name}>{}</{name}>", escaped(value));
        }
    }
    let origin = ask
        .origin
        .replacen(&ask.host, &format!("{account}.blob.localhost"), 1);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{origin}/\" ContainerName=\"{}\">{head}<Blobs>{blobs}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
        escaped(container),
        escaped(next)
    );
    Reply {
        status: 200,
        headers: vec![("content-type".into(), "application/xml".into())],
        body: body.into_bytes(),
    }
}

fn entry(name: &str, blob: &Blob, with_metadata: bool) -> String {
    let sum = blob.md5.as_deref().unwrap_or_default();
    let metadata = if with_metadata {
        let each =
            |(name, value): (&String, &String)| format!("<{name}>{}</{name}>", escaped(value));
        let all: String = blob.metadata.iter().map(each).collect();
        format!("<Metadata>{all}</Metadata>")
    } else {
        String::new()
    };
    format!(
        "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>0x{:X}</Etag><Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><Content-MD5>{}</Content-MD5><BlobType>{}</BlobType><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>{metadata}</Blob>",
        escaped(name),
        http_date(blob.created.unwrap_or(blob.modified)),
        http_date(blob.modified),
        blob.etag,
        blob.bytes.len(),
        escaped(&blob.content_type),
        escaped(sum),
        blob.kind()
    )
}
