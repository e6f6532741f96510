//! Block blobs in pieces: a block is put, and a list of them makes the blob (graph-and-data-planes.md section 8;
//! "Put Block", "Put Block List", "Get Block List (REST API)").

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::blob::{Container, intact, made, may_put};
use super::blob_body::{Blob, escaped, not_found};
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// The longest name of a block, before it is encoded.
const LONGEST: usize = 64;
/// The most blocks that wait to be committed, and that a blob has.
const MOST: usize = 50_000;
/// The largest blob that the lab makes of blocks: it keeps them in memory.
const LARGEST: usize = 256 << 20;

/// A block: its name as it was given, and its bytes.
pub(super) type Block = (String, Vec<u8>);

/// `PUT ?comp=block`: it counts for nothing until a list names it.
pub(super) fn put(store: &mut Store, ask: &Ask, key: &str) -> Reply {
    let id = ask.query("blockid").unwrap_or_default();
    if !STANDARD
        .decode(id)
        .is_ok_and(|name| (1..=LONGEST).contains(&name.len()))
    {
        return wrong("InvalidQueryParameterValue", "The block id is not valid.");
    }
    if ask.header("x-ms-copy-source").is_some() {
        let message = "The lab does not model blocks from elsewhere.";
        return blob_error(501, "NotModelled", message);
    }
    if ask.body.is_empty() {
        return wrong("InvalidHeaderValue", "A block is not empty.");
    }
    if let Err(reply) = intact(ask) {
        return *reply;
    }
    if store.blobs.get(key).is_some_and(|blob| blob.append) {
        return blob_error(
            409,
            "InvalidBlobType",
            "The blob type is invalid for this operation.",
        );
    }
    let waiting = store.blocks(key);
    if waiting
        .first()
        .is_some_and(|(first, _)| first.len() != id.len())
    {
        let message =
            "The specified blob or block content is invalid: names of blocks have one length.";
        return wrong("InvalidBlobOrBlock", message);
    }
    if waiting.len() >= MOST {
        let message = "The number of blocks that wait to be committed has reached its limit.";
        return blob_error(409, "BlockCountExceedsLimit", message);
    }
    store.put_block(key, id, &ask.body);
    Reply::empty(201)
        .with("content-md5", STANDARD.encode(super::md5::of(&ask.body)))
        .with("x-ms-request-server-encrypted", "true")
}

/// `PUT ?comp=blocklist`: what is named, in this order, is the blob.
pub(super) fn commit(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    container: &Container,
    now: DateTime<Utc>,
) -> Reply {
    let (Ok(reply) | Err(reply)) = try_commit(store, ask, key, (container, now));
    reply
}

fn try_commit(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    (container, now): (&Container, DateTime<Utc>),
) -> Result<Reply, Reply> {
    intact(ask).map_err(|reply| *reply)?;
    may_put(store, ask, key, container)?;
    let text = std::str::from_utf8(&ask.body).unwrap_or_default();
    let named = listed(text)
        .filter(|named| named.len() <= MOST)
        .ok_or_else(|| wrong("InvalidXmlDocument", "The list of blocks cannot be read."))?;
    let committed = store.blobs.get(key).map(committed).unwrap_or_default();
    let waiting = store.blocks(key);
    let by_id = |from: &'_ [Block]| -> HashMap<String, Vec<u8>> { from.iter().cloned().collect() };
    let (committed, waiting) = (by_id(&committed), by_id(waiting));
    let mut blocks: Vec<(&str, &[u8])> = Vec::new();
    let mut size = 0_usize;
    for (of, id) in named {
        let found = match of {
            "Committed" => committed.get(id),
            "Uncommitted" => waiting.get(id),
            _ => waiting.get(id).or_else(|| committed.get(id)),
        };
        let bytes = found
            .ok_or_else(|| wrong("InvalidBlockList", "The specified block list is invalid."))?;
        // One block may be named again and again, so what comes of it is counted before it is made.
        size = size.saturating_add(bytes.len());
        if size > LARGEST {
            let message = "The lab does not model blobs of more than 256 MiB.";
            return Err(blob_error(501, "NotModelled", message));
        }
        blocks.push((id, bytes));
    }
    let bytes = blocks
        .iter()
        .flat_map(|(_, bytes)| *bytes)
        .copied()
        .collect();
    let list = blocks
        .iter()
        .map(|(id, bytes)| ((*id).to_owned(), bytes.len() as u64))
        .collect();
    let blob = Blob {
        bytes,
        list,
        md5: ask.header("x-ms-blob-content-md5").map(str::to_owned),
        ..Blob::of(ask, now)
    };
    Ok(made(store, key, blob, now))
}

