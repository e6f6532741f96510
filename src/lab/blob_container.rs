//! Containers, as the data plane makes them (graph-and-data-planes.md section 8; "Create Container (REST API)").

use chrono::{DateTime, Utc};
use serde_json::json;

use super::arm::containers::{NOT_PUBLIC, account, new_container, public};
use super::arm::immutability::container;
use super::blob_body::http_date;
use super::entra::Claims;
use super::gate::Grants;
use super::reply::{Ask, Reply, blob_error};
use super::store::Store;

/// The right that making one takes; it is one of the management plane, also here.
const WRITE: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/write";

/// Answers `PUT /{container}?restype=container`.
pub(super) fn create(
    store: &mut Store,
    ask: &Ask,
    of: &str,
    name: &str,
    claims: &Claims,
    now: DateTime<Utc>,
) -> Reply {
    let Some(account) = account(store, of).cloned() else {
        return blob_error(
            404,
            "ResourceNotFound",
            "The specified resource does not exist.",
        );
    };
    let scope = account["id"].as_str().unwrap_or_default();
    if !Grants::of(store, claims).allow(WRITE, scope) {
        return blob_error(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        );
    }
    if !well_named(name) {
        return blob_error(
            400,
            "InvalidResourceName",
            "The specified resource name contains invalid characters.",
        );
    }
    let access = match ask.header("x-ms-blob-public-access") {
        None => "None",
        Some(_) if !public(&account) => {
            return blob_error(409, "PublicAccessNotPermitted", NOT_PUBLIC);
        }
        Some("blob") => "Blob",
        Some("container") => "Container",
        Some(_) => {
            return blob_error(
                400,
                "InvalidHeaderValue",
                "The value for one of the HTTP headers is not in the correct format: x-ms-blob-public-access.",
            );
        }
    };
    let id = format!("{scope}/blobServices/default/containers/{name}");
    if store.get(&id).is_some() {
        return blob_error(
            409,
            "ContainerAlreadyExists",
            "The specified container already exists.",
        );
    }
    let mut container = new_container(&id, access);
    for (header, value) in &ask.headers {
        if let Some(name) = header.strip_prefix("x-ms-meta-") {
            container["properties"]["metadata"][name] = json!(value);
        }
    }
    container["__modified"] = json!(http_date(now));
    container["__etag"] = json!(format!("\"0x{:X}\"", store.version + 1));
    let etag = store.put(&id, container);
    Reply::empty(201)
        .with("etag", format!("\"0x{etag:X}\""))
        .with("last-modified", http_date(now))
}

/// Answers `GET /{container}?restype=container` ("Get Container Properties (REST API)").
pub(super) fn show(store: &Store, id: &str) -> Reply {
    let found = store.get(id).cloned().unwrap_or_default();
    let shown = container(&found);
    let properties = &shown["properties"];
    let text = |member: &str, usual: &str| found[member].as_str().unwrap_or(usual).to_owned();
    let says = |member: &str| (properties[member] == true).to_string();
    let mut reply = Reply::empty(200)
        .with("etag", text("__etag", "\"0x1\""))
        .with("last-modified", text("__modified", MADE))
        .with("x-ms-lease-state", "available")
        .with("x-ms-lease-status", "unlocked")
        .with(
            "x-ms-has-immutability-policy",
            says("hasImmutabilityPolicy"),
        )
        .with("x-ms-has-legal-hold", says("hasLegalHold"));
    let public = match properties["publicAccess"].as_str() {
        Some("Blob") => Some("blob"),
        Some("Container") => Some("container"),
        _ => None,
    };
    if let Some(access) = public {
        reply = reply.with("x-ms-blob-public-access", access);
    }
    for (name, value) in properties["metadata"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        reply = reply.with(&format!("x-ms-meta-{name}"), value);
    }
    reply
}

/// When containers were made that the data plane did not make.
const MADE: &str = "Mon, 12 Jan 2026 04:06:05 GMT";

/// 3 to 63 lower-case letters, digits and single dashes between them.
fn well_named(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
