//! The lab as a server: a thread with its own runtime, TLS on loopback, one listener for every plane.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::faults::Faults;
use super::scenario::Scenario;
use super::tenant::Tenant;
use super::{tls, wire};
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
    /// How many seconds an operation asks for between two polls; absent: it says nothing, as most do.
    pub poll_after: Option<u64>,
    /// Whether the request log keeps what was sent, for whoever judges it; a lab of thousands of requests need not.
    pub bodies: bool,
    /// Items on a page.
    pub page: Option<usize>,
    /// How long until reads of the directory see a write.
    pub replication: std::time::Duration,
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logged {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was answered, on the lab's clock.
    pub time: String,
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path, decoded.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The `api-version`.
    pub api_version: Option<String>,
    /// The status; of one whose connection was broken afterwards, the one it did not hear.
    pub status: u16,
    /// The `x-ms-client-request-id`.
    pub client_request_id: Option<String>,
    /// Whether it could have changed anything.
    pub write: bool,
    /// What was sent, where the lab was told to keep it and it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// Why a lab cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The port is taken, or may not be used.
    #[error("listen on port {port} of the loopback interface")]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("make the lab's certificates: {0}")]
    Certificate(String),
    /// The certificate cannot be left where clients look for it.
    #[error("write the lab's certificate to {path}")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What an earlier lab left cannot be read, or not be written on.
    #[error("use the lab's state {path}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gave no thread.
    #[error("start the lab's thread")]
    Thread(#[source] std::io::Error),
}

impl From<rcgen::Error> for LabError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl From<rustls::Error> for LabError {
    fn from(error: rustls::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// A tenant that runs; it stops when this is dropped.
pub struct Lab {
    ready: Ready,
    tenant: Arc<Tenant>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Lab {
    /// Starts a lab; it answers when this returns.
    pub fn start(options: Options) -> Result<Self, LabError> {
        let listener = listen(options.port)?;
        let unusable = |source| LabError::Listen {
            port: options.port,
            source,
        };
        let port = listener.local_addr().map_err(unusable)?.port();
        let (tls, ca_pem) = tls::make()?;
        let ca = options.folder.join(format!("lab-{port}-ca.pem"));
        std::fs::create_dir_all(&options.folder)
            .and_then(|()| std::fs::write(&ca, ca_pem))
            .map_err(|source| LabError::Folder {
                path: ca.clone(),
                source,
            })?;
        let tenant = Arc::new(Tenant::new(options, port)?);
        let ready = tenant.ready(ca);
        let (stop, stopped) = watch::channel(false);
        let serving = Arc::clone(&tenant);
        let thread = std::thread::Builder::new()
            .name("azir-lab".to_owned())
            .spawn(move || serve(listener, tls, serving, stopped))
            .map_err(LabError::Thread)?;
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
        self.tenant.log()
    }

    /// Returns how many requests a `delay` has kept from being done, those that have been done since included.
    pub fn kept_back(&self) -> usize {
        self.tenant.kept_back()
    }

    /// Returns the tenant's state, for tests to compare.
    pub fn state(&self) -> Value {
        self.tenant.state()
    }

    /// Changes a resource behind everybody's back, as an attacker would.
    pub fn tamper(&self, id: &str, change: impl FnOnce(&mut Value)) {
        self.tenant.tamper(id, change);
    }

    /// Changes an object of the directory behind everybody's back, as an attacker would; everybody sees it at once.
    pub fn tamper_directory(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) {
        self.tenant.tamper_directory(kind, id, change);
    }

    /// Stops it; no request is answered when this returns.
    pub fn stop(self) {
        drop(self);
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

fn listen(port: u16) -> Result<std::net::TcpListener, LabError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener =
        std::net::TcpListener::bind(address).map_err(|source| LabError::Listen { port, source })?;
    listener
        .set_nonblocking(true)
        .map_err(|source| LabError::Listen { port, source })?;
    Ok(listener)
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
        let router = axum::Router::new()
            .fallback(wire::handle)
            .with_state(tenant);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, mostly: some come back when connections end.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
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
