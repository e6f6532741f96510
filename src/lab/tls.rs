//! The lab's certificates: an authority made at start, and one certificate for every name it answers to.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::server::LabError;

/// The names. `*.localhost` alone would not do: verifiers refuse a wildcard directly below a top level.
const NAMES: [&str; 6] = [
    "api.loganalytics.localhost",
    "localhost",
    "graph.localhost",
    "*.blob.localhost",
    "*.vault.localhost",
    "127.0.0.1",
];

/// Returns a server configuration, and the authority's certificate as PEM.
pub(super) fn make() -> Result<(rustls::ServerConfig, String), LabError> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "azir lab");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, &issuer)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, issuer.pem()))
}
