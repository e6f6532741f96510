//! A service of few words for the tests of the client: it answers what a script says, and keeps what it was sent.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azir::azure::{
    Call, Client, ClientNote, ClientOptions, Cloud, Error, Http, Observer, Outcome, OutcomeKind,
    Plane, ReadRequest, Refused, RequestParts, Token, TokenSource, WriteRequest,
};
use azir::clock::{Clock, ManualClock};
use azir::random::SeededRandom;
use azir::secret::Secret;
use chrono::DateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the service does with the next request.
pub(crate) enum Reply {
    /// Answers.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Takes the request and closes the connection.
    Reset,
    /// Takes the request, closes the connection, and is never there again.
    ResetAndLeave,
    /// Promises more than it sends.
    Truncate,
    /// Sends these bytes, which need not be HTTP, and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes and then nothing, the connection open.
    Stall(Vec<u8>),
    /// Begins an answer and sends a byte of it now and then, without end.
    Creep,
}

/// Returns a JSON answer; `{base}` in headers and body becomes the service's own address.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Reply::Answer(
        status,
        headers.iter().map(own).collect(),
        body.as_bytes().to_vec(),
    )
}

/// Returns an error answer as ARM writes it.
pub(crate) fn error(status: u16, code: &str, headers: &[(&str, &str)]) -> Reply {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
    answer(status, headers, &body)
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The service.
pub(crate) struct Server {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<VecDeque<Reply>>>,
}

impl Server {
    /// Gives `replies` from now on, where what it says names its own address.
    pub(crate) fn answer_with(&self, replies: Vec<Reply>) {
        *self.left.lock().unwrap() = replies.into();
    }

    /// Starts a service that gives `replies` in their order and 599 after the last.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            base: base.clone(),
            seen: Arc::default(),
            left: Arc::new(Mutex::new(replies.into())),
        };
        let (seen, left) = (Arc::clone(&server.seen), Arc::clone(&server.left));
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = take(&mut stream).await else {
                    continue;
                };
                seen.lock().unwrap().push(request);
                let reply = left.lock().unwrap().pop_front();
                match reply {
                    Some(Reply::ResetAndLeave) => {
                        drop(listener);
                        drop(stream);
                        return;
                    }
                    Some(Reply::Stall(bytes)) => {
                        let _ = stream.write_all(&bytes).await;
                        kept.push(stream);
                    }
                    Some(Reply::Creep) => {
                        tokio::spawn(creep(stream));
                    }
                    Some(reply) => give(&mut stream, &reply, &base).await,
                    None => give(&mut stream, &answer(599, &[], "{}"), &base).await,
                }
            }
        });
        server
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the request lines, less their version and query.
    pub(crate) fn lines(&self) -> Vec<String> {
        let short = |seen: Seen| seen.line.split('?').next().unwrap().to_owned();
        self.seen().into_iter().map(short).collect()
    }

    /// Returns the script's replies that nobody asked for.
    pub(crate) fn left(&self) -> usize {
        self.left.lock().unwrap().len()
    }
}

