//! TLS where a CA bundle is named: its certificates are trusted as authorities, and as themselves.
//!
//! The plainest way to make a certificate, `openssl req -x509`, makes one that is its own authority and the
//! server's at once. Clients built on OpenSSL take it when it is named to them; webpki does not, because an
//! authority is no server. Whoever names that very certificate means it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Returns the certificates of a PEM bundle; none where it holds none.
pub(super) fn read(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default()
}

/// Returns TLS that trusts the system's authorities and `named`; where `alone`, only these.
///
/// # Errors
/// A system without any CA certificate; a certificate that cannot be an authority.
pub(super) fn config(
    named: &[CertificateDer<'static>],
    alone: bool,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let inner: Arc<dyn ServerCertVerifier> = if alone {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(named.iter().cloned());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
    } else {
        Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(
            named.iter().cloned(),
            Arc::clone(&provider),
        )?)
    };
    let verifier = Arc::new(Named {
        inner,
        certificates: named.to_vec(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The usual verifier, and one exception to it.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ServerCertVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // webpki has judged the time before it comes to this; the name is judged here.
            Err(error)
                if error.to_string().contains("CaUsedAsEndEntity")
                    && self.certificates.iter().any(|named| named == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn certificate(name: &str, from: i32, to: i32) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        params.self_signed(&key).unwrap().der().clone()
    }

    fn judged(
        named: &[CertificateDer<'static>],
        shown: &CertificateDer<'_>,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(named.iter().cloned());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let named = Named {
            inner,
            certificates: named.to_vec(),
        };
        // The middle of 2026.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_782_000_000));
        let name = ServerName::try_from("tenant.example").unwrap();
        named.verify_server_cert(shown, &[], &name, &[], now)
    }

    #[test]
    fn a_server_that_is_its_own_authority_is_trusted_where_it_is_named() {
        let own = certificate("tenant.example", 2020, 2040);
        assert!(judged(std::slice::from_ref(&own), &own).is_ok());
    }

    #[test]
    fn no_other_certificate_and_no_other_name_or_time_is_trusted() {
        let own = certificate("tenant.example", 2020, 2040);
        let twin = certificate("tenant.example", 2020, 2040);
        assert!(judged(std::slice::from_ref(&own), &twin).is_err());
        let elsewhere = certificate("elsewhere.example", 2020, 2040);
        assert!(judged(std::slice::from_ref(&elsewhere), &elsewhere).is_err());
        let over = certificate("tenant.example", 2020, 2021);
        assert!(judged(std::slice::from_ref(&over), &over).is_err());
    }
}
