//! One request from its first attempt to its last: announced, sent, told, and tried again by the rule in `retry`.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use url::Url;

use super::Plane;
use super::challenge;
use super::client::{Inner, Manner};
use super::credentials::Token;
use super::error::{self, Error};
use super::limits::Draw;
use super::observe::{Call, ClientNote, Observer, Operation, Outcome, OutcomeKind};
use super::request::{Effect, RequestParts, Response};
use super::retry;
use super::send::{Answered, Attempt, NoAnswer, send};
use super::throttle::Places;

/// A request with all that decides how it is sent.
pub(crate) struct Wanted<'a> {
    pub(crate) parts: &'a RequestParts,
    pub(crate) url: &'a Url,
    pub(crate) effect: Effect,
    pub(crate) idempotent: bool,
    pub(crate) manner: Manner,
    /// Whether the body of a success is left on the connection.
    pub(crate) stream: bool,
    /// Whether its first attempt may go in one request with others.
    pub(crate) together: bool,
    pub(crate) observer: &'a dyn Observer,
}

/// What one announced attempt came to, before anybody is told.
struct Ended {
    result: Result<Answered, Error>,
    /// The last answer heard, whatever it meant.
    heard: Option<Response>,
    operation: Option<Operation>,
    /// Whether it is a write that may have taken effect without saying so.
    unsure: bool,
    /// How long to wait if it may be tried again.
    wait: Option<Duration>,
    /// How long everybody else is to wait too.
    hold: Option<Duration>,
}

impl Ended {
    fn failed(error: Error) -> Self {
        Self {
            result: Err(error),
            heard: None,
            operation: None,
            unsure: false,
            wait: None,
            hold: None,
        }
    }
}

impl Wanted<'_> {
    pub(crate) fn writes(&self) -> bool {
        self.effect != Effect::Read
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    /// Says of a write that its effect is not known, and of a read what went wrong.
    pub(crate) fn unknown(&self, error: Error) -> Error {
        if !self.writes() || error.is_unknown() {
            return error;
        }
        Error::Unknown {
            host: self.host(),
            message: error.to_string(),
        }
    }
}

impl Inner {
    /// Announces, sends and tells attempts until one is final.
    pub(crate) async fn exchange(&self, wanted: &Wanted<'_>) -> Result<Answered, Error> {
        let plane = wanted.parts.plane;
        if let Some(what) = self.cloud.lacks(plane, wanted.url.path()) {
            let cloud = self.cloud.name.clone();
            return Err(Error::Absent { cloud, what });
        }
        self.allowed(plane, wanted.url, "a request", wanted.observer)
            .await?;
        let mut scope = self.scope(plane);
        let draw = Draw::of(
            plane,
            &wanted.parts.method,
            wanted.url,
            wanted.parts.body.as_deref(),
        );
        let started = self.clock.mono_us();
        // A vault may first say which token it wants, and then not take the one that there is.
        let (mut told_scope, mut renewed) = (false, false);
        let mut unsettled: Vec<u64> = Vec::new();
        let mut number = 0;
        loop {
            number += 1;
            self.of_exercise(wanted)
                .await
                .map_err(|error| after(wanted, &unsettled, error))?;
            let places = self
                .admit(&draw, wanted.manner.priority, wanted.observer)
                .await;
            let token = match self.tokens.token(&scope).await {
                Ok(token) => token,
                Err(error) => return Err(after(wanted, &unsettled, error)),
            };
            let (ticket, ended) = self
                .announced(wanted, &token, number, (&draw, places))
                .await?;
            let error = match ended.result {
                Ok(answered) => {
                    for earlier in unsettled {
                        wanted
                            .observer
                            .settled(earlier, "the same request, sent again, succeeded")
                            .await;
                    }
                    if let Some(fence) = &self.fence {
                        fence.learn(wanted.parts, wanted.url, &answered.0);
                    }
                    return Ok(answered);
                }
                Err(error) => error,
            };
            if ended.unsure {
                unsettled.push(ticket);
            }
            let not_let_in =
                error.status() == Some(401) || matches!(error, Error::NeedsSignIn { .. });
            if not_let_in && !told_scope {
                let asked = asked_for(plane, wanted, ended.heard.as_ref())
                    .map_err(|error| after(wanted, &unsettled, error))?;
                if let Some(wanted) = asked
                    && wanted != scope
                {
                    told_scope = true;
                    scope = wanted;
                    continue;
                }
            }
            if not_let_in && !renewed {
                renewed = true;
                let host = wanted.host();
                wanted.observer.note(ClientNote::Renewed { host }).await;
                self.tokens.forget(&scope, &token).await;
                continue;
            }
            let information = ended.heard.as_ref();
            let information =
                information.and_then(|heard| heard.header("x-ms-throttle-information"));
            let held = ended
                .hold
                .is_some_and(|hold| self.throttle.hold(&draw, hold, information));
            let patient = |wait: &Duration| self.patient(wanted.manner, started, *wait);
            let Some(wait) = ended.wait.filter(patient) else {
                return Err(after(wanted, &unsettled, error));
            };
            let why = format!("{} answered {}; trying again", wanted.host(), error.code());
            // A hold is waited out in the queue for the budget, with everybody else.
            if !held {
                self.pause(wait, &why, wanted.observer).await;
            }
        }
    }

