//! Blob storage: create once, read back, append at a position; containers under a locked policy keep what they have
//! (graph-and-data-planes.md section 8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::arm::containers;
use super::blob_body::{Blob, condition_not_met, get, http_date, list, not_found};
use super::entra::Claims;
use super::gate::Grants;
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// What a container says of its blobs.
struct Container {
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
        if container.versioned {
            return versions();
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
