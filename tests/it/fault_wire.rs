//! Faults below HTTP: certificates that are not to be trusted, and streams of HTTP/2 that are refused or broken off.

use std::sync::Arc;
use std::time::Duration;

use azir::azure::{
    AuthEnvironment, AuthKind, Http, OutcomeKind, Patience, SdkCredential, TokenSource as _,
};
use azir::secret::Secret;
use rcgen::{CertificateParams, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::azure_server::{Bench, cloud};
use super::fault_kit::{self, KINDS, Told, hasty, hold, line};

/// A certificate authority and the certificate of a service.
struct Papers {
    authority: String,
    config: rustls::ServerConfig,
}

fn papers(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Papers {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(own.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Papers { authority, config }
}

/// What a service of HTTP/2 does with the streams that it is asked for, in order.
#[derive(Clone, Copy)]
enum Stream {
    /// Answers `{}`.
    Answer,
    /// Refuses the stream: nothing was done (RFC 9113 section 8.7).
    Refuse,
    /// Breaks the stream off: something may have been done.
    Break,
    /// Says that it goes and that it did nothing of this stream.
    GoBefore,
    /// Says that it goes after this stream, and then leaves it unanswered.
    GoAfter,
    /// Leaves the stream unanswered.
    Ignore,
}

/// Returns a frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Serves connections until the test ends; returns the address.
async fn serve(config: rustls::ServerConfig, script: Vec<Stream>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut left = script.into_iter();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = connection(stream, &mut left).await;
            }
        }
    });
    base
}

async fn connection(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    left: &mut impl Iterator<Item = Stream>,
) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(4, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            // Settings are to be acknowledged, acknowledgements not.
            (4, 0) => stream.write_all(&frame(4, 1, 0, &[])).await?,
            // The end of a request: of its head, or of its body.
            (0 | 1, flags) if flags & 1 == 1 => {
                let what = left.next().unwrap_or(Stream::Answer);
                if !answer(&mut stream, number, what).await? {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

/// Does with a stream as it is told; returns whether the connection goes on.
async fn answer(
    stream: &mut tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    number: u32,
    what: Stream,
) -> std::io::Result<bool> {
    let bytes = match what {
        // `:status: 200` is the eighth of the static table (RFC 7541 appendix A).
        Stream::Answer => [frame(1, 4, number, &[0x88]), frame(0, 1, number, b"{}")].concat(),
        Stream::Refuse => frame(3, 0, number, &7_u32.to_be_bytes()),
        Stream::Ignore => Vec::new(),
        Stream::Break => frame(3, 0, number, &2_u32.to_be_bytes()),
        Stream::GoBefore => frame(7, 0, 0, &[0; 8]),
        Stream::GoAfter => {
            let last = [number.to_be_bytes(), 0_u32.to_be_bytes()].concat();
            frame(7, 0, 0, &last)
        }
    };
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let goes = matches!(what, Stream::GoBefore | Stream::GoAfter);
    if goes {
        stream.shutdown().await?;
    }
    Ok(!goes)
}

async fn told(config: rustls::ServerConfig, ca: &str, script: Vec<Stream>, method: &str) -> Told {
    let base = serve(config, script).await;
    let http = Http::with_patience(Some(ca.as_bytes()), Patience::default()).unwrap();
    let bench = Bench::at(&base, http);
    fault_kit::of(&bench, method, method != "POST").await
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_gets_no_request() {
    let good = || papers("127.0.0.1", |_| {});
    let other = good().authority;
    let expired = || {
        papers("127.0.0.1", |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
    };
    let mut rows = String::new();
    for (fault, papers, authority) in [
        (
            "the certificate is of an authority unknown",
            &good as &dyn Fn() -> Papers,
            Some(&other),
        ),
        ("the certificate has expired", &expired, None),
        (
            "the certificate is of another name",
            &|| papers("other.example", |_| {}),
            None,
        ),
    ] {
        let mut cells = Vec::new();
        for (method, _) in KINDS {
            let papers = papers();
            let authority = authority.unwrap_or(&papers.authority).clone();
            let told = told(papers.config, &authority, Vec::new(), method).await;
            told.sound(fault, method);
            let message = told.result.as_ref().unwrap_err().to_string();
            assert!(message.contains("certificate"), "{fault}: {message}");
            cells.push(told.cell().replace("sent", "tried"));
        }
        rows += &line(fault, &cells);
    }
    hold("certificates", &rows);
}

#[tokio::test]
async fn a_stream_that_was_refused_was_not_carried_out_and_one_that_broke_may_have_been() {
    let mut rows = String::new();
    for (fault, what, harmless) in [
        ("`REFUSED_STREAM`", Stream::Refuse, true),
        (
            "`GOAWAY` that leaves the request out",
            Stream::GoBefore,
            true,
        ),
        (
            "`GOAWAY`, and the request it takes in is not answered",
            Stream::GoAfter,
            false,
        ),
        ("`RST_STREAM` with an internal error", Stream::Break, false),
    ] {
        let mut cells = Vec::new();
        for (method, _) in KINDS {
            let papers = papers("127.0.0.1", |_| {});
            let told = told(papers.config, &papers.authority, vec![what], method).await;
            told.sound(fault, method);
            if method == "POST" {
                let first = if harmless {
                    OutcomeKind::Failed
                } else {
                    OutcomeKind::Unknown
                };
                assert_eq!(told.kinds[0], first, "{fault}");
                assert_eq!(told.result.is_ok(), harmless, "{fault}");
            }
            cells.push(told.cell());
        }
        rows += &line(fault, &cells);
    }
    hold("streams", &rows);
}

#[tokio::test]
async fn a_sign_in_that_nobody_answers_ends() {
    let papers = papers("127.0.0.1", |_| {});
    let base = serve(papers.config, vec![Stream::Ignore; 20]).await;
    let mut cloud = cloud(&base);
    cloud.login = base.parse().unwrap();
    let http = Http::with_patience(Some(papers.authority.as_bytes()), hasty()).unwrap();
    let environment = AuthEnvironment {
        tenant: Some("11111111-1111-4111-8111-111111111111".to_owned()),
        client_id: Some("22222222-2222-4222-8222-222222222222".to_owned()),
        client_secret: Some(Secret::new("secret")),
        ..AuthEnvironment::default()
    };
    let kind = Some(AuthKind::Env);
    let credential = Arc::new(SdkCredential::choose(kind, &environment, &cloud, &http).unwrap());
    let fetched = credential.fetch("https://management.azure.com/.default");
    let ended = tokio::time::timeout(Duration::from_secs(10), fetched).await;
    let failed = ended.expect("it ends by itself").unwrap_err();
    assert!(failed.is_auth(), "{failed}");
}
