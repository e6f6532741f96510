//! The client: every request of azir goes through here, and its observer hears of it first.
//!
//! [`Reader`] can only read; [`Client`] can also write. What happens to one request is in `exchange`; how its
//! operation is followed, in `operation`.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use super::batch::Batches;
use super::cloud::{Cloud, STORAGE_SCOPE};
use super::credentials::{Identity, TokenSource, Tokens, identity};
use super::download::Download;
use super::error::Error;
use super::exchange::Wanted;
use super::fence::Fence;
use super::http::Http;
use super::limits::Draw;
use super::observe::{ClientNote, Observer};
use super::origins::Origins;
use super::pages::Pages;
use super::request::{Effect, Plane, ReadRequest, RequestParts, Response, WriteRequest};
use super::throttle::{Places, Priority, Throttle};
use crate::clock::Clock;
use crate::random::Random;

/// What a client is made of.
pub struct ClientOptions {
    /// Which cloud.
    pub cloud: Cloud,
    /// The connection pool.
    pub http: Http,
    /// Where tokens come from.
    pub credential: Arc<dyn TokenSource>,
    /// The clock that waits.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub random: Arc<dyn Random>,
    /// What may be written to, in an exercise; absent: what the layers above let through.
    pub fence: Option<Arc<Fence>>,
}

/// How requests are made, besides what they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) priority: Priority,
    /// No attempt, and no poll, begins later than this after the first; absent: the rules' own patience.
    pub(crate) give_up_after: Option<Duration>,
}

/// What all handles of one client share.
pub(crate) struct Inner {
    pub(crate) cloud: Cloud,
    pub(crate) http: Http,
    origins: Origins,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) throttle: Throttle,
    pub(crate) batches: Batches,
    pub(crate) fence: Option<Arc<Fence>>,
    /// Milliseconds that this machine's clock is ahead of the cloud's; `i64::MIN` while unknown.
    offset_ms: AtomicI64,
}

/// The part of the client that reads. A plan has nothing else.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
    manner: Manner,
}

/// The client.
#[derive(Clone)]
pub struct Client {
    reader: Reader,
}

impl Deref for Client {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Client {
    /// Puts a client together; sends nothing.
    pub fn new(options: ClientOptions) -> Self {
        let inner = Inner {
            origins: Origins::new(options.cloud.clone()),
            tokens: Tokens::new(options.credential, Arc::clone(&options.clock)),
            throttle: Throttle::new(Arc::clone(&options.clock)),
            batches: Batches::new(Arc::clone(&options.random)),
            cloud: options.cloud,
            http: options.http,
            clock: options.clock,
            random: options.random,
            fence: options.fence,
            offset_ms: AtomicI64::new(i64::MIN),
        };
        Self {
            reader: Reader {
                inner: Arc::new(inner),
                manner: Manner::default(),
            },
        }
    }

    /// Returns the part that only reads.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Sends a write and follows its operation to the end; returns the resource or the result.
    ///
    /// # Errors
    /// [`Error::Unknown`] where it may have taken effect and nobody can tell; the service's error; a refusal of the observer.
    pub async fn write(
        &self,
        request: &WriteRequest,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        let url = self.inner.url(&request.parts)?;
        let wanted = Wanted {
            parts: &request.parts,
            url: &url,
            effect: request.effect,
            idempotent: request.idempotent,
            manner: self.manner,
            stream: false,
            together: false,
            observer,
        };
        let (response, _) = self.inner.exchange(&wanted).await?;
        Ok(response)
    }

    /// Returns this client with another place in the queue for the request budget.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self {
            reader: self.reader.with_priority(priority),
        }
    }

    /// Returns this client with a limit to its patience: no attempt and no poll begins later than this.
    #[must_use]
    pub fn giving_up_after(&self, limit: Duration) -> Self {
        Self {
            reader: self.reader.giving_up_after(limit),
        }
    }
}

impl Reader {
    /// Reads; follows the operation of a POST that reads to its end.
    ///
    /// # Errors
    /// The service's error, or why there is no answer.
    pub async fn read(
        &self,
        request: &ReadRequest,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        let url = self.inner.url(&request.0)?;
        // Evidence is read in large pages, and what collects has time.
        let together = request.0.plane == Plane::Graph && self.manner.priority == Priority::Contain;
        let wanted = Wanted {
            together,
            ..self.reading(&request.0, &url, false, observer)
        };
        let (response, _) = self.inner.exchange(&wanted).await?;
        Ok(response)
    }

