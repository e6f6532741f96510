//! Requests to strangers: no token, no cookie, no redirect, and an answer of bounded size and time.

use std::time::Duration;

use url::Url;

use super::error::{Error, chain};
use super::http::Http;
use super::patience::Arrival;

/// What a stranger answered.
#[derive(Debug)]
pub(crate) struct Plain {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Content-Type`, cut to a line.
    pub(crate) content_type: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// What is posted, and how much of an answer is taken.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// The body's type.
    pub(crate) content_type: &'static str,
    /// The type of answer that is asked for.
    pub(crate) accept: &'static str,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The largest answer in bytes.
    pub(crate) most: usize,
    /// The longest wait for the whole of it.
    pub(crate) patience: Duration,
}

impl Http {
    /// Posts to an address that is not of the cloud; the pool knows no credentials, so none can leave with it.
    ///
    /// # Errors
    /// Nobody there, or an answer that is too slow or too large.
    pub(crate) async fn post(&self, url: &Url, post: Post) -> Result<Plain, Error> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let patience = post.patience;
        let slow = Error::Unreachable {
            host: host.clone(),
            message: format!("no whole answer within {} s", patience.as_secs()),
        };
        tokio::time::timeout(patience, self.posted(url, &host, post))
            .await
            .unwrap_or(Err(slow))
    }

    async fn posted(&self, url: &Url, host: &str, post: Post) -> Result<Plain, Error> {
        let sent = self
            .pool(url, true)?
            .post(url.clone())
            .header("content-type", post.content_type)
            .header("accept", post.accept)
            .body(post.body)
            .send()
            .await;
        let mut response = sent.map_err(|error| Error::Unreachable {
            host: host.to_owned(),
            message: chain(&error.without_url()),
        })?;
        let content_type = response.headers().get("content-type");
        let content_type = content_type
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default();
        let mut body = Vec::new();
        let mut arrival = Arrival::begin(self.patience());
        while let Some(piece) = arrival.next(&mut response, host).await? {
            if body.len() + piece.len() > post.most {
                return Err(Error::TooLarge {
                    host: host.to_owned(),
                    limit: post.most,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Plain {
            status: response.status().as_u16(),
            content_type: content_type
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect(),
            body,
        })
    }
}
