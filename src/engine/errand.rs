//! Errands for whoever is no run: a rendered call is read, and nothing is recorded. A judge looks at a tenant this way.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::calls::{CallPlace, Calls};
use super::power::Teller;
use super::step::wire;
use crate::azure::Reader;
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