    /// Reads a list page by page; `member` names the list in each page.
    pub fn pages(&self, request: ReadRequest, member: &str) -> Pages {
        Pages::new(self.clone(), request, member)
    }

    /// Reads the page behind a nextLink, with the headers of the first.
    pub(crate) async fn read_link(
        &self,
        first: &RequestParts,
        link: &Url,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        let mut parts = first.clone();
        "GET".clone_into(&mut parts.method);
        parts.body = None;
        self.read_at(&parts, link, observer).await
    }

    /// Reads the page behind a nextLink that wants the first page's body again.
    pub(crate) async fn repeat_at(
        &self,
        first: &RequestParts,
        link: &Url,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        self.read_at(first, link, observer).await
    }

    async fn read_at(
        &self,
        parts: &RequestParts,
        url: &Url,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        let wanted = self.reading(parts, url, false, observer);
        let (response, _) = self.inner.exchange(&wanted).await?;
        Ok(response)
    }

    fn reading<'a>(
        &self,
        parts: &'a RequestParts,
        url: &'a Url,
        stream: bool,
        observer: &'a dyn Observer,
    ) -> Wanted<'a> {
        Wanted {
            parts,
            url,
            effect: Effect::Read,
            idempotent: true,
            manner: self.manner,
            stream,
            together: false,
            observer,
        }
    }

    /// Begins to read a body of any size, piece by piece and exactly as it is stored.
    ///
    /// # Errors
    /// As [`Reader::read`], until the first piece; then as [`Download::chunk`].
    pub async fn download(
        &self,
        request: &ReadRequest,
        observer: &dyn Observer,
    ) -> Result<Download, Error> {
        let url = self.inner.url(&request.0)?;
        let wanted = self.reading(&request.0, &url, true, observer);
        let (head, live) = self.inner.exchange(&wanted).await?;
        Ok(Download::new(head, live, self.inner.http.patience()))
    }

    /// Returns this reader with another place in the queue for the request budget.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        let mut reader = self.clone();
        reader.manner.priority = priority;
        reader
    }

    /// Returns this reader with a limit to its patience: no attempt and no poll begins later than this.
    #[must_use]
    pub fn giving_up_after(&self, limit: Duration) -> Self {
        let mut reader = self.clone();
        reader.manner.give_up_after = Some(limit);
        reader
    }

    /// Returns whom the token of a plane speaks for, and what it says of roles and scopes.
    ///
    /// # Errors
    /// No token could be had.
    pub async fn identity_on(&self, plane: Plane) -> Result<Identity, Error> {
        let token = self.inner.tokens.token(&self.inner.scope(plane)).await?;
        Ok(identity(&token))
    }

    /// Returns who azir is, by its ARM token.
    ///
    /// # Errors
    /// No token could be had.
    pub async fn identity(&self) -> Result<Identity, Error> {
        self.identity_on(Plane::Arm).await
    }

    /// Returns the cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.inner.cloud
    }

    /// Returns what may be written to, in an exercise.
    pub fn fence(&self) -> Option<&Fence> {
        self.inner.fence.as_deref()
    }

    /// Returns the connection pools, for requests that must carry no token.
    pub fn http(&self) -> &Http {
        &self.inner.http
    }

    /// Returns the cloud's name.
    pub fn cloud_name(&self) -> &str {
        &self.inner.cloud.name
    }

    /// Returns the credential's name.
    pub fn credential_name(&self) -> &'static str {
        self.inner.tokens.credential_name()
    }

    /// Returns how many milliseconds this machine's clock is ahead of the cloud's, once anything was answered.
    pub fn clock_offset_ms(&self) -> Option<i64> {
        let offset = self.inner.offset_ms.load(Ordering::Relaxed);
        (offset != i64::MIN).then_some(offset)
    }

    /// Returns how many writes a subscription has left, once any was counted there (arm.md section 1.5).
    pub fn writes_left(&self, subscription: &str) -> Option<u32> {
        self.inner.throttle.writes_left(subscription)
    }

    /// Returns the blob endpoint of a storage account by its name.
    ///
    /// # Errors
    /// As [`Cloud::blob_endpoint`].
    pub fn blob_endpoint(&self, account: &str) -> Result<String, Error> {
        self.inner.cloud.blob_endpoint(account)
    }

    /// Returns where Microsoft Graph is in this cloud, as `https://graph.microsoft.com`.
    pub fn graph_endpoint(&self) -> &str {
        self.inner.cloud.graph.as_str().trim_end_matches('/')
    }

    /// Allows data-plane tokens to an address that ARM itself named.
    ///
    /// # Errors
    /// An address that is not https, or on this machine while the cloud is not.
    pub fn allow_from_arm(&self, url: &str) -> Result<(), Error> {
        self.inner.origins.learn(url)
    }
}

