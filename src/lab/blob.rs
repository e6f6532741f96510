//! Blob storage: create once, read back, append at a position; containers under a locked policy keep what they have
//! (graph-and-data-planes.md section 8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::arm::containers;
use super::blob_blocks;
use super::blob_body::{Blob, condition_not_met, get, http_date, metadata, not_found};
use super::blob_list::list;
use super::entra::Claims;
use super::gate::Grants;
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// What a container says of its blobs.
pub(super) struct Container {
    id: String,
    locked: bool,
    append: bool,
    /// Whether what is overwritten or deleted stays as a version.
    versioned: bool,
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
    if containers::account(store, account)
        .is_some_and(|account| account["properties"]["publicNetworkAccess"] == "Disabled")
    {
        // The lab stands in the public network and has no private endpoint.
        return blob_error(
            403,
            "AuthorizationFailure",
            "This request is not authorized to perform this operation.",
        )
        .with("x-ms-version", version);
    }
    if (ask.method.as_str(), ask.query("restype"), name) == ("PUT", Some("container"), "") {
        let reply = super::blob_container::create(store, ask, account, container, claims, now);
        return reply.with("x-ms-version", version);
    }
    let Some(container) = Container::find(store, account, container) else {
        return blob_error(
            404,
            "ContainerNotFound",
            "The specified container does not exist.",
        )
        .with("x-ms-version", version);
    };
    let reply = match allowed(store, ask, claims, &container) {
        true if name.is_empty() => of_container(store, ask, (account, path), &container.id),
        true => of_blob(store, ask, &format!("{account}/{path}"), &container, now),
        false => blob_error(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        ),
    };
    reply.with("x-ms-version", version)
}

