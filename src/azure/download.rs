//! A body of any size, read piece by piece: memory stays flat and the bytes are those that are stored.

use bytes::Bytes;

use super::error::Error;
use super::patience::{Arrival, Patience};
use super::request::Response;

/// A body being read.
#[derive(Debug)]
pub struct Download {
    head: Response,
    live: Option<reqwest::Response>,
    arrival: Arrival,
}

impl Download {
    pub(crate) fn new(head: Response, live: Option<reqwest::Response>, patience: Patience) -> Self {
        let arrival = Arrival::begin(patience);
        Self {
            head,
            live,
            arrival,
        }
    }

    /// Returns the answer's status and headers; its body is empty.
    pub fn head(&self) -> &Response {
        &self.head
    }

    /// Returns the next piece, or nothing at the end of a whole body.
    ///
    /// # Errors
    /// A body that broke off, stood still or crept; what was read so far is then not all of it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.live {
            Some(live) => self.arrival.next(live, &self.head.host).await,
            None => Ok(None),
        }
    }
}