/// `GET ?comp=blocklist`.
pub(super) fn show(store: &Store, ask: &Ask, key: &str) -> Reply {
    let (blob, waiting) = (store.blobs.get(key), store.blocks(key));
    if blob.is_none() && waiting.is_empty() {
        return not_found();
    }
    let asked = ask.query("blocklisttype").unwrap_or("committed");
    let entry = |id: &str, size: u64| {
        format!(
            "<Block><Name>{}</Name><Size>{size}</Size></Block>",
            escaped(id)
        )
    };
    let mut parts = String::new();
    if asked != "uncommitted" {
        let list = blob.map(|blob| blob.list.as_slice()).unwrap_or_default();
        let entries: String = list.iter().map(|(id, size)| entry(id, *size)).collect();
        parts += &format!("<CommittedBlocks>{entries}</CommittedBlocks>");
    }
    if asked != "committed" {
        let sizes = waiting.iter().map(|(id, bytes)| (id, bytes.len() as u64));
        let entries: String = sizes.map(|(id, size)| entry(id, size)).collect();
        parts += &format!("<UncommittedBlocks>{entries}</UncommittedBlocks>");
    }
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{parts}</BlockList>");
    let size = blob.map_or(0, |blob| blob.bytes.len());
    let reply = Reply {
        status: 200,
        headers: vec![("content-type".into(), "application/xml".into())],
        body: body.into_bytes(),
    };
    let reply = reply.with("x-ms-blob-content-length", size.to_string());
    match blob {
        Some(blob) => reply
            .with("etag", blob.tag())
            .with("last-modified", super::blob_body::http_date(blob.modified)),
        None => reply,
    }
}

/// Returns the blocks that a blob was made of.
fn committed(blob: &Blob) -> Vec<Block> {
    let mut at = 0;
    let cut = |(id, size): &(String, u64)| {
        let end = at + usize::try_from(*size).unwrap_or_default();
        let bytes = blob.bytes.get(at..end).unwrap_or_default().to_vec();
        at = end;
        (id.clone(), bytes)
    };
    blob.list.iter().map(cut).collect()
}

/// Reads `<BlockList><Latest>ID</Latest>…</BlockList>`: from where each block is, and its name.
fn listed(text: &str) -> Option<Vec<(&str, &str)>> {
    let (_, rest) = text.split_once("<BlockList")?;
    // An empty list may be one element without an end of its own.
    let (_, mut rest) = rest.split_once('>')?;
    let mut found = Vec::new();
    while let Some((_, element)) = rest.split_once('<') {
        let (name, after) = element.split_once('>')?;
        if name == "/BlockList" {
            return Some(found);
        }
        if !matches!(name, "Committed" | "Latest" | "Uncommitted") {
            return None;
        }
        let (id, after) = after.split_once("</")?;
        found.push((name, id.trim()));
        rest = after.strip_prefix(name)?.strip_prefix('>')?;
    }
    text.trim_end().ends_with("/>").then_some(found)
}

fn wrong(code: &str, message: &str) -> Reply {
    blob_error(400, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_blocks_is_read_whole_or_not_at_all() {
        let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
        let read = |body: &str| {
            let text = format!("{head}{body}");
            listed(&text).map(|found| found.len())
        };
        assert_eq!(
            read("<BlockList><Latest>QQ==</Latest></BlockList>"),
            Some(1)
        );
        assert_eq!(
            read(
                "<BlockList>\n <Committed>QQ==</Committed>\n <Uncommitted>Qg==</Uncommitted>\n</BlockList>"
            ),
            Some(2)
        );
        assert_eq!(read("<BlockList />"), Some(0));
        assert_eq!(read("<BlockList></BlockList>"), Some(0));
        for wrong in [
            "",
            "<BlockList><Latest>QQ==",
            "<BlockList><Newest>QQ==</Newest></BlockList>",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
