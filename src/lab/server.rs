//! The lab as a server: a thread with its own runtime, TLS on loopback, one listener for every plane.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::arm::{self, Arm, Fate};
use super::entra::{self, Claims, Entra};
use super::faults::{Fault, Faults, Rule};
use super::reply::{Ask, Reply, arm_error, blob_error, graph_error};
use super::scenario::Scenario;
use super::store::Store;
use super::throttle::{Throttle, Verdict};
use super::{blob, graph, latency};
use crate::clock::Clock;
use crate::random::Random;

/// How a lab behaves.
#[derive(Clone)]
pub struct Options {
    /// The tenant.
    pub scenario: Scenario,
    /// The port; 0: any.
    pub port: u16,
    /// Where changes are kept.
    pub state: Option<PathBuf>,
    /// Scales how long answers take; 0: at once.
    pub latency: f64,
    /// Scales how long operations take; 0: done at the first poll.
    pub lro: f64,
    /// Scales the token buckets; absent: no throttling.
    pub throttle: Option<f64>,
    /// What a 429 asks for: absent the service's own figure, `Some(None)` nothing, else these seconds.
    pub retry_after: Option<Option<u64>>,
    /// Items on a page.
    pub page: Option<usize>,
    /// Faults by script.
    pub faults: Faults,
    /// Where the certificate goes.
    pub folder: PathBuf,
    /// The clock of logs and tokens.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub random: Arc<dyn Random>,
}

/// What a client needs to know.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// The Resource Manager's URL.
    pub arm: String,
    /// The file that holds the certificate authority, PEM.
    pub ca: PathBuf,
    /// The tenant's id.
    pub tenant_id: String,
    /// The responder's application.
    pub client_id: String,
    /// Its secret, which opens nothing but this lab.
    pub client_secret: String,
    /// The usual subscription.
    pub subscription_id: String,
    /// The process.
    pub pid: u32,
}

/// One request that was answered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Logged {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// The `api-version`.
    pub api_version: Option<String>,
    /// The status.
    pub status: u16,
    /// The `x-ms-client-request-id`.
    pub client_request_id: Option<String>,
    /// Whether it could have changed anything.
    pub write: bool,
}

/// Why a lab cannot run.
#[derive(Debug, thiserror::Error)]
#[error("start the lab: {0}")]
pub struct LabError(pub String);

/// A tenant that runs.
pub struct Lab {
    ready: Ready,
    tenant: Arc<Tenant>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What every request sees.
pub(super) struct Tenant {
    pub(super) scenario: Scenario,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    port: u16,
    entra: Entra,
    store: Mutex<Store>,
    throttle: Mutex<Throttle>,
    faults: Mutex<Faults>,
    log: Mutex<Vec<Logged>>,
}

impl Lab {
    /// Starts a lab; it answers when this returns.
    ///
    /// # Errors
    /// A port that is taken, a state file that cannot be read, a folder that cannot be written.
    pub fn start(options: Options) -> Result<Self, LabError> {
        let failed = |error: &dyn std::fmt::Display| LabError(error.to_string());
        let listener =
            std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)))
                .map_err(|error| failed(&error))?;
        listener
            .set_nonblocking(true)
            .map_err(|error| failed(&error))?;
        let port = listener
            .local_addr()
            .map_err(|error| failed(&error))?
            .port();
        let (tls, ca_pem) = certificate().map_err(|message| failed(&message))?;
        std::fs::create_dir_all(&options.folder).map_err(|error| failed(&error))?;
        let ca = options.folder.join(format!("lab-{port}-ca.pem"));
        std::fs::write(&ca, ca_pem).map_err(|error| failed(&error))?;
        let tenant = Arc::new(Tenant::new(options, port).map_err(|message| failed(&message))?);
        let ready = tenant.ready(ca);
        let (stop, stopped) = watch::channel(false);
        let serving = Arc::clone(&tenant);
        let thread = std::thread::Builder::new()
            .name("azir-lab".to_owned())
            .spawn(move || serve(listener, tls, serving, stopped))
            .map_err(|error| failed(&error))?;
        Ok(Self {
            ready,
            tenant,
            stop,
            thread: Some(thread),
        })
    }

    /// Returns what a client needs to know.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Returns every request that was answered, in order.
    pub fn requests(&self) -> Vec<Logged> {
        lock(&self.tenant.log).clone()
    }

    /// Returns the tenant's state, for tests to compare.
    pub fn state(&self) -> Value {
        let mut store = lock(&self.tenant.store);
        store.settle(u64::MAX - 1);
        store.snapshot()
    }

    /// Changes a resource behind everybody's back, as an attacker would.
    pub fn tamper(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut store = lock(&self.tenant.store);
        if let Some(mut value) = store.get(id).cloned() {
            change(&mut value);
            store.put(id, value);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A server that has ended already hears nothing.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.ready.ca);
    }
}

