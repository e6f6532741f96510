//! The client: every request of azir goes through here, and its observer hears of it first.
//!
//! [`Reader`] can only read; [`Client`] can also write. Each attempt is announced, sent, and told; what may be
//! tried again is, by the rule in `retry`; operations are followed to their end by the rules in `lro`.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use url::Url;

use super::cloud::{Cloud, STORAGE_SCOPE};
use super::credentials::{Identity, Token, TokenSource, Tokens, identity};
use super::error::{self, Error};
use super::http::Http;
use super::lro::{self, Progress, Watch};
use super::observe::{Call, ClientNote, Observer, Operation, Outcome, OutcomeKind};
use super::origins::Origins;
use super::pages::Pages;
use super::request::{Effect, Plane, ReadRequest, RequestParts, Response, WriteRequest};
use super::retry;
use super::send::{Attempt, NoAnswer, send};
use super::throttle::{Key, Throttle};
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
}

struct Inner {
    cloud: Cloud,
    http: Http,
    origins: Origins,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    throttle: Throttle,
    /// Milliseconds that this machine's clock is ahead of the cloud's; `i64::MIN` while unknown.
    offset_ms: AtomicI64,
}

/// The part of the client that reads. A plan has nothing else.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

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

/// An operation that has not ended after this long is of unknown outcome.
const OPERATION_LIMIT: Duration = Duration::from_secs(30 * 60);

impl Client {
    /// Puts a client together; sends nothing.
    pub fn new(options: ClientOptions) -> Self {
        let inner = Inner {
            origins: Origins::new(options.cloud.clone()),
            tokens: Tokens::new(options.credential, Arc::clone(&options.clock)),
            throttle: Throttle::new(Arc::clone(&options.clock)),
            cloud: options.cloud,
            http: options.http,
            clock: options.clock,
            random: options.random,
            offset_ms: AtomicI64::new(i64::MIN),
        };
        Self {
            reader: Reader(Arc::new(inner)),
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
        let url = self.0.url(&request.parts)?;
        self.0
            .exchange(
                &request.parts,
                &url,
                request.effect,
                request.idempotent,
                observer,
            )
            .await
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
        let url = self.0.url(&request.0)?;
        self.0
            .exchange(&request.0, &url, Effect::Read, true, observer)
            .await
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
        parts.method = "GET".to_owned();
        parts.body = None;
        self.0
            .exchange(&parts, link, Effect::Read, true, observer)
            .await
    }

    /// Returns who azir is, by its ARM token.
    ///
    /// # Errors
    /// No token could be had.
    pub async fn identity(&self) -> Result<Identity, Error> {
        let token = self.0.tokens.token(&self.0.cloud.arm_scope).await?;
        Ok(identity(&token))
    }

    /// Returns the cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }

    /// Returns the cloud's name.
    pub fn cloud_name(&self) -> &str {
        &self.0.cloud.name
    }

    /// Returns the credential's name.
    pub fn credential_name(&self) -> &'static str {
        self.0.tokens.credential_name()
    }

    /// Returns how many milliseconds this machine's clock is ahead of the cloud's, once anything was answered.
    pub fn clock_offset_ms(&self) -> Option<i64> {
        let offset = self.0.offset_ms.load(Ordering::Relaxed);
        (offset != i64::MIN).then_some(offset)
    }

    /// Returns the blob endpoint of a storage account by its name.
    ///
    /// # Errors
    /// As [`Cloud::blob_endpoint`].
    pub fn blob_endpoint(&self, account: &str) -> Result<String, Error> {
        self.0.cloud.blob_endpoint(account)
    }

    /// Allows data-plane tokens to an address that ARM itself named.
    ///
    /// # Errors
    /// An address that is not https, or on this machine while the cloud is not.
    pub fn allow_from_arm(&self, url: &str) -> Result<(), Error> {
        self.0.origins.learn(url)
    }
}