    fn patient(&self, manner: Manner, started: u64, wait: Duration) -> bool {
        let spent = Duration::from_micros(self.clock.mono_us().saturating_sub(started));
        manner.give_up_after.is_none_or(|most| spent + wait <= most)
    }

    /// Announces one attempt, makes it, and tells what it came to.
    async fn announced(
        &self,
        wanted: &Wanted<'_>,
        token: &Token,
        number: u32,
        admitted: (&Draw, Places<'_>),
    ) -> Result<(u64, Ended), Error> {
        let call = self.call(wanted);
        let refused = |refused: super::observe::Refused| Error::Refused {
            message: refused.message,
            halted: refused.halted,
        };
        let ticket = wanted.observer.intent(&call).await.map_err(refused)?;
        let began = self.clock.mono_us();
        let ended = self.attempt(wanted, &call, token, number, admitted).await;
        let duration_us = self.clock.mono_us().saturating_sub(began);
        wanted
            .observer
            .result(ticket, &outcome(&ended, duration_us))
            .await;
        Ok((ticket, ended))
    }

    /// Sends one attempt and follows what it began.
    async fn attempt(
        &self,
        wanted: &Wanted<'_>,
        call: &Call,
        token: &Token,
        number: u32,
        (draw, places): (&Draw, Places<'_>),
    ) -> Ended {
        let jitter = self.random.unit();
        let attempt = Attempt {
            plane: wanted.parts.plane,
            method: &wanted.parts.method,
            url: wanted.url,
            headers: &wanted.parts.headers,
            body: wanted.parts.body.clone(),
            client_request_id: call.client_request_id,
            priority: wanted.manner.priority,
            date: self.http_date(),
            stream: wanted.stream,
        };
        let again = |attempt| retry::wait(attempt, number, wanted.idempotent, None, jitter);
        let answered = if wanted.together && number == 1 {
            self.batches.send(&self.http, &attempt, token).await
        } else {
            send(&self.http, &attempt, token).await
        };
        drop(places);
        let (response, live) = match answered {
            Ok(answered) => answered,
            Err(NoAnswer::NotSent(error)) => {
                // A request that cannot even be put together will be no better the next time.
                let reached = matches!(error, Error::Unreachable { .. });
                let wait = again(retry::Attempt::NotSent).filter(|_| reached);
                return Ended {
                    wait,
                    ..Ended::failed(error)
                };
            }
            Err(NoAnswer::Lost(error)) => {
                let hopeless = matches!(error, Error::TooLarge { .. });
                return Ended {
                    wait: again(retry::Attempt::NoAnswer).filter(|_| !hopeless),
                    unsure: wanted.writes(),
                    ..Ended::failed(wanted.unknown(error))
                };
            }
        };
        self.learn(draw, &response);
        // A page that says "not found" says it of itself; taken for the service's word, what is there would count as gone.
        let gone = matches!(response.status, 404 | 410);
        let of_something_else = wanted.parts.plane != Plane::Blob && is_page(&response);
        if response.status >= 300 && !(gone && of_something_else) {
            return self.turned_down(wanted, response, number, jitter).await;
        }
        // Half an answer to a read is no answer; asking again costs nothing.
        if !wanted.writes()
            && (gone || !wanted.stream)
            && wanted.parts.plane != Plane::Blob
            && let Err(error) = readable(&response)
        {
            return Ended {
                wait: again(retry::Attempt::NoAnswer),
                heard: Some(response),
                ..Ended::failed(error)
            };
        }
        // A page in the place of an answer is not from the service: whether the write ever got there, nobody knows.
        if wanted.writes() && of_something_else {
            let message = "a page where JSON belongs; something in between answered".to_owned();
            let host = response.host.clone();
            return Ended {
                wait: again(retry::Attempt::NoAnswer),
                unsure: true,
                heard: Some(response),
                ..Ended::failed(wanted.unknown(Error::Malformed { host, message }))
            };
        }
        let mut operation = None;
        let heard = Some(response.clone());
        let result = self.follow(wanted, response, &mut operation).await;
        let unsure = result.as_ref().is_err_and(Error::is_unknown);
        Ended {
            result: result.map(|response| (response, live)),
            heard,
            operation,
            unsure,
            wait: None,
            hold: None,
        }
    }

    /// Decides what an answer above 299 means for the next attempt.
    async fn turned_down(
        &self,
        wanted: &Wanted<'_>,
        response: Response,
        number: u32,
        jitter: f64,
    ) -> Ended {
        let error = refused(wanted.url, &response);
        tell_foreign(&error, wanted.observer).await;
        let asked = self.asked(&response);
        let mut ended = Ended::failed(error);
        if let Err(Error::Service { status, code, .. }) = &ended.result {
            let answered = retry::Attempt::Answered {
                status: *status,
                code,
            };
            ended.wait = retry::wait(answered, number, wanted.idempotent, asked, jitter);
            // Everybody waits for as long as this one does. Where that is too long to wait, each is refused for itself
            // rather than held for an hour, or a year, that nobody agreed to.
            ended.hold = ended
                .wait
                .filter(|_| *status == 429 && !retry::is_busy(code));
            ended.unsure = wanted.writes() && retry::may_have_happened(*status, asked.is_some());
        }
        ended.heard = Some(response);
        ended
    }

    pub(crate) fn asked(&self, response: &Response) -> Option<Duration> {
        retry::asked(
            |name| response.header(name).map(str::to_owned),
            self.clock.now(),
        )
    }

    fn call(&self, wanted: &Wanted<'_>) -> Call {
        let precondition = wanted.parts.headers.iter().find(|(name, _)| {
            name.eq_ignore_ascii_case("if-match") || name.eq_ignore_ascii_case("if-none-match")
        });
        Call {
            client_request_id: self.random.uuid(),
            effect: wanted.effect,
            plane: wanted.parts.plane,
            method: wanted.parts.method.clone(),
            url: wanted.url.clone(),
            api_version: wanted.parts.api_version.clone(),
            body: wanted.parts.body.clone(),
            precondition: precondition.map(|(name, value)| format!("{name}: {value}")),
        }
    }
}

/// Returns the last error of a request, minding what came of its earlier attempts: where one may have taken effect,
/// a later one that was not sent, or met a changed resource, proves nothing.
fn after(wanted: &Wanted<'_>, unsettled: &[u64], error: Error) -> Error {
    if unsettled.is_empty() {
        error
    } else {
        wanted.unknown(error)
    }
}

/// Checks that an answer says something, where it has a body at all.
pub(crate) fn readable(response: &Response) -> Result<(), Error> {
    if response.body.is_empty() {
        Ok(())
    } else {
        response.json().map(drop)
    }
}

/// Returns whether a body is a page of HTML or XML, which no plane answers with that speaks JSON.
fn is_page(response: &Response) -> bool {
    response.body.trim_ascii_start().starts_with(b"<")
}

fn outcome(ended: &Ended, duration_us: u64) -> Outcome {
    let heard = ended.heard.as_ref();
    let header = |name: &str| heard.and_then(|response| response.header(name).map(str::to_owned));
    let (kind, status, error_code, message) = match &ended.result {
        Ok((response, _)) => (OutcomeKind::Ok, Some(response.status), None, None),
        Err(error) => (
            if ended.unsure {
                OutcomeKind::Unknown
            } else {
                OutcomeKind::Failed
            },
            error.status().or(heard.map(|response| response.status)),
            Some(error.code().to_owned()),
            Some(error.to_string()),
        ),
    };
    let result = ended.result.as_ref().ok().map(|(response, _)| response);
    Outcome {
        kind,
        status,
        error_code,
        message,
        request_id: heard.and_then(Response::request_id),
        correlation_request_id: header("x-ms-correlation-request-id"),
        server_date: header("date"),
        duration_us,
        operation: ended.operation.clone(),
        body: result.map_or_else(Bytes::new, |response| response.body.clone()),
        etag: result.and_then(Response::etag),
    }
}

/// Tells of an address outside of the cloud, if that is what is wrong.
pub(crate) async fn tell_foreign(error: &Error, observer: &dyn Observer) {
    if let Error::ForeignOrigin { origin, from } = error {
        let origin = origin.clone();
        observer.note(ClientNote::Foreign { origin, from }).await;
    }
}

/// Returns the error that an answer above 299 stands for.
pub(crate) fn refused(url: &Url, response: &Response) -> Error {
    let redirects = matches!(response.status, 301 | 302 | 303 | 307 | 308);
    if let Some(location) = response.header("location").filter(|_| redirects) {
        let there = url.join(location);
        let origin = |url: &Url| url.origin().ascii_serialization();
        return match there {
            Ok(there) if origin(&there) == origin(url) => Error::Malformed {
                host: response.host.clone(),
                message: format!(
                    "it points to its own {}, which is not followed",
                    there.path()
                ),
            },
            there => Error::ForeignOrigin {
                origin: there.map_or_else(|_| "another address".to_owned(), |url| origin(&url)),
                from: "a redirect",
            },
        };
    }
    let challenge = || {
        response
            .headers_named("www-authenticate")
            .find_map(claims_of)
    };
    if response.status == 401
        && let Some(claims) = challenge()
    {
        // Encoded anew, it holds nothing that a shell could take for more than a word.
        let claims = base64::engine::general_purpose::STANDARD.encode(claims);
        return Error::NeedsSignIn {
            host: response.host.clone(),
            command: format!("az login --claims-challenge {claims}"),
        };
    }
    error::service(
        response.status,
        &response.body,
        response.header("x-ms-error-code"),
        response.request_id(),
    )
}

/// Returns the scope that a vault asks for in its answer.
fn asked_for(
    plane: Plane,
    wanted: &Wanted<'_>,
    heard: Option<&Response>,
) -> Result<Option<String>, Error> {
    match heard {
        Some(response) if plane == Plane::Vault => {
            challenge::scope(response.headers_named("www-authenticate"), wanted.url)
        }
        _ => Ok(None),
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
