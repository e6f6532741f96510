//! How long the client waits for a service: for a connection, for an answer to begin, for it to go on, for all of it.
//!
//! These are times of the machine, not of the injected clock: they bound what the network does, and a test that makes
//! them short need not wait.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{Error, chain};

/// How long the client waits for what a service does.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, with its handshake and the look-up of the name.
    pub connecting: Duration,
    /// For an answer to begin.
    pub thinking: Duration,
    /// For the answer to a query to begin: Log Analytics may be asked to take ten minutes
    /// (graph-and-data-planes.md section 7).
    pub querying: Duration,
    /// For a token; the Azure CLI alone takes some seconds.
    pub signing_in: Duration,
    /// For the next piece of an answer that has begun.
    pub stalled: Duration,
    /// For the whole of an answer, besides what its length takes on the slowest line.
    pub arriving: Duration,
}

/// The slowest line that anything is sent over, in bytes a second.
pub(crate) const SLOWEST: u64 = 64 * 1024;

impl Default for Patience {
    fn default() -> Self {
        Self {
            connecting: Duration::from_secs(10),
            thinking: Duration::from_secs(120),
            querying: Duration::from_secs(630),
            signing_in: Duration::from_secs(60),
            stalled: Duration::from_secs(60),
            arriving: Duration::from_secs(120),
        }
    }
}

/// An answer on its way: who sends it a byte a minute, for ever, is cut off too.
#[derive(Debug)]
pub(crate) struct Arrival {
    patience: Patience,
    /// What was spent waiting for pieces; what their reader does with them in between is its own time.
    waited: Duration,
    bytes: u64,
}

impl Arrival {
    pub(crate) fn begin(patience: Patience) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Reads the next piece of a body, or nothing at its end.
    ///
    /// # Errors
    /// A body that broke off, stood still, or crept.
    pub(crate) async fn next(
        &mut self,
        response: &mut reqwest::Response,
        host: &str,
    ) -> Result<Option<bytes::Bytes>, Error> {
        let broken = |message: String| Error::Malformed {
            host: host.to_owned(),
            message: format!("the answer broke off: {message}"),
        };
        let most = self.patience.arriving + Duration::from_secs(self.bytes / SLOWEST);
        let left = most.saturating_sub(self.waited);
        let wait = left.min(self.patience.stalled);
        let began = Instant::now();
        let arrived = tokio::time::timeout(wait, response.chunk()).await;
        self.waited += began.elapsed();
        match arrived {
            Ok(Ok(piece)) => {
                self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Ok(piece)
            }
            Ok(Err(error)) => Err(broken(chain(&error.without_url()))),
            Err(_) if wait < self.patience.stalled => {
                Err(broken(format!("not whole after {} s", most.as_secs())))
            }
            Err(_) => Err(broken(format!(
                "nothing for {} s",
                self.patience.stalled.as_secs()
            ))),
        }
    }
}
