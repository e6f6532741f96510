//! The one door: connection pools without redirects and without retries of their own.
//!
//! Pools differ in two things. Traffic to this machine never goes through a proxy, which could not reach it;
//! and evidence is hashed as stored, so nothing may be decompressed on its way. Each is built at first use.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use url::Url;

use super::error::{Error, chain};
use super::origins::is_loopback;
use super::patience::{Arrival, Patience};
use super::{named, retry};
use crate::clock::Clock;

/// Answers larger than this are refused, unpacked as they are: no ARM, Graph or blob answer that azir keeps in
/// memory comes near it. Evidence is streamed.
pub(crate) const MAX_BODY: usize = 256 * 1024 * 1024;

/// Attempts at metadata: without it there is no cloud to wait for.
const MAX_METADATA: u32 = 5;

/// The HTTP side of one process.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    certificates: Vec<CertificateDer<'static>>,
    patience: Patience,
    /// By whether the host is this machine, then by whether bytes must come as they are.
    pools: [[OnceLock<reqwest::Client>; 2]; 2],
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// Takes a CA bundle, PEM text whose certificates are trusted besides the system's. Builds and opens nothing yet.
    ///
    /// # Errors
    /// A bundle that holds no certificate.
    pub fn new(ca_bundle: Option<&[u8]>) -> Result<Self, Error> {
        Self::with_patience(ca_bundle, Patience::default())
    }

    /// As [`Http::new`], with another patience.
    ///
    /// # Errors
    /// As [`Http::new`].
    pub fn with_patience(ca_bundle: Option<&[u8]>, patience: Patience) -> Result<Self, Error> {
        provider();
        let certificates = match ca_bundle {
            None => Vec::new(),
            Some(pem) => {
                let certificates = named::read(pem);
                if certificates.is_empty() {
                    return Err(Error::Request(
                        "the CA bundle holds no PEM certificate".to_owned(),
                    ));
                }
                certificates
            }
        };
        Ok(Self(Arc::new(Shared {
            certificates,
            patience,
            pools: Default::default(),
        })))
    }

    /// Returns how long this side waits for the other.
    pub(crate) fn patience(&self) -> Patience {
        self.0.patience
    }

    /// Returns the pool for `url`; `exact`: the bytes of answers must come as they are stored.
    ///
    /// # Errors
    /// A system without any CA certificate, or with a bundle that cannot be used.
    pub(crate) fn pool(&self, url: &Url, exact: bool) -> Result<reqwest::Client, Error> {
        self.pick(is_loopback(url), exact)
    }

    /// Returns a pool that never goes through a proxy; the metadata service of a machine needs one.
    pub(crate) fn direct(&self) -> Result<reqwest::Client, Error> {
        self.pick(true, false)
    }

    fn pick(&self, direct: bool, exact: bool) -> Result<reqwest::Client, Error> {
        let slot = &self.0.pools[usize::from(direct)][usize::from(exact)];
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let client = build(&self.0, direct, exact)?;
        Ok(slot.get_or_init(|| client).clone())
    }

    /// Gets JSON without any token, for metadata; tries again as other reads do, but not for long.
    pub(crate) async fn get_json(&self, url: &Url, clock: &dyn Clock) -> Result<Value, Error> {
        let mut number = 1;
        loop {
            let (error, met, asked) = match self.get_once(url, clock).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let code = match &error {
                Error::Service { code, .. } => code.as_str(),
                _ => "",
            };
            let attempt = match met {
                Met::Nobody => retry::Attempt::NotSent,
                Met::Silence => retry::Attempt::NoAnswer,
                Met::Refusal(status) => retry::Attempt::Answered { status, code },
            };
            match retry::wait(attempt, number, true, asked, 0.5) {
                Some(wait) if number < MAX_METADATA => clock.sleep(wait).await,
                _ => return Err(error),
            }
            number += 1;
        }
    }

    async fn get_once(
        &self,
        url: &Url,
        clock: &dyn Clock,
    ) -> Result<Value, (Error, Met, Option<Duration>)> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let pool = self
            .pool(url, false)
            .map_err(|error| (error, Met::Refusal(0), None))?;
        let sent = pool
            .get(url.clone())
            .timeout(self.patience().thinking)
            .send()
            .await;
        let response = sent.map_err(|error| {
            let met = if error.is_connect() {
                Met::Nobody
            } else {
                Met::Silence
            };
            let message = chain(&error.without_url());
            let host = host.clone();
            (Error::Unreachable { host, message }, met, None)
        })?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let asked = retry::asked(header, clock.now());
        let silence = |error| (error, Met::Silence, None);
        let body = body(self.patience(), response, &host)
            .await
            .map_err(silence)?;
        if status != 200 {
            let error = super::error::service(status, &body, None, None);
            return Err((error, Met::Refusal(status), asked));
        }
        serde_json::from_slice(&body).map_err(|error| {
            let message = error.to_string();
            silence(Error::Malformed { host, message })
        })
    }
}

/// What a request for metadata met.
enum Met {
    /// No connection was made.
    Nobody,
    /// No whole answer came.
    Silence,
    /// An error.
    Refusal(u16),
}

/// Reads a body up to the cap.
pub(crate) async fn body(
    patience: Patience,
    mut response: reqwest::Response,
    host: &str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut arrival = Arrival::begin(patience);
    while let Some(chunk) = arrival.next(&mut response, host).await? {
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(Error::TooLarge {
                host: host.to_owned(),
                limit: MAX_BODY,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn build(shared: &Shared, direct: bool, exact: bool) -> Result<reqwest::Client, Error> {
    let certificates = &shared.certificates;
    let unable = |error: &dyn std::error::Error| {
        Error::Request(format!("no TLS client can be made: {}", chain(error)))
    };
    let mut builder = settings(shared.patience, direct, exact);
    if !certificates.is_empty() {
        let config = match named::config(certificates, false) {
            // A container may have no CA store at all; what is on this machine needs the bundle alone.
            Err(_) if direct => named::config(certificates, true),
            other => other,
        };
        builder = builder.tls_backend_preconfigured(config.map_err(|error| unable(&error))?);
    }
    builder.build().map_err(|error| unable(&error))
}

fn settings(patience: Patience, direct: bool, exact: bool) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
        // A redirect would carry the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // reqwest retries refused HTTP/2 streams by itself; the journal would miss those attempts.
        .retry(reqwest::retry::never())
        .connect_timeout(patience.connecting)
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(Resolver))
        .user_agent(concat!("azir/", env!("CARGO_PKG_VERSION")));
    if direct {
        builder = builder.no_proxy();
    }
    if exact {
        builder = builder.no_gzip();
    }
    builder
}

/// Installs the TLS provider once a process; a second install would be refused and changes nothing.
fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// `localhost` and everything under it is this machine, whatever a resolver says, and nothing is under `invalid`
/// (RFC 6761).
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if super::origins::is_localhost(name.as_str()) {
                let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
                return Ok(Box::new(std::iter::once(address)) as Addrs);
            }
            if name.as_str().ends_with(".invalid") {
                let nobody = std::io::ErrorKind::NotFound;
                return Err(std::io::Error::new(nobody, "no such name can be").into());
            }
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