/// Makes a certificate authority and a certificate for every name of the lab.
fn certificate() -> Result<(rustls::ServerConfig, String), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let mut ca = CertificateParams::new(Vec::new()).map_err(|error| failed(&error))?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "azir lab");
    let issuer =
        CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(|error| failed(&error))?)
            .map_err(|error| failed(&error))?;
    let names = [
        "localhost",
        "graph.localhost",
        "*.blob.localhost",
        "*.vault.localhost",
        "127.0.0.1",
    ]
    .map(str::to_owned);
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let leaf = CertificateParams::new(names)
        .map_err(|error| failed(&error))?
        .signed_by(&key, &issuer)
        .map_err(|error| failed(&error))?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|error| failed(&error))?
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], private)
    .map_err(|error| failed(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, issuer.pem()))
}

fn serve(
    listener: std::net::TcpListener,
    tls: rustls::ServerConfig,
    tenant: Arc<Tenant>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
            return;
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let router = axum::Router::new().fallback(handle).with_state(tenant);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            let Ok((stream, _)) = accepted else {
                continue;
            };
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                // Who breaks off a handshake or a connection has heard what it wanted to.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let service = TowerToHyperService::new(router);
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            });
        }
    });
}

async fn handle(State(tenant): State<Arc<Tenant>>, request: Request<Body>) -> Response<Body> {
    let Some(ask) = read(&tenant, request).await else {
        return broken();
    };
    tenant
        .wait(latency::of_request(&ask.method, &ask.path).mul_f64(tenant.options.latency.max(0.0)))
        .await;
    let rule = lock(&tenant.faults).next(&ask.method, &ask.path);
    if rule
        .as_ref()
        .is_some_and(|rule| rule.fault == Fault::ResetBefore)
    {
        return broken();
    }
    if let Some(rule) = rule.as_ref().filter(|rule| rule.fault == Fault::Delay) {
        tenant
            .wait(Duration::from_millis(rule.millis.unwrap_or(1_000)))
            .await;
    }
    let mut reply = match rule.as_ref().and_then(|rule| instead(rule, &ask)) {
        Some(reply) => reply,
        None => tenant.answer(&ask, rule.as_ref()),
    };
    tenant.note(&ask, &reply);
    if let Some(rule) = &rule {
        if rule.fault == Fault::ResetAfter {
            return broken();
        }
        twist(rule, &mut reply);
    }
    response(&tenant, &ask, reply, rule.as_ref())
}

