//! Long-running operations followed to their end, by the rules in `lro`: one poller each, many at once.
//!
//! Polls are counted, not announced one by one: they have no effect. Once a write was accepted, trouble in following
//! it is never called a failure of the write.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::client::Inner;
use super::credentials::Token;
use super::error::Error;
use super::exchange::{Wanted, readable, refused, tell_foreign};
use super::limits::Draw;
use super::lro::{self, Progress, Watch};
use super::observe::{ClientNote, Operation};
use super::request::Response;
use super::retry;
use super::send::{Attempt, NoAnswer, send};

/// An operation that has not ended after this long is of unknown outcome.
const OPERATION_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A resource just made may be missing from reads for so many polls before that means anything.
const MISSING_POLLS: u32 = 5;

/// How the polling of an operation ended.
struct Over {
    /// How it was watched last.
    watch: Watch,
    /// The last poll's answer.
    last: Response,
}

impl Inner {
    /// Follows an operation to its end; anything else is already over.
    pub(crate) async fn follow(
        &self,
        wanted: &Wanted<'_>,
        response: Response,
        operation: &mut Option<Operation>,
    ) -> Result<Response, Error> {
        let method = wanted.parts.method.as_str();
        let Some(watch) = lro::watch(wanted.parts.plane, method, wanted.url, &response) else {
            return Ok(response);
        };
        let begun = operation.insert(Operation {
            state: "InProgress".to_owned(),
            ..Operation::default()
        });
        let over = self.poll(wanted, watch, &response, begun).await?;
        Ok(self.result(wanted, over, response).await)
    }

    async fn poll(
        &self,
        wanted: &Wanted<'_>,
        mut watch: Watch,
        first: &Response,
        operation: &mut Operation,
    ) -> Result<Over, Error> {
        let started = self.clock.mono_us();
        let limit = wanted.manner.give_up_after.unwrap_or(OPERATION_LIMIT);
        let until_us = end_us(started, limit);
        let mut address = self.address(wanted, &watch, operation).await?;
        let mut pace = self.asked(first);
        let mut missing = 0;
        loop {
            let pause = pace.unwrap_or_else(|| retry::poll_pause(operation.polls));
            let spent = Duration::from_micros(self.clock.mono_us().saturating_sub(started));
            // What a service asks for may be longer than any time there is.
            if spent.saturating_add(pause) > limit {
                return Err(not_followed(
                    wanted,
                    format!(
                        "its operation has not ended after {} s (last state {})",
                        spent.as_secs(),
                        operation.state
                    ),
                ));
            }
            self.clock.sleep(pause).await;
            operation.polls += 1;
            let response = self.get(wanted, &address, until_us).await?;
            pace = self.asked(&response);
            match lro::progress(&watch, &response) {
                Progress::Succeeded => {
                    "Succeeded".clone_into(&mut operation.state);
                    let last = response;
                    return Ok(Over { watch, last });
                }
                Progress::Failed(error) => {
                    "Failed".clone_into(&mut operation.state);
                    return Err(error);
                }
                Progress::Running(state) => operation.state = state,
                Progress::Gone if watch == Watch::Resource && missing < MISSING_POLLS => {
                    missing += 1;
                }
                Progress::Gone => {
                    "Gone".clone_into(&mut operation.state);
                    let why = format!("its operation's record answered {}", response.status);
                    watch = instead(wanted, &watch, why)?;
                    address = wanted.url.clone();
                }
            }
            let newer = response
                .header("location")
                .and_then(|text| address.join(text).ok());
            if let (Watch::Location { url }, Some(newer)) = (&mut watch, newer) {
                *url = newer;
                address = self.address(wanted, &watch, operation).await?;
            }
        }
    }

    /// Returns the address that `watch` polls. One that is not of the cloud ends the following: of a write that was
    /// accepted the outcome is then unknown, and whoever named that address is not asked for more.
    async fn address(
        &self,
        wanted: &Wanted<'_>,
        watch: &Watch,
        operation: &mut Operation,
    ) -> Result<Url, Error> {
        let (url, from) = match watch {
            Watch::Status { url, .. } => (url.clone(), "an operation's address"),
            Watch::Location { url } => (url.clone(), "a Location header"),
            Watch::Resource | Watch::Absence => (wanted.url.clone(), "a request"),
        };
        self.allowed(wanted.parts.plane, &url, from, wanted.observer)
            .await
            .map_err(|error| wanted.unknown(error))?;
        url.host_str()
            .unwrap_or_default()
            .clone_into(&mut operation.host);
        url.path().clone_into(&mut operation.path);
        Ok(url)
    }

    /// Returns the result of an ended operation from where it lies (arm.md section 1.6, "Result").
    async fn result(&self, wanted: &Wanted<'_>, over: Over, first: Response) -> Response {
        let lies_at = match (wanted.parts.method.as_str(), &over.watch) {
            // The last poll has read it.
            (_, Watch::Resource) => return read_back(over.last),
            ("DELETE", _) | (_, Watch::Absence) => return first,
            ("PUT" | "PATCH", _) => wanted.url,
            (
                _,
                Watch::Status {
                    location: Some(location),
                    ..
                },
            ) => location,
            _ => return with_output(over.last),
        };
        let why = match self.allowed_get(wanted, lies_at).await {
            Ok(response) if response.status < 300 => {
                return match wanted.parts.method.as_str() {
                    "PUT" | "PATCH" => read_back(response),
                    _ => response,
                };
            }
            Ok(response) => refused(lies_at, &response).to_string(),
            Err(error) => error.to_string(),
        };
        let host = lies_at.host_str().unwrap_or_default().to_owned();
        wanted.observer.note(ClientNote::Unread { host, why }).await;
        match wanted.parts.method.as_str() {
            "PUT" | "PATCH" => first,
            _ => with_output(over.last),
        }
    }

