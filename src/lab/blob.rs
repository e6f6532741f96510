//! Blob storage: create once, read back, append at a position; containers under a locked policy keep what they have.

use serde_json::json;

use super::entra::Claims;
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// Answers a request to `ACCOUNT.blob.localhost`.
pub(super) fn answer(store: &mut Store, ask: &Ask, account: &str, claims: &Claims) -> Reply {
    if ask.header("x-ms-version").is_none() {
        return blob_error(
            400,
            "InvalidHeaderValue",
            "The x-ms-version header is required with a bearer token.",
        );
    }
    if !super::gate::may_use_blobs(store, claims, &ask.method) {
        return blob_error(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        );
    }
    let Some((container, name)) = ask.path.trim_start_matches('/').split_once('/') else {
        return blob_error(
            501,
            "NotModelled",
            "The lab does not model operations on containers.",
        );
    };
    let Some(policy) = container_of(store, account, container) else {
        return blob_error(
            404,
            "ContainerNotFound",
            "The specified container does not exist.",
        );
    };
    let key = format!("{account}/{container}/{name}");
    match (ask.method.as_str(), ask.query("comp")) {
        ("PUT", None) => put(store, ask, &key, policy),
        ("PUT", Some("appendblock")) => append(store, ask, &key),
        ("GET" | "HEAD", None) => get(store, ask, &key),
        ("DELETE", None) if policy.locked => blob_error(
            409,
            "BlobImmutableDueToPolicy",
            "This operation is not permitted as the blob is immutable due to a policy.",
        ),
        (method, comp) => blob_error(
            501,
            "NotModelled",
            &format!(
                "The lab does not model {method} comp={}.",
                comp.unwrap_or_default()
            ),
        ),
    }
}

#[derive(Clone, Copy)]
struct Policy {
    locked: bool,
}

fn container_of(store: &Store, account: &str, container: &str) -> Option<Policy> {
    let end = format!("/storageaccounts/{account}/blobservices/default/containers/{container}")
        .to_ascii_lowercase();
    store
        .all()
        .find(|(id, _)| id.ends_with(&end))
        .map(|(_, value)| Policy {
            locked: value["properties"]["immutable"] == json!("Locked"),
        })
}

fn put(store: &mut Store, ask: &Ask, key: &str, policy: Policy) -> Reply {
    let append = match ask.header("x-ms-blob-type") {
        Some("BlockBlob") => false,
        Some("AppendBlob") => true,
        _ => return blob_error(400, "MissingRequiredHeader", "x-ms-blob-type is required."),
    };
    if store.blobs.contains_key(key) {
        if ask.header("if-none-match") == Some("*") {
            return blob_error(
                409,
                "BlobAlreadyExists",
                "The specified blob already exists.",
            );
        }
        if policy.locked {
            return blob_error(
                409,
                "BlobImmutableDueToPolicy",
                "This operation is not permitted as the blob is immutable due to a policy.",
            );
        }
    }
    let etag = store.put_blob(key, ask.body.clone(), append);
    Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("x-ms-request-server-encrypted", "true")
}

fn append(store: &mut Store, ask: &Ask, key: &str) -> Reply {
    let Some(blob) = store.blobs.get(key).filter(|blob| blob.append).cloned() else {
        return blob_error(404, "BlobNotFound", "The specified blob does not exist.");
    };
    let position = ask
        .header("x-ms-blob-condition-appendpos")
        .and_then(|text| text.parse::<usize>().ok());
    if position.is_some_and(|position| position != blob.bytes.len()) {
        return blob_error(
            412,
            "AppendPositionConditionNotMet",
            "The append position condition specified was not met.",
        );
    }
    let offset = blob.bytes.len();
    let mut bytes = blob.bytes;
    bytes.extend_from_slice(&ask.body);
    let etag = store.put_blob(key, bytes, true);
    Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("x-ms-blob-append-offset", offset.to_string())
}

fn get(store: &Store, ask: &Ask, key: &str) -> Reply {
    let Some(blob) = store.blobs.get(key) else {
        return blob_error(404, "BlobNotFound", "The specified blob does not exist.");
    };
    Reply {
        status: 200,
        headers: vec![
            ("content-type".into(), "application/octet-stream".into()),
            ("etag".into(), format!("\"0x{:X}\"", blob.etag)),
            (
                "x-ms-blob-type".into(),
                if blob.append {
                    "AppendBlob"
                } else {
                    "BlockBlob"
                }
                .into(),
            ),
        ],
        body: if ask.method == "HEAD" {
            Vec::new()
        } else {
            blob.bytes.clone()
        },
    }
}