async fn take(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        let read = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut seen = Seen {
        line: head
            .lines()
            .next()?
            .trim_end_matches(" HTTP/1.1")
            .to_owned(),
        head,
        body: String::new(),
    };
    let length: usize = seen
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + length {
        let read = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
    seen.body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Some(seen)
}

async fn creep(mut stream: TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
    let mut piece = head.to_vec();
    while stream.write_all(&piece).await.is_ok() {
        piece = b" ".to_vec();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn give(stream: &mut TcpStream, reply: &Reply, base: &str) {
    let text = match reply {
        Reply::Reset | Reply::ResetAndLeave | Reply::Stall(_) | Reply::Creep => return,
        Reply::Raw(bytes) => bytes.clone(),
        Reply::Truncate => {
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"a\":".to_vec()
        }
        Reply::Answer(status, headers, body) => {
            let body = String::from_utf8(body.clone())
                .map_or_else(|_| body.clone(), |text| text.replace("{base}", base).into());
            let mut text = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n",
                body.len()
            );
            for (name, value) in headers {
                let value = value.replace("{base}", base);
                text.push_str(&[name.as_str(), ": ", &value, "\r\n"].concat());
            }
            text.push_str("\r\n");
            [text.into_bytes(), body].concat()
        }
    };
    // A client that has gone away has said all that the test wants of it.
    let _ = stream.write_all(&text).await;
    let _ = stream.shutdown().await;
}

/// Tokens `t1`, `t2`, ...: a new one for each time one is asked for.
#[derive(Default)]
pub(crate) struct Tokens {
    given: Mutex<Vec<String>>,
}

impl Tokens {
    pub(crate) fn given(&self) -> usize {
        self.given.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn fetch(&self, scope: &str) -> Result<Token, Error> {
        tokio::task::yield_now().await;
        let mut given = self.given.lock().unwrap();
        given.push(scope.to_owned());
        Ok(Token {
            value: Secret::new(format!("t{}", given.len())),
            expires: DateTime::from_timestamp(4_000_000_000, 0).unwrap(),
        })
    }

    fn name(&self) -> &'static str {
        "test"
    }
}

/// An observer that keeps all it is told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) outcomes: Mutex<Vec<(u64, Outcome)>>,
    pub(crate) settled: Mutex<Vec<u64>>,
    pub(crate) notes: Mutex<Vec<ClientNote>>,
    /// Refuses the attempt of this number, counted from 1.
    pub(crate) refuse: Option<usize>,
}

impl Told {
    pub(crate) fn kinds(&self) -> Vec<OutcomeKind> {
        let outcomes = self.outcomes.lock().unwrap();
        outcomes.iter().map(|(_, outcome)| outcome.kind).collect()
    }

    pub(crate) fn last(&self) -> Outcome {
        self.outcomes.lock().unwrap().last().unwrap().1.clone()
    }

    pub(crate) fn foreign(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap();
        let origin = |note: &ClientNote| match note {
            ClientNote::Foreign { origin, .. } => Some(origin.clone()),
            _ => None,
        };
        notes.iter().filter_map(origin).collect()
    }
}

#[async_trait::async_trait]
impl Observer for Told {
    async fn intent(&self, call: &Call) -> Result<u64, Refused> {
        let mut calls = self.calls.lock().unwrap();
        if self.refuse == Some(calls.len() + 1) {
            return Err(Refused::halted());
        }
        calls.push(call.clone());
        Ok(calls.len() as u64)
    }

    async fn result(&self, ticket: u64, outcome: &Outcome) {
        self.outcomes
            .lock()
            .unwrap()
            .push((ticket, outcome.clone()));
    }

    async fn settled(&self, ticket: u64, _: &str) {
        self.settled.lock().unwrap().push(ticket);
    }

    async fn note(&self, note: ClientNote) {
        self.notes.lock().unwrap().push(note);
    }
}

/// A client of one service, with all that a test wants to look at.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) clock: ManualClock,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) told: Told,
}

impl Bench {
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(&server.base, Http::new(None).unwrap())
    }

    /// A client of whatever is at an address.
    pub(crate) fn at(base: &str, http: Http) -> Self {
        let clock = ManualClock::at(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
        let tokens = Arc::new(Tokens::default());
        let client = Client::new(ClientOptions {
            cloud: cloud(base),
            http,
            credential: tokens.clone(),
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom::new(1)),
            fence: None,
        });
        Self {
            client,
            clock,
            tokens,
            told: Told::default(),
        }
    }

    pub(crate) fn waited(&self) -> Duration {
        Duration::from_micros(self.clock.mono_us())
    }

    /// Reads from ARM.
    pub(crate) async fn get(&self, path: &str) -> Result<azir::azure::Response, Error> {
        let request = ReadRequest::new(arm("GET", path)).unwrap();
        self.client.read(&request, &self.told).await
    }

    /// Writes to ARM.
    pub(crate) async fn write(
        &self,
        method: &str,
        path: &str,
        idempotent: bool,
    ) -> Result<azir::azure::Response, Error> {
        let effect = azir::azure::Effect::Update;
        let request = WriteRequest::new(arm(method, path), effect, idempotent).unwrap();
        self.client.write(&request, &self.told).await
    }
}

/// Returns a cloud all of whose planes are at `base`.
pub(crate) fn cloud(base: &str) -> Cloud {
    let mut cloud = Cloud::builtin("AzureCloud").unwrap();
    cloud.arm = base.parse().unwrap();
    cloud.graph = base.parse().unwrap();
    cloud.logs = Some(base.parse().unwrap());
    cloud
}

/// Returns a request to ARM.
pub(crate) fn arm(method: &str, path: &str) -> RequestParts {
    RequestParts {
        plane: Plane::Arm,
        method: method.to_owned(),
        path_or_url: path.to_owned(),
        query: Vec::new(),
        api_version: Some("2024-11-01".to_owned()),
        headers: Vec::new(),
        body: (method != "GET").then(|| bytes::Bytes::from_static(b"{}")),
    }
}