    async fn allowed_get(&self, wanted: &Wanted<'_>, url: &Url) -> Result<Response, Error> {
        let plane = wanted.parts.plane;
        self.allowed(plane, url, "a Location header", wanted.observer)
            .await?;
        let until_us = end_us(self.clock.mono_us(), OPERATION_LIMIT);
        self.get(wanted, url, until_us).await
    }

    /// Gets an address of an operation; trouble on the way is spent out, for polling has no effect, but no attempt
    /// begins after `until_us`.
    async fn get(&self, wanted: &Wanted<'_>, url: &Url, until_us: u64) -> Result<Response, Error> {
        let plane = wanted.parts.plane;
        let draw = Draw::of(plane, "GET", url, None);
        let scope = self.scope(plane);
        let mut renewed = false;
        let mut number = 0;
        loop {
            number += 1;
            let places = self
                .admit(&draw, wanted.manner.priority, wanted.observer)
                .await;
            let token = self
                .tokens
                .token(&scope)
                .await
                .map_err(|error| wanted.unknown(error))?;
            let answered = self.poll_once(wanted, url, &token).await;
            drop(places);
            if let Ok(response) = &answered {
                self.learn(&draw, response);
            }
            let mut held = false;
            let (error, wait) = match answered {
                Ok(response) if response.status == 401 && !renewed => {
                    renewed = true;
                    self.tokens.forget(&scope, &token).await;
                    continue;
                }
                Ok(response) if !matches!(response.status, 408 | 429 | 500 | 502 | 503 | 504) => {
                    // Half an answer, or a page of something in between, says nothing of the operation.
                    match readable(&response) {
                        _ if (300..400).contains(&response.status) => {
                            let error = refused(url, &response);
                            tell_foreign(&error, wanted.observer).await;
                            return Err(not_followed(
                                wanted,
                                format!("its operation could not be followed: {error}"),
                            ));
                        }
                        Err(error) if response.status < 300 => {
                            let jitter = self.random.unit();
                            let lost = retry::Attempt::NoAnswer;
                            (error, retry::wait(lost, number, true, None, jitter))
                        }
                        _ => return Ok(response),
                    }
                }
                Ok(response) => {
                    let asked = self.asked(&response);
                    let status = response.status;
                    let answered = retry::Attempt::Answered { status, code: "" };
                    let jitter = self.random.unit();
                    let wait = retry::wait(answered, number, true, asked, jitter);
                    if let (429, Some(hold)) = (status, wait) {
                        held = self.throttle.hold(&draw, hold, None);
                    }
                    (refused(url, &response), wait)
                }
                Err(error) => {
                    let jitter = self.random.unit();
                    let wait = retry::wait(retry::Attempt::NoAnswer, number, true, None, jitter);
                    (error, wait)
                }
            };
            let in_time = |wait: &Duration| end_us(self.clock.mono_us(), *wait) <= until_us;
            let Some(wait) = wait.filter(in_time) else {
                return Err(not_followed(
                    wanted,
                    format!("its operation could not be followed: {error}"),
                ));
            };
            // A hold is waited out in the queue for the budget.
            if !held {
                let why = format!("polling: {}", error.code());
                self.pause(wait, &why, wanted.observer).await;
            }
        }
    }

    /// Sends one poll.
    async fn poll_once(
        &self,
        wanted: &Wanted<'_>,
        url: &Url,
        token: &Token,
    ) -> Result<Response, Error> {
        let plane = wanted.parts.plane;
        let attempt = Attempt {
            plane,
            method: "GET",
            url,
            headers: &[],
            body: None,
            client_request_id: self.random.uuid(),
            priority: wanted.manner.priority,
            date: self.http_date(),
            stream: false,
        };
        match send(&self.http, &attempt, token).await {
            Ok((response, _)) => Ok(response),
            Err(NoAnswer::NotSent(error) | NoAnswer::Lost(error)) => Err(error),
        }
    }
}

fn end_us(from_us: u64, span: Duration) -> u64 {
    from_us.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// Returns how to go on without the operation's own record.
fn instead(wanted: &Wanted<'_>, watch: &Watch, why: String) -> Result<Watch, Error> {
    let own = matches!(watch, Watch::Status { .. } | Watch::Location { .. });
    Watch::without_record(&wanted.parts.method)
        .filter(|_| own)
        .ok_or_else(|| not_followed(wanted, why))
}

/// The write itself was accepted; that its end cannot be seen does not say that it failed.
fn not_followed(wanted: &Wanted<'_>, message: String) -> Error {
    let host = wanted.url.host_str().unwrap_or_default().to_owned();
    if wanted.writes() {
        Error::Unknown { host, message }
    } else {
        Error::Malformed { host, message }
    }
}

/// Marks the resource as read after its operation had ended. Whoever checks an edit relies on it, so nothing else is.
fn read_back(mut resource: Response) -> Response {
    resource.read_back = true;
    resource
}

/// Puts the result that a status body carries in the place of the body.
fn with_output(mut last: Response) -> Response {
    if let Some(output) = lro::output(&last.body) {
        last.body = Bytes::from(output);
    }
    last
}
