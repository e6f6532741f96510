//! Reads of the directory that would wait for each other, sent together (graph-and-data-planes.md section 4).
//!
//! So many may be under way alone, without waiting for anybody. What comes while all of them are waits, and the next
//! that ends lets it go: up to twenty in one request, each with its own answer. So one target is read as fast as it
//! can be, and ten thousand in a twentieth of the requests. Only what reads for containment goes this way; pages of
//! evidence are large, and what writes is sent alone, in its order. Whatever has to be sent again is sent alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use url::Url;

use super::credentials::Token;
use super::error::Error;
use super::http::Http;
use super::request::Response;
use super::send::{Answered, Attempt, NoAnswer, send};
use crate::random::Random;

/// Reads that are under way before others wait to go together.
const ROOM: usize = 24;
/// The most requests in a batch.
const MOST: usize = 20;

/// The reads of one client.
pub(crate) struct Batches {
    random: Arc<dyn Random>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Whether the service has said that it takes no batches.
    off: AtomicBool,
}

#[derive(Default)]
struct State {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    item: Item,
    tell: oneshot::Sender<Told>,
}

/// One request of a batch.
struct Item {
    /// `v1.0` or `beta`: a batch has one.
    version: String,
    /// Path and query below the version, as they would be sent alone.
    url: String,
    headers: Map<String, Value>,
}

enum Told {
    /// There is room: send this one, and who goes with it.
    Lead(Slot, Vec<Waiting>),
    /// Somebody has sent it.
    Answered(Result<Response, String>),
}

/// Room for one request; given to who waits when it is dropped.
struct Slot {
    queue: Arc<Queue>,
    armed: bool,
}

impl Batches {
    pub(crate) fn new(random: Arc<dyn Random>) -> Self {
        Self {
            random,
            queue: Arc::default(),
        }
    }

    /// Sends a read, alone or with others.
    ///
    /// # Errors
    /// As [`send`].
    pub(crate) async fn send(
        &self,
        http: &Http,
        attempt: &Attempt<'_>,
        token: &Token,
    ) -> Result<Answered, NoAnswer> {
        let Some(item) = item(attempt).filter(|_| !self.queue.off.load(Ordering::Relaxed)) else {
            return send(http, attempt, token).await;
        };
        let told = match self.queue.enter(item) {
            Ok(slot) => return with(slot, send(http, attempt, token)).await,
            Err(told) => told,
        };
        match told.await {
            Ok(Told::Lead(slot, others))
                if others.is_empty() || self.queue.off.load(Ordering::Relaxed) =>
            {
                // The others find nobody who sent theirs.
                drop(others);
                with(slot, send(http, attempt, token)).await
            }
            Ok(Told::Lead(slot, others)) => {
                with(slot, self.lead(http, attempt, token, others)).await
            }
            Ok(Told::Answered(Ok(response))) => Ok((response, None)),
            Ok(Told::Answered(Err(message))) => Err(lost(attempt.url, message)),
            // Who was to send it was stopped on the way; a read may be sent again.
            Err(_) => send(http, attempt, token).await,
        }
    }

    /// Sends a batch of one's own request and others; tells each of the others its answer.
    async fn lead(
        &self,
        http: &Http,
        attempt: &Attempt<'_>,
        token: &Token,
        others: Vec<Waiting>,
    ) -> Result<Answered, NoAnswer> {
        let Some(own) = item(attempt) else {
            return send(http, attempt, token).await;
        };
        let requests: Vec<Value> = std::iter::once(&own)
            .chain(others.iter().map(|waiting| &waiting.item))
            .enumerate()
            .map(|(number, item)| {
                json!({"id": (number + 1).to_string(), "method": "GET", "url": item.url, "headers": item.headers})
            })
            .collect();
        let mut url = attempt.url.clone();
        url.set_path(&format!("/{}/$batch", own.version));
        url.set_query(None);
        let batch = Attempt {
            method: "POST",
            url: &url,
            headers: &[],
            body: Some(Bytes::from(json!({"requests": requests}).to_string())),
            client_request_id: self.random.uuid(),
            date: attempt.date.clone(),
            ..*attempt
        };
        let outer = match send(http, &batch, token).await {
            Ok((outer, _)) => outer,
            Err(NoAnswer::NotSent(error) | NoAnswer::Lost(error)) => {
                // What went wrong with the batch, as its size, says nothing of one request: each goes again alone.
                let message = error.to_string();
                tell(others, |_| Err(message.clone()));
                return Err(lost(&url, message));
            }
        };
        match outer.status {
            200 => {
                let mut answers = answers(&outer);
                tell(others, |number| answers.take(number + 2));
                answers
                    .take(1)
                    .map(|response| (response, None))
                    .map_err(|message| lost(&url, message))
            }
            // What the service says of the batch, it says of each in it.
            401 | 408 | 429 | 500 | 502..=599 => {
                tell(others, |_| Ok(outer.clone()));
                Ok((outer, None))
            }
            // It takes no batches: nobody's fault but ours. The others find nobody who sent theirs.
            _ => {
                self.queue.off.store(true, Ordering::Relaxed);
                drop(others);
                send(http, attempt, token).await
            }
        }
    }
}