impl Inner {
    fn url(&self, parts: &RequestParts) -> Result<Url, Error> {
        match parts.plane {
            Plane::Arm => parts.url(Some(&self.cloud.arm)),
            Plane::Graph => parts.url(Some(&self.cloud.graph)),
            Plane::Vault | Plane::Logs | Plane::Blob => parts.url(None),
        }
    }

    pub(crate) fn scope(&self, plane: Plane) -> String {
        match plane {
            Plane::Arm => self.cloud.arm_scope.clone(),
            Plane::Graph => self.cloud.graph_scope.clone(),
            Plane::Blob => STORAGE_SCOPE.to_owned(),
            Plane::Vault => format!("https://{}/.default", self.cloud.vault_suffix),
            Plane::Logs => self
                .cloud
                .logs
                .as_ref()
                .map(|logs| format!("{}/.default", logs.origin().ascii_serialization()))
                .unwrap_or_default(),
        }
    }

    /// Refuses an address to which the plane's token must not go, and tells.
    pub(crate) async fn allowed(
        &self,
        plane: Plane,
        url: &Url,
        from: &'static str,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let checked = self.origins.check(plane, url, from);
        if let Err(Error::ForeignOrigin { origin, from }) = &checked {
            observer
                .note(ClientNote::Foreign {
                    origin: origin.clone(),
                    from,
                })
                .await;
        }
        checked
    }

    /// Refuses what an exercise must not write to, and tells. Asked before each attempt; of what follows one, redirects
    /// are not followed and polls only read.
    pub(crate) async fn of_exercise(&self, wanted: &Wanted<'_>) -> Result<(), Error> {
        let Some(fence) = &self.fence else {
            return Ok(());
        };
        let checked = fence.check(wanted.parts, wanted.url, wanted.effect);
        if let Err(Error::Fenced { address, why }) = &checked {
            let (address, why) = (address.clone(), why.clone());
            wanted
                .observer
                .note(ClientNote::Fenced { address, why })
                .await;
        }
        checked
    }

    /// Waits for a turn on every limit that counts a request; says so once. The places are to be dropped when the
    /// answer was heard.
    pub(crate) async fn admit<'a>(
        &'a self,
        draw: &'a Draw,
        priority: Priority,
        observer: &dyn Observer,
    ) -> Places<'a> {
        let mut places = self.throttle.places(draw);
        let mut told = false;
        for drawn in &draw.on {
            loop {
                let turn = places.take(drawn, priority);
                if told {
                    self.clock.sleep(turn.wait).await;
                } else if !turn.wait.is_zero() {
                    told = self
                        .pause(turn.wait, "keeping within the request budget", observer)
                        .await;
                }
                if places.stands(drawn, turn) {
                    break;
                }
            }
        }
        places
    }

    pub(crate) fn learn(&self, draw: &Draw, response: &Response) {
        self.throttle
            .learn(draw, |name| response.header(name).map(str::to_owned));
        let date = response
            .header("date")
            .and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        if let Some(date) = date {
            // The header has whole seconds, so half a second is the best guess of the rest.
            let ahead = (self.clock.now() - date.with_timezone(&Utc)).num_milliseconds() - 500;
            self.offset_ms.store(ahead, Ordering::Relaxed);
        }
    }

    /// Waits; returns whether it was long enough to be told.
    pub(crate) async fn pause(&self, wait: Duration, why: &str, observer: &dyn Observer) -> bool {
        if wait.is_zero() {
            return false;
        }
        let long = wait >= Duration::from_millis(900);
        if long {
            observer
                .note(ClientNote::Waiting {
                    why: why.to_owned(),
                    seconds: wait.as_secs_f64(),
                })
                .await;
        }
        self.clock.sleep(wait).await;
        long
    }

    pub(crate) fn http_date(&self) -> String {
        self.clock
            .now()
            .format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }
}