/// Answers who asks without a token, if the container is public ("Configure anonymous read access for containers and
/// blobs"); `None`: a token is needed.
pub(super) fn public(store: &Store, ask: &Ask, account: &str) -> Option<Reply> {
    let path = ask.path.trim_start_matches('/');
    let (container, name) = path.split_once('/').unwrap_or((path, ""));
    let of = containers::account(store, account)?;
    if !containers::public(of) || of["properties"]["publicNetworkAccess"] == "Disabled" {
        return None;
    }
    let id = of["id"].as_str()?;
    let found = store.get(&format!("{id}/blobServices/default/containers/{container}"))?;
    let access = found["properties"]["publicAccess"].as_str()?;
    match (ask.method.as_str(), ask.query("comp")) {
        ("GET" | "HEAD", None) if !name.is_empty() && access != "None" => {
            Some(get(store, ask, &format!("{account}/{path}")))
        }
        ("GET", Some("list")) if name.is_empty() && access == "Container" => {
            Some(list(store, ask, &format!("{account}/{container}/")))
        }
        _ => None,
    }
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
        let held = properties["legalHold"]
            .as_array()
            .is_some_and(|tags| !tags.is_empty());
        let versioned = containers::account(store, account)
            .is_some_and(|account| containers::versioned(store, account));
        Some(Self {
            versioned,
            id: found["id"].as_str()?.to_owned(),
            // An unlocked policy protects just the same, until it is taken away.
            locked: properties["immutable"].is_string() || held,
            append: !held
                && [
                    "allowProtectedAppendWrites",
                    "allowProtectedAppendWritesAll",
                ]
                .iter()
                .any(|name| properties[*name] == true),
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

fn of_container(store: &Store, ask: &Ask, (account, container): (&str, &str), id: &str) -> Reply {
    match (ask.method.as_str(), ask.query("restype"), ask.query("comp")) {
        ("GET", Some("container"), Some("list")) => {
            list(store, ask, &format!("{account}/{container}/"))
        }
        ("GET" | "HEAD", Some("container"), None) => super::blob_container::show(store, id),
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
        ("PUT", Some("block")) => blob_blocks::put(store, ask, key),
        ("PUT", Some("blocklist")) => blob_blocks::commit(store, ask, key, container, now),
        ("GET", Some("blocklist")) => blob_blocks::show(store, ask, key),
        ("PUT", Some("metadata")) => set_metadata(store, ask, key, container, now),
        ("GET" | "HEAD", None) => get(store, ask, key),
        ("DELETE", None) if !store.blobs.contains_key(key) => not_found(),
        ("DELETE", None) if container.locked => immutable(),
        ("DELETE", None) if container.versioned => versions(),
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
    let (Ok(reply) | Err(reply)) = try_put(store, ask, key, (container, now));
    reply
}

fn try_put(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    (container, now): (&Container, DateTime<Utc>),
) -> Result<Reply, Reply> {
    let plain = [
        "x-ms-copy-source",
        "x-ms-immutability-policy-mode",
        "x-ms-legal-hold",
        "x-ms-tags",
    ];
    if plain.iter().any(|name| ask.header(name).is_some()) {
        let message = "The lab does not model copies, tags and policies of single blobs.";
        return Err(blob_error(501, "NotModelled", message));
    }
    let append = match ask.header("x-ms-blob-type") {
        Some("BlockBlob") => false,
        Some("AppendBlob") => true,
        Some(other) => {
            let message = format!("The lab does not model blobs of type {other}.");
            return Err(blob_error(501, "NotModelled", &message));
        }
        None => {
            return Err(blob_error(
                400,
                "MissingRequiredHeader",
                "An HTTP header that's mandatory for this request is not specified: x-ms-blob-type.",
            ));
        }
    };
    if append && !ask.body.is_empty() {
        let message = "An append blob is created with Content-Length 0.";
        return Err(blob_error(400, "InvalidHeaderValue", message));
    }
    intact(ask).map_err(|reply| *reply)?;
    may_put(store, ask, key, container)?;
    let given = ask.header("x-ms-blob-content-md5").map(str::to_owned);
    let sum = STANDARD.encode(md5(&ask.body));
    let plain = Blob::of(ask, now);
    let content_type = match ask.header("x-ms-blob-content-type") {
        Some(_) => plain.content_type.clone(),
        None => ask
            .header("content-type")
            .unwrap_or(&plain.content_type)
            .to_owned(),
    };
    let blob = Blob {
        bytes: ask.body.clone(),
        append,
        content_type,
        md5: given.or_else(|| (!append).then(|| sum.clone())),
        ..plain
    };
    Ok(made(store, key, blob, now).with("content-md5", sum))
}

/// Refuses to put a blob where it may not be, or not under these conditions.
pub(super) fn may_put(
    store: &Store,
    ask: &Ask,
    key: &str,
    container: &Container,
) -> Result<(), Reply> {
    let Some(existing) = store.blobs.get(key) else {
        return match ask.header("if-match") {
            Some(_) => Err(condition_not_met()),
            None => Ok(()),
        };
    };
    if ask.header("if-none-match") == Some("*") {
        let message = "The specified blob already exists.";
        return Err(blob_error(409, "BlobAlreadyExists", message));
    }
    as_expected(ask, existing)?;
    if container.locked {
        return Err(immutable());
    }
    if container.versioned {
        return Err(versions());
    }
    Ok(())
}

/// Refuses what expects another blob than there is.
fn as_expected(ask: &Ask, existing: &Blob) -> Result<(), Reply> {
    match ask.header("if-match") {
        Some(etag) if etag != "*" && etag != existing.tag() => Err(condition_not_met()),
        _ => Ok(()),
    }
}

/// Puts a blob, and answers.
pub(super) fn made(store: &mut Store, key: &str, mut blob: Blob, now: DateTime<Utc>) -> Reply {
    let before = store.blobs.get(key);
    blob.created = Some(before.map_or(now, |old| old.created.unwrap_or(old.modified)));
    let etag = store.put_blob(key, blob);
    Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("last-modified", http_date(now))
        .with("x-ms-request-server-encrypted", "true")
}

/// `PUT ?comp=metadata` replaces all of it.
fn set_metadata(
    store: &mut Store,
    ask: &Ask,
    key: &str,
    container: &Container,
    now: DateTime<Utc>,
) -> Reply {
    let Some(mut blob) = store.blobs.get(key).cloned() else {
        return not_found();
    };
    if let Err(refusal) = as_expected(ask, &blob) {
        return refusal;
    }
    if container.locked {
        return immutable();
    }
    if container.versioned {
        return versions();
    }
    blob.metadata = metadata(ask);
    blob.modified = now;
    let etag = store.put_blob(key, blob);
    Reply::empty(200)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("last-modified", http_date(now))
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

/// Refuses a body that is not what its `Content-MD5` says.
pub(super) fn intact(ask: &Ask) -> Result<(), Box<Reply>> {
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

fn versions() -> Reply {
    blob_error(
        501,
        "NotModelled",
        "The lab does not model earlier versions of blobs.",
    )
}

fn immutable() -> Reply {
    blob_error(
        409,
        "BlobImmutableDueToPolicy",
        "This operation is not permitted as the blob is immutable due to a policy.",
    )
}