impl Queue {
    /// Takes room for a request, or waits for some.
    fn enter(self: &Arc<Self>, item: Item) -> Result<Slot, oneshot::Receiver<Told>> {
        let mut state = self.lock();
        if state.under_way < ROOM {
            state.under_way += 1;
            return Ok(Slot {
                queue: Arc::clone(self),
                armed: true,
            });
        }
        let (tell, told) = oneshot::channel();
        state.waiting.push_back(Waiting { item, tell });
        Err(told)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes who goes with the first that waits.
    fn others(&mut self, version: &str) -> Vec<Waiting> {
        let mut together = Vec::new();
        let mut left = VecDeque::new();
        while let Some(waiting) = self.waiting.pop_front() {
            if together.len() + 1 == MOST {
                left.push_back(waiting);
                break;
            }
            if waiting.item.version != version {
                left.push_back(waiting);
            } else if !waiting.tell.is_closed() {
                together.push(waiting);
            }
        }
        left.append(&mut self.waiting);
        self.waiting = left;
        together
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let mut state = self.queue.lock();
        while let Some(next) = state.waiting.pop_front() {
            if next.tell.is_closed() {
                continue;
            }
            let others = state.others(&next.item.version);
            let slot = Self {
                queue: Arc::clone(&self.queue),
                armed: true,
            };
            match next.tell.send(Told::Lead(slot, others)) {
                Ok(()) => return,
                // Nobody waits there any more; the room is for the next.
                Err(Told::Lead(mut slot, others)) => {
                    slot.armed = false;
                    for waiting in others.into_iter().rev() {
                        state.waiting.push_front(waiting);
                    }
                }
                Err(Told::Answered(_)) => {}
            }
        }
        state.under_way -= 1;
    }
}

/// Keeps the room until an answer is there.
async fn with<T>(slot: Slot, work: impl Future<Output = T>) -> T {
    let done = work.await;
    drop(slot);
    done
}

fn tell(others: Vec<Waiting>, mut answer: impl FnMut(usize) -> Result<Response, String>) {
    for (number, waiting) in others.into_iter().enumerate() {
        // Who waits no more needs no answer.
        let _ = waiting.tell.send(Told::Answered(answer(number)));
    }
}

/// Returns a request as a batch has it; nothing for what is no plain read below a version.
fn item(attempt: &Attempt<'_>) -> Option<Item> {
    let path = attempt.url.path().trim_start_matches('/');
    let (version, below) = path.split_once('/')?;
    if attempt.method != "GET" || attempt.stream || below.is_empty() {
        return None;
    }
    let mut headers: Map<String, Value> = attempt
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let id = attempt.client_request_id.to_string();
    headers.insert("client-request-id".to_owned(), json!(id));
    let query = attempt.url.query();
    Some(Item {
        version: version.to_owned(),
        url: match query {
            Some(query) => format!("/{below}?{query}"),
            None => format!("/{below}"),
        },
        headers,
    })
}

/// The answers of a batch, by the number of their request.
struct Answers {
    host: String,
    /// What the batch's own answer says of itself, for what the single ones leave out.
    outer: Vec<(String, String)>,
    by_id: Map<String, Value>,
}

fn answers(outer: &Response) -> Answers {
    let body = outer.json().unwrap_or_default();
    let mut by_id = Map::new();
    for one in body["responses"].as_array().into_iter().flatten() {
        if let Some(id) = one["id"].as_str() {
            by_id.insert(id.to_owned(), one.clone());
        }
    }
    let wanted = ["date", "request-id"];
    let headers = outer.headers.iter();
    Answers {
        host: outer.host.clone(),
        outer: headers
            .filter(|(name, _)| wanted.iter().any(|known| name.eq_ignore_ascii_case(known)))
            .cloned()
            .collect(),
        by_id,
    }
}

impl Answers {
    fn take(&mut self, number: usize) -> Result<Response, String> {
        let missing = || "a batch was answered without a word about one of its requests".to_owned();
        let one = self.by_id.remove(&number.to_string()).ok_or_else(missing)?;
        let status = one["status"]
            .as_u64()
            .and_then(|status| status.try_into().ok());
        let mut headers: Vec<(String, String)> = one["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), text)
            })
            .collect();
        for (name, value) in &self.outer {
            if !headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                headers.push((name.clone(), value.clone()));
            }
        }
        Ok(Response {
            status: status.ok_or_else(missing)?,
            headers,
            body: match &one["body"] {
                Value::Null => Bytes::new(),
                body => Bytes::from(body.to_string()),
            },
            host: self.host.clone(),
            read_back: false,
        })
    }
}

fn lost(url: &Url, message: String) -> NoAnswer {
    NoAnswer::Lost(Error::Unreachable {
        host: url.host_str().unwrap_or_default().to_owned(),
        message,
    })
}