/// Answers so that the connection breaks: the body fails before its first byte.
fn broken() -> Response<Body> {
    let failing = futures_util::stream::once(async {
        Err::<bytes::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(failing))
}

async fn read(tenant: &Tenant, request: Request<Body>) -> Option<Ask> {
    let (parts, body) = request.into_parts();
    let host = parts.uri.host().map(str::to_owned).or_else(|| {
        let header = parts.headers.get("host")?.to_str().ok()?;
        Some(
            header
                .rsplit_once(':')
                .map_or(header, |(host, _)| host)
                .to_owned(),
        )
    })?;
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let path = decode(parts.uri.path());
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let body = axum::body::to_bytes(body, 256 * 1024 * 1024).await.ok()?;
    Some(Ask {
        method: parts.method.as_str().to_owned(),
        origin: format!("https://{host}:{}", tenant.port),
        host,
        path: if path.len() > 1 {
            path.trim_end_matches('/').to_owned()
        } else {
            path
        },
        query,
        headers,
        body: body.to_vec(),
    })
}

/// Returns the reply that a fault puts in the place of the real one.
fn instead(rule: &Rule, ask: &Ask) -> Option<Reply> {
    match rule.fault {
        Fault::Status => {
            let status = rule.status.unwrap_or(503);
            let code = rule.code.clone().unwrap_or_else(|| {
                if status == 429 {
                    "TooManyRequests"
                } else {
                    "ServiceUnavailable"
                }
                .to_owned()
            });
            let reply = arm_error(status, &code, "The service is told to fail.");
            Some(match rule.retry_after {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        Fault::Html => Some(Reply {
            status: rule.status.unwrap_or(502),
            headers: vec![("content-type".into(), "text/html".into())],
            body: b"<html><body>Bad Gateway</body></html>".to_vec(),
        }),
        Fault::ExpiredToken => Some(
            arm_error(
                401,
                "ExpiredAuthenticationToken",
                "The access token has expired.",
            )
            .with(
                "www-authenticate",
                format!(
                    "Bearer authorization_uri=\"{}\", error=\"invalid_token\"",
                    ask.origin
                ),
            ),
        ),
        Fault::ClaimsChallenge => {
            let claims = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjAzNzQyODAwIn19fQ";
            Some(arm_error(401, "InvalidAuthenticationToken", "Continuous access evaluation.").with("www-authenticate", format!("Bearer authorization_uri=\"{}\", error=\"insufficient_claims\", claims=\"{claims}\"", ask.origin)))
        }
        _ => None,
    }
}

/// Changes a real reply as a fault says.
fn twist(rule: &Rule, reply: &mut Reply) {
    match rule.fault {
        Fault::ForeignNextLink => {
            if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
                body["nextLink"] = json!("https://evil.example/next");
                reply.body = body.to_string().into_bytes();
            }
        }
        Fault::ForeignLocation => {
            for (name, value) in &mut reply.headers {
                if matches!(name.as_str(), "location" | "azure-asyncoperation") {
                    *value = "https://evil.example/operation".to_owned();
                }
            }
        }
        Fault::Truncate => reply.body.truncate(reply.body.len() / 2),
        _ => {}
    }
}

fn response(tenant: &Tenant, ask: &Ask, reply: Reply, _: Option<&Rule>) -> Response<Body> {
    let mut builder = Response::builder().status(reply.status);
    let request_id = tenant.random.uuid().to_string();
    let is_graph = ask.host.starts_with("graph.");
    let date = tenant
        .clock
        .now()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    builder = builder
        .header(
            if is_graph {
                "request-id"
            } else {
                "x-ms-request-id"
            },
            &request_id,
        )
        .header(
            "x-ms-correlation-request-id",
            tenant.random.uuid().to_string(),
        )
        .header(
            "x-ms-routing-request-id",
            format!(
                "LAB:{}:{request_id}",
                tenant.clock.now().format("%Y%m%dT%H%M%SZ")
            ),
        )
        .header("date", date)
        .header("cache-control", "no-cache")
        .header(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        )
        .header("x-content-type-options", "nosniff");
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Body::from(reply.body))
        .unwrap_or_else(|_| broken())
}

impl Tenant {
    fn new(options: Options, port: u16) -> Result<Self, String> {
        let mut store = Store::default();
        options.scenario.seed(&mut store, options.clock.now());
        if let Some(path) = &options.state {
            store
                .keep_in(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let mut key = [0; 32];
        options.random.fill(&mut key);
        Ok(Self {
            scenario: options.scenario.clone(),
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            port,
            entra: Entra {
                tenant: options.scenario.tenant.clone(),
                callers: options.scenario.callers.clone(),
                key,
            },
            store: Mutex::new(store),
            throttle: Mutex::new(Throttle::default()),
            faults: Mutex::new(options.faults.clone()),
            log: Mutex::new(Vec::new()),
            options,
        })
    }

    fn ready(&self, ca: PathBuf) -> Ready {
        let caller = &self.scenario.callers[0];
        Ready {
            arm: format!("https://127.0.0.1:{}", self.port),
            ca,
            tenant_id: self.scenario.tenant.clone(),
            client_id: caller.client_id.clone(),
            client_secret: caller.client_secret.clone(),
            subscription_id: self.scenario.subscriptions[0].id.clone(),
            pid: std::process::id(),
        }
    }

    async fn wait(&self, duration: Duration) {
        if !duration.is_zero() {
            self.clock.sleep(duration).await;
        }
    }

    fn answer(&self, ask: &Ask, rule: Option<&Rule>) -> Reply {
        let now = self.clock.now();
        let path = ask.path.to_ascii_lowercase();
        if ask.host.starts_with("graph.") {
            return match self.entra.check(
                ask,
                &[format!("https://graph.localhost:{}", self.port)],
                now,
            ) {
                Ok(_) => graph::answer(self, ask),
                Err((code, message)) => graph_error(401, code, &message),
            };
        }
        if let Some(account) = ask.host.split_once(".blob.").map(|(account, _)| account) {
            return match self
                .entra
                .check(ask, &["https://storage.azure.com".to_owned()], now)
            {
                Ok(claims) => blob::answer(&mut lock(&self.store), ask, account, &claims),
                Err((_, message)) => blob_error(401, "InvalidAuthenticationInfo", &message),
            };
        }
        if path == "/metadata/endpoints" {
            return entra::metadata(ask, self.port);
        }
        if path.ends_with("/oauth2/v2.0/token") && ask.method == "POST" {
            return self.entra.token(ask, now);
        }
        let audiences = [
            format!("https://127.0.0.1:{}", self.port),
            format!("https://localhost:{}", self.port),
        ];
        match self.entra.check(ask, &audiences, now) {
            Ok(claims) => self.arm(ask, &claims, rule),
            Err((code, message)) => arm_error(401, code, &message).with(
                "www-authenticate",
                format!(
                    "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\"",
                    ask.origin, self.scenario.tenant
                ),
            ),
        }
    }

    fn arm(&self, ask: &Ask, claims: &Claims, rule: Option<&Rule>) -> Reply {
        let now_us = self.clock.mono_us();
        let mut left = None;
        if let Some(factor) = self.options.throttle {
            let subscription = ask
                .path
                .strip_prefix("/subscriptions/")
                .and_then(|rest| rest.split('/').next())
                .unwrap_or_default();
            match lock(&self.throttle).take(
                subscription,
                &claims.oid,
                &ask.method,
                now_us,
                factor,
                self.options.retry_after,
            ) {
                Verdict::Left(name, count) => left = Some((name, count)),
                Verdict::Refused(reply) => return reply,
            }
        }
        let fate = match rule.map(|rule| rule.fault) {
            Some(Fault::LroFailed) => Fate::Failed,
            Some(Fault::LroStuck) => Fate::Stuck,
            _ => Fate::Good,
        };
        let mut store = lock(&self.store);
        store.settle(now_us);
        let mut reply = arm::answer(Arm {
            tenant: self,
            store: &mut store,
            ask,
            claims,
            now_us,
            fate,
        });
        if matches!(ask.method.as_str(), "PUT" | "PATCH" | "DELETE") {
            let event = arm::event(
                ask,
                &claims.oid,
                reply.status,
                self.clock.now(),
                &self.random.uuid().to_string(),
            );
            store.event(event);
        }
        if let Some((name, count)) = left {
            reply = reply.with(&name, count.to_string());
        }
        reply
    }

    fn note(&self, ask: &Ask, reply: &Reply) {
        let reads = matches!(ask.method.as_str(), "GET" | "HEAD")
            || ask.path.to_ascii_lowercase().ends_with("/resources")
            || ask
                .path
                .to_ascii_lowercase()
                .ends_with("/effectivenetworksecuritygroups")
            || ask.path.ends_with("/token");
        lock(&self.log).push(Logged {
            method: ask.method.clone(),
            host: ask.host.clone(),
            path: ask.path.clone(),
            api_version: ask.query("api-version").map(str::to_owned),
            status: reply.status,
            client_request_id: ask
                .header("x-ms-client-request-id")
                .or_else(|| ask.header("client-request-id"))
                .map(str::to_owned),
            write: !reads,
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
