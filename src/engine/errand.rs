//! Errands for whoever is no run: a rendered call is read or sent, and no journal is kept. A judge looks at a tenant this
//! way, and a drill builds and clears away what it needs, with a record of its own.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::calls::{CallPlace, Calls};
use super::failure::FailureKind;
use super::power::Teller;
use super::step::wire;
use crate::azure::{Client, Effect, Reader};
use crate::clock::SystemClock;
use crate::digest::Digest;
use crate::runbook::expr::RenderedCall;

/// Reads what a call asks for: its body and status; of a list all its items.
///
/// # Errors
/// The service's error, or why there is no answer, in one sentence.
pub async fn read(reader: &Reader, call: &RenderedCall) -> Result<(Value, u16), String> {
    let calls = unrecorded();
    let read = if call.pages.is_some() {
        let items = wire::read_list(reader, call, &calls).await;
        items.map(|items| (Value::Array(items), 200))
    } else {
        let answer = wire::read(reader, call, &calls).await;
        answer.map(|answer| (answer.body, answer.status))
    };
    read.map_err(|failure| failure.message)
}

/// Why something was not written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotWritten {
    /// The service's own code, or azir's.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Whether it may have taken effect all the same.
    pub unknown: bool,
}

/// Sends a write and follows its operation to the end: the resource or the result, null where there is none. What is
/// not there counts as deleted.
///
/// # Errors
/// The service's error, a refusal of the client's fence, or why there is no answer.
pub async fn write(client: &Client, call: &RenderedCall) -> Result<Value, NotWritten> {
    let effect = match call.method.as_str() {
        "DELETE" => Effect::Delete,
        "PATCH" => Effect::Update,
        _ => Effect::Create,
    };
    let sent = wire::write(client, call, effect, None, &unrecorded()).await;
    sent.map(|answer| answer.body)
        .map_err(|failure| NotWritten {
            unknown: failure.kind == FailureKind::Unknown,
            code: failure.code,
            message: failure.message,
        })
}

/// Reads a blob and returns its digest and size in bytes.
///
/// # Errors
/// As [`read`].
pub async fn hash_blob(reader: &Reader, url: &str) -> Result<(Digest, u64), String> {
    wire::hash_blob(reader, url, &unrecorded())
        .await
        .map_err(|failure| failure.message)
}

fn unrecorded() -> Calls {
    let (_, halted) = watch::channel(false);
    let teller = Teller::new(None, Arc::new(SystemClock), Uuid::nil(), halted);
    Calls::new(None, teller, CallPlace::default())
}