/// What one announced attempt came to, before anybody is told.
struct Ended {
    response: Response,
    operation: Option<Operation>,
}

impl Inner {
    fn url(&self, parts: &RequestParts) -> Result<Url, Error> {
        match parts.plane {
            Plane::Arm => parts.url(Some(&self.cloud.arm)),
            Plane::Graph => parts.url(Some(&self.cloud.graph)),
            Plane::Vault | Plane::Logs | Plane::Blob => parts.url(None),
        }
    }

    fn scope(&self, plane: Plane) -> String {
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

    /// Announces, sends and tells attempts until one is final.
    async fn exchange(
        &self,
        parts: &RequestParts,
        url: &Url,
        effect: Effect,
        idempotent: bool,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        self.allowed(parts.plane, url, "a request", observer)
            .await?;
        let scope = self.scope(parts.plane);
        let key = Key::of(parts.plane, &parts.method, url.path());
        let mut renewed = false;
        let mut unsettled: Vec<u64> = Vec::new();
        let mut number = 0;
        loop {
            number += 1;
            self.pause(
                self.throttle.take(&key),
                "keeping within the request budget",
                observer,
            )
            .await;
            let token = self.tokens.token(&scope).await?;
            let call = self.call(parts, url, effect);
            let ticket = observer
                .intent(&call)
                .await
                .map_err(|refused| Error::Refused {
                    message: refused.message,
                    halted: refused.halted,
                })?;
            let began = self.clock.mono_us();
            let (result, wait) = self
                .attempt(
                    parts, url, &call, &token, number, idempotent, &key, observer,
                )
                .await;
            let outcome = self.outcome(&result, effect, began);
            observer.result(ticket, &outcome).await;
            let error = match result {
                Ok(ended) => {
                    for earlier in unsettled {
                        observer
                            .settled(earlier, "the same request, sent again, succeeded")
                            .await;
                    }
                    return Ok(ended.response);
                }
                Err(error) => error,
            };
            if outcome.kind == OutcomeKind::Unknown {
                unsettled.push(ticket);
            }
            let not_let_in =
                error.status() == Some(401) || matches!(error, Error::NeedsSignIn { .. });
            if not_let_in && !renewed {
                renewed = true;
                observer
                    .note(ClientNote::Renewed {
                        host: url.host_str().unwrap_or_default().to_owned(),
                    })
                    .await;
                self.tokens.forget(&scope, &token).await;
                continue;
            }
            match wait {
                Some(wait) => {
                    self.throttle.learn(
                        &key,
                        |_| None,
                        error.status().filter(|status| *status == 429).map(|_| wait),
                    );
                    self.pause(
                        wait,
                        &format!(
                            "{} answered {}; trying again",
                            url.host_str().unwrap_or_default(),
                            error.code()
                        ),
                        observer,
                    )
                    .await;
                }
                None => return Err(error),
            }
        }
    }

    /// Sends one attempt and follows what it began; says how long to wait if it may be tried again.
    #[expect(clippy::too_many_arguments, reason = "one attempt has these parts")]
    async fn attempt(
        &self,
        parts: &RequestParts,
        url: &Url,
        call: &Call,
        token: &Token,
        number: u32,
        idempotent: bool,
        key: &Key,
        observer: &dyn Observer,
    ) -> (Result<Ended, Error>, Option<Duration>) {
        let jitter = self.random.unit();
        let attempt = Attempt {
            plane: parts.plane,
            method: &parts.method,
            url,
            headers: &parts.headers,
            body: parts.body.clone(),
            client_request_id: call.client_request_id,
            date: self.http_date(),
        };
        let response = match send(&self.http, &attempt, token).await {
            Ok(response) => response,
            Err(NoAnswer::NotSent(error)) => {
                return (
                    Err(error),
                    retry::wait(retry::Attempt::NotSent, number, idempotent, None, jitter),
                );
            }
            Err(NoAnswer::Lost(error)) => {
                let wait = retry::wait(retry::Attempt::NoAnswer, number, idempotent, None, jitter);
                return (Err(lost(error, call.effect, url)), wait);
            }
        };
        self.learn(key, &response);
        if response.status >= 300 {
            let error = self.refused(&response);
            let asked = retry::asked(
                |name| response.header(name).map(str::to_owned),
                self.clock.now(),
            );
            let wait = match &error {
                Error::Service { status, code, .. } => retry::wait(
                    retry::Attempt::Answered {
                        status: *status,
                        code,
                    },
                    number,
                    idempotent,
                    asked,
                    jitter,
                ),
                _ => None,
            };
            return (Err(error), wait);
        }
        (
            self.follow(parts, url, response, token, observer).await,
            None,
        )
    }

    /// Returns the error that an answer above 299 stands for.
    fn refused(&self, response: &Response) -> Error {
        if (300..400).contains(&response.status) {
            let location = response
                .header("location")
                .and_then(|text| Url::parse(text).ok());
            return Error::ForeignOrigin {
                origin: location.map_or_else(
                    || "another address".to_owned(),
                    |url| url.origin().ascii_serialization(),
                ),
                from: "a redirect",
            };
        }
        if response.status == 401
            && let Some(claims) = response
                .headers_named("www-authenticate")
                .find_map(claims_of)
        {
            return Error::NeedsSignIn {
                host: response.host.clone(),
                command: format!(
                    "az login --claims-challenge {}",
                    base64::engine::general_purpose::STANDARD.encode(claims)
                ),
            };
        }
        error::service(
            response.status,
            &response.body,
            response.header("x-ms-error-code"),
            response.request_id(),
        )
    }

    /// Follows an operation to its end; anything else is already over.
    async fn follow(
        &self,
        parts: &RequestParts,
        url: &Url,
        response: Response,
        token: &Token,
        observer: &dyn Observer,
    ) -> Result<Ended, Error> {
        let Some(watch) = lro::watch(&parts.method, &response)? else {
            return Ok(Ended {
                response,
                operation: None,
            });
        };
        let address = match &watch {
            Watch::Status { url, .. } | Watch::Location { url } => url.clone(),
            Watch::Resource => url.clone(),
        };
        self.allowed(parts.plane, &address, "an operation's address", observer)
            .await?;
        let mut operation = Operation {
            host: address.host_str().unwrap_or_default().to_owned(),
            path: address.path().to_owned(),
            polls: 0,
            state: "InProgress".to_owned(),
        };
        let last = self
            .poll(
                parts,
                &watch,
                address,
                &response,
                &mut operation,
                token,
                observer,
            )
            .await?;
        let result = self
            .result(parts, url, &watch, response, last, token, observer)
            .await?;
        Ok(Ended {
            response: result,
            operation: Some(operation),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one operation has these parts")]
    async fn poll(
        &self,
        parts: &RequestParts,
        watch: &Watch,
        mut address: Url,
        first: &Response,
        operation: &mut Operation,
        token: &Token,
        observer: &dyn Observer,
    ) -> Result<Option<Response>, Error> {
        let began = self.clock.mono_us();
        let mut asked = retry::asked(
            |name| first.header(name).map(str::to_owned),
            self.clock.now(),
        );
        loop {
            let pause = asked.unwrap_or_else(|| retry::poll_pause(operation.polls));
            let waited = Duration::from_micros(self.clock.mono_us().saturating_sub(began));
            if waited + pause > OPERATION_LIMIT {
                return Err(Error::Unknown {
                    host: operation.host.clone(),
                    message: format!(
                        "its operation has not ended after {} s (last state {})",
                        waited.as_secs(),
                        operation.state
                    ),
                });
            }
            self.clock.sleep(pause).await;
            operation.polls += 1;
            let response = self.get(parts, &address, token, observer).await?;
            asked = retry::asked(
                |name| response.header(name).map(str::to_owned),
                self.clock.now(),
            );
            match lro::progress(watch, &response) {
                Progress::Succeeded => {
                    operation.state = "Succeeded".to_owned();
                    return Ok(Some(response));
                }
                Progress::Failed(error) => {
                    operation.state = "Failed".to_owned();
                    return Err(error);
                }
                Progress::Gone => {
                    operation.state = "Gone".to_owned();
                    return Ok(None);
                }
                Progress::Running(state) => operation.state = state,
            }
            if let (Watch::Location { .. }, Some(newer)) = (watch, response.header("location"))
                && let Ok(newer) = Url::parse(newer)
            {
                self.allowed(parts.plane, &newer, "a Location header", observer)
                    .await?;
                address = newer;
            }
        }
    }

    /// Returns where the result of an ended operation lies (arm.md section 1.6, "Result").
    #[expect(clippy::too_many_arguments, reason = "one operation has these parts")]
    async fn result(
        &self,
        parts: &RequestParts,
        url: &Url,
        watch: &Watch,
        first: Response,
        last: Option<Response>,
        token: &Token,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        match (parts.method.as_str(), watch, last) {
            ("PUT" | "PATCH", ..) => {
                let mut resource = self.get(parts, url, token, observer).await?;
                resource.read_back = true;
                if resource.status >= 400 {
                    return Err(self.refused(&resource));
                }
                Ok(resource)
            }
            ("DELETE", ..) | (_, _, None) => Ok(first),
            (
                _,
                Watch::Status {
                    location: Some(location),
                    ..
                },
                Some(_),
            ) => {
                self.allowed(parts.plane, location, "a Location header", observer)
                    .await?;
                self.get(parts, location, token, observer).await
            }
            (_, _, Some(mut last)) => {
                if let Some(output) = lro::output(&last.body) {
                    last.body = Bytes::from(output);
                }
                Ok(last)
            }
        }
    }

    /// Gets an address of an operation; trouble on the way is waited out, for polling has no effect.
    async fn get(
        &self,
        parts: &RequestParts,
        url: &Url,
        token: &Token,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        let key = Key::of(parts.plane, "GET", url.path());
        let scope = self.scope(parts.plane);
        let mut token = token.clone();
        let mut renewed = false;
        let mut number = 0;
        loop {
            number += 1;
            self.pause(
                self.throttle.take(&key),
                "keeping within the request budget",
                observer,
            )
            .await;
            let attempt = Attempt {
                plane: parts.plane,
                method: "GET",
                url,
                headers: &[],
                body: None,
                client_request_id: self.random.uuid(),
                date: self.http_date(),
            };
            let jitter = self.random.unit();
            let (error, wait) = match send(&self.http, &attempt, &token).await {
                Ok(response) => {
                    self.learn(&key, &response);
                    if response.status == 401 && !renewed {
                        renewed = true;
                        self.tokens.forget(&scope, &token).await;
                        token = self.tokens.token(&scope).await?;
                        continue;
                    }
                    if !matches!(response.status, 408 | 429 | 500 | 502 | 503 | 504) {
                        return Ok(response);
                    }
                    let asked = retry::asked(
                        |name| response.header(name).map(str::to_owned),
                        self.clock.now(),
                    );
                    let attempt = retry::Attempt::Answered {
                        status: response.status,
                        code: "",
                    };
                    (
                        self.refused(&response),
                        retry::wait(attempt, number, true, asked, jitter),
                    )
                }
                Err(NoAnswer::NotSent(error) | NoAnswer::Lost(error)) => (
                    error,
                    retry::wait(retry::Attempt::NoAnswer, number, true, None, jitter),
                ),
            };
            match wait {
                Some(wait) => {
                    self.pause(wait, &format!("polling: {}", error.code()), observer)
                        .await;
                }
                // The write itself was accepted; that its end cannot be seen does not say that it failed.
                None => {
                    return Err(Error::Unknown {
                        host: url.host_str().unwrap_or_default().to_owned(),
                        message: format!("its operation could not be followed: {error}"),
                    });
                }
            }
        }
    }

    async fn allowed(
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

    fn call(&self, parts: &RequestParts, url: &Url, effect: Effect) -> Call {
        Call {
            client_request_id: self.random.uuid(),
            effect,
            plane: parts.plane,
            method: parts.method.clone(),
            url: url.clone(),
            api_version: parts.api_version.clone(),
            body: parts.body.clone(),
            precondition: parts
                .headers
                .iter()
                .find(|(name, _)| {
                    name.eq_ignore_ascii_case("if-match")
                        || name.eq_ignore_ascii_case("if-none-match")
                })
                .map(|(name, value)| format!("{name}: {value}")),
        }
    }

    fn outcome(&self, result: &Result<Ended, Error>, effect: Effect, began: u64) -> Outcome {
        let duration_us = self.clock.mono_us().saturating_sub(began);
        match result {
            Ok(Ended {
                response,
                operation,
            }) => Outcome {
                kind: OutcomeKind::Ok,
                status: Some(response.status),
                error_code: None,
                message: None,
                request_id: response.request_id(),
                correlation_request_id: response
                    .header("x-ms-correlation-request-id")
                    .map(str::to_owned),
                server_date: response.header("date").map(str::to_owned),
                duration_us,
                operation: operation.clone(),
                body: response.body.clone(),
                etag: response.etag(),
            },
            Err(error) => Outcome {
                // What only reads has no effect to be unsure of.
                kind: if error.is_unknown() && effect != Effect::Read {
                    OutcomeKind::Unknown
                } else {
                    OutcomeKind::Failed
                },
                status: error.status(),
                error_code: Some(error.code().to_owned()),
                message: Some(error.to_string()),
                request_id: match error {
                    Error::Service { request_id, .. } => request_id.clone(),
                    _ => None,
                },
                correlation_request_id: None,
                server_date: None,
                duration_us,
                operation: None,
                body: Bytes::new(),
                etag: None,
            },
        }
    }

    fn learn(&self, key: &Key, response: &Response) {
        self.throttle
            .learn(key, |name| response.header(name).map(str::to_owned), None);
        let date = response
            .header("date")
            .and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        if let Some(date) = date {
            // The header has whole seconds, so half a second is the best guess of the rest.
            let ahead = (self.clock.now() - date.with_timezone(&Utc)).num_milliseconds() - 500;
            self.offset_ms.store(ahead, Ordering::Relaxed);
        }
    }

    async fn pause(&self, wait: Duration, why: &str, observer: &dyn Observer) {
        if wait.is_zero() {
            return;
        }
        if wait >= Duration::from_millis(900) {
            observer
                .note(ClientNote::Waiting {
                    why: why.to_owned(),
                    seconds: wait.as_secs_f64(),
                })
                .await;
        }
        self.clock.sleep(wait).await;
    }

    fn http_date(&self) -> String {
        self.clock
            .now()
            .format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }
}

/// Says what a lost answer means: of a write that its effect is unknown.
fn lost(error: Error, effect: Effect, url: &Url) -> Error {
    if effect == Effect::Read {
        return error;
    }
    Error::Unknown {
        host: url.host_str().unwrap_or_default().to_owned(),
        message: error.to_string(),
    }
}

/// Returns the claims that a challenge asks for; padding may be missing and the alphabet either (graph-and-data-planes.md 5.5).
fn claims_of(header: &str) -> Option<Vec<u8>> {
    if !header.contains("insufficient_claims") {
        return None;
    }
    let start = header.find("claims=\"")? + "claims=\"".len();
    let text: String = header[start..]
        .chars()
        .take_while(|c| *c != '"')
        .filter(|c| *c != '=')
        .collect();
    let text = text.replace('-', "+").replace('_', "/");
    base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(text)
        .ok()
}
