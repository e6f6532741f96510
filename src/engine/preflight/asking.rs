//! Asking the cloud on behalf of the preflight: with little patience, and no failure that could stop anything.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::azure::{Plane, ReadRequest, Reader, RequestParts};
use crate::clock::Clock;
use crate::engine::calls::{CallPlace, Calls, cut};
use crate::engine::error::chain;
use crate::engine::power::Teller;

/// Questions that are under way at once.
pub(super) const AT_ONCE: usize = 16;
/// No attempt of a question begins later than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks, and remembers nothing.
pub(super) struct Asking {
    reader: Reader,
    calls: Calls,
}

/// Why something could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unread {
    /// Whether the service says that it is not there.
    pub(super) absent: bool,
    /// In a few words.
    pub(super) why: String,
}

impl Asking {
    /// Asks through `reader`; nobody is told of it.
    pub(super) fn new(reader: &Reader, clock: &Arc<dyn Clock>) -> Self {
        let halt = tokio::sync::watch::channel(false).1;
        let teller = Teller::new(None, Arc::clone(clock), uuid::Uuid::nil(), halt);
        Self {
            reader: reader.giving_up_after(PATIENCE),
            calls: Calls::new(None, teller, CallPlace::default()),
        }
    }

    /// Reads a list of an extension type at a scope to its end.
    pub(super) async fn list(
        &self,
        scope: &str,
        kind: &str,
        version: &str,
    ) -> Result<Vec<Value>, Unread> {
        let path = format!("{scope}/providers/{kind}");
        let request = ReadRequest::new(parts("GET", path, version, None)).map_err(unread)?;
        let mut pages = self.reader.pages(request, "value");
        let mut items = Vec::new();
        while let Some(page) = pages.next_page(&self.calls).await.map_err(unread)? {
            items.extend(page);
        }
        Ok(items)
    }

    /// Reads one thing.
    pub(super) async fn get(&self, path: &str, version: &str) -> Result<Value, Unread> {
        let request =
            ReadRequest::new(parts("GET", path.to_owned(), version, None)).map_err(unread)?;
        let response = self.reader.read(&request, &self.calls).await;
        response.map_err(unread)?.json().map_err(unread)
    }

    /// Sends a POST that reads.
    pub(super) async fn post(
        &self,
        path: String,
        version: &str,
        body: &Value,
    ) -> Result<Value, Unread> {
        let request = ReadRequest::new(parts("POST", path, version, Some(body))).map_err(unread)?;
        let response = self.reader.read(&request, &self.calls).await;
        response.map_err(unread)?.json().map_err(unread)
    }
}

fn parts(method: &str, path: String, version: &str, body: Option<&Value>) -> RequestParts {
    RequestParts {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: path,
        query: Vec::new(),
        api_version: Some(version.to_owned()),
        headers: Vec::new(),
        body: body.map(|body| body.to_string().into_bytes().into()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unread(error: crate::azure::Error) -> Unread {
    // A request's own id would make two like answers two.
    let why = match error.status() {
        Some(status) => format!("{}, HTTP {status}", error.code()),
        None => cut(&chain(&error), 200),
    };
    Unread {
        // Something in between answers 404 too.
        absent: error.is_not_found()
            && [
                "ResourceGroupNotFound",
                "ResourceNotFound",
                "ParentResourceNotFound",
                "NotFound",
            ]
            .contains(&error.code()),
        why,
    }
}
