//! The one door: a single connection pool, no redirects, no retries of its own, capped answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::Value;
use url::Url;

use super::error::{Error, chain};

/// Answers larger than this are refused: no ARM, Graph or blob answer that azir asks for comes near it.
pub(crate) const MAX_BODY: usize = 256 * 1024 * 1024;

/// The HTTP client of one process.
#[derive(Clone, Debug)]
pub struct Http {
    /// For everything but evidence bytes.
    pub(crate) client: reqwest::Client,
    /// For blobs: bytes are hashed as stored, so nothing may be decompressed on the way.
    pub(crate) exact: reqwest::Client,
}

impl Http {
    /// Builds the client. `ca_bundle` is PEM text whose certificates are trusted besides the system's.
    ///
    /// # Errors
    /// A bundle that holds no certificate; a system without any.
    pub fn new(ca_bundle: Option<&[u8]>) -> Result<Self, Error> {
        provider();
        Ok(Self {
            client: build(ca_bundle, true)?,
            exact: build(ca_bundle, false)?,
        })
    }

    /// Gets JSON without any token; for metadata.
    pub(crate) async fn get_json(&self, url: &Url) -> Result<Value, Error> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let response =
            self.client
                .get(url.clone())
                .send()
                .await
                .map_err(|error| Error::Unreachable {
                    host: host.clone(),
                    message: chain(&error.without_url()),
                })?;
        let status = response.status().as_u16();
        let body = body(response, &host).await?;
        if status != 200 {
            return Err(super::error::service(status, &body, None, None));
        }
        serde_json::from_slice(&body).map_err(|error| Error::Malformed {
            host,
            message: error.to_string(),
        })
    }
}

/// Reads a body up to the cap.
pub(crate) async fn body(mut response: reqwest::Response, host: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > MAX_BODY => {
                return Err(Error::TooLarge {
                    host: host.to_owned(),
                    limit: MAX_BODY,
                });
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => {
                return Err(Error::Malformed {
                    host: host.to_owned(),
                    message: chain(&error.without_url()),
                });
            }
        }
    }
}

fn build(ca_bundle: Option<&[u8]>, gzip: bool) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        // A redirect would carry the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // reqwest retries refused HTTP/2 streams by itself; the journal would miss those attempts.
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(Resolver))
        .user_agent(concat!("azir/", env!("CARGO_PKG_VERSION")));
    if !gzip {
        builder = builder.no_gzip();
    }
    if let Some(pem) = ca_bundle {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| Error::Request("the CA bundle holds no PEM certificate".to_owned()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .build()
        .map_err(|error| Error::Request(format!("no TLS client can be made: {}", chain(&error))))
}

/// Installs the TLS provider once a process; a second install would be refused and changes nothing.
fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// `localhost` and everything under it is this machine, whatever a resolver says (RFC 6761).
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if super::origins::is_localhost(name.as_str()) {
                let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
                return Ok(Box::new(std::iter::once(address)) as Addrs);
            }
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
